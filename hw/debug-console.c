// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Debug console: bytes written to one port go straight out.
 */
#include "kvm/hw/debug-console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/chardev.h"
#include "kvm/device.h"
#include "kvm/hw/io.h"
#include "kvm/log.h"

#define PRESENT 0xe9

struct debug_console {
	struct device dev;
	struct bus_region region;
	struct chardev *chr;
};

static void debug_console_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	io__put(data, len, PRESENT);
}

static void debug_console_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct debug_console *console = ctx;

	chardev__write(console->chr, data, len);
}

static int debug_console_realize(struct device *dev)
{
	struct debug_console *console = (struct debug_console *)dev;
	int ret = bus__add(dev->host->bus, BUS_PIO, &console->region);

	if (ret)
		pr_fatal("%s: cannot claim port %#x: %s", dev->name,
			 (unsigned int)console->region.base, strerror(-ret));
	return ret;
}

static void debug_console_unrealize(struct device *dev)
{
	struct debug_console *console = (struct debug_console *)dev;

	bus__remove(dev->host->bus, BUS_PIO, &console->region);
	free(console);
}

static const struct device_ops debug_console_ops = {
	.kind = "debug-console",
	.realize = debug_console_realize,
	.unrealize = debug_console_unrealize,
};

struct device *debug_console__create(const struct device_host *host, uint16_t port,
				     struct chardev *chr)
{
	struct debug_console *console = calloc(1, sizeof(*console));

	if (!console)
		return NULL;
	console->dev.ops = &debug_console_ops;
	console->dev.host = host;
	snprintf(console->dev.name, sizeof(console->dev.name), "debug-console");
	console->region = (struct bus_region){
		.base = port,
		.size = 1,
		.read = debug_console_read,
		.write = debug_console_write,
		.ctx = console,
		.name = "debug console",
	};
	console->chr = chr;
	return &console->dev;
}
