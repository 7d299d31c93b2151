// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory-mapped transport of virtio: registers of version 2 (Virtio 1.2, section 4.2.2) or 1
 * (4.2.4).
 *
 * Theory of operation. A page of registers of 32 bits each and a level-triggered line. The line is
 * high while a bit of InterruptStatus is set, which the driver clears by InterruptACK; both change
 * under one lock. Notifications are ioeventfds that match a queue's number written to QueueNotify;
 * where there are none, the write comes here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_mmio.h>

#include "kvm/bus.h"
#include "kvm/hw/io.h"
#include "kvm/irq.h"
#include "kvm/log.h"
#include "kvm/virtio-transport.h"

#define MAGIC	     0x74726976 /* "virt" */
#define VENDOR	     0x4d564b4c /* "LKVM" */
#define QUEUE_RESET  0x0c0	/* 4.2.2, since 1.2 */
#define PAGE	     4096u
#define NOTIFY_WIDTH 4

struct virtio_mmio {
	struct device dev;
	struct virtio_transport t;
	struct virtio_mmio_config cfg;
	struct bus_region region;
	bool *has_ioeventfd; /* of a queue; under the device's control lock */
	atomic_uint device_select, driver_select, queue_select;
	atomic_uint page_size, queue_align; /* version 1 */
	pthread_mutex_t irq_lock;	    /* the two below */
	struct irq_line line;
	uint32_t isr;
};

static struct virtio_mmio *from_transport(struct virtio_transport *t)
{
	return (struct virtio_mmio *)((char *)t - offsetof(struct virtio_mmio, t));
}

/* --- interrupts ----------------------------------------------------------------------------- */

static void change_isr(struct virtio_mmio *vm, uint32_t set, uint32_t clear)
{
	pthread_mutex_lock(&vm->irq_lock);
	vm->isr = (vm->isr | set) & ~clear;
	irq_line__set(&vm->line, vm->isr);
	pthread_mutex_unlock(&vm->irq_lock);
}

static uint32_t read_isr(struct virtio_mmio *vm)
{
	uint32_t isr;

	pthread_mutex_lock(&vm->irq_lock);
	isr = vm->isr;
	pthread_mutex_unlock(&vm->irq_lock);
	return isr;
}

static void signal_queue(struct virtio_transport *t, unsigned int index)
{
	change_isr(from_transport(t), VIRTIO_MMIO_INT_VRING, 0);
}

static void signal_config(struct virtio_transport *t)
{
	change_isr(from_transport(t), VIRTIO_MMIO_INT_CONFIG, 0);
}

/* An irqfd could raise the line, but not set InterruptStatus. */
static int call_fd(struct virtio_transport *t, unsigned int index)
{
	return -ENOTSUP;
}

/* --- what the core asks for ----------------------------------------------------------------- */

static void queue_started(struct virtio_transport *t, unsigned int index, bool legacy)
{
	struct virtio_mmio *vm = from_transport(t);
	uint64_t match = index;

	vm->has_ioeventfd[index] =
		!bus__add_ioeventfd(vm->dev.host->bus, BUS_MMIO,
				    vm->cfg.base + VIRTIO_MMIO_QUEUE_NOTIFY, NOTIFY_WIDTH, &match,
				    virtqueue__kick_fd(virtio_device__queue(t->dev, index)));
}

static void queue_stopped(struct virtio_transport *t, unsigned int index)
{
	struct virtio_mmio *vm = from_transport(t);
	uint64_t match = index;

	if (vm->has_ioeventfd[index])
		bus__remove_ioeventfd(vm->dev.host->bus, BUS_MMIO,
				      vm->cfg.base + VIRTIO_MMIO_QUEUE_NOTIFY, NOTIFY_WIDTH, &match,
				      virtqueue__kick_fd(virtio_device__queue(t->dev, index)));
	vm->has_ioeventfd[index] = false;
}

static void queue_reset(struct virtio_transport *t, unsigned int index)
{
}

static void transport_reset(struct virtio_transport *t)
{
	struct virtio_mmio *vm = from_transport(t);

	atomic_store(&vm->device_select, 0);
	atomic_store(&vm->driver_select, 0);
	atomic_store(&vm->queue_select, 0);
	atomic_store(&vm->page_size, PAGE);
	atomic_store(&vm->queue_align, PAGE);
	change_isr(vm, 0, UINT32_MAX);
}

static const struct virtio_transport_ops transport_ops = {
	.signal_queue = signal_queue,
	.signal_config = signal_config,
	.call_fd = call_fd,
	.queue_started = queue_started,
	.queue_stopped = queue_stopped,
	.queue_reset = queue_reset,
	.reset = transport_reset,
};

/* --- registers ------------------------------------------------------------------------------ */

static uint32_t read_queue(struct virtio_mmio *vm, enum virtqueue_field field)
{
	return (uint32_t)virtqueue__get(vm->t.dev, atomic_load(&vm->queue_select), field);
}

static uint32_t read_register(struct virtio_mmio *vm, uint32_t reg)
{
	struct virtio_device *dev = vm->t.dev;

	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return vm->cfg.legacy ? 1 : 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_device__offered(dev, atomic_load(&vm->device_select), vm->cfg.legacy);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return read_queue(vm, VIRTQUEUE_MAX_SIZE);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return read_isr(vm);
	case VIRTIO_MMIO_STATUS:
		return virtio_device__status(dev);
	case VIRTIO_MMIO_QUEUE_PFN:
		return vm->cfg.legacy ? virtqueue__legacy_pfn(dev, atomic_load(&vm->queue_select))
				      : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return vm->cfg.legacy ? 0 : read_queue(vm, VIRTQUEUE_ENABLE);
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return vm->cfg.legacy ? 0 : virtio_device__generation(dev);
	case VIRTIO_MMIO_SHM_LEN_LOW: /* there is no shared memory (2.10) */
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return vm->cfg.legacy ? 0 : UINT32_MAX;
	default:
		return 0;
	}
}

static void write_queue(struct virtio_mmio *vm, enum virtqueue_field field, uint32_t value,
			unsigned int shift)
{
	virtqueue__set(vm->t.dev, atomic_load(&vm->queue_select), field, (uint64_t)value << shift,
		       0xffffffffull << shift);
}

static void write_pfn(struct virtio_mmio *vm, uint32_t pfn)
{
	uint32_t align = atomic_load(&vm->queue_align);

	if (!align || align & (align - 1)) {
		virtio_device__fail(vm->t.dev, "queue alignment of %u", align);
		return;
	}
	virtqueue__set_legacy(vm->t.dev, atomic_load(&vm->queue_select),
			      read_queue(vm, VIRTQUEUE_SIZE), pfn, atomic_load(&vm->page_size),
			      align);
}

/* Registers that one version has and the other has not. Return: whether it was one. */
static bool write_legacy(struct virtio_mmio *vm, uint32_t reg, uint32_t value)
{
	switch (reg) {
	case VIRTIO_MMIO_GUEST_PAGE_SIZE:
		atomic_store(&vm->page_size, value);
		return true;
	case VIRTIO_MMIO_QUEUE_ALIGN:
		atomic_store(&vm->queue_align, value);
		return true;
	case VIRTIO_MMIO_QUEUE_PFN:
		write_pfn(vm, value);
		return true;
	default:
		return false;
	}
}

static bool write_modern(struct virtio_mmio *vm, uint32_t reg, uint32_t value)
{
	switch (reg) {
	case VIRTIO_MMIO_QUEUE_READY:
		write_queue(vm, VIRTQUEUE_ENABLE, value, 0);
		return true;
	case QUEUE_RESET:
		write_queue(vm, VIRTQUEUE_RESET, value, 0);
		return true;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		write_queue(vm, VIRTQUEUE_DESC, value, reg & 4 ? 32 : 0);
		return true;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		write_queue(vm, VIRTQUEUE_DRIVER, value, reg & 4 ? 32 : 0);
		return true;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		write_queue(vm, VIRTQUEUE_DEVICE, value, reg & 4 ? 32 : 0);
		return true;
	default:
		return false;
	}
}

static void write_register(struct virtio_mmio *vm, uint32_t reg, uint32_t value)
{
	struct virtio_device *dev = vm->t.dev;

	if (vm->cfg.legacy ? write_legacy(vm, reg, value) : write_modern(vm, reg, value))
		return;
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		atomic_store(&vm->device_select, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		atomic_store(&vm->driver_select, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_device__set_driver_features(dev, atomic_load(&vm->driver_select), value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		atomic_store(&vm->queue_select, value);
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
		write_queue(vm, VIRTQUEUE_SIZE, value, 0);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_device__notify(dev, value, vm->cfg.legacy);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		change_isr(vm, 0, value);
		break;
	case VIRTIO_MMIO_STATUS:
		/* More than a byte is not a reset that was meant. */
		if (value <= 0xff)
			virtio_device__set_status(dev, (uint8_t)value, vm->cfg.legacy);
		break;
	default:
		break;
	}
}

/* 4.2.2.2: registers are accessed as aligned words, configuration as its fields are. */
static void vm_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct virtio_mmio *vm = ctx;

	memset(data, 0, len);
	if (offset >= VIRTIO_MMIO_CONFIG)
		virtio_device__config_read(vm->t.dev, offset - VIRTIO_MMIO_CONFIG, data, len);
	else if (len == 4 && !(offset & 3))
		io__put(data, len, read_register(vm, (uint32_t)offset));
}

static void vm_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct virtio_mmio *vm = ctx;

	if (offset >= VIRTIO_MMIO_CONFIG)
		virtio_device__config_write(vm->t.dev, offset - VIRTIO_MMIO_CONFIG, data, len);
	else if (len == 4 && !(offset & 3))
		write_register(vm, (uint32_t)offset, (uint32_t)io__get(data, len));
}

/* --- life ----------------------------------------------------------------------------------- */

static int vm_realize(struct device *dev)
{
	struct virtio_mmio *vm = (struct virtio_mmio *)dev;
	int ret = bus__add(dev->host->bus, BUS_MMIO, &vm->region);

	if (ret) {
		pr_fatal("%s: cannot be at address %#llx: %s", dev->name,
			 (unsigned long long)vm->cfg.base, strerror(-ret));
		return ret;
	}
	irq_line__init(&vm->line, dev->host->irq, vm->cfg.gsi);
	return virtio_device__realize(vm->t.dev, &vm->t);
}

static void vm_reset(struct device *dev)
{
	struct virtio_mmio *vm = (struct virtio_mmio *)dev;

	virtio_device__reset(vm->t.dev);
}

static void vm_unrealize(struct device *dev)
{
	struct virtio_mmio *vm = (struct virtio_mmio *)dev;

	virtio_device__destroy(vm->t.dev);
	bus__remove(dev->host->bus, BUS_MMIO, &vm->region);
	pthread_mutex_destroy(&vm->irq_lock);
	free(vm->has_ioeventfd);
	free(vm);
}

static const struct device_ops vm_ops = {
	.kind = "virtio-mmio",
	.realize = vm_realize,
	.reset = vm_reset,
	.unrealize = vm_unrealize,
};

struct device *virtio_mmio__create(const struct device_host *host, struct virtio_device *dev,
				   const struct virtio_mmio_config *cfg)
{
	struct virtio_mmio *vm = dev ? calloc(1, sizeof(*vm)) : NULL;
	bool *has_ioeventfd = vm ? calloc(dev->nr_queues + 1, sizeof(*has_ioeventfd)) : NULL;

	if (!has_ioeventfd) {
		virtio_device__destroy(dev);
		free(vm);
		return NULL;
	}
	vm->dev = (struct device){ .ops = &vm_ops, .host = host };
	memcpy(vm->dev.name, dev->name, sizeof(vm->dev.name));
	vm->t = (struct virtio_transport){ .ops = &transport_ops, .dev = dev };
	vm->cfg = *cfg;
	vm->region = (struct bus_region){ .base = cfg->base,
					  .size = VIRTIO_MMIO_SIZE,
					  .read = vm_read,
					  .write = vm_write,
					  .ctx = vm,
					  .name = "virtio" };
	vm->has_ioeventfd = has_ioeventfd;
	atomic_init(&vm->page_size, PAGE);
	atomic_init(&vm->queue_align, PAGE);
	pthread_mutex_init(&vm->irq_lock, NULL);
	return &vm->dev;
}
