/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86 board's private state, shared by machine.c, irqchip.c and exits.c.
 */
#ifndef X86_MACHINE_H
#define X86_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kvm/config.h"
#include "x86/boot/boot.h"
#include "x86/cpuid.h"
#include "x86/e820.h"

struct device;
struct pci_host;
struct virtio_plan;

/**
 * struct arch_machine - the x86 board
 * @irqchip:    which interrupt controllers; never IRQCHIP_AUTO
 * @boot:       the kernel, from arch__prepare()
 * @virtio:     the virtio devices asked for
 * @nr_virtio_mmio: how many of them are memory-mapped
 * @cpuid:      what the guest's processors are
 * @map:        memory map
 * @mem64_base, @mem64_size: PCI window above RAM
 * @loaded:     the vCPUs have been started before
 * @pci:        the PCI bus
 * @pm:         ACPI fixed hardware, for the power button; NULL without ACPI
 * @pic:        8259 pair in user space (split, off), or NULL
 * @ioapic:     I/O APIC in user space (split), or NULL
 * @wide_apic_ids: some APIC id does not fit eight bits
 * @intr:       the PIC's output, seen by vCPU 0
 * @pristine:   power-on state of the controllers in KVM, kept for --reboot; or NULL
 */
struct arch_machine {
	enum irqchip_mode irqchip;
	struct x86_boot *boot;
	struct virtio_plan *virtio;
	unsigned int nr_virtio_mmio;
	struct x86_cpuid cpuid;
	struct e820_map map;
	uint64_t mem64_base;
	uint64_t mem64_size;
	bool loaded;
	struct pci_host *pci;
	struct device *pm;
	struct device *pic;
	struct device *ioapic;
	bool wide_apic_ids;
	atomic_bool intr;
	struct x86_irqchip_state *pristine;
};

#endif
