// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The console device (Virtio 1.2, section 5.3), with a stand-in for its chardevs.
 *
 * WRAP: chardev__attach chardev__resume chardev__write
 */
#include <pthread.h>

#include <linux/virtio_console.h>

#include "kvm/chardev.h"
#include "kvm/virtio-console.h"
#include "virtio-driver.h"

#define SIZE  16
#define BASIC VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define MULTI (BASIC | VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT))

struct chardev {
	struct chardev_frontend frontend;
	char written[256];
	size_t nr;
	atomic_uint resumes;
};

void __wrap_chardev__attach(struct chardev *chr, const struct chardev_frontend *frontend);
void __wrap_chardev__resume(struct chardev *chr);
void __wrap_chardev__write(struct chardev *chr, const void *data, size_t len);

void __wrap_chardev__attach(struct chardev *chr, const struct chardev_frontend *frontend)
{
	chr->frontend = frontend ? *frontend : (struct chardev_frontend){ 0 };
}

void __wrap_chardev__resume(struct chardev *chr)
{
	atomic_fetch_add(&chr->resumes, 1);
}

void __wrap_chardev__write(struct chardev *chr, const void *data, size_t len)
{
	assert_true(len <= sizeof(chr->written) - chr->nr);
	memcpy(&chr->written[chr->nr], data, len);
	chr->nr += len;
}

struct rig {
	struct driver d;
	struct virtio_device *dev;
	struct chardev chr[2];
	struct driver_queue q[6];
};

static void up(struct rig *r, unsigned int nr_ports, uint64_t features)
{
	struct virtio_console_port ports[] = {
		{ .chr = &r->chr[0], .console = true },
		{ .chr = &r->chr[1], .name = "org.lkvm.agent" },
	};
	struct virtio_console_options options = {
		.ports = ports, .nr_ports = nr_ports, .cols = 80, .rows = 25
	};

	memset(r, 0, sizeof(*r));
	driver__init(&r->d);
	r->dev = virtio_console__create(&r->d.board.host, &options);
	driver__plug(&r->d, r->dev);
	assert_true(driver__negotiate(&r->d, features));
	for (unsigned int i = 0; i < r->dev->nr_queues; i++) {
		dq__init(&r->q[i], &r->d, i, SIZE, false, false);
		driver__enable_queue(&r->q[i]);
	}
	driver__ok(&r->d);
}

static void down(struct rig *r)
{
	driver__destroy(&r->d);
	assert_null(r->chr[0].frontend.receive);
}

static void type(struct rig *r, unsigned int port, const char *text, size_t len)
{
	const struct chardev_frontend *f = &r->chr[port].frontend;

	assert_true(f->room(f->ctx) >= len);
	f->receive(f->ctx, (const uint8_t *)text, len);
}

static void give(struct driver_queue *q, uint16_t id, uint32_t len)
{
	dq__add(q, id, &(struct driver_buf){ q->buffers + id * 64ull, len, VRING_DESC_F_WRITE }, 1);
	driver__notify(q);
}

static void expect_text(struct driver_queue *q, const char *text)
{
	uint32_t id, len;

	assert_true(dq__wait(q, &id, &len));
	assert_int_equal(len, strlen(text));
	assert_memory_equal(driver__at(q->d, q->buffers + id * 64ull), text, len);
}

static void say(struct driver_queue *q, const void *data, uint32_t len)
{
	uint32_t id, got;

	memcpy(driver__at(q->d, q->buffers), data, len);
	dq__add(q, 0, &(struct driver_buf){ q->buffers, len, 0 }, 1);
	driver__notify(q);
	assert_true(dq__wait(q, &id, &got));
	assert_int_equal(got, 0);
}

static void what_the_guest_writes_comes_out(void **state)
{
	struct rig r;

	up(&r, 1, BASIC);
	say(&r.q[1], "hello, ", 7);
	say(&r.q[1], "world", 5);
	assert_int_equal(r.chr[0].nr, 12);
	assert_memory_equal(r.chr[0].written, "hello, world", 12);
	down(&r);
}

static void what_is_typed_goes_in(void **state)
{
	struct rig r;

	up(&r, 1, BASIC);
	type(&r, 0, "early", 5);
	give(&r.q[0], 0, 3);
	expect_text(&r.q[0], "ear");
	give(&r.q[0], 1, 32);
	expect_text(&r.q[0], "ly");
	give(&r.q[0], 2, 32);
	type(&r, 0, "late", 4);
	expect_text(&r.q[0], "late");
	assert_true(atomic_load(&r.chr[0].resumes) >= 2);
	down(&r);
}

static void input_stops_when_nobody_takes_it(void **state)
{
	const struct chardev_frontend *f;
	char text[1000];
	size_t total = 0;
	uint32_t id, len;
	struct rig r;

	up(&r, 1, BASIC);
	f = &r.chr[0].frontend;
	memset(text, 'x', sizeof(text));
	for (size_t room; (room = f->room(f->ctx)) != 0; total += room) {
		room = room < sizeof(text) ? room : sizeof(text);
		type(&r, 0, text, room);
	}
	assert_int_equal(total, 4096);
	give(&r.q[0], 0, 64);
	assert_true(dq__wait(&r.q[0], &id, &len));
	assert_int_equal(len, 64);
	for (unsigned int i = 0; i < 5000 && !f->room(f->ctx); i++)
		usleep(1000);
	assert_int_equal(f->room(f->ctx), 64);
	down(&r);
}

static void a_single_console_has_no_ports(void **state)
{
	struct rig r;

	up(&r, 1, BASIC);
	assert_int_equal(r.dev->nr_queues, 2);
	assert_false(driver__offered(&r.d) & VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT));
	down(&r);
}

static void its_size_is_in_the_configuration(void **state)
{
	struct rig r;

	up(&r, 1, BASIC | VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE));
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + 0x100, 4), 25 << 16 | 80);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + 0x104, 4), 1);
	virtio_console__resize(r.dev, 132, 50);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + 0x100, 4), 50 << 16 | 132);
	assert_int_equal(driver__ack(&r.d), VIRTIO_MMIO_INT_CONFIG);
	down(&r);
}

static void an_emergency_write_needs_no_queue(void **state)
{
	struct rig r;

	up(&r, 1, BASIC);
	board__store(&r.d.board, DRIVER_MMIO + 0x108, 4, '!');
	assert_int_equal(r.chr[0].nr, 1);
	assert_int_equal(r.chr[0].written[0], '!');
	board__store(&r.d.board, DRIVER_MMIO + 0x100, 4, 0xffffffff); /* not for writing */
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + 0x100, 4), 25 << 16 | 80);
	down(&r);
}

static void control(struct rig *r, uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control msg = { .id = id, .event = event, .value = value };

	say(&r->q[3], &msg, sizeof(msg));
}

static void expect_control(struct rig *r, uint32_t port, uint16_t event, const void *rest,
			   size_t size)
{
	const struct virtio_console_control *msg;
	uint32_t id, len;

	assert_true(dq__wait(&r->q[2], &id, &len));
	msg = driver__at(&r->d, r->q[2].buffers + id * 64ull);
	assert_int_equal(msg->id, port);
	assert_int_equal(msg->event, event);
	assert_int_equal(msg->value, 1);
	assert_int_equal(len, sizeof(*msg) + size);
	if (size)
		assert_memory_equal(msg + 1, rest, size);
}

static void ports_introduce_themselves(void **state)
{
	struct rig r;

	up(&r, 2, MULTI);
	assert_int_equal(r.dev->nr_queues, 6);
	for (uint16_t i = 0; i < 12; i++)
		give(&r.q[2], i, 64);
	control(&r, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect_control(&r, 0, VIRTIO_CONSOLE_PORT_ADD, NULL, 0);
	expect_control(&r, 1, VIRTIO_CONSOLE_PORT_ADD, NULL, 0);
	control(&r, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(&r, 0, VIRTIO_CONSOLE_CONSOLE_PORT, NULL, 0);
	expect_control(&r, 0, VIRTIO_CONSOLE_RESIZE, "\x50\0\x19\0", 4);
	expect_control(&r, 0, VIRTIO_CONSOLE_PORT_OPEN, NULL, 0);
	control(&r, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(&r, 1, VIRTIO_CONSOLE_PORT_NAME, "org.lkvm.agent", 14);
	expect_control(&r, 1, VIRTIO_CONSOLE_PORT_OPEN, NULL, 0);

	give(&r.q[4], 0, 32);
	type(&r, 1, "ping", 4);
	expect_text(&r.q[4], "ping");
	say(&r.q[5], "pong", 4);
	assert_memory_equal(r.chr[1].written, "pong", 4);
	assert_int_equal(r.chr[0].nr, 0);
	down(&r);
}

static void a_driver_that_never_listens_fills_nothing(void **state)
{
	struct rig r;

	up(&r, 2, MULTI);
	for (unsigned int i = 0; i < 1000; i++) {
		control(&r, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
		control(&r, i, VIRTIO_CONSOLE_PORT_READY, 1);
		control(&r, i * 0x1000001, (uint16_t)i, 1);
	}
	say(&r.q[3], "short", 5);
	give(&r.q[2], 0, 64);
	expect_control(&r, 0, VIRTIO_CONSOLE_PORT_ADD, NULL, 0);
	down(&r);
}

static void impossible_options_are_refused(void **state)
{
	struct virtio_console_options options = { 0 };
	struct driver d;

	driver__init(&d);
	assert_null(virtio_console__create(&d.board.host, &options));
	options.nr_ports = VIRTIO_CONSOLE_MAX_PORTS + 1;
	assert_null(virtio_console__create(&d.board.host, &options));
	driver__destroy(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_guest_writes_comes_out),
		cmocka_unit_test(what_is_typed_goes_in),
		cmocka_unit_test(input_stops_when_nobody_takes_it),
		cmocka_unit_test(a_single_console_has_no_ports),
		cmocka_unit_test(its_size_is_in_the_configuration),
		cmocka_unit_test(an_emergency_write_needs_no_queue),
		cmocka_unit_test(ports_introduce_themselves),
		cmocka_unit_test(a_driver_that_never_listens_fills_nothing),
		cmocka_unit_test(impossible_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
