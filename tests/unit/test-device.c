// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices come to life in order, die in reverse, and a failed one leaves nothing behind. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/device.h"

static char story[128];

static void tell(const struct device *dev, char what)
{
	size_t at = strlen(story);

	snprintf(story + at, sizeof(story) - at, "%c%s ", what, dev->name);
}

static int realize(struct device *dev)
{
	tell(dev, '+');
	return dev->name[0] == 'x' ? -EBUSY : 0;
}

static void reset(struct device *dev)
{
	tell(dev, 'r');
}

static int save(struct device *dev, struct state_writer *out)
{
	tell(dev, 's');
	return dev->name[0] == 'b' ? -EIO : 0;
}

static int restore(struct device *dev, struct state_reader *in)
{
	tell(dev, 'l');
	return 0;
}

static void unrealize(struct device *dev)
{
	tell(dev, '-');
	free(dev);
}

static const struct device_ops full = { .kind = "full",
					.realize = realize,
					.reset = reset,
					.save = save,
					.restore = restore,
					.unrealize = unrealize };
static const struct device_ops bare = { .kind = "bare" };

static struct device *make(const char *name)
{
	struct device *dev = calloc(1, sizeof(*dev));

	dev->ops = &full;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	return dev;
}

static int setup(void **state)
{
	story[0] = 0;
	return 0;
}

static void they_are_torn_down_in_reverse(void **state)
{
	struct device_list list = { 0 };

	assert_int_equal(device__add(&list, make("a")), 0);
	assert_int_equal(device__add(&list, make("b")), 0);
	assert_int_equal(device__add(&list, make("c")), 0);
	device_list__reset(&list);
	device_list__unrealize(&list);
	assert_string_equal(story, "+a +b +c ra rb rc -c -b -a ");
	assert_null(list.first);
	assert_null(list.last);
}

static void one_that_fails_is_freed_and_not_listed(void **state)
{
	struct device_list list = { 0 };

	assert_int_equal(device__add(&list, make("a")), 0);
	assert_int_equal(device__add(&list, make("x")), -EBUSY);
	assert_int_equal(device__add(&list, NULL), -ENOMEM);
	assert_null(device_list__find(&list, "x"));
	device_list__unrealize(&list);
	assert_string_equal(story, "+a +x -x -a ");
}

static void saving_stops_at_the_first_that_fails(void **state)
{
	struct device_list list = { 0 };

	device__add(&list, make("a"));
	device__add(&list, make("b"));
	device__add(&list, make("c"));
	story[0] = 0;
	assert_int_equal(device_list__save(&list, NULL), -EIO);
	assert_string_equal(story, "sa sb ");
	assert_int_equal(device_list__restore(&list, NULL), 0);
	device_list__unrealize(&list);
}

static void operations_may_be_absent(void **state)
{
	struct device_list list = { 0 };
	struct device dev = { .ops = &bare, .name = "bare" };

	assert_int_equal(device__add(&list, &dev), 0);
	assert_ptr_equal(device_list__find(&list, "bare"), &dev);
	device_list__reset(&list);
	assert_int_equal(device_list__save(&list, NULL), 0);
	assert_int_equal(device_list__restore(&list, NULL), 0);
	device_list__unrealize(&list);
	assert_null(list.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(they_are_torn_down_in_reverse, setup),
		cmocka_unit_test_setup(one_that_fails_is_freed_and_not_listed, setup),
		cmocka_unit_test_setup(saving_stops_at_the_first_that_fails, setup),
		cmocka_unit_test_setup(operations_may_be_absent, setup),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
