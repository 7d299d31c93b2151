// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queues served by the kernel, against a stand-in for it that writes down what it is told; the
 * device is vhost-vsock.
 *
 * WRAP: sys__ioctl sys__open
 */
#include "virtio-driver.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/vhost.h>

#include "kvm/vhost.h"
#include "kvm/virtio-vsock.h"

#define MAX_CALLS 64

/**
 * struct fake_vhost - the kernel's part
 * @open_error: that open() fails with
 * @fail:       a request that fails with @error
 */
struct fake_vhost {
	int fd, open_error;
	unsigned long fail;
	int error;
	uint64_t offered, features, cid;
	int running;
	struct vhost_memory_region region[4];
	unsigned int nr_regions;
	struct vhost_vring_addr addr[2];
	unsigned int num[2], base[2];
	int kick[2], call[2], err[2];
	bool owned, changed_while_running;
};

static struct fake_vhost fake;

int __real_sys__open(const char *path, int flags);
int __wrap_sys__open(const char *path, int flags);
int __real_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);

int __wrap_sys__open(const char *path, int flags)
{
	if (strncmp(path, "/dev/vhost", 10))
		return __real_sys__open(path, flags);
	if (fake.open_error)
		return fake.open_error;
	fake.fd = __real_sys__open("/dev/null", O_RDWR);
	return fake.fd;
}

static void set_memory(const struct vhost_memory *table)
{
	assert_true(table->nregions <= ARRAY_SIZE(fake.region));
	fake.nr_regions = table->nregions;
	memcpy(fake.region, table->regions, table->nregions * sizeof(fake.region[0]));
}

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	const struct vhost_vring_state *state = arg;
	const struct vhost_vring_file *file = arg;
	const struct vhost_vring_addr *addr = arg;

	if (fd != fake.fd)
		return __real_sys__ioctl(fd, request, arg);
	if (request == fake.fail)
		return fake.error;
	assert_true(fake.owned || request == VHOST_SET_OWNER);
	switch (request) {
	case VHOST_SET_OWNER:
		fake.owned = true;
		break;
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = fake.offered;
		break;
	case VHOST_SET_FEATURES:
		fake.features = *(uint64_t *)arg;
		break;
	case VHOST_SET_MEM_TABLE:
		set_memory(arg);
		break;
	case VHOST_SET_VRING_NUM:
		fake.changed_while_running |= fake.running;
		fake.num[state->index] = state->num;
		break;
	case VHOST_SET_VRING_BASE:
		fake.base[state->index] = state->num;
		break;
	case VHOST_SET_VRING_ADDR:
		fake.addr[addr->index] = *addr;
		break;
	case VHOST_SET_VRING_KICK:
		fake.kick[file->index] = file->fd;
		break;
	case VHOST_SET_VRING_CALL:
		fake.call[file->index] = file->fd;
		break;
	case VHOST_SET_VRING_ERR:
		fake.err[file->index] = file->fd;
		break;
	case VHOST_GET_VRING_BASE:
		break;
	case VHOST_VSOCK_SET_GUEST_CID:
		fake.cid = *(uint64_t *)arg;
		break;
	case VHOST_VSOCK_SET_RUNNING:
		fake.running = *(int *)arg;
		break;
	default:
		fail_msg("an ioctl that vhost does not have: %#lx", request);
	}
	return 0;
}

static const struct virtio_vsock_params params = { .guest_cid = 42 };

static int create(struct driver *d, struct virtio_device **dev)
{
	return virtio_vsock__create(&d->board.host, 0, &params, dev);
}

static void begin(struct driver *d)
{
	memset(&fake, 0, sizeof(fake));
	fake.fd = -1;
	fake.offered =
		VIRTIO_COMMON_FEATURES | VIRTIO_OPTIONAL_FEATURES | VIRTIO_BIT(VHOST_F_LOG_ALL);
	fake.offered &= ~VIRTIO_BIT(VIRTIO_F_RING_RESET);
	fake.kick[0] = fake.kick[1] = -1;
	driver__init(d);
}

static void bring_up(struct driver *d, struct driver_queue *q, unsigned int nr)
{
	assert_true(driver__negotiate(d, VIRTIO_BIT(VIRTIO_F_VERSION_1) |
						 VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX)));
	for (unsigned int i = 0; i < nr; i++) {
		dq__init(&q[i], d, i, 32, false, true);
		driver__enable_queue(&q[i]);
	}
	driver__ok(d);
}

static void the_kernel_learns_where_everything_is(void **state)
{
	struct virtio_device *dev;
	struct driver_queue q[3];
	struct driver d;

	begin(&d);
	assert_int_equal(create(&d, &dev), 0);
	assert_int_equal(fake.cid, 42);
	driver__plug(&d, dev);
	assert_int_equal(driver__reg(&d, VIRTIO_MMIO_CONFIG), 42);
	bring_up(&d, q, 3);
	assert_false(driver__needs_reset(&d));

	assert_int_equal(fake.features,
			 VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	assert_int_equal(fake.nr_regions, 2);
	assert_int_equal(fake.region[1].guest_phys_addr, DRIVER_HALF);
	assert_int_equal(fake.region[1].memory_size, DRIVER_HALF);
	assert_ptr_equal((void *)(uintptr_t)fake.region[1].userspace_addr, d.half[1]);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(fake.num[i], 32);
		assert_ptr_equal((void *)(uintptr_t)fake.addr[i].desc_user_addr,
				 driver__at(&d, q[i].desc));
		assert_ptr_equal((void *)(uintptr_t)fake.addr[i].avail_user_addr,
				 driver__at(&d, q[i].driver));
		assert_ptr_equal((void *)(uintptr_t)fake.addr[i].used_user_addr,
				 driver__at(&d, q[i].device));
		assert_int_equal(fake.kick[i], virtqueue__kick_fd(virtio_device__queue(dev, i)));
		assert_true(fake.call[i] >= 0);
		assert_true(fake.err[i] >= 0);
	}
	assert_true(fake.running);
	driver__destroy(&d);
	assert_false(fake.running);
	assert_int_equal(fake.kick[0], -1);
	assert_int_equal(fake.call[1], -1);
}

static void only_what_the_kernel_can_do_is_offered(void **state)
{
	struct virtio_device *dev;
	struct vhost vhost;
	struct driver d;
	uint64_t offered;

	begin(&d);
	fake.offered &= ~VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	assert_int_equal(create(&d, &dev), 0);
	driver__plug(&d, dev);
	offered = driver__offered(&d);
	assert_false(offered & VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	assert_false(offered & VIRTIO_OPTIONAL_FEATURES);
	assert_true(offered & VIRTIO_BIT(VIRTIO_F_VERSION_1));
	driver__destroy(&d);

	vhost.features = VIRTIO_OPTIONAL_FEATURES | VIRTIO_BIT(VIRTIO_F_VERSION_1);
	assert_int_equal(vhost__offer(&vhost, UINT64_MAX),
			 VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET));
}

static void the_kernel_is_not_told_of_features_that_are_not_its_own(void **state)
{
	struct virtio_device dev = { .features = VIRTIO_BIT(VIRTIO_F_VERSION_1) |
						 VIRTIO_BIT(VIRTIO_F_RING_RESET) };
	struct vhost vhost;
	struct driver d;

	begin(&d);
	assert_int_equal(vhost__open(&vhost, "/dev/vhost-net"), 0);
	dev.host = &d.board.host;
	dev.loop = d.board.host.loop;
	assert_int_equal(vhost__attach(&vhost, &dev), 0);
	assert_int_equal(vhost__start(&vhost, VIRTIO_BIT(VHOST_NET_F_VIRTIO_NET_HDR)), 0);
	assert_int_equal(fake.features,
			 VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VHOST_NET_F_VIRTIO_NET_HDR));
	vhost__close(&vhost);
	driver__destroy(&d);
}

static void an_interrupt_of_the_kernel_reaches_the_guest(void **state)
{
	struct virtio_device *dev;
	struct driver_queue q[2];
	const uint64_t one = 1;
	struct driver d;

	begin(&d);
	assert_int_equal(create(&d, &dev), 0);
	driver__plug(&d, dev);
	bring_up(&d, q, 2);
	driver__ack(&d);
	assert_int_equal(write(fake.call[1], &one, sizeof(one)), sizeof(one));
	driver__run(&d);
	assert_int_equal(driver__ack(&d), VIRTIO_MMIO_INT_VRING);
	driver__destroy(&d);
}

static void a_queue_that_the_kernel_gives_up_needs_a_reset(void **state)
{
	struct virtio_device *dev;
	struct driver_queue q[2];
	const uint64_t one = 1;
	struct driver d;

	begin(&d);
	assert_int_equal(create(&d, &dev), 0);
	driver__plug(&d, dev);
	bring_up(&d, q, 2);
	assert_int_equal(write(fake.err[0], &one, sizeof(one)), sizeof(one));
	driver__run(&d);
	assert_true(driver__needs_reset(&d));
	bring_up(&d, q, 2);
	assert_false(driver__needs_reset(&d));
	assert_true(fake.running);
	assert_false(fake.changed_while_running);
	driver__destroy(&d);
}

static void a_driver_that_leaves_out_a_queue_gets_no_service(void **state)
{
	struct virtio_device *dev;
	struct driver_queue q[2];
	struct driver d;

	begin(&d);
	assert_int_equal(create(&d, &dev), 0);
	driver__plug(&d, dev);
	bring_up(&d, q, 1);
	assert_true(driver__needs_reset(&d));
	assert_false(fake.running);
	driver__destroy(&d);
}

static void every_call_that_fails_is_reported_and_undone(void **state)
{
	static const unsigned long requests[] = {
		VHOST_SET_FEATURES,   VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,
		VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_ERR,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK, VHOST_VSOCK_SET_RUNNING,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(requests); i++) {
		struct virtio_device *dev;
		struct driver_queue q[2];
		struct driver d;

		begin(&d);
		assert_int_equal(create(&d, &dev), 0);
		driver__plug(&d, dev);
		fake.fail = requests[i];
		fake.error = -EFAULT;
		bring_up(&d, q, 2);
		assert_true(driver__needs_reset(&d));
		assert_false(fake.running);
		fake.fail = 0;
		bring_up(&d, q, 2);
		assert_true(fake.running);
		driver__destroy(&d);
	}
}

static void a_host_without_it_and_an_id_in_use_are_errors(void **state)
{
	struct virtio_device *dev = NULL;
	struct driver d;

	begin(&d);
	fake.open_error = -ENOENT;
	assert_int_equal(create(&d, &dev), -ENOENT);
	fake.open_error = -EACCES;
	assert_int_equal(create(&d, &dev), -EACCES);
	fake.open_error = 0;
	fake.fail = VHOST_SET_OWNER;
	fake.error = -EBUSY;
	assert_int_equal(create(&d, &dev), -EBUSY);
	fake.fail = VHOST_VSOCK_SET_GUEST_CID;
	fake.error = -EADDRINUSE;
	assert_int_equal(create(&d, &dev), -EADDRINUSE);
	assert_null(dev);
	driver__destroy(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_learns_where_everything_is),
		cmocka_unit_test(only_what_the_kernel_can_do_is_offered),
		cmocka_unit_test(the_kernel_is_not_told_of_features_that_are_not_its_own),
		cmocka_unit_test(an_interrupt_of_the_kernel_reaches_the_guest),
		cmocka_unit_test(a_queue_that_the_kernel_gives_up_needs_a_reset),
		cmocka_unit_test(a_driver_that_leaves_out_a_queue_gets_no_service),
		cmocka_unit_test(every_call_that_fails_is_reported_and_undone),
		cmocka_unit_test(a_host_without_it_and_an_id_in_use_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
