// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The zero page: what Linux is told at its own entries, whatever file it came in.
 *
 * Documentation/arch/x86/boot.rst and zero-page.rst: a page of zeroes into which the image's setup
 * header is copied, then filled in. An ELF brings no header, so x86/boot/elf.c makes one up.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "x86/boot/internal.h"
#include "x86/layout.h"

#define LOADER_UNDEFINED 0xff
#define PROTOCOL_RSDP	 0x20e

_Static_assert(sizeof(struct boot_params) == X86_PAGE_SIZE, "asm/bootparam.h");
_Static_assert(offsetof(struct boot_params, hdr) == LINUX_HEADER, "asm/bootparam.h");
_Static_assert(offsetof(struct boot_params, edd_mbr_sig_buffer) == LINUX_HEADER_END,
	       "asm/bootparam.h");
_Static_assert(E820_MAX <= E820_MAX_ENTRIES_ZEROPAGE, "the map fits");
_Static_assert(sizeof(struct e820_linux_entry) == sizeof(struct boot_e820_entry),
	       "one form of an e820 entry");

static void fill(const struct x86_boot *boot, struct boot_params *params, uint64_t rsdp)
{
	struct e820_linux_entry map[E820_MAX];

	memset(params, 0, sizeof(*params));
	memcpy(&params->hdr, boot->header, LINUX_HEADER_SIZE);
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.loadflags |= LOADED_HIGH;
	params->hdr.cmd_line_ptr = X86_CMDLINE;
	if (boot->initrd.fd >= 0) {
		params->hdr.ramdisk_image = (uint32_t)boot->initrd_gpa;
		params->hdr.ramdisk_size = (uint32_t)boot->initrd.size;
		params->ext_ramdisk_image = (uint32_t)(boot->initrd_gpa >> 32);
		params->ext_ramdisk_size = (uint32_t)(boot->initrd.size >> 32);
	}
	if (params->hdr.version >= PROTOCOL_RSDP)
		params->acpi_rsdp_addr = rsdp;
	e820__to_linux(&boot->map, map);
	memcpy(params->e820_table, map, boot->map.nr * sizeof(map[0]));
	params->e820_entries = (uint8_t)boot->map.nr;
}

int x86_linux__load(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		    struct x86_boot_entry *entry)
{
	struct boot_params *params = guest_memory__at(ram, X86_ZERO_PAGE, sizeof(*params));

	if (!params)
		return -EFAULT;
	fill(boot, params, rsdp);
	guest_memory__dirty(ram, X86_ZERO_PAGE, sizeof(*params));
	entry->rsi = X86_ZERO_PAGE;
	return x86_boot__write_cmdline(boot, ram, NULL);
}
