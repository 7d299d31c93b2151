// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The board's interrupt controllers.
 *
 * Theory of operation. A line (GSI 0 to 15) is an ISA interrupt: it goes to the PIC's input of the
 * same number and to the I/O APIC's pin of the same number, except that the timer's line 0 goes to
 * pin 2, as on a PC. Pins 16 to 23 are free.
 *
 *   kernel  KVM has PIC, I/O APIC, PIT and local APICs. A line is KVM_IRQ_LINE; KVM's routing table
 * says the above. split   KVM has the local APICs. PIC, I/O APIC and PIT are models in hw/. The I/O
 * APIC delivers messages (KVM_SIGNAL_MSI) and mirrors each pin's message in KVM's routing table,
 * where KVM looks to see which EOIs must be reported back. The PIC's output reaches vCPU 0 as an
 * external interrupt (KVM_INTERRUPT). off     KVM has nothing: one vCPU, without a local APIC, fed
 * by the PIC model as above.
 *
 * KVM takes an external interrupt only when the guest can (ready_for_interrupt_injection);
 * otherwise the next KVM_RUN is asked to come back as soon as it can (request_interrupt_window).
 * The PIC decides which vector it is at the last moment, as it does when a processor acknowledges.
 */
#include "x86/irqchip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kvm.h>

#include "kvm/bus.h"
#include "kvm/hw/ioapic.h"
#include "kvm/hw/pic.h"
#include "kvm/hw/pit.h"
#include "kvm/irq.h"
#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "x86/layout.h"
#include "x86/machine.h"

#define TIMER_GSI	   0
#define TIMER_PIN	   2
#define PIC_PINS	   8
#define NR_KERNEL_CHIPS	   3
#define MSI_OFFSET	   0xfffffull
#define MSI_REMAPPABLE	   0x10ull
#define MSI_EXT_DEST	   0xfe0ull
#define MSI_EXT_DEST_SHIFT 35
#define ELCR_PORT	   0x4d0

/* Power-on state of the controllers in KVM, to return to at a machine reset. */
struct x86_irqchip_state {
	struct kvm_irqchip chip[NR_KERNEL_CHIPS];
	struct kvm_pit_state2 pit;
};

static unsigned int ioapic_pin(unsigned int gsi)
{
	return gsi == TIMER_GSI ? TIMER_PIN : gsi;
}

int x86_irqchip__choose(const struct kvm *kvm, uint32_t max_apic_id, enum irqchip_mode *irqchip)
{
	enum irqchip_mode mode = kvm->cfg->irqchip;

	if (mode == IRQCHIP_AUTO) {
		if (max_apic_id > X86_MAX_XAPIC_ID)
			mode = IRQCHIP_SPLIT;
		else
			mode = kvm__cap(kvm, KVM_CAP_IRQCHIP) ? IRQCHIP_KERNEL : IRQCHIP_OFF;
	}

	switch (mode) {
	case IRQCHIP_KERNEL:
		if (max_apic_id > X86_MAX_XAPIC_ID) {
			pr_fatal("--irqchip kernel: its I/O APIC reaches APIC ids up to %d, this "
				 "topology "
				 "goes to %u: use --irqchip split",
				 X86_MAX_XAPIC_ID, max_apic_id);
			return -EINVAL;
		}
		if (kvm__require_cap(kvm, KVM_CAP_IRQCHIP, "IRQCHIP", "--irqchip kernel") < 0 ||
		    kvm__require_cap(kvm, KVM_CAP_PIT2, "PIT2", "--irqchip kernel") < 0)
			return -ENOTSUP;
		break;
	case IRQCHIP_SPLIT:
		if (kvm__require_cap(kvm, KVM_CAP_SPLIT_IRQCHIP, "SPLIT_IRQCHIP",
				     "--irqchip split") < 0)
			return -ENOTSUP;
		if (max_apic_id > X86_MAX_XAPIC_ID &&
		    kvm__require_cap(kvm, KVM_CAP_X2APIC_API, "X2APIC_API",
				     "--cpus with APIC ids above 254") < 0)
			return -ENOTSUP;
		break;
	case IRQCHIP_OFF:
		if (kvm->cfg->cpus.nr > 1) {
			pr_fatal("--irqchip off: without local APICs there is one vCPU, not %u",
				 kvm->cfg->cpus.nr);
			return -EINVAL;
		}
		break;
	default:
		pr_fatal("--irqchip: x86 has kernel, split and off");
		return -EINVAL;
	}
	*irqchip = mode;
	return 0;
}

static void set_line_kernel(void *ctx, unsigned int gsi, bool level)
{
	const struct kvm *kvm = ctx;
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	sys__ioctl(kvm->vm_fd, KVM_IRQ_LINE, &line);
}

static void set_line_split(void *ctx, unsigned int gsi, bool level)
{
	const struct kvm *kvm = ctx;

	if (gsi < X86_NR_ISA_GSIS)
		pic__set_irq(kvm->arch->pic, gsi, level);
	ioapic__set_irq(kvm->arch->ioapic, ioapic_pin(gsi), level);
}

static void set_line_off(void *ctx, unsigned int gsi, bool level)
{
	const struct kvm *kvm = ctx;

	if (gsi < X86_NR_ISA_GSIS)
		pic__set_irq(kvm->arch->pic, gsi, level);
}

/* The output of a user-space PIC has changed; any thread. */
static void on_pic_output(void *ctx, bool level)
{
	struct kvm *kvm = ctx;

	atomic_store(&kvm->arch->intr, level);
	if (level && kvm->nr_cpus && kvm->cpu[0]->run)
		kvm_cpu__kick(kvm->cpu[0]);
}

/*
 * A message goes to a local APIC by an address of 0xfee….; anything else a guest may write is no interrupt. With wide
 * APIC ids, bits 14:8 of the destination stand in bits 11:5 (KVM_FEATURE_MSI_EXT_DEST_ID, Linux
 * Documentation/virt/kvm/x86/cpuid.rst), where KVM_X2APIC_API_USE_32BIT_IDS has them in bits 46:40.
 */
static bool translate_msi(const void *ctx, struct msi_message *msg)
{
	const bool *wide = ctx;
	uint64_t high = msg->address & MSI_EXT_DEST;

	if ((msg->address & ~MSI_OFFSET) != X86_LAPIC_BASE)
		return false;
	if (*wide && high && !(msg->address & MSI_REMAPPABLE))
		msg->address = (msg->address & ~MSI_EXT_DEST) | high << MSI_EXT_DEST_SHIFT;
	return true;
}

/* The lines of PCI are level-triggered; firmware says so to the PICs, for kernels that never do. */
static uint16_t pci_lines(void)
{
	static const unsigned int gsis[X86_NR_PCI_GSIS] = X86_PCI_GSIS;
	uint16_t lines = 0;

	for (unsigned int i = 0; i < X86_NR_PCI_GSIS; i++)
		lines |= (uint16_t)(1u << gsis[i]);
	return lines;
}

static int route_pins(struct kvm *kvm)
{
	struct irq_router *irq = kvm->host.irq;
	int ret = 0;

	for (unsigned int gsi = 0; gsi < X86_NR_ISA_GSIS && !ret; gsi++) {
		unsigned int chip = gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;

		if (gsi == TIMER_PIN)
			continue; /* the cascade is no line */
		ret = irq__add_pin_route(irq, gsi, chip, gsi % PIC_PINS);
	}
	for (unsigned int gsi = 0; gsi < X86_IOAPIC_PINS && !ret; gsi++) {
		if (gsi != TIMER_PIN)
			ret = irq__add_pin_route(irq, gsi, KVM_IRQCHIP_IOAPIC, ioapic_pin(gsi));
	}
	return ret ? ret : irq__commit(irq);
}

/* Only a machine that may be reset in place needs to know what its controllers were like. */
static int remember_kernel_state(struct kvm *kvm)
{
	struct x86_irqchip_state *state;
	int ret = 0;

	if (!kvm->cfg->reboot)
		return 0;
	state = calloc(1, sizeof(*state));
	if (!state) {
		pr_fatal("no memory for the state of the interrupt controllers");
		return -ENOMEM;
	}
	kvm->arch->pristine = state;
	for (unsigned int i = 0; i < NR_KERNEL_CHIPS && ret >= 0; i++) {
		state->chip[i].chip_id = i;
		ret = kvm__ioctl(kvm, KVM_GET_IRQCHIP, &state->chip[i], "KVM_GET_IRQCHIP");
	}
	if (ret >= 0)
		ret = kvm__ioctl(kvm, KVM_GET_PIT2, &state->pit, "KVM_GET_PIT2");
	return ret < 0 ? ret : 0;
}

int x86_irqchip__reset(struct kvm *kvm)
{
	struct x86_irqchip_state *state = kvm->arch->pristine;
	int ret = 0;

	if (!state)
		return 0; /* controllers in user space are devices, and reset as such */
	for (unsigned int i = 0; i < NR_KERNEL_CHIPS && ret >= 0; i++)
		ret = kvm__ioctl(kvm, KVM_SET_IRQCHIP, &state->chip[i], "KVM_SET_IRQCHIP");
	if (ret >= 0)
		ret = kvm__ioctl(kvm, KVM_SET_PIT2, &state->pit, "KVM_SET_PIT2");
	return ret < 0 ? ret : 0;
}

void x86_irqchip__preset(struct kvm *kvm)
{
	uint16_t lines = pci_lines();
	uint8_t elcr[2] = { (uint8_t)lines, (uint8_t)(lines >> PIC_PINS) };

	if (kvm->arch->pic)
		bus__write(kvm->host.bus, BUS_PIO, ELCR_PORT, elcr, sizeof(elcr));
}

void x86_irqchip__destroy(struct kvm *kvm)
{
	free(kvm->arch->pristine);
	kvm->arch->pristine = NULL;
}

static int set_kernel_elcr(struct kvm *kvm)
{
	int ret = 0;

	for (unsigned int i = 0; i < 2 && ret >= 0; i++) {
		struct kvm_irqchip chip = { .chip_id = i ? KVM_IRQCHIP_PIC_SLAVE
							 : KVM_IRQCHIP_PIC_MASTER };

		ret = kvm__ioctl(kvm, KVM_GET_IRQCHIP, &chip, "KVM_GET_IRQCHIP");
		chip.chip.pic.elcr = (uint8_t)(pci_lines() >> (i * PIC_PINS));
		if (ret >= 0)
			ret = kvm__ioctl(kvm, KVM_SET_IRQCHIP, &chip, "KVM_SET_IRQCHIP");
	}
	return ret < 0 ? ret : 0;
}

static int create_kernel(struct kvm *kvm)
{
	/* The speaker's port 0x61 is the kernel's as well: it reads back timer 2. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int ret;

	ret = kvm__ioctl(kvm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
	if (ret < 0)
		return ret;
	ret = kvm__ioctl(kvm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2");
	if (ret < 0)
		return ret;
	irq__set_sink(kvm->host.irq, set_line_kernel, kvm);
	irq__set_msi_range(kvm->host.irq, X86_IOAPIC_PINS,
			   (unsigned int)kvm__cap(kvm, KVM_CAP_IRQ_ROUTING));
	ret = route_pins(kvm);
	if (!ret)
		ret = set_kernel_elcr(kvm);
	return ret ? ret : remember_kernel_state(kvm);
}

static int add_pic_and_pit(struct kvm *kvm)
{
	int ret;

	kvm->arch->pic = pic__create(&kvm->host, on_pic_output, kvm);
	ret = device__add(&kvm->devices, kvm->arch->pic);
	if (ret) {
		kvm->arch->pic = NULL;
		return ret;
	}
	return device__add(&kvm->devices, pit__create(&kvm->host, TIMER_GSI));
}

static int create_split(struct kvm *kvm)
{
	int ret = kvm__enable_cap(kvm, KVM_CAP_SPLIT_IRQCHIP, IOAPIC_NR_PINS, 0);

	if (ret) {
		pr_fatal("KVM_CAP_SPLIT_IRQCHIP: %s", strerror(-ret));
		return ret;
	}
	irq__set_msi_range(kvm->host.irq, X86_IOAPIC_PINS,
			   (unsigned int)kvm__cap(kvm, KVM_CAP_IRQ_ROUTING));
	ret = irq__commit(kvm->host.irq);
	if (ret)
		return ret;

	kvm->arch->ioapic = ioapic__create(&kvm->host, X86_IOAPIC_BASE);
	ret = device__add(&kvm->devices, kvm->arch->ioapic);
	if (ret) {
		kvm->arch->ioapic = NULL;
		return ret;
	}
	ret = add_pic_and_pit(kvm);
	if (!ret)
		irq__set_sink(kvm->host.irq, set_line_split, kvm);
	return ret;
}

static int create_off(struct kvm *kvm)
{
	int ret = add_pic_and_pit(kvm);

	if (!ret)
		irq__set_sink(kvm->host.irq, set_line_off, kvm);
	return ret;
}

int x86_irqchip__create(struct kvm *kvm)
{
	kvm->arch->wide_apic_ids = x86_cpuid__max_apic_id(&kvm->cfg->cpus) > X86_MAX_XAPIC_ID;
	irq__set_translation(kvm->host.irq, translate_msi, &kvm->arch->wide_apic_ids);
	switch (kvm->arch->irqchip) {
	case IRQCHIP_SPLIT:
		return create_split(kvm);
	case IRQCHIP_OFF:
		return create_off(kvm);
	default:
		return create_kernel(kvm);
	}
}

void x86_irqchip__before_run(struct kvm_cpu *cpu)
{
	struct arch_machine *machine = cpu->kvm->arch;
	struct kvm_run *run = cpu->run;
	struct kvm_interrupt interrupt;

	if (!machine->pic || cpu->index)
		return;
	if (atomic_load(&machine->intr) && run->ready_for_interrupt_injection) {
		interrupt.irq = pic__ack(machine->pic);
		sys__ioctl(cpu->fd, KVM_INTERRUPT, &interrupt);
		run->ready_for_interrupt_injection = 0; /* one at a time, until KVM says so again */
	}
	run->request_interrupt_window = atomic_load(&machine->intr);
}

void x86_irqchip__halt(struct kvm_cpu *cpu)
{
	if (!atomic_load(&cpu->kvm->arch->intr))
		kvm_cpu__wait_for_kick(cpu);
}

void x86_irqchip__eoi(struct kvm_cpu *cpu, uint8_t vector)
{
	if (cpu->kvm->arch->ioapic)
		ioapic__eoi(cpu->kvm->arch->ioapic, vector);
}
