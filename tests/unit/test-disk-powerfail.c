// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whatever of the writes since the last fdatasync has reached the disk when the power fails, and
 * whatever part of the last one when the process is killed: a qcow2 image is consistent (clusters
 * may have leaked), and has in it what was flushed.
 *
 * All that is written to the image is written down, with the places of the fdatasyncs. From that,
 * images are made as they would have been found.
 *
 * WRAP: pwrite pwritev fallocate fdatasync
 */
#include "disk-rig.h"

#include <pthread.h>
#include <sys/uio.h>

#define SIZE	(3u << 20)
#define SECTORS (SIZE / DISK_SECTOR)
#define BATCHES 14
#define DEPTH	6
#define MAX_LEN 40960u
#define POINTS	10
#define MAX_LOG 20000

enum entry_type { WRITE, PUNCH, SYNC };

struct entry {
	enum entry_type type;
	uint64_t offset, len;
	uint8_t *data;
};

/* An operation of the guest: from which entry of the log on may it have been under way? */
struct op {
	size_t since;
	uint64_t first, nr; /* sectors */
};

struct flushed {
	size_t at;
	uint8_t *now;
};

static struct {
	pthread_mutex_t lock;
	bool on;
	struct entry entry[MAX_LOG];
	size_t nr;
	struct op op[BATCHES * (DEPTH + 1)];
	size_t nr_ops;
	struct flushed flushed[BATCHES + 1];
	size_t nr_flushed;
	unsigned int seed;
} story = { .lock = PTHREAD_MUTEX_INITIALIZER };

ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t offset);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int nr, off_t offset);
int __real_fallocate(int fd, int mode, off_t offset, off_t len);
int __real_fdatasync(int fd);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int nr, off_t offset);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);
int __wrap_fdatasync(int fd);

static unsigned int next(void)
{
	story.seed = story.seed * 1103515245u + 12345u;
	return story.seed >> 8;
}

static struct entry *note(enum entry_type type, off_t offset, size_t len)
{
	struct entry *e = &story.entry[story.nr];

	if (!story.on || story.nr == MAX_LOG)
		return NULL;
	story.nr++;
	*e = (struct entry){ .type = type, .offset = (uint64_t)offset, .len = len };
	e->data = type == WRITE ? malloc(len) : NULL;
	return e;
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct entry *e;
	ssize_t n;

	pthread_mutex_lock(&story.lock);
	e = note(WRITE, offset, len);
	if (e)
		memcpy(e->data, buf, len);
	n = __real_pwrite(fd, buf, len, offset);
	pthread_mutex_unlock(&story.lock);
	return n;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int nr, off_t offset)
{
	size_t len = 0, at = 0;
	struct entry *e;
	ssize_t n;

	for (int i = 0; i < nr; i++)
		len += iov[i].iov_len;
	pthread_mutex_lock(&story.lock);
	e = note(WRITE, offset, len);
	for (int i = 0; e && i < nr; at += iov[i++].iov_len)
		memcpy(e->data + at, iov[i].iov_base, iov[i].iov_len);
	n = __real_pwritev(fd, iov, nr, offset);
	pthread_mutex_unlock(&story.lock);
	return n;
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t len)
{
	int ret;

	pthread_mutex_lock(&story.lock);
	note(PUNCH, offset, (size_t)len);
	ret = __real_fallocate(fd, mode, offset, len);
	pthread_mutex_unlock(&story.lock);
	return ret;
}

/* What is written while it runs may or may not be covered: it counts as not. */
int __wrap_fdatasync(int fd)
{
	pthread_mutex_lock(&story.lock);
	note(SYNC, 0, 0);
	pthread_mutex_unlock(&story.lock);
	return 0;
}

/* --- what the guest does -------------------------------------------------------------------- */

static void on_done(struct disk_request *req, int ret)
{
	assert_int_equal(ret, 0);
}

static size_t log_length(void)
{
	size_t nr;

	pthread_mutex_lock(&story.lock);
	nr = story.nr;
	pthread_mutex_unlock(&story.lock);
	return nr;
}

static void start_op(struct rig *rig, uint8_t *now, struct disk_request *req, struct iovec *iov)
{
	uint64_t len = (next() % (MAX_LEN / DISK_SECTOR) + 1) * DISK_SECTOR;
	uint64_t offset = next() % ((SIZE - len) / DISK_SECTOR) * DISK_SECTOR;
	unsigned int kind = next() % 8;

	memset(iov->iov_base, (int)(next() | 1), len);
	iov->iov_len = len;
	*req = (struct disk_request){
		.op = kind < 5	 ? DISK_WRITE
		      : kind < 7 ? DISK_WRITE_ZEROES
				 : DISK_DISCARD,
		.offset = offset,
		.len = len,
		.iov = iov,
		.nr_iov = 1,
		.unmap = kind == 5,
		.done = on_done,
	};
	story.op[story.nr_ops++] =
		(struct op){ log_length(), offset / DISK_SECTOR, len / DISK_SECTOR };
	disk__submit(rig->disk, req);
}

static void remember_flush(struct rig *rig, uint8_t *now)
{
	struct flushed *f = &story.flushed[story.nr_flushed++];

	assert_int_equal(rig_do(rig, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(rig_do(rig, DISK_READ, 0, now, SIZE), 0);
	f->at = log_length();
	f->now = malloc(SIZE);
	memcpy(f->now, now, SIZE);
}

static void work(struct rig *rig)
{
	struct disk_request req[DEPTH];
	struct iovec iov[DEPTH];
	uint8_t *now = malloc(SIZE);

	for (int i = 0; i < DEPTH; i++)
		iov[i].iov_base = malloc(MAX_LEN);
	remember_flush(rig, now);
	for (int batch = 0; batch < BATCHES; batch++) {
		for (int i = 0; i < DEPTH; i++)
			start_op(rig, now, &req[i], &iov[i]);
		disk__drain(rig->disk);
		if (next() % 3)
			remember_flush(rig, now);
	}
	for (int i = 0; i < DEPTH; i++)
		free(iov[i].iov_base);
	free(now);
}

/* --- what is found -------------------------------------------------------------------------- */

static void apply(int fd, const struct entry *e, uint64_t from, uint64_t to)
{
	if (e->type == WRITE)
		assert_int_equal(__real_pwrite(fd, e->data + from, to - from,
					       (off_t)(e->offset + from)),
				 (ssize_t)(to - from));
	else if (e->type == PUNCH)
		__real_fallocate(fd, 3 /* punch a hole, keep the size */, (off_t)e->offset,
				 (off_t)e->len);
}

/* Some sectors of a write arrive, others do not. */
static void apply_some(int fd, const struct entry *e)
{
	uint64_t at = 0;

	if (e->type == PUNCH && next() & 1)
		apply(fd, e, 0, 0);
	while (e->type == WRITE && at < e->len) {
		uint64_t sector_end = DISK_SECTOR - (e->offset + at) % DISK_SECTOR;
		uint64_t len = e->len - at < sector_end ? e->len - at : sector_end;

		if (next() & 1)
			apply(fd, e, at, at + len);
		at += len;
	}
}

/* The image as it is when the power fails after @point entries. */
static void after_power_failure(int fd, size_t point)
{
	size_t synced = point, i;

	while (synced && story.entry[synced - 1].type != SYNC)
		synced--;
	for (i = 0; i < synced; i++)
		apply(fd, &story.entry[i], 0, story.entry[i].len);
	for (; i < point; i++)
		apply_some(fd, &story.entry[i]);
}

/* And when the process is killed while it writes the last one: the kernel copies whole pages. */
static void after_kill(int fd, size_t point)
{
	const struct entry *last = &story.entry[point - 1];
	uint64_t part = last->len ? (last->offset + next() % last->len) & ~4095ull : 0;

	for (size_t i = 0; i + 1 < point; i++)
		apply(fd, &story.entry[i], 0, story.entry[i].len);
	apply(fd, last, 0, part > last->offset ? part - last->offset : 0);
}

static void expect_flushed(size_t point)
{
	uint8_t *got = malloc(SIZE), *touched = calloc(1, SECTORS);
	const struct flushed *last = NULL;

	for (size_t i = 0; i < story.nr_flushed && story.flushed[i].at <= point; i++)
		last = &story.flushed[i];
	if (last) {
		for (size_t i = 0; i < story.nr_ops; i++) {
			const struct op *op = &story.op[i];

			if (op->since >= last->at)
				memset(touched + op->first, 1, op->nr);
		}
		must_run("qemu-img convert -f qcow2 -O raw found got");
		read_back("got", 0, got, SIZE);
		for (unsigned int i = 0; i < SECTORS; i++) {
			if (!touched[i])
				assert_memory_equal(got + i * DISK_SECTOR,
						    last->now + i * DISK_SECTOR, DISK_SECTOR);
		}
	}
	free(got);
	free(touched);
}

static void look_at(size_t point, void (*build)(int fd, size_t point))
{
	int status, fd;

	must_run("cp --sparse=always before found");
	fd = open("found", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	build(fd, point);
	close(fd);
	status = run("qemu-img check -f qcow2 found");
	if (status && status != 3) {
		(void)!system("head -5 log >&2");
		fail_msg("after %zu of %zu writes", point, story.nr);
	}
	expect_flushed(point);
}

static void forget(void)
{
	for (size_t i = 0; i < story.nr; i++)
		free(story.entry[i].data);
	for (size_t i = 0; i < story.nr_flushed; i++)
		free(story.flushed[i].now);
	story.nr = story.nr_ops = story.nr_flushed = 0;
}

static void survive(struct rig *rig, const char *options, unsigned int seed)
{
	char command[256];

	need_qemu_img();
	forget();
	story.seed = seed;
	snprintf(command, sizeof(command),
		 "qemu-img create -f qcow2 -o %s disk %u && cp disk before", options, SIZE);
	must_run(command);
	assert_int_equal(rig_open(rig, "disk"), 0);
	story.on = true;
	work(rig);
	assert_int_equal(rig_close(rig), 0);
	story.on = false;
	assert_true(story.nr > 20 && story.nr < MAX_LOG);
	for (unsigned int i = 0; i < POINTS; i++) {
		look_at(next() % story.nr + 1, after_power_failure);
		look_at(next() % story.nr + 1, after_kill);
	}
	look_at(story.nr, after_power_failure);
	forget();
}

static void usual_clusters(void **state)
{
	survive(*state, "cluster_size=64k", 1);
}

static void small_clusters(void **state)
{
	survive(*state, "cluster_size=4k", 2);
}

static void a_growing_refcount_table(void **state)
{
	survive(*state, "cluster_size=512,refcount_bits=64", 3);
}

static void version_2(void **state)
{
	survive(*state, "cluster_size=8k,compat=0.10", 4);
}

static void a_backing_file(void **state)
{
	char buf[4096];

	memset(buf, 'b', sizeof(buf));
	write_file("base", buf, sizeof(buf), SIZE);
	survive(*state, "cluster_size=8k,backing_file=base,backing_fmt=raw", 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(usual_clusters), TEST(small_clusters), TEST(a_growing_refcount_table),
		TEST(version_2),      TEST(a_backing_file),
	};

	return cmocka_run_group_tests_name("disk-powerfail", tests, NULL, NULL);
}
