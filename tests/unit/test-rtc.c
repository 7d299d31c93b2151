// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The real-time clock tells the host's time, in each format, and keeps what a guest makes of it.
 *
 * WRAP: hw_clock_ns hw_wall_clock_ns
 * WRAP: hw_timer__init hw_timer__set hw_timer__clear hw_timer__destroy
 */
#include "test.h"

#include "board.h"
#include "fake-clock.h"
#include "kvm/hw/rtc.h"

#define GSI	8
#define CENTURY 0x32
#define SEC	((int64_t)HW_NS_PER_SEC)

/* 2023-11-14 22:13:20 UTC, a Tuesday, and a quarter of a second */
#define NOW (1700000000 * SEC + SEC / 4)

static struct board board;

static void make(const struct rtc_config *cfg)
{
	board__init(&board);
	fake_clock__reset(5 * HW_NS_PER_SEC, NOW);
	board__add(&board, rtc__create(&board.host, cfg));
}

static int setup(void **state)
{
	make(&(struct rtc_config){
		.gsi = GSI, .century = CENTURY, .low_ram = 0xc0000000, .high_ram = 5ull << 30 });
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	assert_null(fake_clock.timer);
	return 0;
}

static uint8_t get(uint8_t index)
{
	outb(&board, 0x70, index);
	return inb(&board, 0x71);
}

static void put(uint8_t index, uint8_t value)
{
	outb(&board, 0x70, index);
	outb(&board, 0x71, value);
}

/* Fields in the order of the registers: seconds, minutes, hours, weekday, day, month, year,
 * century. */
static const uint8_t fields[] = { 0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, CENTURY };

static void expect_time(const uint8_t *values)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++)
		assert_int_equal(get(fields[i]), values[i]);
}

#define EXPECT_TIME(...) expect_time((const uint8_t[]){ __VA_ARGS__ })

static void set_time(const uint8_t *values)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++)
		put(fields[i], values[i]);
}

#define SET_TIME(...) set_time((const uint8_t[]){ __VA_ARGS__ })

static void tells_the_hosts_time_in_bcd_and_24_hours(void **state)
{
	EXPECT_TIME(0x20, 0x13, 0x22, 3, 0x14, 0x11, 0x23, 0x20);
	fake_clock__skip(45 * HW_NS_PER_SEC);
	EXPECT_TIME(0x05, 0x14, 0x22, 3, 0x14, 0x11, 0x23, 0x20);
	assert_int_equal(get(0x0d), 0x80); /* the battery is good */
}

static void tells_it_in_binary(void **state)
{
	put(0x0b, 0x06);
	EXPECT_TIME(20, 13, 22, 3, 14, 11, 23, 20);
}

static void tells_it_in_12_hours(void **state)
{
	put(0x0b, 0x00);
	assert_int_equal(get(4), 0x90); /* 10 p.m. */
	fake_clock__skip(2 * 3600 * HW_NS_PER_SEC);
	assert_int_equal(get(4), 0x12); /* midnight is 12 a.m. */
	fake_clock__skip(12 * 3600 * HW_NS_PER_SEC);
	assert_int_equal(get(4), 0x92); /* noon is 12 p.m. */
	put(0x0b, 0x04);
	assert_int_equal(get(4), 0x8c);
	fake_clock__skip(3600 * HW_NS_PER_SEC);
	assert_int_equal(get(4), 0x81);
}

static void an_update_is_announced_before_it_comes(void **state)
{
	assert_false(get(0x0a) & 0x80);
	fake_clock__skip(750 * CLOCK_MS - 2300000);
	assert_false(get(0x0a) & 0x80);
	fake_clock__skip(100000);
	assert_true(get(0x0a) & 0x80);
	assert_int_equal(get(0), 0x20);
	fake_clock__skip(2200000);
	assert_false(get(0x0a) & 0x80);
	assert_int_equal(get(0), 0x21);
}

static void a_guest_sets_the_time_as_linux_does(void **state)
{
	uint8_t control = get(0x0b), freq = get(0x0a) & 0x7f;

	put(0x0b, control | 0x80);
	put(0x0a, freq | 0x70);
	SET_TIME(0x59, 0x59, 0x23, 1, 0x29, 0x02, 0x24, 0x20);
	fake_clock__skip(10 * HW_NS_PER_SEC);
	EXPECT_TIME(0x59, 0x59, 0x23, 1, 0x29, 0x02, 0x24, 0x20); /* held: it stands still */
	assert_false(get(0x0a) & 0x80);
	put(0x0b, control);
	fake_clock__skip(10 * HW_NS_PER_SEC);
	put(0x0a, freq);

	/* The first second is half a second long. */
	EXPECT_TIME(0x59, 0x59, 0x23, 5, 0x29, 0x02, 0x24, 0x20);
	fake_clock__skip(499 * CLOCK_MS);
	assert_int_equal(get(0), 0x59);
	fake_clock__skip(2 * CLOCK_MS);
	EXPECT_TIME(0x00, 0x00, 0x00, 6, 0x01, 0x03, 0x24, 0x20);

	/* The host's clock is followed from there, and a reset forgets nothing. */
	fake_clock__skip(86400 * HW_NS_PER_SEC);
	device_list__reset(&board.devices);
	EXPECT_TIME(0x00, 0x00, 0x00, 7, 0x02, 0x03, 0x24, 0x20);
}

static void without_a_divider_reset_the_second_goes_on(void **state)
{
	put(0x0b, 0x82);
	put(0, 0x30);
	put(0x0b, 0x02);
	assert_int_equal(get(0), 0x30);
	fake_clock__skip(749 * CLOCK_MS);
	assert_int_equal(get(0), 0x30);
	fake_clock__skip(2 * CLOCK_MS);
	assert_int_equal(get(0), 0x31);
}

static void a_field_may_be_set_while_it_runs(void **state)
{
	put(4, 0x05);
	EXPECT_TIME(0x20, 0x13, 0x05, 3, 0x14, 0x11, 0x23, 0x20);
	put(CENTURY, 0x19);
	assert_int_equal(get(9), 0x23);
	assert_int_equal(get(CENTURY), 0x19);
}

static void nonsense_for_a_date_is_carried_over(void **state)
{
	put(0x0b, 0x82);
	SET_TIME(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
	put(0x0b, 0x02);
	fake_clock__skip(HW_NS_PER_SEC);
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++)
		get(fields[i]);
	put(0x0b, 0x82);
	SET_TIME(0, 0, 0, 0, 0, 0, 0, 0);
	put(0x0b, 0x02);
	EXPECT_TIME(0x00, 0x00, 0x00, 3, 0x30, 0x11, 0x99, 0x99); /* day 0 of month 0 of year 0 */
}

static void without_a_century_byte_the_century_stays(void **state)
{
	board__destroy(&board);
	make(&(struct rtc_config){ .gsi = GSI });
	fake_clock.wall_ns = 4859000000 * SEC; /* in December 2123 */
	put(CENTURY, 0x77);
	assert_int_equal(get(CENTURY), 0x77);
	assert_int_equal(get(9), 0x23);
	put(0x0b, 0x86); /* held, and now in binary: the century must not be misread */
	put(0, 0);
	put(2, 0);
	put(4, 0);
	put(6, 1);
	put(7, 29);
	put(8, 2);
	put(9, 24);
	put(0x0b, 0x06);
	assert_int_equal(get(7), 29); /* a Tuesday in 2124, but in no century around it */
	assert_int_equal(get(6), 3);
}

static void update_interrupts_come_each_second(void **state)
{
	get(0x0c);
	put(0x0b, 0x12);
	fake_clock__advance(749 * CLOCK_MS);
	assert_false(board.level[GSI]);
	fake_clock__advance(1 * CLOCK_MS);
	assert_true(board.level[GSI]);
	assert_false(fake_clock.timer->armed); /* no more until this one is acknowledged */
	assert_int_equal(get(0x0c) & 0xb0, 0x90);
	assert_false(board.level[GSI]);
	assert_int_equal(get(0x0c), 0x00);
	fake_clock__advance(HW_NS_PER_SEC);
	assert_int_equal(board.rises[GSI], 2);

	/* SET ends them (data sheet: UIE is cleared). */
	get(0x0c);
	assert_true(fake_clock.timer->armed);
	put(0x0b, 0x92);
	assert_false(fake_clock.timer->armed);
	assert_int_equal(get(0x0b), 0x82);
	get(0x0c);
	fake_clock__advance(5 * HW_NS_PER_SEC);
	assert_int_equal(board.rises[GSI], 2);
}

static void flags_are_set_also_where_nobody_asked_for_interrupts(void **state)
{
	get(0x0c);
	assert_int_equal(get(0x0c), 0);
	fake_clock__skip(HW_NS_PER_SEC);
	assert_int_equal(get(0x0c), 0x50); /* a second, and many periods */
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(fake_clock.set, 0);
	assert_int_equal(board.rises[GSI], 0);

	/* A flag that waits raises the line when it is enabled. */
	fake_clock__skip(HW_NS_PER_SEC);
	put(0x0b, 0x12);
	assert_true(board.level[GSI]);

	/* Found out by a write before the timer has run: then it need not run. */
	get(0x0c);
	assert_true(fake_clock.timer->armed);
	fake_clock__skip(HW_NS_PER_SEC);
	put(0x0b, 0x12);
	assert_true(board.level[GSI]);
	assert_false(fake_clock.timer->armed);
}

static void periodic_interrupts_come_at_the_rate_set(void **state)
{
	static const struct {
		uint8_t rate;
		unsigned int hz;
	} rates[] = { { 1, 256 }, { 2, 128 }, { 3, 8192 }, { 6, 1024 }, { 15, 2 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		unsigned int before, count;

		put(0x0a, (uint8_t)(0x20 | rates[i].rate));
		get(0x0c);
		put(0x0b, 0x42);
		before = board.rises[GSI];
		for (count = 0; count < 2 * rates[i].hz; count++) {
			fake_clock__advance(HW_NS_PER_SEC / rates[i].hz);
			get(0x0c);
		}
		assert_in_range(board.rises[GSI] - before, 2 * rates[i].hz - 1,
				2 * rates[i].hz + 1);
		put(0x0b, 0x02);
	}
}

static void an_unacknowledged_periodic_interrupt_costs_nothing(void **state)
{
	put(0x0a, 0x23);
	put(0x0b, 0x42);
	fake_clock__advance(60 * HW_NS_PER_SEC);
	assert_int_equal(board.rises[GSI], 1);
	assert_int_equal(fake_clock.fired, 1);
}

static void rate_0_and_a_held_divider_have_no_periods(void **state)
{
	put(0x0a, 0x20);
	get(0x0c);
	put(0x0b, 0x42);
	fake_clock__advance(10 * HW_NS_PER_SEC);
	assert_int_equal(get(0x0c) & 0x40, 0);
	put(0x0a, 0x76);
	fake_clock__advance(10 * HW_NS_PER_SEC);
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(board.rises[GSI], 0);
}

static void an_alarm_goes_off_at_its_time(void **state)
{
	put(1, 0x00);
	put(3, 0x15);
	put(5, 0x22);
	get(0x0c);
	put(0x0b, 0x22);
	fake_clock__advance(99 * HW_NS_PER_SEC);
	assert_int_equal(board.rises[GSI], 0);
	fake_clock__advance(HW_NS_PER_SEC);
	assert_int_equal(board.rises[GSI], 1);
	assert_int_equal(get(0x0c) & 0xb0, 0xb0);
	fake_clock__advance(86399 * HW_NS_PER_SEC);
	assert_int_equal(board.rises[GSI], 1);
	fake_clock__advance(HW_NS_PER_SEC);
	assert_int_equal(board.rises[GSI], 2);
}

static void an_alarm_may_leave_fields_open(void **state)
{
	put(1, 0x30);
	put(3, 0xff);
	put(5, 0xc0);
	get(0x0c);
	put(0x0b, 0x22);
	for (unsigned int i = 0; i < 10; i++) {
		fake_clock__advance(60 * HW_NS_PER_SEC);
		assert_int_equal(board.rises[GSI], i + 1);
		get(0x0c);
	}
}

static void an_alarm_that_passed_while_nobody_looked_is_noted(void **state)
{
	put(1, 0x00);
	put(3, 0x00);
	put(5, 0x07);
	get(0x0c);
	fake_clock__skip(8 * 3600 * HW_NS_PER_SEC);
	assert_int_equal(get(0x0c) & 0x20, 0);
	fake_clock__skip(8 * 3600 * HW_NS_PER_SEC);
	assert_int_equal(get(0x0c) & 0x20, 0x20);
	fake_clock__skip(1000 * 86400 * HW_NS_PER_SEC);
	assert_int_equal(get(0x0c) & 0x20, 0x20);
}

static void memory_sizes_are_where_firmware_leaves_them(void **state)
{
	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0xffff);
	assert_int_equal(get(0x30) | get(0x31) << 8, 0xffff);
	assert_int_equal(get(0x34) | get(0x35) << 8, (0xc0000000 - 0x1000000) >> 16);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, (5ull << 30) >> 16);

	board__destroy(&board);
	make(&(struct rtc_config){ .low_ram = 8 << 20 });
	assert_int_equal(get(0x17) | get(0x18) << 8, 7 << 10);
	assert_int_equal(get(0x34) | get(0x35) << 8, 0);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 0);
}

static void other_bytes_are_memory_that_survives_a_reset(void **state)
{
	for (unsigned int i = 0x40; i < 0x58; i++)
		put((uint8_t)i, (uint8_t)(i * 3));
	put(0x0f, 0x05);
	device_list__reset(&board.devices);
	for (unsigned int i = 0x40; i < 0x58; i++)
		assert_int_equal(get((uint8_t)i), (uint8_t)(i * 3));
	assert_int_equal(get(0x0f), 0x05);
	assert_int_equal(get(0x0f | 0x80), 0x05); /* bit 7 is the NMI gate */
	put(0x0c, 0xff);
	put(0x0d, 0x00);
	assert_int_equal(get(0x0d), 0x80);
	assert_int_equal(inb(&board, 0x70), 0xff);
}

static void reset_ends_interrupts(void **state)
{
	put(0x0b, 0x72);
	fake_clock__advance(2 * HW_NS_PER_SEC);
	assert_true(board.level[GSI]);
	device_list__reset(&board.devices);
	assert_false(board.level[GSI]);
	assert_false(fake_clock.timer->armed);
	assert_int_equal(get(0x0a) & 0x7f, 0x26);
	assert_int_equal(get(0x0b), 0x02);
	assert_int_equal(get(0x0c) & 0x80, 0);
}

static void a_host_clock_that_steps_back_is_survived(void **state)
{
	put(0x0b, 0x12);
	fake_clock.wall_ns -= 3600 * SEC;
	fake_clock__advance(HW_NS_PER_SEC);
	assert_int_equal(get(4), 0x21);
	get(0x0c);
	fake_clock__advance(HW_NS_PER_SEC);
	assert_true(get(0x0c) & 0x10);
}

static void no_register_content_breaks_it(void **state)
{
	for (unsigned int value = 0; value < 0x100; value += 3) {
		for (unsigned int index = 0; index < 0x80; index++) {
			put((uint8_t)index, (uint8_t)(value + index));
			get((uint8_t)(index * 5));
		}
		fake_clock__advance(HW_NS_PER_SEC / 8);
	}
	board__hammer(&board, BUS_PIO, 0x70, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(tells_the_hosts_time_in_bcd_and_24_hours),
		TEST(tells_it_in_binary),
		TEST(tells_it_in_12_hours),
		TEST(an_update_is_announced_before_it_comes),
		TEST(a_guest_sets_the_time_as_linux_does),
		TEST(without_a_divider_reset_the_second_goes_on),
		TEST(a_field_may_be_set_while_it_runs),
		TEST(nonsense_for_a_date_is_carried_over),
		TEST(without_a_century_byte_the_century_stays),
		TEST(update_interrupts_come_each_second),
		TEST(flags_are_set_also_where_nobody_asked_for_interrupts),
		TEST(periodic_interrupts_come_at_the_rate_set),
		TEST(an_unacknowledged_periodic_interrupt_costs_nothing),
		TEST(rate_0_and_a_held_divider_have_no_periods),
		TEST(an_alarm_goes_off_at_its_time),
		TEST(an_alarm_may_leave_fields_open),
		TEST(an_alarm_that_passed_while_nobody_looked_is_noted),
		TEST(memory_sizes_are_where_firmware_leaves_them),
		TEST(other_bytes_are_memory_that_survives_a_reset),
		TEST(reset_ends_interrupts),
		TEST(a_host_clock_that_steps_back_is_survived),
		TEST(no_register_content_breaks_it),
	};

	return cmocka_run_group_tests_name("rtc", tests, NULL, NULL);
}
