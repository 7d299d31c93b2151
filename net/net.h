/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the back ends of net/ share; nobody else includes it.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <pthread.h>

#include "kvm/net.h"

struct event;

/**
 * struct net_backend_ops - a kind of back end; NULL where there is nothing to do
 * @configure, @set_pairs, @attach, @detach: as the functions of kvm/net.h
 * @send:    iovec with virtio header if vnet_hdr is set, without otherwise
 * @receive: likewise
 * @close:   release everything and free the back end itself
 */
struct net_backend_ops {
	int (*configure)(struct net_backend *be, size_t header, bool little_endian,
			 unsigned int offloads);
	int (*set_pairs)(struct net_backend *be, unsigned int pairs);
	int (*attach)(struct net_backend *be, struct event_loop *loop);
	void (*detach)(struct net_backend *be);
	int (*send)(struct net_backend *be, unsigned int pair, const struct iovec *iov,
		    unsigned int nr);
	ssize_t (*receive)(struct net_backend *be, unsigned int pair, const struct iovec *iov,
			   unsigned int nr);
	void (*close)(struct net_backend *be);
};

/**
 * struct net_pair - a pair of queues
 * @fd:      what is polled for it, -1 for none; the back end's
 * @watched: EPOLLIN, EPOLLOUT as they are wanted
 */
struct net_pair {
	struct net_backend *be;
	unsigned int index;
	int fd;
	struct event *event;
	uint32_t watched;
};

/**
 * struct net_backend - embedded first in each back end, which fills in ops, info, vnet_hdr and
 * pair[].fd
 * @vnet_hdr: the back end takes and gives virtio headers
 * @header:   their length
 * @active:   pairs in use; as many as there are to begin with
 */
struct net_backend {
	const struct net_backend_ops *ops;
	struct net_info info;
	char name[24];
	bool vnet_hdr;
	size_t header;
	unsigned int active;
	pthread_mutex_t lock; /* pair[].event */
	struct net_pair pair[NET_MAX_PAIRS];
	struct net_frontend front;
	struct event_loop *loop;
	bool attached;
};

/**
 * net_backend__init - zeroed memory becomes a back end with one pair, up, of Ethernet's MTU
 */
void net_backend__init(struct net_backend *be, const struct net_backend_ops *ops, const char *kind,
		       const char *name);

/**
 * net_backend__exit - the reverse, for ops->close
 */
void net_backend__exit(struct net_backend *be);

/**
 * net_backend__lose_link - the link is down for good, say so once
 * @fmt: why
 */
void net_backend__lose_link(struct net_backend *be, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * net_iov__length - bytes in all
 */
size_t net_iov__length(const struct iovec *iov, unsigned int nr);

/**
 * net_iov__write - copy to a list of buffers
 * @offset: bytes from its start
 */
void net_iov__write(const struct iovec *iov, unsigned int nr, size_t offset, const void *from,
		    size_t len);

/**
 * net_iov__read - copy from a list of buffers
 * @offset: bytes from its start
 *
 * Return: bytes copied, less than @len at its end.
 */
size_t net_iov__read(const struct iovec *iov, unsigned int nr, size_t offset, void *to, size_t len);

/**
 * net_iov__skip - describe all but the first @len bytes
 * @to: room for @nr pieces
 *
 * Return: pieces.
 */
unsigned int net_iov__skip(const struct iovec *iov, unsigned int nr, size_t len, struct iovec *to);

/**
 * net_tap__open, net_passt__open, net_slirp__open - as net_backend__open()
 *
 * net_passt__open() gives -ENOENT without a word if passt is not installed, net_slirp__open()
 * -ENOSYS if libslirp is not built in.
 */
int net_tap__open(const struct net_config *cfg, const char *name, struct net_backend **out);
int net_passt__open(const struct net_config *cfg, const char *name, struct net_backend **out);
int net_slirp__open(const struct net_config *cfg, const char *name, struct net_backend **out);

/**
 * net__find_program - whether PATH has an executable of that name
 */
bool net__find_program(const char *name);

/**
 * net__run - run a program and wait for it to end
 * @argv:    program, found by PATH unless it has a slash, and arguments
 * @keep_fd: a descriptor that it inherits by the same number, or -1
 * @words:   receives what it writes to standard error, or NULL to let that through
 * @size:    of @words
 *
 * Standard input is empty; standard output is ours, or dropped if @words is given. A program that
 * goes on in the background, and keeps nothing of the above, is not waited for.
 *
 * Return: its exit status; 128 + number of the signal that killed it; -ETIMEDOUT after 30 seconds
 * (it is killed); negative errno if it could not be run.
 */
int net__run(char *const argv[], int keep_fd, char *words, size_t size);

#endif
