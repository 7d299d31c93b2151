// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding and reading ACPI tables.
 */
#include "acpi.h"
#include "boot.h"

#define EBDA_SEGMENT_AT 0x40e
#define BIOS_AREA	0xe0000ul
#define BIOS_AREA_END	0x100000ul

#define MADT_LAPIC	 0
#define MADT_IOAPIC	 1
#define MADT_OVERRIDE	 2
#define MADT_X2APIC	 9
#define MADT_ENTRIES_AT	 44
#define MADT_CPU_ENABLED 1
#define MCFG_ENTRIES_AT	 44

#define AML_ZERO    0x00
#define AML_ONE	    0x01
#define AML_NAME    0x08
#define AML_BYTE    0x0a
#define AML_WORD    0x0b
#define AML_DWORD   0x0c
#define AML_PACKAGE 0x12

uint8_t acpi_sum(const void *table, uint32_t len)
{
	const uint8_t *bytes = table;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *bytes++);
	return sum;
}

static const struct acpi_rsdp *rsdp_at(uintptr_t address)
{
	const struct acpi_rsdp *rsdp = (const void *)address;

	if (memcmp(rsdp->signature, "RSD PTR ", 8) || acpi_sum(rsdp, ACPI_RSDP_V1_SIZE))
		return NULL;
	return rsdp;
}

static const struct acpi_rsdp *scan(uintptr_t from, uintptr_t to)
{
	for (; from < to; from += 16) {
		const struct acpi_rsdp *rsdp = rsdp_at(from);

		if (rsdp)
			return rsdp;
	}
	return NULL;
}

const struct acpi_rsdp *acpi_rsdp(void)
{
	static const struct acpi_rsdp *found;
	uintptr_t ebda = (uintptr_t)mmio_read16(EBDA_SEGMENT_AT) << 4;

	if (!found && boot_rsdp())
		found = rsdp_at(boot_rsdp());
	if (!found && ebda >= 0x400 && ebda < 0xa0000)
		found = scan(ebda, ebda + 1024);
	if (!found)
		found = scan(BIOS_AREA, BIOS_AREA_END);
	return found;
}

static const struct acpi_header *find_in(uint64_t root, unsigned int width, const char *signature)
{
	const struct acpi_header *header = map_physical(root);

	for (uint32_t at = sizeof(*header); at + width <= header->length; at += width) {
		const struct acpi_header *table;
		uint64_t address = 0;

		memcpy(&address, (const char *)header + at, width);
		table = map_physical(address);
		if (!memcmp(table->signature, signature, 4))
			return table;
	}
	return NULL;
}

static const struct acpi_header *find_dsdt(void)
{
	const struct acpi_fadt *fadt = (const void *)acpi_find("FACP");
	uint64_t address;

	if (!fadt)
		return NULL;
	address = fadt->dsdt;
	if (fadt->header.length >= offsetof(struct acpi_fadt, x_dsdt) + 8 && fadt->x_dsdt)
		address = fadt->x_dsdt;
	return address ? map_physical(address) : NULL;
}

const struct acpi_header *acpi_find(const char *signature)
{
	const struct acpi_rsdp *rsdp = acpi_rsdp();

	if (!rsdp)
		return NULL;
	if (!memcmp(signature, "DSDT", 4))
		return find_dsdt();
	if (rsdp->revision >= 2 && rsdp->xsdt)
		return find_in(rsdp->xsdt, 8, signature);
	return rsdp->rsdt ? find_in(rsdp->rsdt, 4, signature) : NULL;
}

/* An integer of AML at @at; -1 if it is something else. */
static int aml_integer(const uint8_t *at)
{
	switch (*at) {
	case AML_ZERO:
	case AML_ONE:
		return *at;
	case AML_BYTE:
	case AML_WORD:
	case AML_DWORD:
		return at[1];
	}
	return -1;
}

int acpi_sleep_type(const char *name)
{
	const struct acpi_header *dsdt = acpi_find("DSDT");
	const uint8_t *bytes = (const uint8_t *)dsdt;

	/* NameOp [\] NAME PackageOp PkgLength NumElements SLP_TYPa … */
	for (uint32_t at = sizeof(*dsdt); dsdt && at + 16 < dsdt->length; at++) {
		uint32_t next = at + 1;

		if (bytes[at] != AML_NAME)
			continue;
		if (bytes[next] == '\\')
			next++;
		if (memcmp(bytes + next, name, 4) || bytes[next + 4] != AML_PACKAGE)
			continue;
		next += 5;
		next += 1u + (bytes[next] >> 6); /* PkgLength */
		return aml_integer(bytes + next + 1);
	}
	return -1;
}

static void madt_cpu(struct madt_info *info, uint32_t id, uint32_t flags)
{
	if (flags & MADT_CPU_ENABLED && info->nr_cpus < MAX_CPUS)
		info->apic_id[info->nr_cpus++] = id;
}

static void madt_entry(struct madt_info *info, const uint8_t *entry)
{
	uint32_t word[4] = { 0 };

	memcpy(word, entry, entry[1] < sizeof(word) ? entry[1] : sizeof(word));
	switch (entry[0]) {
	case MADT_LAPIC:
		madt_cpu(info, entry[3], word[1]);
		break;
	case MADT_X2APIC:
		info->nr_x2apic += word[2] & MADT_CPU_ENABLED;
		madt_cpu(info, word[1], word[2]);
		break;
	case MADT_IOAPIC:
		if (!word[2])
			info->ioapic = word[1];
		break;
	case MADT_OVERRIDE:
		if (entry[3] < ARRAY_SIZE(info->gsi))
			info->gsi[entry[3]] = word[1];
		break;
	}
}

bool madt_read(struct madt_info *info)
{
	const struct acpi_header *madt = acpi_find("APIC");
	const uint8_t *bytes = (const uint8_t *)madt;

	memset(info, 0, sizeof(*info));
	for (uint32_t irq = 0; irq < ARRAY_SIZE(info->gsi); irq++)
		info->gsi[irq] = irq;
	if (!madt)
		return false;
	for (uint32_t at = MADT_ENTRIES_AT; at + 2 <= madt->length && bytes[at + 1] >= 2;
	     at += bytes[at + 1])
		madt_entry(info, bytes + at);
	return true;
}

uint64_t ecam_base(unsigned int *last_bus)
{
	const struct acpi_header *mcfg = acpi_find("MCFG");
	struct {
		uint64_t base;
		uint16_t segment;
		uint8_t first_bus, last_bus;
		uint32_t reserved;
	} __attribute__((packed)) entry;

	if (!mcfg || mcfg->length < MCFG_ENTRIES_AT + sizeof(entry))
		return 0;
	memcpy(&entry, (const char *)mcfg + MCFG_ENTRIES_AT, sizeof(entry));
	if (entry.segment || entry.first_bus)
		return 0;
	*last_bus = entry.last_bus;
	return entry.base;
}
