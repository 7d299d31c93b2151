// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Back ends of networks: what all of them have in common.
 *
 * Theory of operation: each pair of queues has a descriptor that is polled on the device's loop,
 * level-triggered, for what the device wants at the moment: frames to receive while the guest has
 * buffers for them, room to send while the back end is busy. So neither side ever throws away what
 * the other can hold, and an idle or a slow guest costs nothing.
 */
#include "net/net.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "kvm/event.h"
#include "kvm/log.h"

/* --- lists of buffers -------------------------------------------------------------------------- */

size_t net_iov__length(const struct iovec *iov, unsigned int nr)
{
	size_t len = 0;

	for (unsigned int i = 0; i < nr; i++)
		len += iov[i].iov_len;
	return len;
}

void net_iov__write(const struct iovec *iov, unsigned int nr, size_t offset, const void *from,
		    size_t len)
{
	const char *at = from;

	for (unsigned int i = 0; i < nr && len; i++) {
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset;
		if (part > len)
			part = len;
		memcpy((char *)iov[i].iov_base + offset, at, part);
		at += part;
		len -= part;
		offset = 0;
	}
}

size_t net_iov__read(const struct iovec *iov, unsigned int nr, size_t offset, void *to, size_t len)
{
	char *at = to;
	size_t left = len;

	for (unsigned int i = 0; i < nr && left; i++) {
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset;
		if (part > left)
			part = left;
		memcpy(at, (const char *)iov[i].iov_base + offset, part);
		at += part;
		left -= part;
		offset = 0;
	}
	return len - left;
}

unsigned int net_iov__skip(const struct iovec *iov, unsigned int nr, size_t len, struct iovec *to)
{
	unsigned int pieces = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (len >= iov[i].iov_len) {
			len -= iov[i].iov_len;
			continue;
		}
		to[pieces].iov_base = (char *)iov[i].iov_base + len;
		to[pieces++].iov_len = iov[i].iov_len - len;
		len = 0;
	}
	return pieces;
}

/* --- for back ends ----------------------------------------------------------------------------- */

void net_backend__init(struct net_backend *be, const struct net_backend_ops *ops, const char *kind,
		       const char *name)
{
	be->ops = ops;
	be->info = (struct net_info){ .kind = kind, .pairs = 1, .mtu = 1500, .link_up = true };
	be->header = NET_MAX_HEADER;
	be->active = 1;
	pthread_mutex_init(&be->lock, NULL);
	snprintf(be->name, sizeof(be->name), "%s", name);
	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++)
		be->pair[i] = (struct net_pair){ .be = be, .index = i, .fd = -1 };
}

void net_backend__exit(struct net_backend *be)
{
	pthread_mutex_destroy(&be->lock);
}

static void stop_polling(struct net_backend *be)
{
	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++) {
		struct event *event;

		pthread_mutex_lock(&be->lock);
		event = be->pair[i].event;
		be->pair[i].event = NULL;
		pthread_mutex_unlock(&be->lock);
		event__remove(event);
	}
}

/*
 * A descriptor that has been hung up would wake the loop for ever: EPOLLONESHOT lets it do so once
 * more. Its event is not removed here, because that is for net_backend__detach(), which another
 * thread may be calling.
 */
static void silence(struct net_backend *be)
{
	pthread_mutex_lock(&be->lock);
	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++) {
		be->pair[i].watched = 0;
		if (be->pair[i].event)
			event__modify(be->pair[i].event, EPOLLONESHOT);
	}
	pthread_mutex_unlock(&be->lock);
}

void net_backend__lose_link(struct net_backend *be, const char *fmt, ...)
{
	char why[160];
	va_list args;

	if (!be->info.link_up)
		return;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	pr_warn("%s: %s; the guest's link is down", be->name, why);
	be->info.link_up = false;
	silence(be);
	if (be->attached)
		be->front.link(be->front.ctx, false);
}

/* --- for devices ------------------------------------------------------------------------------- */

bool net__has_user_mode(void)
{
#ifdef HAVE_SLIRP
	return true;
#else
	return net__find_program("passt");
#endif
}

static int open_user(const struct net_config *cfg, const char *name, struct net_backend **out)
{
	int ret = -ENOENT;

	if (cfg->stack != NET_STACK_SLIRP)
		ret = net_passt__open(cfg, name, out);
	if (cfg->stack == NET_STACK_PASST && ret == -ENOENT)
		pr_fatal("%s: no passt in PATH: install it (Debian: passt), or use stack=slirp",
			 name);
	if (cfg->stack == NET_STACK_PASST || ret != -ENOENT)
		return ret;
	ret = net_slirp__open(cfg, name, out);
	if (ret == -ENOSYS)
		pr_fatal("%s: %s, and libslirp is not built in: install passt (Debian: "
			 "passt), or use mode=tap or mode=none",
			 name,
			 cfg->stack == NET_STACK_SLIRP ? "stack=slirp was asked for"
						       : "no passt in PATH");
	return ret;
}

int net_backend__open(const struct net_config *cfg, const char *name, struct net_backend **out)
{
	switch (cfg->mode) {
	case NET_MODE_USER:
		return open_user(cfg, name, out);
	case NET_MODE_TAP:
		return net_tap__open(cfg, name, out);
	case NET_MODE_NONE:
		break;
	}
	pr_fatal("%s: mode=none has no network device", name);
	return -EINVAL;
}

const struct net_info *net_backend__info(const struct net_backend *be)
{
	return &be->info;
}

int net_backend__configure(struct net_backend *be, size_t header, bool little_endian,
			   unsigned int offloads)
{
	be->header = header;
	if (!be->ops->configure)
		return 0;
	return be->ops->configure(be, header, little_endian, offloads & be->info.offloads);
}

/*
 * What a pair that wants nothing is polled for: to see it hung up; but one that is not in use is
 * (a detached queue of a tap has no interface), which is nobody's business.
 */
static uint32_t idle_events(const struct net_backend *be, unsigned int pair)
{
	return pair < be->active ? 0 : EPOLLONESHOT;
}

int net_backend__set_pairs(struct net_backend *be, unsigned int pairs)
{
	int ret;

	if (!pairs || pairs > be->info.pairs)
		return -EINVAL;
	ret = be->ops->set_pairs ? be->ops->set_pairs(be, pairs) : 0;
	if (ret)
		return ret;
	be->active = pairs;
	pthread_mutex_lock(&be->lock);
	for (unsigned int i = 0; i < be->info.pairs && be->info.link_up; i++) {
		be->pair[i].watched = 0;
		if (be->pair[i].event)
			event__modify(be->pair[i].event, idle_events(be, i));
	}
	pthread_mutex_unlock(&be->lock);
	return 0;
}

static void on_event(void *ctx, uint32_t events)
{
	struct net_pair *pair = ctx;
	struct net_backend *be = pair->be;

	if (pair->index >= be->active || !be->info.link_up)
		return;
	/* Trouble shows in the call that runs into it. */
	if (events & (EPOLLERR | EPOLLHUP))
		events |= pair->watched;
	if (!pair->watched && events & (EPOLLERR | EPOLLHUP)) {
		net_backend__lose_link(be, "%s is gone", be->info.kind);
		return;
	}
	if (events & EPOLLOUT && pair->watched & EPOLLOUT)
		be->front.writable(be->front.ctx, pair->index);
	if (events & EPOLLIN && pair->watched & EPOLLIN)
		be->front.readable(be->front.ctx, pair->index);
}

/* Under the lock: an event may come before event__add() has returned, and lose the link. */
static int poll_pairs(struct net_backend *be)
{
	int ret = 0;

	pthread_mutex_lock(&be->lock);
	for (unsigned int i = 0; i < be->info.pairs && !ret; i++) {
		struct net_pair *pair = &be->pair[i];

		pair->watched = 0;
		pair->event = event__add(be->loop, pair->fd, idle_events(be, i), on_event, pair);
		ret = pair->event ? 0 : -errno;
	}
	pthread_mutex_unlock(&be->lock);
	return ret;
}

int net_backend__attach(struct net_backend *be, struct event_loop *loop,
			const struct net_frontend *frontend)
{
	int ret = 0;

	be->front = *frontend;
	be->loop = loop;
	be->attached = true;
	if (be->ops->attach)
		ret = be->ops->attach(be, loop);
	if (!ret && be->info.link_up)
		ret = poll_pairs(be);
	if (ret) {
		pr_fatal("%s: cannot wait for frames: %s", be->name, strerror(-ret));
		net_backend__detach(be);
	}
	return ret;
}

void net_backend__detach(struct net_backend *be)
{
	if (!be->attached)
		return;
	stop_polling(be);
	if (be->ops->detach)
		be->ops->detach(be);
	be->attached = false;
}

void net_backend__watch(struct net_backend *be, unsigned int index, bool readable, bool writable)
{
	struct net_pair *pair = &be->pair[index];
	uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);

	if (!be->info.link_up || index >= be->active || events == pair->watched)
		return;
	pthread_mutex_lock(&be->lock);
	if (pair->event && !event__modify(pair->event, events))
		pair->watched = events;
	pthread_mutex_unlock(&be->lock);
}

int net_backend__send(struct net_backend *be, unsigned int pair, const struct iovec *iov,
		      unsigned int nr)
{
	struct iovec frame[NET_MAX_IOV];

	if (!be->info.link_up)
		return 0;
	if (be->vnet_hdr)
		return be->ops->send(be, pair, iov, nr);
	nr = net_iov__skip(iov, nr, be->header, frame);
	return be->ops->send(be, pair, frame, nr);
}

ssize_t net_backend__receive(struct net_backend *be, unsigned int pair, const struct iovec *iov,
			     unsigned int nr)
{
	static const uint8_t zero[NET_MAX_HEADER];
	struct iovec frame[NET_MAX_IOV];
	ssize_t len;

	if (!be->info.link_up)
		return -ENOTCONN;
	if (be->vnet_hdr)
		return be->ops->receive(be, pair, iov, nr);
	nr = net_iov__skip(iov, nr, be->header, frame);
	len = be->ops->receive(be, pair, frame, nr);
	if (len < 0)
		return len;
	net_iov__write(iov, nr, 0, zero, be->header);
	return len + (ssize_t)be->header;
}

int net_backend__tap_fd(const struct net_backend *be, unsigned int pair)
{
	return be->info.vhost && pair < be->info.pairs ? be->pair[pair].fd : -1;
}

void net_backend__close(struct net_backend *be)
{
	if (!be)
		return;
	net_backend__detach(be);
	be->ops->close(be);
}
