// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets between guest and host: the protocol against a guest that plays by the rules and one that
 * does not, and the device with real UNIX sockets.
 */
#include "virtio-driver.h"

#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "kvm/virtio-vsock.h"
#include "virtio/vsock-engine.h"

#define CID	  7u
#define PORT	  1024u
#define GUEST	  5555u
#define SHUT_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define BUFFER	  (1u << 20)

/* --- the protocol: a host in memory --------------------------------------------------------- */

/**
 * struct stream - a connection of the host that is two arrays
 * @takes: bytes that it still accepts
 */
struct stream {
	struct vsock_conn conn;
	struct proto *p;
	uint8_t to_host[BUFFER], from_host[BUFFER];
	size_t got, takes, given, has;
	bool ended, broken, in, out, is_connected;
	uint32_t shut;
};

/**
 * struct proto - engine, guest and host
 * @refuse: the host listens nowhere
 * @last:   the stream opened last; it stays here when it has been closed
 */
struct proto {
	struct vsock_engine *engine;
	bool refuse;
	struct stream *last;
	unsigned int open;
	uint32_t buf_alloc, fwd_cnt; /* that the guest tells */
	struct virtio_vsock_hdr hdr; /* the last packet for the guest */
	uint8_t data[BUFFER];
};

static struct stream *stream_new(struct proto *p)
{
	struct stream *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->p = p;
	s->takes = BUFFER;
	p->last = s;
	p->open++;
	return s;
}

static struct vsock_conn *proto_open(void *ctx, uint32_t port)
{
	struct proto *p = ctx;

	return p->refuse ? NULL : &stream_new(p)->conn;
}

static void proto_connected(struct vsock_conn *conn)
{
	((struct stream *)conn)->is_connected = true;
}

static ssize_t proto_read(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr)
{
	struct stream *s = (struct stream *)conn;
	size_t left = s->has - s->given, done = 0;

	if (!left)
		return s->ended ? 0 : -EAGAIN;
	for (unsigned int i = 0; i < nr && left; i++) {
		size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

		memcpy(iov[i].iov_base, s->from_host + s->given, part);
		s->given += part;
		done += part;
		left -= part;
	}
	return (ssize_t)done;
}

static ssize_t proto_write(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr)
{
	struct stream *s = (struct stream *)conn;
	size_t done = 0;

	if (s->broken)
		return -EPIPE;
	for (unsigned int i = 0; i < nr && s->takes; i++) {
		size_t part = iov[i].iov_len < s->takes ? iov[i].iov_len : s->takes;

		assert_true(s->got + part <= BUFFER);
		memcpy(s->to_host + s->got, iov[i].iov_base, part);
		s->got += part;
		s->takes -= part;
		done += part;
	}
	return done ? (ssize_t)done : -EAGAIN;
}

static void proto_shutdown(struct vsock_conn *conn, uint32_t flags)
{
	((struct stream *)conn)->shut |= flags;
}

static void proto_watch(struct vsock_conn *conn, bool in, bool out)
{
	struct stream *s = (struct stream *)conn;

	s->in = in;
	s->out = out;
}

static void proto_close(struct vsock_conn *conn)
{
	struct stream *s = (struct stream *)conn;

	s->p->open--;
	if (s->p->last == s)
		s->p->last = NULL;
	free(s);
}

static const struct vsock_ops proto_ops = {
	.open = proto_open,
	.connected = proto_connected,
	.read = proto_read,
	.write = proto_write,
	.shutdown = proto_shutdown,
	.watch = proto_watch,
	.close = proto_close,
};

static struct proto *proto_new(void)
{
	struct proto *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->buf_alloc = 0x10000;
	p->engine = vsock_engine__create(CID, &proto_ops, p);
	assert_non_null(p->engine);
	vsock_engine__set_time(p->engine, 1000);
	return p;
}

static void proto_free(struct proto *p)
{
	vsock_engine__destroy(p->engine);
	assert_int_equal(p->open, 0);
	free(p);
}

static struct virtio_vsock_hdr header(struct proto *p, unsigned int op, uint32_t guest_port,
				      uint32_t host_port, uint32_t len)
{
	return (struct virtio_vsock_hdr){
		.src_cid = htole64(CID),
		.dst_cid = htole64(VSOCK_HOST_CID),
		.src_port = htole32(guest_port),
		.dst_port = htole32(host_port),
		.len = htole32(len),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16((uint16_t)op),
		.buf_alloc = htole32(p->buf_alloc),
		.fwd_cnt = htole32(p->fwd_cnt),
	};
}

static void put(struct proto *p, const struct virtio_vsock_hdr *hdr, const void *data)
{
	struct iovec iov = { (void *)(uintptr_t)data, le32toh(hdr->len) };

	assert_true(vsock_engine__can_take(p->engine));
	vsock_engine__put(p->engine, hdr, &iov, hdr->len ? 1 : 0);
}

static void say(struct proto *p, unsigned int op, uint32_t flags)
{
	struct virtio_vsock_hdr hdr = header(p, op, GUEST, PORT, 0);

	hdr.flags = htole32(flags);
	put(p, &hdr, NULL);
}

static void send_data(struct proto *p, const void *data, uint32_t len)
{
	struct virtio_vsock_hdr hdr = header(p, VIRTIO_VSOCK_OP_RW, GUEST, PORT, len);

	put(p, &hdr, data);
}

/* The next packet for the guest: its op, or -1. */
static int get(struct proto *p)
{
	struct iovec iov = { p->data, sizeof(p->data) };

	if (!vsock_engine__get(p->engine, &p->hdr, &iov, 1))
		return -1;
	assert_int_equal(le64toh(p->hdr.dst_cid), CID);
	assert_int_equal(le16toh(p->hdr.type), VIRTIO_VSOCK_TYPE_STREAM);
	return le16toh(p->hdr.op);
}

static struct proto *connected(void)
{
	struct proto *p = proto_new();

	say(p, VIRTIO_VSOCK_OP_REQUEST, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(le32toh(p->hdr.buf_alloc), VSOCK_BUFFER);
	assert_int_equal(le32toh(p->hdr.src_port), PORT);
	assert_int_equal(le32toh(p->hdr.dst_port), GUEST);
	assert_int_equal(get(p), -1);
	assert_true(p->last->in);
	return p;
}

static void host_writes(struct proto *p, size_t len)
{
	struct stream *s = p->last;

	for (size_t i = 0; i < len; i++)
		s->from_host[s->has + i] = (uint8_t)(s->has + i);
	s->has += len;
	if (s->in)
		vsock_engine__ready(&s->conn, true, false, false);
}

static void a_guest_connects_and_both_sides_talk(void **state)
{
	struct proto *p = connected();

	send_data(p, "hello", 5);
	assert_int_equal(p->last->got, 5);
	assert_memory_equal(p->last->to_host, "hello", 5);
	host_writes(p, 10);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(le32toh(p->hdr.len), 10);
	assert_memory_equal(p->data, p->last->from_host, 10);
	assert_int_equal(le32toh(p->hdr.fwd_cnt), 5);
	assert_int_equal(get(p), -1);
	assert_true(p->last->in);
	proto_free(p);
}

static void a_port_where_nobody_listens_is_a_reset(void **state)
{
	struct proto *p = proto_new();

	p->refuse = true;
	say(p, VIRTIO_VSOCK_OP_REQUEST, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(le32toh(p->hdr.src_port), PORT);
	assert_int_equal(le32toh(p->hdr.dst_port), GUEST);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void packets_for_no_connection_are_reset_but_resets_are_not(void **state)
{
	struct proto *p = proto_new();

	for (unsigned int op = 0; op < 20; op++) {
		if (op == VIRTIO_VSOCK_OP_REQUEST)
			continue;
		say(p, op, 0);
		assert_int_equal(get(p), op == VIRTIO_VSOCK_OP_RST ? -1 : VIRTIO_VSOCK_OP_RST);
	}
	proto_free(p);
}

static void another_type_or_another_host_is_reset_and_a_false_name_ignored(void **state)
{
	struct proto *p = proto_new();
	struct virtio_vsock_hdr hdr = header(p, VIRTIO_VSOCK_OP_REQUEST, GUEST, PORT, 0);

	hdr.type = htole16(VIRTIO_VSOCK_TYPE_SEQPACKET);
	put(p, &hdr, NULL);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);

	hdr = header(p, VIRTIO_VSOCK_OP_REQUEST, GUEST, PORT, 0);
	hdr.dst_cid = htole64(99);
	put(p, &hdr, NULL);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(le64toh(p->hdr.src_cid), 99);

	hdr = header(p, VIRTIO_VSOCK_OP_REQUEST, GUEST, PORT, 0);
	hdr.src_cid = htole64(CID + 1);
	put(p, &hdr, NULL);
	assert_int_equal(get(p), -1);
	assert_int_equal(p->open, 0);
	proto_free(p);
}

static void a_second_request_for_one_connection_ends_it(void **state)
{
	struct proto *p = connected();

	say(p, VIRTIO_VSOCK_OP_REQUEST, 0);
	assert_int_equal(p->open, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void an_unknown_operation_ends_the_connection(void **state)
{
	static const unsigned int ops[] = { VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_RESPONSE, 8,
					    0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		struct proto *p = connected();

		say(p, ops[i], 0);
		assert_int_equal(p->open, 0);
		assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
		proto_free(p);
	}
}

static void the_guest_gets_no_more_than_it_has_room_for(void **state)
{
	struct proto *p = connected();

	p->buf_alloc = 100;
	say(p, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	host_writes(p, 250);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(le32toh(p->hdr.len), 100);
	/* It is asked for room once, and then there is nothing to do, and nothing to wait for. */
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	assert_int_equal(get(p), -1);
	assert_false(p->last->in);

	p->fwd_cnt = 30;
	say(p, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(le32toh(p->hdr.len), 30);
	assert_int_equal(p->data[0], 100);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_CREDIT_REQUEST);

	p->fwd_cnt = 130;
	p->buf_alloc = 1000;
	say(p, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(le32toh(p->hdr.len), 120);
	proto_free(p);
}

static void credit_that_makes_no_sense_is_none(void **state)
{
	struct proto *p = connected();

	p->fwd_cnt = 1; /* of nothing sent */
	p->buf_alloc = 0xffff;
	say(p, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	host_writes(p, 10);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void credit_wraps_around_with_its_counters(void **state)
{
	struct proto *p = connected();

	p->last->conn.tx_cnt = 0xfffffff0;
	p->fwd_cnt = 0xfffffff0;
	p->buf_alloc = 0x20;
	say(p, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	host_writes(p, 0x40);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(le32toh(p->hdr.len), 0x20);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	p->fwd_cnt = 0x10;
	say(p, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(le32toh(p->hdr.len), 0x20);
	proto_free(p);
}

static void a_slow_host_gets_everything_in_order(void **state)
{
	struct proto *p = connected();
	static uint8_t data[VSOCK_BUFFER];
	struct stream *s = p->last;

	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	s->takes = 1000;
	send_data(p, data, 0x10000);
	assert_int_equal(s->got, 1000);
	assert_true(s->out);
	send_data(p, data + 0x10000, VSOCK_BUFFER - 0x10000);
	for (unsigned int i = 0; s->out; i++) {
		assert_true(i < 1000);
		s->takes = 4093; /* no divisor of anything */
		vsock_engine__ready(&s->conn, false, true, false);
	}
	assert_int_equal(s->got, VSOCK_BUFFER);
	assert_memory_equal(s->to_host, data, VSOCK_BUFFER);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(le32toh(p->hdr.fwd_cnt), VSOCK_BUFFER);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void a_guest_that_sends_more_than_its_credit_is_reset(void **state)
{
	struct proto *p = connected();
	static uint8_t data[VSOCK_BUFFER + 1];

	p->last->takes = 0;
	send_data(p, data, VSOCK_BUFFER);
	assert_int_equal(p->open, 1);
	send_data(p, data, 1);
	assert_int_equal(p->open, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	proto_free(p);

	p = connected();
	send_data(p, data, VSOCK_BUFFER + 1);
	assert_int_equal(p->open, 0);
	proto_free(p);
}

static void a_guest_learns_of_its_credit_when_it_asks(void **state)
{
	struct proto *p = connected();

	send_data(p, "abc", 3);
	assert_int_equal(get(p), -1);
	say(p, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(le32toh(p->hdr.fwd_cnt), 3);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void the_end_of_the_hosts_stream_comes_after_its_bytes(void **state)
{
	struct proto *p = connected();

	p->last->ended = true;
	host_writes(p, 3);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(le32toh(p->hdr.flags), VIRTIO_VSOCK_SHUTDOWN_SEND);
	assert_int_equal(get(p), -1);
	/* The other direction goes on. */
	send_data(p, "more", 4);
	assert_int_equal(p->last->got, 4);
	/* Now it has gone altogether. */
	vsock_engine__ready(&p->last->conn, false, false, true);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(le32toh(p->hdr.flags), SHUT_BOTH);
	say(p, VIRTIO_VSOCK_OP_RST, 0);
	assert_int_equal(p->open, 0);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void a_guest_that_does_not_answer_a_shutdown_is_reset_in_the_end(void **state)
{
	struct proto *p = connected();

	p->last->ended = true;
	vsock_engine__ready(&p->last->conn, true, false, true);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(le32toh(p->hdr.flags), SHUT_BOTH);
	vsock_engine__set_time(p->engine, 8999);
	assert_int_equal(vsock_engine__expire(p->engine), 9000);
	assert_int_equal(p->open, 1);
	vsock_engine__set_time(p->engine, 9000);
	assert_true(vsock_engine__expire(p->engine) == VSOCK_NO_DEADLINE);
	assert_int_equal(p->open, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	proto_free(p);
}

static void a_guest_shuts_down_one_direction_after_the_other(void **state)
{
	struct proto *p = connected();
	struct stream *s = p->last;

	s->takes = 1;
	send_data(p, "ab", 2);
	say(p, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	assert_int_equal(s->shut, 0); /* not before the rest has been written */
	s->takes = 1;
	vsock_engine__ready(&s->conn, false, true, false);
	assert_int_equal(s->shut, VIRTIO_VSOCK_SHUTDOWN_SEND);
	say(p, VIRTIO_VSOCK_OP_SHUTDOWN, 0); /* takes nothing back */
	host_writes(p, 2);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
	say(p, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(p->open, 0);
	proto_free(p);
}

static void data_after_a_shutdown_ends_the_connection(void **state)
{
	struct proto *p = connected();

	say(p, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	send_data(p, "x", 1);
	assert_int_equal(p->open, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	proto_free(p);
}

static void nothing_is_sent_to_a_guest_that_receives_no_more(void **state)
{
	struct proto *p = connected();

	say(p, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_int_equal(p->last->shut, VIRTIO_VSOCK_SHUTDOWN_RCV);
	host_writes(p, 5);
	vsock_engine__ready(&p->last->conn, true, false, false);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void the_last_bytes_of_a_guest_that_has_closed_still_arrive(void **state)
{
	struct proto *p = connected();
	struct stream *s = p->last;

	s->takes = 0;
	send_data(p, "last", 4);
	say(p, VIRTIO_VSOCK_OP_SHUTDOWN, SHUT_BOTH);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	assert_int_equal(p->open, 1);
	/* The same ports, anew. */
	say(p, VIRTIO_VSOCK_OP_REQUEST, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(p->open, 2);
	s->takes = 3;
	vsock_engine__ready(&s->conn, false, true, false);
	assert_memory_equal(s->to_host, "las", 3);
	s->takes = 3;
	vsock_engine__ready(&s->conn, false, true, false);
	assert_int_equal(p->open, 1);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void bytes_that_nobody_takes_are_dropped_after_a_while(void **state)
{
	struct proto *p = connected();

	p->last->takes = 0;
	send_data(p, "last", 4);
	say(p, VIRTIO_VSOCK_OP_RST, 0);
	assert_int_equal(p->open, 1);
	vsock_engine__set_time(p->engine, 9000);
	vsock_engine__expire(p->engine);
	assert_int_equal(p->open, 0);
	assert_int_equal(get(p), -1);
	proto_free(p);
}

static void a_host_that_breaks_off_is_a_reset(void **state)
{
	struct proto *p = connected();

	p->last->broken = true;
	send_data(p, "x", 1);
	assert_int_equal(p->open, 0);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
	proto_free(p);
}

static void a_host_connects_and_gets_a_port_of_its_own(void **state)
{
	struct proto *p = proto_new();
	struct stream *s[2];
	uint32_t port[2];

	for (unsigned int i = 0; i < 2; i++) {
		s[i] = stream_new(p);
		assert_int_equal(vsock_engine__adopt(p->engine, &s[i]->conn), 0);
		vsock_engine__connect(&s[i]->conn, 22);
		assert_int_equal(get(p), VIRTIO_VSOCK_OP_REQUEST);
		assert_int_equal(le32toh(p->hdr.dst_port), 22);
		port[i] = le32toh(p->hdr.src_port);
	}
	assert_int_not_equal(port[0], port[1]);
	for (unsigned int i = 0; i < 2; i++) {
		struct virtio_vsock_hdr hdr = header(p, VIRTIO_VSOCK_OP_RESPONSE, 22, port[i], 0);

		assert_false(s[i]->is_connected);
		put(p, &hdr, NULL);
		assert_true(s[i]->is_connected);
		assert_true(s[i]->in);
	}
	proto_free(p);
}

static void a_host_whose_request_is_refused_or_not_answered_is_closed(void **state)
{
	struct proto *p = proto_new();
	struct virtio_vsock_hdr hdr;

	for (unsigned int i = 0; i < 2; i++) {
		struct stream *s = stream_new(p);

		assert_int_equal(vsock_engine__adopt(p->engine, &s->conn), 0);
		vsock_engine__connect(&s->conn, 22);
		assert_int_equal(get(p), VIRTIO_VSOCK_OP_REQUEST);
		if (i) {
			vsock_engine__set_time(p->engine, 6000);
			vsock_engine__expire(p->engine);
			assert_int_equal(get(p), VIRTIO_VSOCK_OP_RST);
		} else {
			hdr = header(p, VIRTIO_VSOCK_OP_RST, 22, le32toh(p->hdr.src_port), 0);
			put(p, &hdr, NULL);
		}
		assert_int_equal(p->open, 0);
		assert_int_equal(get(p), -1);
	}
	proto_free(p);
}

static void connections_take_turns(void **state)
{
	struct proto *p = connected();
	struct stream *first = p->last;
	struct virtio_vsock_hdr hdr = header(p, VIRTIO_VSOCK_OP_REQUEST, GUEST + 1, PORT, 0);

	put(p, &hdr, NULL);
	assert_int_equal(get(p), VIRTIO_VSOCK_OP_RESPONSE);
	p->buf_alloc = BUFFER;
	say(p, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	first->has = BUFFER;
	vsock_engine__ready(&first->conn, true, false, false);
	host_writes(p, 4);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(get(p), VIRTIO_VSOCK_OP_RW);
		assert_int_equal(le32toh(p->hdr.dst_port), GUEST + i);
	}
	proto_free(p);
}

static void there_are_no_more_connections_than_allowed(void **state)
{
	struct proto *p = proto_new();
	struct stream *s;

	for (uint32_t i = 0; i < VSOCK_MAX_CONNS + 5; i++) {
		struct virtio_vsock_hdr hdr = header(p, VIRTIO_VSOCK_OP_REQUEST, i, PORT, 0);

		put(p, &hdr, NULL);
		assert_int_equal(get(p), i < VSOCK_MAX_CONNS ? VIRTIO_VSOCK_OP_RESPONSE
							     : VIRTIO_VSOCK_OP_RST);
	}
	assert_int_equal(p->open, VSOCK_MAX_CONNS);
	s = stream_new(p);
	assert_int_equal(vsock_engine__adopt(p->engine, &s->conn), -EBUSY);
	proto_close(&s->conn);
	proto_free(p);
}

static void no_reset_is_lost_however_many_there_are(void **state)
{
	struct proto *p = proto_new();
	unsigned int nr = 0;

	for (uint32_t i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct virtio_vsock_hdr hdr = header(p, VIRTIO_VSOCK_OP_REQUEST, i, PORT, 0);

		put(p, &hdr, NULL);
		assert_int_equal(get(p), VIRTIO_VSOCK_OP_RESPONSE);
		p->last->ended = true;
		vsock_engine__ready(&p->last->conn, true, false, true);
		assert_int_equal(get(p), VIRTIO_VSOCK_OP_SHUTDOWN);
	}
	while (vsock_engine__can_take(p->engine)) {
		struct virtio_vsock_hdr hdr = header(p, VIRTIO_VSOCK_OP_RW, 9999, 1, 0);

		put(p, &hdr, NULL);
	}
	vsock_engine__set_time(p->engine, 100000);
	vsock_engine__expire(p->engine);
	assert_int_equal(p->open, 0);
	while (get(p) == VIRTIO_VSOCK_OP_RST)
		nr++;
	assert_int_equal(nr, VSOCK_MAX_CONNS + VSOCK_MAX_REPLIES);
	assert_true(vsock_engine__can_take(p->engine));
	proto_free(p);
}

static void a_guest_that_sends_noise_breaks_nothing(void **state)
{
	static uint8_t data[0x8000];
	struct proto *p = proto_new();

	srand(7);
	for (unsigned int i = 0; i < 50000; i++) {
		struct virtio_vsock_hdr hdr =
			header(p, (unsigned int)rand() % 9, (uint32_t)rand() % 8, PORT,
			       rand() % 4 ? 0 : (uint32_t)rand() % sizeof(data));

		hdr.flags = htole32((uint32_t)rand() % 4);
		p->buf_alloc = (uint32_t)rand() % 1000;
		p->fwd_cnt = (uint32_t)rand() % 1000;
		if (vsock_engine__can_take(p->engine))
			put(p, &hdr, data);
		if (p->last && rand() % 2) {
			p->last->got = 0;
			p->last->given = 0;
			p->last->has = (size_t)rand() % 3000;
			p->last->takes = (size_t)rand() % 0x10000;
			vsock_engine__ready(&p->last->conn, p->last->in, p->last->out,
					    !(rand() % 16));
		}
		vsock_engine__set_time(p->engine, 1000 + i * 10);
		vsock_engine__expire(p->engine);
		if (rand() % 3)
			get(p);
	}
	while (get(p) >= 0)
		;
	proto_free(p);
}

/* --- the device, with UNIX sockets ---------------------------------------------------------- */

struct rig {
	struct driver d;
	char dir[32], path[64];
	struct driver_queue rx, tx;
	struct virtio_vsock_hdr hdr;
	uint8_t data[4096];
	unsigned int rx_ids;
};

#define RX_SIZE 4096u

static void add_rx(struct rig *rig, uint16_t id)
{
	uint64_t at = rig->rx.buffers + id * RX_SIZE;
	struct driver_buf bufs[] = {
		{ at, sizeof(struct virtio_vsock_hdr), VRING_DESC_F_WRITE },
		{ at + sizeof(struct virtio_vsock_hdr), RX_SIZE - sizeof(struct virtio_vsock_hdr),
		  VRING_DESC_F_WRITE },
	};

	dq__add(&rig->rx, id, bufs, 2);
}

static void bring_up(struct rig *rig)
{
	assert_true(driver__negotiate(&rig->d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	dq__init(&rig->rx, &rig->d, 0, 16, false, false);
	dq__init(&rig->tx, &rig->d, 1, 16, false, false);
	driver__enable_queue(&rig->rx);
	driver__enable_queue(&rig->tx);
	driver__ok(&rig->d);
	for (uint16_t i = 0; i < 16; i += 2)
		add_rx(rig, i);
	driver__notify(&rig->rx);
	driver__run(&rig->d);
}

static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct virtio_vsock_params params = { .guest_cid = CID };
	struct virtio_device *dev;

	assert_non_null(rig);
	driver__init(&rig->d);
	strcpy(rig->dir, "/tmp/vsock-test-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->path, sizeof(rig->path), "%s/s", rig->dir);
	params.path = rig->path;
	assert_int_equal(virtio_vsock__create(&rig->d.board.host, 0, &params, &dev), 0);
	driver__plug(&rig->d, dev);
	bring_up(rig);
	return rig;
}

static void rig_free(struct rig *rig)
{
	driver__destroy(&rig->d);
	assert_int_equal(access(rig->path, F_OK), -1); /* its name went with it */
	assert_int_equal(rmdir(rig->dir), 0);
	free(rig);
}

static int try_connect(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(to.sun_path, path);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int connect_to(const char *path)
{
	int fd = try_connect(path);

	assert_true(fd >= 0);
	return fd;
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(at.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void transmit(struct rig *rig, unsigned int op, uint32_t guest_port, uint32_t host_port,
		     const void *data, uint32_t len)
{
	struct virtio_vsock_hdr hdr = {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = guest_port,
		.dst_port = host_port,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = 0x1000,
	};
	struct driver_buf bufs[] = { { rig->tx.buffers, sizeof(hdr), 0 },
				     { rig->tx.buffers + 256, len, 0 } };
	uint32_t id, used;

	memcpy(driver__at(&rig->d, rig->tx.buffers), &hdr, sizeof(hdr));
	if (len)
		memcpy(driver__at(&rig->d, rig->tx.buffers + 256), data, len);
	dq__add(&rig->tx, 0, bufs, len ? 2 : 1);
	driver__notify(&rig->tx);
	driver__run(&rig->d);
	assert_true(dq__get(&rig->tx, &id, &used));
}

/* The next packet that has arrived: its op, or -1. The buffer goes back at once. */
static int receive(struct rig *rig)
{
	uint32_t id, len;
	uint8_t *at;

	driver__run(&rig->d);
	if (!dq__get(&rig->rx, &id, &len))
		return -1;
	at = driver__at(&rig->d, rig->rx.buffers + id * RX_SIZE);
	memcpy(&rig->hdr, at, sizeof(rig->hdr));
	memcpy(rig->data, at + sizeof(rig->hdr), RX_SIZE - sizeof(rig->hdr));
	assert_int_equal(len, sizeof(rig->hdr) + rig->hdr.len);
	add_rx(rig, (uint16_t)id);
	driver__notify(&rig->rx);
	driver__run(&rig->d);
	return rig->hdr.op;
}

static void a_program_of_the_host_reaches_a_port_of_the_guest(void **state)
{
	struct rig *rig = rig_new();
	int fd = connect_to(rig->path);
	char expect[32], line[32] = "";
	struct stat st;

	assert_int_equal(stat(rig->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* In two parts, with the first bytes for the guest behind. */
	assert_int_equal(write(fd, "CONN", 4), 4);
	assert_int_equal(receive(rig), -1);
	assert_int_equal(write(fd, "ECT 22\nhi", 9), 9);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(rig->hdr.dst_port, 22);
	transmit(rig, VIRTIO_VSOCK_OP_RESPONSE, 22, rig->hdr.src_port, NULL, 0);
	snprintf(expect, sizeof(expect), "OK %u\n", rig->hdr.src_port);
	assert_int_equal(read(fd, line, sizeof(line)), strlen(expect));
	assert_string_equal(line, expect);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(rig->hdr.len, 2);
	assert_memory_equal(rig->data, "hi", 2);
	transmit(rig, VIRTIO_VSOCK_OP_RW, 22, rig->hdr.src_port, "yes", 3);
	assert_int_equal(read(fd, line, sizeof(line)), 3);
	close(fd);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(rig->hdr.flags, SHUT_BOTH);
	assert_int_equal(receive(rig), -1);
	rig_free(rig);
}

static void a_line_that_is_no_request_is_closed(void **state)
{
	static const char *const lines[] = {
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT x\n",
		"CONNECT 4294967296\n",
		"GET / HTTP\n",
		"CONNECT 22",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	struct rig *rig = rig_new();

	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++) {
		int fd = connect_to(rig->path);
		char c;

		assert_int_equal(write(fd, lines[i], strlen(lines[i])), strlen(lines[i]));
		shutdown(fd, SHUT_WR);
		assert_int_equal(receive(rig), -1);
		if (read(fd, &c, 1) < 0)
			assert_int_equal(errno, ECONNRESET); /* bytes were left behind */
		close(fd);
	}
	rig_free(rig);
}

static void the_guest_reaches_a_program_of_the_host(void **state)
{
	struct rig *rig = rig_new();
	char path[80], data[8];
	int listener, fd;

	transmit(rig, VIRTIO_VSOCK_OP_REQUEST, GUEST, 80, NULL, 0);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_RST);

	snprintf(path, sizeof(path), "%s_80", rig->path);
	listener = listen_at(path);
	transmit(rig, VIRTIO_VSOCK_OP_REQUEST, GUEST, 80, NULL, 0);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_RESPONSE);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	transmit(rig, VIRTIO_VSOCK_OP_RW, GUEST, 80, "ping", 4);
	assert_int_equal(read(fd, data, sizeof(data)), 4);
	assert_memory_equal(data, "ping", 4);
	assert_int_equal(write(fd, "pong", 4), 4);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(rig->data, "pong", 4);
	transmit(rig, VIRTIO_VSOCK_OP_RST, GUEST, 80, NULL, 0);
	assert_int_equal(read(fd, data, sizeof(data)), 0);
	close(fd);
	close(listener);
	unlink(path);
	rig_free(rig);
}

static void a_large_stream_arrives_whole(void **state)
{
	struct rig *rig = rig_new();
	uint32_t total = 300000, sent = 0, got = 0, port;
	int fd = connect_to(rig->path), op;
	char line[32];

	assert_int_equal(write(fd, "CONNECT 1\n", 10), 10);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_REQUEST);
	port = rig->hdr.src_port;
	transmit(rig, VIRTIO_VSOCK_OP_RESPONSE, 1, port, NULL, 0);
	assert_true(read(fd, line, sizeof(line)) > 0);
	for (unsigned int i = 0; got < total && i < 10000; i++) {
		uint8_t block[5000];
		struct virtio_vsock_hdr credit = {
			.src_cid = CID,
			.dst_cid = VSOCK_HOST_CID,
			.src_port = 1,
			.dst_port = port,
			.type = VIRTIO_VSOCK_TYPE_STREAM,
			.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE,
			.buf_alloc = 0x3000,
			.fwd_cnt = got,
		};
		struct driver_buf buf = { rig->tx.buffers, sizeof(credit), 0 };
		uint32_t id, used;
		ssize_t n;

		for (unsigned int j = 0; j < sizeof(block); j++)
			block[j] = (uint8_t)((sent + j) * 13);
		n = sent < total ? write(fd, block, sizeof(block)) : 0;
		sent += n > 0 ? (uint32_t)n : 0;
		while ((op = receive(rig)) >= 0) {
			if (op != VIRTIO_VSOCK_OP_RW)
				continue;
			for (uint32_t j = 0; j < rig->hdr.len; j++)
				assert_int_equal(rig->data[j], (uint8_t)((got + j) * 13));
			got += rig->hdr.len;
		}
		credit.fwd_cnt = got;
		memcpy(driver__at(&rig->d, rig->tx.buffers), &credit, sizeof(credit));
		dq__add(&rig->tx, 0, &buf, 1);
		driver__notify(&rig->tx);
		driver__run(&rig->d);
		assert_true(dq__get(&rig->tx, &id, &used));
	}
	assert_int_equal(got, total);
	close(fd);
	rig_free(rig);
}

static void a_packet_cut_short_needs_a_reset(void **state)
{
	struct rig *rig = rig_new();
	struct virtio_vsock_hdr hdr = { .src_cid = CID, .dst_cid = VSOCK_HOST_CID, .len = 1 };
	struct driver_buf buf = { rig->tx.buffers, sizeof(hdr) - 1, 0 };

	for (unsigned int i = 0; i < 2; i++) {
		memcpy(driver__at(&rig->d, rig->tx.buffers), &hdr, sizeof(hdr));
		buf.len = (uint32_t)(sizeof(hdr) - 1 + i); /* then: less than it says */
		dq__add(&rig->tx, 0, &buf, 1);
		driver__notify(&rig->tx);
		driver__run(&rig->d);
		assert_true(driver__needs_reset(&rig->d));
		bring_up(rig);
	}
	transmit(rig, VIRTIO_VSOCK_OP_RW, 1, 1, NULL, 0);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_RST);
	rig_free(rig);
}

static void a_receive_buffer_without_room_needs_a_reset(void **state)
{
	struct rig *rig = rig_new();
	struct driver_buf buf = { rig->rx.buffers, sizeof(struct virtio_vsock_hdr),
				  VRING_DESC_F_WRITE };

	assert_true(driver__negotiate(&rig->d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	dq__init(&rig->rx, &rig->d, 0, 16, false, false);
	dq__init(&rig->tx, &rig->d, 1, 16, false, false);
	driver__enable_queue(&rig->rx);
	driver__enable_queue(&rig->tx);
	driver__ok(&rig->d);
	dq__add(&rig->rx, 0, &buf, 1);
	transmit(rig, VIRTIO_VSOCK_OP_RW, 1, 1, NULL, 0);
	driver__run(&rig->d);
	assert_true(driver__needs_reset(&rig->d));
	rig_free(rig);
}

static void a_guest_that_takes_no_resets_stalls_only_itself(void **state)
{
	struct rig *rig = rig_new();
	unsigned int nr = 0;
	uint32_t id, used;

	/* No receive buffers: a driver that sends and does not listen. */
	assert_true(driver__negotiate(&rig->d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	dq__init(&rig->rx, &rig->d, 0, 16, false, false);
	dq__init(&rig->tx, &rig->d, 1, 16, false, false);
	driver__enable_queue(&rig->rx);
	driver__enable_queue(&rig->tx);
	driver__ok(&rig->d);
	for (unsigned int i = 0; i < VSOCK_MAX_REPLIES; i++)
		transmit(rig, VIRTIO_VSOCK_OP_RW, 1, 1, NULL, 0);
	dq__add(&rig->tx, 0, &(struct driver_buf){ rig->tx.buffers, sizeof(rig->hdr), 0 }, 1);
	driver__notify(&rig->tx);
	driver__run(&rig->d);
	assert_false(dq__get(&rig->tx, &id, &used));

	for (uint16_t i = 0; i < 16; i += 2)
		add_rx(rig, i);
	driver__notify(&rig->rx);
	driver__run(&rig->d);
	assert_true(dq__get(&rig->tx, &id, &used));
	while (receive(rig) == VIRTIO_VSOCK_OP_RST)
		nr++;
	assert_int_equal(nr, VSOCK_MAX_REPLIES + 1);
	rig_free(rig);
}

static void a_reset_closes_connections_and_the_next_driver_gets_new_ones(void **state)
{
	struct rig *rig = rig_new();
	int fd = connect_to(rig->path), other;
	char c;

	assert_int_equal(write(fd, "CONNECT 22\n", 11), 11);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_REQUEST);
	driver__set_reg(&rig->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(read(fd, &c, 1), 0);
	other = connect_to(rig->path); /* waits */
	assert_int_equal(write(other, "CONNECT 23\n", 11), 11);
	driver__run(&rig->d);
	bring_up(rig);
	assert_int_equal(receive(rig), VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(rig->hdr.dst_port, 23);
	close(fd);
	close(other);
	rig_free(rig);
}

static void *run_loop(void *ctx)
{
	event_loop__run(ctx);
	return NULL;
}

/* The driver resets in one thread what the loop is busy with in another. */
static void a_reset_amid_traffic_leaves_nothing_behind(void **state)
{
	struct rig *rig = rig_new();
	struct virtio_vsock_hdr hdr = { .src_cid = CID,
					.dst_cid = VSOCK_HOST_CID,
					.src_port = 1,
					.dst_port = 80,
					.type = VIRTIO_VSOCK_TYPE_STREAM,
					.op = VIRTIO_VSOCK_OP_REQUEST };
	struct driver_buf buf = { rig->tx.buffers, sizeof(hdr), 0 };
	pthread_t thread;
	char path[80];
	int listener;

	snprintf(path, sizeof(path), "%s_80", rig->path);
	listener = listen_at(path);
	memcpy(driver__at(&rig->d, rig->tx.buffers), &hdr, sizeof(hdr));
	driver__set_reg(&rig->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, rig->d.board.host.loop), 0);
	for (unsigned int i = 0; i < 300; i++) {
		const struct timespec moment = { .tv_nsec = (long)(i % 8) * 20000 };
		/* A loop that is slow today leaves them all in the backlog, which then is full. */
		int fd = try_connect(rig->path), accepted;

		if (fd >= 0)
			assert_int_equal(write(fd, "CONNECT 5\nabc", 13), 13);
		assert_true(driver__negotiate(&rig->d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
		dq__init(&rig->rx, &rig->d, 0, 16, false, false);
		dq__init(&rig->tx, &rig->d, 1, 16, false, false);
		dq__set_interrupts(&rig->rx, false);
		dq__set_interrupts(&rig->tx, false);
		for (uint16_t j = 0; j < 16; j += 2)
			add_rx(rig, j);
		dq__add(&rig->tx, 0, &buf, 1);
		driver__enable_queue(&rig->rx);
		driver__enable_queue(&rig->tx);
		driver__ok(&rig->d);
		nanosleep(&moment, NULL);
		if (i % 2 && fd >= 0)
			close(fd);
		driver__set_reg(&rig->d, VIRTIO_MMIO_STATUS, 0);
		if (!(i % 2) && fd >= 0)
			close(fd);
		accepted = accept4(listener, NULL, NULL, 0);
		if (accepted >= 0)
			close(accepted);
	}
	event_loop__stop(rig->d.board.host.loop);
	pthread_join(thread, NULL);
	close(listener);
	unlink(path);
	bring_up(rig);
	assert_false(driver__needs_reset(&rig->d));
	rig_free(rig);
}

static void a_stale_socket_is_replaced_and_one_in_use_is_not(void **state)
{
	struct rig *rig = rig_new();
	struct virtio_vsock_params params = { .guest_cid = CID };
	struct virtio_mmio_config mmio = { .base = DRIVER_MMIO + 0x1000, .gsi = 6 };
	struct virtio_device *dev;
	char path[80];

	params.path = rig->path;
	assert_int_equal(virtio_vsock__create(&rig->d.board.host, 1, &params, &dev), 0);
	assert_int_equal(device__add(&rig->d.board.devices,
				     virtio_mmio__create(&rig->d.board.host, dev, &mmio)),
			 -EADDRINUSE);
	assert_int_equal(access(rig->path, F_OK), 0);

	snprintf(path, sizeof(path), "%s-stale", rig->path);
	close(listen_at(path));
	params.path = path;
	assert_int_equal(virtio_vsock__create(&rig->d.board.host, 1, &params, &dev), 0);
	assert_int_equal(device__add(&rig->d.board.devices,
				     virtio_mmio__create(&rig->d.board.host, dev, &mmio)),
			 0);
	close(connect_to(path));
	rig_free(rig);
}

static void wrong_parameters_are_refused(void **state)
{
	char path[200];
	struct virtio_vsock_params params = { .path = path };
	static const uint64_t cids[] = { 0, 1, 2, 0xffffffff, 0x100000003, UINT64_MAX };
	struct device_host host = { 0 };
	struct virtio_device *dev;

	strcpy(path, "/tmp/x");
	for (unsigned int i = 0; i < ARRAY_SIZE(cids); i++) {
		params.guest_cid = cids[i];
		assert_int_equal(virtio_vsock__create(&host, 0, &params, &dev), -EINVAL);
	}
	params.guest_cid = 3;
	memset(path, 'a', 97);
	path[97] = 0;
	assert_int_equal(virtio_vsock__create(&host, 0, &params, &dev), -EINVAL);
	path[0] = 0;
	assert_int_equal(virtio_vsock__create(&host, 0, &params, &dev), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_connects_and_both_sides_talk),
		cmocka_unit_test(a_port_where_nobody_listens_is_a_reset),
		cmocka_unit_test(packets_for_no_connection_are_reset_but_resets_are_not),
		cmocka_unit_test(another_type_or_another_host_is_reset_and_a_false_name_ignored),
		cmocka_unit_test(a_second_request_for_one_connection_ends_it),
		cmocka_unit_test(an_unknown_operation_ends_the_connection),
		cmocka_unit_test(the_guest_gets_no_more_than_it_has_room_for),
		cmocka_unit_test(credit_that_makes_no_sense_is_none),
		cmocka_unit_test(credit_wraps_around_with_its_counters),
		cmocka_unit_test(a_slow_host_gets_everything_in_order),
		cmocka_unit_test(a_guest_that_sends_more_than_its_credit_is_reset),
		cmocka_unit_test(a_guest_learns_of_its_credit_when_it_asks),
		cmocka_unit_test(the_end_of_the_hosts_stream_comes_after_its_bytes),
		cmocka_unit_test(a_guest_that_does_not_answer_a_shutdown_is_reset_in_the_end),
		cmocka_unit_test(a_guest_shuts_down_one_direction_after_the_other),
		cmocka_unit_test(data_after_a_shutdown_ends_the_connection),
		cmocka_unit_test(nothing_is_sent_to_a_guest_that_receives_no_more),
		cmocka_unit_test(the_last_bytes_of_a_guest_that_has_closed_still_arrive),
		cmocka_unit_test(bytes_that_nobody_takes_are_dropped_after_a_while),
		cmocka_unit_test(a_host_that_breaks_off_is_a_reset),
		cmocka_unit_test(a_host_connects_and_gets_a_port_of_its_own),
		cmocka_unit_test(a_host_whose_request_is_refused_or_not_answered_is_closed),
		cmocka_unit_test(connections_take_turns),
		cmocka_unit_test(there_are_no_more_connections_than_allowed),
		cmocka_unit_test(no_reset_is_lost_however_many_there_are),
		cmocka_unit_test(a_guest_that_sends_noise_breaks_nothing),
		cmocka_unit_test(a_program_of_the_host_reaches_a_port_of_the_guest),
		cmocka_unit_test(a_line_that_is_no_request_is_closed),
		cmocka_unit_test(the_guest_reaches_a_program_of_the_host),
		cmocka_unit_test(a_large_stream_arrives_whole),
		cmocka_unit_test(a_packet_cut_short_needs_a_reset),
		cmocka_unit_test(a_receive_buffer_without_room_needs_a_reset),
		cmocka_unit_test(a_guest_that_takes_no_resets_stalls_only_itself),
		cmocka_unit_test(a_reset_closes_connections_and_the_next_driver_gets_new_ones),
		cmocka_unit_test(a_reset_amid_traffic_leaves_nothing_behind),
		cmocka_unit_test(a_stale_socket_is_replaced_and_one_in_use_is_not),
		cmocka_unit_test(wrong_parameters_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
