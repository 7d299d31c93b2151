/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a kernel file to a guest that can be started, in two phases.
 *
 * x86/machine.c opens before it creates anything: whatever is wrong with kernel, command line,
 * initrd or their places in RAM is found then. It loads when RAM exists, and again after each
 * reset. The boot processor is then set up as struct x86_boot_entry says.
 */
#ifndef X86_BOOT_BOOT_H
#define X86_BOOT_BOOT_H

#include <stdint.h>

#include "kvm/file.h"
#include "kvm/memory.h"
#include "x86/e820.h"

struct vm_config;
struct x86_boot;

/**
 * enum x86_entry_mode - the state in which a kernel is entered; interrupts are off in each
 * @X86_ENTRY_REAL16: real mode
 * @X86_ENTRY_PROT32: 32-bit protected mode (CR0.PE), flat segments, no paging
 * @X86_ENTRY_LONG64: 64-bit mode (CR0.PE and PG, CR4.PAE, EFER.LME and LMA), flat segments
 */
enum x86_entry_mode { X86_ENTRY_REAL16, X86_ENTRY_PROT32, X86_ENTRY_LONG64 };

/**
 * struct x86_boot_entry - how the boot processor begins
 * @mode:      see enum x86_entry_mode
 * @rip:       in real mode, the offset in the code segment
 * @rsp:       in real mode, the offset in the stack segment
 * @rax, @rbx, @rsi: what the protocol passes there; all other general registers are 0, RFLAGS is 2
 * @cs:        code selector; in real mode that of all segments, base = selector << 4
 * @ds:        selector of DS, ES, SS (FS and GS); flat data
 * @cr3:       page tables that map the first 4 GiB one to one (only X86_ENTRY_LONG64)
 * @gdt_base, @gdt_limit: descriptor table in guest RAM that holds @cs and @ds; limit 0 in real mode
 */
struct x86_boot_entry {
	enum x86_entry_mode mode;
	uint64_t rip, rsp, rax, rbx, rsi;
	uint16_t cs, ds;
	uint64_t cr3;
	uint64_t gdt_base;
	uint16_t gdt_limit;
};

/**
 * x86_boot__open - look at kernel and initrd, and decide where everything goes
 * @out:     receives the loader's state
 * @cfg:     kernel, initrd, boot mode, RAM size; must outlive *@out
 * @map:     the board's memory map; copied
 * @cmdline: the whole kernel command line, the board's defaults included; copied
 *
 * The kernel's format is told by magic (and by @cfg->boot among those that a file can be entered
 * by): bzImage, ELF for Linux's entry, ELF with a PVH note, Multiboot 1, or one of the ELFs
 * compressed. A flat 16-bit image has no magic and is loaded only with BOOT_FLAT.
 *
 * Return: 0; -ENOEXEC if the kernel is of no such format or of another architecture; -EINVAL if it
 * is malformed, or @cfg->boot does not go with it; -ENOSPC if it or the initrd does not fit into
 * RAM; -E2BIG if the command line is too long for it; -ENOTSUP if a library is missing; -ENOMEM;
 * the errno of opening a file. All printed.
 */
int x86_boot__open(struct x86_boot **out, const struct vm_config *cfg, const struct e820_map *map,
		   const char *cmdline);

/**
 * x86_boot__load - fill guest RAM
 * @ram:   all of @map's RAM
 * @rsdp:  address of ACPI's RSDP, 0 if there are no tables
 * @entry: receives how to start the boot processor
 *
 * May be called again after a reset: everything that was loaded is loaded anew.
 *
 * Return: 0; -ESTALE if a file was changed since it was opened; -EBADMSG and other errors of
 * decompress__run() if the kernel is corrupt; -EFAULT if @ram is not what @map said; the errno of
 * reading a file. All printed.
 */
int x86_boot__load(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		   struct x86_boot_entry *entry);

/**
 * x86_boot__format - what the kernel was taken for: "bzImage", "ELF", "PVH", "Multiboot", "flat
 * image"
 */
const char *x86_boot__format(const struct x86_boot *boot);

/**
 * x86_boot__symbols - the kernel's file, if it is an ELF with a symbol table
 *
 * Return: the open file, good until x86_boot__close(), or NULL.
 */
const struct file *x86_boot__symbols(const struct x86_boot *boot);

/**
 * x86_boot__close - release everything; NULL is harmless
 */
void x86_boot__close(struct x86_boot *boot);

#endif
