// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lkvm run from end to end against a stand-in for KVM: how it ends, and that it ends well whichever
 * call fails. WRAP: sys__ioctl sys__ioctl_val sys__open sys__mmap
 */
#include "test.h"

#include <dirent.h>
#include <stdio.h>

#include "fake-kvm.h"

#include "kvm/builtin.h"
#include "kvm/fate.h"

static char kernel_path[64];
static char stderr_path[64];

/* A guest of four bytes; the stand-in never looks at them. */
static int write_kernel(void **state)
{
	static const unsigned char code[] = { 0x31, 0xc0, 0xe6, 0xf4 };
	FILE *file;

	snprintf(kernel_path, sizeof(kernel_path), "/tmp/lkvm-test-run-%d.bin", getpid());
	snprintf(stderr_path, sizeof(stderr_path), "/tmp/lkvm-test-run-%d.err", getpid());
	file = fopen(kernel_path, "w");
	if (!file || fwrite(code, sizeof(code), 1, file) != 1)
		return -1;
	return fclose(file);
}

static int remove_files(void **state)
{
	unlink(kernel_path);
	unlink(stderr_path);
	return 0;
}

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* Run lkvm with @extra options, its messages in stderr_path. */
static int run(const char *const *extra)
{
	static char command[] = "run", boot[] = "--boot=flat", kernel[] = "-k", mem[] = "-m8M",
		    debug_exit[] = "--debug-exit";
	char *argv[16] = { command, boot, mem, debug_exit, kernel, kernel_path };
	int argc = 6, status, saved = dup(STDERR_FILENO);

	for (; extra && *extra; extra++)
		argv[argc++] = (char *)(uintptr_t)*extra;
	argv[argc] = NULL;
	assert_non_null(freopen(stderr_path, "w", stderr));
	status = builtin_run(argc, argv);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	return status;
}

static const char *messages(void)
{
	static char text[16384];
	FILE *file = fopen(stderr_path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = 0;
	fclose(file);
	return text;
}

static bool said(const char *what)
{
	return what ? strstr(messages(), what) != NULL : *messages() != 0;
}

static int exit_with_zero(struct kvm_run *kvm_run)
{
	return fake_exit_out(kvm_run, 0xf4, 0);
}

static int reset_by_keyboard(struct kvm_run *kvm_run)
{
	return fake_exit_out(kvm_run, 0x64, 0xfe);
}

static int power_off(struct kvm_run *kvm_run)
{
	/* SLP_EN and SLP_TYP 5, which is byte 1 of the register. */
	return fake_exit_out(kvm_run, 0x605, 0x34);
}

static int panic(struct kvm_run *kvm_run)
{
	return fake_exit_out(kvm_run, 0x505, 1);
}

static int triple_fault(struct kvm_run *kvm_run)
{
	kvm_run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int internal_error(struct kvm_run *kvm_run)
{
	kvm_run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	kvm_run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	return 0;
}

static int fail_entry(struct kvm_run *kvm_run)
{
	kvm_run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	kvm_run->fail_entry.hardware_entry_failure_reason = 0x80000021;
	return 0;
}

static int unknown_exit(struct kvm_run *kvm_run)
{
	kvm_run->exit_reason = 4711;
	return 0;
}

static int fault(struct kvm_run *kvm_run)
{
	return -EFAULT;
}

static int system_event_crash(struct kvm_run *kvm_run)
{
	kvm_run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	kvm_run->system_event.type = KVM_SYSTEM_EVENT_CRASH;
	return 0;
}

static int hang(struct kvm_run *kvm_run)
{
	usleep(1000);
	return -EINTR;
}

static unsigned int resets_left;

static int reset_twice_then_exit(struct kvm_run *kvm_run)
{
	if (resets_left) {
		resets_left--;
		return fake_exit_out(kvm_run, 0xcf9, 0x06);
	}
	return fake_exit_out(kvm_run, 0xf4, 5);
}

static void each_end_has_its_status_and_words(void **state)
{
	static const struct {
		int (*exits)(struct kvm_run *run);
		int status;
		const char *words; /* NULL: silence */
	} ends[] = {
		{ exit_with_zero, 1, NULL },
		{ reset_by_keyboard, 0, NULL },
		{ power_off, 0, NULL },
		{ panic, EXIT_GUEST_PANIC, "panicked" },
		{ triple_fault, EXIT_GUEST_FAULT, "triple fault" },
		{ internal_error, EXIT_GUEST_FAULT, "KVM_EXIT_INTERNAL_ERROR" },
		{ fail_entry, EXIT_GUEST_FAULT, "80000021" },
		{ unknown_exit, EXIT_GUEST_FAULT, "4711" },
		{ fault, EXIT_GUEST_FAULT, "Bad address" },
		{ system_event_crash, EXIT_GUEST_PANIC, "panicked" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		fake_reset();
		fake.exits = ends[i].exits;
		assert_int_equal(run(NULL), ends[i].status);
		assert_int_equal(said(ends[i].words), ends[i].words != NULL);
	}
}

static void a_timeout_ends_a_guest_that_hangs(void **state)
{
	static const char *const extra[] = { "--timeout", "1", NULL };

	fake_reset();
	fake.exits = hang;
	assert_int_equal(run(extra), EXIT_TIMEOUT);
	assert_true(said("--timeout 1"));
}

static void with_reboot_a_reset_starts_again(void **state)
{
	static const char *const extra[] = { "--reboot", NULL };

	fake_reset();
	resets_left = 2;
	fake.exits = reset_twice_then_exit;
	assert_int_equal(run(extra), 11);
	assert_int_equal(resets_left, 0);
}

/*
 * The calls whose failure a machine survives, because it can do without what they do: asking for an
 * extension (absent then), lines and messages of devices, and what a dump reads.
 */
static bool may_be_survived(unsigned long request)
{
	switch (request) {
	case KVM_CHECK_EXTENSION:
	case KVM_IRQ_LINE:
	case KVM_GET_TSC_KHZ:
	case KVM_GET_EMULATED_CPUID:
	case KVM_RUN:
		return true;
	}
	return false;
}

static void fail_each_call(const char *const *extra)
{
	unsigned int at, descriptors = open_fds();

	for (at = 1;; at++) {
		int status;

		fake_reset();
		fake.exits = exit_with_zero;
		fake.fail_at = at;
		fake.error = -EPERM;
		status = run(extra);
		if (!fake.failed) {
			if (status != 1)
				fail_msg("%s: status %d without a failure: %s", extra[1], status,
					 messages());
			break;
		}
		if (status != EXIT_HOST_ERROR && !may_be_survived(fake.failed))
			fail_msg("call %u, request 0x%lx: status %d", at, fake.failed, status);
		if (status == EXIT_HOST_ERROR && !said("Fatal: "))
			fail_msg("call %u, request 0x%lx: no message", at, fake.failed);
		assert_int_equal(open_fds(), descriptors);
	}
	assert_true(at > 10);
}

static void whichever_call_fails_it_is_said_and_nothing_leaks(void **state)
{
	static const char *const one[] = { "--irqchip", "kernel", NULL };
	static const char *const two[] = { "--irqchip", "kernel", "-c", "2", "--reboot", NULL };
	static const char *const split[] = { "--irqchip", "split", NULL };
	static const char *const off[] = { "--irqchip", "off", NULL };
	static const char *const edu[] = { "--device", "edu", NULL };

	fail_each_call(one);
	fail_each_call(two);
	fail_each_call(split);
	fail_each_call(off);
	fail_each_call(edu);
}

static void no_descriptor_is_left_open(void **state)
{
	unsigned int before = open_fds();

	fake_reset();
	fake.exits = exit_with_zero;
	assert_int_equal(run(NULL), 1);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_descriptor_is_left_open),
		cmocka_unit_test(each_end_has_its_status_and_words),
		cmocka_unit_test(a_timeout_ends_a_guest_that_hangs),
		cmocka_unit_test(with_reboot_a_reset_starts_again),
		cmocka_unit_test(whichever_call_fails_it_is_said_and_nothing_leaks),
	};

	return cmocka_run_group_tests_name("run", tests, write_kernel, remove_files);
}
