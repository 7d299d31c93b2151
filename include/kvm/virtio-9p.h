/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host directory for the guest, by the 9p protocol: --9p DIR,TAG.
 *
 * In a Linux guest: mount -t 9p -o trans=virtio,version=9p2000.L TAG /mnt
 */
#ifndef KVM_VIRTIO_9P_H
#define KVM_VIRTIO_9P_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct device_host;
struct virtio_device;

#define P9_MAX_TAG 127

/**
 * enum p9_share_security - whose the files are that the guest makes, see Documentation
 * @P9_SHARE_AUTO: passthrough if lkvm runs as root, none otherwise
 */
enum p9_share_security { P9_SHARE_AUTO, P9_SHARE_PASSTHROUGH, P9_SHARE_MAPPED, P9_SHARE_NONE };

/**
 * struct p9_share - what a --9p option asked for; plain data, can be copied
 * @dir:       host directory
 * @tag:       by which the guest mounts it
 * @read_only: ",ro"
 * @security:  ",security=passthrough|mapped|none"
 * @msize:     ",msize=BYTES": longest message, 0 if not given
 */
struct p9_share {
	char dir[PATH_MAX];
	char tag[P9_MAX_TAG + 1];
	bool read_only;
	enum p9_share_security security;
	uint32_t msize;
};

/**
 * p9__parse - DIR,TAG[,ro][,security=passthrough|mapped|none][,msize=BYTES]
 * @text:  the argument; a comma in a directory's name is written twice
 * @share: receives it
 *
 * Nothing is opened or looked at.
 *
 * Return: 0, or -EINVAL, printed.
 */
int p9__parse(const char *text, struct p9_share *share);

/**
 * virtio_9p__create - a 9P transport device (virtio 1.2, 5: device ID 9; Linux' virtio_9p.h)
 * @share: copied
 * @index: makes its name, "9pINDEX"
 *
 * The directory is opened when it is realized.
 *
 * Return: the device, for a transport; NULL without memory.
 */
struct virtio_device *virtio_9p__create(const struct device_host *host,
					const struct p9_share *share, unsigned int index);

#endif
