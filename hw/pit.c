// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 8254 programmable interval timer (Intel data sheet) and system control port B of a PC.
 *
 * Theory of operation: a counter is the time at which it was loaded. Its count and its output are
 * computed from the clock when somebody asks. Only counter 0 needs a timer of the host: for the
 * next time its output rises, which is an edge on the interrupt line. In the periodic modes each
 * rise is a pulse, and rises that the host was too late for are merged into one; in the others the
 * line follows the output.
 *
 * Simplified, since no driver depends on it: counting is binary also where BCD is asked for; a new
 * count takes effect at once and not at the end of a period; no two interrupts are closer than
 * MIN_INTERVAL_NS, so that a guest cannot keep the host's thread busy.
 */
#include "kvm/hw/pit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/hw/timer.h"
#include "kvm/irq.h"
#include "kvm/log.h"

#define PIT_HZ		1193182
#define NR_COUNTERS	3
#define SPEAKER		2
#define MIN_INTERVAL_NS 100000
#define REFRESH_NS	15085 /* half a period of the DRAM refresh toggle */

#define PORT_COUNTERS 0x40
#define PORT_B	      0x61
#define CONTROL	      3

#define B_GATE	   0x01
#define B_SPEAKER  0x02
#define B_WRITABLE 0x0f
#define B_REFRESH  0x10
#define B_OUTPUT   0x20

#define READ_BACK_NO_COUNT  0x20
#define READ_BACK_NO_STATUS 0x10
#define STATUS_OUTPUT	    0x80
#define STATUS_NULL	    0x40

enum access { LATCH, LOW_BYTE, HIGH_BYTE, BOTH_BYTES };
enum mode { TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE, SOFT_STROBE, HARD_STROBE };

struct counter {
	uint8_t control; /* access, mode and BCD, as written */
	uint8_t mode;	 /* enum mode */
	uint8_t access;	 /* enum access */
	bool gate;
	bool loaded;	   /* a count has been written since the mode */
	bool running;	   /* not stopped by the gate, nor by half a count */
	uint64_t start_ns; /* of the count, while running */
	uint64_t elapsed;  /* ticks, while not */
	uint64_t rises;	   /* of the output since the start, as far as they have been acted on */
	uint32_t initial;  /* 1 to 65536 */
	uint8_t low;	   /* first half of a count being written */
	bool high_next_write, high_next_read;
	uint16_t latch;
	uint8_t latched_bytes; /* of the latch, still to be read */
	uint8_t status;
	bool status_latched;
};

struct pit_state {
	struct counter counter[NR_COUNTERS];
	uint8_t port_b;
};

struct pit {
	struct device dev;
	struct bus_region counters, port_b;
	struct irq_line irq;
	struct hw_timer timer;
	pthread_mutex_t lock; /* all below */
	struct pit_state s;
	uint64_t last_interrupt_ns;
};

static bool is_periodic(const struct counter *c)
{
	return c->mode == RATE || c->mode == SQUARE;
}

/* Modes in which the gate's rising edge starts the count from the top. */
static bool is_triggered(const struct counter *c)
{
	return c->mode != TERMINAL_COUNT && c->mode != SOFT_STROBE;
}

static uint64_t elapsed(const struct counter *c)
{
	return c->running ? hw_clock__ticks(hw_clock_ns() - c->start_ns, PIT_HZ) : c->elapsed;
}

static uint16_t count(const struct counter *c)
{
	uint64_t ticks = elapsed(c);

	if (!c->loaded)
		return 0;
	if (c->mode == RATE)
		return (uint16_t)(c->initial - ticks % c->initial);
	if (c->mode == SQUARE) /* by twos, and once more in each half */
		return (uint16_t)((c->initial - 2 * ticks % c->initial) & ~1u);
	return (uint16_t)(c->initial - ticks);
}

static bool output(const struct counter *c)
{
	uint64_t ticks = elapsed(c);

	if (!c->loaded)
		return c->mode != TERMINAL_COUNT;
	switch (c->mode) {
	case TERMINAL_COUNT:
	case ONE_SHOT:
		return ticks >= c->initial;
	case RATE:
		return !c->gate || ticks % c->initial != c->initial - 1;
	case SQUARE:
		return !c->gate || ticks % c->initial < (c->initial + 1) / 2;
	default: /* the strobes are low for one tick */
		return ticks != c->initial;
	}
}

static void start(struct counter *c)
{
	c->start_ns = hw_clock_ns();
	c->elapsed = 0;
	c->rises = 0;
	c->running = true;
}

static void stop(struct counter *c)
{
	c->elapsed = elapsed(c);
	c->running = false;
}

static uint64_t rises(const struct counter *c)
{
	uint64_t ticks = elapsed(c);

	if (!c->loaded || !c->running)
		return c->rises;
	return is_periodic(c) ? ticks / c->initial : ticks >= c->initial;
}

static void arm_timer(struct pit *pit)
{
	const struct counter *c = &pit->s.counter[0];
	uint64_t deadline, earliest = pit->last_interrupt_ns + MIN_INTERVAL_NS;

	if (!c->loaded || !c->running || (c->rises && !is_periodic(c))) {
		hw_timer__clear(&pit->timer);
		return;
	}
	deadline = c->start_ns + hw_clock__ns((c->rises + 1) * c->initial, PIT_HZ);
	hw_timer__set(&pit->timer, deadline > earliest ? deadline : earliest);
}

static void on_timer(void *ctx)
{
	struct pit *pit = ctx;
	struct counter *c = &pit->s.counter[0];
	uint64_t risen;

	pthread_mutex_lock(&pit->lock);
	risen = rises(c);
	if (risen != c->rises) {
		c->rises = risen;
		pit->last_interrupt_ns = hw_clock_ns();
		if (is_periodic(c))
			irq_line__pulse(&pit->irq);
		else
			irq_line__set(&pit->irq, true);
	}
	arm_timer(pit);
	pthread_mutex_unlock(&pit->lock);
}

/* Counter 0 was programmed: its output is low, or as good as low, until the next rise. */
static void restart_interrupt(struct pit *pit, const struct counter *c)
{
	if (c != &pit->s.counter[0])
		return;
	irq_line__set(&pit->irq, false);
	arm_timer(pit);
}

static void load(struct pit *pit, struct counter *c, uint16_t value)
{
	c->initial = value ? value : 0x10000;
	c->loaded = true;
	if (c->mode == ONE_SHOT || c->mode == HARD_STROBE) {
		c->running = false; /* until the gate rises, as if it had run out */
		c->elapsed = c->initial + 1;
	} else {
		start(c);
		if (!c->gate)
			stop(c);
	}
	restart_interrupt(pit, c);
}

static void write_counter(struct pit *pit, struct counter *c, uint8_t value)
{
	switch (c->access) {
	case LOW_BYTE:
		load(pit, c, value);
		break;
	case HIGH_BYTE:
		load(pit, c, (uint16_t)(value << 8));
		break;
	case BOTH_BYTES:
		if (c->high_next_write) {
			load(pit, c, (uint16_t)(value << 8 | c->low));
		} else {
			c->low = value;
			if (c->mode == TERMINAL_COUNT) {
				stop(c);
				restart_interrupt(pit, c);
			}
		}
		c->high_next_write = !c->high_next_write;
		break;
	default: /* no mode has been set */
		break;
	}
}

static uint8_t read_latch(struct counter *c)
{
	uint8_t byte;

	/* The low byte first, where both are to come. */
	if (c->access == HIGH_BYTE || (c->access == BOTH_BYTES && c->latched_bytes == 1))
		byte = (uint8_t)(c->latch >> 8);
	else
		byte = (uint8_t)c->latch;
	c->latched_bytes--;
	return byte;
}

static uint8_t read_counter(struct counter *c)
{
	uint16_t value;
	bool high;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched_bytes)
		return read_latch(c);

	value = count(c);
	high = c->access == HIGH_BYTE || (c->access == BOTH_BYTES && c->high_next_read);
	if (c->access == BOTH_BYTES)
		c->high_next_read = !c->high_next_read;
	return (uint8_t)(high ? value >> 8 : value);
}

static void latch_count(struct counter *c)
{
	if (c->latched_bytes)
		return;
	c->latch = count(c);
	c->latched_bytes = c->access == BOTH_BYTES ? 2 : 1;
}

static void latch_status(struct counter *c)
{
	if (c->status_latched)
		return;
	c->status = c->control | (output(c) ? STATUS_OUTPUT : 0) | (c->loaded ? 0 : STATUS_NULL);
	c->status_latched = true;
}

static void read_back(struct pit *pit, uint8_t command)
{
	for (unsigned int i = 0; i < NR_COUNTERS; i++) {
		if (!(command & 2u << i))
			continue;
		if (!(command & READ_BACK_NO_COUNT))
			latch_count(&pit->s.counter[i]);
		if (!(command & READ_BACK_NO_STATUS))
			latch_status(&pit->s.counter[i]);
	}
}

static void set_mode(struct pit *pit, struct counter *c, uint8_t value)
{
	uint8_t mode = value >> 1 & 7;

	*c = (struct counter){
		.control = value & 0x3f,
		.mode = mode > HARD_STROBE ? mode & 3 : mode, /* 6 and 7 are 2 and 3 */
		.access = value >> 4 & 3,
		.gate = c->gate,
	};
	restart_interrupt(pit, c);
}

static void write_control(struct pit *pit, uint8_t value)
{
	unsigned int nr = value >> 6;

	if (nr == NR_COUNTERS)
		read_back(pit, value);
	else if ((value >> 4 & 3) == LATCH)
		latch_count(&pit->s.counter[nr]);
	else
		set_mode(pit, &pit->s.counter[nr], value);
}

static void set_gate(struct pit *pit, struct counter *c, bool gate)
{
	bool rises = gate && !c->gate, falls = !gate && c->gate;

	c->gate = gate;
	if (!c->loaded)
		return;
	if (rises && is_triggered(c)) {
		start(c);
	} else if (rises) {
		c->start_ns = hw_clock_ns() - hw_clock__ns(c->elapsed, PIT_HZ);
		c->running = true;
	} else if (falls && c->mode != ONE_SHOT && c->mode != HARD_STROBE) {
		stop(c);
	}
}

static void counters_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct pit *pit = ctx;
	uint8_t *bytes = data;

	pthread_mutex_lock(&pit->lock);
	for (uint32_t i = 0; i < len; i++) {
		uint64_t nr = offset + i;

		bytes[i] = nr == CONTROL ? 0xff : read_counter(&pit->s.counter[nr]);
	}
	pthread_mutex_unlock(&pit->lock);
}

static void counters_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct pit *pit = ctx;
	const uint8_t *bytes = data;

	pthread_mutex_lock(&pit->lock);
	for (uint32_t i = 0; i < len; i++) {
		uint64_t nr = offset + i;

		if (nr == CONTROL)
			write_control(pit, bytes[i]);
		else
			write_counter(pit, &pit->s.counter[nr], bytes[i]);
	}
	pthread_mutex_unlock(&pit->lock);
}

static void port_b_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct pit *pit = ctx;
	uint8_t value;

	pthread_mutex_lock(&pit->lock);
	value = pit->s.port_b;
	if (hw_clock_ns() / REFRESH_NS & 1)
		value |= B_REFRESH;
	if (output(&pit->s.counter[SPEAKER]))
		value |= B_OUTPUT;
	pthread_mutex_unlock(&pit->lock);
	*(uint8_t *)data = value;
}

static void port_b_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct pit *pit = ctx;
	uint8_t value = *(const uint8_t *)data;

	pthread_mutex_lock(&pit->lock);
	pit->s.port_b = value & B_WRITABLE;
	set_gate(pit, &pit->s.counter[SPEAKER], value & B_GATE);
	pthread_mutex_unlock(&pit->lock);
}

static void pit_reset(struct device *dev)
{
	struct pit *pit = (struct pit *)dev;

	pthread_mutex_lock(&pit->lock);
	pit->s = (struct pit_state){
		.counter[0].gate = true,
		.counter[1].gate = true,
	};
	restart_interrupt(pit, &pit->s.counter[0]);
	pthread_mutex_unlock(&pit->lock);
}

static int pit_realize(struct device *dev)
{
	struct pit *pit = (struct pit *)dev;
	int ret = hw_timer__init(&pit->timer, dev->host->loop, on_timer, pit);

	if (ret)
		return ret;
	ret = bus__add(dev->host->bus, BUS_PIO, &pit->counters);
	if (!ret)
		ret = bus__add(dev->host->bus, BUS_PIO, &pit->port_b);
	if (ret)
		pr_fatal("%s: cannot claim ports 0x40-0x43 and 0x61: %s", dev->name,
			 strerror(-ret));
	return ret;
}

static void pit_unrealize(struct device *dev)
{
	struct pit *pit = (struct pit *)dev;

	bus__remove(dev->host->bus, BUS_PIO, &pit->counters);
	bus__remove(dev->host->bus, BUS_PIO, &pit->port_b);
	hw_timer__destroy(&pit->timer);
	pthread_mutex_destroy(&pit->lock);
	free(pit);
}

static const struct device_ops pit_ops = {
	.kind = "pit",
	.realize = pit_realize,
	.reset = pit_reset,
	.unrealize = pit_unrealize,
};

struct device *pit__create(const struct device_host *host, unsigned int gsi)
{
	struct pit *pit = calloc(1, sizeof(*pit));

	if (!pit)
		return NULL;
	pit->dev.ops = &pit_ops;
	pit->dev.host = host;
	snprintf(pit->dev.name, sizeof(pit->dev.name), "pit");
	pit->counters = (struct bus_region){ .base = PORT_COUNTERS,
					     .size = 4,
					     .read = counters_read,
					     .write = counters_write,
					     .ctx = pit,
					     .name = "timer" };
	pit->port_b = (struct bus_region){ .base = PORT_B,
					   .size = 1,
					   .read = port_b_read,
					   .write = port_b_write,
					   .ctx = pit,
					   .name = "system control port B" };
	pit->timer.fd = -1;
	irq_line__init(&pit->irq, host->irq, gsi);
	pthread_mutex_init(&pit->lock, NULL);
	return &pit->dev;
}
