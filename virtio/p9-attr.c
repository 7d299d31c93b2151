// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Security models of the 9p server: whose a file is to the guest, and whose on the host.
 *
 * Theory of operation: passthrough gives the guest's ids, modes and nodes to the host. Mapped keeps
 * them in attributes of the file (user.virtfs.uid, .gid, .mode and .rdev, little-endian, as other
 * virtual machine monitors have them, so that a directory can be taken from one to the other),
 * while on the host there are only directories and regular files with permissions for the owner:
 * a symlink is a file that contains its target, a device node is an empty file. Host files without
 * such attributes are shown as they are. None has files belong to whoever runs lkvm.
 *
 * Set-id bits and capabilities would give a guest power on the host, so only passthrough keeps
 * them there.
 */
#include "virtio/p9-internal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PREFIX	   "user.virtfs."
#define PERM	   07777u
#define HOST_DIR   0700
#define HOST_FILE  0600
#define NO_SET_IDS (S_ISUID | S_ISGID)

static bool is_mapped(const struct p9_server *s)
{
	return s->security == P9_SECURITY_MAPPED;
}

static bool get_attr32(const struct p9_proc_path *path, const char *name, uint32_t *value)
{
	uint32_t raw;

	if (getxattr(path->text, name, &raw, sizeof(raw)) != sizeof(raw))
		return false;
	*value = le32toh(raw);
	return true;
}

static int set_attr32(const struct p9_proc_path *path, const char *name, uint32_t value)
{
	value = htole32(value);
	return setxattr(path->text, name, &value, sizeof(value), 0) ? -errno : 0;
}

static void map_rdev(const struct p9_proc_path *path, struct statx *stx)
{
	uint64_t rdev;

	if (getxattr(path->text, PREFIX "rdev", &rdev, sizeof(rdev)) != sizeof(rdev))
		return;
	rdev = le64toh(rdev);
	stx->stx_rdev_major = major(rdev);
	stx->stx_rdev_minor = minor(rdev);
}

static bool is_file_type(mode_t type)
{
	return type == S_IFREG || type == S_IFLNK || type == S_IFCHR || type == S_IFBLK ||
	       type == S_IFIFO || type == S_IFSOCK;
}

static void map_stat(int fd, struct statx *stx)
{
	struct p9_proc_path path = p9__proc_path(fd);
	bool is_dir = S_ISDIR(stx->stx_mode);
	uint32_t mode;

	if (!is_dir && !S_ISREG(stx->stx_mode))
		return;
	get_attr32(&path, PREFIX "uid", &stx->stx_uid);
	get_attr32(&path, PREFIX "gid", &stx->stx_gid);
	if (!get_attr32(&path, PREFIX "mode", &mode))
		return;
	if (is_dir)
		stx->stx_mode = (uint16_t)(S_IFDIR | (mode & PERM));
	else if (is_file_type(mode & S_IFMT))
		stx->stx_mode = (uint16_t)(mode & (S_IFMT | PERM));
	if (S_ISCHR(stx->stx_mode) || S_ISBLK(stx->stx_mode))
		map_rdev(&path, stx);
}

int p9_attr__stat(const struct p9_server *s, int fd, struct statx *stx)
{
	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, stx))
		return -errno;
	if (is_mapped(s))
		map_stat(fd, stx);
	return 0;
}

bool p9_attr__is_stand_in(const struct p9_server *s, mode_t mode)
{
	return is_mapped(s) && !S_ISDIR(mode) && !S_ISREG(mode);
}

static int map_owner(int fd, const struct p9_owner *owner)
{
	struct p9_proc_path path = p9__proc_path(fd);
	uint64_t rdev = htole64(owner->rdev);
	int ret = 0;

	if (owner->uid != P9_NO_ID)
		ret = set_attr32(&path, PREFIX "uid", owner->uid);
	if (!ret && owner->gid != P9_NO_ID)
		ret = set_attr32(&path, PREFIX "gid", owner->gid);
	if (!ret)
		ret = set_attr32(&path, PREFIX "mode", owner->mode);
	if (!ret && (S_ISCHR(owner->mode) || S_ISBLK(owner->mode)) &&
	    setxattr(path.text, PREFIX "rdev", &rdev, sizeof(rdev), 0))
		ret = -errno;
	return ret;
}

static int change_mode(int fd, mode_t mode)
{
	return chmod(p9__proc_path(fd).text, mode & PERM) ? -errno : 0;
}

int p9_attr__own(const struct p9_server *s, int fd, const struct p9_owner *owner)
{
	if (is_mapped(s))
		return map_owner(fd, owner);
	if (s->security == P9_SECURITY_PASSTHROUGH &&
	    fchownat(fd, "", owner->uid, owner->gid, AT_EMPTY_PATH))
		return -errno;
	if (S_ISLNK(owner->mode))
		return 0;
	return p9_attr__chmod(s, fd, owner->mode);
}

int p9_attr__chmod(const struct p9_server *s, int fd, mode_t mode)
{
	struct p9_proc_path path = p9__proc_path(fd);
	struct statx stx;
	int ret;

	if (s->security == P9_SECURITY_PASSTHROUGH)
		return change_mode(fd, mode);
	ret = p9_attr__stat(s, fd, &stx);
	if (ret)
		return ret;
	if (is_mapped(s))
		return set_attr32(&path, PREFIX "mode", (stx.stx_mode & S_IFMT) | (mode & PERM));
	return change_mode(fd, S_ISDIR(stx.stx_mode) ? mode : mode & ~(mode_t)NO_SET_IDS);
}

int p9_attr__chown(const struct p9_server *s, int fd, uint32_t uid, uint32_t gid)
{
	struct p9_proc_path path = p9__proc_path(fd);
	int ret = 0;

	if (is_mapped(s)) {
		if (uid != P9_NO_ID)
			ret = set_attr32(&path, PREFIX "uid", uid);
		if (!ret && gid != P9_NO_ID)
			ret = set_attr32(&path, PREFIX "gid", gid);
		return ret;
	}
	if (s->security == P9_SECURITY_NONE)
		uid = gid = P9_NO_ID; /* this much always works, and notes the time of change */
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) ? -errno : 0;
}

static bool is_private(const char *name)
{
	return !strncmp(name, PREFIX, strlen(PREFIX));
}

int p9_attr__check_xattr(const struct p9_server *s, const char *name)
{
	if (is_private(name))
		return -EPERM;
	if (s->security != P9_SECURITY_PASSTHROUGH && strncmp(name, "user.", 5))
		return -EOPNOTSUPP;
	return 0;
}

size_t p9_attr__filter_list(const struct p9_server *s, char *list, size_t len)
{
	size_t to = 0;

	for (size_t at = 0; at < len;) {
		size_t part = strnlen(list + at, len - at) + 1;

		if (part > len - at)
			break;
		if (!p9_attr__check_xattr(s, list + at)) {
			memmove(list + to, list + at, part);
			to += part;
		}
		at += part;
	}
	return to;
}

struct p9_qid p9__qid(const struct statx *stx, uint64_t path)
{
	struct p9_qid qid = {
		.type = S_ISDIR(stx->stx_mode)	 ? P9_QT_DIR
			: S_ISLNK(stx->stx_mode) ? P9_QT_SYMLINK
						 : P9_QT_FILE,
		.path = path,
	};

	/* Another one whenever contents change; never 0, which means "do not cache". */
	qid.version = ((uint32_t)stx->stx_mtime.tv_sec << 10) ^ stx->stx_mtime.tv_nsec ^
		      (uint32_t)stx->stx_size;
	if (!qid.version)
		qid.version = 1;
	return qid;
}
