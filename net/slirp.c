// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * User-mode networks by libslirp, a TCP/IP stack in this process, where passt is not installed.
 *
 * Theory of operation: libslirp wants to be asked before each sleep which descriptors it waits for
 * and for how long, and to be told afterwards what became of them. Its descriptors are gathered in
 * an epoll set of our own, brought up to date after whatever may change them, and its time-outs in
 * a timerfd in that set: the device's loop sees one descriptor. Frames for the guest wait in a
 * queue, whose descriptor, an eventfd, is ready while it is not empty. A queue that is full loses
 * frames, which is what libslirp counts on.
 *
 * Everything runs in the loop's thread, except while no device is attached, when nothing runs.
 */
#include "net/net.h"

#include <errno.h>

#ifndef HAVE_SLIRP

int net_slirp__open(const struct net_config *cfg, const char *name, struct net_backend **out)
{
	return -ENOSYS;
}

#else

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <slirp/libslirp.h>

#include "kvm/event.h"
#include "kvm/log.h"
#include "kvm/sys.h"

#define MAX_POLLED   1024
#define MAX_QUEUED   1024	 /* frames */
#define HOST_IP	     0xc0a82101u /* 192.168.33.1, as kvmtool's */
#define GUEST_IP     0xc0a8210fu /* 192.168.33.15 */
#define NETMASK	     0xffffff00u
#define NAMESERVER   3 /* the last byte of its address */
#define SLEEP_MAX_MS 60000

struct frame {
	struct frame *next;
	size_t len;
	uint8_t data[];
};

struct timer {
	struct timer *next;
	SlirpTimerCb fn;
	void *ctx;
	int64_t due_ms; /* 0: not set */
};

struct user_net {
	struct net_backend be;
	Slirp *slirp;
	int epoll_fd, timer_fd;
	struct event *event;
	struct pollfd polled[MAX_POLLED]; /* what libslirp waits for; @watched is in epoll_fd */
	unsigned int nr_polled;
	struct pollfd watched[MAX_POLLED];
	unsigned int nr_watched;
	struct timer *timers;
	struct frame *first, **last;
	unsigned int queued;
	bool told; /* of a frame that got lost */
};

/* --- clock and timers -------------------------------------------------------------------------- */

static int64_t clock_ns(void *opaque)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void *timer_new(SlirpTimerCb fn, void *ctx, void *opaque)
{
	struct user_net *net = opaque;
	struct timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return NULL;
	*timer = (struct timer){ .next = net->timers, .fn = fn, .ctx = ctx };
	net->timers = timer;
	return timer;
}

static void timer_free(void *which, void *opaque)
{
	struct user_net *net = opaque;
	struct timer **at = &net->timers;

	while (*at && *at != which)
		at = &(*at)->next;
	if (*at)
		*at = (*at)->next;
	free(which);
}

static void timer_mod(void *which, int64_t due_ms, void *opaque)
{
	struct timer *timer = which;

	if (timer)
		timer->due_ms = due_ms;
}

static void run_timers(struct user_net *net)
{
	int64_t now = clock_ns(NULL) / 1000000;

	for (struct timer *timer = net->timers; timer; timer = timer->next) {
		if (timer->due_ms && timer->due_ms <= now) {
			timer->due_ms = 0;
			timer->fn(timer->ctx);
		}
	}
}

static void set_alarm(struct user_net *net, uint32_t sleep_ms)
{
	int64_t now = clock_ns(NULL) / 1000000;
	int64_t wait = sleep_ms;
	struct itimerspec alarm = { 0 };

	for (struct timer *timer = net->timers; timer; timer = timer->next) {
		if (timer->due_ms && timer->due_ms - now < wait)
			wait = timer->due_ms - now;
	}
	if (wait < 1)
		wait = 1;
	alarm.it_value.tv_sec = wait / 1000;
	alarm.it_value.tv_nsec = wait % 1000 * 1000000;
	timerfd_settime(net->timer_fd, 0, &alarm, NULL);
}

/* --- descriptors ------------------------------------------------------------------------------- */

static short poll_events(int events)
{
	return (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
		       (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
		       (events & SLIRP_POLL_PRI ? POLLPRI : 0));
}

static int add_poll(int fd, int events, void *opaque)
{
	struct user_net *net = opaque;

	if (net->nr_polled == MAX_POLLED)
		return -1;
	net->polled[net->nr_polled] = (struct pollfd){ .fd = fd, .events = poll_events(events) };
	return (int)net->nr_polled++;
}

static int get_revents(int index, void *opaque)
{
	struct user_net *net = opaque;
	short events;

	if (index < 0)
		return 0;
	events = net->polled[index].revents;
	return (events & POLLIN ? SLIRP_POLL_IN : 0) | (events & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (events & POLLPRI ? SLIRP_POLL_PRI : 0) | (events & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (events & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static uint32_t epoll_events(short events)
{
	return (events & POLLIN ? (uint32_t)EPOLLIN : 0) |
	       (events & POLLOUT ? (uint32_t)EPOLLOUT : 0) |
	       (events & POLLPRI ? (uint32_t)EPOLLPRI : 0);
}

static bool is_same_set(const struct user_net *net)
{
	if (net->nr_polled != net->nr_watched)
		return false;
	for (unsigned int i = 0; i < net->nr_polled; i++) {
		if (net->polled[i].fd != net->watched[i].fd ||
		    net->polled[i].events != net->watched[i].events)
			return false;
	}
	return true;
}

/* Ask libslirp what it waits for now, and wait for that. */
static void wait_again(struct user_net *net)
{
	uint32_t sleep_ms = SLEEP_MAX_MS;

	net->nr_polled = 0;
	slirp_pollfds_fill(net->slirp, &sleep_ms, add_poll, net);
	set_alarm(net, sleep_ms);
	if (is_same_set(net))
		return;
	/* What has been closed meanwhile has left the set by itself. */
	for (unsigned int i = 0; i < net->nr_watched; i++)
		epoll_ctl(net->epoll_fd, EPOLL_CTL_DEL, net->watched[i].fd, NULL);
	for (unsigned int i = 0; i < net->nr_polled; i++) {
		struct epoll_event what = { .events = epoll_events(net->polled[i].events) };

		epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, net->polled[i].fd, &what);
	}
	memcpy(net->watched, net->polled, net->nr_polled * sizeof(net->polled[0]));
	net->nr_watched = net->nr_polled;
}

static void on_ready(void *opaque, uint32_t events)
{
	struct user_net *net = opaque;
	uint64_t times;

	if (read(net->timer_fd, &times, sizeof(times)) > 0)
		run_timers(net);
	poll(net->polled, net->nr_polled, 0);
	slirp_pollfds_poll(net->slirp, 0, get_revents, net);
	wait_again(net);
}

static void ignore_fd(int fd, void *opaque)
{
}

static void ignore_notify(void *opaque)
{
}

/* --- frames ------------------------------------------------------------------------------------ */

static void signal_frames(struct user_net *net, bool there)
{
	uint64_t count = 1;

	if (there ? write(net->be.pair[0].fd, &count, sizeof(count)) < 0
		  : read(net->be.pair[0].fd, &count, sizeof(count)) < 0)
		return; /* it is as it should be already */
}

static ssize_t send_packet(const void *data, size_t len, void *opaque)
{
	struct user_net *net = opaque;
	struct frame *frame;

	if (net->queued == MAX_QUEUED || len > NET_MAX_FRAME)
		return (ssize_t)len;
	frame = malloc(sizeof(*frame) + len);
	if (!frame)
		return (ssize_t)len;
	frame->next = NULL;
	frame->len = len;
	memcpy(frame->data, data, len);
	*net->last = frame;
	net->last = &frame->next;
	if (!net->queued++)
		signal_frames(net, true);
	return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
	struct user_net *net = opaque;

	if (!net->told)
		pr_warn("%s: slirp: %s (said once)", net->be.name, msg);
	net->told = true;
}

static void drop_first(struct user_net *net)
{
	struct frame *frame = net->first;

	net->first = frame->next;
	if (!net->first)
		net->last = &net->first;
	if (!--net->queued)
		signal_frames(net, false);
	free(frame);
}

static ssize_t user_receive(struct net_backend *be, unsigned int pair, const struct iovec *iov,
			    unsigned int nr)
{
	struct user_net *net = (struct user_net *)be;
	struct frame *frame = net->first;
	ssize_t len;

	if (!frame)
		return -EAGAIN;
	net_iov__write(iov, nr, 0, frame->data, frame->len);
	len = (ssize_t)frame->len;
	drop_first(net);
	return len;
}

static int user_send(struct net_backend *be, unsigned int pair, const struct iovec *iov,
		     unsigned int nr)
{
	struct user_net *net = (struct user_net *)be;
	uint8_t frame[NET_MAX_FRAME];
	size_t len = net_iov__length(iov, nr);

	if (len < NET_MIN_FRAME || len > sizeof(frame))
		return 0;
	net_iov__read(iov, nr, 0, frame, len);
	slirp_input(net->slirp, frame, (int)len);
	wait_again(net);
	return 0;
}

/* --- life -------------------------------------------------------------------------------------- */

static int user_attach(struct net_backend *be, struct event_loop *loop)
{
	struct user_net *net = (struct user_net *)be;

	wait_again(net);
	net->event = event__add(loop, net->epoll_fd, EPOLLIN, on_ready, net);
	return net->event ? 0 : -errno;
}

static void user_detach(struct net_backend *be)
{
	struct user_net *net = (struct user_net *)be;

	event__remove(net->event);
	net->event = NULL;
}

static void user_close(struct net_backend *be)
{
	struct user_net *net = (struct user_net *)be;

	if (net->slirp)
		slirp_cleanup(net->slirp);
	while (net->first)
		drop_first(net);
	while (net->timers)
		timer_free(net->timers, net);
	sys__close(net->epoll_fd);
	sys__close(net->timer_fd);
	sys__close(be->pair[0].fd);
	net_backend__exit(be);
	free(net);
}

static const struct net_backend_ops user_ops = {
	.attach = user_attach,
	.detach = user_detach,
	.send = user_send,
	.receive = user_receive,
	.close = user_close,
};

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = ignore_fd,
	.unregister_poll_fd = ignore_fd,
	.notify = ignore_notify,
};

static int add_forwards(struct user_net *net, const struct net_config *cfg, struct in_addr guest)
{
	struct in_addr any = { .s_addr = htonl(INADDR_ANY) };

	for (unsigned int i = 0; i < cfg->nr_forwards; i++) {
		const struct net_forward *forward = &cfg->forward[i];
		int err;

		if (!slirp_add_hostfwd(net->slirp, forward->udp, any, forward->host_port, guest,
				       forward->guest_port))
			continue;
		err = errno ? errno : EADDRINUSE;
		pr_fatal("%s: cannot forward %s port %u: %s", net->be.name,
			 forward->udp ? "UDP" : "TCP", forward->host_port, strerror(err));
		return -err;
	}
	return 0;
}

static int start_slirp(struct user_net *net, const struct net_config *cfg)
{
	struct in_addr host = cfg->host_ip, guest = cfg->guest_ip;
	SlirpConfig config = { .version = 1, .in_enabled = true };

	if (host.s_addr == INADDR_ANY)
		host.s_addr = guest.s_addr == INADDR_ANY
				      ? htonl(HOST_IP)
				      : ((guest.s_addr & htonl(NETMASK)) | htonl(1));
	if (guest.s_addr == INADDR_ANY)
		guest.s_addr = (host.s_addr & htonl(NETMASK)) | htonl(GUEST_IP & ~NETMASK);
	if ((host.s_addr ^ guest.s_addr) & htonl(NETMASK) || host.s_addr == guest.s_addr) {
		pr_fatal("%s: guest_ip= and host_ip= must be two addresses that differ only in "
			 "their last number",
			 net->be.name);
		return -EINVAL;
	}
	config.vnetwork.s_addr = host.s_addr & htonl(NETMASK);
	config.vnetmask.s_addr = htonl(NETMASK);
	config.vhost = host;
	config.vdhcp_start = guest;
	config.vnameserver.s_addr = config.vnetwork.s_addr | htonl(NAMESERVER);
	config.vhostname = "guest";
	net->slirp = slirp_new(&config, &callbacks, net);
	if (!net->slirp) {
		pr_fatal("%s: libslirp cannot start", net->be.name);
		return -EIO;
	}
	return add_forwards(net, cfg, guest);
}

static int open_fds(struct user_net *net)
{
	struct epoll_event what = { .events = EPOLLIN };

	net->be.pair[0].fd = sys__eventfd();
	net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	net->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (net->be.pair[0].fd >= 0 && net->epoll_fd >= 0 && net->timer_fd >= 0 &&
	    !epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, net->timer_fd, &what))
		return 0;
	pr_fatal("%s: cannot make descriptors for libslirp: %s", net->be.name, strerror(errno));
	return -errno;
}

int net_slirp__open(const struct net_config *cfg, const char *name, struct net_backend **out)
{
	struct user_net *net = calloc(1, sizeof(*net));
	int ret;

	if (!net) {
		pr_fatal("%s: no memory for libslirp", name);
		return -ENOMEM;
	}
	net_backend__init(&net->be, &user_ops, "slirp", name);
	net->last = &net->first;
	net->epoll_fd = net->timer_fd = -1;
	ret = open_fds(net);
	if (!ret)
		ret = start_slirp(net, cfg);
	if (ret) {
		user_close(&net->be);
		return ret;
	}
	*out = &net->be;
	return 0;
}

#endif
