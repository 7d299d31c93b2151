/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables, as far as a guest without an AML interpreter can use them.
 */
#ifndef GUEST_ACPI_H
#define GUEST_ACPI_H

#include "cpu.h"

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum; /* of all */
	uint8_t reserved[3];
} __attribute__((packed));

#define ACPI_RSDP_V1_SIZE 20

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct acpi_gas {
	uint8_t space, bit_width, bit_offset, access;
	uint64_t address;
} __attribute__((packed));

#define GAS_MEMORY 0
#define GAS_IO	   1

struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t reserved0, pm_profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control;
	uint32_t pm2_control, pm_timer, gpe0, gpe1;
	uint8_t reserved1[24];
	uint32_t flags;
	struct acpi_gas reset;
	uint8_t reset_value;
	uint8_t reserved2[3];
	uint64_t x_facs, x_dsdt;
} __attribute__((packed));

_Static_assert(offsetof(struct acpi_fadt, pm1a_control) == 64, "ACPI 6.5 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "ACPI 6.5 table 5.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 6.5 table 5.9");

#define FADT_RESET_SUPPORTED (1u << 10)
#define FADT_HW_REDUCED	     (1u << 20)

/**
 * acpi_rsdp - find the RSDP: where the loader says, in the EBDA or below 1 MiB
 *
 * Return: NULL if there is none whose checksum is right.
 */
const struct acpi_rsdp *acpi_rsdp(void);

/** acpi_sum - the sum of all bytes, 0 for a table that is intact */
uint8_t acpi_sum(const void *table, uint32_t len);

/** acpi_find - a table of the XSDT, or else the RSDT, by its signature; "DSDT" by the FADT. NULL:
 * none */
const struct acpi_header *acpi_find(const char *signature);

/**
 * acpi_sleep_type - the SLP_TYPa of a sleep state
 * @name: "_S5_"
 *
 * Return: negative if the DSDT does not name it.
 */
int acpi_sleep_type(const char *name);

/**
 * struct madt_info - what the MADT says
 * @nr_cpus: enabled processors
 * @apic_id: theirs
 * @nr_x2apic: how many of them by x2APIC entries (type 9)
 * @ioapic:  address of the I/O APIC that has GSI 0; 0: none
 * @gsi:     to which GSI each ISA IRQ goes
 */
struct madt_info {
	unsigned int nr_cpus, nr_x2apic;
	uint32_t apic_id[MAX_CPUS];
	uint64_t ioapic;
	uint32_t gsi[16];
};

/** madt_read - Return: false if there is no MADT */
bool madt_read(struct madt_info *info);

/**
 * ecam_base - where the MCFG says that configuration space of segment 0, bus 0 is; 0: nowhere
 * @last_bus: receives the last bus of the window
 */
uint64_t ecam_base(unsigned int *last_bus);

#endif
