// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What both formats of virtqueues have to do (Virtio 1.2, sections 2.6 to 2.8): each test runs with
 * split and with packed rings, with and without event indices.
 */
#include <sys/mman.h>

#include "virtqueue-rig.h"

#define SIZE 16

static uint64_t features_of(void **state)
{
	return RING_BASIC | *(const uint64_t *)*state;
}

static void a_request_is_answered(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	rig__ask(&r, 0, "hello");
	rig__kick(&r);
	rig__expect(&r, 0, "hello");
	assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_VRING);
	assert_false(r.d.board.level[DRIVER_GSI]);
	rig__down(&r);
}

static void buffers_made_available_before_driver_ok_are_found(void **state)
{
	uint64_t features = features_of(state);
	struct rig r;

	driver__init(&r.d);
	r.echo = echo__create(&r.d, 1);
	driver__plug(&r.d, &r.echo->dev);
	assert_true(driver__negotiate(&r.d, features));
	dq__init(&r.q, &r.d, 0, SIZE, features & RING_PACK, features & RING_EVENT);
	driver__enable_queue(&r.q);
	rig__ask(&r, 2, "early");
	rig__kick(&r);
	assert_int_equal(r.echo->popped, 0);
	driver__ok(&r.d);
	driver__run(&r.d);
	rig__expect(&r, 2, "early");
	rig__down(&r);
}

static void rings_wrap_around_many_times(void **state)
{
	struct rig r;
	char text[8];

	rig__up(&r, SIZE, features_of(state));
	for (unsigned int i = 0; i < 70000; i++) {
		uint16_t id = (uint16_t)(i * 2 % SIZE);

		snprintf(text, sizeof(text), "%u", i);
		rig__ask(&r, id, text);
		/* without the loop, which would take its time */
		assert_true(virtqueue__lock(virtio_device__queue(&r.echo->dev, 0)));
		echo__notify(&r.echo->dev, virtio_device__queue(&r.echo->dev, 0));
		virtqueue__unlock(virtio_device__queue(&r.echo->dev, 0));
		rig__expect(&r, id, text);
	}
	assert_false(driver__needs_reset(&r.d));
	rig__down(&r);
}

static void a_ring_that_is_full_is_emptied(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	for (unsigned int round = 0; round < 5; round++) {
		for (uint16_t i = 0; i < SIZE; i += 2)
			rig__ask(&r, i, "x");
		rig__kick(&r);
		for (uint16_t i = 0; i < SIZE; i += 2)
			rig__expect(&r, i, "x");
	}
	assert_int_equal(r.echo->popped, 5 * SIZE / 2);
	rig__down(&r);
}

static void buffers_can_be_used_out_of_order(void **state)
{
	static const unsigned int order[] = { 3, 0, 2, 1 };
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	r.echo->hold = true;
	for (unsigned int round = 0; round < 9; round++) {
		r.echo->nr_held = 0;
		for (uint16_t i = 0; i < 4; i++)
			rig__ask(&r, (uint16_t)(i * 2), "abcdefg");
		rig__kick(&r);
		assert_int_equal(r.echo->nr_held, 4);
		for (unsigned int i = 0; i < 4; i++) {
			echo__finish(r.echo, order[i]);
			rig__expect(&r, order[i] * 2, "abcdefg");
		}
	}
	rig__down(&r);
}

static void an_odd_size_is_for_packed_rings_only(void **state)
{
	uint64_t features = features_of(state);
	struct rig r;

	driver__init(&r.d);
	r.echo = echo__create(&r.d, 1);
	driver__plug(&r.d, &r.echo->dev);
	assert_true(driver__negotiate(&r.d, features));
	dq__init(&r.q, &r.d, 0, 7, features & RING_PACK, features & RING_EVENT);
	driver__enable_queue(&r.q);
	driver__ok(&r.d);
	driver__run(&r.d);
	assert_int_equal(driver__needs_reset(&r.d), !(features & RING_PACK));
	for (unsigned int i = 0; features & RING_PACK && i < 40; i++) {
		rig__ask(&r, (uint16_t)(i % 3), "odd");
		rig__kick(&r);
		rig__expect(&r, i % 3, "odd");
	}
	rig__down(&r);
}

static void an_indirect_table_is_followed(void **state)
{
	struct rig r;
	uint64_t table, at;

	rig__up(&r, SIZE, features_of(state));
	table = r.q.buffers + 0x4000;
	at = r.q.buffers;
	memcpy(driver__at(&r.d, at), "in", 2);
	memcpy(driver__at(&r.d, at + 8), "direct", 6);
	dq__write_table(&r.q, table,
			(struct driver_buf[]){ { at, 2, 0 },
					       { at + 8, 6, 0 },
					       { at + 32, 4, VRING_DESC_F_WRITE },
					       { at + 36, 40, VRING_DESC_F_WRITE } },
			4);
	/* WRITE in the descriptor of a table means nothing (2.7.5.3.2, 2.8.7). */
	dq__add(&r.q, 0,
		&(struct driver_buf){ table, 64, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE }, 1);
	rig__kick(&r);
	rig__expect(&r, 0, "indirect");
	rig__down(&r);
}

static void interrupts_can_be_switched_off(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	dq__set_interrupts(&r.q, false);
	rig__ask(&r, 0, "quiet");
	rig__kick(&r);
	rig__expect(&r, 0, "quiet");
	assert_int_equal(driver__ack(&r.d), 0);
	dq__set_interrupts(&r.q, true);
	rig__ask(&r, 2, "loud");
	rig__kick(&r);
	rig__expect(&r, 2, "loud");
	assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_VRING);
	rig__down(&r);
}

static void one_interrupt_comes_at_the_event_asked_for(void **state)
{
	struct rig r;
	unsigned int per = 1;

	rig__up(&r, SIZE, features_of(state));
	if (r.q.packed)
		per = 2; /* slots of a request */
	for (unsigned int round = 0; round < 40; round++) {
		dq__interrupt_after(&r.q, 2 * per + 1);
		for (unsigned int i = 0; i < 3; i++) {
			rig__ask(&r, (uint16_t)(i * 2), "event");
			rig__kick(&r);
			assert_int_equal(driver__ack(&r.d), i == 2 ? VIRTIO_MMIO_INT_VRING : 0);
		}
		for (unsigned int i = 0; i < 3; i++)
			rig__expect(&r, i * 2, "event");
	}
	rig__down(&r);
}

static void the_driver_is_told_when_to_notify(void **state)
{
	struct rig r;
	struct virtqueue *q;
	uint16_t before;

	rig__up(&r, SIZE, features_of(state));
	q = virtio_device__queue(&r.echo->dev, 0);
	assert_true(virtqueue__lock(q));
	for (unsigned int i = 0; i < 20; i++) {
		uint16_t id = (uint16_t)(2 * i % SIZE);

		/* on: the first buffer after it has to be announced */
		assert_false(virtqueue__enable_notify(q));
		before = r.q.next;
		rig__ask(&r, id, "y");
		assert_true(dq__wants_notify(&r.q, before));
		assert_true(virtqueue__has_next(q));

		/* off: no later one */
		virtqueue__disable_notify(q);
		before = r.q.next;
		rig__ask(&r, (uint16_t)((id + 2) % SIZE), "y");
		assert_false(dq__wants_notify(&r.q, before));

		/* and switching it on finds what has come meanwhile */
		virtqueue__push(q, virtqueue__pop(q), 0);
		assert_true(virtqueue__enable_notify(q));
		virtqueue__push(q, virtqueue__pop(q), 0);
		assert_null(virtqueue__pop(q));
		virtqueue__publish(q);
		for (unsigned int n = 0; n < 2; n++) {
			uint32_t got, len;

			assert_true(dq__get(&r.q, &got, &len));
		}
	}
	virtqueue__unlock(q);
	rig__down(&r);
}

static void nothing_is_seen_before_it_is_published(void **state)
{
	struct virtio_chain *chain[3];
	struct virtqueue *q;
	uint32_t id, len;
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	r.echo->lazy = true;
	q = virtio_device__queue(&r.echo->dev, 0);
	for (unsigned int round = 0; round < 7; round++) {
		for (uint16_t i = 0; i < 3; i++)
			rig__ask(&r, (uint16_t)(2 * i), "batch");
		assert_true(virtqueue__lock(q));
		for (unsigned int i = 0; i < 3; i++) {
			chain[i] = virtqueue__pop(q);
			assert_non_null(chain[i]);
		}
		for (unsigned int i = 0; i < 3; i++) {
			virtqueue__push(q, chain[i], echo__copy(chain[i]));
			assert_false(dq__get(&r.q, &id, &len));
		}
		virtqueue__publish(q);
		virtqueue__unlock(q);
		for (unsigned int i = 0; i < 3; i++)
			rig__expect(&r, 2 * i, "batch");
	}
	rig__down(&r);
}

static void what_is_put_back_is_popped_again(void **state)
{
	struct virtio_chain *first, *second;
	struct virtqueue *q;
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	r.echo->lazy = true;
	q = virtio_device__queue(&r.echo->dev, 0);
	for (unsigned int round = 0; round < 11; round++) {
		rig__ask(&r, 0, "one");
		rig__ask(&r, 2, "two!");
		assert_true(virtqueue__lock(q));
		first = virtqueue__pop(q);
		second = virtqueue__pop(q);
		assert_int_equal(second->out_len, 4);
		virtqueue__rewind(q, second);
		virtqueue__rewind(q, first);
		assert_true(virtqueue__has_next(q));
		first = virtqueue__pop(q);
		assert_int_equal(first->out_len, 3);
		second = virtqueue__pop(q);
		assert_int_equal(second->out_len, 4);
		virtqueue__push(q, first, echo__copy(first));
		virtqueue__push(q, second, echo__copy(second));
		virtqueue__publish(q);
		virtqueue__unlock(q);
		rig__expect(&r, 0, "one");
		rig__expect(&r, 2, "two!");
	}
	rig__down(&r);
}

static void a_buffer_may_lie_in_two_regions_of_ram(void **state)
{
	struct virtio_chain *chain;
	struct virtqueue *q;
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	r.echo->lazy = true;
	q = virtio_device__queue(&r.echo->dev, 0);
	dq__add(&r.q, 0,
		(struct driver_buf[]){ { DRIVER_HALF - 10, 30, 0 },
				       { DRIVER_HALF + 100, 8, VRING_DESC_F_WRITE },
				       { DRIVER_HALF + 108, 8, VRING_DESC_F_WRITE } },
		3);
	assert_true(virtqueue__lock(q));
	chain = virtqueue__pop(q);
	assert_non_null(chain);
	assert_int_equal(chain->nr_out, 2);
	assert_int_equal(chain->out_len, 30);
	assert_ptr_equal(chain->out[0].iov_base, driver__at(&r.d, DRIVER_HALF - 10));
	assert_int_equal(chain->out[0].iov_len, 10);
	assert_ptr_equal(chain->out[1].iov_base, driver__at(&r.d, DRIVER_HALF));
	/* and two that touch are one */
	assert_int_equal(chain->nr_in, 1);
	assert_int_equal(chain->in_len, 16);
	virtqueue__unlock(q);
	rig__down(&r);
}

static void empty_buffers_are_no_buffers(void **state)
{
	struct rig r;
	uint32_t id, len;

	rig__up(&r, SIZE, features_of(state));
	dq__add(&r.q, 4,
		(struct driver_buf[]){ { 0, 0, 0 }, { UINT64_MAX, 0, VRING_DESC_F_WRITE } }, 2);
	rig__kick(&r);
	assert_true(dq__get(&r.q, &id, &len));
	assert_int_equal(id, 4);
	assert_int_equal(len, 0);
	assert_false(driver__needs_reset(&r.d));
	rig__down(&r);
}

static uint64_t dirty_bytes, dirty_used;

static void on_dirty(void *ctx, uint64_t gpa, uint64_t len)
{
	const struct driver_queue *q = ctx;

	if (gpa >= q->buffers)
		dirty_bytes += len;
	else
		dirty_used += len;
}

static void what_the_device_writes_is_reported_dirty(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	dirty_bytes = dirty_used = 0;
	guest_memory__set_dirty_hook(&r.d.board.ram, on_dirty, &r.q);
	rig__ask(&r, 0, "stain");
	rig__kick(&r);
	assert_int_equal(dirty_bytes, 5);
	assert_true(dirty_used >= 8);
	guest_memory__set_dirty_hook(&r.d.board.ram, NULL, NULL);
	rig__down(&r);
}

/* --- what a guest must not do --- */

static void a_bad_chain_stops_the_device_and_nothing_else(void **state)
{
	static const struct {
		const char *what;
		struct driver_buf bufs[3];
		unsigned int nr;
	} bad[] = {
		{ "beyond memory", { { DRIVER_RAM, 1, 0 } }, 1 },
		{ "ends beyond memory", { { DRIVER_RAM - 4, 5, 0 } }, 1 },
		{ "far away", { { 0xfee00000, 16, VRING_DESC_F_WRITE } }, 1 },
		{ "wraps around", { { UINT64_MAX - 3, 16, VRING_DESC_F_WRITE } }, 1 },
		{ "4 GiB", { { 0x40000, UINT32_MAX, VRING_DESC_F_WRITE } }, 1 },
		{ "read after write",
		  { { 0x40000, 4, VRING_DESC_F_WRITE }, { 0x40010, 4, 0 } },
		  2 },
		{ "good, then beyond memory",
		  { { 0x40000, 4, 0 }, { DRIVER_RAM + 4096, 4, 2 } },
		  2 },
		{ "empty table", { { 0x40000, 0, VRING_DESC_F_INDIRECT } }, 1 },
		{ "table of one and a half", { { 0x40000, 24, VRING_DESC_F_INDIRECT } }, 1 },
		{ "table beyond memory", { { DRIVER_RAM - 16, 32, VRING_DESC_F_INDIRECT } }, 1 },
		{ "table nowhere", { { UINT64_MAX - 15, 16, VRING_DESC_F_INDIRECT } }, 1 },
		{ "table of 4 GiB", { { 0x40000, 0xfffffff0, VRING_DESC_F_INDIRECT } }, 1 },
		{ "table that is not last",
		  { { 0x40000, 16, VRING_DESC_F_INDIRECT }, { 0x40000, 16, 0 } },
		  2 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rig r;

		rig__up(&r, SIZE, features_of(state));
		dq__add(&r.q, 0, bad[i].bufs, bad[i].nr);
		rig__expect_broken(&r);
		assert_int_equal(r.echo->popped, 0);
		rig__down(&r);
	}
}

static void a_device_works_again_after_the_reset(void **state)
{
	uint64_t features = features_of(state);
	struct rig r;

	rig__up(&r, SIZE, features);
	dq__add(&r.q, 0, &(struct driver_buf){ DRIVER_RAM, 1, 0 }, 1);
	rig__expect_broken(&r);
	assert_true(driver__negotiate(&r.d, features));
	dq__init(&r.q, &r.d, 0, SIZE, features & RING_PACK, features & RING_EVENT);
	driver__enable_queue(&r.q);
	driver__ok(&r.d);
	rig__ask(&r, 0, "again");
	rig__kick(&r);
	rig__expect(&r, 0, "again");
	rig__down(&r);
}

/* There has to be as much memory for this to be what is wrong with it. */
static void a_request_of_more_than_four_gigabytes_is_refused(void **state)
{
	const uint64_t base = 1ull << 32, size = 1ull << 32;
	struct rig r;
	void *ram = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(ram, MAP_FAILED);
	rig__up(&r, SIZE, features_of(state));
	assert_int_equal(
		guest_memory__add(&r.d.board.ram,
				  &(struct memory_region){ .gpa = base, .size = size, .hva = ram }),
		0);
	r.echo->hold = true;
	dq__add(&r.q, 0, (struct driver_buf[]){ { base, 0x80000000, 0 }, { base, 0x80000000, 0 } },
		2);
	rig__kick(&r);
	assert_int_equal(r.echo->nr_held, 1);
	assert_false(driver__needs_reset(&r.d));
	dq__add(&r.q, 2, (struct driver_buf[]){ { base, 0x80000000, 0 }, { base, 0x80000001, 0 } },
		2);
	rig__expect_broken(&r);
	rig__down(&r);
	munmap(ram, size);
}

static void an_indirect_table_of_more_than_the_limit_is_refused(void **state)
{
	struct driver_buf bufs[VIRTIO_MAX_CHAIN + 1];
	struct rig r;
	uint64_t table = 0x100000;

	rig__up(&r, SIZE, features_of(state));
	for (unsigned int i = 0; i <= VIRTIO_MAX_CHAIN; i++)
		bufs[i] = (struct driver_buf){ 0x1000 + i, 1, 0 };
	dq__write_table(&r.q, table, bufs, VIRTIO_MAX_CHAIN + 1);
	dq__add(&r.q, 0,
		&(struct driver_buf){ table, 16 * VIRTIO_MAX_CHAIN, VRING_DESC_F_INDIRECT }, 1);
	if (!r.q.packed) /* the last of the table does not end it */
		((struct vring_desc *)driver__at(&r.d, table))[VIRTIO_MAX_CHAIN - 1].flags = 0;
	rig__kick(&r);
	assert_false(driver__needs_reset(&r.d));
	assert_int_equal(r.echo->popped, 1);
	((struct vring_desc *)driver__at(&r.d, table))[VIRTIO_MAX_CHAIN - 1].flags =
		r.q.packed ? 0 : VRING_DESC_F_NEXT;
	dq__add(&r.q, 1,
		&(struct driver_buf){ table, 16 * (VIRTIO_MAX_CHAIN + 1), VRING_DESC_F_INDIRECT },
		1);
	{
		uint32_t id, len;

		assert_true(dq__get(&r.q, &id, &len));
	}
	rig__expect_broken(&r);
	rig__down(&r);
}

static void indirect_descriptors_need_to_be_negotiated(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, features_of(state) & ~VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC));
	dq__write_table(&r.q, 0x40000, &(struct driver_buf){ 0x1000, 1, 0 }, 1);
	dq__add(&r.q, 0, &(struct driver_buf){ 0x40000, 16, VRING_DESC_F_INDIRECT }, 1);
	rig__expect_broken(&r);
	rig__down(&r);
}

static void a_ring_outside_memory_or_crooked_is_refused(void **state)
{
	static const uint64_t places[] = { DRIVER_RAM, DRIVER_RAM - 2, UINT64_MAX - 7,
					   DRIVER_HALF - 16, 0x10001 };
	uint64_t features = features_of(state);

	for (unsigned int i = 0; i < 3 * ARRAY_SIZE(places); i++) {
		struct rig r;
		uint64_t *parts[] = { &r.q.desc, &r.q.driver, &r.q.device };

		driver__init(&r.d);
		r.echo = echo__create(&r.d, 1);
		driver__plug(&r.d, &r.echo->dev);
		assert_true(driver__negotiate(&r.d, features));
		dq__init(&r.q, &r.d, 0, SIZE, features & RING_PACK, features & RING_EVENT);
		if (i / ARRAY_SIZE(places) && places[i % ARRAY_SIZE(places)] == DRIVER_HALF - 16)
			*parts[i / ARRAY_SIZE(places)] = DRIVER_HALF - 2;
		else
			*parts[i / ARRAY_SIZE(places)] = places[i % ARRAY_SIZE(places)];
		driver__enable_queue(&r.q);
		driver__ok(&r.d);
		assert_true(driver__needs_reset(&r.d));
		assert_int_equal(r.echo->starts, 0);
		rig__down(&r);
	}
}

static void more_buffers_than_the_ring_has_are_refused(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, features_of(state));
	r.echo->hold = true;
	for (uint16_t i = 0; i < SIZE; i++)
		dq__add(&r.q, i, &(struct driver_buf){ 0x1000, 4, 0 }, 1);
	rig__kick(&r);
	assert_int_equal(r.echo->nr_held, SIZE);
	assert_false(driver__needs_reset(&r.d));
	dq__add(&r.q, 0, &(struct driver_buf){ 0x1000, 4, 0 }, 1);
	rig__expect_broken(&r);
	rig__down(&r);
}

#define EACH(test, variant)                                                       \
	{                                                                         \
#test "_" #variant, test, NULL, NULL, (void *)(uintptr_t)&variant \
	}
#define ALL(test) \
	EACH(test, split), EACH(test, split_events), EACH(test, packed), EACH(test, packed_events)

int main(void)
{
	static const uint64_t split = 0, split_events = RING_EVENT, packed = RING_PACK,
			      packed_events = RING_PACK | RING_EVENT;
	const struct CMUnitTest tests[] = {
		ALL(a_request_is_answered),
		ALL(buffers_made_available_before_driver_ok_are_found),
		ALL(rings_wrap_around_many_times),
		ALL(a_ring_that_is_full_is_emptied),
		ALL(buffers_can_be_used_out_of_order),
		ALL(an_odd_size_is_for_packed_rings_only),
		ALL(an_indirect_table_is_followed),
		EACH(interrupts_can_be_switched_off, split),
		EACH(interrupts_can_be_switched_off, packed),
		EACH(interrupts_can_be_switched_off, packed_events),
		EACH(one_interrupt_comes_at_the_event_asked_for, split_events),
		EACH(one_interrupt_comes_at_the_event_asked_for, packed_events),
		ALL(the_driver_is_told_when_to_notify),
		ALL(nothing_is_seen_before_it_is_published),
		ALL(what_is_put_back_is_popped_again),
		ALL(a_buffer_may_lie_in_two_regions_of_ram),
		ALL(empty_buffers_are_no_buffers),
		ALL(what_the_device_writes_is_reported_dirty),
		ALL(a_bad_chain_stops_the_device_and_nothing_else),
		ALL(a_device_works_again_after_the_reset),
		ALL(a_request_of_more_than_four_gigabytes_is_refused),
		ALL(an_indirect_table_of_more_than_the_limit_is_refused),
		ALL(indirect_descriptors_need_to_be_negotiated),
		ALL(a_ring_outside_memory_or_crooked_is_refused),
		ALL(more_buffers_than_the_ring_has_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
