/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fuzz targets of virtio have in common: a machine that is made once, and a device that reads,
 * writes and gives back whatever it is handed, in an order that the input decides.
 */
#ifndef TESTS_FUZZ_VIRTIO_FUZZ_H
#define TESTS_FUZZ_VIRTIO_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include <linux/virtio_mmio.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/event.h"
#include "kvm/fate.h"
#include "kvm/hw/io.h"
#include "kvm/irq.h"
#include "kvm/memory.h"
#include "kvm/virtio.h"

#define FUZZ_HALF 0x10000u
#define FUZZ_MMIO 0xd0000000ull
#define FUZZ_HELD 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/**
 * struct fuzz - the machine
 * @half: two adjacent regions of guest memory that are not adjacent here
 */
struct fuzz {
	struct device_host host;
	struct guest_memory ram;
	struct device_list devices;
	uint8_t *half[2];
	struct virtio_device dev;
	struct virtio_chain *held[FUZZ_HELD];
};

static inline void fuzz__notify(struct virtio_device *dev, struct virtqueue *q)
{
}

static inline void fuzz__stop(struct virtio_device *dev)
{
	struct fuzz *f = (struct fuzz *)((char *)dev - offsetof(struct fuzz, dev));

	memset(f->held, 0, sizeof(f->held));
}

static inline void fuzz__queue_reset(struct virtio_device *dev, struct virtqueue *q)
{
	fuzz__stop(dev);
}

static inline void fuzz__config_read(struct virtio_device *dev, uint32_t offset, void *data,
				     uint32_t len)
{
	if (offset + len > 16)
		abort();
	memset(data, 0x5a, len);
}

static inline void fuzz__config_write(struct virtio_device *dev, uint32_t offset, const void *data,
				      uint32_t len)
{
	if (offset + len > 16)
		abort();
}

static const struct virtio_ops fuzz_ops = {
	.kind = "fuzz",
	.id = VIRTIO_ID_RNG,
	.config_size = 16,
	.stop = fuzz__stop,
	.queue_reset = fuzz__queue_reset,
	.notify = fuzz__notify,
	.config_read = fuzz__config_read,
	.config_write = fuzz__config_write,
};

static inline void fuzz__init(struct fuzz *f, unsigned int nr_queues)
{
	guest_memory__init(&f->ram);
	for (unsigned int i = 0; i < 2; i++) {
		f->half[i] = aligned_alloc(4096, FUZZ_HALF);
		if (!f->half[i] ||
		    guest_memory__add(&f->ram, &(struct memory_region){ .gpa = i * FUZZ_HALF,
									.size = FUZZ_HALF,
									.hva = f->half[i] }))
			abort();
		memset(f->half[i], 0, FUZZ_HALF);
	}
	f->host.bus = bus__create(NULL, NULL);
	f->host.irq = irq__create(NULL);
	f->host.ram = &f->ram;
	f->host.loop = event_loop__create();
	f->host.fate = fate__create(f->host.loop);
	if (!f->host.bus || !f->host.irq || !f->host.fate ||
	    virtio_device__init(&f->dev, &fuzz_ops, &f->host, "fuzz0", nr_queues))
		abort();
	f->dev.offered |= VIRTIO_OPTIONAL_FEATURES;
}

static inline void fuzz__store(struct fuzz *f, uint64_t addr, uint32_t len, uint64_t value)
{
	uint8_t data[8];

	io__put(data, len, value);
	bus__write(f->host.bus, BUS_MMIO, addr, data, len);
}

/* Read all that may be read, write all that may be written: a sanitizer knows whether it may. */
static inline uint32_t fuzz__touch(struct virtio_chain *chain)
{
	volatile uint8_t sum = 0;

	for (unsigned int i = 0; i < chain->nr_out; i++) {
		const uint8_t *at = chain->out[i].iov_base;

		sum = (uint8_t)(sum + at[0] + at[chain->out[i].iov_len - 1]);
	}
	for (unsigned int i = 0; i < chain->nr_in; i++)
		memset(chain->in[i].iov_base, sum, chain->in[i].iov_len);
	return (uint32_t)chain->in_len;
}

/* One step of the device, as @what says. With the queue's lock. */
static inline void fuzz__step(struct fuzz *f, struct virtqueue *q, uint8_t what)
{
	struct virtio_chain **held = &f->held[what >> 3 & (FUZZ_HELD - 1)], *chain;

	switch (what & 7) {
	case 0:
	case 1:
		chain = virtqueue__pop(q);
		if (chain)
			virtqueue__push(q, chain, fuzz__touch(chain));
		break;
	case 2:
		if (!*held)
			*held = virtqueue__pop(q);
		break;
	case 3:
		if (*held)
			virtqueue__push(q, *held, fuzz__touch(*held));
		*held = NULL;
		break;
	case 4:
		chain = virtqueue__pop(q);
		if (chain)
			virtqueue__rewind(q, chain);
		break;
	case 5:
		virtqueue__publish(q);
		break;
	case 6:
		virtqueue__disable_notify(q);
		break;
	default:
		virtqueue__enable_notify(q);
		break;
	}
}

/*
 * The input: a size, then steps of the guest and the device. A step below 0x80 is the device's; any
 * other writes as many of the bytes that follow as its low bits say to a place that two of them
 * name.
 */
static inline void fuzz__play(struct fuzz *f, struct virtqueue *q, const uint8_t *data, size_t size)
{
	while (size) {
		uint8_t what = *data++;
		size_t len = what & 0x3f;
		uint32_t at;

		size--;
		if (what < 0x80) {
			if (virtqueue__lock(q)) {
				fuzz__step(f, q, what);
				virtqueue__unlock(q);
			}
			continue;
		}
		if (size < 2)
			return;
		at = (uint32_t)io__get(data, 2);
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (len > FUZZ_HALF - at)
			len = FUZZ_HALF - at;
		memcpy(&f->half[0][at], data, len);
		data += len;
		size -= len;
	}
}

static inline void fuzz__queue(const uint8_t *data, size_t size, bool packed)
{
	static const struct virtio_mmio_config cfg = { .base = FUZZ_MMIO };
	static struct fuzz *f;
	uint64_t features =
		VIRTIO_COMMON_FEATURES | (packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0);
	struct virtqueue *q;

	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			abort();
		fuzz__init(f, 1);
		if (device__add(&f->devices, virtio_mmio__create(&f->host, &f->dev, &cfg)))
			abort();
	}
	if (size < 2)
		return;
	if (data[0] & 1)
		features &= ~VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	memset(f->half[0], 0, FUZZ_HALF);
	q = virtio_device__queue(&f->dev, 0);
	for (unsigned int status = 0; status < 4; status = status * 2 + 1)
		fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_STATUS, 4, status);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 4, 1);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_DRIVER_FEATURES, 4, features >> 32);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 4, 0);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_DRIVER_FEATURES, 4, features);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_STATUS, 4, 11);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_QUEUE_NUM, 4,
		    packed ? data[1] % 32 + 1u : 1u << data[1] % 6);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_QUEUE_AVAIL_LOW, 4, 0x200);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_QUEUE_USED_LOW, 4, 0x300);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_QUEUE_READY, 4, 1);
	fuzz__store(f, FUZZ_MMIO + VIRTIO_MMIO_STATUS, 4, 15);
	fuzz__play(f, q, data + 2, size - 2);
}

#endif
