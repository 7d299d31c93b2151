/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF files as boot loaders see them: both classes, both byte orders, nothing
 * trusted.
 *
 * The reader keeps no copy: it looks into bytes that the caller holds, which may also be only the
 * beginning of a file. Defined by the System V ABI, "Object Files" (gABI).
 */
#ifndef KVM_ELF_H
#define KVM_ELF_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct elf - an ELF file's header
 * @data:       first byte of the file
 * @size:       bytes at @data
 * @is64:       ELFCLASS64
 * @big_endian: ELFDATA2MSB
 * @type:       ET_…
 * @machine:    EM_…
 * @flags:      e_flags
 * @entry:      e_entry
 * @phoff:      where the program headers are
 * @shoff:      where the section headers are
 * @phnum:      number of program headers
 * @shnum:      number of section headers that are within @size: all or none
 * @phentsize:  bytes from one program header to the next
 * @shentsize:  bytes from one section header to the next
 */
struct elf {
	const uint8_t *data;
	uint64_t size;
	bool is64, big_endian;
	uint16_t type, machine;
	uint32_t flags;
	uint64_t entry;
	uint64_t phoff, shoff;
	uint32_t phnum, shnum;
	uint16_t phentsize, shentsize;
};

/**
 * struct elf_segment - a program header; see the gABI for the fields
 */
struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

/**
 * struct elf_section - a section header; see the gABI for the fields
 */
struct elf_section {
	uint32_t name, type;
	uint64_t flags, addr, offset, size;
	uint32_t link, info;
	uint64_t align, entsize;
};

/**
 * elf__init - look at a header
 * @elf:  receives what it says
 * @data: the file, or its beginning; must stay as long as @elf is used
 * @size: bytes at @data
 *
 * The program headers must be within @size. Section headers that are not are ignored.
 *
 * Return: 0; -ENOEXEC if this is no ELF file; -EINVAL if it is a malformed one.
 */
int elf__init(struct elf *elf, const void *data, uint64_t size);

/**
 * elf__segment - the program header at @index, which must be below @elf->phnum
 */
void elf__segment(const struct elf *elf, uint32_t index, struct elf_segment *segment);

/**
 * elf__section - the section header at @index, which must be below @elf->shnum
 */
void elf__section(const struct elf *elf, uint32_t index, struct elf_section *section);

/**
 * elf__at - part of the file
 *
 * Return: a pointer good for @len bytes, or NULL if any of them is beyond what there is.
 */
const void *elf__at(const struct elf *elf, uint64_t offset, uint64_t len);

/**
 * elf__find_note - look for a note in the PT_NOTE segments
 * @name: owner, as "Xen"
 * @type: type of that owner's
 * @desc: receives its value
 * @len:  receives the value's bytes
 *
 * Return: 0; -ENOENT if there is none; -ENODATA if there is none in what there is of the file, but
 * a note segment goes on beyond it.
 */
int elf__find_note(const struct elf *elf, const char *name, uint32_t type, const uint8_t **desc,
		   uint32_t *len);

/**
 * elf__word - a 16, 32 or 64-bit number in the file's byte order
 * @from: pointer got from elf__at() or elf__find_note()
 * @len:  2, 4 or 8
 */
uint64_t elf__word(const struct elf *elf, const void *from, unsigned int len);

/**
 * elf__has_symbols - is there a symbol table, and all of it in the file?
 */
bool elf__has_symbols(const struct elf *elf);

#endif
