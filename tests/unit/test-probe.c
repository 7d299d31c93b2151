// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host is what its KVM does with a guest, and the probe says which step it could not do.
 * WRAP: sys__ioctl sys__ioctl_val sys__open sys__close sys__mmap sys__munmap
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include "kvm/kvm.h"
#include "kvm/sys.h"
#include "x86/probe.h"

#define SYS_FD	 1001
#define VM_FD	 1002
#define CPU_FD	 1003
#define RUN_SIZE 0x3000
#define DATA	 0x1000
#define CODE	 0x8000
#define STEP	 0x10 /* ports */
#define FAULT	 0x11
#define WRONG	 0x12
#define DONE	 8 /* the last step */

int __real_sys__ioctl(int fd, unsigned long request, void *arg);
int __real_sys__ioctl_val(int fd, unsigned long request, unsigned long val);
int __real_sys__open(const char *path, int flags);
void __real_sys__close(int fd);
int __real_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out);
void __real_sys__munmap(void *addr, size_t len);
int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val);
int __wrap_sys__open(const char *path, int flags);
void __wrap_sys__close(int fd);
int __wrap_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out);
void __wrap_sys__munmap(void *addr, size_t len);

/* --- a KVM of which each answer is written down --- */

struct exit {
	int ret;
	uint32_t reason;
	uint16_t port;
	uint8_t value;
	uint32_t suberror;
};

static struct {
	bool real; /* no stand-in */
	unsigned long fail;
	struct exit script[128];
	unsigned int nr, at;
	struct kvm_run *run;
	char *ram;
	int open_fds, mappings;
	bool alarm; /* the time limit strikes in KVM_RUN */
	bool was_blocked, is_let_in;
	struct kvm_regs regs[128];
	unsigned int nr_regs;
	struct kvm_sregs sregs;
	struct kvm_cpuid_entry2 cpuid[3];
	uint32_t feature_msrs[4];
	const char *module;
} kernel;

static int play(void)
{
	const struct exit *e = &kernel.script[kernel.at];
	sigset_t now;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	kernel.was_blocked = sigismember(&now, SIGALRM);
	if (kernel.alarm)
		pthread_kill(pthread_self(), SIGALRM);
	if (kernel.at == kernel.nr)
		return -EIO;
	kernel.at++;
	kernel.run->exit_reason = e->reason;
	kernel.run->io.direction = KVM_EXIT_IO_OUT;
	kernel.run->io.size = 1;
	kernel.run->io.count = 1;
	kernel.run->io.port = e->port;
	kernel.run->io.data_offset = DATA;
	((char *)kernel.run)[DATA] = (char)e->value;
	if (e->reason == KVM_EXIT_INTERNAL_ERROR)
		kernel.run->internal.suberror = e->suberror;
	return e->ret;
}

static int feature_list(uint32_t *list)
{
	for (uint32_t i = 0; i < 4; i++)
		list[1 + i] = kernel.feature_msrs[i];
	list[0] = 4;
	return 0;
}

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_userspace_memory_region *slot = arg;
	struct kvm_cpuid2 *cpuid = arg;
	uint64_t mask;

	if (kernel.real)
		return __real_sys__ioctl(fd, request, arg);
	if (request == kernel.fail)
		return -EMFILE;
	switch (request) {
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_SET_USER_MEMORY_REGION:
		kernel.ram = (char *)(uintptr_t)slot->userspace_addr;
		return 0;
	case KVM_GET_SUPPORTED_CPUID:
		assert_int_equal(fd, SYS_FD);
		memcpy(cpuid->entries, kernel.cpuid, sizeof(kernel.cpuid));
		cpuid->nent = 3;
		return 0;
	case KVM_GET_SREGS:
		memset(arg, 0, sizeof(kernel.sregs));
		return 0;
	case KVM_SET_SREGS:
		memcpy(&kernel.sregs, arg, sizeof(kernel.sregs));
		return 0;
	case KVM_SET_REGS:
		assert_true(kernel.nr_regs < ARRAY_SIZE(kernel.regs));
		memcpy(&kernel.regs[kernel.nr_regs++], arg, sizeof(kernel.regs[0]));
		return 0;
	case KVM_SET_SIGNAL_MASK:
		memcpy(&mask, (char *)arg + 4, 8);
		kernel.is_let_in = !(mask >> (SIGALRM - 1) & 1);
		return 0;
	case KVM_GET_MSR_FEATURE_INDEX_LIST:
		return feature_list(arg);
	case KVM_RUN:
		assert_int_equal(fd, CPU_FD);
		return play();
	}
	return 0;
}

int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val)
{
	if (kernel.real)
		return __real_sys__ioctl_val(fd, request, val);
	if (request == kernel.fail)
		return -EMFILE;
	kernel.open_fds++;
	assert_true(request == KVM_CREATE_VM || request == KVM_CREATE_VCPU);
	return request == KVM_CREATE_VM ? VM_FD : CPU_FD;
}

int __wrap_sys__open(const char *path, int flags)
{
	if (kernel.real)
		return __real_sys__open(path, flags);
	assert_non_null(strstr(path, "/sys/module/"));
	if (!kernel.module || strcmp(path, kernel.module))
		return -ENOENT;
	kernel.open_fds++;
	return 1004;
}

void __wrap_sys__close(int fd)
{
	if (kernel.real)
		__real_sys__close(fd);
	else if (fd >= 0)
		kernel.open_fds--;
}

int __wrap_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	int ret;

	if (kernel.real)
		return __real_sys__mmap(len, prot, flags, fd, offset, out);
	ret = __real_sys__mmap(len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, out);
	if (fd == CPU_FD)
		kernel.run = *out;
	kernel.mappings++;
	return ret;
}

void __wrap_sys__munmap(void *addr, size_t len)
{
	if (!kernel.real && addr)
		kernel.mappings--;
	__real_sys__munmap(addr, len);
}

static int begin(void **unused)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.cpuid[0] = (struct kvm_cpuid_entry2){ .function = 1, .ecx = 1u << 13 | 1u << 26 };
	kernel.cpuid[1] = (struct kvm_cpuid_entry2){ .function = 7, .ebx = 1u << 8 };
	return 0;
}

static void expect(struct exit e)
{
	kernel.script[kernel.nr++] = e;
}

static void expect_steps(unsigned int first, unsigned int last)
{
	for (unsigned int i = first; i <= last; i++)
		expect((struct exit){ .reason = KVM_EXIT_IO, .port = STEP, .value = (uint8_t)i });
}

static void expect_internal_error(void)
{
	expect((struct exit){ .reason = KVM_EXIT_INTERNAL_ERROR,
			      .suberror = KVM_INTERNAL_ERROR_EMULATION });
}

static char why[512];

static enum arch_host_kind probe(void)
{
	struct kvm vm = { .sys_fd = SYS_FD, .vm_fd = -1 };
	enum arch_host_kind kind = x86_probe__host(&vm, why, sizeof(why));

	assert_int_equal(kernel.open_fds, 0);
	assert_int_equal(kernel.mappings, 0);
	return kind;
}

/* --- kinds of hosts ------------------------------------------------------------------------------
 */

static void all_steps_done_is_hardware(void **unused)
{
	expect_steps(1, DONE);
	assert_int_equal(probe(), ARCH_HOST_HARDWARE);
	assert_string_equal(why, "");
	assert_int_equal(kernel.at, kernel.nr);
}

static void an_instruction_kvm_cannot_emulate_makes_it_software(void **unused)
{
	expect_steps(1, 3);
	expect_internal_error();
	expect_steps(4, DONE);
	assert_int_equal(probe(), ARCH_HOST_SOFTWARE);
	assert_string_equal(why, "int3: KVM cannot emulate it, internal error 1");
}

static void every_gap_is_found_in_one_go(void **unused)
{
	expect_steps(1, 3);
	expect_internal_error();
	expect_steps(4, 4);
	expect_internal_error();
	expect_steps(5, 7);
	expect((struct exit){ .reason = KVM_EXIT_IO, .port = FAULT, .value = 6 });
	expect_steps(8, DONE);
	assert_int_equal(probe(), ARCH_HOST_SOFTWARE);
	assert_non_null(strstr(why, "int3: "));
	assert_non_null(strstr(why, "; cmpxchg16b: "));
	assert_non_null(strstr(why, "; iretq to user mode, syscall back: raises exception 6"));
	/* each time the guest was put behind what it could not do */
	assert_int_equal(kernel.nr_regs, 4);
	assert_int_equal(kernel.regs[0].rip, CODE);
	for (unsigned int i = 1; i < 4; i++)
		assert_true(kernel.regs[i].rip > kernel.regs[i - 1].rip);
}

static void a_wrong_result_is_a_gap(void **unused)
{
	expect_steps(1, 6);
	expect((struct exit){ .reason = KVM_EXIT_IO, .port = WRONG });
	expect_steps(7, DONE);
	assert_int_equal(probe(), ARCH_HOST_SOFTWARE);
	assert_string_equal(why, "a BMI2 instruction: wrong result, port 18");
}

static void a_guest_that_never_speaks_is_no_guest(void **unused)
{
	expect((struct exit){ .reason = KVM_EXIT_FAIL_ENTRY });
	assert_int_equal(probe(), ARCH_HOST_NONE);
	assert_non_null(strstr(why, "the first instruction: unexpected exit 9"));

	begin(NULL);
	expect_internal_error();
	assert_int_equal(probe(), ARCH_HOST_NONE);
	assert_non_null(strstr(why, "the first instruction"));
}

static void without_descriptor_tables_nothing_else_is_tried(void **unused)
{
	expect_steps(1, 1);
	expect_internal_error();
	expect_steps(2, DONE);
	assert_int_equal(probe(), ARCH_HOST_SOFTWARE);
	assert_int_equal(kernel.at, 2);
}

static void a_triple_fault_ends_the_probe(void **unused)
{
	expect_steps(1, 5);
	expect((struct exit){ .reason = KVM_EXIT_SHUTDOWN });
	expect_steps(6, DONE);
	assert_int_equal(probe(), ARCH_HOST_SOFTWARE);
	assert_non_null(strstr(why, "saving FPU state: triple fault"));
}

static void a_failing_kvm_run_ends_the_probe(void **unused)
{
	expect_steps(1, 2);
	expect((struct exit){ .ret = -EFAULT });
	assert_int_equal(probe(), ARCH_HOST_SOFTWARE);
	assert_string_equal(why, "rdmsr, wrmsr: KVM_RUN fails with errno 14");
}

static void each_call_that_fails_is_named_and_there_is_no_guest(void **unused)
{
	static const struct {
		unsigned long request;
		const char *name;
	} calls[] = {
		{ KVM_CREATE_VM, "KVM_CREATE_VM" },
		{ KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION" },
		{ KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE" },
		{ KVM_CREATE_VCPU, "KVM_CREATE_VCPU" },
		{ KVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID" },
		{ KVM_SET_CPUID2, "KVM_SET_CPUID2" },
		{ KVM_GET_SREGS, "long mode" },
		{ KVM_SET_SREGS, "long mode" },
		{ KVM_SET_REGS, "long mode" },
		{ KVM_SET_SIGNAL_MASK, "limit" },
		{ KVM_RUN, "KVM_RUN" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		begin(NULL);
		expect_steps(1, DONE);
		kernel.fail = calls[i].request;
		assert_int_equal(probe(), ARCH_HOST_NONE);
		assert_non_null(strstr(why, calls[i].name));
	}
}

/* --- guests that do not end --------------------------------------------------------------------
 */

static void a_guest_without_progress_is_interrupted(void **unused)
{
	sigset_t before, after;

	pthread_sigmask(SIG_BLOCK, NULL, &before);
	expect_steps(1, 3);
	expect((struct exit){ .ret = -EINTR });
	kernel.alarm = true; /* would kill this test, were it not blocked and taken back */
	assert_int_equal(probe(), ARCH_HOST_SOFTWARE);
	assert_string_equal(why, "int3: no progress in 5 seconds");
	assert_true(kernel.was_blocked);
	assert_true(kernel.is_let_in);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_int_equal(sigismember(&before, SIGALRM), sigismember(&after, SIGALRM));
	sigpending(&after);
	assert_false(sigismember(&after, SIGALRM));
}

static void a_caller_that_blocks_sigalrm_keeps_it_blocked(void **unused)
{
	sigset_t set, now;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	expect_steps(1, DONE);
	assert_int_equal(probe(), ARCH_HOST_HARDWARE);
	assert_true(kernel.is_let_in); /* into the guest, nevertheless */
	pthread_sigmask(SIG_UNBLOCK, &set, &now);
	assert_true(sigismember(&now, SIGALRM));
}

static void a_guest_that_goes_round_in_circles_ends(void **unused)
{
	for (unsigned int i = 0; i < 60; i++)
		expect_steps(2, 2);
	assert_int_equal(probe(), ARCH_HOST_SOFTWARE);
	assert_true(kernel.at < 70);
	assert_non_null(strstr(why, "went astray"));
}

static void a_small_buffer_is_not_overrun(void **unused)
{
	struct kvm vm = { .sys_fd = SYS_FD, .vm_fd = -1 };
	char small[24];

	for (size_t size = 0; size < 20; size++) {
		begin(NULL);
		memset(small, 'x', sizeof(small));
		expect_steps(1, 3);
		expect_internal_error();
		expect_steps(4, 4);
		expect_internal_error();
		expect_steps(5, DONE);
		assert_int_equal(x86_probe__host(&vm, small, size), ARCH_HOST_SOFTWARE);
		assert_int_equal(small[size], 'x');
		if (size)
			assert_true(strlen(small) < size);
	}
}

/* --- the guest --- */

static void the_guest_starts_in_long_mode_with_what_cpuid_offers(void **unused)
{
	expect_steps(1, DONE);
	assert_int_equal(probe(), ARCH_HOST_HARDWARE);
	assert_int_equal(kernel.sregs.efer, 0x500);
	assert_int_equal(kernel.sregs.cr0, 0x80000011);
	assert_int_equal(kernel.sregs.cs.l, 1);
	assert_int_equal(kernel.regs[0].rdi, 7);

	begin(NULL);
	memset(kernel.cpuid, 0, sizeof(kernel.cpuid));
	expect_steps(1, DONE);
	assert_int_equal(probe(), ARCH_HOST_HARDWARE);
	assert_int_equal(kernel.regs[0].rdi, 0);
}

static void this_host_s_kvm_gives_an_answer(void **unused)
{
	struct kvm vm = { .vm_fd = -1 };
	enum arch_host_kind kind;

	kernel.real = true;
	vm.sys_fd = sys__open("/dev/kvm", O_RDWR);
	if (vm.sys_fd < 0) {
		print_message("SKIP: no /dev/kvm to run a guest on: %s\n", strerror(-vm.sys_fd));
		skip();
	}
	kind = x86_probe__host(&vm, why, sizeof(why));
	print_message("/dev/kvm: kind %d, %s\n", kind, why[0] ? why : "all steps work");
	sys__close(vm.sys_fd);
	assert_int_equal(why[0] == 0, kind == ARCH_HOST_HARDWARE);
	assert_null(strstr(why, "no progress"));
	assert_null(strstr(why, "astray"));
}

/* --- vendor and capabilities --- */

static const char *vendor(const char **evidence)
{
	const struct kvm vm = { .sys_fd = SYS_FD, .vm_fd = -1 };
	const char *name = x86_probe__vendor(&vm, evidence);

	assert_int_equal(kernel.open_fds, 0);
	assert_string_equal(x86_probe__vendor(&vm, NULL), name);
	return name;
}

static void feature_msrs_tell_the_extension(void **unused)
{
	const char *evidence;

	kernel.module = "/sys/module/kvm_amd";
	kernel.feature_msrs[2] = 0x48b;
	assert_string_equal(vendor(&evidence), "VMX");
	assert_non_null(strstr(evidence, "MSR"));
	kernel.feature_msrs[2] = 0xc0011029;
	assert_string_equal(vendor(&evidence), "SVM");
	kernel.feature_msrs[2] = 0x492; /* of no VMX meaning */
	kernel.module = NULL;
	assert_string_equal(vendor(&evidence), "none");
}

static void nested_extensions_in_cpuid_tell_too(void **unused)
{
	const char *evidence;

	kernel.fail = KVM_GET_MSR_FEATURE_INDEX_LIST; /* before Linux 4.18 */
	kernel.cpuid[0].ecx |= 1u << 5;
	assert_string_equal(vendor(&evidence), "VMX");
	assert_non_null(strstr(evidence, "CPUID"));
	kernel.cpuid[0].ecx = 0;
	kernel.cpuid[2] = (struct kvm_cpuid_entry2){ .function = 0x80000001, .ecx = 1u << 2 };
	assert_string_equal(vendor(&evidence), "SVM");
}

static void a_module_s_name_is_only_a_hint(void **unused)
{
	const char *evidence;

	kernel.module = "/sys/module/kvm_intel";
	assert_string_equal(vendor(&evidence), "VMX");
	assert_non_null(strstr(evidence, "hint"));
	kernel.module = "/sys/module/kvm_amd";
	assert_string_equal(vendor(&evidence), "SVM");
	kernel.module = "/sys/module/kvm_other";
	assert_string_equal(vendor(&evidence), "none");
}

static void capabilities_are_listed_once_each(void **unused)
{
	unsigned int nr = 0;

	for (const struct arch_cap *cap = x86_caps; cap->name; cap++, nr++) {
		assert_true(strlen(cap->use) > 0);
		assert_null(strstr(cap->name, "KVM_CAP"));
		for (const struct arch_cap *other = x86_caps; other < cap; other++) {
			assert_int_not_equal(other->cap, cap->cap);
			assert_string_not_equal(other->name, cap->name);
		}
	}
	assert_true(nr > 20);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_steps_done_is_hardware),
		TEST(an_instruction_kvm_cannot_emulate_makes_it_software),
		TEST(every_gap_is_found_in_one_go),
		TEST(a_wrong_result_is_a_gap),
		TEST(a_guest_that_never_speaks_is_no_guest),
		TEST(without_descriptor_tables_nothing_else_is_tried),
		TEST(a_triple_fault_ends_the_probe),
		TEST(a_failing_kvm_run_ends_the_probe),
		TEST(each_call_that_fails_is_named_and_there_is_no_guest),
		TEST(a_guest_without_progress_is_interrupted),
		TEST(a_caller_that_blocks_sigalrm_keeps_it_blocked),
		TEST(a_guest_that_goes_round_in_circles_ends),
		TEST(a_small_buffer_is_not_overrun),
		TEST(the_guest_starts_in_long_mode_with_what_cpuid_offers),
		TEST(this_host_s_kvm_gives_an_answer),
		TEST(feature_msrs_tell_the_extension),
		TEST(nested_extensions_in_cpuid_tell_too),
		TEST(a_module_s_name_is_only_a_hint),
		TEST(capabilities_are_listed_once_each),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
