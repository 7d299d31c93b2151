// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ELF kernel by its own entry point: Linux's vmlinux, of 64 or of 32 bits, plain or compressed.
 *
 * The entry point is a physical address, where Linux's boot protocol is spoken as at the entry of
 * an unpacked bzImage. An ELF whose entry point is its PVH entry, or is not a physical address
 * within itself, has no such entry, and is for the PVH loader if it has a note.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "x86/boot/internal.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define PROTOCOL_PRETENDED	 0x20e /* the last in which nothing is added that an ELF lacks */
#define BOOT_FLAG		 0xaa55
#define HEADER_MAGIC		 0x53726448 /* "HdrS" */

/* Where the file's notes end; they may be far behind its beginning. */
static uint64_t end_of_notes(const struct elf *elf)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf_segment segment;

		elf__segment(elf, i, &segment);
		if (segment.type == PT_NOTE && segment.offset <= X86_UNPACKED_MAX &&
		    segment.filesz <= X86_UNPACKED_MAX && segment.offset + segment.filesz > end)
			end = segment.offset + segment.filesz;
	}
	return end;
}

int x86_elf__pvh_entry(struct x86_boot *boot, uint64_t *entry)
{
	const uint8_t *desc;
	uint32_t len;
	int ret;

	ret = x86_boot__extend_head(boot, end_of_notes(&boot->elf));
	if (ret)
		return ret;
	ret = elf__find_note(&boot->elf, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &desc, &len);
	if (ret == -ENODATA)
		return x86_boot__refuse(boot, -EINVAL,
					"its ELF is truncated: its notes are not in the file");
	if (ret)
		return 0;
	if (len != 4 && len != 8)
		return x86_boot__refuse(boot, -EINVAL, "its PVH note has %u bytes, not 4 or 8",
					len);
	*entry = elf__word(&boot->elf, desc, len);
	return 1;
}

static uint64_t file_size(const struct x86_boot *boot)
{
	return boot->packing ? UINT64_MAX : boot->kernel.size;
}

static bool entry_is_physical(const struct elf *elf)
{
	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf_segment s;

		elf__segment(elf, i, &s);
		if (s.type == PT_LOAD && elf->entry >= s.paddr && elf->entry - s.paddr < s.filesz)
			return true;
	}
	return false;
}

static int probe(struct x86_boot *boot)
{
	uint64_t pvh;
	int ret;

	if (!boot->is_elf || (boot->cfg->boot != BOOT_AUTO && boot->cfg->boot != BOOT_ELF))
		return 0;
	if (boot->cfg->boot == BOOT_ELF)
		return 1;
	ret = x86_elf__pvh_entry(boot, &pvh);
	if (ret < 0)
		return ret;
	return !ret || (entry_is_physical(&boot->elf) && boot->elf.entry != pvh);
}

static void make_header(struct x86_boot *boot)
{
	struct setup_header header = {
		.boot_flag = BOOT_FLAG,
		.header = HEADER_MAGIC,
		.version = PROTOCOL_PRETENDED,
		.initrd_addr_max = UINT32_MAX,
		.cmdline_size = LINUX_ELF_CMDLINE,
	};

	_Static_assert(sizeof(header) <= LINUX_HEADER_SIZE, "asm/bootparam.h");
	memcpy(boot->header, &header, sizeof(header));
}

static int prepare(struct x86_boot *boot)
{
	struct x86_image *image = &boot->image;
	bool is64 = boot->elf.is64;
	int ret;

	ret = x86_image__from_elf(boot, image, &boot->elf, file_size(boot));
	if (ret)
		return ret;
	if (!x86_image__holds(image, image->entry))
		return x86_boot__refuse(boot, -EINVAL,
					"its ELF's entry point %#llx is not in what is loaded",
					(unsigned long long)image->entry);
	image->packing = boot->packing;
	image->len = boot->kernel.size;
	ret = x86_image__place(boot, image, false);
	if (!ret)
		ret = x86_boot__check_cmdline(boot, LINUX_ELF_CMDLINE);
	if (!ret)
		ret = x86_boot__place_initrd(boot, is64 ? FOUR_GIB : LINUX_INITRD_MAX_OLD + 1,
					     is64);
	if (ret)
		return ret;

	make_header(boot);
	boot->entry_mode = is64 ? X86_ENTRY_LONG64 : X86_ENTRY_PROT32;
	boot->entry_gpa = image->entry;
	return 0;
}

const struct x86_boot_loader x86_elf_loader = {
	.name = "ELF",
	.probe = probe,
	.prepare = prepare,
	.load = x86_linux__load,
};
