// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Split virtqueues (Virtio 1.2, section 2.7), which are also those of before 1.0.
 *
 * Theory of operation. The driver puts heads of chains into the available ring and then moves its
 * index; the device puts them into the used ring and then moves its own. An index is loaded with
 * acquire and stored with release semantics, and so what it speaks of is never seen before or after
 * its time. The only place that takes more is where each side first tells the other something and
 * then looks whether the other has told it something: publish and enable_notify have a full fence
 * between the two (2.7.7.2, 2.7.10).
 *
 * Descriptors are read one by one, each into a copy that is checked and then used; a chain is at
 * most as long as the table it is in, so a loop is found out.
 */
#include <errno.h>

#include "kvm/virtio-queue.h"

/* Words of the available and of the used ring. */
#define FLAGS	   0
#define INDEX	   1
#define RING	   2
#define USED_WORDS 4 /* of a used element */

static uint16_t *avail_event(const struct virtqueue *q)
{
	return &q->split_.used[RING + USED_WORDS * q->size];
}

static const uint16_t *used_event(const struct virtqueue *q)
{
	return &q->split_.avail[RING + q->size];
}

int split__map(struct virtqueue *q)
{
	struct split_ring *r = &q->split_;

	*r = (struct split_ring){ 0 };
	if (!q->size || q->size & (q->size - 1)) {
		queue__fail(q, "its size of %u is not a power of two", q->size);
		return -EINVAL;
	}
	r->desc = queue__at(q, "descriptor table", q->desc_gpa, 16 * (uint64_t)q->size,
			    VRING_DESC_ALIGN_SIZE);
	r->avail = queue__at(q, "available ring", q->driver_gpa, 6 + 2 * (uint64_t)q->size,
			     VRING_AVAIL_ALIGN_SIZE);
	r->used = queue__at(q, "used ring", q->device_gpa, 6 + 8 * (uint64_t)q->size,
			    VRING_USED_ALIGN_SIZE);
	return r->desc && r->avail && r->used ? 0 : -EINVAL;
}

/* How many chains wait; -1 if the index is impossible. */
static int look(struct virtqueue *q)
{
	struct split_ring *r = &q->split_;
	uint16_t waiting = (uint16_t)(r->seen_avail - r->next_avail);

	if (waiting)
		return waiting;
	r->seen_avail = ring__load16_acquire(&r->avail[INDEX]);
	waiting = (uint16_t)(r->seen_avail - r->next_avail);
	if (waiting > q->size) {
		queue__fail(q, "the available index went from %u to %u, with %u entries",
			    r->next_avail, r->seen_avail, q->size);
		return -1;
	}
	return waiting;
}

static struct vring_desc load_desc(const volatile struct vring_desc *at)
{
	return (struct vring_desc){
		.addr = le64toh(at->addr),
		.len = le32toh(at->len),
		.flags = le16toh(at->flags),
		.next = le16toh(at->next),
	};
}

static int open_table(struct virtqueue *q, const struct vring_desc *d, bool inside,
		      const volatile struct vring_desc **table, uint32_t *entries)
{
	const char *wrong = NULL;

	if (!q->indirect)
		wrong = "an indirect descriptor, which was not negotiated";
	else if (inside)
		wrong = "an indirect descriptor in an indirect table";
	else if (d->flags & VRING_DESC_F_NEXT)
		wrong = "an indirect descriptor that is not the last";
	else if (!d->len || d->len % sizeof(*d))
		wrong = "an indirect table whose length is not a multiple of 16";
	if (wrong) {
		queue__fail(q, "%s", wrong);
		return -EINVAL;
	}
	*entries = d->len / (uint32_t)sizeof(*d);
	*table = queue__at(q, "indirect table", d->addr, d->len, 1);
	return *table ? 0 : -EINVAL;
}

/* Descriptors of one table from @i on; an indirect one at the end is left in @d. */
static int walk(struct virtqueue *q, struct chain_builder *b,
		const volatile struct vring_desc *table, uint32_t entries, uint32_t i,
		struct vring_desc *d)
{
	for (uint32_t seen = 0;; seen++) {
		int ret;

		if (i >= entries) {
			queue__fail(q, "descriptor %u of a table of %u", i, entries);
			return -EINVAL;
		}
		if (seen == entries) {
			queue__fail(q, "a loop of descriptors");
			return -EINVAL;
		}
		*d = load_desc(&table[i]);
		if (d->flags & VRING_DESC_F_INDIRECT)
			return 0;
		ret = chain__add(b, d->addr, d->len, d->flags & VRING_DESC_F_WRITE);
		if (ret || !(d->flags & VRING_DESC_F_NEXT))
			return ret;
		i = d->next;
	}
}

static int gather(struct virtqueue *q, struct chain_builder *b, uint16_t head)
{
	const volatile struct vring_desc *table = q->split_.desc;
	uint32_t entries = q->size, first = head;
	bool inside = false;

	for (;;) {
		struct vring_desc d;
		int ret = walk(q, b, table, entries, first, &d);

		if (ret || !(d.flags & VRING_DESC_F_INDIRECT))
			return ret;
		ret = open_table(q, &d, inside, &table, &entries);
		if (ret)
			return ret;
		inside = true;
		first = 0;
	}
}

struct virtio_chain *split__pop(struct virtqueue *q)
{
	struct split_ring *r = &q->split_;
	struct chain_builder b;
	uint16_t head;

	if (look(q) <= 0)
		return NULL;
	if (q->in_flight >= q->size) {
		queue__fail(q, "more than its %u entries are in use", q->size);
		return NULL;
	}
	if (chain__begin(q, &b))
		return NULL;
	head = ring__load16(&r->avail[RING + (r->next_avail & (q->size - 1))]);
	if (gather(q, &b, head)) {
		chain__release(b.chain);
		return NULL;
	}
	r->next_avail++;
	return chain__end(&b, head, 1);
}

bool split__has_next(struct virtqueue *q)
{
	return look(q) > 0;
}

void split__rewind(struct virtqueue *q, const struct virtio_chain *chain)
{
	(void)chain;
	q->split_.next_avail--;
}

void split__push(struct virtqueue *q, const struct virtio_chain *chain, uint32_t written)
{
	struct split_ring *r = &q->split_;
	unsigned int i = r->next_used++ & (q->size - 1);
	uint16_t *element = &r->used[RING + USED_WORDS * i];

	ring__store32(&element[0], chain->id);
	ring__store32(&element[2], written);
	queue__dirty(q, q->device_gpa + 4 + 8 * (uint64_t)i, 8);
}

bool split__publish(struct virtqueue *q)
{
	struct split_ring *r = &q->split_;
	uint16_t before = r->published, now = r->next_used;

	if (before == now)
		return false;
	ring__store16_release(&r->used[INDEX], now);
	queue__dirty(q, q->device_gpa, 4);
	r->published = now;
	atomic_thread_fence(memory_order_seq_cst);
	if (!q->event_idx)
		return !(ring__load16(&r->avail[FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(ring__load16(used_event(q)), now, before);
}

void split__disable_notify(struct virtqueue *q)
{
	/* With event indices the driver is silent by itself until it passes one. */
	if (q->event_idx)
		return;
	ring__store16(&q->split_.used[FLAGS], VRING_USED_F_NO_NOTIFY);
	queue__dirty(q, q->device_gpa, 4);
}

void split__enable_notify(struct virtqueue *q)
{
	if (q->event_idx) {
		ring__store16(avail_event(q), q->split_.next_avail);
		queue__dirty(q, q->device_gpa + 4 + 8 * (uint64_t)q->size, 2);
	} else {
		ring__store16(&q->split_.used[FLAGS], 0);
		queue__dirty(q, q->device_gpa, 4);
	}
}
