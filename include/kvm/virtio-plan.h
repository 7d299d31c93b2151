/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio devices that a configuration asks for: understood before anything is created, then made in one order
 * on every board.
 *
 * The board says how a device is plugged in: as a PCI function, as memory-mapped registers, as a channel device.
 */
#ifndef KVM_VIRTIO_PLAN_H
#define KVM_VIRTIO_PLAN_H

#include <stdbool.h>
#include <stddef.h>

struct kvm;
struct virtio_device;
struct virtio_plan;
struct vm_config;

/**
 * typedef virtio_plug_fn - put a device on the board's transport and add it to the machine
 * @dev: owned from here on; NULL if its constructor found no memory
 *
 * Return: 0 or negative errno, printed.
 */
typedef int (*virtio_plug_fn)(struct kvm *kvm, struct virtio_device *dev);

/**
 * virtio_plan__create - make out what the options mean; no file is opened
 * @out: receives the plan; virtio_plan__free() it whatever comes back
 *
 * Return: 0 or negative errno, printed.
 */
int virtio_plan__create(const struct vm_config *cfg, struct virtio_plan **out);

/**
 * virtio_plan__free - NULL is harmless; after the devices are gone
 */
void virtio_plan__free(struct virtio_plan *plan);

/**
 * virtio_plan__root_params - kernel parameters for the root file system: the first disk, or a directory given as one
 *
 * Return: the parameters; "" if there is neither.
 */
const char *virtio_plan__root_params(const struct virtio_plan *plan);

/**
 * virtio_plan__add - make the devices
 *
 * Console, disks, networks, host directories, sockets, entropy, balloon: always in this order, so that a guest finds
 * the same device at the same place each time.
 *
 * Return: 0 or negative errno, printed.
 */
int virtio_plan__add(const struct virtio_plan *plan, struct kvm *kvm, virtio_plug_fn plug);

#endif
