// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal pr_info pr_warn */
/* A flat 16-bit image is loaded at 1000:0000, and only if it is asked for. */
#include "boot-rig.h"

#define MAX_SIZE (X86_EBDA - X86_FLAT_LOAD)

static void boots_flat(struct bytes image)
{
	struct rig rig;

	rig__init(&rig, 2 * MIB);
	rig.cfg.boot = BOOT_FLAT;
	rig__boot(&rig, image);
	assert_string_equal(x86_boot__format(rig.boot), "flat image");
	assert_int_equal(rig.entry.mode, X86_ENTRY_REAL16);
	assert_int_equal(rig.entry.cs, 0x1000);
	assert_int_equal(rig.entry.ds, 0x1000);
	assert_int_equal(rig.entry.rip, 0);
	assert_int_equal(rig.entry.rsp, 0xfff0);
	assert_int_equal(rig.entry.gdt_limit, 0);
	assert_memory_equal(ram_at(&rig, X86_FLAT_LOAD, image.size), image.data, image.size);
	rig__free(&rig);
}

static void an_image_is_entered_at_its_first_byte(void **state)
{
	struct bytes image = bytes__text(1000);

	boots_flat(image);
	image.size = 1;
	boots_flat(image);
	bytes__free(&image);
}

static void its_contents_do_not_matter(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes elf = elf__make(&spec), packed = pack(COMPRESSION_GZIP, elf.data, 4096);

	elf.size = 4096;
	boots_flat(elf);
	boots_flat(packed);
	bytes__free(&packed);
	bytes__free(&elf);
}

static void it_ends_before_the_ebda(void **state)
{
	struct bytes image = bytes__text(MAX_SIZE + 1);
	struct rig rig;

	rig__init(&rig, 2 * MIB);
	rig.cfg.boot = BOOT_FLAT;
	rig__refused(&rig, image, -ENOSPC, "at most");
	rig__free(&rig);
	image.size = MAX_SIZE;
	boots_flat(image);
	bytes__free(&image);
}

static void it_is_not_guessed(void **state)
{
	struct bytes image = bytes__text(1000);
	struct rig rig;

	rig__init(&rig, 2 * MIB);
	rig__refused(&rig, image, -ENOEXEC, "--boot=flat");
	rig__free(&rig);
	bytes__free(&image);
}

static void what_it_cannot_be_told_is_said(void **state)
{
	struct bytes image = bytes__text(1000);
	char params[] = "quiet";
	struct rig rig;

	rig__init(&rig, 2 * MIB);
	rig.cfg.boot = BOOT_FLAT;
	rig__set_initrd(&rig, "initrd", 6);
	rig__refused(&rig, image, -EINVAL, "--initrd");
	rig__free(&rig);

	rig__init(&rig, 2 * MIB);
	rig.cfg.boot = BOOT_FLAT;
	rig.cfg.params = params;
	rig__boot(&rig, image);
	assert_int_equal(nr_warn, 1);
	assert_said("--params");
	rig__free(&rig);
	bytes__free(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_is_entered_at_its_first_byte),
		cmocka_unit_test(its_contents_do_not_matter),
		cmocka_unit_test(it_ends_before_the_ebda),
		cmocka_unit_test(it_is_not_guessed),
		cmocka_unit_test(what_it_cannot_be_told_is_said),
	};

	return cmocka_run_group_tests_name("boot-flat", tests, NULL, NULL);
}
