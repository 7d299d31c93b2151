// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A vCPU begins as firmware and boot protocols say, and a reset brings it back there, whatever the
 * guest did. WRAP: sys__ioctl sys__ioctl_val pr_fatal pr_warn
 */
#include "test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <asm/kvm_para.h>
#include <linux/kvm.h>

#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "x86/cpu.h"
#include "x86/cpuid.h"
#include "x86/layout.h"

#define CPU_FD 9
#define VM_FD  8

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val);
void __wrap_pr_fatal(const char *fmt, ...);
void __wrap_pr_warn(const char *fmt, ...);

/* --- KVM: takes note of everything --- */

static struct {
	unsigned long request[256];
	unsigned int nr, fail_at;
	unsigned long failed;
	uint32_t refused[8]; /* MSRs */
	int xsave_size;
	bool smm, nested;
	unsigned int warnings, errors;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_debugregs debug;
	struct kvm_xcrs xcrs;
	struct kvm_nested_state nested_state;
	char xsave[8192];
	struct kvm_cpuid_entry2 leaf1;
	struct kvm_msr_entry msr[512];
	unsigned int nr_msrs;
} kernel;

void __wrap_pr_fatal(const char *fmt, ...)
{
	kernel.errors++;
}

void __wrap_pr_warn(const char *fmt, ...)
{
	kernel.warnings++;
}

static bool is_refused(uint32_t msr)
{
	for (size_t i = 0; i < ARRAY_SIZE(kernel.refused); i++)
		if (kernel.refused[i] && kernel.refused[i] == msr)
			return true;
	return false;
}

static int set_msrs(const struct kvm_msrs *msrs)
{
	for (uint32_t i = 0; i < msrs->nmsrs; i++) {
		if (is_refused(msrs->entries[i].index))
			return (int)i;
		assert_true(kernel.nr_msrs < ARRAY_SIZE(kernel.msr));
		kernel.msr[kernel.nr_msrs++] = msrs->entries[i];
	}
	return (int)msrs->nmsrs;
}

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	const struct kvm_cpuid_entry2 *leaf1;

	assert_int_equal(fd, CPU_FD);
	assert_true(kernel.nr < ARRAY_SIZE(kernel.request));
	kernel.request[kernel.nr++] = request;
	if (kernel.nr == kernel.fail_at) {
		kernel.failed = request;
		return -ENXIO;
	}
	switch (request) {
	case KVM_SET_CPUID2:
		leaf1 = x86_cpuid__entry(arg, 1, 0);
		assert_non_null(leaf1);
		kernel.leaf1 = *leaf1;
		return 0;
	case KVM_SET_MSRS:
		return set_msrs(arg);
	case KVM_SET_SREGS:
		memcpy(&kernel.sregs, arg, sizeof(kernel.sregs));
		return 0;
	case KVM_SET_REGS:
		memcpy(&kernel.regs, arg, sizeof(kernel.regs));
		return 0;
	case KVM_SET_LAPIC:
		memcpy(&kernel.lapic, arg, sizeof(kernel.lapic));
		return 0;
	case KVM_SET_VCPU_EVENTS:
		memcpy(&kernel.events, arg, sizeof(kernel.events));
		return 0;
	case KVM_SET_MP_STATE:
		memcpy(&kernel.mp, arg, sizeof(kernel.mp));
		return 0;
	case KVM_SET_DEBUGREGS:
		memcpy(&kernel.debug, arg, sizeof(kernel.debug));
		return 0;
	case KVM_SET_XCRS:
		memcpy(&kernel.xcrs, arg, sizeof(kernel.xcrs));
		return 0;
	case KVM_SET_NESTED_STATE:
		memcpy(&kernel.nested_state, arg, sizeof(kernel.nested_state));
		return 0;
	case KVM_SET_XSAVE: /* KVM reads as many bytes as it said */
		memcpy(kernel.xsave, arg, (size_t)(kernel.xsave_size ? kernel.xsave_size : 4096));
		return 0;
	}
	fail_msg("unexpected ioctl 0x%lx", request);
	return -ENOTTY;
}

int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val)
{
	assert_int_equal(fd, VM_FD);
	assert_int_equal(request, KVM_CHECK_EXTENSION);
	switch (val) {
	case KVM_CAP_XSAVE2:
		return kernel.xsave_size;
	case KVM_CAP_X86_SMM:
		return kernel.smm;
	case KVM_CAP_NESTED_STATE:
		return kernel.nested ? 4224 : 0;
	case KVM_CAP_XCRS:
		return 1;
	}
	return 0;
}

/* --- the VM --- */

static struct {
	uint32_t nent, padding;
	struct kvm_cpuid_entry2 entries[8];
} list;

static struct vm_config cfg;
static struct kvm vm = { .cfg = &cfg, .vm_fd = VM_FD };
static struct kvm_run run;
static struct x86_cpuid cpuid;

static struct kvm_cpu cpu_at(unsigned int index)
{
	return (struct kvm_cpu){ .kvm = &vm,
				 .index = index,
				 .id = x86_cpuid__apic_id(&cpuid.topology, index),
				 .fd = CPU_FD,
				 .run = &run };
}

static int reset(void **state)
{
	const struct kvm_cpuid_entry2 entries[] = {
		{ .function = 0, .eax = 0xd, .ebx = 0x68747541 },
		{ .function = 1, .eax = 0x00a20f10, .ecx = 0x80202001, .edx = 0x178bfbff },
		{ .function = 0x80000001, .edx = 0x2fd3fbff },
		{ .function = 0x80000008, .eax = 0x3028 },
	};

	memset(&kernel, 0, sizeof(kernel));
	memset(&run, 0, sizeof(run));
	memcpy(list.entries, entries, sizeof(entries));
	list.nent = ARRAY_SIZE(entries);
	cpuid = (struct x86_cpuid){ .topology = { 12, 2, 3, 2 },
				    .irqchip = IRQCHIP_KERNEL,
				    .list = (struct kvm_cpuid2 *)&list };
	return 0;
}

static void assert_requests(const unsigned long *wanted, unsigned int nr)
{
	for (unsigned int i = 0; i < nr && i < kernel.nr; i++)
		assert_int_equal(kernel.request[i], wanted[i]);
	assert_int_equal(kernel.nr, nr);
}

static const struct kvm_msr_entry *msr(uint32_t index)
{
	const struct kvm_msr_entry *last = NULL;

	for (unsigned int i = 0; i < kernel.nr_msrs; i++)
		if (kernel.msr[i].index == index)
			last = &kernel.msr[i];
	return last;
}

static uint32_t lapic(unsigned int at)
{
	uint32_t value;

	memcpy(&value, kernel.lapic.regs + at, sizeof(value));
	return value;
}

static unsigned int position(unsigned long request)
{
	for (unsigned int i = 0; i < kernel.nr; i++)
		if (kernel.request[i] == request)
			return i;
	fail_msg("no ioctl 0x%lx", request);
	return 0;
}

/* --- setup --- */

static void a_new_vcpu_takes_two_ioctls(void **state)
{
	const unsigned long wanted[] = { KVM_SET_CPUID2, KVM_SET_MSRS };
	struct kvm_cpu bsp = cpu_at(0), ap = cpu_at(7);

	assert_int_equal(x86_cpu__setup(&bsp, &cpuid), 0);
	assert_requests(wanted, 2);
	kernel.nr = 0;
	assert_int_equal(x86_cpu__setup(&ap, &cpuid), 0);
	assert_requests(wanted, 2);
}

static void each_vcpu_gets_the_cpuid_of_its_place(void **state)
{
	struct kvm_cpu ap = cpu_at(7);

	assert_int_equal(x86_cpu__setup(&ap, &cpuid), 0);
	assert_int_equal(kernel.leaf1.ebx >> 24, 9); /* 1 | 0 | 1: socket 1, core 0, thread 1 */
}

static void memory_is_write_back_but_for_the_pci_hole(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);

	assert_int_equal(x86_cpu__setup(&bsp, &cpuid), 0);
	assert_int_equal(msr(0x2ff)->data, 0x806); /* on, no fixed ranges, write-back */
	assert_int_equal(msr(0x200)->data, X86_PCI_WINDOW_BASE);
	assert_int_equal(msr(0x201)->data, 0xffc0000800); /* 40 bits, 1 GiB, valid */
	assert_int_equal(msr(0x1a0)->data & 1, 1);
	assert_null(msr(0x3a));
}

static void mtrrs_are_left_alone_if_the_guest_cannot_see_them(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);

	list.entries[1].edx &= ~(1u << 12);
	list.entries[2].edx &= ~(1u << 12);
	assert_int_equal(x86_cpu__setup(&bsp, &cpuid), 0);
	assert_null(msr(0x2ff));
	assert_non_null(msr(0x1a0));
}

static void vmx_is_unlocked_as_firmware_does(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);

	list.entries[1].ecx |= 1u << 5;
	assert_int_equal(x86_cpu__setup(&bsp, &cpuid), 0);
	assert_int_equal(msr(0x3a)->data, 5);
}

static void only_the_boot_processor_has_the_virtual_wire(void **state)
{
	const struct x86_boot_entry entry = { .mode = X86_ENTRY_LONG64 };
	struct kvm_cpu bsp = cpu_at(0), ap = cpu_at(7);

	assert_int_equal(x86_cpu__enter(&bsp, &cpuid, &entry), 0);
	assert_int_equal(lapic(0x350), 0x700); /* LINT0: ExtINT */
	assert_int_equal(lapic(0x360), 0x400); /* LINT1: NMI */
	assert_int_equal(lapic(0xf0), 0x1ff);
	assert_int_equal(lapic(0x320), 0x10000);
	assert_int_equal(lapic(0x370), 0x10000);
	assert_int_equal(lapic(0xe0), UINT32_MAX);
	assert_int_equal(lapic(0x20), 0);

	assert_int_equal(x86_cpu__reset(&ap, &cpuid), 0);
	assert_int_equal(lapic(0x350), 0x10000);
	assert_int_equal(lapic(0x360), 0x10000);
	assert_int_equal(lapic(0xf0), 0xff);
	assert_int_equal(lapic(0x20), 9u << 24);
}

static void without_irqchip_no_local_apic_is_touched(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);

	cpuid.irqchip = IRQCHIP_OFF;
	assert_int_equal(x86_cpu__setup(&bsp, &cpuid), 0);
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	for (unsigned int i = 0; i < kernel.nr; i++) {
		assert_int_not_equal(kernel.request[i], KVM_SET_LAPIC);
		assert_int_not_equal(kernel.request[i], KVM_SET_MP_STATE);
	}
}

static void an_msr_that_kvm_refuses_is_stepped_over_with_one_warning(void **state)
{
	struct kvm_cpu bsp = cpu_at(0), ap = cpu_at(1);

	kernel.refused[0] = 0x1a0; /* the first */
	kernel.refused[1] = 0x2ff; /* the last */
	assert_int_equal(x86_cpu__setup(&bsp, &cpuid), 0);
	assert_int_equal(kernel.warnings, 2);
	assert_non_null(msr(0x201));
	assert_int_equal(x86_cpu__setup(&ap, &cpuid), 0);
	assert_int_equal(kernel.warnings, 2);
	assert_int_equal(kernel.errors, 0);
}

/* --- entry --- */

static void enter(const struct x86_boot_entry *entry)
{
	const unsigned long wanted[] = { KVM_SET_SREGS, KVM_SET_LAPIC, KVM_SET_REGS };
	struct kvm_cpu bsp = cpu_at(0);

	assert_int_equal(x86_cpu__enter(&bsp, &cpuid, entry), 0);
	assert_requests(wanted, 3);
	assert_int_equal(kernel.regs.rflags, 2);
	assert_int_equal(kernel.sregs.apic_base, 0xfee00900);
	assert_int_equal(kernel.sregs.tr.type, 0xb);
	assert_int_equal(kernel.sregs.tr.s, 0);
	assert_int_equal(kernel.sregs.tr.present, 1);
	assert_int_equal(kernel.sregs.ldt.type, 2);
}

static void wide_apic_ids_start_in_x2apic_mode(void **state)
{
	const struct x86_boot_entry entry = { .mode = X86_ENTRY_LONG64 };
	struct kvm_cpu bsp = cpu_at(0);

	cpuid.topology =
		(struct cpu_topology){ .nr = 255, .sockets = 255, .cores = 1, .threads = 1 };
	assert_int_equal(x86_cpu__enter(&bsp, &cpuid, &entry), 0);
	assert_int_equal(kernel.sregs.apic_base, 0xfee00900);
	cpuid.topology.nr = cpuid.topology.sockets = 256;
	assert_int_equal(x86_cpu__enter(&bsp, &cpuid, &entry), 0);
	assert_int_equal(kernel.sregs.apic_base, 0xfee00d00);
}

static void real_mode_is_one_segment_for_all(void **state)
{
	const struct x86_boot_entry entry = {
		.mode = X86_ENTRY_REAL16, .rip = 0x200, .rsp = 0xfff0, .rsi = 5, .cs = 0x1000
	};
	const struct kvm_sregs *s = &kernel.sregs;

	enter(&entry);
	assert_int_equal(s->cr0, 0x10);
	assert_int_equal(s->cr4, 0);
	assert_int_equal(s->efer, 0);
	assert_int_equal(s->cs.selector, 0x1000);
	assert_int_equal(s->cs.base, 0x10000);
	assert_int_equal(s->cs.limit, 0xffff);
	assert_int_equal(s->cs.type, 0xb);
	assert_int_equal(s->cs.db, 0);
	assert_int_equal(s->ss.selector, 0x1000);
	assert_int_equal(s->ss.base, 0x10000);
	assert_int_equal(s->ds.type, 3);
	assert_memory_equal(&s->ds, &s->gs, sizeof(s->ds));
	assert_int_equal(s->idt.base, 0);
	assert_int_equal(s->idt.limit, 0x3ff);
	assert_int_equal(kernel.regs.rip, 0x200);
	assert_int_equal(kernel.regs.rsp, 0xfff0);
	assert_int_equal(kernel.regs.rsi, 5);
}

static void protected_mode_is_flat_without_paging(void **state)
{
	const struct x86_boot_entry entry = { .mode = X86_ENTRY_PROT32,
					      .rip = 0x100000,
					      .rax = 0x2badb002,
					      .rbx = 0x20000,
					      .cs = 0x10,
					      .ds = 0x18,
					      .gdt_base = 0x500,
					      .gdt_limit = 0x1f };
	const struct kvm_sregs *s = &kernel.sregs;

	enter(&entry);
	assert_int_equal(s->cr0, 0x11);
	assert_int_equal(s->cr3, 0);
	assert_int_equal(s->cr4, 0);
	assert_int_equal(s->efer, 0);
	assert_int_equal(s->cs.selector, 0x10);
	assert_int_equal(s->cs.base, 0);
	assert_int_equal(s->cs.limit, 0xffffffff);
	assert_int_equal(s->cs.g, 1);
	assert_int_equal(s->cs.db, 1);
	assert_int_equal(s->cs.l, 0);
	assert_int_equal(s->cs.type, 0xb);
	assert_int_equal(s->ss.selector, 0x18);
	assert_int_equal(s->ss.db, 1);
	assert_int_equal(s->fs.limit, 0xffffffff);
	assert_int_equal(s->gdt.base, 0x500);
	assert_int_equal(s->gdt.limit, 0x1f);
	assert_int_equal(kernel.regs.rip, 0x100000);
	assert_int_equal(kernel.regs.rax, 0x2badb002);
	assert_int_equal(kernel.regs.rbx, 0x20000);
}

static void long_mode_is_flat_with_paging(void **state)
{
	const struct x86_boot_entry entry = { .mode = X86_ENTRY_LONG64,
					      .rip = 0x1000200,
					      .rsp = 0x8ff0,
					      .rsi = 0x7000,
					      .cs = 0x10,
					      .ds = 0x18,
					      .cr3 = 0x9000,
					      .gdt_base = 0x500,
					      .gdt_limit = 0x1f };
	const struct kvm_sregs *s = &kernel.sregs;

	enter(&entry);
	assert_int_equal(s->cr0, 0x80000011);
	assert_int_equal(s->cr3, 0x9000);
	assert_int_equal(s->cr4, 0x20);
	assert_int_equal(s->efer, 0x500);
	assert_int_equal(s->cs.l, 1);
	assert_int_equal(s->cs.db, 0); /* with L it would not enter */
	assert_int_equal(s->ds.l, 0);
	assert_int_equal(s->ds.db, 1);
	assert_int_equal(kernel.regs.rsi, 0x7000);
}

static void without_an_apic_in_cpuid_its_base_is_off(void **state)
{
	const struct x86_boot_entry entry = { .mode = X86_ENTRY_PROT32 };
	struct kvm_cpu bsp = cpu_at(0);

	list.entries[1].edx &= ~(1u << 9);
	list.entries[2].edx &= ~(1u << 9);
	cpuid.irqchip = IRQCHIP_OFF;
	assert_int_equal(x86_cpu__enter(&bsp, &cpuid, &entry), 0);
	assert_int_equal(kernel.sregs.apic_base, 0xfee00100);
}

/* --- reset --- */

static void reset_brings_back_the_power_on_registers(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);
	const struct kvm_sregs *s = &kernel.sregs;

	run.cr8 = 7;
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	assert_int_equal(s->cs.selector, 0xf000);
	assert_int_equal(s->cs.base, 0xffff0000);
	assert_int_equal(s->cr0, 0x60000010);
	assert_int_equal(s->cr4, 0);
	assert_int_equal(s->efer, 0);
	assert_int_equal(s->apic_base, 0xfee00900);
	assert_int_equal(s->gdt.limit, 0xffff);
	assert_int_equal(kernel.regs.rip, 0xfff0);
	assert_int_equal(kernel.regs.rflags, 2);
	assert_int_equal(kernel.regs.rdx, 0x00a20f10);
	assert_int_equal(kernel.regs.rax, 0);
	assert_int_equal(kernel.debug.dr6, 0xffff0ff0);
	assert_int_equal(kernel.debug.dr7, 0x400);
	assert_int_equal(kernel.xcrs.nr_xcrs, 1);
	assert_int_equal(kernel.xcrs.xcrs[0].value, 1);
	assert_int_equal(run.cr8, 0);
}

static void fpu_state_is_initial_whatever_its_size(void **state)
{
	const int sizes[] = { 0, 4096, 8192 };
	struct kvm_cpu bsp = cpu_at(0);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t mxcsr;
		uint16_t fcw;

		kernel.xsave_size = sizes[i];
		assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
		memcpy(&fcw, kernel.xsave, 2);
		memcpy(&mxcsr, kernel.xsave + 24, 4);
		assert_int_equal(fcw, 0x37f);
		assert_int_equal(mxcsr, 0x1f80);
		for (size_t at = 512; at < 576; at++)
			assert_int_equal(kernel.xsave[at], 0); /* XSTATE_BV: all initial */
	}
}

static void application_processors_wait_for_sipi_again(void **state)
{
	struct kvm_cpu bsp = cpu_at(0), ap = cpu_at(3);

	assert_int_equal(x86_cpu__reset(&ap, &cpuid), 0);
	assert_int_equal(kernel.mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
	assert_int_equal(kernel.sregs.apic_base, 0xfee00800);
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	assert_int_equal(kernel.mp.mp_state, KVM_MP_STATE_RUNNABLE);
}

static void nothing_stays_pending(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);
	struct kvm_vcpu_events wanted = { .flags = 7 };

	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	assert_memory_equal(&kernel.events, &wanted, sizeof(wanted));
	kernel.smm = true;
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	wanted.flags |= KVM_VCPUEVENT_VALID_SMM;
	assert_memory_equal(&kernel.events, &wanted, sizeof(wanted));
}

static void kvm_stops_writing_to_guest_memory_first(void **state)
{
	const uint32_t writers[] = {
		MSR_KVM_WALL_CLOCK,	 MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK_NEW,
		MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_ASYNC_PF_EN, MSR_KVM_STEAL_TIME,
		MSR_KVM_PV_EOI_EN,
	};
	struct kvm_cpu bsp = cpu_at(0);

	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		assert_int_equal(kernel.msr[i].index, writers[i]);
		assert_int_equal(kernel.msr[i].data, 0);
	}
}

static void reset_reaches_every_msr_and_ends_with_firmware_s(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} some[] = {
		{ 0x10, 0 },	   { 0x3b, 0 },		  { 0x174, 0 },
		{ 0x176, 0 },	   { 0x18d, 0 },	  { 0x1a0, 1 },
		{ 0x20f, 0 },	   { 0x26f, 0 },	  { 0x277, 0x0007040600070406 },
		{ 0x2ff, 0x806 },  { 0x200, 0xc0000000 }, { 0x6e0, 0 },
		{ 0xda0, 0 },	   { 0xc0000082, 0 },	  { 0xc0000084, 0 },
		{ 0xc0000102, 0 }, { 0xc0000103, 0 },	  { 0xc0010117, 0 },
		{ 0xc001020a, 0 }, { 0x4b564d05, 1 },	  { 0x3a, 5 },
	};
	struct kvm_cpu bsp = cpu_at(0);

	list.entries[1].ecx |= 1u << 5;
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		assert_non_null(msr(some[i].index));
		assert_int_equal(msr(some[i].index)->data, some[i].value);
	}
}

static void msrs_of_other_processors_are_stepped_over_in_silence(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);
	const uint32_t absent[] = { 0x10, 0x186, 0x187, 0x600, 0xc0010000, 0xc001020a, 0x2ff };

	memcpy(kernel.refused, absent, sizeof(absent));
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	assert_int_equal(kernel.warnings, 0);
	assert_non_null(msr(0x188));
	assert_non_null(msr(0xc0010200));
	assert_non_null(msr(0x201));
}

static void a_guest_hypervisor_is_left_before_its_registers_go(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);

	kernel.nested = true;
	list.entries[1].ecx |= 1u << 5;
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	assert_true(position(KVM_SET_NESTED_STATE) < position(KVM_SET_SREGS));
	assert_int_equal(kernel.nested_state.format, KVM_STATE_NESTED_FORMAT_VMX);
	assert_int_equal(kernel.nested_state.flags, 0);
	assert_int_equal(kernel.nested_state.size, 128);
	assert_true(kernel.nested_state.hdr.vmx.vmxon_pa == UINT64_MAX);
	assert_true(kernel.nested_state.hdr.vmx.vmcs12_pa == UINT64_MAX);

	list.entries[1].ecx &= ~(1u << 5);
	list.entries[2].ecx |= 1u << 2;
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	assert_int_equal(kernel.nested_state.format, KVM_STATE_NESTED_FORMAT_SVM);
	assert_int_equal(kernel.nested_state.flags, KVM_STATE_NESTED_GIF_SET);
}

static void nested_state_is_not_touched_where_there_is_none(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);

	list.entries[1].ecx |= 1u << 5; /* in CPUID, but KVM has no such state */
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	kernel.nested = true;
	list.entries[1].ecx &= ~(1u << 5); /* not in CPUID */
	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	for (unsigned int i = 0; i < kernel.nr; i++)
		assert_int_not_equal(kernel.request[i], KVM_SET_NESTED_STATE);
}

static void xapic_mode_is_back_before_the_apic_page_is_written(void **state)
{
	struct kvm_cpu bsp = cpu_at(0);

	assert_int_equal(x86_cpu__reset(&bsp, &cpuid), 0);
	assert_true(position(KVM_SET_SREGS) < position(KVM_SET_LAPIC));
	assert_true(position(KVM_SET_MSRS) < position(KVM_SET_LAPIC));
	assert_true(position(KVM_SET_LAPIC) < position(KVM_SET_MP_STATE));
}

/* --- failures --- */

static int do_setup(struct kvm_cpu *cpu)
{
	return x86_cpu__setup(cpu, &cpuid);
}

static int do_reset(struct kvm_cpu *cpu)
{
	return x86_cpu__reset(cpu, &cpuid);
}

static int do_enter(struct kvm_cpu *cpu)
{
	const struct x86_boot_entry entry = { .mode = X86_ENTRY_LONG64 };

	return x86_cpu__enter(cpu, &cpuid, &entry);
}

static void each_ioctl_that_fails_is_reported_and_is_the_last(void **state)
{
	int (*const what[])(struct kvm_cpu *) = { do_setup, do_reset, do_enter };
	const unsigned int calls[] = { 2, 10, 3 };
	struct kvm_cpu bsp = cpu_at(0);

	for (size_t i = 0; i < ARRAY_SIZE(what); i++) {
		for (unsigned int call = 1; call <= calls[i] + 1; call++) {
			reset(NULL);
			list.entries[1].ecx |= 1u << 5;
			kernel.nested = true;
			kernel.fail_at = call;
			if (call > calls[i]) {
				assert_int_equal(what[i](&bsp), 0);
				assert_int_equal(kernel.nr, calls[i]);
				continue;
			}
			assert_int_equal(what[i](&bsp), -ENXIO);
			assert_int_equal(kernel.nr, call);
			assert_int_equal(kernel.errors, 1);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_vcpu_takes_two_ioctls),
		TEST(each_vcpu_gets_the_cpuid_of_its_place),
		TEST(memory_is_write_back_but_for_the_pci_hole),
		TEST(mtrrs_are_left_alone_if_the_guest_cannot_see_them),
		TEST(vmx_is_unlocked_as_firmware_does),
		TEST(only_the_boot_processor_has_the_virtual_wire),
		TEST(without_irqchip_no_local_apic_is_touched),
		TEST(an_msr_that_kvm_refuses_is_stepped_over_with_one_warning),
		TEST(wide_apic_ids_start_in_x2apic_mode),
		TEST(real_mode_is_one_segment_for_all),
		TEST(protected_mode_is_flat_without_paging),
		TEST(long_mode_is_flat_with_paging),
		TEST(without_an_apic_in_cpuid_its_base_is_off),
		TEST(reset_brings_back_the_power_on_registers),
		TEST(fpu_state_is_initial_whatever_its_size),
		TEST(application_processors_wait_for_sipi_again),
		TEST(nothing_stays_pending),
		TEST(kvm_stops_writing_to_guest_memory_first),
		TEST(reset_reaches_every_msr_and_ends_with_firmware_s),
		TEST(msrs_of_other_processors_are_stepped_over_in_silence),
		TEST(a_guest_hypervisor_is_left_before_its_registers_go),
		TEST(nested_state_is_not_touched_where_there_is_none),
		TEST(xapic_mode_is_back_before_the_apic_page_is_written),
		TEST(each_ioctl_that_fails_is_reported_and_is_the_last),
	};

	return cmocka_run_group_tests_name("x86-cpu", tests, NULL, NULL);
}
