// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fids: the client's handles, as many as it is allowed.
 */
#include "virtio/p9-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_XATTR_BYTES (8u << 20) /* in all fids */

static struct p9_fid **bucket(const struct p9_server *s, uint32_t id)
{
	return (struct p9_fid **)&s->fid[(id * 0x9e3779b1u) >> 20];
}

_Static_assert(P9_BUCKETS == 1 << 12, "bucket() takes the upper 12 bits of 32");

struct p9_fid *p9_fid__find(const struct p9_server *s, uint32_t id)
{
	struct p9_fid *fid = *bucket(s, id);

	while (fid && fid->id != id)
		fid = fid->next;
	return fid;
}

int p9_fid__create(struct p9_server *s, uint32_t id, uint32_t uid, struct p9_node *node,
		   struct p9_node *parent, const char *name)
{
	struct p9_fid *fid;

	if (id == P9_NOFID || p9_fid__find(s, id))
		return -EINVAL;
	if (s->nr_fids >= s->max_fids)
		return -ENFILE;
	fid = malloc(sizeof(*fid));
	if (!fid)
		return -ENOMEM;
	*fid = (struct p9_fid){
		.next = *bucket(s, id),
		.id = id,
		.uid = uid,
		.fd = -1,
		.lock_fd = -1,
	};
	if (p9_fid__move(s, fid, node, parent, name)) {
		free(fid);
		return -ENOMEM;
	}
	*bucket(s, id) = fid;
	s->nr_fids++;
	return 0;
}

int p9_fid__move(struct p9_server *s, struct p9_fid *fid, struct p9_node *node,
		 struct p9_node *parent, const char *name)
{
	struct p9_node *old_node = fid->node, *old_parent = fid->parent;
	char *copy = NULL;

	if (parent) {
		copy = strdup(name);
		if (!copy)
			return -ENOMEM;
	}
	fid->node = p9_node__get(node);
	fid->parent = p9_node__get(parent);
	free(fid->name);
	fid->name = copy;
	p9_node__put(s, old_node);
	p9_node__put(s, old_parent);
	return 0;
}

void p9_fid__renamed(struct p9_server *s, struct p9_node *old_dir, const char *old_name,
		     struct p9_node *new_dir, const char *new_name)
{
	for (unsigned int i = 0; i < P9_BUCKETS; i++) {
		for (struct p9_fid *fid = s->fid[i]; fid; fid = fid->next) {
			if (fid->parent != old_dir || strcmp(fid->name, old_name))
				continue;
			/* Without memory it keeps the old name, by which nothing is found. */
			if (p9_fid__move(s, fid, fid->node, new_dir, new_name))
				return;
		}
	}
}

static void unlink_fid(struct p9_server *s, struct p9_fid *fid)
{
	struct p9_fid **at = bucket(s, fid->id);

	while (*at != fid)
		at = &(*at)->next;
	*at = fid->next;
	s->nr_fids--;
}

void p9_fid__destroy(struct p9_server *s, struct p9_fid *fid)
{
	unlink_fid(s, fid);
	if (fid->fd >= 0)
		p9__close(s, fid->fd);
	if (fid->lock_fd >= 0)
		p9__close(s, fid->lock_fd);
	p9_fid__free_xattr(s, fid->xattr);
	p9_node__put(s, fid->node);
	p9_node__put(s, fid->parent);
	free(fid->name);
	free(fid);
}

void p9_fid__destroy_all(struct p9_server *s)
{
	for (unsigned int i = 0; i < P9_BUCKETS; i++) {
		while (s->fid[i])
			p9_fid__destroy(s, s->fid[i]);
	}
}

struct p9_xattr *p9_fid__new_xattr(struct p9_server *s, size_t size)
{
	struct p9_xattr *xattr;

	if (size + sizeof(*xattr) > MAX_XATTR_BYTES - s->xattr_bytes)
		return NULL;
	xattr = calloc(1, sizeof(*xattr) + size);
	if (!xattr)
		return NULL;
	xattr->size = size;
	xattr->data = (uint8_t *)(xattr + 1);
	s->xattr_bytes += size + sizeof(*xattr);
	return xattr;
}

void p9_fid__free_xattr(struct p9_server *s, struct p9_xattr *xattr)
{
	if (!xattr)
		return;
	s->xattr_bytes -= xattr->size + sizeof(*xattr);
	free(xattr);
}
