// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a Multiboot 1 loader promises (Multiboot Specification 0.6.96, 3.2 and 3.3): machine state,
 * memory map, command line and modules.
 */
#include "boot.h"
#include "memmap.h"

#define CR0_PE	      0x1u
#define CR0_PG	      0x80000000u
#define EFLAGS_IF     0x200
#define EFLAGS_VM     0x20000
#define PAGE_MASK     0xfffu
#define NR_SEGMENTS   5
#define FOUR_GIB      0x100000000ull
#define BSS_MARK_SIZE 8192

extern const uint32_t segment_mark, seen[NR_SEGMENTS];
extern char image_end[];

static uint8_t bss[BSS_MARK_SIZE];

static const void *at(uint32_t address)
{
	return (const void *)(uintptr_t)address;
}

static void *below_4g(uint64_t address)
{
	return address < FOUR_GIB ? (void *)(uintptr_t)address : NULL;
}

static void check_machine_state(void)
{
	static const char *const names[NR_SEGMENTS] = {
		"DS is flat", "ES is flat", "FS is flat", "GS is flat", "SS is flat",
	};
	volatile uint32_t *odd = (volatile uint32_t *)0x200000, *even = odd + 0x40000;

	CHECK_EQ(boot.eax, MULTIBOOT_LOADED_MAGIC, "EAX has the magic number");
	CHECK(boot.cr0 & CR0_PE, "protected mode is on");
	CHECK(!(boot.cr0 & CR0_PG), "paging is off");
	CHECK(!(boot.eflags & EFLAGS_IF), "interrupts are off");
	CHECK(!(boot.eflags & EFLAGS_VM), "virtual 8086 mode is off");
	for (unsigned int i = 0; i < NR_SEGMENTS; i++)
		CHECK_EQ(seen[i], segment_mark, names[i]);
	(void)*(volatile uint32_t *)0xfffffffc; /* beyond a smaller limit this would fault */
	report(true, "DS reaches 4 GiB", "-");

	*even = 0;
	*odd = 0x0dd;
	*even = 0xe7e;
	CHECK_EQ(*odd, 0x0dd, "A20 is open");
	for (unsigned int i = 0; i < sizeof(bss); i++) {
		if (bss[i])
			bail("BSS is zero", "not at byte %u", i);
	}
	report(true, "BSS is zero", "-");
}

static void check_memory(const struct multiboot_info *info, unsigned int mib)
{
	static struct memmap map;
	uint32_t from = info->mmap_addr;

	CHECK(info->flags & MULTIBOOT_MEMORY, "flags say that there are memory sizes");
	report(info->mem_lower >= 512 && info->mem_lower <= 640, "mem_lower is at most 640 KiB",
	       "%u KiB", info->mem_lower);
	if (mib)
		report(info->mem_upper <= (mib - 1) * 1024 && info->mem_upper >= (mib - 2) * 1024,
		       "mem_upper is RAM less 1 MiB", "%u KiB", info->mem_upper);

	if (!(info->flags & MULTIBOOT_MMAP))
		bail("flags say that there is a memory map", "0x%x", info->flags);
	while (from < info->mmap_addr + info->mmap_length) {
		const struct multiboot_mmap *entry = at(from);

		if (entry->size < sizeof(*entry) - sizeof(entry->size))
			bail("entries of the memory map have at least 20 bytes", "%u", entry->size);
		memmap_add(&map, entry->base, entry->length, entry->type);
		from += entry->size + (uint32_t)sizeof(entry->size);
	}
	CHECK_EQ(from, info->mmap_addr + info->mmap_length, "entries fill mmap_length");
	memmap_check(&map, mib, below_4g);
	CHECK(memmap_is_ram(&map, (uintptr_t)info, sizeof(*info)), "the information is in RAM");
	CHECK(memmap_is_ram(&map, MIB, info->mem_upper * 1024ull), "mem_upper agrees with the map");
}

static void check_module(const struct multiboot_info *info, unsigned int size)
{
	const struct multiboot_module *module = at(info->mods_addr);
	const uint8_t *bytes;
	uint32_t wrong = 0;

	if (!size) {
		CHECK(!(info->flags & MULTIBOOT_MODULES) || !info->mods_count,
		      "there is no module that was not given");
		return;
	}
	if (!(info->flags & MULTIBOOT_MODULES) || info->mods_count != 1)
		bail("there is one module", "flags 0x%x, %u modules", info->flags,
		     info->mods_count);
	CHECK_EQ(module->end - module->start, size, "the module has the size of its file");
	CHECK(!(module->start & PAGE_MASK), "the module is page aligned, as the header asks");
	CHECK(module->start >= (uintptr_t)image_end || module->end <= MIB,
	      "the module is not on top of the image");
	bytes = at(module->start);
	while (wrong < size && bytes[wrong] == module_byte(wrong))
		wrong++;
	CHECK_EQ(wrong, size, "the module is the file, byte by byte");
}

static void check_cmdline(const struct multiboot_info *info)
{
	const char *words = at(info->cmdline);

	if (!(info->flags & MULTIBOOT_CMDLINE))
		bail("flags say that there is a command line", "0x%x", info->flags);
	put("# command line: %s\n", words);
	CHECK(find_word(words, "last-word"), "the command line arrives to its last word");
}

void guest_main(void)
{
	const struct multiboot_info *info = at(boot.ebx);

	check_machine_state();
	check_cmdline(info);
	check_memory(info, number(find_word(at(info->cmdline), "mem="), 0));
	check_module(info, number(find_word(at(info->cmdline), "module="), 0));
}
