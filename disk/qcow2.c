// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening and closing qcow2 images, and making one for what a guest writes above another. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/qcow2.h"
#include "kvm/log.h"

#define CACHE_BYTES	 (32u << 20)
#define CACHE_MIN	 16
#define CACHE_MAX	 8192
#define AUTOCLEAR_OFFSET 88
#define OVERLAY_BITS	 16
#define MAX_COMMITS	 3

static int sync_all(struct qcow2 *q)
{
	uint64_t clean = 0;
	int ret = 0;

	/* What a commit has freed is for the next one. */
	for (int i = 0; i < MAX_COMMITS && !ret && qcow2__has_changes(q); i++)
		ret = qcow2__commit(q);
	if (!ret)
		ret = disk_file__sync(&q->image.file);
	if (!ret && q->marked && q->h.marker)
		ret = disk_file__write(&q->image.file, q->h.marker, &clean, sizeof(clean));
	return ret;
}

static int qcow2_close(struct image *image)
{
	struct qcow2 *q = qcow2_of(image);
	int ret = 0;

	if (!image->read_only && !image->file.no_sync && !q->corrupt)
		ret = sync_all(q);
	if (ret)
		pr_warn("Disk %s: what was written last may be lost: %s", image->file.path,
			strerror(-ret));
	qcow2__free_tables(q);
	free(q->unpacked);
	free(q->l1);
	free(q->rt);
	pthread_mutex_destroy(&q->unpack_lock);
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->commit_lock);
	return ret;
}

static const struct image_ops qcow2_ops = {
	.name = "qcow2",
	.submit = qcow2__submit,
	.map = qcow2__map,
	.readv = qcow2__readv,
	.close = qcow2_close,
};

static int refuse(const struct qcow2 *q, int err, const char *why)
{
	pr_fatal("Disk %s: %s", q->image.file.path, why);
	return err;
}

static int read_header(struct qcow2 *q)
{
	struct disk_file *file = &q->image.file;
	size_t len = file->size < QCOW2_HEADER_READ ? (size_t)file->size : QCOW2_HEADER_READ;
	uint8_t *data = malloc(len);
	char why[QCOW2_WHY] = "";
	int ret;

	if (!data)
		return -ENOMEM;
	ret = disk_file__read(file, 0, data, len);
	if (ret) {
		refuse(q, ret, strerror(-ret));
	} else {
		ret = qcow2_header__parse(data, len, file->size, q->image.read_only, &q->h, why);
		if (ret)
			refuse(q, ret, why);
	}
	free(data);
	return ret;
}

static int read_entries(struct qcow2 *q, uint64_t offset, size_t nr, uint64_t **out)
{
	uint64_t *table = calloc(nr ? nr : 1, sizeof(*table));
	int ret = table ? disk_file__read(&q->image.file, offset, table, nr * sizeof(*table))
			: -ENOMEM;

	if (ret) {
		free(table);
		return refuse(q, ret, strerror(-ret));
	}
	for (size_t i = 0; i < nr; i++)
		table[i] = be64toh(table[i]);
	*out = table;
	return 0;
}

static int check_entries(struct qcow2 *q, const uint64_t *table, size_t nr, const char *what)
{
	char why[QCOW2_WHY];

	for (size_t i = 0; i < nr; i++) {
		uint64_t offset = table[i] & QCOW2_OFFSET_MASK;

		if (!offset || qcow2__check_offset(q, offset))
			continue;
		snprintf(why, sizeof(why),
			 "its %s table is damaged: entry %zu is 0x%llx; \"qemu-img check -r all\" "
			 "may repair it",
			 what, i, (unsigned long long)table[i]);
		return refuse(q, -EINVAL, why);
	}
	return 0;
}

static int read_tables(struct qcow2 *q)
{
	int ret;

	q->cluster_size = 1ull << q->h.cluster_bits;
	q->l2_bits = q->h.cluster_bits - 3;
	q->rb_bits = q->h.cluster_bits + 3 - q->h.refcount_order;
	q->rt_entries = ((uint64_t)q->h.rt_clusters << q->h.cluster_bits) / 8;
	q->end = (q->image.file.size + q->cluster_size - 1) & ~(q->cluster_size - 1);
	q->image.file.tail_zero = q->end;
	q->max_tables = CACHE_BYTES >> q->h.cluster_bits;
	if (q->max_tables < CACHE_MIN)
		q->max_tables = CACHE_MIN;
	if (q->max_tables > CACHE_MAX)
		q->max_tables = CACHE_MAX;

	ret = read_entries(q, q->h.l1_offset, q->h.l1_size, &q->l1);
	if (!ret)
		ret = read_entries(q, q->h.rt_offset, q->rt_entries, &q->rt);
	if (!ret)
		ret = check_entries(q, q->l1, q->h.l1_size, "L1");
	if (!ret && !q->image.read_only)
		ret = check_entries(q, q->rt, q->rt_entries, "refcount");
	for (uint64_t i = 0; !ret && i < q->rt_entries; i++) {
		q->rt[i] &= QCOW2_OFFSET_MASK;
		if (q->rt[i])
			q->rt_used = i + 1;
	}
	return ret;
}

static int clear_autoclear(struct qcow2 *q)
{
	uint64_t none = 0;

	/* Whatever these features describe will not be kept up to date. */
	if (q->image.read_only || !q->h.autoclear)
		return 0;
	return disk_file__write(&q->image.file, AUTOCLEAR_OFFSET, &none, sizeof(none));
}

/* Relative to the directory of the image that names it. */
static char *backing_path(const struct qcow2 *q)
{
	const char *slash = strrchr(q->image.file.path, '/');
	size_t dir = slash && *q->h.backing != '/' ? (size_t)(slash + 1 - q->image.file.path) : 0;
	char *path = malloc(dir + strlen(q->h.backing) + 1);

	if (path) {
		memcpy(path, q->image.file.path, dir);
		strcpy(path + dir, q->h.backing);
	}
	return path;
}

static int backing_format(const struct qcow2 *q, enum disk_format *format)
{
	const char *name = q->h.backing_format;
	char why[QCOW2_WHY];

	*format = DISK_FORMAT_AUTO;
	if (!strcmp(name, "qcow2"))
		*format = DISK_FORMAT_QCOW2;
	else if (!strcmp(name, "raw"))
		*format = DISK_FORMAT_RAW;
	else if (*name) {
		snprintf(why, sizeof(why),
			 "its backing file is of format \"%s\", which lkvm does "
			 "not have",
			 name);
		return refuse(q, -ENOTSUP, why);
	}
	return 0;
}

static int open_backing(struct qcow2 *q, struct image_open *above)
{
	struct image_open how = {
		.read_only = true,
		.direct = above->direct,
		.depth = above->depth + 1,
		.above = above,
	};
	const char *colon = strchr(q->h.backing, ':'), *slash = strchr(q->h.backing, '/');
	char *path;
	int ret;

	if (!*q->h.backing)
		return 0;
	if (colon && (!slash || colon < slash))
		return refuse(q, -ENOTSUP, "its backing file is not a file, but a URL or the like");
	ret = backing_format(q, &how.format);
	if (ret)
		return ret;
	path = backing_path(q);
	if (!path)
		return -ENOMEM;
	how.path = path;
	ret = image__open(&how, &q->image.backing);
	free(path);
	return ret;
}

static struct qcow2 *new_image(struct disk_file *file, bool read_only)
{
	struct qcow2 *q = calloc(1, sizeof(*q));

	if (!q) {
		disk_file__close(file);
		return NULL;
	}
	q->image.ops = &qcow2_ops;
	q->image.file = *file;
	q->image.read_only = read_only;
	TAILQ_INIT(&q->lru);
	TAILQ_INIT(&q->dirty);
	pthread_mutex_init(&q->commit_lock, NULL);
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->unpack_lock, NULL);
	return q;
}

static int load(struct qcow2 *q)
{
	int ret = read_header(q);

	if (!ret)
		ret = read_tables(q);
	if (!ret)
		ret = clear_autoclear(q);
	if (ret)
		return ret;
	q->image.size = (q->h.size + DISK_SECTOR - 1) & ~(uint64_t)(DISK_SECTOR - 1);
	q->image.discard_granularity = (uint32_t)q->cluster_size;
	/* O_DIRECT and the page cache would meet within a page. */
	if (q->cluster_size < 4096 && q->image.file.direct_fd >= 0)
		return refuse(q, -EINVAL,
			      "its clusters are smaller than 4 KiB, which \",direct\" "
			      "cannot be had with");
#ifndef HAVE_ZSTD
	if (q->h.zstd)
		return refuse(q, -ENOTSUP,
			      "it may have clusters compressed by zstd, which this "
			      "lkvm was built without");
#endif
	/* The mark is there already, to be removed when all is well. */
	q->marked = q->h.unclean;
	if (q->h.unclean && !q->image.read_only)
		pr_warn("Disk %s: it was not closed when it was used last: some space in it may be "
			"lost, \"qemu-img check -r leaks\" gives it back",
			q->image.file.path);
	return 0;
}

int qcow2__open(struct disk_file *file, struct image_open *how, struct image **out)
{
	struct qcow2 *q = new_image(file, how->read_only);
	int ret;

	if (!q)
		return -ENOMEM;
	ret = load(q);
	if (!ret)
		ret = open_backing(q, how);
	if (ret) {
		image__close(&q->image);
		return ret;
	}
	*out = &q->image;
	return 0;
}

/* --- a temporary above another image ---------------------------------------------------------- */

static int write_empty(struct disk_file *file, uint64_t size)
{
	uint64_t cluster = 1ull << OVERLAY_BITS, per_l1 = cluster * cluster / 8;
	uint32_t l1_size = (uint32_t)((size + per_l1 - 1) / per_l1);
	uint64_t l1_clusters = ((uint64_t)l1_size * 8 + cluster - 1) / cluster;
	uint64_t block = htobe64(2 * cluster), used = 3 + l1_clusters;
	uint16_t one = htobe16(1);
	uint8_t header[512];
	int ret;

	if ((uint64_t)l1_size * 8 > QCOW2_MAX_L1)
		return -EFBIG;
	qcow2_header__create(header, OVERLAY_BITS, size, l1_size);
	ret = disk_file__write(file, 0, header, sizeof(header));
	if (!ret)
		ret = disk_file__write(file, cluster, &block, sizeof(block));
	for (uint64_t i = 0; i < used && !ret; i++)
		ret = disk_file__write(file, 2 * cluster + 2 * i, &one, 2);
	if (!ret && ftruncate(file->fd, (off_t)(used * cluster)))
		ret = -errno;
	file->size = used * cluster;
	return ret;
}

int qcow2__overlay(struct image *backing, bool direct, struct image **out)
{
	struct disk_file file;
	struct qcow2 *q = NULL;
	int ret = disk_file__open_temporary(&file, direct);

	if (!ret) {
		ret = write_empty(&file, backing->size);
		if (ret)
			pr_fatal("Cannot write a temporary file in %s: %s", file.path,
				 strerror(-ret));
		q = new_image(&file, false);
		if (!q)
			ret = -ENOMEM;
	}
	if (!ret)
		ret = load(q);
	if (ret) {
		if (q)
			image__close(&q->image);
		image__close(backing);
		return ret;
	}
	q->image.backing = backing;
	*out = &q->image;
	return 0;
}
