// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal */
/* The memory map agrees with x86/layout.h, with the RAM that is allocated, and in all three forms.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kvm/log.h"
#include "x86/e820.h"
#include "x86/layout.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static char last_message[1024];

void __wrap_pr_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void __wrap_pr_fatal(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last_message, sizeof(last_message), fmt, args);
	va_end(args);
}

static const uint64_t sizes[] = { 2 * MIB,	  128 * MIB, 3 * GIB - 4096, 3 * GIB,
				  3 * GIB + 4096, 4 * GIB,   1024 * GIB };

static struct e820_map build(uint64_t ram_size, uint64_t acpi_size)
{
	struct e820_map map;

	assert_int_equal(e820__build(&map, ram_size, acpi_size), 0);
	return map;
}

static void entries_ascend_without_overlap(void **state)
{
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct e820_map map = build(sizes[s], 64 * 1024);

		assert_in_range(map.nr, 1, E820_MAX);
		for (unsigned int i = 0; i < map.nr; i++) {
			assert_true(map.entry[i].size > 0);
			if (i)
				assert_true(map.entry[i].base >=
					    map.entry[i - 1].base + map.entry[i - 1].size);
		}
	}
}

static void the_first_mebibyte_is_that_of_a_pc(void **state)
{
	struct e820_map map = build(128 * MIB, 0);

	assert_true(e820__is_ram(&map, 0, X86_EBDA));
	assert_false(e820__is_ram(&map, X86_EBDA, 1));
	assert_false(e820__is_ram(&map, X86_VGA_HOLE, 1));
	assert_false(e820__is_ram(&map, X86_RSDP, 1));
	assert_true(e820__is_ram(&map, X86_BIOS_END, 127 * MIB));
	assert_false(e820__is_ram(&map, X86_BIOS_END, 127 * MIB + 1));
	assert_false(e820__is_ram(&map, X86_BIOS_END, 0));
	assert_false(e820__is_ram(&map, X86_BIOS_END, UINT64_MAX));
}

static void ram_stops_at_the_pci_hole_and_goes_on_at_4_gib(void **state)
{
	struct e820_map map = build(X86_LOW_RAM_MAX, 0);
	struct memory_region region[X86_RAM_REGIONS];

	assert_int_equal(e820__low_ram_end(&map), X86_LOW_RAM_MAX);
	assert_false(e820__is_ram(&map, X86_HIGH_RAM_BASE, 1));
	assert_int_equal(e820__ram_regions(X86_LOW_RAM_MAX, region), 1);

	map = build(X86_LOW_RAM_MAX + 8192, 0);
	assert_int_equal(e820__low_ram_end(&map), X86_LOW_RAM_MAX);
	assert_false(e820__is_ram(&map, X86_LOW_RAM_MAX, 1));
	assert_true(e820__is_ram(&map, X86_HIGH_RAM_BASE, 8192));
	assert_false(e820__is_ram(&map, X86_HIGH_RAM_BASE, 8193));
	assert_int_equal(e820__ram_regions(X86_LOW_RAM_MAX + 8192, region), 2);
	assert_int_equal(region[1].gpa, X86_HIGH_RAM_BASE);
	assert_int_equal(region[1].size, 8192);
}

static void acpi_tables_are_at_the_end_of_low_ram(void **state)
{
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct e820_map map = build(sizes[s], 5000);
		uint64_t low = sizes[s] < X86_LOW_RAM_MAX ? sizes[s] : X86_LOW_RAM_MAX;
		bool found = false;

		assert_int_equal(map.acpi_size, 8192);
		assert_int_equal(map.acpi_base, low - 8192);
		assert_int_equal(e820__low_ram_end(&map), map.acpi_base);
		for (unsigned int i = 0; i < map.nr; i++)
			found |= map.entry[i].base == map.acpi_base && map.entry[i].size == 8192 &&
				 map.entry[i].type == E820_ACPI;
		assert_true(found);
	}
}

static void ecam_and_kvm_pages_are_reserved(void **state)
{
	struct e820_map map = build(128 * MIB, 0);
	unsigned int found = 0;

	for (unsigned int i = 0; i < map.nr; i++)
		found += map.entry[i].type == E820_RESERVED &&
			 ((map.entry[i].base == X86_ECAM_BASE &&
			   map.entry[i].size == X86_ECAM_SIZE) ||
			  (map.entry[i].base == X86_IDENTITY_MAP && map.entry[i].size == 0x4000));
	assert_int_equal(found, 2);
}

/* Free RAM and what is reserved in RAM is in what is allocated, and all of it is. */
static void what_is_ram_in_the_map_is_allocated(void **state)
{
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct e820_map map = build(sizes[s], 65536);
		struct memory_region region[X86_RAM_REGIONS];
		unsigned int nr = e820__ram_regions(sizes[s], region);
		uint64_t total = 0;

		for (unsigned int r = 0; r < nr; r++)
			total += region[r].size;
		assert_int_equal(total, sizes[s]);
		for (unsigned int i = 0; i < map.nr; i++) {
			const struct e820_entry *e = &map.entry[i];
			bool inside = false;

			for (unsigned int r = 0; r < nr; r++)
				inside |= e->base >= region[r].gpa &&
					  e->base + e->size <= region[r].gpa + region[r].size;
			if (e->type != E820_RESERVED || e->base < X86_BIOS_END)
				assert_true(inside);
			else
				assert_false(inside);
		}
	}
}

static void too_little_ram_is_an_error(void **state)
{
	struct e820_map map;

	assert_int_equal(e820__build(&map, 0, 0), -EINVAL);
	assert_int_equal(e820__build(&map, MIB, 0), -EINVAL);
	assert_int_equal(e820__build(&map, MIB + 4096, 0), 0);
	assert_int_equal(e820__build(&map, MIB + 4096, 1), -EINVAL);
	assert_int_equal(e820__build(&map, 2 * MIB, UINT64_MAX), -EINVAL);
	assert_int_equal(e820__build(&map, UINT64_MAX & ~0xfffull, 0), -EINVAL);
	assert_non_null(strstr(last_message, "--mem"));
}

static void the_highest_place_is_found(void **state)
{
	struct e820_map map = build(4 * GIB, 65536);
	uint64_t low_end = 3 * GIB - 65536, at;

	assert_true(e820__highest(&map, 5000, 4096, MIB, 4 * GIB, &at));
	assert_int_equal(at, low_end - 8192);
	assert_true(e820__highest(&map, 5000, 4096, MIB, 64 * MIB + 1, &at));
	assert_int_equal(at, 64 * MIB - 8192);
	assert_true(e820__highest(&map, 5000, 4096, MIB, UINT64_MAX, &at));
	assert_int_equal(at, 5 * GIB - 8192);
	/* All there is, and not a byte more. */
	assert_true(e820__highest(&map, GIB, 4096, 4 * GIB, UINT64_MAX, &at));
	assert_int_equal(at, 4 * GIB);
	assert_false(e820__highest(&map, GIB + 1, 4096, 4 * GIB, UINT64_MAX, &at));
	assert_true(e820__highest(&map, low_end - MIB, 4096, MIB, 4 * GIB, &at));
	assert_int_equal(at, MIB);
	assert_false(e820__highest(&map, low_end - MIB, 4096, MIB + 1, 4 * GIB, &at));
	/* Rounding down must not end below the floor. */
	assert_false(e820__highest(&map, 100, 4096, 64 * MIB + 1, 64 * MIB + 200, &at));
	assert_false(e820__highest(&map, UINT64_MAX, 4096, MIB, UINT64_MAX, &at));
	assert_false(e820__highest(&map, 100, 4096, 2 * MIB, MIB, &at));
}

static void the_three_forms_say_the_same(void **state)
{
	struct e820_map map = build(5 * GIB, 65536);
	struct e820_linux_entry linux_form[E820_MAX];
	struct e820_multiboot_entry multiboot[E820_MAX];
	struct e820_pvh_entry pvh[E820_MAX];

	assert_int_equal(sizeof(linux_form[0]), 20);
	assert_int_equal(sizeof(multiboot[0]), 24);
	assert_int_equal(sizeof(pvh[0]), 24);
	e820__to_linux(&map, linux_form);
	e820__to_multiboot(&map, multiboot);
	e820__to_pvh(&map, pvh);
	for (unsigned int i = 0; i < map.nr; i++) {
		const struct e820_entry *e = &map.entry[i];

		assert_true(linux_form[i].base == e->base && linux_form[i].size == e->size &&
			    linux_form[i].type == e->type);
		assert_true(multiboot[i].base == e->base && multiboot[i].size == e->size &&
			    multiboot[i].type == e->type && multiboot[i].entry_size == 20);
		assert_true(pvh[i].base == e->base && pvh[i].size == e->size &&
			    pvh[i].type == e->type && pvh[i].reserved == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_ascend_without_overlap),
		cmocka_unit_test(the_first_mebibyte_is_that_of_a_pc),
		cmocka_unit_test(ram_stops_at_the_pci_hole_and_goes_on_at_4_gib),
		cmocka_unit_test(acpi_tables_are_at_the_end_of_low_ram),
		cmocka_unit_test(ecam_and_kvm_pages_are_reserved),
		cmocka_unit_test(what_is_ram_in_the_map_is_allocated),
		cmocka_unit_test(too_little_ram_is_an_error),
		cmocka_unit_test(the_highest_place_is_found),
		cmocka_unit_test(the_three_forms_say_the_same),
	};

	return cmocka_run_group_tests_name("e820", tests, NULL, NULL);
}
