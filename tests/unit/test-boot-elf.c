// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal pr_info pr_warn decompress__supported */
/* An ELF kernel, plain or compressed, is entered as Linux is; what is no kernel for this machine is
 * refused. */
#include "boot-rig.h"

static enum compression missing_library;

bool __real_decompress__supported(enum compression type);
bool __wrap_decompress__supported(enum compression type);
bool __wrap_decompress__supported(enum compression type)
{
	return type != missing_library && __real_decompress__supported(type);
}

static const enum compression all[] = {
	COMPRESSION_GZIP, COMPRESSION_BZIP2, COMPRESSION_XZ,	    COMPRESSION_LZMA,
	COMPRESSION_LZO,  COMPRESSION_LZ4,   COMPRESSION_LZ4_FRAME, COMPRESSION_ZSTD,
};

static enum compression any_type(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (__real_decompress__supported(all[i]))
			return all[i];
	return all[0];
}

static struct bytes make_packed(enum compression type, const struct elf_spec *spec)
{
	struct bytes file = elf__make(spec), packed = pack(type, file.data, file.size);

	bytes__free(&file);
	return packed;
}

static struct elf_spec vmlinux32_spec(void)
{
	struct elf_spec spec = vmlinux_spec();

	spec.is32 = true;
	spec.machine = EM_386;
	for (unsigned int i = 0; i < spec.nr; i++)
		spec.segment[i].vaddr = 0xc0000000 + spec.segment[i].paddr;
	return spec;
}

/* --- good ones -----------------------------------------------------------------------------------
 */

static void boots_as_linux64(const struct elf_spec *spec, struct bytes file)
{
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	assert_string_equal(x86_boot__format(rig.boot), "ELF");
	assert_long64(&rig);
	assert_int_equal(rig.entry.rip, spec->entry);
	assert_elf_loaded(&rig, spec);
	assert_nothing_else(&rig, spec);
	assert_zero_page(&rig);
	assert_int_equal(zero_page(&rig)->acpi_rsdp_addr, TEST_RSDP);

	/* And again after the guest has used it all. */
	memset(guest_memory__at(&rig.ram, KERNEL_GPA - MIB, 8 * MIB), 0xcc, 8 * MIB);
	assert_int_equal(rig__load(&rig), 0);
	assert_elf_loaded(&rig, spec);
	rig__free(&rig);
}

static void a_vmlinux_is_entered_in_64_bits(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file = elf__make(&spec);

	boots_as_linux64(&spec, file);
	bytes__free(&file);
}

static void a_compressed_vmlinux_is_the_same(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file = make_packed(*(const enum compression *)*state, &spec);

	boots_as_linux64(&spec, file);
	bytes__free(&file);
}

static void what_follows_the_segments_is_not_even_unpacked(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file;

	/* Debugging information of more than the guest's RAM. */
	spec.size = 80 * MIB;
	file = make_packed(any_type(), &spec);
	boots_as_linux64(&spec, file);
	bytes__free(&file);
}

static void a_vmlinux_of_32_bits_is_entered_in_32_bits(void **state)
{
	struct elf_spec spec = vmlinux32_spec();
	struct bytes file = elf__make(&spec);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	assert_prot32(&rig);
	assert_int_equal(rig.entry.rip, spec.entry);
	assert_elf_loaded(&rig, &spec);
	assert_zero_page(&rig);
	rig__free(&rig);
	bytes__free(&file);
}

static void the_initrd_of_a_32_bit_kernel_is_within_its_reach(void **state)
{
	static const struct {
		bool is32;
		uint64_t expected;
	} cases[] = { { true, 0x38000000 - 4096 }, { false, 2 * GIB - TEST_ACPI - 4096 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct elf_spec spec = cases[i].is32 ? vmlinux32_spec() : vmlinux_spec();
		struct bytes file = elf__make(&spec);
		struct rig rig;

		rig__init(&rig, 2 * GIB);
		rig__set_initrd(&rig, "initrd", 6);
		rig__boot(&rig, file);
		assert_int_equal(zero_page(&rig)->hdr.ramdisk_image, cases[i].expected);
		assert_int_equal(zero_page(&rig)->hdr.ramdisk_size, 6);
		assert_memory_equal(ram_at(&rig, cases[i].expected, 6), "initrd", 6);
		rig__free(&rig);
		bytes__free(&file);
	}
}

static void only_a_file_with_symbols_is_offered_for_them(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file = elf__make(&spec), packed;
	Elf64_Ehdr *header = (Elf64_Ehdr *)file.data;
	Elf64_Shdr *section = (Elf64_Shdr *)(file.data + 0x58000);
	const struct file *symbols;
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	assert_null(x86_boot__symbols(rig.boot));
	rig__free(&rig);

	header->e_shoff = 0x58000;
	header->e_shentsize = sizeof(*section);
	header->e_shnum = 1;
	*section = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = 0x59000, .sh_size = 24 };
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	symbols = x86_boot__symbols(rig.boot);
	assert_non_null(symbols);
	assert_int_equal(symbols->size, file.size);
	assert_memory_equal(symbols->data, file.data, file.size);
	rig__free(&rig);

	packed = pack(any_type(), file.data, file.size);
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, packed);
	assert_null(x86_boot__symbols(rig.boot));
	rig__free(&rig);
	bytes__free(&packed);
	bytes__free(&file);
}

static void a_segment_that_ends_with_ram_fits(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	const uint64_t end = 64 * MIB - TEST_ACPI;
	struct bytes file;
	struct rig rig;

	spec.segment[2].memsz = end - spec.segment[2].paddr;
	file = elf__make(&spec);
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	assert_elf_loaded(&rig, &spec);
	rig__free(&rig);
	bytes__free(&file);
}

/* --- bad ones ------------------------------------------------------------------------------------
 */

static void refused(const struct elf_spec *spec, int err, const char *words)
{
	struct bytes file = elf__make(spec);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, file, err, words);
	assert_said("Unable to open kernel");
	assert_said(rig.kernel.path);
	rig__free(&rig);
	bytes__free(&file);
}

#define assert_spec_refused(change, err, words)        \
	do {                                           \
		struct elf_spec spec = vmlinux_spec(); \
                                                       \
		change;                                \
		refused(&spec, err, words);            \
	} while (0)

static void an_elf_for_another_machine_is_named(void **state)
{
	assert_spec_refused(spec.machine = EM_AARCH64, -ENOEXEC, "arm64");
	assert_spec_refused(spec.machine = EM_S390, -ENOEXEC, "s390");
	assert_spec_refused((spec.machine = EM_PPC64, spec.big_endian = true), -ENOEXEC, "powerpc");
	assert_spec_refused(spec.machine = 0x7777, -ENOEXEC, "another machine");
}

static void an_elf_that_no_x86_kernel_can_be_is_refused(void **state)
{
	assert_spec_refused(spec.big_endian = true, -ENOEXEC, "big-endian");
	assert_spec_refused(spec.is32 = true, -ENOEXEC, "32-bit"); /* x32 */
	assert_spec_refused(spec.machine = EM_386, -ENOEXEC, "64-bit");
	assert_spec_refused(spec.type = ET_REL, -ENOEXEC, "executable");
	assert_spec_refused(spec.type = ET_CORE, -ENOEXEC, "executable");
	assert_spec_refused(spec.segment[1].type = PT_INTERP, -ENOEXEC, "user program");
}

static void a_malformed_elf_is_refused(void **state)
{
	assert_spec_refused(spec.nr = 0, -EINVAL, "nothing to load");
	assert_spec_refused(spec.segment[1].filesz = 0x8001, -EINVAL, "malformed");
	assert_spec_refused((spec.segment[1].memsz = 0, spec.segment[1].filesz = 1), -EINVAL,
			    "malformed");
	assert_spec_refused(spec.segment[1].paddr = UINT64_MAX - 0x1000, -EINVAL, "malformed");
	assert_spec_refused(spec.segment[2].memsz = UINT64_MAX, -EINVAL, "malformed");
	assert_spec_refused(spec.segment[0].offset = UINT64_MAX, -EINVAL, "truncated");
	assert_spec_refused(spec.segment[0].offset = 0x60000 - 0x30000 + 1, -EINVAL, "truncated");
	assert_spec_refused(spec.entry = KERNEL_GPA - 1, -EINVAL, "entry point");
	assert_spec_refused(spec.entry = KERNEL_GPA + 0x30000, -EINVAL, "entry point");
	assert_spec_refused(spec.entry = KERNEL_GPA + 0x48000 + 0x6000, -EINVAL, "entry point");
	assert_spec_refused(spec.segment[1].paddr = KERNEL_GPA + 0x2ffff, -EINVAL, "overlap");
	assert_spec_refused(spec.segment[2].paddr = KERNEL_GPA, -EINVAL, "overlap");
}

static void too_many_segments_are_refused(void **state)
{
	enum { NR = X86_MAX_SEGMENTS + 1 };
	struct bytes file = bytes__new(64 + NR * sizeof(Elf64_Phdr) + 4096);
	Elf64_Ehdr *header = (Elf64_Ehdr *)file.data;
	Elf64_Phdr *segment = (Elf64_Phdr *)(header + 1);
	struct rig rig;

	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_type = ET_EXEC;
	header->e_machine = EM_X86_64;
	header->e_entry = KERNEL_GPA;
	header->e_phoff = sizeof(*header);
	header->e_phentsize = sizeof(*segment);
	header->e_phnum = NR;
	for (unsigned int i = 0; i < NR; i++)
		segment[i] = (Elf64_Phdr){ .p_type = PT_LOAD,
					   .p_offset = 4096,
					   .p_filesz = 64,
					   .p_memsz = 64,
					   .p_paddr = KERNEL_GPA + i * 4096 };
	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, file, -EINVAL, "more than 64 segments");
	rig__free(&rig);
	header->e_phnum = NR - 1;
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, file);
	rig__free(&rig);
	bytes__free(&file);
}

static void segments_outside_ram_are_refused(void **state)
{
	assert_spec_refused(spec.segment[2].paddr = 64 * MIB - 0x1000, -ENOSPC, "--mem");
	assert_spec_refused(spec.segment[2].paddr = 64 * MIB - TEST_ACPI - 0x1000, -ENOSPC,
			    "--mem");
	assert_spec_refused(spec.segment[2].paddr = 0xc0000000, -ENOSPC, "--mem");
	assert_spec_refused(spec.segment[2].paddr = 4 * GIB, -ENOSPC, "--mem");
	assert_spec_refused(spec.segment[2].memsz = 1ull << 40, -ENOSPC, "--mem");
	assert_spec_refused(spec.segment[2].paddr = 0xa0000, -ENOSPC, "--mem");
	assert_spec_refused(spec.segment[2].paddr = 0x90000, -ENOSPC, "--mem");
}

static void segments_meet_the_pci_hole_like_any_end_of_ram(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file;
	struct rig rig;

	spec.segment[2].paddr = X86_LOW_RAM_MAX - TEST_ACPI - 0x1f000;
	file = elf__make(&spec);
	rig__init(&rig, 8 * GIB);
	rig__refused(&rig, file, -ENOSPC, "it needs RAM");
	rig__free(&rig);
	/* There is RAM above 4 GiB, but the identity mapping ends there. */
	spec.segment[2].paddr = 4 * GIB;
	bytes__free(&file);
	file = elf__make(&spec);
	rig__init(&rig, 8 * GIB);
	rig__refused(&rig, file, -ENOSPC, "it needs RAM");
	rig__free(&rig);
	bytes__free(&file);
}

static void segments_on_boot_data_are_refused(void **state)
{
	assert_spec_refused(spec.segment[0].paddr = 0x7000, -EINVAL, "entry point");
	assert_spec_refused((spec.segment[0].paddr = 0x7000, spec.entry = 0x7000), -EINVAL,
			    "boot protocol's own");
	assert_spec_refused((spec.segment[0].paddr = 0x50000, spec.entry = 0x50000), -EINVAL,
			    "boot protocol's own");
}

static void what_is_no_kernel_is_refused(void **state)
{
	static const char *const contents[] = { "#!/bin/sh\nexit 0\n", "x", "\177EL", "MZ\220" };
	struct bytes zeroes = bytes__new(10000);
	struct rig rig;

	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		rig__init(&rig, 64 * MIB);
		rig__refused(&rig,
			     (struct bytes){ (uint8_t *)(uintptr_t)contents[i],
					     strlen(contents[i]) },
			     -ENOEXEC, "not a kernel");
		assert_said("--boot=flat");
		rig__free(&rig);
	}
	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, zeroes, -ENOEXEC, "not a kernel");
	rig__free(&rig);
	bytes__free(&zeroes);
}

static void other_ways_of_booting_are_refused_with_what_they_need(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file = elf__make(&spec);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_KERNEL;
	rig__refused(&rig, file, -EINVAL, "--boot=kernel needs a bzImage");
	rig__free(&rig);
	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_PVH;
	rig__refused(&rig, file, -EINVAL, "PVH note");
	rig__free(&rig);
	bytes__free(&file);
}

static void an_elf_cut_short_is_refused_wherever_it_ends(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file = elf__make(&spec), cut = file;
	const size_t needed = spec.segment[2].offset + spec.segment[2].filesz;

	for (cut.size = needed - 1; cut.size > 16; cut.size -= cut.size > 300 ? 293 : 1) {
		struct rig rig;

		rig__init(&rig, 64 * MIB);
		rig__refused(&rig, cut, -EINVAL, "truncated");
		rig__free(&rig);
	}
	bytes__free(&file);
}

static void no_byte_of_the_headers_breaks_the_loader(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct elf_spec spec = vmlinux_spec();
	struct bytes file = elf__make(&spec);

	for (size_t byte = 0; byte < 64 + 3 * 56; byte++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			uint8_t before = file.data[byte];
			struct rig rig;

			file.data[byte] = values[v];
			rig__init(&rig, 64 * MIB);
			if (rig__open(&rig, file))
				assert_int_equal(nr_fatal, 1);
			else
				assert_int_equal(rig__load(&rig), 0);
			rig__free(&rig);
			file.data[byte] = before;
		}
	}
	bytes__free(&file);
}

static void the_command_line_has_an_end(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file = elf__make(&spec), cmdline = bytes__new(2049);
	struct rig rig;

	memset(cmdline.data, 'x', 2048);
	rig__init(&rig, 64 * MIB);
	rig.cmdline = (const char *)cmdline.data;
	rig__refused(&rig, file, -E2BIG, "2047");
	rig__free(&rig);
	cmdline.data[2047] = 0;
	rig__init(&rig, 64 * MIB);
	rig.cmdline = (const char *)cmdline.data;
	rig__boot(&rig, file);
	assert_cmdline(&rig, rig.cmdline);
	rig__free(&rig);
	bytes__free(&cmdline);
	bytes__free(&file);
}

/* --- bad compressed ones -------------------------------------------------------------------------
 */

static void packed_refused(struct bytes packed, int err, const char *words)
{
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, packed, err, words);
	assert_said("Unable to open kernel");
	rig__free(&rig);
}

static void a_compressed_file_that_is_no_kernel_is_refused(void **state)
{
	struct bytes text = bytes__text(100000), packed = pack(any_type(), text.data, text.size);

	packed_refused(packed, -ENOEXEC, "packed in it is not a kernel");
	bytes__free(&packed);
	bytes__free(&text);
}

static void without_the_library_a_compressed_file_is_refused(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes packed = make_packed(any_type(), &spec);

	missing_library = any_type();
	packed_refused(packed, -ENOTSUP, "built without");
	assert_said(decompress__name(any_type()));
	missing_library = COMPRESSION_NONE;
	bytes__free(&packed);
}

static void a_compressed_file_must_have_its_segments_in_order(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes packed;

	spec.segment[1].paddr = KERNEL_GPA + 0x80000;
	packed = make_packed(any_type(), &spec);
	packed_refused(packed, -EINVAL, "unpack it beforehand");
	bytes__free(&packed);
}

static void a_compressed_file_must_fit_where_it_is_unpacked(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes packed;

	spec.size = 70 * MIB;
	spec.segment[2].offset = 69 * MIB;
	packed = make_packed(any_type(), &spec);
	packed_refused(packed, -ENOSPC, "--mem");
	bytes__free(&packed);

	spec = vmlinux_spec();
	spec.segment[2].offset = 1ull << 40;
	packed = make_packed(any_type(), &spec);
	packed_refused(packed, -EINVAL, "unpacks to");
	bytes__free(&packed);
}

static void a_compressed_file_cut_short_does_not_boot(void **state)
{
	enum compression type = *(const enum compression *)*state;
	struct elf_spec spec = vmlinux_spec();
	struct bytes packed = make_packed(type, &spec);
	const size_t whole = packed.size;
	static const unsigned int percent[] = { 1, 10, 50, 90 };

	for (size_t i = 0; i < ARRAY_SIZE(percent); i++) {
		struct rig rig;
		int ret;

		packed.size = whole * percent[i] / 100;
		rig__init(&rig, 64 * MIB);
		ret = rig__open(&rig, packed);
		if (!ret)
			ret = rig__load(&rig);
		assert_true(ret == -ENODATA || ret == -EBADMSG || ret == -ENOEXEC);
		assert_int_equal(nr_fatal, 1);
		rig__free(&rig);
	}
	bytes__free(&packed);
}

#define FORMAT(test, i)                                                         \
	{                                                                       \
#test " (" #i ")", test, NULL, NULL, (void *)(uintptr_t)&all[i] \
	}
#define FOR_EACH_FORMAT(test)                                                                \
	FORMAT(test, 0), FORMAT(test, 1), FORMAT(test, 2), FORMAT(test, 3), FORMAT(test, 4), \
		FORMAT(test, 5), FORMAT(test, 6), FORMAT(test, 7)

static void every_page_written_is_reported(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes file = elf__make(&spec);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	assert_all_writes_reported(&rig, file);
	rig__free(&rig);
	bytes__free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vmlinux_is_entered_in_64_bits),
		FOR_EACH_FORMAT(a_compressed_vmlinux_is_the_same),
		cmocka_unit_test(what_follows_the_segments_is_not_even_unpacked),
		cmocka_unit_test(a_vmlinux_of_32_bits_is_entered_in_32_bits),
		cmocka_unit_test(the_initrd_of_a_32_bit_kernel_is_within_its_reach),
		cmocka_unit_test(only_a_file_with_symbols_is_offered_for_them),
		cmocka_unit_test(a_segment_that_ends_with_ram_fits),
		cmocka_unit_test(an_elf_for_another_machine_is_named),
		cmocka_unit_test(an_elf_that_no_x86_kernel_can_be_is_refused),
		cmocka_unit_test(a_malformed_elf_is_refused),
		cmocka_unit_test(too_many_segments_are_refused),
		cmocka_unit_test(segments_outside_ram_are_refused),
		cmocka_unit_test(segments_meet_the_pci_hole_like_any_end_of_ram),
		cmocka_unit_test(segments_on_boot_data_are_refused),
		cmocka_unit_test(what_is_no_kernel_is_refused),
		cmocka_unit_test(other_ways_of_booting_are_refused_with_what_they_need),
		cmocka_unit_test(an_elf_cut_short_is_refused_wherever_it_ends),
		cmocka_unit_test(no_byte_of_the_headers_breaks_the_loader),
		cmocka_unit_test(the_command_line_has_an_end),
		cmocka_unit_test(a_compressed_file_that_is_no_kernel_is_refused),
		cmocka_unit_test(without_the_library_a_compressed_file_is_refused),
		cmocka_unit_test(a_compressed_file_must_have_its_segments_in_order),
		cmocka_unit_test(a_compressed_file_must_fit_where_it_is_unpacked),
		FOR_EACH_FORMAT(a_compressed_file_cut_short_does_not_boot),
		cmocka_unit_test(every_page_written_is_reported),
	};

	return cmocka_run_group_tests_name("boot-elf", tests, NULL, NULL);
}
