// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What can be wrong with a split virtqueue and with no other (Virtio 1.2, section 2.7).
 */
#include "virtqueue-rig.h"

#define SIZE 16

static struct vring_desc *desc(struct rig *r)
{
	return driver__at(&r->d, r->q.desc);
}

static void a_loop_of_descriptors_is_found_out(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	for (uint16_t i = 0; i < 3; i++)
		desc(&r)[i] = (struct vring_desc){ .addr = 0x1000,
						   .len = 4,
						   .flags = VRING_DESC_F_NEXT,
						   .next = (uint16_t)((i + 1) % 3) };
	dq__expose(&r.q, 0);
	rig__expect_broken(&r);
	rig__down(&r);
}

static void a_loop_of_empty_descriptors_is_found_out(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	desc(&r)[5] = (struct vring_desc){ .flags = VRING_DESC_F_NEXT, .next = 5 };
	dq__expose(&r.q, 5);
	rig__expect_broken(&r);
	rig__down(&r);
}

static void a_loop_in_an_indirect_table_is_found_out(void **state)
{
	struct vring_desc *table;
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	table = driver__at(&r.d, 0x40000);
	table[0] = (struct vring_desc){
		.addr = 0x1000, .len = 4, .flags = VRING_DESC_F_NEXT, .next = 1
	};
	table[1] = table[0];
	table[1].next = 0;
	dq__add(&r.q, 0, &(struct driver_buf){ 0x40000, 32, VRING_DESC_F_INDIRECT }, 1);
	rig__expect_broken(&r);
	rig__down(&r);
}

static void a_next_beyond_the_table_is_refused(void **state)
{
	static const uint16_t beyond[] = { SIZE, SIZE + 1, 0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(beyond); i++) {
		struct rig r;

		rig__up(&r, SIZE, RING_BASIC);
		desc(&r)[0] = (struct vring_desc){
			.addr = 0x1000, .len = 4, .flags = VRING_DESC_F_NEXT, .next = beyond[i]
		};
		dq__expose(&r.q, 0);
		rig__expect_broken(&r);
		rig__down(&r);
	}
}

static void a_next_beyond_an_indirect_table_is_refused(void **state)
{
	struct vring_desc *table;
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	table = driver__at(&r.d, 0x40000);
	table[0] = (struct vring_desc){
		.addr = 0x1000, .len = 4, .flags = VRING_DESC_F_NEXT, .next = 2
	};
	dq__add(&r.q, 0, &(struct driver_buf){ 0x40000, 32, VRING_DESC_F_INDIRECT }, 1);
	rig__expect_broken(&r);
	rig__down(&r);
}

static void a_head_beyond_the_table_is_refused(void **state)
{
	static const uint16_t beyond[] = { SIZE, 0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(beyond); i++) {
		struct rig r;

		rig__up(&r, SIZE, RING_BASIC);
		dq__expose(&r.q, beyond[i]);
		rig__expect_broken(&r);
		rig__down(&r);
	}
}

static void an_index_that_jumps_is_refused(void **state)
{
	static const uint16_t jumps[] = { SIZE + 1, 0x8000, 0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(jumps); i++) {
		struct rig r;

		rig__up(&r, SIZE, RING_BASIC);
		dq__word(&r.q, r.q.driver)[1] = jumps[i];
		rig__expect_broken(&r);
		assert_int_equal(r.echo->popped, 0);
		rig__down(&r);
	}
}

static void an_indirect_table_in_an_indirect_table_is_refused(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	dq__write_table(&r.q, 0x41000, &(struct driver_buf){ 0x1000, 4, 0 }, 1);
	dq__write_table(&r.q, 0x40000, &(struct driver_buf){ 0x41000, 16, VRING_DESC_F_INDIRECT },
			1);
	dq__add(&r.q, 0, &(struct driver_buf){ 0x40000, 16, VRING_DESC_F_INDIRECT }, 1);
	rig__expect_broken(&r);
	rig__down(&r);
}

static void a_table_may_come_at_the_end_of_a_chain(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	memcpy(driver__at(&r.d, r.q.buffers), "mixed", 5);
	dq__write_table(&r.q, 0x40000,
			(struct driver_buf[]){ { r.q.buffers + 3, 2, 0 },
					       { r.q.buffers + 32, 5, VRING_DESC_F_WRITE } },
			2);
	dq__add(&r.q, 0,
		(struct driver_buf[]){ { r.q.buffers, 3, 0 },
				       { 0x40000, 32, VRING_DESC_F_INDIRECT } },
		2);
	rig__kick(&r);
	rig__expect(&r, 0, "mixed");
	rig__down(&r);
}

static void with_event_indices_the_flags_do_not_matter(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC | RING_EVENT);
	dq__set_interrupts(&r.q, false);
	dq__interrupt_after(&r.q, 1);
	rig__ask(&r, 0, "still");
	rig__kick(&r);
	assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_VRING);
	rig__expect(&r, 0, "still");
	rig__down(&r);
}

static void a_size_of_zero_is_refused(void **state)
{
	struct rig r;

	driver__init(&r.d);
	r.echo = echo__create(&r.d, 1);
	driver__plug(&r.d, &r.echo->dev);
	assert_true(driver__negotiate(&r.d, RING_BASIC));
	dq__init(&r.q, &r.d, 0, 0, false, false);
	driver__enable_queue(&r.q);
	driver__ok(&r.d);
	assert_true(driver__needs_reset(&r.d));
	rig__down(&r);
}

static void helpers_cut_chains_where_they_are_told(void **state)
{
	struct virtio_chain *chain;
	struct iovec slice[4];
	struct virtqueue *q;
	uint8_t data[64];
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	r.echo->lazy = true;
	q = virtio_device__queue(&r.echo->dev, 0);
	for (unsigned int i = 0; i < 64; i++)
		*(uint8_t *)driver__at(&r.d, 0x1000 + i * 0x100) = (uint8_t)i;
	dq__add(&r.q, 0,
		(struct driver_buf[]){ { 0x1000, 16, 0 },
				       { 0x1100, 4, 0 },
				       { 0x1200, 12, 0 },
				       { 0x1300, 8, VRING_DESC_F_WRITE },
				       { 0x1400, 1, VRING_DESC_F_WRITE } },
		5);
	assert_true(virtqueue__lock(q));
	chain = virtqueue__pop(q);
	assert_int_equal(virtio_chain__read(chain, 16, data, 64), 16);
	assert_int_equal(data[0], 1);
	assert_int_equal(data[4], 2);
	assert_int_equal(virtio_iov__slice(chain->out, chain->nr_out, 15, 6, slice), 3);
	assert_int_equal(slice[0].iov_len, 1);
	assert_int_equal(slice[1].iov_len, 4);
	assert_int_equal(slice[2].iov_len, 1);
	assert_true(virtio_chain__skip_out(chain, 18));
	assert_ptr_equal(chain->out[0].iov_base, driver__at(&r.d, 0x1102));
	assert_int_equal(chain->out_len, 14);
	assert_int_equal(chain->nr_out, 2);
	assert_false(virtio_chain__skip_out(chain, 15));
	assert_true(virtio_chain__trim_out(chain, 12));
	assert_int_equal(chain->nr_out, 1);
	assert_true(virtio_chain__skip_out(chain, 2));
	assert_int_equal(chain->nr_out, 0);
	assert_null(virtio_chain__cut_in(chain, 2));
	assert_ptr_equal(virtio_chain__cut_in(chain, 1), driver__at(&r.d, 0x1400));
	assert_int_equal(chain->in_len, 8);
	assert_int_equal(virtio_chain__write(chain, 4, "abcdefgh", 8), 4);
	assert_memory_equal(driver__at(&r.d, 0x1304), "abcd", 4);
	virtqueue__push(q, chain, 8);
	virtqueue__unlock(q);
	rig__down(&r);
}

static void a_struct_is_used_again_with_what_the_device_left_in_it(void **state)
{
	struct virtio_chain *chain, *again;
	struct virtqueue *q;
	struct rig r;

	driver__init(&r.d);
	r.echo = echo__create(&r.d, 1);
	r.echo->dev.chain_priv = 100;
	r.echo->lazy = true;
	driver__plug(&r.d, &r.echo->dev);
	assert_true(driver__negotiate(&r.d, RING_BASIC));
	dq__init(&r.q, &r.d, 0, SIZE, false, false);
	driver__enable_queue(&r.q);
	driver__ok(&r.d);
	q = virtio_device__queue(&r.echo->dev, 0);
	rig__ask(&r, 0, "x");
	rig__ask(&r, 2, "x");
	assert_true(virtqueue__lock(q));
	chain = virtqueue__pop(q);
	assert_int_equal((uintptr_t)virtio_chain__priv(chain) % 16, 0);
	assert_int_equal(((uint8_t *)virtio_chain__priv(chain))[99], 0);
	memset(virtio_chain__priv(chain), 7, 100);
	virtqueue__push(q, chain, 0);
	again = virtqueue__pop(q);
	assert_ptr_equal(again, chain);
	assert_int_equal(((uint8_t *)virtio_chain__priv(again))[99], 7);
	virtqueue__unlock(q);
	rig__down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_of_descriptors_is_found_out),
		cmocka_unit_test(a_loop_of_empty_descriptors_is_found_out),
		cmocka_unit_test(a_loop_in_an_indirect_table_is_found_out),
		cmocka_unit_test(a_next_beyond_the_table_is_refused),
		cmocka_unit_test(a_next_beyond_an_indirect_table_is_refused),
		cmocka_unit_test(a_head_beyond_the_table_is_refused),
		cmocka_unit_test(an_index_that_jumps_is_refused),
		cmocka_unit_test(an_indirect_table_in_an_indirect_table_is_refused),
		cmocka_unit_test(a_table_may_come_at_the_end_of_a_chain),
		cmocka_unit_test(with_event_indices_the_flags_do_not_matter),
		cmocka_unit_test(a_size_of_zero_is_refused),
		cmocka_unit_test(helpers_cut_chains_where_they_are_told),
		cmocka_unit_test(a_struct_is_used_again_with_what_the_device_left_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
