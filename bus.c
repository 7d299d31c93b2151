// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Address decoding for PIO and MMIO exits.
 *
 * Theory of operation: each space is a sorted array of ranges, searched by halves. Writers hold a
 * mutex and make the array's sequence number odd while they change it; a reader notes the number,
 * searches, and starts over if the number was odd or has moved (a seqlock). So a vCPU writes
 * nothing and takes no lock to find a device, and it only ever repeats a search when the guest is
 * moving a BAR at that very moment. What a reader sees in the middle of a change may be nonsense,
 * which is harmless: the array is of atomics, every index is bounded by the array's own size, and
 * the result is thrown away.
 *
 * The array doubles when it is full. The old one stays allocated until the bus goes (a slow reader
 * may still be in it), which in all costs less than the one in use.
 */
#include "kvm/bus.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PIO_LAST    0xffffull
#define FIRST_SLOTS 32u
#define MAX_ACCESS  8u

struct slot {
	_Atomic(uint64_t) base;
	_Atomic(uint64_t) last;
	_Atomic(struct bus_region *) region;
};

struct table {
	struct table *older;
	unsigned int capacity;
	struct slot slot[];
};

struct space {
	atomic_uint sequence;
	atomic_uint nr;
	_Atomic(struct table *) table;
};

struct bus {
	struct space space[BUS_NR_SPACES];
	pthread_mutex_t lock; /* writers only */
	bus_ioeventfd_fn ioeventfd;
	void *ioeventfd_ctx;
};

struct hit {
	struct bus_region *region;
	uint64_t base;
	uint64_t last;
};

static struct table *table_new(unsigned int capacity, struct table *older)
{
	struct table *table = calloc(1, sizeof(*table) + capacity * sizeof(table->slot[0]));

	if (table) {
		table->capacity = capacity;
		table->older = older;
	}
	return table;
}

struct bus *bus__create(bus_ioeventfd_fn ioeventfd, void *ctx)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	pthread_mutex_init(&bus->lock, NULL);
	bus->ioeventfd = ioeventfd;
	bus->ioeventfd_ctx = ctx;
	for (unsigned int i = 0; i < BUS_NR_SPACES; i++) {
		struct table *table = table_new(FIRST_SLOTS, NULL);

		if (!table) {
			bus__destroy(bus);
			return NULL;
		}
		atomic_init(&bus->space[i].table, table);
	}
	return bus;
}

void bus__destroy(struct bus *bus)
{
	if (!bus)
		return;
	for (unsigned int i = 0; i < BUS_NR_SPACES; i++) {
		struct table *table = atomic_load(&bus->space[i].table);

		while (table) {
			struct table *older = table->older;

			free(table);
			table = older;
		}
	}
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

/* One search, which is only worth something if the sequence number did not move meanwhile. */
static bool search(const struct table *table, unsigned int nr, uint64_t addr, struct hit *hit)
{
	unsigned int low = 0, high = nr < table->capacity ? nr : table->capacity;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;
		const struct slot *slot = &table->slot[mid];
		uint64_t base = atomic_load_explicit(&slot->base, memory_order_relaxed);
		uint64_t last = atomic_load_explicit(&slot->last, memory_order_relaxed);

		if (addr < base) {
			high = mid;
		} else if (addr > last) {
			low = mid + 1;
		} else {
			hit->region = atomic_load_explicit(&slot->region, memory_order_relaxed);
			hit->base = base;
			hit->last = last;
			return true;
		}
	}
	return false;
}

static bool find(struct bus *bus, enum bus_space where, uint64_t addr, struct hit *hit)
{
	struct space *space = &bus->space[where];

	for (;;) {
		unsigned int before = atomic_load_explicit(&space->sequence, memory_order_acquire);
		const struct table *table;
		unsigned int nr;
		bool found;

		if (before & 1) {
			sched_yield();
			continue;
		}
		table = atomic_load_explicit(&space->table, memory_order_acquire);
		nr = atomic_load_explicit(&space->nr, memory_order_relaxed);
		found = search(table, nr, addr, hit);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&space->sequence, memory_order_relaxed) == before)
			return found;
	}
}

static void begin_change(struct space *space)
{
	atomic_fetch_add_explicit(&space->sequence, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void end_change(struct space *space)
{
	atomic_fetch_add_explicit(&space->sequence, 1, memory_order_release);
}

static void copy_slot(struct slot *to, const struct slot *from)
{
	atomic_store_explicit(&to->base, atomic_load_explicit(&from->base, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&to->last, atomic_load_explicit(&from->last, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&to->region,
			      atomic_load_explicit(&from->region, memory_order_relaxed),
			      memory_order_relaxed);
}

static int make_room(struct space *space)
{
	struct table *table = atomic_load(&space->table), *larger;
	unsigned int nr = atomic_load(&space->nr);

	if (nr < table->capacity)
		return 0;

	larger = table_new(table->capacity * 2, table);
	if (!larger)
		return -ENOMEM;
	for (unsigned int i = 0; i < nr; i++)
		copy_slot(&larger->slot[i], &table->slot[i]);
	atomic_store_explicit(&space->table, larger, memory_order_release);
	return 0;
}

/* With the lock held. */
static int insert(struct space *space, struct bus_region *region, uint64_t last)
{
	unsigned int nr = atomic_load(&space->nr), at = 0;
	struct table *table;
	int ret;

	table = atomic_load(&space->table);
	while (at < nr && table->slot[at].last < region->base)
		at++;
	if (at < nr && table->slot[at].base <= last)
		return -EEXIST;

	ret = make_room(space);
	if (ret)
		return ret;
	table = atomic_load(&space->table);

	begin_change(space);
	for (unsigned int i = nr; i > at; i--)
		copy_slot(&table->slot[i], &table->slot[i - 1]);
	atomic_store_explicit(&table->slot[at].base, region->base, memory_order_relaxed);
	atomic_store_explicit(&table->slot[at].last, last, memory_order_relaxed);
	atomic_store_explicit(&table->slot[at].region, region, memory_order_relaxed);
	atomic_store_explicit(&space->nr, nr + 1, memory_order_relaxed);
	end_change(space);
	return 0;
}

/* With the lock held. */
static void erase(struct space *space, const struct bus_region *region)
{
	struct table *table = atomic_load(&space->table);
	unsigned int nr = atomic_load(&space->nr), at = 0;

	while (at < nr && table->slot[at].region != region)
		at++;
	if (at == nr)
		return;

	begin_change(space);
	for (unsigned int i = at; i + 1 < nr; i++)
		copy_slot(&table->slot[i], &table->slot[i + 1]);
	atomic_store_explicit(&space->nr, nr - 1, memory_order_relaxed);
	end_change(space);
}

static int check_range(enum bus_space where, const struct bus_region *region)
{
	if (!region->size || region->size - 1 > UINT64_MAX - region->base)
		return -EINVAL;
	if (where == BUS_PIO && region->base + (region->size - 1) > PIO_LAST)
		return -EINVAL;
	return 0;
}

int bus__add(struct bus *bus, enum bus_space space, struct bus_region *region)
{
	int ret = check_range(space, region);

	if (ret)
		return ret;
	pthread_mutex_lock(&bus->lock);
	ret = insert(&bus->space[space], region, region->base + (region->size - 1));
	pthread_mutex_unlock(&bus->lock);
	return ret;
}

void bus__remove(struct bus *bus, enum bus_space space, struct bus_region *region)
{
	pthread_mutex_lock(&bus->lock);
	erase(&bus->space[space], region);
	pthread_mutex_unlock(&bus->lock);
}

int bus__move(struct bus *bus, enum bus_space space, struct bus_region *region, uint64_t base)
{
	int ret;

	pthread_mutex_lock(&bus->lock);
	erase(&bus->space[space], region);
	region->base = base;
	ret = check_range(space, region);
	if (!ret)
		ret = insert(&bus->space[space], region, base + (region->size - 1));
	pthread_mutex_unlock(&bus->lock);
	return ret;
}

struct bus_region *bus__find(struct bus *bus, enum bus_space space, uint64_t addr)
{
	struct hit hit;

	return find(bus, space, addr, &hit) ? hit.region : NULL;
}

bool bus__read(struct bus *bus, enum bus_space space, uint64_t addr, void *data, uint32_t len)
{
	struct hit hit;

	if (len - 1u < MAX_ACCESS && find(bus, space, addr, &hit) && len - 1 <= hit.last - addr &&
	    hit.region->read) {
		hit.region->read(hit.region->ctx, addr - hit.base, data, len);
		return true;
	}
	memset(data, 0xff, len);
	return false;
}

bool bus__write(struct bus *bus, enum bus_space space, uint64_t addr, const void *data,
		uint32_t len)
{
	struct hit hit;

	if (len - 1u < MAX_ACCESS && find(bus, space, addr, &hit) && len - 1 <= hit.last - addr &&
	    hit.region->write) {
		hit.region->write(hit.region->ctx, addr - hit.base, data, len);
		return true;
	}
	return false;
}

int bus__add_ioeventfd(struct bus *bus, enum bus_space space, uint64_t addr, uint32_t len,
		       const uint64_t *datamatch, int fd)
{
	if (!bus->ioeventfd)
		return -ENOSYS;
	return bus->ioeventfd(bus->ioeventfd_ctx, space, addr, len, datamatch, fd, true);
}

void bus__remove_ioeventfd(struct bus *bus, enum bus_space space, uint64_t addr, uint32_t len,
			   const uint64_t *datamatch, int fd)
{
	if (bus->ioeventfd)
		bus->ioeventfd(bus->ioeventfd_ctx, space, addr, len, datamatch, fd, false);
}
