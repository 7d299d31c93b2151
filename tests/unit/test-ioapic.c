// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The I/O APIC of the split irqchip: entries become messages, levels wait for their EOI, and KVM's
 * routing table has every level-triggered entry before its first message goes out.
 *
 * WRAP: irq__signal_msi irq__set_msi_route
 */
#include "test.h"

#include "board.h"
#include "kvm/hw/ioapic.h"

#define BASE   0xfec00000ull
#define LEVEL  0x8000u
#define MASKED 0x10000u
#define IRR    0x4000u
#define NR     IOAPIC_NR_PINS

static struct board board;
static struct device *ioapic;
static struct msi_message last;
static unsigned int nr_sent, nr_route_changes;
static int delivered; /* what irq__signal_msi() says */
static struct msi_message route[NR];
static bool routed[NR];

int __wrap_irq__signal_msi(struct irq_router *router, const struct msi_message *msg);
int __wrap_irq__set_msi_route(struct irq_router *router, unsigned int gsi,
			      const struct msi_message *msg);

int __wrap_irq__signal_msi(struct irq_router *router, const struct msi_message *msg)
{
	bool found = !(msg->data & LEVEL);

	for (unsigned int i = 0; i < NR; i++)
		found |=
			routed[i] && route[i].address == msg->address && route[i].data == msg->data;
	assert_true(found); /* a level is in the table before it is sent */
	last = *msg;
	nr_sent++;
	return delivered;
}

int __wrap_irq__set_msi_route(struct irq_router *router, unsigned int gsi,
			      const struct msi_message *msg)
{
	assert_true(gsi < NR);
	if (routed[gsi] != !!msg ||
	    (msg && (msg->address != route[gsi].address || msg->data != route[gsi].data)))
		nr_route_changes++;
	routed[gsi] = msg;
	if (msg)
		route[gsi] = *msg;
	return 0;
}

static int setup(void **state)
{
	board__init(&board);
	ioapic = board__add(&board, ioapic__create(&board.host, BASE));
	nr_sent = nr_route_changes = 0;
	delivered = 1;
	memset(routed, 0, sizeof(routed));
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	return 0;
}

static uint32_t get(uint8_t index)
{
	board__store(&board, BASE, 4, index);
	return (uint32_t)board__load(&board, BASE + 0x10, 4);
}

static void put(uint8_t index, uint32_t value)
{
	board__store(&board, BASE, 4, index);
	board__store(&board, BASE + 0x10, 4, value);
}

static uint32_t entry(unsigned int pin)
{
	return get((uint8_t)(0x10 + 2 * pin));
}

/* As Linux's ioapic_write_entry(): the high half first. */
static void set_entry(unsigned int pin, uint64_t value)
{
	put((uint8_t)(0x11 + 2 * pin), (uint32_t)(value >> 32));
	put((uint8_t)(0x10 + 2 * pin), (uint32_t)value);
}

static uint64_t to(uint8_t dest)
{
	return (uint64_t)dest << 56;
}

static void identifies_itself_with_24_pins_and_an_eoi_register(void **state)
{
	assert_int_equal(get(1), 0x170020);
	put(1, 0);
	assert_int_equal(get(1), 0x170020);
	assert_int_equal(get(0), 0);
	put(0, 0xffffffff);
	assert_int_equal(get(0), 0x0f000000);
	assert_int_equal(get(2), 0x0f000000);
	device_list__reset(&board.devices);
	assert_int_equal(board__load(&board, BASE, 4), 0);
	assert_int_equal(get(0), 0);
	assert_int_equal(get(3), 0);
	assert_int_equal(get(0x10 + 2 * NR), 0);
	assert_int_equal(get(0xff), 0);
	assert_int_equal(board__load(&board, BASE + 0x20, 4), 0);
}

static void all_pins_are_masked_after_a_reset(void **state)
{
	for (unsigned int pin = 0; pin < NR; pin++) {
		assert_int_equal(entry(pin), MASKED);
		assert_int_equal(get((uint8_t)(0x11 + 2 * pin)), 0);
		ioapic__set_irq(ioapic, pin, true);
	}
	ioapic__set_irq(ioapic, NR, true);
	ioapic__set_irq(ioapic, ~0u, true);
	assert_int_equal(nr_sent, 0);
}

static void an_edge_is_sent_as_a_message(void **state)
{
	set_entry(0, 0x30);
	assert_int_equal(entry(0), 0x30);
	ioapic__set_irq(ioapic, 0, true);
	assert_int_equal(last.data, 0x30);
	nr_sent = 0;
	set_entry(4, to(3) | 0x31);
	ioapic__set_irq(ioapic, 4, true);
	assert_int_equal(nr_sent, 1);
	assert_int_equal(last.address, 0xfee03000);
	assert_int_equal(last.data, 0x31);
	ioapic__set_irq(ioapic, 4, true);
	assert_int_equal(nr_sent, 1);
	ioapic__set_irq(ioapic, 4, false);
	ioapic__set_irq(ioapic, 4, true);
	assert_int_equal(nr_sent, 2);
	assert_int_equal(entry(4), 0x31); /* no remote IRR */
	assert_int_equal(nr_route_changes, 0);
}

static void the_fields_of_an_entry_go_where_they_belong(void **state)
{
	/* lowest priority, logical, active low */
	set_entry(7, to(0xff) | 0x2955);
	ioapic__set_irq(ioapic, 7, true);
	assert_int_equal(last.address, 0xfeeff004);
	assert_int_equal(last.data, 0x155);

	/* bits 55:49 are bits 14:8 of the destination, bit 48 is no destination */
	set_entry(8, 0x12ab000000000055);
	ioapic__set_irq(ioapic, 8, true);
	assert_int_equal(last.address, 0xfee00000 | 0x12 << 12 | (0xab >> 1) << 5);
	assert_int_equal(get(0x11 + 16), 0x12aa0000);
}

static void an_edge_on_a_masked_pin_is_lost(void **state)
{
	set_entry(4, MASKED | 0x31);
	ioapic__set_irq(ioapic, 4, true);
	set_entry(4, 0x31);
	assert_int_equal(nr_sent, 0);
	ioapic__set_irq(ioapic, 4, false);
	ioapic__set_irq(ioapic, 4, true);
	assert_int_equal(nr_sent, 1);
}

static void a_level_is_sent_once_per_eoi(void **state)
{
	set_entry(10, to(1) | LEVEL | 0x41);
	ioapic__set_irq(ioapic, 10, true);
	assert_int_equal(nr_sent, 1);
	assert_int_equal(last.data, 0xc041); /* level, asserted */
	assert_true(entry(10) & IRR);
	ioapic__set_irq(ioapic, 10, false);
	ioapic__set_irq(ioapic, 10, true);
	assert_int_equal(nr_sent, 1);
	ioapic__eoi(ioapic, 0x42); /* somebody else's */
	assert_int_equal(nr_sent, 1);
	ioapic__eoi(ioapic, 0x41);
	assert_int_equal(nr_sent, 2);
	assert_true(entry(10) & IRR);
	ioapic__set_irq(ioapic, 10, false);
	ioapic__eoi(ioapic, 0x41);
	assert_int_equal(nr_sent, 2);
	assert_false(entry(10) & IRR);
}

static void the_eoi_register_does_the_same(void **state)
{
	set_entry(10, LEVEL | 0x41);
	ioapic__set_irq(ioapic, 10, true);
	board__store(&board, BASE + 0x40, 4, 0x41);
	assert_int_equal(nr_sent, 2);
	ioapic__set_irq(ioapic, 10, false);
	board__store(&board, BASE + 0x40, 4, 0x41);
	assert_false(entry(10) & IRR);
}

static void one_vector_may_serve_several_pins(void **state)
{
	set_entry(10, LEVEL | 0x41);
	set_entry(11, LEVEL | 0x41);
	ioapic__set_irq(ioapic, 10, true);
	ioapic__set_irq(ioapic, 11, true);
	ioapic__eoi(ioapic, 0x41);
	assert_int_equal(nr_sent, 4);
}

static void a_level_waits_behind_the_mask(void **state)
{
	set_entry(10, MASKED | LEVEL | 0x41);
	ioapic__set_irq(ioapic, 10, true);
	assert_int_equal(nr_sent, 0);
	put(0x10 + 20, LEVEL | 0x41);
	assert_int_equal(nr_sent, 1);

	/* Masked while in service, as a threaded handler has it: the EOI comes, the line is still
	 * high. */
	put(0x10 + 20, MASKED | LEVEL | 0x41);
	ioapic__eoi(ioapic, 0x41);
	assert_int_equal(nr_sent, 1);
	assert_false(entry(10) & IRR);
	put(0x10 + 20, LEVEL | 0x41);
	assert_int_equal(nr_sent, 2);
}

static void what_nobody_took_is_not_in_service(void **state)
{
	delivered = 0;
	set_entry(10, LEVEL | 0x41);
	ioapic__set_irq(ioapic, 10, true);
	assert_int_equal(nr_sent, 1);
	assert_false(entry(10) & IRR);
	delivered = 1;
	set_entry(10, to(1) | LEVEL | 0x41);
	assert_true(entry(10) & IRR);
}

static void routes_have_level_entries_masked_ones_too(void **state)
{
	set_entry(10, to(2) | MASKED | LEVEL | 0x41);
	assert_true(routed[10]);
	assert_int_equal(route[10].data & 0x80ff, LEVEL | 0x41);
	assert_int_equal(route[10].address, 0xfee02000);
	nr_route_changes = 0;
	put(0x10 + 20, LEVEL | 0x41);
	put(0x10 + 20, MASKED | LEVEL | 0x41);
	assert_int_equal(nr_route_changes, 0); /* masking costs KVM nothing */
	put(0x10 + 20, MASKED | 0x41);
	assert_false(routed[10]);
	set_entry(10, to(2) | LEVEL | 0x41);
	device_list__reset(&board.devices);
	assert_false(routed[10]);
}

static void remote_irr_cannot_be_written(void **state)
{
	set_entry(10, LEVEL | IRR | 0x1000 | 0x41);
	assert_int_equal(entry(10), LEVEL | 0x41);
	ioapic__set_irq(ioapic, 10, true);
	set_entry(10, LEVEL | 0x41);
	assert_int_equal(entry(10), LEVEL | IRR | 0x41);
	assert_int_equal(nr_sent, 1);
}

static void going_to_edge_and_back_clears_remote_irr(void **state)
{
	/* How kernels end an interrupt without an EOI register (__eoi_ioapic_pin()). */
	set_entry(10, LEVEL | 0x41);
	ioapic__set_irq(ioapic, 10, true);
	ioapic__set_irq(ioapic, 10, false);
	put(0x10 + 20, MASKED | 0x41);
	put(0x10 + 20, LEVEL | 0x41);
	assert_int_equal(entry(10), LEVEL | 0x41);
}

static void a_level_pin_that_becomes_an_edge_pin_sends_nothing(void **state)
{
	ioapic__set_irq(ioapic, 10, true);
	set_entry(10, 0x41);
	assert_int_equal(nr_sent, 0);
}

static void lines_outlive_a_reset(void **state)
{
	ioapic__set_irq(ioapic, 10, true);
	device_list__reset(&board.devices);
	assert_int_equal(nr_sent, 0);
	set_entry(10, LEVEL | 0x41);
	assert_int_equal(nr_sent, 1);
}

static void the_selector_may_be_written_as_a_byte(void **state)
{
	board__store(&board, BASE, 4, 0x1234);
	assert_int_equal(board__load(&board, BASE, 4), 0x34);
	board__store(&board, BASE, 1, 0x01);
	assert_int_equal(board__load(&board, BASE + 0x10, 4), 0x170020);
	assert_int_equal(board__load(&board, BASE + 0x10, 1), 0x20);
}

/* One level-triggered pin in five steps of every kind, against the rule in its shortest form. */
static void every_short_sequence_follows_the_rule(void **state)
{
	enum { RAISE, LOWER, END, MASK, UNMASK, NR_STEPS };

	for (unsigned int sequence = 0; sequence < 5 * 5 * 5 * 5 * 5 * 5; sequence++) {
		bool line = false, masked = false, in_service = false;
		unsigned int steps = sequence, expected = 0;

		ioapic__set_irq(ioapic, 10, false);
		device_list__reset(&board.devices);
		set_entry(10, LEVEL | 0x41);
		nr_sent = 0;
		for (unsigned int i = 0; i < 6; i++, steps /= NR_STEPS) {
			switch (steps % NR_STEPS) {
			case RAISE:
				ioapic__set_irq(ioapic, 10, line = true);
				break;
			case LOWER:
				ioapic__set_irq(ioapic, 10, line = false);
				break;
			case END:
				ioapic__eoi(ioapic, 0x41);
				in_service = false;
				break;
			case MASK:
				put(0x10 + 20, MASKED | LEVEL | 0x41);
				masked = true;
				break;
			case UNMASK:
				put(0x10 + 20, LEVEL | 0x41);
				masked = false;
				break;
			}
			if (line && !masked && !in_service) {
				in_service = true;
				expected++;
			}
			assert_int_equal(nr_sent, expected);
			assert_int_equal(!!(entry(10) & IRR), in_service);
		}
	}
}

static void no_access_breaks_it(void **state)
{
	for (unsigned int pin = 0; pin < NR; pin++)
		ioapic__set_irq(ioapic, pin, true);
	board__hammer(&board, BUS_MMIO, BASE, 0x80);
	board__hammer(&board, BUS_MMIO, BASE + 0xff0, 0x10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(identifies_itself_with_24_pins_and_an_eoi_register),
		TEST(all_pins_are_masked_after_a_reset),
		TEST(an_edge_is_sent_as_a_message),
		TEST(the_fields_of_an_entry_go_where_they_belong),
		TEST(an_edge_on_a_masked_pin_is_lost),
		TEST(a_level_is_sent_once_per_eoi),
		TEST(the_eoi_register_does_the_same),
		TEST(one_vector_may_serve_several_pins),
		TEST(a_level_waits_behind_the_mask),
		TEST(what_nobody_took_is_not_in_service),
		TEST(routes_have_level_entries_masked_ones_too),
		TEST(remote_irr_cannot_be_written),
		TEST(going_to_edge_and_back_clears_remote_irr),
		TEST(a_level_pin_that_becomes_an_edge_pin_sends_nothing),
		TEST(lines_outlive_a_reset),
		TEST(the_selector_may_be_written_as_a_byte),
		TEST(every_short_sequence_follows_the_rule),
		TEST(no_access_breaks_it),
	};

	return cmocka_run_group_tests_name("ioapic", tests, NULL, NULL);
}
