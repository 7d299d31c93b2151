/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets between guest and host (Virtio 1.2, section 5.10): by vhost-vsock in the host's kernel,
 * or by UNIX sockets.
 */
#ifndef KVM_VIRTIO_VSOCK_H
#define KVM_VIRTIO_VSOCK_H

#include <stdint.h>

struct device_host;
struct virtio_device;

#define VIRTIO_VSOCK_MIN_CID 3u
#define VIRTIO_VSOCK_MAX_CID 0xfffffffeu

/**
 * struct virtio_vsock_params - what is asked for
 * @guest_cid: context ID of the guest, VIRTIO_VSOCK_MIN_CID to VIRTIO_VSOCK_MAX_CID
 * @path:      of a UNIX socket to be made, of 96 bytes at the most, or NULL for vhost-vsock. To
 *             reach a port of the guest, a program on the host connects to it, sends
 *             "CONNECT PORT\n" and reads "OK HOSTPORT\n"; when the guest connects to port N of the
 *             host, that is a connection to the socket PATH_N
 */
struct virtio_vsock_params {
	uint64_t guest_cid;
	const char *path;
};

/**
 * virtio_vsock__create - a socket device
 * @index: of several; its name is "vsock" and this
 * @out:   receives the device, for a transport
 *
 * Return: 0; negative errno, printed: -EINVAL for a wrong ID or too long a path, -ENOENT if this
 * host has no vhost-vsock, -EADDRINUSE if another guest has the ID.
 */
int virtio_vsock__create(const struct device_host *host, unsigned int index,
			 const struct virtio_vsock_params *params, struct virtio_device **out);

#endif
