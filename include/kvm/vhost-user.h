/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front end of the vhost-user protocol: queues of a virtio device that another process serves.
 *
 * The protocol is defined by QEMU's docs/interop/vhost-user.rst. The back end maps guest RAM, which
 * therefore has to be shared memory (--mem-shared), takes notifications by eventfd and interrupts
 * the driver by eventfd; the socket carries set-up only.
 *
 * A device (virtio/fs.c is an example) connects in its constructor, because what it can offer and
 * how many queues it has depend on the back end:
 *
 *	vhost_user__create(&cfg, &fs->back_end);
 *	virtio_device__init(&fs->dev, ...);
 *	vhost_user__bind(fs->back_end, &fs->dev, features that the device knows of);
 *
 * and lets its realize, start, stop, queue_enable, queue_reset and call_changed call the function
 * of that name here.
 */
#ifndef KVM_VHOST_USER_H
#define KVM_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

struct guest_memory;
struct virtio_device;
struct virtqueue;
struct vhost_user;

#define VHOST_USER_MAX_CONFIG 256

/**
 * struct vhost_user_config - a back end to connect to
 * @name:           of the device, for messages
 * @path:           UNIX socket that the back end listens on; NULL to use @fd
 * @fd:             connected socket; taken, even on failure
 * @ram:            guest memory; must outlive the connection
 * @nr_queues:      that the device needs; fewer is an error
 * @timeout_ms:     how long it may take to answer; 0 for 10 seconds
 * @need_config:    the device's configuration comes from the back end
 * @config_changed: the back end says that its configuration has changed; in the thread of the
 * device's loop, without locks; NULL if nobody wants to know
 * @ctx:            argument of that
 */
struct vhost_user_config {
	const char *name;
	const char *path;
	int fd;
	const struct guest_memory *ram;
	unsigned int nr_queues;
	unsigned int timeout_ms;
	bool need_config;
	void (*config_changed)(void *ctx);
	void *ctx;
};

/**
 * struct vhost_user_ring - a queue as the back end gets it
 * @size:                   entries
 * @packed:                 its format
 * @desc, @driver, @device: guest-physical, as struct virtqueue_ring
 * @kick_fd:                eventfd that the driver's notifications signal
 * @call_fd:                eventfd that interrupts the driver, -1 for none
 */
struct vhost_user_ring {
	unsigned int size;
	bool packed;
	uint64_t desc, driver, device;
	int kick_fd, call_fd;
};

/**
 * vhost_user__create - connect to a back end and agree on what both can do
 * @vu: receives the connection
 *
 * Return: 0; -EINVAL if guest RAM is not shared or has more parts than the protocol allows;
 * -ENOTSUP if the back end cannot do what is needed; -ENOMEM; -ETIMEDOUT, -EPROTO, -EPIPE or the
 * errno of connect. Printed.
 */
int vhost_user__create(const struct vhost_user_config *cfg, struct vhost_user **vu);

/**
 * vhost_user__destroy - hang up; NULL is harmless
 *
 * Not while the device's loop runs, unless by that thread.
 */
void vhost_user__destroy(struct vhost_user *vu);

/**
 * vhost_user__features - what the back end offers of virtio's feature bits
 */
uint64_t vhost_user__features(const struct vhost_user *vu);

/**
 * vhost_user__max_queues - how many queues the back end can serve, UINT_MAX if it does not say
 */
unsigned int vhost_user__max_queues(const struct vhost_user *vu);

/**
 * vhost_user__get_config, vhost_user__set_config - the back end's device configuration
 * @offset, @len: within VHOST_USER_MAX_CONFIG bytes
 *
 * Any thread. The device keeps a copy: config_read must not wait for another process.
 *
 * Return: 0; -ENOTSUP if it keeps none; -EINVAL if it refuses; otherwise as vhost_user__create(),
 * not printed.
 */
int vhost_user__get_config(struct vhost_user *vu, uint32_t offset, void *data, uint32_t len);
int vhost_user__set_config(struct vhost_user *vu, uint32_t offset, const void *data, uint32_t len);

/* --- for virtio_ops --------------------------------------------------------------------------- */

/**
 * vhost_user__bind - a device that has been initialised gets its queues served
 * @known: feature bits, beyond the rings' own, that the device can pass on
 *
 * Before it goes to its transport.
 */
void vhost_user__bind(struct vhost_user *vu, struct virtio_device *dev, uint64_t known);

/**
 * vhost_user__realize - watch the connection from dev->loop
 *
 * From here on the end of the back end is the guest's to see: the device needs a reset.
 *
 * Return: 0 or negative errno, printed.
 */
int vhost_user__realize(struct vhost_user *vu);

int vhost_user__start(struct vhost_user *vu);
void vhost_user__stop(struct vhost_user *vu);
int vhost_user__queue_enable(struct vhost_user *vu, struct virtqueue *q);
void vhost_user__queue_reset(struct vhost_user *vu, struct virtqueue *q);
void vhost_user__call_changed(struct vhost_user *vu, struct virtqueue *q);

/* --- what these are made of ------------------------------------------------------------------- */

/**
 * vhost_user__set_up - tell the back end what was negotiated, and where RAM is
 *
 * Return: 0 or negative errno, printed, as are those of the following.
 */
int vhost_user__set_up(struct vhost_user *vu, uint64_t features);

/**
 * vhost_user__start_ring - have a queue served, from its beginning
 *
 * Return: 0; -EFAULT if it is not in RAM; or negative errno.
 */
int vhost_user__start_ring(struct vhost_user *vu, unsigned int index,
			   const struct vhost_user_ring *ring);

/**
 * vhost_user__stop_ring - when it returns, the back end does not touch the queue any more
 *
 * A back end that does not answer is hung up on.
 *
 * Return: 0 or negative errno.
 */
int vhost_user__stop_ring(struct vhost_user *vu, unsigned int index);

/**
 * vhost_user__set_call - interrupts of a queue go elsewhere
 */
int vhost_user__set_call(struct vhost_user *vu, unsigned int index, int call_fd);

#endif
