// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Virtqueues without regard to the format of their rings: chains, and the functions that devices
 * call.
 *
 * Theory of operation. A chain is what a driver's descriptors refer to, translated: pieces of host
 * memory, checked one by one as they are added (chain__add() is the only place where a descriptor's
 * address and length are believed). Structs of chains are kept by their queue and used again with
 * the arrays they have grown, so that a queue in full swing does not allocate.
 *
 * There are never more chains in flight than a ring has slots: a driver that makes the same
 * descriptor available twice runs into that limit, and not into ours of memory.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm/virtio-queue.h"
#include "kvm/virtio-transport.h"

#define FIRST_CAPACITY 8u
#define MAX_TOTAL      (1ull << 32) /* 2.7.5: the bytes of a chain */

void queue__fail(struct virtqueue *q, const char *fmt, ...)
{
	char text[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	virtio_device__fail(q->dev, "queue %u: %s", q->index, text);
}

/* --- chains: making them -------------------------------------------------------------------- */

static struct virtio_chain *chain_new(struct virtqueue *q)
{
	size_t size = sizeof(struct virtio_chain) + 15 + q->dev->chain_priv;
	struct virtio_chain *chain = calloc(1, size);

	if (!chain)
		return NULL;
	chain->q = q;
	chain->next_all = q->all;
	q->all = chain;
	return chain;
}

int chain__begin(struct virtqueue *q, struct chain_builder *b)
{
	struct virtio_chain *chain = q->free ? q->free : chain_new(q);

	if (!chain) {
		queue__fail(q, "no memory for a request");
		return -ENOMEM;
	}
	q->free = chain->next_free;
	chain->next_free = NULL;
	chain->nr_out = chain->nr_in = chain->nr_range = 0;
	chain->out_len = chain->in_len = 0;
	*b = (struct chain_builder){ .chain = chain };
	return 0;
}

static int make_room(struct virtio_chain *chain)
{
	unsigned int nr = chain->capacity ? 2 * chain->capacity : FIRST_CAPACITY;
	struct virtio_range *range;
	struct iovec *iov;

	if (chain->nr_out + chain->nr_in < chain->capacity)
		return 0;
	iov = reallocarray(chain->iov, nr, sizeof(*iov));
	if (iov)
		chain->iov = iov;
	range = reallocarray(chain->range, nr, sizeof(*range));
	if (range)
		chain->range = range;
	if (!iov || !range)
		return -ENOMEM;
	chain->capacity = nr;
	return 0;
}

static bool join(struct chain_builder *b, uint64_t gpa, void *hva, uint64_t len, bool writable)
{
	struct virtio_chain *chain = b->chain;
	unsigned int nr = chain->nr_out + chain->nr_in;
	struct iovec *last;

	if (!nr || writable != (chain->nr_in != 0) || gpa != b->end_gpa)
		return false;
	last = &chain->iov[nr - 1];
	if ((char *)last->iov_base + last->iov_len != hva)
		return false;
	last->iov_len += len;
	if (writable)
		chain->range[chain->nr_range - 1].len += len;
	return true;
}

/* A piece within one region of RAM. */
static int add_piece(struct chain_builder *b, uint64_t gpa, void *hva, uint64_t len, bool writable)
{
	struct virtio_chain *chain = b->chain;
	unsigned int nr = chain->nr_out + chain->nr_in;
	bool joined = join(b, gpa, hva, len, writable);

	if (!joined && nr == VIRTIO_MAX_CHAIN) {
		queue__fail(chain->q, "a request of more than %u pieces", VIRTIO_MAX_CHAIN);
		return -EINVAL;
	}
	if (!joined && make_room(chain)) {
		queue__fail(chain->q, "no memory for a request");
		return -ENOMEM;
	}
	if (!joined) {
		chain->iov[nr] = (struct iovec){ .iov_base = hva, .iov_len = len };
		if (writable)
			chain->range[chain->nr_range++] = (struct virtio_range){ gpa, len };
		chain->nr_in += writable;
		chain->nr_out += !writable;
	}
	if (writable)
		chain->in_len += len;
	else
		chain->out_len += len;
	b->end_gpa = gpa + len;
	return 0;
}

/* How much of the range lies in the region of RAM where it begins. */
static uint64_t within_region(const struct guest_memory *ram, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < ram->nr; i++) {
		const struct memory_region *r = &ram->region[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size) {
			uint64_t left = r->size - (gpa - r->gpa);

			return len < left ? len : left;
		}
	}
	return len;
}

int chain__add(struct chain_builder *b, uint64_t gpa, uint32_t len, bool writable)
{
	struct virtqueue *q = b->chain->q;
	const struct guest_memory *ram = q->dev->host->ram;
	uint64_t left = len;

	if (++b->nr > VIRTIO_MAX_CHAIN) {
		queue__fail(q, "a request of more than %u descriptors", VIRTIO_MAX_CHAIN);
		return -EINVAL;
	}
	if (!writable && b->chain->nr_in) {
		queue__fail(q, "a buffer to read after one to write");
		return -EINVAL;
	}
	b->total += len;
	if (b->total > MAX_TOTAL) {
		queue__fail(q, "a request of more than 4 GiB");
		return -EINVAL;
	}

	while (left) {
		uint64_t part = within_region(ram, gpa, left);
		void *hva = guest_memory__at(ram, gpa, part);
		int ret;

		if (!hva) {
			queue__fail(q, "a buffer outside memory: %#llx, %#llx bytes",
				    (unsigned long long)gpa, (unsigned long long)left);
			return -EINVAL;
		}
		ret = add_piece(b, gpa, hva, part, writable);
		if (ret)
			return ret;
		gpa += part;
		left -= part;
	}
	return 0;
}

struct virtio_chain *chain__end(struct chain_builder *b, uint16_t id, uint16_t nr_slots)
{
	struct virtio_chain *chain = b->chain;

	chain->out = chain->iov;
	chain->in = chain->nr_in ? &chain->iov[chain->nr_out] : chain->iov;
	chain->id = id;
	chain->nr_slots = nr_slots;
	chain->in_flight = true;
	chain->q->in_flight += nr_slots;
	return chain;
}

void chain__release(struct virtio_chain *chain)
{
	struct virtqueue *q = chain->q;

	if (chain->in_flight)
		q->in_flight -= chain->nr_slots;
	chain->in_flight = false;
	chain->next_free = q->free;
	q->free = chain;
}

void queue__take_back(struct virtqueue *q)
{
	q->free = NULL;
	q->in_flight = 0;
	for (struct virtio_chain *chain = q->all; chain; chain = chain->next_all) {
		chain->in_flight = false;
		chain->next_free = q->free;
		q->free = chain;
	}
}

void queue__free_chains(struct virtqueue *q)
{
	while (q->all) {
		struct virtio_chain *chain = q->all;

		q->all = chain->next_all;
		free(chain->iov);
		free(chain->range);
		free(chain);
	}
	q->free = NULL;
}

/* --- chains: using them --------------------------------------------------------------------- */

static size_t copy(const struct iovec *iov, unsigned int nr, uint64_t offset, void *buffer,
		   size_t len, bool to_guest)
{
	char *at = buffer;
	size_t done = 0;

	for (unsigned int i = 0; i < nr && done < len; i++) {
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset;
		if (part > len - done)
			part = len - done;
		if (to_guest)
			memcpy((char *)iov[i].iov_base + offset, at + done, part);
		else
			memcpy(at + done, (char *)iov[i].iov_base + offset, part);
		done += part;
		offset = 0;
	}
	return done;
}

size_t virtio_chain__read(const struct virtio_chain *chain, uint64_t offset, void *to, size_t len)
{
	return copy(chain->out, chain->nr_out, offset, to, len, false);
}

size_t virtio_chain__write(struct virtio_chain *chain, uint64_t offset, const void *from,
			   size_t len)
{
	return copy(chain->in, chain->nr_in, offset, (void *)(uintptr_t)from, len, true);
}

static bool skip(struct iovec **iov, unsigned int *nr, uint64_t *total, uint64_t len)
{
	if (len > *total)
		return false;
	*total -= len;
	while (len && len >= (*iov)->iov_len) {
		len -= (*iov)->iov_len;
		(*iov)++;
		(*nr)--;
	}
	if (len) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + len;
		(*iov)->iov_len -= len;
	}
	return true;
}

static bool trim(struct iovec *iov, unsigned int *nr, uint64_t *total, uint64_t len)
{
	if (len > *total)
		return false;
	*total -= len;
	while (len && len >= iov[*nr - 1].iov_len) {
		len -= iov[*nr - 1].iov_len;
		(*nr)--;
	}
	if (len)
		iov[*nr - 1].iov_len -= len;
	return true;
}

bool virtio_chain__skip_out(struct virtio_chain *chain, uint64_t len)
{
	return skip(&chain->out, &chain->nr_out, &chain->out_len, len);
}

bool virtio_chain__skip_in(struct virtio_chain *chain, uint64_t len)
{
	return skip(&chain->in, &chain->nr_in, &chain->in_len, len);
}

bool virtio_chain__trim_out(struct virtio_chain *chain, uint64_t len)
{
	return trim(chain->out, &chain->nr_out, &chain->out_len, len);
}

bool virtio_chain__trim_in(struct virtio_chain *chain, uint64_t len)
{
	return trim(chain->in, &chain->nr_in, &chain->in_len, len);
}

void *virtio_chain__cut_in(struct virtio_chain *chain, size_t len)
{
	const struct iovec *last;
	char *at;

	if (!len || !chain->nr_in)
		return NULL;
	last = &chain->in[chain->nr_in - 1];
	if (last->iov_len < len)
		return NULL;
	at = (char *)last->iov_base + (last->iov_len - len);
	virtio_chain__trim_in(chain, len);
	return at;
}

unsigned int virtio_iov__slice(const struct iovec *from, unsigned int nr, uint64_t offset,
			       uint64_t len, struct iovec *to)
{
	unsigned int used = 0;

	for (unsigned int i = 0; i < nr && len; i++) {
		size_t part;

		if (offset >= from[i].iov_len) {
			offset -= from[i].iov_len;
			continue;
		}
		part = from[i].iov_len - offset;
		if (part > len)
			part = (size_t)len;
		to[used++] = (struct iovec){ .iov_base = (char *)from[i].iov_base + offset,
					     .iov_len = part };
		len -= part;
		offset = 0;
	}
	return used;
}

/* --- queues --------------------------------------------------------------------------------- */

unsigned int virtqueue__index(const struct virtqueue *q)
{
	return q->index;
}

unsigned int virtqueue__size(const struct virtqueue *q)
{
	return q->size;
}

struct virtio_device *virtqueue__device(const struct virtqueue *q)
{
	return q->dev;
}

bool virtqueue__lock(struct virtqueue *q)
{
	pthread_mutex_lock(&q->lock);
	if (q->running && !queue__is_broken(q))
		return true;
	pthread_mutex_unlock(&q->lock);
	return false;
}

void virtqueue__unlock(struct virtqueue *q)
{
	pthread_mutex_unlock(&q->lock);
}

void *queue__at(struct virtqueue *q, const char *what, uint64_t gpa, uint64_t len, uint64_t align)
{
	void *at = gpa & (align - 1) ? NULL : guest_memory__at(q->dev->host->ram, gpa, len);

	if (!at)
		queue__fail(q, "the %s cannot be at %#llx", what, (unsigned long long)gpa);
	return at;
}

int queue__map(struct virtqueue *q)
{
	uint64_t features = q->dev->features;

	q->packed = features & VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	q->event_idx = features & VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	q->indirect = features & VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	q->notify_off = false;
	return q->packed ? packed__map(q) : split__map(q);
}

struct virtio_chain *virtqueue__pop(struct virtqueue *q)
{
	if (!q->running || queue__is_broken(q))
		return NULL;
	return q->packed ? packed__pop(q) : split__pop(q);
}

bool virtqueue__has_next(struct virtqueue *q)
{
	if (!q->running || queue__is_broken(q))
		return false;
	return q->packed ? packed__has_next(q) : split__has_next(q);
}

void virtqueue__rewind(struct virtqueue *q, struct virtio_chain *chain)
{
	if (q->packed)
		packed__rewind(q, chain);
	else
		split__rewind(q, chain);
	chain__release(chain);
}

void virtqueue__push(struct virtqueue *q, struct virtio_chain *chain, uint32_t written)
{
	if (q->running && !queue__is_broken(q)) {
		for (unsigned int i = 0; i < chain->nr_range; i++)
			queue__dirty(q, chain->range[i].gpa, chain->range[i].len);
		if (q->packed)
			packed__push(q, chain, written);
		else
			split__push(q, chain, written);
	}
	chain__release(chain);
}

void virtqueue__publish(struct virtqueue *q)
{
	if (!q->running || queue__is_broken(q))
		return;
	if (q->packed ? packed__publish(q) : split__publish(q))
		q->dev->transport->ops->signal_queue(q->dev->transport, q->index);
}

void virtqueue__disable_notify(struct virtqueue *q)
{
	if (!q->running || q->notify_off)
		return;
	q->notify_off = true;
	if (q->packed)
		packed__disable_notify(q);
	else
		split__disable_notify(q);
}

bool virtqueue__enable_notify(struct virtqueue *q)
{
	if (!q->running || queue__is_broken(q))
		return false;
	q->notify_off = false;
	if (q->packed)
		packed__enable_notify(q);
	else
		split__enable_notify(q);
	/* The driver must see this before the last look at what it has made available
	 * (2.7.7, 2.8.21). */
	atomic_thread_fence(memory_order_seq_cst);
	return virtqueue__has_next(q);
}

void virtqueue__kick(struct virtqueue *q)
{
	const uint64_t one = 1;

	if (write(q->kick_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it has been signalled */
}

void virtqueue__set_external(struct virtqueue *q)
{
	q->external = true;
}

bool virtqueue__is_enabled(const struct virtqueue *q)
{
	return q->enabled;
}

struct virtqueue_ring virtqueue__ring(const struct virtqueue *q)
{
	return (struct virtqueue_ring){
		.size = q->size,
		.desc = q->desc_gpa,
		.driver = q->driver_gpa,
		.device = q->device_gpa,
	};
}

int virtqueue__kick_fd(const struct virtqueue *q)
{
	return q->kick_fd;
}
