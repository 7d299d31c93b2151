// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets between guest and host by vhost-vsock: programs of the host use AF_VSOCK.
 *
 * The kernel serves the queues for packets, both or none of them. The event queue is for guests
 * that have been moved, and idle.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vhost.h>
#include <linux/virtio_vsock.h>

#include "kvm/log.h"
#include "kvm/sys.h"
#include "kvm/vhost.h"
#include "virtio/vsock-internal.h"

#define DEVICE "/dev/vhost-vsock"

struct vsock_vhost {
	struct virtio_device dev;
	struct vhost vhost;
	uint64_t guest_cid;
};

static struct vsock_vhost *to_vsock(struct virtio_device *dev)
{
	return (struct vsock_vhost *)dev;
}

static int set_running(struct vsock_vhost *v, int on)
{
	int ret = vhost__ioctl(&v->vhost, VHOST_VSOCK_SET_RUNNING, &on, "VHOST_VSOCK_SET_RUNNING");

	return ret < 0 ? ret : 0;
}

static int vsock_realize(struct virtio_device *dev)
{
	return vhost__attach(&to_vsock(dev)->vhost, dev);
}

static void vsock_stop(struct virtio_device *dev)
{
	struct vsock_vhost *v = to_vsock(dev);

	set_running(v, 0);
	vhost__stop_queue(&v->vhost, VSOCK_RX);
	vhost__stop_queue(&v->vhost, VSOCK_TX);
}

static int vsock_start(struct virtio_device *dev)
{
	struct vsock_vhost *v = to_vsock(dev);
	int ret = vhost__start(&v->vhost, 0);

	for (unsigned int i = VSOCK_RX; i <= VSOCK_TX && !ret; i++) {
		struct virtqueue *q = virtio_device__queue(dev, i);

		ret = virtqueue__is_enabled(q) ? vhost__start_queue(&v->vhost, i, q) : -EINVAL;
	}
	if (!ret)
		ret = set_running(v, 1);
	if (ret)
		vsock_stop(dev);
	return ret;
}

static void vsock_call_changed(struct virtio_device *dev, struct virtqueue *q)
{
	if (virtqueue__index(q) <= VSOCK_TX)
		vhost__update_call(&to_vsock(dev)->vhost, virtqueue__index(q), q);
}

static void vsock_config_read(struct virtio_device *dev, uint32_t offset, void *data, uint32_t len)
{
	vsock__config_read(to_vsock(dev)->guest_cid, offset, data, len);
}

static void vsock_destroy(struct virtio_device *dev)
{
	vhost__close(&to_vsock(dev)->vhost);
	virtio_device__exit(dev);
	free(dev);
}

static const struct virtio_ops vsock_ops = {
	.kind = "virtio-vsock",
	.id = VIRTIO_ID_VSOCK,
	.config_size = sizeof(struct virtio_vsock_config),
	.realize = vsock_realize,
	.start = vsock_start,
	.stop = vsock_stop,
	.call_changed = vsock_call_changed,
	.config_read = vsock_config_read,
	.destroy = vsock_destroy,
};

static int open_kernel(struct vsock_vhost *v)
{
	int ret = vhost__open(&v->vhost, DEVICE);

	if (ret == -ENOENT)
		pr_fatal("%s: this host has no %s:\n  load the module vhost_vsock, or give the "
			 "path of "
			 "a UNIX socket instead",
			 v->dev.name, DEVICE);
	if (ret)
		return ret;
	ret = sys__ioctl(v->vhost.fd, VHOST_VSOCK_SET_GUEST_CID, &v->guest_cid);
	if (ret == -EADDRINUSE)
		pr_fatal("%s: another guest of this host has the context ID %llu: choose another",
			 v->dev.name, (unsigned long long)v->guest_cid);
	else if (ret < 0)
		pr_fatal("%s: VHOST_VSOCK_SET_GUEST_CID: %s", DEVICE, strerror(-ret));
	return ret < 0 ? ret : 0;
}

int vsock_vhost__create(const struct device_host *host, const char *name,
			const struct virtio_vsock_params *params, struct virtio_device **out)
{
	struct vsock_vhost *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return -ENOMEM;
	ret = virtio_device__init(&v->dev, &vsock_ops, host, name, VSOCK_NR_QUEUES);
	if (ret) {
		free(v);
		return ret;
	}
	v->guest_cid = params->guest_cid;
	ret = open_kernel(v);
	if (ret) {
		vsock_destroy(&v->dev);
		return ret;
	}
	/* One queue cannot be reset while the kernel serves the other. */
	v->dev.offered = vhost__offer(&v->vhost, VIRTIO_COMMON_FEATURES |
							 VIRTIO_BIT(VIRTIO_VSOCK_F_SEQPACKET)) &
			 ~VIRTIO_BIT(VIRTIO_F_RING_RESET);
	virtqueue__set_external(virtio_device__queue(&v->dev, VSOCK_RX));
	virtqueue__set_external(virtio_device__queue(&v->dev, VSOCK_TX));
	*out = &v->dev;
	return 0;
}
