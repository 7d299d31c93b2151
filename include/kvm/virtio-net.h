/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device (virtio 1.2, section 5.1) in front of a back end of kvm/net.h.
 */
#ifndef KVM_VIRTIO_NET_H
#define KVM_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/net.h"

struct device_host;
struct virtio_device;

/**
 * struct virtio_net_params - what the board decides about a network device
 * @index:      of several; its name is "net" and this
 * @mac:        the guest's address
 * @backend:    owned from virtio_net__create() on, even if that fails
 * @vhost:      have the host's kernel move frames; without /dev/vhost-net, or with a back end that
 * cannot, one line says so and lkvm moves them
 * @own_thread: move frames in a thread of the device's own, not in the machine's loop
 */
struct virtio_net_params {
	unsigned int index;
	uint8_t mac[NET_MAC_LEN];
	struct net_backend *backend;
	bool vhost;
	bool own_thread;
};

/**
 * virtio_net__create - a network device with as many pairs of queues as its back end
 *
 * Return: the device, for a transport; NULL without memory, or if vhost is there but fails
 * (printed).
 */
struct virtio_device *virtio_net__create(const struct device_host *host,
					 const struct virtio_net_params *params);

/**
 * virtio_net__open - net_backend__open() and virtio_net__create() by what -n asked for
 * @cfg:   its mode is not NET_MODE_NONE
 * @guest: name of the guest, which its MAC address is made of if none was given
 * @index: of the device
 * @out:   receives the device, for a transport
 *
 * Return: 0 or negative errno, printed.
 */
int virtio_net__open(const struct device_host *host, const struct net_config *cfg,
		     const char *guest, unsigned int index, struct virtio_device **out);

#endif
