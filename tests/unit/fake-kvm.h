/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for the kernel behind sys__*: a KVM that accepts everything a board asks of it, runs a
 * "guest" that is a list of exits, and fails whichever call a test tells it to.
 *
 * A test that includes this has a line "WRAP:" with the names sys__ioctl sys__ioctl_val sys__open
 * sys__mmap.
 */
#ifndef TESTS_UNIT_FAKE_KVM_H
#define TESTS_UNIT_FAKE_KVM_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#define FAKE_RUN_SIZE 0x3000
#define FAKE_DATA     0x1000 /* offset of an I/O exit's data in struct kvm_run */

/**
 * struct fake_kvm - what it shall do and what it has seen
 * @calls:   KVM ioctls made so far
 * @fail_at: the call (counted from 1) that fails with @error; 0 for none
 * @failed:  request that was failed
 * @exits:   fill in the next exit of a guest; negative errno to fail KVM_RUN instead
 * @missing: a capability that is reported as absent, ULONG_MAX for none (0 is KVM_CAP_IRQCHIP)
 * @fds:     its descriptors, to tell them from others
 */
struct fake_kvm {
	pthread_mutex_t lock;
	unsigned int calls, fail_at;
	int error;
	unsigned long failed;
	int (*exits)(struct kvm_run *run);
	unsigned long missing;
	bool is_ours[1024];
	struct kvm_run *run[1024];
};

static struct fake_kvm fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

int __real_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val);
int __real_sys__open(const char *path, int flags);
int __wrap_sys__open(const char *path, int flags);
int __real_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out);
int __wrap_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out);

static inline int fake_fd(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || fd >= 1024)
		return -EMFILE;
	fake.is_ours[fd] = true;
	fake.run[fd] = NULL;
	return fd;
}

static inline void fake_reset(void)
{
	memset(fake.is_ours, 0, sizeof(fake.is_ours));
	memset(fake.run, 0, sizeof(fake.run));
	fake.calls = fake.fail_at = 0;
	fake.failed = 0;
	fake.exits = NULL;
	fake.missing = ULONG_MAX;
}

int __wrap_sys__open(const char *path, int flags)
{
	if (!strcmp(path, "/dev/kvm"))
		return fake_fd();
	return __real_sys__open(path, flags);
}

int __wrap_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	int ret;

	if (fd < 0 || fd >= 1024 || !fake.is_ours[fd])
		return __real_sys__mmap(len, prot, flags, fd, offset, out);
	ret = __real_sys__mmap(len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, out);
	if (!ret)
		fake.run[fd] = *out;
	return ret;
}

static inline int fake_supported_cpuid(struct kvm_cpuid2 *cpuid)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{ .function = 0,
		  .eax = 0xd,
		  .ebx = 0x68747541,
		  .ecx = 0x444d4163,
		  .edx = 0x69746e65 },
		{ .function = 1, .eax = 0x00800f12, .ecx = 0x80802001, .edx = 0x078bfbff },
		{ .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
		{ .function = 0xd,
		  .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		  .eax = 3,
		  .ebx = 576,
		  .ecx = 576 },
		{ .function = 0x40000000,
		  .eax = 0x40000001,
		  .ebx = 0x4b4d564b,
		  .ecx = 0x564b4d56,
		  .edx = 0x4d },
		{ .function = 0x40000001, .eax = 0x01000009 },
		{ .function = 0x80000000, .eax = 0x80000008 },
		{ .function = 0x80000001, .edx = 0x2fd3fbff },
		{ .function = 0x80000008, .eax = 0x3028 },
	};
	unsigned int nr = sizeof(entries) / sizeof(entries[0]);

	if (cpuid->nent < nr)
		return -E2BIG;
	memcpy(cpuid->entries, entries, sizeof(entries));
	cpuid->nent = nr;
	return 0;
}

static inline int fake_answer(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_GET_VCPU_MMAP_SIZE:
		return FAKE_RUN_SIZE;
	case KVM_CHECK_EXTENSION:
		return (unsigned long)arg == fake.missing ? 0 : 1024;
	case KVM_CREATE_VM:
	case KVM_CREATE_VCPU:
		return fake_fd();
	case KVM_GET_SUPPORTED_CPUID:
		return fake_supported_cpuid(arg);
	case KVM_GET_TSC_KHZ:
		return 2000000;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return (int)((struct kvm_msrs *)arg)->nmsrs;
	case KVM_RUN:
		if (fake.run[fd]->immediate_exit)
			return -EINTR;
		return fake.exits ? fake.exits(fake.run[fd]) : -EIO;
	default:
		return 0;
	}
}

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	if (fd < 0 || fd >= 1024 || !fake.is_ours[fd])
		return __real_sys__ioctl(fd, request, arg);

	pthread_mutex_lock(&fake.lock);
	if (++fake.calls == fake.fail_at) {
		fake.failed = request;
		ret = fake.error;
	} else {
		ret = fake_answer(fd, request, arg);
	}
	pthread_mutex_unlock(&fake.lock);
	return ret;
}

int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val)
{
	return __wrap_sys__ioctl(fd, request, (void *)val);
}

/* The guest's next exit is a one-byte write of @value to @port. */
static inline int fake_exit_out(struct kvm_run *run, uint16_t port, uint8_t value)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.size = 1;
	run->io.count = 1;
	run->io.port = port;
	run->io.data_offset = FAKE_DATA;
	*((uint8_t *)run + FAKE_DATA) = value;
	return 0;
}

#endif
