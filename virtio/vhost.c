// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queues served by the host's kernel (linux/vhost.h).
 *
 * Theory of operation. The kernel gets the layout of guest RAM in terms of this process's
 * addresses, and for each queue: its size, where its three parts are (as addresses of this process,
 * found through guest_memory__at()), an eventfd that the driver's notifications signal, and one
 * that interrupts the driver. From then on requests pass this process by. To stop, the kernel is
 * asked for the position of the queue (VHOST_GET_VRING_BASE), which detaches its worker.
 *
 * What it writes to guest RAM is not reported to the dirty hook: a machine that tracks its dirty
 * pages must not use vhost.
 */
#include "kvm/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "kvm/event.h"
#include "kvm/log.h"
#include "kvm/memory.h"
#include "kvm/sys.h"

#define NEVER                                                                      \
	(VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) | VIRTIO_BIT(VIRTIO_F_RING_PACKED) | \
	 VIRTIO_BIT(VIRTIO_F_IN_ORDER))
#define OURS VIRTIO_BIT(VIRTIO_F_RING_RESET)

int vhost__ioctl(const struct vhost *vhost, unsigned long request, void *arg, const char *name)
{
	int ret = sys__ioctl(vhost->fd, request, arg);

	/* A guest can bring it about by where it puts its rings: then it is the guest's failure. */
	if (ret < 0 && vhost->dev)
		virtio_device__fail(vhost->dev, "%s: %s: %s", vhost->path, name, strerror(-ret));
	else if (ret < 0)
		pr_fatal("%s: %s: %s", vhost->path, name, strerror(-ret));
	return ret;
}

static int own(struct vhost *vhost)
{
	int ret = vhost__ioctl(vhost, VHOST_SET_OWNER, NULL, "VHOST_SET_OWNER");

	if (ret < 0)
		return ret;
	ret = vhost__ioctl(vhost, VHOST_GET_FEATURES, &vhost->features, "VHOST_GET_FEATURES");
	return ret < 0 ? ret : 0;
}

int vhost__open(struct vhost *vhost, const char *path)
{
	int ret;

	*vhost = (struct vhost){ .fd = -1, .err_fd = -1, .path = path };
	ret = sys__open(path, O_RDWR);
	if (ret == -ENOENT || ret == -ENXIO || ret == -ENODEV)
		return -ENOENT;
	if (ret < 0) {
		pr_fatal("Unable to open %s: %s%s", path, strerror(-ret),
			 ret == -EACCES ? "\n  it usually belongs to the group kvm" : "");
		return ret;
	}
	vhost->fd = ret;
	ret = own(vhost);
	if (ret)
		vhost__close(vhost);
	return ret;
}

uint64_t vhost__offer(const struct vhost *vhost, uint64_t features)
{
	return features & (vhost->features | OURS) & ~NEVER;
}

/* Edge-triggered and never read: each write is an edge. */
static void on_error(void *ctx, uint32_t events)
{
	struct vhost *vhost = ctx;

	virtio_device__fail(vhost->dev, "the kernel (%s) cannot work with a queue as it is",
			    vhost->path);
}

int vhost__attach(struct vhost *vhost, struct virtio_device *dev)
{
	int ret = sys__eventfd();

	vhost->dev = dev;
	if (ret >= 0) {
		vhost->err_fd = ret;
		vhost->err_event =
			event__add(dev->loop, vhost->err_fd, EPOLLIN | EPOLLET, on_error, vhost);
		ret = vhost->err_event ? 0 : -errno;
	}
	if (ret)
		pr_fatal("%s: cannot watch %s: %s", dev->name, vhost->path, strerror(-ret));
	return ret;
}

static int set_memory(struct vhost *vhost)
{
	const struct guest_memory *ram = vhost->dev->host->ram;
	struct vhost_memory *table;
	int ret;

	table = calloc(1, sizeof(*table) + ram->nr * sizeof(table->regions[0]));
	if (!table)
		return -ENOMEM;
	table->nregions = ram->nr;
	for (unsigned int i = 0; i < ram->nr; i++) {
		table->regions[i].guest_phys_addr = ram->region[i].gpa;
		table->regions[i].memory_size = ram->region[i].size;
		table->regions[i].userspace_addr = (uintptr_t)ram->region[i].hva;
	}
	ret = vhost__ioctl(vhost, VHOST_SET_MEM_TABLE, table, "VHOST_SET_MEM_TABLE");
	free(table);
	return ret;
}

int vhost__start(struct vhost *vhost, uint64_t extra)
{
	uint64_t features = (vhost->dev->features & vhost->features & ~NEVER) | extra;
	int ret = vhost__ioctl(vhost, VHOST_SET_FEATURES, &features, "VHOST_SET_FEATURES");

	return ret < 0 ? ret : set_memory(vhost);
}

static int set_file(struct vhost *vhost, unsigned int index, unsigned long request, int fd,
		    const char *name)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return vhost__ioctl(vhost, request, &file, name);
}

/* 2.7.2: how long the three parts of a split ring are, event indices included. */
static int find_ring(const struct vhost *vhost, const struct virtqueue *q,
		     struct vhost_vring_addr *addr)
{
	const struct guest_memory *ram = vhost->dev->host->ram;
	struct virtqueue_ring ring = virtqueue__ring(q);
	uint64_t size = ring.size;

	addr->desc_user_addr = (uintptr_t)guest_memory__at(ram, ring.desc, 16 * size);
	addr->avail_user_addr = (uintptr_t)guest_memory__at(ram, ring.driver, 6 + 2 * size);
	addr->used_user_addr = (uintptr_t)guest_memory__at(ram, ring.device, 6 + 8 * size);
	if (addr->desc_user_addr && addr->avail_user_addr && addr->used_user_addr)
		return 0;
	virtio_device__fail(vhost->dev, "queue %u: its ring is not in RAM", virtqueue__index(q));
	return -EFAULT;
}

static int set_ring(struct vhost *vhost, unsigned int index, const struct virtqueue *q)
{
	struct vhost_vring_state state = { .index = index, .num = virtqueue__ring(q).size };
	struct vhost_vring_addr addr = { .index = index };
	int ret = find_ring(vhost, q, &addr);

	if (ret)
		return ret;
	ret = vhost__ioctl(vhost, VHOST_SET_VRING_NUM, &state, "VHOST_SET_VRING_NUM");
	if (ret < 0)
		return ret;
	state.num = 0;
	ret = vhost__ioctl(vhost, VHOST_SET_VRING_BASE, &state, "VHOST_SET_VRING_BASE");
	if (ret < 0)
		return ret;
	return vhost__ioctl(vhost, VHOST_SET_VRING_ADDR, &addr, "VHOST_SET_VRING_ADDR");
}

int vhost__start_queue(struct vhost *vhost, unsigned int index, struct virtqueue *q)
{
	int ret = set_ring(vhost, index, q);

	if (ret >= 0)
		ret = set_file(vhost, index, VHOST_SET_VRING_ERR, vhost->err_fd,
			       "VHOST_SET_VRING_ERR");
	if (ret >= 0)
		ret = set_file(vhost, index, VHOST_SET_VRING_CALL, virtqueue__call_fd(q),
			       "VHOST_SET_VRING_CALL");
	if (ret >= 0)
		ret = set_file(vhost, index, VHOST_SET_VRING_KICK, virtqueue__kick_fd(q),
			       "VHOST_SET_VRING_KICK");
	return ret < 0 ? ret : 0;
}

void vhost__stop_queue(struct vhost *vhost, unsigned int index)
{
	struct vhost_vring_state state = { .index = index };

	set_file(vhost, index, VHOST_SET_VRING_KICK, VHOST_FILE_UNBIND, "VHOST_SET_VRING_KICK");
	vhost__ioctl(vhost, VHOST_GET_VRING_BASE, &state, "VHOST_GET_VRING_BASE");
	set_file(vhost, index, VHOST_SET_VRING_CALL, VHOST_FILE_UNBIND, "VHOST_SET_VRING_CALL");
}

void vhost__update_call(struct vhost *vhost, unsigned int index, struct virtqueue *q)
{
	set_file(vhost, index, VHOST_SET_VRING_CALL, virtqueue__call_fd(q), "VHOST_SET_VRING_CALL");
}

void vhost__close(struct vhost *vhost)
{
	event__remove(vhost->err_event);
	sys__close(vhost->err_fd);
	sys__close(vhost->fd);
	vhost->err_event = NULL;
	vhost->err_fd = vhost->fd = -1;
}
