// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening, classifying and loading a kernel of any format.
 *
 * Theory of operation: the kernel file is mapped, not read. If it is compressed as a whole, its
 * first 64 KiB are unpacked, which is where every format that is an ELF has its headers. The
 * loaders are then asked in turn whether that is theirs; the one that says so checks everything
 * there is to check, chooses all addresses, and keeps them in struct x86_boot. Loading only carries
 * that out, so it can be done again after a reset without looking at anything but the bytes to
 * copy.
 *
 * Nothing of the kernel stays in this process's memory between loads: bulk is read or unpacked
 * straight into guest RAM, and the pages of the mapping are dropped when a load is done.
 */
#include "x86/boot/boot.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/log.h"
#include "x86/boot/internal.h"
#include "x86/layout.h"

#define KERNEL_FILE_MAX (4ull << 30)
#define HEAD_SIZE	65536

/* In the order in which they are asked. */
static const struct x86_boot_loader *const loaders[] = {
	&x86_flat_loader, &x86_bzimage_loader, &x86_multiboot_loader,
	&x86_elf_loader,  &x86_pvh_loader,
};

#define NR_LOADERS (sizeof(loaders) / sizeof(loaders[0]))

int x86_boot__refuse(const struct x86_boot *boot, int err, const char *fmt, ...)
{
	char why[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	pr_fatal("Unable to open kernel %s: %s", boot->kernel.path, why);
	return err;
}

int x86_boot__unpack_start(const struct x86_boot *boot, enum compression type, uint64_t offset,
			   uint64_t len, void *out, size_t size, size_t *got)
{
	int ret;

	ret = decompress__run(type, boot->kernel.data + offset, len, out, size, DECOMPRESS_START,
			      got);
	if (ret)
		return x86_boot__refuse(boot, ret, "its %s data %s", decompress__name(type),
					decompress__strerror(ret));
	return 0;
}

int x86_boot__extend_head(struct x86_boot *boot, size_t size)
{
	uint8_t *head;
	int ret;

	if (size <= boot->head_size || !boot->unpacked_head)
		return 0;
	if (size > X86_UNPACKED_MAX)
		return x86_boot__refuse(boot, -EINVAL, "its notes are %llu MiB into the ELF",
					(unsigned long long)(size >> 20));
	head = malloc(size);
	if (!head)
		return x86_boot__refuse(boot, -ENOMEM, "no memory to unpack it");
	ret = x86_boot__unpack_start(boot, boot->packing, 0, boot->kernel.size, head, size,
				     &boot->head_size);
	if (ret) {
		free(head);
		return ret;
	}
	free(boot->unpacked_head);
	boot->unpacked_head = head;
	boot->head = head;
	elf__init(&boot->elf, head, boot->head_size);
	return 0;
}

int x86_boot__check_cmdline(const struct x86_boot *boot, uint64_t max)
{
	size_t len = strlen(boot->cmdline);

	if (len <= max)
		return 0;
	pr_fatal("The kernel command line has %zu characters, and %s takes %llu: shorten --params",
		 len, boot->kernel.path, (unsigned long long)max);
	return -E2BIG;
}

int x86_boot__place_initrd(struct x86_boot *boot, uint64_t end, bool high_too)
{
	const struct file *initrd = &boot->initrd;
	uint64_t floor = (boot->image.end + X86_PAGE_SIZE - 1) & ~(X86_PAGE_SIZE - 1);

	if (initrd->fd < 0)
		return 0;
	if (floor < X86_BIOS_END)
		floor = X86_BIOS_END;
	if (end > FOUR_GIB)
		end = FOUR_GIB;
	if (e820__highest(&boot->map, initrd->size, X86_PAGE_SIZE, floor, end, &boot->initrd_gpa) ||
	    (high_too && e820__highest(&boot->map, initrd->size, X86_PAGE_SIZE, FOUR_GIB,
				       UINT64_MAX, &boot->initrd_gpa)))
		return 0;
	if (end > e820__low_ram_end(&boot->map))
		end = e820__low_ram_end(&boot->map);
	pr_fatal(
		"The initrd %s of %llu KiB does not fit into RAM between the kernel's end at %#llx "
		"and %#llx:\n  make it smaller, or give the guest more RAM with --mem (it has "
		"%llu MiB)",
		initrd->path, (unsigned long long)(initrd->size >> 10), (unsigned long long)floor,
		(unsigned long long)end, (unsigned long long)(boot->cfg->ram_size >> 20));
	return -ENOSPC;
}

int x86_boot__write_cmdline(const struct x86_boot *boot, const struct guest_memory *ram,
			    const char *first)
{
	char *to = guest_memory__at(ram, X86_CMDLINE, X86_CMDLINE_MAX);
	int len;

	if (!to)
		return -EFAULT;
	len = snprintf(to, X86_CMDLINE_MAX, "%s%s%s", first ? first : "",
		       first && *boot->cmdline ? " " : "", boot->cmdline);
	guest_memory__dirty(ram, X86_CMDLINE, (uint64_t)len + 1);
	return 0;
}

static const char *mode_option(enum boot_mode mode)
{
	switch (mode) {
	case BOOT_KERNEL:
		return "--boot=kernel";
	case BOOT_ELF:
		return "--boot=elf";
	case BOOT_PVH:
		return "--boot=pvh";
	default:
		return "this way of booting";
	}
}

/* No loader takes it: say what it is, and what it would have to be. */
static int refuse_unknown(const struct x86_boot *boot)
{
	if (boot->is_elf && boot->cfg->boot == BOOT_PVH)
		return x86_boot__refuse(boot, -EINVAL,
					"--boot=pvh needs an ELF with a PVH note, and this one has "
					"none (CONFIG_PVH makes one)");
	if (boot->is_elf)
		return x86_boot__refuse(boot, -EINVAL, "it is an ELF, and %s needs a bzImage",
					mode_option(boot->cfg->boot));
	if (boot->cfg->boot != BOOT_AUTO)
		return x86_boot__refuse(boot, -EINVAL, "%s needs %s, which it is not",
					mode_option(boot->cfg->boot),
					boot->cfg->boot == BOOT_KERNEL ? "a bzImage" : "an ELF");
	if (boot->packing)
		return x86_boot__refuse(boot, -ENOEXEC, "what %s packed in it is not a kernel",
					decompress__name(boot->packing));
	return x86_boot__refuse(
		boot, -ENOEXEC,
		"it is not a kernel: neither bzImage nor ELF nor Multiboot, nor one "
		"of the latter compressed\n  (a flat 16-bit image has no magic: "
		"--boot=flat loads one)");
}

static const char *machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_AARCH64:
		return "arm64";
	case EM_ARM:
		return "arm";
	case EM_PPC:
	case EM_PPC64:
		return "powerpc";
	case EM_S390:
		return "s390";
	case EM_RISCV:
		return "riscv";
	case EM_MIPS:
		return "mips";
	case EM_IA_64:
		return "ia64";
	default:
		return "another machine";
	}
}

static int check_elf(const struct x86_boot *boot)
{
	const struct elf *elf = &boot->elf;

	if (elf->machine != EM_X86_64 && elf->machine != EM_386)
		return x86_boot__refuse(boot, -ENOEXEC,
					"it is an ELF for %s (e_machine %u), not for x86",
					machine_name(elf->machine), elf->machine);
	if (elf->big_endian || elf->is64 != (elf->machine == EM_X86_64))
		return x86_boot__refuse(boot, -ENOEXEC,
					"its ELF header is not that of an x86 kernel: %s-endian, "
					"%s-bit, e_machine %u",
					elf->big_endian ? "big" : "little", elf->is64 ? "64" : "32",
					elf->machine);
	if (elf->type != ET_EXEC && elf->type != ET_DYN)
		return x86_boot__refuse(boot, -ENOEXEC,
					"it is an ELF, but not an executable one (e_type %u)",
					elf->type);
	return 0;
}

/* Have the file's beginning in @head, and its ELF header if it is one. */
static int look(struct x86_boot *boot)
{
	int ret;

	boot->head = boot->kernel.data;
	boot->head_size = boot->kernel.size;
	if (boot->cfg->boot == BOOT_FLAT)
		return 0;

	boot->packing = decompress__detect(boot->head, boot->head_size);
	if (boot->packing) {
		if (!decompress__supported(boot->packing))
			return x86_boot__refuse(boot, -ENOTSUP,
						"it is compressed by %s, which this lkvm was built "
						"without: unpack it beforehand",
						decompress__name(boot->packing));
		boot->unpacked_head = malloc(HEAD_SIZE);
		if (!boot->unpacked_head)
			return x86_boot__refuse(boot, -ENOMEM, "no memory to unpack it");
		boot->head = boot->unpacked_head;
		ret = x86_boot__unpack_start(boot, boot->packing, 0, boot->kernel.size,
					     boot->unpacked_head, HEAD_SIZE, &boot->head_size);
		if (ret)
			return ret;
	}

	ret = elf__init(&boot->elf, boot->head, boot->head_size);
	if (ret == -EINVAL)
		return x86_boot__refuse(boot, ret, "its ELF header is malformed or truncated");
	boot->is_elf = !ret;
	return boot->is_elf ? check_elf(boot) : 0;
}

static int choose_loader(struct x86_boot *boot)
{
	for (size_t i = 0; i < NR_LOADERS; i++) {
		int ret = loaders[i]->probe(boot);

		if (ret < 0)
			return ret;
		if (ret) {
			boot->loader = loaders[i];
			return boot->loader->prepare(boot);
		}
	}
	return refuse_unknown(boot);
}

static int open_files(struct x86_boot *boot)
{
	const struct vm_config *cfg = boot->cfg;
	int ret = file__open(&boot->kernel, "kernel", cfg->kernel, KERNEL_FILE_MAX);

	if (!ret && cfg->initrd)
		ret = file__open(&boot->initrd, "initrd", cfg->initrd, cfg->ram_size);
	return ret;
}

int x86_boot__open(struct x86_boot **out, const struct vm_config *cfg, const struct e820_map *map,
		   const char *cmdline)
{
	struct x86_boot *boot = calloc(1, sizeof(*boot));
	int ret;

	if (boot)
		boot->cmdline = strdup(cmdline);
	if (!boot || !boot->cmdline) {
		free(boot);
		pr_fatal("no memory for the boot loader");
		return -ENOMEM;
	}
	boot->cfg = cfg;
	boot->map = *map;
	file__init(&boot->kernel);
	file__init(&boot->initrd);

	ret = open_files(boot);
	if (!ret)
		ret = look(boot);
	if (!ret)
		ret = choose_loader(boot);

	free(boot->unpacked_head);
	boot->unpacked_head = NULL;
	boot->head = NULL;
	if (ret) {
		x86_boot__close(boot);
		return ret;
	}
	file__drop_pages(&boot->kernel);
	*out = boot;
	return 0;
}

static int load_initrd(const struct x86_boot *boot, const struct guest_memory *ram)
{
	const struct file *initrd = &boot->initrd;
	void *to;
	int ret;

	if (initrd->fd < 0)
		return 0;
	to = guest_memory__at(ram, boot->initrd_gpa, initrd->size);
	if (!to)
		return -EFAULT;
	ret = file__read(initrd, 0, to, initrd->size);
	guest_memory__dirty(ram, boot->initrd_gpa, initrd->size);
	return ret;
}

static int load_all(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		    struct x86_boot_entry *entry)
{
	int ret;

	ret = x86_image__load(boot, &boot->image, ram);
	if (!ret)
		ret = load_initrd(boot, ram);
	if (!ret)
		ret = x86_boot__enter(boot, ram, entry);
	if (!ret)
		ret = boot->loader->load(boot, ram, rsdp, entry);
	return ret;
}

int x86_boot__load(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		   struct x86_boot_entry *entry)
{
	int ret;

	ret = file__check_unchanged(&boot->kernel);
	if (!ret && boot->initrd.fd >= 0)
		ret = file__check_unchanged(&boot->initrd);
	if (ret)
		return ret;
	ret = load_all(boot, ram, rsdp, entry);
	if (ret == -EFAULT)
		pr_fatal("The kernel %s cannot be loaded: guest RAM is not where the memory map "
			 "has it",
			 boot->kernel.path);
	file__drop_pages(&boot->kernel);
	return ret;
}

const char *x86_boot__format(const struct x86_boot *boot)
{
	return boot->loader->name;
}

const struct file *x86_boot__symbols(const struct x86_boot *boot)
{
	struct elf elf;

	if (boot->packing || elf__init(&elf, boot->kernel.data, boot->kernel.size) ||
	    !elf__has_symbols(&elf))
		return NULL;
	return &boot->kernel;
}

void x86_boot__close(struct x86_boot *boot)
{
	if (!boot)
		return;
	file__close(&boot->kernel);
	file__close(&boot->initrd);
	free(boot->unpacked_head);
	free(boot->cmdline);
	free(boot);
}
