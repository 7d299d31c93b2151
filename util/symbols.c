// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names for a guest's addresses, out of an ELF file's symbol table or a System.map.
 *
 * Theory of operation: an address belongs to the section that contains it, and there to the symbol
 * that starts nearest below it. Comparing within one section only keeps per-CPU symbols, which
 * kernels link at address 0, away from everything else. A System.map has no sections, so there a
 * gap of more than TEXT_GAP ends a symbol.
 *
 * The file may be anything: every offset is checked against the mapping before it is followed.
 */
#include "kvm/symbols.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "kvm/sys.h"

#define TEXT_GAP (16ull << 20)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif

struct symbols {
	const uint8_t *map;
	uint64_t size;
	bool text; /* a System.map; the rest is of no use then */
	bool elf64;
	uint64_t sections; /* offset of the section headers */
	unsigned int nr_sections;
	uint64_t table; /* offset of the symbol table */
	uint64_t nr;
	uint64_t strings; /* offset of its names */
	uint64_t strings_size;
};

/* ELF structures of either width, as far as they matter here. */
struct section {
	uint32_t type, link;
	uint64_t flags, address, offset, size;
};

struct entry {
	uint32_t name;
	unsigned char type;
	uint16_t section;
	uint64_t value, size;
};

static bool copy_out(const struct symbols *s, uint64_t offset, void *to, uint64_t len)
{
	if (offset > s->size || len > s->size - offset)
		return false;
	memcpy(to, s->map + offset, len);
	return true;
}

static bool read_section(const struct symbols *s, unsigned int index, struct section *out)
{
	Elf64_Shdr h64;
	Elf32_Shdr h32;

	if (index >= s->nr_sections)
		return false;
	if (s->elf64) {
		if (!copy_out(s, s->sections + index * sizeof(h64), &h64, sizeof(h64)))
			return false;
		*out = (struct section){ h64.sh_type, h64.sh_link,   h64.sh_flags,
					 h64.sh_addr, h64.sh_offset, h64.sh_size };
		return true;
	}
	if (!copy_out(s, s->sections + index * sizeof(h32), &h32, sizeof(h32)))
		return false;
	*out = (struct section){ h32.sh_type, h32.sh_link,   h32.sh_flags,
				 h32.sh_addr, h32.sh_offset, h32.sh_size };
	return true;
}

/* @index is below @nr, so the entry is inside the file (find_table()). */
static void read_entry(const struct symbols *s, uint64_t index, struct entry *out)
{
	Elf64_Sym s64 = { 0 };
	Elf32_Sym s32 = { 0 };

	if (s->elf64) {
		copy_out(s, s->table + index * sizeof(s64), &s64, sizeof(s64));
		*out = (struct entry){ s64.st_name, ELF64_ST_TYPE(s64.st_info), s64.st_shndx,
				       s64.st_value, s64.st_size };
	} else {
		copy_out(s, s->table + index * sizeof(s32), &s32, sizeof(s32));
		*out = (struct entry){ s32.st_name, ELF32_ST_TYPE(s32.st_info), s32.st_shndx,
				       s32.st_value, s32.st_size };
	}
}

static int find_table(struct symbols *s)
{
	const uint64_t entry_size = s->elf64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	struct section symtab, strtab;

	for (unsigned int i = 0; i < s->nr_sections; i++) {
		if (!read_section(s, i, &symtab) || symtab.type != SHT_SYMTAB)
			continue;
		if (!read_section(s, symtab.link, &strtab) || strtab.type != SHT_STRTAB ||
		    symtab.offset > s->size || symtab.size > s->size - symtab.offset ||
		    strtab.offset > s->size || strtab.size > s->size - strtab.offset)
			continue;
		s->table = symtab.offset;
		s->nr = symtab.size / entry_size;
		s->strings = strtab.offset;
		s->strings_size = strtab.size;
		return 0;
	}
	return -ENODATA;
}

static int parse_elf(struct symbols *s)
{
	Elf64_Ehdr h64;
	Elf32_Ehdr h32;

	if (s->map[EI_DATA] != NATIVE_DATA)
		return -ENOEXEC;
	if (s->map[EI_CLASS] == ELFCLASS64) {
		s->elf64 = true;
		if (!copy_out(s, 0, &h64, sizeof(h64)) ||
		    (h64.e_shnum && h64.e_shentsize != sizeof(Elf64_Shdr)))
			return -ENOEXEC;
		s->sections = h64.e_shoff;
		s->nr_sections = h64.e_shnum;
	} else {
		if (s->map[EI_CLASS] != ELFCLASS32 || !copy_out(s, 0, &h32, sizeof(h32)) ||
		    (h32.e_shnum && h32.e_shentsize != sizeof(Elf32_Shdr)))
			return -ENOEXEC;
		s->sections = h32.e_shoff;
		s->nr_sections = h32.e_shnum;
	}
	if (s->sections > s->size)
		return -ENODATA;
	return find_table(s);
}

/* --- System.map --- */

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool name_char(uint8_t c)
{
	return c > ' ' && c < 0x7f;
}

/* "ffffffff81000000 T _text\n" at @*offset, which moves to the next line whatever this one holds.
 */
static bool next_line(const struct symbols *s, uint64_t *offset, struct symbol *out)
{
	uint64_t start = *offset, at = start, end, digits = 0;
	const uint8_t *newline = memchr(s->map + start, '\n', s->size - start);

	end = newline ? (uint64_t)(newline - s->map) : s->size;
	*offset = newline ? end + 1 : end;

	out->address = 0;
	while (at < end && hex_digit(s->map[at]) >= 0 && digits < 16) {
		out->address = out->address << 4 | (uint64_t)hex_digit(s->map[at++]);
		digits++;
	}
	if (!digits || end - at < 4 || s->map[at] != ' ' || s->map[at + 2] != ' ')
		return false;
	out->function = strchr("tTwW", s->map[at + 1]) != NULL;
	out->name = (const char *)s->map + at + 3;
	out->name_len = 0;
	out->size = 0;
	for (at += 3; at < end && name_char(s->map[at]) && out->name_len < 512; at++)
		out->name_len++;
	return out->name_len > 0;
}

static bool find_in_text(const struct symbols *s, uint64_t address, struct symbol *out)
{
	uint64_t offset = 0, next = UINT64_MAX;
	struct symbol line;
	bool found = false;

	while (offset < s->size) {
		if (!next_line(s, &offset, &line))
			continue;
		if (line.address > address) {
			if (line.address < next)
				next = line.address;
		} else if (!found || line.address > out->address) {
			*out = line;
			found = true;
		}
	}
	if (!found)
		return false;
	if (next == UINT64_MAX) /* the last one: it has no end */
		return address - out->address < TEXT_GAP;
	out->size = next - out->address;
	return out->size <= TEXT_GAP;
}

/* --- looking up --- */

static bool section_of(const struct symbols *s, uint64_t address, unsigned int *index,
		       struct section *out)
{
	for (unsigned int i = 1; i < s->nr_sections; i++) {
		if (!read_section(s, i, out))
			return false;
		if (out->flags & SHF_ALLOC && address >= out->address &&
		    address - out->address < out->size) {
			*index = i;
			return true;
		}
	}
	return false;
}

static bool name_of(const struct symbols *s, const struct entry *e, struct symbol *out)
{
	uint64_t room;
	const uint8_t *name, *end;

	if (e->name >= s->strings_size)
		return false;
	room = s->strings_size - e->name;
	name = s->map + s->strings + e->name;
	end = memchr(name, 0, room < 512 ? room : 512);
	if (!end || end == name)
		return false;
	out->name = (const char *)name;
	out->name_len = (int)(end - name);
	return true;
}

static bool is_place(const struct entry *e)
{
	return e->type == STT_NOTYPE || e->type == STT_OBJECT || e->type == STT_FUNC;
}

static bool find_in_elf(const struct symbols *s, uint64_t address, struct symbol *out)
{
	struct section section;
	struct entry e, best = { 0 };
	unsigned int index;
	uint64_t next;
	bool found = false;

	if (!section_of(s, address, &index, &section))
		return false;
	next = section.address + section.size;
	for (uint64_t i = 0; i < s->nr; i++) {
		read_entry(s, i, &e);
		if (e.section != index || !is_place(&e))
			continue;
		if (e.value > address) {
			if (e.value < next)
				next = e.value;
			continue;
		}
		/* Of several at one place, the one that has a size is the function or object. */
		if (found && (e.value < best.value || (e.value == best.value && !e.size)))
			continue;
		if (!name_of(s, &e, out))
			continue;
		best = e;
		found = true;
	}
	if (!found || (best.size && address - best.value >= best.size))
		return false;
	out->address = best.value;
	out->size = best.size ? best.size : next - best.value;
	out->function = section.flags & SHF_EXECINSTR;
	return true;
}

bool symbols__find(const struct symbols *symbols, uint64_t address, struct symbol *out)
{
	return symbols->text ? find_in_text(symbols, address, out)
			     : find_in_elf(symbols, address, out);
}

static bool is_named(const struct symbol *symbol, const char *name)
{
	return strlen(name) == (size_t)symbol->name_len &&
	       !memcmp(symbol->name, name, (size_t)symbol->name_len);
}

bool symbols__address(const struct symbols *symbols, const char *name, uint64_t *address)
{
	struct symbol symbol;
	struct entry e;

	for (uint64_t offset = 0; symbols->text && offset < symbols->size;) {
		if (next_line(symbols, &offset, &symbol) && is_named(&symbol, name)) {
			*address = symbol.address;
			return true;
		}
	}
	for (uint64_t i = 0; i < symbols->nr; i++) {
		read_entry(symbols, i, &e);
		if (e.section && is_place(&e) && name_of(symbols, &e, &symbol) &&
		    is_named(&symbol, name)) {
			*address = e.value;
			return true;
		}
	}
	return false;
}

/* --- opening --- */

static int parse(struct symbols *s)
{
	struct symbol line;
	uint64_t offset = 0;

	if (s->size >= EI_NIDENT && !memcmp(s->map, ELFMAG, SELFMAG))
		return parse_elf(s);
	s->text = true;
	return next_line(s, &offset, &line) ? 0 : -ENOEXEC;
}

static int map_file(struct symbols *s, const char *path)
{
	struct stat st;
	void *map;
	int ret, fd = sys__open(path, O_RDONLY);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		ret = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		ret = -ENOEXEC;
	else
		ret = sys__mmap((size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0, &map);
	sys__close(fd);
	if (ret)
		return ret;
	s->map = map;
	s->size = (uint64_t)st.st_size;
	return 0;
}

int symbols__open(const char *path, struct symbols **out)
{
	struct symbols *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	ret = map_file(s, path);
	if (!ret)
		ret = parse(s);
	if (ret) {
		symbols__close(s);
		return ret;
	}
	*out = s;
	return 0;
}

void symbols__close(struct symbols *symbols)
{
	if (!symbols)
		return;
	sys__munmap((void *)(uintptr_t)symbols->map, (size_t)symbols->size);
	free(symbols);
}
