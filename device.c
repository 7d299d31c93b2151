// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life cycle that all devices of a machine go through together.
 */
#include "kvm/device.h"

#include <errno.h>
#include <string.h>

int device__add(struct device_list *list, struct device *dev)
{
	int ret;

	if (!dev)
		return -ENOMEM;
	ret = dev->ops->realize ? dev->ops->realize(dev) : 0;
	if (ret) {
		if (dev->ops->unrealize)
			dev->ops->unrealize(dev);
		return ret;
	}

	dev->next = NULL;
	if (list->last)
		list->last->next = dev;
	else
		list->first = dev;
	list->last = dev;
	return 0;
}

void device_list__reset(struct device_list *list)
{
	for (struct device *dev = list->first; dev; dev = dev->next) {
		if (dev->ops->reset)
			dev->ops->reset(dev);
	}
}

int device_list__save(struct device_list *list, struct state_writer *out)
{
	for (struct device *dev = list->first; dev; dev = dev->next) {
		int ret = dev->ops->save ? dev->ops->save(dev, out) : 0;

		if (ret)
			return ret;
	}
	return 0;
}

int device_list__restore(struct device_list *list, struct state_reader *in)
{
	for (struct device *dev = list->first; dev; dev = dev->next) {
		int ret = dev->ops->restore ? dev->ops->restore(dev, in) : 0;

		if (ret)
			return ret;
	}
	return 0;
}

static struct device *take_last(struct device_list *list)
{
	struct device *dev = list->last, *before = list->first;

	if (dev == list->first) {
		list->first = list->last = NULL;
		return dev;
	}
	while (before->next != dev)
		before = before->next;
	before->next = NULL;
	list->last = before;
	return dev;
}

void device_list__unrealize(struct device_list *list)
{
	while (list->last) {
		struct device *dev = take_last(list);

		if (dev->ops->unrealize)
			dev->ops->unrealize(dev);
	}
}

struct device *device_list__find(const struct device_list *list, const char *name)
{
	for (struct device *dev = list->first; dev; dev = dev->next) {
		if (!strcmp(dev->name, name))
			return dev;
	}
	return NULL;
}
