/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The board's interrupt controllers: all in KVM, local APICs in KVM and the rest here, or all here.
 *
 * Called by machine.c, and by exits.c on the way into and out of the guest.
 */
#ifndef X86_IRQCHIP_H
#define X86_IRQCHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/config.h"

struct kvm;
struct kvm_cpu;

/**
 * x86_irqchip__choose - decide --irqchip for a configuration, or say why it cannot be
 * @max_apic_id: highest APIC id of the topology
 *
 * Return: 0, or -ENOTSUP/-EINVAL, printed.
 */
int x86_irqchip__choose(const struct kvm *kvm, uint32_t max_apic_id, enum irqchip_mode *irqchip);

/**
 * x86_irqchip__create - make the controllers; before the vCPUs, which KVM gives local APICs only
 * then
 *
 * Return: 0 or negative errno, printed.
 */
int x86_irqchip__create(struct kvm *kvm);

/**
 * x86_irqchip__reset - bring controllers in KVM back to power-on state (needs --reboot)
 *
 * Return: 0 or negative errno, printed.
 */
int x86_irqchip__reset(struct kvm *kvm);

/**
 * x86_irqchip__preset - what firmware tells controllers in user space after each reset
 */
void x86_irqchip__preset(struct kvm *kvm);

/**
 * x86_irqchip__destroy - free what create allocated; devices are the list's
 */
void x86_irqchip__destroy(struct kvm *kvm);

/**
 * x86_irqchip__before_run - offer vCPU 0 the interrupt of a user-space PIC
 */
void x86_irqchip__before_run(struct kvm_cpu *cpu);

/**
 * x86_irqchip__halt - a vCPU without in-kernel local APIC executed HLT: wait for what wakes it
 */
void x86_irqchip__halt(struct kvm_cpu *cpu);

/**
 * x86_irqchip__eoi - a local APIC in KVM broadcast an EOI that the user-space I/O APIC is
 * interested in
 */
void x86_irqchip__eoi(struct kvm_cpu *cpu, uint8_t vector);

#endif
