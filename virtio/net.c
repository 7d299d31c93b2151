// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The network device (virtio 1.2, section 5.1).
 *
 * Theory of operation. Queues come in pairs, receive and transmit, and after them the control
 * queue. Frames go between guest memory and the back end without a copy here, virtio header and
 * all: a back end that knows the header (tap) works by it, any other is given none.
 *
 * Transmit: each notification sends what the driver has made available. A back end that is busy
 * leaves the rest in the ring until it is writable again.
 *
 * Receive: how long a frame is shows only when it has been read. So receive buffers are taken from
 * the ring in advance, until the largest frame fits that may come ("held"), and each frame is read
 * into the first of them; those that it fills go back to the driver. Should the driver have given
 * too little, the end of the frame lands in a buffer of our own ("spill") and follows as soon as
 * the driver has given more: meanwhile nothing is read, and the back end holds what it has. A frame
 * for which there never can be room is dropped.
 *
 * With vhost the rings of all pairs belong to the kernel, and only the control queue is served
 * here.
 *
 * All of it runs in the loop's thread, a bounded number of frames at a time. @want_read and
 * @want_write are touched there only, the rest of a pair under the lock of its queue.
 */
#include "kvm/virtio-net.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vhost.h>
#include <linux/virtio_net.h>

#include "kvm/log.h"
#include "kvm/vhost.h"
#include "kvm/virtio.h"

#define QUEUE_SIZE	   256
#define CTRL_SIZE	   64
#define FRAMES_AT_ONCE	   64
#define HELD_IOV	   (NET_MAX_IOV - 1) /* the last piece is the spill */
#define MAX_HELD	   VIRTIO_MAX_QUEUE_SIZE
#define CTRL_DATA_MAX	   65536 /* a table of 10,000 addresses */
#define MIN_MTU		   68	 /* 5.1.4.1 */
#define VHOST_NODE	   "/dev/vhost-net"
#define NO_CHECKSUM_FIELDS 10 /* all of the header but num_buffers */

/* What has to be 0 in each header if it was not negotiated starts at the header's beginning. */
_Static_assert(offsetof(struct virtio_net_hdr_mrg_rxbuf, num_buffers) == NO_CHECKSUM_FIELDS,
	       "layout of 5.1.6");

#define TX_OFFLOADS                                                           \
	(VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | \
	 VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN))

struct receive {
	struct virtio_chain *held[MAX_HELD];
	struct iovec iov[NET_MAX_IOV]; /* theirs, one after the other, then @spill */
	unsigned int nr_held, nr_iov;
	size_t room;	/* bytes in them */
	size_t frame;	/* length of a frame that waits for room, or 0 */
	size_t in_room; /* how much of it is in guest memory */
	uint8_t spill[NET_MAX_HEADER + NET_MAX_FRAME];
};

struct pair {
	struct virtio_net *net;
	unsigned int index;
	bool want_read, want_write;
	struct receive rx;
	struct vhost vhost;
};

struct virtio_net {
	struct virtio_device dev;
	struct net_backend *be;
	struct virtio_net_config config; /* as the driver reads it; under the configuration lock */
	bool vhost;
	unsigned int nr_pairs;
	unsigned int active; /* pairs that the driver uses */
	size_t header;
	size_t largest;		 /* frame with its header for which the driver has to have room */
	uint64_t guest_offloads; /* VIRTIO_NET_F_GUEST_… in force */
	struct pair *pair;
};

/* Frames that cannot be sent and frames for which there is no room are lost, as on any Ethernet. */

/* --- receive ----------------------------------------------------------------------------------- */

static void watch(struct pair *pair, bool want_read, bool want_write)
{
	pair->want_read = want_read;
	pair->want_write = want_write;
	net_backend__watch(pair->net->be, pair->index, want_read, want_write);
}

static bool is_mergeable(const struct virtio_net *net)
{
	return virtio_device__has(&net->dev, VIRTIO_NET_F_MRG_RXBUF);
}

/* 5.1.6.3.1: a buffer has room for the header at least, and without MRG_RXBUF for a frame. */
static bool hold(struct virtio_net *net, struct receive *rx, struct virtqueue *q,
		 struct virtio_chain *chain)
{
	if (chain->in_len < net->header) {
		virtio_device__fail(&net->dev, "a receive buffer of %llu bytes",
				    (unsigned long long)chain->in_len);
		return false;
	}
	if (rx->nr_iov + chain->nr_in > HELD_IOV) {
		if (rx->nr_held)
			virtqueue__rewind(q, chain);
		else
			virtio_device__fail(&net->dev, "a receive buffer in %u pieces",
					    chain->nr_in);
		return false;
	}
	memcpy(rx->iov + rx->nr_iov, chain->in, chain->nr_in * sizeof(*chain->in));
	rx->nr_iov += chain->nr_in;
	rx->room += chain->in_len;
	rx->held[rx->nr_held++] = chain;
	return true;
}

/* Take buffers from the ring until there is room for @want bytes; returns whether there is. */
static bool hold_room(struct virtio_net *net, struct receive *rx, struct virtqueue *q, size_t want)
{
	struct virtio_chain *chain;

	if (!is_mergeable(net) && rx->nr_held)
		return rx->room >= want;
	while (rx->room < want && rx->nr_held < MAX_HELD) {
		chain = virtqueue__pop(q);
		if (!chain || !hold(net, rx, q, chain) || !is_mergeable(net))
			break;
	}
	return rx->room >= want;
}

/* The first @nr of what is held has gone. */
static void let_go(struct receive *rx, unsigned int nr, unsigned int nr_iov, size_t room)
{
	rx->nr_held -= nr;
	rx->nr_iov -= nr_iov;
	rx->room -= room;
	memmove(rx->held, rx->held + nr, rx->nr_held * sizeof(*rx->held));
	memmove(rx->iov, rx->iov + nr_iov, rx->nr_iov * sizeof(*rx->iov));
}

static void complete_header(struct virtio_net *net, struct virtio_chain *first, unsigned int nr)
{
	static const uint8_t zero[NO_CHECKSUM_FIELDS];
	uint16_t num_buffers = (uint16_t)nr;

	/* 5.1.6.4.1: nothing in it that was not negotiated. */
	if (!net->guest_offloads)
		virtio_chain__write(first, 0, zero, sizeof(zero));
	if (net->header == NO_CHECKSUM_FIELDS)
		return;
	if (!virtio_device__is_legacy(&net->dev))
		num_buffers = htole16(num_buffers);
	virtio_chain__write(first, offsetof(struct virtio_net_hdr_mrg_rxbuf, num_buffers),
			    &num_buffers, sizeof(num_buffers));
}

/* A frame lies in the buffers held: give these back. */
static void deliver(struct virtio_net *net, struct receive *rx, struct virtqueue *q, size_t len)
{
	unsigned int nr = 0, nr_iov = 0;
	size_t room = 0;

	while (room < len) {
		room += rx->held[nr]->in_len;
		nr_iov += rx->held[nr++]->nr_in;
	}
	complete_header(net, rx->held[0], nr);
	for (unsigned int i = 0; i < nr; i++) {
		size_t part = rx->held[i]->in_len < len ? rx->held[i]->in_len : len;

		virtqueue__push(q, rx->held[i], (uint32_t)part);
		len -= part;
	}
	let_go(rx, nr, nr_iov, room);
}

/* Copy the end of a frame from where it was spilled to. */
static void unspill(struct receive *rx, size_t len)
{
	struct iovec part[NET_MAX_IOV];
	unsigned int nr =
		virtio_iov__slice(rx->iov, rx->nr_iov, rx->in_room, len - rx->in_room, part);
	size_t at = 0;

	for (unsigned int i = 0; i < nr; i++) {
		memcpy(part[i].iov_base, rx->spill + at, part[i].iov_len);
		at += part[i].iov_len;
	}
}

/* Whether the driver may yet give more buffers for a frame. */
static bool may_wait(struct virtio_net *net, struct receive *rx, struct virtqueue *q, size_t len)
{
	return is_mergeable(net) && len <= net->largest && rx->nr_held < virtqueue__size(q) &&
	       rx->nr_held < MAX_HELD && rx->nr_iov < HELD_IOV;
}

/* A frame was longer than the room; returns whether it is dealt with. */
static bool finish_frame(struct virtio_net *net, struct receive *rx, struct virtqueue *q)
{
	size_t len = rx->frame;

	if (is_mergeable(net) && hold_room(net, rx, q, len)) {
		unspill(rx, len);
		deliver(net, rx, q, len);
	} else if (may_wait(net, rx, q, len)) {
		return false;
	}
	rx->frame = 0;
	return true;
}

/* Returns whether there was a frame; -EAGAIN: no buffer for one; other negative errno: no frame. */
static int receive_frame(struct pair *pair, struct virtqueue *q)
{
	struct virtio_net *net = pair->net;
	struct receive *rx = &pair->rx;
	ssize_t len;

	if (rx->frame)
		return finish_frame(net, rx, q) ? 0 : -EAGAIN;
	hold_room(net, rx, q, net->largest);
	if (!rx->nr_held)
		return -EAGAIN;
	rx->iov[rx->nr_iov] = (struct iovec){ rx->spill, sizeof(rx->spill) };
	len = net_backend__receive(net->be, pair->index, rx->iov, rx->nr_iov + 1);
	if (len < 0)
		return -ENODATA;
	if ((size_t)len <= net->header)
		return 0;
	if ((size_t)len <= rx->room) {
		deliver(net, rx, q, (size_t)len);
		return 0;
	}
	rx->frame = (size_t)len;
	rx->in_room = rx->room;
	return finish_frame(net, rx, q) ? 0 : -EAGAIN;
}

static void receive_frames(struct pair *pair, struct virtqueue *q)
{
	bool want_read = false, again = true;
	unsigned int nr = 0;

	virtqueue__disable_notify(q);
	while (again) {
		int ret = receive_frame(pair, q);

		again = !ret && ++nr < FRAMES_AT_ONCE;
		want_read = ret != -EAGAIN;
		/* Without buffers, it is for the driver to say when there are some. */
		if (ret == -EAGAIN)
			again = virtqueue__enable_notify(q);
	}
	virtqueue__publish(q);
	watch(pair, want_read, pair->want_write);
	/* What the back end has in its hands does not make its descriptor readable. */
	if (nr == FRAMES_AT_ONCE)
		virtqueue__kick(q);
}

static struct virtqueue *receive_queue(struct pair *pair)
{
	return virtio_device__queue(&pair->net->dev, 2 * pair->index);
}

static struct virtqueue *transmit_queue(struct pair *pair)
{
	return virtio_device__queue(&pair->net->dev, 2 * pair->index + 1);
}

static void on_readable(void *ctx, unsigned int index)
{
	struct virtio_net *net = ctx;
	struct pair *pair = &net->pair[index];
	struct virtqueue *q = receive_queue(pair);

	if (!virtqueue__lock(q)) {
		watch(pair, false, pair->want_write);
		return;
	}
	receive_frames(pair, q);
	virtqueue__unlock(q);
}

/* --- transmit ---------------------------------------------------------------------------------- */

static int send_frame(struct pair *pair, const struct virtio_chain *chain)
{
	struct virtio_net *net = pair->net;

	if (chain->out_len < net->header) {
		virtio_device__fail(&net->dev, "a frame to send of %llu bytes with its header",
				    (unsigned long long)chain->out_len);
		return 0;
	}
	if (pair->index >= net->active || chain->nr_out > NET_MAX_IOV ||
	    chain->out_len < net->header + NET_MIN_FRAME ||
	    chain->out_len > net->header + NET_MAX_FRAME)
		return 0;
	return net_backend__send(net->be, pair->index, chain->out, chain->nr_out);
}

static void send_frames(struct pair *pair, struct virtqueue *q)
{
	struct virtio_chain *chain;
	unsigned int nr = 0;
	bool busy = false;

	do {
		virtqueue__disable_notify(q);
		while (!busy && nr < FRAMES_AT_ONCE && (chain = virtqueue__pop(q))) {
			busy = send_frame(pair, chain);
			if (busy) {
				virtqueue__rewind(q, chain);
				break;
			}
			virtqueue__push(q, chain, 0);
			nr++;
		}
	} while (!busy && nr < FRAMES_AT_ONCE && virtqueue__enable_notify(q));
	virtqueue__publish(q);
	watch(pair, pair->want_read, busy);
	if (nr == FRAMES_AT_ONCE && !busy)
		virtqueue__kick(q);
}

static void on_writable(void *ctx, unsigned int index)
{
	struct virtio_net *net = ctx;
	struct pair *pair = &net->pair[index];
	struct virtqueue *q = transmit_queue(pair);

	if (!virtqueue__lock(q)) {
		watch(pair, pair->want_read, false);
		return;
	}
	send_frames(pair, q);
	virtqueue__unlock(q);
}

/* --- link -------------------------------------------------------------------------------------- */

static void on_link(void *ctx, bool up)
{
	struct virtio_net *net = ctx;

	virtio_device__config_begin(&net->dev);
	net->config.status = htole16(up ? VIRTIO_NET_S_LINK_UP : 0);
	virtio_device__config_end(&net->dev);
}

/* --- offloads and pairs ------------------------------------------------------------------------ */

static unsigned int backend_offloads(uint64_t features)
{
	return (features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) ? NET_OFFLOAD_CSUM : 0) |
	       (features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) ? NET_OFFLOAD_TSO4 : 0) |
	       (features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) ? NET_OFFLOAD_TSO6 : 0) |
	       (features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) ? NET_OFFLOAD_ECN : 0);
}

static uint64_t guest_features(unsigned int offloads)
{
	return (offloads & NET_OFFLOAD_CSUM ? VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) : 0) |
	       (offloads & NET_OFFLOAD_TSO4 ? VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) : 0) |
	       (offloads & NET_OFFLOAD_TSO6 ? VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) : 0) |
	       (offloads & NET_OFFLOAD_ECN ? VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) : 0);
}

static int configure(struct virtio_net *net, uint64_t guest_offloads)
{
	const struct net_info *info = net_backend__info(net->be);
	unsigned int offloads = backend_offloads(guest_offloads);
	int ret = net_backend__configure(net->be, net->header, !virtio_device__is_legacy(&net->dev),
					 offloads);

	if (ret)
		return ret;
	net->guest_offloads = guest_offloads;
	if (offloads & (NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6))
		net->largest = net->header + NET_MAX_FRAME;
	else
		net->largest = net->header + NET_ETHERNET + (info->mtu ? info->mtu : 1500);
	return 0;
}

static int set_vhost_backend(struct pair *pair, unsigned int ring, bool on)
{
	struct vhost_vring_file file = {
		.index = ring,
		.fd = on ? net_backend__tap_fd(pair->net->be, pair->index) : -1,
	};
	int ret = vhost__ioctl(&pair->vhost, VHOST_NET_SET_BACKEND, &file, "VHOST_NET_SET_BACKEND");

	return ret < 0 ? ret : 0;
}

static bool is_set_up(struct pair *pair)
{
	return virtqueue__is_enabled(receive_queue(pair)) &&
	       virtqueue__is_enabled(transmit_queue(pair));
}

static void pause_vhost(struct pair *pair)
{
	set_vhost_backend(pair, 0, false);
	set_vhost_backend(pair, 1, false);
}

static int resume_vhost(struct pair *pair)
{
	int ret = set_vhost_backend(pair, 0, true);

	return ret ? ret : set_vhost_backend(pair, 1, true);
}

/* 5.1.6.5.5: from now on the driver uses that many pairs. */
static int set_pairs(struct virtio_net *net, unsigned int nr)
{
	int ret = 0;

	/* The kernel lets go of a queue of the interface before that is detached. */
	for (unsigned int i = nr; net->vhost && i < net->active; i++)
		pause_vhost(&net->pair[i]);
	ret = net_backend__set_pairs(net->be, nr);
	for (unsigned int i = net->active; net->vhost && i < nr && !ret; i++) {
		if (is_set_up(&net->pair[i]))
			ret = resume_vhost(&net->pair[i]);
	}
	net->active = nr;
	/* What the back end watched for it has been forgotten. */
	for (unsigned int i = 0; i < net->nr_pairs; i++)
		net->pair[i].want_read = net->pair[i].want_write = false;
	for (unsigned int i = 0; i < 2 * nr && !net->vhost; i++)
		virtqueue__kick(virtio_device__queue(&net->dev, i));
	return ret;
}

/* --- control queue (5.1.6.5) ------------------------------------------------------------------- */

/* RX modes are hints to filter less (5.1.6.5.1): nothing is filtered here at all. */
static bool is_rx_mode(uint8_t command, size_t len)
{
	return (command == VIRTIO_NET_CTRL_RX_PROMISC || command == VIRTIO_NET_CTRL_RX_ALLMULTI) &&
	       len == 1;
}

static bool set_mac(struct virtio_net *net, const uint8_t *data, size_t len)
{
	if (len != NET_MAC_LEN)
		return false;
	virtio_device__config_begin(&net->dev);
	memcpy(net->config.mac, data, NET_MAC_LEN);
	virtio_device__config_end(&net->dev);
	return true;
}

/* Two tables, each with its number of entries in front (5.1.6.5.2.1). */
static bool is_mac_table(const uint8_t *data, size_t len)
{
	for (unsigned int table = 0; table < 2; table++) {
		uint32_t entries;

		if (len < sizeof(entries))
			return false;
		memcpy(&entries, data, sizeof(entries));
		entries = le32toh(entries);
		len -= sizeof(entries);
		data += sizeof(entries);
		if (entries > len / NET_MAC_LEN)
			return false;
		len -= entries * NET_MAC_LEN;
		data += entries * NET_MAC_LEN;
	}
	return !len;
}

static bool control_mac(struct virtio_net *net, uint8_t command, const uint8_t *data, size_t len)
{
	if (command == VIRTIO_NET_CTRL_MAC_ADDR_SET &&
	    virtio_device__has(&net->dev, VIRTIO_NET_F_CTRL_MAC_ADDR))
		return set_mac(net, data, len);
	return command == VIRTIO_NET_CTRL_MAC_TABLE_SET &&
	       virtio_device__has(&net->dev, VIRTIO_NET_F_CTRL_RX) && is_mac_table(data, len);
}

static bool control_pairs(struct virtio_net *net, uint8_t command, const uint8_t *data, size_t len)
{
	unsigned int nr;

	if (command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || len != 2 ||
	    !virtio_device__has(&net->dev, VIRTIO_NET_F_MQ))
		return false;
	nr = data[0] | (unsigned int)data[1] << 8;
	return nr && nr <= net->nr_pairs && !set_pairs(net, nr);
}

static bool control_offloads(struct virtio_net *net, uint8_t command, const uint8_t *data,
			     size_t len)
{
	uint64_t offloads;

	if (command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || len != sizeof(offloads) ||
	    !virtio_device__has(&net->dev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))
		return false;
	memcpy(&offloads, data, sizeof(offloads));
	offloads = le64toh(offloads);
	if (offloads & ~(net->dev.features & guest_features(~0u)))
		return false;
	return !configure(net, offloads);
}

static bool control(struct virtio_net *net, const struct virtio_net_ctrl_hdr *header,
		    const uint8_t *data, size_t len)
{
	switch (header->class) {
	case VIRTIO_NET_CTRL_RX:
		return virtio_device__has(&net->dev, VIRTIO_NET_F_CTRL_RX) &&
		       is_rx_mode(header->cmd, len);
	case VIRTIO_NET_CTRL_MAC:
		return control_mac(net, header->cmd, data, len);
	case VIRTIO_NET_CTRL_MQ:
		return control_pairs(net, header->cmd, data, len);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return control_offloads(net, header->cmd, data, len);
	default:
		return false;
	}
}

static void control_chain(struct virtio_net *net, struct virtqueue *q, struct virtio_chain *chain)
{
	virtio_net_ctrl_ack ack = VIRTIO_NET_ERR;
	struct virtio_net_ctrl_hdr header;
	uint8_t *data = NULL;
	size_t len;

	if (chain->out_len < sizeof(header) || chain->in_len < sizeof(ack)) {
		virtio_device__fail(&net->dev, "a control command without header or status");
		return;
	}
	virtio_chain__read(chain, 0, &header, sizeof(header));
	len = chain->out_len - sizeof(header);
	if (len <= CTRL_DATA_MAX)
		data = malloc(len + 1);
	if (data) {
		virtio_chain__read(chain, sizeof(header), data, len);
		if (control(net, &header, data, len))
			ack = VIRTIO_NET_OK;
	}
	free(data);
	virtio_chain__write(chain, 0, &ack, sizeof(ack));
	virtqueue__push(q, chain, sizeof(ack));
}

static void run_control(struct virtio_net *net, struct virtqueue *q)
{
	struct virtio_chain *chain;
	unsigned int nr = 0;

	do {
		virtqueue__disable_notify(q);
		while (nr < CTRL_SIZE && (chain = virtqueue__pop(q))) {
			control_chain(net, q, chain);
			nr++;
		}
	} while (nr < CTRL_SIZE && virtqueue__enable_notify(q));
	virtqueue__publish(q);
	if (nr == CTRL_SIZE)
		virtqueue__kick(q);
}

/* --- what the core asks for -------------------------------------------------------------------- */

/* 5.1.2: the control queue follows the last pair, of which without MQ there is one. */
static unsigned int control_index(const struct virtio_net *net)
{
	return virtio_device__has(&net->dev, VIRTIO_NET_F_MQ) ? 2 * net->nr_pairs : 2;
}

static void net_notify(struct virtio_device *dev, struct virtqueue *q)
{
	struct virtio_net *net = (struct virtio_net *)dev;
	unsigned int index = virtqueue__index(q);
	struct pair *pair;

	if (index == control_index(net)) {
		if (virtio_device__has(dev, VIRTIO_NET_F_CTRL_VQ))
			run_control(net, q);
		return;
	}
	if (index >= 2 * net->nr_pairs)
		return;
	pair = &net->pair[index / 2];
	if (index % 2 && !pair->want_write)
		send_frames(pair, q);
	else if (!(index % 2) && pair->index < net->active)
		receive_frames(pair, q);
}

static bool needs(uint64_t features, unsigned int feature, uint64_t one_of)
{
	return !(features & VIRTIO_BIT(feature)) || features & one_of;
}

/* 5.1.3.1 */
static bool net_accept_features(struct virtio_device *dev, uint64_t features)
{
	struct virtio_net *net = (struct virtio_net *)dev;
	const uint64_t guest_csum = VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM);
	const uint64_t csum = VIRTIO_BIT(VIRTIO_NET_F_CSUM);
	const uint64_t ctrl = VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ);

	/* The control queue would be where the kernel serves a receive queue. */
	if (net->vhost && net->nr_pairs > 1 && features & ctrl &&
	    !(features & VIRTIO_BIT(VIRTIO_NET_F_MQ)))
		return false;
	return needs(features, VIRTIO_NET_F_GUEST_TSO4, guest_csum) &&
	       needs(features, VIRTIO_NET_F_GUEST_TSO6, guest_csum) &&
	       needs(features, VIRTIO_NET_F_GUEST_ECN,
		     VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6)) &&
	       needs(features, VIRTIO_NET_F_HOST_TSO4, csum) &&
	       needs(features, VIRTIO_NET_F_HOST_TSO6, csum) &&
	       needs(features, VIRTIO_NET_F_HOST_ECN,
		     VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6)) &&
	       needs(features, VIRTIO_NET_F_CTRL_RX, ctrl) &&
	       needs(features, VIRTIO_NET_F_CTRL_MAC_ADDR, ctrl) &&
	       needs(features, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, ctrl) &&
	       needs(features, VIRTIO_NET_F_MQ, ctrl);
}

static void stop_vhost(struct virtio_net *net)
{
	for (unsigned int i = 0; i < net->nr_pairs; i++) {
		if (!is_set_up(&net->pair[i]))
			continue;
		pause_vhost(&net->pair[i]);
		vhost__stop_queue(&net->pair[i].vhost, 0);
		vhost__stop_queue(&net->pair[i].vhost, 1);
	}
}

static int start_vhost_pair(struct pair *pair)
{
	int ret = vhost__start(&pair->vhost, 0);

	if (!ret)
		ret = vhost__start_queue(&pair->vhost, 0, receive_queue(pair));
	if (!ret)
		ret = vhost__start_queue(&pair->vhost, 1, transmit_queue(pair));
	if (!ret && pair->index < pair->net->active)
		ret = resume_vhost(pair);
	return ret;
}

static int start_vhost(struct virtio_net *net)
{
	int ret = 0;

	for (unsigned int i = 0; i < net->nr_pairs && !ret; i++) {
		if (is_set_up(&net->pair[i]))
			ret = start_vhost_pair(&net->pair[i]);
	}
	if (ret)
		stop_vhost(net);
	return ret;
}

static const struct net_frontend frontend = {
	.readable = on_readable,
	.writable = on_writable,
	.link = on_link,
};

static int net_start(struct virtio_device *dev)
{
	struct virtio_net *net = (struct virtio_net *)dev;
	struct net_frontend front = frontend;
	int ret;

	front.ctx = net;
	net->active = 1;
	net->header = virtio_device__is_legacy(dev) && !is_mergeable(net) ? NET_LEGACY_HEADER
									  : NET_MAX_HEADER;
	ret = configure(net, dev->features & guest_features(~0u));
	if (!ret)
		ret = net_backend__set_pairs(net->be, net->active);
	if (!ret)
		ret = net_backend__attach(net->be, dev->loop, &front);
	if (!ret && net->vhost) {
		ret = start_vhost(net);
		if (ret)
			net_backend__detach(net->be);
	}
	return ret;
}

static void forget_receive(struct receive *rx)
{
	rx->nr_held = rx->nr_iov = 0;
	rx->room = rx->frame = 0;
}

static void net_stop(struct virtio_device *dev)
{
	struct virtio_net *net = (struct virtio_net *)dev;

	if (net->vhost)
		stop_vhost(net);
	net_backend__detach(net->be);
	for (unsigned int i = 0; i < net->nr_pairs; i++) {
		forget_receive(&net->pair[i].rx);
		net->pair[i].want_read = net->pair[i].want_write = false;
	}
}

static struct pair *vhost_pair(struct virtio_net *net, struct virtqueue *q)
{
	unsigned int index = virtqueue__index(q);

	return net->vhost && index < 2 * net->nr_pairs ? &net->pair[index / 2] : NULL;
}

static int net_queue_enable(struct virtio_device *dev, struct virtqueue *q)
{
	struct pair *pair = vhost_pair((struct virtio_net *)dev, q);
	unsigned int ring = virtqueue__index(q) % 2;
	int ret;

	if (!pair)
		return 0;
	ret = vhost__start_queue(&pair->vhost, ring, q);
	if (!ret && pair->index < pair->net->active)
		ret = set_vhost_backend(pair, ring, true);
	return ret;
}

static void net_queue_reset(struct virtio_device *dev, struct virtqueue *q)
{
	struct virtio_net *net = (struct virtio_net *)dev;
	struct pair *pair = vhost_pair(net, q);
	unsigned int index = virtqueue__index(q);

	if (pair) {
		set_vhost_backend(pair, index % 2, false);
		vhost__stop_queue(&pair->vhost, index % 2);
	} else if (!(index % 2) && index < 2 * net->nr_pairs) {
		forget_receive(&net->pair[index / 2].rx);
	}
}

static void net_call_changed(struct virtio_device *dev, struct virtqueue *q)
{
	struct pair *pair = vhost_pair((struct virtio_net *)dev, q);

	if (pair)
		vhost__update_call(&pair->vhost, virtqueue__index(q) % 2, q);
}

static void net_config_read(struct virtio_device *dev, uint32_t offset, void *data, uint32_t len)
{
	memcpy(data, (const uint8_t *)&((struct virtio_net *)dev)->config + offset, len);
}

static int net_realize(struct virtio_device *dev)
{
	struct virtio_net *net = (struct virtio_net *)dev;
	int ret = 0;

	for (unsigned int i = 0; net->vhost && i < net->nr_pairs && !ret; i++)
		ret = vhost__attach(&net->pair[i].vhost, dev);
	return ret;
}

static void free_net(struct virtio_net *net)
{
	for (unsigned int i = 0; net->pair && i < net->nr_pairs; i++)
		vhost__close(&net->pair[i].vhost);
	net_backend__close(net->be);
	free(net->pair);
	free(net);
}

static void net_destroy(struct virtio_device *dev)
{
	struct virtio_net *net = (struct virtio_net *)dev;

	for (unsigned int i = 0; i < net->nr_pairs; i++)
		vhost__close(&net->pair[i].vhost);
	virtio_device__exit(dev);
	free_net(net);
}

static const struct virtio_ops net_ops = {
	.kind = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000, /* Ethernet controller */
	.config_size = offsetof(struct virtio_net_config, speed),
	.realize = net_realize,
	.accept_features = net_accept_features,
	.start = net_start,
	.stop = net_stop,
	.queue_enable = net_queue_enable,
	.queue_reset = net_queue_reset,
	.notify = net_notify,
	.call_changed = net_call_changed,
	.config_read = net_config_read,
	.destroy = net_destroy,
};

/* --- making one -------------------------------------------------------------------------------- */

static void describe(struct virtio_net *net, const struct virtio_net_params *params)
{
	const struct net_info *info = net_backend__info(net->be);

	memcpy(net->config.mac, params->mac, NET_MAC_LEN);
	net->config.status = htole16(info->link_up ? VIRTIO_NET_S_LINK_UP : 0);
	net->config.max_virtqueue_pairs = htole16((uint16_t)net->nr_pairs);
	net->config.mtu = htole16(info->mtu);
}

static uint64_t own_features(const struct virtio_net *net)
{
	const struct net_info *info = net_backend__info(net->be);
	uint64_t features = VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) |
			    VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) |
			    VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (info->offloads & NET_OFFLOAD_CSUM)
		features |= TX_OFFLOADS | guest_features(info->offloads) |
			    VIRTIO_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (info->mtu >= MIN_MTU)
		features |= VIRTIO_BIT(VIRTIO_NET_F_MTU);
	if (net->nr_pairs > 1)
		features |= VIRTIO_BIT(VIRTIO_NET_F_MQ);
	return features;
}

static int open_vhost(struct virtio_net *net, unsigned int index)
{
	int ret = 0;

	if (!net_backend__info(net->be)->vhost) {
		pr_warn("net%u: vhost-net needs a tap interface with IFF_VNET_HDR; going on "
			"without it",
			index);
		return 0;
	}
	for (unsigned int i = 0; i < net->nr_pairs && !ret; i++)
		ret = vhost__open(&net->pair[i].vhost, VHOST_NODE);
	if (ret == -ENOENT) {
		pr_warn("net%u: no " VHOST_NODE " here (modprobe vhost_net); going on without it",
			index);
		return 0;
	}
	net->vhost = !ret;
	return ret;
}

static struct virtio_net *alloc_net(const struct virtio_net_params *params)
{
	struct virtio_net *net = calloc(1, sizeof(*net));

	if (!net) {
		net_backend__close(params->backend);
		return NULL;
	}
	net->be = params->backend;
	net->nr_pairs = net_backend__info(net->be)->pairs;
	net->pair = calloc(net->nr_pairs, sizeof(*net->pair));
	for (unsigned int i = 0; net->pair && i < net->nr_pairs; i++) {
		net->pair[i].net = net;
		net->pair[i].index = i;
		net->pair[i].vhost.fd = net->pair[i].vhost.err_fd = -1;
	}
	return net;
}

static void offer(struct virtio_net *net)
{
	uint64_t rings = net->dev.offered | VIRTIO_BIT(VIRTIO_F_IN_ORDER) |
			 VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);

	if (net->vhost) {
		rings = vhost__offer(&net->pair[0].vhost, rings);
		for (unsigned int i = 0; i < 2 * net->nr_pairs; i++)
			virtqueue__set_external(virtio_device__queue(&net->dev, i));
	}
	net->dev.offered = rings | own_features(net);
}

struct virtio_device *virtio_net__create(const struct device_host *host,
					 const struct virtio_net_params *params)
{
	struct virtio_net *net = alloc_net(params);
	char name[24];

	if (!net)
		return NULL;
	snprintf(name, sizeof(name), "net%u", params->index);
	if (!net->pair || (params->vhost && open_vhost(net, params->index)) ||
	    virtio_device__init(&net->dev, &net_ops, host, name, 2 * net->nr_pairs + 1)) {
		free_net(net);
		return NULL;
	}
	for (unsigned int i = 0; i < 2 * net->nr_pairs; i++)
		virtio_device__set_queue_size(&net->dev, i, QUEUE_SIZE);
	virtio_device__set_queue_size(&net->dev, 2 * net->nr_pairs, CTRL_SIZE);
	net->dev.own_thread = params->own_thread;
	describe(net, params);
	offer(net);
	return &net->dev;
}

int virtio_net__open(const struct device_host *host, const struct net_config *cfg,
		     const char *guest, unsigned int index, struct virtio_device **out)
{
	struct virtio_net_params params = { .index = index,
					    .vhost = cfg->vhost,
					    .own_thread = true };
	const struct net_info *info;
	char name[24];
	int ret;

	snprintf(name, sizeof(name), "net%u", index);
	ret = net_backend__open(cfg, name, &params.backend);
	if (ret)
		return ret;
	info = net_backend__info(params.backend);
	if (cfg->has_mac)
		memcpy(params.mac, cfg->guest_mac, NET_MAC_LEN);
	else if (info->has_mac)
		memcpy(params.mac, info->mac, NET_MAC_LEN);
	else
		net__default_mac(guest, index, params.mac);
	*out = virtio_net__create(host, &params);
	if (!*out)
		pr_fatal("%s: cannot be made", name);
	return *out ? 0 : -ENOMEM;
}
