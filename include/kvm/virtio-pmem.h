/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Persistent memory: a file of the host that the guest has in its address space (Virtio 1.2,
 * section 5.19), for DAX file systems that need no page cache of the guest's.
 */
#ifndef KVM_VIRTIO_PMEM_H
#define KVM_VIRTIO_PMEM_H

#include <stdbool.h>
#include <stdint.h>

struct device_host;
struct kvm;
struct virtio_device;

#define VIRTIO_PMEM_ALIGN 0x200000ull /* of address and size, in the guest */

/**
 * struct virtio_pmem_params - what is asked for
 * @path:      a regular file. If the guest may write, its size has to be a multiple of
 *             VIRTIO_PMEM_ALIGN; otherwise it is filled up with zeroes that are not in it
 * @gpa:       where the guest gets it: aligned, not RAM, not where devices may be. The board knows
 *             how much room it takes by virtio_pmem__size()
 * @read_only: what the guest writes is lost
 */
struct virtio_pmem_params {
	const char *path;
	uint64_t gpa;
	bool read_only;
};

/**
 * virtio_pmem__size - how much of the guest's address space a file takes
 * @size: receives bytes, a multiple of VIRTIO_PMEM_ALIGN, not 0
 *
 * Return: 0; negative errno, printed: of stat; -EINVAL if it is not a regular file or has not the
 * size it should.
 */
int virtio_pmem__size(const char *path, bool read_only, uint64_t *size);

/**
 * virtio_pmem__create - a persistent memory device
 * @kvm:   for the memory slot
 * @index: of several; its name is "pmem" and this
 * @out:   receives the device, for a transport
 *
 * The file is locked against others that lock it, and must not be truncated by others that do not:
 * see Documentation/balloon-vsock-pmem.md.
 *
 * Return: 0; negative errno, printed: as virtio_pmem__size(); -EBUSY if it is in use; the errno of
 * open, mmap or KVM_SET_USER_MEMORY_REGION.
 */
int virtio_pmem__create(struct kvm *kvm, unsigned int index,
			const struct virtio_pmem_params *params, struct virtio_device **out);

#endif
