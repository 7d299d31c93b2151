/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables: how the x86 board describes itself to a kernel. Used by x86/machine.c.
 *
 * RSDP, XSDT (and RSDT), FADT, FACS, DSDT, MADT and MCFG as of ACPI 6.4, full hardware model. What
 * is the same in every machine comes from x86/layout.h; struct acpi_params says what differs.
 */
#ifndef X86_ACPI_H
#define X86_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ACPI_RSDP_SIZE 36
#define ACPI_ALIGN     64 /* of the tables' address, for the FACS */

/**
 * struct acpi_range - ports or guest-physical addresses
 * @size: how many; 0 for none
 */
struct acpi_range {
	uint64_t base;
	uint64_t size;
};

/**
 * enum acpi_irq_kind - what a device's interrupt is
 * @ACPI_IRQ_NONE:  it has none
 * @ACPI_IRQ_ISA:   an ISA interrupt (0 to 15)
 * @ACPI_IRQ_EDGE:  a GSI of its own, edge-triggered
 * @ACPI_IRQ_LEVEL: a GSI of its own, level-triggered, active high
 */
enum acpi_irq_kind { ACPI_IRQ_NONE, ACPI_IRQ_ISA, ACPI_IRQ_EDGE, ACPI_IRQ_LEVEL };

/**
 * struct acpi_device - a part of the board that is not on PCI
 * @name:     at most four of A-Z, 0-9 and '_', not a digit first ("COM1"); unique, and not PCI0,
 *            MBRD or C000 to CFFF
 * @hid:      what it is: "PNP0501", "QEMU0001", "LNRO0005"
 * @uid:      tells those of the same @hid apart
 * @io:       its ports, up to 255 each
 * @mmio:     its registers in memory, below 4 GiB
 * @irq_kind: see there
 * @irq:      ISA interrupt or GSI
 */
struct acpi_device {
	const char *name;
	const char *hid;
	uint32_t uid;
	struct acpi_range io[2];
	struct acpi_range mmio;
	enum acpi_irq_kind irq_kind;
	uint32_t irq;
};

/**
 * struct acpi_params - the machine to describe
 * @nr_cpus:    vCPUs, 1 to CONFIG_MAX_VCPUS
 * @apic_id:    APIC id of vCPU @index, ascending with it; vCPU 0 is the one that boots
 * @ctx:        for @apic_id
 * @has_lapic:  the vCPUs have local APICs; if not, there is no MADT and the kernel uses the PICs
 * @has_ioapic: there is an I/O APIC; needs local APICs
 * @has_ecam:   PCI configuration space is memory, too (PCI Express)
 * @pci_mem64:  PCI window above 4 GiB, if any
 * @rtc_century: CMOS byte that holds the century, or 0 if none does
 * @devices:    the parts list; the FADT, too, says by it whether there are i8042 and CMOS RTC
 * @nr_devices: how many
 */
struct acpi_params {
	unsigned int nr_cpus;
	uint32_t (*apic_id)(const void *ctx, unsigned int index);
	const void *ctx;
	bool has_lapic;
	bool has_ioapic;
	bool has_ecam;
	struct acpi_range pci_mem64;
	uint8_t rtc_century;
	const struct acpi_device *devices;
	unsigned int nr_devices;
};

/**
 * acpi__size - how much room the tables need
 *
 * Return: bytes; -EINVAL if @params contradict themselves or do not fit ACPI's encodings.
 */
ssize_t acpi__size(const struct acpi_params *params);

/**
 * acpi__build - write the tables
 * @params: the machine
 * @gpa:    guest-physical address of @tables; a multiple of ACPI_ALIGN, and all below 4 GiB
 * @tables: receives all tables but the RSDP: reserved ("ACPI data") memory of the guest
 * @size:   bytes there, acpi__size() or more
 * @rsdp:   receives the RSDP, ACPI_RSDP_SIZE bytes: at X86_RSDP, where kernels look for it
 *
 * With any APIC id of 255 or more, the boot vCPU has to be started in x2APIC mode: a kernel ignores
 * the MADT entries of those vCPUs otherwise.
 *
 * Return: bytes written to @tables; -ENOSPC if @size is too small, -EINVAL for @gpa and as
 * acpi__size(). On failure @rsdp is untouched.
 */
ssize_t acpi__build(const struct acpi_params *params, uint64_t gpa, void *tables, size_t size,
		    void *rsdp);

#endif
