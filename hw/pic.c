// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two 8259A interrupt controllers, cascaded as in a PC (Intel 8259A data sheet; edge/level control:
 * Intel 82371 data sheet, registers 4D0h and 4D1h).
 *
 * Theory of operation: each chip is its registers and one question, highest(): which request, if
 * any, beats all that is in service? The answer decides its INT pin. The slave's pin is the
 * master's input 2, which follows it like a level; so a slave with more to say asks again by itself
 * once the master accepts, and one that has changed its mind leaves no request behind.
 *
 * A rising edge stays in the request register until it is acknowledged, even if the line falls
 * again: callers pulse.
 */
#include "kvm/hw/pic.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/log.h"

#define CASCADE	    2
#define CASCADE_BIT (1u << CASCADE)
#define SPURIOUS    7
#define NONE	    8

#define ICW1	     0x10
#define ICW1_IC4     0x01
#define ICW1_SINGLE  0x02
#define ICW4_AUTOEOI 0x02
#define ICW4_SFNM    0x10
#define OCW3	     0x08
#define OCW3_RIS     0x01
#define OCW3_RR	     0x02
#define OCW3_POLL    0x04
#define OCW3_SMM     0x20
#define OCW3_ESMM    0x40

enum ocw2 {
	CLEAR_ROTATE_ON_AUTOEOI,
	EOI,
	NO_OPERATION,
	SPECIFIC_EOI,
	SET_ROTATE_ON_AUTOEOI,
	ROTATE_ON_EOI,
	SET_PRIORITY,
	ROTATE_ON_SPECIFIC_EOI,
};

enum init_step { READY, WANT_ICW2, WANT_ICW3, WANT_ICW4 };

struct chip {
	uint8_t irr, isr, imr;
	uint8_t lines; /* levels of the inputs */
	uint8_t elcr;  /* inputs that are level-triggered */
	uint8_t vector_base;
	uint8_t lowest; /* the input of lowest priority; the next one up has the highest */
	uint8_t init;	/* enum init_step */
	uint8_t icw1;
	bool auto_eoi, rotate_on_auto_eoi;
	bool special_mask, special_nesting;
	bool read_isr, poll;
};

struct pic_state {
	struct chip chip[2];
	bool output;
};

/* What a port's callbacks get: which controllers, and which chip of the two. */
struct chip_port {
	struct pic *pic;
	unsigned int nr;
	struct bus_region region;
};

struct pic {
	struct device dev;
	struct chip_port port[2];
	struct bus_region elcr;
	pic_output_fn output;
	void *output_ctx;
	pthread_mutex_t lock; /* all below */
	struct pic_state s;
};

static const uint8_t elcr_writable[2] = { 0xf8, 0xde };

/* The set bit of @mask that comes first in the order of priority, as a distance from the top of it.
 */
static unsigned int distance(const struct chip *chip, uint8_t mask)
{
	for (unsigned int i = 0; i < 8; i++) {
		if (mask & 1u << (chip->lowest + 1 + i) % 8)
			return i;
	}
	return NONE;
}

static unsigned int at_distance(const struct chip *chip, unsigned int i)
{
	return (chip->lowest + 1 + i) % 8;
}

/* The input to be served next, or NONE. */
static unsigned int highest(const struct chip *chip, bool master)
{
	unsigned int request = distance(chip, chip->irr & (uint8_t)~chip->imr);
	uint8_t in_service = chip->isr;
	unsigned int limit, irq;

	if (request == NONE)
		return NONE;
	if (chip->special_mask)
		in_service &= (uint8_t)~chip->imr;
	limit = distance(chip, in_service);
	irq = at_distance(chip, request);
	if (request < limit)
		return irq;
	/* A slave in service sorts its own: what it asks for now is of higher priority. */
	if (request == limit && master && irq == CASCADE && chip->special_nesting)
		return irq;
	return NONE;
}

static void set_line(struct chip *chip, unsigned int irq, bool level)
{
	uint8_t bit = (uint8_t)(1u << irq);

	if (chip->elcr & bit)
		chip->irr = level ? chip->irr | bit : chip->irr & (uint8_t)~bit;
	else if (level && !(chip->lines & bit))
		chip->irr |= bit;
	chip->lines = level ? chip->lines | bit : chip->lines & (uint8_t)~bit;
}

/* After every change: the slave's pin into the master, the master's pin to the processor. */
static void propagate(struct pic *pic)
{
	struct chip *master = &pic->s.chip[0];
	bool level;

	if (highest(&pic->s.chip[1], false) != NONE)
		master->irr |= CASCADE_BIT;
	else
		master->irr &= (uint8_t)~CASCADE_BIT;

	level = highest(master, true) != NONE;
	if (level == pic->s.output)
		return;
	pic->s.output = level;
	pic->output(pic->output_ctx, level);
}

/* First half of INTA for one chip: the request moves into service. */
static unsigned int accept_request(struct chip *chip, bool master)
{
	unsigned int irq = highest(chip, master);
	uint8_t bit;

	if (irq == NONE)
		return NONE;
	bit = (uint8_t)(1u << irq);
	if (!(chip->elcr & bit))
		chip->irr &= (uint8_t)~bit;
	if (!chip->auto_eoi)
		chip->isr |= bit;
	else if (chip->rotate_on_auto_eoi)
		chip->lowest = (uint8_t)irq;
	return irq;
}

static uint8_t vector(const struct chip *chip, unsigned int irq)
{
	return (uint8_t)(chip->vector_base + (irq == NONE ? SPURIOUS : irq));
}

void pic__set_irq(struct device *dev, unsigned int irq, bool level)
{
	struct pic *pic = (struct pic *)dev;

	if (irq == CASCADE || irq > 15)
		return;
	pthread_mutex_lock(&pic->lock);
	set_line(&pic->s.chip[irq / 8], irq % 8, level);
	propagate(pic);
	pthread_mutex_unlock(&pic->lock);
}

bool pic__pending(struct device *dev)
{
	struct pic *pic = (struct pic *)dev;
	bool level;

	pthread_mutex_lock(&pic->lock);
	level = pic->s.output;
	pthread_mutex_unlock(&pic->lock);
	return level;
}

uint8_t pic__ack(struct device *dev)
{
	struct pic *pic = (struct pic *)dev;
	struct chip *master = &pic->s.chip[0], *slave = &pic->s.chip[1];
	unsigned int irq;
	uint8_t ret;

	pthread_mutex_lock(&pic->lock);
	irq = accept_request(master, true);
	if (irq == CASCADE)
		ret = vector(slave, accept_request(slave, false));
	else
		ret = vector(master, irq);
	propagate(pic);
	pthread_mutex_unlock(&pic->lock);
	return ret;
}

static void write_icw1(struct chip *chip, uint8_t value)
{
	uint8_t lines = chip->lines, elcr = chip->elcr;

	/* A line that is high already is no edge; one that is level-triggered still asks. */
	*chip = (struct chip){
		.lines = lines,
		.elcr = elcr,
		.irr = lines & elcr,
		.lowest = 7,
		.icw1 = value,
		.init = WANT_ICW2,
	};
}

static void write_icw4(struct chip *chip, uint8_t value)
{
	chip->auto_eoi = value & ICW4_AUTOEOI;
	chip->special_nesting = value & ICW4_SFNM;
	chip->init = READY;
}

static void write_ocw2(struct chip *chip, uint8_t value)
{
	unsigned int irq = value & 7, i;
	uint8_t in_service = chip->isr;

	switch ((enum ocw2)(value >> 5)) {
	case CLEAR_ROTATE_ON_AUTOEOI:
		chip->rotate_on_auto_eoi = false;
		break;
	case SET_ROTATE_ON_AUTOEOI:
		chip->rotate_on_auto_eoi = true;
		break;
	case EOI:
	case ROTATE_ON_EOI:
		/* In special mask mode, masked inputs wait for a specific EOI. */
		if (chip->special_mask)
			in_service &= (uint8_t)~chip->imr;
		i = distance(chip, in_service);
		if (i == NONE)
			break;
		irq = at_distance(chip, i);
		chip->isr &= (uint8_t) ~(1u << irq);
		if (value >> 5 == ROTATE_ON_EOI)
			chip->lowest = (uint8_t)irq;
		break;
	case SPECIFIC_EOI:
		chip->isr &= (uint8_t) ~(1u << irq);
		break;
	case ROTATE_ON_SPECIFIC_EOI:
		chip->isr &= (uint8_t) ~(1u << irq);
		chip->lowest = (uint8_t)irq;
		break;
	case SET_PRIORITY:
		chip->lowest = (uint8_t)irq;
		break;
	case NO_OPERATION:
		break;
	}
}

static void write_ocw3(struct chip *chip, uint8_t value)
{
	if (value & OCW3_POLL)
		chip->poll = true;
	if (value & OCW3_RR)
		chip->read_isr = value & OCW3_RIS;
	if (value & OCW3_ESMM)
		chip->special_mask = value & OCW3_SMM;
}

static void write_command(struct chip *chip, uint8_t value)
{
	if (value & ICW1)
		write_icw1(chip, value);
	else if (value & OCW3)
		write_ocw3(chip, value);
	else
		write_ocw2(chip, value);
}

static void write_data(struct chip *chip, uint8_t value)
{
	bool want_icw4 = chip->icw1 & ICW1_IC4;

	switch (chip->init) {
	case READY:
		chip->imr = value;
		break;
	case WANT_ICW2:
		chip->vector_base = value & 0xf8;
		if (!(chip->icw1 & ICW1_SINGLE))
			chip->init = WANT_ICW3;
		else
			chip->init = want_icw4 ? WANT_ICW4 : READY;
		break;
	case WANT_ICW3: /* how the chips are wired, which we know */
		chip->init = want_icw4 ? WANT_ICW4 : READY;
		break;
	case WANT_ICW4:
		write_icw4(chip, value);
		break;
	}
}

/* A read after the poll command is an INTA that says which input it was. */
static uint8_t read_poll(struct chip *chip, bool master)
{
	unsigned int irq;

	chip->poll = false;
	irq = accept_request(chip, master);
	return irq == NONE ? 0 : (uint8_t)(0x80 | irq);
}

static uint8_t read_chip(struct chip *chip, bool master, uint64_t offset)
{
	if (chip->poll)
		return read_poll(chip, master);
	if (offset)
		return chip->imr;
	return chip->read_isr ? chip->isr : chip->irr;
}

static void chip_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct chip_port *port = ctx;
	struct pic *pic = port->pic;
	uint8_t *bytes = data;

	pthread_mutex_lock(&pic->lock);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = read_chip(&pic->s.chip[port->nr], !port->nr, offset + i);
	propagate(pic);
	pthread_mutex_unlock(&pic->lock);
}

static void chip_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct chip_port *port = ctx;
	struct pic *pic = port->pic;
	const uint8_t *bytes = data;

	pthread_mutex_lock(&pic->lock);
	for (uint32_t i = 0; i < len; i++) {
		if (offset + i)
			write_data(&pic->s.chip[port->nr], bytes[i]);
		else
			write_command(&pic->s.chip[port->nr], bytes[i]);
	}
	propagate(pic);
	pthread_mutex_unlock(&pic->lock);
}

static void elcr_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct pic *pic = ctx;
	uint8_t *bytes = data;

	pthread_mutex_lock(&pic->lock);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = pic->s.chip[offset + i].elcr;
	pthread_mutex_unlock(&pic->lock);
}

static void elcr_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct pic *pic = ctx;
	const uint8_t *bytes = data;

	pthread_mutex_lock(&pic->lock);
	for (uint32_t i = 0; i < len; i++) {
		struct chip *chip = &pic->s.chip[offset + i];

		uint8_t elcr = bytes[i] & elcr_writable[offset + i];

		chip->irr &= (uint8_t) ~(chip->elcr ^ elcr);
		chip->irr |= chip->lines & elcr;
		chip->elcr = elcr;
	}
	propagate(pic);
	pthread_mutex_unlock(&pic->lock);
}

/* Until it is programmed nothing must come of a controller, so all inputs are masked. */
static void pic_reset(struct device *dev)
{
	struct pic *pic = (struct pic *)dev;

	pthread_mutex_lock(&pic->lock);
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t lines = pic->s.chip[i].lines;

		pic->s.chip[i] = (struct chip){ .lines = lines, .imr = 0xff, .lowest = 7 };
	}
	propagate(pic);
	pthread_mutex_unlock(&pic->lock);
}

static int pic_realize(struct device *dev)
{
	struct pic *pic = (struct pic *)dev;
	struct bus_region *regions[] = { &pic->port[0].region, &pic->port[1].region, &pic->elcr };

	for (unsigned int i = 0; i < 3; i++) {
		int ret = bus__add(dev->host->bus, BUS_PIO, regions[i]);

		if (ret) {
			pr_fatal("%s: cannot claim ports %#x-%#x: %s", dev->name,
				 (unsigned int)regions[i]->base, (unsigned int)regions[i]->base + 1,
				 strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static void pic_unrealize(struct device *dev)
{
	struct pic *pic = (struct pic *)dev;

	bus__remove(dev->host->bus, BUS_PIO, &pic->port[0].region);
	bus__remove(dev->host->bus, BUS_PIO, &pic->port[1].region);
	bus__remove(dev->host->bus, BUS_PIO, &pic->elcr);
	pthread_mutex_destroy(&pic->lock);
	free(pic);
}

static const struct device_ops pic_ops = {
	.kind = "pic",
	.realize = pic_realize,
	.reset = pic_reset,
	.unrealize = pic_unrealize,
};

static void init_port(struct pic *pic, unsigned int nr, uint16_t base)
{
	pic->port[nr] = (struct chip_port){
		.pic = pic,
		.nr = nr,
		.region = {
			.base = base,
			.size = 2,
			.read = chip_read,
			.write = chip_write,
			.ctx = &pic->port[nr],
			.name = nr ? "slave PIC" : "master PIC",
		},
	};
}

struct device *pic__create(const struct device_host *host, pic_output_fn output, void *ctx)
{
	struct pic *pic = calloc(1, sizeof(*pic));

	if (!pic)
		return NULL;
	pic->dev.ops = &pic_ops;
	pic->dev.host = host;
	snprintf(pic->dev.name, sizeof(pic->dev.name), "pic");
	init_port(pic, 0, 0x20);
	init_port(pic, 1, 0xa0);
	pic->elcr = (struct bus_region){
		.base = 0x4d0,
		.size = 2,
		.read = elcr_read,
		.write = elcr_write,
		.ctx = pic,
		.name = "PIC edge/level control",
	};
	pic->output = output;
	pic->output_ctx = ctx;
	pthread_mutex_init(&pic->lock, NULL);
	return &pic->dev;
}
