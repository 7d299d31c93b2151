// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The entropy device (Virtio 1.2, section 5.4): buffers come in, random bytes go out.
 *
 * A device may return less than it was asked for (5.4.6.2), and so a request of gigabytes costs no
 * more than any other. After a number of requests the rest has to wait until others on the same
 * loop have had their turn.
 */
#include "kvm/virtio-rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "kvm/virtio.h"

#define QUEUE_SIZE     64
#define BYTES_EACH     4096u
#define CHAINS_AT_ONCE 64

struct virtio_rng {
	struct virtio_device dev;
};

static uint32_t fill(struct virtio_chain *chain)
{
	uint32_t done = 0;

	for (unsigned int i = 0; i < chain->nr_in && done < BYTES_EACH; i++) {
		size_t len = chain->in[i].iov_len;
		ssize_t got;

		if (len > BYTES_EACH - done)
			len = BYTES_EACH - done;
		got = getrandom(chain->in[i].iov_base, len, 0);
		if (got > 0)
			done += (uint32_t)got;
		if (got < (ssize_t)len)
			break;
	}
	return done;
}

static void rng_notify(struct virtio_device *dev, struct virtqueue *q)
{
	struct virtio_chain *chain;
	unsigned int nr = 0;

	do {
		virtqueue__disable_notify(q);
		while (nr < CHAINS_AT_ONCE && (chain = virtqueue__pop(q))) {
			virtqueue__push(q, chain, fill(chain));
			nr++;
		}
	} while (virtqueue__enable_notify(q) && nr < CHAINS_AT_ONCE);
	virtqueue__publish(q);
	if (nr == CHAINS_AT_ONCE)
		virtqueue__kick(q);
}

static void rng_destroy(struct virtio_device *dev)
{
	virtio_device__exit(dev);
	free(dev);
}

static const struct virtio_ops rng_ops = {
	.kind = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.notify = rng_notify,
	.destroy = rng_destroy,
};

struct virtio_device *virtio_rng__create(const struct device_host *host, unsigned int index)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));
	char name[24];

	if (!rng)
		return NULL;
	snprintf(name, sizeof(name), "rng%u", index);
	if (virtio_device__init(&rng->dev, &rng_ops, host, name, 1)) {
		free(rng);
		return NULL;
	}
	virtio_device__set_queue_size(&rng->dev, 0, QUEUE_SIZE);
	rng->dev.offered |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
	return &rng->dev;
}
