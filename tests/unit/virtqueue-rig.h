/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of virtqueues have in common: an echo device with one queue, brought up.
 */
#ifndef TESTS_UNIT_VIRTQUEUE_RIG_H
#define TESTS_UNIT_VIRTQUEUE_RIG_H

#include "virtio-echo.h"

/**
 * struct rig - guest, device and queue
 */
struct rig {
	struct driver d;
	struct echo *echo;
	struct driver_queue q;
};

#define RING_BASIC (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC))
#define RING_EVENT VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX)
#define RING_PACK  VIRTIO_BIT(VIRTIO_F_RING_PACKED)

static inline void rig__up(struct rig *r, unsigned int size, uint64_t features)
{
	driver__init(&r->d);
	r->echo = echo__create(&r->d, 1);
	driver__plug(&r->d, &r->echo->dev);
	assert_true(driver__negotiate(&r->d, features));
	dq__init(&r->q, &r->d, 0, size, features & RING_PACK, features & RING_EVENT);
	driver__enable_queue(&r->q);
	driver__ok(&r->d);
	driver__run(&r->d);
	assert_false(driver__needs_reset(&r->d));
	assert_int_equal(r->echo->starts, 1);
}

static inline void rig__down(struct rig *r)
{
	driver__destroy(&r->d);
}

/* One request: @text out, as much in, at place @id of the buffers. */
static inline void rig__ask(struct rig *r, uint16_t id, const char *text)
{
	uint64_t at = r->q.buffers + id * 64ull;
	uint32_t len = (uint32_t)strlen(text);
	struct driver_buf bufs[] = {
		{ at, len, 0 },
		{ at + 32, len, VRING_DESC_F_WRITE },
	};

	memcpy(driver__at(&r->d, at), text, len);
	memset(driver__at(&r->d, at + 32), 0, 32);
	dq__add(&r->q, id, bufs, 2);
}

static inline void rig__expect(struct rig *r, uint32_t id, const char *text)
{
	uint32_t got_id = 0, got_len = 0;

	assert_true(dq__get(&r->q, &got_id, &got_len));
	assert_int_equal(got_id, id);
	assert_int_equal(got_len, strlen(text));
	assert_memory_equal(driver__at(&r->d, r->q.buffers + id * 64ull + 32), text, strlen(text));
}

static inline void rig__kick(struct rig *r)
{
	driver__notify(&r->q);
	driver__run(&r->d);
}

/* The guest has done wrong: the device says so, and answers nothing more until a reset. */
static inline void rig__expect_broken(struct rig *r)
{
	uint32_t id, len;

	rig__kick(r);
	assert_true(driver__needs_reset(&r->d));
	assert_true(driver__ack(&r->d) & VIRTIO_MMIO_INT_CONFIG);
	assert_false(dq__get(&r->q, &id, &len));
	assert_int_equal(r->echo->stops, 0);
	driver__set_reg(&r->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(driver__reg(&r->d, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(r->echo->stops, 1);
}

#endif
