// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The entropy device (Virtio 1.2, section 5.4).
 */
#include "kvm/virtio-rng.h"
#include "virtio-driver.h"

#define BASIC (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC))

struct rig {
	struct driver d;
	struct driver_queue q;
};

static void up(struct rig *r, uint64_t features)
{
	driver__init(&r->d);
	driver__plug(&r->d, virtio_rng__create(&r->d.board.host, 0));
	assert_true(driver__negotiate(&r->d, features));
	dq__init(&r->q, &r->d, 0, 64, features & VIRTIO_BIT(VIRTIO_F_RING_PACKED), false);
	driver__enable_queue(&r->q);
	driver__ok(&r->d);
}

static void a_buffer_is_filled(void **state)
{
	uint32_t id, len, different = 0;
	uint8_t *bytes;
	struct rig r;

	up(&r, BASIC);
	dq__add(&r.q, 0,
		(struct driver_buf[]){ { 0x1000, 100, VRING_DESC_F_WRITE },
				       { 0x2000, 156, VRING_DESC_F_WRITE } },
		2);
	driver__notify(&r.q);
	driver__run(&r.d);
	assert_true(dq__get(&r.q, &id, &len));
	assert_int_equal(len, 256);
	bytes = driver__at(&r.d, 0x1000);
	for (unsigned int i = 1; i < 100; i++)
		different += bytes[i] != bytes[0];
	assert_true(different > 80);
	bytes = driver__at(&r.d, 0x2000);
	assert_int_equal(bytes[156], 0);
	driver__destroy(&r.d);
}

static void a_great_request_gets_a_part(void **state)
{
	uint32_t id, len;
	struct rig r;

	up(&r, BASIC);
	dq__add(&r.q, 0, &(struct driver_buf){ 0x80000, 0x100000, VRING_DESC_F_WRITE }, 1);
	driver__notify(&r.q);
	driver__run(&r.d);
	assert_true(dq__get(&r.q, &id, &len));
	assert_int_equal(len, 4096);
	assert_int_equal(*(uint64_t *)driver__at(&r.d, 0x81000), 0);
	driver__destroy(&r.d);
}

static void a_request_without_room_gets_nothing(void **state)
{
	uint32_t id, len;
	struct rig r;

	up(&r, BASIC);
	dq__add(&r.q, 0, &(struct driver_buf){ 0x1000, 16, 0 }, 1);
	driver__notify(&r.q);
	driver__run(&r.d);
	assert_true(dq__get(&r.q, &id, &len));
	assert_int_equal(len, 0);
	driver__destroy(&r.d);
}

static void a_full_ring_is_served_in_order(void **state)
{
	uint32_t id, len;
	struct rig r;

	up(&r, BASIC | VIRTIO_BIT(VIRTIO_F_IN_ORDER));
	for (unsigned int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < 64; i++)
			dq__add(&r.q, i, &(struct driver_buf){ 0x1000, 8, VRING_DESC_F_WRITE }, 1);
		driver__notify(&r.q);
		driver__run(&r.d);
		for (uint16_t i = 0; i < 64; i++) {
			assert_true(dq__get(&r.q, &id, &len));
			assert_int_equal(id, i);
			assert_int_equal(len, 8);
		}
	}
	driver__destroy(&r.d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_is_filled),
		cmocka_unit_test(a_great_request_gets_a_part),
		cmocka_unit_test(a_request_without_room_gets_nothing),
		cmocka_unit_test(a_full_ring_is_served_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
