/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver for unit tests of virtio devices: it plays the guest's part of a queue, of either
 * format, and brings a device up over virtio-mmio.
 *
 * Guest memory is one region of 1 MiB at GPA 0 and a second, adjacent one of 1 MiB somewhere else
 * in host memory. The rings are in the first 64 KiB of a queue's own 128 KiB, its buffers in the
 * rest. A device under test runs in its loop, which driver__run() turns until nothing more is to
 * do.
 */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "board.h"
#include "kvm/virtio.h"

#define DRIVER_RAM  0x200000ull
#define DRIVER_HALF 0x100000ull
#define DRIVER_MMIO 0xd0000000ull
#define DRIVER_GSI  5u

/**
 * struct driver - the guest
 * @half: host memory of the two regions
 */
struct driver {
	struct board board;
	void *half[2];
	struct device *dev;
	int turns;
};

/**
 * struct driver_queue - one queue as its driver sees it
 * @packed, @event_idx: what was negotiated
 * @desc, @driver, @device: guest-physical addresses of its parts
 * @next, @wrap:   next slot or index to make available, with its wrap counter
 * @used, @used_wrap: next to look for
 * @slots:         of a packed chain, by its id
 */
struct driver_queue {
	struct driver *d;
	unsigned int index, size;
	bool packed, event_idx;
	uint64_t desc, driver, device, buffers;
	uint16_t next, used;
	bool wrap, used_wrap;
	uint16_t slots[1024];
};

/**
 * struct driver_buf - a descriptor to be
 */
struct driver_buf {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags; /* VRING_DESC_F_WRITE, or anything hostile */
};

static inline void *driver__at(struct driver *d, uint64_t gpa)
{
	assert_true(gpa < DRIVER_RAM);
	return (char *)d->half[gpa >= DRIVER_HALF] + gpa % DRIVER_HALF;
}

static inline void driver__init(struct driver *d)
{
	memset(d, 0, sizeof(*d));
	board__init(&d->board);
	for (unsigned int i = 0; i < 2; i++) {
		d->half[i] = aligned_alloc(4096, DRIVER_HALF);
		assert_non_null(d->half[i]);
		memset(d->half[i], 0, DRIVER_HALF);
		assert_int_equal(guest_memory__add(&d->board.ram,
						   &(struct memory_region){ .gpa = i * DRIVER_HALF,
									    .size = DRIVER_HALF,
									    .hva = d->half[i] }),
				 0);
	}
}

static inline void driver__destroy(struct driver *d)
{
	board__destroy(&d->board);
	free(d->half[0]);
	free(d->half[1]);
}

/* --- the loop ------------------------------------------------------------------------------- */

static inline void driver__on_poke(void *ctx, uint32_t events)
{
	struct driver *d = ctx;

	if (--d->turns <= 0)
		event_loop__stop(d->board.host.loop);
}

/* Dispatch everything that is ready, and what becomes ready by that. */
static inline void driver__run(struct driver *d)
{
	int fd = eventfd(1, EFD_NONBLOCK);
	struct event *event =
		event__add(d->board.host.loop, fd, 1 /* EPOLLIN */, driver__on_poke, d);

	assert_non_null(event);
	d->turns = 8;
	assert_int_equal(event_loop__run(d->board.host.loop), 0);
	event__remove(event);
	close(fd);
}

/* --- queues --------------------------------------------------------------------------------- */

static inline void dq__init(struct driver_queue *q, struct driver *d, unsigned int index,
			    unsigned int size, bool packed, bool event_idx)
{
	uint64_t base = 0x10000 + index * 0x20000ull;

	memset(q, 0, sizeof(*q));
	q->d = d;
	q->index = index;
	q->size = size;
	q->packed = packed;
	q->event_idx = event_idx;
	q->desc = base;
	q->driver = base + 0x4000;
	q->device = base + 0x8000;
	q->buffers = base + 0x10000;
	q->wrap = q->used_wrap = true;
	memset(driver__at(d, base), 0, 0x10000);
}

static inline uint16_t *dq__word(struct driver_queue *q, uint64_t gpa)
{
	return driver__at(q->d, gpa);
}

/* Descriptors of the split format, in order from @first; the last one ends the chain. */
static inline void dq__write_split(struct driver_queue *q, uint64_t table, unsigned int first,
				   const struct driver_buf *bufs, unsigned int nr)
{
	struct vring_desc *desc = driver__at(q->d, table);

	for (unsigned int i = 0; i < nr; i++) {
		struct vring_desc *at = &desc[first + i];

		at->addr = bufs[i].gpa;
		at->len = bufs[i].len;
		at->flags = (uint16_t)(bufs[i].flags | (i + 1 < nr ? VRING_DESC_F_NEXT : 0));
		at->next = (uint16_t)(first + i + 1);
	}
}

static inline void dq__write_table(struct driver_queue *q, uint64_t table,
				   const struct driver_buf *bufs, unsigned int nr)
{
	struct vring_packed_desc *desc = driver__at(q->d, table);

	if (!q->packed) {
		dq__write_split(q, table, 0, bufs, nr);
		return;
	}
	for (unsigned int i = 0; i < nr; i++)
		desc[i] = (struct vring_packed_desc){ .addr = bufs[i].gpa,
						      .len = bufs[i].len,
						      .flags = bufs[i].flags };
}

static inline uint16_t dq__avail_bits(bool wrap)
{
	return wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED;
}

static inline void dq__add_packed(struct driver_queue *q, uint16_t id,
				  const struct driver_buf *bufs, unsigned int nr)
{
	struct vring_packed_desc *desc = driver__at(q->d, q->desc);
	unsigned int first = q->next;
	uint16_t first_flags = 0;

	q->slots[id] = (uint16_t)nr;
	for (unsigned int i = 0; i < nr; i++) {
		struct vring_packed_desc *at = &desc[q->next];
		uint16_t flags = (uint16_t)(bufs[i].flags | (i + 1 < nr ? VRING_DESC_F_NEXT : 0) |
					    dq__avail_bits(q->wrap));

		at->addr = bufs[i].gpa;
		at->len = bufs[i].len;
		at->id = id;
		if (i)
			at->flags = flags;
		else
			first_flags = flags;
		if (++q->next == q->size) {
			q->next = 0;
			q->wrap = !q->wrap;
		}
	}
	__atomic_store_n(&desc[first].flags, first_flags, __ATOMIC_RELEASE);
}

/* Put a head into the available ring and move the index. */
static inline void dq__expose(struct driver_queue *q, uint16_t head)
{
	uint16_t *avail = dq__word(q, q->driver);

	avail[2 + q->next % q->size] = head;
	__atomic_store_n(&avail[1], ++q->next, __ATOMIC_RELEASE);
}

/* Make a chain available. @id: a split one's head, where its descriptors go. */
static inline void dq__add(struct driver_queue *q, uint16_t id, const struct driver_buf *bufs,
			   unsigned int nr)
{
	if (q->packed) {
		dq__add_packed(q, id, bufs, nr);
		return;
	}
	dq__write_split(q, q->desc, id, bufs, nr);
	dq__expose(q, id);
}

/* The next used buffer. Return: whether there was one. */
static inline bool dq__get(struct driver_queue *q, uint32_t *id, uint32_t *len)
{
	struct vring_packed_desc *desc = driver__at(q->d, q->desc);
	struct vring_used *used = driver__at(q->d, q->device);

	if (!q->packed) {
		if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == q->used)
			return false;
		*id = used->ring[q->used % q->size].id;
		*len = used->ring[q->used % q->size].len;
		q->used++;
		return true;
	}
	desc += q->used;
	if (!!(desc->flags >> VRING_PACKED_DESC_F_AVAIL & 1) != q->used_wrap ||
	    !!(desc->flags >> VRING_PACKED_DESC_F_USED & 1) != q->used_wrap)
		return false;
	*id = desc->id;
	*len = desc->len;
	q->used = (uint16_t)(q->used + q->slots[*id]);
	if (q->used >= q->size) {
		q->used = (uint16_t)(q->used - q->size);
		q->used_wrap = !q->used_wrap;
	}
	return true;
}

/* Ask for no interrupts, or for all. */
static inline void dq__set_interrupts(struct driver_queue *q, bool on)
{
	if (q->packed)
		dq__word(q, q->driver)[1] =
			on ? VRING_PACKED_EVENT_FLAG_ENABLE : VRING_PACKED_EVENT_FLAG_DISABLE;
	else
		*dq__word(q, q->driver) = on ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
}

/* Ask for an interrupt when the n-th buffer (slot) from now has been used; needs EVENT_IDX. */
static inline void dq__interrupt_after(struct driver_queue *q, unsigned int n)
{
	unsigned int at = q->used + n - 1;
	bool wrap = q->used_wrap;

	if (!q->packed) {
		dq__word(q, q->driver)[2 + q->size] = (uint16_t)at;
		return;
	}
	if (at >= q->size) {
		at -= q->size;
		wrap = !wrap;
	}
	dq__word(q, q->driver)[0] =
		(uint16_t)(at | (unsigned int)wrap << VRING_PACKED_EVENT_F_WRAP_CTR);
	dq__word(q, q->driver)[1] = VRING_PACKED_EVENT_FLAG_DESC;
}

/* Whether the device wants to be notified of what has been made available since @before. */
static inline bool dq__wants_notify(struct driver_queue *q, uint16_t before)
{
	uint16_t *words = dq__word(q, q->device), event;

	if (!q->packed)
		return q->event_idx ? vring_need_event(words[2 + 4 * q->size], q->next, before)
				    : !(words[0] & VRING_USED_F_NO_NOTIFY);
	if (words[1] != VRING_PACKED_EVENT_FLAG_DESC)
		return words[1] == VRING_PACKED_EVENT_FLAG_ENABLE;
	event = words[0] & 0x7fff;
	if (words[0] >> VRING_PACKED_EVENT_F_WRAP_CTR != q->wrap)
		event = (uint16_t)(event - q->size);
	return vring_need_event(event, q->next, before);
}

/* --- a device on virtio-mmio ---------------------------------------------------------------- */

static inline uint32_t driver__reg(struct driver *d, uint32_t reg)
{
	return (uint32_t)board__load(&d->board, DRIVER_MMIO + reg, 4);
}

static inline void driver__set_reg(struct driver *d, uint32_t reg, uint32_t value)
{
	board__store(&d->board, DRIVER_MMIO + reg, 4, value);
}

/* Put a device on the board. */
static inline void driver__plug(struct driver *d, struct virtio_device *dev)
{
	struct virtio_mmio_config cfg = { .base = DRIVER_MMIO, .gsi = DRIVER_GSI };

	d->dev = board__add(&d->board, virtio_mmio__create(&d->board.host, dev, &cfg));
}

static inline uint64_t driver__offered(struct driver *d)
{
	uint64_t features;

	driver__set_reg(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features = (uint64_t)driver__reg(d, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	driver__set_reg(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return features | driver__reg(d, VIRTIO_MMIO_DEVICE_FEATURES);
}

/* 3.1.1, steps 1 to 6. Return: whether the device agreed. */
static inline bool driver__negotiate(struct driver *d, uint64_t features)
{
	driver__set_reg(d, VIRTIO_MMIO_STATUS, 0);
	driver__set_reg(d, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	driver__set_reg(d, VIRTIO_MMIO_STATUS,
			VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	driver__set_reg(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	driver__set_reg(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
	driver__set_reg(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	driver__set_reg(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	driver__set_reg(d, VIRTIO_MMIO_STATUS,
			driver__reg(d, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_FEATURES_OK);
	return driver__reg(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static inline void driver__enable_queue(struct driver_queue *q)
{
	struct driver *d = q->d;

	driver__set_reg(d, VIRTIO_MMIO_QUEUE_SEL, q->index);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_NUM, q->size);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)q->desc);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(q->desc >> 32));
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)q->driver);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(q->driver >> 32));
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)q->device);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(q->device >> 32));
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

static inline void driver__ok(struct driver *d)
{
	driver__set_reg(d, VIRTIO_MMIO_STATUS,
			driver__reg(d, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline bool driver__needs_reset(struct driver *d)
{
	return driver__reg(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static inline void driver__notify(struct driver_queue *q)
{
	driver__set_reg(q->d, VIRTIO_MMIO_QUEUE_NOTIFY, q->index);
}

/* Acknowledge what is pending. Return: it. */
static inline uint32_t driver__ack(struct driver *d)
{
	uint32_t pending = driver__reg(d, VIRTIO_MMIO_INTERRUPT_STATUS);

	driver__set_reg(d, VIRTIO_MMIO_INTERRUPT_ACK, pending);
	return pending;
}

/* For a device with a thread of its own: wait for a used buffer, five seconds at the most. */
static inline bool dq__wait(struct driver_queue *q, uint32_t *id, uint32_t *len)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (unsigned int i = 0; i < 5000; i++) {
		if (dq__get(q, id, len))
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

#endif
