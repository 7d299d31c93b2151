// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ACPI fixed hardware: SCI is high while an enabled event is pending, and only S5 powers off.
 *
 * WRAP: hw_clock_ns hw_wall_clock_ns
 * WRAP: hw_timer__init hw_timer__set hw_timer__clear hw_timer__destroy
 */
#include "test.h"

#include "board.h"
#include "fake-clock.h"
#include "kvm/hw/acpi-pm.h"

#define STATUS	0x600
#define ENABLE	0x602
#define CONTROL 0x604
#define TIMER	0x608
#define GSI	9

#define TMR_STS	   0x0001
#define PWRBTN_STS 0x0100
#define SCI_EN	   0x0001
#define SLP_EN	   0x2000
#define HALF_TURN  600 /* seconds; the timer's top bit changes after 599.93 */

static struct board board;
static struct device *pm;

static int setup(void **state)
{
	const struct acpi_pm_config cfg = {
		.event = STATUS, .control = CONTROL, .timer = TIMER, .sci = GSI, .s5_type = 5
	};

	board__init(&board);
	fake_clock__reset(HW_NS_PER_SEC, 0);
	pm = board__add(&board, acpi_pm__create(&board.host, &cfg));
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	assert_null(fake_clock.timer);
	return 0;
}

static uint32_t get(uint16_t port)
{
	return board__in(&board, port, 2);
}

static void put(uint16_t port, uint32_t value)
{
	board__out(&board, port, 2, value);
}

static enum fate_cause fate(void)
{
	return fate__cause(board.host.fate, NULL);
}

static void acpi_mode_is_always_on(void **state)
{
	assert_int_equal(get(CONTROL), SCI_EN);
	put(CONTROL, 0);
	assert_int_equal(get(CONTROL), SCI_EN);
	put(CONTROL, 0x1c02);
	assert_int_equal(get(CONTROL), 0x1c02 | SCI_EN);
	put(CONTROL, SLP_EN); /* type 0 is no S5; the enable bit reads as 0 */
	assert_int_equal(get(CONTROL), SCI_EN);
	assert_int_equal(fate(), FATE_NONE);
}

static void only_s5_powers_off(void **state)
{
	for (unsigned int type = 0; type < 8; type++) {
		if (type == 5)
			continue;
		put(CONTROL, type << 10 | SLP_EN);
		assert_int_equal(fate(), FATE_NONE);
	}
	put(CONTROL, 5 << 10);
	assert_int_equal(fate(), FATE_NONE);
	put(CONTROL, 5 << 10 | SLP_EN);
	assert_int_equal(fate(), FATE_POWEROFF);
}

static void s5_may_be_written_as_bytes(void **state)
{
	outb(&board, CONTROL, 0xff);
	assert_int_equal(fate(), FATE_NONE);
	outb(&board, CONTROL + 1, 5 << 2 | 0x20);
	assert_int_equal(fate(), FATE_POWEROFF);
}

static void the_power_button_raises_sci_until_it_is_cleared(void **state)
{
	put(ENABLE, PWRBTN_STS);
	acpi_pm__power_button(pm);
	assert_true(board.level[GSI]);
	assert_int_equal(get(STATUS), PWRBTN_STS);
	put(STATUS, TMR_STS); /* another bit: no effect */
	assert_true(board.level[GSI]);
	put(STATUS, PWRBTN_STS);
	assert_false(board.level[GSI]);
	assert_int_equal(get(STATUS), 0);
	assert_int_equal(get(ENABLE), PWRBTN_STS);
}

static void an_event_that_is_not_enabled_waits(void **state)
{
	acpi_pm__power_button(pm);
	assert_false(board.level[GSI]);
	put(ENABLE, PWRBTN_STS);
	assert_true(board.level[GSI]);
	put(ENABLE, 0);
	assert_false(board.level[GSI]);
	assert_int_equal(get(STATUS), PWRBTN_STS);
}

static void status_and_enable_can_be_written_together_and_in_bytes(void **state)
{
	acpi_pm__power_button(pm);
	board__out(&board, STATUS, 4, PWRBTN_STS | PWRBTN_STS << 16);
	assert_int_equal(board__in(&board, STATUS, 4), PWRBTN_STS << 16);
	outb(&board, ENABLE, TMR_STS);
	assert_int_equal(get(ENABLE), PWRBTN_STS | TMR_STS);
	outb(&board, ENABLE + 1, 0);
	assert_int_equal(get(ENABLE), TMR_STS);
	put(ENABLE, 0xffff); /* bits that do not exist do not stick */
	assert_int_equal(get(ENABLE), 0x0721);
	acpi_pm__power_button(pm);
	assert_int_equal(inb(&board, STATUS + 1), 1);
	outb(&board, STATUS + 1, 1);
	assert_int_equal(inb(&board, STATUS + 1), 0);
}

static void the_timer_counts_3579545_a_second(void **state)
{
	uint32_t before = board__in(&board, TIMER, 4);

	assert_int_equal(before, 3579545);
	fake_clock__skip(10 * HW_NS_PER_SEC);
	assert_int_equal(board__in(&board, TIMER, 4) - before, 10 * 3579545);
	fake_clock__skip(1000);
	assert_int_equal(board__in(&board, TIMER, 4) - before, 10 * 3579545 + 3);
	assert_int_equal(inb(&board, TIMER + 1), board__in(&board, TIMER, 4) >> 8 & 0xff);
	board__out(&board, TIMER, 4, 0);
	assert_int_equal(board__in(&board, TIMER, 4) - before, 10 * 3579545 + 3);
	fake_clock__skip(2 * HALF_TURN * HW_NS_PER_SEC); /* 32 bits, all of them used */
	assert_true(board__in(&board, TIMER, 4) < 50000000);
}

static void the_timers_top_bit_raises_sci_if_asked_to(void **state)
{
	fake_clock__skip(HALF_TURN * HW_NS_PER_SEC);
	assert_int_equal(get(STATUS), TMR_STS);
	assert_int_equal(board.rises[GSI], 0);
	put(STATUS, TMR_STS);
	assert_int_equal(get(STATUS), 0);
	assert_int_equal(fake_clock.set, 0);

	put(ENABLE, TMR_STS);
	fake_clock__advance(HALF_TURN * HW_NS_PER_SEC);
	assert_true(board.level[GSI]);
	assert_int_equal(fake_clock.fired, 1);
	assert_false(fake_clock.timer->armed);
	put(STATUS, TMR_STS);
	assert_false(board.level[GSI]);
	assert_true(fake_clock.timer->armed);
	put(ENABLE, 0);
	assert_false(fake_clock.timer->armed);
}

static void reset_clears_events(void **state)
{
	put(ENABLE, PWRBTN_STS);
	acpi_pm__power_button(pm);
	device_list__reset(&board.devices);
	assert_false(board.level[GSI]);
	assert_int_equal(board__in(&board, STATUS, 4), 0);
	assert_int_equal(get(CONTROL), SCI_EN);
}

static void no_access_breaks_it(void **state)
{
	board__hammer(&board, BUS_PIO, STATUS, 12);
	device_list__reset(&board.devices);
	assert_int_equal(get(CONTROL), SCI_EN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(acpi_mode_is_always_on),
		TEST(only_s5_powers_off),
		TEST(s5_may_be_written_as_bytes),
		TEST(the_power_button_raises_sci_until_it_is_cleared),
		TEST(an_event_that_is_not_enabled_waits),
		TEST(status_and_enable_can_be_written_together_and_in_bytes),
		TEST(the_timer_counts_3579545_a_second),
		TEST(the_timers_top_bit_raises_sci_if_asked_to),
		TEST(reset_clears_events),
		TEST(no_access_breaks_it),
	};

	return cmocka_run_group_tests_name("acpi-pm", tests, NULL, NULL);
}
