// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The board's MP table.
 *
 * Theory of operation: entries are appended in the order of their types, as the specification wants
 * them, then the header gets their number and the checksum. Local APICs deliver interrupts of the
 * PICs until the kernel takes over (virtual wire mode: ExtINT on LINT0, no IMCR).
 *
 * Lines that PCI uses are listed for PCI only: a kernel programs a pin by the first entry that it
 * finds for it, and an ISA entry would make it edge-triggered. What PCI says, active low, is what
 * PCI's pins are; neither KVM nor lkvm looks at the polarity of an I/O APIC pin.
 *
 * Section numbers are those of the Intel MultiProcessor Specification, version 1.4.
 */
#include "x86/mptable.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "x86/layout.h"

#define packed __attribute__((packed))

/* 4.1 */
struct mp_pointer {
	char signature[4];
	uint32_t table;
	uint8_t length; /* in units of 16 bytes */
	uint8_t spec_revision;
	uint8_t checksum;
	uint8_t features[5];
} packed;

/* 4.2 */
struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t spec_revision;
	uint8_t checksum;
	char oem_id[8];
	char product_id[12];
	uint32_t oem_table;
	uint16_t oem_table_size;
	uint16_t nr_entries;
	uint32_t lapic_address;
	uint16_t extended_length;
	uint8_t extended_checksum;
	uint8_t reserved;
} packed;

enum mp_type { MP_CPU, MP_BUS, MP_IOAPIC, MP_INTERRUPT, MP_LOCAL_INTERRUPT };

/* 4.3.1 */
struct mp_cpu {
	uint8_t type;
	uint8_t apic_id;
	uint8_t apic_version;
	uint8_t flags;
	uint32_t signature;
	uint32_t features;
	uint32_t reserved[2];
} packed;

/* 4.3.2 */
struct mp_bus {
	uint8_t type;
	uint8_t id;
	char name[6];
} packed;

/* 4.3.3 */
struct mp_ioapic {
	uint8_t type;
	uint8_t id;
	uint8_t version;
	uint8_t flags;
	uint32_t address;
} packed;

/* 4.3.4, 4.3.5 */
struct mp_interrupt {
	uint8_t type;
	uint8_t kind;
	uint16_t flags;
	uint8_t source_bus;
	uint8_t source_irq;
	uint8_t apic_id; /* of the I/O APIC, or the local one */
	uint8_t pin;	 /* INTIN, or LINT */
} packed;

_Static_assert(sizeof(struct mp_pointer) == 16, "4.1");
_Static_assert(sizeof(struct mp_header) == 44, "4.2");
_Static_assert(sizeof(struct mp_cpu) == 20, "4.3.1");
_Static_assert(sizeof(struct mp_bus) == 8 && sizeof(struct mp_ioapic) == 8, "4.3.2, 4.3.3");
_Static_assert(sizeof(struct mp_interrupt) == 8, "4.3.4");
_Static_assert(MPTABLE_MAX_SIZE <= UINT16_MAX, "4.2: the length has 16 bits");

#define SPEC_1_4	 4
#define ALL_LAPICS	 255 /* so no processor may have this id */
#define LAPIC_VERSION	 0x14
#define IOAPIC_VERSION	 0x11
#define IOAPIC_ID	 0 /* what KVM's reads after reset; local APICs have a name space of their own */
#define CPU_ENABLED	 1
#define CPU_BOOT	 2
#define IOAPIC_ENABLED	 1
#define KIND_INT	 0
#define KIND_NMI	 1
#define KIND_EXTINT	 3
#define FLAGS_CONFORMING 0x0 /* to the bus */
#define FLAGS_ACTIVE_LOW 0x3
#define FLAGS_LEVEL	 0xc
#define BUS_PCI		 0 /* a PCI bus has its own number as its id */
#define BUS_ISA		 1
#define PCI_SLOTS	 32
#define PCI_PINS	 4
#define PIT_ISA_IRQ	 0
#define PIT_IOAPIC_PIN	 2 /* as KVM routes it */
#define CASCADE_ISA_IRQ	 2 /* where the second PIC sits */

static const uint8_t pci_gsis[X86_NR_PCI_GSIS] = X86_PCI_GSIS;

/* Where entries go; what does not fit is counted but not written. */
struct mp_writer {
	uint8_t *buf;
	size_t size, len;
	uint16_t nr_entries;
};

static void put(struct mp_writer *out, const void *data, size_t len)
{
	if (out->len <= out->size && len <= out->size - out->len)
		memcpy(out->buf + out->len, data, len);
	out->len += len;
}

static void put_entry(struct mp_writer *out, const void *entry, size_t len)
{
	put(out, entry, len);
	out->nr_entries++;
}

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}

static void put_cpus(struct mp_writer *out, const struct mptable_params *params)
{
	for (unsigned int i = 0; i < params->nr_cpus; i++) {
		uint32_t id = params->apic_id(params->ctx, i);
		struct mp_cpu cpu = {
			.type = MP_CPU,
			.apic_id = (uint8_t)id,
			.apic_version = LAPIC_VERSION,
			.flags = CPU_ENABLED | (i ? 0 : CPU_BOOT),
			.signature = params->signature,
			.features = params->features,
		};

		if (id > X86_MAX_XAPIC_ID)
			break;
		put_entry(out, &cpu, sizeof(cpu));
	}
}

static void put_bus(struct mp_writer *out, uint8_t id, const char *name)
{
	struct mp_bus bus = { .type = MP_BUS, .id = id };

	memcpy(bus.name, name, sizeof(bus.name));
	put_entry(out, &bus, sizeof(bus));
}

static void put_ioapic(struct mp_writer *out)
{
	struct mp_ioapic ioapic = {
		.type = MP_IOAPIC,
		.id = IOAPIC_ID,
		.version = IOAPIC_VERSION,
		.flags = IOAPIC_ENABLED,
		.address = X86_IOAPIC_BASE,
	};

	put_entry(out, &ioapic, sizeof(ioapic));
}

static void put_interrupt(struct mp_writer *out, uint8_t bus, unsigned int irq, unsigned int flags,
			  unsigned int pin)
{
	struct mp_interrupt interrupt = {
		.type = MP_INTERRUPT,
		.kind = KIND_INT,
		.flags = (uint16_t)flags,
		.source_bus = bus,
		.source_irq = (uint8_t)irq,
		.apic_id = IOAPIC_ID,
		.pin = (uint8_t)pin,
	};

	put_entry(out, &interrupt, sizeof(interrupt));
}

static void put_local_interrupt(struct mp_writer *out, uint8_t kind, uint8_t apic_id, uint8_t lint)
{
	struct mp_interrupt interrupt = {
		.type = MP_LOCAL_INTERRUPT,
		.kind = kind,
		.flags = FLAGS_CONFORMING,
		.source_bus = BUS_ISA,
		.apic_id = apic_id,
		.pin = lint,
	};

	put_entry(out, &interrupt, sizeof(interrupt));
}

static bool is_pci_line(unsigned int irq)
{
	for (unsigned int i = 0; i < X86_NR_PCI_GSIS; i++) {
		if (pci_gsis[i] == irq)
			return true;
	}
	return false;
}

static void put_isa_interrupts(struct mp_writer *out)
{
	for (unsigned int irq = 0; irq < X86_NR_ISA_GSIS; irq++) {
		if (irq != CASCADE_ISA_IRQ && !is_pci_line(irq))
			put_interrupt(out, BUS_ISA, irq, FLAGS_CONFORMING,
				      irq == PIT_ISA_IRQ ? PIT_IOAPIC_PIN : irq);
	}
}

static void put_pci_interrupts(struct mp_writer *out)
{
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++) {
		for (unsigned int pin = 0; pin < PCI_PINS; pin++)
			put_interrupt(out, BUS_PCI, slot << 2 | pin, FLAGS_LEVEL | FLAGS_ACTIVE_LOW,
				      pci_gsis[(slot + pin) % X86_NR_PCI_GSIS]);
	}
}

static void put_entries(struct mp_writer *out, const struct mptable_params *params)
{
	uint8_t boot_id = (uint8_t)params->apic_id(params->ctx, 0);

	put_cpus(out, params);
	put_bus(out, BUS_PCI, "PCI   ");
	put_bus(out, BUS_ISA, "ISA   ");
	put_ioapic(out);
	put_isa_interrupts(out);
	put_pci_interrupts(out);
	put_local_interrupt(out, KIND_EXTINT, boot_id, 0);
	put_local_interrupt(out, KIND_NMI, ALL_LAPICS, 1);
}

static void fill_header(struct mp_header *header, uint16_t length, uint16_t nr_entries)
{
	*header = (struct mp_header){
		.length = length,
		.spec_revision = SPEC_1_4,
		.nr_entries = nr_entries,
		.lapic_address = X86_LAPIC_BASE,
	};
	memcpy(header->signature, "PCMP", sizeof(header->signature));
	memcpy(header->oem_id, "LKVM    ", sizeof(header->oem_id));
	memcpy(header->product_id, "LKVM        ", sizeof(header->product_id));
	header->checksum = checksum(header, length);
}

static void fill_pointer(struct mp_pointer *pointer, uint32_t table)
{
	*pointer = (struct mp_pointer){
		.table = table,
		.length = sizeof(*pointer) / 16,
		.spec_revision = SPEC_1_4,
	};
	memcpy(pointer->signature, "_MP_", sizeof(pointer->signature));
	pointer->checksum = checksum(pointer, sizeof(*pointer));
}

/* Ascending ids are distinct: no more than X86_MAX_XAPIC_ID + 1 CPUs are listed. */
static bool apic_ids_ascend(const struct mptable_params *params)
{
	for (unsigned int i = 1; i < params->nr_cpus; i++) {
		if (params->apic_id(params->ctx, i) <= params->apic_id(params->ctx, i - 1))
			return false;
	}
	return true;
}

ssize_t mptable__build(const struct mptable_params *params, uint64_t gpa, void *buf, size_t size)
{
	const size_t table_at = sizeof(struct mp_pointer);
	const size_t entries_at = table_at + sizeof(struct mp_header);
	struct mp_writer out = { .buf = buf, .size = size, .len = entries_at };

	if (!params->nr_cpus || params->apic_id(params->ctx, 0) > X86_MAX_XAPIC_ID ||
	    !apic_ids_ascend(params))
		return -EINVAL;
	if (gpa % MPTABLE_ALIGN || gpa >= X86_BIOS_END)
		return -EINVAL;

	put_entries(&out, params);
	if (out.len > size)
		return -ENOSPC;
	fill_header((struct mp_header *)(out.buf + table_at), (uint16_t)(out.len - table_at),
		    out.nr_entries);
	fill_pointer((struct mp_pointer *)out.buf, (uint32_t)(gpa + table_at));
	return (ssize_t)out.len;
}
