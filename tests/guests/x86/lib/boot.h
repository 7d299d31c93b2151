/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the machine was entered and what the loader left us: Multiboot 1, PVH or the Linux boot
 * protocol.
 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include "guest.h"

#define MULTIBOOT_LOADED_MAGIC 0x2badb002
#define PVH_MAGIC	       0x336ec578

enum boot_protocol { BOOT_MULTIBOOT, BOOT_PVH, BOOT_LINUX };

/**
 * struct boot_state - registers as start-up code found them
 */
struct boot_state {
	uint32_t protocol;
	uint32_t eax, ebx, eflags;
	uint64_t info; /* ebx, or Linux's rsi */
	uint64_t cr0, cr3, cr4, efer, rflags;
	uint16_t cs, ds, es, fs, gs, ss;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr;
};

extern struct boot_state boot;

/** Multiboot Specification 0.6.96, 3.3 */
struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper; /* KiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
};

#define MULTIBOOT_MEMORY  (1u << 0)
#define MULTIBOOT_CMDLINE (1u << 2)
#define MULTIBOOT_MODULES (1u << 3)
#define MULTIBOOT_MMAP	  (1u << 6)

struct multiboot_module {
	uint32_t start, end, string, reserved;
};

struct multiboot_mmap {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

#define MEMORY_RAM 1

/** xen/include/public/arch-x86/hvm/start_info.h, version 1 */
struct pvh_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct pvh_module {
	uint64_t base, size, cmdline, reserved;
};

struct pvh_memmap {
	uint64_t base, size;
	uint32_t type, reserved;
};

/** Linux Documentation/arch/x86/zero-page.rst: e820 entries */
struct e820_entry {
	uint64_t base, size;
	uint32_t type;
} __attribute__((packed));

#define ZERO_PAGE_RSDP		    0x070
#define ZERO_PAGE_EXT_RAMDISK_IMAGE 0x0c0
#define ZERO_PAGE_EXT_RAMDISK_SIZE  0x0c4
#define ZERO_PAGE_EXT_CMDLINE	    0x0c8
#define ZERO_PAGE_E820_ENTRIES	    0x1e8
#define ZERO_PAGE_BOOT_FLAG	    0x1fe
#define ZERO_PAGE_HEADER	    0x202
#define ZERO_PAGE_VERSION	    0x206
#define ZERO_PAGE_LOADER	    0x210
#define ZERO_PAGE_RAMDISK_IMAGE	    0x218
#define ZERO_PAGE_RAMDISK_SIZE	    0x21c
#define ZERO_PAGE_CMDLINE	    0x228
#define ZERO_PAGE_E820_TABLE	    0x2d0
#define E820_MAX		    128

/** boot_cmdline - what was given as parameters; "" if nothing was */
const char *boot_cmdline(void);

/** boot_rsdp - where the loader says that ACPI's RSDP is; 0 if it does not say */
uint64_t boot_rsdp(void);

/** boot_option - number() of a parameter such as "cpus=" */
unsigned int boot_option(const char *word, unsigned int otherwise);

#endif
