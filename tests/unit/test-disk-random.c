// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whatever the format, the engine and the order of requests: what is read is what was written, and
 * qemu-img finds the image consistent and its contents those of a model in memory.
 */
#include "disk-rig.h"

#define SIZE	(6u << 20)
#define DEPTH	24
#define MAX_LEN (96u << 10)
#define ROUNDS	30

struct model {
	uint8_t *now;
	unsigned int seed;
};

struct op {
	struct disk_request req;
	struct iovec iov[3];
	uint8_t *buf;
	uint8_t *expect;
	bool done;
};

static unsigned int next(struct model *model)
{
	model->seed = model->seed * 1103515245u + 12345u;
	return model->seed >> 8;
}

static void op_done(struct disk_request *req, int ret)
{
	struct op *op = req->ctx;

	assert_int_equal(ret, 0);
	assert_false(op->done);
	op->done = true;
}

static void fill(struct model *model, uint8_t *buf, size_t len)
{
	uint8_t first = (uint8_t)next(model);

	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(first + i * 7);
}

/* Buffers of odd sizes at odd addresses, now and then. */
static void cut(struct model *model, struct op *op, size_t len)
{
	size_t a = len, b = 0;

	if (next(model) % 3 == 0 && len > 1024) {
		a = next(model) % (len / 2) + 1;
		b = next(model) % (len / 4) + 1;
	}
	op->iov[0] = (struct iovec){ op->buf, a };
	op->iov[1] = (struct iovec){ op->buf + a, b };
	op->iov[2] = (struct iovec){ op->buf + a + b, len - a - b };
	op->req.nr_iov = 3;
	if (a == len)
		op->req.nr_iov = 1;
}

static void prepare(struct model *model, struct op *op, uint64_t align)
{
	uint64_t size = SIZE, len, offset;
	unsigned int kind = next(model) % 64;

	len = (next(model) % (next(model) % 4 ? 8192 : MAX_LEN) / align + 1) * align;
	offset = next(model) % ((size - len) / align) * align;
	if (next(model) % 8 == 0)
		offset = size - len;
	op->done = false;
	op->req = (struct disk_request){ .op = kind < 26   ? DISK_READ
					       : kind < 55 ? DISK_WRITE
					       : kind < 63 ? DISK_WRITE_ZEROES
							   : DISK_FLUSH,
					 .offset = offset,
					 .len = len,
					 .iov = op->iov,
					 .unmap = next(model) & 1,
					 .done = op_done,
					 .ctx = op };
	cut(model, op, len);
	if (op->req.op == DISK_READ) {
		memset(op->buf, 0x55, len);
		memcpy(op->expect, model->now + offset, len);
	} else if (op->req.op == DISK_WRITE) {
		fill(model, op->buf, len);
		memcpy(model->now + offset, op->buf, len);
	} else if (op->req.op == DISK_WRITE_ZEROES) {
		memset(model->now + offset, 0, len);
	}
}

/* A discarded byte is what it was, or 0. */
static void discard_some(struct rig *rig, struct model *model, uint8_t *buf)
{
	uint64_t len = (next(model) % 1024 + 1) * 512;
	uint64_t offset = next(model) % ((SIZE - len) / 512) * 512;

	assert_int_equal(rig_do(rig, DISK_DISCARD, offset, NULL, len), 0);
	assert_int_equal(rig_do(rig, DISK_READ, offset, buf, len), 0);
	for (uint64_t i = 0; i < len; i++)
		assert_true(!buf[i] || buf[i] == model->now[offset + i]);
	memcpy(model->now + offset, buf, len);
}

static void some_rounds(struct rig *rig, struct model *model, int rounds)
{
	uint64_t align = disk__info(rig->disk)->logical_block;
	struct op *ops = calloc(DEPTH, sizeof(*ops));
	uint8_t *whole = NULL;

	assert_int_equal(posix_memalign((void **)&whole, 4096, MAX_LEN * 8), 0);
	for (int i = 0; i < DEPTH; i++) {
		assert_int_equal(posix_memalign((void **)&ops[i].buf, 4096, MAX_LEN + 4096), 0);
		ops[i].expect = malloc(MAX_LEN + 4096);
	}
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < DEPTH; i++) {
			prepare(model, &ops[i], next(model) % 4 ? align : 512);
			disk__submit(rig->disk, &ops[i].req);
			if (next(model) % 4 == 0)
				disk__kick(rig->disk);
		}
		disk__drain(rig->disk);
		for (int i = 0; i < DEPTH; i++) {
			assert_true(ops[i].done);
			if (ops[i].req.op == DISK_READ)
				assert_memory_equal(ops[i].buf, ops[i].expect, ops[i].req.len);
		}
		if (round % 4 == 0)
			discard_some(rig, model, whole);
	}
	for (int i = 0; i < DEPTH; i++) {
		free(ops[i].buf);
		free(ops[i].expect);
	}
	free(ops);
	free(whole);
}

static void load_model(struct rig *rig, struct model *model)
{
	model->now = malloc(SIZE);
	assert_int_equal(disk__info(rig->disk)->size, SIZE);
	for (uint32_t at = 0; at < SIZE; at += SIZE / 8)
		assert_int_equal(rig_do(rig, DISK_READ, at, model->now + at, SIZE / 8), 0);
}

/* Work on the disk, close it, work on it again, and have qemu-img look at it. */
static void work_on(struct rig *rig, const char *arg, const char *format, unsigned int seed)
{
	struct model model = { NULL, seed };
	char command[256], path[64];

	snprintf(path, sizeof(path), "%.*s", (int)strcspn(arg, ","), arg);
	assert_int_equal(rig_open(rig, arg), 0);
	load_model(rig, &model);
	some_rounds(rig, &model, ROUNDS);
	assert_int_equal(rig_close(rig), 0);
	if (*format == 'q') {
		snprintf(command, sizeof(command), "qemu-img check -f qcow2 %s", path);
		must_run(command);
	}

	assert_int_equal(rig_open(rig, arg), 0);
	some_rounds(rig, &model, ROUNDS / 2);
	assert_int_equal(rig_close(rig), 0);

	write_file("model", model.now, SIZE, SIZE);
	free(model.now);
	if (*format == 'q') {
		must_run(command);
		snprintf(command, sizeof(command), "qemu-img compare -f raw -F qcow2 model %s",
			 path);
	} else {
		snprintf(command, sizeof(command), "cmp model %s", path);
	}
	must_run(command);
}

static void raw_by(struct rig *rig, const char *options)
{
	char arg[64];

	write_file("disk", "x", 1, SIZE);
	snprintf(arg, sizeof(arg), "disk,format=raw%s", options);
	work_on(rig, arg, "raw", 1);
}

static void raw_by_threads(void **state)
{
	raw_by(*state, ",engine=threads");
}

static void raw_by_threads_direct(void **state)
{
	raw_by(*state, ",engine=threads,direct");
}

static void raw_by_aio(void **state)
{
#ifdef HAVE_LIBAIO
	raw_by(*state, ",engine=aio");
#else
	print_message("built without libaio\n");
	skip();
#endif
}

static void raw_by_aio_direct(void **state)
{
#ifdef HAVE_LIBAIO
	raw_by(*state, ",engine=aio,direct");
#else
	print_message("built without libaio\n");
	skip();
#endif
}

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

static void need_uring(void)
{
#ifdef HAVE_LIBURING
	struct io_uring ring;
	int ret = io_uring_queue_init(1, &ring, 0);

	if (!ret) {
		io_uring_queue_exit(&ring);
		return;
	}
	print_message("this kernel does not offer io_uring: %s\n", strerror(-ret));
#else
	print_message("built without liburing\n");
#endif
	skip();
}

static void raw_by_uring(void **state)
{
	need_uring();
	raw_by(*state, ",engine=uring");
}

static void raw_by_uring_direct(void **state)
{
	need_uring();
	raw_by(*state, ",engine=uring,direct");
}

static void qcow2_as(struct rig *rig, const char *options, const char *more, unsigned int seed)
{
	char command[256], arg[64];

	need_qemu_img();
	snprintf(command, sizeof(command), "qemu-img create -f qcow2 -o %s disk %u", options, SIZE);
	must_run(command);
	snprintf(arg, sizeof(arg), "disk%s", more);
	work_on(rig, arg, "qcow2", seed);
}

static void qcow2_default(void **state)
{
	qcow2_as(*state, "cluster_size=64k", "", 2);
}

static void qcow2_direct(void **state)
{
	qcow2_as(*state, "cluster_size=64k", ",direct", 3);
}

static void qcow2_by_uring(void **state)
{
	need_uring();
	qcow2_as(*state, "cluster_size=16k", ",engine=uring", 4);
}

static void qcow2_version_2(void **state)
{
	qcow2_as(*state, "compat=0.10", "", 5);
}

static void qcow2_smallest_clusters_grow_the_refcount_table(void **state)
{
	qcow2_as(*state, "cluster_size=512,refcount_bits=64", "", 6);
}

static void qcow2_largest_clusters(void **state)
{
	qcow2_as(*state, "cluster_size=2M", "", 7);
}

static void qcow2_every_refcount_width(void **state)
{
	char options[64];

	for (unsigned int bits = 1; bits <= 64; bits *= 2) {
		snprintf(options, sizeof(options), "cluster_size=4k,refcount_bits=%u", bits);
		qcow2_as(*state, options, "", 8 + bits);
	}
}

static void qcow2_preallocated(void **state)
{
	qcow2_as(*state, "preallocation=metadata,lazy_refcounts=on", "", 100);
	qcow2_as(*state, "preallocation=falloc", "", 101);
}

/* A base with something in it, smaller than what lies above it. */
static void make_base(const char *path, unsigned int seed)
{
	struct model model = { malloc(SIZE), seed };

	memset(model.now, 0, SIZE);
	for (int i = 0; i < 40; i++)
		fill(&model, model.now + next(&model) % (SIZE - 65536), 1 + next(&model) % 65536);
	write_file(path, model.now, SIZE / 2 + 512, SIZE / 2 + 512);
	free(model.now);
}

static void qcow2_above_a_smaller_raw_file(void **state)
{
	need_qemu_img();
	make_base("base", 1);
	qcow2_as(*state, "backing_file=base,backing_fmt=raw", "", 110);
	qcow2_as(*state, "backing_file=base,backing_fmt=raw,compat=0.10,cluster_size=4k", "", 111);
}

static void qcow2_above_qcow2(void **state)
{
	need_qemu_img();
	make_base("raw", 2);
	must_run("qemu-img convert -O qcow2 -o cluster_size=4k raw low");
	must_run("qemu-img create -f qcow2 -b low -F qcow2 -o cluster_size=2M base 5M");
	qcow2_as(*state, "backing_file=base,backing_fmt=qcow2,cluster_size=8k", "", 112);
}

static MAYBE_UNUSED void compressed(struct rig *rig, const char *type)
{
	char command[128];

	need_qemu_img();
	make_base("raw", 3);
	must_run("truncate -s 6M raw");
	snprintf(command, sizeof(command),
		 "qemu-img convert -c -O qcow2 -o compression_type=%s raw disk", type);
	must_run(command);
	work_on(rig, "disk", "qcow2", 113);
}

static void qcow2_compressed_by_zlib(void **state)
{
#ifdef HAVE_ZLIB
	compressed(*state, "zlib");
#else
	print_message("built without zlib\n");
	skip();
#endif
}

static void qcow2_compressed_by_zstd(void **state)
{
#ifdef HAVE_ZSTD
	compressed(*state, "zstd");
#else
	print_message("built without zstd\n");
	skip();
#endif
}

/* What a snapshot has is not changed by writing to the disk. */
static void qcow2_with_snapshots(void **state)
{
	need_qemu_img();
	make_base("raw", 4);
	must_run("truncate -s 6M raw");
	must_run("qemu-img convert -O qcow2 -o cluster_size=8k raw disk");
	must_run("qemu-img snapshot -c one disk");
	work_on(*state, "disk", "qcow2", 114);
	must_run("qemu-img snapshot -c two disk");
	must_run("cp model two");
	work_on(*state, "disk", "qcow2", 115);
	must_run("qemu-img convert -l snapshot.name=one -O raw disk got && cmp got raw");
	must_run("qemu-img convert -l snapshot.name=two -O raw disk got && cmp got two");
	must_run("qemu-img snapshot -d one disk && qemu-img check disk");
}

static void a_snapshot_option_keeps_the_file(void **state)
{
	struct rig *rig = *state;
	struct model model = { NULL, 116 };

	make_base("disk", 5);
	must_run("truncate -s 6M disk && cp disk before");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_open(rig, i ? "disk,snapshot" : "disk,snapshot,direct"), 0);
		load_model(rig, &model);
		some_rounds(rig, &model, ROUNDS);
		free(model.now);
		assert_int_equal(rig_close(rig), 0);
		must_run("cmp disk before");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(raw_by_threads),
		TEST(raw_by_threads_direct),
		TEST(raw_by_aio),
		TEST(raw_by_aio_direct),
		TEST(raw_by_uring),
		TEST(raw_by_uring_direct),
		TEST(qcow2_default),
		TEST(qcow2_direct),
		TEST(qcow2_by_uring),
		TEST(qcow2_version_2),
		TEST(qcow2_smallest_clusters_grow_the_refcount_table),
		TEST(qcow2_largest_clusters),
		TEST(qcow2_every_refcount_width),
		TEST(qcow2_preallocated),
		TEST(qcow2_above_a_smaller_raw_file),
		TEST(qcow2_above_qcow2),
		TEST(qcow2_compressed_by_zlib),
		TEST(qcow2_compressed_by_zstd),
		TEST(qcow2_with_snapshots),
		TEST(a_snapshot_option_keeps_the_file),
	};

	return cmocka_run_group_tests_name("disk-random", tests, NULL, NULL);
}
