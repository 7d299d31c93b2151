// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever a guest asks for: what is done has its ranges on the disk, and in bounds. */
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/virtio-blk.h"

#define HEADER	16
#define MAX_OUT (VIRTIO_BLK_MAX_SEGMENTS * 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_blk_limits limits = { .sectors = 1u << 20 };
	struct virtio_blk_request req;
	uint8_t out[MAX_OUT] = { 0 };
	uint64_t in_len;
	uint8_t status;

	if (size < HEADER + sizeof(in_len) + 1)
		return 0;
	memcpy(&in_len, data + HEADER, sizeof(in_len));
	limits.read_only = data[HEADER + sizeof(in_len)] & 1;
	size -= HEADER + sizeof(in_len) + 1;
	memcpy(out, data + HEADER + sizeof(in_len) + 1, size < MAX_OUT ? size : MAX_OUT);
	status = virtio_blk__parse(&limits, data, out, size, in_len, &req);
	must(status <= VIRTIO_BLK_S_UNSUPP);
	if (status != VIRTIO_BLK_S_OK || req.id)
		return 0;
	must(req.nr <= VIRTIO_BLK_MAX_SEGMENTS && req.op <= DISK_WRITE_ZEROES);
	must(!limits.read_only || req.op == DISK_READ || req.op == DISK_FLUSH);
	for (unsigned int i = 0; i < req.nr; i++) {
		const struct virtio_blk_segment *s = &req.segment[i];

		must(s->len && s->len % DISK_SECTOR == 0 && s->offset % DISK_SECTOR == 0);
		must(s->offset <= limits.sectors * DISK_SECTOR);
		must(s->len <= limits.sectors * DISK_SECTOR - s->offset);
	}
	return 0;
}
