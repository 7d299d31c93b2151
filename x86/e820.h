/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The board's memory map: where RAM is, what of it is taken, and how each boot protocol wants to be
 * told.
 *
 * x86/machine.c builds it once from the size of RAM; boot loaders place things by it and pass it
 * on.
 */
#ifndef X86_E820_H
#define X86_E820_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/memory.h"

#define E820_MAX	16
#define X86_RAM_REGIONS 2

/**
 * enum e820_type - ACPI 6.4, table 15-6; PVH and Multiboot use the same numbers
 */
enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

struct e820_entry {
	uint64_t base, size;
	enum e820_type type;
};

/**
 * struct e820_map - ascending, without overlaps; what is not in it is not there or a device's
 * @nr:        entries in use
 * @entry:     the entries
 * @acpi_base: where the ACPI tables go: the end of RAM below 4 GiB, page aligned
 * @acpi_size: bytes there, whole pages
 */
struct e820_map {
	unsigned int nr;
	struct e820_entry entry[E820_MAX];
	uint64_t acpi_base, acpi_size;
};

/** As in Linux's zero page (Documentation/arch/x86/zero-page.rst) */
struct e820_linux_entry {
	uint64_t base, size;
	uint32_t type;
} __attribute__((packed));

/** Multiboot Specification 0.6.96, 3.3: @entry_size counts what follows it */
struct e820_multiboot_entry {
	uint32_t entry_size;
	uint64_t base, size;
	uint32_t type;
} __attribute__((packed));

/** struct hvm_memmap_table_entry of the PVH start info, version 1 */
struct e820_pvh_entry {
	uint64_t base, size;
	uint32_t type, reserved;
};

/**
 * e820__build - the map of a board
 * @ram_size:  bytes of RAM as asked for, whole pages. RAM is addressed from 0 to X86_LOW_RAM_MAX at the
 *             most and goes on at 4 GiB. It is also where a PC has video memory and ROMs: the map does not
 *             offer it there, but a kernel that searches these areas does not leave the guest for it.
 * @acpi_size: bytes wanted for ACPI tables, 0 for none
 *
 * Return: 0; -EINVAL if there would be no RAM left above 1 MiB, printed.
 */
int e820__build(struct e820_map *map, uint64_t ram_size, uint64_t acpi_size);

/**
 * e820__ram_regions - what guest_memory__alloc() is to allocate for @ram_size bytes
 * @regions: receives up to X86_RAM_REGIONS pieces, ascending; hva is NULL
 *
 * Return: how many.
 */
unsigned int e820__ram_regions(uint64_t ram_size, struct memory_region *regions);

/**
 * e820__is_ram - are all @size bytes from @base free RAM of one entry? (0 bytes never are)
 */
bool e820__is_ram(const struct e820_map *map, uint64_t base, uint64_t size);

/**
 * e820__highest - the highest place for something
 * @size:  bytes, not 0
 * @align: a power of two
 * @floor: first address that may be used
 * @end:   address behind the last that may be used
 * @at:    receives the place
 *
 * Return: whether there is one: free RAM of a single entry.
 */
bool e820__highest(const struct e820_map *map, uint64_t size, uint64_t align, uint64_t floor,
		   uint64_t end, uint64_t *at);

/**
 * e820__low_ram_end - the address behind the last free RAM below 4 GiB
 */
uint64_t e820__low_ram_end(const struct e820_map *map);

/**
 * e820__to_linux, e820__to_multiboot, e820__to_pvh - the map in a boot protocol's form
 * @out: receives @map->nr entries
 */
void e820__to_linux(const struct e820_map *map, struct e820_linux_entry *out);
void e820__to_multiboot(const struct e820_map *map, struct e820_multiboot_entry *out);
void e820__to_pvh(const struct e820_map *map, struct e820_pvh_entry *out);

#endif
