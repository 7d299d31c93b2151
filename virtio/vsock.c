// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets between guest and host (Virtio 1.2, section 5.10): what the two kinds have in common.
 */
#include "kvm/virtio-vsock.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_vsock.h>

#include "kvm/log.h"
#include "virtio/vsock-internal.h"

void vsock__config_read(uint64_t guest_cid, uint32_t offset, void *data, uint32_t len)
{
	struct virtio_vsock_config config = { .guest_cid = htole64(guest_cid) };

	memcpy(data, (char *)&config + offset, len);
}

int virtio_vsock__create(const struct device_host *host, unsigned int index,
			 const struct virtio_vsock_params *params, struct virtio_device **out)
{
	char name[24];

	snprintf(name, sizeof(name), "vsock%u", index);
	if (params->guest_cid < VIRTIO_VSOCK_MIN_CID || params->guest_cid > VIRTIO_VSOCK_MAX_CID) {
		pr_fatal("%s: a guest's context ID is from %u to %u, not %llu", name,
			 VIRTIO_VSOCK_MIN_CID, VIRTIO_VSOCK_MAX_CID,
			 (unsigned long long)params->guest_cid);
		return -EINVAL;
	}
	return params->path ? vsock_user__create(host, name, params, out)
			    : vsock_vhost__create(host, name, params, out);
}
