// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets between guest and host by UNIX sockets, where no kernel module and no privilege is to be
 * had.
 *
 * Theory of operation. The engine (virtio/vsock-engine.h) speaks the protocol; here are its two
 * sides. All of it runs in the device's loop: notifications of the guest, and events of the
 * sockets. A lock guards the engine all the same, because a reset comes from another thread; it is
 * taken after that of a queue. Packets for the guest are delivered under the lock of the receive
 * queue alone: what a transmitted packet brings about is delivered by kicking that queue.
 *
 * A reset first says under the lock that nothing runs any more, and then, without it, removes the
 * events, which waits for callbacks on their way; nobody else changes the engine then.
 *
 * The listening socket exists as long as the device, but is heard only while the guest has a
 * driver: earlier connections wait.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "kvm/event.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "virtio/vsock-engine.h"
#include "virtio/vsock-internal.h"

#define CHAINS_AT_ONCE 64u
#define BACKLOG	       64
#define LINE_SIZE      32u /* "CONNECT 4294967295\n" has 19 */
#define PATH_SUFFIX    11u /* "_4294967295" */
#define HDR	       sizeof(struct virtio_vsock_hdr)

/**
 * struct vsock_user - the device
 * @listen_fd: the socket at @path, or -1
 * @timer_fd:  the engine's deadlines
 * @lock:      guards what follows
 * @running:   from start to stop
 * @stalled:   the transmit queue waits until the guest has taken resets
 * @armed:     what the timer is set to
 */
struct vsock_user {
	struct virtio_device dev;
	uint64_t guest_cid;
	struct sockaddr_un path;
	int listen_fd, timer_fd;
	struct event *listen_event, *timer_event;

	pthread_mutex_t lock;
	bool running, stalled;
	uint64_t armed;
	struct vsock_engine *engine;
};

/**
 * struct user_conn - a connection and its UNIX socket
 * @events: what @event waits for
 * @line:   what the host program has said so far
 */
struct user_conn {
	struct vsock_conn conn;
	struct vsock_user *v;
	int fd;
	struct event *event;
	uint32_t events;
	char line[LINE_SIZE];
	unsigned int line_len;
};

static struct vsock_user *to_vsock(struct virtio_device *dev)
{
	return (struct vsock_user *)dev;
}

static struct user_conn *to_user(struct vsock_conn *conn)
{
	return (struct user_conn *)conn;
}

/* --- the lock and the clock ----------------------------------------------------------------- */

static uint64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The engine's deadlines change seldom: so does the timer. */
static void set_timer(struct vsock_user *v)
{
	uint64_t when = vsock_engine__expire(v->engine);
	struct itimerspec spec = { .it_value = { 0 } };

	if (when == v->armed)
		return;
	v->armed = when;
	if (when != VSOCK_NO_DEADLINE) {
		spec.it_value.tv_sec = (time_t)(when / 1000);
		spec.it_value.tv_nsec = (long)(when % 1000) * 1000000;
	}
	timerfd_settime(v->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Return: true with the lock held; false, without it, if the device does not run. */
static bool enter(struct vsock_user *v)
{
	pthread_mutex_lock(&v->lock);
	if (v->running) {
		vsock_engine__set_time(v->engine, milliseconds());
		return true;
	}
	pthread_mutex_unlock(&v->lock);
	return false;
}

/* Return: whether there is something for the guest. */
static bool leave(struct vsock_user *v)
{
	bool has_packet;

	set_timer(v);
	has_packet = vsock_engine__has_packet(v->engine);
	pthread_mutex_unlock(&v->lock);
	return has_packet;
}

/* --- the guest's side ----------------------------------------------------------------------- */

/* Return: whether to go on. */
static bool deliver(struct vsock_user *v, struct virtqueue *q, struct virtio_chain *chain)
{
	struct iovec payload[VIRTIO_MAX_CHAIN];
	struct virtio_vsock_hdr hdr;
	unsigned int nr;

	if (chain->in_len <= HDR) {
		virtio_device__fail(&v->dev, "a receive buffer of %llu bytes",
				    (unsigned long long)chain->in_len);
		return false;
	}
	nr = virtio_iov__slice(chain->in, chain->nr_in, HDR, chain->in_len - HDR, payload);
	if (!vsock_engine__get(v->engine, &hdr, payload, nr)) {
		virtqueue__rewind(q, chain);
		return false;
	}
	virtio_chain__write(chain, 0, &hdr, HDR);
	virtqueue__push(q, chain, (uint32_t)HDR + le32toh(hdr.len));
	return true;
}

/* The driver need not notify as long as there is nothing for it. */
static bool go_on(struct vsock_user *v, struct virtqueue *q)
{
	if (vsock_engine__has_packet(v->engine))
		return virtqueue__enable_notify(q);
	virtqueue__disable_notify(q);
	return false;
}

static void receive(struct vsock_user *v, struct virtqueue *q)
{
	struct virtio_chain *chain;
	bool more = true, resume;
	unsigned int nr = 0;

	if (!enter(v))
		return;
	while (more && nr < CHAINS_AT_ONCE) {
		while (nr < CHAINS_AT_ONCE && vsock_engine__has_packet(v->engine) &&
		       (chain = virtqueue__pop(q)) && deliver(v, q, chain))
			nr++;
		more = go_on(v, q);
	}
	resume = v->stalled && vsock_engine__can_take(v->engine);
	v->stalled = v->stalled && !resume;
	leave(v);

	virtqueue__publish(q);
	if (resume)
		virtqueue__kick(virtio_device__queue(&v->dev, VSOCK_TX));
	if (more)
		virtqueue__kick(q);
}

/* Return: whether to go on. */
static bool take(struct vsock_user *v, struct virtqueue *q, struct virtio_chain *chain)
{
	struct iovec payload[VIRTIO_MAX_CHAIN];
	struct virtio_vsock_hdr hdr;
	unsigned int nr;
	uint32_t len;

	if (virtio_chain__read(chain, 0, &hdr, HDR) < HDR) {
		virtio_device__fail(&v->dev, "a packet of %llu bytes",
				    (unsigned long long)chain->out_len);
		return false;
	}
	len = le32toh(hdr.len);
	if (len > chain->out_len - HDR) {
		virtio_device__fail(&v->dev, "a packet of %llu bytes claims to carry %u",
				    (unsigned long long)chain->out_len, len);
		return false;
	}
	nr = virtio_iov__slice(chain->out, chain->nr_out, HDR, len, payload);
	vsock_engine__put(v->engine, &hdr, payload, nr);
	virtqueue__push(q, chain, 0);
	return true;
}

static void transmit(struct vsock_user *v, struct virtqueue *q)
{
	struct virtio_chain *chain;
	unsigned int nr = 0;
	bool more;

	if (!enter(v))
		return;
	do {
		virtqueue__disable_notify(q);
		while (nr < CHAINS_AT_ONCE && vsock_engine__can_take(v->engine) &&
		       (chain = virtqueue__pop(q)) && take(v, q, chain))
			nr++;
		more = virtqueue__enable_notify(q);
	} while (more && nr < CHAINS_AT_ONCE && vsock_engine__can_take(v->engine));
	v->stalled = !vsock_engine__can_take(v->engine);
	more = more && !v->stalled;

	if (leave(v))
		virtqueue__kick(virtio_device__queue(&v->dev, VSOCK_RX));
	virtqueue__publish(q);
	if (more)
		virtqueue__kick(q);
}

static void vsock_notify(struct virtio_device *dev, struct virtqueue *q)
{
	if (virtqueue__index(q) == VSOCK_RX)
		receive(to_vsock(dev), q);
	else if (virtqueue__index(q) == VSOCK_TX)
		transmit(to_vsock(dev), q);
}

/* From an event of the host, without locks. */
static void leave_and_deliver(struct vsock_user *v)
{
	struct virtqueue *q = virtio_device__queue(&v->dev, VSOCK_RX);

	if (!leave(v) || !virtqueue__lock(q))
		return;
	receive(v, q);
	virtqueue__unlock(q);
}

/* --- the host's side: streams --------------------------------------------------------------- */

static struct user_conn *conn_new(struct vsock_user *v, int fd)
{
	struct user_conn *user = calloc(1, sizeof(*user));

	if (user) {
		user->v = v;
		user->fd = fd;
	} else {
		close(fd);
	}
	return user;
}

static struct vsock_conn *conn_open(void *ctx, uint32_t port)
{
	struct vsock_user *v = ctx;
	struct sockaddr_un to = v->path;
	size_t len = strlen(to.sun_path);
	struct user_conn *user;
	int fd;

	snprintf(to.sun_path + len, sizeof(to.sun_path) - len, "_%u", port);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd); /* nobody listens, or too many wait already */
		return NULL;
	}
	user = conn_new(v, fd);
	return user ? &user->conn : NULL;
}

static void conn_connected(struct vsock_conn *conn)
{
	char line[LINE_SIZE];
	int len = snprintf(line, sizeof(line), "OK %u\n", conn->host_port);

	/* The first bytes on a socket always fit; that nobody is there shows when it is read. */
	if (send(to_user(conn)->fd, line, (size_t)len, MSG_NOSIGNAL) < 0)
		conn->host_gone = true;
}

static ssize_t conn_read(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr)
{
	ssize_t done = readv(to_user(conn)->fd, iov, (int)nr);

	return done < 0 ? (errno == EINTR ? -EAGAIN : -errno) : done;
}

static ssize_t conn_write(struct vsock_conn *conn, const struct iovec *iov, unsigned int nr)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = nr };
	ssize_t done = sendmsg(to_user(conn)->fd, &msg, MSG_NOSIGNAL);

	return done < 0 ? (errno == EINTR ? -EAGAIN : -errno) : done;
}

static void conn_shutdown(struct vsock_conn *conn, uint32_t flags)
{
	if (flags & VIRTIO_VSOCK_SHUTDOWN_RCV)
		shutdown(to_user(conn)->fd, SHUT_RD);
	if (flags & VIRTIO_VSOCK_SHUTDOWN_SEND)
		shutdown(to_user(conn)->fd, SHUT_WR);
}

static void on_socket(void *ctx, uint32_t events);

/*
 * A hang-up is reported whether it is asked for or not: once it is known, an event that waits for
 * nothing else would never rest.
 */
static void conn_watch(struct vsock_conn *conn, bool in, bool out)
{
	struct user_conn *user = to_user(conn);
	uint32_t events = (in ? (uint32_t)EPOLLIN : 0) | (out ? (uint32_t)EPOLLOUT : 0);

	if (!events && conn->host_gone) {
		event__remove(user->event);
		user->event = NULL;
	} else if (!user->event) {
		user->event = event__add(user->v->dev.loop, user->fd, events, on_socket, user);
	} else if (events != user->events) {
		event__modify(user->event, events);
	}
	user->events = events;
}

static void conn_close(struct vsock_conn *conn)
{
	struct user_conn *user = to_user(conn);

	event__remove(user->event);
	close(user->fd);
	free(user);
}

static const struct vsock_ops user_ops = {
	.open = conn_open,
	.connected = conn_connected,
	.read = conn_read,
	.write = conn_write,
	.shutdown = conn_shutdown,
	.watch = conn_watch,
	.close = conn_close,
};

/* --- the host's side: events ---------------------------------------------------------------- */

static bool parse_line(const char *line, uint32_t *port)
{
	static const char verb[] = "CONNECT ";
	const char *digit = line + sizeof(verb) - 1;
	uint64_t value = 0;

	if (strncmp(line, verb, sizeof(verb) - 1) || !*digit)
		return false;
	for (; *digit; digit++) {
		if (*digit < '0' || *digit > '9')
			return false;
		value = value * 10 + (uint64_t)(*digit - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*port = (uint32_t)value;
	return true;
}

/* Byte by byte, as what follows the line is the guest's. */
static void read_line(struct user_conn *user)
{
	uint32_t port;
	ssize_t got;
	char c;

	while ((got = recv(user->fd, &c, 1, MSG_DONTWAIT)) == 1 && c != '\n') {
		user->line[user->line_len++] = c;
		if (user->line_len == LINE_SIZE || !c) {
			vsock_engine__abort(&user->conn);
			return;
		}
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	user->line[user->line_len] = 0;
	if (got == 1 && parse_line(user->line, &port))
		vsock_engine__connect(&user->conn, port);
	else
		vsock_engine__abort(&user->conn);
}

static void on_socket(void *ctx, uint32_t events)
{
	struct user_conn *user = ctx;
	struct vsock_user *v = user->v;

	if (!enter(v))
		return;
	if (user->conn.state == VSOCK_NEW)
		read_line(user); /* if there is more to know, the event comes again */
	else
		vsock_engine__ready(&user->conn, events & EPOLLIN, events & EPOLLOUT,
				    events & (EPOLLHUP | EPOLLERR));
	leave_and_deliver(v);
}

/* Edge-triggered: if there are no descriptors for it now, a connection waits for the next one. */
static void on_listen(void *ctx, uint32_t events)
{
	struct vsock_user *v = ctx;
	int fd;

	if (!enter(v))
		return;
	while ((fd = accept4(v->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct user_conn *user = conn_new(v, fd);

		if (user && vsock_engine__adopt(v->engine, &user->conn))
			conn_close(&user->conn);
	}
	leave_and_deliver(v);
}

static void on_timer(void *ctx, uint32_t events)
{
	struct vsock_user *v = ctx;
	uint64_t count;

	if (!enter(v))
		return;
	if (read(v->timer_fd, &count, sizeof(count)) > 0)
		v->armed = 0; /* it has fired: set it again, if only to the same time */
	leave_and_deliver(v);
}

/* --- life ----------------------------------------------------------------------------------- */

static void vsock_stop(struct virtio_device *dev)
{
	struct vsock_user *v = to_vsock(dev);

	pthread_mutex_lock(&v->lock);
	v->running = v->stalled = false;
	pthread_mutex_unlock(&v->lock);

	event__remove(v->listen_event);
	event__remove(v->timer_event);
	v->listen_event = v->timer_event = NULL;
	vsock_engine__clear(v->engine);
	v->armed = 0;
}

static int vsock_start(struct virtio_device *dev)
{
	struct vsock_user *v = to_vsock(dev);

	pthread_mutex_lock(&v->lock);
	v->running = true;
	pthread_mutex_unlock(&v->lock);
	v->timer_event = event__add(dev->loop, v->timer_fd, EPOLLIN, on_timer, v);
	if (v->timer_event)
		v->listen_event =
			event__add(dev->loop, v->listen_fd, EPOLLIN | EPOLLET, on_listen, v);
	if (v->listen_event)
		return 0;
	vsock_stop(dev);
	return -ENOMEM;
}

static void vsock_config_read(struct virtio_device *dev, uint32_t offset, void *data, uint32_t len)
{
	vsock__config_read(to_vsock(dev)->guest_cid, offset, data, len);
}

/* What a guest has left that did not end in order. */
static bool is_stale(const struct sockaddr_un *path)
{
	struct stat st;
	int fd, ret;

	if (lstat(path->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	ret = connect(fd, (const struct sockaddr *)path, sizeof(*path)) ? -errno : 0;
	close(fd);
	return ret == -ECONNREFUSED;
}

static int bind_path(struct vsock_user *v, int fd)
{
	const struct sockaddr *at = (const struct sockaddr *)&v->path;

	if (!bind(fd, at, sizeof(v->path)))
		return 0;
	if (errno != EADDRINUSE || !is_stale(&v->path))
		return -errno;
	unlink(v->path.sun_path);
	return bind(fd, at, sizeof(v->path)) ? -errno : 0;
}

static int listen_at_path(struct vsock_user *v)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -errno;
	/* The mode of the socket becomes that of its name: nobody else's at any time. */
	ret = fchmod(fd, 0600) ? -errno : bind_path(v, fd);
	if (ret) {
		close(fd);
		return ret;
	}
	v->listen_fd = fd;
	return listen(fd, BACKLOG) ? -errno : 0;
}

static int vsock_realize(struct virtio_device *dev)
{
	struct vsock_user *v = to_vsock(dev);
	int ret = listen_at_path(v);

	if (ret)
		pr_fatal("%s: cannot listen at %s: %s%s", dev->name, v->path.sun_path,
			 strerror(-ret),
			 ret == -EADDRINUSE ? "\n  another guest uses it, or it is no socket" : "");
	return ret;
}

static void vsock_destroy(struct virtio_device *dev)
{
	struct vsock_user *v = to_vsock(dev);

	vsock_engine__destroy(v->engine);
	if (v->listen_fd >= 0)
		unlink(v->path.sun_path);
	sys__close(v->listen_fd);
	sys__close(v->timer_fd);
	pthread_mutex_destroy(&v->lock);
	virtio_device__exit(dev);
	free(v);
}

static const struct virtio_ops vsock_ops = {
	.kind = "virtio-vsock",
	.id = VIRTIO_ID_VSOCK,
	.config_size = sizeof(struct virtio_vsock_config),
	.realize = vsock_realize,
	.start = vsock_start,
	.stop = vsock_stop,
	.notify = vsock_notify,
	.config_read = vsock_config_read,
	.destroy = vsock_destroy,
};

static int set_up(struct vsock_user *v)
{
	v->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (v->timer_fd < 0)
		return -errno;
	v->engine = vsock_engine__create(v->guest_cid, &user_ops, v);
	return v->engine ? 0 : -ENOMEM;
}

int vsock_user__create(const struct device_host *host, const char *name,
		       const struct virtio_vsock_params *params, struct virtio_device **out)
{
	struct vsock_user *v;
	int ret;

	if (!params->path[0] || strlen(params->path) + PATH_SUFFIX >= sizeof(v->path.sun_path)) {
		pr_fatal("%s: %s: the path of a UNIX socket for this has 1 to %zu bytes", name,
			 params->path, sizeof(v->path.sun_path) - PATH_SUFFIX - 1);
		return -EINVAL;
	}
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	ret = virtio_device__init(&v->dev, &vsock_ops, host, name, VSOCK_NR_QUEUES);
	if (ret) {
		free(v);
		return ret;
	}
	v->guest_cid = params->guest_cid;
	v->path.sun_family = AF_UNIX;
	strcpy(v->path.sun_path, params->path);
	v->listen_fd = v->timer_fd = -1;
	pthread_mutex_init(&v->lock, NULL);
	ret = set_up(v);
	if (ret) {
		pr_fatal("%s: cannot be created: %s", name, strerror(-ret));
		vsock_destroy(&v->dev);
		return ret;
	}
	*out = &v->dev;
	return 0;
}
