// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The small devices, and the timer that the others share.
 *
 * WRAP: chardev__write
 */
#include "test.h"

#include <pthread.h>
#include <time.h>

#include "board.h"
#include "kvm/chardev.h"
#include "kvm/hw/debug-console.h"
#include "kvm/hw/debug-exit.h"
#include "kvm/hw/pvpanic.h"
#include "kvm/hw/timer.h"

static struct board board;
static char sent[16];
static size_t nr_sent;

void __wrap_chardev__write(struct chardev *chr, const void *data, size_t len);

void __wrap_chardev__write(struct chardev *chr, const void *data, size_t len)
{
	assert_ptr_equal(chr, sent);
	assert_true(nr_sent + len <= sizeof(sent));
	memcpy(&sent[nr_sent], data, len);
	nr_sent += len;
}

static int setup(void **state)
{
	board__init(&board);
	nr_sent = 0;
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	return 0;
}

static void pvpanic_tells_events_and_takes_a_panic(void **state)
{
	board__add(&board, pvpanic__create(&board.host, 0x505));
	assert_int_equal(inb(&board, 0x505), 3);
	outb(&board, 0x505, 2); /* the crash kernel will deal with it */
	outb(&board, 0x505, 0xfc);
	assert_int_equal(fate__cause(board.host.fate, NULL), FATE_NONE);
	outb(&board, 0x505, 1);
	assert_int_equal(fate__cause(board.host.fate, NULL), FATE_PANIC);
}

static void debug_exit_makes_a_status_of_the_value(void **state)
{
	static const struct {
		uint32_t value;
		int status;
	} cases[] = {
		{ 0, 1 }, { 1, 3 }, { 0x10, 0x21 }, { 0x7f, 0xff }, { 0x80, 1 }, { ~0u, 0xff }
	};
	int detail;

	board__add(&board, debug_exit__create(&board.host, 0xf4));
	assert_int_equal(inb(&board, 0xf4), 0);
	assert_int_equal(board__in(&board, 0xf4, 4), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		for (uint32_t len = 1; len <= 4; len *= 2) {
			fate__clear(board.host.fate);
			board__out(&board, 0xf4, len, cases[i].value);
			assert_int_equal(fate__cause(board.host.fate, &detail), FATE_GUEST_EXIT);
			assert_int_equal(detail, cases[i].status);
			assert_int_equal(fate__status(FATE_GUEST_EXIT, detail), cases[i].status);
		}
	}
}

static void debug_console_passes_bytes_on(void **state)
{
	board__add(&board, debug_console__create(&board.host, 0xe9, (struct chardev *)sent));
	assert_int_equal(inb(&board, 0xe9), 0xe9);
	outb(&board, 0xe9, 'o');
	outb(&board, 0xe9, 'k');
	board__out(&board, 0xe9, 2, 0x2121); /* a word does not fit the port */
	assert_int_equal(nr_sent, 2);
	assert_memory_equal(sent, "ok", 2);
}

static void a_taken_port_is_refused(void **state)
{
	board__add(&board, debug_exit__create(&board.host, 0xf4));
	assert_int_equal(device__add(&board.devices, debug_exit__create(&board.host, 0xf4)),
			 -EEXIST);
	assert_int_equal(device__add(&board.devices, pvpanic__create(&board.host, 0xf5)), -EEXIST);
	assert_int_equal(device__add(&board.devices,
				     debug_console__create(&board.host, 0xf6, NULL)),
			 -EEXIST);
}

static void ticks_and_nanoseconds_convert_without_loss(void **state)
{
	static const uint32_t rates[] = { 32768, 1193182, 3579545 };
	static const uint64_t ticks[] = { 0, 1, 2, 999, 1193182, 1ull << 31, 1ull << 40 };

	for (unsigned int r = 0; r < ARRAY_SIZE(rates); r++) {
		for (unsigned int t = 0; t < ARRAY_SIZE(ticks); t++) {
			uint64_t ns = hw_clock__ns(ticks[t], rates[r]);

			assert_true(hw_clock__ticks(ns, rates[r]) == ticks[t]);
			if (ns)
				assert_true(hw_clock__ticks(ns - 1, rates[r]) == ticks[t] - 1);
		}
	}
}

static struct hw_timer timer;
static unsigned int runs;
static uint64_t ran_at;

static void stop(void *ctx)
{
	runs++;
	ran_at = hw_clock_ns();
	event_loop__stop(board.host.loop);
}

static void a_timer_runs_once_and_not_before_its_time(void **state)
{
	uint64_t deadline = hw_clock_ns() + 5000000;

	runs = 0;
	assert_int_equal(hw_timer__init(&timer, board.host.loop, stop, NULL), 0);
	hw_timer__set(&timer, deadline);
	assert_int_equal(event_loop__run(board.host.loop), 0);
	assert_int_equal(runs, 1);
	assert_true(ran_at >= deadline);

	hw_timer__clear(&timer);  /* it has run: nothing to clear */
	hw_timer__set(&timer, 0); /* long past: at once */
	assert_int_equal(event_loop__run(board.host.loop), 0);
	assert_int_equal(runs, 2);
	hw_timer__destroy(&timer);
	assert_int_equal(timer.fd, -1);
	hw_timer__destroy(&timer); /* harmless */
}

static void a_cleared_timer_does_not_run(void **state)
{
	uint64_t later = hw_clock_ns() + 5000000;
	struct hw_timer other;

	runs = 0;
	assert_int_equal(hw_timer__init(&timer, board.host.loop, stop, NULL), 0);
	assert_int_equal(hw_timer__init(&other, board.host.loop, stop, NULL), 0);
	hw_timer__set(&timer, later - 4000000);
	hw_timer__clear(&timer);
	assert_false(timer.armed);
	hw_timer__set(&other, later);
	assert_int_equal(event_loop__run(board.host.loop), 0);
	assert_int_equal(runs, 1);
	assert_true(ran_at >= later);
	hw_timer__destroy(&timer);
	hw_timer__destroy(&other);
}

static void a_destroyed_timer_does_not_run(void **state)
{
	struct hw_timer other;

	runs = 0;
	assert_int_equal(hw_timer__init(&timer, board.host.loop, stop, NULL), 0);
	assert_int_equal(hw_timer__init(&other, board.host.loop, stop, NULL), 0);
	hw_timer__set(&timer, 0);
	hw_timer__destroy(&timer);
	hw_timer__set(&other, hw_clock_ns() + 2000000);
	assert_int_equal(event_loop__run(board.host.loop), 0);
	assert_int_equal(runs, 1);
	hw_timer__destroy(&other);
}

static void the_wall_clock_is_the_hosts(void **state)
{
	int64_t seconds = hw_wall_clock_ns() / (int64_t)HW_NS_PER_SEC;
	time_t host = time(NULL);

	assert_in_range(host - seconds + 2, 0, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(pvpanic_tells_events_and_takes_a_panic),
		TEST(debug_exit_makes_a_status_of_the_value),
		TEST(debug_console_passes_bytes_on),
		TEST(a_taken_port_is_refused),
		TEST(ticks_and_nanoseconds_convert_without_loss),
		TEST(a_timer_runs_once_and_not_before_its_time),
		TEST(a_cleared_timer_does_not_run),
		TEST(a_destroyed_timer_does_not_run),
		TEST(the_wall_clock_is_the_hosts),
	};

	return cmocka_run_group_tests_name("misc-hw", tests, NULL, NULL);
}
