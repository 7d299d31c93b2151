// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flat 16-bit images: loaded at 1000:0000 and entered there in real mode, all segments alike.
 *
 * Such an image has nothing to know it by, so it is taken only when it is asked for.
 */
#include <errno.h>

#include "kvm/log.h"
#include "x86/boot/internal.h"
#include "x86/layout.h"

#define FLAT_STACK \
	0xfff0 /* from the end of the 64 KiB down: an image of more has to see to it itself */

static int probe(struct x86_boot *boot)
{
	return boot->cfg->boot == BOOT_FLAT;
}

static int prepare(struct x86_boot *boot)
{
	const uint64_t max = X86_EBDA - X86_FLAT_LOAD;

	if (boot->kernel.size > max)
		return x86_boot__refuse(boot, -ENOSPC,
					"a flat image has at most %llu KiB, and this has %llu",
					(unsigned long long)(max >> 10),
					(unsigned long long)(boot->kernel.size >> 10));
	if (boot->initrd.fd >= 0)
		return x86_boot__refuse(
			boot, -EINVAL,
			"a flat image cannot be told of an initrd: leave out --initrd");
	if (boot->cfg->params && *boot->cfg->params)
		pr_warn("The flat image %s cannot be told of --params: they are ignored",
			boot->kernel.path);
	boot->image.nr = 1;
	boot->image.segment[0] = (struct x86_segment){
		.gpa = X86_FLAT_LOAD,
		.filesz = boot->kernel.size,
		.memsz = boot->kernel.size,
	};
	boot->entry_mode = X86_ENTRY_REAL16;
	return 0;
}

static int load(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		struct x86_boot_entry *entry)
{
	entry->cs = X86_FLAT_LOAD >> 4;
	entry->ds = entry->cs;
	entry->rip = 0;
	entry->rsp = FLAT_STACK;
	return 0;
}

const struct x86_boot_loader x86_flat_loader = {
	.name = "flat image",
	.probe = probe,
	.prepare = prepare,
	.load = load,
};
