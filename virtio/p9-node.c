// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects of the host as the 9p server knows them, and the numbers by which the client does.
 *
 * Theory of operation: each object that a fid stands for is held by an O_PATH descriptor, got by one
 * openat() of one component with O_NOFOLLOW below the directory it was found in. So no path is ever
 * looked up again: nobody can put a symlink in its place, a rename changes nothing, and a file
 * without a name is as good as any. Where a system call wants more than O_PATH gives, it is done by
 * /proc/self/fd/N, which leads to that inode and nowhere else.
 *
 * A qid's path has to be unique: 16 bits of it count the devices that were seen, 48 bits are the
 * inode number. Inode numbers that are longer (overlayfs makes some), or devices beyond the 65535th,
 * are given numbers of their own as they turn up.
 */
#include "virtio/p9-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define INO_BITS    48
#define WIDE_DEVICE 0xffffull
#define MAX_WIDE    (1u << 20)
#define DEV_STEP    16

struct p9_proc_path p9__proc_path(int fd)
{
	struct p9_proc_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

int p9__take_fd(struct p9_server *s)
{
	if (s->nr_fds >= s->max_fds)
		return -EMFILE;
	s->nr_fds++;
	return 0;
}

void p9__close(struct p9_server *s, int fd)
{
	if (fd >= 0)
		close(fd);
	s->nr_fds--;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ (b << 32 | b >> 32)) * 0x9e3779b97f4a7c15ull;
	a ^= a >> 29;
	a *= 0xbf58476d1ce4e5b9ull;
	return a ^ a >> 32;
}

/* --- qid paths -------------------------------------------------------------------------------- */

static uint32_t *find_wide(struct p9_wide *wide, uint64_t dev, uint64_t ino)
{
	uint64_t at = mix(ino, dev);

	for (;; at++) {
		uint32_t *slot = &wide->hash[at & (wide->size - 1)];
		const struct p9_inode *inode;

		if (!*slot)
			return slot;
		inode = &wide->slot[*slot - 1];
		if (inode->dev == dev && inode->ino == ino)
			return slot;
	}
}

static int grow_wide(struct p9_wide *wide)
{
	uint32_t size = wide->size ? wide->size * 2 : 256;
	struct p9_inode *slot = realloc(wide->slot, size / 2 * sizeof(*slot));
	uint32_t *hash;

	if (!slot)
		return -ENOMEM;
	wide->slot = slot;
	hash = calloc(size, sizeof(*hash));
	if (!hash)
		return -ENOMEM;
	free(wide->hash);
	wide->hash = hash;
	wide->size = size;
	for (uint32_t i = 0; i < wide->nr; i++)
		*find_wide(wide, slot[i].dev, slot[i].ino) = i + 1;
	return 0;
}

static int wide_path(struct p9_wide *wide, uint64_t dev, uint64_t ino, uint64_t *path)
{
	uint32_t *slot;
	int ret;

	if (wide->nr == wide->size / 2) {
		ret = wide->nr >= MAX_WIDE ? -EOVERFLOW : grow_wide(wide);
		/* Those that are known can be found as long as the table has a free entry. */
		if (ret && !wide->size)
			return ret;
	}
	slot = find_wide(wide, dev, ino);
	if (!*slot) {
		if (wide->nr == wide->size / 2)
			return wide->nr >= MAX_WIDE ? -EOVERFLOW : -ENOMEM;
		wide->slot[wide->nr++] = (struct p9_inode){ .dev = dev, .ino = ino };
		*slot = wide->nr;
	}
	*path = WIDE_DEVICE << INO_BITS | *slot;
	return 0;
}

/* Number of a device, WIDE_DEVICE if there are too many. */
static int device_number(struct p9_server *s, uint64_t dev, uint64_t *number)
{
	uint64_t *more;
	unsigned int i;

	for (i = 0; i < s->nr_dev; i++) {
		if (s->dev[i] == dev)
			break;
	}
	*number = i;
	if (i < s->nr_dev || i == WIDE_DEVICE)
		return 0;
	if (i % DEV_STEP == 0) {
		more = realloc(s->dev, (i + DEV_STEP) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->dev = more;
	}
	s->dev[s->nr_dev++] = dev;
	return 0;
}

int p9__qid_path(struct p9_server *s, uint64_t dev, uint64_t ino, uint64_t *path)
{
	uint64_t number;
	int ret = device_number(s, dev, &number);

	if (ret)
		return ret;
	if (number == WIDE_DEVICE || ino >> INO_BITS)
		return wide_path(&s->wide, dev, ino, path);
	*path = number << INO_BITS | ino;
	return 0;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static int identify(int fd, struct p9_node *node)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO | STATX_MNT_ID,
		  &stx))
		return -errno;
	*node = (struct p9_node){
		.refs = 1,
		.fd = fd,
		.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
		.ino = stx.stx_ino,
		.mnt = stx.stx_mask & STATX_MNT_ID ? stx.stx_mnt_id : 0,
		.type = stx.stx_mode & S_IFMT,
	};
	return 0;
}

static struct p9_node **bucket(struct p9_server *s, const struct p9_node *node)
{
	return &s->node[mix(node->ino, node->dev) % P9_BUCKETS];
}

static bool is_same(const struct p9_node *a, const struct p9_node *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->mnt == b->mnt;
}

int p9_node__adopt(struct p9_server *s, int fd, struct p9_node **node)
{
	struct p9_node key = { 0 }, **head;
	int ret = identify(fd, &key);

	if (!ret)
		ret = p9__qid_path(s, key.dev, key.ino, &key.path);
	if (ret) {
		p9__close(s, fd);
		return ret;
	}

	head = bucket(s, &key);
	for (struct p9_node *known = *head; known; known = known->next) {
		if (is_same(known, &key)) {
			p9__close(s, fd);
			*node = p9_node__get(known);
			return 0;
		}
	}

	*node = malloc(sizeof(**node));
	if (!*node) {
		p9__close(s, fd);
		return -ENOMEM;
	}
	**node = key;
	(*node)->next = *head;
	*head = *node;
	return 0;
}

int p9_node__open(struct p9_server *s, int dir_fd, const char *name, struct p9_node **node)
{
	int ret = p9__take_fd(s);
	int fd;

	if (ret)
		return ret;
	fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		p9__close(s, fd);
		return ret;
	}
	return p9_node__adopt(s, fd, node);
}

struct p9_node *p9_node__get(struct p9_node *node)
{
	if (node)
		node->refs++;
	return node;
}

void p9_node__put(struct p9_server *s, struct p9_node *node)
{
	struct p9_node **at;

	if (!node || --node->refs)
		return;
	for (at = bucket(s, node); *at != node;)
		at = &(*at)->next;
	*at = node->next;
	p9__close(s, node->fd);
	free(node);
}

bool p9_node__is(const struct p9_node *node, int dir_fd, const char *name)
{
	struct stat st;

	return !fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) &&
	       st.st_dev == node->dev && st.st_ino == node->ino;
}
