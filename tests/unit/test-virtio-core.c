// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Status, features, configuration, reset (Virtio 1.2, sections 2 and 3).
 */
#include <pthread.h>

#include "virtqueue-rig.h"

#define SIZE	 16
#define S_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)

static void plug(struct rig *r, unsigned int nr_queues)
{
	driver__init(&r->d);
	r->echo = echo__create(&r->d, nr_queues);
	driver__plug(&r->d, &r->echo->dev);
}

static void features_that_were_not_offered_are_refused(void **state)
{
	struct rig r;

	plug(&r, 1);
	assert_false(driver__negotiate(&r.d, RING_BASIC | 1));
	assert_false(driver__negotiate(&r.d, RING_BASIC | 1ull << 63));
	assert_true(driver__negotiate(&r.d, RING_BASIC));
	assert_true(driver__negotiate(&r.d, driver__offered(&r.d)));
	rig__down(&r);
}

static void version_1_is_not_for_choice(void **state)
{
	struct rig r;

	plug(&r, 1);
	assert_false(driver__negotiate(&r.d, 0));
	rig__down(&r);
}

static void a_device_may_refuse_a_subset(void **state)
{
	struct rig r;

	plug(&r, 1);
	r.echo->refuse = true;
	assert_false(driver__negotiate(&r.d, RING_BASIC));
	rig__down(&r);
}

static void features_are_fixed_once_agreed_upon(void **state)
{
	struct rig r;

	plug(&r, 1);
	assert_true(driver__negotiate(&r.d, RING_BASIC));
	driver__set_reg(&r.d, VIRTIO_MMIO_DRIVER_FEATURES, 0xffffffff);
	driver__ok(&r.d);
	assert_int_equal(r.echo->dev.features, RING_BASIC);
	rig__down(&r);
}

static void driver_ok_without_features_ok_breaks_the_device(void **state)
{
	struct rig r;

	plug(&r, 1);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK);
	assert_true(driver__needs_reset(&r.d));
	assert_int_equal(r.echo->starts, 0);
	assert_false(driver__reg(&r.d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK);
	rig__down(&r);
}

static void status_bits_stay_until_a_reset(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_STATUS),
			 S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	/* neither bits that do not exist nor the device's own */
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0x70);
	assert_false(driver__needs_reset(&r.d));
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0xff);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_STATUS),
			 S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
				 VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(r.echo->starts, 1);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_STATUS), 0);
	rig__down(&r);
}

static void a_device_that_cannot_start_says_so(void **state)
{
	struct rig r;

	plug(&r, 1);
	r.echo->start_error = -EIO;
	assert_true(driver__negotiate(&r.d, RING_BASIC));
	driver__ok(&r.d);
	assert_true(driver__needs_reset(&r.d));
	assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_CONFIG);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(r.echo->stops, 0);
	rig__down(&r);
}

static void a_reset_forgets_everything(void **state)
{
	struct rig r;
	unsigned int resets;

	rig__up(&r, SIZE, RING_BASIC);
	resets = r.echo->resets;
	rig__ask(&r, 0, "gone");
	driver__notify(&r.q);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(r.echo->stops, 1);
	assert_int_equal(r.echo->resets, resets + 1);
	driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_QUEUE_READY), 0);
	driver__run(&r.d);
	assert_int_equal(r.echo->popped, 0);
	assert_int_equal(driver__ack(&r.d), 0);
	rig__down(&r);
}

static void a_reset_takes_back_what_is_in_flight(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	r.echo->hold = true;
	for (unsigned int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < 8; i++)
			rig__ask(&r, (uint16_t)(2 * i), "held");
		rig__kick(&r);
		assert_int_equal(r.echo->nr_held, 8);
		r.d.dev->ops->reset(r.d.dev); /* the machine's */
		assert_int_equal(r.echo->nr_held, 0);
		assert_true(driver__negotiate(&r.d, RING_BASIC));
		dq__init(&r.q, &r.d, 0, SIZE, false, false);
		driver__enable_queue(&r.q);
		driver__ok(&r.d);
		driver__run(&r.d);
	}
	rig__down(&r);
}

static void a_late_completion_finds_the_queue_stopped(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	assert_false(virtqueue__lock(virtio_device__queue(&r.echo->dev, 0)));
	rig__down(&r);
}

static void a_queue_can_be_reset_alone(void **state)
{
	struct driver_queue other;
	struct rig r;

	plug(&r, 2);
	assert_true(driver__negotiate(&r.d, RING_BASIC | VIRTIO_BIT(VIRTIO_F_RING_RESET)));
	dq__init(&r.q, &r.d, 0, SIZE, false, false);
	dq__init(&other, &r.d, 1, SIZE, false, false);
	driver__enable_queue(&r.q);
	driver__enable_queue(&other);
	driver__ok(&r.d);
	driver__run(&r.d);
	r.echo->hold = true;
	rig__ask(&r, 0, "lost");
	rig__kick(&r);
	assert_int_equal(r.echo->nr_held, 1);

	driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_SEL, 0);
	driver__set_reg(&r.d, 0x0c0, 1);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(r.echo->queue_resets, 1);
	assert_int_equal(r.echo->stops, 0);
	r.echo->hold = false;

	/* the other one goes on */
	dq__add(&other, 3, &(struct driver_buf){ 0x1000, 4, 0 }, 1);
	driver__notify(&other);
	driver__run(&r.d);
	{
		uint32_t id, len;

		assert_true(dq__get(&other, &id, &len));
		assert_int_equal(id, 3);
	}

	/* and it can come back, of another size */
	dq__init(&r.q, &r.d, 0, SIZE / 2, false, false);
	driver__enable_queue(&r.q);
	assert_int_equal(r.echo->queue_enables, 1);
	rig__ask(&r, 0, "back");
	rig__kick(&r);
	rig__expect(&r, 0, "back");
	rig__down(&r);
}

static void a_queue_reset_has_to_be_negotiated(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	driver__set_reg(&r.d, 0x0c0, 1);
	assert_int_equal(r.echo->queue_resets, 0);
	assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_QUEUE_READY), 1);
	rig__down(&r);
}

static void an_enabled_queue_cannot_be_moved(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_DESC_LOW, 0xdead0000);
	driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_NUM, 4);
	assert_int_equal(virtqueue__ring(virtio_device__queue(&r.echo->dev, 0)).desc, r.q.desc);
	assert_int_equal(virtqueue__size(virtio_device__queue(&r.echo->dev, 0)), SIZE);
	rig__down(&r);
}

static void a_queue_that_does_not_exist_is_nothing(void **state)
{
	static const uint32_t absent[] = { 1, 2, 1024, 0xffff, 0xffffffff };
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++) {
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_SEL, absent[i]);
		assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_NUM, 8);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(driver__reg(&r.d, VIRTIO_MMIO_QUEUE_READY), 0);
		driver__set_reg(&r.d, VIRTIO_MMIO_QUEUE_NOTIFY, absent[i]);
	}
	driver__run(&r.d);
	assert_false(driver__needs_reset(&r.d));
	rig__down(&r);
}

static void configuration_has_generations(void **state)
{
	struct rig r;
	uint32_t before;

	rig__up(&r, SIZE, RING_BASIC);
	before = driver__reg(&r.d, VIRTIO_MMIO_CONFIG_GENERATION);
	virtio_device__config_begin(&r.echo->dev);
	r.echo->config[3] = 0x42;
	virtio_device__config_end(&r.echo->dev);
	assert_int_not_equal(driver__reg(&r.d, VIRTIO_MMIO_CONFIG_GENERATION), before);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + 0x103, 1), 0x42);
	assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_CONFIG);
	rig__down(&r);
}

static void configuration_ends_where_it_ends(void **state)
{
	struct rig r;

	plug(&r, 1);
	memset(r.echo->config, 0xaa, sizeof(r.echo->config));
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + 0x100 + 28, 8), 0xaaaaaaaa);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + 0x100 + 32, 8), 0);
	board__store(&r.d.board, DRIVER_MMIO + 0x100 + 31, 8, 0x1122334455667788);
	assert_int_equal(r.echo->config[31], 0x88);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + 0xff8, 8), 0);
	rig__down(&r);
}

static void a_broken_guest_costs_one_line(void **state)
{
	struct rig r;

	rig__up(&r, SIZE, RING_BASIC);
	for (unsigned int i = 0; i < 5; i++)
		virtio_device__fail(&r.echo->dev, "a test breaks it %u", i);
	assert_int_equal(r.echo->dev.unprinted, 0); /* it was broken already */
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	virtio_device__fail(&r.echo->dev, "once more");
	assert_int_equal(r.echo->dev.unprinted, 1);
	rig__down(&r);
}

static void a_failed_constructor_fails_the_transport(void **state)
{
	struct virtio_mmio_config cfg = { .base = DRIVER_MMIO };
	struct driver d;

	driver__init(&d);
	assert_null(virtio_mmio__create(&d.board.host, NULL, &cfg));
	driver__destroy(&d);
}

static void a_device_whose_place_is_taken_is_destroyed(void **state)
{
	struct virtio_mmio_config cfg = { .base = DRIVER_MMIO + 0x800 };
	bool gone = false;
	struct echo *second;
	struct rig r;

	plug(&r, 1);
	second = echo__create(&r.d, 3);
	second->gone_flag = &gone;
	assert_int_equal(device__add(&r.d.board.devices,
				     virtio_mmio__create(&r.d.board.host, &second->dev, &cfg)),
			 -EEXIST);
	assert_true(gone);
	rig__down(&r);
}

/* --- a thread of its own -------------------------------------------------------------------- */

static void a_device_can_have_a_thread_of_its_own(void **state)
{
	uint32_t id, len;
	struct rig r;

	driver__init(&r.d);
	r.echo = echo__create(&r.d, 1);
	r.echo->dev.own_thread = true;
	driver__plug(&r.d, &r.echo->dev);
	assert_ptr_not_equal(r.echo->dev.loop, r.d.board.host.loop);
	assert_true(driver__negotiate(&r.d, RING_BASIC | RING_EVENT));
	dq__init(&r.q, &r.d, 0, SIZE, false, true);
	driver__enable_queue(&r.q);
	driver__ok(&r.d);
	for (unsigned int i = 0; i < 200; i++) {
		rig__ask(&r, 0, "thread");
		driver__notify(&r.q);
		assert_true(dq__wait(&r.q, &id, &len));
		assert_int_equal(len, 6);
	}
	rig__down(&r);
}

struct storm {
	struct rig *r;
	atomic_bool end;
};

static void *notify_all_the_time(void *ctx)
{
	struct storm *storm = ctx;

	while (!atomic_load(&storm->end))
		driver__set_reg(&storm->r->d, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	return NULL;
}

static void *read_all_the_time(void *ctx)
{
	struct storm *storm = ctx;

	while (!atomic_load(&storm->end)) {
		driver__reg(&storm->r->d, VIRTIO_MMIO_STATUS);
		driver__reg(&storm->r->d, VIRTIO_MMIO_CONFIG);
		driver__ack(&storm->r->d);
	}
	return NULL;
}

/* Two vCPUs notify and read while a third resets: each stop sees a quiet device (echo__stop()). */
static void resets_while_others_notify_are_safe(void **state)
{
	struct storm storm = { 0 };
	pthread_t threads[2];
	struct rig r;

	driver__init(&r.d);
	storm.r = &r;
	r.echo = echo__create(&r.d, 1);
	r.echo->dev.own_thread = true;
	driver__plug(&r.d, &r.echo->dev);
	dq__init(&r.q, &r.d, 0, SIZE, false, false);
	assert_int_equal(pthread_create(&threads[0], NULL, notify_all_the_time, &storm), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, read_all_the_time, &storm), 0);
	for (unsigned int i = 0; i < 200; i++) {
		assert_true(driver__negotiate(&r.d, RING_BASIC));
		dq__init(&r.q, &r.d, 0, SIZE, false, false);
		for (uint16_t n = 0; n < 4; n++)
			rig__ask(&r, (uint16_t)(2 * n), "storm");
		driver__enable_queue(&r.q);
		driver__ok(&r.d);
		if (i % 2) {
			uint32_t id, len;

			assert_true(dq__wait(&r.q, &id, &len));
		}
	}
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	atomic_store(&storm.end, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(r.echo->stops, 200);
	rig__down(&r);
}

/* --- queues that somebody else serves ------------------------------------------------------- */

static void an_external_queue_is_left_alone(void **state)
{
	const uint64_t one = 1;
	struct virtqueue *q;
	uint64_t count;
	struct rig r;
	int fd;

	driver__init(&r.d);
	r.echo = echo__create(&r.d, 1);
	q = virtio_device__queue(&r.echo->dev, 0);
	virtqueue__set_external(q);
	driver__plug(&r.d, &r.echo->dev);
	assert_true(driver__negotiate(&r.d, RING_BASIC));
	dq__init(&r.q, &r.d, 0, SIZE, false, false);
	driver__enable_queue(&r.q);
	driver__ok(&r.d);
	assert_true(virtqueue__is_enabled(q));
	assert_int_equal(virtqueue__ring(q).size, SIZE);
	assert_int_equal(virtqueue__ring(q).driver, r.q.driver);
	rig__ask(&r, 0, "vhost");
	driver__notify(&r.q);
	driver__run(&r.d);
	assert_int_equal(r.echo->notified, 0);
	assert_int_equal(read(virtqueue__kick_fd(q), &count, sizeof(count)), 8);
	assert_false(virtqueue__lock(q));

	/* its interrupts come by the loop where there is no irqfd */
	fd = virtqueue__call_fd(q);
	assert_true(fd >= 0);
	assert_int_equal(driver__ack(&r.d), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(write(fd, &one, sizeof(one)), 8);
		driver__run(&r.d);
		assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_VRING);
	}
	rig__down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_that_were_not_offered_are_refused),
		cmocka_unit_test(version_1_is_not_for_choice),
		cmocka_unit_test(a_device_may_refuse_a_subset),
		cmocka_unit_test(features_are_fixed_once_agreed_upon),
		cmocka_unit_test(driver_ok_without_features_ok_breaks_the_device),
		cmocka_unit_test(status_bits_stay_until_a_reset),
		cmocka_unit_test(a_device_that_cannot_start_says_so),
		cmocka_unit_test(a_reset_forgets_everything),
		cmocka_unit_test(a_reset_takes_back_what_is_in_flight),
		cmocka_unit_test(a_late_completion_finds_the_queue_stopped),
		cmocka_unit_test(a_queue_can_be_reset_alone),
		cmocka_unit_test(a_queue_reset_has_to_be_negotiated),
		cmocka_unit_test(an_enabled_queue_cannot_be_moved),
		cmocka_unit_test(a_queue_that_does_not_exist_is_nothing),
		cmocka_unit_test(configuration_has_generations),
		cmocka_unit_test(configuration_ends_where_it_ends),
		cmocka_unit_test(a_broken_guest_costs_one_line),
		cmocka_unit_test(a_failed_constructor_fails_the_transport),
		cmocka_unit_test(a_device_whose_place_is_taken_is_destroyed),
		cmocka_unit_test(a_device_can_have_a_thread_of_its_own),
		cmocka_unit_test(resets_while_others_notify_are_safe),
		cmocka_unit_test(an_external_queue_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
