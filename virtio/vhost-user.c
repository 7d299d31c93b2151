// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The front end of the vhost-user protocol (QEMU's docs/interop/vhost-user.rst).
 *
 * Theory of operation: a message is a header of three numbers, a payload, and perhaps descriptors
 * beside it. Requests are made one at a time under a mutex, in whichever thread needs them; a reply
 * has to be of the kind, version and size that is due, and in time, or the back end is hung up
 * on, for nothing that it says after that could be understood. Back ends that can acknowledge
 * requests without a reply of their own are asked to, so that errors are known where they happen.
 *
 * A queue is started by telling where it is and handing over its eventfds, and stopped by asking for
 * its position (GET_VRING_BASE): the answer means that nothing is in flight. Positions are not kept,
 * since a device that was stopped has been reset.
 *
 * When the back end goes away, its end of the socket does. dev->loop sees that and has the device
 * need a reset. A second socket, if the back end wants one, carries what it has to say by itself:
 * that its configuration has changed.
 */
#include "kvm/vhost-user.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "kvm/event.h"
#include "kvm/log.h"
#include "kvm/memory.h"
#include "kvm/sys.h"
#include "kvm/virtio.h"

#define TIMEOUT_MS  10000
#define MAX_REGIONS 8
#define MAX_QUEUES  256 /* a queue's number has 8 bits where a descriptor goes with it */

#define FLAG_VERSION	0x1u
#define FLAG_VERSION_OF 0x3u
#define FLAG_REPLY	0x4u
#define FLAG_NEED_REPLY 0x8u

#define NO_FD (1u << 8)

#define F_PROTOCOL_FEATURES 30 /* among the feature bits, where virtio has none */

#define PROTOCOL_MQ	     0
#define PROTOCOL_REPLY_ACK   3
#define PROTOCOL_BACKEND_REQ 5
#define PROTOCOL_CONFIG	     9

#define KNOWN_PROTOCOL                                              \
	(VIRTIO_BIT(PROTOCOL_MQ) | VIRTIO_BIT(PROTOCOL_REPLY_ACK) | \
	 VIRTIO_BIT(PROTOCOL_BACKEND_REQ) | VIRTIO_BIT(PROTOCOL_CONFIG))

/* Of the core's, those that are the back end's to do, and that need nothing of the front end. */
#define RING_FEATURES                                                               \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
	 VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_PACKED) |   \
	 VIRTIO_BIT(VIRTIO_F_IN_ORDER))

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	SET_BACKEND_REQ_FD = 21,
	GET_CONFIG = 24,
	SET_CONFIG = 25,
};

#define BACKEND_CONFIG_CHANGE 2

struct header {
	uint32_t request, flags, size;
};

struct mem_table {
	uint32_t nr, padding;
	struct {
		uint64_t gpa, size, hva, offset;
	} region[MAX_REGIONS];
};

struct vring_state {
	uint32_t index, num;
};

struct vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct config_space {
	uint32_t offset, size, flags;
	uint8_t data[VHOST_USER_MAX_CONFIG];
};

#define CONFIG_HEADER offsetof(struct config_space, data)

struct message {
	struct header header;
	union {
		uint64_t u64;
		struct mem_table mem;
		struct vring_state state;
		struct vring_addr addr;
		struct config_space config;
	} payload;
};

_Static_assert(offsetof(struct message, payload) == 16 && sizeof(struct header) == 12,
	       "header and payload are sent apart");

struct vhost_user {
	struct vhost_user_config cfg;
	char name[24];
	int fd;
	pthread_mutex_t lock; /* one request at a time */
	atomic_bool gone;
	uint64_t features, protocol;
	unsigned int max_queues;

	struct virtio_device *dev;
	struct event *event;
	atomic_bool started[MAX_QUEUES];

	int back_fd; /* what the back end says by itself; -1 if it cannot */
	struct event *back_event;
	struct message back; /* being received */
	size_t back_at;
};

static bool has_protocol(const struct vhost_user *vu, unsigned int feature)
{
	return vu->protocol & VIRTIO_BIT(feature);
}

/* --- messages --------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline - now_ms();
		int ret = poll(&poll_fd, 1, left > 0 ? (int)left : 0);

		if (ret > 0)
			return 0;
		if (!ret)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static void attach_fds(struct msghdr *msg, void *control, const int *fds, unsigned int nr)
{
	struct cmsghdr *cmsg;

	if (!nr)
		return;
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(nr * sizeof(int));
	memset(control, 0, msg->msg_controllen);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
}

/* The whole message; descriptors go with its first byte. */
static int send_message(int fd, const struct message *m, const int *fds, unsigned int nr_fds,
			int64_t deadline)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MAX_REGIONS * sizeof(int))];
	} control;
	size_t total = sizeof(m->header) + m->header.size;
	uint8_t flat[sizeof(struct message)];

	memcpy(flat, &m->header, sizeof(m->header));
	memcpy(flat + sizeof(m->header), &m->payload, m->header.size);
	for (size_t done = 0; done < total;) {
		struct iovec iov = { .iov_base = flat + done, .iov_len = total - done };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t len;
		int ret;

		attach_fds(&msg, &control, fds, done ? 0 : nr_fds);
		len = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (len >= 0) {
			done += (size_t)len;
			continue;
		}
		ret = errno == EAGAIN ? wait_for(fd, POLLOUT, deadline) : -errno;
		if (ret && ret != -EINTR)
			return ret;
	}
	return 0;
}

static int receive(int fd, void *to, size_t size, int64_t deadline)
{
	uint8_t *at = to;

	while (size) {
		/* Descriptors are not expected: without room for them the kernel drops them. */
		ssize_t len = recv(fd, at, size, MSG_DONTWAIT);
		int ret;

		if (!len)
			return -EPIPE;
		if (len > 0) {
			at += len;
			size -= (size_t)len;
			continue;
		}
		ret = errno == EAGAIN ? wait_for(fd, POLLIN, deadline) : -errno;
		if (ret && ret != -EINTR)
			return ret;
	}
	return 0;
}

static int receive_reply(struct vhost_user *vu, struct message *reply, uint32_t request,
			 uint32_t size, int64_t deadline)
{
	int ret = receive(vu->fd, &reply->header, sizeof(reply->header), deadline);

	if (ret)
		return ret;
	if (request == GET_CONFIG && reply->header.request == GET_CONFIG && !reply->header.size)
		return -EINVAL; /* that is how it is refused */
	if (reply->header.request != request || reply->header.size != size ||
	    (reply->header.flags & (FLAG_VERSION_OF | FLAG_REPLY)) != (FLAG_VERSION | FLAG_REPLY))
		return -EPROTO;
	return receive(vu->fd, &reply->payload, size, deadline);
}

static void hang_up(struct vhost_user *vu)
{
	atomic_store(&vu->gone, true);
	shutdown(vu->fd, SHUT_RDWR);
}

/* How long a reply to a request is; 0 if it has none of its own. */
static uint32_t reply_size(const struct message *m)
{
	switch (m->header.request) {
	case GET_FEATURES:
	case GET_PROTOCOL_FEATURES:
	case GET_QUEUE_NUM:
		return sizeof(m->payload.u64);
	case GET_VRING_BASE:
		return sizeof(m->payload.state);
	case GET_CONFIG:
		return m->header.size;
	default:
		return 0;
	}
}

/* @m becomes the reply, if there is one. */
static int exchange(struct vhost_user *vu, struct message *m, const int *fds, unsigned int nr_fds)
{
	int64_t deadline = now_ms() + vu->cfg.timeout_ms;
	uint32_t request = m->header.request, size = reply_size(m);
	bool acknowledged = !size && has_protocol(vu, PROTOCOL_REPLY_ACK);
	int ret;

	m->header.flags = FLAG_VERSION | (acknowledged ? FLAG_NEED_REPLY : 0);
	ret = send_message(vu->fd, m, fds, nr_fds, deadline);
	if (ret || (!size && !acknowledged))
		return ret;
	ret = receive_reply(vu, m, request, acknowledged ? (uint32_t)sizeof(uint64_t) : size,
			    deadline);
	if (!ret && acknowledged && m->payload.u64)
		return -EINVAL;
	return ret;
}

/* An error other than a refusal means that the two do not understand each other any more. */
static int request(struct vhost_user *vu, struct message *m, const int *fds, unsigned int nr_fds)
{
	int ret = -EPIPE;

	pthread_mutex_lock(&vu->lock);
	if (!atomic_load(&vu->gone)) {
		ret = exchange(vu, m, fds, nr_fds);
		if (ret && ret != -EINVAL)
			hang_up(vu);
	}
	pthread_mutex_unlock(&vu->lock);
	return ret;
}

static int get_u64(struct vhost_user *vu, enum request what, uint64_t *value)
{
	struct message m = { .header = { .request = what } };
	int ret = request(vu, &m, NULL, 0);

	*value = m.payload.u64;
	return ret;
}

static int set_u64(struct vhost_user *vu, enum request what, uint64_t value, int fd)
{
	struct message m = {
		.header = { .request = what, .size = sizeof(uint64_t) },
		.payload.u64 = value,
	};

	return request(vu, &m, &fd, fd >= 0);
}

static int set_state(struct vhost_user *vu, enum request what, unsigned int index, uint32_t num)
{
	struct message m = {
		.header = { .request = what, .size = sizeof(struct vring_state) },
		.payload.state = { .index = index, .num = num },
	};

	return request(vu, &m, NULL, 0);
}

/* --- the back end's own words ----------------------------------------------------------------- */

static void close_back_channel(struct vhost_user *vu)
{
	event__remove(vu->back_event);
	vu->back_event = NULL;
	sys__close(vu->back_fd);
	vu->back_fd = -1;
}

/* Whatever is not known is refused, if an answer is wanted. */
static int take_back_message(struct vhost_user *vu)
{
	struct header *header = &vu->back.header;
	bool known = header->request == BACKEND_CONFIG_CHANGE;
	bool answer = header->flags & FLAG_NEED_REPLY;
	struct message reply = {
		.header = { .request = header->request,
			    .flags = FLAG_VERSION | FLAG_REPLY,
			    .size = sizeof(uint64_t) },
		.payload.u64 = !known,
	};

	vu->back_at = 0;
	if (known && vu->cfg.config_changed)
		vu->cfg.config_changed(vu->cfg.ctx);
	return answer ? send_message(vu->back_fd, &reply, NULL, 0, now_ms()) : 0;
}

/* Bytes that are still to come of the message being received; negative errno if it is none. */
static ssize_t back_wanted(const struct vhost_user *vu, void **to)
{
	const struct header *header = &vu->back.header;

	if (vu->back_at < sizeof(*header)) {
		*to = (uint8_t *)&vu->back.header + vu->back_at;
		return (ssize_t)(sizeof(*header) - vu->back_at);
	}
	if (header->size > sizeof(vu->back.payload) ||
	    (header->flags & (FLAG_VERSION_OF | FLAG_REPLY)) != FLAG_VERSION)
		return -EPROTO;
	*to = (uint8_t *)&vu->back.payload + (vu->back_at - sizeof(*header));
	return (ssize_t)(sizeof(*header) + header->size - vu->back_at);
}

static int read_back_channel(struct vhost_user *vu)
{
	void *to;
	ssize_t wanted = back_wanted(vu, &to), len;

	while (wanted > 0) {
		len = recv(vu->back_fd, to, (size_t)wanted, MSG_DONTWAIT);
		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (!len)
			return -EPIPE;
		vu->back_at += (size_t)len;
		wanted = back_wanted(vu, &to);
	}
	return wanted < 0 ? (int)wanted : take_back_message(vu);
}

static void on_back_channel(void *ctx, uint32_t events)
{
	struct vhost_user *vu = ctx;
	int ret = read_back_channel(vu);

	if (!ret)
		return;
	if (ret != -EPIPE)
		pr_warn("%s: the vhost-user back end sends nonsense; its messages are ignored "
			"from now on",
			vu->name);
	close_back_channel(vu);
}

static int open_back_channel(struct vhost_user *vu)
{
	struct message m = { .header = { .request = SET_BACKEND_REQ_FD } };
	int pair[2], ret;

	if (!has_protocol(vu, PROTOCOL_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	ret = request(vu, &m, &pair[1], 1);
	close(pair[1]);
	vu->back_fd = pair[0];
	return ret;
}

/* --- negotiation ------------------------------------------------------------------------------ */

static int check_ram(const struct vhost_user_config *cfg)
{
	if (cfg->ram->fd < 0) {
		pr_fatal("%s: a vhost-user back end has to share guest RAM; add --mem-shared",
			 cfg->name);
		return -EINVAL;
	}
	if (cfg->ram->nr > MAX_REGIONS) {
		pr_fatal("%s: guest RAM has %u parts; vhost-user knows %d at the most", cfg->name,
			 cfg->ram->nr, MAX_REGIONS);
		return -EINVAL;
	}
	return 0;
}

static int connect_to(const struct vhost_user_config *cfg)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len;
	int fd, ret;

	if (!cfg->path)
		return cfg->fd;
	len = strlen(cfg->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && len < sizeof(addr.sun_path)) {
		memcpy(addr.sun_path, cfg->path, len);
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
	}
	ret = fd >= 0 && len >= sizeof(addr.sun_path) ? -ENAMETOOLONG : -errno;
	sys__close(fd);
	pr_fatal("%s: cannot connect to the vhost-user back end at %s: %s", cfg->name, cfg->path,
		 strerror(-ret));
	return ret;
}

static int agree_on_protocol(struct vhost_user *vu)
{
	uint64_t offered, queues = UINT_MAX;
	int ret;

	if (!(vu->features & VIRTIO_BIT(F_PROTOCOL_FEATURES)))
		return 0;
	ret = get_u64(vu, GET_PROTOCOL_FEATURES, &offered);
	if (ret)
		return ret;
	offered &= KNOWN_PROTOCOL;
	if (!vu->cfg.config_changed)
		offered &= ~VIRTIO_BIT(PROTOCOL_BACKEND_REQ);
	ret = set_u64(vu, SET_PROTOCOL_FEATURES, offered, -1);
	if (ret)
		return ret;
	vu->protocol = offered;
	if (has_protocol(vu, PROTOCOL_MQ))
		ret = get_u64(vu, GET_QUEUE_NUM, &queues);
	vu->max_queues = queues < UINT_MAX ? (unsigned int)queues : UINT_MAX;
	return ret;
}

static int check_offer(const struct vhost_user *vu)
{
	const struct vhost_user_config *cfg = &vu->cfg;

	if (!(vu->features & VIRTIO_BIT(VIRTIO_F_VERSION_1))) {
		pr_fatal("%s: the vhost-user back end is of before virtio 1.0", vu->name);
		return -ENOTSUP;
	}
	if (cfg->nr_queues > vu->max_queues || cfg->nr_queues > MAX_QUEUES) {
		pr_fatal("%s: %u queues are wanted, the vhost-user back end has %u", vu->name,
			 cfg->nr_queues, vu->max_queues);
		return -ENOTSUP;
	}
	if (cfg->need_config && !has_protocol(vu, PROTOCOL_CONFIG)) {
		pr_fatal("%s: the vhost-user back end does not tell its configuration", vu->name);
		return -ENOTSUP;
	}
	return 0;
}

static int negotiate(struct vhost_user *vu)
{
	struct message owner = { .header = { .request = SET_OWNER } };
	int ret = get_u64(vu, GET_FEATURES, &vu->features);

	if (!ret)
		ret = agree_on_protocol(vu);
	if (!ret)
		ret = request(vu, &owner, NULL, 0);
	if (!ret)
		ret = open_back_channel(vu);
	if (ret) {
		pr_fatal("%s: no agreement with the vhost-user back end: %s", vu->name,
			 strerror(-ret));
		return ret;
	}
	return check_offer(vu);
}

int vhost_user__create(const struct vhost_user_config *cfg, struct vhost_user **out)
{
	struct vhost_user *vu;
	int ret = check_ram(cfg);

	if (ret) {
		if (!cfg->path)
			sys__close(cfg->fd);
		return ret;
	}
	ret = connect_to(cfg);
	if (ret < 0)
		return ret;
	vu = calloc(1, sizeof(*vu));
	if (!vu) {
		sys__close(ret);
		return -ENOMEM;
	}
	vu->cfg = *cfg;
	vu->cfg.name = vu->cfg.path = NULL; /* they are not ours */
	if (!vu->cfg.timeout_ms)
		vu->cfg.timeout_ms = TIMEOUT_MS;
	strncpy(vu->name, cfg->name, sizeof(vu->name) - 1);
	vu->fd = ret;
	vu->back_fd = -1;
	vu->max_queues = UINT_MAX;
	pthread_mutex_init(&vu->lock, NULL);

	ret = negotiate(vu);
	if (ret) {
		vhost_user__destroy(vu);
		return ret;
	}
	*out = vu;
	return 0;
}

void vhost_user__destroy(struct vhost_user *vu)
{
	if (!vu)
		return;
	event__remove(vu->event);
	close_back_channel(vu);
	sys__close(vu->fd);
	pthread_mutex_destroy(&vu->lock);
	free(vu);
}

uint64_t vhost_user__features(const struct vhost_user *vu)
{
	return vu->features & ~VIRTIO_BIT(F_PROTOCOL_FEATURES);
}

unsigned int vhost_user__max_queues(const struct vhost_user *vu)
{
	return vu->max_queues;
}

/* --- configuration ---------------------------------------------------------------------------- */

static int check_config_range(const struct vhost_user *vu, uint32_t offset, uint32_t len)
{
	if (!has_protocol(vu, PROTOCOL_CONFIG))
		return -ENOTSUP;
	if (offset > VHOST_USER_MAX_CONFIG || len > VHOST_USER_MAX_CONFIG - offset)
		return -EINVAL;
	return 0;
}

int vhost_user__get_config(struct vhost_user *vu, uint32_t offset, void *data, uint32_t len)
{
	struct message m = {
		.header = { .request = GET_CONFIG, .size = (uint32_t)CONFIG_HEADER + len },
		.payload.config = { .offset = offset, .size = len },
	};
	int ret = check_config_range(vu, offset, len);

	if (!ret)
		ret = request(vu, &m, NULL, 0);
	if (ret)
		return ret;
	if (m.payload.config.offset != offset || m.payload.config.size != len)
		return -EINVAL;
	memcpy(data, m.payload.config.data, len);
	return 0;
}

int vhost_user__set_config(struct vhost_user *vu, uint32_t offset, const void *data, uint32_t len)
{
	struct message m = {
		.header = { .request = SET_CONFIG, .size = (uint32_t)CONFIG_HEADER + len },
		.payload.config = { .offset = offset, .size = len },
	};
	int ret = check_config_range(vu, offset, len);

	if (ret)
		return ret;
	memcpy(m.payload.config.data, data, len);
	return request(vu, &m, NULL, 0);
}

/* --- rings ------------------------------------------------------------------------------------ */

static int report(const struct vhost_user *vu, const char *what, int ret)
{
	if (ret)
		pr_warn("%s: the vhost-user back end %s: %s", vu->name, what,
			ret == -EINVAL ? "it refuses" : strerror(-ret));
	return ret;
}

static int set_mem_table(struct vhost_user *vu)
{
	const struct guest_memory *ram = vu->cfg.ram;
	struct message m = { .header = { .request = SET_MEM_TABLE } };
	struct mem_table *table = &m.payload.mem;
	int fds[MAX_REGIONS];

	for (unsigned int i = 0; i < ram->nr; i++) {
		const struct memory_region *region = &ram->region[i];

		table->region[i].gpa = region->gpa;
		table->region[i].size = region->size;
		table->region[i].hva = (uintptr_t)region->hva;
		table->region[i].offset = (uintptr_t)region->hva - (uintptr_t)ram->base;
		fds[i] = ram->fd;
	}
	table->nr = ram->nr;
	m.header.size =
		(uint32_t)(offsetof(struct mem_table, region) + ram->nr * sizeof(table->region[0]));
	return request(vu, &m, fds, ram->nr);
}

int vhost_user__set_up(struct vhost_user *vu, uint64_t features)
{
	int ret;

	features |= vu->features & VIRTIO_BIT(F_PROTOCOL_FEATURES);
	ret = set_u64(vu, SET_FEATURES, features, -1);
	if (!ret)
		ret = set_mem_table(vu);
	return report(vu, "does not take features and memory", ret);
}

static int set_addr(struct vhost_user *vu, unsigned int index, const struct vhost_user_ring *ring)
{
	const struct guest_memory *ram = vu->cfg.ram;
	uint64_t size = ring->size;
	/* 2.7 and 2.8: the two areas of a packed ring but for its descriptors are event structures. */
	void *desc = guest_memory__at(ram, ring->desc, 16 * size);
	void *driver = guest_memory__at(ram, ring->driver, ring->packed ? 4 : 6 + 2 * size);
	void *device = guest_memory__at(ram, ring->device, ring->packed ? 4 : 6 + 8 * size);
	struct message m = {
		.header = { .request = SET_VRING_ADDR, .size = sizeof(struct vring_addr) },
		.payload.addr = { .index = index,
				  .desc = (uintptr_t)desc,
				  .avail = (uintptr_t)driver,
				  .used = (uintptr_t)device },
	};

	if (!desc || !driver || !device)
		return -EFAULT;
	return request(vu, &m, NULL, 0);
}

int vhost_user__set_call(struct vhost_user *vu, unsigned int index, int call_fd)
{
	return set_u64(vu, SET_VRING_CALL, index | (call_fd < 0 ? NO_FD : 0), call_fd);
}

/* Bit 15 and bit 31: a packed ring begins with both wrap counters at 1 (2.8.1). */
static uint32_t first_position(const struct vhost_user_ring *ring)
{
	return ring->packed ? 0x80008000 : 0;
}

int vhost_user__start_ring(struct vhost_user *vu, unsigned int index,
			   const struct vhost_user_ring *ring)
{
	int ret = index < MAX_QUEUES ? set_state(vu, SET_VRING_NUM, index, ring->size) : -EINVAL;

	if (!ret)
		ret = set_state(vu, SET_VRING_BASE, index, first_position(ring));
	if (!ret)
		ret = set_addr(vu, index, ring);
	if (!ret)
		ret = vhost_user__set_call(vu, index, ring->call_fd);
	if (!ret)
		ret = set_u64(vu, SET_VRING_KICK, index, ring->kick_fd);
	if (!ret) {
		vu->started[index] = true;
		/* Without protocol features a ring is enabled by its kick descriptor. */
		if (vu->features & VIRTIO_BIT(F_PROTOCOL_FEATURES))
			ret = set_state(vu, SET_VRING_ENABLE, index, 1);
	}
	return report(vu, "does not start a queue", ret);
}

int vhost_user__stop_ring(struct vhost_user *vu, unsigned int index)
{
	struct message m = {
		.header = { .request = GET_VRING_BASE, .size = sizeof(struct vring_state) },
		.payload.state = { .index = index },
	};
	int ret = 0;

	if (index >= MAX_QUEUES || !vu->started[index])
		return 0;
	vu->started[index] = false;
	if (atomic_load(&vu->gone))
		return -EPIPE; /* which has been said */
	if (vu->features & VIRTIO_BIT(F_PROTOCOL_FEATURES))
		ret = set_state(vu, SET_VRING_ENABLE, index, 0);
	if (!ret)
		ret = request(vu, &m, NULL, 0);
	if (!ret && m.payload.state.index != index) {
		ret = -EPROTO;
		hang_up(vu);
	}
	return report(vu, "does not stop a queue", ret);
}

/* --- for virtio_ops --------------------------------------------------------------------------- */

void vhost_user__bind(struct vhost_user *vu, struct virtio_device *dev, uint64_t known)
{
	vu->dev = dev;
	dev->offered = vu->features & (RING_FEATURES | known);
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		virtqueue__set_external(virtio_device__queue(dev, i));
}

static void on_hang_up(void *ctx, uint32_t events)
{
	struct vhost_user *vu = ctx;

	if (!(events & (EPOLLHUP | EPOLLERR)))
		return;
	atomic_store(&vu->gone, true);
	event__remove(vu->event);
	vu->event = NULL;
	virtio_device__fail(vu->dev, "its vhost-user back end is gone");
}

int vhost_user__realize(struct vhost_user *vu)
{
	struct event_loop *loop = vu->dev->loop;

	/* Nothing but its end: replies are for the threads that wait for them. */
	vu->event = event__add(loop, vu->fd, 0, on_hang_up, vu);
	if (vu->back_fd >= 0)
		vu->back_event = event__add(loop, vu->back_fd, EPOLLIN, on_back_channel, vu);
	if (!vu->event || (vu->back_fd >= 0 && !vu->back_event)) {
		pr_fatal("%s: cannot watch the vhost-user socket: %s", vu->name, strerror(errno));
		return -ENOMEM;
	}
	return 0;
}

int vhost_user__queue_enable(struct vhost_user *vu, struct virtqueue *q)
{
	struct virtqueue_ring where = virtqueue__ring(q);
	struct vhost_user_ring ring = {
		.size = where.size,
		.packed = virtio_device__has(vu->dev, VIRTIO_F_RING_PACKED),
		.desc = where.desc,
		.driver = where.driver,
		.device = where.device,
		.kick_fd = virtqueue__kick_fd(q),
		.call_fd = virtqueue__call_fd(q),
	};

	return vhost_user__start_ring(vu, virtqueue__index(q), &ring);
}

void vhost_user__queue_reset(struct vhost_user *vu, struct virtqueue *q)
{
	vhost_user__stop_ring(vu, virtqueue__index(q));
}

void vhost_user__call_changed(struct vhost_user *vu, struct virtqueue *q)
{
	unsigned int index = virtqueue__index(q);

	if (vu->started[index])
		vhost_user__set_call(vu, index, virtqueue__call_fd(q));
}

int vhost_user__start(struct vhost_user *vu)
{
	int ret = vhost_user__set_up(vu, vu->dev->features);

	for (unsigned int i = 0; !ret && i < vu->dev->nr_queues; i++) {
		struct virtqueue *q = virtio_device__queue(vu->dev, i);

		if (virtqueue__is_enabled(q))
			ret = vhost_user__queue_enable(vu, q);
	}
	if (ret)
		vhost_user__stop(vu);
	return ret;
}

void vhost_user__stop(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < vu->dev->nr_queues; i++)
		vhost_user__stop_ring(vu, i);
}
