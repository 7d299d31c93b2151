// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses get the names that a symbol file gives them, and no file, however broken, does harm.
 */
#include "test.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm/symbols.h"

#define TEXT 0xffffffff81000000ull

/* --- files --- */

static char path[64];

static void write_file(const void *data, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static int make_path(void **state)
{
	int fd;

	strcpy(path, "/tmp/lkvm-symbols-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int remove_path(void **state)
{
	unlink(path);
	return 0;
}

/* A kernel in small: per-CPU variables at 0, text, data, and a page at the end of the file. */
struct elf64 {
	Elf64_Ehdr header;
	Elf64_Shdr section[6];
	Elf64_Sym symbol[12];
	char strings[256];
	char pad[0x1000 - sizeof(Elf64_Ehdr) - 6 * sizeof(Elf64_Shdr) - 12 * sizeof(Elf64_Sym) -
		 256];
};

static void add64(struct elf64 *elf, const char *name, unsigned char type, uint16_t section,
		  uint64_t value, uint64_t size)
{
	size_t used = elf->section[5].sh_size, nr = elf->section[4].sh_size / sizeof(Elf64_Sym);

	elf->symbol[nr] = (Elf64_Sym){ .st_name = (Elf64_Word)used,
				       .st_info = ELF64_ST_INFO(STB_GLOBAL, type),
				       .st_shndx = section,
				       .st_value = value,
				       .st_size = size };
	strcpy(elf->strings + used, name);
	elf->section[5].sh_size += strlen(name) + 1;
	elf->section[4].sh_size += sizeof(Elf64_Sym);
}

static struct elf64 *kernel64(void)
{
	static struct elf64 elf;
	const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

	elf = (struct elf64){
		.header = { .e_type = ET_EXEC,
			    .e_shoff = offsetof(struct elf64, section),
			    .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = 6 },
		.section = {
			[1] = { .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_WRITE,
				.sh_addr = 0, .sh_size = 0x1000 },
			[2] = { .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
				.sh_addr = TEXT, .sh_size = 0x2000 },
			[3] = { .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_WRITE,
				.sh_addr = TEXT + 0x2000, .sh_size = 0x1000 },
			[4] = { .sh_type = SHT_SYMTAB, .sh_link = 5,
				.sh_offset = offsetof(struct elf64, symbol),
				.sh_size = sizeof(Elf64_Sym), .sh_entsize = sizeof(Elf64_Sym) },
			[5] = { .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct elf64, strings),
				.sh_size = 1 },
		},
	};
	memcpy(elf.header.e_ident, ELFMAG, SELFMAG);
	elf.header.e_ident[EI_CLASS] = ELFCLASS64;
	elf.header.e_ident[EI_DATA] = little ? ELFDATA2LSB : ELFDATA2MSB;

	add64(&elf, "percpu_counter", STT_OBJECT, 1, 0x40, 8);
	add64(&elf, "text_section", STT_SECTION, 2, TEXT, 0);
	add64(&elf, "_text", STT_NOTYPE, 2, TEXT, 0);
	add64(&elf, "start_kernel", STT_FUNC, 2, TEXT + 0x100, 0x40);
	add64(&elf, "entry", STT_NOTYPE, 2, TEXT + 0x200, 0); /* assembly: no type, no size */
	add64(&elf, "panic", STT_FUNC, 2, TEXT + 0x300, 0x80);
	add64(&elf, "panic_alias", STT_NOTYPE, 2, TEXT + 0x300, 0);
	add64(&elf, "jiffies", STT_OBJECT, 3, TEXT + 0x2010, 8);
	add64(&elf, "undefined", STT_FUNC, SHN_UNDEF, TEXT + 0x180, 0);
	add64(&elf, "absolute", STT_NOTYPE, SHN_ABS, TEXT + 0x310, 0);
	return &elf;
}

static struct symbols *open_kernel64(void)
{
	struct symbols *symbols;

	write_file(kernel64(), sizeof(struct elf64));
	assert_int_equal(symbols__open(path, &symbols), 0);
	return symbols;
}

static bool is_called(const struct symbol *symbol, const char *name)
{
	return (size_t)symbol->name_len == strlen(name) &&
	       !memcmp(symbol->name, name, strlen(name));
}

static void assert_found(const struct symbols *symbols, uint64_t address, const char *name,
			 uint64_t start, uint64_t size)
{
	struct symbol symbol;

	assert_true(symbols__find(symbols, address, &symbol));
	assert_true(is_called(&symbol, name));
	assert_true(symbol.address == start);
	assert_true(symbol.size == size);
}

/* --- ELF ---------------------------------------------------------------------------------------
 */

static void an_address_has_the_name_of_what_contains_it(void **state)
{
	struct symbols *symbols = open_kernel64();

	assert_found(symbols, TEXT + 0x100, "start_kernel", TEXT + 0x100, 0x40);
	assert_found(symbols, TEXT + 0x13f, "start_kernel", TEXT + 0x100, 0x40);
	symbols__close(symbols);
}

static void behind_the_end_of_a_function_is_nothing(void **state)
{
	struct symbols *symbols = open_kernel64();
	struct symbol symbol;

	assert_false(symbols__find(symbols, TEXT + 0x140, &symbol));
	assert_false(symbols__find(symbols, TEXT + 0x1ff, &symbol));
	symbols__close(symbols);
}

static void a_symbol_without_size_reaches_to_the_next_or_to_the_section_s_end(void **state)
{
	struct symbols *symbols = open_kernel64();
	struct elf64 *elf;

	assert_found(symbols, TEXT + 0x2ff, "entry", TEXT + 0x200, 0x100);
	assert_found(symbols, TEXT + 0x80, "_text", TEXT, 0x100);
	symbols__close(symbols);

	elf = kernel64();
	add64(elf, "last", STT_NOTYPE, 2, TEXT + 0x1f00, 0);
	write_file(elf, sizeof(*elf));
	assert_int_equal(symbols__open(path, &symbols), 0);
	assert_found(symbols, TEXT + 0x1fff, "last", TEXT + 0x1f00, 0x100);
	symbols__close(symbols);
}

static void of_two_names_the_sized_one_wins(void **state)
{
	struct symbols *symbols = open_kernel64();

	assert_found(symbols, TEXT + 0x311, "panic", TEXT + 0x300, 0x80);
	symbols__close(symbols);
}

static void only_executable_sections_hold_functions(void **state)
{
	struct symbols *symbols = open_kernel64();
	struct symbol symbol;

	assert_true(symbols__find(symbols, TEXT + 0x200, &symbol));
	assert_true(symbol.function);
	assert_true(symbols__find(symbols, TEXT + 0x2010, &symbol));
	assert_true(is_called(&symbol, "jiffies"));
	assert_false(symbol.function);
	symbols__close(symbols);
}

static void addresses_outside_all_sections_have_no_name(void **state)
{
	struct symbols *symbols = open_kernel64();
	struct symbol symbol;

	assert_false(symbols__find(symbols, 0x100000, &symbol)); /* not percpu_counter+0xfffc0 */
	assert_false(symbols__find(symbols, TEXT - 1, &symbol));
	assert_false(symbols__find(symbols, TEXT + 0x3000, &symbol));
	assert_false(symbols__find(symbols, UINT64_MAX, &symbol));
	symbols__close(symbols);
}

static void a_name_has_an_address_if_it_is_defined(void **state)
{
	struct symbols *symbols = open_kernel64();
	uint64_t address = 0;

	assert_true(symbols__address(symbols, "panic", &address));
	assert_true(address == TEXT + 0x300);
	assert_true(symbols__address(symbols, "absolute", &address));
	assert_false(symbols__address(symbols, "undefined", &address));
	assert_false(symbols__address(symbols, "pani", &address));
	assert_false(symbols__address(symbols, "panics", &address));
	assert_false(symbols__address(symbols, "", &address));
	symbols__close(symbols);
}

static void thirty_two_bits_are_read_too(void **state)
{
	struct {
		Elf32_Ehdr header;
		Elf32_Shdr section[4];
		Elf32_Sym symbol[2];
		char strings[16];
	} elf = {
		.header = { .e_shoff = sizeof(Elf32_Ehdr),
			    .e_shentsize = sizeof(Elf32_Shdr),
			    .e_shnum = 4 },
		.section = {
			[1] = { .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addr = 0xc0000000,
				.sh_size = 0x100 },
			[2] = { .sh_type = SHT_SYMTAB, .sh_link = 3,
				.sh_size = 2 * sizeof(Elf32_Sym) },
			[3] = { .sh_type = SHT_STRTAB, .sh_size = 16 },
		},
		.symbol[1] = { .st_name = 1, .st_value = 0xc0000010, .st_size = 4, .st_shndx = 1,
			       .st_info = ELF32_ST_INFO(STB_LOCAL, STT_FUNC) },
		.strings = "\0start32",
	};
	struct symbols *symbols;

	elf.section[2].sh_offset = (Elf32_Off)((char *)elf.symbol - (char *)&elf);
	elf.section[3].sh_offset = (Elf32_Off)((char *)elf.strings - (char *)&elf);
	memcpy(elf.header.e_ident, kernel64()->header.e_ident, EI_NIDENT);
	elf.header.e_ident[EI_CLASS] = ELFCLASS32;
	write_file(&elf, sizeof(elf));
	assert_int_equal(symbols__open(path, &symbols), 0);
	assert_found(symbols, 0xc0000012, "start32", 0xc0000010, 4);
	symbols__close(symbols);
}

/* --- files that are not what they seem --- */

static int open_bytes(const void *data, size_t size)
{
	struct symbols *symbols = NULL;
	int ret;

	write_file(data, size);
	ret = symbols__open(path, &symbols);
	if (!ret)
		symbols__close(symbols);
	return ret;
}

static void what_is_no_symbol_file_is_refused(void **state)
{
	struct symbols *symbols;
	struct elf64 *elf = kernel64();

	assert_int_equal(symbols__open("/nonexistent/vmlinux", &symbols), -ENOENT);
	assert_int_equal(symbols__open("/tmp", &symbols), -ENOEXEC);
	assert_int_equal(open_bytes("", 0), -ENOEXEC);
	assert_int_equal(open_bytes("MZ garbage", 10), -ENOEXEC);
	assert_int_equal(open_bytes(elf, 40), -ENOEXEC); /* in the middle of the header */
	elf->header.e_ident[EI_CLASS] = 7;
	assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENOEXEC);
	elf = kernel64();
	elf->header.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
	assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENOEXEC);
	elf = kernel64();
	elf->header.e_shentsize = 3;
	assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENOEXEC);
}

static void a_stripped_file_says_so(void **state)
{
	struct elf64 *elf = kernel64();

	elf->section[4].sh_type = SHT_PROGBITS;
	assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENODATA);
	elf = kernel64();
	elf->header.e_shnum = 0;
	assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENODATA);
}

static void tables_outside_the_file_are_not_followed(void **state)
{
	static const uint64_t bad[] = { 0x1001, 1ull << 40, UINT64_MAX, UINT64_MAX - 0x10 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct elf64 *elf = kernel64();

		elf->section[4].sh_offset = bad[i];
		assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENODATA);
		elf = kernel64();
		elf->section[4].sh_size = bad[i];
		assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENODATA);
		elf = kernel64();
		elf->section[5].sh_offset = bad[i];
		assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENODATA);
		elf = kernel64();
		elf->section[5].sh_size = bad[i];
		assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENODATA);
		elf = kernel64();
		elf->header.e_shoff = bad[i];
		assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENODATA);
		elf = kernel64();
		elf->section[4].sh_link = (Elf64_Word)bad[i] | 0x100;
		assert_int_equal(open_bytes(elf, sizeof(*elf)), -ENODATA);
	}
}

static void names_outside_the_table_are_no_names(void **state)
{
	struct elf64 *elf = kernel64();
	struct symbols *symbols;
	struct symbol symbol;

	elf->symbol[4].st_name = (Elf64_Word)elf->section[5].sh_size; /* start_kernel */
	elf->symbol[6].st_name = UINT32_MAX;			      /* panic */
	elf->symbol[7].st_name =
		(Elf64_Word)elf->section[5].sh_size - 2; /* its alias: ends there */
	elf->section[5].sh_size--;			 /* … without a zero */
	write_file(elf, sizeof(*elf));
	assert_int_equal(symbols__open(path, &symbols), 0);
	assert_false(symbols__address(symbols, "start_kernel", &(uint64_t){ 0 }));
	assert_true(symbols__find(symbols, TEXT + 0x301, &symbol));
	assert_true(is_called(&symbol, "entry"));
	symbols__close(symbols);
}

static void look_everywhere(const struct symbols *symbols)
{
	struct symbol symbol;
	uint64_t address;

	for (uint64_t at = TEXT - 0x100; at < TEXT + 0x3100; at += 0x40)
		if (symbols__find(symbols, at, &symbol)) {
			assert_true(symbol.name_len > 0);
			assert_true(symbol.address <= at);
			assert_int_not_equal(symbol.name[symbol.name_len - 1], 0);
		}
	symbols__address(symbols, "no_such_symbol", &address);
}

static void every_truncation_is_survived(void **state)
{
	for (size_t size = 0; size < sizeof(struct elf64); size += size < 1024 ? 7 : 97) {
		struct symbols *symbols = NULL;

		write_file(kernel64(), size);
		if (symbols__open(path, &symbols))
			continue;
		look_everywhere(symbols);
		symbols__close(symbols);
	}
}

static void random_damage_is_survived(void **state)
{
	unsigned int opened = 0;

	for (unsigned int seed = 0; seed < 2000; seed++) {
		const size_t used = offsetof(struct elf64, pad);
		struct elf64 *elf = kernel64();
		struct symbols *symbols = NULL;

		srand(seed);
		for (int i = 0; i < 8; i++)
			((unsigned char *)elf)[(size_t)rand() % used] = (unsigned char)rand();
		write_file(elf, sizeof(*elf));
		if (symbols__open(path, &symbols))
			continue;
		opened++;
		look_everywhere(symbols);
		symbols__close(symbols);
	}
	assert_true(opened > 100);
}

/* --- System.map --- */

static const char map[] = "0000000000000000 D __per_cpu_start\n"
			  "0000000000021000 A __per_cpu_end\n"
			  "ffffffff81000000 T _text\n"
			  "ffffffff81000100 t do_one_initcall\n"
			  "ffffffff81000200 W arch_thing\t[module]\n"
			  "ffffffff81000300 D jiffies\n"
			  "ffffffff81000400 B __bss_stop\n";

static struct symbols *open_map(const char *text)
{
	struct symbols *symbols;

	write_file(text, strlen(text));
	assert_int_equal(symbols__open(path, &symbols), 0);
	return symbols;
}

static void a_system_map_names_addresses(void **state)
{
	struct symbols *symbols = open_map(map);
	struct symbol symbol;
	uint64_t address;

	assert_found(symbols, TEXT + 0x1ff, "do_one_initcall", TEXT + 0x100, 0x100);
	assert_found(symbols, TEXT + 0x200, "arch_thing", TEXT + 0x200, 0x100);
	assert_true(symbols__find(symbols, TEXT + 0x200, &symbol));
	assert_true(symbol.function);
	assert_true(symbols__find(symbols, TEXT + 0x308, &symbol));
	assert_false(symbol.function);
	assert_true(symbols__address(symbols, "jiffies", &address));
	assert_true(address == TEXT + 0x300);
	assert_false(symbols__address(symbols, "jiffie", &address));
	symbols__close(symbols);
}

static void a_wide_gap_ends_a_symbol(void **state)
{
	struct symbols *symbols = open_map(map);
	struct symbol symbol;

	assert_false(symbols__find(symbols, 0x1000000, &symbol)); /* not __per_cpu_end+… */
	assert_true(symbols__find(symbols, TEXT + 0x500, &symbol));
	assert_false(symbols__find(symbols, TEXT + (32 << 20), &symbol));
	symbols__close(symbols);
}

static void lines_that_are_none_are_skipped(void **state)
{
	struct symbols *symbols = open_map("ffffffff81000000 T _text\n"
					   "\n"
					   "garbage\n"
					   "ffffffff81000010 T\n"
					   "ffffffff81000020 T \n"
					   "fffffffff81000020 T too_many_digits_are_cut\n"
					   " ffffffff81000030 T indented\n"
					   "ffffffff81000040 T last_without_newline");
	uint64_t address;

	assert_true(symbols__address(symbols, "last_without_newline", &address));
	assert_true(address == TEXT + 0x40);
	assert_false(symbols__address(symbols, "indented", &address));
	assert_false(symbols__address(symbols, "too_many_digits_are_cut", &address));
	assert_found(symbols, TEXT + 0x30, "_text", TEXT, 0x40);
	symbols__close(symbols);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_path, remove_path)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_address_has_the_name_of_what_contains_it),
		TEST(behind_the_end_of_a_function_is_nothing),
		TEST(a_symbol_without_size_reaches_to_the_next_or_to_the_section_s_end),
		TEST(of_two_names_the_sized_one_wins),
		TEST(only_executable_sections_hold_functions),
		TEST(addresses_outside_all_sections_have_no_name),
		TEST(a_name_has_an_address_if_it_is_defined),
		TEST(thirty_two_bits_are_read_too),
		TEST(what_is_no_symbol_file_is_refused),
		TEST(a_stripped_file_says_so),
		TEST(tables_outside_the_file_are_not_followed),
		TEST(names_outside_the_table_are_no_names),
		TEST(every_truncation_is_survived),
		TEST(random_damage_is_survived),
		TEST(a_system_map_names_addresses),
		TEST(a_wide_gap_ends_a_symbol),
		TEST(lines_that_are_none_are_skipped),
	};

	return cmocka_run_group_tests_name("symbols", tests, NULL, NULL);
}
