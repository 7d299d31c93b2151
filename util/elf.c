// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A reader of ELF files that believes nothing.
 *
 * Theory of operation: a header's fields are at different places in the two classes and in either
 * byte order, so they are read through cursors that know both, in the order in which the gABI lists
 * them. elf__init() checks once that the tables are where the file has bytes; from then on only
 * indices below the counts are valid, and everything else goes through elf__at().
 */
#include "kvm/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

/* Nothing real comes near; it keeps a hostile file's loops short. */
#define MAX_SECTIONS (1u << 20)

struct cursor {
	const struct elf *elf;
	const uint8_t *at;
};

uint64_t elf__word(const struct elf *elf, const void *from, unsigned int len)
{
	const uint8_t *bytes = from;
	uint64_t value = 0;

	for (unsigned int i = 0; i < len; i++)
		value = value << 8 | bytes[elf->big_endian ? i : len - 1 - i];
	return value;
}

static uint64_t next(struct cursor *c, unsigned int len)
{
	uint64_t value = elf__word(c->elf, c->at, len);

	c->at += len;
	return value;
}

static uint16_t next_half(struct cursor *c)
{
	return (uint16_t)next(c, 2);
}

static uint32_t next_word(struct cursor *c)
{
	return (uint32_t)next(c, 4);
}

/* An address, offset or size: as wide as the class. */
static uint64_t next_wide(struct cursor *c)
{
	return next(c, c->elf->is64 ? 8 : 4);
}

const void *elf__at(const struct elf *elf, uint64_t offset, uint64_t len)
{
	if (offset > elf->size || len > elf->size - offset)
		return NULL;
	return elf->data + offset;
}

static bool table_fits(const struct elf *elf, uint64_t offset, uint32_t nr, uint16_t entsize)
{
	return elf__at(elf, offset, (uint64_t)nr * entsize);
}

/* Section headers are a help, not a need: any doubt, and there are none. */
static void find_sections(struct elf *elf, uint32_t shnum)
{
	struct elf_section first;

	if (!elf->shoff || elf->shentsize < (elf->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
		return;
	if (!shnum && table_fits(elf, elf->shoff, 1, elf->shentsize)) {
		/* More than fit into e_shnum: then the first one's size is their number. */
		elf__section(elf, 0, &first);
		shnum = first.size <= MAX_SECTIONS ? (uint32_t)first.size : 0;
	}
	if (table_fits(elf, elf->shoff, shnum, elf->shentsize))
		elf->shnum = shnum;
}

int elf__init(struct elf *elf, const void *data, uint64_t size)
{
	struct cursor c = { .elf = elf };
	uint32_t shnum;

	*elf = (struct elf){ .data = data, .size = size };
	if (size < EI_NIDENT || memcmp(data, ELFMAG, SELFMAG))
		return -ENOEXEC;
	if ((elf->data[EI_CLASS] != ELFCLASS32 && elf->data[EI_CLASS] != ELFCLASS64) ||
	    (elf->data[EI_DATA] != ELFDATA2LSB && elf->data[EI_DATA] != ELFDATA2MSB))
		return -EINVAL;
	elf->is64 = elf->data[EI_CLASS] == ELFCLASS64;
	elf->big_endian = elf->data[EI_DATA] == ELFDATA2MSB;
	if (size < (elf->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return -EINVAL;

	c.at = elf->data + EI_NIDENT;
	elf->type = next_half(&c);
	elf->machine = next_half(&c);
	next_word(&c); /* e_version */
	elf->entry = next_wide(&c);
	elf->phoff = next_wide(&c);
	elf->shoff = next_wide(&c);
	elf->flags = next_word(&c);
	next_half(&c); /* e_ehsize */
	elf->phentsize = next_half(&c);
	elf->phnum = next_half(&c);
	elf->shentsize = next_half(&c);
	shnum = next_half(&c);

	if (elf->phnum && (elf->phnum == PN_XNUM ||
			   elf->phentsize < (elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
			   !table_fits(elf, elf->phoff, elf->phnum, elf->phentsize)))
		return -EINVAL;
	find_sections(elf, shnum);
	return 0;
}

void elf__segment(const struct elf *elf, uint32_t index, struct elf_segment *segment)
{
	struct cursor c = { elf, elf->data + elf->phoff + (uint64_t)index * elf->phentsize };

	segment->type = next_word(&c);
	if (elf->is64)
		segment->flags = next_word(&c);
	segment->offset = next_wide(&c);
	segment->vaddr = next_wide(&c);
	segment->paddr = next_wide(&c);
	segment->filesz = next_wide(&c);
	segment->memsz = next_wide(&c);
	if (!elf->is64)
		segment->flags = next_word(&c);
	segment->align = next_wide(&c);
}

void elf__section(const struct elf *elf, uint32_t index, struct elf_section *section)
{
	struct cursor c = { elf, elf->data + elf->shoff + (uint64_t)index * elf->shentsize };

	section->name = next_word(&c);
	section->type = next_word(&c);
	section->flags = next_wide(&c);
	section->addr = next_wide(&c);
	section->offset = next_wide(&c);
	section->size = next_wide(&c);
	section->link = next_word(&c);
	section->info = next_word(&c);
	section->align = next_wide(&c);
	section->entsize = next_wide(&c);
}

/*
 * Names and values are padded to 4 bytes, or to 8 in a segment that is so aligned; the value begins
 * where the padding ends.
 */
static int search_notes(const struct elf *elf, const struct elf_segment *segment, const char *name,
			uint32_t type, const uint8_t **desc, uint32_t *len)
{
	const uint64_t pad = segment->align == 8 ? 7 : 3;
	const uint64_t namesz = strlen(name) + 1;
	const uint8_t *notes = elf__at(elf, segment->offset, segment->filesz);
	uint64_t at = 0;

	if (!notes)
		return -ENODATA;
	while (segment->filesz - at >= sizeof(Elf64_Nhdr)) {
		struct cursor c = { elf, notes + at };
		uint32_t n_namesz = next_word(&c);
		uint32_t n_descsz = next_word(&c);
		uint32_t n_type = next_word(&c);
		uint64_t value = (at + sizeof(Elf64_Nhdr) + n_namesz + pad) & ~pad;

		if (value > segment->filesz || n_descsz > segment->filesz - value)
			break;
		if (n_type == type && n_namesz == namesz && !memcmp(c.at, name, namesz)) {
			*desc = notes + value;
			*len = n_descsz;
			return 0;
		}
		at = (value + n_descsz + pad) & ~pad;
		if (at > segment->filesz)
			break;
	}
	return -ENOENT;
}

int elf__find_note(const struct elf *elf, const char *name, uint32_t type, const uint8_t **desc,
		   uint32_t *len)
{
	int result = -ENOENT;

	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf_segment segment;
		int ret;

		elf__segment(elf, i, &segment);
		if (segment.type != PT_NOTE)
			continue;
		ret = search_notes(elf, &segment, name, type, desc, len);
		if (!ret)
			return 0;
		if (ret == -ENODATA)
			result = ret;
	}
	return result;
}

bool elf__has_symbols(const struct elf *elf)
{
	struct elf_section section;

	for (uint32_t i = 0; i < elf->shnum; i++) {
		elf__section(elf, i, &section);
		if (section.type == SHT_SYMTAB)
			return section.size && elf__at(elf, section.offset, section.size);
	}
	return false;
}
