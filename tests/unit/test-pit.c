// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The 8254's counters and outputs as a function of time, and the interrupts of counter 0.
 *
 * WRAP: hw_clock_ns hw_wall_clock_ns
 * WRAP: hw_timer__init hw_timer__set hw_timer__clear hw_timer__destroy
 */
#include "test.h"

#include "board.h"
#include "fake-clock.h"
#include "kvm/hw/pit.h"

#define COUNTER(n) ((uint16_t)(0x40 + (n)))
#define CONTROL	   0x43
#define PORT_B	   0x61
#define GSI	   0
#define HZ	   1193182

#define GATE	0x01
#define OUTPUT	0x20
#define REFRESH 0x10

/* A control word: counter, both bytes, mode. */
#define WORD(n, mode) ((uint8_t)((n) << 6 | 0x30 | (mode) << 1))

static struct board board;

static int setup(void **state)
{
	board__init(&board);
	fake_clock__reset(1000 * HW_NS_PER_SEC, 0);
	board__add(&board, pit__create(&board.host, GSI));
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	assert_null(fake_clock.timer);
	return 0;
}

static void program(unsigned int n, unsigned int mode, uint16_t count)
{
	outb(&board, CONTROL, WORD(n, mode));
	outb(&board, COUNTER(n), (uint8_t)count);
	outb(&board, COUNTER(n), (uint8_t)(count >> 8));
}

static uint16_t count(unsigned int n)
{
	uint8_t low = inb(&board, COUNTER(n));

	return (uint16_t)(low | inb(&board, COUNTER(n)) << 8);
}

static bool output(void)
{
	return inb(&board, PORT_B) & OUTPUT;
}

static uint64_t ticks(uint64_t nr)
{
	return hw_clock__ns(nr, HZ);
}

/* Move to @nr ticks after @start. */
static void go_to(uint64_t start, uint64_t nr)
{
	fake_clock__skip(start + ticks(nr) - fake_clock.ns);
}

static void mode_0_counts_down_once_and_goes_on(void **state)
{
	uint64_t start = fake_clock.ns;

	outb(&board, PORT_B, GATE);
	program(2, 0, 1000);
	assert_int_equal(count(2), 1000);
	assert_false(output());
	go_to(start, 1);
	assert_int_equal(count(2), 999);
	go_to(start, 999);
	assert_int_equal(count(2), 1);
	assert_false(output());
	go_to(start, 1000);
	assert_true(output());
	assert_int_equal(count(2), 0);
	go_to(start, 1001);
	assert_int_equal(count(2), 0xffff);
	assert_true(output());
}

static void linux_calibrates_the_tsc_with_counter_2(void **state)
{
	/* pit_calibrate_tsc(): gate on, speaker off, mode 0, wait for the output */
	uint64_t start = fake_clock.ns;

	outb(&board, PORT_B, (uint8_t)((inb(&board, PORT_B) & ~0x02) | GATE));
	program(2, 0, HZ / 20);
	go_to(start, HZ / 20 - 1);
	assert_false(output());
	go_to(start, HZ / 20);
	assert_true(output());

	/* quick_pit_calibrate(): the high byte comes down by one every 256 ticks */
	start = fake_clock.ns;
	program(2, 0, 0xffff);
	inb(&board, COUNTER(2));
	inb(&board, COUNTER(2));
	for (unsigned int high = 0xff; high > 0xf0; high--) {
		go_to(start, 0xffff - high * 0x100u);
		inb(&board, COUNTER(2));
		assert_int_equal(inb(&board, COUNTER(2)), high);
	}
}

static void the_gate_holds_mode_0_where_it_is(void **state)
{
	outb(&board, PORT_B, GATE);
	program(2, 0, 1000);
	fake_clock__skip(ticks(400));
	outb(&board, PORT_B, 0);
	fake_clock__skip(ticks(5000));
	assert_int_equal(count(2), 600);
	assert_false(output());
	outb(&board, PORT_B, GATE);
	fake_clock__skip(ticks(599));
	assert_in_range(count(2), 0, 2); /* stopping and starting each round by a tick */
	fake_clock__skip(ticks(2));
	assert_true(output());
}

static void half_a_count_stops_mode_0(void **state)
{
	outb(&board, PORT_B, GATE);
	program(2, 0, 1000);
	fake_clock__skip(ticks(10));
	outb(&board, COUNTER(2), 0x00);
	fake_clock__skip(ticks(100));
	assert_int_equal(count(2), 990);
	outb(&board, COUNTER(2), 0x20);
	assert_int_equal(count(2), 0x2000);
}

static void a_one_shot_waits_for_the_gate(void **state)
{
	outb(&board, PORT_B, 0);
	program(2, 1, 100);
	assert_true(output());
	fake_clock__skip(ticks(1000));
	assert_true(output());
	outb(&board, PORT_B, GATE);
	assert_false(output());
	fake_clock__skip(ticks(99));
	assert_false(output());
	outb(&board, PORT_B, 0);    /* falling: no effect */
	outb(&board, PORT_B, GATE); /* rising again: from the top */
	fake_clock__skip(ticks(99));
	assert_false(output());
	fake_clock__skip(ticks(2));
	assert_true(output());
}

static void mode_2_is_low_for_one_tick_in_each_period(void **state)
{
	uint64_t start = fake_clock.ns;

	outb(&board, PORT_B, GATE);
	program(2, 2, 10);
	for (unsigned int i = 0; i < 50; i++) {
		go_to(start, i);
		assert_int_equal(count(2), 10 - i % 10);
		assert_int_equal(output(), i % 10 != 9);
	}
	outb(&board, PORT_B, 0);
	assert_true(output());
	fake_clock__skip(ticks(9));
	assert_true(output());
	outb(&board, PORT_B, GATE); /* starts from the top */
	assert_int_equal(count(2), 10);
}

static void a_gate_that_stays_as_it_is_disturbs_nothing(void **state)
{
	for (unsigned int mode = 0; mode <= 5; mode++) {
		outb(&board, PORT_B, 0);
		program(2, mode, 1000);
		outb(&board, PORT_B, GATE);
		fake_clock__skip(ticks(10) + 400);
		outb(&board, PORT_B, GATE | 0x02);
		assert_int_equal(count(2), mode == 3 ? 980 : 990);
		fake_clock__skip(ticks(10) + 400);
		assert_int_equal(count(2), mode == 3 ? 960 : 980);
	}
}

static void mode_3_is_high_for_half_of_each_period(void **state)
{
	uint64_t start = fake_clock.ns;

	outb(&board, PORT_B, GATE);
	program(2, 3, 10);
	for (unsigned int i = 0; i < 50; i++) {
		go_to(start, i);
		assert_int_equal(output(), i % 10 < 5);
		assert_int_equal(count(2), 10 - 2 * i % 10); /* by twos */
	}
	start = fake_clock.ns;
	program(2, 7, 5); /* 7 is 3; odd: the high half is the longer one */
	for (unsigned int i = 0; i < 20; i++) {
		go_to(start, i);
		assert_int_equal(output(), i % 5 < 3);
	}
}

static void mode_4_strobes_once(void **state)
{
	uint64_t start = fake_clock.ns;

	outb(&board, PORT_B, GATE);
	program(2, 4, 10);
	for (unsigned int i = 0; i < 30; i++) {
		go_to(start, i);
		assert_int_equal(output(), i != 10);
	}

	/* Mode 5 is the same, but begins when the gate rises. */
	outb(&board, PORT_B, 0);
	program(2, 5, 10);
	fake_clock__skip(ticks(100));
	assert_true(output());
	start = fake_clock.ns;
	outb(&board, PORT_B, GATE);
	for (unsigned int i = 0; i < 30; i++) {
		go_to(start, i);
		assert_int_equal(output(), i != 10);
	}
}

static void a_count_of_0_is_65536(void **state)
{
	program(0, 2, 0);
	fake_clock__advance(ticks(65536) - 1);
	assert_int_equal(board.rises[GSI], 0);
	fake_clock__advance(1);
	assert_int_equal(board.rises[GSI], 1);
}

static void a_latched_count_stands_still_until_it_is_read(void **state)
{
	program(0, 2, 10000);
	fake_clock__skip(ticks(100));
	outb(&board, CONTROL, 0x00);
	fake_clock__skip(ticks(100));
	outb(&board, CONTROL, 0x00); /* a second latch is ignored */
	assert_int_equal(count(0), 9900);
	assert_int_equal(count(0), 9800);
}

static void bytes_are_accessed_as_programmed(void **state)
{
	outb(&board, CONTROL, 0x14); /* low byte only */
	outb(&board, COUNTER(0), 0x80);
	assert_int_equal(inb(&board, COUNTER(0)), 0x80);
	assert_int_equal(inb(&board, COUNTER(0)), 0x80);
	outb(&board, CONTROL, 0x24); /* high byte only */
	outb(&board, COUNTER(0), 0x40);
	assert_int_equal(inb(&board, COUNTER(0)), 0x40);
	fake_clock__skip(ticks(0x100));
	outb(&board, CONTROL, 0x00);
	assert_int_equal(inb(&board, COUNTER(0)), 0x3f);
}

static void read_back_latches_status_and_count_of_several(void **state)
{
	outb(&board, PORT_B, GATE);
	program(0, 2, 1000);
	program(2, 0, 2000);
	outb(&board, CONTROL, 0xca); /* count and status of 0 and 2 */
	fake_clock__skip(ticks(500));
	assert_int_equal(inb(&board, COUNTER(0)), 0x80 | 0x34);
	assert_int_equal(count(0), 1000);
	assert_int_equal(inb(&board, COUNTER(2)), 0x30);
	assert_int_equal(count(2), 2000);
	assert_int_equal(count(2), 1500);

	outb(&board, CONTROL, WORD(1, 3));
	outb(&board, CONTROL, 0xe4); /* status alone, of 1: nothing loaded yet */
	assert_int_equal(inb(&board, COUNTER(1)), 0xc0 | 0x36);
}

static void the_tick_comes_at_its_rate_and_does_not_drift(void **state)
{
	program(0, 2, HZ / 100);
	for (unsigned int i = 1; i <= 1000; i++) {
		fake_clock__advance(ticks(HZ / 100) + (i == 1));
		assert_in_range(board.rises[GSI], i - 1, i + 1);
	}
	assert_int_equal(fake_clock.fired, board.rises[GSI]);
	assert_in_range(board.rises[GSI], 999, 1001);
	assert_false(board.level[GSI]);
}

static void ticks_that_the_host_missed_are_merged(void **state)
{
	program(0, 2, HZ / 1000);
	fake_clock__skip(HW_NS_PER_SEC);
	fake_clock__advance(0);
	assert_int_equal(board.rises[GSI], 1);
	fake_clock__advance(10 * CLOCK_MS);
	assert_in_range(board.rises[GSI], 10, 11);
}

static void a_one_time_interrupt_holds_the_line_until_it_is_programmed_again(void **state)
{
	program(0, 0, 1193);
	assert_false(board.level[GSI]);
	fake_clock__advance(ticks(1192));
	assert_false(board.level[GSI]);
	fake_clock__advance(ticks(2));
	assert_true(board.level[GSI]);
	assert_false(fake_clock.timer->armed);
	fake_clock__advance(HW_NS_PER_SEC);
	assert_int_equal(fake_clock.fired, 1);
	program(0, 0, 1193);
	assert_false(board.level[GSI]);
	fake_clock__advance(ticks(1193));
	assert_int_equal(board.rises[GSI], 2);
}

static void setting_a_mode_stops_the_tick(void **state)
{
	program(0, 2, 1000);
	outb(&board, CONTROL, WORD(0, 0));
	assert_false(fake_clock.timer->armed);
	fake_clock__skip(HW_NS_PER_SEC);
	fake_clock.timer->fn(fake_clock.timer->ctx); /* one that was on its way */
	assert_int_equal(board.rises[GSI], 0);
	program(0, 2, 1000);
	fake_clock.timer->fn(fake_clock.timer->ctx);
	assert_int_equal(board.rises[GSI], 0);
}

static void a_guest_cannot_make_the_timer_run_wild(void **state)
{
	program(0, 2, 1);
	fake_clock__advance(HW_NS_PER_SEC);
	assert_true(fake_clock.fired <= 10000);
	assert_true(fake_clock.fired >= 9000);
}

static void a_short_one_time_interrupt_is_not_held_back(void **state)
{
	program(0, 0, 15);
	fake_clock__advance(ticks(15));
	assert_true(board.level[GSI]);
}

static void the_refresh_bit_toggles(void **state)
{
	unsigned int toggles = 0;
	uint8_t before = inb(&board, PORT_B) & REFRESH;

	for (unsigned int us = 0; us < 300; us++) {
		uint8_t now;

		fake_clock__skip(1000);
		now = inb(&board, PORT_B) & REFRESH;
		toggles += now != before;
		before = now;
	}
	assert_in_range(toggles, 19, 21); /* every 15 µs */
}

static void port_b_keeps_four_bits(void **state)
{
	outb(&board, PORT_B, 0xff);
	assert_int_equal(inb(&board, PORT_B) & 0xcf, 0x0f);
	outb(&board, PORT_B, 0x00);
	assert_int_equal(inb(&board, PORT_B) & 0xcf, 0x00);
}

static void reset_stops_everything(void **state)
{
	program(0, 0, 100);
	fake_clock__advance(ticks(100));
	assert_true(board.level[GSI]);
	device_list__reset(&board.devices);
	assert_false(board.level[GSI]);
	assert_false(fake_clock.timer->armed);
}

static void no_sequence_breaks_it(void **state)
{
	for (unsigned int control = 0; control < 0x100; control++) {
		for (unsigned int value = 0; value < 0x100; value += 51) {
			outb(&board, CONTROL, (uint8_t)control);
			for (unsigned int n = 0; n < 3; n++) {
				outb(&board, COUNTER(n), (uint8_t)value);
				outb(&board, PORT_B, (uint8_t)(value + n));
				inb(&board, COUNTER(n));
				inb(&board, PORT_B);
			}
			fake_clock__advance(10000);
		}
	}
	board__hammer(&board, BUS_PIO, COUNTER(0), 4);
	fake_clock__advance(HW_NS_PER_SEC);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(mode_0_counts_down_once_and_goes_on),
		TEST(linux_calibrates_the_tsc_with_counter_2),
		TEST(the_gate_holds_mode_0_where_it_is),
		TEST(half_a_count_stops_mode_0),
		TEST(a_one_shot_waits_for_the_gate),
		TEST(mode_2_is_low_for_one_tick_in_each_period),
		TEST(a_gate_that_stays_as_it_is_disturbs_nothing),
		TEST(mode_3_is_high_for_half_of_each_period),
		TEST(mode_4_strobes_once),
		TEST(a_count_of_0_is_65536),
		TEST(a_latched_count_stands_still_until_it_is_read),
		TEST(bytes_are_accessed_as_programmed),
		TEST(read_back_latches_status_and_count_of_several),
		TEST(the_tick_comes_at_its_rate_and_does_not_drift),
		TEST(ticks_that_the_host_missed_are_merged),
		TEST(a_one_time_interrupt_holds_the_line_until_it_is_programmed_again),
		TEST(setting_a_mode_stops_the_tick),
		TEST(a_guest_cannot_make_the_timer_run_wild),
		TEST(a_short_one_time_interrupt_is_not_held_back),
		TEST(the_refresh_bit_toggles),
		TEST(port_b_keeps_four_bits),
		TEST(reset_stops_everything),
		TEST(no_sequence_breaks_it),
	};

	return cmocka_run_group_tests_name("pit", tests, NULL, NULL);
}
