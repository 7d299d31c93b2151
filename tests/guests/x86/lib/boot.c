// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the loader left: one view of three protocols, for guests that do not care which it was.
 */
#include "boot.h"
#include "layout.h"

_Static_assert(offsetof(struct boot_state, eax) == BOOT_EAX, "layout.h");
_Static_assert(offsetof(struct boot_state, info) == BOOT_INFO, "layout.h");
_Static_assert(offsetof(struct boot_state, rflags) == BOOT_RFLAGS, "layout.h");
_Static_assert(offsetof(struct boot_state, cs) == BOOT_CS, "layout.h");
_Static_assert(offsetof(struct boot_state, ss) == BOOT_SS, "layout.h");
_Static_assert(offsetof(struct boot_state, gdtr) == BOOT_GDTR, "layout.h");
_Static_assert(sizeof(struct boot_state) == BOOT_STATE_SIZE, "layout.h");

struct boot_state boot __attribute__((section(".data")));

const char *boot_cmdline(void)
{
	const struct multiboot_info *multiboot = (const void *)(uintptr_t)boot.info;
	const struct pvh_info *pvh = (const void *)(uintptr_t)boot.info;
	const char *cmdline = NULL;

	switch (boot.protocol) {
	case BOOT_MULTIBOOT:
		if (multiboot->flags & MULTIBOOT_CMDLINE)
			cmdline = (const char *)(uintptr_t)multiboot->cmdline;
		break;
	case BOOT_PVH:
		cmdline = (const char *)(uintptr_t)pvh->cmdline;
		break;
	case BOOT_LINUX:
		cmdline = (const char *)(uintptr_t) *
			  (const uint32_t *)(uintptr_t)(boot.info + ZERO_PAGE_CMDLINE);
		break;
	}
	return cmdline ? cmdline : "";
}

uint64_t boot_rsdp(void)
{
	switch (boot.protocol) {
	case BOOT_PVH:
		return ((const struct pvh_info *)(uintptr_t)boot.info)->rsdp;
	case BOOT_LINUX:
		return *(const uint64_t *)(uintptr_t)(boot.info + ZERO_PAGE_RSDP);
	}
	return 0;
}

unsigned int boot_option(const char *word, unsigned int otherwise)
{
	return number(find_word(boot_cmdline(), word), otherwise);
}
