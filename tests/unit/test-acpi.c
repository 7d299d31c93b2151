// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ACPI tables: found from the RSDP as a kernel finds them, right in each byte that matters, and
 * the same that the ACPI compiler makes of their disassembly.
 *
 * Offsets are those of the ACPI specification 6.4, written down here a second time on purpose.
 */
#include "test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/config.h"
#include "x86/acpi.h"
#include "x86/layout.h"

#define HEADER_SIZE 36
#define GPA	    0xbff00000ull

static uint32_t own_index(const void *ctx, unsigned int index)
{
	return index;
}

/* Cores of three threads in room for four */
static uint32_t three_of_four(const void *ctx, unsigned int index)
{
	return index / 3 * 4 + index % 3;
}

static uint32_t one_for_all(const void *ctx, unsigned int index)
{
	return 7;
}

static uint32_t broadcast(const void *ctx, unsigned int index)
{
	return UINT32_MAX;
}

static const struct acpi_device parts[] = {
	{ .name = "COM1",
	  .hid = "PNP0501",
	  .uid = 1,
	  .io = { { 0x3f8, 8 } },
	  .irq_kind = ACPI_IRQ_ISA,
	  .irq = 4 },
	{ .name = "COM2",
	  .hid = "PNP0501",
	  .uid = 2,
	  .io = { { 0x2f8, 8 } },
	  .irq_kind = ACPI_IRQ_ISA,
	  .irq = 3 },
	{ .name = "KBD",
	  .hid = "PNP0303",
	  .io = { { 0x60, 1 }, { 0x64, 1 } },
	  .irq_kind = ACPI_IRQ_ISA,
	  .irq = 1 },
	{ .name = "AUX", .hid = "PNP0F13", .irq_kind = ACPI_IRQ_ISA, .irq = 12 },
	{ .name = "RTC",
	  .hid = "PNP0B00",
	  .io = { { 0x70, 2 } },
	  .irq_kind = ACPI_IRQ_ISA,
	  .irq = 8 },
	{ .name = "PVPN", .hid = "QEMU0001", .io = { { X86_PVPANIC_PORT, 1 } } },
	{ .name = "VIO0",
	  .hid = "LNRO0005",
	  .mmio = { 0xfeb00000, 0x200 },
	  .irq_kind = ACPI_IRQ_EDGE,
	  .irq = 16 },
	{ .name = "VIO1",
	  .hid = "LNRO0005",
	  .uid = 1,
	  .mmio = { 0xfeb00200, 0x200 },
	  .irq_kind = ACPI_IRQ_LEVEL,
	  .irq = 17 },
};

static struct acpi_params board(unsigned int nr_cpus)
{
	return (struct acpi_params){
		.nr_cpus = nr_cpus,
		.apic_id = own_index,
		.has_lapic = true,
		.has_ioapic = true,
		.has_ecam = true,
		.pci_mem64 = { 0x800000000, 0x800000000 },
		.rtc_century = 0x32,
		.devices = parts,
		.nr_devices = ARRAY_SIZE(parts),
	};
}

/* --- a kernel's view --- */

static uint8_t *tables;
static size_t size;
static uint8_t rsdp[ACPI_RSDP_SIZE];

static int forget(void **state)
{
	free(tables);
	tables = NULL;
	return 0;
}

static void build(const struct acpi_params *params)
{
	ssize_t len = acpi__size(params);

	assert_true(len > 0);
	forget(NULL);
	size = (size_t)len;
	tables = malloc(size);
	assert_non_null(tables);
	assert_int_equal(acpi__build(params, GPA, tables, size, rsdp), len);
}

static uint64_t get(const uint8_t *at, unsigned int width)
{
	uint64_t value = 0;

	memcpy(&value, at, width);
	return value;
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static size_t length_of(const uint8_t *table)
{
	return get(table + 4, 4);
}

/* The table at a guest-physical address: all there, and with a good checksum */
static const uint8_t *table_at(uint64_t gpa)
{
	const uint8_t *table = tables + (gpa - GPA);

	assert_in_range(gpa, GPA, GPA + size - HEADER_SIZE);
	assert_in_range(length_of(table), HEADER_SIZE, GPA + size - gpa);
	if (memcmp(table, "FACS", 4))
		assert_int_equal(sum(table, length_of(table)), 0);
	return table;
}

static const uint8_t *xsdt(void)
{
	return table_at(get(rsdp + 24, 8));
}

static const uint8_t *find(const char *signature)
{
	const uint8_t *root = xsdt();

	for (size_t at = HEADER_SIZE; at < length_of(root); at += 8) {
		const uint8_t *table = table_at(get(root + at, 8));

		if (!memcmp(table, signature, 4))
			return table;
	}
	return NULL;
}

static const uint8_t *fadt(void)
{
	const uint8_t *table = find("FACP");

	assert_non_null(table);
	assert_int_equal(length_of(table), 276);
	return table;
}

static const uint8_t *dsdt(void)
{
	const uint8_t *table = table_at(get(fadt() + 140, 8));

	assert_memory_equal(table, "DSDT", 4);
	return table;
}

/* The @n-th MADT entry of a type, or NULL */
static const uint8_t *madt_entry(uint8_t type, unsigned int n)
{
	const uint8_t *madt = find("APIC");
	size_t at = 44;

	assert_non_null(madt);
	while (at < length_of(madt)) {
		const uint8_t *entry = madt + at;

		assert_in_range(entry[1], 2, length_of(madt) - at);
		at += entry[1];
		if (entry[0] == type && !n--)
			return entry;
	}
	return NULL;
}

/* --- the tables --- */

static void the_rsdp_has_two_checksums_and_two_roots(void **state)
{
	struct acpi_params params = board(1);

	build(&params);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(get(rsdp + 20, 4), 36);
	assert_memory_equal(table_at(get(rsdp + 16, 4)), "RSDT", 4);
	assert_memory_equal(table_at(get(rsdp + 24, 8)), "XSDT", 4);
}

static void old_kernels_find_the_same_tables_by_the_rsdt(void **state)
{
	struct acpi_params params = board(1);
	const uint8_t *old;
	unsigned int nr;

	build(&params);
	old = table_at(get(rsdp + 16, 4));
	nr = (unsigned int)(length_of(old) - HEADER_SIZE) / 4;
	assert_int_equal(nr, 3);
	assert_int_equal(length_of(xsdt()), HEADER_SIZE + 8 * nr);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(get(old + HEADER_SIZE + 4 * i, 4),
				 get(xsdt() + HEADER_SIZE + 8 * i, 8));
	assert_non_null(find("FACP"));
	assert_non_null(find("APIC"));
	assert_non_null(find("MCFG"));
	assert_null(find("SSDT"));
}

static void the_fadt_names_the_ports_of_the_board(void **state)
{
	struct acpi_params params = board(1);
	const uint8_t *f;

	build(&params);
	f = fadt();
	assert_int_equal(f[8], 6);
	assert_int_equal(f[131], 4);
	assert_int_equal(get(f + 46, 2), 9); /* SCI_INT */
	assert_int_equal(get(f + 48, 4), 0); /* SMI_CMD: always in ACPI mode */
	assert_int_equal(get(f + 56, 4), X86_PM1A_EVT);
	assert_int_equal(get(f + 64, 4), X86_PM1A_CNT);
	assert_int_equal(get(f + 76, 4), X86_PM_TMR);
	assert_int_equal(f[88], 4);
	assert_int_equal(f[89], 2);
	assert_int_equal(f[91], 4);
	/* RESET_REG, X_PM1a_EVT_BLK, X_PM1a_CNT_BLK, X_PM_TMR_BLK: system I/O, bits, offset, access
	 */
	assert_memory_equal(f + 116, ((uint8_t[]){ 1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0, 6 }),
			    13);
	assert_memory_equal(f + 148, ((uint8_t[]){ 1, 32, 0, 2, 0x00, 0x06, 0, 0, 0, 0, 0, 0 }),
			    12);
	assert_memory_equal(f + 172, ((uint8_t[]){ 1, 16, 0, 2, 0x04, 0x06, 0, 0, 0, 0, 0, 0 }),
			    12);
	assert_memory_equal(f + 208, ((uint8_t[]){ 1, 32, 0, 3, 0x08, 0x06, 0, 0, 0, 0, 0, 0 }),
			    12);
	assert_int_equal(f[108], 0x32);
	/* no C2, no C3 */
	assert_true(get(f + 96, 2) > 100);
	assert_true(get(f + 98, 2) > 1000);
}

static void the_fadt_promises_what_the_board_keeps(void **state)
{
	struct acpi_params params = board(1);

	build(&params);
	/* WBINVD, C1, no sleep button, no fixed RTC, 32-bit timer, reset register; a power button
	 */
	assert_int_equal(get(fadt() + 112, 4),
			 1u << 0 | 1u << 2 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 10);
	/* legacy devices, 8042, no VGA */
	assert_int_equal(get(fadt() + 109, 2), 1u << 0 | 1u << 1 | 1u << 2);
}

static void the_parts_list_decides_about_8042_and_cmos_rtc(void **state)
{
	struct acpi_params params = board(1);

	params.nr_devices = 2;
	build(&params);
	/* legacy devices, no VGA, no CMOS RTC */
	assert_int_equal(get(fadt() + 109, 2), 1u << 0 | 1u << 2 | 1u << 5);
}

static void facs_and_dsdt_are_where_the_fadt_says(void **state)
{
	struct acpi_params params = board(1);
	uint64_t facs;

	build(&params);
	facs = get(fadt() + 36, 4);
	assert_int_equal(facs % 64, 0);
	assert_memory_equal(tables + (facs - GPA), "FACS", 4);
	assert_int_equal(get(tables + (facs - GPA) + 4, 4), 64);
	assert_int_equal(get(fadt() + 132, 8), 0); /* X_FIRMWARE_CTRL: not a second FACS */
	assert_int_equal(get(fadt() + 40, 4), get(fadt() + 140, 8));
	assert_int_equal(dsdt()[8], 2);
}

static void check_madt_cpus(unsigned int nr_cpus, unsigned int nr_lapics)
{
	struct acpi_params params = board(nr_cpus);

	build(&params);
	for (unsigned int i = 0; i < nr_lapics; i++) {
		const uint8_t *entry = madt_entry(0, i);

		assert_non_null(entry);
		assert_memory_equal(entry,
				    ((uint8_t[]){ 0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0 }), 8);
	}
	assert_null(madt_entry(0, nr_lapics));
	for (unsigned int i = nr_lapics; i < nr_cpus; i++) {
		const uint8_t *entry = madt_entry(9, i - nr_lapics);

		assert_non_null(entry);
		assert_int_equal(entry[1], 16);
		assert_int_equal(get(entry + 4, 4), i);
		assert_int_equal(get(entry + 8, 4), 1);
		assert_int_equal(get(entry + 12, 4), i);
	}
	assert_null(madt_entry(9, nr_cpus - nr_lapics));
}

static void ids_below_255_are_lapics_and_others_x2apics(void **state)
{
	check_madt_cpus(1, 1);
	check_madt_cpus(2, 2);
	check_madt_cpus(255, 255);
	check_madt_cpus(256, 255);
	check_madt_cpus(CONFIG_MAX_VCPUS, 255);
}

static void x2apic_ids_force_physical_destinations_and_have_their_nmi(void **state)
{
	struct acpi_params params = board(255);

	build(&params);
	assert_int_equal(get(fadt() + 112, 4) & 1u << 19, 0);
	assert_null(madt_entry(10, 0));
	assert_memory_equal(madt_entry(4, 0), ((uint8_t[]){ 4, 6, 0xff, 0, 0, 1 }), 6);

	params = board(256);
	build(&params);
	assert_int_equal(get(fadt() + 112, 4) & 1u << 19, 1u << 19);
	assert_memory_equal(madt_entry(10, 0),
			    ((uint8_t[]){ 10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0 }), 12);
	assert_memory_equal(madt_entry(4, 0), ((uint8_t[]){ 4, 6, 0xff, 0, 0, 1 }), 6);
}

static void apic_ids_may_have_gaps(void **state)
{
	struct acpi_params params = board(200);

	params.apic_id = three_of_four;
	build(&params);
	assert_memory_equal(madt_entry(0, 5), ((uint8_t[]){ 0, 8, 5, 6, 1, 0, 0, 0 }), 8);
	/* vCPU 191 has id 254 and is the last that a LAPIC entry can hold; 192 has 256. */
	assert_memory_equal(madt_entry(0, 191), ((uint8_t[]){ 0, 8, 191, 254, 1, 0, 0, 0 }), 8);
	assert_null(madt_entry(0, 192));
	assert_int_equal(get(madt_entry(9, 0) + 4, 4), 256);
	assert_int_equal(get(madt_entry(9, 0) + 12, 4), 192);
}

static void the_madt_describes_the_io_apic_as_kvm_wires_it(void **state)
{
	struct acpi_params params = board(1);
	const uint8_t *madt;

	build(&params);
	madt = find("APIC");
	assert_non_null(madt);
	assert_int_equal(get(madt + 36, 4), X86_LAPIC_BASE);
	assert_int_equal(get(madt + 40, 4), 1);
	assert_memory_equal(madt_entry(1, 0),
			    ((uint8_t[]){ 1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0 }), 12);
	assert_null(madt_entry(1, 1));
	/* ISA IRQ 0 is GSI 2; the SCI is level-triggered, active high */
	assert_memory_equal(madt_entry(2, 0), ((uint8_t[]){ 2, 10, 0, 0, 2, 0, 0, 0, 0, 0 }), 10);
	assert_memory_equal(madt_entry(2, 1), ((uint8_t[]){ 2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0 }),
			    10);
	assert_null(madt_entry(2, 2));
}

static void without_an_io_apic_the_madt_has_local_apics_only(void **state)
{
	struct acpi_params params = board(2);

	params.has_ioapic = false;
	build(&params);
	assert_non_null(madt_entry(0, 1));
	assert_non_null(madt_entry(4, 0));
	assert_null(madt_entry(1, 0));
	assert_null(madt_entry(2, 0));
}

static void without_local_apics_there_is_no_madt(void **state)
{
	struct acpi_params params = board(1);

	params.has_lapic = false;
	params.has_ioapic = false;
	params.apic_id = NULL;
	build(&params);
	assert_null(find("APIC"));
	assert_non_null(find("FACP"));
	assert_non_null(find("MCFG"));
}

static void the_mcfg_maps_all_buses(void **state)
{
	struct acpi_params params = board(1);
	const uint8_t *mcfg;

	build(&params);
	mcfg = find("MCFG");
	assert_non_null(mcfg);
	assert_int_equal(length_of(mcfg), 60);
	assert_int_equal(get(mcfg + 44, 8), X86_ECAM_BASE);
	assert_int_equal(get(mcfg + 52, 2), 0);
	assert_int_equal(mcfg[54], 0);
	assert_int_equal(mcfg[55], X86_PCI_BUSES - 1);

	params.has_ecam = false;
	build(&params);
	assert_null(find("MCFG"));
}

/* --- the DSDT, without the help of a compiler --- */

static const uint8_t *in_dsdt(const void *code, size_t len)
{
	return memmem(dsdt() + HEADER_SIZE, length_of(dsdt()) - HEADER_SIZE, code, len);
}

static void soft_off_is_easy_to_find(void **state)
{
	/* Name (\_S5, Package (4) { 5, …: for guests that search and do not interpret */
	static const uint8_t s5[] = { 0x08, '\\', '_', 'S',  '5',	    '_',
				      0x12, 8,	  4,   0x0a, X86_S5_SLP_TYP };
	struct acpi_params params = board(1);

	build(&params);
	assert_ptr_equal(in_dsdt(s5, sizeof(s5)), dsdt() + HEADER_SIZE);
}

/* An AML constant below 2^32. Return: what follows it */
static const uint8_t *take_integer(const uint8_t *code, uint32_t *value)
{
	unsigned int width = *code == 0x0a ? 1 : *code == 0x0b ? 2 : 4;

	if (*code <= 1) {
		*value = *code;
		return code + 1;
	}
	assert_in_range(*code, 0x0a, 0x0c);
	*value = (uint32_t)get(code + 1, width);
	return code + 1 + width;
}

static void each_pin_of_each_slot_is_wired_to_the_next_line(void **state)
{
	static const uint32_t lines[] = X86_PCI_GSIS;
	struct acpi_params params = board(1);
	const uint8_t *code;

	build(&params);
	code = in_dsdt("_PRT\x12", 5);
	assert_non_null(code);
	code += 5;
	assert_int_equal(code[0] >> 6, 1); /* two bytes of length */
	assert_int_equal(code[2], 128);
	code += 3;
	for (uint32_t i = 0; i < 128; i++) {
		uint32_t address, pin, source, gsi;

		assert_int_equal(code[0], 0x12);
		assert_int_equal(code[2], 4);
		code = take_integer(code + 3, &address);
		code = take_integer(code, &pin);
		code = take_integer(code, &source);
		code = take_integer(code, &gsi);
		assert_int_equal(address, i / 4 << 16 | 0xffff);
		assert_int_equal(pin, i % 4);
		assert_int_equal(source, 0);
		assert_int_equal(gsi, lines[(i / 4 + i % 4) % 4]);
	}
}

static void only_a_board_with_ecam_has_pci_express(void **state)
{
	static const uint8_t express[] = { 0x0c, 0x41, 0xd0, 0x0a, 0x08 };
	static const uint8_t ecam[] = { 0x86, 9, 0, 1, 0, 0, 0, 0xe0, 0, 0, 0x10, 0 };
	struct acpi_params params = board(1);

	build(&params);
	assert_non_null(in_dsdt(express, sizeof(express)));
	assert_non_null(in_dsdt(ecam, sizeof(ecam)));
	assert_non_null(in_dsdt("_OSC", 4));

	params.has_ecam = false;
	build(&params);
	assert_null(in_dsdt(express, sizeof(express)));
	assert_null(in_dsdt(ecam, sizeof(ecam)));
	assert_null(in_dsdt("_OSC", 4));
}

static void there_is_a_device_for_each_cpu(void **state)
{
	struct acpi_params params = board(CONFIG_MAX_VCPUS);

	build(&params);
	for (unsigned int i = 0; i < CONFIG_MAX_VCPUS; i++) {
		char name[5];

		snprintf(name, sizeof(name), "C%03X", i & 0xfff);
		assert_non_null(in_dsdt(name, 4));
	}
	params = board(16);
	build(&params);
	assert_non_null(in_dsdt("C00F", 4));
	assert_null(in_dsdt("C010", 4));
}

/* --- the caller's mistakes --- */

static void too_small_a_buffer_is_refused_and_not_overrun(void **state)
{
	struct acpi_params params = board(3);
	ssize_t need = acpi__size(&params);

	for (ssize_t room = 0; room < need; room += room < need - 70 ? 61 : 1) {
		uint8_t *buf = malloc((size_t)room + 1);

		assert_non_null(buf);
		buf[room] = 0xcc;
		memset(rsdp, 0xaa, sizeof(rsdp));
		assert_int_equal(acpi__build(&params, GPA, buf, (size_t)room, rsdp), -ENOSPC);
		assert_int_equal(buf[room], 0xcc);
		assert_int_equal(rsdp[0], 0xaa);
		free(buf);
	}
}

static void tables_take_the_same_room_anywhere_below_4_gib(void **state)
{
	struct acpi_params params = board(1);
	size_t need = (size_t)acpi__size(&params);
	uint64_t last = 0x100000000 - (need + 63) / 64 * 64;

	build(&params);
	assert_int_equal(acpi__build(&params, 0x40, tables, size, rsdp), need);
	assert_int_equal(acpi__build(&params, last, tables, size, rsdp), need);
	assert_int_equal(acpi__build(&params, last + 64, tables, size, rsdp), -EINVAL);
	assert_int_equal(acpi__build(&params, 0x100000000, tables, size, rsdp), -EINVAL);
	assert_int_equal(acpi__build(&params, UINT64_MAX - 63, tables, size, rsdp), -EINVAL);
	assert_int_equal(acpi__build(&params, GPA + 32, tables, size, rsdp), -EINVAL);
}

static void contradictions_are_refused(void **state)
{
	struct acpi_params params = board(0);

	assert_int_equal(acpi__size(&params), -EINVAL);
	params = board(CONFIG_MAX_VCPUS + 1);
	assert_int_equal(acpi__size(&params), -EINVAL);
	params = board(1);
	params.has_lapic = false;
	assert_int_equal(acpi__size(&params), -EINVAL);
	params = board(2);
	params.apic_id = one_for_all;
	assert_int_equal(acpi__size(&params), -EINVAL);
	params = board(1);
	params.apic_id = broadcast;
	assert_int_equal(acpi__size(&params), -EINVAL);
	params = board(1);
	params.pci_mem64.base = 0xf0000000;
	assert_int_equal(acpi__size(&params), -EINVAL);
	params.pci_mem64.base = UINT64_MAX - 0xffff;
	assert_int_equal(acpi__size(&params), -EINVAL);
}

static void a_part_that_acpi_cannot_describe_is_refused(void **state)
{
	static const struct acpi_device bad[] = {
		{ .name = "TOOLONG", .hid = "PNP0501" },
		{ .name = "COM1", .hid = "serial" },
		{ .name = "COM1", .hid = "PNP0501", .io = { { 0xfff9, 8 } } },
		{ .name = "COM1", .hid = "PNP0501", .irq_kind = ACPI_IRQ_ISA, .irq = 16 },
		{ .name = "VIO0", .hid = "LNRO0005", .mmio = { 0x100000000, 0x200 } },
	};
	struct acpi_params params = board(1);

	params.nr_devices = 1;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		params.devices = &bad[i];
		assert_int_equal(acpi__size(&params), -EINVAL);
	}
}

/* --- the ACPI compiler's opinion --- */

static char dir[] = "/tmp/lkvm-test-acpi-XXXXXX";
static bool have_dir;

__attribute__((format(printf, 1, 2))) static bool shell(const char *fmt, ...)
{
	char command[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	return system(command) == 0;
}

static void need_compiler(void)
{
	if (!shell("command -v iasl >/dev/null 2>&1")) {
		print_message("SKIP: there is no iasl (Debian package acpica-tools)\n");
		skip();
	}
	if (!have_dir)
		assert_non_null(mkdtemp(dir));
	have_dir = true;
}

static int remove_dir(void **state)
{
	forget(NULL);
	return have_dir && !shell("rm -r %s", dir);
}

/* Contents of a file, until the next call */
static const char *load(const char *name, size_t *len)
{
	static char data[1 << 20];
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	*len = fread(data, 1, sizeof(data) - 1, file);
	fclose(file);
	data[*len] = '\0';
	return data;
}

static void store(const char *name, const uint8_t *table)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(table, length_of(table), 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

/* Disassemble @table to table.dsl and compile that: what comes out must be @table again. */
static void check_round_trip(const uint8_t *table)
{
	const char *again;
	size_t len;

	store("table.dat", table);
	if (!shell("cd %s && { iasl -d table.dat && iasl -oa -p again table.dsl; } >log 2>&1",
		   dir)) {
		shell("cat %s/log >&2", dir);
		fail_msg("iasl does not like the %.4s", (const char *)table);
	}
	again = load("again.aml", &len);
	assert_int_equal(len, length_of(table));
	for (size_t i = 0; i < len; i++) {
		bool compiler = i == 9 || (i >= 28 && i < 36); /* its name, hence the checksum */
		bool end_tag =
			table[i - !!i] == 0x79 && !again[i]; /* iasl leaves out its checksum */

		if (table[i] != (uint8_t)again[i] && !compiler && !end_tag)
			fail_msg("iasl makes another byte %zu of %.4s", i, (const char *)table);
	}
}

static void check_all_round_trips(const struct acpi_params *params)
{
	const uint8_t *root;

	build(params);
	root = xsdt();
	check_round_trip(root);
	check_round_trip(table_at(get(rsdp + 16, 4)));
	check_round_trip(table_at(get(fadt() + 36, 4)));
	check_round_trip(dsdt());
	for (size_t at = HEADER_SIZE; at < length_of(root); at += 8)
		check_round_trip(table_at(get(root + at, 8)));
}

static void the_compiler_makes_the_same_tables_of_their_source(void **state)
{
	struct acpi_params params = board(1);

	need_compiler();
	check_all_round_trips(&params);
	params = board(256);
	check_all_round_trips(&params);
}

static void the_compiler_takes_the_largest_machine(void **state)
{
	struct acpi_params params = board(CONFIG_MAX_VCPUS);

	need_compiler();
	build(&params);
	check_round_trip(dsdt());
	check_round_trip(find("APIC"));
}

static void the_compiler_takes_the_smallest_machine(void **state)
{
	struct acpi_params params = { .nr_cpus = 1 };

	need_compiler();
	check_all_round_trips(&params);
}

/* Whether the text has @what, whatever white space the disassembler puts where @what has a blank */
static bool has_text(const char *text, const char *what)
{
	for (; *text; text++) {
		const char *t = text, *w = what;

		while (*w && *t) {
			if (*w == ' ') {
				t += strspn(t, " \t\n");
				w++;
			} else if (*w++ != *t++) {
				break;
			}
			if (!*w)
				return true;
		}
	}
	return false;
}

static void the_source_shows_the_board(void **state)
{
	static const char *const objects[] = {
		"Name (\\_S5, Package (0x04) // _S5_: S5 System State { 0x05,",
		"Device (MBRD) { Name (_HID, EisaId (\"PNP0C02\")",
		"Memory32Fixed (ReadWrite, 0xE0000000, // Address Base 0x00100000,",
		"Device (PCI0) { Name (_HID, EisaId (\"PNP0A08\")",
		"Name (_CID, EisaId (\"PNP0A03\")",
		"WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0x0000, // "
		"Granularity "
		"0x0000, // Range Minimum 0x0000,",
		"WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0x0000, // "
		"Granularity "
		"0x1000, // Range Minimum 0xFFFF,",
		"DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, "
		"ReadWrite, 0x00000000, "
		"// Granularity 0xC0000000, // Range Minimum 0xDFFFFFFF,",
		"QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, "
		"ReadWrite, "
		"0x0000000000000000, // Granularity 0x0000000800000000, // Range Minimum "
		"0x0000000FFFFFFFFF,",
		"Name (_PRT, Package (0x80)",
		"Package (0x04) { 0x001FFFFF, 0x03, Zero, 0x0B }",
		"Method (_OSC, 4, Serialized)",
		"If ((Arg0 == ToUUID (\"33db4d5b-1ff7-401c-9657-7441c03dd766\")",
		"CDW3 = (Local0 & 0x3F)",
		"If ((CDW3 != Local0)) { CDW1 |= 0x10 }",
		"If ((Arg1 != One)) { CDW1 |= 0x08 }",
		"Else { CDW1 |= 0x04 }",
		"Return (Arg3)",
		"Device (COM1) { Name (_HID, EisaId (\"PNP0501\")",
		"IO (Decode16, 0x03F8, // Range Minimum 0x03F8, // Range Maximum 0x01, // "
		"Alignment 0x08, // Length ) "
		"IRQNoFlags () {4}",
		"Device (KBD) { Name (_HID, EisaId (\"PNP0303\")",
		"Device (RTC) { Name (_HID, EisaId (\"PNP0B00\")",
		"Device (PVPN) { Name (_HID, \"QEMU0001\")",
		"IO (Decode16, 0x0505,",
		"Memory32Fixed (ReadWrite, 0xFEB00200, // Address Base 0x00000200, // Address "
		"Length ) "
		"Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive, ,, ) { 0x00000011,",
		"Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, ) { 0x00000010,",
		"Device (C001) { Name (_HID, \"ACPI0007\" /* Processor Device */) // _HID: "
		"Hardware ID "
		"Name (_UID, One) // _UID: Unique ID Name (_STA, 0x0F)",
	};
	struct acpi_params params = board(2);
	const char *source;
	size_t len;

	need_compiler();
	build(&params);
	check_round_trip(dsdt());
	source = load("table.dsl", &len);
	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++) {
		if (!has_text(source, objects[i]))
			fail_msg("the DSDT has no %s", objects[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_rsdp_has_two_checksums_and_two_roots, forget),
		cmocka_unit_test_teardown(old_kernels_find_the_same_tables_by_the_rsdt, forget),
		cmocka_unit_test_teardown(the_fadt_names_the_ports_of_the_board, forget),
		cmocka_unit_test_teardown(the_fadt_promises_what_the_board_keeps, forget),
		cmocka_unit_test_teardown(the_parts_list_decides_about_8042_and_cmos_rtc, forget),
		cmocka_unit_test_teardown(facs_and_dsdt_are_where_the_fadt_says, forget),
		cmocka_unit_test_teardown(ids_below_255_are_lapics_and_others_x2apics, forget),
		cmocka_unit_test_teardown(x2apic_ids_force_physical_destinations_and_have_their_nmi,
					  forget),
		cmocka_unit_test_teardown(apic_ids_may_have_gaps, forget),
		cmocka_unit_test_teardown(the_madt_describes_the_io_apic_as_kvm_wires_it, forget),
		cmocka_unit_test_teardown(without_an_io_apic_the_madt_has_local_apics_only, forget),
		cmocka_unit_test_teardown(without_local_apics_there_is_no_madt, forget),
		cmocka_unit_test_teardown(the_mcfg_maps_all_buses, forget),
		cmocka_unit_test_teardown(soft_off_is_easy_to_find, forget),
		cmocka_unit_test_teardown(each_pin_of_each_slot_is_wired_to_the_next_line, forget),
		cmocka_unit_test_teardown(only_a_board_with_ecam_has_pci_express, forget),
		cmocka_unit_test_teardown(there_is_a_device_for_each_cpu, forget),
		cmocka_unit_test_teardown(too_small_a_buffer_is_refused_and_not_overrun, forget),
		cmocka_unit_test_teardown(tables_take_the_same_room_anywhere_below_4_gib, forget),
		cmocka_unit_test_teardown(contradictions_are_refused, forget),
		cmocka_unit_test_teardown(a_part_that_acpi_cannot_describe_is_refused, forget),
		cmocka_unit_test_teardown(the_compiler_makes_the_same_tables_of_their_source,
					  forget),
		cmocka_unit_test_teardown(the_compiler_takes_the_largest_machine, forget),
		cmocka_unit_test_teardown(the_compiler_takes_the_smallest_machine, forget),
		cmocka_unit_test_teardown(the_source_shows_the_board, forget),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, remove_dir);
}
