// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A peer on a UNIX stream socket: passt, or anything else that speaks the protocol of QEMU's
 * "-netdev stream".
 *
 * Theory of operation: a frame follows its length in 4 bytes, most significant first. What arrives
 * is read in large pieces, many frames to a system call, and handed out frame by frame. What is
 * sent goes out at once; of a frame that the socket takes only in part, the rest waits here, and
 * nothing else is taken from the guest until it has gone.
 *
 * A peer that announces a frame of impossible length has lost its place in the stream, and so have
 * we: the link goes down.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kvm/log.h"
#include "kvm/sys.h"
#include "net/net.h"

#define PREFIX	   4
#define STAGE	   (256 * 1024) /* a few frames of the largest size */
#define STREAM_MTU 65520	/* what passt tells its guest */

struct stream {
	struct net_backend be;
	size_t stage_start, stage_end; /* what has been received and not handed out */
	size_t rest_start, rest_end;   /* what has not been sent of a frame */
	uint8_t stage[STAGE];
	uint8_t rest[PREFIX + NET_MAX_FRAME];
};

static bool would_block(int err)
{
	return err == EAGAIN || err == EINTR || err == ENOBUFS;
}

static void lose(struct stream *stream, int err)
{
	if (!err || err == EPIPE || err == ECONNRESET)
		net_backend__lose_link(&stream->be, "%s is gone", stream->be.info.kind);
	else
		net_backend__lose_link(&stream->be, "connection to %s: %s", stream->be.info.kind,
				       strerror(err));
}

/* Whether all that was left of a frame has gone, or there is nobody to send it to. */
static bool send_rest(struct stream *stream)
{
	while (stream->rest_start < stream->rest_end) {
		ssize_t len =
			send(stream->be.pair[0].fd, stream->rest + stream->rest_start,
			     stream->rest_end - stream->rest_start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (len < 0 && would_block(errno))
			return false;
		if (len < 0) {
			lose(stream, errno);
			return true;
		}
		stream->rest_start += (size_t)len;
	}
	return true;
}

static int stream_send(struct net_backend *be, unsigned int pair, const struct iovec *iov,
		       unsigned int nr)
{
	struct stream *stream = (struct stream *)be;
	size_t len = net_iov__length(iov, nr);
	uint8_t prefix[PREFIX] = { 0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
	struct iovec whole[NET_MAX_IOV + 1];
	struct msghdr msg = { .msg_iov = whole, .msg_iovlen = nr + 1 };
	ssize_t sent;

	if (len < NET_MIN_FRAME || len > NET_MAX_FRAME || nr > NET_MAX_IOV)
		return 0;
	if (!send_rest(stream))
		return -EAGAIN;
	whole[0] = (struct iovec){ prefix, PREFIX };
	memcpy(whole + 1, iov, nr * sizeof(*iov));
	sent = sendmsg(be->pair[0].fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && would_block(errno))
		return -EAGAIN;
	if (sent < 0) {
		lose(stream, errno);
		return 0;
	}
	if ((size_t)sent == PREFIX + len)
		return 0;
	stream->rest_start = 0;
	stream->rest_end =
		net_iov__read(whole, nr + 1, (size_t)sent, stream->rest, sizeof(stream->rest));
	return 0;
}

/* Returns the length of the frame at the front of the stage; 0 if it is not there yet. */
static ssize_t staged_frame(struct stream *stream)
{
	const uint8_t *at = stream->stage + stream->stage_start;
	size_t have = stream->stage_end - stream->stage_start;
	size_t len;

	if (have < PREFIX)
		return 0;
	len = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	if (!len || len > NET_MAX_FRAME) {
		net_backend__lose_link(&stream->be, "%s announced a frame of %zu bytes",
				       stream->be.info.kind, len);
		return -EPROTO;
	}
	return have - PREFIX >= len ? (ssize_t)len : 0;
}

static ssize_t fill_stage(struct stream *stream)
{
	size_t have = stream->stage_end - stream->stage_start;
	ssize_t len;

	memmove(stream->stage, stream->stage + stream->stage_start, have);
	stream->stage_start = 0;
	stream->stage_end = have;
	len = recv(stream->be.pair[0].fd, stream->stage + have, STAGE - have, MSG_DONTWAIT);
	if (len < 0 && would_block(errno))
		return -EAGAIN;
	if (len <= 0) {
		lose(stream, len ? errno : 0);
		return -ENOTCONN;
	}
	stream->stage_end += (size_t)len;
	return 0;
}

static ssize_t stream_receive(struct net_backend *be, unsigned int pair, const struct iovec *iov,
			      unsigned int nr)
{
	struct stream *stream = (struct stream *)be;
	ssize_t len;

	while (!(len = staged_frame(stream))) {
		ssize_t ret = fill_stage(stream);

		if (ret)
			return ret;
	}
	if (len < 0)
		return len;
	net_iov__write(iov, nr, 0, stream->stage + stream->stage_start + PREFIX, (size_t)len);
	stream->stage_start += PREFIX + (size_t)len;
	return len;
}

static void stream_close(struct net_backend *be)
{
	sys__close(be->pair[0].fd);
	net_backend__exit(be);
	free(be);
}

static const struct net_backend_ops stream_ops = {
	.send = stream_send,
	.receive = stream_receive,
	.close = stream_close,
};

int net_backend__open_stream(int fd, const char *kind, const char *name, struct net_backend **out)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream) {
		pr_fatal("%s: no memory for %s", name, kind);
		sys__close(fd);
		return -ENOMEM;
	}
	net_backend__init(&stream->be, &stream_ops, kind, name);
	stream->be.info.mtu = STREAM_MTU;
	stream->be.pair[0].fd = fd;
	*out = &stream->be;
	return 0;
}
