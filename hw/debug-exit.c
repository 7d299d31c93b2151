// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * debug-exit: a write ends the machine with a status made of the value.
 */
#include "kvm/hw/debug-exit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/fate.h"
#include "kvm/hw/io.h"
#include "kvm/log.h"

#define NR_PORTS 4

struct debug_exit {
	struct device dev;
	struct bus_region region;
};

static void debug_exit_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	io__put(data, len, 0);
}

static void debug_exit_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct debug_exit *debug_exit = ctx;

	fate__report(debug_exit->dev.host->fate, FATE_GUEST_EXIT,
		     (int)((io__get(data, len) << 1 | 1) & 0xff));
}

static int debug_exit_realize(struct device *dev)
{
	struct debug_exit *debug_exit = (struct debug_exit *)dev;
	int ret = bus__add(dev->host->bus, BUS_PIO, &debug_exit->region);

	if (ret)
		pr_fatal("%s: cannot claim ports %#x-%#x: %s", dev->name,
			 (unsigned int)debug_exit->region.base,
			 (unsigned int)debug_exit->region.base + NR_PORTS - 1, strerror(-ret));
	return ret;
}

static void debug_exit_unrealize(struct device *dev)
{
	struct debug_exit *debug_exit = (struct debug_exit *)dev;

	bus__remove(dev->host->bus, BUS_PIO, &debug_exit->region);
	free(debug_exit);
}

static const struct device_ops debug_exit_ops = {
	.kind = "debug-exit",
	.realize = debug_exit_realize,
	.unrealize = debug_exit_unrealize,
};

struct device *debug_exit__create(const struct device_host *host, uint16_t port)
{
	struct debug_exit *debug_exit = calloc(1, sizeof(*debug_exit));

	if (!debug_exit)
		return NULL;
	debug_exit->dev.ops = &debug_exit_ops;
	debug_exit->dev.host = host;
	snprintf(debug_exit->dev.name, sizeof(debug_exit->dev.name), "debug-exit");
	debug_exit->region = (struct bus_region){
		.base = port,
		.size = NR_PORTS,
		.read = debug_exit_read,
		.write = debug_exit_write,
		.ctx = debug_exit,
		.name = "debug-exit",
	};
	return &debug_exit->dev;
}
