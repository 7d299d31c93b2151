// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The MP table, walked as a kernel walks it.
 *
 * Offsets are those of the MultiProcessor Specification 1.4, chapter 4, written down a second time
 * on purpose.
 */
#include "test.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "x86/layout.h"
#include "x86/mptable.h"

#define HEADER_SIZE 44

enum { CPU, BUS, IOAPIC, INTERRUPT, LOCAL_INTERRUPT, NR_TYPES };

static const uint8_t entry_size[NR_TYPES] = { 20, 8, 8, 8, 8 };
static uint8_t buf[MPTABLE_MAX_SIZE];
static const uint8_t *const table = buf + 16;

static uint32_t own_index(const void *ctx, unsigned int index)
{
	return index;
}

/* Ids that start at what @ctx points to */
static uint32_t from(const void *ctx, unsigned int index)
{
	const uint32_t *first = ctx;

	return *first + index;
}

static uint32_t descending(const void *ctx, unsigned int index)
{
	return 100 - index;
}

static struct mptable_params board(unsigned int nr_cpus)
{
	return (struct mptable_params){
		.nr_cpus = nr_cpus,
		.apic_id = own_index,
		.signature = 0x00800f12,
		.features = 0x178bfbff,
	};
}

static uint32_t get(const uint8_t *at, unsigned int width)
{
	uint32_t value = 0;

	memcpy(&value, at, width);
	return value;
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static ssize_t build(const struct mptable_params *params)
{
	ssize_t len;

	memset(buf, 0xcc, sizeof(buf));
	len = mptable__build(params, X86_MPTABLE, buf, sizeof(buf));
	assert_in_range(len, 16 + HEADER_SIZE, sizeof(buf));
	return len;
}

/* The @n-th entry of a type, or NULL */
static const uint8_t *entry(unsigned int type, unsigned int n)
{
	size_t length = get(table + 4, 2), at = HEADER_SIZE;

	while (at < length) {
		const uint8_t *here = table + at;

		assert_in_range(here[0], 0, NR_TYPES - 1);
		at += entry_size[here[0]];
		if (here[0] == type && !n--)
			return here;
	}
	assert_int_equal(at, length);
	return NULL;
}

static unsigned int count(unsigned int type)
{
	unsigned int n = 0;

	while (entry(type, n))
		n++;
	return n;
}

/* The interrupt entry of a bus's IRQ, or NULL; there must not be two. */
static const uint8_t *interrupt(uint8_t bus, uint8_t irq)
{
	const uint8_t *found = NULL, *here;

	for (unsigned int i = 0; (here = entry(INTERRUPT, i)); i++) {
		if (here[4] == bus && here[5] == irq) {
			assert_null(found);
			found = here;
		}
	}
	return found;
}

static void the_floating_pointer_leads_to_the_table(void **state)
{
	struct mptable_params params = board(1);

	build(&params);
	assert_memory_equal(buf, "_MP_", 4);
	assert_int_equal(get(buf + 4, 4), X86_MPTABLE + 16);
	assert_int_equal(buf[8], 1);
	assert_int_equal(buf[9], 4);
	assert_int_equal(sum(buf, 16), 0);
	/* a table, not a default configuration; virtual wire mode */
	assert_memory_equal(buf + 11, ((uint8_t[]){ 0, 0, 0, 0, 0 }), 5);
}

static void the_header_counts_entries_and_bytes(void **state)
{
	struct mptable_params params = board(3);
	ssize_t len = build(&params);
	unsigned int nr = 0;

	assert_memory_equal(table, "PCMP", 4);
	assert_int_equal(get(table + 4, 2), len - 16);
	assert_int_equal(table[6], 4);
	assert_int_equal(sum(table, (size_t)len - 16), 0);
	for (unsigned int type = 0; type < NR_TYPES; type++)
		nr += count(type);
	assert_int_equal(get(table + 34, 2), nr);
	assert_int_equal(get(table + 36, 4), X86_LAPIC_BASE);
	assert_int_equal(get(table + 40, 4), 0); /* no extended table */
	assert_int_equal(buf[len], 0xcc);
}

static void entries_are_sorted_by_type(void **state)
{
	struct mptable_params params = board(2);
	uint8_t last = 0;

	build(&params);
	for (size_t at = HEADER_SIZE; at < get(table + 4, 2); at += entry_size[last]) {
		assert_in_range(table[at], last, NR_TYPES - 1);
		last = table[at];
	}
	assert_int_equal(last, LOCAL_INTERRUPT);
}

static void the_first_cpu_boots_and_all_are_enabled(void **state)
{
	struct mptable_params params = board(2);

	build(&params);
	assert_int_equal(count(CPU), 2);
	assert_memory_equal(
		entry(CPU, 0),
		((uint8_t[]){ 0, 0, 0x14, 3, 0x12, 0x0f, 0x80, 0, 0xff, 0xfb, 0x8b, 0x17 }), 12);
	assert_memory_equal(
		entry(CPU, 1),
		((uint8_t[]){ 0, 1, 0x14, 1, 0x12, 0x0f, 0x80, 0, 0xff, 0xfb, 0x8b, 0x17 }), 12);
}

static void cpus_whose_id_needs_an_x2apic_are_left_out(void **state)
{
	struct mptable_params params = board(255);

	build(&params);
	assert_int_equal(count(CPU), 255);
	assert_int_equal(entry(CPU, 254)[1], 254);

	params = board(256);
	build(&params);
	assert_int_equal(count(CPU), 255);

	params = board(4096);
	build(&params);
	assert_int_equal(count(CPU), 255);
	assert_int_equal(count(LOCAL_INTERRUPT), 2);

	params = board(4);
	params.apic_id = from;
	params.ctx = &(uint32_t){ 253 };
	build(&params);
	assert_int_equal(count(CPU), 2);
	assert_int_equal(entry(CPU, 0)[3], 3);
}

static void there_is_a_pci_bus_an_isa_bus_and_an_io_apic(void **state)
{
	struct mptable_params params = board(1);

	build(&params);
	assert_int_equal(count(BUS), 2);
	assert_memory_equal(entry(BUS, 0), "\x01\x00PCI   ", 8);
	assert_memory_equal(entry(BUS, 1), "\x01\x01ISA   ", 8);
	assert_int_equal(count(IOAPIC), 1);
	assert_memory_equal(entry(IOAPIC, 0), ((uint8_t[]){ 2, 0, 0x11, 1, 0, 0, 0xc0, 0xfe }), 8);
}

static bool is_pci_line(unsigned int irq)
{
	return irq == 5 || irq == 10 || irq == 11 || irq == 14;
}

static void isa_interrupts_conform_and_the_timer_is_on_pin_2(void **state)
{
	struct mptable_params params = board(1);

	build(&params);
	for (uint8_t irq = 0; irq < 16; irq++) {
		const uint8_t pin = irq ? irq : 2;

		if (irq == 2 || is_pci_line(irq))
			assert_null(interrupt(1, irq));
		else
			assert_memory_equal(interrupt(1, irq),
					    ((uint8_t[]){ 3, 0, 0, 0, 1, irq, 0, pin }), 8);
	}
}

static void each_pin_of_each_slot_is_wired_to_the_next_line(void **state)
{
	static const uint8_t lines[] = X86_PCI_GSIS;
	struct mptable_params params = board(1);

	build(&params);
	for (unsigned int slot = 0; slot < 32; slot++) {
		for (unsigned int pin = 0; pin < 4; pin++) {
			uint8_t irq = (uint8_t)(slot << 2 | pin);
			uint8_t want[] = { 3, 0, 0x0f, 0, 0, irq, 0, lines[(slot + pin) % 4] };

			assert_non_null(interrupt(0, irq));
			assert_memory_equal(interrupt(0, irq), want, sizeof(want));
		}
	}
}

static void no_io_apic_pin_has_two_buses(void **state)
{
	struct mptable_params params = board(1);
	int bus_of[X86_IOAPIC_PINS];
	const uint8_t *here;

	memset(bus_of, -1, sizeof(bus_of));
	build(&params);
	for (unsigned int i = 0; (here = entry(INTERRUPT, i)); i++) {
		assert_in_range(here[7], 0, X86_IOAPIC_PINS - 1);
		if (bus_of[here[7]] >= 0)
			assert_int_equal(bus_of[here[7]], here[4]);
		bus_of[here[7]] = here[4];
	}
	assert_int_equal(bus_of[5], 0);
	assert_int_equal(bus_of[4], 1);
}

static void the_pics_reach_the_boot_cpu_and_nmi_all(void **state)
{
	struct mptable_params params = board(1);

	params.apic_id = from;
	params.ctx = &(uint32_t){ 8 };
	build(&params);
	assert_int_equal(count(LOCAL_INTERRUPT), 2);
	assert_memory_equal(entry(LOCAL_INTERRUPT, 0), ((uint8_t[]){ 4, 3, 0, 0, 1, 0, 8, 0 }), 8);
	assert_memory_equal(entry(LOCAL_INTERRUPT, 1), ((uint8_t[]){ 4, 1, 0, 0, 1, 0, 0xff, 1 }),
			    8);
}

static void too_small_a_buffer_is_refused_and_not_overrun(void **state)
{
	struct mptable_params params = board(2);
	size_t need = (size_t)build(&params);

	assert_int_equal(mptable__build(&params, X86_MPTABLE, buf, need), need);
	for (size_t room = 0; room < need; room++) {
		memset(buf, 0xcc, sizeof(buf));
		assert_int_equal(mptable__build(&params, X86_MPTABLE, buf, room), -ENOSPC);
		assert_int_equal(buf[room], 0xcc);
	}
}

static void an_address_no_kernel_looks_at_is_refused(void **state)
{
	struct mptable_params params = board(1);

	assert_int_equal(mptable__build(&params, X86_MPTABLE + 8, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(mptable__build(&params, X86_BIOS_END, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(mptable__build(&params, UINT64_MAX - 15, buf, sizeof(buf)), -EINVAL);
}

static void cpus_that_cannot_be_told_apart_are_refused(void **state)
{
	struct mptable_params params = board(0);

	assert_int_equal(mptable__build(&params, X86_MPTABLE, buf, sizeof(buf)), -EINVAL);
	params = board(2);
	params.apic_id = descending;
	assert_int_equal(mptable__build(&params, X86_MPTABLE, buf, sizeof(buf)), -EINVAL);
	params = board(1);
	params.apic_id = from;
	params.ctx = &(uint32_t){ 255 };
	assert_int_equal(mptable__build(&params, X86_MPTABLE, buf, sizeof(buf)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_floating_pointer_leads_to_the_table),
		cmocka_unit_test(the_header_counts_entries_and_bytes),
		cmocka_unit_test(entries_are_sorted_by_type),
		cmocka_unit_test(the_first_cpu_boots_and_all_are_enabled),
		cmocka_unit_test(cpus_whose_id_needs_an_x2apic_are_left_out),
		cmocka_unit_test(there_is_a_pci_bus_an_isa_bus_and_an_io_apic),
		cmocka_unit_test(isa_interrupts_conform_and_the_timer_is_on_pin_2),
		cmocka_unit_test(each_pin_of_each_slot_is_wired_to_the_next_line),
		cmocka_unit_test(no_io_apic_pin_has_two_buses),
		cmocka_unit_test(the_pics_reach_the_boot_cpu_and_nmi_all),
		cmocka_unit_test(too_small_a_buffer_is_refused_and_not_overrun),
		cmocka_unit_test(an_address_no_kernel_looks_at_is_refused),
		cmocka_unit_test(cpus_that_cannot_be_told_apart_are_refused),
	};

	return cmocka_run_group_tests_name("mptable", tests, NULL, NULL);
}
