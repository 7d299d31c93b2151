// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files that a guest is made of.
 *
 * Theory of operation: a regular file is mapped as it is. A pipe, as from a shell's <(zcat …), is
 * poured into a memfd first and is a file like any other from then on. Nothing is resident but what
 * is looked at, and file__drop_pages() makes away with that.
 */
#include "kvm/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/log.h"
#include "kvm/sys.h"

#define PIPE_CHUNK 65536

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* since Linux 5.14; older ones say EINVAL */
#endif

void file__init(struct file *file)
{
	*file = (struct file){ .fd = -1 };
}

static int refuse(const struct file *file, int err, const char *why)
{
	pr_fatal("Unable to open %s %s: %s", file->what, file->path, why);
	return err;
}

static int fail(const struct file *file, int err)
{
	return refuse(file, err, strerror(-err));
}

static int refuse_size(const struct file *file, uint64_t max)
{
	pr_fatal("Unable to open %s %s: it is larger than the %llu MiB that there is room for",
		 file->what, file->path, (unsigned long long)(max >> 20));
	return -EFBIG;
}

static int write_all(int fd, const char *from, size_t len)
{
	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0)
			return -errno;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

static int pour(int from, int to, uint64_t max)
{
	char chunk[PIPE_CHUNK];
	uint64_t total = 0;

	for (;;) {
		ssize_t n = read(from, chunk, sizeof(chunk));
		int ret;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : 0;
		total += (uint64_t)n;
		if (total > max)
			return -EFBIG;
		ret = write_all(to, chunk, (size_t)n);
		if (ret)
			return ret;
	}
}

/* Replace the pipe behind @file by a file with what comes out of it. */
static int take_in(struct file *file, uint64_t max)
{
	int fd = memfd_create(file->what, MFD_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = pour(file->fd, fd, max);
	sys__close(file->fd);
	file->fd = fd;
	return ret;
}

static int map(struct file *file, uint64_t max)
{
	struct stat st;
	void *data;
	int ret;

	if (fstat(file->fd, &st))
		return fail(file, -errno);
	if (S_ISDIR(st.st_mode))
		return fail(file, -EISDIR);
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) {
		ret = take_in(file, max);
		if (ret)
			return ret == -EFBIG ? refuse_size(file, max) : fail(file, ret);
		if (fstat(file->fd, &st))
			return fail(file, -errno);
	}
	if (!S_ISREG(st.st_mode))
		return refuse(file, -EINVAL, "it is neither a regular file nor a pipe");
	if (!st.st_size)
		return refuse(file, -EINVAL, "it is empty");
	if ((uint64_t)st.st_size > max)
		return refuse_size(file, max);

	ret = sys__mmap((size_t)st.st_size, PROT_READ, MAP_PRIVATE, file->fd, 0, &data);
	if (ret)
		return fail(file, ret);
	file->data = data;
	file->size = (uint64_t)st.st_size;
	file->changed = st.st_mtim;
	return 0;
}

int file__open(struct file *file, const char *what, const char *path, uint64_t max)
{
	int ret;

	*file = (struct file){ .what = what, .path = path };
	file->fd = sys__open(path, O_RDONLY | O_NOCTTY);
	ret = file->fd < 0 ? fail(file, file->fd) : map(file, max);
	if (ret)
		file__close(file);
	return ret;
}

void file__close(struct file *file)
{
	sys__munmap((void *)(uintptr_t)file->data, file->size);
	sys__close(file->fd);
	file__init(file);
}

int file__check_unchanged(const struct file *file)
{
	struct stat st;

	if (!fstat(file->fd, &st) && (uint64_t)st.st_size == file->size &&
	    st.st_mtim.tv_sec == file->changed.tv_sec &&
	    st.st_mtim.tv_nsec == file->changed.tv_nsec)
		return 0;
	pr_fatal("The %s %s has been changed since the guest was started: start it anew",
		 file->what, file->path);
	return -ESTALE;
}

int file__read(const struct file *file, uint64_t offset, void *to, uint64_t len)
{
	char *at = to;

	while (len) {
		ssize_t n = pread(file->fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int ret = n ? -errno : -EIO;

			pr_fatal("Unable to read %s %s: %s", file->what, file->path,
				 n ? strerror(-ret) : "it ends too early");
			return ret;
		}
		at += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

void file__will_read(const struct file *file, uint64_t offset, uint64_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = offset & ~(page - 1);

	if (offset <= file->size && len <= file->size - offset)
		madvise((void *)(uintptr_t)(file->data + start), offset - start + len,
			MADV_POPULATE_READ);
}

void file__drop_pages(const struct file *file)
{
	if (file->data)
		madvise((void *)(uintptr_t)file->data, file->size, MADV_DONTNEED);
}
