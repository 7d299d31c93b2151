// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Persistent memory: which files are taken, what KVM is told, and flushing, which never blocks the
 * loop.
 *
 * WRAP: sys__ioctl sys__ioctl_val sys__open sys__mmap fdatasync kvm__add_memslot
 */
#include "virtio-driver.h"
#include "fake-kvm.h"

#include <sys/stat.h>

#include <linux/virtio_pmem.h>

#include "kvm/kvm.h"
#include "kvm/virtio-pmem.h"

#define GPA   0x100000000ull
#define ALIGN VIRTIO_PMEM_ALIGN

/**
 * struct gate - what fdatasync() does
 * @hold:  it waits until this is false
 * @error: it fails with this
 */
static struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold;
	int error;
	unsigned int begun, done;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	pthread_mutex_lock(&gate.lock);
	gate.begun++;
	pthread_cond_broadcast(&gate.changed);
	while (gate.hold)
		pthread_cond_wait(&gate.changed, &gate.lock);
	gate.done++;
	errno = gate.error;
	pthread_mutex_unlock(&gate.lock);
	return errno ? -1 : 0;
}

static uint32_t slot_flags; /* of the last memory slot */

int __real_kvm__add_memslot(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva,
			    uint32_t flags);
int __wrap_kvm__add_memslot(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva,
			    uint32_t flags);

int __wrap_kvm__add_memslot(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva, uint32_t flags)
{
	slot_flags = flags;
	return __real_kvm__add_memslot(kvm, gpa, size, hva, flags);
}

static void gate_set(bool hold)
{
	pthread_mutex_lock(&gate.lock);
	gate.hold = hold;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static void gate_wait_begun(unsigned int nr)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.begun < nr)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

struct rig {
	struct driver d;
	struct kvm kvm;
	struct driver_queue q;
	char path[32];
	struct virtio_device *dev;
};

static void make_file(char *path, uint64_t size)
{
	int fd;

	strcpy(path, "/tmp/pmem-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static void bring_up(struct rig *rig)
{
	assert_true(driver__negotiate(&rig->d, VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	dq__init(&rig->q, &rig->d, 0, 16, false, false);
	driver__enable_queue(&rig->q);
	driver__ok(&rig->d);
	driver__run(&rig->d);
}

static struct rig *rig_begin(uint64_t size)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	gate.hold = false;
	gate.error = 0;
	gate.begun = gate.done = 0;
	fake_reset();
	driver__init(&rig->d);
	pthread_mutex_init(&rig->kvm.slot_lock, NULL);
	rig->kvm.vm_fd = fake_fd();
	rig->kvm.host = rig->d.board.host;
	make_file(rig->path, size);
	return rig;
}

static int create(struct rig *rig, bool read_only, uint64_t gpa)
{
	struct virtio_pmem_params params = { .path = rig->path,
					     .gpa = gpa,
					     .read_only = read_only };

	return virtio_pmem__create(&rig->kvm, 0, &params, &rig->dev);
}

static struct rig *rig_new(uint64_t size, bool read_only)
{
	struct rig *rig = rig_begin(size);

	assert_int_equal(create(rig, read_only, GPA), 0);
	driver__plug(&rig->d, rig->dev);
	bring_up(rig);
	return rig;
}

static void rig_free(struct rig *rig)
{
	driver__destroy(&rig->d);
	assert_int_equal(rig->kvm.slot_used, 0);
	close(rig->kvm.vm_fd);
	unlink(rig->path);
	pthread_mutex_destroy(&rig->kvm.slot_lock);
	free(rig);
}

static void add_flush(struct rig *rig, uint16_t id, uint32_t type, uint32_t out, uint32_t in)
{
	uint64_t at = rig->q.buffers + id * 64u;
	struct driver_buf bufs[] = { { at, out, 0 }, { at + 32, in, VRING_DESC_F_WRITE } };
	struct virtio_pmem_req req = { .type = type };

	memcpy(driver__at(&rig->d, at), &req, sizeof(req));
	memset(driver__at(&rig->d, at + 32), 0x55, 4);
	dq__add(&rig->q, id, bufs, 2);
	driver__notify(&rig->q);
	driver__run(&rig->d);
}

static uint32_t result(struct rig *rig, uint16_t id)
{
	struct virtio_pmem_resp resp;

	memcpy(&resp, driver__at(&rig->d, rig->q.buffers + id * 64u + 32), sizeof(resp));
	return resp.ret;
}

static void the_guest_learns_where_its_memory_is(void **state)
{
	struct rig *rig = rig_new(2 * ALIGN, false);

	assert_int_equal(driver__reg(&rig->d, VIRTIO_MMIO_CONFIG), (uint32_t)GPA);
	assert_int_equal(driver__reg(&rig->d, VIRTIO_MMIO_CONFIG + 4), GPA >> 32);
	assert_int_equal(driver__reg(&rig->d, VIRTIO_MMIO_CONFIG + 8), 2 * ALIGN);
	assert_int_equal(rig->kvm.slot_used, 1);
	assert_int_equal(slot_flags, 0);
	rig_free(rig);
}

static void a_flush_is_answered(void **state)
{
	struct rig *rig = rig_new(ALIGN, false);
	uint32_t id, len;

	add_flush(rig, 0, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	assert_true(dq__wait(&rig->q, &id, &len));
	assert_int_equal(len, 4);
	assert_int_equal(result(rig, 0), 0);
	assert_int_equal(gate.done, 1);
	rig_free(rig);
}

static void a_flush_that_fails_says_so(void **state)
{
	struct rig *rig = rig_new(ALIGN, false);
	uint32_t id, len;

	gate.error = EIO;
	add_flush(rig, 0, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	assert_true(dq__wait(&rig->q, &id, &len));
	assert_int_equal(result(rig, 0), UINT32_MAX);
	rig_free(rig);
}

static void a_file_truncated_meanwhile_fails_the_flush(void **state)
{
	struct rig *rig = rig_new(2 * ALIGN, false);
	uint32_t id, len;

	assert_int_equal(truncate(rig->path, ALIGN), 0);
	add_flush(rig, 0, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	assert_true(dq__wait(&rig->q, &id, &len));
	assert_int_equal(result(rig, 0), UINT32_MAX);
	rig_free(rig);
}

static void what_waits_is_flushed_in_one_go_without_blocking_the_loop(void **state)
{
	struct rig *rig = rig_new(ALIGN, false);
	uint32_t id, len;

	gate_set(true);
	add_flush(rig, 0, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	gate_wait_begun(1);
	for (uint16_t i = 2; i < 10; i += 2)
		add_flush(rig, i, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	assert_false(dq__get(&rig->q, &id, &len));
	gate_set(false);
	for (unsigned int i = 0; i < 5; i++) {
		assert_true(dq__wait(&rig->q, &id, &len));
		assert_int_equal(result(rig, (uint16_t)id), 0);
	}
	assert_int_equal(gate.done, 2);
	rig_free(rig);
}

static void *open_gate(void *ctx)
{
	const struct timespec moment = { .tv_nsec = 50000000 };

	nanosleep(&moment, NULL);
	gate_set(false);
	return NULL;
}

static void a_reset_waits_for_the_flush_under_way_and_drops_the_others(void **state)
{
	struct rig *rig = rig_new(ALIGN, false);
	pthread_t thread;
	uint32_t id, len;

	gate_set(true);
	add_flush(rig, 0, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	gate_wait_begun(1);
	add_flush(rig, 2, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	assert_int_equal(pthread_create(&thread, NULL, open_gate, NULL), 0);
	driver__set_reg(&rig->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(gate.done, 1);
	assert_int_equal(result(rig, 0), 0x55555555);
	pthread_join(thread, NULL);

	bring_up(rig);
	add_flush(rig, 0, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	assert_true(dq__wait(&rig->q, &id, &len));
	assert_int_equal(gate.done, 2);
	rig_free(rig);
}

static void requests_that_make_no_sense_need_a_reset(void **state)
{
	static const uint32_t bad[][3] = { { 1, 4, 4 },
					   { UINT32_MAX, 4, 4 },
					   { VIRTIO_PMEM_REQ_TYPE_FLUSH, 3, 4 },
					   { VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 3 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rig *rig = rig_new(ALIGN, false);

		add_flush(rig, 0, bad[i][0], bad[i][1], bad[i][2]);
		assert_true(driver__needs_reset(&rig->d));
		rig_free(rig);
	}
}

static void a_read_only_file_is_filled_up_and_never_flushed(void **state)
{
	struct rig *rig = rig_begin(5000);
	uint64_t size;
	uint32_t id, len;

	chmod(rig->path, 0400);
	assert_int_equal(virtio_pmem__size(rig->path, true, &size), 0);
	assert_int_equal(size, ALIGN);
	assert_int_equal(create(rig, true, GPA), 0);
	assert_int_equal(slot_flags, KVM_MEM_READONLY);
	driver__plug(&rig->d, rig->dev);
	bring_up(rig);
	assert_int_equal(driver__reg(&rig->d, VIRTIO_MMIO_CONFIG + 8), ALIGN);
	add_flush(rig, 0, VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4);
	assert_true(dq__wait(&rig->q, &id, &len));
	assert_int_equal(result(rig, 0), 0);
	assert_int_equal(gate.begun, 0);
	rig_free(rig);
}

static void files_of_the_wrong_kind_or_size_are_refused(void **state)
{
	static const uint64_t bad[] = { 0, 1, ALIGN - 4096, ALIGN + 1 };
	uint64_t size;

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rig *rig = rig_begin(bad[i]);

		assert_int_equal(virtio_pmem__size(rig->path, false, &size), -EINVAL);
		assert_int_equal(create(rig, false, GPA), -EINVAL);
		rig_free(rig);
	}
	assert_int_equal(virtio_pmem__size("/tmp", false, &size), -EINVAL);
	assert_int_equal(virtio_pmem__size("/dev/null", true, &size), -EINVAL);
	assert_int_equal(virtio_pmem__size("/nonexistent", true, &size), -ENOENT);
}

static void an_address_out_of_line_is_refused(void **state)
{
	struct rig *rig = rig_begin(ALIGN);

	assert_int_equal(create(rig, false, GPA + 4096), -EINVAL);
	rig_free(rig);
}

static void two_guests_may_share_it_only_to_read(void **state)
{
	struct rig *rig = rig_begin(ALIGN);
	struct virtio_device *first;

	assert_int_equal(create(rig, true, GPA), 0);
	first = rig->dev;
	assert_int_equal(create(rig, false, 2 * GPA), -EBUSY);
	assert_int_equal(create(rig, true, 2 * GPA), 0);
	rig->dev->ops->destroy(rig->dev);
	first->ops->destroy(first);
	assert_int_equal(create(rig, false, GPA), 0);
	first = rig->dev;
	assert_int_equal(create(rig, true, 2 * GPA), -EBUSY);
	first->ops->destroy(first);
	rig_free(rig);
}

static void a_slot_that_kvm_refuses_leaves_nothing_behind(void **state)
{
	struct rig *rig = rig_begin(ALIGN);

	fake.fail_at = 1;
	fake.error = -EEXIST;
	assert_int_equal(create(rig, false, GPA), -EEXIST);
	assert_int_equal(fake.failed, KVM_SET_USER_MEMORY_REGION);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_guest_learns_where_its_memory_is),
		cmocka_unit_test(a_flush_is_answered),
		cmocka_unit_test(a_flush_that_fails_says_so),
		cmocka_unit_test(a_file_truncated_meanwhile_fails_the_flush),
		cmocka_unit_test(what_waits_is_flushed_in_one_go_without_blocking_the_loop),
		cmocka_unit_test(a_reset_waits_for_the_flush_under_way_and_drops_the_others),
		cmocka_unit_test(requests_that_make_no_sense_need_a_reset),
		cmocka_unit_test(a_read_only_file_is_filled_up_and_never_flushed),
		cmocka_unit_test(files_of_the_wrong_kind_or_size_are_refused),
		cmocka_unit_test(an_address_out_of_line_is_refused),
		cmocka_unit_test(two_guests_may_share_it_only_to_read),
		cmocka_unit_test(a_slot_that_kvm_refuses_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
