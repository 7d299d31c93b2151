// SPDX-License-Identifier: GPL-2.0-or-later
/* The argument of -d says what it says, and nothing else is taken. */
#include "test.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kvm/disk.h"

static struct disk_spec parse(const char *arg)
{
	struct disk_spec spec;

	assert_int_equal(disk_spec__parse(&spec, arg), 0);
	return spec;
}

static void a_name_alone_is_a_disk(void **state)
{
	struct disk_spec spec = parse("/some/where/root.img");

	assert_string_equal(spec.path, "/some/where/root.img");
	assert_false(spec.read_only || spec.direct || spec.snapshot);
	assert_int_equal(spec.queues, 0);
	assert_int_equal(spec.format, DISK_FORMAT_AUTO);
	assert_int_equal(spec.engine, DISK_ENGINE_AUTO);
	disk_spec__free(&spec);
}

static void every_word_is_understood(void **state)
{
	struct disk_spec spec =
		parse("a,ro,direct,snapshot,queues=4,format=qcow2,engine=uring,serial=S123");

	assert_string_equal(spec.path, "a");
	assert_true(spec.read_only && spec.direct && spec.snapshot);
	assert_int_equal(spec.queues, 4);
	assert_int_equal(spec.format, DISK_FORMAT_QCOW2);
	assert_int_equal(spec.engine, DISK_ENGINE_URING);
	assert_memory_equal(spec.serial, "S123\0", 5);
	disk_spec__free(&spec);
}

static void a_doubled_comma_is_part_of_the_name(void **state)
{
	struct disk_spec spec = parse("a,,b=c,ro");

	assert_string_equal(spec.path, "a,b=c");
	assert_true(spec.read_only);
	disk_spec__free(&spec);
}

static void a_serial_may_fill_its_field(void **state)
{
	struct disk_spec spec = parse("a,serial=01234567890123456789");

	assert_memory_equal(spec.serial, "01234567890123456789", DISK_SERIAL_MAX);
	disk_spec__free(&spec);
}

static void nonsense_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"ro=1,a,ro=1",
		",ro",
		"a,",
		"a,rw",
		"a,ro=1",
		"a,queues",
		"a,queues=",
		"a,queues=0",
		"a,queues=-1",
		"a,queues=257",
		"a,queues=1x",
		"a,format=vmdk",
		"a,format",
		"a,engine=posix",
		"a,serial=",
		"a,serial=012345678901234567890",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct disk_spec spec;

		assert_int_equal(disk_spec__parse(&spec, wrong[i]), -EINVAL);
		disk_spec__free(&spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_alone_is_a_disk),
		cmocka_unit_test(every_word_is_understood),
		cmocka_unit_test(a_doubled_comma_is_part_of_the_name),
		cmocka_unit_test(a_serial_may_fill_its_field),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests_name("disk-spec", tests, NULL, NULL);
}
