// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules for memory maps.
 */
#include "memmap.h"

#define RAM	 1
#define VGA_HOLE 0xa0000ull
#define HOLE_4G	 0xfec00000ull /* I/O APIC, local APIC, firmware: never RAM */
#define FOUR_GIB 0x100000000ull
#define TABLES	 MIB /* as much as a board may keep for itself */

extern char image_end[];

void memmap_add(struct memmap *map, uint64_t base, uint64_t size, uint32_t type)
{
	if (map->nr < MEMMAP_MAX) {
		map->range[map->nr].base = base;
		map->range[map->nr].size = size;
		map->range[map->nr].type = type;
	}
	map->nr++;
}

static bool has_ram_in(const struct memmap *map, uint64_t from, uint64_t to)
{
	for (unsigned int i = 0; i < map->nr; i++) {
		if (map->range[i].type == RAM && map->range[i].base < to &&
		    map->range[i].base + map->range[i].size > from)
			return true;
	}
	return false;
}

bool memmap_is_ram(const struct memmap *map, uint64_t base, uint64_t size)
{
	for (unsigned int i = 0; i < map->nr; i++) {
		if (map->range[i].type == RAM && map->range[i].base <= base &&
		    base - map->range[i].base + size <= map->range[i].size)
			return true;
	}
	return false;
}

static bool overlapping(const struct memmap *map)
{
	for (unsigned int i = 0; i < map->nr; i++) {
		for (unsigned int j = i + 1; j < map->nr; j++) {
			if (map->range[i].base < map->range[j].base + map->range[j].size &&
			    map->range[j].base < map->range[i].base + map->range[i].size)
				return true;
		}
	}
	return false;
}

static bool remembers(volatile uint32_t *word)
{
	uint32_t before = *word;
	bool kept;

	*word = ~before;
	kept = *word == ~before;
	*word = before;
	return kept;
}

static void check_ends(const struct memmap *map, void *(*at)(uint64_t address))
{
	bool good = true;

	for (unsigned int i = 0; i < map->nr; i++) {
		uint64_t last = map->range[i].base + map->range[i].size - 4;
		volatile uint32_t *word;

		if (map->range[i].type != RAM)
			continue;
		word = at(last & ~3ull);
		if (word && !remembers(word)) {
			put("# no memory at 0x%llx\n", (unsigned long long)last);
			good = false;
		}
	}
	report(good, "what the map calls RAM remembers, up to its last word", "it does not");
}

void memmap_check(const struct memmap *map, unsigned int mib, void *(*at)(uint64_t address))
{
	uint64_t total = 0;

	if (!map->nr || map->nr > MEMMAP_MAX)
		bail("there is a memory map", "it has %u entries", map->nr);
	for (unsigned int i = 0; i < map->nr; i++) {
		put("# memory 0x%llx +0x%llx type %u\n", (unsigned long long)map->range[i].base,
		    (unsigned long long)map->range[i].size, map->range[i].type);
		if (map->range[i].type == RAM)
			total += map->range[i].size;
	}
	CHECK(!overlapping(map), "no two ranges of the memory map overlap");
	CHECK(!has_ram_in(map, VGA_HOLE, MIB), "the map has no RAM in the hole below 1 MiB");
	CHECK(!has_ram_in(map, HOLE_4G, FOUR_GIB), "the map has no RAM in the hole below 4 GiB");
	CHECK(memmap_is_ram(map, MIB, (uintptr_t)image_end - MIB), "the map has RAM where we are");
	if (mib)
		report(total <= mib * MIB && total + TABLES >= mib * MIB,
		       "the map has as much RAM as was asked for", "0x%llx bytes",
		       (unsigned long long)total);
	check_ends(map, at);
}
