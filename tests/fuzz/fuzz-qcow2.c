// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A qcow2 image of arbitrary bytes is opened, read, written, zeroed, discarded, flushed and closed:
 * each of these ends, with an error or without. Its backing file's name is taken out first: it could
 * be any file of the machine.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm/disk.h"
#include "kvm/event.h"
#include "kvm/log.h"

#define MAX_SIZE (1u << 20)
#define PIECE	 3000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each input has something to complain about. */
void pr_fatal(const char *fmt, ...)
{
}

void pr_warn(const char *fmt, ...)
{
}

void pr_info(const char *fmt, ...)
{
}

static void on_done(struct disk_request *req, int ret)
{
}

static void request(struct disk *disk, enum disk_op op, uint64_t offset, uint64_t len)
{
	static uint8_t buf[PIECE];
	struct iovec iov = { buf, len };
	struct disk_request req = {
		.op = op,
		.offset = offset,
		.len = len,
		.iov = &iov,
		.nr_iov = 1,
		.unmap = offset & 1,
		.done = on_done,
	};

	disk__submit(disk, &req);
	disk__drain(disk);
}

static void work(struct disk *disk)
{
	uint64_t size = disk__info(disk)->size;
	uint64_t places[] = { 0, 512, 4096, size / 2, size - 512, size - PIECE };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		request(disk, DISK_READ, places[i], PIECE);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		request(disk, DISK_WRITE, places[i], PIECE);
		request(disk, DISK_WRITE_ZEROES, places[i] + 1024, 1536);
	}
	request(disk, DISK_READ, size - 512, 512);
	request(disk, DISK_WRITE, size - 512, 512);
	request(disk, DISK_FLUSH, 0, 0);
	request(disk, DISK_DISCARD, 0, size < MAX_SIZE ? size : MAX_SIZE);
	request(disk, DISK_FLUSH, 0, 0);
	request(disk, DISK_READ, 0, PIECE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t no_backing[8];
	struct disk_spec spec = { .format = DISK_FORMAT_QCOW2, .engine = DISK_ENGINE_THREADS };
	struct event_loop *loop = event_loop__create();
	struct disk *disk;
	char path[40];
	int fd = memfd_create("image", MFD_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	spec.path = path;
	if (loop && fd >= 0 && size <= MAX_SIZE && write(fd, data, size) == (ssize_t)size) {
		if (size > 16 && pwrite(fd, no_backing, sizeof(no_backing), 8) < 0)
			size = 0;
		for (int read_only = 1; size && read_only >= 0; read_only--) {
			spec.read_only = read_only;
			if (disk__open(&spec, loop, &disk))
				continue;
			work(disk);
			disk__close(disk);
		}
	}
	close(fd);
	event_loop__destroy(loop);
	return 0;
}
