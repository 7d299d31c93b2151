// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ACPI fixed hardware (ACPI specification 6.5, section 4.8.3).
 *
 * Theory of operation: the PM timer is the host's monotonic clock in units of 1/3579545 s. Its
 * status bit reports each change of the timer's top bit, every ten minutes; it is found out when
 * someone looks, and a real timer runs only while its interrupt is enabled. SCI is high while an
 * enabled event is pending.
 */
#include "kvm/hw/acpi-pm.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/fate.h"
#include "kvm/hw/io.h"
#include "kvm/hw/timer.h"
#include "kvm/irq.h"
#include "kvm/log.h"

#define PM_TIMER_HZ 3579545
#define TOP_BIT	    31

/* PM1 status and enable */
#define TIMER	     0x0001
#define GLOBAL	     0x0020
#define POWER_BUTTON 0x0100
#define SLEEP_BUTTON 0x0200
#define RTC_ALARM    0x0400
#define WAKE	     0x8000 /* status only */
#define STATUS_BITS  (TIMER | GLOBAL | POWER_BUTTON | WAKE)
/* Linux reads back whether it could enable the RTC's event, although it never comes. */
#define ENABLE_BITS (TIMER | GLOBAL | POWER_BUTTON | SLEEP_BUTTON | RTC_ALARM)

/* PM1 control */
#define SCI_EN	       0x0001
#define BM_RLD	       0x0002
#define SLP_TYP_SHIFT  10
#define SLP_TYP	       0x1c00
#define SLP_EN	       0x2000
#define CONTROL_STORED (BM_RLD | SLP_TYP)

struct acpi_pm_state {
	uint16_t status, enable, control;
	uint64_t seen_epoch; /* of the timer's top bit, as of the last update() */
};

struct acpi_pm {
	struct device dev;
	struct bus_region event, control, pm_timer;
	struct irq_line sci;
	uint8_t s5_type;
	struct hw_timer timer;
	pthread_mutex_t lock; /* all below */
	struct acpi_pm_state s;
};

static uint64_t epoch(void)
{
	return hw_clock__ticks(hw_clock_ns(), PM_TIMER_HZ) >> TOP_BIT;
}

static void update(struct acpi_pm *pm)
{
	struct acpi_pm_state *s = &pm->s;
	uint64_t current = epoch();

	if (current != s->seen_epoch)
		s->status |= TIMER;
	s->seen_epoch = current;

	irq_line__set(&pm->sci, s->status & s->enable);
	if (s->enable & ~s->status & TIMER)
		hw_timer__set(&pm->timer, hw_clock__ns((current + 1) << TOP_BIT, PM_TIMER_HZ));
	else
		hw_timer__clear(&pm->timer);
}

static void on_timer(void *ctx)
{
	struct acpi_pm *pm = ctx;

	pthread_mutex_lock(&pm->lock);
	update(pm);
	pthread_mutex_unlock(&pm->lock);
}

static void event_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct acpi_pm *pm = ctx;
	uint32_t both;

	pthread_mutex_lock(&pm->lock);
	update(pm);
	both = pm->s.status | (uint32_t)pm->s.enable << 16;
	pthread_mutex_unlock(&pm->lock);
	io__put(data, len, both >> 8 * offset);
}

static void event_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct acpi_pm *pm = ctx;
	uint32_t value = (uint32_t)io__get(data, len) << 8 * offset;
	uint32_t named = (uint32_t)((1ull << 8 * len) - 1) << 8 * offset;
	uint16_t enable;

	pthread_mutex_lock(&pm->lock);
	update(pm);
	enable = (uint16_t)((pm->s.enable & ~(named >> 16)) | value >> 16);
	pm->s.status &= (uint16_t)~value; /* write one to clear */
	pm->s.enable = enable & ENABLE_BITS;
	update(pm);
	pthread_mutex_unlock(&pm->lock);
}

static void control_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct acpi_pm *pm = ctx;
	uint32_t value;

	pthread_mutex_lock(&pm->lock);
	value = pm->s.control | SCI_EN;
	pthread_mutex_unlock(&pm->lock);
	io__put(data, len, value >> 8 * offset);
}

static void control_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct acpi_pm *pm = ctx;
	uint32_t value = (uint32_t)io__get(data, len) << 8 * offset;
	uint32_t named = (uint32_t)((1ull << 8 * len) - 1) << 8 * offset;
	bool off;

	pthread_mutex_lock(&pm->lock);
	value |= pm->s.control & ~named;
	pm->s.control = value & CONTROL_STORED;
	off = value & SLP_EN && (value & SLP_TYP) >> SLP_TYP_SHIFT == pm->s5_type;
	pthread_mutex_unlock(&pm->lock);

	if (off)
		fate__report(pm->dev.host->fate, FATE_POWEROFF, 0);
}

static void pm_timer_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	uint32_t ticks = (uint32_t)hw_clock__ticks(hw_clock_ns(), PM_TIMER_HZ);

	io__put(data, len, ticks >> 8 * offset);
}

void acpi_pm__power_button(struct device *dev)
{
	struct acpi_pm *pm = (struct acpi_pm *)dev;

	pthread_mutex_lock(&pm->lock);
	pm->s.status |= POWER_BUTTON;
	update(pm);
	pthread_mutex_unlock(&pm->lock);
}

static void acpi_pm_reset(struct device *dev)
{
	struct acpi_pm *pm = (struct acpi_pm *)dev;

	pthread_mutex_lock(&pm->lock);
	pm->s = (struct acpi_pm_state){ .seen_epoch = epoch() };
	update(pm);
	pthread_mutex_unlock(&pm->lock);
}

static int acpi_pm_realize(struct device *dev)
{
	struct acpi_pm *pm = (struct acpi_pm *)dev;
	struct bus_region *regions[] = { &pm->event, &pm->control, &pm->pm_timer };
	int ret = hw_timer__init(&pm->timer, dev->host->loop, on_timer, pm);

	for (unsigned int i = 0; !ret && i < 3; i++) {
		ret = bus__add(dev->host->bus, BUS_PIO, regions[i]);
		if (ret)
			pr_fatal("%s: cannot claim ports %#x-%#x (%s): %s", dev->name,
				 (unsigned int)regions[i]->base,
				 (unsigned int)(regions[i]->base + regions[i]->size - 1),
				 regions[i]->name, strerror(-ret));
	}
	return ret;
}

static void acpi_pm_unrealize(struct device *dev)
{
	struct acpi_pm *pm = (struct acpi_pm *)dev;

	bus__remove(dev->host->bus, BUS_PIO, &pm->event);
	bus__remove(dev->host->bus, BUS_PIO, &pm->control);
	bus__remove(dev->host->bus, BUS_PIO, &pm->pm_timer);
	hw_timer__destroy(&pm->timer);
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}

static const struct device_ops acpi_pm_ops = {
	.kind = "acpi-pm",
	.realize = acpi_pm_realize,
	.reset = acpi_pm_reset,
	.unrealize = acpi_pm_unrealize,
};

struct device *acpi_pm__create(const struct device_host *host, const struct acpi_pm_config *cfg)
{
	struct acpi_pm *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return NULL;
	pm->dev.ops = &acpi_pm_ops;
	pm->dev.host = host;
	snprintf(pm->dev.name, sizeof(pm->dev.name), "acpi-pm");
	pm->event = (struct bus_region){ .base = cfg->event,
					 .size = 4,
					 .read = event_read,
					 .write = event_write,
					 .ctx = pm,
					 .name = "ACPI PM1a events" };
	pm->control = (struct bus_region){ .base = cfg->control,
					   .size = 2,
					   .read = control_read,
					   .write = control_write,
					   .ctx = pm,
					   .name = "ACPI PM1a control" };
	pm->pm_timer = (struct bus_region){ .base = cfg->timer,
					    .size = 4,
					    .read = pm_timer_read,
					    .ctx = pm,
					    .name = "ACPI PM timer" };
	pm->s5_type = cfg->s5_type;
	pm->timer.fd = -1;
	irq_line__init(&pm->sci, host->irq, cfg->sci);
	pthread_mutex_init(&pm->lock, NULL);
	return &pm->dev;
}
