// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests to a qcow2 image.
 *
 * Theory of operation: most requests find the tables that they need in memory and nothing to
 * allocate: they go from the loop straight to the engine, as with a raw image. All others (tables
 * to be read, clusters to be allocated, copied or decompressed, commits) run in a thread of the
 * pool, where waiting is no harm, and several at a time: the lock is held while tables are looked
 * at, not while data is moved.
 *
 * What keeps two of them from each other's clusters is the order of overlapping requests in disk.c:
 * before a request changes what lies where, it widens its range to whole clusters.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "disk/qcow2.h"

#define WRITE_MAX (2u << 20) /* bytes written at one go: bounds what one failure undoes */

enum kind { KIND_NONE, KIND_ZERO, KIND_DATA, KIND_COMPRESSED };

/* A piece of the disk whose clusters are of one kind, and for data lie together. */
struct run {
	enum kind kind;
	bool copied;	/* data that is nobody else's: may be changed in place */
	uint64_t host;	/* where the first byte is, for data */
	uint64_t entry; /* of the first cluster */
	uint64_t len;
};

static uint64_t in_cluster(const struct qcow2 *q, uint64_t offset)
{
	return offset & (q->cluster_size - 1);
}

static uint64_t l2_index(const struct qcow2 *q, uint64_t offset)
{
	return (offset >> q->h.cluster_bits) & ((1ull << q->l2_bits) - 1);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- where is it? --------------------------------------------------------------------------- */

static int classify(struct qcow2 *q, uint64_t entry, struct run *run)
{
	uint64_t host = entry & QCOW2_OFFSET_MASK, len;

	*run = (struct run){ .entry = entry };
	if (entry & QCOW2_COMPRESSED) {
		run->kind = KIND_COMPRESSED;
		qcow2__compressed(q, entry, &host, &len);
		if (host < q->cluster_size || host >= q->end || len > 2 * q->cluster_size)
			return qcow2__corrupt(q, "there cannot be a compressed cluster at 0x%llx",
					      (unsigned long long)host);
		return 0;
	}
	if (host && !qcow2__check_offset(q, host))
		return qcow2__corrupt(q, "there cannot be data at 0x%llx",
				      (unsigned long long)host);
	if (entry & QCOW2_ZERO && q->h.version < 3)
		return qcow2__corrupt(q, "an image of version 2 has no zero clusters");
	run->host = host;
	run->copied = host && entry & QCOW2_COPIED;
	run->kind = entry & QCOW2_ZERO ? KIND_ZERO : host ? KIND_DATA : KIND_NONE;
	return 0;
}

static bool continues(const struct run *run, const struct run *next, uint64_t distance)
{
	if (next->kind != run->kind || run->kind == KIND_COMPRESSED)
		return false;
	return run->kind != KIND_DATA ||
	       (next->copied == run->copied && next->host == run->host + distance);
}

/* What is at @offset? Looks at no more than one L2 table. Called with the lock held. */
static int look_up(struct qcow2 *q, uint64_t offset, uint64_t len, bool load, struct run *run)
{
	uint64_t index = l2_index(q, offset), inside = in_cluster(q, offset), distance;
	struct qcow2_table *l2;
	int ret = qcow2__l2(q, offset, load, &l2);

	if (ret)
		return ret;
	len = min(len, (((1ull << q->l2_bits) - index) << q->h.cluster_bits) - inside);
	if (!l2) {
		*run = (struct run){ .kind = KIND_NONE, .len = len };
		return 0;
	}
	ret = classify(q, qcow2__get_entry(l2, index), run);
	for (distance = q->cluster_size; !ret && distance < inside + len;
	     distance += q->cluster_size) {
		struct run next;

		if (classify(q, qcow2__get_entry(l2, ++index), &next) ||
		    !continues(run, &next, distance))
			break;
	}
	run->len = min(len, distance - inside);
	run->host += inside;
	return ret;
}

int qcow2__map(struct image *image, uint64_t offset, uint64_t len, struct extent *out)
{
	struct qcow2 *q = qcow2_of(image);
	struct run run;
	int ret;

	if (pthread_mutex_trylock(&q->lock))
		return -EAGAIN;
	ret = look_up(q, offset, len, false, &run);
	pthread_mutex_unlock(&q->lock);
	if (ret)
		return ret;
	switch (run.kind) {
	case KIND_COMPRESSED:
		return -EAGAIN;
	case KIND_NONE:
		return image__map(image->backing, offset, run.len, out);
	default:
		*out = (struct extent){
			.kind = run.kind == KIND_ZERO ? EXTENT_ZERO : EXTENT_DATA,
			.file = &image->file,
			.offset = run.host,
			.len = run.len,
		};
		return 0;
	}
}

/* --- reading, here and now ------------------------------------------------------------------ */

static int unpack(struct qcow2 *q, uint64_t entry, uint8_t *out)
{
	uint64_t offset, len;
	struct iov_cursor at;
	struct iovec iov;
	uint8_t *in;
	int ret;

	qcow2__compressed(q, entry, &offset, &len);
	in = malloc(len);
	if (!in)
		return -ENOMEM;
	iov = (struct iovec){ in, len };
	at = (struct iov_cursor){ &iov, 1, 0 };
	ret = disk_file__readv(&q->image.file, offset, &at, len);
	if (!ret)
		ret = qcow2__unpack(q->h.zstd, in, len, out, q->cluster_size);
	free(in);
	return ret;
}

/* Reads tend to come in sequence: the cluster unpacked last is kept. */
static int read_compressed(struct qcow2 *q, const struct run *run, uint64_t offset,
			   struct iov_cursor *at)
{
	int ret = 0;

	pthread_mutex_lock(&q->unpack_lock);
	if (!q->unpacked)
		q->unpacked = malloc(q->cluster_size);
	if (!q->unpacked)
		ret = -ENOMEM;
	if (!ret && q->unpacked_entry != run->entry) {
		ret = unpack(q, run->entry, q->unpacked);
		q->unpacked_entry = ret ? 0 : run->entry;
	}
	if (!ret)
		iov_cursor__copy_to(at, q->unpacked + in_cluster(q, offset), run->len);
	pthread_mutex_unlock(&q->unpack_lock);
	return ret;
}

static int read_run(struct qcow2 *q, const struct run *run, uint64_t offset, struct iov_cursor *at)
{
	switch (run->kind) {
	case KIND_DATA:
		return disk_file__readv(&q->image.file, run->host, at, run->len);
	case KIND_COMPRESSED:
		return read_compressed(q, run, offset, at);
	case KIND_ZERO:
		iov_cursor__zero(at, run->len);
		return 0;
	default:
		return image__readv(q->image.backing, offset, at, run->len);
	}
}

int qcow2__readv(struct image *image, uint64_t offset, struct iov_cursor *at, uint64_t len)
{
	struct qcow2 *q = qcow2_of(image);
	int ret = 0;

	while (len && !ret) {
		struct run run;

		pthread_mutex_lock(&q->lock);
		ret = look_up(q, offset, len, true, &run);
		pthread_mutex_unlock(&q->lock);
		if (!ret)
			ret = read_run(q, &run, offset, at);
		offset += run.len;
		len -= run.len;
	}
	return ret;
}

/* --- writing, here and now ------------------------------------------------------------------ */

/* Where a write goes: in place, or to clusters of its own that are linked when it is there. */
struct plan {
	bool in_place;
	uint64_t offset, len; /* of the disk */
	uint64_t host;	      /* of the first cluster, or of @offset if in place */
	uint64_t nr;	      /* clusters */
	bool allocated;
};

/* How many clusters from @offset on have to be allocated, up to @max? */
static uint64_t count_to_allocate(struct qcow2 *q, const struct qcow2_table *l2, uint64_t offset,
				  uint64_t max)
{
	uint64_t index = l2_index(q, offset), nr = 0;
	struct run run;

	for (; nr < max && index + nr < 1ull << q->l2_bits; nr++) {
		if (classify(q, qcow2__get_entry(l2, index + nr), &run) || run.copied)
			break;
	}
	return nr;
}

static int plan_write(struct qcow2 *q, uint64_t offset, uint64_t len, struct plan *plan)
{
	struct qcow2_table *l2;
	struct run run;
	uint64_t inside = in_cluster(q, offset), max;
	int ret = q->corrupt ? -EIO : look_up(q, offset, len, true, &run);

	if (ret)
		return ret;
	*plan = (struct plan){ .offset = offset, .len = run.len };
	if (run.kind == KIND_DATA && run.copied) {
		plan->in_place = true;
		plan->host = run.host;
		return 0;
	}
	ret = qcow2__begin_change(q);
	if (!ret)
		ret = qcow2__l2_for_change(q, offset, &l2);
	if (ret)
		return ret;
	if (run.copied) { /* a zero cluster that has its place already */
		plan->host = run.host - inside;
		plan->nr = 1;
	} else {
		max = (inside + min(len, WRITE_MAX) + q->cluster_size - 1) >> q->h.cluster_bits;
		max = count_to_allocate(q, l2, offset, max);
		if (!max)
			return -EIO;
		ret = qcow2__alloc(q, max, &plan->host, &plan->nr);
		plan->allocated = !ret;
	}
	plan->len = min(len, (plan->nr << q->h.cluster_bits) - inside);
	return ret;
}

/* Fill @buf with what the disk has at @offset; beyond the disk's end within its last cluster, too. */
static int read_around(struct qcow2 *q, uint64_t offset, void *buf, uint64_t len)
{
	struct iovec iov = { buf, len };
	struct iov_cursor at = { &iov, 1, 0 };

	return len ? qcow2__readv(&q->image, offset, &at, len) : 0;
}

/* Write whole clusters: what was there before, the new bytes, what was there behind. */
static int write_clusters(struct qcow2 *q, const struct plan *plan, struct iov_cursor *at)
{
	uint64_t head = in_cluster(q, plan->offset);
	uint64_t tail = (plan->nr << q->h.cluster_bits) - head - plan->len;
	uint64_t total = head + plan->len + tail;
	struct iovec iov;
	struct iov_cursor whole = { &iov, 1, 0 };
	uint8_t *buf;
	int ret;

	if (!head && !tail)
		return disk_file__writev(&q->image.file, plan->host, at, plan->len);
	if (posix_memalign((void **)&buf, 4096, total))
		return -ENOMEM;
	iov = (struct iovec){ buf, total };
	ret = read_around(q, plan->offset - head, buf, head);
	if (!ret)
		ret = read_around(q, plan->offset + plan->len, buf + head + plan->len, tail);
	if (!ret) {
		iov_cursor__copy_from(at, buf + head, plan->len);
		ret = disk_file__writev(&q->image.file, plan->host, &whole, total);
	}
	free(buf);
	return ret;
}

/* The old cluster's entry is no more; keep what it refers to until the file knows that as well. */
static int replace_entry(struct qcow2 *q, struct qcow2_table *l2, uint64_t index, uint64_t entry)
{
	uint64_t old = qcow2__get_entry(l2, index);
	bool refers = old & (QCOW2_COMPRESSED | QCOW2_OFFSET_MASK);
	bool same = !(old & QCOW2_COMPRESSED) && !((old ^ entry) & QCOW2_OFFSET_MASK);
	int ret = refers && !same ? qcow2__free_later(q, old) : 0;

	if (!ret)
		qcow2__set_entry(q, l2, index, entry);
	return ret;
}

static int link_clusters(struct qcow2 *q, const struct plan *plan)
{
	struct qcow2_table *l2;
	int ret = qcow2__l2_for_change(q, plan->offset, &l2);

	for (uint64_t i = 0; i < plan->nr && !ret; i++)
		ret = replace_entry(q, l2, l2_index(q, plan->offset) + i,
				    (plan->host + (i << q->h.cluster_bits)) | QCOW2_COPIED);
	return ret;
}

static int write_some(struct qcow2 *q, uint64_t offset, struct iov_cursor *at, uint64_t len,
		      uint64_t *done)
{
	struct plan plan;
	int ret;

	pthread_mutex_lock(&q->lock);
	ret = plan_write(q, offset, len, &plan);
	pthread_mutex_unlock(&q->lock);
	if (ret)
		return ret;
	*done = plan.len;
	if (plan.in_place)
		return disk_file__writev(&q->image.file, plan.host, at, plan.len);

	ret = write_clusters(q, &plan, at);
	pthread_mutex_lock(&q->lock);
	if (!ret)
		ret = link_clusters(q, &plan);
	else if (plan.allocated)
		qcow2__unalloc(q, plan.host, plan.nr);
	pthread_mutex_unlock(&q->lock);
	return ret;
}

static int write_range(struct qcow2 *q, uint64_t offset, struct iov_cursor *at, uint64_t len)
{
	uint64_t done = 0;
	int ret = 0;

	for (; len && !ret; offset += done, len -= done)
		ret = write_some(q, offset, at, len, &done);
	return ret;
}

static int write_zero_bytes(struct qcow2 *q, uint64_t offset, uint64_t len)
{
	uint8_t *zeroes = calloc(1, min(len, q->cluster_size));
	int ret = zeroes ? 0 : -ENOMEM;

	while (len && !ret) {
		struct iovec iov = { zeroes, min(len, q->cluster_size) };
		struct iov_cursor at = { &iov, 1, 0 };

		ret = write_range(q, offset, &at, iov.iov_len);
		offset += iov.iov_len;
		len -= iov.iov_len;
	}
	free(zeroes);
	return ret;
}

/* --- discarding and zeroing ------------------------------------------------------------------ */

/*
 * The entry of a cluster that shall read as zeroes.
 *
 * Return: false if only writing zeroes to it will do (version 2 above a backing file; zeroes that
 * shall keep their space, where there is none).
 */
static bool zero_entry(const struct qcow2 *q, uint64_t old, bool unmap, uint64_t *entry)
{
	bool v3 = q->h.version >= 3;
	bool compressed = old & QCOW2_COMPRESSED;

	if (v3 && !unmap && !compressed && old & QCOW2_COPIED && old & QCOW2_OFFSET_MASK)
		*entry = old | QCOW2_ZERO;
	else if (!q->image.backing)
		*entry = 0;
	else if (v3)
		*entry = QCOW2_ZERO;
	else
		return false;
	return true;
}

static int zero_cluster(struct qcow2 *q, uint64_t offset, bool unmap, bool *must_write)
{
	struct qcow2_table *l2;
	uint64_t old, entry;
	struct run run;
	int ret = q->corrupt ? -EIO : look_up(q, offset, 1, true, &run);

	*must_write = false;
	if (ret || (run.kind == KIND_NONE && !q->image.backing))
		return ret;
	*must_write = !zero_entry(q, run.entry, unmap, &entry);
	old = run.entry;
	if (*must_write || entry == old)
		return 0;
	ret = qcow2__begin_change(q);
	if (!ret)
		ret = qcow2__l2_for_change(q, offset, &l2);
	return ret ? ret : replace_entry(q, l2, l2_index(q, offset), entry);
}

static int zero_clusters(struct qcow2 *q, uint64_t offset, uint64_t end, bool unmap, bool hint)
{
	int ret = 0;

	for (; offset < end && !ret; offset += q->cluster_size) {
		bool must_write, commit;

		pthread_mutex_lock(&q->lock);
		ret = zero_cluster(q, offset, unmap, &must_write);
		commit = qcow2__should_commit(q);
		pthread_mutex_unlock(&q->lock);
		if (!ret && must_write && !hint)
			ret = write_zero_bytes(q, offset, q->cluster_size);
		if (!ret && commit)
			ret = qcow2__commit(q);
	}
	return ret;
}

static int zero_range(struct qcow2 *q, const struct disk_request *req)
{
	bool hint = req->now == DISK_DISCARD;
	uint64_t start = req->offset, end = start + req->len;
	uint64_t first = (start + q->cluster_size - 1) & ~(q->cluster_size - 1);
	/* What is behind the disk's end is nobody's: its last cluster is whole. */
	uint64_t last = end == q->image.size ? (end + q->cluster_size - 1) : end;
	int ret = 0;

	last &= ~(q->cluster_size - 1);
	if (first >= last)
		return hint ? 0 : write_zero_bytes(q, start, req->len);
	if (!hint && start < first)
		ret = write_zero_bytes(q, start, first - start);
	if (!ret)
		ret = zero_clusters(q, first, last, hint || req->unmap, hint);
	if (!ret && !hint && last < end)
		ret = write_zero_bytes(q, last, end - last);
	return ret;
}

/* --- requests ------------------------------------------------------------------------------- */

static void run_job(struct disk_job *job)
{
	struct disk_request *req = CONTAINER_OF(job, struct disk_request, job);
	struct qcow2 *q = CONTAINER_OF(req->io.file, struct qcow2, image.file);
	struct iov_cursor at = { req->iov, req->nr_iov, 0 };
	bool commit;

	switch (req->now) {
	case DISK_READ:
		req->ret = qcow2__readv(&q->image, req->offset, &at, req->len);
		break;
	case DISK_WRITE:
		req->ret = write_range(q, req->offset, &at, req->len);
		break;
	case DISK_FLUSH:
		req->ret = qcow2__commit(q);
		break;
	default:
		req->ret = zero_range(q, req);
		break;
	}
	pthread_mutex_lock(&q->lock);
	commit = !req->ret && qcow2__should_commit(q);
	pthread_mutex_unlock(&q->lock);
	if (commit)
		req->ret = qcow2__commit(q);
}

static void job_done(struct disk_job *job)
{
	struct disk_request *req = CONTAINER_OF(job, struct disk_request, job);

	disk_request__done(req, req->ret);
}

static void run_in_thread(struct qcow2 *q, struct disk_request *req)
{
	req->io.file = &q->image.file;
	req->job = (struct disk_job){ .run = run_job, .done = job_done };
	disk_pool__run(disk__pool(req->disk), &req->job);
}

static void io_done(struct disk_io *io, int ret)
{
	disk_request__done(CONTAINER_OF(io, struct disk_request, io), ret);
}

static void run_by_engine(struct disk_request *req, struct disk_file *file, uint64_t offset)
{
	req->io.op = req->now;
	req->io.iov = req->iov;
	req->io.nr_iov = req->nr_iov;
	req->io.offset = offset;
	req->io.len = req->len;
	req->io.done = io_done;
	disk_file__submit(file, &req->io);
}

static void submit_read(struct qcow2 *q, struct disk_request *req)
{
	struct iov_cursor at = { req->iov, req->nr_iov, 0 };
	struct extent extent;
	int ret = qcow2__map(&q->image, req->offset, req->len, &extent);

	if (ret || extent.len < req->len) {
		run_in_thread(q, req);
	} else if (extent.kind == EXTENT_ZERO) {
		iov_cursor__zero(&at, req->len);
		disk_request__done(req, 0);
	} else {
		run_by_engine(req, extent.file, extent.offset);
	}
}

static bool is_in_place(struct qcow2 *q, const struct disk_request *req, uint64_t *host)
{
	struct run run;
	int ret;

	if (pthread_mutex_trylock(&q->lock))
		return false;
	ret = q->corrupt ? -EIO : look_up(q, req->offset, req->len, false, &run);
	pthread_mutex_unlock(&q->lock);
	if (ret || run.kind != KIND_DATA || !run.copied || run.len < req->len)
		return false;
	*host = run.host;
	return true;
}

static void submit_change(struct qcow2 *q, struct disk_request *req)
{
	uint64_t mask = q->cluster_size - 1, host;

	if (req->now == DISK_WRITE && is_in_place(q, req, &host))
		run_by_engine(req, &q->image.file, host);
	else if (disk_request__widen(req, req->offset & ~mask, (req->offset + req->len - 1) | mask))
		run_in_thread(q, req);
}

static void submit_flush(struct qcow2 *q, struct disk_request *req)
{
	bool commit = !q->image.read_only && !q->image.file.no_sync;

	if (commit && !pthread_mutex_trylock(&q->lock)) {
		commit = qcow2__has_changes(q);
		pthread_mutex_unlock(&q->lock);
	}
	if (commit)
		run_in_thread(q, req);
	else
		run_by_engine(req, &q->image.file, 0);
}

void qcow2__submit(struct image *image, struct disk_request *req)
{
	struct qcow2 *q = qcow2_of(image);

	if (req->now == DISK_READ)
		submit_read(q, req);
	else if (req->now == DISK_FLUSH)
		submit_flush(q, req);
	else
		submit_change(q, req);
}
