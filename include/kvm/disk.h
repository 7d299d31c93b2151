/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks: a file, a block device or an image, seen as an array of bytes that is read and written
 * asynchronously.
 *
 * virtio-blk and its like open a disk, put requests to it, and are called back. Everything but
 * opening and closing may be done in any thread. Callbacks come from the thread of the disk's event
 * loop, from within disk__submit() and disk__kick(), or from disk__drain() and its kin; no lock is
 * held meanwhile, and they may submit more.
 */
#ifndef KVM_DISK_H
#define KVM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/uio.h>

struct disk;
struct disk_file;
struct disk_request;
struct event_loop;

#define DISK_SECTOR	512u
#define DISK_SERIAL_MAX 20
#define DISK_MAX_QUEUES 256

/**
 * enum disk_format - how the bytes of the disk lie in the file
 * @DISK_FORMAT_AUTO: told by magic
 */
enum disk_format { DISK_FORMAT_AUTO, DISK_FORMAT_RAW, DISK_FORMAT_QCOW2 };

/**
 * enum disk_engine_type - who carries requests to the kernel
 * @DISK_ENGINE_AUTO:    the one that measures best, see Documentation/disks.md
 * @DISK_ENGINE_AIO:     libaio for O_DIRECT, threads for the rest
 * @DISK_ENGINE_URING:   io_uring for everything
 * @DISK_ENGINE_THREADS: a pool of threads for everything
 */
enum disk_engine_type {
	DISK_ENGINE_AUTO,
	DISK_ENGINE_AIO,
	DISK_ENGINE_URING,
	DISK_ENGINE_THREADS,
};

/**
 * struct disk_spec - what a -d option asked for
 * @path:      of the file; owned
 * @read_only: ",ro"
 * @direct:    ",direct": past the host's page cache
 * @snapshot:  ",snapshot": writes go to an unlinked temporary file
 * @queues:    ",queues=N", 0 if not given
 * @format:    ",format=raw|qcow2"
 * @engine:    ",engine=aio|uring|threads"
 * @serial:    ",serial=…", empty if not given; not terminated when it has DISK_SERIAL_MAX bytes
 */
struct disk_spec {
	char *path;
	bool read_only;
	bool direct;
	bool snapshot;
	unsigned int queues;
	enum disk_format format;
	enum disk_engine_type engine;
	char serial[DISK_SERIAL_MAX];
};

/**
 * disk_spec__parse - FILE[,ro][,direct][,snapshot][,queues=N][,format=F][,engine=E][,serial=S]
 * @spec: receives it; disk_spec__free() it whatever comes back
 * @arg:  the argument; a comma in a file name is written twice
 *
 * Nothing is opened or looked at.
 *
 * Return: 0; -EINVAL or -ENOMEM, printed.
 */
int disk_spec__parse(struct disk_spec *spec, const char *arg);

/**
 * disk_spec__free - release what parsing allocated
 */
void disk_spec__free(struct disk_spec *spec);

/**
 * struct disk_info - what a disk is; all sizes in bytes
 * @size:                a multiple of DISK_SECTOR
 * @read_only:           writes fail with -EROFS
 * @write_cache:         a write that has completed may be lost by the host's power failure until
 * a flush has completed
 * @logical_block:       smallest request that costs no read-modify-write, a power of two
 * @physical_block:      the like below it, a power of two ≥ @logical_block
 * @min_io, @optimal_io: sizes that the storage likes, 0 if it does not say
 * @discard:             DISK_DISCARD gives space back
 * @discard_granularity: smallest piece that is given back, a power of two
 * @format:              "raw", "qcow2"
 * @engine:              "threads", "aio", "io_uring"
 */
struct disk_info {
	uint64_t size;
	bool read_only;
	bool write_cache;
	uint32_t logical_block;
	uint32_t physical_block;
	uint32_t min_io;
	uint32_t optimal_io;
	bool discard;
	uint32_t discard_granularity;
	const char *format;
	const char *engine;
};

/**
 * enum disk_op - what to do
 * @DISK_READ, @DISK_WRITE: @len bytes from or to @iov
 * @DISK_FLUSH:        make durable all that has completed; no range
 * @DISK_DISCARD:      the range is not needed any more: a hint
 * @DISK_WRITE_ZEROES: the range reads as zeroes from now on
 */
enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_WRITE_ZEROES };

/* Work for a thread of the pool; disk/ only. */
struct disk_job {
	void (*run)(struct disk_job *job);  /* in the thread */
	void (*done)(struct disk_job *job); /* afterwards, on the loop */
	struct disk_job *next;
};

/* One read, write or flush of a host file on its way; disk/ only. */
struct disk_io {
	enum disk_op op;
	struct disk_file *file;
	const struct iovec *iov;
	unsigned int nr_iov;
	uint64_t offset;
	uint64_t len;
	void (*done)(struct disk_io *io, int ret);
	struct disk_job job;
	int ret;
	bool buffered; /* not by the O_DIRECT descriptor */
	void *bounce;
	struct iovec bounce_iov;
	_Alignas(8) unsigned char engine_data[64];
};

/**
 * typedef disk_done_fn - a request has ended
 * @ret: 0; -EIO, -ENOSPC, -ENOMEM …; -EROFS for a write to a read-only disk; -EINVAL for a range
 * that is empty or not on the disk
 *
 * @req is the caller's again. May run before disk__submit() has returned.
 */
typedef void (*disk_done_fn)(struct disk_request *req, int ret);

/**
 * struct disk_request - a request; the caller's memory, which stays put until @done
 * @op:     what to do
 * @offset: first byte on the disk, of any alignment
 * @len:    bytes; for reads and writes the sum of @iov
 * @iov:    the buffers; stays put as well
 * @nr_iov: how many
 * @unmap:  for DISK_WRITE_ZEROES: the space may be given back
 * @done:   called once
 * @ctx:    the caller's
 *
 * Set these, and nothing else: the rest is private to disk/.
 */
struct disk_request {
	enum disk_op op;
	uint64_t offset;
	uint64_t len;
	const struct iovec *iov;
	unsigned int nr_iov;
	bool unmap;
	disk_done_fn done;
	void *ctx;

	struct disk *disk;
	TAILQ_ENTRY(disk_request) link;
	uint64_t first, last; /* bytes that it keeps others from */
	enum disk_op now;     /* @op, or the flush that follows it */
	bool waiting;
	int ret;
	struct disk_io io;
	struct disk_job job;
};

/**
 * disk__open - open a disk
 * @spec: what was asked for; not kept
 * @loop: where it completes requests
 * @out:  receives the disk
 *
 * The file is locked against a second writer (by the same record locks that QEMU's tools use).
 *
 * Return: 0; negative errno, printed with the path, the reason and the remedy: -EBUSY if another
 * process uses it, -ENOTSUP for a format or feature that lkvm does not have, -EINVAL for a damaged
 * image, errno of the system call that failed.
 */
int disk__open(const struct disk_spec *spec, struct event_loop *loop, struct disk **out);

/**
 * disk__info - what it is; changes with disk__refresh() and disk__set_write_cache()
 */
const struct disk_info *disk__info(const struct disk *disk);

/**
 * disk__submit - put a request
 *
 * Requests whose ranges overlap, one of them at least changing the disk, run in the order of their
 * submission; all others run at the same time. They may wait for disk__kick().
 */
void disk__submit(struct disk *disk, struct disk_request *req);

/**
 * disk__kick - hand what has been submitted to the kernel, all at once
 */
void disk__kick(struct disk *disk);

/**
 * typedef disk_batch_fn - some callbacks have been called
 */
typedef void (*disk_batch_fn)(void *ctx);

/**
 * disk__on_batch - who is to be told after the callbacks that the event loop or disk__drain() has
 * called: time to interrupt the guest, once for all of them
 */
void disk__on_batch(struct disk *disk, disk_batch_fn fn, void *ctx);

/**
 * disk__set_write_cache - with false, each write completes only when it is durable
 */
void disk__set_write_cache(struct disk *disk, bool on);

/**
 * typedef disk_grow_fn - the disk has become larger
 */
typedef void (*disk_grow_fn)(void *ctx, uint64_t size);

/**
 * disk__on_grow - who is to be told by disk__refresh(); NULL for nobody
 */
void disk__on_grow(struct disk *disk, disk_grow_fn fn, void *ctx);

/**
 * disk__refresh - look whether the file or block device behind a raw disk has grown
 *
 * Return: 0; -ESTALE, printed, if it has shrunk (requests beyond its end then fail); the errno of
 * fstat or ioctl.
 */
int disk__refresh(struct disk *disk);

/**
 * disk__drain - wait until nothing is in flight; all callbacks have returned when it does
 *
 * Does not need the event loop to run. Not to be called in a callback.
 */
void disk__drain(struct disk *disk);

/**
 * disk__wait - wait as disk__drain() does, until @is_done says so, which is asked after each batch
 */
void disk__wait(struct disk *disk, bool (*is_done)(void *ctx), void *ctx);

/**
 * disk__close - drain, write back, close, free; NULL is harmless
 *
 * Return: 0, or negative errno, printed, if what was written may not have reached the disk.
 */
int disk__close(struct disk *disk);

#endif
