// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of a qcow2 image.
 *
 * Theory of operation: L1 and refcount table are in memory whole, L2 tables and refcount blocks are
 * cached. All changes are made in memory first. A commit writes them back, and whatever moment the
 * process is killed at, or the power fails, what the file says is consistent:
 *
 *	refcount blocks, then the refcount table that refers to them
 *	(fdatasync: now, and not before, a table may refer to what has been allocated; the data
 *	written to it is durable as well)
 *	L2 tables, then the L1 table that refers to them
 *	(fdatasync: what is not referred to any more is not in the file's tables either)
 *	only now the refcounts of what was freed go down, in memory, for the next commit
 *
 * So a refcount in the file is never less than the number of references to its cluster. It may be
 * greater: a leak.
 *
 * A commit copies what it is to write and does without the lock while it writes; meanwhile requests
 * go on. One commit runs at a time.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/qcow2.h"
#include "kvm/log.h"

#define MAX_FREES	    4096
#define GROW_EXTRA	    2 /* clusters of the refcount table more than needed */
#define HEADER_RT	    48
#define HEADER_INCOMPATIBLE 72

int qcow2__corrupt(struct qcow2 *q, const char *fmt, ...)
{
	char why[160];
	va_list args;
	uint64_t features;

	if (q->corrupt)
		return -EIO;
	q->corrupt = true;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	pr_warn("Disk %s: the image is damaged: %s; nothing is written to it from now on, "
		"\"qemu-img "
		"check -r all\" may repair it",
		q->image.file.path, why);
	if (q->image.read_only || q->h.version < 3)
		return -EIO;
	q->h.incompatible |= QCOW2_CORRUPT;
	features = htobe64(q->h.incompatible);
	/* If that fails, there is still the line above. */
	disk_file__write(&q->image.file, HEADER_INCOMPATIBLE, &features, sizeof(features));
	return -EIO;
}

static bool within(uint64_t offset, uint64_t start, uint64_t len)
{
	return offset >= start && offset - start < len;
}

bool qcow2__check_offset(const struct qcow2 *q, uint64_t offset)
{
	uint64_t rt_len = q->rt_entries * 8, l1_len = (uint64_t)q->h.l1_size * 8;

	return !(offset & (q->cluster_size - 1)) && offset && offset < q->end &&
	       !within(offset, q->h.rt_offset, rt_len) && !within(offset, q->h.l1_offset, l1_len);
}

/* --- lists ---------------------------------------------------------------------------------- */

static int list_add(struct qcow2_list *list, uint64_t item)
{
	if (list->nr == list->room) {
		size_t room = list->room ? 2 * list->room : 16;
		uint64_t *more = realloc(list->item, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->item = more;
		list->room = room;
	}
	list->item[list->nr++] = item;
	return 0;
}

static void list_free(struct qcow2_list *list)
{
	free(list->item);
	*list = (struct qcow2_list){ .nr = 0 };
}

/* Append @more to @list, which has to have it. */
static void list_put_back(struct qcow2_list *list, struct qcow2_list *more)
{
	if (!list->nr) {
		list_free(list);
		*list = *more;
		*more = (struct qcow2_list){ .nr = 0 };
		return;
	}
	for (size_t i = 0; i < more->nr; i++)
		list_add(list, more->item[i]); /* without memory it is a leak in the image */
	list_free(more);
}

/* --- the cache of tables -------------------------------------------------------------------- */

static struct qcow2_table **bucket(struct qcow2 *q, uint64_t offset)
{
	return &q->hash[(offset >> q->h.cluster_bits) % QCOW2_HASH];
}

static void drop_table(struct qcow2 *q, struct qcow2_table *table)
{
	struct qcow2_table **at = bucket(q, table->offset);

	while (*at != table)
		at = &(*at)->hash_next;
	*at = table->hash_next;
	TAILQ_REMOVE(&q->lru, table, lru);
	if (table->dirty_to) {
		TAILQ_REMOVE(&q->dirty, table, dirty);
		q->nr_dirty--;
	}
	q->nr_tables--;
	free(table->data);
	free(table);
}

void qcow2__free_tables(struct qcow2 *q)
{
	while (!TAILQ_EMPTY(&q->lru))
		drop_table(q, TAILQ_FIRST(&q->lru));
	list_free(&q->l1_dirty);
	list_free(&q->rt_dirty);
	list_free(&q->frees);
}

static struct qcow2_table *find_table(struct qcow2 *q, uint64_t offset)
{
	struct qcow2_table *table = *bucket(q, offset);

	while (table && table->offset != offset)
		table = table->hash_next;
	return table;
}

/* Dirty tables stay: how many there are is bounded by qcow2__should_commit(). */
static void make_room(struct qcow2 *q)
{
	struct qcow2_table *table, *next;

	for (table = TAILQ_FIRST(&q->lru); table && q->nr_tables >= q->max_tables; table = next) {
		next = TAILQ_NEXT(table, lru);
		if (!table->dirty_to && !table->busy)
			drop_table(q, table);
	}
}

static struct qcow2_table *add_table(struct qcow2 *q, uint64_t offset, bool refcounts)
{
	struct qcow2_table *table, **at = bucket(q, offset);

	make_room(q);
	table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	table->data = calloc(1, q->cluster_size);
	if (!table->data) {
		free(table);
		return NULL;
	}
	table->offset = offset;
	table->refcounts = refcounts;
	table->hash_next = *at;
	*at = table;
	TAILQ_INSERT_TAIL(&q->lru, table, lru);
	q->nr_tables++;
	return table;
}

static void mark_dirty(struct qcow2 *q, struct qcow2_table *table, uint32_t from, uint32_t to)
{
	if (!table->dirty_to) {
		TAILQ_INSERT_TAIL(&q->dirty, table, dirty);
		q->nr_dirty++;
		table->dirty_from = from;
	}
	if (from < table->dirty_from)
		table->dirty_from = from;
	if (to > table->dirty_to)
		table->dirty_to = to;
}

static int new_table(struct qcow2 *q, uint64_t offset, bool refcounts, struct qcow2_table **out)
{
	struct qcow2_table *table = find_table(q, offset);

	if (table) /* of a cluster that was one and has been freed behind our back */
		return qcow2__corrupt(q, "cluster 0x%llx is a table, but its refcount is 0",
				      (unsigned long long)offset);
	table = add_table(q, offset, refcounts);
	if (!table)
		return -ENOMEM;
	mark_dirty(q, table, 0, (uint32_t)q->cluster_size);
	*out = table;
	return 0;
}

static int get_table(struct qcow2 *q, uint64_t offset, bool refcounts, bool load,
		     struct qcow2_table **out)
{
	struct qcow2_table *table = find_table(q, offset);
	int ret;

	if (table) {
		if (table->refcounts != refcounts)
			return qcow2__corrupt(
				q, "cluster 0x%llx is both an L2 table and a refcount block",
				(unsigned long long)offset);
		TAILQ_REMOVE(&q->lru, table, lru);
		TAILQ_INSERT_TAIL(&q->lru, table, lru);
		*out = table;
		return 0;
	}
	if (!load)
		return -EAGAIN;
	if (!qcow2__check_offset(q, offset))
		return qcow2__corrupt(q, "there cannot be %s at 0x%llx",
				      refcounts ? "a refcount block" : "an L2 table",
				      (unsigned long long)offset);
	table = add_table(q, offset, refcounts);
	if (!table)
		return -ENOMEM;
	ret = disk_file__read(&q->image.file, offset, table->data, q->cluster_size);
	if (ret) {
		drop_table(q, table);
		return ret;
	}
	*out = table;
	return 0;
}

/* --- refcounts ------------------------------------------------------------------------------ */

static uint64_t get_refcount(const struct qcow2 *q, const uint8_t *block, uint64_t i)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;
	unsigned int mask;

	switch (q->h.refcount_order) {
	case 3:
		return block[i];
	case 4:
		memcpy(&v16, block + 2 * i, sizeof(v16));
		return be16toh(v16);
	case 5:
		memcpy(&v32, block + 4 * i, sizeof(v32));
		return be32toh(v32);
	case 6:
		memcpy(&v64, block + 8 * i, sizeof(v64));
		return be64toh(v64);
	default: /* bits from the least significant one on */
		i <<= q->h.refcount_order;
		mask = (1u << (1u << q->h.refcount_order)) - 1;
		return (unsigned int)block[i / 8] >> (i % 8) & mask;
	}
}

static void put_refcount(const struct qcow2 *q, uint8_t *block, uint64_t i, uint64_t value)
{
	uint16_t v16 = htobe16((uint16_t)value);
	uint32_t v32 = htobe32((uint32_t)value);
	uint64_t v64 = htobe64(value);
	unsigned int mask;

	switch (q->h.refcount_order) {
	case 3:
		block[i] = (uint8_t)value;
		break;
	case 4:
		memcpy(block + 2 * i, &v16, sizeof(v16));
		break;
	case 5:
		memcpy(block + 4 * i, &v32, sizeof(v32));
		break;
	case 6:
		memcpy(block + 8 * i, &v64, sizeof(v64));
		break;
	default:
		i <<= q->h.refcount_order;
		mask = (1u << (1u << q->h.refcount_order)) - 1;
		block[i / 8] = (uint8_t)((block[i / 8] & ~(mask << (i % 8))) |
					 ((unsigned int)value << (i % 8)));
	}
}

static void set_refcount(struct qcow2 *q, struct qcow2_table *block, uint64_t i, uint64_t value)
{
	uint32_t at = (uint32_t)((i << q->h.refcount_order) / 8);
	uint32_t bytes = q->h.refcount_order > 3 ? 1u << (q->h.refcount_order - 3) : 1;

	put_refcount(q, block->data, i, value);
	mark_dirty(q, block, at, at + bytes);
}

/* The block for a cluster's refcount, NULL if there is none. */
static int get_block(struct qcow2 *q, uint64_t cluster, struct qcow2_table **out)
{
	uint64_t slot = cluster >> q->rb_bits;

	*out = NULL;
	if (slot >= q->rt_entries || !q->rt[slot])
		return 0;
	return get_table(q, q->rt[slot], true, true, out);
}

static uint64_t index_in_block(const struct qcow2 *q, uint64_t cluster)
{
	return cluster & ((1ull << q->rb_bits) - 1);
}

static int unref(struct qcow2 *q, uint64_t cluster)
{
	struct qcow2_table *block;
	uint64_t index = index_in_block(q, cluster), count;
	int ret = get_block(q, cluster, &block);

	if (ret)
		return ret;
	count = block ? get_refcount(q, block->data, index) : 0;
	if (!count)
		return qcow2__corrupt(q, "cluster %llu is in use, but its refcount is 0",
				      (unsigned long long)cluster);
	set_refcount(q, block, index, count - 1);
	if (count == 1) {
		struct qcow2_table *table = find_table(q, cluster << q->h.cluster_bits);

		if (table && !table->busy)
			drop_table(q, table);
		if (cluster < q->hint)
			q->hint = cluster;
	}
	return 0;
}

static void raise_end(struct qcow2 *q, uint64_t cluster)
{
	uint64_t end = (cluster + 1) << q->h.cluster_bits;

	if (end > q->end)
		q->end = end;
}

/* A refcount block in @cluster, which the caller has found to be free. */
static int new_block(struct qcow2 *q, uint64_t slot, uint64_t cluster)
{
	struct qcow2_table *block;
	int ret = list_add(&q->rt_dirty, slot);

	if (!ret)
		ret = new_table(q, cluster << q->h.cluster_bits, true, &block);
	if (ret)
		return ret;
	q->rt[slot] = cluster << q->h.cluster_bits;
	if (slot >= q->rt_used)
		q->rt_used = slot + 1;
	raise_end(q, cluster);
	return 0;
}

static uint64_t *big_endian(const uint64_t *from, size_t nr)
{
	uint64_t *to = malloc((nr ? nr : 1) * sizeof(*to));

	for (size_t i = 0; to && i < nr; i++)
		to[i] = htobe64(from[i]);
	return to;
}

static int write_refcount_blocks(struct qcow2 *q)
{
	struct qcow2_table *table;
	int ret = 0;

	TAILQ_FOREACH(table, &q->lru, lru)
	{
		if (table->refcounts && (table->dirty_to || table->busy) && !ret)
			ret = disk_file__write(&q->image.file, table->offset, table->data,
					       q->cluster_size);
	}
	return ret ? ret : disk_file__sync(&q->image.file);
}

static int switch_rt(struct qcow2 *q, uint64_t offset, uint32_t clusters)
{
	struct {
		uint64_t offset;
		uint32_t clusters;
	} __attribute__((packed)) field = { htobe64(offset), htobe32(clusters) };
	uint64_t *table = big_endian(q->rt, q->rt_entries);
	int ret = table ? write_refcount_blocks(q) : -ENOMEM;

	if (!ret)
		ret = disk_file__write(&q->image.file, offset, table, q->rt_entries * 8);
	if (!ret)
		ret = disk_file__sync(&q->image.file);
	if (!ret)
		ret = disk_file__write(&q->image.file, HEADER_RT, &field, sizeof(field));
	if (!ret)
		ret = disk_file__sync(&q->image.file);
	free(table);
	return ret;
}

static int free_rt(struct qcow2 *q, uint64_t offset, uint64_t clusters)
{
	int ret = 0;

	for (uint64_t i = 0; i < clusters && !ret; i++)
		ret = qcow2__free_later(q, offset + (i << q->h.cluster_bits));
	return ret;
}

static int take(struct qcow2 *q, uint64_t first, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		struct qcow2_table *block;
		int ret = get_block(q, first + i, &block);

		if (ret)
			return ret;
		set_refcount(q, block, index_in_block(q, first + i), 1);
	}
	return 0;
}

/* Forget the blocks of a table that could not be made. */
static void forget_blocks(struct qcow2 *q, uint64_t from)
{
	size_t kept = 0;

	for (uint64_t slot = from; slot < q->rt_used; slot++) {
		struct qcow2_table *block = q->rt[slot] ? find_table(q, q->rt[slot]) : NULL;

		if (block)
			drop_table(q, block);
		q->rt[slot] = 0;
	}
	if (q->rt_used > from)
		q->rt_used = from;
	for (size_t i = 0; i < q->rt_dirty.nr; i++) {
		if (q->rt_dirty.item[i] < from)
			q->rt_dirty.item[kept++] = q->rt_dirty.item[i];
	}
	q->rt_dirty.nr = kept;
}

/*
 * A larger refcount table, behind all that the present one can describe, so that its clusters and
 * those of the blocks that describe them, which lie in front of it, are free for certain. This
 * alone is written back with the lock held: it is rare.
 */
static int grow_rt(struct qcow2 *q)
{
	uint64_t per_cluster = q->cluster_size / 8, old_entries = q->rt_entries;
	uint64_t old_offset = q->h.rt_offset, old_clusters = q->h.rt_clusters;
	uint64_t clusters = old_clusters + old_clusters / 2 + GROW_EXTRA;
	uint64_t first = old_entries << q->rb_bits, per_block = 1ull << q->rb_bits;
	uint64_t blocks = clusters / (per_block - 1) + 1;
	uint64_t *rt;
	int ret = 0;

	if (clusters * q->cluster_size > QCOW2_MAX_RT)
		return -EFBIG;
	rt = realloc(q->rt, clusters * q->cluster_size);
	if (!rt)
		return -ENOMEM;
	memset(rt + old_entries, 0, (clusters * per_cluster - old_entries) * 8);
	q->rt = rt;
	q->rt_entries = clusters * per_cluster;

	for (uint64_t i = 0; i < blocks && !ret; i++)
		ret = new_block(q, old_entries + i, first + i);
	if (!ret)
		ret = take(q, first, blocks + clusters);
	if (!ret)
		ret = switch_rt(q, (first + blocks) << q->h.cluster_bits, (uint32_t)clusters);
	if (ret) {
		forget_blocks(q, old_entries);
		q->rt_entries = old_entries;
		return ret;
	}
	raise_end(q, first + blocks + clusters - 1);
	q->h.rt_offset = (first + blocks) << q->h.cluster_bits;
	q->h.rt_clusters = (uint32_t)clusters;
	return free_rt(q, old_offset, old_clusters);
}

/* --- allocation ----------------------------------------------------------------------------- */

/* A damaged image may call clusters free that are not: those that matter are looked for. */
static bool is_table(const struct qcow2 *q, uint64_t offset)
{
	for (uint64_t i = 0; i < q->h.l1_size; i++) {
		uint64_t at = q->l1[i] & QCOW2_OFFSET_MASK;

		if (at == offset)
			return true;
	}
	for (uint64_t i = 0; i < q->rt_used; i++) {
		if (q->rt[i] == offset)
			return true;
	}
	return false;
}

static int check_free(struct qcow2 *q, uint64_t cluster)
{
	uint64_t offset = cluster << q->h.cluster_bits;
	uint64_t end = q->end;
	bool good;

	/* It may well be the first behind the end. */
	raise_end(q, cluster);
	good = qcow2__check_offset(q, offset) && !is_table(q, offset);
	q->end = end;
	return good ? 0
		    : qcow2__corrupt(q, "cluster 0x%llx is a table, but its refcount is 0",
				     (unsigned long long)offset);
}

/* Is the cluster free? A refcount block that is missing is made of it. */
static int look_at(struct qcow2 *q, uint64_t cluster, bool *is_free)
{
	uint64_t slot = cluster >> q->rb_bits;
	struct qcow2_table *block;
	int ret;

	*is_free = false;
	if (cluster >= 1ull << (56 - q->h.cluster_bits))
		return -EFBIG;
	if (slot >= q->rt_entries) {
		ret = grow_rt(q);
		if (ret)
			return ret;
	}
	ret = get_block(q, cluster, &block);
	if (!ret && !block) {
		ret = check_free(q, cluster);
		if (!ret)
			ret = new_block(q, slot, cluster);
		return ret ? ret : take(q, cluster, 1);
	}
	if (!ret)
		*is_free = !get_refcount(q, block->data, index_in_block(q, cluster));
	return ret;
}

int qcow2__alloc(struct qcow2 *q, uint64_t max, uint64_t *offset, uint64_t *nr)
{
	uint64_t at = q->hint, run = 0;
	bool is_free;
	int ret;

	do {
		ret = look_at(q, at, &is_free);
		if (!ret && is_free)
			ret = check_free(q, at);
		if (ret && run)
			break; /* what there is will do */
		if (ret)
			return ret;
		at++;
		if (is_free)
			run++;
	} while (is_free ? run < max : !run);

	if (ret || !is_free)
		at = ret ? at : at - 1;
	raise_end(q, at - 1);
	*offset = (at - run) << q->h.cluster_bits;
	*nr = run;
	q->hint = at;
	return take(q, at - run, run);
}

void qcow2__unalloc(struct qcow2 *q, uint64_t offset, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		unref(q, (offset >> q->h.cluster_bits) + i);
}

int qcow2__free_later(struct qcow2 *q, uint64_t entry)
{
	return list_add(&q->frees, entry);
}

void qcow2__compressed(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint64_t *len)
{
	unsigned int bits = 62 - (q->h.cluster_bits - 8);
	uint64_t sectors = (entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> bits;

	*offset = entry & ((1ull << bits) - 1);
	*len = (sectors + 1) * DISK_SECTOR - (*offset & (DISK_SECTOR - 1));
}

/* The clusters that an entry refers to. */
static void entry_clusters(const struct qcow2 *q, uint64_t entry, uint64_t *first, uint64_t *last)
{
	uint64_t offset = entry & QCOW2_OFFSET_MASK, len = 1;

	if (entry & QCOW2_COMPRESSED)
		qcow2__compressed(q, entry, &offset, &len);
	*first = offset >> q->h.cluster_bits;
	*last = (offset + len - 1) >> q->h.cluster_bits;
}

/* --- L2 tables ------------------------------------------------------------------------------ */

int qcow2__l2(struct qcow2 *q, uint64_t offset, bool load, struct qcow2_table **out)
{
	uint64_t index = offset >> (q->h.cluster_bits + q->l2_bits);
	uint64_t at;

	*out = NULL;
	if (index >= q->h.l1_size)
		return -EINVAL;
	at = q->l1[index] & QCOW2_OFFSET_MASK;
	return at ? get_table(q, at, false, load, out) : 0;
}

int qcow2__l2_for_change(struct qcow2 *q, uint64_t offset, struct qcow2_table **out)
{
	uint64_t index = offset >> (q->h.cluster_bits + q->l2_bits), old = q->l1[index], at, nr;
	struct qcow2_table *before, *l2;
	int ret = qcow2__l2(q, offset, true, &before);

	if (ret || (before && old & QCOW2_COPIED)) {
		*out = before;
		return ret;
	}
	ret = list_add(&q->l1_dirty, index);
	if (!ret)
		ret = qcow2__alloc(q, 1, &at, &nr);
	if (ret)
		return ret;
	ret = new_table(q, at, false, &l2);
	if (ret) {
		qcow2__unalloc(q, at, 1);
		return ret;
	}
	/* Allocating and adding may have thrown the old one out of the cache. */
	ret = qcow2__l2(q, offset, true, &before);
	if (!ret && before)
		memcpy(l2->data, before->data, q->cluster_size);
	if (!ret && before)
		ret = qcow2__free_later(q, old);
	if (ret) {
		qcow2__unalloc(q, at, 1);
		return ret;
	}
	q->l1[index] = at | QCOW2_COPIED;
	*out = l2;
	return 0;
}

uint64_t qcow2__get_entry(const struct qcow2_table *l2, uint64_t index)
{
	uint64_t entry;

	memcpy(&entry, l2->data + 8 * index, sizeof(entry));
	return be64toh(entry);
}

void qcow2__set_entry(struct qcow2 *q, struct qcow2_table *l2, uint64_t index, uint64_t entry)
{
	entry = htobe64(entry);
	memcpy(l2->data + 8 * index, &entry, sizeof(entry));
	mark_dirty(q, l2, (uint32_t)(8 * index), (uint32_t)(8 * index + 8));
}

/* --- commit --------------------------------------------------------------------------------- */

static int write_marker(struct qcow2 *q, bool unclean)
{
	uint64_t value = htobe64(unclean);

	return q->h.marker ? disk_file__write(&q->image.file, q->h.marker, &value, sizeof(value))
			   : 0;
}

static int write_synced(struct qcow2 *q, uint64_t offset, const void *from, size_t len)
{
	int ret = disk_file__write(&q->image.file, offset, from, len);

	return ret ? ret : disk_file__sync(&q->image.file);
}

static int add_marker(struct qcow2 *q)
{
	struct qcow2_marker plan;
	int ret = 0;

	if (!qcow2_header__plan_marker(&q->h, &plan))
		return 0;
	if (plan.name_at) {
		ret = write_synced(q, plan.name_at, q->h.backing, strlen(q->h.backing));
		if (!ret)
			ret = write_synced(q, QCOW2_HEADER_NAME, plan.name_field, 8);
		if (!ret)
			q->h.backing_offset = plan.name_at;
	}
	if (!ret)
		ret = write_synced(q, plan.at + 8, plan.rest, sizeof(plan.rest));
	if (!ret)
		ret = write_synced(q, plan.at, plan.head, sizeof(plan.head));
	if (!ret)
		q->h.marker = (uint32_t)plan.at + 8;
	return ret;
}

int qcow2__begin_change(struct qcow2 *q)
{
	int ret = 0;

	if (q->corrupt)
		return -EIO;
	if (q->marked)
		return 0;
	if (!q->h.marker && !q->image.file.no_sync)
		ret = add_marker(q);
	if (!ret)
		ret = write_marker(q, true);
	q->marked = !ret;
	return ret;
}

bool qcow2__has_changes(const struct qcow2 *q)
{
	return q->nr_dirty || q->l1_dirty.nr || q->rt_dirty.nr || q->frees.nr;
}

bool qcow2__should_commit(const struct qcow2 *q)
{
	return q->nr_dirty > q->max_tables / 2 || q->frees.nr > MAX_FREES;
}

struct piece {
	struct qcow2_table *table;
	uint64_t offset;
	bool refcounts;
	uint32_t from, to;
	uint8_t *data;
};

struct commit {
	struct piece *piece;
	size_t nr;
	struct qcow2_list l1, rt, frees;
	uint64_t *l1_value, *rt_value;
};

static uint64_t *entry_values(const uint64_t *table, const struct qcow2_list *list)
{
	uint64_t *value = malloc((list->nr ? list->nr : 1) * sizeof(*value));

	for (size_t i = 0; value && i < list->nr; i++)
		value[i] = htobe64(table[list->item[i]]);
	return value;
}

static void move_list(struct qcow2_list *to, struct qcow2_list *from)
{
	*to = *from;
	*from = (struct qcow2_list){ .nr = 0 };
}

/* Copy one dirty table. */
static int collect_table(struct qcow2 *q, struct commit *c, struct qcow2_table *table)
{
	struct piece *p = &c->piece[c->nr];
	uint32_t len = table->dirty_to - table->dirty_from;

	*p = (struct piece){ table,	      table->offset, table->refcounts, table->dirty_from,
			     table->dirty_to, malloc(len) };
	if (!p->data)
		return -ENOMEM;
	memcpy(p->data, table->data + p->from, len);
	TAILQ_REMOVE(&q->dirty, table, dirty);
	q->nr_dirty--;
	table->dirty_from = table->dirty_to = 0;
	table->busy = true;
	c->nr++;
	return 0;
}

static int collect(struct qcow2 *q, struct commit *c)
{
	int ret = 0;

	c->piece = calloc(q->nr_dirty ? q->nr_dirty : 1, sizeof(*c->piece));
	c->l1_value = entry_values(q->l1, &q->l1_dirty);
	c->rt_value = entry_values(q->rt, &q->rt_dirty);
	if (!c->piece || !c->l1_value || !c->rt_value)
		return -ENOMEM;
	move_list(&c->l1, &q->l1_dirty);
	move_list(&c->rt, &q->rt_dirty);
	move_list(&c->frees, &q->frees);
	while (!TAILQ_EMPTY(&q->dirty) && !ret)
		ret = collect_table(q, c, TAILQ_FIRST(&q->dirty));
	return ret;
}

static int write_tables(struct qcow2 *q, const struct commit *c, bool refcounts)
{
	int ret = 0;

	for (size_t i = 0; i < c->nr && !ret; i++) {
		const struct piece *p = &c->piece[i];

		if (p->refcounts == refcounts)
			ret = disk_file__write(&q->image.file, p->offset + p->from, p->data,
					       p->to - p->from);
	}
	return ret;
}

static int write_entries(struct qcow2 *q, uint64_t table, const struct qcow2_list *list,
			 const uint64_t *value)
{
	int ret = list->nr ? disk_file__sync(&q->image.file) : 0;

	for (size_t i = 0; i < list->nr && !ret; i++)
		ret = disk_file__write(&q->image.file, table + 8 * list->item[i], &value[i], 8);
	return ret;
}

static int write_commit(struct qcow2 *q, const struct commit *c, uint64_t rt_offset)
{
	int ret = write_tables(q, c, true);

	if (!ret)
		ret = write_entries(q, rt_offset, &c->rt, c->rt_value);
	if (!ret)
		ret = disk_file__sync(&q->image.file);
	if (!ret)
		ret = write_tables(q, c, false);
	if (!ret)
		ret = write_entries(q, q->h.l1_offset, &c->l1, c->l1_value);
	if (!ret && (c->nr || c->l1.nr || c->frees.nr))
		ret = disk_file__sync(&q->image.file);
	return ret;
}

/* Give the host back what nothing refers to; until its refcount goes down it is nobody else's. */
static void punch(struct qcow2 *q, uint64_t first, uint64_t last)
{
	uint64_t run = 0;

	for (uint64_t i = first; i <= last + 1; i++) {
		struct qcow2_table *block = NULL;
		bool sole = i <= last && !get_block(q, i, &block) && block &&
			    get_refcount(q, block->data, index_in_block(q, i)) == 1;

		if (!sole && run)
			disk_file__discard(&q->image.file, (i - run) << q->h.cluster_bits,
					   run << q->h.cluster_bits);
		run = sole ? run + 1 : 0;
	}
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Refcounts of what was freed go down. Compressed clusters share theirs, and have no hole made. */
static void apply_frees(struct qcow2 *q, struct qcow2_list *frees)
{
	uint64_t first, last, run_first = 1, run_last = 0;

	for (size_t i = 0; i < frees->nr; i++) {
		if (!(frees->item[i] & QCOW2_COMPRESSED))
			frees->item[i] &= QCOW2_OFFSET_MASK;
	}
	if (frees->nr)
		qsort(frees->item, frees->nr, sizeof(*frees->item), compare);
	for (size_t i = 0; i <= frees->nr; i++) {
		bool plain = i < frees->nr && !(frees->item[i] & QCOW2_COMPRESSED);

		if (plain)
			entry_clusters(q, frees->item[i], &first, &last);
		if (plain && run_first <= run_last && first == run_last + 1) {
			run_last = last;
			continue;
		}
		if (run_first <= run_last)
			punch(q, run_first, run_last);
		run_first = plain ? first : 1;
		run_last = plain ? last : 0;
	}
	for (size_t i = 0; i < frees->nr; i++) {
		entry_clusters(q, frees->item[i], &first, &last);
		for (; first <= last; first++)
			unref(q, first);
	}
}

/* What could not be written is still to be written. */
static void put_back(struct qcow2 *q, struct commit *c)
{
	for (size_t i = 0; i < c->nr; i++)
		mark_dirty(q, c->piece[i].table, c->piece[i].from, c->piece[i].to);
	list_put_back(&q->l1_dirty, &c->l1);
	list_put_back(&q->rt_dirty, &c->rt);
	list_put_back(&q->frees, &c->frees);
}

int qcow2__commit(struct qcow2 *q)
{
	struct commit c = { .nr = 0 };
	uint64_t rt_offset;
	int ret;

	pthread_mutex_lock(&q->commit_lock);
	pthread_mutex_lock(&q->lock);
	ret = q->corrupt ? -EIO : collect(q, &c);
	rt_offset = q->h.rt_offset;
	pthread_mutex_unlock(&q->lock);

	if (!ret)
		ret = write_commit(q, &c, rt_offset);

	pthread_mutex_lock(&q->lock);
	for (size_t i = 0; i < c.nr; i++)
		c.piece[i].table->busy = false;
	if (ret)
		put_back(q, &c);
	else
		apply_frees(q, &c.frees);
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_unlock(&q->commit_lock);

	for (size_t i = 0; i < c.nr; i++)
		free(c.piece[i].data);
	free(c.piece);
	free(c.l1_value);
	free(c.rt_value);
	list_free(&c.l1);
	list_free(&c.rt);
	list_free(&c.frees);
	return ret;
}
