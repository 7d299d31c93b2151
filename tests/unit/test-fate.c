// SPDX-License-Identifier: GPL-2.0-or-later
/* The first report decides, and each cause has the status that the manual promises. */
#include "test.h"

#include <signal.h>
#include <string.h>

#include "kvm/event.h"
#include "kvm/fate.h"

static int setup(void **state)
{
	*state = event_loop__create();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	event_loop__destroy(*state);
	return 0;
}

static void the_first_report_wins_and_stops_the_loop(void **state)
{
	struct vm_fate *fate = fate__create(*state);
	int detail = 0;

	assert_int_equal(fate__cause(fate, NULL), FATE_NONE);
	assert_true(fate__report(fate, FATE_GUEST_EXIT, 33));
	assert_false(fate__report(fate, FATE_PANIC, 0));
	assert_int_equal(event_loop__run(*state), 0);
	assert_int_equal(fate__cause(fate, &detail), FATE_GUEST_EXIT);
	assert_int_equal(detail, 33);
	fate__destroy(fate);
}

static void a_cleared_fate_can_be_decided_anew(void **state)
{
	struct vm_fate *fate = fate__create(*state);
	int detail = 0;

	fate__report(fate, FATE_RESET, 0);
	fate__clear(fate);
	assert_int_equal(fate__cause(fate, NULL), FATE_NONE);
	assert_true(fate__report(fate, FATE_HOST_ERROR, -5));
	assert_int_equal(fate__cause(fate, &detail), FATE_HOST_ERROR);
	assert_int_equal(detail, -5);
	fate__destroy(fate);
}

static void a_reset_after_a_panic_on_the_console_is_a_panic(void **state)
{
	struct vm_fate *fate = fate__create(*state);

	fate__expect_panic(fate);
	fate__report(fate, FATE_RESET, 0);
	assert_int_equal(fate__cause(fate, NULL), FATE_PANIC);
	fate__clear(fate);
	fate__report(fate, FATE_RESET, 0);
	assert_int_equal(fate__cause(fate, NULL), FATE_RESET);
	fate__clear(fate);
	fate__expect_panic(fate);
	fate__report(fate, FATE_POWEROFF, 0);
	assert_int_equal(fate__cause(fate, NULL), FATE_POWEROFF);
	fate__destroy(fate);
}

static void each_cause_has_its_status(void **state)
{
	static const struct {
		enum fate_cause cause;
		int detail, status;
	} manual[] = {
		{ FATE_POWEROFF, 0, 0 },       { FATE_RESET, 0, 0 },
		{ FATE_USER_QUIT, 0, 0 },      { FATE_GUEST_EXIT, 1, 1 },
		{ FATE_GUEST_EXIT, 255, 255 }, { FATE_PANIC, 0, 120 },
		{ FATE_TRIPLE_FAULT, 0, 121 }, { FATE_INTERNAL_ERROR, 0, 121 },
		{ FATE_TIMEOUT, 0, 124 },      { FATE_HOST_ERROR, -12, 125 },
		{ FATE_SIGNAL, SIGTERM, 143 }, { FATE_SIGNAL, SIGINT, 130 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(manual); i++)
		assert_int_equal(fate__status(manual[i].cause, manual[i].detail), manual[i].status);
}

static void each_cause_has_its_words(void **state)
{
	for (int i = 0; i < FATE_NR_CAUSES; i++)
		assert_true(strlen(fate__describe((enum fate_cause)i)) > 5);
	assert_string_equal(fate__describe(FATE_NR_CAUSES), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_report_wins_and_stops_the_loop, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_cleared_fate_can_be_decided_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_reset_after_a_panic_on_the_console_is_a_panic,
						setup, teardown),
		cmocka_unit_test(each_cause_has_its_status),
		cmocka_unit_test(each_cause_has_its_words),
	};

	return cmocka_run_group_tests_name("fate", tests, NULL, NULL);
}
