// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupt lines, MSI routes and irqfds.
 *
 * Theory of operation: lines are wired OR. Each GSI counts the devices that assert it and only the
 * change between none and some reaches the controller, under one of a few locks picked by GSI, so
 * that a rise and a fall of the same line cannot overtake each other. A device that does not change
 * its level takes no lock.
 *
 * KVM's routing table is replaced as a whole (KVM_SET_GSI_ROUTING,
 * Documentation/virt/kvm/api.rst 4.52), so it is kept here and handed over at each change. The
 * kernel swaps tables under RCU: interrupts in flight are not lost. Nothing is handed over before
 * the first commit, which the board asks for when it has added its pins.
 */
#include "kvm/irq.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kvm.h>

#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/sys.h"

#define NR_LOCKS     16
#define MAX_GSIS     4096u
#define FIRST_ROUTES 64u

struct irq_router {
	struct kvm *kvm;
	irq_set_gsi_fn sink;
	void *sink_ctx;
	irq_translate_fn translate;
	const void *translate_ctx;
	pthread_mutex_t line_lock[NR_LOCKS];
	unsigned int asserted[MAX_GSIS]; /* devices that hold the line high */

	pthread_mutex_t lock; /* all below */
	unsigned int first_msi, nr_gsis;
	uint8_t msi_used[MAX_GSIS / 8];
	bool committed;
	struct kvm_irq_routing *table; /* header and entries, as KVM takes it */
	unsigned int capacity;
};

struct irq_router *irq__create(struct kvm *kvm)
{
	struct irq_router *router = calloc(1, sizeof(*router));

	if (!router)
		return NULL;
	router->kvm = kvm;
	for (unsigned int i = 0; i < NR_LOCKS; i++)
		pthread_mutex_init(&router->line_lock[i], NULL);
	pthread_mutex_init(&router->lock, NULL);
	return router;
}

void irq__destroy(struct irq_router *router)
{
	if (!router)
		return;
	for (unsigned int i = 0; i < NR_LOCKS; i++)
		pthread_mutex_destroy(&router->line_lock[i]);
	pthread_mutex_destroy(&router->lock);
	free(router->table);
	free(router);
}

void irq__set_sink(struct irq_router *router, irq_set_gsi_fn fn, void *ctx)
{
	router->sink = fn;
	router->sink_ctx = ctx;
}

void irq__set_translation(struct irq_router *router, irq_translate_fn fn, const void *ctx)
{
	router->translate = fn;
	router->translate_ctx = ctx;
}

void irq__set_msi_range(struct irq_router *router, unsigned int first, unsigned int nr_gsis)
{
	router->first_msi = first;
	router->nr_gsis = nr_gsis < MAX_GSIS ? nr_gsis : MAX_GSIS;
}

void irq_line__init(struct irq_line *line, struct irq_router *router, unsigned int gsi)
{
	*line = (struct irq_line){ .router = router, .gsi = gsi < MAX_GSIS ? gsi : 0 };
}

void irq_line__set(struct irq_line *line, bool level)
{
	struct irq_router *router = line->router;
	pthread_mutex_t *lock = &router->line_lock[line->gsi % NR_LOCKS];
	unsigned int before, after;

	if (line->level == level)
		return;

	pthread_mutex_lock(lock);
	line->level = level;
	before = router->asserted[line->gsi];
	after = level ? before + 1 : before - 1;
	router->asserted[line->gsi] = after;
	if (!before != !after && router->sink)
		router->sink(router->sink_ctx, line->gsi, level);
	pthread_mutex_unlock(lock);
}

void irq_line__pulse(struct irq_line *line)
{
	irq_line__set(line, true);
	irq_line__set(line, false);
}

/* Everything below runs with the lock held, but for the exported functions. */

static struct kvm_irq_routing_entry *append(struct irq_router *router)
{
	unsigned int nr = router->table ? router->table->nr : 0;

	if (nr == router->capacity) {
		unsigned int capacity = nr ? nr * 2 : FIRST_ROUTES;
		struct kvm_irq_routing *table;

		table = realloc(router->table,
				sizeof(*table) + capacity * sizeof(table->entries[0]));
		if (!table)
			return NULL;
		if (!router->table)
			*table = (struct kvm_irq_routing){ 0 };
		router->table = table;
		router->capacity = capacity;
	}
	memset(&router->table->entries[nr], 0, sizeof(router->table->entries[nr]));
	router->table->nr = nr + 1;
	return &router->table->entries[nr];
}

static struct kvm_irq_routing_entry *find_msi(struct irq_router *router, unsigned int gsi)
{
	for (unsigned int i = 0; router->table && i < router->table->nr; i++) {
		struct kvm_irq_routing_entry *entry = &router->table->entries[i];

		if (entry->gsi == gsi && entry->type == KVM_IRQ_ROUTING_MSI)
			return entry;
	}
	return NULL;
}

static void drop(struct irq_router *router, struct kvm_irq_routing_entry *entry)
{
	*entry = router->table->entries[--router->table->nr];
}

/* Field by field into zeros: entries are compared as bytes, and unions leave some undefined. */
static void fill_msi(struct kvm_irq_routing_entry *entry, unsigned int gsi,
		     const struct msi_message *msg)
{
	memset(entry, 0, sizeof(*entry));
	entry->gsi = gsi;
	entry->type = KVM_IRQ_ROUTING_MSI;
	entry->flags = msg->devid ? KVM_MSI_VALID_DEVID : 0;
	entry->u.msi.address_lo = (uint32_t)msg->address;
	entry->u.msi.address_hi = (uint32_t)(msg->address >> 32);
	entry->u.msi.data = msg->data;
	entry->u.msi.devid = msg->devid;
}

static int commit(struct irq_router *router)
{
	static struct kvm_irq_routing none;
	struct kvm_irq_routing *table = router->table ? router->table : &none;

	return kvm__ioctl(router->kvm, KVM_SET_GSI_ROUTING, table, "KVM_SET_GSI_ROUTING");
}

static int commit_if_live(struct irq_router *router)
{
	return router->committed ? commit(router) : 0;
}

int irq__add_pin_route(struct irq_router *router, unsigned int gsi, unsigned int irqchip,
		       unsigned int pin)
{
	struct kvm_irq_routing_entry *entry;
	int ret = -ENOMEM;

	pthread_mutex_lock(&router->lock);
	entry = append(router);
	if (entry) {
		*entry = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = irqchip, .pin = pin },
		};
		ret = 0;
	}
	pthread_mutex_unlock(&router->lock);
	return ret;
}

int irq__commit(struct irq_router *router)
{
	int ret;

	pthread_mutex_lock(&router->lock);
	ret = commit(router);
	router->committed = !ret;
	pthread_mutex_unlock(&router->lock);
	return ret;
}

static bool translate(const struct irq_router *router, struct msi_message *msg)
{
	return !router->translate || router->translate(router->translate_ctx, msg);
}

static int unset_msi(struct irq_router *router, unsigned int gsi)
{
	struct kvm_irq_routing_entry *entry = find_msi(router, gsi);

	if (!entry)
		return 0;
	drop(router, entry);
	return commit_if_live(router);
}

/* Route @gsi to @msg; on failure of the commit the table is as it was. */
static int set_msi(struct irq_router *router, unsigned int gsi, const struct msi_message *msg)
{
	struct kvm_irq_routing_entry *entry = find_msi(router, gsi), wanted, before;
	struct msi_message translated = *msg;
	int ret;

	if (!translate(router, &translated))
		return unset_msi(router, gsi);
	fill_msi(&wanted, gsi, &translated);
	if (entry) {
		if (!memcmp(entry, &wanted, sizeof(wanted)))
			return 0;
		before = *entry;
		*entry = wanted;
		ret = commit_if_live(router);
		if (ret)
			*entry = before;
		return ret;
	}

	entry = append(router);
	if (!entry)
		return -ENOMEM;
	*entry = wanted;
	ret = commit_if_live(router);
	if (ret)
		drop(router, entry);
	return ret;
}

int irq__set_msi_route(struct irq_router *router, unsigned int gsi, const struct msi_message *msg)
{
	int ret;

	pthread_mutex_lock(&router->lock);
	ret = msg ? set_msi(router, gsi, msg) : unset_msi(router, gsi);
	pthread_mutex_unlock(&router->lock);
	return ret;
}

static bool is_used(const struct irq_router *router, unsigned int gsi)
{
	return router->msi_used[gsi / 8] & (1u << gsi % 8);
}

static void set_used(struct irq_router *router, unsigned int gsi, bool used)
{
	uint8_t bit = (uint8_t)(1u << gsi % 8);

	if (used)
		router->msi_used[gsi / 8] |= bit;
	else
		router->msi_used[gsi / 8] &= (uint8_t)~bit;
}

int irq__alloc_msi(struct irq_router *router, const struct msi_message *msg)
{
	unsigned int gsi;
	int ret = -ENOSPC;

	pthread_mutex_lock(&router->lock);
	for (gsi = router->first_msi; gsi < router->nr_gsis && is_used(router, gsi); gsi++)
		;
	if (gsi < router->nr_gsis)
		ret = set_msi(router, gsi, msg);
	if (!ret) {
		set_used(router, gsi, true);
		ret = (int)gsi;
	}
	pthread_mutex_unlock(&router->lock);
	return ret;
}

int irq__update_msi(struct irq_router *router, unsigned int gsi, const struct msi_message *msg)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&router->lock);
	if (gsi < router->nr_gsis && is_used(router, gsi))
		ret = set_msi(router, gsi, msg);
	pthread_mutex_unlock(&router->lock);
	return ret;
}

void irq__free_msi(struct irq_router *router, unsigned int gsi)
{
	struct kvm_irq_routing_entry *entry;

	pthread_mutex_lock(&router->lock);
	if (gsi < router->nr_gsis && is_used(router, gsi)) {
		set_used(router, gsi, false);
		/* No commit: a GSI that nothing signals may keep its route in KVM until the next
		 * change. */
		entry = find_msi(router, gsi);
		if (entry)
			drop(router, entry);
	}
	pthread_mutex_unlock(&router->lock);
}

int irq__signal_msi(struct irq_router *router, const struct msi_message *msg)
{
	struct msi_message translated = *msg;
	struct kvm_msi msi = { 0 };

	if (!translate(router, &translated))
		return 0;
	msi.address_lo = (uint32_t)translated.address;
	msi.address_hi = (uint32_t)(translated.address >> 32);
	msi.data = translated.data;
	msi.devid = translated.devid;
	msi.flags = translated.devid ? KVM_MSI_VALID_DEVID : 0;
	return sys__ioctl(router->kvm->vm_fd, KVM_SIGNAL_MSI, &msi);
}

int irq__add_irqfd(struct irq_router *router, unsigned int gsi, int fd, int resamplefd)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
		.flags = resamplefd >= 0 ? KVM_IRQFD_FLAG_RESAMPLE : 0,
		.resamplefd = resamplefd >= 0 ? (uint32_t)resamplefd : 0,
	};

	return sys__ioctl(router->kvm->vm_fd, KVM_IRQFD, &irqfd);
}

void irq__remove_irqfd(struct irq_router *router, unsigned int gsi, int fd)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
		.flags = KVM_IRQFD_FLAG_DEASSIGN,
	};

	sys__ioctl(router->kvm->vm_fd, KVM_IRQFD, &irqfd);
}
