/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest with a network device, for unit tests: it fills its receive queue, sends, and answers what
 * little of ARP, IP and TCP a test needs.
 */
#ifndef TESTS_UNIT_NET_GUEST_H
#define TESTS_UNIT_NET_GUEST_H

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <poll.h>

#include <linux/virtio_net.h>

#include "kvm/virtio-net.h"
#include "virtio-driver.h"

#define GUEST_FRAME 65600

#define BIT(feature) (1ull << (feature))

static const uint8_t guest_mac[NET_MAC_LEN] = { 0x02, 0, 0, 0, 0, 0x42 };

/**
 * struct guest - a driver of a network device
 * @rx, @tx, @ctrl: queues 0, 1 and the control queue
 * @rx_len:   bytes of each receive buffer
 * @header:   of each frame
 */
struct guest {
	struct driver d;
	struct driver_queue rx, tx, ctrl;
	uint64_t features;
	uint32_t rx_len;
	unsigned int nr_rx;
	size_t header;
	unsigned int nr_tx;
};

static inline void guest__plug(struct guest *g, struct net_backend *be)
{
	struct virtio_net_params params = { .backend = be };

	memset(g, 0, sizeof(*g));
	driver__init(&g->d);
	memcpy(params.mac, guest_mac, sizeof(guest_mac));
	driver__plug(&g->d, virtio_net__create(&g->d.board.host, &params));
}

/* A receive buffer is one of @nr_rx in the queue's 64 KiB. */
static inline void guest__give(struct guest *g, unsigned int index)
{
	struct driver_buf buf = { .gpa = g->rx.buffers + index * (uint64_t)g->rx_len,
				  .len = g->rx_len,
				  .flags = VRING_DESC_F_WRITE };

	dq__add(&g->rx, (uint16_t)index, &buf, 1);
}

/* Up to DRIVER_OK, with @nr receive buffers of @len bytes. */
static inline void guest__start(struct guest *g, uint64_t features, unsigned int nr, uint32_t len)
{
	unsigned int ctrl = 2;

	if (features & BIT(VIRTIO_NET_F_MQ)) {
		uint32_t word = (uint32_t)board__load(&g->d.board, DRIVER_MMIO + 0x108, 2);

		ctrl = 2 * word;
	}
	g->features = features | BIT(VIRTIO_F_VERSION_1);
	g->header = 12;
	g->rx_len = len;
	g->nr_rx = nr;
	g->nr_tx = 0;
	assert_true(driver__negotiate(&g->d, g->features));
	dq__init(&g->rx, &g->d, 0, nr > 64 ? 128 : 64, false,
		 features & BIT(VIRTIO_RING_F_EVENT_IDX));
	dq__init(&g->tx, &g->d, 1, 64, false, features & BIT(VIRTIO_RING_F_EVENT_IDX));
	dq__init(&g->ctrl, &g->d, ctrl, 16, false, features & BIT(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned int i = 0; i < nr; i++)
		guest__give(g, i);
	driver__enable_queue(&g->rx);
	driver__enable_queue(&g->tx);
	if (features & BIT(VIRTIO_NET_F_CTRL_VQ))
		driver__enable_queue(&g->ctrl);
	driver__ok(&g->d);
	driver__run(&g->d);
}

static inline void guest__end(struct guest *g)
{
	driver__destroy(&g->d);
}

/* Send a frame with a header before it; the buffer is one of 16 of 4 KiB, unless it is larger. */
static inline void guest__send_as(struct guest *g, const void *header, const void *frame,
				  size_t len)
{
	unsigned int slot = g->nr_tx++ % 8;
	uint64_t at = g->tx.buffers + (len > 4000 ? 0 : slot * 4096ull);
	struct driver_buf bufs[2] = { { .gpa = at, .len = (uint32_t)g->header },
				      { .gpa = at + g->header, .len = (uint32_t)len } };

	memcpy(driver__at(&g->d, at), header, g->header);
	memcpy(driver__at(&g->d, at + g->header), frame, len);
	dq__add(&g->tx, (uint16_t)(2 * slot), bufs, 2);
	driver__notify(&g->tx);
	driver__run(&g->d);
}

static inline void guest__send(struct guest *g, const void *frame, size_t len)
{
	static const uint8_t zero[12];

	guest__send_as(g, zero, frame, len);
}

/* How many frames sent have been taken. */
static inline unsigned int guest__sent(struct guest *g)
{
	unsigned int nr = 0;
	uint32_t id, len;

	while (dq__get(&g->tx, &id, &len)) {
		assert_int_equal(len, 0);
		nr++;
	}
	return nr;
}

/*
 * The next frame received, its header in @header, its buffers given back. Return: its length, 0 if
 * there is none.
 */
static inline size_t guest__receive(struct guest *g, struct virtio_net_hdr_mrg_rxbuf *header,
				    uint8_t *frame, size_t size)
{
	size_t total = 0;
	uint32_t id, len;
	unsigned int nr;

	driver__run(&g->d);
	if (!dq__get(&g->rx, &id, &len))
		return 0;
	assert_true(len >= sizeof(*header) && len <= g->rx_len);
	memcpy(header, driver__at(&g->d, g->rx.buffers + id * (uint64_t)g->rx_len),
	       sizeof(*header));
	nr = le16toh(header->num_buffers);
	assert_int_not_equal(nr, 0);
	for (unsigned int i = 0; i < nr; i++) {
		size_t skip = i ? 0 : sizeof(*header);

		if (i)
			assert_true(dq__get(&g->rx, &id, &len));
		assert_true(total + len - skip <= size);
		memcpy(frame + total,
		       driver__at(&g->d, g->rx.buffers + id * (uint64_t)g->rx_len + skip),
		       len - skip);
		total += len - skip;
		guest__give(g, id);
	}
	driver__notify(&g->rx);
	return total;
}

/* The same, for a peer that takes its time: at most two seconds. */
static inline size_t guest__await(struct guest *g, uint8_t *frame, size_t size)
{
	struct virtio_net_hdr_mrg_rxbuf header;

	for (unsigned int i = 0; i < 200; i++) {
		size_t len = guest__receive(g, &header, frame, size);

		if (len)
			return len;
		poll(NULL, 0, 10);
	}
	return 0;
}

/* A command of the control queue. Return: its status. */
static inline uint8_t guest__control(struct guest *g, uint8_t class, uint8_t command,
				     const void *data, uint32_t len)
{
	uint64_t at = g->ctrl.buffers;
	struct driver_buf bufs[3] = {
		{ .gpa = at, .len = 2 },
		{ .gpa = at + 64, .len = len },
		{ .gpa = at + 32768, .len = 1, .flags = VRING_DESC_F_WRITE },
	};
	uint8_t *status = driver__at(&g->d, bufs[2].gpa);
	uint32_t id, written;

	*(uint8_t *)driver__at(&g->d, at) = class;
	*(uint8_t *)driver__at(&g->d, at + 1) = command;
	memcpy(driver__at(&g->d, at + 64), data, len);
	*status = 0xee;
	dq__add(&g->ctrl, 0, bufs, 3);
	driver__notify(&g->ctrl);
	driver__run(&g->d);
	assert_true(dq__get(&g->ctrl, &id, &written));
	assert_int_equal(written, 1);
	return *status;
}

/* --- frames ---------------------------------------------------------------------------------- */

static inline uint16_t inet_sum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *at = data;

	for (; len > 1; len -= 2, at += 2)
		sum += (uint32_t)at[0] << 8 | at[1];
	if (len)
		sum += (uint32_t)at[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline unsigned int get16(const uint8_t *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static inline uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* ARP (RFC 826), a question or an answer; addresses in host order. Return: length of the frame. */
static inline size_t make_arp(uint8_t *frame, const uint8_t *to, unsigned int op, uint32_t from_ip,
			      uint32_t to_ip)
{
	static const uint8_t fixed[] = { 8, 6, 0, 1, 8, 0, 6, 4 };

	memset(frame, 0, 60);
	memset(frame, 0xff, NET_MAC_LEN);
	if (to)
		memcpy(frame, to, NET_MAC_LEN);
	memcpy(frame + 6, guest_mac, NET_MAC_LEN);
	memcpy(frame + 12, fixed, sizeof(fixed));
	put16(frame + 20, op);
	memcpy(frame + 22, guest_mac, NET_MAC_LEN);
	put32(frame + 28, from_ip);
	if (to)
		memcpy(frame + 32, to, NET_MAC_LEN);
	put32(frame + 38, to_ip);
	return 60;
}

/* Ethernet and IPv4 (RFC 791) before @len bytes at frame + 34. Return: length of the frame. */
static inline size_t make_ip(uint8_t *frame, const uint8_t *to, unsigned int protocol,
			     uint32_t from_ip, uint32_t to_ip, size_t len)
{
	uint8_t *ip = frame + 14;

	memcpy(frame, to, NET_MAC_LEN);
	memcpy(frame + 6, guest_mac, NET_MAC_LEN);
	put16(frame + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned int)(20 + len));
	ip[8] = 64;
	ip[9] = (uint8_t)protocol;
	put32(ip + 12, from_ip);
	put32(ip + 16, to_ip);
	put16(ip + 10, inet_sum(ip, 20, 0));
	return 34 + len;
}

/* The sum of what TCP and UDP take from the IP header. */
static inline uint32_t pseudo_sum(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + 14;

	return get16(ip + 12) + get16(ip + 14) + get16(ip + 16) + get16(ip + 18) + ip[9] +
	       (uint32_t)len;
}

/* An ICMP echo request (RFC 792) with @len bytes of payload. Return: length of the frame. */
static inline size_t make_ping(uint8_t *frame, const uint8_t *to, uint32_t from_ip, uint32_t to_ip,
			       unsigned int sequence, size_t len)
{
	uint8_t *icmp = frame + 34;

	memset(icmp, 0, 8);
	icmp[0] = 8;
	put16(icmp + 4, 0x4242);
	put16(icmp + 6, sequence);
	for (size_t i = 0; i < len; i++)
		icmp[8 + i] = (uint8_t)(i * 7);
	put16(icmp + 2, inet_sum(icmp, 8 + len, 0));
	return make_ip(frame, to, IPPROTO_ICMP, from_ip, to_ip, 8 + len);
}

/* A TCP segment (RFC 9293) with @len bytes of payload. Return: length of the frame. */
static inline size_t make_tcp(uint8_t *frame, const uint8_t *to, uint32_t from_ip, uint32_t to_ip,
			      uint16_t from_port, uint16_t to_port, uint32_t seq, uint32_t ack,
			      uint8_t flags, const void *data, size_t len)
{
	uint8_t *tcp = frame + 34;
	size_t total;

	memset(tcp, 0, 20);
	put16(tcp, from_port);
	put16(tcp + 2, to_port);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	tcp[12] = 5 << 4;
	tcp[13] = flags;
	put16(tcp + 14, 65535);
	if (len)
		memcpy(tcp + 20, data, len);
	total = make_ip(frame, to, IPPROTO_TCP, from_ip, to_ip, 20 + len);
	put16(tcp + 16, inet_sum(tcp, 20 + len, pseudo_sum(frame, 20 + len)));
	return total;
}

#endif
