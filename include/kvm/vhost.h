/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues served by the host's kernel: vhost, as vhost-net, vhost-vsock and vhost-scsi share it.
 *
 * A device that uses it marks those queues with virtqueue__set_external() in its constructor, and
 * then:
 *
 *	constructor:   vhost__open(); dev->offered = … & vhost__offer(&vhost)
 *	realize:       vhost__attach()
 *	start:         vhost__start(), vhost__start_queue() for each enabled queue, then the device's own
 *		       ioctl (VHOST_NET_SET_BACKEND, VHOST_VSOCK_SET_RUNNING)
 *	stop:          the device's own ioctl, then vhost__stop_queue() for each queue
 *	queue_enable:  vhost__start_queue()
 *	queue_reset:   vhost__stop_queue()
 *	call_changed:  vhost__update_call()
 *	destroy:       vhost__close()
 *
 * All of it under the control lock of the device.
 */
#ifndef KVM_VHOST_H
#define KVM_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/virtio.h"

struct event;

/**
 * struct vhost - one device in the kernel
 * @fd:       from /dev/vhost-…, -1 if there is none
 * @path:     for messages; the caller's
 * @features: what the kernel offers (VHOST_GET_FEATURES)
 * @dev:      whose queues it serves, from vhost__attach() on
 * @err_fd:   eventfd by which the kernel says that a queue is broken, or -1
 * @err_event: where that is watched
 */
struct vhost {
	int fd;
	const char *path;
	uint64_t features;
	struct virtio_device *dev;
	int err_fd;
	struct event *err_event;
};

/**
 * vhost__open - open a device in the kernel and own it (VHOST_SET_OWNER)
 * @vhost: any contents; on failure it is closed
 * @path:  "/dev/vhost-vsock"
 *
 * Return: 0; -ENOENT, not printed, if this host has no such device (its module is not loaded); the
 * errno of open or of an ioctl, printed.
 */
int vhost__open(struct vhost *vhost, const char *path);

/**
 * vhost__offer - those of some feature bits that the kernel can serve
 * @features: such as VIRTIO_COMMON_FEATURES and the device's own
 *
 * RING_RESET is done by lkvm itself and stays. ACCESS_PLATFORM would mean an IOTLB, and
 * RING_PACKED and IN_ORDER a ring the kernel does not know: these go.
 */
uint64_t vhost__offer(const struct vhost *vhost, uint64_t features);

/**
 * vhost__attach - say which device it serves; in realize, as it watches @dev's loop
 *
 * Return: 0 or negative errno, printed.
 */
int vhost__attach(struct vhost *vhost, struct virtio_device *dev);

/**
 * vhost__start - tell the kernel what was negotiated and where guest RAM is
 * @extra: feature bits for the kernel beyond those of the driver (VHOST_NET_F_VIRTIO_NET_HDR)
 *
 * Return: 0 or negative errno; what the kernel refuses has gone to virtio_device__fail().
 */
int vhost__start(struct vhost *vhost, uint64_t extra);

/**
 * vhost__start_queue - have the kernel serve a queue from its beginning
 * @index: the kernel's number for it, counted from 0 among those it serves
 *
 * Return: 0 or negative errno, as vhost__start(): -EFAULT if the ring is not in RAM.
 */
int vhost__start_queue(struct vhost *vhost, unsigned int index, struct virtqueue *q);

/**
 * vhost__stop_queue - the reverse; when it returns the kernel does not touch the queue any more
 *
 * Harmless for a queue that was not started.
 */
void vhost__stop_queue(struct vhost *vhost, unsigned int index);

/**
 * vhost__update_call - virtqueue__call_fd() has changed
 */
void vhost__update_call(struct vhost *vhost, unsigned int index, struct virtqueue *q);

/**
 * vhost__ioctl - an ioctl of the kind of device at hand that must not fail
 * @name: for the message
 *
 * Return: its result, or negative errno after virtio_device__fail(); before vhost__attach() the
 * message is printed as fatal.
 */
int vhost__ioctl(const struct vhost *vhost, unsigned long request, void *arg, const char *name);

/**
 * vhost__close - give it back; harmless if it is not open
 *
 * In destroy, or in the constructor after a failure.
 */
void vhost__close(struct vhost *vhost);

#endif
