// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening an image of whatever format, and reading across the end of one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/disk.h"
#include "kvm/log.h"

#define PROBE_BYTES 512

static int refuse_format(const struct disk_file *file, const char *name)
{
	pr_fatal("Disk %s: lkvm does not have the %s format; convert it (qemu-img convert -O "
		 "qcow2), or if these are the bytes of a raw disk, say \",format=raw\"",
		 file->path, name);
	return -ENOTSUP;
}

/* A fixed VHD is a raw disk with a footer. */
static bool has_vhd_footer(struct disk_file *file)
{
	char footer[8];

	return file->size >= PROBE_BYTES && !file->is_block &&
	       !disk_file__read(file, file->size - PROBE_BYTES, footer, sizeof(footer)) &&
	       !memcmp(footer, "conectix", sizeof(footer));
}

static int tell_format(struct disk_file *file, enum disk_format *format)
{
	uint8_t start[PROBE_BYTES] = { 0 };
	size_t len = file->size < sizeof(start) ? (size_t)file->size : sizeof(start);
	const char *name = "VHD";
	int ret = disk_file__read(file, 0, start, len);

	if (ret) {
		pr_fatal("Disk %s: cannot read its beginning: %s", file->path, strerror(-ret));
		return ret;
	}
	if (!probe__format(start, len, &name)) {
		*format = DISK_FORMAT_RAW;
		return has_vhd_footer(file) ? refuse_format(file, name) : 0;
	}
	*format = DISK_FORMAT_QCOW2;
	return strcmp(name, "qcow2") ? refuse_format(file, name) : 0;
}

/* An image below itself would be read for ever. What cannot be looked at cannot be opened either. */
static int refuse_loop(struct image_open *how)
{
	struct stat st;

	if (how->depth >= IMAGE_MAX_DEPTH) {
		pr_fatal("Disk %s: more than %d images lie above each other", how->path,
			 IMAGE_MAX_DEPTH);
		return -ELOOP;
	}
	if (stat(how->path, &st))
		return 0;
	how->dev = st.st_dev;
	how->ino = st.st_ino;
	for (struct image_open *above = how->above; above; above = above->above) {
		if (above->dev == st.st_dev && above->ino == st.st_ino) {
			pr_fatal("Disk %s: it is its own backing file, by way of %s", how->path,
				 how->above->path);
			return -ELOOP;
		}
	}
	return 0;
}

int image__open(struct image_open *how, struct image **out)
{
	enum disk_format format = how->format;
	struct disk_file file;
	int ret = refuse_loop(how);

	if (!ret)
		ret = disk_file__open(&file, how->path, how->read_only, how->direct);
	if (ret)
		return ret;
	if (!file.size) {
		pr_fatal("Disk %s: it is empty (\"truncate -s SIZE\" makes it a raw disk)",
			 file.path);
		ret = -EINVAL;
	}
	if (!ret && format == DISK_FORMAT_AUTO)
		ret = tell_format(&file, &format);
	if (ret) {
		disk_file__close(&file);
		return ret;
	}
	return format == DISK_FORMAT_QCOW2 ? qcow2__open(&file, how, out)
					   : raw__open(&file, how, out);
}

int image__close(struct image *image)
{
	int ret = 0;

	while (image) {
		struct image *backing = image->backing;
		int err = image->ops->close(image);

		ret = ret ? ret : err;
		disk_file__close(&image->file);
		free(image);
		image = backing;
	}
	return ret;
}

void image__use_engine(struct image *image, struct disk_engine *engine, struct disk_pool *pool)
{
	for (; image; image = image->backing) {
		image->file.engine = engine;
		image->file.pool = pool;
	}
}

/* How much of the range is within the image. */
static uint64_t clamp(const struct image *image, uint64_t offset, uint64_t len)
{
	if (!image || offset >= image->size)
		return 0;
	return len < image->size - offset ? len : image->size - offset;
}

int image__readv(struct image *image, uint64_t offset, struct iov_cursor *at, uint64_t len)
{
	uint64_t inside = clamp(image, offset, len);
	int ret = inside ? image->ops->readv(image, offset, at, inside) : 0;

	if (!ret)
		iov_cursor__zero(at, len - inside);
	return ret;
}

int image__map(struct image *image, uint64_t offset, uint64_t len, struct extent *out)
{
	uint64_t inside = clamp(image, offset, len);

	if (inside)
		return image->ops->map(image, offset, inside, out);
	*out = (struct extent){ .kind = EXTENT_ZERO, .len = len };
	return 0;
}
