// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What kind of KVM this host has.
 *
 * Theory of operation: some KVMs have no virtualisation extension to use; they emulate the guest's
 * kernel instruction by instruction, all but a few. Nothing that KVM says of itself tells them
 * apart, so a guest of a page tries, in long mode and ring 0, one step after the other. It writes
 * each step's number to a port before the step, so the last number is the culprit when KVM gives
 * up. The probe then notes it and puts the guest at the start of the next step.
 *
 * A guest that hangs is ended by SIGALRM: blocked in this thread except, by KVM_SET_SIGNAL_MASK,
 * inside KVM_RUN. So it needs no handler, and nobody else's use of the signal changes.
 */
#include "x86/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "kvm/kvm.h"
#include "kvm/sys.h"
#include "x86/cpuid.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define STRINGIFY_(x) #x
#define STRINGIFY(x)  STRINGIFY_(x)

/* The guest's memory, all of it: */
#define GUEST_SIZE   0x10000
#define GUEST_PML4   0x1000
#define GUEST_PDPT   0x2000
#define GUEST_PD     0x3000
#define GUEST_GDT    0x4000
#define GUEST_IDT    0x5000
#define GUEST_TSS    0x6000
#define GUEST_GDTR   0x7000
#define GUEST_IDTR   0x7010
#define GUEST_CODE   0x8000
#define GUEST_DATA   0xa000 /* operands, and a save area of the FPU at + 0x1000 */
#define GUEST_STACK  0xe000 /* grows down */
#define GUEST_USTACK 0xf000

/* Where it reports: */
#define PORT_STEP  0x10
#define PORT_FAULT 0x11 /* an exception's vector */
#define PORT_WRONG 0x12 /* an instruction that ran but did something else */

/* What CPUID offers, in %edi. */
#define HAS_CX16  0x1
#define HAS_XSAVE 0x2
#define HAS_BMI2  0x4

#define SEL_CODE  0x08
#define SEL_DATA  0x10
#define SEL_UDATA 0x23
#define SEL_UCODE 0x2b
#define SEL_TSS	  0x30

#define NR_VECTORS  32
#define STUB_SIZE   8
#define TIMEOUT_SEC 5
#define MAX_EXITS   64

/* In the order of the guest's code. */
enum step {
	STEP_NONE,
	STEP_TABLES,
	STEP_MSR,
	STEP_INT3,
	STEP_CX16,
	STEP_FPU,
	STEP_BMI2,
	STEP_USER,
	STEP_DONE,
};

static const char *const step_names[] = {
	[STEP_NONE] = "the first instruction",
	[STEP_TABLES] = "lgdt, lidt, ltr",
	[STEP_MSR] = "rdmsr, wrmsr",
	[STEP_INT3] = "int3",
	[STEP_CX16] = "cmpxchg16b",
	[STEP_FPU] = "saving FPU state",
	[STEP_BMI2] = "a BMI2 instruction",
	[STEP_USER] = "iretq to user mode, syscall back",
	[STEP_DONE] = "the end",
};

extern const unsigned char x86_probe_guest[], x86_probe_guest_end[], x86_probe_guest_stubs[],
	x86_probe_guest_int3[];
extern const uint32_t x86_probe_guest_steps[];

/* clang-format off */
#define STEP(n) "step" n ":\n" \
	"	movl	$" STRINGIFY(GUEST_STACK) ", %esp\n" \
	"	movb	$" n ", %al\n" \
	"	outb	%al, $" STRINGIFY(PORT_STEP) "\n"

__asm__(
"	.pushsection .rodata\n"
"	.balign	16\n"
"	.globl	x86_probe_guest, x86_probe_guest_end, x86_probe_guest_stubs\n"
"	.globl	x86_probe_guest_int3, x86_probe_guest_steps\n"
"	.hidden	x86_probe_guest, x86_probe_guest_end, x86_probe_guest_stubs\n"
"	.hidden	x86_probe_guest_int3, x86_probe_guest_steps\n"
"	.code64\n"
"x86_probe_guest:\n"
	STEP("1")
"	lgdt	" STRINGIFY(GUEST_GDTR) "\n"
"	lidt	" STRINGIFY(GUEST_IDTR) "\n"
"	movl	$" STRINGIFY(SEL_TSS) ", %eax\n"
"	ltr	%ax\n"
"	movl	$" STRINGIFY(SEL_DATA) ", %eax\n"
"	movl	%eax, %ss\n"
"	pushq	$" STRINGIFY(SEL_CODE) "\n"
"	leaq	step2(%rip), %rax\n"
"	pushq	%rax\n"
"	lretq\n"
	STEP("2")
"	movl	$0xc0000080, %ecx\n"		/* EFER: SCE */
"	rdmsr\n"
"	orl	$1, %eax\n"
"	wrmsr\n"
"	movl	$0xc0000081, %ecx\n"		/* STAR */
"	xorl	%eax, %eax\n"
"	movl	$0x00180008, %edx\n"
"	wrmsr\n"
"	movl	$0xc0000082, %ecx\n"		/* LSTAR */
"	leaq	from_user(%rip), %rax\n"
"	movl	%eax, %ebx\n"
"	xorl	%edx, %edx\n"
"	wrmsr\n"
"	xorl	%eax, %eax\n"
"	rdmsr\n"
"	cmpl	%ebx, %eax\n"
"	je	1f\n"
"	outb	%al, $" STRINGIFY(PORT_WRONG) "\n"
"1:\n"
	STEP("3")
"	xorl	%ebx, %ebx\n"
"	int3\n"
"	cmpl	$0x600d, %ebx\n"		/* by the handler */
"	je	1f\n"
"	outb	%al, $" STRINGIFY(PORT_WRONG) "\n"
"1:	jmp	step4\n"
"x86_probe_guest_int3:\n"
"	movl	$0x600d, %ebx\n"
"	iretq\n"
	STEP("4")
"	testl	$" STRINGIFY(HAS_CX16) ", %edi\n"
"	jz	step5\n"
"	xorl	%eax, %eax\n"
"	xorl	%edx, %edx\n"
"	movl	$1, %ebx\n"
"	movl	$2, %ecx\n"
"	lock cmpxchg16b	" STRINGIFY(GUEST_DATA) "\n"
"	jnz	1f\n"
"	cmpq	$2, " STRINGIFY(GUEST_DATA) " + 8\n"
"	je	step5\n"
"1:	outb	%al, $" STRINGIFY(PORT_WRONG) "\n"
	STEP("5")
"	testl	$" STRINGIFY(HAS_XSAVE) ", %edi\n"
"	jz	1f\n"
"	movq	%cr4, %rax\n"
"	orl	$0x40000, %eax\n"		/* OSXSAVE */
"	movq	%rax, %cr4\n"
"	xorl	%ecx, %ecx\n"
"	xorl	%edx, %edx\n"
"	movl	$3, %eax\n"
"	xsetbv\n"
"	xsave	" STRINGIFY(GUEST_DATA) " + 0x1000\n"
"	xrstor	" STRINGIFY(GUEST_DATA) " + 0x1000\n"
"	jmp	step6\n"
"1:	fxsave	" STRINGIFY(GUEST_DATA) " + 0x1000\n"
"	fxrstor	" STRINGIFY(GUEST_DATA) " + 0x1000\n"
	STEP("6")
"	testl	$" STRINGIFY(HAS_BMI2) ", %edi\n"
"	jz	step7\n"
"	movl	$2, %eax\n"
"	rorx	$1, %eax, %ebx\n"
"	cmpl	$1, %ebx\n"
"	je	step7\n"
"	outb	%al, $" STRINGIFY(PORT_WRONG) "\n"
	STEP("7")
"	pushq	$" STRINGIFY(SEL_UDATA) "\n"
"	pushq	$" STRINGIFY(GUEST_USTACK) "\n"
"	pushq	$2\n"
"	pushq	$" STRINGIFY(SEL_UCODE) "\n"
"	leaq	user(%rip), %rax\n"
"	pushq	%rax\n"
"	iretq\n"
"user:\n"
"	movl	$0x600d, %ebx\n"
"	syscall\n"
"from_user:\n"
"	cmpl	$0x600d, %ebx\n"
"	je	step8\n"
"	outb	%al, $" STRINGIFY(PORT_WRONG) "\n"
	STEP("8")
"	hlt\n"

"	.balign	" STRINGIFY(STUB_SIZE) "\n"
"x86_probe_guest_stubs:\n"
"	vector = 0\n"
"	.rept	" STRINGIFY(NR_VECTORS) "\n"
"	movb	$vector, %al\n"
"	outb	%al, $" STRINGIFY(PORT_FAULT) "\n"
"	hlt\n"
"	.balign	" STRINGIFY(STUB_SIZE) "\n"
"	vector = vector + 1\n"
"	.endr\n"
"x86_probe_guest_end:\n"

"	.balign	4\n"
"x86_probe_guest_steps:\n"
"	.long	0\n"
"	.irp	n, 1, 2, 3, 4, 5, 6, 7, 8\n"
"	.long	step\\n - x86_probe_guest\n"
"	.endr\n"
"	.popsection\n"
);
/* clang-format on */

/**
 * struct probe - a probe under way
 * @vm_fd, @cpu_fd:  its own VM
 * @run, @run_size:  of its vCPU
 * @ram:             GUEST_SIZE bytes
 * @features:        HAS_…
 * @step:            last one the guest reported
 * @why, @why_size:  the findings so far
 * @gaps:            how many
 */
struct probe {
	int vm_fd, cpu_fd;
	struct kvm_run *run;
	size_t run_size;
	char *ram;
	uint32_t features;
	enum step step;
	char *why;
	size_t why_size;
	unsigned int gaps;
};

static void __attribute__((format(printf, 2, 3))) note(struct probe *p, const char *fmt, ...)
{
	size_t used = strnlen(p->why, p->why_size);
	va_list args;

	if (used && used < p->why_size)
		used += (size_t)snprintf(p->why + used, p->why_size - used, "; ");
	if (used >= p->why_size)
		return;
	va_start(args, fmt);
	vsnprintf(p->why + used, p->why_size - used, fmt, args);
	va_end(args);
}

/* --- making the guest --- */

static void poke64(struct probe *p, uint32_t at, uint64_t value)
{
	memcpy(p->ram + at, &value, sizeof(value));
}

static void poke_table_register(struct probe *p, uint32_t at, uint64_t base, uint16_t limit)
{
	memcpy(p->ram + at, &limit, sizeof(limit));
	memcpy(p->ram + at + sizeof(limit), &base, sizeof(base));
}

static void poke_gate(struct probe *p, unsigned int vector, uint64_t handler)
{
	poke64(p, GUEST_IDT + 16 * vector, (handler & 0xffff) | SEL_CODE << 16 | 0x8e00ull << 32);
}

static void fill_ram(struct probe *p)
{
	memcpy(p->ram + GUEST_CODE, x86_probe_guest,
	       (size_t)(x86_probe_guest_end - x86_probe_guest));

	/* The first 2 MiB one to one, for user mode too. */
	poke64(p, GUEST_PML4, GUEST_PDPT | 7);
	poke64(p, GUEST_PDPT, GUEST_PD | 7);
	poke64(p, GUEST_PD, 0x87);

	poke64(p, GUEST_GDT + SEL_CODE, 0x00af9b000000ffff);
	poke64(p, GUEST_GDT + SEL_DATA, 0x00cf93000000ffff);
	poke64(p, GUEST_GDT + (SEL_UDATA & ~7), 0x00cff3000000ffff);
	poke64(p, GUEST_GDT + (SEL_UCODE & ~7), 0x00affb000000ffff);
	poke64(p, GUEST_GDT + SEL_TSS, 0x0000890000000067 | (uint64_t)GUEST_TSS << 16);
	poke_table_register(p, GUEST_GDTR, GUEST_GDT, SEL_TSS + 16 - 1);
	poke64(p, GUEST_TSS + 4, GUEST_STACK); /* RSP0 */

	for (unsigned int v = 0; v < NR_VECTORS; v++)
		poke_gate(p, v,
			  GUEST_CODE + (uint64_t)(x86_probe_guest_stubs - x86_probe_guest) +
				  v * STUB_SIZE);
	poke_gate(p, 3, GUEST_CODE + (uint64_t)(x86_probe_guest_int3 - x86_probe_guest));
	poke_table_register(p, GUEST_IDTR, GUEST_IDT, 16 * NR_VECTORS - 1);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){ .selector = selector,
				     .limit = 0xffffffff,
				     .type = type,
				     .present = 1,
				     .s = 1,
				     .g = 1 };
}

static int set_long_mode(struct probe *p)
{
	struct kvm_sregs sregs;
	int ret = sys__ioctl(p->cpu_fd, KVM_GET_SREGS, &sregs);

	if (ret < 0)
		return ret;
	sregs.cs = flat_segment(SEL_CODE, 0xb);
	sregs.cs.l = 1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat_segment(SEL_DATA, 3);
	sregs.cr0 = 0x80000011; /* PG, ET, PE */
	sregs.cr4 = 0x620;	/* PAE, OSFXSR, OSXMMEXCPT */
	sregs.efer = 0x500;	/* LMA, LME */
	sregs.cr3 = GUEST_PML4;
	return sys__ioctl(p->cpu_fd, KVM_SET_SREGS, &sregs);
}

static int start_at(struct probe *p, enum step step)
{
	struct kvm_regs regs = { .rip = GUEST_CODE + x86_probe_guest_steps[step],
				 .rdi = p->features,
				 .rflags = 2 };

	return sys__ioctl(p->cpu_fd, KVM_SET_REGS, &regs);
}

static uint32_t offered_features(const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *leaf1 = x86_cpuid__entry(cpuid, 1, 0);
	const struct kvm_cpuid_entry2 *leaf7 = x86_cpuid__entry(cpuid, 7, 0);
	uint32_t features = 0;

	if (leaf1 && leaf1->ecx & 1u << 13)
		features |= HAS_CX16;
	if (leaf1 && leaf1->ecx & 1u << 26)
		features |= HAS_XSAVE;
	if (leaf7 && leaf7->ebx & 1u << 8)
		features |= HAS_BMI2;
	return features;
}

static int set_cpuid(struct probe *p, int sys_fd)
{
	struct kvm_cpuid2 *cpuid;
	int ret = x86_cpuid__fetch(sys_fd, KVM_GET_SUPPORTED_CPUID, &cpuid);

	if (ret) {
		note(p, "KVM_GET_SUPPORTED_CPUID: %s", strerror(-ret));
		return ret;
	}
	p->features = offered_features(cpuid);
	ret = sys__ioctl(p->cpu_fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	if (ret < 0)
		note(p, "KVM_SET_CPUID2: %s", strerror(-ret));
	return ret;
}

static int create_vm(struct probe *p, int sys_fd)
{
	struct kvm_userspace_memory_region slot = { .memory_size = GUEST_SIZE };
	void *map;
	int ret;

	p->vm_fd = sys__ioctl_val(sys_fd, KVM_CREATE_VM, 0);
	if (p->vm_fd < 0) {
		note(p, "KVM_CREATE_VM: %s", strerror(-p->vm_fd));
		return p->vm_fd;
	}
	ret = sys__mmap(GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
			&map);
	if (ret) {
		note(p, "no memory for a guest: %s", strerror(-ret));
		return ret;
	}
	p->ram = map;
	slot.userspace_addr = (uintptr_t)map;
	ret = sys__ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
	if (ret < 0)
		note(p, "KVM_SET_USER_MEMORY_REGION: %s", strerror(-ret));
	return ret;
}

static int create_cpu(struct probe *p, int sys_fd)
{
	int size = sys__ioctl(sys_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	void *map;
	int ret;

	if (size < (int)sizeof(struct kvm_run)) {
		note(p, "KVM_GET_VCPU_MMAP_SIZE: %s", size < 0 ? strerror(-size) : "too small");
		return size < 0 ? size : -EINVAL;
	}
	p->cpu_fd = sys__ioctl_val(p->vm_fd, KVM_CREATE_VCPU, 0);
	if (p->cpu_fd < 0) {
		note(p, "KVM_CREATE_VCPU: %s", strerror(-p->cpu_fd));
		return p->cpu_fd;
	}
	p->run_size = (size_t)size;
	ret = sys__mmap(p->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, p->cpu_fd, 0, &map);
	if (ret) {
		note(p, "cannot map struct kvm_run: %s", strerror(-ret));
		return ret;
	}
	p->run = map;
	return 0;
}

static int create_guest(struct probe *p, int sys_fd)
{
	int ret = create_vm(p, sys_fd);

	if (ret < 0)
		return ret;
	ret = create_cpu(p, sys_fd);
	if (ret)
		return ret;
	ret = set_cpuid(p, sys_fd);
	if (ret < 0)
		return ret;
	fill_ram(p);
	ret = set_long_mode(p);
	if (ret >= 0)
		ret = start_at(p, STEP_TABLES);
	if (ret < 0)
		note(p, "cannot put a vCPU into long mode: %s", strerror(-ret));
	return ret;
}

static void destroy_guest(struct probe *p)
{
	sys__munmap(p->run, p->run_size);
	sys__close(p->cpu_fd);
	sys__close(p->vm_fd);
	sys__munmap(p->ram, GUEST_SIZE);
}

/* --- the time limit --- */

/**
 * struct deadline - a time limit on this thread's KVM_RUN
 * @timer: sends SIGALRM to this thread
 * @armed: it exists
 * @old:   this thread's signal mask before
 */
struct deadline {
	timer_t timer;
	bool armed;
	sigset_t old;
};

static int start_deadline(struct deadline *d, int cpu_fd)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	const struct itimerspec when = { .it_value.tv_sec = TIMEOUT_SEC };
	const uint32_t kernel_set_size = 8;
	char mask[sizeof(struct kvm_signal_mask) + 8];
	sigset_t alarm_set, in_guest;

	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_set, &d->old);

	in_guest = d->old;
	sigdelset(&in_guest, SIGALRM);
	memcpy(mask, &kernel_set_size, sizeof(kernel_set_size));
	memcpy(mask + sizeof(kernel_set_size), &in_guest, kernel_set_size);

	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &d->timer))
		return -errno;
	d->armed = true;
	if (timer_settime(d->timer, 0, &when, NULL))
		return -errno;
	return sys__ioctl(cpu_fd, KVM_SET_SIGNAL_MASK, mask);
}

static void stop_deadline(struct deadline *d)
{
	const struct timespec now = { 0 };
	sigset_t alarm_set;

	if (d->armed)
		timer_delete(d->timer);
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	while (!sigismember(&d->old, SIGALRM) && sigtimedwait(&alarm_set, NULL, &now) == SIGALRM)
		; /* it came after all */
	pthread_sigmask(SIG_SETMASK, &d->old, NULL);
}

/* --- running it --- */

enum verdict { GO_ON, NEXT_STEP, STOP };

static enum verdict gap(struct probe *p, const char *what, uint32_t detail)
{
	p->gaps++;
	note(p, "%s: %s %u", step_names[p->step], what, detail);
	return NEXT_STEP;
}

static enum verdict judge_io(struct probe *p)
{
	const struct kvm_run *run = p->run;
	uint8_t value;

	if (run->io.direction != KVM_EXIT_IO_OUT || run->io.size != 1 ||
	    run->io.data_offset >= p->run_size)
		return gap(p, "garbled port access, port", run->io.port);
	value = ((const uint8_t *)run)[run->io.data_offset];

	switch (run->io.port) {
	case PORT_STEP:
		if (value <= p->step || value > STEP_DONE)
			return gap(p, "the guest went astray, to step", value);
		p->step = (enum step)value;
		return p->step == STEP_DONE ? STOP : GO_ON;
	case PORT_FAULT:
		return gap(p, "raises exception", value);
	default:
		return gap(p, "wrong result, port", run->io.port);
	}
}

static enum verdict judge(struct probe *p, int ret)
{
	const struct kvm_run *run = p->run;

	if (ret == -EINTR || ret == -EAGAIN) {
		p->gaps++;
		note(p, "%s: no progress in %u seconds", step_names[p->step], TIMEOUT_SEC);
		return STOP;
	}
	if (ret < 0) {
		gap(p, "KVM_RUN fails with errno", (uint32_t)-ret);
		return STOP;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return judge_io(p);
	case KVM_EXIT_INTERNAL_ERROR:
		return gap(p,
			   run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
				   ? "KVM cannot emulate it, internal error"
				   : "KVM internal error",
			   run->internal.suberror);
	case KVM_EXIT_SHUTDOWN: /* what is left of the vCPU's state is undefined */
		gap(p, "triple fault, exit", run->exit_reason);
		return STOP;
	default:
		gap(p, "unexpected exit", run->exit_reason);
		return STOP;
	}
}

static void run_guest(struct probe *p)
{
	for (unsigned int i = 0; i < MAX_EXITS; i++) {
		switch (judge(p, sys__ioctl(p->cpu_fd, KVM_RUN, NULL))) {
		case GO_ON:
			break;
		case NEXT_STEP:
			/* The first step sets up what the others stand on. */
			if (p->step <= STEP_TABLES || start_at(p, p->step + 1) < 0)
				return;
			break;
		case STOP:
			return;
		}
	}
}

static void run_in_time(struct probe *p)
{
	struct deadline deadline = { 0 };
	int ret = start_deadline(&deadline, p->cpu_fd);

	if (ret < 0)
		note(p, "cannot limit a guest's time: %s", strerror(-ret));
	else
		run_guest(p);
	stop_deadline(&deadline);
}

enum arch_host_kind x86_probe__host(struct kvm *kvm, char *why, size_t why_size)
{
	struct probe p = { .vm_fd = -1, .cpu_fd = -1, .why = why, .why_size = why_size };

	if (why_size)
		why[0] = 0;
	if (create_guest(&p, kvm->sys_fd) >= 0)
		run_in_time(&p);
	destroy_guest(&p);

	if (p.step == STEP_NONE)
		return ARCH_HOST_NONE;
	return p.step == STEP_DONE && !p.gaps ? ARCH_HOST_HARDWARE : ARCH_HOST_SOFTWARE;
}

/* --- vendor --- */

#define MSR_VMX_BASIC	 0x480
#define MSR_VMX_LAST	 0x491
#define MSR_AMD64_DE_CFG 0xc0011029

static const char *vendor_by_msrs(int sys_fd)
{
	struct { /* struct kvm_msr_list with room */
		uint32_t nr;
		uint32_t index[1024];
	} list = { .nr = 1024 };

	if (sys__ioctl(sys_fd, KVM_GET_MSR_FEATURE_INDEX_LIST, &list) < 0)
		return NULL;
	for (uint32_t i = 0; i < list.nr && i < 1024; i++) {
		if (list.index[i] >= MSR_VMX_BASIC && list.index[i] <= MSR_VMX_LAST)
			return "VMX";
		if (list.index[i] == MSR_AMD64_DE_CFG)
			return "SVM";
	}
	return NULL;
}

static const char *vendor_by_cpuid(int sys_fd)
{
	const struct kvm_cpuid_entry2 *basic, *extended;
	struct kvm_cpuid2 *cpuid;
	const char *vendor = NULL;

	if (x86_cpuid__fetch(sys_fd, KVM_GET_SUPPORTED_CPUID, &cpuid))
		return NULL;
	basic = x86_cpuid__entry(cpuid, 1, 0);
	extended = x86_cpuid__entry(cpuid, 0x80000001, 0);
	if (basic && basic->ecx & 1u << 5)
		vendor = "VMX";
	else if (extended && extended->ecx & 1u << 2)
		vendor = "SVM";
	free(cpuid);
	return vendor;
}

static bool exists(const char *path)
{
	int fd = sys__open(path, O_PATH);

	sys__close(fd);
	return fd >= 0;
}

static const char *vendor_by_module(void)
{
	if (exists("/sys/module/kvm_intel"))
		return "VMX";
	if (exists("/sys/module/kvm_amd"))
		return "SVM";
	return NULL;
}

const char *x86_probe__vendor(const struct kvm *kvm, const char **evidence)
{
	const char *vendor, *unused;

	if (!evidence)
		evidence = &unused;
	*evidence = "KVM's list of feature MSRs";
	vendor = vendor_by_msrs(kvm->sys_fd);
	if (vendor)
		return vendor;
	*evidence = "KVM's CPUID";
	vendor = vendor_by_cpuid(kvm->sys_fd);
	if (vendor)
		return vendor;
	*evidence = "the name of a loaded module (a hint only)";
	vendor = vendor_by_module();
	if (vendor)
		return vendor;
	*evidence = "neither feature MSRs, CPUID nor a module's name speak of one";
	return "none";
}

/* --- capabilities --- */

/* clang-format off */
const struct arch_cap x86_caps[] = {
	{ KVM_CAP_IRQCHIP, "IRQCHIP", "interrupt controllers in KVM (--irqchip kernel)" },
	{ KVM_CAP_SPLIT_IRQCHIP, "SPLIT_IRQCHIP", "only local APICs in KVM (--irqchip split)" },
	{ KVM_CAP_PIT2, "PIT2", "the 8254 timer in KVM" },
	{ KVM_CAP_PIT_STATE2, "PIT_STATE2", "its state, for snapshots" },
	{ KVM_CAP_X2APIC_API, "X2APIC_API", "APIC ids above 254: more than 255 vCPUs" },
	{ KVM_CAP_SIGNAL_MSI, "SIGNAL_MSI", "message-signalled interrupts without a route" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "TSC_DEADLINE_TIMER", "the local APIC's deadline timer" },
	{ KVM_CAP_GET_TSC_KHZ, "GET_TSC_KHZ", "the guest is told its TSC's frequency" },
	{ KVM_CAP_TSC_CONTROL, "TSC_CONTROL", "a TSC unlike the host's, for restore" },
	{ KVM_CAP_ADJUST_CLOCK, "ADJUST_CLOCK", "kvmclock in snapshots" },
	{ KVM_CAP_KVMCLOCK_CTRL, "KVMCLOCK_CTRL", "no soft-lockup report after a pause" },
	{ KVM_CAP_EXT_EMUL_CPUID, "EXT_EMUL_CPUID", "features KVM emulates (--cpu max)" },
	{ KVM_CAP_XSAVE, "XSAVE", "extended FPU state" },
	{ KVM_CAP_XSAVE2, "XSAVE2", "the same beyond 4 KiB (AMX)" },
	{ KVM_CAP_XCRS, "XCRS", "extended control registers" },
	{ KVM_CAP_SREGS2, "SREGS2", "PAE page directory pointers in snapshots" },
	{ KVM_CAP_VCPU_EVENTS, "VCPU_EVENTS", "pending exceptions, for dumps and snapshots" },
	{ KVM_CAP_DEBUGREGS, "DEBUGREGS", "debug registers, for dumps and snapshots" },
	{ KVM_CAP_MP_STATE, "MP_STATE", "which vCPUs run, wait or halt" },
	{ KVM_CAP_NESTED_STATE, "NESTED_STATE", "snapshots of guests that run guests" },
	{ KVM_CAP_X86_SMM, "X86_SMM", "system management mode in reset and snapshots" },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, "X86_TRIPLE_FAULT_EVENT",
	  "a pending triple fault in snapshots" },
	{ KVM_CAP_EXCEPTION_PAYLOAD, "EXCEPTION_PAYLOAD", "exact pending exceptions in snapshots" },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, "EXIT_ON_EMULATION_FAILURE",
	  "which instruction KVM could not emulate" },
	{ KVM_CAP_X86_DISABLE_EXITS, "X86_DISABLE_EXITS", "HLT, PAUSE and MWAIT without exits" },
	{ KVM_CAP_X86_USER_SPACE_MSR, "X86_USER_SPACE_MSR", "naming MSRs that KVM does not know" },
	{ KVM_CAP_X86_BUS_LOCK_EXIT, "X86_BUS_LOCK_EXIT", "noticing bus locks" },
	{ KVM_CAP_X86_NOTIFY_VMEXIT, "X86_NOTIFY_VMEXIT", "ending a guest that blocks all exits" },
	{ KVM_CAP_DIRTY_LOG_RING, "DIRTY_LOG_RING", "dirty pages through a ring" },
	{ KVM_CAP_SYNC_REGS, "SYNC_REGS", "registers shared in struct kvm_run" },
	{ KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR", "real mode on old Intel processors" },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "SET_IDENTITY_MAP_ADDR",
	  "real mode on old Intel processors" },
	{ 0, NULL, NULL },
};
/* clang-format on */
