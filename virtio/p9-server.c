// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A 9P2000.L server: versions, fids, names and attributes (the protocol as Linux' client speaks it;
 * include/net/9p/9p.h there is its only complete list of messages).
 *
 * Theory of operation: a table says for each message what it needs of the reply, whether it changes
 * anything, and who does it. A request is parsed completely before anything is done, so one that is
 * cut short does nothing. Names are single components, "." and ".." are refused (Linux resolves
 * them by itself), and each step of a walk is one openat() below a directory that is held open: see
 * p9-node.c. Nothing ever follows a symlink on the host; the guest reads symlinks and does so
 * itself, in its own tree.
 *
 * Requests are carried out one after the other, so that Tflush finds nothing to flush.
 */
#include "virtio/p9-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kvm/log.h"
#include "kvm/sys.h"

#define VERSION "9P2000.L"
#define MAGIC	0x01021997u /* the type of file system that the guest has: V9FS_MAGIC */

#define DEFAULT_MAX_FIDS (1u << 18)
#define MIN_FDS		 64u
#define MAX_FDS		 (1u << 20)

#define MAX_TARGET 4096 /* of a symlink, with its terminator */

#define P9_DOTL_AT_REMOVEDIR 0x200u

#define GETATTR_BASIC 0x7ffull
#define GETATTR_BTIME 0x800ull

#define SETATTR_MODE	  0x001u
#define SETATTR_UID	  0x002u
#define SETATTR_GID	  0x004u
#define SETATTR_SIZE	  0x008u
#define SETATTR_ATIME	  0x010u
#define SETATTR_MTIME	  0x020u
#define SETATTR_CTIME	  0x040u
#define SETATTR_ATIME_SET 0x080u
#define SETATTR_MTIME_SET 0x100u

enum p9_type {
	P9_TLERROR = 6,
	P9_TSTATFS = 8,
	P9_TLOPEN = 12,
	P9_TLCREATE = 14,
	P9_TSYMLINK = 16,
	P9_TMKNOD = 18,
	P9_TRENAME = 20,
	P9_TREADLINK = 22,
	P9_TGETATTR = 24,
	P9_TSETATTR = 26,
	P9_TXATTRWALK = 30,
	P9_TXATTRCREATE = 32,
	P9_TREADDIR = 40,
	P9_TFSYNC = 50,
	P9_TLOCK = 52,
	P9_TGETLOCK = 54,
	P9_TLINK = 70,
	P9_TMKDIR = 72,
	P9_TRENAMEAT = 74,
	P9_TUNLINKAT = 76,
	P9_TVERSION = 100,
	P9_TATTACH = 104,
	P9_TFLUSH = 108,
	P9_TWALK = 110,
	P9_TREAD = 116,
	P9_TWRITE_TYPE = 118,
	P9_TCLUNK = 120,
	P9_TREMOVE = 122,
	P9_NR_TYPES = 128,
};

int p9__get_fid(struct p9_request *q, struct p9_fid **fid)
{
	*fid = p9_fid__find(q->s, p9__get32(&q->r));
	return *fid ? 0 : -EBADF;
}

int p9__get_dir(struct p9_request *q, struct p9_fid **fid)
{
	int ret = p9__get_fid(q, fid);

	if (ret)
		return ret;
	if ((*fid)->xattr)
		return -EBADF;
	return (*fid)->node->type == S_IFDIR ? 0 : -ENOTDIR;
}

/* --- sessions --------------------------------------------------------------------------------- */

static int do_version(struct p9_request *q)
{
	uint32_t msize = p9__get32(&q->r);
	char version[64];
	int ret = p9__get_text(&q->r, version, sizeof(version));

	if (q->r.bad)
		return -EINVAL;
	p9_server__reset(q->s);
	if (msize > q->s->max_msize)
		msize = q->s->max_msize;
	if (msize < P9_MIN_MSIZE)
		return -EMSGSIZE;
	if (ret || strcmp(version, VERSION)) {
		p9__put32(&q->w, msize);
		p9__put_text(&q->w, "unknown", strlen("unknown"));
		return 0;
	}
	q->s->msize = msize;
	p9__put32(&q->w, msize);
	p9__put_text(&q->w, VERSION, strlen(VERSION));
	return 0;
}

/* A directory below the shared one, by a path that the client chose. */
static int open_below(struct p9_server *s, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int ret = p9__take_fd(s);
	long fd;

	if (ret)
		return ret;
	while (*path == '/')
		path++;
	if (*path)
		fd = syscall(SYS_openat2, s->root_fd, path, &how, sizeof(how));
	else
		fd = fcntl(s->root_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		ret = -errno;
		p9__close(s, -1);
		return ret;
	}
	return (int)fd;
}

static int do_attach(struct p9_request *q)
{
	uint32_t id = p9__get32(&q->r), uid;
	char user[NAME_MAX + 1], path[PATH_MAX];
	struct p9_node *node;
	struct p9_qid qid;
	struct statx stx = { 0 };
	int ret, bad_user, bad_path, fd;

	p9__get32(&q->r); /* afid: nobody has to prove who he is */
	bad_user = p9__get_text(&q->r, user, sizeof(user));
	bad_path = p9__get_text(&q->r, path, sizeof(path));
	uid = p9__get32(&q->r);
	if (q->r.bad)
		return -EINVAL;
	if (bad_user || bad_path)
		return bad_user ? bad_user : bad_path;

	fd = open_below(q->s, path);
	if (fd < 0)
		return fd;
	ret = p9_node__adopt(q->s, fd, &node);
	if (ret)
		return ret;
	ret = p9_attr__stat(q->s, node->fd, &stx);
	if (!ret)
		ret = p9_fid__create(q->s, id, uid, node, NULL, NULL);
	qid = p9__qid(&stx, node->path);
	p9_node__put(q->s, node);
	if (!ret)
		p9__put_qid(&q->w, &qid);
	return ret;
}

static int do_flush(struct p9_request *q)
{
	p9__get16(&q->r);
	return q->r.bad ? -EINVAL : 0;
}

static int do_clunk(struct p9_request *q)
{
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);

	if (q->r.bad)
		return -EINVAL;
	if (ret)
		return ret;
	if (fid->xattr && fid->xattr->name[0])
		ret = p9_file__set_xattr(q->s, fid);
	p9_fid__destroy(q->s, fid);
	return ret;
}

/* --- walks ------------------------------------------------------------------------------------ */

/**
 * struct walk - names to go, and how far it went
 */
struct walk {
	uint16_t nr, done;
	char name[P9_MAX_WALK][NAME_MAX + 1];
	struct p9_qid qid[P9_MAX_WALK];
	struct p9_node *node, *parent;
};

static int get_walk(struct p9_request *q, struct walk *walk)
{
	int first = 0;

	walk->nr = p9__get16(&q->r);
	walk->done = 0;
	if (walk->nr > P9_MAX_WALK)
		return -EINVAL;
	for (unsigned int i = 0; i < walk->nr; i++) {
		int ret = p9__get_name(&q->r, walk->name[i]);

		if (!first)
			first = ret;
	}
	return q->r.bad ? -EINVAL : first;
}

static int step(struct p9_server *s, struct walk *walk)
{
	struct p9_node *next;
	struct statx stx;
	int ret;

	if (walk->node->type != S_IFDIR)
		return -ENOTDIR;
	ret = p9_node__open(s, walk->node->fd, walk->name[walk->done], &next);
	if (ret)
		return ret;
	ret = p9_attr__stat(s, next->fd, &stx);
	if (ret) {
		p9_node__put(s, next);
		return ret;
	}
	walk->qid[walk->done++] = p9__qid(&stx, next->path);
	p9_node__put(s, walk->parent);
	walk->parent = walk->node;
	walk->node = next;
	return 0;
}

/* All steps were made: @new_id shall stand for where they led. */
static int arrive(struct p9_server *s, struct p9_fid *fid, uint32_t new_id, struct walk *walk)
{
	const char *name = walk->nr ? walk->name[walk->nr - 1] : fid->name;

	if (!walk->nr)
		walk->parent = p9_node__get(fid->parent);
	if (new_id == fid->id)
		return walk->nr ? p9_fid__move(s, fid, walk->node, walk->parent, name) : 0;
	return p9_fid__create(s, new_id, fid->uid, walk->node, walk->parent, name);
}

static int do_walk(struct p9_request *q)
{
	struct walk walk;
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid), bad_name;
	uint32_t new_id = p9__get32(&q->r);

	bad_name = get_walk(q, &walk);
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_name)
		return ret ? ret : bad_name;
	/* Linux makes room for as many names as it sends, and before anything is done it is seen to. */
	if (q->room < 7u + 2u + (uint32_t)walk.nr * P9_QID)
		return -EMSGSIZE;
	if (fid->xattr || (new_id == fid->id && fid->fd >= 0))
		return -EINVAL;
	if (new_id != fid->id && (new_id == P9_NOFID || p9_fid__find(q->s, new_id)))
		return -EINVAL;

	walk.node = p9_node__get(fid->node);
	walk.parent = NULL;
	while (!ret && walk.done < walk.nr)
		ret = step(q->s, &walk);
	if (!ret)
		ret = arrive(q->s, fid, new_id, &walk);
	else if (walk.done)
		ret = 0; /* the client is told how far it went */
	p9_node__put(q->s, walk.node);
	p9_node__put(q->s, walk.parent);
	if (ret)
		return ret;

	p9__put16(&q->w, walk.done);
	for (unsigned int i = 0; i < walk.done; i++)
		p9__put_qid(&q->w, &walk.qid[i]);
	return 0;
}

/* --- attributes ------------------------------------------------------------------------------- */

static void put_time(struct p9_writer *w, const struct statx_timestamp *time)
{
	p9__put64(w, (uint64_t)time->tv_sec);
	p9__put64(w, time->tv_nsec);
}

static int do_getattr(struct p9_request *q)
{
	static const struct statx_timestamp never;
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	uint64_t wanted = p9__get64(&q->r), valid = GETATTR_BASIC;
	struct p9_writer *w = &q->w;
	struct p9_qid qid;
	struct statx stx;

	if (q->r.bad)
		return -EINVAL;
	if (!ret)
		ret = p9_attr__stat(q->s, fid->node->fd, &stx);
	if (ret)
		return ret;
	if (stx.stx_mask & STATX_BTIME)
		valid |= wanted & GETATTR_BTIME;
	qid = p9__qid(&stx, fid->node->path);
	p9__put64(w, valid);
	p9__put_qid(w, &qid);
	p9__put32(w, stx.stx_mode);
	p9__put32(w, stx.stx_uid);
	p9__put32(w, stx.stx_gid);
	p9__put64(w, stx.stx_nlink);
	p9__put64(w, makedev(stx.stx_rdev_major, stx.stx_rdev_minor));
	p9__put64(w, stx.stx_size);
	p9__put64(w, stx.stx_blksize);
	p9__put64(w, stx.stx_blocks);
	put_time(w, &stx.stx_atime);
	put_time(w, &stx.stx_mtime);
	put_time(w, &stx.stx_ctime);
	put_time(w, valid & GETATTR_BTIME ? &stx.stx_btime : &never);
	p9__put64(w, 0); /* gen */
	p9__put64(w, 0); /* data_version */
	return 0;
}

/**
 * struct setattr - Tsetattr
 */
struct setattr {
	uint32_t valid, mode, uid, gid;
	uint64_t size;
	uint64_t atime[2], mtime[2];
};

static int set_size(struct p9_server *s, struct p9_fid *fid, uint64_t size)
{
	struct statx stx;
	int ret, fd;

	if (size > INT64_MAX)
		return -EFBIG;
	ret = p9_attr__stat(s, fid->node->fd, &stx);
	if (ret)
		return ret;
	if (!S_ISREG(stx.stx_mode))
		return S_ISDIR(stx.stx_mode) ? -EISDIR : -EINVAL;
	/* A file may be open for writing and not be writable any more. */
	if (fid->fd >= 0 && !ftruncate(fid->fd, (off_t)size))
		return 0;
	fd = p9_file__reopen(s, fid->node->fd, O_WRONLY);
	if (fd < 0)
		return fd;
	ret = ftruncate(fd, (off_t)size) ? -errno : 0;
	p9__close(s, fd);
	return ret;
}

static int get_time(const struct setattr *set, uint32_t bit, uint32_t set_bit,
		    const uint64_t time[2], struct timespec *ts)
{
	*ts = (struct timespec){ .tv_nsec = UTIME_OMIT };
	if (!(set->valid & bit))
		return 0;
	if (!(set->valid & set_bit)) {
		ts->tv_nsec = UTIME_NOW;
		return 0;
	}
	if (time[1] >= 1000000000)
		return -EINVAL;
	ts->tv_sec = (time_t)time[0];
	ts->tv_nsec = (long)time[1];
	return 0;
}

static int set_times(const struct p9_fid *fid, const struct setattr *set)
{
	struct timespec times[2];
	int ret = get_time(set, SETATTR_ATIME, SETATTR_ATIME_SET, set->atime, &times[0]);

	if (!ret)
		ret = get_time(set, SETATTR_MTIME, SETATTR_MTIME_SET, set->mtime, &times[1]);
	if (ret)
		return ret;
	return utimensat(AT_FDCWD, p9__proc_path(fid->node->fd).text, times, 0) ? -errno : 0;
}

/* In this order: a change of size or owner has effects on mode and times. */
static int set_attributes(struct p9_server *s, struct p9_fid *fid, const struct setattr *set)
{
	uint32_t uid = set->valid & SETATTR_UID ? set->uid : P9_NO_ID;
	uint32_t gid = set->valid & SETATTR_GID ? set->gid : P9_NO_ID;
	int ret = 0;

	if (set->valid & SETATTR_SIZE)
		ret = set_size(s, fid, set->size);
	if (!ret && set->valid & (SETATTR_UID | SETATTR_GID | SETATTR_CTIME))
		ret = p9_attr__chown(s, fid->node->fd, uid, gid);
	if (!ret && set->valid & SETATTR_MODE)
		ret = p9_attr__chmod(s, fid->node->fd, set->mode);
	if (!ret && set->valid & (SETATTR_ATIME | SETATTR_MTIME))
		ret = set_times(fid, set);
	return ret;
}

static int do_setattr(struct p9_request *q)
{
	struct p9_reader *r = &q->r;
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	struct setattr set;

	set.valid = p9__get32(r);
	set.mode = p9__get32(r);
	set.uid = p9__get32(r);
	set.gid = p9__get32(r);
	set.size = p9__get64(r);
	set.atime[0] = p9__get64(r);
	set.atime[1] = p9__get64(r);
	set.mtime[0] = p9__get64(r);
	set.mtime[1] = p9__get64(r);
	if (r->bad)
		return -EINVAL;
	return ret ? ret : set_attributes(q->s, fid, &set);
}

static int do_statfs(struct p9_request *q)
{
	struct p9_writer *w = &q->w;
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	struct statfs fs;
	uint64_t fsid;

	if (q->r.bad)
		return -EINVAL;
	if (ret)
		return ret;
	if (fstatfs(fid->node->fd, &fs))
		return -errno;
	_Static_assert(sizeof(fsid) == sizeof(fs.f_fsid), "f_fsid has 64 bits");
	memcpy(&fsid, &fs.f_fsid, sizeof(fsid));
	p9__put32(w, MAGIC);
	p9__put32(w, (uint32_t)fs.f_bsize);
	p9__put64(w, fs.f_blocks);
	p9__put64(w, fs.f_bfree);
	p9__put64(w, fs.f_bavail);
	p9__put64(w, fs.f_files);
	p9__put64(w, fs.f_ffree);
	p9__put64(w, fsid);
	p9__put32(w, (uint32_t)fs.f_namelen);
	return 0;
}

/* --- names ------------------------------------------------------------------------------------ */

/* Give a new entry to its owner, and its qid to the client; take it back if that fails. */
static int finish_entry(struct p9_request *q, const struct p9_fid *dir, const char *name,
			const struct p9_owner *owner)
{
	struct p9_node *node;
	struct p9_qid qid;
	struct statx stx = { 0 };
	int ret = p9_node__open(q->s, dir->node->fd, name, &node);

	if (!ret) {
		ret = p9_attr__own(q->s, node->fd, owner);
		if (!ret)
			ret = p9_attr__stat(q->s, node->fd, &stx);
		qid = p9__qid(&stx, node->path);
		p9_node__put(q->s, node);
	}
	if (ret) {
		unlinkat(dir->node->fd, name, S_ISDIR(owner->mode) ? AT_REMOVEDIR : 0);
		return ret;
	}
	p9__put_qid(&q->w, &qid);
	return 0;
}

/* A regular file that stands for something else; @content is that of a symlink. */
static int make_stand_in(const struct p9_fid *dir, const char *name, const char *content)
{
	size_t len = strlen(content);
	int fd = openat(dir->node->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	ssize_t put;
	int ret = 0;

	if (fd < 0)
		return -errno;
	put = write(fd, content, len);
	if (put < 0 || (size_t)put != len) {
		ret = put < 0 ? -errno : -ENOSPC;
		unlinkat(dir->node->fd, name, 0);
	}
	close(fd);
	return ret;
}

static int do_mkdir(struct p9_request *q)
{
	struct p9_fid *dir;
	struct p9_owner owner = { 0 };
	char name[NAME_MAX + 1];
	int ret = p9__get_dir(q, &dir), bad_name;

	bad_name = p9__get_name(&q->r, name);
	owner.mode = S_IFDIR | (p9__get32(&q->r) & 07777);
	owner.gid = p9__get32(&q->r);
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_name)
		return ret ? ret : bad_name;
	owner.uid = dir->uid;
	if (mkdirat(dir->node->fd, name, 0700))
		return -errno;
	return finish_entry(q, dir, name, &owner);
}

static int make_node(struct p9_server *s, const struct p9_fid *dir, const char *name,
		     const struct p9_owner *owner)
{
	mode_t type = owner->mode & S_IFMT;

	if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO &&
	    type != S_IFSOCK)
		return -EINVAL;
	if (s->security == P9_SECURITY_MAPPED)
		return make_stand_in(dir, name, "");
	if (s->security == P9_SECURITY_NONE && (type == S_IFCHR || type == S_IFBLK))
		return -EPERM;
	return mknodat(dir->node->fd, name, type | 0600, owner->rdev) ? -errno : 0;
}

static int do_mknod(struct p9_request *q)
{
	struct p9_fid *dir;
	struct p9_owner owner = { 0 };
	char name[NAME_MAX + 1];
	int ret = p9__get_dir(q, &dir), bad_name;
	uint32_t major_nr, minor_nr;

	bad_name = p9__get_name(&q->r, name);
	owner.mode = p9__get32(&q->r) & (S_IFMT | 07777);
	major_nr = p9__get32(&q->r);
	minor_nr = p9__get32(&q->r);
	owner.gid = p9__get32(&q->r);
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_name)
		return ret ? ret : bad_name;
	if (major_nr > 0xfff || minor_nr > 0xfffff)
		return -EINVAL;
	owner.uid = dir->uid;
	owner.rdev = (uint32_t)makedev(major_nr, minor_nr);
	if (!(owner.mode & S_IFMT))
		owner.mode |= S_IFREG;
	ret = make_node(q->s, dir, name, &owner);
	return ret ? ret : finish_entry(q, dir, name, &owner);
}

static int do_symlink(struct p9_request *q)
{
	struct p9_fid *dir;
	struct p9_owner owner = { .mode = S_IFLNK | 0777 };
	char name[NAME_MAX + 1], target[MAX_TARGET];
	int ret = p9__get_dir(q, &dir), bad_name, bad_target;

	bad_name = p9__get_name(&q->r, name);
	bad_target = p9__get_text(&q->r, target, sizeof(target));
	owner.gid = p9__get32(&q->r);
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_name || bad_target)
		return ret ? ret : bad_name ? bad_name : bad_target;
	if (!target[0])
		return -ENOENT;
	owner.uid = dir->uid;
	if (q->s->security == P9_SECURITY_MAPPED)
		ret = make_stand_in(dir, name, target);
	else
		ret = symlinkat(target, dir->node->fd, name) ? -errno : 0;
	return ret ? ret : finish_entry(q, dir, name, &owner);
}

static ssize_t read_stand_in(struct p9_server *s, const struct p9_node *node, char *target,
			     size_t size)
{
	int fd = p9_file__reopen(s, node->fd, O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return fd;
	len = pread(fd, target, size, 0);
	if (len < 0)
		len = -errno;
	p9__close(s, fd);
	return len;
}

static int do_readlink(struct p9_request *q)
{
	char target[MAX_TARGET];
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);
	struct statx stx;
	ssize_t len;

	if (q->r.bad)
		return -EINVAL;
	if (!ret)
		ret = p9_attr__stat(q->s, fid->node->fd, &stx);
	if (ret)
		return ret;
	if (!S_ISLNK(stx.stx_mode))
		return -EINVAL;
	if (fid->node->type == S_IFLNK) {
		len = readlinkat(fid->node->fd, "", target, sizeof(target));
		if (len < 0)
			len = -errno;
	} else {
		len = read_stand_in(q->s, fid->node, target, sizeof(target));
	}
	if (len < 0)
		return (int)len;
	p9__put_text(&q->w, target, (size_t)len);
	return 0;
}

static int do_link(struct p9_request *q)
{
	char name[NAME_MAX + 1];
	struct p9_fid *dir, *fid;
	int ret = p9__get_dir(q, &dir), bad_fid = p9__get_fid(q, &fid), bad_name;

	bad_name = p9__get_name(&q->r, name);
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_fid || bad_name)
		return ret ? ret : bad_fid ? bad_fid : bad_name;
	/* The "symlink" followed here is that of /proc, and leads to the inode. */
	return linkat(AT_FDCWD, p9__proc_path(fid->node->fd).text, dir->node->fd, name,
		      AT_SYMLINK_FOLLOW)
		       ? -errno
		       : 0;
}

static int rename_entry(struct p9_server *s, struct p9_node *old_dir, const char *old_name,
			struct p9_node *new_dir, const char *new_name)
{
	if (renameat(old_dir->fd, old_name, new_dir->fd, new_name))
		return -errno;
	p9_fid__renamed(s, old_dir, old_name, new_dir, new_name);
	return 0;
}

static int do_rename(struct p9_request *q)
{
	char name[NAME_MAX + 1], old_name[NAME_MAX + 1];
	struct p9_node *old_dir;
	struct p9_fid *fid, *dir;
	int ret = p9__get_fid(q, &fid), bad_dir = p9__get_dir(q, &dir), bad_name;

	bad_name = p9__get_name(&q->r, name);
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_dir || bad_name)
		return ret ? ret : bad_dir ? bad_dir : bad_name;
	if (!fid->parent)
		return -EBUSY;
	if (!p9_node__is(fid->node, fid->parent->fd, fid->name))
		return -ESTALE;
	/* The fid's own are about to change. */
	old_dir = p9_node__get(fid->parent);
	snprintf(old_name, sizeof(old_name), "%s", fid->name);
	ret = rename_entry(q->s, old_dir, old_name, dir->node, name);
	p9_node__put(q->s, old_dir);
	return ret;
}

static int do_renameat(struct p9_request *q)
{
	char old_name[NAME_MAX + 1], new_name[NAME_MAX + 1];
	struct p9_fid *old_dir, *new_dir;
	int ret = p9__get_dir(q, &old_dir), bad_dir, bad_old, bad_new;

	bad_old = p9__get_name(&q->r, old_name);
	bad_dir = p9__get_dir(q, &new_dir);
	bad_new = p9__get_name(&q->r, new_name);
	if (q->r.bad)
		return -EINVAL;
	if (ret || bad_dir)
		return ret ? ret : bad_dir;
	if (bad_old || bad_new)
		return bad_old ? bad_old : bad_new;
	return rename_entry(q->s, old_dir->node, old_name, new_dir->node, new_name);
}

static int do_unlinkat(struct p9_request *q)
{
	char name[NAME_MAX + 1];
	struct p9_fid *dir;
	int ret = p9__get_dir(q, &dir), bad_name;
	uint32_t flags;

	bad_name = p9__get_name(&q->r, name);
	flags = p9__get32(&q->r);
	if (q->r.bad || flags & ~P9_DOTL_AT_REMOVEDIR)
		return -EINVAL;
	if (ret || bad_name)
		return ret ? ret : bad_name;
	return unlinkat(dir->node->fd, name, flags ? AT_REMOVEDIR : 0) ? -errno : 0;
}

static int remove_fid(struct p9_server *s, const struct p9_fid *fid)
{
	if (s->read_only)
		return -EROFS;
	if (!fid->parent)
		return -EBUSY;
	if (!p9_node__is(fid->node, fid->parent->fd, fid->name))
		return -ESTALE;
	return unlinkat(fid->parent->fd, fid->name, fid->node->type == S_IFDIR ? AT_REMOVEDIR : 0)
		       ? -errno
		       : 0;
}

/* It is a clunk, too, and that part never fails. */
static int do_remove(struct p9_request *q)
{
	struct p9_fid *fid;
	int ret = p9__get_fid(q, &fid);

	if (q->r.bad)
		return -EINVAL;
	if (ret)
		return ret;
	ret = remove_fid(q->s, fid);
	p9_fid__destroy(q->s, fid);
	return ret;
}

/* --- dispatch --------------------------------------------------------------------------------- */

/**
 * struct p9_message - a kind of request
 * @fn:      carries it out: 0 or negative errno
 * @reply:   bytes that its reply may have, but for data and texts
 * @changes: not to be done on a read-only share
 * @first:   may come before a version was negotiated
 */
struct p9_message {
	int (*fn)(struct p9_request *q);
	uint32_t reply;
	bool changes;
	bool first;
};

static const struct p9_message messages[P9_NR_TYPES] = {
	[P9_TSTATFS] = { .fn = do_statfs, .reply = 7 + 60 },
	[P9_TLOPEN] = { .fn = p9_file__open, .reply = 7 + P9_QID + 4 },
	[P9_TLCREATE] = { .fn = p9_file__create, .reply = 7 + P9_QID + 4, .changes = true },
	[P9_TSYMLINK] = { .fn = do_symlink, .reply = 7 + P9_QID, .changes = true },
	[P9_TMKNOD] = { .fn = do_mknod, .reply = 7 + P9_QID, .changes = true },
	[P9_TRENAME] = { .fn = do_rename, .reply = 7, .changes = true },
	[P9_TREADLINK] = { .fn = do_readlink, .reply = 7 + 2 },
	[P9_TGETATTR] = { .fn = do_getattr, .reply = 7 + 153 },
	[P9_TSETATTR] = { .fn = do_setattr, .reply = 7, .changes = true },
	[P9_TXATTRWALK] = { .fn = p9_file__xattrwalk, .reply = 7 + 8 },
	[P9_TXATTRCREATE] = { .fn = p9_file__xattrcreate, .reply = 7, .changes = true },
	[P9_TREADDIR] = { .fn = p9_file__readdir, .reply = P9_RREAD },
	[P9_TFSYNC] = { .fn = p9_file__fsync, .reply = 7 },
	[P9_TLOCK] = { .fn = p9_file__lock, .reply = 7 + 1 },
	[P9_TGETLOCK] = { .fn = p9_file__getlock, .reply = 7 + 23 },
	[P9_TLINK] = { .fn = do_link, .reply = 7, .changes = true },
	[P9_TMKDIR] = { .fn = do_mkdir, .reply = 7 + P9_QID, .changes = true },
	[P9_TRENAMEAT] = { .fn = do_renameat, .reply = 7, .changes = true },
	[P9_TUNLINKAT] = { .fn = do_unlinkat, .reply = 7, .changes = true },
	[P9_TVERSION] = { .fn = do_version, .reply = 7 + 4 + 2 + 8, .first = true },
	[P9_TATTACH] = { .fn = do_attach, .reply = 7 + P9_QID },
	[P9_TFLUSH] = { .fn = do_flush, .reply = 7, .first = true },
	[P9_TWALK] = { .fn = do_walk, .reply = 7 + 2 },
	[P9_TREAD] = { .fn = p9_file__read, .reply = P9_RREAD },
	[P9_TWRITE_TYPE] = { .fn = p9_file__write, .reply = P9_RREAD, .changes = true },
	[P9_TCLUNK] = { .fn = do_clunk, .reply = 7 },
	[P9_TREMOVE] = { .fn = do_remove, .reply = 7 },
};

static int dispatch(struct p9_request *q, uint8_t type)
{
	const struct p9_message *message;

	/* Linux' client does without what it is told not to be there. */
	if (type >= P9_NR_TYPES || !messages[type].fn)
		return -EOPNOTSUPP;
	message = &messages[type];
	if (!q->s->msize && !message->first)
		return -EPROTO;
	if (q->room < message->reply)
		return -EMSGSIZE;
	if (q->s->read_only && message->changes)
		return -EROFS;
	return message->fn(q);
}

/* The body, but for data on its way to a file. */
static void load_body(struct p9_request *q, uint8_t type)
{
	size_t len = q->size - P9_HEADER;
	size_t max = type == P9_TWRITE_TYPE ? P9_TWRITE - P9_HEADER : sizeof(q->s->body);

	if (len > max)
		len = max;
	q->r = (struct p9_reader){ .data = q->s->body, .len = len };
	p9_iov__read(q->out, q->nr_out, P9_HEADER, q->s->body, len);
}

static void begin_reply(struct p9_request *q)
{
	q->w = (struct p9_writer){ .data = q->s->reply, .size = q->room, .at = P9_HEADER };
	if (q->w.size > sizeof(q->s->reply))
		q->w.size = sizeof(q->s->reply);
	q->direct = 0;
}

static int finish_reply(struct p9_request *q, uint8_t type, uint16_t tag, int error)
{
	uint32_t size;

	if (!error && q->w.full)
		error = -EMSGSIZE;
	if (error) {
		begin_reply(q);
		type = P9_TLERROR;
		p9__put32(&q->w, (uint32_t)-error);
	}
	size = (uint32_t)q->w.at + q->direct;
	q->w.at = 0;
	p9__put32(&q->w, size);
	p9__put8(&q->w, (uint8_t)(type + 1));
	p9__put16(&q->w, tag);
	p9_iov__write(q->in, q->nr_in, 0, q->s->reply, size - q->direct);
	return (int)size;
}

int p9_server__handle(struct p9_server *s, const struct iovec *out, unsigned int nr_out,
		      const struct iovec *in, unsigned int nr_in)
{
	struct p9_request q = { .s = s, .out = out, .nr_out = nr_out, .in = in, .nr_in = nr_in };
	uint32_t limit = s->msize ? s->msize : s->max_msize;
	uint64_t out_len = p9_iov__len(out, nr_out), room = p9_iov__len(in, nr_in);
	uint8_t header[P9_HEADER];
	struct p9_reader r = { .data = header, .len = sizeof(header) };
	uint16_t tag;
	uint8_t type;
	int ret;

	if (p9_iov__read(out, nr_out, 0, header, sizeof(header)) < sizeof(header))
		return -EINVAL;
	if (room < P9_RLERROR)
		return -ENOSPC;
	q.room = room < limit ? (uint32_t)room : limit;
	q.size = p9__get32(&r);
	type = p9__get8(&r);
	tag = p9__get16(&r);

	begin_reply(&q);
	if (q.size < P9_HEADER || q.size > out_len || q.size > limit) {
		ret = -EMSGSIZE;
	} else {
		load_body(&q, type);
		ret = dispatch(&q, type);
	}
	return finish_reply(&q, type, tag, ret);
}

/* --- life ------------------------------------------------------------------------------------- */

/* A guest that looks at many files has many open here: let there be as many as the host allows. */
static unsigned int default_max_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return MIN_FDS;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur / 4 * 3 > MAX_FDS)
		return MAX_FDS;
	if (limit.rlim_cur / 4 * 3 < MIN_FDS)
		return MIN_FDS;
	return (unsigned int)(limit.rlim_cur / 4 * 3);
}

static int open_root(struct p9_server *s, const char *dir)
{
	struct p9_proc_path self;
	struct stat there, here;
	int ret;

	s->root_fd = sys__open(dir, O_PATH | O_DIRECTORY);
	if (s->root_fd < 0) {
		ret = s->root_fd;
		pr_fatal("9p: cannot share %s: %s", dir, strerror(-ret));
		return ret;
	}
	self = p9__proc_path(s->root_fd);
	if (stat(self.text, &there) || fstat(s->root_fd, &here) || there.st_ino != here.st_ino) {
		pr_fatal("9p: cannot share %s: files cannot be opened by %s; mount /proc", dir,
			 self.text);
		return -ENOENT;
	}
	return 0;
}

static int check_mapped(const struct p9_server *s, const char *dir)
{
	char value;

	if (s->security != P9_SECURITY_MAPPED ||
	    getxattr(p9__proc_path(s->root_fd).text, "user.virtfs.uid", &value, 0) >= 0 ||
	    errno != EOPNOTSUPP)
		return 0;
	pr_fatal("9p: cannot share %s with security=mapped: its file system has no user "
		 "attributes; use security=none",
		 dir);
	return -EOPNOTSUPP;
}

int p9_server__create(const struct p9_config *cfg, struct p9_server **server)
{
	struct p9_server *s;
	int ret;

	if (cfg->msize && (cfg->msize < P9_MIN_MSIZE || cfg->msize > P9_MAX_MSIZE)) {
		pr_fatal("9p: msize=%u is not between %u and %u", cfg->msize, P9_MIN_MSIZE,
			 P9_MAX_MSIZE);
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->read_only = cfg->read_only;
	s->security = cfg->security;
	if (s->security == P9_SECURITY_AUTO)
		s->security = geteuid() ? P9_SECURITY_NONE : P9_SECURITY_PASSTHROUGH;
	s->max_msize = cfg->msize ? cfg->msize : P9_DEFAULT_MSIZE;
	s->max_fids = cfg->max_fids ? cfg->max_fids : DEFAULT_MAX_FIDS;
	s->max_fds = cfg->max_fds ? cfg->max_fds : default_max_fds();

	ret = open_root(s, cfg->dir);
	if (!ret)
		ret = check_mapped(s, cfg->dir);
	if (ret) {
		p9_server__destroy(s);
		return ret;
	}
	*server = s;
	return 0;
}

void p9_server__reset(struct p9_server *s)
{
	p9_fid__destroy_all(s);
	s->msize = 0;
}

void p9_server__destroy(struct p9_server *s)
{
	if (!s)
		return;
	p9_server__reset(s);
	sys__close(s->root_fd);
	free(s->dev);
	free(s->wide.slot);
	free(s->wide.hash);
	free(s);
}

unsigned int p9_server__nr_fids(const struct p9_server *s)
{
	return s->nr_fids;
}

unsigned int p9_server__nr_fds(const struct p9_server *s)
{
	return s->nr_fds;
}
