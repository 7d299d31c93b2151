// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is particular to packed virtqueues (Virtio 1.2, section 2.8).
 */
#include "virtqueue-rig.h"

#define SIZE	 8
#define FEATURES (RING_BASIC | RING_PACK)

static struct vring_packed_desc *desc(struct rig *r)
{
	return driver__at(&r->d, r->q.desc);
}

static void a_list_longer_than_the_ring_is_refused(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, FEATURES);
	for (unsigned int i = 0; i < SIZE; i++)
		desc(&r)[i] = (struct vring_packed_desc){
			.addr = 0x1000,
			.len = 4,
			.flags = VRING_DESC_F_NEXT | 1u << VRING_PACKED_DESC_F_AVAIL,
		};
	rig__expect_broken(&r);
	rig__down(&r);
}

static void a_list_that_runs_into_buffers_in_use_is_refused(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, FEATURES);
	r.echo->hold = true;
	for (uint16_t i = 0; i < 6; i++)
		dq__add(&r.q, i, &(struct driver_buf){ 0x1000, 4, 0 }, 1);
	rig__kick(&r);
	assert_int_equal(r.echo->nr_held, 6);
	for (unsigned int i = 6; i < 9; i++)
		desc(&r)[i % SIZE] = (struct vring_packed_desc){
			.addr = 0x1000,
			.len = 4,
			.flags = (uint16_t)(VRING_DESC_F_NEXT | dq__avail_bits(i < SIZE)),
		};
	rig__expect_broken(&r);
	rig__down(&r);
}

static void in_an_indirect_table_only_write_counts(void **state)
{
	struct vring_packed_desc *table;
	struct rig r;

	rig__up(&r, SIZE, FEATURES);
	memcpy(driver__at(&r.d, r.q.buffers), "flat", 4);
	table = driver__at(&r.d, 0x40000);
	table[0] = (struct vring_packed_desc){
		.addr = r.q.buffers, .len = 4, .id = 99, .flags = VRING_DESC_F_INDIRECT
	};
	table[1] = (struct vring_packed_desc){ .addr = r.q.buffers + 32,
					       .len = 4,
					       .flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT };
	dq__add(&r.q, 0, &(struct driver_buf){ 0x40000, 32, VRING_DESC_F_INDIRECT }, 1);
	rig__kick(&r);
	rig__expect(&r, 0, "flat");
	rig__down(&r);
}

static void a_table_behind_other_descriptors_is_refused(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, FEATURES);
	dq__write_table(&r.q, 0x40000, &(struct driver_buf){ 0x1000, 4, 0 }, 1);
	dq__add(&r.q, 0,
		(struct driver_buf[]){ { 0x1000, 4, 0 }, { 0x40000, 16, VRING_DESC_F_INDIRECT } },
		2);
	rig__expect_broken(&r);
	rig__down(&r);
}

static void a_used_descriptor_says_whether_something_was_written(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, FEATURES);
	rig__ask(&r, 0, "some");
	dq__add(&r.q, 5, &(struct driver_buf){ 0x1000, 4, 0 }, 1);
	rig__kick(&r);
	assert_true(desc(&r)[0].flags & VRING_DESC_F_WRITE);
	assert_false(desc(&r)[2].flags & VRING_DESC_F_WRITE);
	assert_int_equal(desc(&r)[2].id, 5);
	rig__down(&r);
}

static void any_buffer_id_comes_back_as_it_was(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, FEATURES);
	desc(&r)[0] = (struct vring_packed_desc){
		.addr = 0x1000, .len = 4, .id = 0xffff, .flags = 1u << VRING_PACKED_DESC_F_AVAIL
	};
	rig__kick(&r);
	assert_int_equal(desc(&r)[0].id, 0xffff);
	assert_int_equal(desc(&r)[0].flags,
			 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED);
	assert_false(driver__needs_reset(&r.d));
	rig__down(&r);
}

static void a_descriptor_of_the_wrong_round_is_not_available(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, FEATURES);
	desc(&r)[0] = (struct vring_packed_desc){ .addr = 0x1000,
						  .len = 4,
						  .flags = 1u << VRING_PACKED_DESC_F_USED };
	rig__kick(&r);
	assert_int_equal(r.echo->popped, 0);
	assert_false(driver__needs_reset(&r.d));
	rig__down(&r);
}

static void reserved_event_flags_mean_interrupts(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, FEATURES);
	/* a particular event, which was not negotiated, and the reserved value */
	for (uint16_t flags = 2; flags <= 3; flags++) {
		dq__word(&r.q, r.q.driver)[0] = 77;
		dq__word(&r.q, r.q.driver)[1] = flags;
		rig__ask(&r, 0, "any");
		rig__kick(&r);
		rig__expect(&r, 0, "any");
		assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_VRING);
	}
	rig__down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_longer_than_the_ring_is_refused),
		cmocka_unit_test(a_list_that_runs_into_buffers_in_use_is_refused),
		cmocka_unit_test(in_an_indirect_table_only_write_counts),
		cmocka_unit_test(a_table_behind_other_descriptors_is_refused),
		cmocka_unit_test(a_used_descriptor_says_whether_something_was_written),
		cmocka_unit_test(any_buffer_id_comes_back_as_it_was),
		cmocka_unit_test(a_descriptor_of_the_wrong_round_is_not_available),
		cmocka_unit_test(reserved_event_flags_mean_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
