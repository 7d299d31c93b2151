/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entropy device: random numbers from the host's getrandom(2).
 */
#ifndef KVM_VIRTIO_RNG_H
#define KVM_VIRTIO_RNG_H

struct device_host;
struct virtio_device;

/**
 * virtio_rng__create - an entropy device (Virtio 1.2, section 5.4)
 * @index: of several; its name is "rng" and this
 *
 * Return: the device, for a transport; NULL without memory.
 */
struct virtio_device *virtio_rng__create(const struct device_host *host, unsigned int index);

#endif
