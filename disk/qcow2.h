/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2: what its files share. The format is described in QEMU's docs/interop/qcow2.txt; all of its
 * numbers are big-endian.
 *
 * Top to bottom: qcow2-io.c does requests, qcow2-meta.c keeps tables and refcounts and writes them
 * back in an order that survives a crash, qcow2-header.c reads the header, qcow2.c opens and
 * closes.
 */
#ifndef DISK_QCOW2_H
#define DISK_QCOW2_H

#include <pthread.h>

#include "disk/disk.h"

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_L1	       (32u << 20) /* bytes */
#define QCOW2_MAX_RT	       (8u << 20)
#define QCOW2_HEADER_READ      (64u << 10)
#define QCOW2_WHY	       256

#define QCOW2_COPIED	  (1ull << 63)
#define QCOW2_COMPRESSED  (1ull << 62)
#define QCOW2_ZERO	  1ull
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull

enum qcow2_incompatible {
	QCOW2_DIRTY = 1 << 0,
	QCOW2_CORRUPT = 1 << 1,
	QCOW2_DATA_FILE = 1 << 2,
	QCOW2_COMPRESSION_TYPE = 1 << 3,
	QCOW2_EXTENDED_L2 = 1 << 4,
};

/**
 * struct qcow2_header - the header, checked
 * @cluster_bits:   log2 of the cluster size in bytes
 * @size:           of the disk in bytes
 * @l1_size:        entries
 * @refcount_order: log2 of the bits of a refcount
 * @ext_start, @ext_end: where the header extensions are, the one that ends them not included
 * @marker:         offset of the value of lkvm's own extension, 0 if there is none
 * @unclean:        what it says
 * @backing_offset: where the name of the backing file is
 * @backing:        the name, empty if there is none
 * @backing_format: its format, empty if the image does not say
 */
struct qcow2_header {
	uint32_t version;
	uint32_t cluster_bits;
	uint64_t size;
	uint32_t l1_size;
	uint64_t l1_offset;
	uint64_t rt_offset;
	uint32_t rt_clusters;
	uint32_t refcount_order;
	uint64_t incompatible, autoclear;
	bool zstd;
	uint32_t ext_start, ext_end;
	uint32_t marker;
	bool unclean;
	uint64_t backing_offset;
	char backing[1024];
	char backing_format[16];
};

/**
 * qcow2_header__parse - read and check a header
 * @data:      the beginning of the file, QCOW2_HEADER_READ bytes or all there are
 * @file_size: bytes of the file
 * @read_only: it will not be written to
 * @why:       receives the reason, QCOW2_WHY bytes
 *
 * Return: 0; -ENOTSUP for what lkvm does not have; -EINVAL for what cannot be.
 */
int qcow2_header__parse(const uint8_t *data, size_t len, uint64_t file_size, bool read_only,
			struct qcow2_header *h, char *why);

/**
 * struct qcow2_marker - how to add lkvm's extension to a header, step by step, so that it is whole
 * after each
 * @name_at: first the name of the backing file is written here (0: there is none),
 * @name_field: then its offset to QCOW2_HEADER_NAME;
 * @rest:    then this to @at + 8,
 * @head:    and this to @at
 */
struct qcow2_marker {
	uint64_t name_at;
	uint8_t name_field[8];
	uint64_t at;
	uint8_t rest[16];
	uint8_t head[8];
};

#define QCOW2_MARKER_LEN  24
#define QCOW2_HEADER_NAME 8

/**
 * qcow2_header__plan_marker - Return: whether there is room for it
 */
bool qcow2_header__plan_marker(const struct qcow2_header *h, struct qcow2_marker *plan);

/**
 * qcow2_header__create - a header for an empty image: refcount table in cluster 1, its first block
 * in cluster 2, L1 table from cluster 3 on
 * @out: 512 bytes
 */
void qcow2_header__create(uint8_t *out, unsigned int cluster_bits, uint64_t size, uint32_t l1_size);

/**
 * struct qcow2_table - an L2 table or a refcount block in memory
 * @dirty_from, @dirty_to: bytes that differ from the file's; none if they are equal
 * @busy: being written, must stay
 */
struct qcow2_table {
	uint64_t offset;
	bool refcounts;
	bool busy;
	uint32_t dirty_from, dirty_to;
	uint8_t *data;
	struct qcow2_table *hash_next;
	TAILQ_ENTRY(qcow2_table) lru;
	TAILQ_ENTRY(qcow2_table) dirty;
};

TAILQ_HEAD(qcow2_tables, qcow2_table);

#define QCOW2_HASH 1024

/**
 * struct qcow2_list - a growing list of numbers
 */
struct qcow2_list {
	uint64_t *item;
	size_t nr, room;
};

/**
 * struct qcow2 - an open image
 * @end:     all clusters in use are below this offset
 * @hint:    no cluster below this index is free, as far as is known
 * @l1_dirty, @rt_dirty: indices of entries that differ from the file's
 * @frees:   L1 and L2 entries that are not referred to any more, but still are in the file
 */
struct qcow2 {
	struct image image;
	struct qcow2_header h;
	uint64_t cluster_size;
	unsigned int l2_bits; /* log2 of entries of an L2 table */
	unsigned int rb_bits; /* log2 of entries of a refcount block */

	pthread_mutex_t commit_lock; /* taken before @lock */
	pthread_mutex_t lock;	     /* all below */
	uint64_t *l1;
	uint64_t *rt;
	uint64_t rt_entries, rt_used;
	uint64_t end;
	uint64_t hint;
	struct qcow2_table *hash[QCOW2_HASH];
	struct qcow2_tables lru, dirty;
	size_t nr_tables, nr_dirty, max_tables;
	struct qcow2_list l1_dirty, rt_dirty, frees;
	bool corrupt;
	bool marked;

	pthread_mutex_t unpack_lock; /* the two below */
	uint64_t unpacked_entry;
	uint8_t *unpacked;
};

static inline struct qcow2 *qcow2_of(struct image *image)
{
	return CONTAINER_OF(image, struct qcow2, image);
}

/* --- qcow2-meta.c: all with the lock held unless said otherwise ------------------------------- */

/**
 * qcow2__corrupt - the image is damaged: say so, once, and write to it no more
 *
 * Return: -EIO.
 */
int qcow2__corrupt(struct qcow2 *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * qcow2__check_offset - can a cluster of data or a table be there?
 */
bool qcow2__check_offset(const struct qcow2 *q, uint64_t offset);

/**
 * qcow2__l2 - the L2 table for an offset of the disk
 * @load: read it if need be; otherwise -EAGAIN
 * @out:  receives it, or NULL if there is none
 */
int qcow2__l2(struct qcow2 *q, uint64_t offset, bool load, struct qcow2_table **out);

/**
 * qcow2__l2_for_change - the same, to be changed: made if there is none, copied if it is shared
 */
int qcow2__l2_for_change(struct qcow2 *q, uint64_t offset, struct qcow2_table **out);

/**
 * qcow2__get_entry, qcow2__set_entry - an entry of an L2 table
 */
uint64_t qcow2__get_entry(const struct qcow2_table *l2, uint64_t index);
void qcow2__set_entry(struct qcow2 *q, struct qcow2_table *l2, uint64_t index, uint64_t entry);

/**
 * qcow2__begin_change - before anything is allocated or freed
 */
int qcow2__begin_change(struct qcow2 *q);

/**
 * qcow2__alloc - clusters that lie together
 * @max: at most so many
 * @nr:  receives how many, at least 1
 */
int qcow2__alloc(struct qcow2 *q, uint64_t max, uint64_t *offset, uint64_t *nr);

/**
 * qcow2__unalloc - give back what has never been referred to
 */
void qcow2__unalloc(struct qcow2 *q, uint64_t offset, uint64_t nr);

/**
 * qcow2__free_later - give back what @entry refers to once the file does not refer to it any more
 */
int qcow2__free_later(struct qcow2 *q, uint64_t entry);

/**
 * qcow2__compressed - where a compressed cluster is
 */
void qcow2__compressed(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint64_t *len);

/**
 * qcow2__has_changes - is there anything to commit?
 * qcow2__should_commit - is there so much of it that it should be now?
 */
bool qcow2__has_changes(const struct qcow2 *q);
bool qcow2__should_commit(const struct qcow2 *q);

/**
 * qcow2__commit - make all that has been done durable; called without the lock
 */
int qcow2__commit(struct qcow2 *q);

/**
 * qcow2__free_tables - forget all tables
 */
void qcow2__free_tables(struct qcow2 *q);

/* --- qcow2-io.c ----------------------------------------------------------------------------- */

void qcow2__submit(struct image *image, struct disk_request *req);
int qcow2__map(struct image *image, uint64_t offset, uint64_t len, struct extent *out);
int qcow2__readv(struct image *image, uint64_t offset, struct iov_cursor *at, uint64_t len);

/* --- qcow2-unpack.c ------------------------------------------------------------------------- */

/**
 * qcow2__unpack - decompress a cluster
 *
 * Return: 0; -EIO if it is damaged; -ENOTSUP if the library was not built in.
 */
int qcow2__unpack(bool zstd, const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);

#endif
