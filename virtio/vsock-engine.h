/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol of virtio-vsock without descriptors, threads and clocks (Virtio 1.2, section 5.10).
 *
 * Packets of the guest go in, packets for the guest come out, and streams of bytes on the host are
 * behind a handful of functions. virtio/vsock-user.c puts UNIX sockets there; tests put what they
 * like. None of it is for two threads at once.
 */
#ifndef VIRTIO_VSOCK_ENGINE_H
#define VIRTIO_VSOCK_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/virtio_vsock.h>

#define VSOCK_HOST_CID	  2u
#define VSOCK_BUFFER	  0x40000u /* bytes that a connection holds for the host at the most */
#define VSOCK_MAX_CONNS	  256u	   /* at once: with VSOCK_BUFFER the bound on memory */
#define VSOCK_MAX_REPLIES 64u	   /* resets owed to the guest before no more packets are taken */

#define VSOCK_NO_DEADLINE UINT64_MAX

struct vsock_engine;
struct vsock_conn;

/**
 * struct vsock_ops - streams of bytes on the host; none of them blocks
 * @open:      the guest connects to a port: a new connection, zeroed but for what is behind struct
 *             vsock_conn; NULL refuses
 * @connected: the guest has accepted what vsock_engine__connect() asked for
 * @read:      bytes read; 0 at the end; -EAGAIN; any other negative errno is the end as well
 * @write:     bytes written, perhaps fewer than there are; -EAGAIN; any other negative errno means
 *             that nobody is there
 * @shutdown:  the guest receives no more (VIRTIO_VSOCK_SHUTDOWN_RCV), or has sent all
 *             (VIRTIO_VSOCK_SHUTDOWN_SEND), or both
 * @watch:     have vsock_engine__ready() called when it can be read from, or written to
 * @close:     the connection is over and forgotten: free it
 */
struct vsock_ops {
	struct vsock_conn *(*open)(void *ctx, uint32_t port);
	void (*connected)(struct vsock_conn *conn);
	ssize_t (*read)(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr);
	ssize_t (*write)(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr);
	void (*shutdown)(struct vsock_conn *conn, uint32_t flags);
	void (*watch)(struct vsock_conn *conn, bool in, bool out);
	void (*close)(struct vsock_conn *conn);
};

/**
 * enum vsock_state - of a connection
 * @VSOCK_NEW:      a host program has come and not yet said which port it wants
 * @VSOCK_ASKED:    the guest has been asked
 * @VSOCK_OPEN:     established
 * @VSOCK_DRAINING: over as far as the guest is concerned; its last bytes wait for the host
 */
enum vsock_state {
	VSOCK_NEW,
	VSOCK_ASKED,
	VSOCK_OPEN,
	VSOCK_DRAINING,
};

/**
 * struct vsock_conn - a connection, embedded first in that of the back end
 * @host_port, @guest_port: its ends
 * @owed:        packets to be sent to the guest, a bit for each VIRTIO_VSOCK_OP_
 * @is_ready:    it is in the engine's list of those that have something for the guest
 * @readable:    the host's stream may have bytes
 * @host_gone:   the host program has closed its end: what it has sent is still to be read
 * @host_shut, @guest_shut: VIRTIO_VSOCK_SHUTDOWN_ flags, as said by either side
 * @fwd_cnt, @told_fwd_cnt: bytes passed to the host, now and as the guest knows it
 * @tx_cnt:      bytes sent to the guest
 * @peer_buf_alloc, @peer_fwd_cnt: what the guest says of its buffer (5.10.6.3)
 * @credit_asked: CREDIT_REQUEST has been sent since
 * @buffer, @first, @held: a ring of VSOCK_BUFFER bytes for the host, or NULL
 * @deadline:    when it is over, on the engine's clock
 */
struct vsock_conn {
	struct vsock_engine *engine;
	LIST_ENTRY(vsock_conn) all;
	LIST_ENTRY(vsock_conn) hash;
	TAILQ_ENTRY(vsock_conn) ready;
	enum vsock_state state;
	uint32_t host_port, guest_port;
	uint32_t owed;
	bool is_ready, readable, host_gone, credit_asked;
	uint32_t host_shut, guest_shut;
	uint32_t fwd_cnt, told_fwd_cnt;
	uint32_t tx_cnt, peer_buf_alloc, peer_fwd_cnt;
	uint8_t *buffer;
	uint32_t first, held;
	uint64_t deadline;
};

/**
 * vsock_engine__create - an engine without connections
 * @guest_cid: context ID of the guest
 * @ctx:       for ops->open
 *
 * Return: NULL without memory.
 */
struct vsock_engine *vsock_engine__create(uint64_t guest_cid, const struct vsock_ops *ops,
					  void *ctx);

/**
 * vsock_engine__clear - close all connections without a word to the guest
 */
void vsock_engine__clear(struct vsock_engine *engine);

/**
 * vsock_engine__destroy - clear and free; NULL is harmless
 */
void vsock_engine__destroy(struct vsock_engine *engine);

/**
 * vsock_engine__adopt - a host program has come
 * @conn: as from ops->open
 *
 * Return: 0; -EBUSY if there are too many: @conn stays the caller's.
 */
int vsock_engine__adopt(struct vsock_engine *engine, struct vsock_conn *conn);

/**
 * vsock_engine__connect - connect it to a port of the guest; once
 *
 * A port of the host is chosen for it.
 */
void vsock_engine__connect(struct vsock_conn *conn, uint32_t guest_port);

/**
 * vsock_engine__abort - end a connection, in any state; @conn is gone then
 */
void vsock_engine__abort(struct vsock_conn *conn);

/**
 * vsock_engine__ready - the host's stream is ready; @conn may be gone then
 * @in, @out: can be read from; can be written to
 * @gone:     the host program has closed it
 */
void vsock_engine__ready(struct vsock_conn *conn, bool in, bool out, bool gone);

/**
 * vsock_engine__can_take - whether vsock_engine__put() may be called
 *
 * If not, it may be once vsock_engine__get() has been called.
 */
bool vsock_engine__can_take(const struct vsock_engine *engine);

/**
 * vsock_engine__put - a packet of the guest
 * @hdr:      a copy of its header; hostile
 * @iov, @nr: its payload, exactly hdr->len bytes; anything may be in it
 */
void vsock_engine__put(struct vsock_engine *engine, const struct virtio_vsock_hdr *hdr,
		       const struct iovec *iov, unsigned int nr);

/**
 * vsock_engine__has_packet - whether it is worth calling vsock_engine__get()
 */
bool vsock_engine__has_packet(const struct vsock_engine *engine);

/**
 * vsock_engine__get - the next packet for the guest
 * @hdr:      receives the header
 * @iov, @nr: receive hdr->len bytes of payload; room for at least one
 *
 * Return: whether there was one.
 */
bool vsock_engine__get(struct vsock_engine *engine, struct virtio_vsock_hdr *hdr,
		       const struct iovec *iov, unsigned int nr);

/**
 * vsock_engine__set_time - what time it is, before anything else is called
 * @now: milliseconds of a clock that does not go back
 */
void vsock_engine__set_time(struct vsock_engine *engine, uint64_t now);

/**
 * vsock_engine__expire - end the connections whose time is over
 *
 * Return: when to call again, even if nothing else happens: VSOCK_NO_DEADLINE for never.
 */
uint64_t vsock_engine__expire(struct vsock_engine *engine);

#endif
