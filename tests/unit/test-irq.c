// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines are wired OR, and KVM is always handed the whole routing table.
 * WRAP: sys__ioctl
 */
#include "test.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <linux/kvm.h>

#include "kvm/irq.h"
#include "kvm/kvm.h"
#include "kvm/sys.h"

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);

static struct {
	unsigned int commits, nr;
	struct kvm_irq_routing_entry entry[128];
	struct kvm_irqfd irqfd;
	struct kvm_msi msi;
	int fail;
} kernel;

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	const struct kvm_irq_routing *table = arg;

	assert_int_equal(fd, 77);
	if (kernel.fail)
		return kernel.fail;
	switch (request) {
	case KVM_SET_GSI_ROUTING:
		kernel.commits++;
		kernel.nr = table->nr;
		assert_true(table->nr <= ARRAY_SIZE(kernel.entry));
		memcpy(kernel.entry, table->entries, table->nr * sizeof(kernel.entry[0]));
		return 0;
	case KVM_IRQFD:
		kernel.irqfd = *(struct kvm_irqfd *)arg;
		return 0;
	case KVM_SIGNAL_MSI:
		kernel.msi = *(struct kvm_msi *)arg;
		return 1;
	}
	return -ENOTTY;
}

static struct kvm vm;
static unsigned int line_changes;
static bool line_level[32];

static void record_line(void *ctx, unsigned int gsi, bool level)
{
	assert_ptr_equal(ctx, &vm);
	line_changes++;
	line_level[gsi] = level;
}

static int setup(void **state)
{
	struct irq_router *router;

	memset(&kernel, 0, sizeof(kernel));
	line_changes = 0;
	vm = (struct kvm){ .vm_fd = 77 };
	router = irq__create(&vm);
	irq__set_sink(router, record_line, &vm);
	irq__set_msi_range(router, 24, 32);
	*state = router;
	return 0;
}

static int teardown(void **state)
{
	irq__destroy(*state);
	return 0;
}

static const struct msi_message *message(uint32_t data)
{
	static struct msi_message msg;

	msg = (struct msi_message){ .address = 0xfee01000, .data = data };
	return &msg;
}

static const struct kvm_irq_routing_entry *route_of(unsigned int gsi)
{
	for (unsigned int i = 0; i < kernel.nr; i++) {
		if (kernel.entry[i].gsi == gsi)
			return &kernel.entry[i];
	}
	return NULL;
}

static void a_shared_line_is_high_while_anyone_asserts_it(void **state)
{
	struct irq_line one, other;

	irq_line__init(&one, *state, 10);
	irq_line__init(&other, *state, 10);
	irq_line__set(&one, true);
	irq_line__set(&other, true);
	irq_line__set(&one, false);
	assert_true(line_level[10]);
	assert_int_equal(line_changes, 1);
	irq_line__set(&other, false);
	assert_false(line_level[10]);
	assert_int_equal(line_changes, 2);
}

static void a_level_that_does_not_change_goes_nowhere(void **state)
{
	struct irq_line line;

	irq_line__init(&line, *state, 4);
	irq_line__set(&line, false);
	assert_int_equal(line_changes, 0);
	irq_line__set(&line, true);
	irq_line__set(&line, true);
	assert_int_equal(line_changes, 1);
	irq_line__set(&line, false);
	irq_line__pulse(&line);
	assert_int_equal(line_changes, 4);
	assert_false(line_level[4]);
}

static void nothing_is_handed_over_before_the_first_commit(void **state)
{
	assert_int_equal(irq__add_pin_route(*state, 0, KVM_IRQCHIP_IOAPIC, 2), 0);
	assert_int_equal(irq__alloc_msi(*state, message(0x41)), 24);
	assert_int_equal(kernel.commits, 0);
	assert_int_equal(irq__commit(*state), 0);
	assert_int_equal(kernel.commits, 1);
	assert_int_equal(kernel.nr, 2);
	assert_int_equal(route_of(0)->u.irqchip.pin, 2);
	assert_int_equal(route_of(24)->u.msi.data, 0x41);
}

static void an_msi_keeps_its_gsi_when_its_message_changes(void **state)
{
	int gsi;

	assert_int_equal(irq__commit(*state), 0);
	gsi = irq__alloc_msi(*state, message(0x41));
	assert_int_equal(irq__alloc_msi(*state, message(0x42)), gsi + 1);
	assert_int_equal(irq__update_msi(*state, (unsigned int)gsi, message(0x51)), 0);
	assert_int_equal(route_of((unsigned int)gsi)->u.msi.data, 0x51);
	assert_int_equal(route_of((unsigned int)gsi + 1)->u.msi.data, 0x42);
	assert_int_equal(kernel.nr, 2);
}

static void the_same_message_again_costs_no_ioctl(void **state)
{
	unsigned int before;
	int gsi;

	irq__commit(*state);
	gsi = irq__alloc_msi(*state, message(0x41));
	before = kernel.commits;
	assert_int_equal(irq__update_msi(*state, (unsigned int)gsi, message(0x41)), 0);
	assert_int_equal(kernel.commits, before);
}

static void gsis_run_out_and_come_back(void **state)
{
	for (int gsi = 24; gsi < 32; gsi++)
		assert_int_equal(irq__alloc_msi(*state, message(1)), gsi);
	assert_int_equal(irq__alloc_msi(*state, message(1)), -ENOSPC);
	irq__free_msi(*state, 27);
	assert_int_equal(irq__update_msi(*state, 27, message(2)), -EINVAL);
	assert_int_equal(irq__alloc_msi(*state, message(3)), 27);
	irq__free_msi(*state, 9999);
}

static void a_refused_table_leaves_the_old_one(void **state)
{
	int gsi;

	irq__commit(*state);
	gsi = irq__alloc_msi(*state, message(0x41));
	kernel.fail = -EINVAL;
	assert_int_equal(irq__update_msi(*state, (unsigned int)gsi, message(0x99)), -EINVAL);
	assert_int_equal(irq__alloc_msi(*state, message(0x98)), -EINVAL);
	kernel.fail = 0;
	assert_int_equal(irq__commit(*state), 0);
	assert_int_equal(kernel.nr, 1);
	assert_int_equal(route_of((unsigned int)gsi)->u.msi.data, 0x41);
}

static void a_user_space_pin_can_be_routed_and_silenced(void **state)
{
	irq__commit(*state);
	assert_int_equal(irq__set_msi_route(*state, 3, message(0x33)), 0);
	assert_int_equal(route_of(3)->type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(irq__set_msi_route(*state, 3, NULL), 0);
	assert_null(route_of(3));
	assert_int_equal(irq__set_msi_route(*state, 3, NULL), 0);
}

static void a_device_id_is_flagged_as_valid(void **state)
{
	struct msi_message msg = { .address = 0x1fee00000ull, .data = 1, .devid = 8 };

	irq__commit(*state);
	irq__alloc_msi(*state, &msg);
	assert_int_equal(route_of(24)->flags, KVM_MSI_VALID_DEVID);
	assert_int_equal(route_of(24)->u.msi.address_hi, 1);
	assert_int_equal(irq__signal_msi(*state, &msg), 1);
	assert_int_equal(kernel.msi.devid, 8);
	assert_int_equal(kernel.msi.flags, KVM_MSI_VALID_DEVID);
}

/* As x86 does it: some bits move, some messages go nowhere. */
static bool translate(const void *ctx, struct msi_message *msg)
{
	if (msg->data == 0xbad)
		return false;
	msg->address |= 0x100000000ull;
	return true;
}

static void a_board_translates_and_drops_messages(void **state)
{
	irq__commit(*state);
	irq__set_translation(*state, translate, NULL);
	assert_int_equal(irq__alloc_msi(*state, message(0x41)), 24);
	assert_int_equal(route_of(24)->u.msi.address_hi, 1);
	assert_int_equal(irq__signal_msi(*state, message(0x41)), 1);
	assert_int_equal(kernel.msi.address_hi, 1);

	assert_int_equal(irq__update_msi(*state, 24, message(0xbad)), 0);
	assert_null(route_of(24));
	assert_int_equal(irq__alloc_msi(*state, message(0xbad)), 25);
	assert_int_equal(irq__signal_msi(*state, message(0xbad)), 0);
	assert_int_equal(irq__update_msi(*state, 24, message(0x42)), 0);
	assert_int_equal(route_of(24)->u.msi.data, 0x42);
}

static void irqfds_name_gsi_and_resample(void **state)
{
	assert_int_equal(irq__add_irqfd(*state, 24, 5, -1), 0);
	assert_int_equal(kernel.irqfd.flags, 0);
	assert_int_equal(irq__add_irqfd(*state, 11, 5, 6), 0);
	assert_int_equal(kernel.irqfd.flags, KVM_IRQFD_FLAG_RESAMPLE);
	assert_int_equal(kernel.irqfd.resamplefd, 6);
	irq__remove_irqfd(*state, 11, 5);
	assert_int_equal(kernel.irqfd.flags, KVM_IRQFD_FLAG_DEASSIGN);
	kernel.fail = -EBUSY;
	assert_int_equal(irq__add_irqfd(*state, 24, 5, -1), -EBUSY);
}

#define with_router(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_router(a_shared_line_is_high_while_anyone_asserts_it),
		with_router(a_level_that_does_not_change_goes_nowhere),
		with_router(nothing_is_handed_over_before_the_first_commit),
		with_router(an_msi_keeps_its_gsi_when_its_message_changes),
		with_router(the_same_message_again_costs_no_ioctl),
		with_router(gsis_run_out_and_come_back),
		with_router(a_refused_table_leaves_the_old_one),
		with_router(a_user_space_pin_can_be_routed_and_silenced),
		with_router(a_device_id_is_flagged_as_valid),
		with_router(a_board_translates_and_drops_messages),
		with_router(irqfds_name_gsi_and_resample),
	};

	return cmocka_run_group_tests_name("irq", tests, NULL, NULL);
}
