// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The board's memory map, as x86/layout.h draws it.
 */
#include "x86/e820.h"

#include <errno.h>

#include "kvm/log.h"
#include "x86/layout.h"

#define PAGE_SIZE    4096ull
#define FOUR_GIB     0x100000000ull
#define KVM_PAGES    0x4000ull /* the identity map's page and three of the TSS */
#define RAM_SIZE_MAX (1ull << 52)

static void add(struct e820_map *map, uint64_t base, uint64_t end, enum e820_type type)
{
	if (base < end)
		map->entry[map->nr++] = (struct e820_entry){ base, end - base, type };
}

static uint64_t low_end(uint64_t ram_size)
{
	return ram_size < X86_LOW_RAM_MAX ? ram_size : X86_LOW_RAM_MAX;
}

static uint64_t high_end(uint64_t ram_size)
{
	return X86_HIGH_RAM_BASE + ram_size - low_end(ram_size);
}

int e820__build(struct e820_map *map, uint64_t ram_size, uint64_t acpi_size)
{
	uint64_t low = low_end(ram_size);
	uint64_t acpi = (acpi_size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);

	if (ram_size > RAM_SIZE_MAX || acpi < acpi_size || low <= X86_BIOS_END ||
	    low - X86_BIOS_END <= acpi) {
		pr_fatal("--mem: %llu KiB cannot be the RAM of a PC: it needs more than 1024, and "
			 "%llu for ACPI tables",
			 (unsigned long long)(ram_size >> 10), (unsigned long long)(acpi >> 10));
		return -EINVAL;
	}

	*map = (struct e820_map){ .acpi_base = low - acpi, .acpi_size = acpi };
	add(map, 0, X86_EBDA, E820_RAM);
	add(map, X86_EBDA, X86_VGA_HOLE, E820_RESERVED);
	add(map, X86_BIOS_AREA, X86_BIOS_END, E820_RESERVED);
	add(map, X86_BIOS_END, low - acpi, E820_RAM);
	add(map, low - acpi, low, E820_ACPI);
	add(map, X86_ECAM_BASE, X86_ECAM_BASE + X86_ECAM_SIZE, E820_RESERVED);
	add(map, X86_IDENTITY_MAP, X86_IDENTITY_MAP + KVM_PAGES, E820_RESERVED);
	add(map, X86_HIGH_RAM_BASE, high_end(ram_size), E820_RAM);
	return 0;
}

static unsigned int add_region(struct memory_region *regions, unsigned int nr, uint64_t gpa,
			       uint64_t end)
{
	if (gpa >= end)
		return nr;
	regions[nr] = (struct memory_region){ .gpa = gpa, .size = end - gpa };
	return nr + 1;
}

unsigned int e820__ram_regions(uint64_t ram_size, struct memory_region *regions)
{
	unsigned int nr = 0;

	nr = add_region(regions, nr, 0, low_end(ram_size));
	return add_region(regions, nr, X86_HIGH_RAM_BASE, high_end(ram_size));
}

bool e820__is_ram(const struct e820_map *map, uint64_t base, uint64_t size)
{
	if (!size)
		return false;
	for (unsigned int i = 0; i < map->nr; i++) {
		const struct e820_entry *e = &map->entry[i];

		if (e->type == E820_RAM && base >= e->base && base - e->base < e->size)
			return size <= e->size - (base - e->base);
	}
	return false;
}

bool e820__highest(const struct e820_map *map, uint64_t size, uint64_t align, uint64_t floor,
		   uint64_t end, uint64_t *at)
{
	for (unsigned int i = map->nr; i-- > 0;) {
		const struct e820_entry *e = &map->entry[i];
		uint64_t low = e->base > floor ? e->base : floor;
		uint64_t high = e->base + e->size < end ? e->base + e->size : end;

		if (e->type != E820_RAM || high < low || high - low < size)
			continue;
		*at = (high - size) & ~(align - 1);
		if (*at >= low)
			return true;
	}
	return false;
}

uint64_t e820__low_ram_end(const struct e820_map *map)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < map->nr; i++) {
		const struct e820_entry *e = &map->entry[i];

		if (e->type == E820_RAM && e->base < FOUR_GIB)
			end = e->base + e->size;
	}
	return end;
}

void e820__to_linux(const struct e820_map *map, struct e820_linux_entry *out)
{
	for (unsigned int i = 0; i < map->nr; i++) {
		const struct e820_entry *e = &map->entry[i];

		out[i] = (struct e820_linux_entry){ e->base, e->size, e->type };
	}
}

void e820__to_multiboot(const struct e820_map *map, struct e820_multiboot_entry *out)
{
	for (unsigned int i = 0; i < map->nr; i++) {
		const struct e820_entry *e = &map->entry[i];

		out[i] = (struct e820_multiboot_entry){
			.entry_size = sizeof(out[i]) - sizeof(out[i].entry_size),
			.base = e->base,
			.size = e->size,
			.type = e->type,
		};
	}
}

void e820__to_pvh(const struct e820_map *map, struct e820_pvh_entry *out)
{
	for (unsigned int i = 0; i < map->nr; i++) {
		const struct e820_entry *e = &map->entry[i];

		out[i] = (struct e820_pvh_entry){ e->base, e->size, e->type, 0 };
	}
}
