// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 16550A serial port (National Semiconductor PC16550D data sheet).
 *
 * Theory of operation: the line is infinitely fast. A byte written to THR is at the back end before
 * the write returns, so the transmitter is always empty, and THRE interrupts follow each write at
 * once. Input waits in the receive FIFO; while it is full the back end is told that there is no
 * room, so nothing is ever lost. The character timeout, which tells a driver that fewer bytes than
 * the trigger level are waiting, has no reason to wait either.
 *
 * One function computes the identification register from what is pending, and the interrupt line is
 * that, gated by OUT2 as on a PC. Each access that may change what is pending ends in
 * update_line().
 *
 * A byte goes to the back end without the lock, since a slow reader may hold it up, and before the
 * THRE interrupt that it causes, since another vCPU may answer that with the next byte.
 */
#include "kvm/hw/serial.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/serial_reg.h>

#include "kvm/bus.h"
#include "kvm/chardev.h"
#include "kvm/device.h"
#include "kvm/irq.h"
#include "kvm/log.h"

#define NR_PORTS   8
#define FIFO_SIZE  16
#define IER_BITS   (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI)
#define MCR_BITS   (UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP)
#define FCR_BITS   (UART_FCR_ENABLE_FIFO | UART_FCR_DMA_SELECT | UART_FCR_TRIGGER_MASK)
#define IIR_FIFOS  0xc0
#define MSR_ONLINE (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

struct serial_state {
	uint8_t ier, fcr, lcr, mcr, scr;
	uint8_t dll, dlm;
	uint8_t msr_lines;  /* upper half of MSR */
	uint8_t msr_deltas; /* lower half */
	bool overrun;
	bool thre_pending;
	uint8_t fifo[FIFO_SIZE];
	uint8_t fifo_head, fifo_len;
};

struct serial {
	struct device dev;
	struct bus_region region;
	struct irq_line irq;
	struct chardev *chr;
	pthread_mutex_t lock; /* all below */
	struct serial_state s;
	bool starved; /* the back end was told that there is no room */
};

static unsigned int capacity(const struct serial_state *s)
{
	return s->fcr & UART_FCR_ENABLE_FIFO ? FIFO_SIZE : 1;
}

static unsigned int trigger_level(const struct serial_state *s)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return s->fcr & UART_FCR_ENABLE_FIFO ? levels[s->fcr >> 6] : 1;
}

/* What is pending, in order of priority (data sheet, table IV). */
static uint8_t interrupt_id(const struct serial_state *s)
{
	if (s->ier & UART_IER_RLSI && s->overrun)
		return UART_IIR_RLSI;
	if (s->ier & UART_IER_RDI && s->fifo_len)
		return s->fifo_len >= trigger_level(s) ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
	if (s->ier & UART_IER_THRI && s->thre_pending)
		return UART_IIR_THRI;
	if (s->ier & UART_IER_MSI && s->msr_deltas)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void update_line(struct serial *serial)
{
	const struct serial_state *s = &serial->s;

	irq_line__set(&serial->irq, s->mcr & UART_MCR_OUT2 && interrupt_id(s) != UART_IIR_NO_INT);
}

static void put_fifo(struct serial_state *s, uint8_t byte)
{
	if (s->fifo_len == capacity(s)) {
		s->overrun = true;
		/* Without FIFO there is only the holding register to write to. */
		if (s->fcr & UART_FCR_ENABLE_FIFO)
			return;
		s->fifo_len = 0;
	}
	s->fifo[(s->fifo_head + s->fifo_len++) % FIFO_SIZE] = byte;
}

static uint8_t take_fifo(struct serial_state *s)
{
	uint8_t byte = s->fifo[s->fifo_head];

	if (s->fifo_len) {
		s->fifo_head = (uint8_t)((s->fifo_head + 1) % FIFO_SIZE);
		s->fifo_len--;
	}
	return byte;
}

/* Drivers empty the FIFO once they have begun, so the back end need not hear of each byte. */
static bool may_resume(struct serial *serial)
{
	bool resume = serial->starved && !serial->s.fifo_len && !(serial->s.mcr & UART_MCR_LOOP);

	if (resume)
		serial->starved = false;
	return resume;
}

static void set_modem_lines(struct serial_state *s, uint8_t lines)
{
	uint8_t changed = s->msr_lines ^ lines;

	/* RI counts when it falls, the others when they change. */
	if (changed & UART_MSR_CTS)
		s->msr_deltas |= UART_MSR_DCTS;
	if (changed & UART_MSR_DSR)
		s->msr_deltas |= UART_MSR_DDSR;
	if (changed & s->msr_lines & UART_MSR_RI)
		s->msr_deltas |= UART_MSR_TERI;
	if (changed & UART_MSR_DCD)
		s->msr_deltas |= UART_MSR_DDCD;
	s->msr_lines = lines;
}

static uint8_t modem_lines(uint8_t mcr)
{
	uint8_t lines = 0;

	if (!(mcr & UART_MCR_LOOP))
		return MSR_ONLINE;
	if (mcr & UART_MCR_RTS)
		lines |= UART_MSR_CTS;
	if (mcr & UART_MCR_DTR)
		lines |= UART_MSR_DSR;
	if (mcr & UART_MCR_OUT1)
		lines |= UART_MSR_RI;
	if (mcr & UART_MCR_OUT2)
		lines |= UART_MSR_DCD;
	return lines;
}

static void write_ier(struct serial_state *s, uint8_t value)
{
	/* Enabling the THRE interrupt of an empty transmitter raises it: drivers test for that. */
	if (value & ~s->ier & UART_IER_THRI)
		s->thre_pending = true;
	s->ier = value & IER_BITS;
}

static void write_fcr(struct serial_state *s, uint8_t value)
{
	uint8_t fcr = value & UART_FCR_ENABLE_FIFO ? value & FCR_BITS : 0;

	if ((fcr ^ s->fcr) & UART_FCR_ENABLE_FIFO || (fcr && value & UART_FCR_CLEAR_RCVR))
		s->fifo_len = 0;
	s->fcr = fcr;
}

static void write_mcr(struct serial_state *s, uint8_t value)
{
	s->mcr = value & MCR_BITS;
	set_modem_lines(s, modem_lines(s->mcr));
}

/* With the lock held; THR, which needs it released, is not among these. */
static void write_register(struct serial_state *s, uint64_t reg, uint8_t value)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_DLL:
		s->dll = value;
		break;
	case UART_IER:
		if (dlab)
			s->dlm = value;
		else
			write_ier(s, value);
		break;
	case UART_FCR:
		write_fcr(s, value);
		break;
	case UART_LCR:
		s->lcr = value;
		break;
	case UART_MCR:
		write_mcr(s, value);
		break;
	case UART_SCR:
		s->scr = value;
		break;
	default: /* LSR and MSR are for reading */
		break;
	}
}

static void transmit(struct serial *serial, uint8_t byte)
{
	/* The lock is free at this point; see the top of this file. */
	if (serial->chr)
		chardev__write(serial->chr, &byte, 1);

	pthread_mutex_lock(&serial->lock);
	serial->s.thre_pending = true;
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}

static void write_byte(struct serial *serial, uint64_t reg, uint8_t value)
{
	struct serial_state *s = &serial->s;
	bool resume;

	pthread_mutex_lock(&serial->lock);
	if (reg == UART_TX && !(s->lcr & UART_LCR_DLAB)) {
		if (!(s->mcr & UART_MCR_LOOP)) {
			pthread_mutex_unlock(&serial->lock);
			transmit(serial, value);
			return;
		}
		put_fifo(s, value);
		s->thre_pending = true;
	} else {
		write_register(s, reg, value);
	}
	update_line(serial);
	resume = may_resume(serial);
	pthread_mutex_unlock(&serial->lock);

	if (resume && serial->chr)
		chardev__resume(serial->chr);
}

static uint8_t read_iir(struct serial_state *s)
{
	uint8_t id = interrupt_id(s);

	if (id == UART_IIR_THRI)
		s->thre_pending = false;
	return id | (s->fcr & UART_FCR_ENABLE_FIFO ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct serial_state *s)
{
	uint8_t lsr = UART_LSR_TEMT | UART_LSR_THRE;

	if (s->fifo_len)
		lsr |= UART_LSR_DR;
	if (s->overrun)
		lsr |= UART_LSR_OE;
	s->overrun = false;
	return lsr;
}

static uint8_t read_msr(struct serial_state *s)
{
	uint8_t msr = s->msr_lines | s->msr_deltas;

	s->msr_deltas = 0;
	return msr;
}

static uint8_t read_register(struct serial_state *s, uint64_t reg)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? s->dll : take_fifo(s);
	case UART_IER:
		return dlab ? s->dlm : s->ier;
	case UART_IIR:
		return read_iir(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return read_lsr(s);
	case UART_MSR:
		return read_msr(s);
	default:
		return s->scr;
	}
}

static uint8_t read_byte(struct serial *serial, uint64_t reg)
{
	uint8_t value;
	bool resume;

	pthread_mutex_lock(&serial->lock);
	value = read_register(&serial->s, reg);
	update_line(serial);
	resume = may_resume(serial);
	pthread_mutex_unlock(&serial->lock);

	if (resume && serial->chr)
		chardev__resume(serial->chr);
	return value;
}

/* A wide access to an 8-bit device is so many narrow ones, as on the ISA bus. */
static void serial_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	uint8_t *bytes = data;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = read_byte(ctx, offset + i);
}

static void serial_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	const uint8_t *bytes = data;

	for (uint32_t i = 0; i < len; i++)
		write_byte(ctx, offset + i, bytes[i]);
}

static size_t serial_room(void *ctx)
{
	struct serial *serial = ctx;
	const struct serial_state *s = &serial->s;
	size_t room = 0;

	pthread_mutex_lock(&serial->lock);
	if (!(s->mcr & UART_MCR_LOOP) && s->fifo_len < capacity(s))
		room = capacity(s) - s->fifo_len;
	serial->starved = !room;
	pthread_mutex_unlock(&serial->lock);
	return room;
}

static void serial_receive(void *ctx, const uint8_t *data, size_t len)
{
	struct serial *serial = ctx;

	pthread_mutex_lock(&serial->lock);
	for (size_t i = 0; i < len; i++)
		put_fifo(&serial->s, data[i]);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}

static void serial_reset(struct device *dev)
{
	struct serial *serial = (struct serial *)dev;
	bool resume;

	pthread_mutex_lock(&serial->lock);
	/* The divisor is what firmware would leave, 115200 baud: early consoles divide by it. */
	serial->s = (struct serial_state){ .dll = 1, .msr_lines = MSR_ONLINE };
	update_line(serial);
	resume = may_resume(serial);
	pthread_mutex_unlock(&serial->lock);

	if (resume && serial->chr)
		chardev__resume(serial->chr);
}

static int serial_realize(struct device *dev)
{
	struct serial *serial = (struct serial *)dev;
	const struct chardev_frontend frontend = {
		.room = serial_room,
		.receive = serial_receive,
		.ctx = serial,
	};
	int ret = bus__add(dev->host->bus, BUS_PIO, &serial->region);

	if (ret) {
		pr_fatal("%s: cannot claim ports %#x-%#x: %s", dev->name,
			 (unsigned int)serial->region.base,
			 (unsigned int)serial->region.base + NR_PORTS - 1, strerror(-ret));
		return ret;
	}
	if (serial->chr)
		chardev__attach(serial->chr, &frontend);
	return 0;
}

static void serial_unrealize(struct device *dev)
{
	struct serial *serial = (struct serial *)dev;

	if (serial->chr)
		chardev__attach(serial->chr, NULL);
	bus__remove(dev->host->bus, BUS_PIO, &serial->region);
	pthread_mutex_destroy(&serial->lock);
	free(serial);
}

static const struct device_ops serial_ops = {
	.kind = "serial",
	.realize = serial_realize,
	.reset = serial_reset,
	.unrealize = serial_unrealize,
};

struct device *serial__create(const struct device_host *host, const struct serial_config *cfg)
{
	struct serial *serial = calloc(1, sizeof(*serial));

	if (!serial)
		return NULL;
	serial->dev.ops = &serial_ops;
	serial->dev.host = host;
	snprintf(serial->dev.name, sizeof(serial->dev.name), "serial%u", cfg->index);
	serial->region = (struct bus_region){
		.base = cfg->port,
		.size = NR_PORTS,
		.read = serial_read,
		.write = serial_write,
		.ctx = serial,
		.name = "serial port",
	};
	serial->chr = cfg->chr;
	irq_line__init(&serial->irq, host->irq, cfg->gsi);
	pthread_mutex_init(&serial->lock, NULL);
	return &serial->dev;
}
