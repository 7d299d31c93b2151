// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PVH entry (xen/include/public/arch-x86/hvm/start_info.h, docs/misc/pvh.pandoc): machine state,
 * start_info, modules, memory map; and the ACPI tables that its rsdp leads to.
 */
#include "acpi.h"
#include "boot.h"
#include "memmap.h"

#define CR0_PE	  0x1ull
#define CR0_PG	  0x80000000ull
#define EFLAGS_TF 0x100
#define EFLAGS_VM 0x20000

static const struct pvh_info *info;

static void check_machine_state(void)
{
	CHECK_EQ(boot.cr0 & (CR0_PE | CR0_PG), CR0_PE, "protected mode without paging");
	CHECK_EQ(boot.cr4, 0, "CR4 is 0");
	CHECK(!(boot.eflags & (RFLAGS_IF | EFLAGS_TF | EFLAGS_VM)), "EFLAGS has IF, TF, VM clear");
}

static void check_start_info(void)
{
	const char *cmdline = boot_cmdline();

	if (info->magic != PVH_MAGIC)
		bail("EBX points to hvm_start_info", "magic 0x%x at 0x%x", info->magic, boot.ebx);
	report(true, "EBX points to hvm_start_info", "-");
	CHECK(info->version >= 1, "start_info has version 1, which has a memory map");
	put("# command line: %s\n", cmdline);
	CHECK(find_word(cmdline, "last-word"), "the command line arrives to its last word");
}

static void check_module(unsigned int size)
{
	const struct pvh_module *module = (const void *)info->modlist;
	const uint8_t *bytes;
	uint32_t wrong = 0;

	if (!size) {
		CHECK_EQ(info->nr_modules, 0, "there is no module that was not given");
		return;
	}
	if (info->nr_modules != 1)
		bail("there is one module", "%u", info->nr_modules);
	CHECK_EQ(module->size, size, "the module has the size of its file");
	bytes = map_physical(module->base);
	while (wrong < size && bytes[wrong] == module_byte(wrong))
		wrong++;
	CHECK_EQ(wrong, size, "the module is the file, byte by byte");
}

static void check_memory(void)
{
	static struct memmap map;
	const struct pvh_memmap *entry = (const void *)info->memmap;

	for (uint32_t i = 0; i < info->memmap_entries; i++)
		memmap_add(&map, entry[i].base, entry[i].size, entry[i].type);
	memmap_check(&map, boot_option("mem=", 0), map_physical);
	CHECK(memmap_is_ram(&map, (uintptr_t)info, sizeof(*info)), "start_info is in RAM");
}

static void check_rsdp(void)
{
	const struct acpi_rsdp *rsdp = (const void *)info->rsdp;

	if (!rsdp)
		bail("start_info has an rsdp", "it is 0");
	CHECK(!memcmp(rsdp->signature, "RSD PTR ", 8), "the RSDP has its signature");
	CHECK_EQ(acpi_sum(rsdp, ACPI_RSDP_V1_SIZE), 0, "the RSDP's checksum is right");
	if (rsdp->revision < 2) {
		skip("the RSDP's extended checksum is right", "ACPI 1.0 has none");
		return;
	}
	CHECK_EQ(rsdp->length, sizeof(*rsdp), "the RSDP's length is that of ACPI 2.0");
	CHECK_EQ(acpi_sum(rsdp, sizeof(*rsdp)), 0, "the RSDP's extended checksum is right");
}

static void check_root(uint64_t address, const char *signature, unsigned int width)
{
	const struct acpi_header *root = map_physical(address);

	report(!memcmp(root->signature, signature, 4), "the root table has its signature", "not %s",
	       signature);
	CHECK_EQ(acpi_sum(root, root->length), 0, "the root table's checksum is right");
	for (uint32_t at = sizeof(*root); at + width <= root->length; at += width) {
		const struct acpi_header *table;
		uint64_t entry = 0;

		memcpy(&entry, (const char *)root + at, width);
		table = map_physical(entry);
		put("# table %c%c%c%c, %u bytes\n", table->signature[0], table->signature[1],
		    table->signature[2], table->signature[3], table->length);
		CHECK_EQ(acpi_sum(table, table->length), 0, "a table's checksum is right");
	}
}

static void check_fadt(void)
{
	const struct acpi_fadt *fadt = (const void *)acpi_find("FACP");
	const struct acpi_header *dsdt = acpi_find("DSDT");

	if (!fadt || !dsdt)
		bail("there is a FADT, which has a DSDT", "there is not");
	CHECK(!memcmp(dsdt->signature, "DSDT", 4), "the DSDT has its signature");
	CHECK_EQ(acpi_sum(dsdt, dsdt->length), 0, "the DSDT's checksum is right");
	CHECK(acpi_sleep_type("_S5_") >= 0, "the DSDT has \\_S5");
	CHECK(fadt->pm1a_control || fadt->flags & FADT_HW_REDUCED,
	      "the FADT has PM1a_CNT, or is hardware-reduced");
	CHECK(fadt->flags & FADT_RESET_SUPPORTED, "the FADT has a reset register");
}

static void check_madt(unsigned int expected)
{
	static struct madt_info madt;

	if (!madt_read(&madt))
		bail("there is a MADT", "there is none");
	if (expected)
		CHECK_EQ(madt.nr_cpus, expected,
			 "the MADT has as many processors as were asked for");
	CHECK(madt.ioapic, "the MADT has an I/O APIC for GSI 0");
}

static void check_mcfg(void)
{
	unsigned int last_bus;
	uint64_t base = ecam_base(&last_bus);

	if (!base)
		bail("the MCFG has a window for bus 0", "it has none");
	map_physical(base);
	CHECK(mmio_read32(base) != 0xffffffff, "a device answers at the start of the window");
}

void guest_main(void)
{
	info = (const void *)boot.info;
	check_machine_state();
	check_start_info();
	check_module(boot_option("module=", 0));
	check_memory();
	check_rsdp();
	if (acpi_rsdp()->revision >= 2)
		check_root(acpi_rsdp()->xsdt, "XSDT", 8);
	else
		check_root(acpi_rsdp()->rsdt, "RSDT", 4);
	check_fadt();
	check_madt(boot_option("cpus=", 0));
	check_mcfg();
}
