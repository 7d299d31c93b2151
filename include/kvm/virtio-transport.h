/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the virtio core and a transport: virtio-pci, virtio-mmio, virtio-ccw.
 *
 * A transport is a struct device that embeds a struct virtio_transport and owns one virtio device.
 * It turns the driver's accesses to registers (or channel commands) into calls of the functions
 * below, in whatever thread they come; each takes the device's control lock by itself. The core
 * calls back through struct virtio_transport_ops.
 */
#ifndef KVM_VIRTIO_TRANSPORT_H
#define KVM_VIRTIO_TRANSPORT_H

#include "kvm/virtio.h"

struct virtio_transport;

/**
 * struct virtio_transport_ops - what the core wants of a transport; all are there
 * @signal_queue:  interrupt the driver: buffers of a queue have been used (2.3); any thread, any
 *                 lock of the device
 * @signal_config: interrupt it: the configuration has changed; any thread, any lock of the device
 * @call_fd:       an irqfd for the interrupts of a queue; -1 if the driver wants none of them,
 *                 -ENOTSUP if there is no irqfd at the moment; any thread
 * @queue_started: notifications of the queue may go straight to virtqueue__kick_fd(); under the
 *                 control lock
 * @queue_stopped: the reverse; under the control lock
 * @queue_reset:   what the driver has set up for a queue is void (2.6.1); under the control lock
 * @reset:         the same for the whole device, and no interrupt is pending; under the control
 *                 lock
 */
struct virtio_transport_ops {
	void (*signal_queue)(struct virtio_transport *t, unsigned int index);
	void (*signal_config)(struct virtio_transport *t);
	int (*call_fd)(struct virtio_transport *t, unsigned int index);
	void (*queue_started)(struct virtio_transport *t, unsigned int index, bool legacy);
	void (*queue_stopped)(struct virtio_transport *t, unsigned int index);
	void (*queue_reset)(struct virtio_transport *t, unsigned int index);
	void (*reset)(struct virtio_transport *t);
};

/**
 * struct virtio_transport - embedded in each transport
 */
struct virtio_transport {
	const struct virtio_transport_ops *ops;
	struct virtio_device *dev;
};

/**
 * virtio_device__realize - give the device its transport, thread and descriptors
 *
 * At the end of the transport's realize.
 *
 * Return: 0 or negative errno, printed.
 */
int virtio_device__realize(struct virtio_device *dev, struct virtio_transport *t);

/**
 * virtio_device__destroy - stop the device and free it, realized or not; NULL is harmless
 *
 * At the beginning of the transport's unrealize, which must have no vCPU inside its registers.
 */
void virtio_device__destroy(struct virtio_device *dev);

/**
 * virtio_device__reset - to power-on state (2.4): the machine is reset, or the driver wrote 0 to
 * the status
 */
void virtio_device__reset(struct virtio_device *dev);

/**
 * virtio_device__status - the status (2.1); without locks
 */
uint8_t virtio_device__status(struct virtio_device *dev);

/**
 * virtio_device__set_status - the driver writes the status
 * @legacy: by a legacy interface, where there is no FEATURES_OK
 *
 * Returns when what it means has been done.
 */
void virtio_device__set_status(struct virtio_device *dev, uint8_t status, bool legacy);

/**
 * virtio_device__offered - 32 of the feature bits offered
 * @select: 0 for the first 32, and so on
 * @legacy: as a legacy interface shows them
 */
uint32_t virtio_device__offered(struct virtio_device *dev, uint32_t select, bool legacy);

/**
 * virtio_device__driver_features, virtio_device__set_driver_features - the bits that the driver
 * accepts
 *
 * Ignored once they have been agreed upon.
 */
uint32_t virtio_device__driver_features(struct virtio_device *dev, uint32_t select);
void virtio_device__set_driver_features(struct virtio_device *dev, uint32_t select, uint32_t value);

/**
 * virtio_device__config_read, virtio_device__config_write - device-specific configuration (2.5)
 * @offset: anything: what is outside reads as zero
 * @len:    1 to 8
 */
void virtio_device__config_read(struct virtio_device *dev, uint64_t offset, void *data,
				uint32_t len);
void virtio_device__config_write(struct virtio_device *dev, uint64_t offset, const void *data,
				 uint32_t len);

/**
 * virtio_device__generation - of the configuration (2.5.1); without locks
 */
uint8_t virtio_device__generation(struct virtio_device *dev);

/**
 * enum virtqueue_field - what a driver reads and writes of a queue
 * @VIRTQUEUE_MAX_SIZE: entries it can have; read-only
 * @VIRTQUEUE_SIZE:     entries it shall have
 * @VIRTQUEUE_DESC:     address of the descriptors
 * @VIRTQUEUE_DRIVER:   address of the available ring or the driver event area
 * @VIRTQUEUE_DEVICE:   address of the used ring or the device event area
 * @VIRTQUEUE_ENABLE:   1 while it is set up; writing 0 is for transports that allow it, and resets
 *                      it
 * @VIRTQUEUE_RESET:    writing 1 resets it (2.6.1); reads as 0, as that is done at once
 */
enum virtqueue_field {
	VIRTQUEUE_MAX_SIZE,
	VIRTQUEUE_SIZE,
	VIRTQUEUE_DESC,
	VIRTQUEUE_DRIVER,
	VIRTQUEUE_DEVICE,
	VIRTQUEUE_ENABLE,
	VIRTQUEUE_RESET,
};

/**
 * virtqueue__get - a field of a queue
 * @index: anything: a queue that does not exist is all zeroes
 */
uint64_t virtqueue__get(struct virtio_device *dev, unsigned int index, enum virtqueue_field field);

/**
 * virtqueue__set - the driver writes a field of a queue
 * @index: anything
 * @mask:  which bits of it: half of an address may come alone
 */
void virtqueue__set(struct virtio_device *dev, unsigned int index, enum virtqueue_field field,
		    uint64_t value, uint64_t mask);

/**
 * virtqueue__legacy_pfn, virtqueue__set_legacy - where a legacy driver puts a queue, in one piece
 * (2.7.2)
 * @size:  entries
 * @pfn:   its address in units of @page; 0 gives it up
 * @page:  bytes, a power of two
 * @align: of the used ring, a power of two
 */
uint32_t virtqueue__legacy_pfn(struct virtio_device *dev, unsigned int index);
void virtqueue__set_legacy(struct virtio_device *dev, unsigned int index, unsigned int size,
			   uint32_t pfn, uint32_t page, uint32_t align);

/**
 * virtio_device__notify - the driver notifies a queue and no ioeventfd has caught it
 * @index: anything
 */
void virtio_device__notify(struct virtio_device *dev, unsigned int index, bool legacy);

/**
 * virtio_device__call_changed - what the transport's call_fd() answers has changed
 */
void virtio_device__call_changed(struct virtio_device *dev, unsigned int index);

#endif
