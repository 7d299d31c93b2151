// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What takes root to set up: block devices, and file systems that are full. Skipped without.
 */
#include "disk-rig.h"

#define SIZE (8u << 20)

static void need_root(const char *what, int ok)
{
	if (ok)
		return;
	print_message("%s cannot be had here (it takes root)\n", what);
	skip();
}

/* A loop device over the file "disk". Return: its path, to be taken down by drop_loop(). */
static char *make_loop(const char *options)
{
	static char path[64];
	char command[128];
	FILE *in;

	snprintf(command, sizeof(command), "losetup %s -f --show disk 2>/dev/null", options);
	path[0] = '\0';
	in = popen(command, "r");
	if (in) {
		if (!fgets(path, sizeof(path), in))
			path[0] = '\0';
		pclose(in);
	}
	path[strcspn(path, "\n")] = '\0';
	return *path ? path : NULL;
}

static void drop_loop(const char *path)
{
	assert_int_equal(run("losetup -d %s", path), 0);
}

static void a_block_device_is_a_disk(void **state)
{
	struct rig *rig = *state;
	char buf[4096], back[4096];
	const char *loop;

	write_file("disk", "", 0, SIZE);
	loop = make_loop("");
	need_root("a loop device", loop != NULL);
	assert_int_equal(rig_open(rig, loop), 0);
	assert_int_equal(disk__info(rig->disk)->size, SIZE);
	assert_int_equal(disk__info(rig->disk)->logical_block, 512);
	memset(buf, 'l', sizeof(buf));
	assert_int_equal(rig_do(rig, DISK_WRITE, 512, buf, sizeof(buf)), 0);
	assert_int_equal(rig_do(rig, DISK_WRITE_ZEROES, 1024, NULL, 512), 0);
	assert_int_equal(rig_do(rig, DISK_FLUSH, 0, NULL, 0), 0);
	read_back("disk", 512, back, sizeof(back));
	memset(buf + 512, 0, 512);
	assert_memory_equal(buf, back, sizeof(buf));
	if (disk__info(rig->disk)->discard)
		assert_int_equal(rig_do(rig, DISK_DISCARD, 0, NULL, SIZE), 0);

	assert_int_equal(truncate("disk", 2 * SIZE), 0);
	assert_int_equal(run("losetup -c %s", loop), 0);
	assert_int_equal(disk__refresh(rig->disk), 0);
	assert_int_equal(disk__info(rig->disk)->size, 2 * SIZE);
	assert_int_equal(rig_close(rig), 0);
	drop_loop(loop);
}

static void a_device_with_large_sectors_says_so(void **state)
{
	struct rig *rig = *state;
	char buf[4096], back[4096];
	const char *loop;
	char arg[80];

	write_file("disk", "", 0, SIZE);
	loop = make_loop("--sector-size 4096");
	need_root("a loop device with sectors of 4096 bytes", loop != NULL);
	for (int i = 0; i < 2; i++) {
		snprintf(arg, sizeof(arg), "%s%s", loop, i ? ",direct" : "");
		assert_int_equal(rig_open(rig, arg), 0);
		assert_int_equal(disk__info(rig->disk)->logical_block, 4096);
		/* A guest that does not listen is served all the same. */
		memset(buf, 'a' + i, sizeof(buf));
		assert_int_equal(rig_do(rig, DISK_WRITE, 0, buf, 4096), 0);
		memset(buf, 'x' + i, sizeof(buf));
		assert_int_equal(rig_do(rig, DISK_WRITE, 512, buf, 512), 0);
		assert_int_equal(rig_do(rig, DISK_WRITE_ZEROES, 1024, NULL, 512), 0);
		assert_int_equal(rig_do(rig, DISK_READ, 0, back, 4096), 0);
		assert_int_equal(back[511], 'a' + i);
		assert_int_equal(back[512], 'x' + i);
		assert_int_equal(back[1024], 0);
		assert_int_equal(back[1536], 'a' + i);
		assert_int_equal(rig_close(rig), 0);
	}
	drop_loop(loop);
}

static void a_full_file_system_is_an_error_of_the_request(void **state)
{
	static const char *const formats[] = { "raw", "qcow2" };
	struct rig *rig = *state;
	char *buf = malloc(1 << 20);
	int ret = 0;

	need_qemu_img();
	memset(buf, 'f', 1 << 20);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(run("mkdir -p full"), 0);
		need_root("a tmpfs", !run("mount -t tmpfs -o size=4m lkvm-test full"));
		assert_int_equal(run("qemu-img create -f %s full/disk 16M", formats[i]), 0);
		assert_int_equal(run("head -c 1M /dev/zero >full/ballast"), 0);
		assert_int_equal(rig_open(rig, "full/disk"), 0);
		for (uint64_t at = 0; at < 16 && !ret; at++)
			ret = rig_do(rig, DISK_WRITE, at << 20, buf, 1 << 20);
		assert_int_equal(ret, -ENOSPC);
		ret = 0;
		/* What is there can be read, and with room again, it goes on. */
		assert_int_equal(rig_do(rig, DISK_READ, 0, buf, 512), 0);
		assert_int_equal(buf[0], 'f');
		assert_int_equal(unlink("full/ballast"), 0);
		assert_int_equal(rig_do(rig, DISK_WRITE, 15 << 20, buf, 4096), 0);
		assert_int_equal(rig_do(rig, DISK_FLUSH, 0, NULL, 0), 0);
		assert_int_equal(rig_close(rig), 0);
		if (i)
			assert_int_equal(run("qemu-img check full/disk"), 0);
		assert_int_equal(run("umount full"), 0);
	}
	free(buf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_block_device_is_a_disk),
		TEST(a_device_with_large_sectors_says_so),
		TEST(a_full_file_system_is_an_error_of_the_request),
	};

	return cmocka_run_group_tests_name("disk-host", tests, NULL, NULL);
}
