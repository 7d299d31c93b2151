/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of disks: a directory to work in, a disk on a loop, requests that are waited for,
 * and qemu-img where it is installed.
 */
#ifndef TESTS_UNIT_DISK_RIG_H
#define TESTS_UNIT_DISK_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#include "kvm/disk.h"
#include "kvm/event.h"

#define MAYBE_UNUSED __attribute__((unused))

struct rig {
	struct event_loop *loop;
	struct disk *disk;
	char dir[64];
	int answered, ret;
};

static int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	snprintf(rig->dir, sizeof(rig->dir), "/tmp/lkvm-disk-XXXXXX");
	if (!mkdtemp(rig->dir) || chdir(rig->dir))
		return -1;
	rig->loop = event_loop__create();
	*state = rig;
	return rig->loop ? 0 : -1;
}

static int rig_teardown(void **state)
{
	struct rig *rig = *state;
	char command[256];
	int ret;

	disk__close(rig->disk);
	event_loop__destroy(rig->loop);
	snprintf(command, sizeof(command), "cd / && { umount %s/full 2>/dev/null; rm -rf %s; }",
		 rig->dir, rig->dir);
	ret = system(command);
	if (chdir("/"))
		ret = -1;
	free(rig);
	return ret;
}

static MAYBE_UNUSED int rig_open(struct rig *rig, const char *arg)
{
	struct disk_spec spec;
	int ret = disk_spec__parse(&spec, arg);

	if (!ret)
		ret = disk__open(&spec, rig->loop, &rig->disk);
	disk_spec__free(&spec);
	return ret;
}

static MAYBE_UNUSED int rig_close(struct rig *rig)
{
	int ret = disk__close(rig->disk);

	rig->disk = NULL;
	return ret;
}

static MAYBE_UNUSED void rig_done(struct disk_request *req, int ret)
{
	struct rig *rig = req->ctx;

	rig->answered++;
	rig->ret = ret;
}

static MAYBE_UNUSED int rig_do(struct rig *rig, enum disk_op op, uint64_t offset, void *data,
			       uint64_t len)
{
	struct iovec iov = { data, len };
	struct disk_request req = {
		.op = op,
		.offset = offset,
		.len = len,
		.iov = &iov,
		.nr_iov = 1,
		.unmap = true,
		.done = rig_done,
		.ctx = rig,
	};

	rig->answered = 0;
	disk__submit(rig->disk, &req);
	disk__drain(rig->disk);
	assert_int_equal(rig->answered, 1);
	return rig->ret;
}

static MAYBE_UNUSED void write_file(const char *path, const void *data, size_t len, off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, 0), (ssize_t)len);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static MAYBE_UNUSED void patch_file(const char *path, off_t offset, const void *data, size_t len)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, offset), (ssize_t)len);
	close(fd);
}

static MAYBE_UNUSED void read_back(const char *path, off_t offset, void *data, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, len, offset), (ssize_t)len);
	close(fd);
}

/* Run a command in a shell, quietly. Return: its exit status. */
static MAYBE_UNUSED int __attribute__((format(printf, 1, 2))) run(const char *fmt, ...)
{
	char command[1024], quiet[1100];
	va_list args;
	int status;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	snprintf(quiet, sizeof(quiet), "{ %s; } >log 2>&1 </dev/null", command);
	status = system(quiet);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static MAYBE_UNUSED void must_run(const char *command)
{
	if (run("%s", command)) {
		(void)!system("cat log >&2");
		fail_msg("%s", command);
	}
}

static MAYBE_UNUSED void need_qemu_img(void)
{
	if (!run("qemu-img --version"))
		return;
	print_message("qemu-img (Debian: qemu-utils) is not installed\n");
	skip();
}

#endif
