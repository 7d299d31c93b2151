// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is x86's own on the way into and out of the guest: the vCPU side of include/kvm/arch.h.
 */
#include <errno.h>
#include <inttypes.h>

#include <linux/kvm.h>

#include "kvm/arch.h"
#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "x86/cpu.h"
#include "x86/dump.h"
#include "x86/irqchip.h"
#include "x86/machine.h"

unsigned long arch__cpu_id(const struct kvm *kvm, unsigned int index)
{
	return x86_cpuid__apic_id(&kvm->cfg->cpus, index);
}

int arch__cpu_init(struct kvm_cpu *cpu)
{
	return x86_cpu__setup(cpu, &cpu->kvm->arch->cpuid);
}

void arch__cpu_destroy(struct kvm_cpu *cpu)
{
}

void arch__cpu_before_run(struct kvm_cpu *cpu)
{
	x86_irqchip__before_run(cpu);
}

static void print_step(struct kvm_cpu *cpu)
{
	pr_info("vCPU %u: rip 0x%llx", cpu->index, (unsigned long long)cpu->run->debug.arch.pc);
}

enum arch_exit arch__cpu_handle_exit(struct kvm_cpu *cpu)
{
	switch (cpu->run->exit_reason) {
	case KVM_EXIT_HLT:
		x86_irqchip__halt(cpu);
		return ARCH_EXIT_HANDLED;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SET_TPR:
		return ARCH_EXIT_HANDLED;
	case KVM_EXIT_IOAPIC_EOI:
		x86_irqchip__eoi(cpu, cpu->run->eoi.vector);
		return ARCH_EXIT_HANDLED;
	case KVM_EXIT_DEBUG:
		if (!cpu->kvm->cfg->debug_single_step)
			return ARCH_EXIT_UNKNOWN;
		print_step(cpu);
		return ARCH_EXIT_HANDLED;
	default:
		return ARCH_EXIT_UNKNOWN;
	}
}

void arch__cpu_dump(struct kvm_cpu *cpu, FILE *out)
{
	x86_dump__cpu(cpu, out);
}

void arch__cpu_trace(struct kvm_cpu *cpu, FILE *out)
{
	const struct kvm_run *run = cpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IOAPIC_EOI:
		fprintf(out, " vector 0x%x", run->eoi.vector);
		break;
	case KVM_EXIT_DEBUG:
		fprintf(out, " rip 0x%llx", (unsigned long long)run->debug.arch.pc);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		fprintf(out, " suberror %u", run->internal.suberror);
		break;
	default:
		break;
	}
}

int arch__cpu_set_single_step(struct kvm_cpu *cpu, bool on)
{
	struct kvm_guest_debug debug = {
		.control = on ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP : 0,
	};

	return sys__ioctl(cpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}
