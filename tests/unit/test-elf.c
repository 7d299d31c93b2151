// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal pr_info pr_warn */
/* ELF files of both classes and byte orders are read alike; of a malformed one, nothing beyond its
 * bytes. */
#include "boot-images.h"

#include "kvm/elf.h"

/* The size of a section header and of what precedes them: appended by add_sections(). */
#define NOTE_OFFSET 0x200

static struct elf_spec any_spec(bool is32, bool big_endian)
{
	return (struct elf_spec){
		.is32 = is32,
		.big_endian = big_endian,
		.type = ET_EXEC,
		.machine = EM_S390,
		.entry = 0x12345678,
		.nr = 2,
		.segment = {
			{ PT_LOAD, 0x1000, 0x80001000, 0x101000, 0x300, 0x400, NULL },
			{ PT_NOTE, NOTE_OFFSET, 0, 0, 0x80, 0x80, NULL },
		},
		.size = 0x1400,
	};
}

static void a_header_reads_the_same_in_each_form(void **state)
{
	for (unsigned int form = 0; form < 4; form++) {
		struct elf_spec spec = any_spec(form & 1, form & 2);
		struct bytes file = elf__make(&spec);
		struct elf_segment segment;
		struct elf elf;

		assert_int_equal(elf__init(&elf, file.data, file.size), 0);
		assert_int_equal(elf.is64, !(form & 1));
		assert_int_equal(elf.big_endian, !!(form & 2));
		assert_int_equal(elf.type, ET_EXEC);
		assert_int_equal(elf.machine, EM_S390);
		assert_int_equal(elf.entry, 0x12345678);
		assert_int_equal(elf.phnum, 2);
		elf__segment(&elf, 0, &segment);
		assert_int_equal(segment.type, PT_LOAD);
		assert_int_equal(segment.offset, 0x1000);
		assert_int_equal(segment.vaddr, 0x80001000);
		assert_int_equal(segment.paddr, 0x101000);
		assert_int_equal(segment.filesz, 0x300);
		assert_int_equal(segment.memsz, 0x400);
		assert_int_equal(segment.align, 4);
		elf__segment(&elf, 1, &segment);
		assert_int_equal(segment.type, PT_NOTE);
		assert_false(elf__has_symbols(&elf));
		bytes__free(&file);
	}
}

static void what_is_not_an_elf_is_told_from_a_bad_one(void **state)
{
	struct elf_spec spec = any_spec(false, false);
	struct bytes file = elf__make(&spec);
	struct elf elf;

	assert_int_equal(elf__init(&elf, "#!/bin/sh\nexit 0\n", 17), -ENOEXEC);
	assert_int_equal(elf__init(&elf, file.data, 0), -ENOEXEC);
	assert_int_equal(elf__init(&elf, file.data, 15), -ENOEXEC);
	assert_int_equal(elf__init(&elf, file.data, 16), -EINVAL);
	assert_int_equal(elf__init(&elf, file.data, 63), -EINVAL);
	file.data[EI_CLASS] = 3;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	file.data[EI_CLASS] = ELFCLASS64;
	file.data[EI_DATA] = 0;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	bytes__free(&file);
}

static void program_headers_must_be_in_the_file(void **state)
{
	struct elf_spec spec = any_spec(false, false);
	struct bytes file = elf__make(&spec);
	Elf64_Ehdr *header = (Elf64_Ehdr *)file.data;
	struct elf elf;

	assert_int_equal(elf__init(&elf, file.data, 64 + 2 * 56), 0);
	assert_int_equal(elf__init(&elf, file.data, 64 + 2 * 56 - 1), -EINVAL);
	header->e_phoff = UINT64_MAX - 8;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	header->e_phoff = file.size;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	header->e_phoff = 64;
	header->e_phentsize = 55;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	header->e_phentsize = 0;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	header->e_phentsize = UINT16_MAX;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	header->e_phentsize = 56;
	header->e_phnum = PN_XNUM;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	header->e_phnum = 0;
	header->e_phoff = UINT64_MAX;
	assert_int_equal(elf__init(&elf, file.data, file.size), 0);
	assert_int_equal(elf.phnum, 0);
	bytes__free(&file);

	/* Room for so many headers, but that number means that they are counted elsewhere. */
	spec.size = 64 + PN_XNUM * 56;
	file = elf__make(&spec);
	header = (Elf64_Ehdr *)file.data;
	header->e_phnum = PN_XNUM - 1;
	assert_int_equal(elf__init(&elf, file.data, file.size), 0);
	header->e_phnum = PN_XNUM;
	assert_int_equal(elf__init(&elf, file.data, file.size), -EINVAL);
	bytes__free(&file);
}

static void larger_program_headers_are_stepped_over(void **state)
{
	struct elf_spec spec = any_spec(false, false);
	struct bytes file = elf__make(&spec);
	Elf64_Ehdr *header = (Elf64_Ehdr *)file.data;
	struct elf_segment segment;
	struct elf elf;

	memmove(file.data + 64 + 72, file.data + 64 + 56, 56);
	header->e_phentsize = 72;
	assert_int_equal(elf__init(&elf, file.data, file.size), 0);
	elf__segment(&elf, 1, &segment);
	assert_int_equal(segment.type, PT_NOTE);
	assert_int_equal(segment.offset, NOTE_OFFSET);
	bytes__free(&file);
}

/* A symbol table at the end of the file; the section headers behind it. */
static struct bytes with_sections(uint16_t e_shnum, uint64_t first_size)
{
	struct elf_spec spec = any_spec(false, false);
	struct bytes file;
	Elf64_Ehdr *header;
	Elf64_Shdr *section;

	spec.size = 0x1400 + 2 * sizeof(Elf64_Shdr);
	file = elf__make(&spec);
	header = (Elf64_Ehdr *)file.data;
	section = (Elf64_Shdr *)(file.data + 0x1400);
	header->e_shoff = 0x1400;
	header->e_shentsize = sizeof(Elf64_Shdr);
	header->e_shnum = e_shnum;
	section[0].sh_size = first_size;
	section[1] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = 0x1300, .sh_size = 0x100 };
	return file;
}

static void a_symbol_table_is_found_if_all_of_it_is_there(void **state)
{
	struct bytes file = with_sections(2, 0);
	Elf64_Shdr *symtab = (Elf64_Shdr *)(file.data + 0x1400) + 1;
	struct elf elf;

	assert_int_equal(elf__init(&elf, file.data, file.size), 0);
	assert_int_equal(elf.shnum, 2);
	assert_true(elf__has_symbols(&elf));
	symtab->sh_offset = file.size - 0xff;
	assert_false(elf__has_symbols(&elf));
	symtab->sh_offset = UINT64_MAX;
	assert_false(elf__has_symbols(&elf));
	symtab->sh_offset = 0;
	symtab->sh_size = 0;
	assert_false(elf__has_symbols(&elf));
	/* One byte less, and there are no section headers; the file is good all the same. */
	assert_int_equal(elf__init(&elf, file.data, file.size - 1), 0);
	assert_int_equal(elf.shnum, 0);
	assert_false(elf__has_symbols(&elf));
	bytes__free(&file);
}

static void many_sections_are_counted_by_the_first(void **state)
{
	struct bytes file = with_sections(0, 2);
	struct elf elf;

	assert_int_equal(elf__init(&elf, file.data, file.size), 0);
	assert_int_equal(elf.shnum, 2);
	bytes__free(&file);
	file = with_sections(0, UINT64_MAX);
	assert_int_equal(elf__init(&elf, file.data, file.size), 0);
	assert_int_equal(elf.shnum, 0);
	bytes__free(&file);
}

static void a_range_is_in_the_file_or_not_at_all(void **state)
{
	struct elf_spec spec = any_spec(false, false);
	struct bytes file = elf__make(&spec);
	struct elf elf;

	assert_int_equal(elf__init(&elf, file.data, file.size), 0);
	assert_ptr_equal(elf__at(&elf, 0, file.size), file.data);
	assert_ptr_equal(elf__at(&elf, file.size - 1, 1), file.data + file.size - 1);
	assert_null(elf__at(&elf, file.size - 1, 2));
	assert_null(elf__at(&elf, file.size + 1, 0));
	assert_null(elf__at(&elf, 1, UINT64_MAX));
	bytes__free(&file);
}

static uint8_t *put_note(const struct elf_spec *spec, uint8_t *at, const char *name, uint32_t type,
			 uint32_t value)
{
	uint32_t namesz = (uint32_t)strlen(name) + 1;

	at = put(spec, at, 4, namesz);
	at = put(spec, at, 4, 4);
	at = put(spec, at, 4, type);
	memcpy(at, name, namesz);
	return put(spec, at + ((namesz + 3) & ~3u), 4, value);
}

static void a_note_is_found_by_owner_and_type(void **state)
{
	for (unsigned int form = 0; form < 4; form++) {
		struct elf_spec spec = any_spec(form & 1, form & 2);
		struct bytes file = elf__make(&spec);
		uint8_t *at = file.data + NOTE_OFFSET;
		const uint8_t *desc;
		struct elf elf;
		uint32_t len;

		at = put_note(&spec, at, "GNU", 18, 1);
		at = put_note(&spec, at, "Xen", 17, 2);
		at = put_note(&spec, at, "Xenon", 18, 3);
		at = put_note(&spec, at, "Xen", 18, 4);
		put_note(&spec, at, "Xen", 18, 5);
		assert_int_equal(elf__init(&elf, file.data, file.size), 0);
		assert_int_equal(elf__find_note(&elf, "Xen", 18, &desc, &len), 0);
		assert_int_equal(len, 4);
		assert_int_equal(elf__word(&elf, desc, 4), 4);
		assert_int_equal(elf__find_note(&elf, "Xenon", 18, &desc, &len), 0);
		assert_int_equal(elf__word(&elf, desc, 4), 3);
		assert_int_equal(elf__find_note(&elf, "Xe", 18, &desc, &len), -ENOENT);
		bytes__free(&file);
	}
}

static void notes_beyond_what_is_there_are_not_missing_but_unknown(void **state)
{
	struct elf_spec spec = any_spec(false, false);
	struct bytes file = elf__make(&spec);
	const uint8_t *desc;
	struct elf elf;
	uint32_t len;

	assert_int_equal(elf__init(&elf, file.data, NOTE_OFFSET + 0x7f), 0);
	assert_int_equal(elf__find_note(&elf, "Xen", 18, &desc, &len), -ENODATA);
	assert_int_equal(elf__init(&elf, file.data, NOTE_OFFSET + 0x80), 0);
	assert_int_equal(elf__find_note(&elf, "Xen", 18, &desc, &len), -ENOENT);
	bytes__free(&file);
}

static void hostile_note_lengths_end_the_search(void **state)
{
	static const uint32_t lengths[] = {
		0x70, 0x71, 0x80, 0x7fffffff, UINT32_MAX - 3, UINT32_MAX
	};

	for (unsigned int field = 0; field < 2; field++) {
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
			struct elf_spec spec = any_spec(false, false);
			struct bytes file = elf__make(&spec), exact;
			uint8_t *at = file.data + NOTE_OFFSET;
			const uint8_t *desc;
			struct elf elf;
			uint32_t len;

			/* Nothing behind the notes, so that a sanitizer sees the first byte too
			 * far. */
			exact = bytes__new(NOTE_OFFSET + 0x80);
			put_note(&spec, put_note(&spec, at, "GNU", 1, 1), "Xen", 18, 4);
			memcpy(at + 4 * field, &lengths[i], 4);
			memcpy(exact.data, file.data, exact.size);
			assert_int_equal(elf__init(&elf, exact.data, exact.size), 0);
			assert_int_equal(elf__find_note(&elf, "Xen", 18, &desc, &len), -ENOENT);
			bytes__free(&exact);
			bytes__free(&file);
		}
	}
}

static void a_note_whose_value_is_not_in_the_file_is_none(void **state)
{
	static const uint32_t lengths[] = { 0x70, 0x71, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct elf_spec spec = any_spec(false, false);
		struct bytes file = elf__make(&spec);
		const uint8_t *desc;
		struct elf elf;
		uint32_t len;
		int ret;

		put_note(&spec, file.data + NOTE_OFFSET, "Xen", 18, 4);
		memcpy(file.data + NOTE_OFFSET + 4, &lengths[i], 4);
		assert_int_equal(elf__init(&elf, file.data, file.size), 0);
		ret = elf__find_note(&elf, "Xen", 18, &desc, &len);
		assert_int_equal(ret, lengths[i] == 0x70 ? 0 : -ENOENT);
		bytes__free(&file);
	}
}

/* The loaders' whole use of the reader, on headers with every byte in turn turned to the worst. */
static void no_byte_of_the_header_leads_out_of_the_file(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };

	for (size_t byte = 4; byte < 64 + 2 * 56; byte++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			struct bytes file = with_sections(2, 0);
			struct elf_segment segment;
			const uint8_t *desc;
			struct elf elf;
			uint32_t len;

			file.data[byte] = values[v];
			if (!elf__init(&elf, file.data, file.size)) {
				for (uint32_t i = 0; i < elf.phnum; i++)
					elf__segment(&elf, i, &segment);
				elf__find_note(&elf, "Xen", 18, &desc, &len);
				elf__has_symbols(&elf);
				assert_true(elf.phoff <= file.size || !elf.phnum);
			}
			bytes__free(&file);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_reads_the_same_in_each_form),
		cmocka_unit_test(what_is_not_an_elf_is_told_from_a_bad_one),
		cmocka_unit_test(program_headers_must_be_in_the_file),
		cmocka_unit_test(larger_program_headers_are_stepped_over),
		cmocka_unit_test(a_symbol_table_is_found_if_all_of_it_is_there),
		cmocka_unit_test(many_sections_are_counted_by_the_first),
		cmocka_unit_test(a_range_is_in_the_file_or_not_at_all),
		cmocka_unit_test(a_note_is_found_by_owner_and_type),
		cmocka_unit_test(notes_beyond_what_is_there_are_not_missing_but_unknown),
		cmocka_unit_test(hostile_note_lengths_end_the_search),
		cmocka_unit_test(a_note_whose_value_is_not_in_the_file_is_none),
		cmocka_unit_test(no_byte_of_the_header_leads_out_of_the_file),
	};

	return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
