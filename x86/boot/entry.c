// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The processor state that kernels are entered in, as far as it lies in memory: descriptors, page
 * tables.
 *
 * Selectors are those of Linux's boot protocol (Documentation/arch/x86/boot.rst: __BOOT_CS 0x10,
 * __BOOT_DS 0x18), which suit Multiboot and PVH, who want flat segments and leave the selectors to
 * the loader. Only 2 MiB pages are used, because not every processor model has greater ones.
 */
#include <errno.h>
#include <string.h>

#include "x86/boot/internal.h"
#include "x86/layout.h"

#define BOOT_CS 0x10
#define BOOT_DS 0x18

/* Base 0, limit 4 GiB, present, accessed. */
#define GDT_CODE_32 0x00cf9b000000ffffull
#define GDT_CODE_64 0x00af9b000000ffffull
#define GDT_DATA    0x00cf93000000ffffull

#define PTE_PRESENT 0x001ull
#define PTE_WRITE   0x002ull
#define PTE_LARGE   0x080ull
#define PT_ENTRIES  512u
#define NR_PD	    4u /* GiB mapped */
#define LARGE_PAGE  0x200000ull

/* As they lie in memory from X86_BOOT_PGTABLE. */
struct page_tables {
	uint64_t pml4[PT_ENTRIES];
	uint64_t pdpt[PT_ENTRIES];
	uint64_t pd[NR_PD][PT_ENTRIES];
};

_Static_assert(X86_BOOT_PGTABLE + sizeof(struct page_tables) <= X86_BOOT_INFO, "x86/layout.h");

static int write_gdt(const struct guest_memory *ram, uint64_t code)
{
	const uint64_t gdt[] = { 0, 0, code, GDT_DATA };

	_Static_assert(X86_BOOT_GDT + sizeof(gdt) <= X86_BOOT_IDT, "x86/layout.h");
	return guest_memory__write(ram, X86_BOOT_GDT, gdt, sizeof(gdt));
}

static int write_page_tables(const struct guest_memory *ram)
{
	struct page_tables *tables = guest_memory__at(ram, X86_BOOT_PGTABLE, sizeof(*tables));
	const uint64_t pdpt = X86_BOOT_PGTABLE + offsetof(struct page_tables, pdpt);
	const uint64_t pd = X86_BOOT_PGTABLE + offsetof(struct page_tables, pd);

	if (!tables)
		return -EFAULT;
	memset(tables, 0, sizeof(*tables));
	tables->pml4[0] = pdpt | PTE_PRESENT | PTE_WRITE;
	for (unsigned int i = 0; i < NR_PD; i++)
		tables->pdpt[i] = (pd + i * X86_PAGE_SIZE) | PTE_PRESENT | PTE_WRITE;
	for (unsigned int i = 0; i < NR_PD * PT_ENTRIES; i++)
		tables->pd[i / PT_ENTRIES][i % PT_ENTRIES] =
			i * LARGE_PAGE | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	guest_memory__dirty(ram, X86_BOOT_PGTABLE, sizeof(*tables));
	return 0;
}

int x86_boot__enter(const struct x86_boot *boot, const struct guest_memory *ram,
		    struct x86_boot_entry *entry)
{
	int ret;

	*entry = (struct x86_boot_entry){
		.mode = boot->entry_mode,
		.rip = boot->entry_gpa,
		.rsp = X86_BOOT_STACK,
	};
	if (entry->mode == X86_ENTRY_REAL16)
		return 0;

	entry->cs = BOOT_CS;
	entry->ds = BOOT_DS;
	entry->gdt_base = X86_BOOT_GDT;
	entry->gdt_limit = X86_BOOT_IDT - X86_BOOT_GDT - 1;
	if (entry->mode == X86_ENTRY_PROT32)
		return write_gdt(ram, GDT_CODE_32);

	entry->cr3 = X86_BOOT_PGTABLE;
	ret = write_gdt(ram, GDT_CODE_64);
	return ret ? ret : write_page_tables(ram);
}
