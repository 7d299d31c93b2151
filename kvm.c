// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The VM: /dev/kvm, what it can do, memory slots, KVM devices, and the tear-down of it all.
 */
#include "kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/kvm.h>

#include "kvm/arch.h"
#include "kvm/bus.h"
#include "kvm/config.h"
#include "kvm/group.h"
#include "kvm/irq.h"
#include "kvm/kvm-cpu.h"
#include "kvm/log.h"
#include "kvm/sys.h"

static void explain_open_failure(const char *dev, int err)
{
	struct stat st;
	char group[64];

	switch (err) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		pr_fatal("%s: %s\n"
			 "       KVM is not there: load its module (kvm-intel, kvm-amd, kvm-hv, "
			 "kvm), and check that\n"
			 "       virtualisation is enabled in the firmware, or nested in the "
			 "hypervisor below.",
			 dev, strerror(-err));
		return;
	case -EACCES:
	case -EPERM:
		if (!stat(dev, &st) && (st.st_mode & 0060) == 0060) {
			group__name("/etc/group", st.st_gid, group, sizeof(group));
			pr_fatal("%s: %s\n       Members of group '%s' may use it: add yourself "
				 "with 'adduser USER %s' and log in again.",
				 dev, strerror(-err), group, group);
		} else {
			pr_fatal("%s: %s\n       Its mode lets only the owner in: run as root, or "
				 "'chgrp kvm' and 'chmod 660' it.",
				 dev, strerror(-err));
		}
		return;
	default:
		pr_fatal("%s: cannot open: %s", dev, strerror(-err));
	}
}

int kvm__open(struct kvm *kvm, const struct vm_config *cfg)
{
	int version, ret;

	*kvm = (struct kvm){ .cfg = cfg, .sys_fd = -1, .vm_fd = -1 };
	pthread_mutex_init(&kvm->slot_lock, NULL);
	pthread_mutex_init(&kvm->pause_lock, NULL);
	pthread_cond_init(&kvm->pause_cond, NULL);
	guest_memory__init(&kvm->ram);

	ret = sys__open(cfg->dev, O_RDWR);
	if (ret < 0) {
		explain_open_failure(cfg->dev, ret);
		return ret;
	}
	kvm->sys_fd = ret;

	version = sys__ioctl_val(kvm->sys_fd, KVM_GET_API_VERSION, 0);
	if (version < 0) {
		pr_fatal("%s is not a KVM device: KVM_GET_API_VERSION: %s", cfg->dev,
			 strerror(-version));
		return version;
	}
	if (version != KVM_API_VERSION) {
		pr_fatal("%s speaks version %d of the KVM API; this program needs %d", cfg->dev,
			 version, KVM_API_VERSION);
		return -ENOTSUP;
	}

	kvm->run_size = sys__ioctl_val(kvm->sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (kvm->run_size < (int)sizeof(struct kvm_run)) {
		ret = kvm->run_size < 0 ? kvm->run_size : -ENOTSUP;
		pr_fatal("%s: KVM_GET_VCPU_MMAP_SIZE: %s", cfg->dev,
			 ret == -ENOTSUP ? "smaller than struct kvm_run" : strerror(-ret));
		return ret;
	}
	return 0;
}

static int set_ioeventfd(void *ctx, enum bus_space space, uint64_t addr, uint32_t len,
			 const uint64_t *datamatch, int fd, bool assign)
{
	const struct kvm *kvm = ctx;
	struct kvm_ioeventfd ioeventfd = {
		.addr = addr,
		.len = len,
		.fd = fd,
		.datamatch = datamatch ? *datamatch : 0,
		.flags = (space == BUS_PIO ? KVM_IOEVENTFD_FLAG_PIO : 0u) |
			 (datamatch ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u) |
			 (assign ? 0u : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return sys__ioctl(kvm->vm_fd, KVM_IOEVENTFD, &ioeventfd);
}

int kvm__create_vm(struct kvm *kvm, unsigned long type)
{
	int ret;

	do {
		ret = sys__ioctl_val(kvm->sys_fd, KVM_CREATE_VM, type);
	} while (ret == -EINTR);
	if (ret < 0) {
		pr_fatal("%s: KVM_CREATE_VM (type %lu): %s%s", kvm->cfg->dev, type, strerror(-ret),
			 ret == -ENODEV || ret == -EOPNOTSUPP || ret == -EBUSY
				 ? "\n       Is another hypervisor using the processor's "
				   "virtualisation?"
				 : "");
		return ret;
	}
	kvm->vm_fd = ret;

	kvm->host.bus = bus__create(kvm__cap(kvm, KVM_CAP_IOEVENTFD) ? set_ioeventfd : NULL, kvm);
	kvm->host.irq = irq__create(kvm);
	kvm->host.ram = &kvm->ram;
	if (!kvm->host.bus || !kvm->host.irq) {
		pr_fatal("no memory for the machine's bus");
		return -ENOMEM;
	}
	return 0;
}

void kvm__destroy(struct kvm *kvm)
{
	kvm_cpu__stop_all(kvm);
	device_list__unrealize(&kvm->devices);
	kvm_cpu__destroy_all(kvm);
	arch__destroy_machine(kvm);
	irq__destroy(kvm->host.irq);
	bus__destroy(kvm->host.bus);
	sys__close(kvm->vm_fd);
	guest_memory__free(&kvm->ram);
	sys__close(kvm->sys_fd);
	pthread_cond_destroy(&kvm->pause_cond);
	pthread_mutex_destroy(&kvm->pause_lock);
	pthread_mutex_destroy(&kvm->slot_lock);
}

int kvm__cap(const struct kvm *kvm, unsigned int cap)
{
	int fd = kvm->vm_fd >= 0 ? kvm->vm_fd : kvm->sys_fd;
	int ret = sys__ioctl_val(fd, KVM_CHECK_EXTENSION, cap);

	return ret > 0 ? ret : 0;
}

int kvm__require_cap(const struct kvm *kvm, unsigned int cap, const char *name, const char *what)
{
	int value = kvm__cap(kvm, cap);

	if (value)
		return value;
	pr_fatal("%s needs KVM_CAP_%s, which the KVM of this host (%s) does not have", what, name,
		 kvm->cfg->dev);
	return -ENOTSUP;
}

int kvm__enable_cap(const struct kvm *kvm, unsigned int cap, uint64_t arg0, uint64_t arg1)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { arg0, arg1 } };

	return sys__ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &enable);
}

int kvm__ioctl(const struct kvm *kvm, unsigned long request, void *arg, const char *name)
{
	int ret = sys__ioctl(kvm->vm_fd, request, arg);

	if (ret < 0)
		pr_fatal("%s: %s", name, strerror(-ret));
	return ret;
}

int kvm__add_memslot(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
		.flags = flags,
	};
	int ret;

	pthread_mutex_lock(&kvm->slot_lock);
	if (kvm->slot_used == UINT64_MAX) {
		pthread_mutex_unlock(&kvm->slot_lock);
		pr_fatal("all %d memory slots are in use", KVM_MAX_MEMSLOTS);
		return -ENOSPC;
	}
	region.slot = (uint32_t)__builtin_ctzll(~kvm->slot_used);
	ret = sys__ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
	if (!ret)
		kvm->slot_used |= 1ull << region.slot;
	pthread_mutex_unlock(&kvm->slot_lock);

	if (ret < 0) {
		pr_fatal("KVM_SET_USER_MEMORY_REGION: slot %u, gpa 0x%llx, 0x%llx bytes: %s",
			 region.slot, (unsigned long long)gpa, (unsigned long long)size,
			 strerror(-ret));
		return ret;
	}
	return (int)region.slot;
}

void kvm__remove_memslot(struct kvm *kvm, int slot)
{
	struct kvm_userspace_memory_region region = { .slot = (uint32_t)slot };

	pthread_mutex_lock(&kvm->slot_lock);
	if (!sys__ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		kvm->slot_used &= ~(1ull << slot);
	pthread_mutex_unlock(&kvm->slot_lock);
}

int kvm__add_ram_memslots(struct kvm *kvm)
{
	for (unsigned int i = 0; i < kvm->ram.nr; i++) {
		const struct memory_region *region = &kvm->ram.region[i];
		int slot = kvm__add_memslot(kvm, region->gpa, region->size, region->hva, 0);

		if (slot < 0)
			return slot;
	}
	return 0;
}

int kvm_device__create(const struct kvm *kvm, uint32_t type, uint32_t flags)
{
	struct kvm_create_device create = { .type = type, .flags = flags };
	int ret = sys__ioctl(kvm->vm_fd, KVM_CREATE_DEVICE, &create);

	return ret < 0 ? ret : (int)create.fd;
}

static int device_attr(int fd, unsigned long request, uint32_t group, uint64_t attr, void *addr)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)addr,
	};

	return sys__ioctl(fd, request, &device_attr);
}

int kvm_device__set(int fd, uint32_t group, uint64_t attr, void *addr)
{
	return device_attr(fd, KVM_SET_DEVICE_ATTR, group, attr, addr);
}

int kvm_device__get(int fd, uint32_t group, uint64_t attr, void *addr)
{
	return device_attr(fd, KVM_GET_DEVICE_ATTR, group, attr, addr);
}

int kvm_device__has(int fd, uint32_t group, uint64_t attr)
{
	return device_attr(fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}
