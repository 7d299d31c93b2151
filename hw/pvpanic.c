// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pvpanic, ISA variant: a read tells which events are understood, a write says that they happened
 * (QEMU, docs/specs/pvpanic.rst; include/uapi/misc/pvpanic.h of the kernel).
 */
#include "kvm/hw/pvpanic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/fate.h"
#include "kvm/hw/io.h"
#include "kvm/log.h"

#define PANICKED     0x01
#define CRASH_LOADED 0x02

struct pvpanic {
	struct device dev;
	struct bus_region region;
};

static void pvpanic_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	io__put(data, len, PANICKED | CRASH_LOADED);
}

static void pvpanic_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct pvpanic *pvpanic = ctx;

	if (io__get(data, len) & PANICKED)
		fate__report(pvpanic->dev.host->fate, FATE_PANIC, 0);
}

static int pvpanic_realize(struct device *dev)
{
	struct pvpanic *pvpanic = (struct pvpanic *)dev;
	int ret = bus__add(dev->host->bus, BUS_PIO, &pvpanic->region);

	if (ret)
		pr_fatal("%s: cannot claim port %#x: %s", dev->name,
			 (unsigned int)pvpanic->region.base, strerror(-ret));
	return ret;
}

static void pvpanic_unrealize(struct device *dev)
{
	struct pvpanic *pvpanic = (struct pvpanic *)dev;

	bus__remove(dev->host->bus, BUS_PIO, &pvpanic->region);
	free(pvpanic);
}

static const struct device_ops pvpanic_ops = {
	.kind = "pvpanic",
	.realize = pvpanic_realize,
	.unrealize = pvpanic_unrealize,
};

struct device *pvpanic__create(const struct device_host *host, uint16_t port)
{
	struct pvpanic *pvpanic = calloc(1, sizeof(*pvpanic));

	if (!pvpanic)
		return NULL;
	pvpanic->dev.ops = &pvpanic_ops;
	pvpanic->dev.host = host;
	snprintf(pvpanic->dev.name, sizeof(pvpanic->dev.name), "pvpanic");
	pvpanic->region = (struct bus_region){
		.base = port,
		.size = 1,
		.read = pvpanic_read,
		.write = pvpanic_write,
		.ctx = pvpanic,
		.name = "pvpanic",
	};
	return &pvpanic->dev;
}
