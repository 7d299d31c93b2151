/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of disk/ share: threads, engines, host files, images, and the disk that holds
 * them.
 *
 * Top to bottom: a disk (order of overlapping requests) → an image (where do the bytes lie?) → a
 * host file (alignment, short transfers) → an engine or the pool of threads.
 */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <stdatomic.h>
#include <time.h>

#include "kvm/disk.h"

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* --- pool.c: threads for what would block the loop ------------------------------------------ */

struct disk_pool;

/**
 * disk_pool__create - Return: a pool without threads (they come with work), or NULL, printed
 */
struct disk_pool *disk_pool__create(void);

/**
 * disk_pool__destroy - end the threads; nothing may be in flight. NULL is harmless
 */
void disk_pool__destroy(struct disk_pool *pool);

/**
 * disk_pool__run - run a job in a thread, then its done() on the loop
 *
 * Where no thread can be had, it runs here and now; done() still comes from the loop.
 */
void disk_pool__run(struct disk_pool *pool, struct disk_job *job);

/**
 * disk_pool__fd, disk_pool__reap - readable when jobs are done; call their done()
 */
int disk_pool__fd(const struct disk_pool *pool);
void disk_pool__reap(struct disk_pool *pool);

/* --- engines -------------------------------------------------------------------------------- */

struct disk_engine;

/**
 * struct disk_engine_ops - how reads, writes and flushes get to the kernel
 * @queue: take one; false if there is no room or it is not for this engine
 * @kick:  submit what is queued
 * @reap:  complete what is done, by disk_io__complete()
 * @destroy: nothing is in flight
 */
struct disk_engine_ops {
	const char *name;
	bool (*queue)(struct disk_engine *engine, struct disk_io *io);
	void (*kick)(struct disk_engine *engine);
	void (*reap)(struct disk_engine *engine);
	void (*destroy)(struct disk_engine *engine);
};

/**
 * struct disk_engine - embedded first in each engine
 * @fd: readable when there is something to reap
 */
struct disk_engine {
	const struct disk_engine_ops *ops;
	int fd;
};

#define DISK_ENGINE_DEPTH 256

/**
 * disk_engine__aio, disk_engine__uring - Return: 0; -ENOTSUP if not built in; errno of the system
 * call. Nothing is printed.
 */
int disk_engine__aio(struct disk_engine **out);
int disk_engine__uring(struct disk_engine **out);

/**
 * disk_io__complete - an engine has done one
 * @res: bytes, or negative errno
 */
void disk_io__complete(struct disk_io *io, long res);

/* --- iov.c ---------------------------------------------------------------------------------- */

/**
 * struct iov_cursor - a position in a list of buffers
 */
struct iov_cursor {
	const struct iovec *iov;
	unsigned int nr;
	size_t skip;
};

/**
 * iov_cursor__take - describe the next bytes as a list of at most @max buffers, and move on
 *
 * Return: bytes described: @len, or fewer if @max or the buffers run out.
 */
size_t iov_cursor__take(struct iov_cursor *at, size_t len, struct iovec *to, unsigned int max,
			unsigned int *nr);

/**
 * iov_cursor__copy_to, iov_cursor__copy_from, iov_cursor__zero - move on over @len bytes
 */
void iov_cursor__copy_to(struct iov_cursor *at, const void *from, size_t len);
void iov_cursor__copy_from(struct iov_cursor *at, void *to, size_t len);
void iov_cursor__zero(struct iov_cursor *at, size_t len);

/* --- file.c --------------------------------------------------------------------------------- */

/**
 * struct disk_file - an open file or block device of the host
 * @path:     for messages; owned
 * @fd:       through the page cache
 * @direct_fd: with O_DIRECT, or -1
 * @size:     bytes when it was opened, or refreshed
 * @align:    of offsets and lengths for @direct_fd
 * @mem_align: of addresses for @direct_fd
 * @logical_block, @physical_block, @min_io, @optimal_io, @discard_granularity, @can_discard: what
 * the storage says
 * @read_only: opened so
 * @is_block: a block device
 * @no_sync:  a temporary that nobody will ever want back: flushes do nothing
 * @engine:   for asynchronous requests, NULL before there is one
 * @nowait:   a read of cached bytes can be tried without waiting
 * @aio_nowait: the same for libaio's requests
 * @slow_writes: how many of the next ones had better be done in a thread
 * @tail_zero: bytes from @size up to this offset read as zeroes
 */
struct disk_file {
	char *path;
	int fd;
	int direct_fd;
	uint64_t size;
	uint32_t align;
	uint32_t mem_align;
	uint32_t logical_block, physical_block, min_io, optimal_io, discard_granularity;
	bool can_discard;
	bool read_only;
	bool is_block;
	bool no_sync;
	struct disk_engine *engine;
	struct disk_pool *pool;
	bool nowait;
	bool aio_nowait;
	unsigned int slow_writes;
	_Atomic uint64_t tail_zero;
};

/**
 * disk_file__open - open and lock
 * @file: receives it
 *
 * Return: 0 or negative errno, printed.
 */
int disk_file__open(struct disk_file *file, const char *path, bool read_only, bool direct);

/**
 * disk_file__open_temporary - a file without a name, gone when closed
 * @direct: as above
 */
int disk_file__open_temporary(struct disk_file *file, bool direct);

/**
 * disk_file__close - harmless on one that is not open
 */
void disk_file__close(struct disk_file *file);

/**
 * disk_file__measure - bytes of a file or block device now
 */
int disk_file__measure(const struct disk_file *file, uint64_t *size);

/**
 * disk_file__submit - start @io; its done() gets 0 or negative errno, on the loop or at once
 */
void disk_file__submit(struct disk_file *file, struct disk_io *io);

/**
 * disk_file__readv, disk_file__writev - all of it, here and now; any thread
 *
 * Return: 0; -EIO if the file ends too early; errno.
 */
int disk_file__readv(struct disk_file *file, uint64_t offset, struct iov_cursor *at, uint64_t len);
int disk_file__writev(struct disk_file *file, uint64_t offset, struct iov_cursor *at, uint64_t len);

/**
 * disk_file__read, disk_file__write - the same for one buffer, never O_DIRECT: for metadata
 */
int disk_file__read(struct disk_file *file, uint64_t offset, void *to, uint64_t len);
int disk_file__write(struct disk_file *file, uint64_t offset, const void *from, uint64_t len);

/**
 * disk_file__sync - fdatasync
 */
int disk_file__sync(struct disk_file *file);

/**
 * disk_file__discard - give space back; what is read there afterwards is undefined
 * disk_file__zero - make it read as zeroes
 * @unmap: the space may be given back
 */
int disk_file__discard(struct disk_file *file, uint64_t offset, uint64_t len);
int disk_file__zero(struct disk_file *file, uint64_t offset, uint64_t len, bool unmap);

/* --- images --------------------------------------------------------------------------------- */

struct image;

/**
 * enum extent_kind - what a piece of an image is
 */
enum extent_kind { EXTENT_ZERO, EXTENT_DATA };

/**
 * struct extent - a piece of an image that is of one kind
 * @file, @offset: where its bytes are, for EXTENT_DATA
 * @len: bytes, never 0
 */
struct extent {
	enum extent_kind kind;
	struct disk_file *file;
	uint64_t offset;
	uint64_t len;
};

/**
 * struct image_ops - an image format
 * @submit: start a request; disk_request__done() ends it
 * @map:    what is at @offset? Never waits: -EAGAIN if that needs I/O or decompression
 * @readv:  read here and now, any thread; the range is within the image
 * @close:  write back and free all but the struct's allocation
 */
struct image_ops {
	const char *name;
	void (*submit)(struct image *image, struct disk_request *req);
	int (*map)(struct image *image, uint64_t offset, uint64_t len, struct extent *out);
	int (*readv)(struct image *image, uint64_t offset, struct iov_cursor *at, uint64_t len);
	int (*close)(struct image *image);
};

/**
 * struct image - embedded first in each format's own
 * @size:    of the disk, in bytes
 * @backing: image below, or NULL
 */
struct image {
	const struct image_ops *ops;
	struct disk_file file;
	uint64_t size;
	bool read_only;
	uint32_t discard_granularity;
	struct image *backing;
};

/**
 * struct image_open - how to open one
 * @depth: images above it
 * @above: the one that names it as its backing file, or NULL
 */
struct image_open {
	const char *path;
	enum disk_format format;
	bool read_only;
	bool direct;
	unsigned int depth;
	struct image_open *above;
	dev_t dev;
	ino_t ino;
};

#define IMAGE_MAX_DEPTH 64

/**
 * image__open - open an image and all below it
 *
 * Return: 0 or negative errno, printed.
 */
int image__open(struct image_open *how, struct image **out);

/**
 * image__close - harmless on NULL. Return: 0 or negative errno, printed.
 */
int image__close(struct image *image);

/**
 * image__use_engine - from now on it and all below do asynchronous I/O
 */
void image__use_engine(struct image *image, struct disk_engine *engine, struct disk_pool *pool);

/**
 * image__readv, image__map - as image_ops, but the range may go beyond the image's end, where
 * zeroes are; @image may be NULL
 */
int image__readv(struct image *image, uint64_t offset, struct iov_cursor *at, uint64_t len);
int image__map(struct image *image, uint64_t offset, uint64_t len, struct extent *out);

/**
 * raw__open, qcow2__open - take over @file (also on failure) and make an image of it
 */
int raw__open(struct disk_file *file, struct image_open *how, struct image **out);
int qcow2__open(struct disk_file *file, struct image_open *how, struct image **out);

/**
 * qcow2__overlay - an image in a temporary file that keeps what is written, above @backing
 *
 * Takes over @backing, also on failure.
 */
int qcow2__overlay(struct image *backing, bool direct, struct image **out);

/**
 * probe__format - which format do these bytes begin?
 * @len:  at least 512 of a file; fewer if it is shorter
 * @name: receives its name
 *
 * Return: true if they have a magic of any known format.
 */
bool probe__format(const uint8_t *data, size_t len, const char **name);

/* --- disk.c --------------------------------------------------------------------------------- */

/**
 * disk_request__widen - before it changes more than it was asked to
 *
 * Return: true if @req may go on; false if others are in the way: it will be submitted again.
 */
bool disk_request__widen(struct disk_request *req, uint64_t first, uint64_t last);

/**
 * disk_request__done - the image has done it; on the loop
 */
void disk_request__done(struct disk_request *req, int ret);

/**
 * disk__pool - where jobs run
 */
struct disk_pool *disk__pool(struct disk *disk);

#endif
