// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of the 9p server on open files: open, create, read, write, list, synchronize, lock, and
 * extended attributes, whose values are read and written like files.
 */
#include "virtio/p9-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Flags of Tlopen and Tlcreate: numbers of their own, which only look like a host's. */
#define P9_ACCMODE   00000003
#define P9_EXCL	     00000200
#define P9_TRUNC     00001000
#define P9_APPEND    00002000
#define P9_DSYNC     00010000
#define P9_DIRECTORY 00200000
#define P9_SYNC	     04000000

#define P9_LOCK_RDLCK 0
#define P9_LOCK_WRLCK 1
#define P9_LOCK_UNLCK 2

#define P9_LOCK_SUCCESS 0
#define P9_LOCK_BLOCKED 1
#define P9_LOCK_ERROR	2

#define P9_DIRENT 24 /* qid[13] offset[8] type[1] and the length of a name */

/* --- open and create -------------------------------------------------------------------------- */

static int host_flags(uint32_t flags)
{
	int host = (int)(flags & P9_ACCMODE); /* O_RDONLY, O_WRONLY, O_RDWR: the same everywhere */

	if (flags & P9_TRUNC)
		host |= O_TRUNC;
	if (flags & P9_APPEND)
		host |= O_APPEND;
	if (flags & P9_DSYNC)
		host |= O_DSYNC;
	if (flags & P9_SYNC)
		host |= O_SYNC;
	if (flags & P9_DIRECTORY)
		host |= O_DIRECTORY;
	return host;
}

int p9_file__reopen(struct p9_server *s, int fd, int flags)
{
	int ret = p9__take_fd(s);

	if (ret)
		return ret;
	ret = open(p9__proc_path(fd).text, flags | O_CLOEXEC | O_NOCTTY);
	if (ret < 0) {
		ret = -errno;
		p9__close(s, -1);
	}
	return ret;
}

static bool changes(uint32_t flags)
{
	return (flags & P9_ACCMODE) != O_RDONLY || flags & P9_TRUNC;
}

/* Only files and directories: others block, do things, or are the client's own to open. */
static int check_open(const struct p9_server *s, mode_t mode, uint32_t flags)
{
	if ((flags & P9_ACCMODE) == P9_ACCMODE)
		return -EINVAL;
	if (S_ISDIR(mode) && changes(flags))
		return -EISDIR;
	if (S_ISLNK(mode))
		return -ELOOP;
	if (!S_ISDIR(mode) && !S_ISREG(mode))
		return -ENXIO;
	return changes(flags) && s->read_only ? -EROFS : 0;
}

static int open_node(struct p9_server *s, struct p9_node *node, uint32_t flags)
{
	struct statx stx;
	int ret = p9_attr__stat(s, node->fd, &stx);

	if (!ret)
		ret = check_open(s, stx.stx_mode, flags);
	if (ret)
		return ret;
	return p9_file__reopen(s, node->fd, host_flags(flags));
}

static void put_opened(struct p9_request *q, const struct p9_node *node, const struct statx *stx)
{
	struct p9_qid qid = p9__qid(stx, node->path);

	p9__put_qid(&q->w, &qid);
	p9__put32(&q->w, 0); /* iounit: as much as a message carries */
}

int p9_file__open(struct p9_request *q)
{
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	uint32_t flags = p9__get32(&q->r);
	struct statx stx;

	if (q->r.bad)
		return -EINVAL;
	if (ret)
		return ret;
	if (fid->fd >= 0 || fid->xattr)
		return -EINVAL;
	ret = open_node(q->s, fid->node, flags);
	if (ret < 0)
		return ret;
	fid->fd = ret;
	ret = p9_attr__stat(q->s, fid->fd, &stx);
	if (ret)
		return ret;
	put_opened(q, fid->node, &stx);
	return 0;
}

/* A file that is not there yet. It is nobody else's until it is what it shall be. */
static int make_file(struct p9_server *s, struct p9_fid *dir, const char *name, uint32_t flags,
		     const struct p9_owner *owner)
{
	int host = (host_flags(flags) & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int ret = p9__take_fd(s);
	int fd;

	if (ret)
		return ret;
	fd = openat(dir->node->fd, name, host, 0600);
	if (fd < 0) {
		ret = -errno;
		p9__close(s, -1);
		return ret;
	}
	ret = p9_attr__own(s, fd, owner);
	if (ret) {
		unlinkat(dir->node->fd, name, 0);
		p9__close(s, fd);
		return ret;
	}
	return fd;
}

/* Both an open descriptor and a node of an entry, made if need be. */
static int create(struct p9_server *s, struct p9_fid *dir, const char *name, uint32_t flags,
		  const struct p9_owner *owner, struct p9_node **node)
{
	int fd = make_file(s, dir, name, flags, owner);
	int path_fd, ret;

	if (fd == -EEXIST && !(flags & P9_EXCL)) {
		ret = p9_node__open(s, dir->node->fd, name, node);
		if (ret)
			return ret;
		fd = open_node(s, *node, flags);
		if (fd < 0)
			p9_node__put(s, *node);
		return fd;
	}
	if (fd < 0)
		return fd;

	path_fd = p9_file__reopen(s, fd, O_PATH);
	ret = path_fd < 0 ? path_fd : p9_node__adopt(s, path_fd, node);
	if (ret) {
		p9__close(s, fd);
		return ret;
	}
	return fd;
}

int p9_file__create(struct p9_request *q)
{
	struct p9_owner owner = { 0 };
	struct p9_fid *fid;
	char name[NAME_MAX + 1];
	struct p9_node *node;
	struct statx stx;
	uint32_t flags;
	int ret = p9__get_dir(q, &fid), bad_name, fd;

	bad_name = p9__get_name(&q->r, name);
	flags = p9__get32(&q->r);
	owner.mode = S_IFREG | (p9__get32(&q->r) & 07777);
	owner.gid = p9__get32(&q->r);
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_name)
		return ret ? ret : bad_name;
	if (fid->fd >= 0 || (flags & P9_ACCMODE) == P9_ACCMODE || flags & P9_DIRECTORY)
		return -EINVAL;

	owner.uid = fid->uid;
	fd = create(q->s, fid, name, flags, &owner, &node);
	if (fd < 0)
		return fd;
	ret = p9_attr__stat(q->s, fd, &stx);
	if (!ret)
		ret = p9_fid__move(q->s, fid, node, fid->node, name);
	if (ret) {
		p9_node__put(q->s, node);
		p9__close(q->s, fd);
		return ret;
	}
	fid->fd = fd;
	put_opened(q, node, &stx);
	p9_node__put(q->s, node);
	return 0;
}

/* --- read and write --------------------------------------------------------------------------- */

static int read_xattr(struct p9_request *q, const struct p9_xattr *xattr, uint64_t offset,
		      uint32_t count)
{
	size_t left = offset < xattr->size ? xattr->size - (size_t)offset : 0;

	if (xattr->name[0])
		return -EINVAL;
	if (count > left)
		count = (uint32_t)left;
	if (count)
		p9_iov__write(q->in, q->nr_in, P9_RREAD, xattr->data + offset, count);
	q->direct = count;
	p9__put32(&q->w, count);
	return 0;
}

static int read_file(struct p9_request *q, int fd, uint64_t offset, uint32_t count)
{
	int pieces = p9_iov__slice(q->in, q->nr_in, P9_RREAD, count, q->s->iov);
	ssize_t got;

	if (offset > INT64_MAX)
		return -EINVAL;
	do {
		got = preadv(fd, q->s->iov, pieces, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	q->direct = (uint32_t)got;
	p9__put32(&q->w, q->direct);
	return 0;
}

int p9_file__read(struct p9_request *q)
{
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	uint64_t offset = p9__get64(&q->r);
	uint32_t count = p9__get32(&q->r);

	if (q->r.bad)
		return -EINVAL;
	if (ret)
		return ret;
	if (count > q->room - P9_RREAD)
		count = q->room - P9_RREAD;
	if (fid->xattr)
		return read_xattr(q, fid->xattr, offset, count);
	if (fid->fd < 0)
		return -EBADF;
	return read_file(q, fid->fd, offset, count);
}

static int write_xattr(struct p9_request *q, struct p9_xattr *xattr, uint64_t offset,
		       uint32_t count)
{
	if (!xattr->name[0])
		return -EINVAL;
	if (offset != xattr->filled || count > xattr->size - xattr->filled)
		return -EINVAL;
	p9_iov__read(q->out, q->nr_out, P9_TWRITE, xattr->data + offset, count);
	xattr->filled += count;
	p9__put32(&q->w, count);
	return 0;
}

static int write_file(struct p9_request *q, int fd, uint64_t offset, uint32_t count)
{
	int pieces = p9_iov__slice(q->out, q->nr_out, P9_TWRITE, count, q->s->iov);
	ssize_t put;

	if (offset > INT64_MAX)
		return -EFBIG;
	do {
		put = pwritev(fd, q->s->iov, pieces, (off_t)offset);
	} while (put < 0 && errno == EINTR);
	if (put < 0)
		return -errno;
	p9__put32(&q->w, (uint32_t)put);
	return 0;
}

int p9_file__write(struct p9_request *q)
{
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	uint64_t offset = p9__get64(&q->r);
	uint32_t count = p9__get32(&q->r);

	if (q->r.bad || count > q->size - P9_TWRITE)
		return -EINVAL;
	if (ret)
		return ret;
	if (fid->xattr)
		return write_xattr(q, fid->xattr, offset, count);
	if (fid->fd < 0)
		return -EBADF;
	return write_file(q, fid->fd, offset, count);
}

int p9_file__fsync(struct p9_request *q)
{
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	uint32_t data_only = p9__get32(&q->r);

	if (q->r.bad)
		return -EINVAL;
	if (ret)
		return ret;
	if (fid->fd < 0)
		return -EBADF;
	return (data_only ? fdatasync(fid->fd) : fsync(fid->fd)) ? -errno : 0;
}

/* --- directories ------------------------------------------------------------------------------ */

struct host_dirent {
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type;
	char name[];
};

static int put_dirent(struct p9_request *q, const struct p9_fid *fid,
		      const struct host_dirent *entry)
{
	bool is_self = !strcmp(entry->name, ".");
	bool is_up = !strcmp(entry->name, "..");
	struct p9_qid qid = { .version = 1 };
	int ret = 0;

	/* What is above the root is none of the client's business. */
	if (is_self || (is_up && !fid->parent))
		qid.path = fid->node->path;
	else
		ret = p9__qid_path(q->s, fid->node->dev, entry->ino, &qid.path);
	if (ret)
		return ret;
	qid.type = entry->type == DT_DIR   ? P9_QT_DIR
		   : entry->type == DT_LNK ? P9_QT_SYMLINK
					   : P9_QT_FILE;
	p9__put_qid(&q->w, &qid);
	p9__put64(&q->w, (uint64_t)entry->next);
	/* A mapped file may be anything: the client has to ask. */
	p9__put8(&q->w, q->s->security == P9_SECURITY_MAPPED && entry->type == DT_REG
				? (uint8_t)DT_UNKNOWN
				: entry->type);
	p9__put_text(&q->w, entry->name, strlen(entry->name));
	return 0;
}

/* One getdents() worth. Return: 1 to go on, 0 at the end or when the reply is full. */
static int put_dirents(struct p9_request *q, const struct p9_fid *fid, size_t end)
{
	struct p9_server *s = q->s;
	long got = syscall(SYS_getdents64, fid->fd, s->bounce, sizeof(s->bounce));
	int ret;

	if (got < 0)
		return -errno;
	for (long at = 0; at < got;) {
		const struct host_dirent *entry = (const void *)(s->bounce + at);

		if (end - q->w.at < P9_DIRENT + strlen(entry->name))
			return q->w.at > P9_RREAD ? 0 : -EINVAL;
		ret = put_dirent(q, fid, entry);
		if (ret)
			return ret;
		at += entry->len;
	}
	return got > 0;
}

int p9_file__readdir(struct p9_request *q)
{
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	uint64_t offset = p9__get64(&q->r);
	uint32_t count = p9__get32(&q->r);
	struct p9_writer head;

	if (q->r.bad)
		return -EINVAL;
	if (ret)
		return ret;
	if (fid->xattr || fid->fd < 0)
		return -EBADF;
	if (fid->node->type != S_IFDIR)
		return -ENOTDIR;
	if (count > q->w.size - P9_RREAD)
		count = (uint32_t)(q->w.size - P9_RREAD);
	if (lseek(fid->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;

	head = q->w;
	p9__put32(&q->w, 0);
	do {
		ret = put_dirents(q, fid, P9_RREAD + (size_t)count);
	} while (ret > 0);
	if (ret < 0)
		return ret;
	p9__put32(&head, (uint32_t)(q->w.at - P9_RREAD));
	return 0;
}

/* --- locks ------------------------------------------------------------------------------------ */

/**
 * struct lock_request - Tlock and Tgetlock
 */
struct lock_request {
	struct p9_fid *fid;
	struct flock lock;
	uint32_t proc_id;
	char client[256];
};

static int get_lock(struct p9_request *q, struct lock_request *lr, bool has_flags)
{
	int ret = p9__get_fid(q, &lr->fid), bad_client;
	uint8_t type = p9__get8(&q->r);
	uint64_t start, len;

	if (has_flags)
		p9__get32(&q->r); /* to block is the client's part: it asks again */
	start = p9__get64(&q->r);
	len = p9__get64(&q->r);
	lr->proc_id = p9__get32(&q->r);
	bad_client = p9__get_text(&q->r, lr->client, sizeof(lr->client));
	if (q->r.bad || type > P9_LOCK_UNLCK || start > INT64_MAX || len > INT64_MAX)
		return -EINVAL;
	if (ret || bad_client)
		return ret ? ret : bad_client;
	lr->lock = (struct flock){
		.l_type = (short)(type == P9_LOCK_RDLCK	  ? F_RDLCK
				  : type == P9_LOCK_WRLCK ? F_WRLCK
							  : F_UNLCK),
		.l_whence = SEEK_SET,
		.l_start = (off_t)start,
		.l_len = (off_t)len,
	};
	return lr->fid->fd < 0 || lr->fid->node->type != S_IFREG ? -EBADF : 0;
}

/*
 * Locks belong to a descriptor of their own. A flock() of the guest may want to exclude others by a
 * file open for reading, which the host allows to writers only, so it is opened for both if it can
 * be.
 */
static int lock_fd(struct p9_server *s, struct p9_fid *fid)
{
	int fd = fid->lock_fd;

	if (fd >= 0)
		return fd;
	fd = p9_file__reopen(s, fid->node->fd, s->read_only ? O_RDONLY : O_RDWR);
	if (fd < 0)
		fd = p9_file__reopen(s, fid->node->fd, O_RDONLY);
	if (fd >= 0)
		fid->lock_fd = fd;
	return fd;
}

int p9_file__lock(struct p9_request *q)
{
	struct lock_request lr;
	int ret = get_lock(q, &lr, true), fd;

	if (ret)
		return ret;
	fd = lock_fd(q->s, lr.fid);
	if (fd < 0)
		return fd;
	if (!fcntl(fd, F_OFD_SETLK, &lr.lock))
		p9__put8(&q->w, P9_LOCK_SUCCESS);
	else
		p9__put8(&q->w,
			 errno == EAGAIN || errno == EACCES ? P9_LOCK_BLOCKED : P9_LOCK_ERROR);
	return 0;
}

int p9_file__getlock(struct p9_request *q)
{
	struct lock_request lr;
	int ret = get_lock(q, &lr, false), fd;

	if (ret)
		return ret;
	fd = lock_fd(q->s, lr.fid);
	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_GETLK, &lr.lock))
		return -errno;
	p9__put8(&q->w, lr.lock.l_type == F_RDLCK   ? P9_LOCK_RDLCK
			: lr.lock.l_type == F_WRLCK ? P9_LOCK_WRLCK
						    : P9_LOCK_UNLCK);
	p9__put64(&q->w, (uint64_t)lr.lock.l_start);
	p9__put64(&q->w, (uint64_t)lr.lock.l_len);
	p9__put32(&q->w, lr.lock.l_type == F_UNLCK || lr.lock.l_pid < 0 ? lr.proc_id
									: (uint32_t)lr.lock.l_pid);
	p9__put_text(&q->w, lr.client, strlen(lr.client));
	return 0;
}

/* --- extended attributes ---------------------------------------------------------------------- */

/* A value or, with an empty @name, the list of names, into s->bounce. */
static ssize_t fetch_xattr(struct p9_server *s, const struct p9_node *node, const char *name)
{
	struct p9_proc_path path = p9__proc_path(node->fd);
	ssize_t len;
	int ret;

	_Static_assert(P9_MAX_BOUNCE >= XATTR_SIZE_MAX && P9_MAX_BOUNCE >= XATTR_LIST_MAX,
		       "any attribute fits");
	if (!name[0]) {
		len = listxattr(path.text, (char *)s->bounce, sizeof(s->bounce));
		if (len < 0)
			return -errno;
		return (ssize_t)p9_attr__filter_list(s, (char *)s->bounce, (size_t)len);
	}
	ret = p9_attr__check_xattr(s, name);
	if (ret)
		return ret == -EPERM ? -ENODATA : ret;
	len = getxattr(path.text, name, s->bounce, sizeof(s->bounce));
	return len < 0 ? -errno : len;
}

static int keep_value(struct p9_server *s, struct p9_fid *fid, size_t len)
{
	fid->xattr = p9_fid__new_xattr(s, len);
	if (!fid->xattr)
		return -ENOSPC;
	memcpy(fid->xattr->data, s->bounce, len);
	return 0;
}

int p9_file__xattrwalk(struct p9_request *q)
{
	struct p9_server *s = q->s;
	char name[XATTR_NAME_MAX + 1];
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid), bad_name;
	uint32_t new_id = p9__get32(&q->r);
	ssize_t len;

	bad_name = p9__get_text(&q->r, name, sizeof(name));
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_name)
		return ret ? ret : bad_name;
	if (fid->xattr)
		return -EINVAL;
	len = fetch_xattr(s, fid->node, name);
	if (len < 0)
		return (int)len;

	ret = p9_fid__create(s, new_id, fid->uid, fid->node, NULL, NULL);
	if (ret)
		return ret;
	fid = p9_fid__find(s, new_id);
	ret = keep_value(s, fid, (size_t)len);
	if (ret) {
		p9_fid__destroy(s, fid);
		return ret;
	}
	p9__put64(&q->w, (uint64_t)len);
	return 0;
}

int p9_file__xattrcreate(struct p9_request *q)
{
	char name[XATTR_NAME_MAX + 1];
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid), bad_name;
	uint64_t size;
	uint32_t flags;

	bad_name = p9__get_text(&q->r, name, sizeof(name));
	size = p9__get64(&q->r);
	flags = p9__get32(&q->r);
	if (q->r.bad || flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (ret || bad_name)
		return ret ? ret : bad_name;
	if (fid->xattr || fid->fd >= 0 || !name[0])
		return -EINVAL;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	ret = p9_attr__check_xattr(q->s, name);
	if (ret)
		return ret;
	fid->xattr = p9_fid__new_xattr(q->s, (size_t)size);
	if (!fid->xattr)
		return -ENOSPC;
	memcpy(fid->xattr->name, name, sizeof(name));
	fid->xattr->flags = flags;
	return 0;
}

int p9_file__set_xattr(struct p9_server *s, struct p9_fid *fid)
{
	const struct p9_xattr *xattr = fid->xattr;
	struct p9_proc_path path = p9__proc_path(fid->node->fd);
	int ret;

	if (xattr->filled != xattr->size)
		return -EINVAL;
	/* The protocol knows no removal. Linux asks for the replacement by nothing. */
	if (!xattr->size && xattr->flags == XATTR_REPLACE)
		ret = removexattr(path.text, xattr->name);
	else
		ret = setxattr(path.text, xattr->name, xattr->data, xattr->size, (int)xattr->flags);
	return ret ? -errno : 0;
}
