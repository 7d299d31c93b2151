// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pair of 8259s and the I/O APIC.
 */
#include "acpi.h"
#include "cpu.h"

#define PIC1_COMMAND 0x20
#define PIC1_DATA    0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA    0xa1
#define PIC_EOI	     0x20
#define ELCR1	     0x4d0
#define ELCR2	     0x4d1

#define IOAPIC_INDEX   0x00
#define IOAPIC_DATA    0x10
#define IOAPIC_VERSION 1
#define IOAPIC_PIN(n)  (0x10 + 2 * (n))
#define IOAPIC_MASKED  (1u << 16)

static uint64_t ioapic_base;

bool pic_init(void)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} words[] = {
		{ PIC1_COMMAND, 0x11 }, { PIC1_DATA, PIC_VECTOR }, /* edge, cascaded, ICW4 */
		{ PIC1_DATA, 0x04 },	{ PIC1_DATA, 0x01 },	   /* slave at IRQ 2; 8086 */
		{ PIC2_COMMAND, 0x11 }, { PIC2_DATA, PIC_VECTOR + 8 },
		{ PIC2_DATA, 0x02 },	{ PIC2_DATA, 0x01 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		outb(words[i].port, words[i].value);
	outb(PIC1_DATA, 0xfb); /* all but the cascade */
	outb(PIC2_DATA, 0xff);
	if (inb(PIC1_DATA) != 0xfb || inb(PIC2_DATA) != 0xff)
		return false;
	if (apic_present()) {
		apic_enable();
		apic_write(APIC_LVT_LINT0, APIC_EXTINT);
	}
	return true;
}

static void pic_change(unsigned int irq, bool masked)
{
	uint16_t port = irq < 8 ? PIC1_DATA : PIC2_DATA;
	uint8_t bit = (uint8_t)(1u << (irq & 7));

	outb(port, masked ? inb(port) | bit : (uint8_t)(inb(port) & ~bit));
}

void pic_unmask(unsigned int irq)
{
	pic_change(irq, false);
}

void pic_mask(unsigned int irq)
{
	pic_change(irq, true);
}

void pic_mask_all(void)
{
	outb(PIC1_DATA, 0xff);
	outb(PIC2_DATA, 0xff);
}

void pic_eoi(unsigned int irq)
{
	if (irq >= 8)
		outb(PIC2_COMMAND, PIC_EOI);
	outb(PIC1_COMMAND, PIC_EOI);
}

void pic_level(uint16_t irqs)
{
	outb(ELCR1, (uint8_t)irqs);
	outb(ELCR2, (uint8_t)(irqs >> 8));
}

static uint32_t ioapic_read(uint32_t reg)
{
	mmio_write32(ioapic_base + IOAPIC_INDEX, reg);
	return mmio_read32(ioapic_base + IOAPIC_DATA);
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(ioapic_base + IOAPIC_INDEX, reg);
	mmio_write32(ioapic_base + IOAPIC_DATA, value);
}

unsigned int ioapic_init(void)
{
	struct madt_info madt;
	unsigned int pins;

	if (!apic_present() || !madt_read(&madt) || !madt.ioapic)
		return 0;
	apic_enable();
	ioapic_base = madt.ioapic;
	map_physical(ioapic_base);
	pins = (ioapic_read(IOAPIC_VERSION) >> 16 & 0xff) + 1;
	for (unsigned int pin = 0; pin < pins; pin++)
		ioapic_mask(pin);
	return pins;
}

void ioapic_route(unsigned int pin, uint8_t vector, uint32_t flags)
{
	ioapic_write(IOAPIC_PIN(pin) + 1, apic_id() << 24);
	ioapic_write(IOAPIC_PIN(pin), vector | flags);
}

void ioapic_mask(unsigned int pin)
{
	ioapic_write(IOAPIC_PIN(pin), IOAPIC_MASKED);
}
