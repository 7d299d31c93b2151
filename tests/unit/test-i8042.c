// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keyboard controller answers a driver's probe at once, and resets the machine only when told
 * to.
 */
#include "test.h"

#include "board.h"
#include "kvm/hw/i8042.h"

#define DATA	0x60
#define COMMAND 0x64
#define PORT_A	0x92
#define GSI	1

#define OBF	0x01
#define SYSTEM	0x04
#define AUX_OBF 0x20

#define KBD_INT	  0x01
#define KBD_OFF	  0x10
#define TRANSLATE 0x40

static struct board board;

static int setup(void **state)
{
	board__init(&board);
	board__add(&board, i8042__create(&board.host, GSI));
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	return 0;
}

static void command(uint8_t value)
{
	outb(&board, COMMAND, value);
}

/* A byte is there, and this is it. */
static uint8_t answer(void)
{
	assert_int_equal(inb(&board, COMMAND) & (OBF | AUX_OBF), OBF);
	return inb(&board, DATA);
}

static bool has_answer(void)
{
	return inb(&board, COMMAND) & OBF;
}

static uint8_t ask(uint8_t value)
{
	command(value);
	return answer();
}

static void set_control(uint8_t value)
{
	command(0x60);
	outb(&board, DATA, value);
}

static enum fate_cause fate(void)
{
	return fate__cause(board.host.fate, NULL);
}

static void linux_finds_a_controller_and_a_keyboard_and_no_mouse(void **state)
{
	uint8_t control;

	/* i8042_flush(), i8042_controller_init(): nothing to flush, the same command byte twice */
	assert_false(has_answer());
	control = ask(0x20);
	assert_int_equal(ask(0x20), control);
	assert_true(control & TRANSLATE);
	set_control((uint8_t)((control & ~KBD_INT) | KBD_OFF));

	/* i8042_check_aux(): loopback on the wrong side, then a port that tests bad */
	command(0xd3);
	outb(&board, DATA, 0x5a);
	assert_int_equal(inb(&board, COMMAND) & (OBF | AUX_OBF), OBF);
	assert_int_equal(ask(0xa9), 0x01);

	/* i8042_enable_kbd_port(), then libps2: each byte by interrupt */
	set_control(KBD_INT | TRANSLATE);
	board.rises[GSI] = 0;
	outb(&board, DATA, 0xf2);
	assert_true(board.level[GSI]);
	assert_int_equal(answer(), 0xfa);
	assert_int_equal(board.rises[GSI], 2);
	assert_int_equal(answer(), 0xab);
	assert_int_equal(answer(), 0x41);
	assert_int_equal(board.rises[GSI], 3);
	assert_false(board.level[GSI]);

	/* LEDs, typematic rate, enable: two acknowledgements each but for the last */
	static const uint8_t bytes[] = { 0xed, 0x00, 0xf3, 0x00, 0xf4 };

	for (unsigned int i = 0; i < ARRAY_SIZE(bytes); i++) {
		outb(&board, DATA, bytes[i]);
		assert_int_equal(answer(), 0xfa);
		assert_false(has_answer());
	}
	assert_int_equal(fate(), FATE_NONE);
}

static void tests_pass(void **state)
{
	set_control(KBD_INT);
	assert_int_equal(ask(0xaa), 0x55);
	assert_int_equal(ask(0x20), 0x74); /* everything off, as after power-on */
	assert_int_equal(ask(0xab), 0x00);
	assert_true(inb(&board, COMMAND) & SYSTEM);
	assert_int_equal(ask(0xa4), 0xf1);
}

static void a_keyboard_reset_is_acknowledged_and_passes(void **state)
{
	outb(&board, DATA, 0xff);
	assert_int_equal(answer(), 0xfa);
	assert_int_equal(answer(), 0xaa);
	assert_false(has_answer());
}

static void untranslated_the_keyboard_says_its_own_id(void **state)
{
	set_control(KBD_INT);
	outb(&board, DATA, 0xf2);
	assert_int_equal(answer(), 0xfa);
	assert_int_equal(answer(), 0xab);
	assert_int_equal(answer(), 0x83);
}

static void the_scan_code_set_is_remembered(void **state)
{
	static const uint8_t sets[] = { 1, 3, 2 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sets); i++) {
		outb(&board, DATA, 0xf0);
		assert_int_equal(answer(), 0xfa);
		outb(&board, DATA, sets[i]);
		assert_int_equal(answer(), 0xfa);
		outb(&board, DATA, 0xf0);
		assert_int_equal(answer(), 0xfa);
		outb(&board, DATA, 0);
		assert_int_equal(answer(), 0xfa);
		assert_int_equal(answer(), sets[i]);
	}
}

static void unknown_commands_ask_for_a_repetition_and_the_last_byte_is_repeated(void **state)
{
	outb(&board, DATA, 0x12);
	assert_int_equal(answer(), 0xfe);
	outb(&board, DATA, 0xee);
	assert_int_equal(answer(), 0xee);
	outb(&board, DATA, 0xfe);
	assert_int_equal(answer(), 0xee);
}

static void a_command_in_place_of_an_argument_is_a_command(void **state)
{
	outb(&board, DATA, 0xed);
	assert_int_equal(answer(), 0xfa);
	outb(&board, DATA, 0xee);
	assert_int_equal(answer(), 0xee);
}

static void a_held_clock_keeps_bytes_back_until_it_is_released(void **state)
{
	command(0xad);
	command(0xd2); /* so that something is in the output register */
	outb(&board, DATA, 0x77);
	outb(&board, DATA, 0xee); /* writing releases the clock, the register is still full */
	assert_int_equal(answer(), 0x77);
	assert_int_equal(answer(), 0xee);

	set_control(KBD_INT);
	outb(&board, DATA, 0xff);
	command(0xad);
	assert_int_equal(answer(), 0xfa); /* that one was out already */
	assert_false(has_answer());
	command(0xae);
	assert_int_equal(answer(), 0xaa);
}

static void without_the_enable_bit_there_is_no_interrupt(void **state)
{
	set_control(0);
	outb(&board, DATA, 0xee);
	assert_true(has_answer());
	assert_int_equal(board.rises[GSI], 0);
	set_control(KBD_INT);
	assert_true(board.level[GSI]);
	answer();
	assert_false(board.level[GSI]);
}

static void writing_to_the_mouse_times_out(void **state)
{
	command(0xd4);
	outb(&board, DATA, 0xf2);
	assert_int_equal(inb(&board, COMMAND) & (OBF | AUX_OBF | 0x40), OBF | AUX_OBF | 0x40);
	assert_int_equal(inb(&board, DATA), 0xfe);
	assert_int_equal(board.rises[GSI], 0);
}

static void controller_memory_is_kept(void **state)
{
	for (uint8_t at = 1; at < 0x20; at++) {
		command((uint8_t)(0x60 + at));
		outb(&board, DATA, (uint8_t)(at * 7));
	}
	for (uint8_t at = 1; at < 0x20; at++)
		assert_int_equal(ask((uint8_t)(0x20 + at)), at * 7);
}

static void a_pulse_of_line_0_resets_and_other_pulses_do_not(void **state)
{
	for (unsigned int lines = 0xf1; lines <= 0xff; lines += 2)
		command((uint8_t)lines);
	assert_int_equal(fate(), FATE_NONE);
	command(0xfe);
	assert_int_equal(fate(), FATE_RESET);
}

static void the_output_port_resets_when_bit_0_is_cleared(void **state)
{
	command(0xd1);
	outb(&board, DATA, 0xdf);
	assert_int_equal(fate(), FATE_NONE);
	command(0xd1);
	outb(&board, DATA, 0xde);
	assert_int_equal(fate(), FATE_RESET);
}

static void port_92_resets_on_the_rise_of_bit_0(void **state)
{
	outb(&board, PORT_A, 0x02);
	assert_int_equal(fate(), FATE_NONE);
	outb(&board, PORT_A, 0x03);
	assert_int_equal(fate(), FATE_RESET);
}

static void both_ways_to_the_a20_gate_are_one(void **state)
{
	assert_int_equal(ask(0xd0) & 0x02, 0x02);
	assert_int_equal(inb(&board, PORT_A) & 0x02, 0x02);
	outb(&board, PORT_A, 0x00);
	assert_int_equal(ask(0xd0) & 0x03, 0x01);
	command(0xd1);
	outb(&board, DATA, 0x03);
	assert_int_equal(inb(&board, PORT_A) & 0x02, 0x02);
	command(0xdd);
	assert_int_equal(inb(&board, PORT_A) & 0x02, 0x00);
	command(0xdf);
	assert_int_equal(inb(&board, PORT_A) & 0x02, 0x02);
}

static void its_ports_read_as_on_a_pc(void **state)
{
	assert_int_equal(ask(0xc0), 0x80); /* input port: not locked */
	assert_int_equal(ask(0xd0), 0xc3); /* output port: lines released, A20, no reset */
	command(0xd2);
	outb(&board, DATA, 0x12);
	assert_int_equal(ask(0xd0), 0xd3);		     /* and output register full */
	assert_int_equal(inb(&board, COMMAND) & 0x18, 0x18); /* the last write was a command */
	outb(&board, DATA, 0xee);
	assert_int_equal(inb(&board, COMMAND) & 0x18, 0x10);
	answer();
	outb(&board, PORT_A, 0xfe);
	assert_int_equal(inb(&board, PORT_A), 0xfe);
	assert_int_equal(fate(), FATE_NONE);
}

static void ports_are_switched_by_their_own_bits(void **state)
{
	set_control(0x41);
	command(0xad);
	assert_int_equal(ask(0x20), 0x51);
	command(0xa7);
	assert_int_equal(ask(0x20), 0x71);
	command(0xae);
	assert_int_equal(ask(0x20), 0x61);
	command(0xa8);
	assert_int_equal(ask(0x20), 0x41);
}

static void defaults_forget_the_scan_code_set_and_what_was_to_come(void **state)
{
	static const uint8_t commands[] = { 0xf5, 0xf6 };

	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		outb(&board, DATA, 0xf0);
		answer();
		outb(&board, DATA, 1);
		answer();
		outb(&board, DATA, 0xf2); /* three bytes, two of them still in the keyboard */
		outb(&board, DATA, commands[i]);
		assert_int_equal(answer(), 0xfa);
		assert_int_equal(answer(), 0xfa);
		assert_false(has_answer());
		outb(&board, DATA, 0xf0);
		answer();
		outb(&board, DATA, 0);
		assert_int_equal(answer(), 0xfa);
		assert_int_equal(answer(), 2);
	}
	for (uint8_t type = 0xf7; type <= 0xfa; type++) {
		outb(&board, DATA, type);
		assert_int_equal(answer(), 0xfa);
	}
	outb(&board, DATA, 0xfb);
	assert_int_equal(answer(), 0xfa);
	outb(&board, DATA, 0x1c); /* a key, not a command */
	assert_int_equal(answer(), 0xfa);
	assert_false(has_answer());
}

static void reset_is_as_firmware_leaves_it(void **state)
{
	command(0xad);
	outb(&board, DATA, 0xff);
	outb(&board, PORT_A, 0);
	command(0x60);
	device_list__reset(&board.devices);
	assert_false(has_answer());
	assert_false(board.level[GSI]);
	assert_int_equal(ask(0x20), 0x65);
	assert_int_equal(inb(&board, PORT_A) & 0x02, 0x02);
}

static void no_sequence_of_bytes_breaks_it(void **state)
{
	for (unsigned int command_byte = 0; command_byte < 0x100; command_byte++) {
		for (unsigned int value = 0; value < 0x100; value++) {
			command((uint8_t)command_byte);
			outb(&board, DATA, (uint8_t)value);
			inb(&board, DATA);
		}
	}
	for (unsigned int i = 0; i < 1000; i++)
		outb(&board, DATA, 0xff);
	device_list__reset(&board.devices);
	assert_int_equal(ask(0xaa), 0x55);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(linux_finds_a_controller_and_a_keyboard_and_no_mouse),
		TEST(tests_pass),
		TEST(a_keyboard_reset_is_acknowledged_and_passes),
		TEST(untranslated_the_keyboard_says_its_own_id),
		TEST(the_scan_code_set_is_remembered),
		TEST(unknown_commands_ask_for_a_repetition_and_the_last_byte_is_repeated),
		TEST(a_command_in_place_of_an_argument_is_a_command),
		TEST(a_held_clock_keeps_bytes_back_until_it_is_released),
		TEST(without_the_enable_bit_there_is_no_interrupt),
		TEST(writing_to_the_mouse_times_out),
		TEST(controller_memory_is_kept),
		TEST(a_pulse_of_line_0_resets_and_other_pulses_do_not),
		TEST(the_output_port_resets_when_bit_0_is_cleared),
		TEST(port_92_resets_on_the_rise_of_bit_0),
		TEST(both_ways_to_the_a20_gate_are_one),
		TEST(its_ports_read_as_on_a_pc),
		TEST(ports_are_switched_by_their_own_bits),
		TEST(defaults_forget_the_scan_code_set_and_what_was_to_come),
		TEST(reset_is_as_firmware_leaves_it),
		TEST(no_sequence_of_bytes_breaks_it),
	};

	return cmocka_run_group_tests_name("i8042", tests, NULL, NULL);
}
