// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst, zero-page.rst): state of the
 * processor, zero page, command line, initrd and memory map.
 */
#include "boot.h"
#include "cpu.h"
#include "memmap.h"

#define CR0_PE_PG    0x80000001ull
#define CR4_PAE	     0x20ull
#define EFER_LME_LMA 0x500ull
#define BOOT_CODE    0x10
#define BOOT_DATA    0x18
#define HEADER_MAGIC 0x53726448 /* "HdrS" */
#define HIGH_LOAD    0x2000000
#define HIGH_MARK    "linked high, loaded low"

/* Descriptor bits: present, code, long; present, data, writable. */
#define DESCRIPTOR_CODE64_MASK 0x0060980000000000ull
#define DESCRIPTOR_CODE64      0x0020980000000000ull
#define DESCRIPTOR_DATA_MASK   0x00009a0000000000ull
#define DESCRIPTOR_DATA	       0x0000920000000000ull

static const char high_mark[] __attribute__((section(".high"), used)) = HIGH_MARK;

static uint64_t descriptors[4];
static bool mapped;

void linux64_entered(void);

/* Runs on the loader's page tables: what it touches must be mapped one to one. */
void linux64_entered(void)
{
	volatile uint8_t sum = 0;

	if (boot.gdtr.limit >= sizeof(descriptors) - 1)
		memcpy(descriptors, (const void *)boot.gdtr.base, sizeof(descriptors));
	for (const char *c = boot_cmdline(); *c; c++)
		sum = (uint8_t)(sum + *c);
	for (unsigned int i = 0; i < 4096; i += 512)
		sum = (uint8_t)(sum + mmio_read8(boot.info + i));
	mapped = true;
}

static uint32_t field32(unsigned int offset)
{
	return mmio_read32(boot.info + offset);
}

static void check_machine_state(void)
{
	CHECK_EQ(boot.cr0 & CR0_PE_PG, CR0_PE_PG, "protected mode with paging");
	CHECK_EQ(boot.cr4 & CR4_PAE, CR4_PAE, "CR4 has PAE");
	CHECK_EQ(boot.efer & EFER_LME_LMA, EFER_LME_LMA, "long mode is active");
	CHECK(!(boot.rflags & RFLAGS_IF), "interrupts are off");
	CHECK_EQ(boot.cs, BOOT_CODE, "CS is __BOOT_CS");
	CHECK(boot.ds == BOOT_DATA && boot.es == BOOT_DATA && boot.ss == BOOT_DATA,
	      "DS, ES and SS are __BOOT_DS");
	CHECK_EQ(descriptors[BOOT_CODE / 8] & DESCRIPTOR_CODE64_MASK, DESCRIPTOR_CODE64,
		 "the GDT has 64-bit code at __BOOT_CS");
	CHECK_EQ(descriptors[BOOT_DATA / 8] & DESCRIPTOR_DATA_MASK, DESCRIPTOR_DATA,
		 "the GDT has writable data at __BOOT_DS");
	CHECK(mapped, "code, zero page, command line and GDT are mapped one to one");
}

static void check_zero_page(void)
{
	const char *words = boot_cmdline();

	CHECK_EQ(field32(ZERO_PAGE_HEADER), HEADER_MAGIC, "RSI points to a zero page with HdrS");
	CHECK_EQ(mmio_read16(boot.info + ZERO_PAGE_BOOT_FLAG), 0xaa55, "boot_flag is set");
	CHECK(mmio_read8(boot.info + ZERO_PAGE_LOADER), "type_of_loader is not 0");
	put("# command line: %s\n", words);
	CHECK(find_word(words, "last-word"), "the command line arrives to its last word");
	CHECK(!memcmp((const void *)HIGH_LOAD, HIGH_MARK, sizeof(HIGH_MARK)),
	      "segments are loaded by their physical address");
}

static void check_initrd(const struct memmap *map, unsigned int size)
{
	uint64_t at = field32(ZERO_PAGE_RAMDISK_IMAGE) |
		      (uint64_t)field32(ZERO_PAGE_EXT_RAMDISK_IMAGE) << 32;
	uint64_t len = field32(ZERO_PAGE_RAMDISK_SIZE) |
		       (uint64_t)field32(ZERO_PAGE_EXT_RAMDISK_SIZE) << 32;
	const uint8_t *bytes;
	uint32_t wrong = 0;

	CHECK_EQ(len, size, "ramdisk_size is that of the initrd, 0 without one");
	if (!size || len != size)
		return;
	CHECK(memmap_is_ram(map, at, len), "the initrd is in RAM");
	bytes = map_physical(at);
	while (wrong < size && bytes[wrong] == module_byte(wrong))
		wrong++;
	CHECK_EQ(wrong, size, "the initrd is the file, byte by byte");
}

static void read_e820(struct memmap *map)
{
	const struct e820_entry *entry = (const void *)(boot.info + ZERO_PAGE_E820_TABLE);
	unsigned int nr = mmio_read8(boot.info + ZERO_PAGE_E820_ENTRIES);

	CHECK(nr && nr <= E820_MAX, "the zero page has e820 entries");
	for (unsigned int i = 0; i < nr && i < E820_MAX; i++)
		memmap_add(map, entry[i].base, entry[i].size, entry[i].type);
}

void guest_main(void)
{
	static struct memmap map;

	check_machine_state();
	check_zero_page();
	read_e820(&map);
	memmap_check(&map, boot_option("mem=", 0), map_physical);
	CHECK(memmap_is_ram(&map, boot.info, 4096), "the zero page is in RAM");
	check_initrd(&map, boot_option("initrd=", 0));
}
