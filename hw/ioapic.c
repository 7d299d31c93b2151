// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * I/O APIC in user space (Intel 82093AA data sheet; version 0x20's EOI register: EOIR in Intel's
 * I/O Controller Hub 9 data sheet).
 *
 * Theory of operation: a pin's redirection entry is turned into the message that it sends, and
 * KVM_SIGNAL_MSI delivers it. An edge that finds its pin masked is lost, as the data sheet has it.
 * A level is delivered while it lasts: remote IRR notes that a local APIC has it, and its EOI,
 * which KVM reports, makes us look at the line again.
 *
 * KVM reports the EOIs of those vectors that it finds in level-triggered messages among the routes
 * of our pins (it never delivers through these routes; nothing signals their GSIs). So the routing
 * table mirrors every level-triggered entry, masked ones too: a driver masks a pin while its
 * interrupt is still in service. Edge-triggered entries have no route, which spares the guest that
 * masks and unmasks them the rebuilding of KVM's table. A route is in place before the first
 * message goes out, else KVM would not know that the EOI matters.
 *
 * Destinations beyond 8 bits (KVM_FEATURE_MSI_EXT_DEST_ID, Documentation/virt/kvm/x86/cpuid.rst;
 * struct IO_APIC_route_entry in arch/x86/include/asm/io_apic.h): an entry's bits 63:56 are the
 * destination's bits 7:0 and go to address bits 19:12; bits 55:49 are its bits 14:8 and go to
 * address bits 11:5. Bit 48 would mean a remappable interrupt and is dropped. So a pin's message
 * looks like a PCI device's; bringing address bits 11:5 to where KVM expects them (bits 46:40 of
 * the address, with KVM_X2APIC_API_USE_32BIT_IDS) is the routing table's business for both.
 */
#include "kvm/hw/ioapic.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/hw/io.h"
#include "kvm/irq.h"
#include "kvm/log.h"

#define WINDOW_SIZE 0x1000
#define REG_SELECT  0x00
#define REG_DATA    0x10
#define REG_EOI	    0x40

#define INDEX_ID	  0x00
#define INDEX_VERSION	  0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_ENTRIES	  0x10
#define VERSION		  0x20
#define ID_SHIFT	  24
#define ID_MASK		  0x0f

#define ENTRY_VECTOR	 0x00ffull
#define ENTRY_MODE	 0x0700ull
#define ENTRY_LOGICAL	 0x0800ull
#define ENTRY_STATUS	 0x1000ull /* delivery status: never pending here */
#define ENTRY_REMOTE_IRR 0x4000ull
#define ENTRY_LEVEL	 0x8000ull
#define ENTRY_MASKED	 0x10000ull
#define ENTRY_LOW_BITS	 0x1ffffull
#define ENTRY_DEST	 0xfffe000000000000ull /* bits 7:0, then 14:8 */
#define ENTRY_WRITABLE	 (ENTRY_DEST | (ENTRY_LOW_BITS & ~(ENTRY_STATUS | ENTRY_REMOTE_IRR)))

#define MSI_BASE	0xfee00000ull
#define MSI_LOGICAL	0x04
#define MSI_DATA_ASSERT 0x4000
#define MSI_DATA_LEVEL	0x8000
#define MSI_DEST_SHIFT	44 /* from entry bits 63:49 to address bits 19:5 */

struct ioapic_state {
	uint64_t entry[IOAPIC_NR_PINS];
	uint32_t lines; /* levels of the pins */
	uint8_t select;
	uint8_t id;
};

struct ioapic {
	struct device dev;
	struct bus_region region;
	pthread_mutex_t lock; /* all below */
	struct ioapic_state s;
};

static struct msi_message message(uint64_t entry)
{
	struct msi_message msg = {
		.address = MSI_BASE | (entry & ENTRY_DEST) >> MSI_DEST_SHIFT,
		.data = (uint32_t)(entry & (ENTRY_VECTOR | ENTRY_MODE)),
	};

	if (entry & ENTRY_LOGICAL)
		msg.address |= MSI_LOGICAL;
	if (entry & ENTRY_LEVEL)
		msg.data |= MSI_DATA_LEVEL | MSI_DATA_ASSERT;
	return msg;
}

static int deliver(struct ioapic *ioapic, unsigned int pin)
{
	struct msi_message msg = message(ioapic->s.entry[pin]);

	return irq__signal_msi(ioapic->dev.host->irq, &msg);
}

/* Deliver a level that nobody has yet. What no local APIC took is tried again with the next change.
 */
static void service_level(struct ioapic *ioapic, unsigned int pin)
{
	uint64_t *entry = &ioapic->s.entry[pin];

	if (!(*entry & ENTRY_LEVEL) || *entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR) ||
	    !(ioapic->s.lines & 1u << pin))
		return;
	if (deliver(ioapic, pin) > 0)
		*entry |= ENTRY_REMOTE_IRR;
}

static void mirror(struct ioapic *ioapic, unsigned int pin)
{
	uint64_t entry = ioapic->s.entry[pin];
	struct msi_message msg = message(entry);

	irq__set_msi_route(ioapic->dev.host->irq, pin, entry & ENTRY_LEVEL ? &msg : NULL);
}

void ioapic__set_irq(struct device *dev, unsigned int pin, bool level)
{
	struct ioapic *ioapic = (struct ioapic *)dev;
	struct ioapic_state *s = &ioapic->s;
	bool rises;

	if (pin >= IOAPIC_NR_PINS)
		return;
	pthread_mutex_lock(&ioapic->lock);
	rises = level && !(s->lines & 1u << pin);
	s->lines = level ? s->lines | 1u << pin : s->lines & ~(1u << pin);
	if (s->entry[pin] & ENTRY_LEVEL)
		service_level(ioapic, pin);
	else if (rises && !(s->entry[pin] & ENTRY_MASKED))
		deliver(ioapic, pin);
	pthread_mutex_unlock(&ioapic->lock);
}

/* With the lock held. */
static void end_of_interrupt(struct ioapic *ioapic, uint8_t vector)
{
	for (unsigned int pin = 0; pin < IOAPIC_NR_PINS; pin++) {
		uint64_t *entry = &ioapic->s.entry[pin];

		if ((*entry & ENTRY_VECTOR) != vector || !(*entry & ENTRY_REMOTE_IRR))
			continue;
		*entry &= ~ENTRY_REMOTE_IRR;
		service_level(ioapic, pin);
	}
}

void ioapic__eoi(struct device *dev, uint8_t vector)
{
	struct ioapic *ioapic = (struct ioapic *)dev;

	pthread_mutex_lock(&ioapic->lock);
	end_of_interrupt(ioapic, vector);
	pthread_mutex_unlock(&ioapic->lock);
}

static void write_entry(struct ioapic *ioapic, unsigned int pin, bool high, uint32_t value)
{
	uint64_t *entry = &ioapic->s.entry[pin], before = *entry, after;

	if (high)
		after = (before & 0xffffffff) | (uint64_t)value << 32;
	else
		after = (before & ~0xffffffffull) | value;
	after &= ENTRY_WRITABLE;
	/* An edge-triggered entry has no remote IRR: older kernels clear it by going there and
	 * back. */
	if (after & ENTRY_LEVEL)
		after |= before & ENTRY_REMOTE_IRR;
	if (after == before)
		return;
	*entry = after;
	mirror(ioapic, pin);
	service_level(ioapic, pin);
}

static void write_data(struct ioapic *ioapic, uint32_t value)
{
	uint8_t select = ioapic->s.select;
	unsigned int pin = (select - INDEX_ENTRIES) / 2u;

	if (select == INDEX_ID)
		ioapic->s.id = value >> ID_SHIFT & ID_MASK;
	else if (select >= INDEX_ENTRIES && pin < IOAPIC_NR_PINS)
		write_entry(ioapic, pin, select & 1, value);
}

static uint32_t read_data(const struct ioapic *ioapic)
{
	uint8_t select = ioapic->s.select;
	unsigned int pin = (select - INDEX_ENTRIES) / 2u;

	switch (select) {
	case INDEX_ID:
	case INDEX_ARBITRATION:
		return (uint32_t)ioapic->s.id << ID_SHIFT;
	case INDEX_VERSION:
		return VERSION | (IOAPIC_NR_PINS - 1) << 16;
	default:
		if (select < INDEX_ENTRIES || pin >= IOAPIC_NR_PINS)
			return 0;
		return (uint32_t)(ioapic->s.entry[pin] >> (select & 1 ? 32 : 0));
	}
}

/* Registers are 32 bits wide at their own offset; narrower reads see the low part. */
static void ioapic_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct ioapic *ioapic = ctx;
	uint32_t value = 0;

	pthread_mutex_lock(&ioapic->lock);
	if (offset == REG_SELECT)
		value = ioapic->s.select;
	else if (offset == REG_DATA)
		value = read_data(ioapic);
	pthread_mutex_unlock(&ioapic->lock);
	io__put(data, len, value);
}

static void ioapic_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct ioapic *ioapic = ctx;
	uint32_t value = (uint32_t)io__get(data, len);

	pthread_mutex_lock(&ioapic->lock);
	if (offset == REG_SELECT)
		ioapic->s.select = (uint8_t)value;
	else if (offset == REG_DATA)
		write_data(ioapic, value);
	else if (offset == REG_EOI)
		end_of_interrupt(ioapic, (uint8_t)value);
	pthread_mutex_unlock(&ioapic->lock);
}

static void ioapic_reset(struct device *dev)
{
	struct ioapic *ioapic = (struct ioapic *)dev;

	pthread_mutex_lock(&ioapic->lock);
	ioapic->s = (struct ioapic_state){ .lines = ioapic->s.lines };
	for (unsigned int pin = 0; pin < IOAPIC_NR_PINS; pin++) {
		ioapic->s.entry[pin] = ENTRY_MASKED;
		mirror(ioapic, pin);
	}
	pthread_mutex_unlock(&ioapic->lock);
}

static int ioapic_realize(struct device *dev)
{
	struct ioapic *ioapic = (struct ioapic *)dev;
	int ret = bus__add(dev->host->bus, BUS_MMIO, &ioapic->region);

	if (ret)
		pr_fatal("%s: cannot claim guest address %#llx: %s", dev->name,
			 (unsigned long long)ioapic->region.base, strerror(-ret));
	return ret;
}

static void ioapic_unrealize(struct device *dev)
{
	struct ioapic *ioapic = (struct ioapic *)dev;

	bus__remove(dev->host->bus, BUS_MMIO, &ioapic->region);
	pthread_mutex_destroy(&ioapic->lock);
	free(ioapic);
}

static const struct device_ops ioapic_ops = {
	.kind = "ioapic",
	.realize = ioapic_realize,
	.reset = ioapic_reset,
	.unrealize = ioapic_unrealize,
};

struct device *ioapic__create(const struct device_host *host, uint64_t base)
{
	struct ioapic *ioapic = calloc(1, sizeof(*ioapic));

	if (!ioapic)
		return NULL;
	ioapic->dev.ops = &ioapic_ops;
	ioapic->dev.host = host;
	snprintf(ioapic->dev.name, sizeof(ioapic->dev.name), "ioapic");
	ioapic->region = (struct bus_region){
		.base = base,
		.size = WINDOW_SIZE,
		.read = ioapic_read,
		.write = ioapic_write,
		.ctx = ioapic,
		.name = "I/O APIC",
	};
	pthread_mutex_init(&ioapic->lock, NULL);
	return &ioapic->dev;
}
