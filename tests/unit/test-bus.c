// SPDX-License-Identifier: GPL-2.0-or-later
/* An access reaches exactly the device that claims all of its bytes, while others come and go. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "kvm/bus.h"

struct probe {
	struct bus_region region;
	unsigned int reads, writes;
	uint64_t offset;
	uint32_t len;
};

static void probe_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct probe *probe = ctx;

	probe->reads++;
	probe->offset = offset;
	probe->len = len;
	memset(data, 0x5a, len);
}

static void probe_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct probe *probe = ctx;

	probe->writes++;
	probe->offset = offset;
	probe->len = len;
}

static struct probe make_probe(uint64_t base, uint64_t size)
{
	return (struct probe){ .region = { .base = base,
					   .size = size,
					   .read = probe_read,
					   .write = probe_write,
					   .name = "probe" } };
}

static int add(struct bus *bus, enum bus_space space, struct probe *probe)
{
	probe->region.ctx = probe;
	return bus__add(bus, space, &probe->region);
}

static int setup(void **state)
{
	*state = bus__create(NULL, NULL);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	bus__destroy(*state);
	return 0;
}

static void an_access_reaches_its_device_with_its_offset(void **state)
{
	struct probe low = make_probe(0x3f8, 8), high = make_probe(0x400, 8);
	uint32_t data = 0;

	assert_int_equal(add(*state, BUS_PIO, &high), 0);
	assert_int_equal(add(*state, BUS_PIO, &low), 0);

	assert_true(bus__read(*state, BUS_PIO, 0x3fd, &data, 1));
	assert_int_equal(low.offset, 5);
	assert_int_equal(data, 0x5a);
	assert_true(bus__write(*state, BUS_PIO, 0x400, &data, 4));
	assert_int_equal(high.writes, 1);
	assert_int_equal(high.len, 4);
	assert_int_equal(low.writes, 0);
}

static void nobody_reads_as_all_ones(void **state)
{
	struct probe probe = make_probe(0x1000, 0x1000);
	uint64_t data = 0;

	assert_int_equal(add(*state, BUS_MMIO, &probe), 0);
	assert_false(bus__read(*state, BUS_MMIO, 0xfff, &data, 1));
	assert_int_equal(data, 0xff);
	data = 0;
	assert_false(bus__read(*state, BUS_MMIO, 0x2000, &data, 8));
	assert_true(data == UINT64_MAX);
	assert_false(bus__write(*state, BUS_MMIO, UINT64_MAX, &data, 8));
	assert_false(bus__read(*state, BUS_PIO, 0x1000, &data, 1));
	assert_int_equal(probe.reads, 0);
}

static void an_access_across_the_end_is_nobodys(void **state)
{
	struct probe probe = make_probe(0x1000, 0x10), top = make_probe(UINT64_MAX - 3, 4);
	uint64_t data;

	assert_int_equal(add(*state, BUS_MMIO, &probe), 0);
	assert_int_equal(add(*state, BUS_MMIO, &top), 0);
	assert_true(bus__read(*state, BUS_MMIO, 0x1008, &data, 8));
	assert_false(bus__read(*state, BUS_MMIO, 0x1009, &data, 8));
	assert_true(bus__read(*state, BUS_MMIO, UINT64_MAX - 3, &data, 4));
	assert_false(bus__read(*state, BUS_MMIO, UINT64_MAX - 2, &data, 4));
	assert_int_equal(probe.reads, 1);
	assert_int_equal(top.reads, 1);
}

static void a_region_without_a_callback_ignores_or_reads_ones(void **state)
{
	struct bus_region region = { .base = 0x80, .size = 1, .name = "silent" };
	uint8_t data = 0;

	assert_int_equal(bus__add(*state, BUS_PIO, &region), 0);
	assert_false(bus__read(*state, BUS_PIO, 0x80, &data, 1));
	assert_int_equal(data, 0xff);
	assert_false(bus__write(*state, BUS_PIO, 0x80, &data, 1));
}

static void overlaps_and_impossible_ranges_are_refused(void **state)
{
	struct probe first = make_probe(0x100, 0x10), before = make_probe(0xf8, 9),
		     after = make_probe(0x10f, 1), same = make_probe(0x100, 0x10),
		     empty = make_probe(0x10, 0), wraps = make_probe(UINT64_MAX, 2),
		     beyond = make_probe(0xfff8, 9), last = make_probe(0xfff8, 8);

	assert_int_equal(add(*state, BUS_PIO, &first), 0);
	assert_int_equal(add(*state, BUS_PIO, &before), -EEXIST);
	assert_int_equal(add(*state, BUS_PIO, &after), -EEXIST);
	assert_int_equal(add(*state, BUS_PIO, &same), -EEXIST);
	assert_int_equal(add(*state, BUS_PIO, &empty), -EINVAL);
	assert_int_equal(add(*state, BUS_MMIO, &wraps), -EINVAL);
	assert_int_equal(add(*state, BUS_PIO, &beyond), -EINVAL);
	assert_int_equal(add(*state, BUS_PIO, &last), 0);
}

static void a_moved_region_answers_there_and_only_there(void **state)
{
	struct probe probe = make_probe(0xc0000000, 0x1000), other = make_probe(0xd0000000, 0x1000);
	uint32_t data;

	assert_int_equal(add(*state, BUS_MMIO, &probe), 0);
	assert_int_equal(add(*state, BUS_MMIO, &other), 0);
	assert_int_equal(bus__move(*state, BUS_MMIO, &probe.region, 0xc8000000), 0);
	assert_ptr_equal(bus__find(*state, BUS_MMIO, 0xc8000fff), &probe.region);
	assert_null(bus__find(*state, BUS_MMIO, 0xc0000000));

	assert_int_equal(bus__move(*state, BUS_MMIO, &probe.region, 0xd0000800), -EEXIST);
	assert_null(bus__find(*state, BUS_MMIO, 0xc8000000));
	assert_ptr_equal(bus__find(*state, BUS_MMIO, 0xd0000800), &other.region);
	assert_int_equal(bus__move(*state, BUS_MMIO, &probe.region, 0xc0000000), 0);
	assert_true(bus__read(*state, BUS_MMIO, 0xc0000004, &data, 4));
}

static void many_regions_are_all_found(void **state)
{
	static struct probe probe[300];

	/* An order that inserts at both ends and in the middle. */
	for (unsigned int i = 0; i < 300; i++) {
		unsigned int at = i * 7 % 300;

		probe[at] = make_probe(0x1000 + at * 0x20ull, 0x10);
		assert_int_equal(add(*state, BUS_MMIO, &probe[at]), 0);
	}
	for (unsigned int i = 0; i < 300; i++) {
		assert_ptr_equal(bus__find(*state, BUS_MMIO, 0x100f + i * 0x20ull),
				 &probe[i].region);
		assert_null(bus__find(*state, BUS_MMIO, 0x1010 + i * 0x20ull));
	}
	for (unsigned int i = 0; i < 300; i += 2)
		bus__remove(*state, BUS_MMIO, &probe[i].region);
	for (unsigned int i = 0; i < 300; i++) {
		struct bus_region *found = bus__find(*state, BUS_MMIO, 0x1000 + i * 0x20ull);

		assert_ptr_equal(found, i % 2 ? &probe[i].region : NULL);
	}
}

static void removing_what_is_not_there_is_harmless(void **state)
{
	struct probe probe = make_probe(0x60, 1);

	bus__remove(*state, BUS_PIO, &probe.region);
	assert_null(bus__find(*state, BUS_PIO, 0x60));
}

struct race {
	struct bus *bus;
	atomic_bool stop;
	atomic_uint wrong;
};

static void *look_up(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		struct bus_region *fixed = bus__find(race->bus, BUS_MMIO, 0x5008);
		struct bus_region *gap = bus__find(race->bus, BUS_MMIO, 0x8000);

		if (!fixed || fixed->base != 0x5000 || gap)
			atomic_fetch_add(&race->wrong, 1);
	}
	return NULL;
}

static void readers_see_a_region_that_stays_while_others_move(void **state)
{
	struct probe fixed = make_probe(0x5000, 0x10), mover = make_probe(0x1000, 0x10);
	struct race race = { .bus = *state };
	pthread_t reader;

	assert_int_equal(add(*state, BUS_MMIO, &fixed), 0);
	assert_int_equal(add(*state, BUS_MMIO, &mover), 0);
	assert_int_equal(pthread_create(&reader, NULL, look_up, &race), 0);
	for (unsigned int i = 0; i < 20000; i++)
		assert_int_equal(
			bus__move(*state, BUS_MMIO, &mover.region, i % 2 ? 0x1000 : 0x9000), 0);
	atomic_store(&race.stop, true);
	pthread_join(reader, NULL);
	assert_int_equal(atomic_load(&race.wrong), 0);
}

static int record_ioeventfd(void *ctx, enum bus_space space, uint64_t addr, uint32_t len,
			    const uint64_t *datamatch, int fd, bool assign)
{
	int *balance = ctx;

	assert_int_equal(space, BUS_PIO);
	assert_int_equal(addr, 0x1010);
	assert_int_equal(len, 2);
	assert_int_equal(*datamatch, 7);
	assert_int_equal(fd, 42);
	*balance += assign ? 1 : -1;
	return 0;
}

static void ioeventfds_go_to_the_kernel_where_there_is_one(void **state)
{
	uint64_t match = 7;
	int balance = 0;
	struct bus *bus = bus__create(record_ioeventfd, &balance);

	assert_int_equal(bus__add_ioeventfd(*state, BUS_PIO, 0x1010, 2, &match, 42), -ENOSYS);
	assert_int_equal(bus__add_ioeventfd(bus, BUS_PIO, 0x1010, 2, &match, 42), 0);
	assert_int_equal(balance, 1);
	bus__remove_ioeventfd(bus, BUS_PIO, 0x1010, 2, &match, 42);
	assert_int_equal(balance, 0);
	bus__destroy(bus);
}

#define with_bus(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_bus(an_access_reaches_its_device_with_its_offset),
		with_bus(nobody_reads_as_all_ones),
		with_bus(an_access_across_the_end_is_nobodys),
		with_bus(a_region_without_a_callback_ignores_or_reads_ones),
		with_bus(overlaps_and_impossible_ranges_are_refused),
		with_bus(a_moved_region_answers_there_and_only_there),
		with_bus(many_regions_are_all_found),
		with_bus(removing_what_is_not_there_is_harmless),
		with_bus(readers_see_a_region_that_stays_while_others_move),
		with_bus(ioeventfds_go_to_the_kernel_where_there_is_one),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
