// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packed virtqueues (Virtio 1.2, section 2.8).
 *
 * Theory of operation. One ring of descriptors, which driver and device go around one after the
 * other. Each has a wrap counter that turns whenever it passes the end; a descriptor is available
 * if its AVAIL bit agrees with the driver's counter and its USED bit does not, and used if both
 * agree with the device's. A chain takes as many slots as it has descriptors and is given back by
 * one of them, after which the device goes as many slots on.
 *
 * Flags are loaded with acquire and stored with release semantics, so what is in the descriptor
 * goes with them. Of a batch the first descriptor's flags are stored last: the driver, which looks
 * at slot after slot, sees it all at once. As in the other format, there is a full fence wherever
 * one side speaks first and then listens.
 */
#include <errno.h>

#include "kvm/virtio-queue.h"

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

#define DESC_ALIGN  16
#define EVENT_ALIGN 4
#define EVENT_FLAGS 3u
#define EVENT_WRAP  (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

static uint64_t slot_gpa(const struct virtqueue *q, unsigned int slot)
{
	return q->desc_gpa + sizeof(struct vring_packed_desc) * (uint64_t)slot;
}

static void *flags_of(const struct packed_ring *r, unsigned int slot)
{
	return (void *)(uintptr_t)&r->desc[slot].flags;
}

int packed__map(struct virtqueue *q)
{
	struct packed_ring *r = &q->packed_;

	*r = (struct packed_ring){ .avail_wrap = true, .used_wrap = true };
	if (!q->size) {
		queue__fail(q, "its size is 0");
		return -EINVAL;
	}
	r->desc = queue__at(q, "descriptor ring", q->desc_gpa,
			    sizeof(struct vring_packed_desc) * (uint64_t)q->size, DESC_ALIGN);
	r->driver = queue__at(q, "driver event area", q->driver_gpa, 4, EVENT_ALIGN);
	r->device = queue__at(q, "device event area", q->device_gpa, 4, EVENT_ALIGN);
	return r->desc && r->driver && r->device ? 0 : -EINVAL;
}

static bool is_available(uint16_t flags, bool wrap)
{
	return !!(flags & AVAIL) == wrap && !!(flags & USED) != wrap;
}

bool packed__has_next(struct virtqueue *q)
{
	const struct packed_ring *r = &q->packed_;

	return is_available(ring__load16_acquire(flags_of(r, r->next_avail)), r->avail_wrap);
}

static struct vring_packed_desc load_desc(const volatile struct vring_packed_desc *at)
{
	return (struct vring_packed_desc){
		.addr = le64toh(at->addr),
		.len = le32toh(at->len),
		.id = le16toh(at->id),
		.flags = le16toh(at->flags),
	};
}

/* A table is read from its first to its last entry, of which only the WRITE flag counts (2.8.7). */
static int gather_table(struct virtqueue *q, struct chain_builder *b,
			const struct vring_packed_desc *d)
{
	const volatile struct vring_packed_desc *table;

	if (!d->len || d->len % sizeof(*d)) {
		queue__fail(q, "an indirect table whose length is not a multiple of 16");
		return -EINVAL;
	}
	table = queue__at(q, "indirect table", d->addr, d->len, 1);
	if (!table)
		return -EINVAL;
	for (uint32_t i = 0; i < d->len / sizeof(*d); i++) {
		struct vring_packed_desc entry = load_desc(&table[i]);
		int ret = chain__add(b, entry.addr, entry.len, entry.flags & VRING_DESC_F_WRITE);

		if (ret)
			return ret;
	}
	return 0;
}

static int check_indirect(struct virtqueue *q, const struct vring_packed_desc *d, bool is_first)
{
	if (!q->indirect) {
		queue__fail(q, "an indirect descriptor, which was not negotiated");
		return -EINVAL;
	}
	if (!is_first || d->flags & VRING_DESC_F_NEXT) {
		queue__fail(q, "an indirect descriptor in a list");
		return -EINVAL;
	}
	return 0;
}

/* The number of slots; the buffer id is in the last of them (2.8.6). */
static int gather(struct virtqueue *q, struct chain_builder *b, uint16_t *id)
{
	const struct packed_ring *r = &q->packed_;
	unsigned int slot = r->next_avail, room = q->size - q->in_flight;

	for (unsigned int nr = 0; nr < room;) {
		struct vring_packed_desc d = load_desc(&r->desc[slot]);
		int ret;

		if (d.flags & VRING_DESC_F_INDIRECT) {
			ret = check_indirect(q, &d, !nr);
			if (!ret)
				ret = gather_table(q, b, &d);
		} else {
			ret = chain__add(b, d.addr, d.len, d.flags & VRING_DESC_F_WRITE);
		}
		if (ret)
			return ret;
		nr++;
		if (!(d.flags & VRING_DESC_F_NEXT)) {
			*id = d.id;
			return (int)nr;
		}
		slot = slot + 1 < q->size ? slot + 1 : 0;
	}
	queue__fail(q, "more than its %u entries are in use", q->size);
	return -EINVAL;
}

static void advance(const struct virtqueue *q, uint16_t *slot, bool *wrap, unsigned int by)
{
	unsigned int to = *slot + by;

	if (to >= q->size) {
		to -= q->size;
		*wrap = !*wrap;
	}
	*slot = (uint16_t)to;
}

struct virtio_chain *packed__pop(struct virtqueue *q)
{
	struct packed_ring *r = &q->packed_;
	struct chain_builder b;
	uint16_t id = 0;
	int nr;

	if (!packed__has_next(q) || chain__begin(q, &b))
		return NULL;
	nr = gather(q, &b, &id);
	if (nr < 0) {
		chain__release(b.chain);
		return NULL;
	}
	advance(q, &r->next_avail, &r->avail_wrap, (unsigned int)nr);
	return chain__end(&b, id, (uint16_t)nr);
}

void packed__rewind(struct virtqueue *q, const struct virtio_chain *chain)
{
	struct packed_ring *r = &q->packed_;

	if (r->next_avail >= chain->nr_slots) {
		r->next_avail = (uint16_t)(r->next_avail - chain->nr_slots);
	} else {
		r->next_avail = (uint16_t)(r->next_avail + q->size - chain->nr_slots);
		r->avail_wrap = !r->avail_wrap;
	}
}

void packed__push(struct virtqueue *q, const struct virtio_chain *chain, uint32_t written)
{
	struct packed_ring *r = &q->packed_;
	volatile struct vring_packed_desc *d = &r->desc[r->next_used];
	uint16_t flags =
		(uint16_t)((r->used_wrap ? AVAIL | USED : 0) | (written ? VRING_DESC_F_WRITE : 0));

	d->len = htole32(written);
	d->id = htole16(chain->id);
	if (!r->pushed) {
		r->first = r->next_used;
		r->first_flags = flags;
	} else {
		ring__store16_release(flags_of(r, r->next_used), flags);
	}
	queue__dirty(q, slot_gpa(q, r->next_used), sizeof(*d));
	r->pushed += chain->nr_slots;
	advance(q, &r->next_used, &r->used_wrap, chain->nr_slots);
}

/* Whether the driver wants to hear of the slots that have just been given back (2.8.10). */
static bool wants_interrupt(const struct virtqueue *q, unsigned int pushed)
{
	const struct packed_ring *r = &q->packed_;
	uint32_t event = ring__load32(r->driver);
	unsigned int flags = event >> 16 & EVENT_FLAGS;
	uint16_t at = (uint16_t)(event & ~EVENT_WRAP);
	bool wrap = event & EVENT_WRAP;

	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !q->event_idx)
		return true;
	if (wrap != r->used_wrap)
		at = (uint16_t)(at - q->size);
	return vring_need_event(at, r->next_used, (uint16_t)(r->next_used - pushed));
}

bool packed__publish(struct virtqueue *q)
{
	struct packed_ring *r = &q->packed_;
	unsigned int pushed = r->pushed;

	if (!pushed)
		return false;
	ring__store16_release(flags_of(r, r->first), r->first_flags);
	r->pushed = 0;
	atomic_thread_fence(memory_order_seq_cst);
	return wants_interrupt(q, pushed);
}

static void set_event(struct virtqueue *q, uint16_t off_wrap, uint16_t flags)
{
	ring__store32(q->packed_.device, off_wrap | (uint32_t)flags << 16);
	queue__dirty(q, q->device_gpa, 4);
}

void packed__disable_notify(struct virtqueue *q)
{
	set_event(q, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
}

void packed__enable_notify(struct virtqueue *q)
{
	const struct packed_ring *r = &q->packed_;

	if (q->event_idx)
		set_event(q, (uint16_t)(r->next_avail | (r->avail_wrap ? EVENT_WRAP : 0)),
			  VRING_PACKED_EVENT_FLAG_DESC);
	else
		set_event(q, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
}
