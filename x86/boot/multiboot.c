// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Multiboot 1 kernels: 32-bit entry, EAX the loader's magic, EBX pointing to the information
 * structure.
 *
 * Multiboot Specification 0.6.96. The header is within the first 8 KiB of the file; the program
 * around it is an ELF, or anything at all if the header has the address fields. The command line
 * begins with the name of the kernel, as with every other loader, and a module's string is the name
 * of its file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "x86/boot/internal.h"
#include "x86/layout.h"

#define HEADER_MAGIC  0x1badb002u
#define LOADED_MAGIC  0x2badb002u
#define SEARCH_LEN    8192u
#define HEADER_LEN    12u
#define ADDRESSES_LEN 32u
#define NAME_MAX_LEN  4096u

/* Of the header: what the kernel demands. */
#define NEEDS_KNOWN   0x00000003u /* modules on page boundaries, memory information */
#define NEEDS_MASK    0x0000ffffu
#define HAS_ADDRESSES 0x00010000u

/* Of the information: what is there. */
#define INFO_MEMORY  0x001u
#define INFO_CMDLINE 0x004u
#define INFO_MODULES 0x008u
#define INFO_MMAP    0x040u
#define INFO_LOADER  0x200u

struct header {
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

struct info {
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

struct module {
	uint32_t start, end, string, reserved;
};

/* As it lies in memory at X86_BOOT_INFO. */
struct multiboot_info {
	struct info info;
	struct module module;
	struct e820_multiboot_entry map[E820_MAX];
	char loader_name[8];
	char module_name[NAME_MAX_LEN];
};

/* The first header with a good checksum; the fields that it does not have are 0. */
static bool find_header(const struct x86_boot *boot, struct header *header, uint32_t *offset)
{
	size_t len = boot->head_size < SEARCH_LEN ? boot->head_size : SEARCH_LEN;

	for (size_t at = 0; at + HEADER_LEN <= len; at += 4) {
		*header = (struct header){ 0 };
		memcpy(header, boot->head + at, HEADER_LEN);
		if (header->magic != HEADER_MAGIC ||
		    header->magic + header->flags + header->checksum != 0)
			continue;
		if (header->flags & HAS_ADDRESSES) {
			if (at + ADDRESSES_LEN > len)
				continue;
			memcpy(header, boot->head + at, ADDRESSES_LEN);
		}
		*offset = (uint32_t)at;
		return true;
	}
	return false;
}

static int probe(struct x86_boot *boot)
{
	struct header header;
	uint32_t offset;

	return boot->cfg->boot == BOOT_AUTO && find_header(boot, &header, &offset) &&
	       (boot->is_elf || header.flags & HAS_ADDRESSES);
}

/* 3.1.3: the image is one piece, described by the header itself. */
static int image_from_header(struct x86_boot *boot, const struct header *header, uint32_t offset)
{
	uint64_t before = (uint64_t)header->header_addr - header->load_addr;
	struct x86_segment s = { .gpa = header->load_addr };

	if (boot->packing)
		return x86_boot__refuse(boot, -EINVAL,
					"it is a compressed Multiboot kernel that is not an ELF: "
					"unpack it beforehand");
	if (header->load_addr > header->header_addr || before > offset)
		return x86_boot__refuse(boot, -EINVAL,
					"its Multiboot header is malformed: load_addr %#x, "
					"header_addr %#x, at offset %#x",
					header->load_addr, header->header_addr, offset);
	s.offset = offset - before;
	s.filesz = boot->kernel.size - s.offset;
	if (header->load_end_addr) {
		if (header->load_end_addr <= header->load_addr ||
		    header->load_end_addr - header->load_addr > s.filesz)
			return x86_boot__refuse(
				boot, -EINVAL,
				"its Multiboot header's load_end_addr %#x is not in "
				"the file",
				header->load_end_addr);
		s.filesz = header->load_end_addr - header->load_addr;
	}
	s.memsz = s.filesz;
	if (header->bss_end_addr) {
		if (header->bss_end_addr < s.gpa + s.filesz)
			return x86_boot__refuse(boot, -EINVAL,
						"its Multiboot header's bss_end_addr %#x is before "
						"the end of its data",
						header->bss_end_addr);
		s.memsz = header->bss_end_addr - s.gpa;
	}
	boot->image.nr = 1;
	boot->image.segment[0] = s;
	boot->image.entry = header->entry_addr;
	return 0;
}

static int prepare(struct x86_boot *boot)
{
	struct x86_image *image = &boot->image;
	struct header header;
	uint32_t offset;
	int ret;

	find_header(boot, &header, &offset);
	if (header.flags & NEEDS_MASK & ~NEEDS_KNOWN)
		return x86_boot__refuse(boot, -EINVAL,
					"its Multiboot header needs what lkvm does not have: flags "
					"%#x",
					header.flags & NEEDS_MASK & ~NEEDS_KNOWN);
	if (header.flags & HAS_ADDRESSES)
		ret = image_from_header(boot, &header, offset);
	else
		ret = x86_image__from_elf(boot, image, &boot->elf,
					  boot->packing ? UINT64_MAX : boot->kernel.size);
	if (ret)
		return ret;
	if (!x86_image__holds(image, image->entry))
		return x86_boot__refuse(boot, -EINVAL,
					"its entry point %#llx is not in what is loaded",
					(unsigned long long)image->entry);
	image->packing = boot->packing;
	image->len = boot->kernel.size;
	ret = x86_image__place(boot, image, true);
	if (!ret)
		ret = x86_boot__check_cmdline(boot,
					      X86_CMDLINE_MAX - strlen(boot->kernel.path) - 2);
	if (!ret)
		ret = x86_boot__place_initrd(boot, FOUR_GIB, false);
	boot->entry_mode = X86_ENTRY_PROT32;
	boot->entry_gpa = image->entry;
	return ret;
}

static uint32_t address_of(size_t offset)
{
	return (uint32_t)(X86_BOOT_INFO + offset);
}

static void fill(const struct x86_boot *boot, struct multiboot_info *info)
{
	struct info *i = &info->info;

	memset(info, 0, sizeof(*info));
	i->flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER;
	i->mem_lower = X86_EBDA >> 10;
	i->mem_upper = (uint32_t)((e820__low_ram_end(&boot->map) - X86_BIOS_END) >> 10);
	i->cmdline = X86_CMDLINE;
	i->mmap_addr = address_of(offsetof(struct multiboot_info, map));
	i->mmap_length = boot->map.nr * (uint32_t)sizeof(info->map[0]);
	i->boot_loader_name = address_of(offsetof(struct multiboot_info, loader_name));
	memcpy(info->loader_name, "lkvm", sizeof("lkvm"));
	e820__to_multiboot(&boot->map, info->map);

	if (boot->initrd.fd < 0)
		return;
	i->mods_count = 1;
	i->mods_addr = address_of(offsetof(struct multiboot_info, module));
	info->module.start = (uint32_t)boot->initrd_gpa;
	info->module.end = (uint32_t)(boot->initrd_gpa + boot->initrd.size);
	info->module.string = address_of(offsetof(struct multiboot_info, module_name));
	snprintf(info->module_name, sizeof(info->module_name), "%s", boot->initrd.path);
}

static int load(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		struct x86_boot_entry *entry)
{
	struct multiboot_info *info = guest_memory__at(ram, X86_BOOT_INFO, sizeof(*info));

	_Static_assert(X86_BOOT_INFO + sizeof(*info) <= X86_CMDLINE, "x86/layout.h");
	if (!info)
		return -EFAULT;
	fill(boot, info);
	guest_memory__dirty(ram, X86_BOOT_INFO, sizeof(*info));
	entry->rax = LOADED_MAGIC;
	entry->rbx = X86_BOOT_INFO;
	return x86_boot__write_cmdline(boot, ram, boot->kernel.path);
}

const struct x86_boot_loader x86_multiboot_loader = {
	.name = "Multiboot",
	.probe = probe,
	.prepare = prepare,
	.load = load,
};
