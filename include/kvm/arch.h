/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door into an architecture: the fixed set of functions that x86/, powerpc/ and s390/ each
 * implement.
 *
 * In the order in which builtin-run.c calls them. Nothing else of an arch folder is visible outside
 * it, and nothing outside asks which architecture it is built for. The three differ in what an exit
 * is (PIO and MMIO, hypercalls, channel programs) and in how a board describes itself (ACPI, device
 * tree, SCLP): all of that stays behind these calls.
 */
#ifndef KVM_ARCH_H
#define KVM_ARCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct kvm;
struct kvm_cpu;
struct vm_config;

/**
 * arch__name - "x86", "powerpc", "s390"
 */
const char *arch__name(void);

/**
 * arch__prepare - everything that can be known before a VM exists
 * @kvm: opened (kvm__open()), without a VM
 *
 * Validates the options that only the architecture understands (irqchip, cpu model, RAM layout),
 * opens and classifies the kernel, checks that command line and initrd fit. Allocates @kvm->arch.
 *
 * Return: 0 or negative errno, printed.
 */
int arch__prepare(struct kvm *kvm);

/**
 * arch__create_machine - the board: VM, RAM, interrupt controllers, devices, vCPUs, in that order
 *
 * Return: 0 or negative errno, printed. What was made is undone by kvm__destroy().
 */
int arch__create_machine(struct kvm *kvm);

/**
 * arch__load - put kernel, initrd and tables into RAM and the vCPUs to their entry
 *
 * Called before the first start and again after a reset, when the devices have been reset.
 *
 * Return: 0 or negative errno, printed.
 */
int arch__load(struct kvm *kvm);

/**
 * arch__destroy_machine - undo arch__create_machine() and arch__prepare() beyond what the common
 * code owns
 *
 * vCPUs, devices, RAM and descriptors of struct kvm are released by the caller. A NULL @kvm->arch
 * is harmless.
 */
void arch__destroy_machine(struct kvm *kvm);

/**
 * arch__cpu_id - KVM's id for vCPU @index (APIC id, server number, CPU address)
 */
unsigned long arch__cpu_id(const struct kvm *kvm, unsigned int index);

/**
 * arch__cpu_init - set up a vCPU just created; allocates @cpu->arch if it needs one
 *
 * Return: 0 or negative errno, printed.
 */
int arch__cpu_init(struct kvm_cpu *cpu);

/**
 * arch__cpu_destroy - undo arch__cpu_init()
 */
void arch__cpu_destroy(struct kvm_cpu *cpu);

/**
 * enum arch_exit - what became of an exit
 * @ARCH_EXIT_HANDLED:  go on
 * @ARCH_EXIT_UNKNOWN:  not an exit this architecture knows: it is reported and ends the machine
 * @ARCH_EXIT_ENDED:    the fate has been reported
 */
enum arch_exit { ARCH_EXIT_HANDLED, ARCH_EXIT_UNKNOWN, ARCH_EXIT_ENDED };

/**
 * arch__cpu_before_run - last thing before each KVM_RUN, in the vCPU's thread
 *
 * For what cannot be pushed into KVM from elsewhere (interrupts of a user-space controller). Must
 * be quick.
 */
void arch__cpu_before_run(struct kvm_cpu *cpu);

/**
 * arch__cpu_handle_exit - exits that the common loop does not know
 *
 * The common loop takes MMIO (and PIO) to the bus, system events, and the failures every
 * architecture has.
 */
enum arch_exit arch__cpu_handle_exit(struct kvm_cpu *cpu);

/**
 * arch__cpu_dump - everything a kernel developer wants of a vCPU that stopped: registers in the
 * architecture's usual layout, the code at the program counter, how it translates, symbols and a
 * back-trace if they are at hand
 */
void arch__cpu_dump(struct kvm_cpu *cpu, FILE *out);

/**
 * arch__cpu_trace - one line (without newline) on the current exit, for --trace: what the common
 * part does not know
 */
void arch__cpu_trace(struct kvm_cpu *cpu, FILE *out);

/**
 * arch__cpu_set_single_step - exit after each instruction, or not
 *
 * Return: 0 or negative errno.
 */
int arch__cpu_set_single_step(struct kvm_cpu *cpu, bool on);

/**
 * arch__power_button - ask the guest to shut down (ACPI power button, EPOW, SCLP signal)
 *
 * Return: 0, or -ENOTSUP where the guest cannot be asked.
 */
int arch__power_button(struct kvm *kvm);

/**
 * enum arch_host_kind - what a host's KVM is good for
 * @ARCH_HOST_NONE:     no usable KVM
 * @ARCH_HOST_SOFTWARE: guests run, but not a stock kernel: privileged code is emulated with gaps
 * @ARCH_HOST_HARDWARE: stock kernels run
 */
enum arch_host_kind { ARCH_HOST_NONE, ARCH_HOST_SOFTWARE, ARCH_HOST_HARDWARE };

/**
 * arch__probe_host - find out by running a tiny guest that needs what a stock kernel needs
 * @kvm: opened
 * @why: receives what the guest tripped over, or ""; @why_size bytes
 *
 * Return: the kind.
 */
enum arch_host_kind arch__probe_host(struct kvm *kvm, char *why, size_t why_size);

/**
 * struct arch_cap - a capability that this program can use, for lkvm doctor
 * @cap:  KVM_CAP_…
 * @name: its name without KVM_CAP_
 * @use:  what for
 */
struct arch_cap {
	unsigned int cap;
	const char *name;
	const char *use;
};

/**
 * arch__caps - those of the architecture, beyond the common ones; ends with a NULL name
 */
const struct arch_cap *arch__caps(void);

/**
 * arch__vendor - which virtualisation extension the host's KVM drives, as far as KVM lets one know
 *
 * Return: "VMX", "SVM", "KVM-HV", "SIE", …; "none" for a KVM that uses no such extension.
 */
const char *arch__vendor(const struct kvm *kvm);

#endif
