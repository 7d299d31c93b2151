/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State of an x86 vCPU: as firmware leaves it, as a reset leaves it, as a boot protocol wants it.
 *
 * Called by x86/machine.c, in this order: setup for each new vCPU; enter for the boot processor.
 * After a machine reset: reset for each, and enter again. No vCPU may be in KVM_RUN.
 */
#ifndef X86_CPU_H
#define X86_CPU_H

#include "x86/boot/boot.h"

struct kvm_cpu;
struct x86_cpuid;

/**
 * x86_cpu__setup - give a vCPU just created its CPUID and what firmware adds to the power-on state
 * @cpuid: of its VM
 *
 * KVM makes vCPUs in power-on state, application processors waiting for SIPI (with a local APIC in
 * KVM). Firmware's share is MTRRs (write-back, but for the PCI hole), fast strings, and a locked
 * IA32_FEATURE_CONTROL.
 *
 * Return: 0 or negative errno, printed.
 */
int x86_cpu__setup(struct kvm_cpu *cpu, struct x86_cpuid *cpuid);

/**
 * x86_cpu__reset - the same state again, for a vCPU that has run
 *
 * Power-on state by Intel SDM volume 3A, table 10-1; paravirtual MSRs too, so that KVM stops
 * writing to guest memory.
 *
 * Return: 0 or negative errno, printed.
 */
int x86_cpu__reset(struct kvm_cpu *cpu, const struct x86_cpuid *cpuid);

/**
 * x86_cpu__enter - set the boot processor's registers to a kernel's entry, and its virtual wire
 * @entry: from the boot loader, which has put the GDT and the page tables it names into guest
 * memory
 *
 * Return: 0 or negative errno, printed.
 */
int x86_cpu__enter(struct kvm_cpu *cpu, const struct x86_cpuid *cpuid,
		   const struct x86_boot_entry *entry);

#endif
