/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine without a machine for the tests of x86/boot: configuration, memory map, RAM, and what
 * was loaded.
 */
#ifndef TESTS_UNIT_BOOT_RIG_H
#define TESTS_UNIT_BOOT_RIG_H

#include "boot-images.h"

#include <asm/bootparam.h>

#include "kvm/config.h"
#include "kvm/memory.h"
#include "x86/boot/boot.h"
#include "x86/boot/internal.h"
#include "x86/layout.h"

#define MIB	   (1ull << 20)
#define GIB	   (1ull << 30)
#define TEST_RSDP  0xe0000ull
#define TEST_ACPI  0x10000ull
#define TEST_PARAM "console=ttyS0 quiet"

/**
 * struct rig - fill in @cfg and @cmdline as wanted between rig__init() and rig__open()
 */
struct rig {
	struct vm_config cfg;
	struct e820_map map;
	struct guest_memory ram;
	struct temp_file kernel, initrd;
	const char *cmdline;
	struct x86_boot *boot;
	struct x86_boot_entry entry;
};

static inline void rig__init(struct rig *rig, uint64_t ram_size)
{
	forget_messages();
	*rig = (struct rig){
		.cfg.ram_size = ram_size,
		.kernel.fd = -1,
		.initrd.fd = -1,
		.cmdline = TEST_PARAM,
	};
	assert_int_equal(e820__build(&rig->map, ram_size, TEST_ACPI), 0);
	guest_memory__init(&rig->ram);
}

static inline void rig__set_initrd(struct rig *rig, const void *data, size_t size)
{
	rig->initrd = temp_file__new(data, size);
	rig->cfg.initrd = rig->initrd.path;
}

/* An initrd of that size, without bytes. */
static inline void rig__set_hollow_initrd(struct rig *rig, uint64_t size)
{
	rig__set_initrd(rig, "", 0);
	assert_false(ftruncate(rig->initrd.fd, (off_t)size));
}

static inline int rig__open(struct rig *rig, struct bytes kernel)
{
	if (!rig->cfg.kernel) {
		rig->kernel = temp_file__new(kernel.data, kernel.size);
		rig->cfg.kernel = rig->kernel.path;
	}
	return x86_boot__open(&rig->boot, &rig->cfg, &rig->map, rig->cmdline);
}

static inline int rig__load(struct rig *rig)
{
	if (!rig->ram.nr) {
		struct memory_region region[X86_RAM_REGIONS];
		unsigned int nr = e820__ram_regions(rig->cfg.ram_size, region);

		assert_int_equal(guest_memory__alloc(&rig->ram, region, nr,
						     &(struct memory_backing){ .align = 2 * MIB }),
				 0);
	}
	return x86_boot__load(rig->boot, &rig->ram, TEST_RSDP, &rig->entry);
}

static inline void rig__free(struct rig *rig)
{
	x86_boot__close(rig->boot);
	guest_memory__free(&rig->ram);
	if (rig->kernel.fd >= 0)
		temp_file__free(&rig->kernel);
	if (rig->initrd.fd >= 0)
		temp_file__free(&rig->initrd);
}

/* Open and load; both must succeed without a word. */
static inline void rig__boot(struct rig *rig, struct bytes kernel)
{
	int ret = rig__open(rig, kernel);

	if (ret)
		fail_msg("open: %d, %s", ret, last_message);
	ret = rig__load(rig);
	if (ret)
		fail_msg("load: %d, %s", ret, last_message);
	assert_int_equal(nr_fatal, 0);
}

/* Opening must fail, with that error, one message, and these words in it. */
static inline void rig__refused(struct rig *rig, struct bytes kernel, int err, const char *words)
{
	int ret = rig__open(rig, kernel);

	if (ret != err)
		fail_msg("%d and not %d: %s", ret, err, last_message);
	assert_null(rig->boot);
	assert_int_equal(nr_fatal, 1);
	assert_said(words);
}

static inline const uint8_t *ram_at(const struct rig *rig, uint64_t gpa, uint64_t len)
{
	const uint8_t *at = guest_memory__at(&rig->ram, gpa, len);

	assert_non_null(at);
	return at;
}

static inline void assert_zero(const struct rig *rig, uint64_t gpa, uint64_t len)
{
	const uint8_t *at;

	if (!len)
		return;
	at = ram_at(rig, gpa, len);
	if (at[0] || memcmp(at, at + 1, len - 1) != 0)
		fail_msg("%#llx to %#llx is not all zero", (unsigned long long)gpa,
			 (unsigned long long)(gpa + len));
}

/* Every segment of @spec is in its place, and its .bss is clear. */
static inline void assert_elf_loaded(const struct rig *rig, const struct elf_spec *spec)
{
	for (unsigned int i = 0; i < spec->nr; i++) {
		uint64_t offset = spec->segment[i].offset, gpa = spec->segment[i].paddr;
		uint64_t filesz = spec->segment[i].filesz;

		if (spec->segment[i].type != PT_LOAD || spec->segment[i].content)
			continue;
		for (uint64_t j = 0; j < filesz; j++)
			assert_int_equal(*ram_at(rig, gpa + j, 1), elf_byte(offset + j));
		assert_zero(rig, gpa + filesz, spec->segment[i].memsz - filesz);
	}
}

/* Around a kernel at KERNEL_GPA, from 1 MiB on, there is nothing but the segments. */
static inline void assert_nothing_else(const struct rig *rig, const struct elf_spec *spec)
{
	uint64_t at = X86_BIOS_END;

	for (unsigned int i = 0; i < spec->nr; i++) {
		if (spec->segment[i].type != PT_LOAD)
			continue;
		assert_zero(rig, at, spec->segment[i].paddr - at);
		at = spec->segment[i].paddr + spec->segment[i].memsz;
	}
	assert_zero(rig, at, 4 * MIB);
}

static inline void assert_gdt(const struct rig *rig, uint64_t code)
{
	const uint64_t gdt[] = { 0, 0, code, 0x00cf93000000ffffull };

	assert_int_equal(rig->entry.gdt_base, X86_BOOT_GDT);
	assert_int_equal(rig->entry.gdt_limit, sizeof(gdt) - 1);
	assert_memory_equal(ram_at(rig, X86_BOOT_GDT, sizeof(gdt)), gdt, sizeof(gdt));
	assert_int_equal(rig->entry.cs, 0x10);
	assert_int_equal(rig->entry.ds, 0x18);
}

static inline void assert_prot32(const struct rig *rig)
{
	assert_int_equal(rig->entry.mode, X86_ENTRY_PROT32);
	assert_gdt(rig, 0x00cf9b000000ffffull);
	assert_int_equal(rig->entry.cr3, 0);
}

/* What the processor would make of @gva, by the page tables that were written. */
static inline uint64_t translate(const struct rig *rig, uint64_t gva)
{
	uint64_t table = rig->entry.cr3;

	for (unsigned int shift = 39;; shift -= 9) {
		uint64_t entry =
			*(const uint64_t *)ram_at(rig, table + (gva >> shift & 511) * 8, 8);

		assert_int_equal(entry & 3, 3);
		if (entry & 0x80)
			return (entry & ~((1ull << shift) - 1)) | (gva & ((1ull << shift) - 1));
		table = entry & ~0xfffull;
	}
}

static inline void assert_long64(const struct rig *rig)
{
	static const uint64_t probes[] = { 0,	      0x7123,	  0x1fffff,   0x200000,
					   0x1000000, 0x3fffffff, 0x40000000, 0xffffffff };

	assert_int_equal(rig->entry.mode, X86_ENTRY_LONG64);
	assert_gdt(rig, 0x00af9b000000ffffull);
	assert_int_equal(rig->entry.cr3, X86_BOOT_PGTABLE);
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		assert_int_equal(translate(rig, probes[i]), probes[i]);
}

static inline const struct boot_params *zero_page(const struct rig *rig)
{
	assert_int_equal(rig->entry.rsi, X86_ZERO_PAGE);
	return (const struct boot_params *)ram_at(rig, X86_ZERO_PAGE, 4096);
}

static inline void assert_cmdline(const struct rig *rig, const char *cmdline)
{
	assert_string_equal((const char *)ram_at(rig, X86_CMDLINE, X86_CMDLINE_MAX), cmdline);
}

/* What Linux is told at each of its own entries. */
static inline void assert_zero_page(const struct rig *rig)
{
	const struct boot_params *params = zero_page(rig);

	assert_int_equal(params->hdr.type_of_loader, 0xff);
	assert_int_equal(params->hdr.loadflags & LOADED_HIGH, LOADED_HIGH);
	assert_int_equal(params->hdr.boot_flag, 0xaa55);
	assert_int_equal(params->hdr.header, 0x53726448);
	assert_int_equal(params->hdr.cmd_line_ptr, X86_CMDLINE);
	assert_int_equal(params->ext_cmd_line_ptr, 0);
	assert_int_equal(params->sentinel, 0);
	assert_int_equal(params->e820_entries, rig->map.nr);
	for (unsigned int i = 0; i < rig->map.nr; i++) {
		assert_int_equal(params->e820_table[i].addr, rig->map.entry[i].base);
		assert_int_equal(params->e820_table[i].size, rig->map.entry[i].size);
		assert_int_equal(params->e820_table[i].type, rig->map.entry[i].type);
	}
	assert_cmdline(rig, rig->cmdline);
}

#define MAX_PAGES 32768

static uint8_t dirty_pages[MAX_PAGES];

static inline void note_dirty(void *ctx, uint64_t gpa, uint64_t len)
{
	for (uint64_t page = gpa / 4096; page <= (gpa + len - 1) / 4096; page++)
		dirty_pages[page] = 1;
}

/* Boot, and find no page of RAM that was written without telling the dirty hook. */
static inline void assert_all_writes_reported(struct rig *rig, struct bytes kernel)
{
	memset(dirty_pages, 0, sizeof(dirty_pages));
	assert_true(rig->cfg.ram_size <= MAX_PAGES * 4096ull);
	assert_int_equal(rig__open(rig, kernel), 0);
	guest_memory__set_dirty_hook(&rig->ram, note_dirty, NULL);
	assert_int_equal(rig__load(rig), 0);
	for (uint64_t gpa = 0; gpa < rig->cfg.ram_size; gpa += 4096) {
		const uint8_t *page = guest_memory__at(&rig->ram, gpa, 4096);

		if (page && (page[0] || memcmp(page, page + 1, 4095) != 0) &&
		    !dirty_pages[gpa / 4096])
			fail_msg("page at %#llx", (unsigned long long)gpa);
	}
}

#endif
