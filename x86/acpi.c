// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The board's ACPI tables.
 *
 * Theory of operation: all tables go into one buffer in the order FACS, DSDT, FADT, MADT, MCFG,
 * RSDT, XSDT, so that each is written after those whose address it contains. struct aml is the
 * writer of them all, because it counts what does not fit: acpi__size() is the same code run
 * without a buffer.
 *
 * The hardware that the tables speak of is small. SMI_CMD is 0: the machine is always in ACPI mode.
 * There are no general-purpose events, no C-states beyond C1, no sleep states but S5. PCI
 * interrupts are wired, not routed: _PRT names GSIs, the same with PICs and with the I/O APIC.
 *
 * Section numbers are those of the ACPI specification, version 6.4.
 */
#include "x86/acpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kvm/config.h"
#include "x86/aml.h"
#include "x86/layout.h"

#define OEM_ID	     "LKVM  "
#define OEM_TABLE_ID "LKVMX86 "
#define CREATOR_ID   "LKVM"
#define LIMIT_4G     0x100000000ull

#define packed __attribute__((packed))

/* 5.2.6 */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} packed;

/* 5.2.3.2 */
struct acpi_gas {
	uint8_t space_id;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} packed;

#define GAS_SYSTEM_IO 1
#define GAS_BYTE      1
#define GAS_WORD      2
#define GAS_DWORD     3

/* 5.2.5.3 */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the 20 bytes up to rsdt */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum; /* of all */
	uint8_t reserved[3];
} packed;

#define RSDP_V1_SIZE  20
#define RSDP_REVISION 2
#define ROOT_REVISION 1
#define DSDT_REVISION 2 /* integers have 64 bits */

/* 5.2.10 */
struct acpi_facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved0[3];
	uint32_t ospm_flags;
	uint8_t reserved1[24];
} packed;

#define FACS_VERSION 2

/* 5.2.9 */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt;
	uint32_t pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	uint16_t p_lvl2_lat, p_lvl3_lat;
	uint16_t flush_size, flush_stride;
	uint8_t duty_offset, duty_width;
	uint8_t day_alarm, month_alarm, century;
	uint16_t iapc_boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t x_facs, x_dsdt;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt;
	struct acpi_gas x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
	struct acpi_gas sleep_control, sleep_status;
	uint64_t hypervisor_vendor;
} packed;

#define FADT_REVISION	     6
#define FADT_MINOR	     4
#define FADT_WBINVD	     (1u << 0)
#define FADT_PROC_C1	     (1u << 2)
#define FADT_NO_SLEEP_BUTTON (1u << 5) /* a power button there is: bit 4 is clear */
#define FADT_NO_FIXED_RTC    (1u << 6) /* alarms are not reported in PM1_STS */
#define FADT_TMR_VAL_EXT     (1u << 8) /* the PM timer has 32 bits */
#define FADT_RESET_REG	     (1u << 10)
#define FADT_APIC_PHYSICAL   (1u << 19)
#define BOOT_LEGACY_DEVICES  (1u << 0)
#define BOOT_8042	     (1u << 1)
#define BOOT_NO_VGA	     (1u << 2)
#define BOOT_NO_CMOS_RTC     (1u << 5)
#define LATENCY_NO_C2	     101  /* µs; above 100: there is no C2 */
#define LATENCY_NO_C3	     1001 /* µs; above 1000: there is no C3 */
#define PM1_EVT_LEN	     4
#define PM1_CNT_LEN	     2
#define PM_TMR_LEN	     4

/* 5.2.12 */
struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic_address;
	uint32_t flags;
} packed;

struct madt_lapic {
	uint8_t type, length;
	uint8_t uid;
	uint8_t apic_id;
	uint32_t flags;
} packed;

struct madt_ioapic {
	uint8_t type, length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} packed;

struct madt_override {
	uint8_t type, length;
	uint8_t bus;
	uint8_t source;
	uint32_t gsi;
	uint16_t flags;
} packed;

struct madt_lapic_nmi {
	uint8_t type, length;
	uint8_t uid;
	uint16_t flags;
	uint8_t lint;
} packed;

struct madt_x2apic {
	uint8_t type, length;
	uint16_t reserved;
	uint32_t apic_id;
	uint32_t flags;
	uint32_t uid;
} packed;

struct madt_x2apic_nmi {
	uint8_t type, length;
	uint16_t flags;
	uint32_t uid;
	uint8_t lint;
	uint8_t reserved[3];
} packed;

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10,
};

#define MADT_REVISION	 5
#define MADT_PCAT_COMPAT 1u /* there are PICs, too */
#define MADT_CPU_ENABLED 1u
#define MADT_ALL_LAPICS	 0xff
#define MADT_ALL_X2APICS 0xffffffffu
#define MADT_NMI_LINT	 1
#define MADT_BUS_ISA	 0
#define INTI_CONFORMING	 0x0
#define INTI_ACTIVE_HIGH 0x1
#define INTI_LEVEL	 0xc
#define X2APIC_BROADCAST 0xffffffffu
#define IOAPIC_ID	 0 /* what KVM's reads after reset; local APICs have a name space of their own */
#define PIT_ISA_IRQ	 0
#define PIT_IOAPIC_PIN	 2 /* as KVM routes it: pin 0 would be the PICs' */

/* PCI Firmware Specification 3.3, 4.1.2 */
struct acpi_mcfg {
	struct acpi_header header;
	uint64_t reserved0;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved1;
} packed;

#define ECAM_BUS_SIZE	0x100000u
#define MCFG_REVISION	1
#define NR_BUSES	(X86_ECAM_SIZE / ECAM_BUS_SIZE)
#define PCI_SLOTS	32
#define PCI_PINS	4
#define CONFIG_PORTS	0xcf8
#define NR_CONFIG_PORTS 8
#define STA_WORKING	0xf /* 6.3.7: present, enabled, shown, functioning */

/* _OSC of a PCI host bridge (PCI Firmware Specification 3.3, 4.5.1) */
#define OSC_PCI_UUID	     "33db4d5b-1ff7-401c-9657-7441c03dd766"
#define OSC_REVISION	     1
#define OSC_STATUS_AT	     0
#define OSC_CONTROL_AT	     8
#define OSC_GRANTED	     0x3f /* hot-plug, SHPC, PME, AER, PCIe capability, LTR */
#define OSC_UNKNOWN_UUID     0x04
#define OSC_UNKNOWN_REVISION 0x08
#define OSC_MASKED	     0x10

_Static_assert(sizeof(struct acpi_header) == 36, "5.2.6");
_Static_assert(sizeof(struct acpi_rsdp) == ACPI_RSDP_SIZE, "5.2.5.3");
_Static_assert(sizeof(struct acpi_facs) == 64, "5.2.10");
_Static_assert(sizeof(struct acpi_fadt) == 276, "5.2.9");
_Static_assert(sizeof(struct acpi_madt) == 44, "5.2.12");
_Static_assert(sizeof(struct acpi_mcfg) == 60, "PCI Firmware Specification 4.1.2");
_Static_assert(CONFIG_MAX_VCPUS <= 0x1000, "processors are named C000 to CFFF");
_Static_assert(X86_ECAM_SIZE % ECAM_BUS_SIZE == 0 && NR_BUSES <= 256, "whole buses");

/* --- the writer's view of a table --- */

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}

static struct acpi_gas gas_io(uint64_t port, unsigned int bytes, uint8_t access)
{
	return (struct acpi_gas){
		.space_id = GAS_SYSTEM_IO,
		.bit_width = (uint8_t)(8 * bytes),
		.access_size = access,
		.address = port,
	};
}

static struct acpi_header table_header(const char signature[4], uint8_t revision)
{
	struct acpi_header header = {
		.revision = revision,
		.oem_revision = 1,
		.creator_revision = 1,
	};

	memcpy(header.signature, signature, sizeof(header.signature));
	memcpy(header.oem_id, OEM_ID, sizeof(header.oem_id));
	memcpy(header.oem_table_id, OEM_TABLE_ID, sizeof(header.oem_table_id));
	memcpy(header.creator_id, CREATOR_ID, sizeof(header.creator_id));
	return header;
}

/* Where the next table starts, aligned as the FACS wants it */
static size_t next_table(struct aml *out)
{
	static const uint8_t zero[ACPI_ALIGN];

	aml__raw(out, zero, -out->len % ACPI_ALIGN);
	return out->len;
}

/* Fill in length and checksum of the table at @at */
static void end_table(struct aml *out, size_t at)
{
	struct acpi_header *header;

	if (out->error || out->len > out->size)
		return;
	header = (struct acpi_header *)(out->buf + at);
	header->length = (uint32_t)(out->len - at);
	header->checksum = checksum(header, out->len - at);
}

/* --- DSDT: the parts of the board --- */

/* A device of the parts list */
static void put_device(struct aml *out, const struct acpi_device *dev)
{
	aml__begin_device(out, dev->name);
	aml__name(out, "_HID");
	aml__hardware_id(out, dev->hid);
	aml__name_integer(out, "_UID", dev->uid);
	aml__name(out, "_CRS");
	aml__begin_resources(out);
	for (unsigned int i = 0; i < sizeof(dev->io) / sizeof(dev->io[0]); i++) {
		if (dev->io[i].size)
			aml__io(out, dev->io[i].base, dev->io[i].size);
	}
	if (dev->mmio.size)
		aml__memory32(out, dev->mmio.base, dev->mmio.size);
	if (dev->irq_kind == ACPI_IRQ_ISA)
		aml__isa_irq(out, dev->irq);
	else if (dev->irq_kind != ACPI_IRQ_NONE)
		aml__interrupt(out, dev->irq,
			       dev->irq_kind == ACPI_IRQ_EDGE ? AML_EDGE : AML_LEVEL);
	aml__end(out);
	aml__end(out);
}

/* A processor: a device, since Processor () is deprecated (8.4). _UID leads to its MADT entry. */
static void put_cpu(struct aml *out, unsigned int index)
{
	char name[8];

	snprintf(name, sizeof(name), "C%03X", index & 0xfff);
	aml__begin_device(out, name);
	aml__name(out, "_HID");
	aml__hardware_id(out, "ACPI0007");
	aml__name_integer(out, "_UID", index);
	aml__name_integer(out, "_STA", STA_WORKING);
	aml__end(out);
}

/* What belongs to no other device. Linux uses the ECAM only if a PNP0C02 reserves it. */
static void put_motherboard(struct aml *out, const struct acpi_params *params)
{
	aml__begin_device(out, "MBRD");
	aml__name(out, "_HID");
	aml__hardware_id(out, "PNP0C02");
	aml__name(out, "_CRS");
	aml__begin_resources(out);
	aml__io(out, X86_PM1A_EVT, PM1_EVT_LEN);
	aml__io(out, X86_PM1A_CNT, PM1_CNT_LEN);
	aml__io(out, X86_PM_TMR, PM_TMR_LEN);
	if (params->has_ecam)
		aml__memory32(out, X86_ECAM_BASE, X86_ECAM_SIZE);
	aml__end(out);
	aml__end(out);
}

/* The GSI of each interrupt pin on bus 0 (6.2.13) */
static void put_prt(struct aml *out)
{
	static const uint8_t gsis[X86_NR_PCI_GSIS] = X86_PCI_GSIS;

	aml__name(out, "_PRT");
	aml__begin_package(out, PCI_SLOTS * PCI_PINS);
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++) {
		for (unsigned int pin = 0; pin < PCI_PINS; pin++) {
			aml__begin_package(out, 4);
			aml__integer(out, slot << 16 | 0xffff); /* any function */
			aml__integer(out, pin);
			aml__integer(out, 0); /* not by way of a link device: the next is a GSI */
			aml__integer(out, gsis[(slot + pin) % X86_NR_PCI_GSIS]);
			aml__end(out);
		}
	}
	aml__end(out);
}

/* CreateDWordField (Arg3, @at, @name) */
static void put_osc_field(struct aml *out, unsigned int at, const char *name)
{
	aml__op(out, AML_CREATE_DWORD_FIELD);
	aml__op(out, AML_ARG0 + 3);
	aml__integer(out, at);
	aml__path(out, name);
}

/* CDW1 |= @bit */
static void put_osc_error(struct aml *out, unsigned int bit)
{
	aml__op(out, AML_OR);
	aml__path(out, "CDW1");
	aml__integer(out, bit);
	aml__path(out, "CDW1");
}

/*
 * _OSC (6.2.11): no firmware holds on to a PCI Express feature, so the kernel gets control of each
 * that it asks for (bits of CDW3) and that is defined. Arg0 is a UUID, Arg1 the revision, Arg3 the
 * buffer of which CDW1 and CDW3 are parts.
 */
static void put_osc(struct aml *out)
{
	aml__begin_method(out, "_OSC", 4, true);
	put_osc_field(out, OSC_STATUS_AT, "CDW1");

	aml__begin_if(out);
	aml__op(out, AML_LEQUAL);
	aml__op(out, AML_ARG0);
	aml__uuid(out, OSC_PCI_UUID);
	{
		put_osc_field(out, OSC_CONTROL_AT, "CDW3");
		aml__op(out, AML_STORE);
		aml__path(out, "CDW3");
		aml__op(out, AML_LOCAL0);
		aml__op(out, AML_AND);
		aml__op(out, AML_LOCAL0);
		aml__integer(out, OSC_GRANTED);
		aml__path(out, "CDW3");

		aml__begin_if(out);
		aml__op(out, AML_LNOT);
		aml__op(out, AML_LEQUAL);
		aml__path(out, "CDW3");
		aml__op(out, AML_LOCAL0);
		put_osc_error(out, OSC_MASKED);
		aml__end(out);

		aml__begin_if(out);
		aml__op(out, AML_LNOT);
		aml__op(out, AML_LEQUAL);
		aml__op(out, AML_ARG0 + 1);
		aml__integer(out, OSC_REVISION);
		put_osc_error(out, OSC_UNKNOWN_REVISION);
		aml__end(out);
	}
	aml__end(out);
	aml__begin_else(out);
	put_osc_error(out, OSC_UNKNOWN_UUID);
	aml__end(out);

	aml__op(out, AML_RETURN);
	aml__op(out, AML_ARG0 + 3);
	aml__end(out);
}

static void put_pci_host(struct aml *out, const struct acpi_params *params)
{
	aml__begin_device(out, "PCI0");
	aml__name(out, "_HID");
	aml__hardware_id(out, params->has_ecam ? "PNP0A08" : "PNP0A03");
	if (params->has_ecam) {
		aml__name(out, "_CID");
		aml__hardware_id(out, "PNP0A03");
	}
	aml__name_integer(out, "_UID", 0);
	aml__name_integer(out, "_BBN", 0);

	aml__name(out, "_CRS");
	aml__begin_resources(out);
	aml__bus_window(out, 0, NR_BUSES);
	aml__io(out, CONFIG_PORTS, NR_CONFIG_PORTS);
	aml__io_window(out, X86_PCI_IO_BASE, X86_PCI_IO_SIZE);
	aml__memory_window(out, X86_PCI_WINDOW_BASE, X86_PCI_WINDOW_SIZE);
	if (params->pci_mem64.size)
		aml__memory_window(out, params->pci_mem64.base, params->pci_mem64.size);
	aml__end(out);

	put_prt(out);
	if (params->has_ecam)
		put_osc(out);
	aml__end(out);
}

/* Soft off, what PM1_CNT has to be told for it (7.4.2) */
static void put_s5(struct aml *out)
{
	aml__name(out, "\\_S5");
	aml__begin_package(out, 4);
	aml__integer(out, X86_S5_SLP_TYP);
	aml__integer(out, X86_S5_SLP_TYP);
	aml__integer(out, 0);
	aml__integer(out, 0);
	aml__end(out);
}

static size_t put_dsdt(struct aml *out, const struct acpi_params *params)
{
	struct acpi_header header = table_header("DSDT", DSDT_REVISION);
	size_t at = next_table(out);

	aml__raw(out, &header, sizeof(header));
	put_s5(out);
	aml__begin_scope(out, "\\_SB");
	put_motherboard(out, params);
	put_pci_host(out, params);
	for (unsigned int i = 0; i < params->nr_devices; i++)
		put_device(out, &params->devices[i]);
	for (unsigned int i = 0; i < params->nr_cpus; i++)
		put_cpu(out, i);
	aml__end(out);
	end_table(out, at);
	return at;
}

/* --- the other tables --- */

static size_t put_facs(struct aml *out)
{
	struct acpi_facs facs = {
		.signature = { 'F', 'A', 'C', 'S' },
		.length = sizeof(facs),
		.version = FACS_VERSION,
	};
	size_t at = next_table(out);

	aml__raw(out, &facs, sizeof(facs));
	return at;
}

static bool has_part(const struct acpi_params *params, const char *hid)
{
	for (unsigned int i = 0; i < params->nr_devices; i++) {
		if (!strcmp(params->devices[i].hid, hid))
			return true;
	}
	return false;
}

static uint16_t boot_arch(const struct acpi_params *params)
{
	unsigned int flags = BOOT_LEGACY_DEVICES | BOOT_NO_VGA;

	if (has_part(params, "PNP0303"))
		flags |= BOOT_8042;
	if (!has_part(params, "PNP0B00"))
		flags |= BOOT_NO_CMOS_RTC;
	return (uint16_t)flags;
}

static bool has_x2apic_ids(const struct acpi_params *params)
{
	return params->has_lapic &&
	       params->apic_id(params->ctx, params->nr_cpus - 1) > X86_MAX_XAPIC_ID;
}

static uint32_t fadt_flags(const struct acpi_params *params)
{
	uint32_t flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC |
			 FADT_TMR_VAL_EXT | FADT_RESET_REG;

	/* Without interrupt remapping no logical destination reaches these. */
	if (has_x2apic_ids(params))
		flags |= FADT_APIC_PHYSICAL;
	return flags;
}

static size_t put_fadt(struct aml *out, const struct acpi_params *params, uint64_t facs,
		       uint64_t dsdt)
{
	struct acpi_fadt fadt = {
		.header = table_header("FACP", FADT_REVISION),
		.minor_version = FADT_MINOR,
		.facs = (uint32_t)facs, /* and not x_facs: a kernel would see two */
		.dsdt = (uint32_t)dsdt,
		.x_dsdt = dsdt,
		.sci_int = X86_SCI_GSI,
		.pm1a_evt = X86_PM1A_EVT,
		.pm1_evt_len = PM1_EVT_LEN,
		.x_pm1a_evt = gas_io(X86_PM1A_EVT, PM1_EVT_LEN, GAS_WORD),
		.pm1a_cnt = X86_PM1A_CNT,
		.pm1_cnt_len = PM1_CNT_LEN,
		.x_pm1a_cnt = gas_io(X86_PM1A_CNT, PM1_CNT_LEN, GAS_WORD),
		.pm_tmr = X86_PM_TMR,
		.pm_tmr_len = PM_TMR_LEN,
		.x_pm_tmr = gas_io(X86_PM_TMR, PM_TMR_LEN, GAS_DWORD),
		.p_lvl2_lat = LATENCY_NO_C2,
		.p_lvl3_lat = LATENCY_NO_C3,
		.century = params->rtc_century,
		.iapc_boot_arch = boot_arch(params),
		.flags = fadt_flags(params),
		.reset_reg = gas_io(X86_RESET_PORT, 1, GAS_BYTE),
		.reset_value = X86_RESET_VALUE,
	};
	size_t at = next_table(out);

	aml__raw(out, &fadt, sizeof(fadt));
	end_table(out, at);
	return at;
}

static void put_madt_cpu(struct aml *out, uint32_t uid, uint32_t apic_id)
{
	struct madt_lapic lapic = {
		.type = MADT_LAPIC,
		.length = sizeof(lapic),
		.uid = (uint8_t)uid, /* not above apic_id */
		.apic_id = (uint8_t)apic_id,
		.flags = MADT_CPU_ENABLED,
	};
	struct madt_x2apic x2apic = {
		.type = MADT_X2APIC,
		.length = sizeof(x2apic),
		.uid = uid,
		.apic_id = apic_id,
		.flags = MADT_CPU_ENABLED,
	};

	if (apic_id <= X86_MAX_XAPIC_ID)
		aml__raw(out, &lapic, sizeof(lapic));
	else
		aml__raw(out, &x2apic, sizeof(x2apic));
}

static void put_madt_override(struct aml *out, uint8_t source, uint32_t gsi, uint16_t flags)
{
	struct madt_override override = {
		.type = MADT_OVERRIDE,
		.length = sizeof(override),
		.bus = MADT_BUS_ISA,
		.source = source,
		.gsi = gsi,
		.flags = flags,
	};

	aml__raw(out, &override, sizeof(override));
}

static void put_madt_ioapic(struct aml *out)
{
	struct madt_ioapic ioapic = {
		.type = MADT_IOAPIC,
		.length = sizeof(ioapic),
		.id = IOAPIC_ID,
		.address = X86_IOAPIC_BASE,
	};

	aml__raw(out, &ioapic, sizeof(ioapic));
	put_madt_override(out, PIT_ISA_IRQ, PIT_IOAPIC_PIN, INTI_CONFORMING);
	put_madt_override(out, X86_SCI_GSI, X86_SCI_GSI, INTI_LEVEL | INTI_ACTIVE_HIGH);
}

static void put_madt_nmis(struct aml *out, const struct acpi_params *params)
{
	struct madt_lapic_nmi lapic = {
		.type = MADT_LAPIC_NMI,
		.length = sizeof(lapic),
		.uid = MADT_ALL_LAPICS,
		.lint = MADT_NMI_LINT,
	};
	struct madt_x2apic_nmi x2apic = {
		.type = MADT_X2APIC_NMI,
		.length = sizeof(x2apic),
		.uid = MADT_ALL_X2APICS,
		.lint = MADT_NMI_LINT,
	};

	aml__raw(out, &lapic, sizeof(lapic));
	if (has_x2apic_ids(params))
		aml__raw(out, &x2apic, sizeof(x2apic));
}

static size_t put_madt(struct aml *out, const struct acpi_params *params)
{
	struct acpi_madt madt = {
		.header = table_header("APIC", MADT_REVISION),
		.lapic_address = X86_LAPIC_BASE,
		.flags = MADT_PCAT_COMPAT,
	};
	size_t at = next_table(out);

	aml__raw(out, &madt, sizeof(madt));
	for (unsigned int i = 0; i < params->nr_cpus; i++)
		put_madt_cpu(out, i, params->apic_id(params->ctx, i));
	if (params->has_ioapic)
		put_madt_ioapic(out);
	put_madt_nmis(out, params);
	end_table(out, at);
	return at;
}

static size_t put_mcfg(struct aml *out)
{
	struct acpi_mcfg mcfg = {
		.header = table_header("MCFG", MCFG_REVISION),
		.base = X86_ECAM_BASE,
		.last_bus = NR_BUSES - 1,
	};
	size_t at = next_table(out);

	aml__raw(out, &mcfg, sizeof(mcfg));
	end_table(out, at);
	return at;
}

/* RSDT or XSDT: the addresses of the other tables, in 4 or 8 bytes each (5.2.7, 5.2.8) */
static size_t put_root(struct aml *out, const char signature[4], size_t width,
		       const uint64_t *tables, unsigned int nr)
{
	struct acpi_header header = table_header(signature, ROOT_REVISION);
	size_t at = next_table(out);

	aml__raw(out, &header, sizeof(header));
	for (unsigned int i = 0; i < nr; i++)
		aml__raw(out, &tables[i], width); /* little-endian: the low bytes come first */
	end_table(out, at);
	return at;
}

static void fill_rsdp(struct acpi_rsdp *rsdp, uint64_t rsdt, uint64_t xsdt)
{
	*rsdp = (struct acpi_rsdp){
		.revision = RSDP_REVISION,
		.rsdt = (uint32_t)rsdt,
		.length = sizeof(*rsdp),
		.xsdt = xsdt,
	};
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, OEM_ID, sizeof(rsdp->oem_id));
	rsdp->checksum = checksum(rsdp, RSDP_V1_SIZE);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

static void put_tables(struct aml *out, const struct acpi_params *params, uint64_t gpa,
		       struct acpi_rsdp *rsdp)
{
	uint64_t facs = gpa + put_facs(out);
	uint64_t dsdt = gpa + put_dsdt(out, params);
	uint64_t tables[3], rsdt, xsdt;
	unsigned int nr = 0;

	tables[nr++] = gpa + put_fadt(out, params, facs, dsdt);
	if (params->has_lapic)
		tables[nr++] = gpa + put_madt(out, params);
	if (params->has_ecam)
		tables[nr++] = gpa + put_mcfg(out);
	rsdt = gpa + put_root(out, "RSDT", sizeof(uint32_t), tables, nr);
	xsdt = gpa + put_root(out, "XSDT", sizeof(uint64_t), tables, nr);
	fill_rsdp(rsdp, rsdt, xsdt);
}

/* --- the door --- */

/* Ascending ids are distinct, and the last tells whether any needs an x2APIC. */
static bool apic_ids_ascend(const struct acpi_params *params)
{
	uint32_t id = 0;

	for (unsigned int i = 0; i < params->nr_cpus; i++) {
		uint32_t previous = id;

		id = params->apic_id(params->ctx, i);
		if (id == X2APIC_BROADCAST || (i && id <= previous))
			return false;
	}
	return true;
}

static int check_params(const struct acpi_params *params)
{
	if (!params->nr_cpus || params->nr_cpus > CONFIG_MAX_VCPUS)
		return -EINVAL;
	if (params->has_lapic ? !apic_ids_ascend(params) : params->has_ioapic)
		return -EINVAL;
	if (params->pci_mem64.size && params->pci_mem64.base < LIMIT_4G)
		return -EINVAL;
	return 0;
}

static ssize_t build(struct aml *out, const struct acpi_params *params, uint64_t gpa,
		     struct acpi_rsdp *rsdp)
{
	int err = check_params(params);

	if (err)
		return err;
	put_tables(out, params, gpa, rsdp);
	return aml__finish(out);
}

ssize_t acpi__size(const struct acpi_params *params)
{
	struct acpi_rsdp rsdp;
	struct aml out;

	aml__init(&out, NULL, 0);
	return build(&out, params, 0, &rsdp);
}

ssize_t acpi__build(const struct acpi_params *params, uint64_t gpa, void *tables, size_t size,
		    void *rsdp)
{
	struct acpi_rsdp root;
	struct aml out;
	ssize_t len;

	aml__init(&out, tables, size);
	len = build(&out, params, gpa, &root);
	if (len < 0)
		return len;
	if ((size_t)len > size)
		return -ENOSPC;
	if (gpa % ACPI_ALIGN || gpa >= LIMIT_4G || (uint64_t)len > LIMIT_4G - gpa)
		return -EINVAL;
	memcpy(rsdp, &root, sizeof(root));
	return len;
}
