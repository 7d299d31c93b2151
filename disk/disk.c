// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk: what is asked of an image, in order.
 *
 * Theory of operation: all requests that are not complete are in one list, in the order in which
 * they came. One whose range overlaps that of another before it, where at least one of the two
 * changes the disk, waits; and so does one that a format widens over a range that another is
 * working on. Requests only ever wait for those that run, or that came earlier, so there is always
 * one that goes on.
 *
 * The lock is held while requests are started and completions are collected, never while a callback
 * runs: those are called from a list by whoever leaves the disk (leave()).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "disk/disk.h"
#include "kvm/event.h"
#include "kvm/log.h"

#define DRAIN_MS      10
#define LINE_INTERVAL 10 /* seconds between two lines about failing requests */

TAILQ_HEAD(request_list, disk_request);

struct disk {
	struct disk_info info;
	struct event_loop *loop;
	struct disk_pool *pool;
	struct disk_engine *engine;
	struct event *pool_event, *engine_event;
	struct image *image;
	pthread_mutex_t lock; /* all below */
	struct request_list requests, completed;
	unsigned int in_flight; /* until the callback has returned */
	unsigned int waiting;
	bool rescan;
	disk_grow_fn on_grow;
	void *grow_ctx;
	disk_batch_fn on_batch;
	void *batch_ctx;
	time_t last_line;
	unsigned int unprinted;
};

/* --- order ---------------------------------------------------------------------------------- */

static bool changes(const struct disk_request *req)
{
	return req->op != DISK_READ;
}

static bool overlap(const struct disk_request *a, const struct disk_request *b)
{
	return a->op != DISK_FLUSH && b->op != DISK_FLUSH && (changes(a) || changes(b)) &&
	       a->first <= b->last && b->first <= a->last;
}

static bool must_wait(const struct disk *disk, const struct disk_request *req)
{
	const struct disk_request *other;
	bool before = true;

	TAILQ_FOREACH(other, &disk->requests, link)
	{
		if (other == req)
			before = false;
		else if ((before || !other->waiting) && overlap(req, other))
			return true;
	}
	return false;
}

static void start(struct disk *disk, struct disk_request *req)
{
	req->waiting = must_wait(disk, req);
	if (req->waiting)
		disk->waiting++;
	else
		disk->image->ops->submit(disk->image, req);
}

bool disk_request__widen(struct disk_request *req, uint64_t first, uint64_t last)
{
	if (first < req->first)
		req->first = first;
	if (last > req->last)
		req->last = last;
	req->waiting = must_wait(req->disk, req);
	if (req->waiting)
		req->disk->waiting++;
	return !req->waiting;
}

static void start_waiting(struct disk *disk)
{
	struct disk_request *req, *next;

	while (disk->rescan && disk->waiting) {
		disk->rescan = false;
		for (req = TAILQ_FIRST(&disk->requests); req; req = next) {
			next = TAILQ_NEXT(req, link);
			if (!req->waiting)
				continue;
			disk->waiting--;
			start(disk, req);
		}
	}
	disk->rescan = false;
}

/* --- completion ----------------------------------------------------------------------------- */

static const char *op_name(enum disk_op op)
{
	static const char *const names[] = { "read", "write", "flush", "discard", "write-zeroes" };

	return names[op];
}

static void report(struct disk *disk, const struct disk_request *req, int ret)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (disk->last_line && now.tv_sec - disk->last_line < LINE_INTERVAL) {
		disk->unprinted++;
		return;
	}
	disk->last_line = now.tv_sec;
	if (req->now == DISK_FLUSH)
		pr_warn("Disk %s: flush: %s (%u like it before)", disk->image->file.path,
			strerror(-ret), disk->unprinted);
	else
		pr_warn("Disk %s: %s of %llu bytes at %llu: %s (%u like it before)",
			disk->image->file.path, op_name(req->now), (unsigned long long)req->len,
			(unsigned long long)req->offset, strerror(-ret), disk->unprinted);
	disk->unprinted = 0;
}

static void complete(struct disk *disk, struct disk_request *req, int ret)
{
	req->ret = ret;
	TAILQ_REMOVE(&disk->requests, req, link);
	TAILQ_INSERT_TAIL(&disk->completed, req, link);
}

void disk_request__done(struct disk_request *req, int ret)
{
	struct disk *disk = req->disk;

	if (ret && ret != -EPERM)
		report(disk, req, ret);
	if (!ret && !disk->info.write_cache &&
	    (req->now == DISK_WRITE || req->now == DISK_WRITE_ZEROES)) {
		req->now = DISK_FLUSH;
		disk->image->ops->submit(disk->image, req);
		return;
	}
	complete(disk, req, ret);
	disk->rescan = true;
}

/* Unlock, and call those whose requests are complete. */
static void leave(struct disk *disk)
{
	struct request_list completed = TAILQ_HEAD_INITIALIZER(completed);
	struct disk_request *req;

	start_waiting(disk);
	TAILQ_CONCAT(&completed, &disk->completed, link);
	pthread_mutex_unlock(&disk->lock);

	while ((req = TAILQ_FIRST(&completed))) {
		TAILQ_REMOVE(&completed, req, link);
		req->done(req, req->ret); /* @req may be gone */
		pthread_mutex_lock(&disk->lock);
		disk->in_flight--;
		pthread_mutex_unlock(&disk->lock);
	}
}

static void kick_engine(struct disk *disk)
{
	if (disk->engine)
		disk->engine->ops->kick(disk->engine);
}

static void reap(struct disk *disk)
{
	disk_batch_fn fn;
	void *ctx;

	pthread_mutex_lock(&disk->lock);
	disk_pool__reap(disk->pool);
	if (disk->engine)
		disk->engine->ops->reap(disk->engine);
	start_waiting(disk);
	kick_engine(disk);
	fn = disk->on_batch;
	ctx = disk->batch_ctx;
	leave(disk);
	if (fn)
		fn(ctx);
}

static void on_event(void *ctx, uint32_t events)
{
	reap(ctx);
}

void disk__wait(struct disk *disk, bool (*is_done)(void *ctx), void *ctx)
{
	struct pollfd fds[2] = {
		{ .fd = disk_pool__fd(disk->pool), .events = POLLIN },
		{ .fd = disk->engine ? disk->engine->fd : -1, .events = POLLIN },
	};

	disk__kick(disk);
	while (!is_done(ctx)) {
		/* The loop may be quicker, or run a callback at this moment: look again soon. */
		if (poll(fds, 2, DRAIN_MS) < 0 && errno != EINTR)
			return;
		reap(disk);
	}
}

static bool is_idle(void *ctx)
{
	struct disk *disk = ctx;
	bool idle;

	pthread_mutex_lock(&disk->lock);
	idle = !disk->in_flight;
	pthread_mutex_unlock(&disk->lock);
	return idle;
}

void disk__drain(struct disk *disk)
{
	disk__wait(disk, is_idle, disk);
}

/* --- requests ------------------------------------------------------------------------------- */

static int check(const struct disk *disk, const struct disk_request *req)
{
	if (req->op == DISK_FLUSH)
		return 0;
	if (req->op > DISK_WRITE_ZEROES || !req->len || req->offset > disk->info.size ||
	    req->len > disk->info.size - req->offset)
		return -EINVAL;
	return changes(req) && disk->info.read_only ? -EROFS : 0;
}

void disk__submit(struct disk *disk, struct disk_request *req)
{
	int ret;

	req->disk = disk;
	req->now = req->op;
	req->waiting = false;
	req->first = req->offset;
	req->last = req->offset + req->len - 1;

	pthread_mutex_lock(&disk->lock);
	disk->in_flight++;
	TAILQ_INSERT_TAIL(&disk->requests, req, link);
	ret = check(disk, req);
	if (ret)
		complete(disk, req, ret);
	else
		start(disk, req);
	leave(disk);
}

void disk__kick(struct disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	kick_engine(disk);
	leave(disk);
}

/* --- properties ----------------------------------------------------------------------------- */

const struct disk_info *disk__info(const struct disk *disk)
{
	return &disk->info;
}

struct disk_pool *disk__pool(struct disk *disk)
{
	return disk->pool;
}

void disk__set_write_cache(struct disk *disk, bool on)
{
	pthread_mutex_lock(&disk->lock);
	disk->info.write_cache = on;
	pthread_mutex_unlock(&disk->lock);
}

void disk__on_batch(struct disk *disk, disk_batch_fn fn, void *ctx)
{
	pthread_mutex_lock(&disk->lock);
	disk->on_batch = fn;
	disk->batch_ctx = ctx;
	pthread_mutex_unlock(&disk->lock);
}

void disk__on_grow(struct disk *disk, disk_grow_fn fn, void *ctx)
{
	pthread_mutex_lock(&disk->lock);
	disk->on_grow = fn;
	disk->grow_ctx = ctx;
	pthread_mutex_unlock(&disk->lock);
}

int disk__refresh(struct disk *disk)
{
	struct image *image = disk->image;
	disk_grow_fn fn = NULL;
	void *ctx = NULL;
	uint64_t size;
	int ret;

	if (strcmp(image->ops->name, "raw"))
		return 0;
	ret = disk_file__measure(&image->file, &size);
	if (ret)
		return ret;
	size &= ~(uint64_t)(DISK_SECTOR - 1);
	if (size + DISK_SECTOR <= image->size) {
		pr_warn("Disk %s: it has shrunk from %llu to %llu bytes: what is beyond fails",
			image->file.path, (unsigned long long)image->size,
			(unsigned long long)size);
		return -ESTALE;
	}
	pthread_mutex_lock(&disk->lock);
	if (size > image->size) {
		image->file.size = size;
		image->file.tail_zero = size;
		image->size = size;
		disk->info.size = size;
		fn = disk->on_grow;
		ctx = disk->grow_ctx;
	}
	pthread_mutex_unlock(&disk->lock);
	if (fn)
		fn(ctx, size);
	return 0;
}

/* --- opening and closing -------------------------------------------------------------------- */

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void describe(struct disk *disk)
{
	const struct image *image = disk->image;
	const struct disk_file *file = &image->file;

	disk->info = (struct disk_info){
		.size = image->size,
		.read_only = image->read_only,
		.write_cache = true,
		.logical_block = file->logical_block,
		.physical_block = file->physical_block,
		.min_io = file->min_io,
		.optimal_io = file->optimal_io,
		.discard = !image->read_only && file->can_discard,
		.discard_granularity = max(image->discard_granularity, file->logical_block),
		.format = image->ops->name,
		.engine = disk->engine ? disk->engine->ops->name : "threads",
	};
}

static int choose_engine(struct disk *disk, const struct disk_spec *spec)
{
	bool uring = spec->engine == DISK_ENGINE_URING;
	const char *name = uring ? "io_uring" : "libaio";
	int ret;

	if (spec->engine == DISK_ENGINE_THREADS || (!spec->engine && !spec->direct))
		return 0;
	ret = uring ? disk_engine__uring(&disk->engine) : disk_engine__aio(&disk->engine);
	if (!ret || !spec->engine)
		return 0; /* threads always work */
	if (ret == -ENOTSUP)
		pr_fatal("Disk %s: lkvm was built without %s: leave out \",engine=%s\"", spec->path,
			 name, uring ? "uring" : "aio");
	else
		pr_fatal("Disk %s: cannot set up %s: %s", spec->path, name, strerror(-ret));
	return ret;
}

static int open_image(const struct disk_spec *spec, struct image **out)
{
	struct image_open how = {
		.path = spec->path,
		.format = spec->format,
		.read_only = spec->read_only || spec->snapshot,
		.direct = spec->direct,
	};
	int ret = image__open(&how, out);

	if (ret || !spec->snapshot || spec->read_only)
		return ret;
	ret = qcow2__overlay(*out, spec->direct, out);
	if (ret)
		*out = NULL; /* it has been closed */
	return ret;
}

static int set_up(struct disk *disk, const struct disk_spec *spec)
{
	int ret;

	disk->pool = disk_pool__create();
	if (!disk->pool)
		return -ENOMEM;
	ret = choose_engine(disk, spec);
	if (!ret)
		ret = open_image(spec, &disk->image);
	if (ret)
		return ret;
	image__use_engine(disk->image, disk->engine, disk->pool);
	describe(disk);

	disk->pool_event =
		event__add(disk->loop, disk_pool__fd(disk->pool), EPOLLIN, on_event, disk);
	if (disk->engine)
		disk->engine_event =
			event__add(disk->loop, disk->engine->fd, EPOLLIN, on_event, disk);
	if (disk->pool_event && (!disk->engine || disk->engine_event))
		return 0;
	ret = -errno;
	pr_fatal("Disk %s: cannot wait for its requests: %s", spec->path, strerror(-ret));
	return ret;
}

int disk__open(const struct disk_spec *spec, struct event_loop *loop, struct disk **out)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int ret;

	if (!disk)
		return -ENOMEM;
	disk->loop = loop;
	pthread_mutex_init(&disk->lock, NULL);
	TAILQ_INIT(&disk->requests);
	TAILQ_INIT(&disk->completed);
	ret = set_up(disk, spec);
	if (ret) {
		disk__close(disk);
		return ret;
	}
	*out = disk;
	return 0;
}

int disk__close(struct disk *disk)
{
	int ret;

	if (!disk)
		return 0;
	if (disk->image)
		disk__drain(disk);
	event__remove(disk->pool_event);
	event__remove(disk->engine_event);
	ret = image__close(disk->image);
	if (disk->engine)
		disk->engine->ops->destroy(disk->engine);
	disk_pool__destroy(disk->pool);
	pthread_mutex_destroy(&disk->lock);
	free(disk);
	return ret;
}
