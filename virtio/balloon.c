// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory balloon (Virtio 1.2, section 5.5).
 *
 * Theory of operation. The guest names pages that it does not use, in units of 4 KiB (inflate) or
 * as buffers (free page reporting), and their memory goes back to the host. It comes back by itself
 * when the guest touches it again, so that deflating is no more than book-keeping.
 *
 * A page of the host may be larger than 4 KiB: 64 KiB on POWER, 2 MiB and more on hugetlbfs. Then
 * it can only go when the guest has given all of its parts. Which ones it has given is kept in a
 * bitmap; that is sound only if the guest says so before it uses a part again, which is
 * VIRTIO_BALLOON_F_MUST_TELL_HOST. A driver without it gets no such page discarded.
 *
 * The bitmap also makes a page that is named twice harmless. Pages that follow each other, in
 * either direction, are discarded in one go.
 *
 * Queues 3 and 4 are for hinting, which there is not, and for reporting. Drivers do not agree with
 * the specification about numbers: they leave no gaps for queues that there are not. As no two
 * kinds of queues claim one number once features are known, all readings are served.
 */
#include "kvm/virtio-balloon.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/virtio_balloon.h>

#include "kvm/json.h"
#include "kvm/log.h"
#include "kvm/memory.h"
#include "kvm/virtio.h"

#define Q_INFLATE 0u
#define Q_DEFLATE 1u
#define Q_STATS	  2u
#define NR_QUEUES 5u

#define UNIT	       4096u   /* bytes of a page of the balloon, whatever the host's (5.5) */
#define MAX_PFNS       0x4000u /* in one request; drivers send 256 to 1024 */
#define PFNS_AT_ONCE   256u
#define MAX_STATS      64u /* in one buffer */
#define CHAINS_AT_ONCE 64u
#define WORD_BITS      64u

static const char *const stat_names[VIRTIO_BALLOON_NR_STATS] = {
	"swap_in",	  "swap_out",	   "major_faults",   "minor_faults",
	"free",		  "total",	   "available",	     "disk_caches",
	"hugetlb_allocs", "hugetlb_fails", "oom_kills",	     "alloc_stalls",
	"async_scans",	  "direct_scans",  "async_reclaims", "direct_reclaims",
};

/**
 * struct balloon_region - a region of RAM where a page of the host has several parts
 * @ram:   where it is
 * @given: bit n: its part n is in the balloon
 * @parts: of each page of the host that lies within it, how many are in the balloon
 */
struct balloon_region {
	const struct memory_region *ram;
	uint64_t *given;
	uint32_t *parts;
};

/**
 * struct run - host memory to be discarded in one go
 */
struct run {
	char *start, *end;
};

/**
 * struct balloon - the device
 * @region, @nr_regions: where parts are counted; none if a page of the host is 4 KiB
 * @page:      bytes of a page of the host, of which guest RAM is made
 * @lock:      guards what follows up to the blank line; taken after a queue's lock
 * @forbidden: how many forbid discarding
 * @tells:     the driver tells before it uses a page again
 * @failed:    the host would not take memory back, which has been printed
 *
 * @target, @actual, @poison: as in the configuration (5.5.4)
 *
 * @stats_chain:          the buffer that waits for a request, or NULL
 * @stats_fn, @stats_ctx: who waits for an answer; these three belong to the lock of Q_STATS
 */
struct balloon {
	struct virtio_device dev;
	struct balloon_region region[GUEST_MEMORY_MAX_REGIONS];
	unsigned int nr_regions;
	uint64_t page;

	pthread_mutex_t lock;
	unsigned int forbidden;
	bool tells;
	bool failed;

	_Atomic uint32_t target, actual, poison;

	struct virtio_chain *stats_chain;
	virtio_balloon_stats_fn stats_fn;
	void *stats_ctx;
};

static struct balloon *to_balloon(struct virtio_device *dev)
{
	return (struct balloon *)dev;
}

/* --- giving memory back, under @lock ---------------------------------------------------------- */

static void discard(struct balloon *balloon, const struct run *run)
{
	/* A private mapping forgets its pages; a file needs a hole. */
	int advice = balloon->dev.host->ram->fd < 0 ? MADV_DONTNEED : MADV_REMOVE;

	if (run->start == run->end || balloon->forbidden)
		return;
	if (!madvise(run->start, (size_t)(run->end - run->start), advice) || balloon->failed)
		return;
	balloon->failed = true;
	pr_warn("%s: the host cannot take memory back: %s", balloon->dev.name, strerror(errno));
}

static void run_add(struct balloon *balloon, struct run *run, char *start, char *end)
{
	if (run->start != run->end && start == run->end) {
		run->end = end;
	} else if (run->start != run->end && end == run->start) {
		run->start = start;
	} else {
		discard(balloon, run);
		*run = (struct run){ start, end };
	}
}

static char *page_of(const struct balloon *balloon, const char *at)
{
	return (char *)((uintptr_t)at & ~(uintptr_t)(balloon->page - 1));
}

static struct balloon_region *region_of(struct balloon *balloon, const char *at)
{
	for (unsigned int i = 0; i < balloon->nr_regions; i++) {
		const struct memory_region *ram = balloon->region[i].ram;
		const char *start = ram->hva;

		if (at >= start && (uint64_t)(at - start) < ram->size)
			return &balloon->region[i];
	}
	return NULL;
}

/* Note whether a part is given. Return: the count of its page of the host. */
static uint32_t set_part(struct balloon *balloon, struct balloon_region *r, const char *at,
			 bool given)
{
	const char *first = page_of(balloon, r->ram->hva);
	uint64_t part = (uint64_t)(at - (const char *)r->ram->hva) / UNIT;
	uint32_t *parts = &r->parts[(uint64_t)(at - first) / balloon->page];
	uint64_t bit = 1ull << part % WORD_BITS;
	uint64_t *word = &r->given[part / WORD_BITS];

	if (given && !(*word & bit)) {
		*word |= bit;
		++*parts;
	} else if (!given && *word & bit) {
		*word &= ~bit;
		--*parts;
	}
	return *parts;
}

static void inflate_page(struct balloon *balloon, struct run *run, char *at)
{
	struct balloon_region *r = region_of(balloon, at);
	char *page = page_of(balloon, at);

	if (!r)
		run_add(balloon, run, at, at + UNIT);
	else if (balloon->tells && set_part(balloon, r, at, true) == balloon->page / UNIT)
		run_add(balloon, run, page, page + balloon->page);
}

static void deflate_page(struct balloon *balloon, const char *at)
{
	struct balloon_region *r = region_of(balloon, at);

	if (r)
		set_part(balloon, r, at, false);
}

/* --- inflate and deflate (5.5.6.1) ---------------------------------------------------------- */

static bool take_pfns(struct balloon *balloon, const uint32_t *pfns, unsigned int nr, bool inflate,
		      struct run *run)
{
	const struct guest_memory *ram = balloon->dev.host->ram;

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t gpa = (uint64_t)le32toh(pfns[i]) * UNIT;
		char *at = guest_memory__at(ram, gpa, UNIT);

		if (!at) {
			virtio_device__fail(&balloon->dev, "a page outside memory: %#llx",
					    (unsigned long long)gpa);
			return false;
		}
		if (inflate)
			inflate_page(balloon, run, at);
		else
			deflate_page(balloon, at);
	}
	return true;
}

static bool take_pages(struct balloon *balloon, struct virtio_chain *chain, bool inflate)
{
	uint32_t pfns[PFNS_AT_ONCE];
	uint64_t left = chain->out_len / sizeof(pfns[0]);
	struct run run = { NULL, NULL };
	bool ok = true;

	if (left > MAX_PFNS || chain->out_len % sizeof(pfns[0])) {
		virtio_device__fail(&balloon->dev, "a list of pages of %llu bytes",
				    (unsigned long long)chain->out_len);
		return false;
	}
	pthread_mutex_lock(&balloon->lock);
	for (uint64_t at = 0; left && ok; at += sizeof(pfns)) {
		unsigned int nr = left < PFNS_AT_ONCE ? (unsigned int)left : PFNS_AT_ONCE;

		virtio_chain__read(chain, at, pfns, nr * sizeof(pfns[0]));
		ok = take_pfns(balloon, pfns, nr, inflate, &run);
		left -= nr;
	}
	discard(balloon, &run);
	pthread_mutex_unlock(&balloon->lock);
	return ok;
}

/* --- free page reporting (5.5.6.7) ---------------------------------------------------------- */

/*
 * Reported pages read as zeroes afterwards. A guest that fills its free pages with something else
 * and says so expects to find just that (5.5.6.6).
 */
static bool take_reported(struct balloon *balloon, struct virtio_chain *chain)
{
	struct run run = { NULL, NULL };

	if (virtio_device__has(&balloon->dev, VIRTIO_BALLOON_F_PAGE_POISON) &&
	    atomic_load(&balloon->poison))
		return true;
	pthread_mutex_lock(&balloon->lock);
	for (unsigned int i = 0; i < chain->nr_in; i++) {
		char *base = chain->in[i].iov_base;
		char *start = page_of(balloon, base + balloon->page - 1);
		char *end = page_of(balloon, base + chain->in[i].iov_len);

		if (start < end)
			run_add(balloon, &run, start, end);
	}
	discard(balloon, &run);
	pthread_mutex_unlock(&balloon->lock);
	return true;
}

/* --- statistics (5.5.6.3) ------------------------------------------------------------------- */

static void read_stats(const struct virtio_chain *chain, struct virtio_balloon_stats *stats)
{
	struct virtio_balloon_stat stat;

	memset(stats, 0, sizeof(*stats));
	for (unsigned int i = 0; i < MAX_STATS; i++) {
		uint16_t tag;

		if (virtio_chain__read(chain, i * sizeof(stat), &stat, sizeof(stat)) < sizeof(stat))
			break;
		tag = le16toh((uint16_t)stat.tag);
		if (tag >= VIRTIO_BALLOON_NR_STATS || (uint64_t)stat.val == UINT64_MAX)
			continue;
		stats->valid |= 1u << tag;
		stats->value[tag] = le64toh((uint64_t)stat.val);
	}
}

static void answer_stats(struct balloon *balloon, const struct virtio_balloon_stats *stats)
{
	virtio_balloon_stats_fn fn = balloon->stats_fn;

	balloon->stats_fn = NULL;
	if (fn)
		fn(balloon->stats_ctx, stats);
}

/* The driver owns one buffer for statistics, and has filled it in when it comes. */
static bool take_stats(struct balloon *balloon, struct virtio_chain *chain)
{
	struct virtio_balloon_stats stats;

	if (balloon->stats_chain) {
		virtio_device__fail(&balloon->dev, "a second buffer for statistics");
		return false;
	}
	read_stats(chain, &stats);
	balloon->stats_chain = chain;
	answer_stats(balloon, &stats);
	return true;
}

int virtio_balloon__request_stats(struct virtio_device *dev, virtio_balloon_stats_fn fn, void *ctx)
{
	struct balloon *balloon = to_balloon(dev);
	struct virtqueue *q = virtio_device__queue(dev, Q_STATS);
	int ret = 0;

	if (!virtqueue__lock(q))
		return -ENODEV;
	if (!virtio_device__has(dev, VIRTIO_BALLOON_F_STATS_VQ)) {
		ret = -ENODEV;
	} else if (!balloon->stats_chain) {
		ret = -EBUSY;
	} else {
		struct virtio_chain *chain = balloon->stats_chain;

		balloon->stats_fn = fn;
		balloon->stats_ctx = ctx;
		balloon->stats_chain = NULL;
		virtqueue__push(q, chain, 0);
		virtqueue__publish(q);
	}
	virtqueue__unlock(q);
	return ret;
}

void virtio_balloon__write_stats(const struct virtio_balloon_stats *stats, struct json_writer *json)
{
	for (unsigned int i = 0; i < VIRTIO_BALLOON_NR_STATS; i++) {
		if (stats->valid & 1u << i)
			json__uint(json, stat_names[i], stats->value[i]);
	}
}

/* --- queues --------------------------------------------------------------------------------- */

enum purpose {
	NOTHING,
	INFLATE,
	DEFLATE,
	STATS,
	REPORT,
};

static enum purpose purpose_of(const struct virtio_device *dev, unsigned int index)
{
	if (index == Q_INFLATE)
		return INFLATE;
	if (index == Q_DEFLATE)
		return DEFLATE;
	if (index == Q_STATS && virtio_device__has(dev, VIRTIO_BALLOON_F_STATS_VQ))
		return STATS;
	return virtio_device__has(dev, VIRTIO_BALLOON_F_REPORTING) ? REPORT : NOTHING;
}

/* Return: whether to go on. */
static bool take(struct balloon *balloon, struct virtqueue *q, struct virtio_chain *chain)
{
	enum purpose purpose = purpose_of(&balloon->dev, virtqueue__index(q));
	bool ok;

	if (purpose == STATS)
		return take_stats(balloon, chain);
	if (purpose == REPORT)
		ok = take_reported(balloon, chain);
	else
		ok = take_pages(balloon, chain, purpose == INFLATE);
	if (ok)
		virtqueue__push(q, chain, 0);
	return ok;
}

static void balloon_notify(struct virtio_device *dev, struct virtqueue *q)
{
	struct virtio_chain *chain;
	unsigned int nr = 0;

	if (purpose_of(dev, virtqueue__index(q)) == NOTHING)
		return;
	while (nr < CHAINS_AT_ONCE && (chain = virtqueue__pop(q))) {
		nr++;
		if (!take(to_balloon(dev), q, chain))
			return;
	}
	virtqueue__publish(q);
	if (nr == CHAINS_AT_ONCE)
		virtqueue__kick(q); /* so that a reset gets its turn */
}

static void forget_pages(struct balloon *balloon)
{
	for (unsigned int i = 0; i < balloon->nr_regions; i++) {
		struct balloon_region *r = &balloon->region[i];
		char *end = (char *)r->ram->hva + r->ram->size;
		uint64_t span = (uint64_t)(end - page_of(balloon, r->ram->hva));

		memset(r->given, 0, (r->ram->size / UNIT / WORD_BITS + 1) * sizeof(*r->given));
		memset(r->parts, 0, (span / balloon->page + 1) * sizeof(*r->parts));
	}
}

static int balloon_start(struct virtio_device *dev)
{
	struct balloon *balloon = to_balloon(dev);

	balloon->tells = virtio_device__has(dev, VIRTIO_BALLOON_F_MUST_TELL_HOST);
	return 0;
}

static void forget_stats(struct balloon *balloon)
{
	balloon->stats_chain = NULL;
	answer_stats(balloon, NULL);
}

static void balloon_stop(struct virtio_device *dev)
{
	forget_pages(to_balloon(dev));
	forget_stats(to_balloon(dev));
}

static void balloon_queue_reset(struct virtio_device *dev, struct virtqueue *q)
{
	if (virtqueue__index(q) == Q_STATS)
		forget_stats(to_balloon(dev));
}

static void balloon_reset(struct virtio_device *dev)
{
	struct balloon *balloon = to_balloon(dev);

	atomic_store(&balloon->actual, 0);
	atomic_store(&balloon->poison, 0);
}

/* --- configuration (5.5.4): little-endian, for legacy drivers as well (5.5.4.1) -------------- */

static struct virtio_balloon_config get_config(const struct balloon *balloon)
{
	return (struct virtio_balloon_config){
		.num_pages = htole32(atomic_load(&balloon->target)),
		.actual = htole32(atomic_load(&balloon->actual)),
		.poison_val = htole32(atomic_load(&balloon->poison)),
	};
}

static void balloon_config_read(struct virtio_device *dev, uint32_t offset, void *data,
				uint32_t len)
{
	struct virtio_balloon_config config = get_config(to_balloon(dev));

	memcpy(data, (char *)&config + offset, len);
}

static void balloon_config_write(struct virtio_device *dev, uint32_t offset, const void *data,
				 uint32_t len)
{
	struct balloon *balloon = to_balloon(dev);
	struct virtio_balloon_config config = get_config(balloon);

	memcpy((char *)&config + offset, data, len);
	atomic_store(&balloon->actual, le32toh(config.actual));
	atomic_store(&balloon->poison, le32toh(config.poison_val));
}

int virtio_balloon__set_target(struct virtio_device *dev, uint64_t bytes)
{
	if (bytes > guest_memory__size(dev->host->ram) || bytes / UNIT > UINT32_MAX)
		return -EINVAL;
	virtio_device__config_begin(dev);
	atomic_store(&to_balloon(dev)->target, (uint32_t)(bytes / UNIT));
	virtio_device__config_end(dev);
	return 0;
}

uint64_t virtio_balloon__target(struct virtio_device *dev)
{
	return (uint64_t)atomic_load(&to_balloon(dev)->target) * UNIT;
}

uint64_t virtio_balloon__actual(struct virtio_device *dev)
{
	return (uint64_t)atomic_load(&to_balloon(dev)->actual) * UNIT;
}

void virtio_balloon__allow_discard(struct virtio_device *dev, bool allow)
{
	struct balloon *balloon = to_balloon(dev);

	pthread_mutex_lock(&balloon->lock);
	if (!allow)
		balloon->forbidden++;
	else if (balloon->forbidden)
		balloon->forbidden--;
	pthread_mutex_unlock(&balloon->lock);
}

/* --- making and unmaking -------------------------------------------------------------------- */

static uint64_t page_size(const struct guest_memory *ram)
{
	struct statfs fs;

	if (ram->fd >= 0 && !fstatfs(ram->fd, &fs) && fs.f_type == HUGETLBFS_MAGIC)
		return (uint64_t)fs.f_bsize;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int count_parts(struct balloon *balloon)
{
	const struct guest_memory *ram = balloon->dev.host->ram;

	balloon->page = page_size(ram);
	if (balloon->page <= UNIT)
		return 0;
	for (unsigned int i = 0; i < ram->nr; i++) {
		struct balloon_region *r = &balloon->region[i];

		r->ram = &ram->region[i];
		r->given = calloc(r->ram->size / UNIT / WORD_BITS + 1, sizeof(*r->given));
		r->parts = calloc(r->ram->size / balloon->page + 2, sizeof(*r->parts));
		balloon->nr_regions++;
		if (!r->given || !r->parts)
			return -ENOMEM;
	}
	return 0;
}

static void balloon_destroy(struct virtio_device *dev)
{
	struct balloon *balloon = to_balloon(dev);

	for (unsigned int i = 0; i < balloon->nr_regions; i++) {
		free(balloon->region[i].given);
		free(balloon->region[i].parts);
	}
	pthread_mutex_destroy(&balloon->lock);
	virtio_device__exit(dev);
	free(balloon);
}

static const struct virtio_ops balloon_ops = {
	.kind = "virtio-balloon",
	.id = VIRTIO_ID_BALLOON,
	.config_size = sizeof(struct virtio_balloon_config),
	.start = balloon_start,
	.stop = balloon_stop,
	.reset = balloon_reset,
	.queue_reset = balloon_queue_reset,
	.notify = balloon_notify,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.destroy = balloon_destroy,
};

struct virtio_device *virtio_balloon__create(const struct device_host *host, unsigned int index,
					     bool deflate_on_oom)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));
	char name[24];

	if (!balloon)
		return NULL;
	snprintf(name, sizeof(name), "balloon%u", index);
	if (virtio_device__init(&balloon->dev, &balloon_ops, host, name, NR_QUEUES)) {
		free(balloon);
		return NULL;
	}
	pthread_mutex_init(&balloon->lock, NULL);
	balloon->dev.offered |= VIRTIO_BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST) |
				VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ) |
				VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON) |
				VIRTIO_BIT(VIRTIO_BALLOON_F_REPORTING);
	if (deflate_on_oom)
		balloon->dev.offered |= VIRTIO_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	balloon->dev.own_thread = true; /* to discard gigabytes takes a while */
	if (count_parts(balloon)) {
		balloon_destroy(&balloon->dev);
		return NULL;
	}
	return &balloon->dev;
}
