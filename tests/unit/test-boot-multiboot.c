// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal pr_info pr_warn */
/* A kernel with a Multiboot header is loaded as that says and told what the specification promises.
 */
#include "boot-rig.h"

#define HEADER_OFFSET 0x1004
#define LOAD_GPA      0x400000ull
#define DATA_MB	      (LOAD_GPA + 0x2000)
#define ENTRY	      (LOAD_GPA + 0x20)

/* Written out, to check the loader's layout against the specification and not against itself. */
struct mb_header {
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	uint32_t mmap_length, mmap_addr, drives[2], config_table, boot_loader_name;
};

struct mb_module {
	uint32_t start, end, string, reserved;
};

static struct mb_header mb_header(uint32_t flags)
{
	return (struct mb_header){ .magic = 0x1badb002,
				   .flags = flags,
				   .checksum = -(0x1badb002 + flags) };
}

static struct elf_spec mb_spec(void)
{
	return (struct elf_spec){
		.is32 = true,
		.type = ET_EXEC,
		.machine = EM_386,
		.entry = ENTRY,
		.nr = 2,
		.segment = {
			{ PT_LOAD, 0x3000, LOAD_GPA, LOAD_GPA, 0x2000, 0x2000, NULL },
			{ PT_LOAD, 0x5000, DATA_MB, DATA_MB, 0x800, 0x9000, NULL },
		},
		.size = 0x6000,
	};
}

static struct bytes mb_file(const struct elf_spec *spec, uint32_t flags, size_t offset)
{
	struct bytes file = elf__make(spec);
	struct mb_header header = mb_header(flags);

	memcpy(file.data + offset, &header, 12);
	return file;
}

static const struct mb_info *mb_info(const struct rig *rig)
{
	assert_int_equal(rig->entry.rax, 0x2badb002);
	assert_int_equal(rig->entry.rbx, X86_BOOT_INFO);
	return (const struct mb_info *)ram_at(rig, X86_BOOT_INFO, sizeof(struct mb_info));
}

static const char *string_at(const struct rig *rig, uint64_t gpa)
{
	return (const char *)ram_at(rig, gpa, 16);
}

static void an_elf_is_loaded_and_told_of_the_machine(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file = mb_file(&spec, 3, HEADER_OFFSET);
	const struct e820_multiboot_entry *map;
	const struct mb_info *info;
	char cmdline[128];
	struct rig rig;

	rig__init(&rig, 4 * GIB);
	rig__boot(&rig, file);
	assert_string_equal(x86_boot__format(rig.boot), "Multiboot");
	assert_prot32(&rig);
	assert_int_equal(rig.entry.rip, ENTRY);
	assert_int_equal(rig.entry.rsi, 0);
	assert_elf_loaded(&rig, &spec);

	info = mb_info(&rig);
	assert_int_equal(info->flags & 0x24d, 0x24d);
	assert_int_equal(info->flags & ~0x24du, 0);
	assert_int_equal(info->mem_lower, 639);
	assert_int_equal(info->mem_upper, (3 * GIB - TEST_ACPI - MIB) >> 10);
	assert_int_equal(info->mods_count, 0);
	assert_string_equal(string_at(&rig, info->boot_loader_name), "lkvm");
	/* The first word is the program's name. */
	snprintf(cmdline, sizeof(cmdline), "%s %s", rig.kernel.path, TEST_PARAM);
	assert_int_equal(info->cmdline, X86_CMDLINE);
	assert_cmdline(&rig, cmdline);
	assert_int_equal(info->mmap_length, rig.map.nr * 24);
	map = (const void *)ram_at(&rig, info->mmap_addr, info->mmap_length);
	for (unsigned int i = 0; i < rig.map.nr; i++)
		assert_true(map[i].entry_size == 20 && map[i].base == rig.map.entry[i].base &&
			    map[i].size == rig.map.entry[i].size &&
			    map[i].type == rig.map.entry[i].type);

	/* After a reset: the same. */
	memset(guest_memory__at(&rig.ram, LOAD_GPA, 0xb000), 0xcc, 0xb000);
	memset(guest_memory__at(&rig.ram, X86_BOOT_INFO, 0x20000), 0xcc, 0x20000);
	assert_int_equal(rig__load(&rig), 0);
	assert_elf_loaded(&rig, &spec);
	assert_cmdline(&rig, cmdline);
	rig__free(&rig);
	bytes__free(&file);
}

static void without_parameters_the_command_line_is_the_name(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file = mb_file(&spec, 0, HEADER_OFFSET);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig.cmdline = "";
	rig__boot(&rig, file);
	assert_cmdline(&rig, rig.kernel.path);
	rig__free(&rig);
	bytes__free(&file);
}

static void the_initrd_is_a_module_on_a_page_boundary(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file = mb_file(&spec, 1, HEADER_OFFSET), initrd = bytes__text(5000);
	const struct mb_module *module;
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__set_initrd(&rig, initrd.data, initrd.size);
	rig__boot(&rig, file);
	assert_int_equal(mb_info(&rig)->mods_count, 1);
	module = (const void *)ram_at(&rig, mb_info(&rig)->mods_addr, sizeof(*module));
	assert_int_equal(module->start & 0xfff, 0);
	assert_int_equal(module->end - module->start, initrd.size);
	assert_memory_equal(ram_at(&rig, module->start, initrd.size), initrd.data, initrd.size);
	assert_string_equal(string_at(&rig, module->string), rig.initrd.path);
	rig__free(&rig);
	bytes__free(&initrd);
	bytes__free(&file);
}

static void a_64_bit_elf_is_loaded_too(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file;
	struct rig rig;

	spec.is32 = false;
	spec.machine = EM_X86_64;
	file = mb_file(&spec, 0, HEADER_OFFSET);
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	assert_string_equal(x86_boot__format(rig.boot), "Multiboot");
	assert_prot32(&rig);
	rig__free(&rig);
	bytes__free(&file);
}

static void a_compressed_elf_is_loaded_too(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file = mb_file(&spec, 0, HEADER_OFFSET);
	struct bytes packed = pack(COMPRESSION_GZIP, file.data, file.size);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, packed);
	assert_string_equal(x86_boot__format(rig.boot), "Multiboot");
	assert_elf_loaded(&rig, &spec);
	rig__free(&rig);
	bytes__free(&packed);
	bytes__free(&file);
}

/* kvm-unit-tests has a test that is linked to 16 KiB. */
static void a_kernel_may_be_below_1_mib(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file;
	struct rig rig;

	spec.segment[0].paddr = 0x4000;
	spec.segment[1].paddr = 0x6000;
	spec.entry = 0x4000;
	file = mb_file(&spec, 0, HEADER_OFFSET);
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	assert_elf_loaded(&rig, &spec);
	rig__free(&rig);
	bytes__free(&file);
}

static void a_kernel_on_the_information_is_refused(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file;
	struct rig rig;

	spec.segment[1].paddr = 0x18000;
	file = mb_file(&spec, 0, HEADER_OFFSET);
	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, file, -EINVAL, "boot protocol's own");
	rig__free(&rig);
	bytes__free(&file);
}

static const char *format_of(struct bytes file)
{
	const char *format = NULL;
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	if (!rig__open(&rig, file))
		format = x86_boot__format(rig.boot);
	rig__free(&rig);
	return format;
}

static void a_header_counts_only_where_and_as_it_should_be(void **state)
{
	static const struct {
		size_t offset;
		const char *format;
	} cases[] = { { 8192 - 12, "Multiboot" },
		      { 8192 - 8, "ELF" },
		      { 8192, "ELF" },
		      { 0x1006, "ELF" },
		      { 0x1004, "Multiboot" } };
	struct elf_spec spec = mb_spec();
	struct bytes file;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		file = mb_file(&spec, 0, cases[i].offset);
		assert_string_equal(format_of(file), cases[i].format);
		bytes__free(&file);
	}
	file = mb_file(&spec, 0, HEADER_OFFSET);
	file.data[HEADER_OFFSET + 8]++; /* checksum */
	assert_string_equal(format_of(file), "ELF");
	bytes__free(&file);
}

static void boot_elf_takes_the_elf_by_its_entry(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file = mb_file(&spec, 0, HEADER_OFFSET);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_ELF;
	rig__boot(&rig, file);
	assert_string_equal(x86_boot__format(rig.boot), "ELF");
	rig__free(&rig);
	bytes__free(&file);
}

static void demands_that_are_not_known_are_refused(void **state)
{
	static const uint32_t flags[] = { 4, 8, 0x8000 };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct elf_spec spec = mb_spec();
		struct bytes file = mb_file(&spec, flags[i], HEADER_OFFSET);
		struct rig rig;

		rig__init(&rig, 64 * MIB);
		rig__refused(&rig, file, -EINVAL, "Multiboot header needs");
		rig__free(&rig);
		bytes__free(&file);
	}
}

static void wishes_that_are_not_known_are_ignored(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file = mb_file(&spec, 0xfffe0000, HEADER_OFFSET);

	assert_string_equal(format_of(file), "Multiboot");
	bytes__free(&file);
}

static void an_entry_point_outside_is_refused(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file;
	struct rig rig;

	spec.entry = LOAD_GPA - 1;
	file = mb_file(&spec, 0, HEADER_OFFSET);
	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, file, -EINVAL, "entry point");
	rig__free(&rig);
	bytes__free(&file);
}

static void the_command_line_ends_where_its_place_does(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file = mb_file(&spec, 0, HEADER_OFFSET),
		     cmdline = bytes__new(X86_CMDLINE_MAX + 1);
	struct rig rig;
	size_t max;

	memset(cmdline.data, 'x', X86_CMDLINE_MAX);
	rig__init(&rig, 64 * MIB);
	rig.cmdline = (const char *)cmdline.data;
	assert_int_equal(rig__open(&rig, file), -E2BIG);
	max = X86_CMDLINE_MAX - strlen(rig.kernel.path) - 2;
	rig__free(&rig);

	cmdline.data[max + 1] = 0;
	rig__init(&rig, 64 * MIB);
	rig.cmdline = (const char *)cmdline.data;
	rig__refused(&rig, file, -E2BIG, "--params");
	rig__free(&rig);

	cmdline.data[max] = 0;
	rig__init(&rig, 64 * MIB);
	rig.cmdline = (const char *)cmdline.data;
	rig__boot(&rig, file);
	assert_int_equal(strlen((const char *)ram_at(&rig, X86_CMDLINE, X86_CMDLINE_MAX)),
			 X86_CMDLINE_MAX - 1);
	rig__free(&rig);
	bytes__free(&cmdline);
	bytes__free(&file);
}

/* --- address fields ------------------------------------------------------------------------------
 */

#define RAW_OFFSET 0x100
#define RAW_SIZE   0x5000

/* No ELF: text from offset 0x80 on, the header in it. */
static struct mb_header raw_header(void)
{
	struct mb_header header = mb_header(0x10000);

	header.load_addr = 0x200000;
	header.header_addr = 0x200000 + RAW_OFFSET - 0x80;
	header.load_end_addr = 0x200000 + 0x4000;
	header.bss_end_addr = 0x200000 + 0x8000;
	header.entry_addr = 0x200000 + 0x1234;
	return header;
}

static struct bytes raw_file(const struct mb_header *header)
{
	struct bytes file = bytes__new(RAW_SIZE);

	for (size_t i = 0; i < RAW_SIZE; i++)
		file.data[i] = elf_byte(i);
	memcpy(file.data + RAW_OFFSET, header, sizeof(*header));
	return file;
}

static void the_address_fields_replace_an_elf(void **state)
{
	struct mb_header header = raw_header();
	struct bytes file = raw_file(&header);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	assert_int_equal(rig.entry.rip, header.entry_addr);
	assert_memory_equal(ram_at(&rig, 0x200000, 0x4000), file.data + 0x80, 0x4000);
	assert_zero(&rig, 0x204000, 0x4000);
	rig__free(&rig);
	bytes__free(&file);
}

static void address_fields_of_0_mean_the_whole_file_and_no_bss(void **state)
{
	struct mb_header header = raw_header();
	struct bytes file;
	struct rig rig;

	header.load_end_addr = header.bss_end_addr = 0;
	file = raw_file(&header);
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	assert_memory_equal(ram_at(&rig, 0x200000, RAW_SIZE - 0x80), file.data + 0x80,
			    RAW_SIZE - 0x80);
	assert_zero(&rig, 0x200000 + RAW_SIZE - 0x80, MIB);
	rig__free(&rig);
	bytes__free(&file);
}

static void hostile_address_fields_are_refused(void **state)
{
	static const struct {
		size_t field;
		uint32_t value;
		int err;
		const char *words;
	} cases[] = {
		{ offsetof(struct mb_header, header_addr), 0x1fffff, -EINVAL, "malformed" },
		{ offsetof(struct mb_header, header_addr), 0, -EINVAL, "malformed" },
		{ offsetof(struct mb_header, header_addr), UINT32_MAX, -EINVAL, "malformed" },
		{ offsetof(struct mb_header, load_addr), 0, -EINVAL, "malformed" },
		{ offsetof(struct mb_header, load_addr), UINT32_MAX, -EINVAL, "malformed" },
		{ offsetof(struct mb_header, load_end_addr), 0x200000, -EINVAL, "load_end_addr" },
		{ offsetof(struct mb_header, load_end_addr), 1, -EINVAL, "load_end_addr" },
		{ offsetof(struct mb_header, load_end_addr), 0x200000 + RAW_SIZE, -EINVAL,
		  "load_end_addr" },
		{ offsetof(struct mb_header, load_end_addr), UINT32_MAX, -EINVAL, "load_end_addr" },
		{ offsetof(struct mb_header, bss_end_addr), 0x203fff, -EINVAL, "bss_end_addr" },
		{ offsetof(struct mb_header, bss_end_addr), 1, -EINVAL, "bss_end_addr" },
		{ offsetof(struct mb_header, bss_end_addr), UINT32_MAX, -ENOSPC, "--mem" },
		{ offsetof(struct mb_header, entry_addr), 0, -EINVAL, "entry point" },
		{ offsetof(struct mb_header, entry_addr), 0x204000, -EINVAL, "entry point" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mb_header header = raw_header();
		struct bytes file;
		struct rig rig;

		memcpy((char *)&header + cases[i].field, &cases[i].value, 4);
		file = raw_file(&header);
		rig__init(&rig, 64 * MIB);
		rig__refused(&rig, file, cases[i].err, cases[i].words);
		rig__free(&rig);
		bytes__free(&file);
	}
}

static void a_compressed_file_that_is_no_elf_is_refused(void **state)
{
	struct mb_header header = raw_header();
	struct bytes file = raw_file(&header);
	struct bytes packed = pack(COMPRESSION_GZIP, file.data, file.size);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, packed, -EINVAL, "unpack it beforehand");
	rig__free(&rig);
	bytes__free(&packed);
	bytes__free(&file);
}

static void no_elf_and_no_address_fields_is_no_kernel(void **state)
{
	struct mb_header header = mb_header(0);
	struct bytes file = raw_file(&header);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, file, -ENOEXEC, "not a kernel");
	rig__free(&rig);
	bytes__free(&file);
}

static void every_page_written_is_reported(void **state)
{
	struct elf_spec spec = mb_spec();
	struct bytes file = mb_file(&spec, 0, HEADER_OFFSET);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__set_initrd(&rig, "initrd", 6);
	assert_all_writes_reported(&rig, file);
	rig__free(&rig);
	bytes__free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_elf_is_loaded_and_told_of_the_machine),
		cmocka_unit_test(without_parameters_the_command_line_is_the_name),
		cmocka_unit_test(the_initrd_is_a_module_on_a_page_boundary),
		cmocka_unit_test(a_64_bit_elf_is_loaded_too),
		cmocka_unit_test(a_compressed_elf_is_loaded_too),
		cmocka_unit_test(a_kernel_may_be_below_1_mib),
		cmocka_unit_test(a_kernel_on_the_information_is_refused),
		cmocka_unit_test(a_header_counts_only_where_and_as_it_should_be),
		cmocka_unit_test(boot_elf_takes_the_elf_by_its_entry),
		cmocka_unit_test(demands_that_are_not_known_are_refused),
		cmocka_unit_test(wishes_that_are_not_known_are_ignored),
		cmocka_unit_test(an_entry_point_outside_is_refused),
		cmocka_unit_test(the_command_line_ends_where_its_place_does),
		cmocka_unit_test(the_address_fields_replace_an_elf),
		cmocka_unit_test(address_fields_of_0_mean_the_whole_file_and_no_bss),
		cmocka_unit_test(hostile_address_fields_are_refused),
		cmocka_unit_test(a_compressed_file_that_is_no_elf_is_refused),
		cmocka_unit_test(no_elf_and_no_address_fields_is_no_kernel),
		cmocka_unit_test(every_page_written_is_reported),
	};

	return cmocka_run_group_tests_name("boot-multiboot", tests, NULL, NULL);
}
