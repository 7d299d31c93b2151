/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 9P2000.L server for one host directory, without a transport: virtio/9p.c feeds it requests, as
 * do its tests and its fuzzer.
 *
 * One thread at a time.
 */
#ifndef VIRTIO_P9_SERVER_H
#define VIRTIO_P9_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define P9_MIN_MSIZE	 4096u
#define P9_MAX_MSIZE	 (1u << 20)
#define P9_DEFAULT_MSIZE (512u << 10)

/**
 * enum p9_security - whose the files are that a guest makes
 * @P9_SECURITY_AUTO:        passthrough for root, none for others
 * @P9_SECURITY_PASSTHROUGH: the guest's: ids, modes and device nodes are made on the host as asked
 * @P9_SECURITY_MAPPED:      lkvm's user's: what the guest asked for is kept in user.virtfs.*
 * attributes
 * @P9_SECURITY_NONE:        lkvm's user's: ids are ignored, device nodes refused
 */
enum p9_security {
	P9_SECURITY_AUTO,
	P9_SECURITY_PASSTHROUGH,
	P9_SECURITY_MAPPED,
	P9_SECURITY_NONE,
};

/**
 * struct p9_config - what is shared, and how
 * @dir:       host directory
 * @read_only: nothing can be changed
 * @security:  see enum p9_security
 * @msize:     the longest message in bytes; 0 is P9_DEFAULT_MSIZE
 * @max_fids:  fids at a time; 0 for a default
 * @max_fds:   host descriptors at a time; 0 for three quarters of RLIMIT_NOFILE
 */
struct p9_config {
	const char *dir;
	bool read_only;
	enum p9_security security;
	uint32_t msize;
	unsigned int max_fids;
	unsigned int max_fds;
};

struct p9_server;

/**
 * p9_server__create - open a directory to be served
 * @cfg:    its strings are not needed any more after the call
 * @server: receives the server
 *
 * Return: 0; -EINVAL for an msize out of bounds; -ENOMEM; the errno of opening the directory or
 * /proc/self/fd, without which files cannot be reopened; -EOPNOTSUPP if mapped security is asked
 * for and the directory's file system has no user attributes. Printed.
 */
int p9_server__create(const struct p9_config *cfg, struct p9_server **server);

/**
 * p9_server__reset - forget the client: no fid is left, a version has to be negotiated again
 */
void p9_server__reset(struct p9_server *server);

/**
 * p9_server__destroy - NULL is harmless
 */
void p9_server__destroy(struct p9_server *server);

/**
 * p9_server__handle - carry out one request
 * @out, @nr_out: the message; it may change meanwhile
 * @in, @nr_in:   room for the reply
 *
 * All that is wrong within a message is answered (Rlerror). Data of Tread and Twrite goes straight
 * between @in, @out and the file.
 *
 * Return: bytes of the reply, at least 7; -EINVAL if @out is no message (shorter than a header);
 * -ENOSPC if @in has no room for an error reply (11 bytes).
 */
int p9_server__handle(struct p9_server *server, const struct iovec *out, unsigned int nr_out,
		      const struct iovec *in, unsigned int nr_in);

/**
 * p9_server__nr_fids, p9_server__nr_fds - what the client keeps busy
 */
unsigned int p9_server__nr_fids(const struct p9_server *server);
unsigned int p9_server__nr_fds(const struct p9_server *server);

#endif
