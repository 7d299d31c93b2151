// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two cascaded 8259As: priorities, masks, acknowledgement and the ways to end an interrupt.
 */
#include "test.h"

#include <stdlib.h>

#include "board.h"
#include "kvm/hw/pic.h"

#define MASTER 0x20
#define SLAVE  0xa0
#define ELCR   0x4d0

static struct board board;
static struct device *pic;
static bool output;

static void on_output(void *ctx, bool level)
{
	assert_ptr_equal(ctx, &output);
	assert_int_not_equal(output, level); /* only changes are reported */
	output = level;
}

/* As Linux's init_8259A(): vectors 0x30 and 0x38, no automatic EOI, nothing masked. */
static void init_chip(uint16_t port, uint8_t vector, uint8_t icw3, uint8_t icw4)
{
	outb(&board, port, 0x11);
	outb(&board, (uint16_t)(port + 1), vector);
	outb(&board, (uint16_t)(port + 1), icw3);
	outb(&board, (uint16_t)(port + 1), icw4);
	outb(&board, (uint16_t)(port + 1), 0x00);
}

static void init_both(uint8_t icw4)
{
	init_chip(MASTER, 0x30, 0x04, icw4);
	init_chip(SLAVE, 0x38, 0x02, icw4);
}

static int setup(void **state)
{
	board__init(&board);
	output = false;
	pic = board__add(&board, pic__create(&board.host, on_output, &output));
	init_both(0x01);
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	return 0;
}

static void raise_irq(unsigned int irq)
{
	pic__set_irq(pic, irq, true);
}

static void lower(unsigned int irq)
{
	pic__set_irq(pic, irq, false);
}

static void pulse(unsigned int irq)
{
	raise_irq(irq);
	lower(irq);
}

static uint8_t isr(uint16_t port)
{
	outb(&board, port, 0x0b);
	return inb(&board, port);
}

static uint8_t irr(uint16_t port)
{
	outb(&board, port, 0x0a);
	return inb(&board, port);
}

static void eoi(unsigned int irq)
{
	if (irq >= 8)
		outb(&board, SLAVE, 0x20);
	outb(&board, MASTER, 0x20);
}

static void each_input_has_its_vector(void **state)
{
	for (unsigned int irq = 0; irq < 16; irq++) {
		if (irq == 2)
			continue;
		pulse(irq);
		assert_true(output);
		assert_true(pic__pending(pic));
		assert_int_equal(pic__ack(pic), 0x30 + irq);
		assert_false(output);
		assert_int_equal(isr(irq < 8 ? MASTER : SLAVE), 1 << irq % 8);
		eoi(irq);
		assert_int_equal(isr(MASTER) | isr(SLAVE), 0);
	}
}

static void before_it_is_programmed_nothing_comes_out(void **state)
{
	device_list__reset(&board.devices);
	for (unsigned int irq = 0; irq < 16; irq++)
		raise_irq(irq);
	assert_false(output);
	assert_int_equal(inb(&board, MASTER + 1), 0xff);
}

static void input_2_and_beyond_15_are_no_inputs(void **state)
{
	raise_irq(2);
	raise_irq(16);
	raise_irq(~0u);
	assert_false(output);
}

static void a_lower_number_has_priority_and_interrupts_a_higher(void **state)
{
	raise_irq(5);
	raise_irq(3);
	assert_int_equal(pic__ack(pic), 0x33);
	assert_false(output); /* 5 has to wait */
	raise_irq(6);
	assert_false(output);
	raise_irq(1);
	assert_true(output);
	assert_int_equal(pic__ack(pic), 0x31);
	eoi(1);
	assert_false(output);
	eoi(3);
	assert_true(output);
	assert_int_equal(pic__ack(pic), 0x35);
	eoi(5);
	assert_int_equal(pic__ack(pic), 0x36);
}

static void the_slaves_inputs_rank_as_input_2(void **state)
{
	raise_irq(3);
	raise_irq(15);
	raise_irq(8);
	assert_int_equal(pic__ack(pic), 0x38);
	assert_false(output);
	eoi(8);
	assert_int_equal(pic__ack(pic), 0x3f);
	raise_irq(1);
	assert_int_equal(pic__ack(pic), 0x31);
	eoi(1);
	eoi(15);
	assert_int_equal(pic__ack(pic), 0x33);
}

static void a_mask_holds_back_but_forgets_nothing(void **state)
{
	outb(&board, MASTER + 1, 0x20);
	assert_int_equal(inb(&board, MASTER + 1), 0x20);
	pulse(5);
	assert_false(output);
	assert_int_equal(irr(MASTER), 0x20);
	outb(&board, MASTER + 1, 0x00);
	assert_true(output);
	outb(&board, MASTER + 1, 0x20);
	assert_false(output);
	outb(&board, MASTER + 1, 0x00);
	assert_int_equal(pic__ack(pic), 0x35);
}

static void a_masked_slave_takes_its_request_back(void **state)
{
	raise_irq(10);
	assert_true(output);
	outb(&board, SLAVE + 1, 0x04);
	assert_false(output);
	assert_int_equal(irr(MASTER), 0);
	outb(&board, SLAVE + 1, 0x00);
	outb(&board, MASTER + 1, 0x04);
	assert_false(output);
	outb(&board, MASTER + 1, 0x00);
	assert_int_equal(pic__ack(pic), 0x3a);
}

static void an_edge_counts_once(void **state)
{
	raise_irq(4);
	assert_int_equal(pic__ack(pic), 0x34);
	raise_irq(4);
	eoi(4);
	assert_false(output);
	lower(4);
	raise_irq(4);
	assert_true(output);
}

static void a_level_asks_while_it_lasts(void **state)
{
	outb(&board, ELCR, 0x20);
	outb(&board, ELCR + 1, 0x04);
	raise_irq(5);
	assert_int_equal(pic__ack(pic), 0x35);
	eoi(5);
	assert_true(output);
	lower(5);
	assert_false(output);

	raise_irq(10);
	assert_int_equal(pic__ack(pic), 0x3a);
	assert_false(output);
	eoi(10);
	assert_true(output);
	lower(10);
	assert_false(output);
	assert_int_equal(irr(MASTER) | irr(SLAVE), 0);
}

static void the_edge_level_register_spares_the_boards_own_inputs(void **state)
{
	board__out(&board, ELCR, 2, 0xffff);
	assert_int_equal(board__in(&board, ELCR, 2), 0xdef8);
	raise_irq(5);
	outb(&board, ELCR, 0x00); /* back to edges: a level is none */
	assert_false(output);
	outb(&board, ELCR, 0x20);
	assert_true(output);
	lower(5);
	pulse(3);
	outb(&board, ELCR, 0x28); /* and an edge is no level */
	assert_false(output);
	pulse(1);
	outb(&board, ELCR, 0x30); /* other inputs keep theirs */
	assert_int_equal(pic__ack(pic), 0x31);
}

static void nothing_to_acknowledge_is_a_spurious_7(void **state)
{
	assert_int_equal(pic__ack(pic), 0x37);
	assert_int_equal(isr(MASTER), 0);
	outb(&board, ELCR, 0x20);
	raise_irq(5);
	lower(5);
	assert_int_equal(pic__ack(pic), 0x37);
	assert_int_equal(isr(MASTER), 0);
}

static void automatic_eoi_leaves_nothing_in_service(void **state)
{
	init_both(0x03);
	raise_irq(4);
	raise_irq(9);
	raise_irq(12);
	assert_int_equal(pic__ack(pic), 0x39);
	assert_int_equal(pic__ack(pic), 0x3c); /* the slave asks again by itself */
	assert_int_equal(pic__ack(pic), 0x34);
	assert_int_equal(isr(MASTER) | isr(SLAVE), 0);
	assert_false(output);
}

static void a_specific_eoi_ends_that_one(void **state)
{
	pulse(6);
	pic__ack(pic);
	pulse(4);
	pic__ack(pic);
	assert_int_equal(isr(MASTER), 0x50);
	outb(&board, MASTER, 0x66);
	assert_int_equal(isr(MASTER), 0x10);
	outb(&board, MASTER, 0x20);
	assert_int_equal(isr(MASTER), 0);
	outb(&board, MASTER, 0x20); /* nothing left: harmless */
	assert_int_equal(isr(MASTER), 0);
}

static void what_is_no_eoi_ends_nothing(void **state)
{
	pulse(3);
	pic__ack(pic);
	outb(&board, MASTER, 0x80);
	outb(&board, MASTER, 0x00);
	outb(&board, MASTER, 0x40);
	outb(&board, MASTER, 0xc7);
	assert_int_equal(isr(MASTER), 0x08);
	outb(&board, MASTER, 0x63); /* a specific EOI does not rotate */
	outb(&board, MASTER, 0xa0); /* nor does one of nothing */
	pulse(3);
	pulse(4);
	pulse(0);
	assert_int_equal(pic__ack(pic), 0x30);
	outb(&board, MASTER, 0x20);
	assert_int_equal(pic__ack(pic), 0x33);
}

static void reset_takes_the_output_back(void **state)
{
	raise_irq(5);
	assert_true(output);
	device_list__reset(&board.devices);
	assert_false(output);
	assert_false(pic__pending(pic));
	assert_int_equal(board__in(&board, ELCR, 2), 0);
}

static void rotation_makes_the_one_just_served_the_last(void **state)
{
	pulse(3);
	pic__ack(pic);
	outb(&board, MASTER, 0xa0); /* rotate on non-specific EOI */
	pulse(3);
	pulse(4);
	pulse(0);
	assert_int_equal(pic__ack(pic), 0x34);
	outb(&board, MASTER, 0x20);
	assert_int_equal(pic__ack(pic), 0x30);
	outb(&board, MASTER, 0x20);
	assert_int_equal(pic__ack(pic), 0x33);
	outb(&board, MASTER, 0xe3); /* rotate on specific EOI */

	outb(&board, MASTER, 0xc5); /* set priority: 5 is the last, 6 the first */
	pulse(5);
	pulse(6);
	assert_int_equal(pic__ack(pic), 0x36);
	outb(&board, MASTER, 0x20);
	assert_int_equal(pic__ack(pic), 0x35);
}

static void rotation_on_automatic_eoi_can_be_switched(void **state)
{
	init_both(0x03);
	outb(&board, MASTER, 0x80);
	pulse(3);
	pic__ack(pic);
	pulse(3);
	pulse(4);
	assert_int_equal(pic__ack(pic), 0x34);
	pic__ack(pic);
	outb(&board, MASTER, 0xc7);
	outb(&board, MASTER, 0x00);
	pulse(3);
	pic__ack(pic);
	pulse(3);
	pulse(4);
	assert_int_equal(pic__ack(pic), 0x33);
}

static void special_mask_mode_lets_lower_priorities_in(void **state)
{
	pulse(3);
	pic__ack(pic);
	pulse(5);
	assert_false(output);
	outb(&board, MASTER, 0x68);
	assert_false(output);
	outb(&board, MASTER + 1, 0x08); /* mask the one in service: now it is out of the way */
	assert_int_equal(pic__ack(pic), 0x35);
	outb(&board, MASTER, 0x20); /* does not end a masked one */
	assert_int_equal(isr(MASTER), 0x08);
	outb(&board, MASTER, 0x63);
	assert_int_equal(isr(MASTER), 0x00);
	outb(&board, MASTER, 0x48);
}

static void special_nesting_lets_the_slave_interrupt_itself(void **state)
{
	pulse(12);
	pic__ack(pic);
	pulse(9);
	assert_false(output); /* the master holds input 2 back while it is in service */
	eoi(12);
	pic__ack(pic);
	eoi(9);

	init_chip(MASTER, 0x30, 0x04, 0x11);
	pulse(12);
	assert_int_equal(pic__ack(pic), 0x3c);
	pulse(5);
	assert_false(output); /* what ranks below the slave still waits */
	pulse(9);
	assert_true(output);
	assert_int_equal(pic__ack(pic), 0x39);
}

static void polling_is_an_acknowledgement(void **state)
{
	outb(&board, MASTER, 0x0c);
	assert_int_equal(inb(&board, MASTER), 0x00);
	pulse(4);
	outb(&board, MASTER, 0x0c);
	assert_int_equal(inb(&board, MASTER), 0x84);
	assert_int_equal(isr(MASTER), 0x10);
	assert_false(output);
	eoi(4);
	pulse(11);
	outb(&board, MASTER, 0x0c);
	assert_int_equal(inb(&board, MASTER), 0x82);
	outb(&board, SLAVE, 0x0c);
	assert_int_equal(inb(&board, SLAVE), 0x83);
}

static void initialization_forgets_edges_and_keeps_levels(void **state)
{
	outb(&board, ELCR, 0x20);
	raise_irq(5);
	pulse(3);
	outb(&board, MASTER + 1, 0xff);
	init_chip(MASTER, 0x40, 0x04, 0x01);
	assert_int_equal(irr(MASTER), 0x20);
	assert_int_equal(pic__ack(pic), 0x45);
}

static void short_initializations_end_where_they_say(void **state)
{
	outb(&board, MASTER, 0x12); /* single, no ICW4 */
	outb(&board, MASTER + 1, 0x50);
	outb(&board, MASTER + 1, 0xef);
	assert_int_equal(inb(&board, MASTER + 1), 0xef);
	outb(&board, MASTER, 0x13); /* single, ICW4 */
	outb(&board, MASTER + 1, 0x58);
	outb(&board, MASTER + 1, 0x03);
	outb(&board, MASTER + 1, 0xdf);
	assert_int_equal(inb(&board, MASTER + 1), 0xdf);
	outb(&board, MASTER, 0x10); /* cascaded, no ICW4 */
	outb(&board, MASTER + 1, 0x60);
	outb(&board, MASTER + 1, 0x04);
	outb(&board, MASTER + 1, 0xbf);
	assert_int_equal(inb(&board, MASTER + 1), 0xbf);
	pulse(6);
	assert_int_equal(pic__ack(pic), 0x66);
}

/* The data sheet's rule, said differently: what is served is the first request in order of rank,
 * unless something of that rank or above is in service. */
static int expected(uint8_t requests, uint8_t in_service, unsigned int lowest)
{
	for (unsigned int rank = 0; rank < 8; rank++) {
		unsigned int irq = (lowest + 1 + rank) % 8;

		if (in_service & 1 << irq)
			return -1;
		if (requests & 1 << irq)
			return (int)irq;
	}
	return -1;
}

static void every_combination_is_ranked_by_the_rule(void **state)
{
	for (unsigned int lowest = 0; lowest < 8; lowest++) {
		for (unsigned int first = 0; first < 0x100; first++) {
			for (unsigned int second = 0; second < 0x100; second += 37) {
				uint8_t requests = (uint8_t)(first & ~4u),
					more = (uint8_t)(second & ~4u);
				int irq;

				init_chip(MASTER, 0x30, 0x04, 0x01);
				outb(&board, MASTER, (uint8_t)(0xc0 | lowest));
				for (unsigned int i = 0; i < 8; i++) {
					if (requests & 1 << i)
						pulse(i);
				}
				irq = expected(requests, 0, lowest);
				assert_int_equal(output, irq >= 0);
				if (irq < 0)
					continue;
				assert_int_equal(pic__ack(pic), 0x30 + irq);
				requests &= (uint8_t) ~(1 << irq);
				for (unsigned int i = 0; i < 8; i++) {
					if (more & 1 << i)
						pulse(i);
				}
				requests |= more;
				assert_int_equal(irr(MASTER), requests);
				assert_int_equal(output, expected(requests, (uint8_t)(1 << irq),
								  lowest) >= 0);
			}
		}
	}
}

static void no_sequence_breaks_it(void **state)
{
	srand(1);
	for (unsigned int i = 0; i < 200000; i++) {
		static const uint16_t ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };
		unsigned int random = (unsigned int)rand();

		outb(&board, ports[random % 6], (uint8_t)(random >> 8));
		inb(&board, ports[random / 7 % 6]);
		pic__set_irq(pic, random >> 4 & 31, random >> 9 & 1);
		if (output)
			pic__ack(pic);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_input_has_its_vector),
		TEST(before_it_is_programmed_nothing_comes_out),
		TEST(input_2_and_beyond_15_are_no_inputs),
		TEST(a_lower_number_has_priority_and_interrupts_a_higher),
		TEST(the_slaves_inputs_rank_as_input_2),
		TEST(a_mask_holds_back_but_forgets_nothing),
		TEST(a_masked_slave_takes_its_request_back),
		TEST(an_edge_counts_once),
		TEST(a_level_asks_while_it_lasts),
		TEST(the_edge_level_register_spares_the_boards_own_inputs),
		TEST(nothing_to_acknowledge_is_a_spurious_7),
		TEST(automatic_eoi_leaves_nothing_in_service),
		TEST(a_specific_eoi_ends_that_one),
		TEST(what_is_no_eoi_ends_nothing),
		TEST(reset_takes_the_output_back),
		TEST(rotation_makes_the_one_just_served_the_last),
		TEST(rotation_on_automatic_eoi_can_be_switched),
		TEST(special_mask_mode_lets_lower_priorities_in),
		TEST(special_nesting_lets_the_slave_interrupt_itself),
		TEST(polling_is_an_acknowledgement),
		TEST(initialization_forgets_edges_and_keeps_levels),
		TEST(short_initializations_end_where_they_say),
		TEST(every_combination_is_ranked_by_the_rule),
		TEST(no_sequence_breaks_it),
	};

	return cmocka_run_group_tests_name("pic", tests, NULL, NULL);
}
