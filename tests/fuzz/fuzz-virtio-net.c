// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A driver of the network device that does as the input says, with a peer that sends it frames:
 * whatever is in the rings, in headers and in commands, the device stays within the guest's memory,
 * and works again after a reset.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_net.h>

#include "kvm/virtio-net.h"
#include "virtio-fuzz.h"

#define TURNS	  3
#define NR_QUEUES 3
#define PART	  0x4000u /* of memory, for each queue's ring */

struct net_fuzz {
	struct fuzz f;
	int peer;
	int turns;
};

static void on_turn(void *ctx, uint32_t events)
{
	struct net_fuzz *n = ctx;

	if (--n->turns <= 0)
		event_loop__stop(n->f.host.loop);
}

static void run(struct net_fuzz *n)
{
	int fd = eventfd(1, EFD_NONBLOCK);
	struct event *event = event__add(n->f.host.loop, fd, EPOLLIN, on_turn, n);
	uint8_t drain[4096];

	if (!event)
		abort();
	n->turns = TURNS;
	event_loop__run(n->f.host.loop);
	event__remove(event);
	close(fd);
	while (recv(n->peer, drain, sizeof(drain), MSG_DONTWAIT) > 0)
		;
}

static void set_register(struct net_fuzz *n, uint32_t reg, uint64_t value)
{
	fuzz__store(&n->f, FUZZ_MMIO + reg, 4, value & 0xffffffff);
}

static struct net_fuzz *make(void)
{
	static const struct virtio_mmio_config cfg = { .base = FUZZ_MMIO };
	struct net_fuzz *n = calloc(1, sizeof(*n));
	struct virtio_net_params params = { .mac = { 2 } };
	struct virtio_device *dev;
	int fd[2];

	if (!n || socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		abort();
	n->peer = fd[1];
	fuzz__init(&n->f, 1);
	if (net_backend__open_stream(fd[0], "peer", "net0", &params.backend))
		abort();
	dev = virtio_net__create(&n->f.host, &params);
	if (dev)
		dev->offered |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	if (device__add(&n->f.devices, virtio_mmio__create(&n->f.host, dev, &cfg)))
		abort();
	return n;
}

static void start(struct net_fuzz *n, uint64_t features, unsigned int size)
{
	bool packed = features & VIRTIO_BIT(VIRTIO_F_RING_PACKED);

	for (unsigned int status = 0; status < 4; status = status * 2 + 1)
		set_register(n, VIRTIO_MMIO_STATUS, status);
	set_register(n, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set_register(n, VIRTIO_MMIO_DRIVER_FEATURES, features >> 32);
	set_register(n, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set_register(n, VIRTIO_MMIO_DRIVER_FEATURES, features);
	set_register(n, VIRTIO_MMIO_STATUS, 11);
	for (unsigned int i = 0; i < NR_QUEUES; i++) {
		set_register(n, VIRTIO_MMIO_QUEUE_SEL, i);
		set_register(n, VIRTIO_MMIO_QUEUE_NUM, packed ? size % 32 + 1 : 1u << size % 6);
		set_register(n, VIRTIO_MMIO_QUEUE_DESC_LOW, i * PART);
		set_register(n, VIRTIO_MMIO_QUEUE_AVAIL_LOW, i * PART + 0x200);
		set_register(n, VIRTIO_MMIO_QUEUE_USED_LOW, i * PART + 0x300);
		set_register(n, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	set_register(n, VIRTIO_MMIO_STATUS, 15);
}

static void send_frame(struct net_fuzz *n, size_t len)
{
	static uint8_t frame[4 + NET_MAX_FRAME];

	if (!len)
		return;
	frame[1] = (uint8_t)(len >> 16);
	frame[2] = (uint8_t)(len >> 8);
	frame[3] = (uint8_t)len;
	/* All of it or nothing: half a frame would be another test. */
	if (send(n->peer, frame, 4 + len, MSG_DONTWAIT) != (ssize_t)(4 + len))
		run(n);
}

/* Below 0x80: something happens. Otherwise bytes are written to guest memory, as virtio-fuzz.h. */
static void play(struct net_fuzz *n, const uint8_t *data, size_t size)
{
	while (size) {
		uint8_t what = *data++;
		size_t len = what & 0x3f;
		uint32_t at;

		size--;
		if (what < 0x40) {
			if (what & 4)
				send_frame(n, (size_t)(what >> 3) * 300 + 14);
			set_register(n, VIRTIO_MMIO_QUEUE_NOTIFY, what & 3);
			run(n);
			continue;
		}
		if (what < 0x80) {
			set_register(n, VIRTIO_MMIO_QUEUE_SEL, what & 3);
			set_register(n, 0x0c0, 1); /* reset a queue */
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
		memcpy(&n->f.half[0][at], data, len);
		data += len;
		size -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct net_fuzz *n;
	uint64_t features;

	if (!n)
		n = make();
	if (size < 2)
		return 0;
	features = VIRTIO_COMMON_FEATURES | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) |
		   VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);
	if (data[0] & 1)
		features |= VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (data[0] & 2)
		features |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	if (data[0] & 4)
		features &= ~VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	if (data[0] & 8)
		features |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
	memset(n->f.half[0], 0, FUZZ_HALF);
	start(n, features, data[1]);
	play(n, data + 2, size - 2);
	set_register(n, VIRTIO_MMIO_STATUS, 0);
	return 0;
}
