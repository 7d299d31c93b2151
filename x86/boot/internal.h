/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the boot loaders share: the state of one boot, images, and the structures in low memory.
 *
 * A format is a struct x86_boot_loader and a line in the table of boot.c.
 */
#ifndef X86_BOOT_INTERNAL_H
#define X86_BOOT_INTERNAL_H

#include <stdbool.h>

#include "kvm/config.h"
#include "kvm/decompress.h"
#include "kvm/elf.h"
#include "x86/boot/boot.h"

#define X86_MAX_SEGMENTS 64
#define X86_UNPACKED_MAX (1ull << 30)
#define X86_PAGE_SIZE	 4096ull
#define FOUR_GIB	 0x100000000ull

/* The setup header and what may follow it in the zero page, up to where the next field begins. */
#define LINUX_HEADER	     0x1f1
#define LINUX_HEADER_END     0x290
#define LINUX_HEADER_SIZE    (LINUX_HEADER_END - LINUX_HEADER)
#define LINUX_ELF_CMDLINE    2047 /* COMMAND_LINE_SIZE of x86, without the NUL */
#define LINUX_INITRD_MAX_OLD 0x37ffffffull

/**
 * struct x86_segment - bytes of the (unpacked) file and where they go
 */
struct x86_segment {
	uint64_t offset, filesz;
	uint64_t gpa, memsz;
};

/**
 * struct x86_image - what is loaded of a kernel, and from where
 * @nr, @segment: the pieces, ascending by address, never empty
 * @entry:        the ELF's entry point
 * @packing:      how the bytes at @offset are compressed; COMPRESSION_NONE if the segments are the
 * file's
 * @offset, @len: the compressed bytes in the file
 * @extent:       whether they are unpacked to their end
 * @unpacked:     how many bytes that gives
 * @unpack_gpa:   where to, before the segments are moved to their places
 * @end:          address behind all RAM that the kernel needs before it manages memory itself
 */
struct x86_image {
	unsigned int nr;
	struct x86_segment segment[X86_MAX_SEGMENTS];
	uint64_t entry;
	enum compression packing;
	uint64_t offset, len;
	enum decompress_extent extent;
	uint64_t unpacked;
	uint64_t unpack_gpa;
	uint64_t end;
};

/**
 * struct x86_boot - one kernel on its way into a guest
 * @cfg:        what was asked for
 * @map:        where RAM is
 * @kernel:     the file
 * @initrd:     the file, fd -1 if there is none
 * @initrd_gpa: its place
 * @cmdline:    see x86_boot__open()
 * @loader:     who loads it
 * @packing:    how the whole file is compressed
 * @unpacked_head: its beginning, unpacked, if it is; like the next three only while it is being
 * opened
 * @head:       its beginning: that, or the mapped file
 * @head_size:  bytes there
 * @is_elf:     @elf is the header in @head
 * @image:      what is loaded
 * @entry_mode: how it is entered
 * @entry_gpa:  where
 * @header:     Linux: what goes to LINUX_HEADER in the zero page
 */
struct x86_boot {
	const struct vm_config *cfg;
	struct e820_map map;
	struct file kernel;
	struct file initrd;
	uint64_t initrd_gpa;
	char *cmdline;
	const struct x86_boot_loader *loader;
	enum compression packing;
	uint8_t *unpacked_head;
	const uint8_t *head;
	size_t head_size;
	bool is_elf;
	struct elf elf;
	struct x86_image image;
	enum x86_entry_mode entry_mode;
	uint64_t entry_gpa;
	uint8_t header[LINUX_HEADER_SIZE];
};

/**
 * struct x86_boot_loader - a kernel format
 * @name:    see x86_boot__format()
 * @probe:   is it this format, to be loaded in this mode? 1 yes, 0 no, or negative errno, printed
 * @prepare: check everything and fill @image, @entry_mode and @entry_gpa; 0 or negative errno,
 * printed
 * @load:    @image and initrd are in RAM: add what the protocol passes, and say how to enter; 0 or
 *           negative errno, not printed
 */
struct x86_boot_loader {
	const char *name;
	int (*probe)(struct x86_boot *boot);
	int (*prepare)(struct x86_boot *boot);
	int (*load)(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		    struct x86_boot_entry *entry);
};

extern const struct x86_boot_loader x86_bzimage_loader;
extern const struct x86_boot_loader x86_multiboot_loader;
extern const struct x86_boot_loader x86_elf_loader;
extern const struct x86_boot_loader x86_pvh_loader;
extern const struct x86_boot_loader x86_flat_loader;

/* boot.c */

/**
 * x86_boot__refuse - print "Unable to open kernel PATH: …"
 *
 * Return: @err.
 */
int x86_boot__refuse(const struct x86_boot *boot, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * x86_boot__unpack_start - unpack the beginning of compressed bytes of the kernel file
 * @offset, @len: where they are in the file
 * @out:          receives up to @size bytes, @got tells how many
 *
 * Return: 0 or negative errno, printed.
 */
int x86_boot__unpack_start(const struct x86_boot *boot, enum compression type, uint64_t offset,
			   uint64_t len, void *out, size_t size, size_t *got);

/**
 * x86_boot__extend_head - have at least @size bytes in @boot->head, if the file has them
 *
 * Return: 0 or negative errno, printed.
 */
int x86_boot__extend_head(struct x86_boot *boot, size_t size);

/**
 * x86_boot__check_cmdline - does the command line fit?
 * @max: characters that the kernel takes
 *
 * Return: 0, or -E2BIG, printed.
 */
int x86_boot__check_cmdline(const struct x86_boot *boot, uint64_t max);

/**
 * x86_boot__place_initrd - find a place for the initrd, if there is one
 * @end:      address behind the last that the kernel takes, below 4 GiB
 * @high_too: it also takes one above 4 GiB, which is used if there is no room below
 *
 * Return: 0, or -ENOSPC, printed.
 */
int x86_boot__place_initrd(struct x86_boot *boot, uint64_t end, bool high_too);

/**
 * x86_boot__write_cmdline - put the command line, after @first and a space if that is not NULL, at
 * X86_CMDLINE
 *
 * Return: 0 or negative errno, not printed.
 */
int x86_boot__write_cmdline(const struct x86_boot *boot, const struct guest_memory *ram,
			    const char *first);

/* image.c */

/**
 * x86_image__from_elf - the segments of @boot->head's ELF, or of one unpacked from inside of a file
 * @size: bytes of the unpacked file, or UINT64_MAX if that is not known
 *
 * Return: 0; -EINVAL if it is malformed or truncated, printed.
 */
int x86_image__from_elf(const struct x86_boot *boot, struct x86_image *image, const struct elf *elf,
			uint64_t size);

/**
 * x86_image__holds - are there bytes of the file at @gpa?
 */
bool x86_image__holds(const struct x86_image *image, uint64_t gpa);

/**
 * x86_image__place - is there RAM for all segments, and for unpacking them?
 * @low_too: segments may also be below 1 MiB, where nothing of the boot protocol is
 *
 * Sets @end.
 *
 * Return: 0; -ENOSPC if there is not enough RAM; -EINVAL if segments overlap each other or what the
 * loader needs, or cannot be unpacked in place. All printed.
 */
int x86_image__place(const struct x86_boot *boot, struct x86_image *image, bool low_too);

/**
 * x86_image__in_order - can the image be unpacked in place, its segments having the same order in
 * the file and in memory?
 */
bool x86_image__in_order(const struct x86_image *image);

/**
 * x86_image__load - put the segments into RAM, and zeroes where they have no bytes
 *
 * Return: 0 or negative errno, printed unless it is -EFAULT.
 */
int x86_image__load(const struct x86_boot *boot, const struct x86_image *image,
		    const struct guest_memory *ram);

/* entry.c */

/**
 * x86_boot__enter - write descriptor table and page tables for @boot's way of entering
 * @entry: receives everything but what the protocol passes in registers
 *
 * Return: 0 or -EFAULT.
 */
int x86_boot__enter(const struct x86_boot *boot, const struct guest_memory *ram,
		    struct x86_boot_entry *entry);

/* elf.c */

/**
 * x86_elf__pvh_entry - look for the PVH entry point in @boot->elf
 *
 * Return: 1 and @entry, 0 if it has none, or negative errno, printed.
 */
int x86_elf__pvh_entry(struct x86_boot *boot, uint64_t *entry);

/* linux.c */

/**
 * x86_linux__load - the zero page, for any of Linux's own entries
 *
 * Return: 0 or -EFAULT.
 */
int x86_linux__load(struct x86_boot *boot, const struct guest_memory *ram, uint64_t rsdp,
		    struct x86_boot_entry *entry);

#endif
