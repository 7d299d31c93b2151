/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the 9p server share: messages (p9-wire.c), host objects (p9-node.c), security
 * models (p9-attr.c), fids (p9-fid.c), and requests (p9-server.c for names and attributes,
 * p9-file.c for open files).
 */
#ifndef VIRTIO_P9_INTERNAL_H
#define VIRTIO_P9_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "virtio/p9-server.h"

#define P9_HEADER     7	 /* size[4] type[1] tag[2] */
#define P9_RLERROR    11 /* header, ecode[4] */
#define P9_QID	      13 /* type[1] version[4] path[8] */
#define P9_RREAD      11 /* header, count[4]: where data begins */
#define P9_TWRITE     23 /* header, fid[4] offset[8] count[4]: where data begins */
#define P9_MAX_WALK   16
#define P9_NOFID      UINT32_MAX
#define P9_NO_ID      UINT32_MAX /* of a user or group: leave it */
#define P9_MAX_BODY   (16u << 10)
#define P9_MAX_BOUNCE (64u << 10)
#define P9_BUCKETS    4096

#define P9_QT_DIR     0x80
#define P9_QT_SYMLINK 0x02
#define P9_QT_FILE    0x00

/* --- p9-wire.c: little-endian messages -------------------------------------------------------- */

/**
 * struct p9_reader - the body of a request
 * @bad: something was read that is not there; all values since are 0
 */
struct p9_reader {
	const uint8_t *data;
	size_t len, at;
	bool bad;
};

/**
 * struct p9_writer - a reply in the making
 * @full: something did not fit
 */
struct p9_writer {
	uint8_t *data;
	size_t size, at;
	bool full;
};

/**
 * struct p9_qid - what an object is to the client
 */
struct p9_qid {
	uint8_t type;
	uint32_t version;
	uint64_t path;
};

uint8_t p9__get8(struct p9_reader *r);
uint16_t p9__get16(struct p9_reader *r);
uint32_t p9__get32(struct p9_reader *r);
uint64_t p9__get64(struct p9_reader *r);

/**
 * p9__get_text - a string without a NUL in it
 *
 * Return: 0; -EINVAL; -ENAMETOOLONG if it and its terminator are more than @size bytes.
 */
int p9__get_text(struct p9_reader *r, char *text, size_t size);

/**
 * p9__get_name - one component of a path: not empty, no '/', neither "." nor ".."
 *
 * Return: 0, -EINVAL or -ENAMETOOLONG.
 */
int p9__get_name(struct p9_reader *r, char name[NAME_MAX + 1]);

void p9__put8(struct p9_writer *w, uint8_t value);
void p9__put16(struct p9_writer *w, uint16_t value);
void p9__put32(struct p9_writer *w, uint32_t value);
void p9__put64(struct p9_writer *w, uint64_t value);
void p9__put_text(struct p9_writer *w, const char *text, size_t len);
void p9__put_qid(struct p9_writer *w, const struct p9_qid *qid);

/**
 * p9_iov__len, p9_iov__read, p9_iov__write - bytes in an array of pieces; copy from and to it
 *
 * Return: bytes, less than @len where the pieces end.
 */
uint64_t p9_iov__len(const struct iovec *iov, unsigned int nr);
size_t p9_iov__read(const struct iovec *iov, unsigned int nr, size_t offset, void *to, size_t len);
size_t p9_iov__write(const struct iovec *iov, unsigned int nr, size_t offset, const void *from,
		     size_t len);

/**
 * p9_iov__slice - @len bytes from @offset on, in at most IOV_MAX pieces
 *
 * Return: pieces in @to, which cover less than @len bytes if there are not that many.
 */
int p9_iov__slice(const struct iovec *iov, unsigned int nr, size_t offset, size_t len,
		  struct iovec to[IOV_MAX]);

/* --- p9-node.c: objects of the host ----------------------------------------------------------- */

/**
 * struct p9_node - an inode that some fid stands for, shared by all that do
 * @fd:              O_PATH: it pins the inode, whatever becomes of its names
 * @dev, @ino, @mnt: which it is; the same inode by another mount is another node
 * @type:            S_IFMT bits on the host
 * @path:            of its qid
 */
struct p9_node {
	struct p9_node *next;
	unsigned int refs;
	int fd;
	uint64_t dev, ino, mnt;
	mode_t type;
	uint64_t path;
};

/**
 * struct p9_wide - qid paths of inodes whose numbers do not fit
 */
struct p9_wide {
	struct p9_inode {
		uint64_t dev, ino;
	} * slot;	   /* by number */
	uint32_t *hash;	   /* number + 1, or 0 */
	uint32_t nr, size; /* of hash: twice the capacity of slot; a power of two */
};

/**
 * struct p9_proc_path - a name by which system calls that take none but names reach a descriptor
 */
struct p9_proc_path {
	char text[32];
};

struct p9_proc_path p9__proc_path(int fd);

/**
 * p9_node__open - step to an entry of a directory, without following a symlink
 * @dir_fd: of the directory
 * @name:   one component
 * @node:   receives a reference
 */
int p9_node__open(struct p9_server *s, int dir_fd, const char *name, struct p9_node **node);

/**
 * p9_node__adopt - the node of a descriptor opened with O_PATH, which is taken even on failure
 */
int p9_node__adopt(struct p9_server *s, int fd, struct p9_node **node);

struct p9_node *p9_node__get(struct p9_node *node);
void p9_node__put(struct p9_server *s, struct p9_node *node);

/**
 * p9_node__is - whether an entry of a directory is this node
 */
bool p9_node__is(const struct p9_node *node, int dir_fd, const char *name);

/**
 * p9__qid_path - a number for an inode, no other inode's as long as the server lives
 *
 * Return: 0, -ENOMEM or -EOVERFLOW.
 */
int p9__qid_path(struct p9_server *s, uint64_t dev, uint64_t ino, uint64_t *path);

/**
 * p9__take_fd - count a descriptor that is about to be opened
 *
 * Return: 0 or -EMFILE.
 */
int p9__take_fd(struct p9_server *s);

/**
 * p9__close - close one that was counted, or, with a negative @fd, count it no more
 */
void p9__close(struct p9_server *s, int fd);

/* --- p9-attr.c: whose it is ------------------------------------------------------------------- */

/**
 * struct p9_owner - what a new object shall be
 * @uid, @gid: P9_NO_ID leaves it to the host
 * @mode:      type and permissions
 * @rdev:      of a device node, in the kernel's 32-bit encoding
 */
struct p9_owner {
	uint32_t uid, gid;
	mode_t mode;
	uint32_t rdev;
};

/**
 * p9_attr__stat - what the client shall see of an object
 * @fd: O_PATH or open
 */
int p9_attr__stat(const struct p9_server *s, int fd, struct statx *stx);

/**
 * p9_attr__own - make a new object what it shall be
 * @fd: O_PATH or open
 */
int p9_attr__own(const struct p9_server *s, int fd, const struct p9_owner *owner);

int p9_attr__chmod(const struct p9_server *s, int fd, mode_t mode);
int p9_attr__chown(const struct p9_server *s, int fd, uint32_t uid, uint32_t gid);

/**
 * p9_attr__is_stand_in - a regular file of the host that is something else to the guest
 */
bool p9_attr__is_stand_in(const struct p9_server *s, mode_t mode);

/**
 * p9_attr__check_xattr - whether the client may use an extended attribute of this name
 *
 * Return: 0, -EPERM or -EOPNOTSUPP.
 */
int p9_attr__check_xattr(const struct p9_server *s, const char *name);

/**
 * p9_attr__filter_list - take names that the client shall not see out of a listxattr() result
 *
 * Return: bytes left.
 */
size_t p9_attr__filter_list(const struct p9_server *s, char *list, size_t len);

struct p9_qid p9__qid(const struct statx *stx, uint64_t path);

/* --- p9-fid.c --------------------------------------------------------------------------------- */

/**
 * struct p9_xattr - a fid that stands for an attribute's value
 * @name:   to be set at clunk; empty for one that is read
 * @size:   of @data
 * @filled: bytes written so far
 * @flags:  XATTR_CREATE, XATTR_REPLACE
 */
struct p9_xattr {
	char name[XATTR_NAME_MAX + 1];
	size_t size, filled;
	uint32_t flags;
	uint8_t *data;
};

/**
 * struct p9_fid - a client's handle
 * @node:         what it stands for
 * @parent, @name: where that was found; NULL for a root
 * @uid:          who attached; owns what is made by this fid
 * @fd:           open for I/O, or -1
 * @lock_fd:      for record locks, or -1
 * @xattr:        or NULL
 */
struct p9_fid {
	struct p9_fid *next;
	uint32_t id;
	uint32_t uid;
	struct p9_node *node, *parent;
	char *name;
	int fd, lock_fd;
	struct p9_xattr *xattr;
};

/**
 * p9_fid__find - Return: the fid of a number, or NULL
 */
struct p9_fid *p9_fid__find(const struct p9_server *s, uint32_t id);

/**
 * p9_fid__create - a new fid
 * @node, @parent: references are taken
 *
 * Return: 0; -EINVAL if @id is in use or P9_NOFID; -ENFILE; -ENOMEM.
 */
int p9_fid__create(struct p9_server *s, uint32_t id, uint32_t uid, struct p9_node *node,
		   struct p9_node *parent, const char *name);

/**
 * p9_fid__move - let a fid stand for something else
 *
 * Return: 0 or -ENOMEM.
 */
int p9_fid__move(struct p9_server *s, struct p9_fid *fid, struct p9_node *node,
		 struct p9_node *parent, const char *name);

/**
 * p9_fid__renamed - fids that were found by the old name are to be found by the new one
 */
void p9_fid__renamed(struct p9_server *s, struct p9_node *old_dir, const char *old_name,
		     struct p9_node *new_dir, const char *new_name);

void p9_fid__destroy(struct p9_server *s, struct p9_fid *fid);
void p9_fid__destroy_all(struct p9_server *s);

/**
 * p9_fid__new_xattr - room for a value; counted against what all fids may have
 *
 * Return: NULL if it is too much.
 */
struct p9_xattr *p9_fid__new_xattr(struct p9_server *s, size_t size);
void p9_fid__free_xattr(struct p9_server *s, struct p9_xattr *xattr);

/* --- requests --------------------------------------------------------------------------------- */

struct p9_server {
	bool read_only;
	enum p9_security security;
	uint32_t max_msize;
	uint32_t msize; /* as negotiated, 0 before */
	unsigned int max_fids, max_fds;

	int root_fd;
	unsigned int nr_fids, nr_fds;
	size_t xattr_bytes;
	struct p9_fid *fid[P9_BUCKETS];
	struct p9_node *node[P9_BUCKETS];
	uint64_t *dev; /* known devices; the index is part of a qid's path */
	unsigned int nr_dev;
	struct p9_wide wide;

	struct iovec iov[IOV_MAX];
	uint8_t body[P9_MAX_BODY];
	uint8_t reply[P9_MAX_BOUNCE + 64];
	uint8_t bounce[P9_MAX_BOUNCE];
};

/**
 * struct p9_request - one message on its way
 * @r:      its body
 * @w:      its reply
 * @size:   bytes of the message, all of them in @out
 * @room:   bytes that the reply may have
 * @direct: bytes of the reply that are in @in already, behind those of @w
 */
struct p9_request {
	struct p9_server *s;
	struct p9_reader r;
	struct p9_writer w;
	const struct iovec *out, *in;
	unsigned int nr_out, nr_in;
	uint32_t size, room, direct;
};

/**
 * p9__get_fid - the fid whose number comes next in the request
 *
 * Return: 0 or -EBADF.
 */
int p9__get_fid(struct p9_request *q, struct p9_fid **fid);

/**
 * p9__get_dir - the same, of a directory
 *
 * Return: 0, -EBADF or -ENOTDIR.
 */
int p9__get_dir(struct p9_request *q, struct p9_fid **fid);

/* p9-file.c: requests on open files; 0 or negative errno */
int p9_file__open(struct p9_request *q);
int p9_file__create(struct p9_request *q);
int p9_file__read(struct p9_request *q);
int p9_file__write(struct p9_request *q);
int p9_file__readdir(struct p9_request *q);
int p9_file__fsync(struct p9_request *q);
int p9_file__lock(struct p9_request *q);
int p9_file__getlock(struct p9_request *q);
int p9_file__xattrwalk(struct p9_request *q);
int p9_file__xattrcreate(struct p9_request *q);

/**
 * p9_file__reopen - open what an O_PATH descriptor stands for
 *
 * Return: a descriptor that was counted, or negative errno.
 */
int p9_file__reopen(struct p9_server *s, int fd, int flags);

/**
 * p9_file__set_xattr - what clunk of a fid made by xattrcreate does
 */
int p9_file__set_xattr(struct p9_server *s, struct p9_fid *fid);

#endif
