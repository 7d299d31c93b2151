// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The network device with vhost-net, before a kernel that is made up: which ioctls it makes and in
 * what order, and that each of them may fail.
 *
 * WRAP: sys__ioctl sys__ioctl_val sys__open
 */
#include "net-guest.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/vhost.h>

#include "kvm/sys.h"
#include "net-capture.h"

#define MAX_CALLS 256
#define MRG	  BIT(VIRTIO_NET_F_MRG_RXBUF)
#define MQ	  (MRG | BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ))

/* An ioctl on a vhost descriptor. */
struct call {
	int fd;
	unsigned long request;
	unsigned int index;
	int arg; /* a descriptor, or a number */
	struct vhost_vring_addr addr;
};

static struct {
	uint64_t features;
	int vhost[NET_MAX_PAIRS], tap[NET_MAX_PAIRS], peer[NET_MAX_PAIRS];
	unsigned int nr_vhosts, nr_taps;
	struct call call[MAX_CALLS];
	unsigned int nr_calls, fail_at; /* counted from 1 */
} kernel;

int __real_sys__open(const char *path, int flags);
int __wrap_sys__open(const char *path, int flags);
int __real_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val);

int __wrap_sys__open(const char *path, int flags)
{
	int fd[2];

	if (!strcmp(path, "/dev/vhost-net"))
		return kernel.vhost[kernel.nr_vhosts++] = eventfd(0, EFD_CLOEXEC);
	if (strcmp(path, "/dev/net/tun") != 0)
		return __real_sys__open(path, flags);
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd))
		return -errno;
	kernel.peer[kernel.nr_taps] = fd[1];
	return kernel.tap[kernel.nr_taps++] = fd[0];
}

static bool is_vhost(int fd)
{
	for (unsigned int i = 0; i < kernel.nr_vhosts; i++) {
		if (kernel.vhost[i] == fd)
			return true;
	}
	return false;
}

static int vhost_ioctl(int fd, unsigned long request, void *arg)
{
	struct call *call = &kernel.call[kernel.nr_calls++];

	assert_true(kernel.nr_calls < MAX_CALLS);
	*call = (struct call){ .fd = fd, .request = request };
	if (kernel.nr_calls == kernel.fail_at)
		return -ENOMEM;
	if (request == VHOST_GET_FEATURES) {
		*(uint64_t *)arg = kernel.features;
	} else if (request == VHOST_SET_VRING_ADDR) {
		call->addr = *(struct vhost_vring_addr *)arg;
		call->index = call->addr.index;
	} else if (request != VHOST_SET_FEATURES && request != VHOST_SET_MEM_TABLE && arg) {
		call->index = ((struct vhost_vring_file *)arg)->index;
		call->arg = ((struct vhost_vring_file *)arg)->fd;
	}
	return 0;
}

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	if (is_vhost(fd))
		return vhost_ioctl(fd, request, arg);
	if (request == SIOCGIFMTU)
		((struct ifreq *)arg)->ifr_mtu = 1500;
	return 0; /* of a tap, or of the host's network */
}

int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val)
{
	return 0;
}

/* --- the rig ----------------------------------------------------------------------------------- */

static struct guest guest;

static bool plug_as(unsigned int pairs, bool vhost)
{
	struct virtio_net_params params = { .vhost = vhost };
	struct virtio_device *dev;
	struct net_config cfg;
	char network[32];

	snprintf(network, sizeof(network), "mode=tap,mq=%u", pairs);
	assert_int_equal(net__parse(network, &cfg), 0);
	assert_int_equal(net_backend__open(&cfg, "net0", &params.backend), 0);
	net_config__free(&cfg);
	memset(&guest, 0, sizeof(guest));
	driver__init(&guest.d);
	dev = virtio_net__create(&guest.d.board.host, &params);
	if (!dev)
		return false;
	driver__plug(&guest.d, dev);
	return true;
}

static bool plug(unsigned int pairs)
{
	return plug_as(pairs, true);
}

static int setup(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			  BIT(VIRTIO_RING_F_EVENT_IDX) | MRG | BIT(VIRTIO_F_ACCESS_PLATFORM) |
			  BIT(VIRTIO_F_RING_PACKED);
	return 0;
}

static void unplug(void)
{
	driver__destroy(&guest.d);
	for (unsigned int i = 0; i < kernel.nr_taps; i++)
		close(kernel.peer[i]);
	kernel.nr_taps = 0;
}

static int teardown(void **state)
{
	if (kernel.nr_taps)
		unplug();
	return 0;
}

/* The number, counted from 1, of the call that did it; 0: nobody did. */
static unsigned int find(unsigned long request, int fd, unsigned int index, int arg)
{
	for (unsigned int i = 0; i < kernel.nr_calls; i++) {
		const struct call *call = &kernel.call[i];

		if (call->request == request && call->fd == fd && call->index == index &&
		    call->arg == arg)
			return i + 1;
	}
	return 0;
}

static void forget_calls(void)
{
	kernel.nr_calls = 0;
}

/* --- rules ------------------------------------------------------------------------------------- */

static void what_the_kernel_cannot_do_is_not_offered(void **state)
{
	uint64_t offered;

	kernel.features &= ~BIT(VIRTIO_RING_F_EVENT_IDX);
	assert_true(plug(1));
	offered = driver__offered(&guest.d);
	assert_true(offered & MRG && offered & BIT(VIRTIO_RING_F_INDIRECT_DESC));
	assert_true(offered & BIT(VIRTIO_NET_F_CSUM)); /* the tap's affair */
	assert_false(offered & (BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_RING_PACKED) |
				BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_ACCESS_PLATFORM)));
}

static void the_kernel_gets_the_rings_and_last_the_tap(void **state)
{
	unsigned int backend;

	assert_true(plug(1));
	guest__start(&guest, MRG, 0, 1536);
	for (unsigned int ring = 0; ring < 2; ring++) {
		struct driver_queue *q = ring ? &guest.tx : &guest.rx;
		bool found = false;

		backend = find(VHOST_NET_SET_BACKEND, kernel.vhost[0], ring, kernel.tap[0]);
		assert_int_not_equal(backend, 0);
		assert_in_range(find(VHOST_SET_VRING_NUM, kernel.vhost[0], ring, 64), 1,
				backend - 1);
		for (unsigned int i = 0; i < backend; i++) {
			const struct vhost_vring_addr *addr = &kernel.call[i].addr;

			if (kernel.call[i].request != VHOST_SET_VRING_ADDR || addr->index != ring)
				continue;
			found = true;
			assert_ptr_equal(addr->desc_user_addr, driver__at(&guest.d, q->desc));
			assert_ptr_equal(addr->avail_user_addr, driver__at(&guest.d, q->driver));
			assert_ptr_equal(addr->used_user_addr, driver__at(&guest.d, q->device));
		}
		assert_true(found);
	}
}

static void a_reset_takes_the_tap_away_before_the_rings(void **state)
{
	unsigned int backend;

	assert_true(plug(1));
	guest__start(&guest, MRG, 0, 1536);
	forget_calls();
	driver__set_reg(&guest.d, VIRTIO_MMIO_STATUS, 0);
	for (unsigned int ring = 0; ring < 2; ring++) {
		backend = find(VHOST_NET_SET_BACKEND, kernel.vhost[0], ring, -1);
		assert_int_not_equal(backend, 0);
		assert_true(find(VHOST_GET_VRING_BASE, kernel.vhost[0], ring, 0) > backend);
	}
}

static void a_queue_that_is_reset_is_taken_back_alone(void **state)
{
	assert_true(plug(1));
	guest__start(&guest, MRG | BIT(VIRTIO_F_RING_RESET), 0, 1536);
	forget_calls();
	driver__set_reg(&guest.d, VIRTIO_MMIO_QUEUE_SEL, 0);
	driver__set_reg(&guest.d, 0x0c0, 1);
	assert_true(find(VHOST_NET_SET_BACKEND, kernel.vhost[0], 0, -1));
	assert_false(find(VHOST_NET_SET_BACKEND, kernel.vhost[0], 1, -1));
	driver__enable_queue(&guest.rx);
	assert_true(find(VHOST_NET_SET_BACKEND, kernel.vhost[0], 0, kernel.tap[0]));
}

static void more_pairs_are_served_when_the_guest_uses_them(void **state)
{
	struct driver_queue more[2];

	assert_true(plug(2));
	assert_int_equal(kernel.nr_vhosts, 2);
	assert_true(driver__negotiate(&guest.d, MQ | BIT(VIRTIO_F_VERSION_1)));
	dq__init(&guest.rx, &guest.d, 0, 64, false, false);
	dq__init(&guest.tx, &guest.d, 1, 64, false, false);
	dq__init(&more[0], &guest.d, 2, 64, false, false);
	dq__init(&more[1], &guest.d, 3, 64, false, false);
	dq__init(&guest.ctrl, &guest.d, 4, 16, false, false);
	driver__enable_queue(&guest.rx);
	driver__enable_queue(&guest.tx);
	driver__enable_queue(&more[0]);
	driver__enable_queue(&more[1]);
	driver__enable_queue(&guest.ctrl);
	driver__ok(&guest.d);
	driver__run(&guest.d);
	assert_true(find(VHOST_NET_SET_BACKEND, kernel.vhost[0], 1, kernel.tap[0]));
	assert_false(find(VHOST_NET_SET_BACKEND, kernel.vhost[1], 0, kernel.tap[1]));
	forget_calls();
	assert_int_equal(guest__control(&guest, 4, 0, "\2", 2), 0);
	assert_true(find(VHOST_NET_SET_BACKEND, kernel.vhost[1], 0, kernel.tap[1]));
	assert_true(find(VHOST_NET_SET_BACKEND, kernel.vhost[1], 1, kernel.tap[1]));
	assert_false(find(VHOST_NET_SET_BACKEND, kernel.vhost[0], 0, kernel.tap[0]));
	forget_calls();
	assert_int_equal(guest__control(&guest, 4, 0, "\1", 2), 0);
	assert_true(find(VHOST_NET_SET_BACKEND, kernel.vhost[1], 0, -1));
	assert_false(find(VHOST_NET_SET_BACKEND, kernel.vhost[0], 0, -1));
}

static void a_control_queue_in_the_place_of_a_pair_is_refused(void **state)
{
	assert_true(plug(2));
	assert_false(driver__negotiate(&guest.d,
				       MRG | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_CTRL_VQ)));
	assert_true(driver__negotiate(&guest.d, MRG | BIT(VIRTIO_F_VERSION_1)));
}

static void a_ring_outside_of_ram_breaks_only_the_device(void **state)
{
	struct capture capture;
	char words[2048];

	assert_true(plug(1));
	assert_true(driver__negotiate(&guest.d, MRG | BIT(VIRTIO_F_VERSION_1)));
	dq__init(&guest.rx, &guest.d, 0, 64, false, false);
	dq__init(&guest.tx, &guest.d, 1, 64, false, false);
	guest.rx.device = DRIVER_RAM - 4;
	driver__enable_queue(&guest.rx);
	driver__enable_queue(&guest.tx);
	capture__begin(&capture);
	driver__ok(&guest.d);
	capture__end(&capture, words, sizeof(words));
	assert_true(driver__needs_reset(&guest.d));
	assert_false(find(VHOST_NET_SET_BACKEND, kernel.vhost[0], 0, kernel.tap[0]));
}

/* 5.1.6.4.1; a tap may say that it has seen a checksum, whether or not anybody wants to know. */
static void a_header_says_nothing_that_was_not_negotiated(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf header;
	static const uint8_t zero[10];
	uint8_t frame[100];

	assert_true(plug_as(1, false));
	memset(frame, 0xff, sizeof(frame));
	guest__start(&guest, MRG, 8, 1536);
	assert_int_equal(send(kernel.peer[0], frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(guest__receive(&guest, &header, frame, sizeof(frame)), 88);
	assert_memory_equal(&header, zero, sizeof(zero));
	assert_int_equal(header.num_buffers, 1);
	guest__start(&guest, MRG | BIT(VIRTIO_NET_F_GUEST_CSUM), 8, 1536);
	memset(frame, 0x02, sizeof(frame));
	assert_int_equal(send(kernel.peer[0], frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(guest__receive(&guest, &header, frame, sizeof(frame)), 88);
	assert_int_equal(header.hdr.flags, VIRTIO_NET_HDR_F_DATA_VALID);
}

static void any_call_may_fail(void **state)
{
	unsigned int at = 1, made = MAX_CALLS;

	for (; made >= at; at++) {
		struct capture capture;
		char words[4096];
		bool plugged;

		setup(NULL);
		kernel.fail_at = at;
		capture__begin(&capture);
		plugged = plug(1);
		if (plugged) {
			guest__start(&guest, MRG, 0, 1536);
			made = kernel.nr_calls;
			if (made >= at)
				assert_true(driver__needs_reset(&guest.d));
		}
		unplug();
		capture__end(&capture, words, sizeof(words));
		if (made >= at)
			assert_true(count_lines(words) >= 1);
	}
	assert_true(at > 10);
}

#define rule(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rule(what_the_kernel_cannot_do_is_not_offered),
		rule(the_kernel_gets_the_rings_and_last_the_tap),
		rule(a_reset_takes_the_tap_away_before_the_rings),
		rule(a_queue_that_is_reset_is_taken_back_alone),
		rule(more_pairs_are_served_when_the_guest_uses_them),
		rule(a_control_queue_in_the_place_of_a_pair_is_refused),
		rule(a_ring_outside_of_ram_breaks_only_the_device),
		rule(a_header_says_nothing_that_was_not_negotiated),
		rule(any_call_may_fail),
	};

	return cmocka_run_group_tests_name("net-vhost", tests, NULL, NULL);
}
