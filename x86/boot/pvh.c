// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ELF kernel by its PVH note: 32-bit entry, EBX pointing to a start info.
 *
 * The note is XEN_ELFNOTE_PHYS32_ENTRY; state and structures are those of "x86/HVM direct boot ABI"
 * in Xen's documentation (docs/misc/pvh.pandoc) and of its public header arch-x86/hvm/start_info.h,
 * version 1.
 */
#include <errno.h>

#include "x86/boot/internal.h"
#include "x86/layout.h"

#define START_INFO_MAGIC   0x336ec578
#define START_INFO_VERSION 1

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct module {
	uint64_t base, size, cmdline, reserved;
};

/* As it lies in memory at X86_BOOT_INFO. */
struct pvh_info {
	struct start_info start;
	struct module module;
	struct e820_pvh_entry map[E820_MAX];
};

static uint64_t address_of(size_t offset)
{
	return X86_BOOT_INFO + offset;
}

static int probe(struct x86_boot *boot)
{
	uint64_t entry;

	if (!boot->is_elf || (boot->cfg->boot != BOOT_AUTO && boot->cfg->boot != BOOT_PVH))
		return 0;
	return x86_elf__pvh_entry(boot, &entry);
}

static int prepare(struct x86_boot *boot)
{
	struct x86_image *image = &boot->image;
	int ret;

	ret = x86_elf__pvh_entry(boot, &boot->entry_gpa);
	if (ret < 0)
		return ret;
	ret = x86_image__from_elf(boot, image, &boot->elf,
				  boot->packing ? UINT64_MAX : boot->kernel.size);
	if (ret)
		return ret;
	if (!x86_image__holds(image, boot->entry_gpa))
		return x86_boot__refuse(boot, -EINVAL,
					"its PVH entry point %#llx is not in what is loaded",
					(unsigned long long)boot->entry_gpa);
	image->packing = boot->packing;
	image->len = boot->kernel.size;
	ret = x86_image__place(boot, image, true);
	if (!ret)
		ret = x86_boot__check_cmdline(boot, X86_CMDLINE_MAX - 1);
	if (!ret)
		ret = x86_boot__place_initrd(boot, FOUR_GIB, false);
	boot->entry_mode = X86_ENTRY_PROT32;
	return ret;
}

static int load(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		struct x86_boot_entry *entry)
{
	struct pvh_info info = {
		.start = {
			.magic = START_INFO_MAGIC,
			.version = START_INFO_VERSION,
			.cmdline = X86_CMDLINE,
			.rsdp = rsdp,
			.memmap = address_of(offsetof(struct pvh_info, map)),
			.memmap_entries = boot->map.nr,
		},
	};
	int ret;

	if (boot->initrd.fd >= 0) {
		info.start.nr_modules = 1;
		info.start.modlist = address_of(offsetof(struct pvh_info, module));
		info.module.base = boot->initrd_gpa;
		info.module.size = boot->initrd.size;
	}
	e820__to_pvh(&boot->map, info.map);
	ret = guest_memory__write(ram, X86_BOOT_INFO, &info, sizeof(info));
	entry->rbx = X86_BOOT_INFO;
	return ret ? ret : x86_boot__write_cmdline(boot, ram, NULL);
}

const struct x86_boot_loader x86_pvh_loader = {
	.name = "PVH",
	.probe = probe,
	.prepare = prepare,
	.load = load,
};
