// SPDX-License-Identifier: GPL-2.0-or-later
/* Files as they are: odd sizes, missing rights, full file systems, files that change under us. */
#include "disk-rig.h"

#include <signal.h>
#include <sys/resource.h>

#define SIZE (1u << 20)

static const char *const engines[] = {
	"threads",
#ifdef HAVE_LIBAIO
	"aio",
	"aio,direct",
#endif
};

static void a_partial_sector_at_the_end_reads_as_zeroes(void **state)
{
	struct rig *rig = *state;
	char buf[DISK_SECTOR], zero[DISK_SECTOR] = { 0 };

	write_file("disk", "abc", 3, 700);
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		char arg[64];

		snprintf(arg, sizeof(arg), "disk,engine=%s", engines[i]);
		assert_int_equal(rig_open(rig, arg), 0);
		assert_int_equal(disk__info(rig->disk)->size, 1024);
		memset(buf, 0xff, sizeof(buf));
		assert_int_equal(rig_do(rig, DISK_READ, 512, buf, 512), 0);
		assert_memory_equal(buf, zero, sizeof(zero));
		rig_close(rig);
	}
	assert_int_equal(rig_open(rig, "disk"), 0);
	memset(buf, 7, sizeof(buf));
	assert_int_equal(rig_do(rig, DISK_WRITE, 512, buf, 512), 0);
	assert_int_equal(rig_close(rig), 0);
	read_back("disk", 512, zero, 512);
	assert_memory_equal(buf, zero, sizeof(zero));
}

static void a_range_must_be_on_the_disk(void **state)
{
	struct rig *rig = *state;
	char buf[1024];

	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_int_equal(rig_do(rig, DISK_READ, SIZE - 512, buf, 1024), -EINVAL);
	assert_int_equal(rig_do(rig, DISK_READ, SIZE, buf, 512), -EINVAL);
	assert_int_equal(rig_do(rig, DISK_READ, UINT64_MAX - 511, buf, 1024), -EINVAL);
	assert_int_equal(rig_do(rig, DISK_WRITE, 0, buf, 0), -EINVAL);
	assert_int_equal(rig_do(rig, DISK_DISCARD, 512, NULL, UINT64_MAX), -EINVAL);
	assert_int_equal(rig_do(rig, DISK_READ, SIZE - 512, buf, 512), 0);
}

static void a_read_only_disk_is_not_written_to(void **state)
{
	struct rig *rig = *state;
	char buf[512] = { 1 };

	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk,ro"), 0);
	assert_true(disk__info(rig->disk)->read_only);
	assert_false(disk__info(rig->disk)->discard);
	assert_int_equal(rig_do(rig, DISK_WRITE, 0, buf, 512), -EROFS);
	assert_int_equal(rig_do(rig, DISK_WRITE_ZEROES, 0, NULL, 512), -EROFS);
	assert_int_equal(rig_do(rig, DISK_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(rig_do(rig, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 512), 0);
}

static void a_truncated_file_is_an_io_error(void **state)
{
	struct rig *rig = *state;
	char buf[4096];

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		char arg[64];

		write_file("disk", "", 0, SIZE);
		snprintf(arg, sizeof(arg), "disk,engine=%s", engines[i]);
		assert_int_equal(rig_open(rig, arg), 0);
		assert_int_equal(truncate("disk", SIZE / 2), 0);
		assert_int_equal(rig_do(rig, DISK_READ, SIZE - 4096, buf, 4096), -EIO);
		assert_int_equal(rig_do(rig, DISK_READ, SIZE / 2 - 2048, buf, 4096), -EIO);
		assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 4096), 0);
		assert_int_equal(disk__refresh(rig->disk), -ESTALE);
		rig_close(rig);
	}
}

static void a_limit_on_the_file_size_is_reported_to_the_request(void **state)
{
	struct rig *rig = *state;
	struct rlimit before, limit;
	char buf[4096] = { 1 };

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = SIZE / 2;
	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(rig_do(rig, DISK_WRITE, SIZE - 4096, buf, 4096), -EFBIG);
	assert_int_equal(rig_do(rig, DISK_WRITE, 0, buf, 4096), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(rig_do(rig, DISK_WRITE, SIZE - 4096, buf, 4096), 0);
}

static void discard_gives_space_back(void **state)
{
	struct rig *rig = *state;
	char *buf = malloc(SIZE);
	struct stat st;

	memset(buf, 1, SIZE);
	write_file("disk", buf, SIZE, SIZE);
	free(buf);
	assert_int_equal(rig_open(rig, "disk"), 0);
	if (!disk__info(rig->disk)->discard) {
		print_message("the file system of /tmp cannot punch holes\n");
		skip();
	}
	assert_int_equal(rig_do(rig, DISK_DISCARD, 0, NULL, SIZE / 2), 0);
	assert_int_equal(rig_do(rig, DISK_WRITE_ZEROES, SIZE / 2, NULL, SIZE / 2), 0);
	assert_int_equal(rig_close(rig), 0);
	assert_int_equal(stat("disk", &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_true(st.st_blocks * 512 < SIZE / 4);
}

static void on_grow(void *ctx, uint64_t size)
{
	*(uint64_t *)ctx = size;
}

static void growing_is_noticed_when_asked(void **state)
{
	struct rig *rig = *state;
	uint64_t told = 0;
	char buf[512];

	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk"), 0);
	disk__on_grow(rig->disk, on_grow, &told);
	assert_int_equal(disk__refresh(rig->disk), 0);
	assert_int_equal(told, 0);
	assert_int_equal(truncate("disk", 2 * SIZE), 0);
	assert_int_equal(rig_do(rig, DISK_READ, SIZE, buf, 512), -EINVAL);
	assert_int_equal(disk__refresh(rig->disk), 0);
	assert_int_equal(told, 2 * SIZE);
	assert_int_equal(rig_do(rig, DISK_READ, 2 * SIZE - 512, buf, 512), 0);
}

static void what_is_no_disk_is_refused(void **state)
{
	struct rig *rig = *state;

	write_file("empty", "", 0, 0);
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(rig_open(rig, "empty"), -EINVAL);
	assert_int_equal(rig_open(rig, "dir,ro"), -EISDIR);
	assert_int_equal(rig_open(rig, "pipe"), -EINVAL);
	assert_int_equal(rig_open(rig, "missing"), -ENOENT);
	assert_int_equal(rig_open(rig, "/dev/null"), -EINVAL);
}

static void two_writers_are_one_too_many(void **state)
{
	struct rig *rig = *state, second = { .loop = rig->loop };

	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_int_equal(rig_open(&second, "disk"), -EBUSY);
	assert_int_equal(rig_open(&second, "disk,ro"), -EBUSY);
	rig_close(rig);
	assert_int_equal(rig_open(rig, "disk,ro"), 0);
	assert_int_equal(rig_open(&second, "disk,ro"), 0);
	rig_close(&second);
	assert_int_equal(rig_open(&second, "disk"), -EBUSY);
}

static void qemu_respects_the_lock(void **state)
{
	struct rig *rig = *state;

	need_qemu_img();
	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_int_equal(run("qemu-img resize -f raw disk 2M 2>&1 | grep -i lock"), 0);
	rig_close(rig);
	must_run("qemu-img resize -f raw disk 2M");
}

static void other_formats_are_refused_by_name(void **state)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t len;
	} magic[] = {
		{ 0, "QFI\xfb\0\0\0\1", 8 },   { 0, "QED\0", 4 },    { 0, "KDMV", 4 },
		{ 0, "vhdxfile", 8 },	       { 0, "conectix", 8 }, { 64, "\x7f\x10\xda\xbe", 4 },
		{ SIZE - 512, "conectix", 8 },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(magic); i++) {
		write_file("disk", "", 0, SIZE);
		patch_file("disk", (off_t)magic[i].at, magic[i].bytes, magic[i].len);
		assert_int_equal(rig_open(rig, "disk"), -ENOTSUP);
		assert_int_equal(rig_open(rig, "disk,format=raw"), 0);
		rig_close(rig);
	}
}

static void a_guest_does_not_choose_the_format(void **state)
{
	struct rig *rig = *state;
	char buf[1024] = "QFI\xfb\0\0\0\3";

	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_int_equal(rig_do(rig, DISK_WRITE, 0, buf, sizeof(buf)), -EPERM);
	assert_int_equal(rig_do(rig, DISK_WRITE, 512, buf, 512), 0);
	rig_close(rig);
	assert_int_equal(rig_open(rig, "disk,format=raw"), 0);
	assert_int_equal(rig_do(rig, DISK_WRITE, 0, buf, sizeof(buf)), 0);
}

/* Two requests for the same bytes end as if one had come after the other. */
static void overlapping_writes_are_ordered(void **state)
{
	enum { N = 64, LEN = 8192 };
	struct rig *rig = *state;
	struct disk_request req[N];
	struct iovec iov[N];
	char *buf = malloc(N * LEN), got[LEN];

	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk,engine=threads"), 0);
	for (int i = 0; i < N; i++) {
		memset(buf + i * LEN, i, LEN);
		iov[i] = (struct iovec){ buf + i * LEN, LEN };
		req[i] = (struct disk_request){ .op = DISK_WRITE,
						.offset = (uint64_t)(i % 3) * 512,
						.len = LEN,
						.iov = &iov[i],
						.nr_iov = 1,
						.done = rig_done,
						.ctx = rig };
		disk__submit(rig->disk, &req[i]);
	}
	disk__drain(rig->disk);
	assert_int_equal(rig_do(rig, DISK_READ, 0, got, LEN), 0);
	for (int i = 0; i < LEN; i++)
		assert_int_equal(got[i], N - 1); /* (N - 1) % 3 == 0 */
	free(buf);
}

static void without_a_write_cache_a_write_is_durable(void **state)
{
	struct rig *rig = *state;
	char buf[512] = { 3 };

	write_file("disk", "", 0, SIZE);
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_true(disk__info(rig->disk)->write_cache);
	disk__set_write_cache(rig->disk, false);
	assert_int_equal(rig_do(rig, DISK_WRITE, 0, buf, 512), 0);
	assert_int_equal(rig->disk ? rig_do(rig, DISK_READ, 0, buf, 512) : -1, 0);
	assert_int_equal(buf[0], 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_partial_sector_at_the_end_reads_as_zeroes),
		TEST(a_range_must_be_on_the_disk),
		TEST(a_read_only_disk_is_not_written_to),
		TEST(a_truncated_file_is_an_io_error),
		TEST(a_limit_on_the_file_size_is_reported_to_the_request),
		TEST(discard_gives_space_back),
		TEST(growing_is_noticed_when_asked),
		TEST(what_is_no_disk_is_refused),
		TEST(two_writers_are_one_too_many),
		TEST(qemu_respects_the_lock),
		TEST(other_formats_are_refused_by_name),
		TEST(a_guest_does_not_choose_the_format),
		TEST(overlapping_writes_are_ordered),
		TEST(without_a_write_cache_a_write_is_durable),
	};

	return cmocka_run_group_tests_name("disk-raw", tests, NULL, NULL);
}
