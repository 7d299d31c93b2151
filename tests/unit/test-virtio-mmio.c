// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory-mapped transport, versions 2 and 1 of its registers (Virtio 1.2, sections 4.2.2 and
 * 4.2.4).
 */
#include "virtio-echo.h"

#define SIZE  16
#define BASIC (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC))

struct rig {
	struct driver d;
	struct echo *echo;
	struct driver_queue q;
};

static struct {
	unsigned int nr;
	uint64_t addr, match;
	uint32_t len;
	int refuse;
} ioeventfds;

static int on_ioeventfd(void *ctx, enum bus_space space, uint64_t addr, uint32_t len,
			const uint64_t *datamatch, int fd, bool assign)
{
	if (ioeventfds.refuse)
		return ioeventfds.refuse;
	ioeventfds.nr += assign ? 1u : -1u;
	ioeventfds.addr = addr;
	ioeventfds.len = len;
	ioeventfds.match = *datamatch;
	return 0;
}

static void up(struct rig *r, unsigned int nr_queues, bool legacy)
{
	struct virtio_mmio_config cfg = { .base = DRIVER_MMIO,
					  .gsi = DRIVER_GSI,
					  .legacy = legacy };

	memset(r, 0, sizeof(*r));
	memset(&ioeventfds, 0, sizeof(ioeventfds));
	driver__init(&r->d);
	bus__destroy(r->d.board.host.bus);
	r->d.board.host.bus = bus__create(on_ioeventfd, NULL);
	r->echo = echo__create(&r->d, nr_queues);
	r->d.dev =
		board__add(&r->d.board, virtio_mmio__create(&r->d.board.host, &r->echo->dev, &cfg));
}

static void down(struct rig *r)
{
	driver__destroy(&r->d);
}

static void start(struct rig *r)
{
	assert_true(driver__negotiate(&r->d, BASIC));
	dq__init(&r->q, &r->d, 0, SIZE, false, false);
	driver__enable_queue(&r->q);
	driver__ok(&r->d);
}

static void request(struct rig *r)
{
	uint32_t id, len;

	dq__add(&r->q, 0,
		(struct driver_buf[]){ { 0x1000, 4, 0 }, { 0x1010, 4, VRING_DESC_F_WRITE } }, 2);
	driver__notify(&r->q);
	driver__run(&r->d);
	assert_true(dq__get(&r->q, &id, &len));
	assert_int_equal(len, 4);
}

static void it_says_what_it_is(void **state)
{
	struct rig r;

	for (unsigned int legacy = 0; legacy < 2; legacy++) {
		up(&r, 1, legacy);
		assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
		assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_VERSION), legacy ? 1 : 2);
		assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
		assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTIO_QUEUE_SIZE);
		down(&r);
	}
}

static void features_come_in_halves(void **state)
{
	struct rig r;

	up(&r, 1, false);
	assert_int_equal(driver__offered(&r.d), r.echo->dev.offered);
	driver__set_reg(&r.d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	driver__set_reg(&r.d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0xffffffff);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	down(&r);
}

static void the_line_is_high_until_it_is_acknowledged(void **state)
{
	struct rig r;

	up(&r, 1, false);
	start(&r);
	request(&r);
	virtio_device__config_begin(&r.echo->dev);
	virtio_device__config_end(&r.echo->dev);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_true(r.d.board.level[DRIVER_GSI]);
	driver__set_reg(&r.d, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_true(r.d.board.level[DRIVER_GSI]);
	driver__set_reg(&r.d, VIRTIO_MMIO_INTERRUPT_ACK, 0xfffffffe);
	assert_false(r.d.board.level[DRIVER_GSI]);
	assert_int_equal(r.d.board.rises[DRIVER_GSI], 1);
	down(&r);
}

static void a_reset_lowers_the_line(void **state)
{
	struct rig r;

	up(&r, 1, false);
	start(&r);
	request(&r);
	assert_true(r.d.board.level[DRIVER_GSI]);
	r.d.dev->ops->reset(r.d.dev);
	assert_false(r.d.board.level[DRIVER_GSI]);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	down(&r);
}

static void ioeventfds_match_the_number_of_the_queue(void **state)
{
	struct driver_queue second;
	struct rig r;

	up(&r, 3, false);
	assert_true(driver__negotiate(&r.d, BASIC));
	dq__init(&second, &r.d, 1, SIZE, false, false);
	driver__enable_queue(&second);
	assert_int_equal(ioeventfds.nr, 0);
	driver__ok(&r.d);
	assert_int_equal(ioeventfds.nr, 1);
	assert_int_equal(ioeventfds.addr, DRIVER_MMIO + VIRTIO_MMIO_QUEUE_NOTIFY);
	assert_int_equal(ioeventfds.len, 4);
	assert_int_equal(ioeventfds.match, 1);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(ioeventfds.nr, 0);
	down(&r);
}

static void without_ioeventfds_the_register_does(void **state)
{
	struct rig r;

	up(&r, 1, false);
	ioeventfds.refuse = -ENOSPC;
	start(&r);
	request(&r);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	down(&r);
}

static void queue_ready_zero_gives_a_queue_up(void **state)
{
	struct rig r;

	up(&r, 1, false);
	start(&r);
	request(&r);
	driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(r.echo->queue_resets, 1);
	assert_int_equal(ioeventfds.nr, 0);
	down(&r);
}

static void there_is_no_shared_memory(void **state)
{
	struct rig r;

	up(&r, 1, false);
	for (uint32_t reg = VIRTIO_MMIO_SHM_LEN_LOW; reg <= VIRTIO_MMIO_SHM_BASE_HIGH; reg += 4)
		assert_int_equal(driver__reg(&r.d, reg), 0xffffffff);
	down(&r);
}

static void registers_are_words(void **state)
{
	struct rig r;

	up(&r, 1, false);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + VIRTIO_MMIO_MAGIC_VALUE, 2), 0);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + VIRTIO_MMIO_MAGIC_VALUE, 8), 0);
	board__store(&r.d.board, DRIVER_MMIO + VIRTIO_MMIO_STATUS, 1, 3);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_STATUS), 0);
	down(&r);
}

static void every_access_anywhere_is_survived(void **state)
{
	struct rig r;

	for (unsigned int legacy = 0; legacy < 2; legacy++) {
		up(&r, 3, legacy);
		if (!legacy)
			start(&r);
		board__hammer(&r.d.board, BUS_MMIO, DRIVER_MMIO, 0x140);
		board__hammer(&r.d.board, BUS_MMIO, DRIVER_MMIO + VIRTIO_MMIO_SIZE - 16, 32);
		driver__run(&r.d);
		driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_STATUS), 0);
		down(&r);
	}
}

/* --- version 1 ------------------------------------------------------------------------------ */

static void set_up_legacy(struct rig *r, uint32_t page, uint32_t align)
{
	driver__set_reg(&r->d, VIRTIO_MMIO_STATUS, 0);
	driver__set_reg(&r->d, VIRTIO_MMIO_STATUS, 1);
	driver__set_reg(&r->d, VIRTIO_MMIO_STATUS, 3);
	driver__set_reg(&r->d, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	driver__set_reg(&r->d, VIRTIO_MMIO_GUEST_PAGE_SIZE, page);
	driver__set_reg(&r->d, VIRTIO_MMIO_QUEUE_SEL, 0);
	driver__set_reg(&r->d, VIRTIO_MMIO_QUEUE_NUM, SIZE);
	driver__set_reg(&r->d, VIRTIO_MMIO_QUEUE_ALIGN, align);
	dq__init(&r->q, &r->d, 0, SIZE, false, false);
	r->q.driver = r->q.desc + 16 * SIZE;
	r->q.device = (r->q.driver + 6 + 2 * SIZE + align - 1) & ~(uint64_t)(align - 1);
	driver__set_reg(&r->d, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)(r->q.desc / page));
}

static void an_old_driver_lays_its_queue_out_by_itself(void **state)
{
	static const uint32_t aligns[] = { 4096, 64, 4 };

	for (unsigned int i = 0; i < ARRAY_SIZE(aligns); i++) {
		struct rig r;

		up(&r, 1, true);
		set_up_legacy(&r, 4096, aligns[i]);
		assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_QUEUE_PFN), r.q.desc / 4096);
		driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 7);
		assert_true(virtio_device__is_legacy(&r.echo->dev));
		for (unsigned int n = 0; n < 40; n++)
			request(&r);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_PFN, 0);
		assert_int_equal(r.echo->queue_resets, 1);
		down(&r);
	}
}

static void an_impossible_alignment_breaks_the_device(void **state)
{
	static const uint32_t aligns[] = { 0, 3, 1, 2, 0x80000000 };

	for (unsigned int i = 0; i < ARRAY_SIZE(aligns); i++) {
		struct rig r;

		up(&r, 1, true);
		set_up_legacy(&r, 4096, 4096);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_PFN, 0);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_NUM, SIZE);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_ALIGN, aligns[i]);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)(r.q.desc / 4096));
		driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 7);
		assert_true(driver__needs_reset(&r.d));
		down(&r);
	}
}

static void an_impossible_page_breaks_the_device(void **state)
{
	static const uint32_t pages[] = { 0x80000001, 0xffffffff, 3 };

	for (unsigned int i = 0; i < ARRAY_SIZE(pages); i++) {
		struct rig r;

		up(&r, 1, true);
		set_up_legacy(&r, 4096, 4096);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_PFN, 0);
		driver__set_reg(&r.d, VIRTIO_MMIO_GUEST_PAGE_SIZE, pages[i]);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_PFN, 0xffffffff);
		driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 7);
		assert_true(driver__needs_reset(&r.d));
		down(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_what_it_is),
		cmocka_unit_test(features_come_in_halves),
		cmocka_unit_test(the_line_is_high_until_it_is_acknowledged),
		cmocka_unit_test(a_reset_lowers_the_line),
		cmocka_unit_test(ioeventfds_match_the_number_of_the_queue),
		cmocka_unit_test(without_ioeventfds_the_register_does),
		cmocka_unit_test(queue_ready_zero_gives_a_queue_up),
		cmocka_unit_test(there_is_no_shared_memory),
		cmocka_unit_test(registers_are_words),
		cmocka_unit_test(every_access_anywhere_is_survived),
		cmocka_unit_test(an_old_driver_lays_its_queue_out_by_itself),
		cmocka_unit_test(an_impossible_alignment_breaks_the_device),
		cmocka_unit_test(an_impossible_page_breaks_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
