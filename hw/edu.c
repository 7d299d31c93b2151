// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The edu PCI device.
 *
 * Theory of operation: it computes factorials and copies between RAM and a buffer of its own, both
 * at once, in the vCPU thread that asks: a factorial modulo 2^32 is 0 from 34 on, and a copy is
 * 4096 bytes at the most. So a guest never finds it busy, but gets the interrupts it asked for.
 *
 * A transfer that leaves the buffer, reaches anything but RAM, or finds bus mastering disabled
 * moves nothing and raises no interrupt; its command bit clears like any other's.
 */
#include "kvm/hw/edu.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/memory.h"
#include "kvm/pci.h"

#define BAR_SIZE 0x100000
#define IDENT	 0x010000ed

#define REG_IDENT      0x00
#define REG_LIVENESS   0x04
#define REG_FACTORIAL  0x08
#define REG_STATUS     0x20
#define REG_IRQ_STATUS 0x24
#define REG_IRQ_RAISE  0x60
#define REG_IRQ_ACK    0x64
#define REG_DMA	       0x80 /* from here on 8 bytes are possible */
#define REG_DMA_SRC    0x80
#define REG_DMA_DST    0x88
#define REG_DMA_COUNT  0x90
#define REG_DMA_CMD    0x98

#define STATUS_IRQ    0x80
#define IRQ_FACTORIAL 0x001
#define IRQ_DMA	      0x100

#define DMA_START  0x1
#define DMA_TO_RAM 0x2
#define DMA_IRQ	   0x4

#define BUFFER_START 0x40000
#define BUFFER_SIZE  4096

#define ZERO_FROM 34 /* 34! is a multiple of 2^32 */

static const struct pci_ids edu_ids = {
	.vendor = 0x1234,
	.device = 0x11e8,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class = 0x00ff00,
	.revision = 0x10,
};

struct edu_state {
	uint32_t liveness;
	uint32_t factorial;
	uint32_t status;
	uint32_t irq_status;
	uint64_t dma_src, dma_dst, dma_count, dma_cmd;
	uint8_t buffer[BUFFER_SIZE];
};

struct edu {
	struct pci_device pci;
	struct edu_config cfg;
	pthread_mutex_t lock; /* all below */
	struct edu_state s;
};

static uint32_t factorial(uint32_t n)
{
	uint32_t product = 1;

	if (n >= ZERO_FROM)
		return 0;
	for (; n > 1; n--)
		product *= n;
	return product;
}

static void raise_irq(struct edu *edu, uint32_t bits)
{
	edu->s.irq_status |= bits;
	if (edu->s.irq_status && !pci_msi__signal(&edu->pci, 0))
		pci_device__set_intx(&edu->pci, true);
}

static void acknowledge(struct edu *edu, uint32_t bits)
{
	edu->s.irq_status &= ~bits;
	if (!edu->s.irq_status)
		pci_device__set_intx(&edu->pci, false);
}

/* The part of the buffer at bus address @at, or NULL. */
static uint8_t *buffer_at(struct edu *edu, uint64_t at, uint64_t count)
{
	uint64_t offset = at - BUFFER_START;

	if (at < BUFFER_START || offset >= BUFFER_SIZE || !count || count > BUFFER_SIZE - offset)
		return NULL;
	return &edu->s.buffer[offset];
}

static bool transfer(struct edu *edu)
{
	struct edu_state *s = &edu->s;
	const struct guest_memory *ram = edu->pci.dev.host->ram;
	bool to_ram = s->dma_cmd & DMA_TO_RAM;
	uint8_t *inside = buffer_at(edu, to_ram ? s->dma_src : s->dma_dst, s->dma_count);
	uint64_t gpa = (to_ram ? s->dma_dst : s->dma_src) & edu->cfg.dma_mask;

	if (!inside || !pci_device__is_bus_master(&edu->pci))
		return false;
	if (to_ram)
		return !guest_memory__write(ram, gpa, inside, s->dma_count);
	return !guest_memory__read(ram, gpa, inside, s->dma_count);
}

static void run_dma(struct edu *edu, uint64_t command)
{
	edu->s.dma_cmd = command & ~(uint64_t)DMA_START;
	if (!(command & DMA_START))
		return;
	if (transfer(edu) && command & DMA_IRQ)
		raise_irq(edu, IRQ_DMA);
}

static void write_register(struct edu *edu, uint64_t reg, uint64_t value)
{
	struct edu_state *s = &edu->s;

	switch (reg) {
	case REG_LIVENESS:
		s->liveness = ~(uint32_t)value;
		break;
	case REG_FACTORIAL:
		s->factorial = factorial((uint32_t)value);
		if (s->status & STATUS_IRQ)
			raise_irq(edu, IRQ_FACTORIAL);
		break;
	case REG_STATUS:
		s->status = value & STATUS_IRQ;
		break;
	case REG_IRQ_RAISE:
		raise_irq(edu, (uint32_t)value);
		break;
	case REG_IRQ_ACK:
		acknowledge(edu, (uint32_t)value);
		break;
	case REG_DMA_SRC:
		s->dma_src = value;
		break;
	case REG_DMA_DST:
		s->dma_dst = value;
		break;
	case REG_DMA_COUNT:
		s->dma_count = value;
		break;
	case REG_DMA_CMD:
		run_dma(edu, value);
		break;
	default:
		break;
	}
}

static uint64_t read_register(const struct edu *edu, uint64_t reg)
{
	const struct edu_state *s = &edu->s;

	switch (reg) {
	case REG_IDENT:
		return IDENT;
	case REG_LIVENESS:
		return s->liveness;
	case REG_FACTORIAL:
		return s->factorial;
	case REG_STATUS:
		return s->status;
	case REG_IRQ_STATUS:
		return s->irq_status;
	case REG_DMA_SRC:
		return s->dma_src;
	case REG_DMA_DST:
		return s->dma_dst;
	case REG_DMA_COUNT:
		return s->dma_count;
	case REG_DMA_CMD:
		return s->dma_cmd;
	default:
		return UINT64_MAX;
	}
}

static bool is_possible(uint64_t reg, uint32_t len)
{
	return len == 4 || (len == 8 && reg >= REG_DMA);
}

static void edu_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct edu *edu = ctx;
	uint64_t value = UINT64_MAX;

	if (is_possible(offset, len)) {
		pthread_mutex_lock(&edu->lock);
		value = read_register(edu, offset);
		pthread_mutex_unlock(&edu->lock);
	}
	io__put(data, len, value);
}

static void edu_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct edu *edu = ctx;

	if (!is_possible(offset, len))
		return;
	pthread_mutex_lock(&edu->lock);
	write_register(edu, offset, io__get(data, len));
	pthread_mutex_unlock(&edu->lock);
}

static int edu_realize(struct device *dev)
{
	struct edu *edu = (struct edu *)dev;

	return pci_device__realize(&edu->pci, edu->cfg.devfn);
}

static void edu_reset(struct device *dev)
{
	struct edu *edu = (struct edu *)dev;

	pci_device__reset(&edu->pci);
	pthread_mutex_lock(&edu->lock);
	memset(&edu->s, 0, sizeof(edu->s));
	pthread_mutex_unlock(&edu->lock);
}

static void edu_unrealize(struct device *dev)
{
	struct edu *edu = (struct edu *)dev;

	pci_device__unrealize(&edu->pci);
	pthread_mutex_destroy(&edu->lock);
	free(edu);
}

static const struct device_ops edu_ops = {
	.kind = "edu",
	.realize = edu_realize,
	.reset = edu_reset,
	.unrealize = edu_unrealize,
};

struct device *edu__create(struct pci_host *pci, const struct edu_config *cfg)
{
	struct edu *edu = calloc(1, sizeof(*edu));
	struct bus_region registers = {
		.size = BAR_SIZE,
		.read = edu_read,
		.write = edu_write,
		.ctx = edu,
		.name = "edu",
	};
	char name[24];
	int ret;

	if (!edu)
		return NULL;
	snprintf(name, sizeof(name), "edu%u", cfg->index);
	pci_device__init(&edu->pci, pci, &edu_ops, name, &edu_ids);
	pthread_mutex_init(&edu->lock, NULL);
	edu->cfg = *cfg;
	if (!edu->cfg.dma_mask)
		edu->cfg.dma_mask = EDU_DMA_MASK;

	pci__add_bar(&edu->pci, 0, PCI_BAR_MEM32, false, &registers);
	pci_config__set(&edu->pci, PCI_INTERRUPT_PIN, 1, 1);
	ret = pci_msi__init(&edu->pci, 1,
			    PCI_MSI_FLAGS_64BIT | (cfg->masking ? PCI_MSI_FLAGS_MASKBIT : 0));
	if (ret && ret != -ENOTSUP) {
		edu_unrealize(&edu->pci.dev);
		return NULL;
	}
	return &edu->pci.dev;
}
