// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virtio core: status, features, configuration and set-up of queues (Virtio 1.2, sections 2 and
 * 3).
 *
 * Theory of operation. Everything that a driver does to a device as a whole happens under its
 * control lock, one thing after the other: writes to the status, to features, to queues. What
 * happens all the time does not touch that lock: a notification is an eventfd (an ioeventfd, or
 * virtio_device__notify() writes it) on the device's loop, which calls notify under the lock of
 * that queue alone.
 *
 * A queue runs or it does not, and that is a flag under its lock. To stop a device is to clear the
 * flags of all its queues, which waits for every notify that is under way, and then to have the
 * device end what it still has in flight. So the thread of the loop never waits for the control
 * lock, while holders of the control lock may wait for the loop.
 *
 * The eventfds are watched edge-triggered and never read: each write is an edge, and their counters
 * do not matter.
 *
 * A device that needs a reset (2.1.2) has a flag for it that every queue function looks at; nothing
 * is torn down until the driver resets it, because the one who finds out may hold any lock.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "kvm/event.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "kvm/virtio-queue.h"
#include "kvm/virtio-transport.h"

#define QUIET_SECONDS 10 /* between two lines about one device */
#define LEGACY_MASK   0xffffffffull
#define DRIVER_STATUS                                                                       \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

/* --- making and unmaking -------------------------------------------------------------------- */

static void queue_init(struct virtio_device *dev, unsigned int index)
{
	struct virtqueue *q = &dev->queue[index];

	q->dev = dev;
	q->index = index;
	q->max_size = q->size = VIRTIO_QUEUE_SIZE;
	q->kick_fd = q->call_fd = -1;
	pthread_mutex_init(&q->lock, NULL);
}

int virtio_device__init(struct virtio_device *dev, const struct virtio_ops *ops,
			const struct device_host *host, const char *name, unsigned int nr_queues)
{
	dev->queue = calloc(nr_queues ? nr_queues : 1, sizeof(*dev->queue));
	if (!dev->queue)
		return -ENOMEM;
	dev->ops = ops;
	dev->host = host;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	dev->nr_queues = nr_queues;
	dev->offered = VIRTIO_COMMON_FEATURES;
	dev->config_size = ops->config_size;
	pthread_mutex_init(&dev->lock, NULL);
	pthread_mutex_init(&dev->config_lock, NULL);
	pthread_mutex_init(&dev->fail_lock, NULL);
	dev->last_line = -QUIET_SECONDS;
	for (unsigned int i = 0; i < nr_queues; i++)
		queue_init(dev, i);
	return 0;
}

void virtio_device__exit(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		struct virtqueue *q = &dev->queue[i];

		queue__free_chains(q);
		sys__close(q->kick_fd);
		sys__close(q->call_fd);
		pthread_mutex_destroy(&q->lock);
	}
	free(dev->queue);
	if (dev->own_thread)
		event_loop__destroy(dev->loop);
	pthread_mutex_destroy(&dev->fail_lock);
	pthread_mutex_destroy(&dev->config_lock);
	pthread_mutex_destroy(&dev->lock);
}

void virtio_device__set_queue_size(struct virtio_device *dev, unsigned int index, unsigned int size)
{
	dev->queue[index].max_size = dev->queue[index].size = size;
}

struct virtqueue *virtio_device__queue(struct virtio_device *dev, unsigned int index)
{
	return &dev->queue[index];
}

static void on_kick(void *ctx, uint32_t events)
{
	struct virtqueue *q = ctx;

	if (!virtqueue__lock(q))
		return;
	q->dev->ops->notify(q->dev, q);
	virtqueue__unlock(q);
}

static int watch_queue(struct virtqueue *q)
{
	q->kick_fd = sys__eventfd();
	if (q->kick_fd < 0)
		return q->kick_fd;
	if (q->external || !q->dev->ops->notify)
		return 0;
	q->kick_event = event__add(q->dev->loop, q->kick_fd, EPOLLIN | EPOLLET, on_kick, q);
	return q->kick_event ? 0 : -errno;
}

static void *run_loop(void *ctx)
{
	struct virtio_device *dev = ctx;
	int ret = event_loop__run(dev->loop);

	if (ret)
		pr_warn("%s: its event loop failed: %s", dev->name, strerror(-ret));
	return NULL;
}

static int start_thread(struct virtio_device *dev)
{
	int ret;

	if (!dev->own_thread)
		return 0;
	ret = -pthread_create(&dev->thread, NULL, run_loop, dev);
	if (ret)
		return ret;
	dev->thread_runs = true;
	pthread_setname_np(dev->thread, dev->name); /* too long a name is no name */
	return 0;
}

int virtio_device__realize(struct virtio_device *dev, struct virtio_transport *t)
{
	int ret = 0;

	dev->transport = t;
	dev->loop = dev->own_thread ? event_loop__create() : dev->host->loop;
	if (!dev->loop)
		return -ENOMEM;
	for (unsigned int i = 0; i < dev->nr_queues && !ret; i++)
		ret = watch_queue(&dev->queue[i]);
	if (!ret)
		ret = start_thread(dev);
	if (ret) {
		pr_fatal("%s: cannot have descriptors for %u queues and a thread: %s", dev->name,
			 dev->nr_queues, strerror(-ret));
		return ret;
	}
	return dev->ops->realize ? dev->ops->realize(dev) : 0;
}

void virtio_device__destroy(struct virtio_device *dev)
{
	if (!dev)
		return;
	if (dev->transport)
		virtio_device__reset(dev);
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		event__remove(dev->queue[i].kick_event);
		event__remove(dev->queue[i].call_event);
	}
	if (dev->thread_runs) {
		event_loop__stop(dev->loop);
		pthread_join(dev->thread, NULL);
	}
	dev->ops->destroy(dev);
}

/* --- failure -------------------------------------------------------------------------------- */

static int64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* A guest can break a device as often as it likes, but not fill the host's log with it. */
static void print_failure(struct virtio_device *dev, const char *text)
{
	int64_t now = seconds();
	unsigned int unprinted;

	pthread_mutex_lock(&dev->fail_lock);
	if (now - dev->last_line < QUIET_SECONDS) {
		dev->unprinted++;
		pthread_mutex_unlock(&dev->fail_lock);
		return;
	}
	unprinted = dev->unprinted;
	dev->unprinted = 0;
	dev->last_line = now;
	pthread_mutex_unlock(&dev->fail_lock);

	if (unprinted)
		pr_warn("%s: stopped until the guest resets it: %s (and %u times before)",
			dev->name, text, unprinted);
	else
		pr_warn("%s: stopped until the guest resets it: %s", dev->name, text);
}

void virtio_device__fail(struct virtio_device *dev, const char *fmt, ...)
{
	unsigned int status;
	char text[200];
	va_list args;

	if (atomic_exchange(&dev->broken, true))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	print_failure(dev, text);

	status = atomic_fetch_or(&dev->status, VIRTIO_CONFIG_S_NEEDS_RESET);
	if (status & VIRTIO_CONFIG_S_DRIVER_OK && dev->transport)
		dev->transport->ops->signal_config(dev->transport);
}

/* --- queues, under the control lock --------------------------------------------------------- */

static void run_queue(struct virtqueue *q)
{
	struct virtio_transport *t = q->dev->transport;

	if (!q->external) {
		pthread_mutex_lock(&q->lock);
		q->running = true;
		pthread_mutex_unlock(&q->lock);
	}
	t->ops->queue_started(t, q->index, q->dev->legacy);
	virtqueue__kick(q); /* there may be buffers already */
}

/* Waits for a notify that is under way. */
static void halt_queue(struct virtqueue *q)
{
	struct virtio_transport *t = q->dev->transport;

	pthread_mutex_lock(&q->lock);
	q->running = false;
	pthread_mutex_unlock(&q->lock);
	t->ops->queue_stopped(t, q->index);
}

static void forget_queue(struct virtqueue *q)
{
	q->enabled = false;
	q->size = q->max_size;
	q->desc_gpa = q->driver_gpa = q->device_gpa = 0;
	q->legacy_pfn = 0;
}

/* One queue, while the device runs (2.6.1). */
static void reset_queue(struct virtqueue *q)
{
	struct virtio_device *dev = q->dev;

	if (dev->started && q->enabled) {
		halt_queue(q);
		if (dev->ops->queue_reset)
			dev->ops->queue_reset(dev, q);
		queue__take_back(q);
	}
	forget_queue(q);
	dev->transport->ops->queue_reset(dev->transport, q->index);
}

static void enable_queue(struct virtqueue *q)
{
	struct virtio_device *dev = q->dev;
	int ret;

	if (q->enabled || !q->max_size)
		return;
	if (!dev->started) {
		q->enabled = true; /* what it was told is looked at when the device starts */
		return;
	}
	if (!dev->legacy && !(dev->features & VIRTIO_BIT(VIRTIO_F_RING_RESET)))
		return;
	if (queue__map(q))
		return;
	q->enabled = true;
	ret = dev->ops->queue_enable ? dev->ops->queue_enable(dev, q) : 0;
	if (ret) {
		q->enabled = false;
		queue__fail(q, "cannot be started again: %s", strerror(-ret));
		return;
	}
	run_queue(q);
}

/* --- the device, under the control lock ----------------------------------------------------- */

static uint64_t offered(const struct virtio_device *dev, bool legacy)
{
	if (legacy)
		return (dev->offered & LEGACY_MASK) | VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
	return dev->offered;
}

static int map_queues(struct virtio_device *dev)
{
	int ret = 0;

	for (unsigned int i = 0; i < dev->nr_queues && !ret; i++) {
		if (dev->queue[i].enabled)
			ret = queue__map(&dev->queue[i]);
	}
	return ret;
}

static void start(struct virtio_device *dev)
{
	int ret;

	if (dev->started || atomic_load(&dev->broken))
		return;
	dev->features = dev->driver_features & offered(dev, dev->legacy);
	if (map_queues(dev))
		return;
	ret = dev->ops->start ? dev->ops->start(dev) : 0;
	if (ret) {
		virtio_device__fail(dev, "cannot be started: %s", strerror(-ret));
		return;
	}
	dev->started = true;
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		if (dev->queue[i].enabled)
			run_queue(&dev->queue[i]);
	}
}

static void stop(struct virtio_device *dev)
{
	if (!dev->started)
		return;
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		if (dev->queue[i].enabled)
			halt_queue(&dev->queue[i]);
	}
	if (dev->ops->stop)
		dev->ops->stop(dev);
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		queue__take_back(&dev->queue[i]);
	dev->started = false;
}

static void reset(struct virtio_device *dev)
{
	stop(dev);
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		forget_queue(&dev->queue[i]);
	if (dev->ops->reset)
		dev->ops->reset(dev);
	dev->driver_features = dev->features = 0;
	dev->legacy = false;
	dev->transport->ops->reset(dev->transport);
	atomic_store(&dev->broken, false);
	atomic_store(&dev->status, 0);
}

void virtio_device__reset(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	reset(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* --- status and features -------------------------------------------------------------------- */

uint8_t virtio_device__status(struct virtio_device *dev)
{
	return (uint8_t)atomic_load(&dev->status);
}

uint8_t virtio_device__generation(struct virtio_device *dev)
{
	return (uint8_t)atomic_load(&dev->generation);
}

/* 2.2.2, 6.2: a subset of what was offered, of which VERSION_1 is not for choice. */
static bool is_acceptable(struct virtio_device *dev)
{
	uint64_t features = dev->driver_features;

	if (features & ~dev->offered || !(features & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
		return false;
	return !dev->ops->accept_features || dev->ops->accept_features(dev, features);
}

static void add_status(struct virtio_device *dev, unsigned int bits)
{
	unsigned int status = atomic_load(&dev->status);

	bits &= DRIVER_STATUS & ~status;
	if (dev->legacy)
		bits &= ~(unsigned int)VIRTIO_CONFIG_S_FEATURES_OK;
	else if (bits & VIRTIO_CONFIG_S_FEATURES_OK && !is_acceptable(dev))
		bits &= ~(unsigned int)VIRTIO_CONFIG_S_FEATURES_OK;
	if (bits & VIRTIO_CONFIG_S_DRIVER_OK && !dev->legacy &&
	    !((status | bits) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		bits &= ~(unsigned int)VIRTIO_CONFIG_S_DRIVER_OK;
		virtio_device__fail(dev, "DRIVER_OK without FEATURES_OK");
	}
	atomic_fetch_or(&dev->status, bits);
	if (bits & VIRTIO_CONFIG_S_DRIVER_OK)
		start(dev);
}

void virtio_device__set_status(struct virtio_device *dev, uint8_t status, bool legacy)
{
	pthread_mutex_lock(&dev->lock);
	if (status) {
		/* Which interface a driver uses shows when it first says that it is there. */
		if (!atomic_load(&dev->status))
			dev->legacy = legacy;
		add_status(dev, status);
	} else {
		reset(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

uint32_t virtio_device__offered(struct virtio_device *dev, uint32_t select, bool legacy)
{
	return select < 2 ? (uint32_t)(offered(dev, legacy) >> 32 * select) : 0;
}

uint32_t virtio_device__driver_features(struct virtio_device *dev, uint32_t select)
{
	uint32_t features = 0;

	pthread_mutex_lock(&dev->lock);
	if (select < 2)
		features = (uint32_t)(dev->driver_features >> 32 * select);
	pthread_mutex_unlock(&dev->lock);
	return features;
}

void virtio_device__set_driver_features(struct virtio_device *dev, uint32_t select, uint32_t value)
{
	uint64_t mask = LEGACY_MASK << (select ? 32 : 0);

	if (select > 1)
		return;
	pthread_mutex_lock(&dev->lock);
	if (!dev->started && !(atomic_load(&dev->status) & VIRTIO_CONFIG_S_FEATURES_OK))
		dev->driver_features =
			(dev->driver_features & ~mask) | (uint64_t)value << (select ? 32 : 0);
	pthread_mutex_unlock(&dev->lock);
}

/* --- configuration -------------------------------------------------------------------------- */

void virtio_device__config_begin(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->config_lock);
}

void virtio_device__config_end(struct virtio_device *dev)
{
	atomic_fetch_add(&dev->generation, 1);
	pthread_mutex_unlock(&dev->config_lock);
	if (atomic_load(&dev->status) & VIRTIO_CONFIG_S_DRIVER_OK)
		dev->transport->ops->signal_config(dev->transport);
}

/* The part of an access that lies within the configuration. */
static uint32_t within_config(const struct virtio_device *dev, uint64_t offset, uint32_t len)
{
	if (offset >= dev->config_size)
		return 0;
	return len < dev->config_size - offset ? len : dev->config_size - (uint32_t)offset;
}

void virtio_device__config_read(struct virtio_device *dev, uint64_t offset, void *data,
				uint32_t len)
{
	uint32_t inside = within_config(dev, offset, len);

	memset(data, 0, len);
	if (!inside || !dev->ops->config_read)
		return;
	pthread_mutex_lock(&dev->lock);
	pthread_mutex_lock(&dev->config_lock);
	dev->ops->config_read(dev, (uint32_t)offset, data, inside);
	pthread_mutex_unlock(&dev->config_lock);
	pthread_mutex_unlock(&dev->lock);
}

void virtio_device__config_write(struct virtio_device *dev, uint64_t offset, const void *data,
				 uint32_t len)
{
	uint32_t inside = within_config(dev, offset, len);

	if (!inside || !dev->ops->config_write)
		return;
	pthread_mutex_lock(&dev->lock);
	pthread_mutex_lock(&dev->config_lock);
	dev->ops->config_write(dev, (uint32_t)offset, data, inside);
	pthread_mutex_unlock(&dev->config_lock);
	pthread_mutex_unlock(&dev->lock);
}

/* --- queues, as the driver sets them up ----------------------------------------------------- */

static uint64_t get_field(const struct virtqueue *q, enum virtqueue_field field)
{
	switch (field) {
	case VIRTQUEUE_MAX_SIZE:
		return q->max_size;
	case VIRTQUEUE_SIZE:
		return q->size;
	case VIRTQUEUE_DESC:
		return q->desc_gpa;
	case VIRTQUEUE_DRIVER:
		return q->driver_gpa;
	case VIRTQUEUE_DEVICE:
		return q->device_gpa;
	case VIRTQUEUE_ENABLE:
		return q->enabled;
	default:
		return 0;
	}
}

uint64_t virtqueue__get(struct virtio_device *dev, unsigned int index, enum virtqueue_field field)
{
	uint64_t value;

	if (index >= dev->nr_queues)
		return 0;
	pthread_mutex_lock(&dev->lock);
	value = get_field(&dev->queue[index], field);
	pthread_mutex_unlock(&dev->lock);
	return value;
}

/* Only what has not been enabled can be changed (4.1.4.3.2). */
static void set_field(struct virtqueue *q, enum virtqueue_field field, uint64_t value,
		      uint64_t mask)
{
	uint64_t *address = NULL;

	if (field == VIRTQUEUE_DESC)
		address = &q->desc_gpa;
	else if (field == VIRTQUEUE_DRIVER)
		address = &q->driver_gpa;
	else if (field == VIRTQUEUE_DEVICE)
		address = &q->device_gpa;

	if (address)
		*address = (*address & ~mask) | (value & mask);
	else if (field == VIRTQUEUE_SIZE && value <= q->max_size)
		q->size = (unsigned int)value;
	else if (field == VIRTQUEUE_ENABLE && value == 1)
		enable_queue(q);
}

void virtqueue__set(struct virtio_device *dev, unsigned int index, enum virtqueue_field field,
		    uint64_t value, uint64_t mask)
{
	struct virtqueue *q;

	if (index >= dev->nr_queues)
		return;
	q = &dev->queue[index];
	pthread_mutex_lock(&dev->lock);
	if (field == VIRTQUEUE_RESET) {
		if (value == 1 && dev->features & VIRTIO_BIT(VIRTIO_F_RING_RESET))
			reset_queue(q);
	} else if (!q->enabled) {
		set_field(q, field, value, mask);
	} else if (field == VIRTQUEUE_ENABLE && !value) {
		reset_queue(q);
	}
	pthread_mutex_unlock(&dev->lock);
}

uint32_t virtqueue__legacy_pfn(struct virtio_device *dev, unsigned int index)
{
	uint32_t pfn;

	if (index >= dev->nr_queues)
		return 0;
	pthread_mutex_lock(&dev->lock);
	pfn = dev->queue[index].legacy_pfn;
	pthread_mutex_unlock(&dev->lock);
	return pfn;
}

/* 2.7.2: descriptors, available ring with its event word, and the used ring from the next boundary
 * on. */
static void lay_out_legacy(struct virtqueue *q, uint64_t base, uint64_t align)
{
	uint64_t avail = base + sizeof(struct vring_desc) * (uint64_t)q->size;
	uint64_t end = avail + 2 * (3 + (uint64_t)q->size);

	q->desc_gpa = base;
	q->driver_gpa = avail;
	q->device_gpa = (end + align - 1) & ~(align - 1);
}

void virtqueue__set_legacy(struct virtio_device *dev, unsigned int index, unsigned int size,
			   uint32_t pfn, uint32_t page, uint32_t align)
{
	struct virtqueue *q;

	if (index >= dev->nr_queues)
		return;
	q = &dev->queue[index];
	pthread_mutex_lock(&dev->lock);
	if (q->enabled && dev->legacy)
		reset_queue(q);
	if (pfn && dev->legacy && q->max_size && size <= q->max_size) {
		q->size = size;
		q->legacy_pfn = pfn;
		lay_out_legacy(q, (uint64_t)pfn * page, align);
		enable_queue(q);
	}
	pthread_mutex_unlock(&dev->lock);
}

/*
 * Drivers of before 1.0 may use their queues in their probe function, before DRIVER_OK (3.1.2): the
 * first notification then starts the device.
 */
void virtio_device__notify(struct virtio_device *dev, unsigned int index, bool legacy)
{
	if (index >= dev->nr_queues)
		return;
	if (legacy) {
		pthread_mutex_lock(&dev->lock);
		if (dev->legacy && dev->queue[index].enabled)
			start(dev);
		pthread_mutex_unlock(&dev->lock);
	}
	virtqueue__kick(&dev->queue[index]);
}

/* --- interrupts of queues served elsewhere -------------------------------------------------- */

static void on_call(void *ctx, uint32_t events)
{
	struct virtqueue *q = ctx;

	q->dev->transport->ops->signal_queue(q->dev->transport, q->index);
}

/* An eventfd that the loop turns into an interrupt; edge-triggered and never read, as those of
 * kicks. */
static int own_call_fd(struct virtqueue *q)
{
	if (q->call_fd >= 0)
		return q->call_fd;
	q->call_fd = sys__eventfd();
	if (q->call_fd >= 0)
		q->call_event = event__add(q->dev->loop, q->call_fd, EPOLLIN | EPOLLET, on_call, q);
	if (q->call_fd >= 0 && !q->call_event) {
		sys__close(q->call_fd);
		q->call_fd = -1;
	}
	return q->call_fd;
}

int virtqueue__call_fd(struct virtqueue *q)
{
	struct virtio_transport *t = q->dev->transport;
	int fd = t->ops->call_fd(t, q->index);

	return fd == -ENOTSUP ? own_call_fd(q) : fd;
}

void virtio_device__call_changed(struct virtio_device *dev, unsigned int index)
{
	struct virtqueue *q;

	if (index >= dev->nr_queues || !dev->ops->call_changed)
		return;
	q = &dev->queue[index];
	pthread_mutex_lock(&dev->lock);
	if (dev->started && q->enabled)
		dev->ops->call_changed(dev, q);
	pthread_mutex_unlock(&dev->lock);
}
