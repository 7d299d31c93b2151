// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A qcow2 image is believed nothing: features that lkvm does not have are refused by name, damaged
 * headers and tables are an error, never more. The images here are made by hand.
 */
#include "disk-rig.h"

#include <endian.h>

#define BITS	9
#define CLUSTER (1u << BITS)
#define SIZE	65536u

/* Clusters: header, refcount table, its block, L1 table, L2 table of the first 64 clusters, data. */
#define AT_RT	 (1 * CLUSTER)
#define AT_BLOCK (2 * CLUSTER)
#define AT_L1	 (3 * CLUSTER)
#define AT_L2	 (4 * CLUSTER)
#define AT_DATA	 (5 * CLUSTER)
#define USED	 6

#define COPIED (1ull << 63)

static void put32(size_t at, uint32_t value)
{
	value = htobe32(value);
	patch_file("disk", (off_t)at, &value, sizeof(value));
}

static void put64(size_t at, uint64_t value)
{
	value = htobe64(value);
	patch_file("disk", (off_t)at, &value, sizeof(value));
}

static void put8(size_t at, uint8_t value)
{
	patch_file("disk", (off_t)at, &value, 1);
}

static void make_image(void)
{
	char data[CLUSTER];

	write_file("disk", "QFI\xfb", 4, USED * CLUSTER);
	put32(4, 3);
	put32(20, BITS);
	put64(24, SIZE);
	put32(36, SIZE / CLUSTER / (CLUSTER / 8));
	put64(40, AT_L1);
	put64(48, AT_RT);
	put32(56, 1);
	put32(96, 4);
	put32(100, 104);
	put64(AT_RT, AT_BLOCK);
	for (size_t i = 0; i < USED; i++)
		put8(AT_BLOCK + 2 * i + 1, 1);
	put64(AT_L1, AT_L2 | COPIED);
	put64(AT_L2, AT_DATA | COPIED);
	memset(data, 'd', sizeof(data));
	patch_file("disk", AT_DATA, data, sizeof(data));
}

static void the_image_made_here_is_good(void **state)
{
	struct rig *rig = *state;
	char buf[CLUSTER];

	make_image();
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_string_equal(disk__info(rig->disk)->format, "qcow2");
	assert_int_equal(disk__info(rig->disk)->size, SIZE);
	assert_int_equal(rig_do(rig, DISK_READ, 0, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0], 'd');
	assert_int_equal(rig_do(rig, DISK_READ, CLUSTER, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0], 0);
	assert_int_equal(rig_do(rig, DISK_WRITE, SIZE - 512, buf, 512), 0);
	assert_int_equal(rig_close(rig), 0);
	need_qemu_img();
	must_run("qemu-img check disk");
}

/* What lkvm says on standard error while @arg is opened. */
static int open_hearing(struct rig *rig, const char *arg, char *said, size_t size)
{
	int out = dup(STDERR_FILENO);
	int fd = open("said", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;
	int ret;

	dup2(fd, STDERR_FILENO);
	ret = rig_open(rig, arg);
	dup2(out, STDERR_FILENO);
	n = pread(fd, said, size - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
	close(out);
	return ret;
}

static void expect_refusal(struct rig *rig, int err, const char *words)
{
	char said[1024];

	assert_int_equal(open_hearing(rig, "disk", said, sizeof(said)), err);
	if (!strstr(said, words))
		fail_msg("\"%s\" is not in: %s", words, said);
}

struct field {
	size_t at;
	unsigned int bytes;
	uint64_t value;
	int err;
	const char *words;
};

static void refuse_each(struct rig *rig, const struct field *field, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		make_image();
		if (field[i].bytes == 8)
			put64(field[i].at, field[i].value);
		else
			put32(field[i].at, (uint32_t)field[i].value);
		expect_refusal(rig, field[i].err, field[i].words);
	}
}

static void what_lkvm_lacks_is_refused_by_name(void **state)
{
	static const struct field fields[] = {
		{ 4, 4, 4, -ENOTSUP, "version 4" },
		{ 32, 4, 1, -ENOTSUP, "AES" },
		{ 32, 4, 2, -ENOTSUP, "LUKS" },
		{ 32, 4, 9, -ENOTSUP, "encrypted" },
		{ 72, 8, 1 << 0, -EINVAL, "qemu-img check -r" },
		{ 72, 8, 1 << 1, -EINVAL, "marked as corrupt" },
		{ 72, 8, 1 << 2, -ENOTSUP, "external data file" },
		{ 72, 8, 1 << 3, -EINVAL, "compression type" },
		{ 72, 8, 1 << 4, -ENOTSUP, "extended L2" },
		{ 72, 8, 1ull << 40, -ENOTSUP, "bit 40" },
	};

	refuse_each(*state, fields, ARRAY_SIZE(fields));
}

static void an_unknown_feature_is_called_what_the_image_calls_it(void **state)
{
	static const char name[] = "time travel";

	make_image();
	put64(72, 1 << 7);
	put32(104, 0x6803f857);
	put32(108, 48);
	put8(113, 7);
	patch_file("disk", 114, name, sizeof(name));
	expect_refusal(*state, -ENOTSUP, "time travel");
}

static void an_impossible_header_is_refused(void **state)
{
	static const struct field fields[] = {
		{ 20, 4, 8, -EINVAL, "clusters" },
		{ 20, 4, 22, -EINVAL, "clusters" },
		{ 20, 4, 0xffffffff, -EINVAL, "clusters" },
		{ 24, 8, 0, -EINVAL, "size" },
		{ 24, 8, UINT64_MAX, -EINVAL, "size" },
		{ 24, 8, 1ull << 62, -EFBIG, "L1 table" },
		{ 24, 8, SIZE + 1, -EINVAL, "too small" },
		{ 36, 4, 1, -EINVAL, "too small" },
		{ 36, 4, 0xffffffff, -EFBIG, "L1 table" },
		{ 36, 4, 10000, -EINVAL, "L1 table" },
		{ 40, 8, 0, -EINVAL, "L1 table" },
		{ 40, 8, AT_L1 + 8, -EINVAL, "L1 table" },
		{ 40, 8, AT_RT, -EINVAL, "overlap" },
		{ 40, 8, UINT64_MAX - 511, -EINVAL, "L1 table" },
		{ 48, 8, 0, -EINVAL, "refcount table" },
		{ 48, 8, 1ull << 60, -EINVAL, "refcount table" },
		{ 56, 4, 0, -EINVAL, "refcount table" },
		{ 56, 4, 0xffffffff, -EFBIG, "refcount table" },
		{ 96, 4, 7, -EINVAL, "64 bits" },
		{ 100, 4, 96, -EINVAL, "length" },
		{ 100, 4, 0xfffffff8, -EINVAL, "length" },
		{ 100, 4, 1024, -EINVAL, "length" },
		{ 8, 8, 600, -EINVAL, "backing file" },
		{ 8, 8, UINT64_MAX, -EINVAL, "backing file" },
		{ 104, 8, 0x1234567800000200ull, -EINVAL, "extension" },
		{ 104, 8, 0x12345678ffffffffull, -EINVAL, "extension" },
		{ 104, 8, 0xe2792acaffffffffull, -EINVAL, "extension" },
		{ 104, 8, 0xe2792aca00000020ull, -EINVAL, "backing format" },
	};

	refuse_each(*state, fields, ARRAY_SIZE(fields));
	make_image();
	assert_int_equal(truncate("disk", 60), 0);
	expect_refusal(*state, -EINVAL, "cut short");
}

static void a_damaged_table_is_refused(void **state)
{
	static const struct field fields[] = {
		{ AT_L1, 8, (AT_L2 + 512) * 1000ull | COPIED, -EINVAL, "L1 table is damaged" },
		{ AT_L1, 8, AT_L1 | COPIED, -EINVAL, "L1 table is damaged" },
		{ AT_L1 + 8, 8, AT_RT, -EINVAL, "L1 table is damaged" },
		{ AT_RT, 8, AT_RT, -EINVAL, "refcount table is damaged" },
		{ AT_RT + 8, 8, 1ull << 50, -EINVAL, "refcount table is damaged" },
	};

	refuse_each(*state, fields, ARRAY_SIZE(fields));
}

static void a_damaged_entry_is_an_io_error(void **state)
{
	static const uint64_t entries[] = {
		AT_L1 | COPIED,			  /* a table */
		AT_RT | COPIED,			  /* another */
		(1ull << 50) | COPIED,		  /* not in the file */
		(AT_DATA + CLUSTER * 2) | COPIED, /* just behind it */
		0xffffffffffff0000ull,		  /* compressed, far away */
		(1ull << 62) | 4,		  /* compressed, in the header */
	};
	struct rig *rig = *state;
	char buf[CLUSTER] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		make_image();
		put64(AT_L2, entries[i]);
		assert_int_equal(rig_open(rig, "disk"), 0);
		assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 512), -EIO);
		assert_int_equal(rig_do(rig, DISK_READ, CLUSTER, buf, 512), 0);
		/* Whatever else is in it, it is written to no more, and says so the next time. */
		assert_int_equal(rig_do(rig, DISK_WRITE, CLUSTER, buf, 512), -EIO);
		rig_close(rig);
		expect_refusal(rig, -EINVAL, "marked as corrupt");
		assert_int_equal(rig_open(rig, "disk,ro"), 0);
		rig_close(rig);
	}
}

static void a_refcount_that_lies_does_not_get_tables_overwritten(void **state)
{
	struct rig *rig = *state;
	char buf[CLUSTER], before[USED * CLUSTER], after[USED * CLUSTER];

	memset(buf, 'w', sizeof(buf));
	for (size_t i = 0; i < 5; i++) {
		make_image();
		put8(AT_BLOCK + 2 * i + 1, 0);
		put64(72, 0);
		read_back("disk", 0, before, sizeof(before));
		assert_int_equal(rig_open(rig, "disk"), 0);
		assert_int_equal(rig_do(rig, DISK_WRITE, CLUSTER, buf, sizeof(buf)), -EIO);
		rig_close(rig);
		read_back("disk", 0, after, sizeof(after));
		assert_memory_equal(before + CLUSTER, after + CLUSTER, sizeof(after) - CLUSTER);
	}
}

static void a_refcount_block_that_is_an_l2_table_is_found(void **state)
{
	struct rig *rig = *state;
	char buf[CLUSTER] = { 0 };

	make_image();
	put64(AT_RT, AT_L2);
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 512), 0);
	assert_int_equal(rig_do(rig, DISK_WRITE, CLUSTER, buf, 512), -EIO);
}

static void a_truncated_image_is_an_io_error(void **state)
{
	struct rig *rig = *state;
	char buf[CLUSTER];

	make_image();
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_int_equal(truncate("disk", AT_DATA), 0);
	assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 512), -EIO);
	rig_close(rig);
	make_image();
	assert_int_equal(rig_open(rig, "disk"), 0);
	assert_int_equal(truncate("disk", AT_L2), 0);
	assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 512), -EIO);
}

static void garbage_in_a_compressed_cluster_is_an_io_error(void **state)
{
	struct rig *rig = *state;
	char buf[CLUSTER];

	make_image();
	put64(AT_L2, 1ull << 62 | AT_DATA);
	assert_int_equal(rig_open(rig, "disk"), 0);
#ifdef HAVE_ZLIB
	assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 512), -EIO);
#else
	assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 512), -ENOTSUP);
#endif
	/* The rest of the disk is none the worse. */
	assert_int_equal(rig_do(rig, DISK_WRITE, CLUSTER, buf, 512), 0);
}

static void set_backing(const char *path, const char *name, const char *format)
{
	uint32_t len = htobe32((uint32_t)strlen(name));
	uint64_t at = htobe64(256);

	patch_file(path, 8, &at, 8);
	patch_file(path, 16, &len, 4);
	patch_file(path, 256, name, strlen(name));
	if (*format) {
		uint32_t ext[2] = { htobe32(0xe2792aca), htobe32((uint32_t)strlen(format)) };

		patch_file(path, 104, ext, sizeof(ext));
		patch_file(path, 112, format, strlen(format));
	}
}

static void a_backing_loop_is_refused(void **state)
{
	make_image();
	set_backing("disk", "disk", "qcow2");
	expect_refusal(*state, -ELOOP, "its own backing file");

	make_image();
	must_run("cp disk other");
	set_backing("disk", "other", "qcow2");
	set_backing("other", "./disk", "qcow2");
	expect_refusal(*state, -ELOOP, "its own backing file");
}

static void a_backing_file_must_be_a_file_of_a_known_format(void **state)
{
	make_image();
	set_backing("disk", "nbd:localhost:10809", "raw");
	expect_refusal(*state, -ENOTSUP, "URL");
	make_image();
	set_backing("disk", "json:{}", "");
	expect_refusal(*state, -ENOTSUP, "URL");
	make_image();
	set_backing("disk", "base", "vmdk");
	expect_refusal(*state, -ENOTSUP, "vmdk");
	make_image();
	set_backing("disk", "nowhere", "raw");
	expect_refusal(*state, -ENOENT, "nowhere");
	write_file("base", "KDMV", 4, 4096);
	make_image();
	set_backing("disk", "base", "");
	expect_refusal(*state, -ENOTSUP, "VMDK");
}

static void a_backing_file_is_found_beside_the_image(void **state)
{
	struct rig *rig = *state;
	char buf[CLUSTER];

	make_image();
	memset(buf, 'b', sizeof(buf));
	write_file("base", buf, sizeof(buf), sizeof(buf));
	patch_file("base", 0, "bbbb", 4);
	must_run("mkdir sub && mv base sub");
	set_backing("disk", "base", "raw");
	put64(AT_L2, 0);
	must_run("mv disk sub");
	assert_int_equal(rig_open(rig, "sub/disk"), 0);
	assert_int_equal(rig_do(rig, DISK_READ, 0, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0], 'b');
	/* Behind the end of the base there are zeroes. */
	assert_int_equal(rig_do(rig, DISK_READ, CLUSTER, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0], 0);
}

static void bits_that_writing_makes_wrong_are_cleared(void **state)
{
	struct rig *rig = *state;
	uint64_t autoclear = 1;

	make_image();
	put64(88, 3);
	assert_int_equal(rig_open(rig, "disk,ro"), 0);
	rig_close(rig);
	read_back("disk", 88, &autoclear, 8);
	assert_int_equal(be64toh(autoclear), 3);
	assert_int_equal(rig_open(rig, "disk"), 0);
	rig_close(rig);
	read_back("disk", 88, &autoclear, 8);
	assert_int_equal(autoclear, 0);
}

static void a_discarded_cluster_is_given_back(void **state)
{
	struct rig *rig = *state;
	struct stat before, after;
	char *buf = malloc(1 << 20);

	need_qemu_img();
	must_run("qemu-img create -f qcow2 disk 64M");
	memset(buf, 'x', 1 << 20);
	assert_int_equal(rig_open(rig, "disk"), 0);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(rig_do(rig, DISK_WRITE, i << 20, buf, 1 << 20), 0);
	assert_int_equal(rig_do(rig, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat("disk", &before), 0);
	assert_int_equal(rig_do(rig, DISK_DISCARD, 0, NULL, 16 << 20), 0);
	assert_int_equal(rig_do(rig, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat("disk", &after), 0);
	assert_true(before.st_blocks * 512 > 16 << 20);
	assert_true(after.st_blocks * 512 < 2 << 20);
	/* And the clusters are used again. */
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(rig_do(rig, DISK_WRITE, (i + 20) << 20, buf, 1 << 20), 0);
	assert_int_equal(rig_close(rig), 0);
	assert_int_equal(stat("disk", &after), 0);
	assert_true(after.st_size <= before.st_size + (1 << 20));
	must_run("qemu-img check disk");
	free(buf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_image_made_here_is_good),
		TEST(what_lkvm_lacks_is_refused_by_name),
		TEST(an_unknown_feature_is_called_what_the_image_calls_it),
		TEST(an_impossible_header_is_refused),
		TEST(a_damaged_table_is_refused),
		TEST(a_damaged_entry_is_an_io_error),
		TEST(a_refcount_that_lies_does_not_get_tables_overwritten),
		TEST(a_refcount_block_that_is_an_l2_table_is_found),
		TEST(a_truncated_image_is_an_io_error),
		TEST(garbage_in_a_compressed_cluster_is_an_io_error),
		TEST(a_backing_loop_is_refused),
		TEST(a_backing_file_must_be_a_file_of_a_known_format),
		TEST(a_backing_file_is_found_beside_the_image),
		TEST(bits_that_writing_makes_wrong_are_cleared),
		TEST(a_discarded_cluster_is_given_back),
	};

	return cmocka_run_group_tests_name("disk-qcow2", tests, NULL, NULL);
}
