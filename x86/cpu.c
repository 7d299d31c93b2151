// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * State of an x86 vCPU: as firmware leaves it, as a reset leaves it, as a boot protocol wants it.
 *
 * Theory of operation: each ioctl is start-up time, times the number of vCPUs. So nothing is read
 * from KVM that is known anyway: whole structures are built here and written once. A new vCPU takes
 * two ioctls (CPUID, MSRs), the boot processor three more (local APIC, and the entry's registers).
 *
 * A reset writes everything a guest can have changed, in an order KVM accepts: a vCPU leaves nested
 * virtualisation before CR4.VMXE and EFER.SVME go, and xAPIC mode comes back with the special
 * registers before the local APIC's page is written in its format. MSRs that the processor or
 * KVM do not have are stepped over: the list is of all that matter anywhere.
 */
#include "x86/cpu.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <asm/kvm_para.h>
#include <linux/kvm.h>

#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"
#include "kvm/log.h"
#include "x86/cpuid.h"
#include "x86/layout.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define CR0_PE	   0x1u
#define CR0_ET	   0x10u
#define CR0_RESET  0x60000010u /* CD, NW, ET */
#define CR0_PG	   0x80000000u
#define CR4_PAE	   0x20u
#define EFER_LME   0x100u
#define EFER_LMA   0x400u
#define RFLAGS_ONE 0x2u /* the bit that is always set */

#define APIC_BASE_BSP	 0x100u
#define APIC_BASE_X2APIC 0x400u
#define APIC_BASE_ENABLE 0x800u

#define MSR_TSC		    0x10
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_TSC_ADJUST	    0x3b
#define MSR_MISC_ENABLE	    0x1a0
#define MSR_MTRR_BASE0	    0x200
#define MSR_MTRR_MASK0	    0x201
#define MSR_PAT		    0x277
#define MSR_MTRR_DEF_TYPE   0x2ff

#define FEATURE_CONTROL_LOCK_VMX 0x5
#define MISC_ENABLE_FAST_STRING	 0x1
#define MTRR_DEF_TYPE_ON_WB	 0x806 /* on, write-back; no fixed ranges: they say uncached */
#define MTRR_TYPE_UC		 0
#define MTRR_MASK_VALID		 0x800
#define PAT_RESET		 0x0007040600070406

#define MAX_MSRS 128

/* struct kvm_msrs with room */
struct msr_list {
	uint32_t nr, pad;
	struct kvm_msr_entry entry[MAX_MSRS];
};

static void add_msr(struct msr_list *list, uint32_t index, uint64_t value)
{
	if (list->nr < MAX_MSRS)
		list->entry[list->nr++] = (struct kvm_msr_entry){ .index = index, .data = value };
}

/* Those that KVM refuses are stepped over, with a warning if @warn. */
static int set_msrs(struct kvm_cpu *cpu, struct msr_list *list, bool warn)
{
	while (list->nr) {
		int done = kvm_cpu__ioctl(cpu, KVM_SET_MSRS, list, "KVM_SET_MSRS");
		uint32_t skip;

		if (done < 0)
			return done;
		if ((uint32_t)done >= list->nr)
			return 0;
		if (warn)
			pr_warn("KVM refuses 0x%llx in MSR 0x%x; the guest finds another value",
				(unsigned long long)list->entry[done].data,
				list->entry[done].index);
		skip = (uint32_t)done + 1;
		list->nr -= skip;
		memmove(list->entry, list->entry + skip, list->nr * sizeof(list->entry[0]));
	}
	return 0;
}

/*
 * What firmware leaves in MSRs. Without MTRRs memory would be uncached: KVM honours them for guests
 * that own devices, and Linux believes that PAT is off, too.
 */
static void add_firmware_msrs(struct msr_list *list, const struct x86_cpuid *cpuid)
{
	uint64_t hole_mask =
		(1ull << x86_cpuid__phys_bits(cpuid)) - (X86_HIGH_RAM_BASE - X86_PCI_WINDOW_BASE);

	add_msr(list, MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRING);
	if (x86_cpuid__has(cpuid, "mtrr")) {
		add_msr(list, MSR_MTRR_BASE0, X86_PCI_WINDOW_BASE | MTRR_TYPE_UC);
		add_msr(list, MSR_MTRR_MASK0, hole_mask | MTRR_MASK_VALID);
		add_msr(list, MSR_MTRR_DEF_TYPE, MTRR_DEF_TYPE_ON_WB);
	}
	if (x86_cpuid__has(cpuid, "vmx"))
		add_msr(list, MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCK_VMX);
}

/* --- local APIC --- */

#define LAPIC_ID	0x20
#define LAPIC_DFR	0xe0
#define LAPIC_SVR	0xf0
#define LAPIC_LVT_CMCI	0x2f0
#define LAPIC_LVT_TIMER 0x320 /* and thermal, performance, LINT0, LINT1, error: 0x10 apart */
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_LVT_ERROR 0x370

#define LVT_MASKED   0x10000u
#define LVT_EXTINT   0x700u
#define LVT_NMI	     0x400u
#define SVR_RESET    0xffu
#define SVR_FIRMWARE 0x1ffu /* enabled */

static void put_lapic(struct kvm_lapic_state *lapic, unsigned int at, uint32_t value)
{
	memcpy(lapic->regs + at, &value, sizeof(value));
}

/*
 * The whole page: reset state, and for the boot processor the virtual wire, by which the 8259's
 * interrupts and NMIs arrive before (or without) any APIC driver. KVM fills in the version.
 */
static int set_lapic(struct kvm_cpu *cpu)
{
	struct kvm_lapic_state lapic = { 0 };
	bool boot = !cpu->index;

	put_lapic(&lapic, LAPIC_ID, (uint32_t)cpu->id << 24);
	put_lapic(&lapic, LAPIC_DFR, UINT32_MAX);
	put_lapic(&lapic, LAPIC_SVR, boot ? SVR_FIRMWARE : SVR_RESET);
	put_lapic(&lapic, LAPIC_LVT_CMCI, LVT_MASKED);
	for (unsigned int at = LAPIC_LVT_TIMER; at <= LAPIC_LVT_ERROR; at += 0x10)
		put_lapic(&lapic, at, LVT_MASKED);
	if (boot) {
		put_lapic(&lapic, LAPIC_LVT_LINT0, LVT_EXTINT);
		put_lapic(&lapic, LAPIC_LVT_LINT1, LVT_NMI);
	}
	return kvm_cpu__ioctl(cpu, KVM_SET_LAPIC, &lapic, "KVM_SET_LAPIC");
}

static bool lapic_in_kvm(const struct x86_cpuid *cpuid)
{
	return cpuid->irqchip != IRQCHIP_OFF;
}

int x86_cpu__setup(struct kvm_cpu *cpu, struct x86_cpuid *cpuid)
{
	struct msr_list msrs = { 0 };
	int ret = kvm_cpu__ioctl(cpu, KVM_SET_CPUID2, x86_cpuid__of(cpuid, cpu->index),
				 "KVM_SET_CPUID2");

	if (ret < 0)
		return ret;
	add_firmware_msrs(&msrs, cpuid);
	ret = set_msrs(cpu, &msrs, !cpu->index);
	return ret < 0 ? ret : 0;
}

/* --- registers --- */

#define TYPE_DATA 0x3 /* writable, accessed */
#define TYPE_LDT  0x2
#define TYPE_CODE 0xb /* readable, accessed; as a system segment, a busy TSS */
#define TYPE_TSS  0xb

static struct kvm_segment real_segment(uint16_t selector, uint64_t base, uint8_t type)
{
	return (struct kvm_segment){ .selector = selector,
				     .base = base,
				     .limit = 0xffff,
				     .type = type,
				     .present = 1,
				     .s = 1 };
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_mode)
{
	return (struct kvm_segment){ .selector = selector,
				     .limit = UINT32_MAX,
				     .type = type,
				     .present = 1,
				     .s = 1,
				     .g = 1,
				     .l = long_mode,
				     .db = !long_mode };
}

static void set_data_segments(struct kvm_sregs *sregs, struct kvm_segment segment)
{
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = segment;
}

static struct kvm_sregs power_on_sregs(const struct kvm_cpu *cpu, const struct x86_cpuid *cpuid)
{
	struct kvm_sregs sregs = {
		.cs = real_segment(0xf000, 0xffff0000, TYPE_CODE),
		.ldt = { .limit = 0xffff, .type = TYPE_LDT, .present = 1 },
		.tr = { .limit = 0xffff, .type = TYPE_TSS, .present = 1 },
		.gdt.limit = 0xffff,
		.idt.limit = 0xffff,
		.cr0 = CR0_RESET,
		.apic_base = X86_LAPIC_BASE,
	};

	set_data_segments(&sregs, real_segment(0, 0, TYPE_DATA));
	if (!cpu->index)
		sregs.apic_base |= APIC_BASE_BSP;
	/* Enabled, KVM would show the APIC in CPUID again. */
	if (x86_cpuid__has(cpuid, "apic"))
		sregs.apic_base |= APIC_BASE_ENABLE;
	return sregs;
}

static void set_entry_mode(struct kvm_sregs *sregs, const struct x86_boot_entry *entry)
{
	bool long_mode = entry->mode == X86_ENTRY_LONG64;

	if (entry->mode == X86_ENTRY_REAL16) {
		uint64_t base = (uint64_t)entry->cs << 4;

		sregs->cs = real_segment(entry->cs, base, TYPE_CODE);
		set_data_segments(sregs, real_segment(entry->cs, base, TYPE_DATA));
		sregs->cr0 = CR0_ET;
		sregs->idt.limit = 0x3ff;
		return;
	}
	sregs->cs = flat_segment(entry->cs, TYPE_CODE, long_mode);
	set_data_segments(sregs, flat_segment(entry->ds, TYPE_DATA, false));
	sregs->gdt.base = entry->gdt_base;
	sregs->gdt.limit = entry->gdt_limit;
	sregs->idt.limit = 0;
	sregs->cr0 = CR0_PE | CR0_ET;
	if (long_mode) {
		sregs->cr0 |= CR0_PG;
		sregs->cr3 = entry->cr3;
		sregs->cr4 = CR4_PAE;
		sregs->efer = EFER_LME | EFER_LMA;
	}
}

int x86_cpu__enter(struct kvm_cpu *cpu, const struct x86_cpuid *cpuid,
		   const struct x86_boot_entry *entry)
{
	struct kvm_regs regs = { .rip = entry->rip,
				 .rsp = entry->rsp,
				 .rax = entry->rax,
				 .rbx = entry->rbx,
				 .rsi = entry->rsi,
				 .rflags = RFLAGS_ONE };
	struct kvm_sregs sregs = power_on_sregs(cpu, cpuid);
	int ret;

	set_entry_mode(&sregs, entry);
	/* A kernel takes processors with wide APIC ids only if it finds itself in x2APIC mode. */
	if (x86_cpuid__max_apic_id(&cpuid->topology) > X86_MAX_XAPIC_ID)
		sregs.apic_base |= APIC_BASE_X2APIC;
	ret = kvm_cpu__ioctl(cpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	/*
	 * The virtual wire comes when all vCPUs exist: KVM maps local APICs anew when this one is
	 * enabled, and would not know of vCPUs that are made later until one of theirs changes.
	 */
	if (ret >= 0 && lapic_in_kvm(cpuid))
		ret = set_lapic(cpu);
	if (ret >= 0)
		ret = kvm_cpu__ioctl(cpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
	return ret < 0 ? ret : 0;
}

/* --- reset --------------------------------------------------------------------------------------
 */

/* In ranges: from @first, @nr of them, @step apart, all to @value. */
static const struct {
	uint32_t first, nr, step;
	uint64_t value;
} reset_msrs[] = {
	/* first of all, what makes KVM write to guest memory */
	{ MSR_KVM_WALL_CLOCK, 2, 1, 0 }, /* and SYSTEM_TIME */
	{ MSR_KVM_WALL_CLOCK_NEW, 2, 1, 0 },
	{ MSR_KVM_ASYNC_PF_EN, 1, 1, 0 },
	{ MSR_KVM_STEAL_TIME, 1, 1, 0 },
	{ MSR_KVM_PV_EOI_EN, 1, 1, 0 },
	{ MSR_KVM_ASYNC_PF_INT, 1, 1, 0 },
	{ MSR_KVM_POLL_CONTROL, 1, 1, 1 },
	{ MSR_TSC, 1, 1, 0 },
	{ MSR_TSC_ADJUST, 1, 1, 0 },
	{ 0x48, 1, 1, 0 },  /* SPEC_CTRL */
	{ 0x140, 1, 1, 0 }, /* MISC_FEATURES_ENABLES */
	{ 0x174, 3, 1, 0 }, /* SYSENTER_CS, _ESP, _EIP */
	{ 0x17a, 1, 1, 0 }, /* MCG_STATUS */
	{ 0x186, 8, 1, 0 }, /* PERFEVTSEL: stop counting */
	{ 0x1c4, 2, 1, 0 }, /* XFD, XFD_ERR */
	{ 0x1d9, 1, 1, 0 }, /* DEBUGCTL */
	{ 0x1fc, 1, 1, 0 }, /* POWER_CTL */
	{ MSR_MTRR_BASE0, 16, 1, 0 },
	{ 0x250, 1, 1, 0 }, /* fixed MTRRs */
	{ 0x258, 2, 1, 0 },
	{ 0x268, 8, 1, 0 },
	{ MSR_PAT, 1, 1, PAT_RESET },
	{ 0x38d, 1, 1, 0 },	 /* FIXED_CTR_CTRL */
	{ 0x38f, 1, 1, 0 },	 /* PERF_GLOBAL_CTRL */
	{ 0x3f1, 1, 1, 0 },	 /* PEBS_ENABLE */
	{ 0x600, 1, 1, 0 },	 /* DS_AREA */
	{ 0x6a0, 1, 1, 0 },	 /* U_CET */
	{ 0x6a2, 1, 1, 0 },	 /* S_CET */
	{ 0x6a4, 5, 1, 0 },	 /* PL0..3_SSP, INT_SSP_TAB */
	{ 0x6e0, 1, 1, 0 },	 /* TSC_DEADLINE */
	{ 0xd90, 1, 1, 0 },	 /* BNDCFGS */
	{ 0xda0, 1, 1, 0 },	 /* XSS */
	{ 0xc0000081, 4, 1, 0 }, /* STAR, LSTAR, CSTAR, SFMASK */
	{ 0xc0000102, 2, 1, 0 }, /* KERNEL_GS_BASE, TSC_AUX */
	{ 0xc0010000, 4, 1, 0 }, /* PERFEVTSEL of K7 */
	{ 0xc0010117, 1, 1, 0 }, /* VM_HSAVE_PA */
	{ 0xc001011f, 1, 1, 0 }, /* VIRT_SPEC_CTRL */
	{ 0xc0010200, 6, 2, 0 }, /* PERFEVTSEL since family 15h */
};

static int reset_all_msrs(struct kvm_cpu *cpu, const struct x86_cpuid *cpuid)
{
	struct msr_list msrs = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(reset_msrs); i++)
		for (uint32_t n = 0; n < reset_msrs[i].nr; n++)
			add_msr(&msrs, reset_msrs[i].first + n * reset_msrs[i].step,
				reset_msrs[i].value);
	add_firmware_msrs(&msrs, cpuid);
	return set_msrs(cpu, &msrs, false);
}

static int leave_nested(struct kvm_cpu *cpu, const struct x86_cpuid *cpuid)
{
	struct kvm_nested_state state = { .size = sizeof(state) };

	if (x86_cpuid__has(cpuid, "vmx")) {
		state.format = KVM_STATE_NESTED_FORMAT_VMX;
		state.hdr.vmx.vmxon_pa = UINT64_MAX;
		state.hdr.vmx.vmcs12_pa = UINT64_MAX;
	} else if (x86_cpuid__has(cpuid, "svm")) {
		state.format = KVM_STATE_NESTED_FORMAT_SVM;
		state.flags = KVM_STATE_NESTED_GIF_SET;
	} else {
		return 0;
	}
	if (!kvm__cap(cpu->kvm, KVM_CAP_NESTED_STATE))
		return 0;
	return kvm_cpu__ioctl(cpu, KVM_SET_NESTED_STATE, &state, "KVM_SET_NESTED_STATE");
}

static int reset_registers(struct kvm_cpu *cpu, const struct x86_cpuid *cpuid)
{
	const struct kvm_cpuid_entry2 *leaf1 = x86_cpuid__entry(cpuid->list, 1, 0);
	struct kvm_regs regs = { .rip = 0xfff0, .rflags = RFLAGS_ONE };
	struct kvm_sregs sregs = power_on_sregs(cpu, cpuid);
	struct kvm_debugregs debug = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	int ret;

	regs.rdx = leaf1 ? leaf1->eax : 0; /* family, model, stepping */
	ret = kvm_cpu__ioctl(cpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	if (ret >= 0)
		ret = kvm_cpu__ioctl(cpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
	if (ret >= 0)
		ret = kvm_cpu__ioctl(cpu, KVM_SET_DEBUGREGS, &debug, "KVM_SET_DEBUGREGS");
	return ret;
}

static int reset_fpu(struct kvm_cpu *cpu)
{
	static const uint16_t fcw = 0x37f; /* as after FNINIT: what KVM itself begins with */
	static const uint32_t mxcsr = 0x1f80;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0] = { .xcr = 0, .value = 1 } };
	int size = kvm__cap(cpu->kvm, KVM_CAP_XSAVE2);
	struct kvm_xsave *xsave;
	int ret;

	xsave = calloc(1, size > (int)sizeof(*xsave) ? (size_t)size : sizeof(*xsave));
	if (!xsave) {
		pr_fatal("vCPU %u: no memory for its FPU state", cpu->index);
		return -ENOMEM;
	}
	/* No component is marked as in use, so all of them take their initial values. */
	memcpy(xsave->region, &fcw, sizeof(fcw));
	memcpy(&xsave->region[6], &mxcsr, sizeof(mxcsr));
	ret = kvm_cpu__ioctl(cpu, KVM_SET_XSAVE, xsave, "KVM_SET_XSAVE");
	free(xsave);
	if (ret >= 0 && kvm__cap(cpu->kvm, KVM_CAP_XCRS))
		ret = kvm_cpu__ioctl(cpu, KVM_SET_XCRS, &xcrs, "KVM_SET_XCRS");
	return ret;
}

/* Nothing pending, nothing masked; and whether it runs, or waits for SIPI. */
static int reset_events(struct kvm_cpu *cpu, const struct x86_cpuid *cpuid)
{
	struct kvm_vcpu_events events = { .flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
						   KVM_VCPUEVENT_VALID_SIPI_VECTOR |
						   KVM_VCPUEVENT_VALID_SHADOW };
	struct kvm_mp_state state = { .mp_state = cpu->index ? KVM_MP_STATE_UNINITIALIZED
							     : KVM_MP_STATE_RUNNABLE };
	int ret;

	if (kvm__cap(cpu->kvm, KVM_CAP_X86_SMM))
		events.flags |= KVM_VCPUEVENT_VALID_SMM;
	ret = kvm_cpu__ioctl(cpu, KVM_SET_VCPU_EVENTS, &events, "KVM_SET_VCPU_EVENTS");
	if (ret >= 0 && lapic_in_kvm(cpuid))
		ret = kvm_cpu__ioctl(cpu, KVM_SET_MP_STATE, &state, "KVM_SET_MP_STATE");
	return ret;
}

int x86_cpu__reset(struct kvm_cpu *cpu, const struct x86_cpuid *cpuid)
{
	int ret = leave_nested(cpu, cpuid);

	if (ret >= 0)
		ret = reset_registers(cpu, cpuid);
	if (ret >= 0)
		ret = reset_fpu(cpu);
	if (ret >= 0)
		ret = reset_all_msrs(cpu, cpuid);
	if (ret >= 0 && lapic_in_kvm(cpuid))
		ret = set_lapic(cpu);
	if (ret >= 0)
		ret = reset_events(cpu, cpuid);
	cpu->run->cr8 = 0; /* the task priority, without a local APIC in KVM */
	return ret < 0 ? ret : 0;
}
