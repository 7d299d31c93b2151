/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that a guest is made of (kernel, initrd): opened once, mapped read-only, never copied
 * whole.
 *
 * Boot loaders look at headers through the mapping and read bulk straight into guest RAM.
 */
#ifndef KVM_FILE_H
#define KVM_FILE_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/**
 * struct file - an open file
 * @what:    what it is to the user: "kernel", "initrd"
 * @path:    as the user gave it
 * @fd:      descriptor, or -1 if nothing is open
 * @data:    all of it, mapped
 * @size:    bytes, never 0
 * @changed: when its contents were last changed, as of opening it
 */
struct file {
	const char *what;
	const char *path;
	int fd;
	const uint8_t *data;
	uint64_t size;
	struct timespec changed;
};

/**
 * file__init - nothing open
 */
void file__init(struct file *file);

/**
 * file__open - open and map a regular file, or take in what a pipe delivers
 * @file: receives the open file; on failure it is as file__init() leaves it
 * @what: for messages; must outlive @file, as must @path
 * @path: where it is
 * @max:  more bytes than this are an error
 *
 * Return: 0; -EISDIR for a directory; -EINVAL for an empty file or one that is neither regular nor
 * a pipe; -EFBIG for one larger than @max; the errno of open, read or mmap. All have been printed
 * as "Unable to open WHAT PATH: reason".
 */
int file__open(struct file *file, const char *what, const char *path, uint64_t max);

/**
 * file__close - unmap and close; harmless on one that is not open
 */
void file__close(struct file *file);

/**
 * file__check_unchanged - is it still the file that was opened?
 *
 * To be asked before @data is used again after a while: a file that has been truncated meanwhile
 * has no bytes behind its mapping.
 *
 * Return: 0, or -ESTALE, printed.
 */
int file__check_unchanged(const struct file *file);

/**
 * file__read - copy part of the file without going through the mapping
 *
 * Return: 0; -EIO if it ends too early; the errno of pread. Printed.
 */
int file__read(const struct file *file, uint64_t offset, void *to, uint64_t len);

/**
 * file__will_read - the bytes from @offset are about to be read through @data, all of them
 *
 * Maps them at one go where the host can; a matter of speed only.
 */
void file__will_read(const struct file *file, uint64_t offset, uint64_t len);

/**
 * file__drop_pages - take the mapping's pages out of this process's memory until they are used
 * again
 */
void file__drop_pages(const struct file *file);

#endif
