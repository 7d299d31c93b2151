/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory map, as every boot protocol has one, and the rules it must keep.
 */
#ifndef GUEST_MEMMAP_H
#define GUEST_MEMMAP_H

#include "guest.h"

#define MEMMAP_MAX 128
#define MIB	   0x100000ull

/**
 * struct memmap - ranges of memory in any order
 */
struct memmap {
	unsigned int nr;
	struct {
		uint64_t base, size;
		uint32_t type; /* 1 is RAM */
	} range[MEMMAP_MAX];
};

/** memmap_add - append a range; those beyond MEMMAP_MAX only count in @nr */
void memmap_add(struct memmap *map, uint64_t base, uint64_t size, uint32_t type);

/**
 * memmap_check - report whether it describes a PC with @mib MiB of RAM (0: not known)
 * @at: makes a physical address accessible, or returns NULL if this mode cannot
 */
void memmap_check(const struct memmap *map, unsigned int mib, void *(*at)(uint64_t address));

/** memmap_is_ram - is all of this RAM? */
bool memmap_is_ram(const struct memmap *map, uint64_t base, uint64_t size);

#endif
