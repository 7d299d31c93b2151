// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The VM's own calls: what is asked of KVM, and what is made of its refusals.
 * WRAP: sys__ioctl sys__ioctl_val sys__open sys__mmap
 */
#include "test.h"

#include "fake-kvm.h"

#include "kvm/bus.h"
#include "kvm/config.h"
#include "kvm/event.h"
#include "kvm/fate.h"
#include "kvm/irq.h"
#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"

static struct vm_config cfg = { .dev = "/dev/kvm" };

static int setup(void **state)
{
	fake_reset();
	cfg.dev = "/dev/kvm";
	return 0;
}

static void open_vm(struct kvm *kvm)
{
	assert_int_equal(kvm__open(kvm, &cfg), 0);
	assert_int_equal(kvm__create_vm(kvm, 0), 0);
}

static void what_is_not_kvm_is_refused(void **state)
{
	struct kvm kvm;

	cfg.dev = "/dev/null";
	assert_int_equal(kvm__open(&kvm, &cfg), -ENOTTY);
	kvm__destroy(&kvm);
	cfg.dev = "/nonexistent/kvm";
	assert_int_equal(kvm__open(&kvm, &cfg), -ENOENT);
	kvm__destroy(&kvm);
}

static void another_api_version_is_refused(void **state)
{
	struct kvm kvm;

	fake.fail_at = 1; /* KVM_GET_API_VERSION */
	fake.error = KVM_API_VERSION + 1;
	assert_int_equal(kvm__open(&kvm, &cfg), -ENOTSUP);
	kvm__destroy(&kvm);
}

static void a_run_area_that_is_too_small_is_refused(void **state)
{
	struct kvm kvm;

	fake.fail_at = 2; /* KVM_GET_VCPU_MMAP_SIZE */
	fake.error = 16;
	assert_int_equal(kvm__open(&kvm, &cfg), -ENOTSUP);
	kvm__destroy(&kvm);
}

static void memory_slots_are_reused_and_run_out(void **state)
{
	static char page[4096];
	struct kvm kvm;

	open_vm(&kvm);
	for (int i = 0; i < KVM_MAX_MEMSLOTS; i++)
		assert_int_equal(kvm__add_memslot(&kvm, (uint64_t)i << 12, 4096, page, 0), i);
	assert_int_equal(kvm__add_memslot(&kvm, 1ull << 40, 4096, page, 0), -ENOSPC);
	kvm__remove_memslot(&kvm, 5);
	assert_int_equal(kvm__add_memslot(&kvm, 1ull << 40, 4096, page, 0), 5);
	kvm__destroy(&kvm);
}

static void a_refused_slot_is_free_again(void **state)
{
	static char page[4096];
	struct kvm kvm;

	open_vm(&kvm);
	fake.fail_at = fake.calls + 1;
	fake.error = -EINVAL;
	assert_int_equal(kvm__add_memslot(&kvm, 0, 4096, page, 0), -EINVAL);
	assert_int_equal(kvm__add_memslot(&kvm, 0, 4096, page, 0), 0);
	kvm__destroy(&kvm);
}

static void a_missing_capability_is_named(void **state)
{
	struct kvm kvm;

	open_vm(&kvm);
	assert_int_equal(kvm__require_cap(&kvm, KVM_CAP_IRQFD, "IRQFD", "a test"), 1024);
	fake.missing = KVM_CAP_IRQFD;
	assert_int_equal(kvm__cap(&kvm, KVM_CAP_IRQFD), 0);
	assert_int_equal(kvm__require_cap(&kvm, KVM_CAP_IRQFD, "IRQFD", "a test"), -ENOTSUP);
	kvm__destroy(&kvm);
}

static void exit_names_have_no_holes_that_crash(void **state)
{
	assert_string_equal(kvm_cpu__exit_name(KVM_EXIT_IO), "IO");
	assert_string_equal(kvm_cpu__exit_name(KVM_EXIT_NOTIFY), "NOTIFY");
	assert_string_equal(kvm_cpu__exit_name(39), "MEMORY_FAULT");
	for (uint32_t i = 0; i < 100; i++)
		assert_non_null(kvm_cpu__exit_name(i));
	assert_string_equal(kvm_cpu__exit_name(UINT32_MAX), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_not_kvm_is_refused, setup),
		cmocka_unit_test_setup(another_api_version_is_refused, setup),
		cmocka_unit_test_setup(a_run_area_that_is_too_small_is_refused, setup),
		cmocka_unit_test_setup(memory_slots_are_reused_and_run_out, setup),
		cmocka_unit_test_setup(a_refused_slot_is_free_again, setup),
		cmocka_unit_test_setup(a_missing_capability_is_named, setup),
		cmocka_unit_test_setup(exit_names_have_no_holes_that_crash, setup),
	};

	return cmocka_run_group_tests_name("kvm", tests, NULL, NULL);
}
