// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Intel 8042 keyboard controller, a PS/2 keyboard, and system control port A.
 *
 * Theory of operation: everything answers at once. The controller has one output byte; the keyboard
 * keeps its answers in a queue, from which the next moves up when the output byte has been read,
 * unless the keyboard's clock is held. Each byte that arrives in the output register is an edge on
 * the interrupt line.
 *
 * There is no mouse, and the answers say so in the way that takes a driver the least time: the
 * auxiliary loopback comes back on the keyboard's side, and the auxiliary port test finds the clock
 * line stuck.
 *
 * A guest cannot be without address line 20; the gate only remembers what it was told.
 */
#include "kvm/hw/i8042.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/fate.h"
#include "kvm/irq.h"
#include "kvm/log.h"

#define PORT_DATA    0x60
#define PORT_COMMAND 0x64
#define PORT_A	     0x92

/* Status register */
#define STATUS_OBF     0x01
#define STATUS_SYSTEM  0x04
#define STATUS_COMMAND 0x08
#define STATUS_UNLOCK  0x10
#define STATUS_AUX_OBF 0x20
#define STATUS_TIMEOUT 0x40

/* Command byte: RAM location 0 */
#define CTR_KBD_INT   0x01
#define CTR_SYSTEM    0x04
#define CTR_KBD_OFF   0x10
#define CTR_AUX_OFF   0x20
#define CTR_TRANSLATE 0x40

/* Output port, as commands 0xd0 and 0xd1 see it */
#define OUT_NO_RESET 0x01
#define OUT_A20	     0x02
#define OUT_OBF	     0x10
#define OUT_IDLE     0xc0 /* the keyboard's clock and data lines, released */

/* Port 0x92 */
#define A_FAST_RESET 0x01
#define A_A20	     0x02

#define KBD_ACK	    0xfa
#define KBD_RESEND  0xfe
#define KBD_COMMAND 0xed /* the lowest of them */
#define QUEUE_SIZE  16

struct i8042_state {
	uint8_t ram[32]; /* [0] is the command byte */
	uint8_t out, out_status;
	uint8_t pending_command; /* whose argument is awaited on the data port, or 0 */
	bool last_was_command;
	bool a20;
	uint8_t port_a;
	uint8_t kbd_command; /* the keyboard's, whose argument is awaited, or 0 */
	uint8_t kbd_last;
	uint8_t scan_set;
	uint8_t queue[QUEUE_SIZE];
	uint8_t queue_head, queue_len;
};

struct i8042 {
	struct device dev;
	struct bus_region data, command, port_a;
	struct irq_line irq;
	pthread_mutex_t lock; /* all below */
	struct i8042_state s;
};

static void update_line(struct i8042 *kbc)
{
	const struct i8042_state *s = &kbc->s;

	irq_line__set(&kbc->irq, (s->out_status & (STATUS_OBF | STATUS_AUX_OBF)) == STATUS_OBF &&
					 s->ram[0] & CTR_KBD_INT);
}

/* The controller's own answers replace whatever has not been read. */
static void reply(struct i8042_state *s, uint8_t byte, uint8_t status)
{
	s->out = byte;
	s->out_status = STATUS_OBF | status;
}

static void move_up(struct i8042_state *s)
{
	if (s->out_status & STATUS_OBF || s->ram[0] & CTR_KBD_OFF || !s->queue_len)
		return;
	reply(s, s->queue[s->queue_head], 0);
	s->queue_head = (uint8_t)((s->queue_head + 1) % QUEUE_SIZE);
	s->queue_len--;
}

static void kbd_say(struct i8042_state *s, uint8_t byte)
{
	if (s->queue_len == QUEUE_SIZE)
		return;
	s->queue[(s->queue_head + s->queue_len++) % QUEUE_SIZE] = byte;
	if (byte != KBD_RESEND)
		s->kbd_last = byte;
}

static void kbd_defaults(struct i8042_state *s)
{
	s->queue_len = 0;
	s->kbd_command = 0;
	s->scan_set = 2;
}

static void kbd_identify(struct i8042_state *s)
{
	kbd_say(s, KBD_ACK);
	kbd_say(s, 0xab);
	/* 0x83 goes through the translation to set 1 like any other byte. */
	kbd_say(s, s->ram[0] & CTR_TRANSLATE ? 0x41 : 0x83);
}

static void kbd_argument(struct i8042_state *s, uint8_t command, uint8_t value)
{
	kbd_say(s, KBD_ACK);
	if (command != 0xf0)
		return; /* LEDs, typematic rate, key types: nothing comes of them */
	if (!value)
		kbd_say(s, s->scan_set);
	else if (value <= 3)
		s->scan_set = value;
}

static void kbd_write(struct i8042_state *s, uint8_t value)
{
	uint8_t awaiting = s->kbd_command;

	s->kbd_command = 0;
	if (awaiting && value < KBD_COMMAND) {
		kbd_argument(s, awaiting, value);
		return;
	}

	switch (value) {
	case 0xed:	    /* LEDs */
	case 0xf0:	    /* scan code set */
	case 0xf3:	    /* typematic rate */
	case 0xfb ... 0xfd: /* type of one key */
		s->kbd_command = value;
		kbd_say(s, KBD_ACK);
		break;
	case 0xee: /* echo */
		kbd_say(s, 0xee);
		break;
	case 0xf2:
		kbd_identify(s);
		break;
	case 0xf5: /* defaults, stop scanning */
	case 0xf6: /* defaults */
		kbd_defaults(s);
		kbd_say(s, KBD_ACK);
		break;
	case 0xf4:	    /* scan */
	case 0xf7 ... 0xfa: /* type of all keys */
		kbd_say(s, KBD_ACK);
		break;
	case 0xfe:
		kbd_say(s, s->kbd_last);
		break;
	case 0xff:
		kbd_defaults(s);
		kbd_say(s, KBD_ACK);
		kbd_say(s, 0xaa); /* self test passed */
		break;
	default:
		kbd_say(s, KBD_RESEND);
		break;
	}
}

static uint8_t output_port(const struct i8042_state *s)
{
	uint8_t value = OUT_NO_RESET | OUT_IDLE;

	if (s->a20)
		value |= OUT_A20;
	if (s->out_status & STATUS_OBF)
		value |= OUT_OBF;
	return value;
}

static void self_test(struct i8042_state *s)
{
	s->ram[0] = CTR_SYSTEM | CTR_KBD_OFF | CTR_AUX_OFF | CTR_TRANSLATE;
	reply(s, 0x55, 0);
}

/* Returns whether the processor's reset line was pulled. */
static bool run_command(struct i8042_state *s, uint8_t command)
{
	s->last_was_command = true;
	s->pending_command = 0;

	switch (command) {
	case 0x20 ... 0x3f:
		reply(s, s->ram[command & 0x1f], 0);
		break;
	case 0x60 ... 0x7f:
	case 0xd1: /* write output port */
	case 0xd2: /* write output byte */
	case 0xd3: /* the same, as if from the mouse */
	case 0xd4: /* write to the mouse */
		s->pending_command = command;
		break;
	case 0xa4: /* is there a password? */
		reply(s, 0xf1, 0);
		break;
	case 0xa7:
		s->ram[0] |= CTR_AUX_OFF;
		break;
	case 0xa8:
		s->ram[0] &= (uint8_t)~CTR_AUX_OFF;
		break;
	case 0xa9: /* test of the mouse port: clock line stuck low */
		reply(s, 0x01, 0);
		break;
	case 0xaa:
		self_test(s);
		break;
	case 0xab: /* test of the keyboard port: good */
		reply(s, 0x00, 0);
		break;
	case 0xad:
		s->ram[0] |= CTR_KBD_OFF;
		break;
	case 0xae:
		s->ram[0] &= (uint8_t)~CTR_KBD_OFF;
		break;
	case 0xc0: /* input port: not locked */
		reply(s, 0x80, 0);
		break;
	case 0xd0:
		reply(s, output_port(s), 0);
		break;
	case 0xdd:
		s->a20 = false;
		break;
	case 0xdf:
		s->a20 = true;
		break;
	case 0xf0 ... 0xff: /* pulse the output lines whose bits are 0 */
		return !(command & OUT_NO_RESET);
	default:
		break;
	}
	return false;
}

static bool write_output_port(struct i8042_state *s, uint8_t value)
{
	s->a20 = value & OUT_A20;
	return !(value & OUT_NO_RESET);
}

/* Returns whether the processor's reset line was pulled. */
static bool write_data(struct i8042_state *s, uint8_t value)
{
	uint8_t command = s->pending_command;

	s->last_was_command = false;
	s->pending_command = 0;

	switch (command) {
	case 0x60 ... 0x7f:
		s->ram[command & 0x1f] = value;
		break;
	case 0xd1:
		return write_output_port(s, value);
	case 0xd2:
	case 0xd3: /* on the keyboard's side too: there is no mouse port */
		reply(s, value, 0);
		break;
	case 0xd4: /* nobody there to take it */
		reply(s, KBD_RESEND, STATUS_AUX_OBF | STATUS_TIMEOUT);
		break;
	default:
		s->ram[0] &= (uint8_t)~CTR_KBD_OFF;
		kbd_write(s, value);
		break;
	}
	return false;
}

static void finish_write(struct i8042 *kbc, bool reset)
{
	move_up(&kbc->s);
	update_line(kbc);
	pthread_mutex_unlock(&kbc->lock);
	if (reset)
		fate__report(kbc->dev.host->fate, FATE_RESET, 0);
}

static void i8042_write_command(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct i8042 *kbc = ctx;

	pthread_mutex_lock(&kbc->lock);
	finish_write(kbc, run_command(&kbc->s, *(const uint8_t *)data));
}

static void i8042_write_data(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct i8042 *kbc = ctx;

	pthread_mutex_lock(&kbc->lock);
	finish_write(kbc, write_data(&kbc->s, *(const uint8_t *)data));
}

static void i8042_write_port_a(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct i8042 *kbc = ctx;
	uint8_t value = *(const uint8_t *)data, before;

	pthread_mutex_lock(&kbc->lock);
	before = kbc->s.port_a;
	kbc->s.port_a = value;
	kbc->s.a20 = value & A_A20;
	finish_write(kbc, value & ~before & A_FAST_RESET);
}

static void i8042_read_status(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct i8042 *kbc = ctx;
	const struct i8042_state *s = &kbc->s;
	uint8_t status;

	pthread_mutex_lock(&kbc->lock);
	status = STATUS_UNLOCK | s->out_status;
	if (s->ram[0] & CTR_SYSTEM)
		status |= STATUS_SYSTEM;
	if (s->last_was_command)
		status |= STATUS_COMMAND;
	pthread_mutex_unlock(&kbc->lock);
	*(uint8_t *)data = status;
}

static void i8042_read_data(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct i8042 *kbc = ctx;

	pthread_mutex_lock(&kbc->lock);
	*(uint8_t *)data = kbc->s.out;
	/* The line falls before it may rise for the next byte. */
	kbc->s.out_status = 0;
	update_line(kbc);
	move_up(&kbc->s);
	update_line(kbc);
	pthread_mutex_unlock(&kbc->lock);
}

static void i8042_read_port_a(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct i8042 *kbc = ctx;

	pthread_mutex_lock(&kbc->lock);
	*(uint8_t *)data = (uint8_t)((kbc->s.port_a & ~A_A20) | (kbc->s.a20 ? A_A20 : 0));
	pthread_mutex_unlock(&kbc->lock);
}

/* As firmware leaves it: tested, keyboard on with its interrupt, address line 20 open. */
static void i8042_reset(struct device *dev)
{
	struct i8042 *kbc = (struct i8042 *)dev;

	pthread_mutex_lock(&kbc->lock);
	kbc->s = (struct i8042_state){
		.ram[0] = CTR_KBD_INT | CTR_SYSTEM | CTR_AUX_OFF | CTR_TRANSLATE,
		.a20 = true,
		.scan_set = 2,
	};
	update_line(kbc);
	pthread_mutex_unlock(&kbc->lock);
}

static int i8042_realize(struct device *dev)
{
	struct i8042 *kbc = (struct i8042 *)dev;
	struct bus_region *regions[] = { &kbc->data, &kbc->command, &kbc->port_a };

	for (unsigned int i = 0; i < 3; i++) {
		int ret = bus__add(dev->host->bus, BUS_PIO, regions[i]);

		if (ret) {
			pr_fatal("%s: cannot claim port %#x: %s", dev->name,
				 (unsigned int)regions[i]->base, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static void i8042_unrealize(struct device *dev)
{
	struct i8042 *kbc = (struct i8042 *)dev;

	bus__remove(dev->host->bus, BUS_PIO, &kbc->data);
	bus__remove(dev->host->bus, BUS_PIO, &kbc->command);
	bus__remove(dev->host->bus, BUS_PIO, &kbc->port_a);
	pthread_mutex_destroy(&kbc->lock);
	free(kbc);
}

static const struct device_ops i8042_ops = {
	.kind = "i8042",
	.realize = i8042_realize,
	.reset = i8042_reset,
	.unrealize = i8042_unrealize,
};

struct device *i8042__create(const struct device_host *host, unsigned int gsi)
{
	struct i8042 *kbc = calloc(1, sizeof(*kbc));

	if (!kbc)
		return NULL;
	kbc->dev.ops = &i8042_ops;
	kbc->dev.host = host;
	snprintf(kbc->dev.name, sizeof(kbc->dev.name), "i8042");
	kbc->data = (struct bus_region){ .base = PORT_DATA,
					 .size = 1,
					 .read = i8042_read_data,
					 .write = i8042_write_data,
					 .ctx = kbc,
					 .name = "keyboard data" };
	kbc->command = (struct bus_region){ .base = PORT_COMMAND,
					    .size = 1,
					    .read = i8042_read_status,
					    .write = i8042_write_command,
					    .ctx = kbc,
					    .name = "keyboard controller" };
	kbc->port_a = (struct bus_region){ .base = PORT_A,
					   .size = 1,
					   .read = i8042_read_port_a,
					   .write = i8042_write_port_a,
					   .ctx = kbc,
					   .name = "system control port A" };
	irq_line__init(&kbc->irq, host->irq, gsi);
	pthread_mutex_init(&kbc->lock, NULL);
	return &kbc->dev;
}
