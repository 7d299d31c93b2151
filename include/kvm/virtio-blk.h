/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-blk (Virtio 1.2, section 5.2): a disk for a guest.
 */
#ifndef KVM_VIRTIO_BLK_H
#define KVM_VIRTIO_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvm/disk.h"

struct device_host;
struct virtio_device;

/**
 * struct virtio_blk_setup - what the board decides about a disk
 * @index:  of several; its name is "blk" and this
 * @spec:   the disk; must last as long as the device
 * @queues: how many, if @spec does not say; 0 is 1
 * @packed: offer packed rings as well
 */
struct virtio_blk_setup {
	unsigned int index;
	const struct disk_spec *spec;
	unsigned int queues;
	bool packed;
};

/**
 * virtio_blk__create - a disk; its file is opened when it is realized
 *
 * Return: the device, for a transport; NULL without memory.
 */
struct virtio_device *virtio_blk__create(const struct device_host *host,
					 const struct virtio_blk_setup *setup);

/**
 * virtio_blk__refresh - look whether its file has grown, and tell the guest
 *
 * Return: see disk__refresh().
 */
int virtio_blk__refresh(struct virtio_device *dev);

/* --- requests, apart from any queue: for tests --------------------------------------------------
 */

#define VIRTIO_BLK_MAX_SEGMENTS 16
#define VIRTIO_BLK_MAX_SECTORS	(1u << 22) /* in one segment of a discard or write-zeroes */

/**
 * struct virtio_blk_limits - what requests are checked against
 * @sectors:   of the disk
 * @read_only: it is offered with VIRTIO_BLK_F_RO
 */
struct virtio_blk_limits {
	uint64_t sectors;
	bool read_only;
};

/**
 * struct virtio_blk_segment - a range of bytes
 * @unmap: its space may be given back
 */
struct virtio_blk_segment {
	uint64_t offset;
	uint64_t len;
	bool unmap;
};

/**
 * struct virtio_blk_request - what a guest wants
 * @id:      its serial number, @op is meaningless
 * @op:      what to do
 * @nr:      segments; 1 for reads and writes, 0 for a flush
 */
struct virtio_blk_request {
	bool id;
	enum disk_op op;
	unsigned int nr;
	struct virtio_blk_segment segment[VIRTIO_BLK_MAX_SEGMENTS];
};

/**
 * virtio_blk__parse - make out a request and check it (5.2.6)
 * @header:   the 16 bytes that it starts with
 * @out:      what follows, up to as many bytes as all segments can take; only looked at for
 *            discard and write-zeroes
 * @out_len:  bytes that follow, all of them
 * @in_len:   bytes that the guest offers for data, without the status
 *
 * Return: VIRTIO_BLK_S_OK with @req filled in; VIRTIO_BLK_S_IOERR or VIRTIO_BLK_S_UNSUPP.
 */
uint8_t virtio_blk__parse(const struct virtio_blk_limits *limits, const uint8_t *header,
			  const uint8_t *out, uint64_t out_len, uint64_t in_len,
			  struct virtio_blk_request *req);

#endif
