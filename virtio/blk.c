// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-blk (Virtio 1.2, section 5.2).
 *
 * Theory of operation: notify takes all requests of a queue, hands them to the disk, and kicks it
 * once. Completions go into a list of their queue, whichever thread they come in; the list is given
 * back to the guest at the end of notify (for what was done at once), and after each batch of the
 * disk's completions. So a guest is interrupted once per batch, and no queue's lock is taken while
 * the disk works.
 *
 * Stop and queue_reset wait for the disk and forget the lists.
 */
#include "kvm/virtio-blk.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "kvm/virtio.h"

#define QUEUE_SIZE  256
#define SEG_MAX	    (QUEUE_SIZE - 2) /* without header and status */
#define SEGMENT_LEN 16
#define PCI_CLASS   0x018000 /* mass storage, other */

/* 5.2.4: up to write_zeroes_may_unmap and the padding behind it. */
#define CONFIG_SIZE	 60
#define CONFIG_WRITEBACK ((uint32_t)offsetof(struct virtio_blk_config, wce))

struct blk;

/* A request on its way, in its chain. */
struct blk_request {
	struct blk *blk;
	struct virtio_chain *chain;
	struct blk_request *next;
	uint8_t *status;
	uint32_t written;
	unsigned int at; /* segment under way */
	struct virtio_blk_request what;
	struct disk_request disk;
};

struct blk_queue {
	struct blk_request *first, **last; /* done, to be given back; under blk->lock */
	atomic_uint in_flight;
};

struct blk {
	struct virtio_device dev;
	const struct disk_spec *spec;
	struct disk *disk;
	struct blk_queue *queue;
	pthread_mutex_t lock;
	_Atomic uint64_t sectors;
	struct virtio_blk_config config; /* little-endian */
};

/* --- parsing -------------------------------------------------------------------------------- */

static bool is_on_disk(const struct virtio_blk_limits *limits, uint64_t sector, uint64_t nr)
{
	return sector <= limits->sectors && nr <= limits->sectors - sector;
}

static uint8_t parse_transfer(const struct virtio_blk_limits *limits, enum disk_op op,
			      uint64_t sector, uint64_t len, struct virtio_blk_request *req)
{
	if (!len || len % DISK_SECTOR || !is_on_disk(limits, sector, len / DISK_SECTOR) ||
	    (op == DISK_WRITE && limits->read_only))
		return VIRTIO_BLK_S_IOERR;
	req->op = op;
	req->nr = 1;
	req->segment[0] = (struct virtio_blk_segment){ .offset = sector * DISK_SECTOR, .len = len };
	return VIRTIO_BLK_S_OK;
}

/* 5.2.6.2: flags that are not known, or unmap for a discard, are unsupported. */
static uint8_t parse_segment(const struct virtio_blk_limits *limits, enum disk_op op,
			     const uint8_t *at, struct virtio_blk_segment *segment)
{
	struct virtio_blk_discard_write_zeroes range;
	uint32_t flags, nr;
	uint64_t sector;

	memcpy(&range, at, sizeof(range));
	sector = le64toh(range.sector);
	nr = le32toh(range.num_sectors);
	flags = le32toh(range.flags);
	if (flags & ~(op == DISK_DISCARD ? 0u : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP))
		return VIRTIO_BLK_S_UNSUPP;
	if (nr > VIRTIO_BLK_MAX_SECTORS || !is_on_disk(limits, sector, nr))
		return VIRTIO_BLK_S_IOERR;
	*segment = (struct virtio_blk_segment){
		.offset = sector * DISK_SECTOR,
		.len = (uint64_t)nr * DISK_SECTOR,
		.unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
	};
	return VIRTIO_BLK_S_OK;
}

static uint8_t parse_segments(const struct virtio_blk_limits *limits, enum disk_op op,
			      const uint8_t *out, uint64_t out_len, struct virtio_blk_request *req)
{
	_Static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == SEGMENT_LEN, "5.2.6");
	uint64_t nr = out_len / SEGMENT_LEN;

	if (limits->read_only || !nr || out_len % SEGMENT_LEN || nr > VIRTIO_BLK_MAX_SEGMENTS)
		return VIRTIO_BLK_S_IOERR;
	req->op = op;
	for (uint64_t i = 0; i < nr; i++) {
		struct virtio_blk_segment *segment = &req->segment[req->nr];
		uint8_t status = parse_segment(limits, op, out + i * SEGMENT_LEN, segment);

		if (status != VIRTIO_BLK_S_OK)
			return status;
		req->nr += !!segment->len; /* there is nothing to do for an empty one */
	}
	return VIRTIO_BLK_S_OK;
}

uint8_t virtio_blk__parse(const struct virtio_blk_limits *limits, const uint8_t *header,
			  const uint8_t *out, uint64_t out_len, uint64_t in_len,
			  struct virtio_blk_request *req)
{
	struct virtio_blk_outhdr hdr;
	uint64_t sector;

	memcpy(&hdr, header, sizeof(hdr));
	sector = le64toh(hdr.sector);
	req->id = false;
	req->nr = 0;
	switch (le32toh(hdr.type)) {
	case VIRTIO_BLK_T_IN:
		return parse_transfer(limits, DISK_READ, sector, in_len, req);
	case VIRTIO_BLK_T_OUT:
		return parse_transfer(limits, DISK_WRITE, sector, out_len, req);
	case VIRTIO_BLK_T_FLUSH:
		req->op = DISK_FLUSH;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		req->id = true;
		return in_len ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
	case VIRTIO_BLK_T_DISCARD:
		return parse_segments(limits, DISK_DISCARD, out, out_len, req);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return parse_segments(limits, DISK_WRITE_ZEROES, out, out_len, req);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* --- completion ----------------------------------------------------------------------------- */

static struct blk_queue *queue_of(struct blk *blk, const struct virtqueue *q)
{
	return &blk->queue[virtqueue__index(q)];
}

static void put_finished(struct blk_request *req, uint8_t status)
{
	struct blk *blk = req->blk;
	struct blk_queue *bq = queue_of(blk, req->chain->q);

	*req->status = status;
	req->next = NULL;
	pthread_mutex_lock(&blk->lock);
	*bq->last = req;
	bq->last = &req->next;
	pthread_mutex_unlock(&blk->lock);
	atomic_fetch_sub(&bq->in_flight, 1);
}

static struct blk_request *take_finished(struct blk *blk, struct blk_queue *bq)
{
	struct blk_request *first;

	pthread_mutex_lock(&blk->lock);
	first = bq->first;
	bq->first = NULL;
	bq->last = &bq->first;
	pthread_mutex_unlock(&blk->lock);
	return first;
}

static bool has_finished(struct blk *blk, struct blk_queue *bq)
{
	bool has;

	pthread_mutex_lock(&blk->lock);
	has = bq->first;
	pthread_mutex_unlock(&blk->lock);
	return has;
}

/* Called with the queue's lock held: without it, the chains may be gone. */
static void give_back(struct blk *blk, struct virtqueue *q)
{
	struct blk_request *req = take_finished(blk, queue_of(blk, q));

	while (req) {
		struct blk_request *next = req->next;

		virtqueue__push(q, req->chain, req->written);
		req = next;
	}
	virtqueue__publish(q);
}

static void on_batch(void *ctx)
{
	struct blk *blk = ctx;

	for (unsigned int i = 0; i < blk->dev.nr_queues; i++) {
		struct virtqueue *q = virtio_device__queue(&blk->dev, i);

		if (!has_finished(blk, &blk->queue[i]) || !virtqueue__lock(q))
			continue;
		give_back(blk, q);
		virtqueue__unlock(q);
	}
}

static void start_segment(struct blk_request *req);

static void on_done(struct disk_request *disk, int ret)
{
	struct blk_request *req = disk->ctx;

	if (!ret && ++req->at < req->what.nr) {
		start_segment(req);
		disk__kick(req->blk->disk);
		return;
	}
	put_finished(req, !ret		       ? VIRTIO_BLK_S_OK
			  : ret == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP
					       : VIRTIO_BLK_S_IOERR);
}

/* --- requests ------------------------------------------------------------------------------- */

static void start_segment(struct blk_request *req)
{
	const struct virtio_blk_segment *segment = &req->what.segment[req->at];
	const struct virtio_chain *chain = req->chain;
	bool read = req->what.op == DISK_READ;

	req->disk = (struct disk_request){
		.op = req->what.op,
		.iov = read ? chain->in : chain->out,
		.nr_iov = read ? chain->nr_in : chain->nr_out,
		.done = on_done,
		.ctx = req,
	};
	if (req->what.nr) {
		req->disk.offset = segment->offset;
		req->disk.len = segment->len;
		req->disk.unmap = segment->unmap;
	}
	disk__submit(req->blk->disk, &req->disk);
}

/* 5.2.6: at most 20 bytes, those that are not used are 0. */
static void give_id(struct blk_request *req)
{
	virtio_chain__write(req->chain, 0, req->blk->spec->serial, VIRTIO_BLK_ID_BYTES);
	put_finished(req, VIRTIO_BLK_S_OK);
}

static uint8_t parse(struct blk *blk, struct virtio_chain *chain, const uint8_t *header,
		     struct virtio_blk_request *what)
{
	struct virtio_blk_limits limits = {
		.sectors = atomic_load(&blk->sectors),
		.read_only = blk->spec->read_only,
	};
	uint8_t out[VIRTIO_BLK_MAX_SEGMENTS * SEGMENT_LEN];

	virtio_chain__read(chain, 0, out, sizeof(out));
	return virtio_blk__parse(&limits, header, out, chain->out_len, chain->in_len, what);
}

/* Return: false if the request cannot be answered. */
static bool start_request(struct blk *blk, struct virtqueue *q, struct virtio_chain *chain)
{
	struct blk_request *req = virtio_chain__priv(chain);
	uint8_t header[sizeof(struct virtio_blk_outhdr)], status;

	req->blk = blk;
	req->chain = chain;
	req->at = 0;
	req->written = (uint32_t)chain->in_len;
	req->status = virtio_chain__cut_in(chain, 1);
	if (!req->status || virtio_chain__read(chain, 0, header, sizeof(header)) < sizeof(header))
		return false;
	virtio_chain__skip_out(chain, sizeof(header));

	status = parse(blk, chain, header, &req->what);
	atomic_fetch_add(&queue_of(blk, q)->in_flight, 1);
	if (status != VIRTIO_BLK_S_OK)
		put_finished(req, status);
	else if (req->what.id)
		give_id(req);
	else if (!req->what.nr && req->what.op != DISK_FLUSH)
		put_finished(req, VIRTIO_BLK_S_OK); /* all segments were empty */
	else
		start_segment(req);
	return true;
}

static void blk_notify(struct virtio_device *dev, struct virtqueue *q)
{
	struct blk *blk = (struct blk *)dev;
	struct virtio_chain *chain;

	do {
		virtqueue__disable_notify(q);
		while ((chain = virtqueue__pop(q))) {
			if (!start_request(blk, q, chain)) {
				virtio_device__fail(dev, "a request without a header or a status");
				break;
			}
		}
		disk__kick(blk->disk);
		give_back(blk, q);
	} while (virtqueue__enable_notify(q));

	/* What others had waited for may have been done as well. */
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		if (has_finished(blk, &blk->queue[i]))
			virtqueue__kick(virtio_device__queue(dev, i));
	}
}

/* --- life ----------------------------------------------------------------------------------- */

static bool is_queue_idle(void *ctx)
{
	struct blk_queue *bq = ctx;

	return !atomic_load(&bq->in_flight);
}

static void blk_queue_reset(struct virtio_device *dev, struct virtqueue *q)
{
	struct blk *blk = (struct blk *)dev;
	struct blk_queue *bq = queue_of(blk, q);

	disk__wait(blk->disk, is_queue_idle, bq);
	take_finished(blk, bq);
}

static void blk_stop(struct virtio_device *dev)
{
	struct blk *blk = (struct blk *)dev;

	disk__drain(blk->disk);
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		take_finished(blk, &blk->queue[i]);
}

/* 5.2.5.2: without the FLUSH feature the guest counts on every write being durable. */
static int blk_start(struct virtio_device *dev)
{
	struct blk *blk = (struct blk *)dev;

	disk__set_write_cache(blk->disk, virtio_device__has(dev, VIRTIO_BLK_F_CONFIG_WCE)
						 ? blk->config.wce
						 : virtio_device__has(dev, VIRTIO_BLK_F_FLUSH));
	return 0;
}

static void blk_reset(struct virtio_device *dev)
{
	((struct blk *)dev)->config.wce = 1;
}

static void blk_config_read(struct virtio_device *dev, uint32_t offset, void *data, uint32_t len)
{
	struct blk *blk = (struct blk *)dev;

	memcpy(data, (const uint8_t *)&blk->config + offset, len);
}

/* 5.2.4: the one field that the driver may write. */
static void blk_config_write(struct virtio_device *dev, uint32_t offset, const void *data,
			     uint32_t len)
{
	struct blk *blk = (struct blk *)dev;

	if (offset > CONFIG_WRITEBACK || CONFIG_WRITEBACK - offset >= len)
		return;
	blk->config.wce = ((const uint8_t *)data)[CONFIG_WRITEBACK - offset] & 1;
	if (dev->started && virtio_device__has(dev, VIRTIO_BLK_F_CONFIG_WCE))
		disk__set_write_cache(blk->disk, blk->config.wce);
}

static uint8_t log2_of(uint32_t n)
{
	return (uint8_t)(31 - __builtin_clz(n ? n : 1));
}

static uint32_t clamp16(uint32_t n)
{
	return n > UINT16_MAX ? UINT16_MAX : n;
}

static void describe(struct blk *blk)
{
	const struct disk_info *info = disk__info(blk->disk);
	uint32_t block = info->logical_block;

	atomic_store(&blk->sectors, info->size / DISK_SECTOR);
	blk->config = (struct virtio_blk_config){
		.capacity = htole64(info->size / DISK_SECTOR),
		.seg_max = htole32(SEG_MAX),
		.blk_size = htole32(block),
		.physical_block_exp = (uint8_t)(log2_of(info->physical_block) - log2_of(block)),
		.min_io_size = htole16((uint16_t)clamp16(info->min_io / block)),
		.opt_io_size = htole32(info->optimal_io / block),
		.wce = 1,
		.num_queues = htole16((uint16_t)blk->dev.nr_queues),
		.max_discard_sectors = htole32(VIRTIO_BLK_MAX_SECTORS),
		.max_discard_seg = htole32(VIRTIO_BLK_MAX_SEGMENTS),
		.discard_sector_alignment = htole32(info->discard_granularity / DISK_SECTOR),
		.max_write_zeroes_sectors = htole32(VIRTIO_BLK_MAX_SECTORS),
		.max_write_zeroes_seg = htole32(VIRTIO_BLK_MAX_SEGMENTS),
		.write_zeroes_may_unmap = info->discard,
	};
	if (!info->read_only)
		blk->dev.offered |= VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (info->discard)
		blk->dev.offered |= VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
}

static void on_grow(void *ctx, uint64_t size)
{
	struct blk *blk = ctx;

	virtio_device__config_begin(&blk->dev);
	atomic_store(&blk->sectors, size / DISK_SECTOR);
	blk->config.capacity = htole64(size / DISK_SECTOR);
	virtio_device__config_end(&blk->dev);
}

int virtio_blk__refresh(struct virtio_device *dev)
{
	return disk__refresh(((struct blk *)dev)->disk);
}

static int blk_realize(struct virtio_device *dev)
{
	struct blk *blk = (struct blk *)dev;
	int ret = disk__open(blk->spec, dev->loop, &blk->disk);

	if (ret)
		return ret;
	describe(blk);
	disk__on_batch(blk->disk, on_batch, blk);
	disk__on_grow(blk->disk, on_grow, blk);
	return 0;
}

static void blk_destroy(struct virtio_device *dev)
{
	struct blk *blk = (struct blk *)dev;

	disk__close(blk->disk);
	virtio_device__exit(dev);
	pthread_mutex_destroy(&blk->lock);
	free(blk->queue);
	free(blk);
}

static const struct virtio_ops blk_ops = {
	.kind = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.pci_class = PCI_CLASS,
	.config_size = CONFIG_SIZE,
	.realize = blk_realize,
	.start = blk_start,
	.stop = blk_stop,
	.queue_reset = blk_queue_reset,
	.reset = blk_reset,
	.notify = blk_notify,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
	.destroy = blk_destroy,
};

static unsigned int count_queues(const struct virtio_blk_setup *setup)
{
	if (setup->spec->queues)
		return setup->spec->queues;
	return setup->queues ? setup->queues : 1;
}

struct virtio_device *virtio_blk__create(const struct device_host *host,
					 const struct virtio_blk_setup *setup)
{
	unsigned int nr = count_queues(setup);
	struct blk *blk = calloc(1, sizeof(*blk));
	char name[24];

	if (!blk)
		return NULL;
	snprintf(name, sizeof(name), "blk%u", setup->index);
	blk->spec = setup->spec;
	blk->queue = calloc(nr, sizeof(*blk->queue));
	if (!blk->queue || virtio_device__init(&blk->dev, &blk_ops, host, name, nr)) {
		free(blk->queue);
		free(blk);
		return NULL;
	}
	pthread_mutex_init(&blk->lock, NULL);
	for (unsigned int i = 0; i < nr; i++) {
		blk->queue[i].last = &blk->queue[i].first;
		virtio_device__set_queue_size(&blk->dev, i, QUEUE_SIZE);
	}
	blk->dev.own_thread = true;
	blk->dev.chain_priv = sizeof(struct blk_request);
	blk->dev.offered |= VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
			    VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) |
			    VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
	if (nr > 1)
		blk->dev.offered |= VIRTIO_BIT(VIRTIO_BLK_F_MQ);
	if (setup->spec->read_only)
		blk->dev.offered |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
	if (setup->packed)
		blk->dev.offered |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	return &blk->dev;
}
