/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the two kinds of socket devices and their common constructor (virtio/vsock.c).
 */
#ifndef VIRTIO_VSOCK_INTERNAL_H
#define VIRTIO_VSOCK_INTERNAL_H

#include <stdint.h>

#include "kvm/virtio-vsock.h"
#include "kvm/virtio.h"

/* 5.10.2 */
#define VSOCK_RX	0u
#define VSOCK_TX	1u
#define VSOCK_EVENT	2u
#define VSOCK_NR_QUEUES 3u

/**
 * vsock__config_read - the configuration (5.10.4): who the guest is
 */
void vsock__config_read(uint64_t guest_cid, uint32_t offset, void *data, uint32_t len);

/**
 * vsock_user__create, vsock_vhost__create - the two kinds; parameters have been checked, except
 * for the length of the path
 */
int vsock_user__create(const struct device_host *host, const char *name,
		       const struct virtio_vsock_params *params, struct virtio_device **out);
int vsock_vhost__create(const struct device_host *host, const char *name,
			const struct virtio_vsock_params *params, struct virtio_device **out);

#endif
