// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal pr_info pr_warn */
/* An ELF with a PVH note is entered by it if that is asked for, or if it has no other entry. */
#include "boot-rig.h"

#define NOTE_OFFSET 0x1800
#define PVH_ENTRY   (KERNEL_GPA + 0x456)

/* Written out, to check the loader's layout against the ABI and not against itself. */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct pvh_module {
	uint64_t base, size, cmdline, reserved;
};

static struct elf_spec pvh_spec(const struct pvh_note *note)
{
	struct elf_spec spec = vmlinux_spec();

	spec.segment[spec.nr].type = PT_NOTE;
	spec.segment[spec.nr].offset = NOTE_OFFSET;
	spec.segment[spec.nr].filesz = 16 + note->descsz;
	spec.segment[spec.nr].content = note;
	spec.nr++;
	return spec;
}

static const struct start_info *start_info(const struct rig *rig)
{
	assert_int_equal(rig->entry.rbx, X86_BOOT_INFO);
	assert_int_equal(rig->entry.rax, 0);
	assert_int_equal(rig->entry.rsi, 0);
	return (const struct start_info *)ram_at(rig, X86_BOOT_INFO, sizeof(struct start_info));
}

static void boots_by_pvh(struct rig *rig, const struct elf_spec *spec, struct bytes file)
{
	const struct start_info *info;
	const struct e820_pvh_entry *map;

	rig__boot(rig, file);
	assert_string_equal(x86_boot__format(rig->boot), "PVH");
	assert_prot32(rig);
	assert_int_equal(rig->entry.rip, PVH_ENTRY);
	assert_elf_loaded(rig, spec);
	info = start_info(rig);
	assert_int_equal(info->magic, 0x336ec578);
	assert_int_equal(info->version, 1);
	assert_int_equal(info->flags, 0);
	assert_int_equal(info->cmdline, X86_CMDLINE);
	assert_int_equal(info->rsdp, TEST_RSDP);
	assert_int_equal(info->memmap_entries, rig->map.nr);
	assert_cmdline(rig, rig->cmdline);
	map = (const void *)ram_at(rig, info->memmap, rig->map.nr * sizeof(*map));
	for (unsigned int i = 0; i < rig->map.nr; i++)
		assert_true(map[i].base == rig->map.entry[i].base &&
			    map[i].size == rig->map.entry[i].size &&
			    map[i].type == rig->map.entry[i].type);
}

static void the_note_may_have_4_or_8_bytes(void **state)
{
	static const uint32_t sizes[] = { 4, 8 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pvh_note note = pvh_note(PVH_ENTRY, sizes[i]);
		struct elf_spec spec = pvh_spec(&note);
		struct bytes file = elf__make(&spec);
		struct rig rig;

		rig__init(&rig, 64 * MIB);
		rig.cfg.boot = BOOT_PVH;
		boots_by_pvh(&rig, &spec, file);
		assert_int_equal(start_info(&rig)->nr_modules, 0);
		assert_int_equal(start_info(&rig)->modlist, 0);
		rig__free(&rig);
		bytes__free(&file);
	}
}

static void linux_with_a_note_is_entered_by_its_own_entry(void **state)
{
	static const enum boot_mode modes[] = { BOOT_AUTO, BOOT_ELF };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct pvh_note note = pvh_note(PVH_ENTRY, 8);
		struct elf_spec spec = pvh_spec(&note);
		struct bytes file = elf__make(&spec);
		struct rig rig;

		rig__init(&rig, 64 * MIB);
		rig.cfg.boot = modes[i];
		rig__boot(&rig, file);
		assert_string_equal(x86_boot__format(rig.boot), "ELF");
		assert_long64(&rig);
		assert_int_equal(rig.entry.rip, spec.entry);
		rig__free(&rig);
		bytes__free(&file);
	}
}

static void an_elf_with_no_other_entry_is_entered_by_the_note(void **state)
{
	/* The same, or a virtual address. */
	static const uint64_t entries[] = { PVH_ENTRY, 0xffffffff81000000ull };

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct pvh_note note = pvh_note(PVH_ENTRY, 4);
		struct elf_spec spec = pvh_spec(&note);
		struct bytes file;
		struct rig rig;

		spec.entry = entries[i];
		file = elf__make(&spec);
		rig__init(&rig, 64 * MIB);
		boots_by_pvh(&rig, &spec, file);
		rig__free(&rig);
		bytes__free(&file);
	}
}

static void a_32_bit_elf_is_entered_by_the_note_too(void **state)
{
	struct pvh_note note = pvh_note(PVH_ENTRY, 4);
	struct elf_spec spec = pvh_spec(&note);
	struct bytes file;
	struct rig rig;

	spec.is32 = true;
	spec.machine = EM_386;
	spec.entry = PVH_ENTRY;
	for (unsigned int i = 0; i < spec.nr; i++)
		spec.segment[i].vaddr = spec.segment[i].paddr;
	file = elf__make(&spec);
	rig__init(&rig, 64 * MIB);
	boots_by_pvh(&rig, &spec, file);
	rig__free(&rig);
	bytes__free(&file);
}

static enum compression any_type(void)
{
	for (int type = COMPRESSION_GZIP; type <= COMPRESSION_ZSTD; type++)
		if (decompress__supported((enum compression)type))
			return (enum compression)type;
	return COMPRESSION_GZIP;
}

static void the_note_of_a_compressed_elf_is_found_wherever_it_is(void **state)
{
	static const uint64_t offsets[] = { NOTE_OFFSET, 65536 - 8, 0x180000 };

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct pvh_note note = pvh_note(PVH_ENTRY, 8);
		struct elf_spec spec = pvh_spec(&note);
		struct bytes file, packed;
		struct rig rig;

		spec.segment[2].offset = 0x190000;
		spec.segment[3].offset = offsets[i];
		spec.size = 0x1a0000;
		file = elf__make(&spec);
		packed = pack(any_type(), file.data, file.size);
		rig__init(&rig, 64 * MIB);
		rig.cfg.boot = BOOT_PVH;
		/* One of them lies in a segment. */
		if (i == 1)
			rig__boot(&rig, packed);
		else
			boots_by_pvh(&rig, &spec, packed);
		assert_int_equal(rig.entry.rip, PVH_ENTRY);
		rig__free(&rig);
		bytes__free(&packed);
		bytes__free(&file);
	}
}

static void the_initrd_is_the_only_module(void **state)
{
	struct pvh_note note = pvh_note(PVH_ENTRY, 8);
	struct elf_spec spec = pvh_spec(&note);
	struct bytes file = elf__make(&spec);
	const struct pvh_module *module;
	struct rig rig;

	rig__init(&rig, 4 * GIB);
	rig.cfg.boot = BOOT_PVH;
	rig__set_initrd(&rig, "initrd", 6);
	boots_by_pvh(&rig, &spec, file);
	assert_int_equal(start_info(&rig)->nr_modules, 1);
	module = (const void *)ram_at(&rig, start_info(&rig)->modlist, sizeof(*module));
	assert_int_equal(module->base, 3 * GIB - TEST_ACPI - 4096);
	assert_int_equal(module->size, 6);
	assert_memory_equal(ram_at(&rig, module->base, 6), "initrd", 6);
	rig__free(&rig);

	/* Never above 4 GiB, whatever room there is. */
	rig__init(&rig, 8 * GIB);
	rig.cfg.boot = BOOT_PVH;
	rig__set_hollow_initrd(&rig, 3 * GIB);
	rig__refused(&rig, file, -ENOSPC, "initrd");
	rig__free(&rig);
	bytes__free(&file);
}

static void refused(const struct elf_spec *spec, int err, const char *words)
{
	struct bytes file = elf__make(spec);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_PVH;
	rig__refused(&rig, file, err, words);
	rig__free(&rig);
	bytes__free(&file);
}

static void a_bad_note_is_refused(void **state)
{
	struct pvh_note note = pvh_note(PVH_ENTRY, 6);
	struct elf_spec spec = pvh_spec(&note);

	refused(&spec, -EINVAL, "not 4 or 8");
	note = pvh_note(KERNEL_GPA - 1, 8);
	spec = pvh_spec(&note);
	refused(&spec, -EINVAL, "PVH entry point");
	note = pvh_note(UINT64_MAX, 8);
	spec = pvh_spec(&note);
	refused(&spec, -EINVAL, "PVH entry point");
	note = pvh_note(PVH_ENTRY, 8);
	spec = pvh_spec(&note);
	spec.segment[3].offset = spec.size;
	refused(&spec, -EINVAL, "notes are not in the file");
	spec.segment[3].offset = UINT64_MAX;
	refused(&spec, -EINVAL, "notes are not in the file");
	note.type = 17;
	spec = pvh_spec(&note);
	refused(&spec, -EINVAL, "CONFIG_PVH");
}

static void segments_may_be_low_but_not_on_what_is_passed(void **state)
{
	static const struct {
		uint64_t gpa;
		bool good;
	} cases[] = { { 0x1000, true },	  { 0x18000, true },  { 0x40000, true }, { 0x500, false },
		      { 0x18001, false }, { 0x20000, false }, { 0x3fff0, false } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pvh_note note = pvh_note(PVH_ENTRY, 4);
		struct elf_spec spec = pvh_spec(&note);
		struct bytes file;
		struct rig rig;

		spec.segment[2].paddr = cases[i].gpa;
		spec.segment[2].memsz = 0x8000;
		file = elf__make(&spec);
		rig__init(&rig, 64 * MIB);
		rig.cfg.boot = BOOT_PVH;
		if (cases[i].good)
			boots_by_pvh(&rig, &spec, file);
		else
			rig__refused(&rig, file, -EINVAL, "boot protocol's own");
		rig__free(&rig);
		bytes__free(&file);
	}
}

static void every_page_written_is_reported(void **state)
{
	struct pvh_note note = pvh_note(PVH_ENTRY, 4);
	struct elf_spec spec = pvh_spec(&note);
	struct bytes file = elf__make(&spec);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_PVH;
	rig__set_initrd(&rig, "initrd", 6);
	assert_all_writes_reported(&rig, file);
	rig__free(&rig);
	bytes__free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_note_may_have_4_or_8_bytes),
		cmocka_unit_test(linux_with_a_note_is_entered_by_its_own_entry),
		cmocka_unit_test(an_elf_with_no_other_entry_is_entered_by_the_note),
		cmocka_unit_test(a_32_bit_elf_is_entered_by_the_note_too),
		cmocka_unit_test(the_note_of_a_compressed_elf_is_found_wherever_it_is),
		cmocka_unit_test(the_initrd_is_the_only_module),
		cmocka_unit_test(a_bad_note_is_refused),
		cmocka_unit_test(segments_may_be_low_but_not_on_what_is_passed),
		cmocka_unit_test(every_page_written_is_reported),
	};

	return cmocka_run_group_tests_name("boot-pvh", tests, NULL, NULL);
}
