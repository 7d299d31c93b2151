/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host directory for the guest, by virtio-fs: --fs socket=PATH,tag=TAG or --fs dir=DIR,tag=TAG.
 *
 * In a Linux guest: mount -t virtiofs TAG /mnt
 */
#ifndef KVM_VIRTIO_FS_H
#define KVM_VIRTIO_FS_H

#include <limits.h>

struct device_host;
struct virtio_device;

#define FS_MAX_TAG    36
#define FS_MAX_QUEUES 64

/**
 * struct fs_share - what a --fs option asked for; plain data, can be copied
 * @socket: where a daemon listens; empty if @dir is given
 * @dir:    directory for which a daemon is to be started; empty if @socket is given
 * @daemon: ",daemon=PATH": of virtiofsd; empty for the one that is installed
 * @tag:    by which the guest mounts it
 * @queues: ",queues=N": request queues, 1 if not given
 */
struct fs_share {
	char socket[PATH_MAX];
	char dir[PATH_MAX];
	char daemon[PATH_MAX];
	char tag[FS_MAX_TAG + 1];
	unsigned int queues;
};

/**
 * fs__parse - socket=PATH|dir=DIR,tag=TAG[,queues=N][,daemon=PATH]
 * @text:  the argument; a comma in a value is written twice
 * @share: receives it
 *
 * Nothing is opened or looked at.
 *
 * Return: 0, or -EINVAL, printed.
 */
int fs__parse(const char *text, struct fs_share *share);

/**
 * fs__find_daemon - the virtiofsd that is installed
 *
 * Return: its path, or NULL.
 */
const char *fs__find_daemon(void);

/**
 * virtio_fs__create - a file system device (virtio 1.2, 5.11) served by virtiofsd
 * @share: copied
 * @index: makes its name, "fsINDEX"
 *
 * Connects to the daemon, after it has started one for @share->dir. Guest RAM has to be shared.
 *
 * Return: the device, for a transport; NULL, printed, if that fails.
 */
struct virtio_device *virtio_fs__create(const struct device_host *host,
					const struct fs_share *share, unsigned int index);

#endif
