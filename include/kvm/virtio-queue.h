/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside a virtqueue: what virtio/core.c, virtio/queue.c and the two ring formats share.
 *
 * Devices and transports have no business here: see kvm/virtio.h and kvm/virtio-transport.h.
 */
#ifndef KVM_VIRTIO_QUEUE_H
#define KVM_VIRTIO_QUEUE_H

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kvm/memory.h"
#include "kvm/virtio.h"

/**
 * struct split_ring - a running queue of the split format (2.7)
 * @desc, @avail, @used: the three parts, in host memory; each has its @size entries
 * @seen_avail:          the driver's index when last looked at
 * @next_avail:          the entry to pop next
 * @next_used:           the entry to push to next
 * @published:           what the driver sees as the used index
 */
struct split_ring {
	const volatile struct vring_desc *desc;
	uint16_t *avail, *used;
	uint16_t seen_avail, next_avail;
	uint16_t next_used, published;
};

/**
 * struct packed_ring - a running queue of the packed format (2.8)
 * @desc:             the ring
 * @driver, @device:  event suppression, written by the one and read by the other
 * @next_avail:       the slot to pop next
 * @next_used:        the slot to push to next
 * @avail_wrap, @used_wrap: their wrap counters (2.8.1)
 * @first_flags:      those of the first descriptor pushed and not published, which come last
 * @first:            its slot
 * @pushed:           slots pushed and not published
 */
struct packed_ring {
	volatile struct vring_packed_desc *desc;
	uint32_t *driver, *device;
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap;
	uint16_t first_flags, first;
	unsigned int pushed;
};

/**
 * struct virtqueue - one queue
 *
 * Constant from realize on:
 * @dev, @index, @max_size: whose, which, the most entries it can be given (0: there is no such
 *                          queue)
 * @external:               served by somebody else
 * @kick_fd, @kick_event:   notifications by the driver
 *
 * As the driver sets it up, under the control lock:
 * @size, @desc_gpa, @driver_gpa, @device_gpa: entries and addresses
 * @legacy_pfn:             what it wrote to a legacy interface, 0 if it did not
 * @enabled:                set up
 * @call_fd, @call_event:   interrupts of an external queue where there is no irqfd, or -1
 *
 * While it runs, under @lock:
 * @running:                from start to stop
 * @packed, @event_idx, @indirect: what was negotiated
 * @split_, @packed_:       the ring, of which there is one
 * @in_flight:              slots popped and not pushed
 * @notify_off:             the device has told the driver not to notify
 * @free, @all:             chains
 */
struct virtqueue {
	struct virtio_device *dev;
	unsigned int index;
	unsigned int max_size;
	bool external;
	int kick_fd;
	struct event *kick_event;

	unsigned int size;
	uint64_t desc_gpa, driver_gpa, device_gpa;
	uint32_t legacy_pfn;
	bool enabled;
	int call_fd;
	struct event *call_event;

	pthread_mutex_t lock;
	bool running;
	bool packed, event_idx, indirect;
	union {
		struct split_ring split_;
		struct packed_ring packed_;
	};
	unsigned int in_flight;
	bool notify_off;
	struct virtio_chain *free, *all;
};

/* --- queue.c: chains ---------------------------------------------------------------------------
 */

/**
 * struct chain_builder - a chain in the making
 * @chain:   what there is so far
 * @nr:      descriptors so far
 * @total:   bytes so far
 * @end_gpa: where the last piece ends
 */
struct chain_builder {
	struct virtio_chain *chain;
	unsigned int nr;
	uint64_t total;
	uint64_t end_gpa;
};

/**
 * chain__begin - an empty chain of a queue
 *
 * Return: 0 or -ENOMEM, after virtio_device__fail().
 */
int chain__begin(struct virtqueue *q, struct chain_builder *b);

/**
 * chain__add - append what one descriptor refers to
 * @writable: by the device
 *
 * All that can be wrong with it is found here: not RAM, out of order, too many, too long.
 *
 * Return: 0, or -EINVAL or -ENOMEM after virtio_device__fail().
 */
int chain__add(struct chain_builder *b, uint64_t gpa, uint32_t len, bool writable);

/**
 * chain__end - it is complete
 */
struct virtio_chain *chain__end(struct chain_builder *b, uint16_t id, uint16_t nr_slots);

/**
 * chain__release - back to where chain__begin() takes them from
 */
void chain__release(struct virtio_chain *chain);

/**
 * queue__map - find the ring of an enabled queue in host memory, at its beginning
 *
 * Return: 0, or -EINVAL after virtio_device__fail().
 */
int queue__map(struct virtqueue *q);

/**
 * queue__take_back - all chains are free again; with nothing in flight
 */
void queue__take_back(struct virtqueue *q);

/**
 * queue__free_chains - the same, and give up their memory
 */
void queue__free_chains(struct virtqueue *q);

/**
 * queue__fail - virtio_device__fail() with the number of the queue in front
 */
void queue__fail(struct virtqueue *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * queue__at - a part of a ring in host memory; virtio_device__fail() if it is not RAM or not
 * aligned
 * @what: its name
 */
void *queue__at(struct virtqueue *q, const char *what, uint64_t gpa, uint64_t len, uint64_t align);

/* --- queue-split.c, queue-packed.c: behind the functions of kvm/virtio.h ------------------------
 */

int split__map(struct virtqueue *q);
struct virtio_chain *split__pop(struct virtqueue *q);
bool split__has_next(struct virtqueue *q);
void split__rewind(struct virtqueue *q, const struct virtio_chain *chain);
void split__push(struct virtqueue *q, const struct virtio_chain *chain, uint32_t written);
bool split__publish(struct virtqueue *q);
void split__disable_notify(struct virtqueue *q);
void split__enable_notify(struct virtqueue *q);

int packed__map(struct virtqueue *q);
struct virtio_chain *packed__pop(struct virtqueue *q);
bool packed__has_next(struct virtqueue *q);
void packed__rewind(struct virtqueue *q, const struct virtio_chain *chain);
void packed__push(struct virtqueue *q, const struct virtio_chain *chain, uint32_t written);
bool packed__publish(struct virtqueue *q);
void packed__disable_notify(struct virtqueue *q);
void packed__enable_notify(struct virtqueue *q);

/* --- memory shared with the driver -------------------------------------------------------------
 */

static inline uint16_t ring__load16(const void *at)
{
	return le16toh(atomic_load_explicit((const _Atomic(uint16_t) *)at, memory_order_relaxed));
}

static inline uint16_t ring__load16_acquire(const void *at)
{
	return le16toh(atomic_load_explicit((const _Atomic(uint16_t) *)at, memory_order_acquire));
}

static inline void ring__store16(void *at, uint16_t value)
{
	atomic_store_explicit((_Atomic(uint16_t) *)at, htole16(value), memory_order_relaxed);
}

static inline void ring__store16_release(void *at, uint16_t value)
{
	atomic_store_explicit((_Atomic(uint16_t) *)at, htole16(value), memory_order_release);
}

static inline uint32_t ring__load32(const void *at)
{
	return le32toh(atomic_load_explicit((const _Atomic(uint32_t) *)at, memory_order_relaxed));
}

static inline void ring__store32(void *at, uint32_t value)
{
	atomic_store_explicit((_Atomic(uint32_t) *)at, htole32(value), memory_order_relaxed);
}

static inline void queue__dirty(const struct virtqueue *q, uint64_t gpa, uint64_t len)
{
	guest_memory__dirty(q->dev->host->ram, gpa, len);
}

static inline bool queue__is_broken(const struct virtqueue *q)
{
	return atomic_load_explicit(&q->dev->broken, memory_order_relaxed);
}

#endif
