// SPDX-License-Identifier: GPL-2.0-or-later
/* A back end gets the queues and guest RAM, and can do no more harm by what it says than go away. */
#include "test.h"

#include <errno.h>
#include <linux/fuse.h>
#include <linux/virtio_fs.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "kvm/vhost-user.h"
#include "kvm/virtio-fs.h"
#include "virtio-driver.h"

#define F_PROTOCOL	(1ull << 30)
#define PROTOCOL_MQ	(1ull << 0)
#define PROTOCOL_ACK	(1ull << 3)
#define PROTOCOL_BACK	(1ull << 5)
#define PROTOCOL_CONFIG (1ull << 9)
#define ALL_PROTOCOL	(PROTOCOL_MQ | PROTOCOL_ACK | PROTOCOL_BACK | PROTOCOL_CONFIG)

#define REGION_GAP 0x10000ull

struct wire {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		uint32_t state[2];
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint32_t offset, size, flags;
			uint8_t data[256];
		} config;
		struct {
			uint32_t nr, padding;
			uint64_t region[8][4];
		} mem;
		uint8_t bytes[1024];
	};
} __attribute__((packed));

enum manners {
	GOOD,
	DIES,
	WRONG_REQUEST,
	WRONG_VERSION,
	NO_REPLY_FLAG,
	TOO_SHORT,
	TOO_LONG,
	HALF_A_HEADER,
	HALF_A_PAYLOAD,
	SILENT,
	REFUSES,
	NR_MANNERS,
};

/**
 * struct back_end - one that does what it is told, but for one request
 * @rude_at, @manners: that request, and what happens then
 */
struct back_end {
	int fd, listener, front;
	pthread_t thread;
	uint64_t features, protocol, nr_queues;
	uint32_t rude_at;
	enum manners manners;

	uint64_t negotiated, negotiated_protocol;
	unsigned int owners, tables, stops;
	char *map[8];
	uint64_t region[8][4];
	uint32_t num[4], base[4], enabled[4];
	uint64_t addr[4][3]; /* desc, used, avail */
	int kick[4], call[4], back;
	bool without_call[4];
	uint8_t config[256];
};

static void take_fds(struct msghdr *msg, int fds[8])
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	for (int i = 0; i < 8; i++)
		fds[i] = -1;
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
}

static bool read_wire(int fd, struct wire *m, int fds[8])
{
	char control[CMSG_SPACE(8 * sizeof(int))];
	struct iovec iov = { m, 12 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(fd, &msg, MSG_WAITALL) != 12 || m->size > sizeof(m->bytes))
		return false;
	take_fds(&msg, fds);
	return !m->size || recv(fd, m->bytes, m->size, MSG_WAITALL) == (ssize_t)m->size;
}

static void map_table(struct back_end *b, const struct wire *m, const int fds[8])
{
	for (uint32_t i = 0; i < m->mem.nr; i++) {
		memcpy(b->region[i], m->mem.region[i], sizeof(b->region[i]));
		b->map[i] = mmap(NULL, b->region[i][1], PROT_READ | PROT_WRITE, MAP_SHARED, fds[i],
				 (off_t)b->region[i][3]);
		close(fds[i]);
	}
	b->tables++;
}

/* Do it. Return: the bytes of the reply in @m, 0 if there is none. */
static uint32_t serve(struct back_end *b, struct wire *m, int fds[8])
{
	uint32_t index = m->state[0] & 3, byte = m->bytes[0] & 3;

	switch (m->request) {
	case 1:
		m->u64 = b->features;
		return 8;
	case 2:
		b->negotiated = m->u64;
		return 0;
	case 3:
		b->owners++;
		return 0;
	case 5:
		map_table(b, m, fds);
		return 0;
	case 8:
		b->num[index] = m->state[1];
		return 0;
	case 9:
		b->addr[index][0] = m->addr.desc;
		b->addr[index][1] = m->addr.used;
		b->addr[index][2] = m->addr.avail;
		return 0;
	case 10:
		b->base[index] = m->state[1];
		return 0;
	case 11:
		b->stops++;
		return 8;
	case 12:
		b->kick[byte] = fds[0];
		return 0;
	case 13:
		b->without_call[byte] = m->u64 & 0x100;
		b->call[byte] = fds[0];
		return 0;
	case 15:
		m->u64 = b->protocol;
		return 8;
	case 16:
		b->negotiated_protocol = m->u64;
		return 0;
	case 17:
		m->u64 = b->nr_queues;
		return 8;
	case 18:
		b->enabled[index] = m->state[1];
		return 0;
	case 21:
		b->back = fds[0];
		return 0;
	case 24:
		memcpy(m->config.data, b->config + m->config.offset, m->config.size);
		return m->size;
	case 25:
		memcpy(b->config + m->config.offset, m->config.data, m->config.size);
		return 0;
	default:
		return 0;
	}
}

/* Return: whether to go on. */
static bool answer(struct back_end *b, struct wire *m, uint32_t size)
{
	enum manners manners = m->request == b->rude_at ? b->manners : GOOD;
	uint32_t sent;

	if (!size && m->flags & 8) {
		m->u64 = manners == REFUSES;
		size = 8;
	}
	if (!size)
		return true;
	m->flags = 1 | 4;
	m->size = size;
	sent = 12 + size;
	switch (manners) {
	case WRONG_REQUEST:
		m->request++;
		break;
	case WRONG_VERSION:
		m->flags = 2 | 4;
		break;
	case NO_REPLY_FLAG:
		m->flags = 1;
		break;
	case TOO_SHORT:
		m->size = size - 4;
		break;
	case TOO_LONG:
		m->size = ~0u;
		break;
	case HALF_A_HEADER:
		sent = 6;
		break;
	case HALF_A_PAYLOAD:
		sent = 12 + size / 2;
		break;
	default:
		break;
	}
	send(b->fd, m, sent, MSG_NOSIGNAL);
	return sent == 12 + size;
}

static void *run_back_end(void *ctx)
{
	struct back_end *b = ctx;
	struct wire m;
	int fds[8];

	if (b->listener >= 0)
		b->fd = accept(b->listener, NULL, NULL);
	while (read_wire(b->fd, &m, fds)) {
		uint32_t size;

		if (m.request == b->rude_at && b->manners == DIES)
			break;
		if (m.request == b->rude_at && b->manners == SILENT)
			continue;
		size = serve(b, &m, fds);
		if (!answer(b, &m, size))
			break;
	}
	shutdown(b->fd, SHUT_RDWR);
	close(b->fd);
	return NULL;
}

static void back_end__init(struct back_end *b)
{
	*b = (struct back_end){
		.fd = -1,
		.listener = -1,
		.front = -1,
		.features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | F_PROTOCOL |
			    VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_BIT(26) | VIRTIO_BIT(3),
		.protocol = ~0ull,
		.nr_queues = 4,
		.back = -1,
	};
	for (int i = 0; i < 4; i++)
		b->kick[i] = b->call[i] = -1;
}

static void back_end__run(struct back_end *b)
{
	int pair[2];

	if (b->listener < 0) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		b->front = pair[0];
		b->fd = pair[1];
	}
	assert_int_equal(pthread_create(&b->thread, NULL, run_back_end, b), 0);
}

static void back_end__join(struct back_end *b)
{
	pthread_join(b->thread, NULL);
	for (int i = 0; i < 8; i++) {
		if (b->map[i])
			munmap(b->map[i], b->region[i][1]);
	}
	for (int i = 0; i < 4; i++) {
		if (b->kick[i] >= 0)
			close(b->kick[i]);
		if (b->call[i] >= 0)
			close(b->call[i]);
	}
	if (b->back >= 0)
		close(b->back);
	if (b->listener >= 0)
		close(b->listener);
}

/* Where the back end finds what the front end calls @hva. */
static void *back_end__at(const struct back_end *b, uint64_t hva)
{
	for (int i = 0; i < 8; i++) {
		if (b->map[i] && hva - b->region[i][2] < b->region[i][1])
			return b->map[i] + (hva - b->region[i][2]);
	}
	fail_msg("%#llx is not in the memory table", (unsigned long long)hva);
	return NULL;
}

/* As driver__init(), but RAM is a memfd. */
static void shared_driver__init(struct driver *d)
{
	uint64_t size = DRIVER_RAM + REGION_GAP;
	char *base;
	int fd = memfd_create("ram", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(base, MAP_FAILED);
	memset(d, 0, sizeof(*d));
	board__init(&d->board);
	d->half[0] = base;
	d->half[1] = base + DRIVER_HALF + REGION_GAP;
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(guest_memory__add(&d->board.ram,
						   &(struct memory_region){ .gpa = i * DRIVER_HALF,
									    .size = DRIVER_HALF,
									    .hva = d->half[i] }),
				 0);
	d->board.ram.fd = fd;
	d->board.ram.base = base;
}

static void shared_driver__destroy(struct driver *d)
{
	void *base = d->half[0];
	int fd = d->board.ram.fd;

	d->board.ram.fd = -1;
	d->board.ram.base = NULL;
	board__destroy(&d->board);
	munmap(base, DRIVER_RAM + REGION_GAP);
	close(fd);
}

/* --- a device, from end to end ---------------------------------------------------------------- */

struct rig {
	struct driver d;
	struct driver_queue q[2];
	struct back_end b;
	char path[64];
};

static void rig__listen(struct rig *r)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(r->path, sizeof(r->path), "/tmp/lkvm-vhost-user.%d", (int)getpid());
	memcpy(addr.sun_path, r->path, sizeof(r->path));
	unlink(r->path);
	r->b.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(r->b.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(r->b.listener, 1), 0);
}

static struct virtio_device *rig__create_fs(struct rig *r)
{
	struct fs_share share;
	char text[128];

	snprintf(text, sizeof(text), "socket=%s,tag=shared", r->path);
	assert_int_equal(fs__parse(text, &share), 0);
	return virtio_fs__create(&r->d.board.host, &share, 0);
}

static void rig__enable_queues(struct rig *r)
{
	for (unsigned int i = 0; i < 2; i++) {
		dq__init(&r->q[i], &r->d, i, 64, false, false);
		driver__enable_queue(&r->q[i]);
	}
}

static void rig__init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	shared_driver__init(&r->d);
	back_end__init(&r->b);
	rig__listen(r);
	back_end__run(&r->b);
	driver__plug(&r->d, rig__create_fs(r));
}

static void rig__up(struct rig *r)
{
	rig__init(r);
	assert_true(driver__negotiate(&r->d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	rig__enable_queues(r);
	driver__ok(&r->d);
}

static void rig__down(struct rig *r)
{
	shared_driver__destroy(&r->d);
	back_end__join(&r->b);
	unlink(r->path);
}

static bool is_signalled(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&poll_fd, 1, 1000) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static void a_device_tells_its_tag_and_offers_what_the_back_end_can(void **state)
{
	struct rig r;
	char tag[6];

	rig__init(&r);
	for (uint32_t i = 0; i < sizeof(tag); i++)
		tag[i] = (char)board__load(&r.d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + i, 1);
	assert_memory_equal(tag, "shared", 6);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 36, 4), 1);
	assert_int_equal(driver__offered(&r.d),
			 VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	rig__down(&r);
}

static void queues_are_served_where_they_are(void **state)
{
	struct vring_used *used;
	uint16_t *avail;
	uint64_t one = 1;
	uint32_t id, len;
	struct rig r;

	rig__up(&r);
	assert_false(driver__needs_reset(&r.d));
	assert_int_equal(r.b.owners, 1);
	assert_int_equal(r.b.negotiated, VIRTIO_BIT(VIRTIO_F_VERSION_1) | F_PROTOCOL);
	assert_int_equal(r.b.num[1], 64);
	assert_int_equal(r.b.base[1], 0);
	assert_true(r.b.enabled[0] && r.b.enabled[1]);

	dq__add(&r.q[1], 7, &(struct driver_buf){ 0x1000, 8, 0 }, 1);
	driver__notify(&r.q[1]);
	assert_true(is_signalled(r.b.kick[1]));
	avail = back_end__at(&r.b, r.b.addr[1][2]);
	assert_int_equal(avail[1], 1);
	assert_int_equal(avail[2], 7);
	used = back_end__at(&r.b, r.b.addr[1][1]);
	used->ring[0] = (struct vring_used_elem){ .id = 7, .len = 5 };
	__atomic_store_n(&used->idx, 1, __ATOMIC_RELEASE);
	assert_int_equal(driver__ack(&r.d), 0);
	assert_int_equal(write(r.b.call[1], &one, sizeof(one)), sizeof(one));
	driver__run(&r.d);
	assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_VRING);
	assert_true(dq__get(&r.q[1], &id, &len));
	assert_int_equal(id, 7);
	assert_int_equal(len, 5);
	rig__down(&r);
}

static void all_of_ram_is_where_the_table_says(void **state)
{
	struct rig r;

	rig__up(&r);
	*(uint32_t *)driver__at(&r.d, 0x1ffffc) = 0x12345678;
	assert_int_equal(r.b.region[1][0], DRIVER_HALF);
	assert_int_equal(*(uint32_t *)(r.b.map[1] + DRIVER_HALF - 4), 0x12345678);
	rig__down(&r);
}

static void a_reset_stops_the_queues_and_they_can_start_again(void **state)
{
	struct rig r;

	rig__up(&r);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(r.b.stops, 2);
	assert_false(r.b.enabled[0] || r.b.enabled[1]);
	assert_true(driver__negotiate(&r.d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	rig__enable_queues(&r);
	driver__ok(&r.d);
	assert_false(driver__needs_reset(&r.d));
	assert_int_equal(r.b.tables, 2);
	assert_true(r.b.enabled[0] && r.b.enabled[1]);
	rig__down(&r);
	assert_int_equal(r.b.stops, 4);
}

static void when_the_back_end_goes_the_device_needs_a_reset(void **state)
{
	struct rig r;

	rig__up(&r);
	shutdown(r.b.fd, SHUT_RDWR);
	driver__run(&r.d);
	assert_true(driver__needs_reset(&r.d));
	driver__notify(&r.q[1]);
	driver__run(&r.d);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	assert_true(driver__negotiate(&r.d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	rig__enable_queues(&r);
	driver__ok(&r.d);
	assert_true(driver__needs_reset(&r.d));
	rig__down(&r);
}

static void a_back_end_that_refuses_a_queue_stops_no_more_than_the_device(void **state)
{
	struct rig r;

	rig__init(&r);
	r.b.rude_at = 9;
	r.b.manners = REFUSES;
	assert_true(driver__negotiate(&r.d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	rig__enable_queues(&r);
	driver__ok(&r.d);
	assert_true(driver__needs_reset(&r.d));
	r.b.rude_at = 0;
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	assert_true(driver__negotiate(&r.d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	rig__enable_queues(&r);
	driver__ok(&r.d);
	assert_false(driver__needs_reset(&r.d));
	rig__down(&r);
}

static void a_daemon_that_is_installed_answers_a_guest(void **state)
{
	struct fs_share share = { .tag = "t", .queues = 1 };
	struct fuse_in_header *in;
	struct fuse_init_in *init;
	struct fuse_out_header *out;
	struct fuse_init_out *init_out;
	uint32_t id = 0, len = 0;
	bool done = false;
	struct rig r;

	if (!fs__find_daemon() || geteuid()) {
		print_message("SKIP: no virtiofsd is installed, or this is not root\n");
		skip();
	}
	memset(&r, 0, sizeof(r));
	snprintf(share.dir, sizeof(share.dir), "/tmp/lkvm-virtiofsd.XXXXXX");
	assert_non_null(mkdtemp(share.dir));
	shared_driver__init(&r.d);
	driver__plug(&r.d, virtio_fs__create(&r.d.board.host, &share, 0));
	assert_true(driver__negotiate(&r.d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	rig__enable_queues(&r);
	driver__ok(&r.d);
	assert_false(driver__needs_reset(&r.d));

	in = driver__at(&r.d, 0x1000);
	init = (struct fuse_init_in *)(in + 1);
	out = driver__at(&r.d, 0x2000);
	init_out = (struct fuse_init_out *)(out + 1);
	*in = (struct fuse_in_header){ .len = sizeof(*in) + sizeof(*init),
				       .opcode = FUSE_INIT,
				       .unique = 0x1122 };
	*init = (struct fuse_init_in){ .major = 7, .minor = 31, .max_readahead = 4096 };
	dq__add(&r.q[1], 0,
		(struct driver_buf[]){
			{ 0x1000, sizeof(*in), 0 },
			{ 0x1000 + sizeof(*in), sizeof(*init), 0 },
			{ 0x2000, sizeof(*out), VRING_DESC_F_WRITE },
			{ 0x2000 + sizeof(*out), sizeof(*init_out), VRING_DESC_F_WRITE } },
		4);
	driver__notify(&r.q[1]);
	for (int i = 0; !done && i < 500; i++) {
		done = dq__get(&r.q[1], &id, &len);
		usleep(10000);
	}
	assert_true(done);
	driver__run(&r.d);
	assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(out->unique, 0x1122);
	assert_int_equal(out->error, 0);
	assert_int_equal(init_out->major, 7);
	driver__set_reg(&r.d, VIRTIO_MMIO_STATUS, 0);
	shared_driver__destroy(&r.d);
	rmdir(share.dir);
}

static void a_daemon_that_ends_at_once_or_is_not_there_is_an_error(void **state)
{
	static const char *const daemons[] = { "/bin/false", "/nonexistent/virtiofsd" };
	struct fs_share share = { .tag = "t", .queues = 1, .dir = "/tmp" };
	struct driver d;

	shared_driver__init(&d);
	for (unsigned int i = 0; i < ARRAY_SIZE(daemons); i++) {
		snprintf(share.daemon, sizeof(share.daemon), "%s", daemons[i]);
		assert_null(virtio_fs__create(&d.board.host, &share, 0));
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		assert_int_equal(errno, ECHILD);
	}
	shared_driver__destroy(&d);
}

/* --- the protocol ----------------------------------------------------------------------------- */

static struct driver *plain_driver(void)
{
	static struct driver d;

	shared_driver__init(&d);
	return &d;
}

static struct vhost_user_config config_for(struct driver *d, struct back_end *b)
{
	return (struct vhost_user_config){
		.name = "test",
		.fd = b->front,
		.ram = &d->board.ram,
		.nr_queues = 2,
		.timeout_ms = 1000,
	};
}

static int connect_to(struct driver *d, struct back_end *b, struct vhost_user **vu)
{
	struct vhost_user_config cfg = config_for(d, b);

	return vhost_user__create(&cfg, vu);
}

static void ram_that_is_not_shared_is_refused(void **state)
{
	struct guest_memory ram;
	struct vhost_user *vu = NULL;
	struct vhost_user_config cfg = {
		.name = "test", .path = "/nonexistent", .ram = &ram, .nr_queues = 1
	};

	guest_memory__init(&ram);
	assert_int_equal(vhost_user__create(&cfg, &vu), -EINVAL);
	ram.fd = 0;
	assert_int_equal(vhost_user__create(&cfg, &vu), -ENOENT);
	assert_null(vu);
}

static void what_a_back_end_cannot_do_is_told(void **state)
{
	struct driver *d = plain_driver();
	struct vhost_user *vu = NULL;
	struct back_end b;

	back_end__init(&b);
	b.features = F_PROTOCOL;
	back_end__run(&b);
	assert_int_equal(connect_to(d, &b, &vu), -ENOTSUP);
	back_end__join(&b);

	back_end__init(&b);
	b.nr_queues = 1;
	back_end__run(&b);
	assert_int_equal(connect_to(d, &b, &vu), -ENOTSUP);
	back_end__join(&b);

	back_end__init(&b);
	b.protocol = PROTOCOL_ACK;
	back_end__run(&b);
	struct vhost_user_config cfg = config_for(d, &b);

	cfg.need_config = true;
	assert_int_equal(vhost_user__create(&cfg, &vu), -ENOTSUP);
	back_end__join(&b);
	shared_driver__destroy(d);
}

static void a_back_end_without_extensions_will_do(void **state)
{
	struct driver *d = plain_driver();
	struct vhost_user *vu;
	struct back_end b;
	uint8_t byte;

	back_end__init(&b);
	b.features &= ~F_PROTOCOL;
	back_end__run(&b);
	assert_int_equal(connect_to(d, &b, &vu), 0);
	assert_int_equal(vhost_user__get_config(vu, 0, &byte, 1), -ENOTSUP);
	assert_int_equal(vhost_user__set_up(vu, VIRTIO_BIT(VIRTIO_F_VERSION_1)), 0);
	assert_int_equal(vhost_user__start_ring(vu, 1,
						&(struct vhost_user_ring){ .size = 8,
									   .packed = true,
									   .desc = 0x1000,
									   .driver = 0x2000,
									   .device = 0x3000,
									   .kick_fd = 0,
									   .call_fd = -1 }),
			 0);
	assert_int_equal(vhost_user__stop_ring(vu, 1), 0);
	assert_int_equal(b.base[1], 0x80008000);
	assert_true(b.without_call[1]);
	assert_int_equal(b.negotiated, VIRTIO_BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(b.stops, 1);
	assert_int_equal(vhost_user__stop_ring(vu, 1), 0);
	assert_int_equal(b.stops, 1);
	vhost_user__destroy(vu);
	back_end__join(&b);
	shared_driver__destroy(d);
}

static void a_queue_outside_of_ram_is_not_started(void **state)
{
	static const uint64_t bad[][3] = {
		{ DRIVER_RAM, 0x2000, 0x3000 },
		{ DRIVER_RAM - 0x10, 0x2000, 0x3000 },
		{ 0x1000, ~0ull, 0x3000 },
		{ 0x1000, 0x2000, DRIVER_RAM - 64 },
		{ DRIVER_HALF - 16, 0x2000, 0x3000 },
	};
	struct driver *d = plain_driver();
	struct vhost_user *vu;
	struct back_end b;

	back_end__init(&b);
	back_end__run(&b);
	assert_int_equal(connect_to(d, &b, &vu), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vhost_user_ring ring = {
			.size = 8,
			.desc = bad[i][0],
			.driver = bad[i][1],
			.device = bad[i][2],
		};

		assert_int_equal(vhost_user__start_ring(vu, 0, &ring), -EFAULT);
	}
	assert_int_equal(vhost_user__start_ring(vu, 256, &(struct vhost_user_ring){ 0 }), -EINVAL);
	vhost_user__destroy(vu);
	assert_int_equal(b.addr[0][0], 0);
	back_end__join(&b);
	shared_driver__destroy(d);
}

/* Requests of vhost_user__create(), and then those that follow. */
static int do_everything(struct vhost_user *vu)
{
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	struct vhost_user_ring ring = {
		.size = 8, .desc = 0x1000, .driver = 0x2000, .device = 0x3000, .call_fd = 1
	};
	int ret = vhost_user__get_config(vu, 2, bytes, 4);

	if (!ret)
		ret = vhost_user__set_config(vu, 2, bytes, 4);
	if (!ret)
		ret = vhost_user__set_up(vu, VIRTIO_BIT(VIRTIO_F_VERSION_1));
	if (!ret)
		ret = vhost_user__start_ring(vu, 0, &ring);
	if (!ret)
		ret = vhost_user__stop_ring(vu, 0);
	return ret;
}

static void ill_manners_are_met_by_hanging_up(void **state)
{
	static const uint32_t requests[] = { 1,	 2,  3,	 5,  8,	 9,  10, 11,
					     12, 13, 15, 17, 18, 21, 24, 25 };
	struct driver *d = plain_driver();

	for (unsigned int i = 0; i < ARRAY_SIZE(requests); i++) {
		for (enum manners manners = GOOD; manners < NR_MANNERS; manners++) {
			struct vhost_user *vu = NULL;
			struct vhost_user_config cfg;
			struct back_end b;
			int ret;

			back_end__init(&b);
			b.rude_at = requests[i];
			b.manners = manners;
			back_end__run(&b);
			cfg = config_for(d, &b);
			cfg.timeout_ms = 50;
			cfg.config_changed = (void (*)(void *))(uintptr_t)1; /* never called */
			ret = vhost_user__create(&cfg, &vu);
			if (!ret)
				ret = do_everything(vu);
			if (manners == GOOD)
				assert_int_equal(ret, 0);
			else if (manners == SILENT)
				assert_int_equal(ret, -ETIMEDOUT);
			else if (manners != REFUSES)
				assert_true(ret == -EPROTO || ret == -EPIPE || ret == -ECONNRESET);
			else if (requests[i] != 1 && requests[i] != 11 && requests[i] != 15 &&
				 requests[i] != 17 && requests[i] != 24)
				assert_int_equal(ret, -EINVAL);
			vhost_user__destroy(vu);
			back_end__join(&b);
		}
	}
	shared_driver__destroy(d);
}

static void configuration_is_read_and_written_within_bounds(void **state)
{
	struct driver *d = plain_driver();
	struct vhost_user *vu;
	struct back_end b;
	uint8_t bytes[256];

	back_end__init(&b);
	back_end__run(&b);
	memcpy(b.config, "0123456789", 10);
	assert_int_equal(connect_to(d, &b, &vu), 0);
	assert_int_equal(vhost_user__get_config(vu, 2, bytes, 3), 0);
	assert_memory_equal(bytes, "234", 3);
	assert_int_equal(vhost_user__set_config(vu, 0, "abc", 3), 0);
	assert_int_equal(vhost_user__get_config(vu, 0, bytes, 256), 0);
	assert_memory_equal(bytes, "abc345", 6);
	assert_int_equal(vhost_user__get_config(vu, 1, bytes, 256), -EINVAL);
	assert_int_equal(vhost_user__get_config(vu, ~0u, bytes, 2), -EINVAL);
	assert_int_equal(vhost_user__set_config(vu, 257, bytes, 0), -EINVAL);
	vhost_user__destroy(vu);
	back_end__join(&b);
	shared_driver__destroy(d);
}

static void count_change(void *ctx)
{
	++*(unsigned int *)ctx;
}

static void say(struct back_end *b, uint32_t request, uint32_t flags, uint32_t size)
{
	struct wire m = { .request = request, .flags = flags, .size = size };

	assert_int_equal(send(b->back, &m, 12 + (size <= 64 ? size : 0), 0),
			 12 + (size <= 64 ? size : 0));
}

static void a_change_of_configuration_is_heard_and_nonsense_is_not(void **state)
{
	struct driver *d = plain_driver();
	struct virtio_device dev = { .loop = d->board.host.loop };
	unsigned int changes = 0;
	struct vhost_user_config cfg;
	struct vhost_user *vu;
	struct back_end b;
	struct wire reply;
	int fds[8];

	back_end__init(&b);
	back_end__run(&b);
	cfg = config_for(d, &b);
	cfg.config_changed = count_change;
	cfg.ctx = &changes;
	assert_int_equal(vhost_user__create(&cfg, &vu), 0);
	assert_true(b.back >= 0);
	vhost_user__bind(vu, &dev, 0);
	assert_int_equal(vhost_user__realize(vu), 0);

	say(&b, 2, 1, 0);
	say(&b, 2, 1 | 8, 0);
	say(&b, 99, 1 | 8, 40);
	driver__run(d);
	assert_int_equal(changes, 2);
	assert_true(read_wire(b.back, &reply, fds));
	assert_int_equal(reply.request, 2);
	assert_int_equal(reply.u64, 0);
	assert_true(read_wire(b.back, &reply, fds));
	assert_int_equal(reply.request, 99);
	assert_int_equal(reply.u64, 1);

	say(&b, 2, 1, ~0u);
	driver__run(d);
	assert_int_equal(recv(b.back, &reply, 1, 0), 0);
	assert_int_equal(changes, 2);
	vhost_user__destroy(vu);
	back_end__join(&b);
	shared_driver__destroy(d);
}

static void a_share_is_a_socket_or_a_directory_with_a_tag(void **state)
{
	struct fs_share share;

	assert_int_equal(fs__parse("dir=/a,,b,,,tag=x,queues=3,daemon=/bin/true", &share), 0);
	assert_string_equal(share.dir, "/a,b,");
	assert_string_equal(share.daemon, "/bin/true");
	assert_int_equal(share.queues, 3);
	assert_int_equal(fs__parse("socket=/s,tag=123456789012345678901234567890123456", &share),
			 0);
	assert_int_equal(fs__parse("socket=/s,tag=1234567890123456789012345678901234567", &share),
			 -EINVAL);
	assert_int_equal(fs__parse("socket=/s,dir=/d,tag=x", &share), -EINVAL);
	assert_int_equal(fs__parse("tag=x", &share), -EINVAL);
	assert_int_equal(fs__parse("dir=/d", &share), -EINVAL);
	assert_int_equal(fs__parse("dir=,tag=x", &share), -EINVAL);
	assert_int_equal(fs__parse("dir=/d,tag=x,queues=0", &share), -EINVAL);
	assert_int_equal(fs__parse("dir=/d,tag=x,queues=65", &share), -EINVAL);
	assert_int_equal(fs__parse("dir=/d,tag=x,", &share), -EINVAL);
	assert_int_equal(fs__parse("/d,x", &share), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_tells_its_tag_and_offers_what_the_back_end_can),
		cmocka_unit_test(queues_are_served_where_they_are),
		cmocka_unit_test(all_of_ram_is_where_the_table_says),
		cmocka_unit_test(a_reset_stops_the_queues_and_they_can_start_again),
		cmocka_unit_test(when_the_back_end_goes_the_device_needs_a_reset),
		cmocka_unit_test(a_back_end_that_refuses_a_queue_stops_no_more_than_the_device),
		cmocka_unit_test(a_daemon_that_is_installed_answers_a_guest),
		cmocka_unit_test(a_daemon_that_ends_at_once_or_is_not_there_is_an_error),
		cmocka_unit_test(ram_that_is_not_shared_is_refused),
		cmocka_unit_test(what_a_back_end_cannot_do_is_told),
		cmocka_unit_test(a_back_end_without_extensions_will_do),
		cmocka_unit_test(a_queue_outside_of_ram_is_not_started),
		cmocka_unit_test(ill_manners_are_met_by_hanging_up),
		cmocka_unit_test(configuration_is_read_and_written_within_bounds),
		cmocka_unit_test(a_change_of_configuration_is_heard_and_nonsense_is_not),
		cmocka_unit_test(a_share_is_a_socket_or_a_directory_with_a_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
