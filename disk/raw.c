// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Raw images: the file or block device is the disk.
 *
 * A guest that can write another format's magic to a disk whose format is guessed would choose what
 * the disk is the next time, and with a qcow2 header which file of the host lies below it. So such
 * a write fails, unless the user has said that the disk is raw.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "kvm/log.h"

struct raw {
	struct image image;
	bool guessed;
	bool told;
};

static struct raw *raw_of(struct image *image)
{
	return CONTAINER_OF(image, struct raw, image);
}

static void io_done(struct disk_io *io, int ret)
{
	disk_request__done(CONTAINER_OF(io, struct disk_request, io), ret);
}

static void run_job(struct disk_job *job)
{
	struct disk_request *req = CONTAINER_OF(job, struct disk_request, job);
	struct disk_file *file = req->io.file;

	if (req->now == DISK_DISCARD)
		req->ret = disk_file__discard(file, req->offset, req->len);
	else
		req->ret = disk_file__zero(file, req->offset, req->len, req->unmap);
}

static void job_done(struct disk_job *job)
{
	struct disk_request *req = CONTAINER_OF(job, struct disk_request, job);

	disk_request__done(req, req->ret);
}

static bool changes_format(struct raw *raw, const struct disk_request *req)
{
	struct iov_cursor at = { req->iov, req->nr_iov, 0 };
	uint8_t start[DISK_SECTOR] = { 0 };
	const char *name;

	if (!raw->guessed || req->now != DISK_WRITE || req->offset >= sizeof(start))
		return false;
	iov_cursor__copy_from(&at, start + req->offset,
			      req->len < sizeof(start) - req->offset
				      ? (size_t)req->len
				      : sizeof(start) - (size_t)req->offset);
	if (!probe__format(start, sizeof(start), &name))
		return false;
	if (!raw->told)
		pr_warn("Disk %s: the guest would make it look like a %s image: refused; "
			"\",format=raw\" says that it is none",
			raw->image.file.path, name);
	raw->told = true;
	return true;
}

static void raw_submit(struct image *image, struct disk_request *req)
{
	if (changes_format(raw_of(image), req)) {
		disk_request__done(req, -EPERM);
		return;
	}
	if (req->now == DISK_DISCARD || req->now == DISK_WRITE_ZEROES) {
		req->io.file = &image->file;
		req->job = (struct disk_job){ .run = run_job, .done = job_done };
		disk_pool__run(disk__pool(req->disk), &req->job);
		return;
	}
	req->io.op = req->now;
	req->io.iov = req->iov;
	req->io.nr_iov = req->nr_iov;
	req->io.offset = req->offset;
	req->io.len = req->len;
	req->io.done = io_done;
	disk_file__submit(&image->file, &req->io);
}

static int raw_map(struct image *image, uint64_t offset, uint64_t len, struct extent *out)
{
	*out = (struct extent){ EXTENT_DATA, &image->file, offset, len };
	return 0;
}

static int raw_readv(struct image *image, uint64_t offset, struct iov_cursor *at, uint64_t len)
{
	return disk_file__readv(&image->file, offset, at, len);
}

static int raw_close(struct image *image)
{
	int ret = disk_file__sync(&image->file);

	if (ret)
		pr_warn("Disk %s: what was written last may be lost: %s", image->file.path,
			strerror(-ret));
	return ret;
}

static const struct image_ops raw_ops = {
	.name = "raw",
	.submit = raw_submit,
	.map = raw_map,
	.readv = raw_readv,
	.close = raw_close,
};

int raw__open(struct disk_file *file, struct image_open *how, struct image **out)
{
	struct raw *raw = calloc(1, sizeof(*raw));

	if (!raw) {
		disk_file__close(file);
		return -ENOMEM;
	}
	if (file->size > INT64_MAX - DISK_SECTOR) {
		pr_fatal("Disk %s: it is too large", file->path);
		disk_file__close(file);
		free(raw);
		return -EFBIG;
	}
	raw->image = (struct image){
		.ops = &raw_ops,
		.file = *file,
		.size = (file->size + DISK_SECTOR - 1) & ~(uint64_t)(DISK_SECTOR - 1),
		.read_only = how->read_only,
		.discard_granularity = file->discard_granularity,
	};
	raw->image.file.tail_zero = raw->image.size;
	raw->guessed = how->format == DISK_FORMAT_AUTO;
	*out = &raw->image;
	return 0;
}
