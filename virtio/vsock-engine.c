// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The protocol of virtio-vsock (Virtio 1.2, section 5.10.6).
 *
 * Theory of operation. A connection is known by its two ports. From guest to host: what a packet
 * carries is written to the host's stream at once, and what that does not take waits in the
 * connection's buffer, whose size is the credit that the guest has been given; a guest that sends
 * more loses the connection. From host to guest: a connection with a readable stream and credit
 * from the guest is in the list of those that are ready; each packet for the guest is taken from
 * the one in front, which then goes to the end. Bytes are read from the stream straight into the
 * guest's buffer. So nothing is ever copied into a queue here, and memory is bounded by the number
 * of connections.
 *
 * Packets without data that a connection owes are bits in it. A reset outlives its connection,
 * so resets have a ring of their own. It cannot overflow: no packet is taken and no
 * connection made while VSOCK_MAX_REPLIES are waiting, and each packet and each connection adds one
 * at the most.
 *
 * End of a connection. The host's end of file is SHUTDOWN(SEND), and its being gone SHUTDOWN of
 * both directions, whereupon the guest has to answer with RST; after a while it gets one itself.
 * When the guest shuts down both directions it gets its RST at once, and both sides may use the
 * ports again, while bytes that the host has not yet taken are kept for it for a while.
 */
#include "virtio/vsock-engine.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NR_BUCKETS  64u
#define NR_REPLIES  (VSOCK_MAX_REPLIES + VSOCK_MAX_CONNS)
#define FIRST_PORT  0x40000000u /* of those that the engine chooses */
#define TELL_EVERY  (VSOCK_BUFFER / 4)
#define MAX_PAYLOAD 0x10000u /* as Linux sends and expects */
#define MAX_PIECES  64u
#define BOTH	    (uint32_t)(VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define OWES(op)    (1u << (op))

/* Milliseconds. */
#define TIME_TO_SAY    5000u /* which port it wants */
#define TIME_TO_ACCEPT 5000u
#define TIME_TO_CLOSE  8000u
#define TIME_TO_DRAIN  8000u

/**
 * struct reply - a reset owed to the guest, by the addresses of the packet to be sent
 */
struct reply {
	uint64_t src_cid;
	uint32_t src_port, dst_port;
};

struct vsock_engine {
	uint64_t guest_cid;
	const struct vsock_ops *ops;
	void *ctx;
	unsigned int nr_conns;
	LIST_HEAD(, vsock_conn) all;
	LIST_HEAD(, vsock_conn) bucket[NR_BUCKETS];
	TAILQ_HEAD(, vsock_conn) ready;
	uint32_t next_port;
	struct reply reply[NR_REPLIES];
	unsigned int first_reply, nr_replies;
	uint64_t now, next_deadline;
};

/* --- time ----------------------------------------------------------------------------------- */

static void set_deadline(struct vsock_conn *conn, uint64_t time)
{
	struct vsock_engine *engine = conn->engine;

	conn->deadline = time ? engine->now + time : VSOCK_NO_DEADLINE;
	if (conn->deadline < engine->next_deadline)
		engine->next_deadline = conn->deadline;
}

/* --- resets --------------------------------------------------------------------------------- */

static void owe_reset(struct vsock_engine *engine, uint64_t src_cid, uint32_t src_port,
		      uint32_t dst_port)
{
	unsigned int at = (engine->first_reply + engine->nr_replies) % NR_REPLIES;

	if (engine->nr_replies == NR_REPLIES)
		return;
	engine->reply[at] = (struct reply){ src_cid, src_port, dst_port };
	engine->nr_replies++;
}

static void refuse(struct vsock_engine *engine, const struct virtio_vsock_hdr *hdr)
{
	if (le16toh(hdr->op) != VIRTIO_VSOCK_OP_RST)
		owe_reset(engine, le64toh(hdr->dst_cid), le32toh(hdr->dst_port),
			  le32toh(hdr->src_port));
}

/* --- connections ---------------------------------------------------------------------------- */

static unsigned int bucket_of(uint32_t host_port, uint32_t guest_port)
{
	return (host_port * 31 + guest_port) % NR_BUCKETS;
}

static struct vsock_conn *find(struct vsock_engine *engine, uint32_t host_port, uint32_t guest_port)
{
	struct vsock_conn *conn;

	LIST_FOREACH(conn, &engine->bucket[bucket_of(host_port, guest_port)], hash)
	{
		if (conn->host_port == host_port && conn->guest_port == guest_port)
			return conn;
	}
	return NULL;
}

static bool has_address(const struct vsock_conn *conn)
{
	return conn->state == VSOCK_ASKED || conn->state == VSOCK_OPEN;
}

static void set_address(struct vsock_conn *conn, uint32_t host_port, uint32_t guest_port)
{
	conn->host_port = host_port;
	conn->guest_port = guest_port;
	LIST_INSERT_HEAD(&conn->engine->bucket[bucket_of(host_port, guest_port)], conn, hash);
}

static bool has_room(const struct vsock_engine *engine)
{
	return engine->nr_conns < VSOCK_MAX_CONNS && vsock_engine__can_take(engine);
}

static void add(struct vsock_engine *engine, struct vsock_conn *conn, enum vsock_state state)
{
	conn->engine = engine;
	conn->state = state;
	conn->deadline = VSOCK_NO_DEADLINE;
	LIST_INSERT_HEAD(&engine->all, conn, all);
	engine->nr_conns++;
}

/* Nothing more is to be sent to the guest, and its address is free. */
static void leave_guest(struct vsock_conn *conn)
{
	if (conn->is_ready)
		TAILQ_REMOVE(&conn->engine->ready, conn, ready);
	conn->is_ready = false;
	if (has_address(conn))
		LIST_REMOVE(conn, hash);
}

static void forget(struct vsock_conn *conn)
{
	leave_guest(conn);
	LIST_REMOVE(conn, all);
	conn->engine->nr_conns--;
	free(conn->buffer);
	conn->engine->ops->close(conn);
}

void vsock_engine__abort(struct vsock_conn *conn)
{
	if (has_address(conn))
		owe_reset(conn->engine, VSOCK_HOST_CID, conn->host_port, conn->guest_port);
	forget(conn);
}

static uint32_t credit(const struct vsock_conn *conn)
{
	uint32_t in_flight = conn->tx_cnt - conn->peer_fwd_cnt;

	return in_flight < conn->peer_buf_alloc ? conn->peer_buf_alloc - in_flight : 0;
}

static bool may_read(const struct vsock_conn *conn)
{
	return conn->state == VSOCK_OPEN && !(conn->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) &&
	       !(conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* After any change: is there something for the guest, and what to wait for on the host? */
static void update(struct vsock_conn *conn)
{
	struct vsock_engine *engine = conn->engine;
	bool readable = may_read(conn) && conn->readable;
	bool ready;

	if (readable && !credit(conn) && !conn->credit_asked) {
		conn->credit_asked = true;
		conn->owed |= OWES(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	}
	if (conn->state == VSOCK_OPEN && conn->fwd_cnt - conn->told_fwd_cnt >= TELL_EVERY)
		conn->owed |= OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE);

	ready = has_address(conn) && (conn->owed || (readable && credit(conn)));
	if (ready && !conn->is_ready)
		TAILQ_INSERT_TAIL(&engine->ready, conn, ready);
	else if (!ready && conn->is_ready)
		TAILQ_REMOVE(&engine->ready, conn, ready);
	conn->is_ready = ready;

	engine->ops->watch(conn, conn->state == VSOCK_NEW || (may_read(conn) && !conn->readable),
			   conn->held);
}

/* Say to the guest what the host will not do any more. */
static void shut_host(struct vsock_conn *conn, uint32_t flags)
{
	if ((conn->host_shut | flags) == conn->host_shut)
		return;
	conn->host_shut |= flags;
	conn->owed |= OWES(VIRTIO_VSOCK_OP_SHUTDOWN);
	if (conn->host_shut == BOTH)
		set_deadline(conn, TIME_TO_CLOSE);
}

/* --- from guest to host --------------------------------------------------------------------- */

static void hold(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr, size_t skip)
{
	for (unsigned int i = 0; i < nr; i++) {
		const uint8_t *from = iov[i].iov_base;
		size_t len = iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		from += skip;
		len -= skip;
		skip = 0;
		while (len) {
			uint32_t at = (conn->first + conn->held) % VSOCK_BUFFER;
			size_t part = VSOCK_BUFFER - at;

			if (part > len)
				part = len;
			memcpy(conn->buffer + at, from, part);
			conn->held += (uint32_t)part;
			from += part;
			len -= part;
		}
	}
}

/* Return: whether the host is still there. */
static bool flush(struct vsock_conn *conn)
{
	while (conn->held) {
		uint32_t part = VSOCK_BUFFER - conn->first;
		struct iovec iov = {
			.iov_base = conn->buffer + conn->first,
			.iov_len = part < conn->held ? part : conn->held,
		};
		ssize_t done = conn->engine->ops->write(conn, &iov, 1);

		if (done <= 0)
			return done == -EAGAIN;
		conn->fwd_cnt += (uint32_t)done;
		conn->first = (conn->first + (uint32_t)done) % VSOCK_BUFFER;
		conn->held -= (uint32_t)done;
	}
	return true;
}

/* The guest has closed: what the host has not taken yet stays for a while. */
static void drain(struct vsock_conn *conn)
{
	if (!conn->held || conn->state != VSOCK_OPEN) {
		forget(conn);
		return;
	}
	leave_guest(conn);
	conn->state = VSOCK_DRAINING;
	conn->owed = 0;
	set_deadline(conn, TIME_TO_DRAIN);
	update(conn);
}

static void take_data(struct vsock_conn *conn, uint32_t len, const struct iovec *iov,
		      unsigned int nr)
{
	ssize_t done = 0;

	if (len > VSOCK_BUFFER - conn->held) {
		vsock_engine__abort(conn); /* more than it has credit for */
		return;
	}
	if (!conn->held && len) {
		done = conn->engine->ops->write(conn, iov, nr);
		if (done == -EAGAIN)
			done = 0;
		if (done < 0) {
			vsock_engine__abort(conn);
			return;
		}
		conn->fwd_cnt += (uint32_t)done;
	}
	if ((size_t)done < len) {
		if (!conn->buffer)
			conn->buffer = malloc(VSOCK_BUFFER);
		if (!conn->buffer) {
			vsock_engine__abort(conn);
			return;
		}
		hold(conn, iov, nr, (size_t)done);
	}
	update(conn);
}

static void shut_guest(struct vsock_conn *conn, uint32_t flags)
{
	uint32_t fresh = flags & BOTH & ~conn->guest_shut;

	conn->guest_shut |= fresh; /* once said, it stays said (5.10.6.5) */
	if (conn->guest_shut == BOTH) {
		owe_reset(conn->engine, VSOCK_HOST_CID, conn->host_port, conn->guest_port);
		drain(conn);
		return;
	}
	if (fresh & VIRTIO_VSOCK_SHUTDOWN_RCV)
		conn->engine->ops->shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_RCV);
	if (fresh & VIRTIO_VSOCK_SHUTDOWN_SEND && !conn->held)
		conn->engine->ops->shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_SEND);
	update(conn);
}

static void accept_guest(struct vsock_engine *engine, const struct virtio_vsock_hdr *hdr)
{
	uint32_t port = le32toh(hdr->dst_port);
	struct vsock_conn *conn = has_room(engine) ? engine->ops->open(engine->ctx, port) : NULL;

	if (!conn) {
		refuse(engine, hdr);
		return;
	}
	add(engine, conn, VSOCK_OPEN);
	set_address(conn, port, le32toh(hdr->src_port));
	conn->peer_buf_alloc = le32toh(hdr->buf_alloc);
	conn->peer_fwd_cnt = le32toh(hdr->fwd_cnt);
	conn->owed = OWES(VIRTIO_VSOCK_OP_RESPONSE);
	update(conn);
}

static void accepted_by_guest(struct vsock_conn *conn)
{
	conn->state = VSOCK_OPEN;
	set_deadline(conn, 0);
	conn->engine->ops->connected(conn);
	update(conn);
}

static void take(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
		 const struct iovec *iov, unsigned int nr)
{
	unsigned int op = le16toh(hdr->op);
	bool open = conn->state == VSOCK_OPEN;

	conn->peer_buf_alloc = le32toh(hdr->buf_alloc);
	conn->peer_fwd_cnt = le32toh(hdr->fwd_cnt);
	conn->credit_asked = conn->credit_asked && !credit(conn);

	if (op == VIRTIO_VSOCK_OP_RST) {
		drain(conn);
	} else if (op == VIRTIO_VSOCK_OP_RESPONSE && !open) {
		accepted_by_guest(conn);
	} else if (op == VIRTIO_VSOCK_OP_RW && open &&
		   !(conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)) {
		take_data(conn, le32toh(hdr->len), iov, nr);
	} else if (op == VIRTIO_VSOCK_OP_CREDIT_UPDATE && open) {
		update(conn);
	} else if (op == VIRTIO_VSOCK_OP_CREDIT_REQUEST && open) {
		conn->owed |= OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		update(conn);
	} else if (op == VIRTIO_VSOCK_OP_SHUTDOWN && open) {
		shut_guest(conn, le32toh(hdr->flags));
	} else {
		vsock_engine__abort(conn);
	}
}

bool vsock_engine__can_take(const struct vsock_engine *engine)
{
	return engine->nr_replies < VSOCK_MAX_REPLIES;
}

void vsock_engine__put(struct vsock_engine *engine, const struct virtio_vsock_hdr *hdr,
		       const struct iovec *iov, unsigned int nr)
{
	struct vsock_conn *conn;

	/* 5.10.6.4: only the guest may speak here, and only for itself. */
	if (le64toh(hdr->src_cid) != engine->guest_cid)
		return;
	if (le64toh(hdr->dst_cid) != VSOCK_HOST_CID ||
	    le16toh(hdr->type) != VIRTIO_VSOCK_TYPE_STREAM) {
		refuse(engine, hdr);
		return;
	}
	conn = find(engine, le32toh(hdr->dst_port), le32toh(hdr->src_port));
	if (conn)
		take(conn, hdr, iov, nr);
	else if (le16toh(hdr->op) == VIRTIO_VSOCK_OP_REQUEST)
		accept_guest(engine, hdr);
	else
		refuse(engine, hdr);
}

/* --- from host to guest --------------------------------------------------------------------- */

static void fill_header(const struct vsock_engine *engine, struct virtio_vsock_hdr *hdr,
			unsigned int op, uint32_t host_port, uint32_t guest_port)
{
	*hdr = (struct virtio_vsock_hdr){
		.src_cid = htole64(VSOCK_HOST_CID),
		.dst_cid = htole64(engine->guest_cid),
		.src_port = htole32(host_port),
		.dst_port = htole32(guest_port),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16((uint16_t)op),
	};
}

static void get_reset(struct vsock_engine *engine, struct virtio_vsock_hdr *hdr)
{
	const struct reply *reply = &engine->reply[engine->first_reply];

	fill_header(engine, hdr, VIRTIO_VSOCK_OP_RST, reply->src_port, reply->dst_port);
	hdr->src_cid = htole64(reply->src_cid);
	engine->first_reply = (engine->first_reply + 1) % NR_REPLIES;
	engine->nr_replies--;
}

/* A packet of a connection tells of our buffer, whatever it is for (5.10.6.3.1). */
static void begin_packet(struct vsock_conn *conn, struct virtio_vsock_hdr *hdr, unsigned int op)
{
	fill_header(conn->engine, hdr, op, conn->host_port, conn->guest_port);
	hdr->buf_alloc = htole32(VSOCK_BUFFER);
	hdr->fwd_cnt = htole32(conn->fwd_cnt);
	conn->told_fwd_cnt = conn->fwd_cnt;
	conn->owed &= ~(OWES(op) | OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE));
	if (op == VIRTIO_VSOCK_OP_SHUTDOWN)
		hdr->flags = htole32(conn->host_shut);
}

/* The last op first, but RESPONSE and REQUEST before all others. */
static unsigned int next_owed(const struct vsock_conn *conn)
{
	uint32_t first =
		conn->owed & (OWES(VIRTIO_VSOCK_OP_REQUEST) | OWES(VIRTIO_VSOCK_OP_RESPONSE));

	return 31u - (unsigned int)__builtin_clz(first ? first : conn->owed);
}

static bool get_data(struct vsock_conn *conn, struct virtio_vsock_hdr *hdr, const struct iovec *iov,
		     unsigned int nr)
{
	uint32_t room = credit(conn) < MAX_PAYLOAD ? credit(conn) : MAX_PAYLOAD;
	struct iovec part[MAX_PIECES];
	unsigned int used = 0;
	ssize_t done;

	while (used < nr && used < MAX_PIECES && room) {
		part[used] = iov[used];
		if (part[used].iov_len > room)
			part[used].iov_len = room;
		room -= (uint32_t)part[used++].iov_len;
	}
	done = conn->engine->ops->read(conn, part, used);
	if (done > 0) {
		begin_packet(conn, hdr, VIRTIO_VSOCK_OP_RW);
		hdr->len = htole32((uint32_t)done);
		conn->tx_cnt += (uint32_t)done;
		return true;
	}
	conn->readable = false;
	if (done != -EAGAIN)
		shut_host(conn, conn->host_gone || done ? BOTH : VIRTIO_VSOCK_SHUTDOWN_SEND);
	return false;
}

/* From the connection in front, which then goes to the end if it has more. */
static bool get_from(struct vsock_conn *conn, struct virtio_vsock_hdr *hdr, const struct iovec *iov,
		     unsigned int nr)
{
	bool got = true;

	TAILQ_REMOVE(&conn->engine->ready, conn, ready);
	conn->is_ready = false;
	if (conn->owed)
		begin_packet(conn, hdr, next_owed(conn));
	else
		got = get_data(conn, hdr, iov, nr);
	update(conn);
	return got;
}

bool vsock_engine__has_packet(const struct vsock_engine *engine)
{
	return engine->nr_replies || !TAILQ_EMPTY(&engine->ready);
}

/*
 * A connection that gives nothing is not readable any more, and owes a SHUTDOWN at the most: the
 * loop ends.
 */
bool vsock_engine__get(struct vsock_engine *engine, struct virtio_vsock_hdr *hdr,
		       const struct iovec *iov, unsigned int nr)
{
	if (engine->nr_replies) {
		get_reset(engine, hdr);
		return true;
	}
	while (!TAILQ_EMPTY(&engine->ready)) {
		if (get_from(TAILQ_FIRST(&engine->ready), hdr, iov, nr))
			return true;
	}
	return false;
}

/* --- from the host -------------------------------------------------------------------------- */

int vsock_engine__adopt(struct vsock_engine *engine, struct vsock_conn *conn)
{
	if (!has_room(engine))
		return -EBUSY;
	add(engine, conn, VSOCK_NEW);
	set_deadline(conn, TIME_TO_SAY);
	update(conn);
	return 0;
}

void vsock_engine__connect(struct vsock_conn *conn, uint32_t guest_port)
{
	struct vsock_engine *engine = conn->engine;
	uint32_t port;

	/* There are fewer connections than ports to choose from: one is free. */
	do {
		port = FIRST_PORT | engine->next_port;
		engine->next_port = (engine->next_port + 1) % FIRST_PORT;
	} while (find(engine, port, guest_port));

	conn->state = VSOCK_ASKED;
	set_address(conn, port, guest_port);
	conn->owed = OWES(VIRTIO_VSOCK_OP_REQUEST);
	set_deadline(conn, TIME_TO_ACCEPT);
	update(conn);
}

static void finish_writing(struct vsock_conn *conn)
{
	if (conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
		conn->engine->ops->shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_SEND);
}

void vsock_engine__ready(struct vsock_conn *conn, bool in, bool out, bool gone)
{
	uint32_t before = conn->held;

	conn->readable |= in;
	conn->host_gone |= gone;
	if (gone && !has_address(conn) && !conn->held) {
		forget(conn);
		return;
	}
	if (out && !flush(conn)) {
		vsock_engine__abort(conn);
		return;
	}
	if (before && !conn->held) {
		if (conn->state == VSOCK_DRAINING) {
			forget(conn);
			return;
		}
		finish_writing(conn);
	}
	/* What it has sent comes first: the end is found by reading, unless nobody reads any more. */
	if (conn->host_gone && conn->state == VSOCK_OPEN) {
		if (may_read(conn))
			conn->readable = true;
		else
			shut_host(conn, BOTH);
	}
	update(conn);
}

/* --- the whole ------------------------------------------------------------------------------ */

void vsock_engine__set_time(struct vsock_engine *engine, uint64_t now)
{
	engine->now = now;
}

uint64_t vsock_engine__expire(struct vsock_engine *engine)
{
	struct vsock_conn *conn, *next;

	if (engine->now < engine->next_deadline)
		return engine->next_deadline;

	engine->next_deadline = VSOCK_NO_DEADLINE;
	for (conn = LIST_FIRST(&engine->all); conn; conn = next) {
		next = LIST_NEXT(conn, all);
		if (conn->deadline <= engine->now)
			vsock_engine__abort(conn);
		else if (conn->deadline < engine->next_deadline)
			engine->next_deadline = conn->deadline;
	}
	return engine->next_deadline;
}

struct vsock_engine *vsock_engine__create(uint64_t guest_cid, const struct vsock_ops *ops,
					  void *ctx)
{
	struct vsock_engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return NULL;
	engine->guest_cid = guest_cid;
	engine->ops = ops;
	engine->ctx = ctx;
	engine->next_deadline = VSOCK_NO_DEADLINE;
	LIST_INIT(&engine->all);
	TAILQ_INIT(&engine->ready);
	return engine;
}

void vsock_engine__clear(struct vsock_engine *engine)
{
	while (!LIST_EMPTY(&engine->all))
		forget(LIST_FIRST(&engine->all));
	engine->first_reply = engine->nr_replies = 0;
	engine->next_deadline = VSOCK_NO_DEADLINE;
}

void vsock_engine__destroy(struct vsock_engine *engine)
{
	if (!engine)
		return;
	vsock_engine__clear(engine);
	free(engine);
}
