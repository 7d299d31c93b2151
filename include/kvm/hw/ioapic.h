/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O APIC for the split irqchip: local APICs are KVM's, this is ours.
 */
#ifndef KVM_HW_IOAPIC_H
#define KVM_HW_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#define IOAPIC_NR_PINS 24

struct device;
struct device_host;

/**
 * ioapic__create - 24 pins, version 0x20 with its EOI register
 * @base: guest-physical address of its page
 *
 * Pin n has GSI n: KVM must have been told to reserve IOAPIC_NR_PINS routes
 * (KVM_CAP_SPLIT_IRQCHIP). KVM's local APICs offer directed EOI in split mode, and a kernel that
 * uses it needs the EOI register.
 *
 * Return: the device, or NULL without memory.
 */
struct device *ioapic__create(const struct device_host *host, uint64_t base);

/**
 * ioapic__set_irq - drive a pin; any thread
 * @dev:   from ioapic__create()
 * @pin:   0 to 23; what is beyond is ignored
 * @level: true while asserted; the polarity a guest programs is about wires there are none of
 */
void ioapic__set_irq(struct device *dev, unsigned int pin, bool level);

/**
 * ioapic__eoi - a local APIC has ended a level-triggered interrupt (KVM_EXIT_IOAPIC_EOI)
 */
void ioapic__eoi(struct device *dev, uint8_t vector);

#endif
