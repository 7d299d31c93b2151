// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whatever packets a guest sends, and whatever its host programs do meanwhile: no byte beyond a
 * buffer, no more than the guest has room for, no connection beyond the limit.
 *
 * Input: a list of steps of STEP bytes each; the first says what happens, the rest are a header of
 * a packet or the sizes of what the host reads and writes.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/vsock-engine.h"

#define CID	  3u
#define STEP	  (1 + sizeof(struct virtio_vsock_hdr))
#define MAX_STEPS 512u
#define ROOM	  5000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/**
 * struct stream - a host program
 * @in, @out:  what it is watched for
 * @has, @takes: bytes it still gives and takes
 */
struct stream {
	struct vsock_conn conn;
	struct stream *next;
	bool in, out, gone;
	uint16_t has, takes;
};

static struct {
	struct stream *first;
	unsigned int nr;
	uint16_t has, takes;
} host;

static void must(int condition)
{
	if (!condition)
		abort();
}

static struct stream *stream_new(void)
{
	struct stream *s = calloc(1, sizeof(*s));

	must(s != NULL);
	s->has = host.has;
	s->takes = host.takes;
	s->next = host.first;
	host.first = s;
	host.nr++;
	return s;
}

static struct vsock_conn *fuzz_open(void *ctx, uint32_t port)
{
	return port % 4 == 3 ? NULL : &stream_new()->conn;
}

static void fuzz_connected(struct vsock_conn *conn)
{
}

static ssize_t fuzz_read(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr)
{
	struct stream *s = (struct stream *)conn;
	size_t done = 0;

	if (!s->has)
		return s->gone ? 0 : -EAGAIN;
	for (unsigned int i = 0; i < nr && s->has; i++) {
		size_t part = iov[i].iov_len < s->has ? iov[i].iov_len : s->has;

		memset(iov[i].iov_base, 1, part);
		s->has = (uint16_t)(s->has - part);
		done += part;
	}
	must(done > 0);
	return (ssize_t)done;
}

static ssize_t fuzz_write(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr)
{
	struct stream *s = (struct stream *)conn;
	size_t done = 0;

	if (s->gone)
		return -EPIPE;
	for (unsigned int i = 0; i < nr && s->takes; i++) {
		size_t part = iov[i].iov_len < s->takes ? iov[i].iov_len : s->takes;

		s->takes = (uint16_t)(s->takes - part);
		done += part;
	}
	return done ? (ssize_t)done : -EAGAIN;
}

static void fuzz_shutdown(struct vsock_conn *conn, uint32_t flags)
{
	must(flags && flags <= 3);
}

static void fuzz_watch(struct vsock_conn *conn, bool in, bool out)
{
	((struct stream *)conn)->in = in;
	((struct stream *)conn)->out = out;
}

static void fuzz_close(struct vsock_conn *conn)
{
	struct stream **at = &host.first;

	while (*at != (struct stream *)conn)
		at = &(*at)->next;
	*at = (*at)->next;
	host.nr--;
	free(conn);
}

static const struct vsock_ops fuzz_ops = {
	.open = fuzz_open,
	.connected = fuzz_connected,
	.read = fuzz_read,
	.write = fuzz_write,
	.shutdown = fuzz_shutdown,
	.watch = fuzz_watch,
	.close = fuzz_close,
};

/* Plausible where noise would lead nowhere: who it is from, which ports, how much it carries. */
static void put(struct vsock_engine *engine, const uint8_t *step)
{
	static uint8_t payload[VSOCK_BUFFER + 1];
	struct virtio_vsock_hdr hdr;
	struct iovec iov;

	memcpy(&hdr, step, sizeof(hdr));
	if (hdr.src_cid & 0xf)
		hdr.src_cid = htole64(CID);
	if (hdr.dst_cid & 0xf)
		hdr.dst_cid = htole64(VSOCK_HOST_CID);
	if (hdr.type & 0xf)
		hdr.type = htole16(VIRTIO_VSOCK_TYPE_STREAM);
	hdr.op &= htole16(0xf);
	hdr.src_port &= htole32(0x7);
	hdr.dst_port &= htole32(0x40000007);
	hdr.len = htole32(le32toh(hdr.len) % (uint32_t)(sizeof(payload) + 1));
	iov = (struct iovec){ payload, le32toh(hdr.len) };
	if (vsock_engine__can_take(engine))
		vsock_engine__put(engine, &hdr, &iov, iov.iov_len ? 1 : 0);
}

static void get(struct vsock_engine *engine, uint16_t room)
{
	static uint8_t buffer[ROOM];
	struct iovec iov[2] = { { buffer, 1 }, { buffer + 1, room % (ROOM - 1) + 1u } };
	struct virtio_vsock_hdr hdr;

	iov[1].iov_len = iov[1].iov_len > ROOM - 1 ? ROOM - 1 : iov[1].iov_len;
	if (!vsock_engine__get(engine, &hdr, iov, 2))
		return;
	must(le32toh(hdr.len) <= 1 + iov[1].iov_len);
	must(le64toh(hdr.dst_cid) == CID);
	must(!hdr.len || le16toh(hdr.op) == VIRTIO_VSOCK_OP_RW);
}

/* A connection of the host's, picked by number, has become ready. */
static void poke(uint8_t which, bool gone)
{
	struct stream *s = host.first;

	for (unsigned int i = 0; s && i < which % 8u; i++)
		s = s->next;
	if (!s)
		return;
	s->has = host.has;
	s->takes = host.takes;
	s->gone |= gone;
	if (s->in || s->out || gone)
		vsock_engine__ready(&s->conn, s->in, s->out, gone);
}

static void adopt(struct vsock_engine *engine, uint32_t port)
{
	struct stream *s = stream_new();

	if (vsock_engine__adopt(engine, &s->conn))
		fuzz_close(&s->conn);
	else if (port % 8)
		vsock_engine__connect(&s->conn, port % 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vsock_engine *engine = vsock_engine__create(CID, &fuzz_ops, NULL);
	uint64_t now = 0;

	must(engine != NULL);
	for (unsigned int i = 0; i < MAX_STEPS && size >= STEP; i++) {
		memcpy(&host.has, data + 1, sizeof(host.has));
		memcpy(&host.takes, data + 3, sizeof(host.takes));
		switch (data[0] % 8) {
		case 0:
			poke(data[5], data[6] % 4 == 0);
			break;
		case 1:
			adopt(engine, data[5]);
			break;
		case 2:
			now += host.has;
			vsock_engine__set_time(engine, now);
			vsock_engine__expire(engine);
			break;
		case 3:
		case 4:
			get(engine, host.has);
			break;
		default:
			put(engine, data + 1);
			break;
		}
		must(host.nr <= VSOCK_MAX_CONNS);
		data += STEP;
		size -= STEP;
	}
	vsock_engine__destroy(engine);
	must(host.nr == 0);
	return 0;
}
