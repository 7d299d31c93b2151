// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PCI host bridge and the common part of its functions (PCI Local Bus Specification 3.0; PCI
 * Firmware Specification 3.3 for the memory-mapped configuration space).
 *
 * Theory of operation: configuration space is four arrays: the bytes, which of their bits a write
 * changes, which a write of one clears, and what they are after a reset. Whoever builds a device
 * fills them in; a guest's write is masked through them, and then whatever hangs off the written
 * register is brought up to date: BARs, messages, pin. An access of any width and alignment is
 * first cut into aligned pieces of 1, 2 or 4 bytes, so hooks see no others.
 *
 * BARs: what a guest has written says where each one should be. settle_bars() compares that with
 * where it is and moves what differs: first everything leaves that must, then everything comes that
 * can. A BAR that would cover RAM or something else on the bus does not decode; it is tried again
 * whenever another BAR of any function has left its place, so the order in which a guest moves
 * several does not matter. Address 0 is where a BAR is that nobody has placed: it does not decode
 * there.
 *
 * After a reset BARs stand where firmware would have put them: each at the lowest address in its
 * window that no other has. 64-bit BARs of up to SMALL_BAR bytes go below 4 GiB where 32-bit
 * kernels reach them; larger ones above.
 */
#include "kvm/pci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/fate.h"
#include "kvm/hw/pci-internal.h"
#include "kvm/log.h"
#include "kvm/memory.h"

#define CONF1_BASE     0xcf8
#define CONF1_SIZE     8
#define CONF1_DATA     4 /* from here on it is the data */
#define CONF1_RESET    1 /* the reset register, when written as a byte */
#define CONF1_ENABLE   0x80000000u
#define CONF1_WRITABLE 0x80fffffcu
#define RESET_CPU      0x04
#define RESET_STORED   0x0a

#define ECAM_BUS_SHIFT	 20
#define ECAM_DEVFN_SHIFT 12

#define FIRST_CAP      0x40
#define CONVENTIONAL   0x100 /* where extended capabilities begin */
#define EXT_CAP_HEADER 4
#define MIN_MEM_ALIGN  0x1000 /* so that no page holds two BARs */
#define SMALL_BAR      (16ull << 20)
#define ROM_ADDRESS    0xfffff800u
#define MULTI_FUNCTION 0x80

#define COMMAND_WRITABLE                                                                 \
	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | \
	 PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE)
#define STATUS_CLEARABLE 0xf900

/* Red Hat's generic host bridge (QEMU, docs/specs/pci-ids.rst): no kernel works around its errata.
 */
static const struct pci_ids bridge_ids = {
	.vendor = 0x1b36,
	.device = 0x0008,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class = 0x060000,
};

struct pci_host {
	struct pci_device bridge;
	struct pci_host_config cfg;
	struct bus_region conf1, ecam;
	pthread_mutex_t config_lock; /* configuration spaces, slots, and the two registers */
	struct pci_device *function[PCI_NR_DEVFNS];
	uint32_t conf1_address;
	uint8_t reset_control;
	pthread_mutex_t map_lock; /* where BARs are, and their ioeventfds */
};

/* --- configuration space --- */

static bool touches_bars(uint32_t offset, uint32_t len)
{
	return pci_config__touches(offset, len, PCI_COMMAND, 2) ||
	       pci_config__touches(offset, len, PCI_BASE_ADDRESS_0, 24) ||
	       pci_config__touches(offset, len, PCI_ROM_ADDRESS, 4);
}

static void settle_bars(struct pci_device *dev);
static void settle_intx(struct pci_device *dev);

static void publish_command(struct pci_device *dev)
{
	atomic_store_explicit(&dev->command, (unsigned int)pci_config__get(dev, PCI_COMMAND, 2),
			      memory_order_relaxed);
}

uint32_t pci_config__read(struct pci_device *dev, uint32_t offset, uint32_t len)
{
	if (pci_config__touches(offset, len, PCI_STATUS, 1)) {
		dev->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
		if (atomic_load(&dev->intx_asserted))
			dev->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	}
	pci_msi__config_reading(dev, offset, len);
	return (uint32_t)pci_config__get(dev, offset, len);
}

void pci_config__write(struct pci_device *dev, uint32_t offset, uint32_t value, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)(value >> 8 * i);
		uint8_t *at = &dev->config[offset + i], writable = dev->writable[offset + i];

		*at = (uint8_t)((*at & ~writable) | (byte & writable));
		*at &= (uint8_t) ~(byte & dev->clearable[offset + i]);
	}

	publish_command(dev);
	if (touches_bars(offset, len))
		settle_bars(dev);
	pci_msi__config_written(dev, offset, len);
	settle_intx(dev);
}

static uint32_t piece(uint64_t offset, uint32_t len)
{
	uint32_t size = 4;

	while (size > len || offset & (size - 1))
		size /= 2;
	return size;
}

static bool is_config_range(unsigned int devfn, uint64_t offset, uint32_t len)
{
	return devfn < PCI_NR_DEVFNS && offset < PCI_CONFIG_SIZE && len <= PCI_CONFIG_SIZE - offset;
}

void pci_host__config_read(struct pci_host *pci, unsigned int devfn, uint64_t offset, void *data,
			   uint32_t len)
{
	struct pci_device *dev;
	uint8_t *bytes = data;

	memset(data, 0xff, len);
	if (!is_config_range(devfn, offset, len))
		return;

	pthread_mutex_lock(&pci->config_lock);
	dev = pci->function[devfn];
	for (uint32_t size, at = 0; dev && at < len; at += size) {
		uint32_t reg = (uint32_t)offset + at, value;

		size = piece(reg, len - at);
		if (dev->ops && dev->ops->config_read)
			value = dev->ops->config_read(dev, reg, size);
		else
			value = pci_config__read(dev, reg, size);
		io__put(&bytes[at], size, value);
	}
	pthread_mutex_unlock(&pci->config_lock);
}

void pci_host__config_write(struct pci_host *pci, unsigned int devfn, uint64_t offset,
			    const void *data, uint32_t len)
{
	struct pci_device *dev;
	const uint8_t *bytes = data;

	if (!is_config_range(devfn, offset, len))
		return;

	pthread_mutex_lock(&pci->config_lock);
	dev = pci->function[devfn];
	for (uint32_t size, at = 0; dev && at < len; at += size) {
		uint32_t reg = (uint32_t)offset + at, value;

		size = piece(reg, len - at);
		value = (uint32_t)io__get(&bytes[at], size);
		if (dev->ops && dev->ops->config_write)
			dev->ops->config_write(dev, reg, value, size);
		else
			pci_config__write(dev, reg, value, size);
	}
	pthread_mutex_unlock(&pci->config_lock);
}

/* --- capabilities --- */

int pci__add_cap(struct pci_device *dev, uint8_t id, unsigned int size)
{
	unsigned int at = dev->cap_end;

	if (size < PCI_CAP_SIZEOF || size > CONVENTIONAL - at)
		return -ENOSPC;
	if (dev->last_cap)
		dev->config[dev->last_cap + PCI_CAP_LIST_NEXT] = (uint8_t)at;
	else
		dev->config[PCI_CAPABILITY_LIST] = (uint8_t)at;
	dev->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	dev->config[at + PCI_CAP_LIST_ID] = id;
	dev->last_cap = at;
	dev->cap_end = at + ((size + 3) & ~3u);
	return (int)at;
}

/* The first one must be at 0x100, where a list that has none is all zero. */
int pci__add_ext_cap(struct pci_device *dev, uint16_t id, unsigned int version, unsigned int size)
{
	unsigned int at = dev->ext_cap_end, last = dev->last_ext_cap;

	if (size < EXT_CAP_HEADER || size > PCI_CONFIG_SIZE - at)
		return -ENOSPC;
	if (last)
		pci_config__set(dev, last, 4, pci_config__get(dev, last, 4) | at << 20);
	pci_config__set(dev, at, 4, id | (version & 0xf) << 16);
	dev->last_ext_cap = at;
	dev->ext_cap_end = at + ((size + 3) & ~3u);
	return (int)at;
}

unsigned int pci__find_cap(const struct pci_device *dev, uint8_t id)
{
	unsigned int at = dev->config[PCI_CAPABILITY_LIST];

	for (unsigned int i = 0; at && i < CONVENTIONAL / 4; i++) {
		if (dev->config[at + PCI_CAP_LIST_ID] == id)
			return at;
		at = dev->config[at + PCI_CAP_LIST_NEXT];
	}
	return 0;
}

/* --- BARs --- */

static uint32_t bar_register(unsigned int bar)
{
	return bar == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;
}

static uint32_t bar_width(const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_MEM64 ? 8 : 4;
}

static uint64_t bar_flags(const struct pci_bar *bar)
{
	uint64_t flags = bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0;

	switch (bar->kind) {
	case PCI_BAR_IO:
		return PCI_BASE_ADDRESS_SPACE_IO;
	case PCI_BAR_MEM32:
		return flags | PCI_BASE_ADDRESS_MEM_TYPE_32;
	case PCI_BAR_MEM64:
		return flags | PCI_BASE_ADDRESS_MEM_TYPE_64;
	default:
		return 0;
	}
}

static enum bus_space bar_space(const struct pci_device *dev, const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_IO ? dev->pci->cfg.io_space : BUS_MMIO;
}

int pci__add_bar(struct pci_device *dev, unsigned int bar, enum pci_bar_kind kind,
		 bool prefetchable, const struct bus_region *region)
{
	static const unsigned int least[] = {
		[PCI_BAR_IO] = 4,
		[PCI_BAR_MEM32] = 16,
		[PCI_BAR_MEM64] = 16,
		[PCI_BAR_ROM] = 2048,
	};
	uint64_t size = region->size, mask = ~(size - 1);
	struct pci_bar *b;

	if (bar >= PCI_NR_BARS || kind == PCI_BAR_NONE ||
	    (bar == PCI_ROM_BAR) != (kind == PCI_BAR_ROM))
		return -EINVAL;
	b = &dev->bar[bar];
	if (b->kind != PCI_BAR_NONE || (bar && dev->bar[bar - 1].kind == PCI_BAR_MEM64))
		return -EINVAL;
	if (kind == PCI_BAR_MEM64 && (bar >= 5 || b[1].kind != PCI_BAR_NONE))
		return -EINVAL;
	if (size < least[kind] || size & (size - 1) || (kind != PCI_BAR_MEM64 && size > 0x80000000))
		return -EINVAL;

	b->kind = kind;
	b->prefetchable = prefetchable;
	b->region = *region;
	if (kind == PCI_BAR_ROM)
		mask |= PCI_ROM_ADDRESS_ENABLE;
	pci_config__set(dev, bar_register(bar), bar_width(b), bar_flags(b));
	pci_config__set_writable(dev, bar_register(bar), bar_width(b), mask);
	return 0;
}

static bool bar_enabled(const struct pci_device *dev, unsigned int bar)
{
	unsigned int command = dev->config[PCI_COMMAND];

	switch (dev->bar[bar].kind) {
	case PCI_BAR_IO:
		return command & PCI_COMMAND_IO;
	case PCI_BAR_MEM32:
	case PCI_BAR_MEM64:
		return command & PCI_COMMAND_MEMORY;
	case PCI_BAR_ROM:
		return command & PCI_COMMAND_MEMORY &&
		       dev->config[PCI_ROM_ADDRESS] & PCI_ROM_ADDRESS_ENABLE;
	default:
		return false;
	}
}

static uint64_t bar_address(const struct pci_device *dev, unsigned int bar)
{
	const struct pci_bar *b = &dev->bar[bar];

	return pci_config__get(dev, bar_register(bar), bar_width(b)) & ~(b->region.size - 1);
}

static bool in_window(const struct pci_window *w, uint64_t address, uint64_t size)
{
	return w->size >= size && address >= w->base && address - w->base <= w->size - size;
}

/* From a bus address to the CPU's. Where the two are the same, windows bind nobody. */
static bool translate(const struct pci_host_config *cfg, enum pci_bar_kind kind, uint64_t address,
		      uint64_t size, uint64_t *cpu)
{
	const struct pci_window *windows[] = { &cfg->mem32, &cfg->mem64, &cfg->io };
	unsigned int first = kind == PCI_BAR_IO ? 2 : 0, last = kind == PCI_BAR_IO ? 2 : 1;
	bool identity = true;

	for (unsigned int i = first; i <= last; i++) {
		if (in_window(windows[i], address, size)) {
			*cpu = address + windows[i]->cpu_offset;
			return true;
		}
		if (windows[i]->cpu_offset)
			identity = false;
	}
	*cpu = address;
	return identity;
}

static bool overlaps_ram(const struct guest_memory *ram, uint64_t address, uint64_t size)
{
	for (unsigned int i = 0; ram && i < ram->nr; i++) {
		const struct memory_region *r = &ram->region[i];

		if (address < r->gpa ? r->gpa - address < size : address - r->gpa < r->size)
			return true;
	}
	return false;
}

/* Where the guest wants the BAR to answer, if at all. */
static bool bar_target(const struct pci_device *dev, unsigned int bar, uint64_t *cpu)
{
	const struct pci_bar *b = &dev->bar[bar];
	uint64_t address;

	if (!bar_enabled(dev, bar))
		return false;
	address = bar_address(dev, bar);
	if (!address || !translate(&dev->pci->cfg, b->kind, address, b->region.size, cpu))
		return false;
	return bar_space(dev, b) != BUS_MMIO ||
	       !overlaps_ram(dev->dev.host->ram, *cpu, b->region.size);
}

/* From here to settle_bars(): with the map lock held. */

static void activate(struct pci_device *dev, const struct pci_bar *bar, struct pci_ioeventfd *ev)
{
	ev->active = !bus__add_ioeventfd(dev->dev.host->bus, bar_space(dev, bar),
					 bar->region.base + ev->offset, ev->len,
					 ev->match ? &ev->datamatch : NULL, ev->fd);
}

static void deactivate(struct pci_device *dev, const struct pci_bar *bar, struct pci_ioeventfd *ev)
{
	if (ev->active)
		bus__remove_ioeventfd(dev->dev.host->bus, bar_space(dev, bar),
				      bar->region.base + ev->offset, ev->len,
				      ev->match ? &ev->datamatch : NULL, ev->fd);
	ev->active = false;
}

static void unmap_bar(struct pci_device *dev, unsigned int bar)
{
	struct pci_bar *b = &dev->bar[bar];

	if (!b->mapped)
		return;
	for (struct pci_ioeventfd *ev = b->ioeventfds; ev; ev = ev->next)
		deactivate(dev, b, ev);
	if (dev->ops && dev->ops->bar_unmap)
		dev->ops->bar_unmap(dev, bar, b->region.base);
	bus__remove(dev->dev.host->bus, bar_space(dev, b), &b->region);
	b->mapped = false;
}

static void map_bar(struct pci_device *dev, unsigned int bar)
{
	struct pci_bar *b = &dev->bar[bar];
	uint64_t cpu;

	if (b->mapped || !bar_target(dev, bar, &cpu))
		return;
	if (bus__move(dev->dev.host->bus, bar_space(dev, b), &b->region, cpu))
		return;
	if (dev->ops && dev->ops->bar_map && dev->ops->bar_map(dev, bar, cpu)) {
		bus__remove(dev->dev.host->bus, bar_space(dev, b), &b->region);
		return;
	}
	b->mapped = true;
	for (struct pci_ioeventfd *ev = b->ioeventfds; ev; ev = ev->next)
		activate(dev, b, ev);
}

static void map_bars(struct pci_device *dev)
{
	for (unsigned int i = 0; i < PCI_NR_BARS; i++)
		map_bar(dev, i);
}

static bool unmap_moved_bars(struct pci_device *dev)
{
	bool left = false;

	for (unsigned int i = 0; i < PCI_NR_BARS; i++) {
		struct pci_bar *b = &dev->bar[i];
		uint64_t cpu;

		if (!b->mapped || (bar_target(dev, i, &cpu) && cpu == b->region.base))
			continue;
		unmap_bar(dev, i);
		left = true;
	}
	return left;
}

static void settle_bars(struct pci_device *dev)
{
	struct pci_host *pci = dev->pci;
	bool left;

	pthread_mutex_lock(&pci->map_lock);
	left = unmap_moved_bars(dev);
	map_bars(dev);
	for (unsigned int i = 0; left && i < PCI_NR_DEVFNS; i++) {
		if (pci->function[i] && pci->function[i] != dev)
			map_bars(pci->function[i]);
	}
	pthread_mutex_unlock(&pci->map_lock);
}

void pci__add_ioeventfd(struct pci_device *dev, struct pci_ioeventfd *ev)
{
	struct pci_bar *b = &dev->bar[ev->bar];

	pthread_mutex_lock(&dev->pci->map_lock);
	ev->next = b->ioeventfds;
	b->ioeventfds = ev;
	ev->active = false;
	if (b->mapped)
		activate(dev, b, ev);
	pthread_mutex_unlock(&dev->pci->map_lock);
}

void pci__remove_ioeventfd(struct pci_device *dev, struct pci_ioeventfd *ev)
{
	struct pci_bar *b = &dev->bar[ev->bar];
	struct pci_ioeventfd **at = &b->ioeventfds;

	pthread_mutex_lock(&dev->pci->map_lock);
	while (*at && *at != ev)
		at = &(*at)->next;
	if (*at) {
		*at = ev->next;
		deactivate(dev, b, ev);
	}
	pthread_mutex_unlock(&dev->pci->map_lock);
}

/* --- addresses, as firmware gives them --- */

static uint64_t room_for(const struct pci_bar *bar)
{
	if (bar->kind != PCI_BAR_IO && bar->region.size < MIN_MEM_ALIGN)
		return MIN_MEM_ALIGN;
	return bar->region.size;
}

/* The end of an assigned BAR that meets the range, or 0. */
static uint64_t end_of_obstacle(const struct pci_host *pci, bool io, uint64_t at, uint64_t size)
{
	for (unsigned int i = 0; i < PCI_NR_DEVFNS * PCI_NR_BARS; i++) {
		const struct pci_device *dev = pci->function[i / PCI_NR_BARS];
		const struct pci_bar *bar = dev ? &dev->bar[i % PCI_NR_BARS] : NULL;

		if (bar && bar->assigned && (bar->kind == PCI_BAR_IO) == io &&
		    at < bar->assigned + room_for(bar) && bar->assigned < at + size)
			return bar->assigned + room_for(bar);
	}
	return 0;
}

static uint64_t align_up(uint64_t value, uint64_t size)
{
	return (value + size - 1) & ~(size - 1);
}

/* Each obstacle is passed but once, so this ends. */
static uint64_t find_room(const struct pci_host *pci, const struct pci_window *w,
			  const struct pci_bar *bar)
{
	uint64_t size = room_for(bar), at = align_up(w->base, size), end;

	while (in_window(w, at, size)) {
		end = end_of_obstacle(pci, bar->kind == PCI_BAR_IO, at, size);
		if (!end)
			return at;
		at = align_up(end, size);
	}
	return 0;
}

static uint64_t choose_address(const struct pci_host *pci, const struct pci_bar *bar)
{
	const struct pci_host_config *cfg = &pci->cfg;
	const struct pci_window *first = &cfg->mem32, *second = &cfg->mem64;
	uint64_t address;

	if (bar->kind == PCI_BAR_IO)
		return find_room(pci, &cfg->io, bar);
	if (bar->kind != PCI_BAR_MEM64)
		return find_room(pci, &cfg->mem32, bar);
	if (bar->region.size > SMALL_BAR) {
		first = &cfg->mem64;
		second = &cfg->mem32;
	}
	address = find_room(pci, first, bar);
	return address ? address : find_room(pci, second, bar);
}

static void assign_bars(struct pci_device *dev)
{
	for (unsigned int i = 0; i < PCI_NR_BARS; i++) {
		struct pci_bar *bar = &dev->bar[i];

		if (bar->kind == PCI_BAR_NONE)
			continue;
		bar->assigned = choose_address(dev->pci, bar);
		if (!bar->assigned)
			pr_warn("%s: no room in the PCI windows for BAR %u (%#llx bytes): the "
				"guest "
				"has to place it",
				dev->dev.name, i, (unsigned long long)bar->region.size);
		pci_config__set(dev, bar_register(i), bar_width(bar),
				bar->assigned | bar_flags(bar));
		if (bar->kind == PCI_BAR_IO)
			dev->config[PCI_COMMAND] |= PCI_COMMAND_IO;
		else
			dev->config[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	}
}

/* --- interrupt pins --- */

unsigned int pci_host__intx_gsi(const struct pci_host *pci, unsigned int devfn, unsigned int pin)
{
	return pci->cfg.gsi[(PCI_SLOT(devfn) + pin - 1) % pci->cfg.nr_gsis];
}

static void wire_pin(struct pci_device *dev)
{
	unsigned int pin = dev->config[PCI_INTERRUPT_PIN], gsi;

	if (!pin || pin > 4 || !dev->pci->cfg.nr_gsis) {
		dev->config[PCI_INTERRUPT_PIN] = 0;
		return;
	}
	gsi = pci_host__intx_gsi(dev->pci, dev->devfn, pin);
	irq_line__init(&dev->intx, dev->dev.host->irq, gsi);
	dev->config[PCI_INTERRUPT_LINE] = (uint8_t)gsi;
}

static void settle_intx(struct pci_device *dev)
{
	bool disabled;

	if (!dev->intx.router)
		return;
	pthread_mutex_lock(&dev->intx_lock);
	disabled = atomic_load_explicit(&dev->command, memory_order_relaxed) &
			   PCI_COMMAND_INTX_DISABLE ||
		   pci_msi__is_enabled(dev);
	irq_line__set(&dev->intx, atomic_load(&dev->intx_asserted) && !disabled);
	pthread_mutex_unlock(&dev->intx_lock);
}

void pci_device__set_intx(struct pci_device *dev, bool level)
{
	atomic_store(&dev->intx_asserted, level);
	settle_intx(dev);
}

/* --- the life of a function --- */

void pci_device__init(struct pci_device *dev, struct pci_host *pci, const struct device_ops *ops,
		      const char *name, const struct pci_ids *ids)
{
	dev->dev.ops = ops;
	dev->dev.host = pci->bridge.dev.host;
	snprintf(dev->dev.name, sizeof(dev->dev.name), "%s", name);
	dev->pci = pci;
	dev->cap_end = FIRST_CAP;
	dev->ext_cap_end = CONVENTIONAL;
	pthread_mutex_init(&dev->intx_lock, NULL);

	pci_config__set(dev, PCI_VENDOR_ID, 2, ids->vendor);
	pci_config__set(dev, PCI_DEVICE_ID, 2, ids->device);
	pci_config__set(dev, PCI_CLASS_REVISION, 4, ids->class << 8 | ids->revision);
	pci_config__set(dev, PCI_SUBSYSTEM_VENDOR_ID, 2, ids->subsystem_vendor);
	pci_config__set(dev, PCI_SUBSYSTEM_ID, 2, ids->subsystem);

	pci_config__set_writable(dev, PCI_COMMAND, 2, COMMAND_WRITABLE);
	pci_config__set_writable(dev, PCI_CACHE_LINE_SIZE, 1, 0xff);
	pci_config__set_writable(dev, PCI_INTERRUPT_LINE, 1, 0xff);
	io__put(&dev->clearable[PCI_STATUS], 2, STATUS_CLEARABLE);
}

static int choose_devfn(const struct pci_host *pci, int devfn)
{
	if (devfn != PCI_ANY_DEVFN) {
		if (devfn < 0 || devfn >= PCI_NR_DEVFNS)
			return -EINVAL;
		return pci->function[devfn] ? -EEXIST : devfn;
	}
	for (devfn = 0; devfn < PCI_NR_DEVFNS; devfn += 8) {
		bool used = false;

		for (int i = 0; i < 8; i++)
			used |= pci->function[devfn + i] != NULL;
		if (!used)
			return devfn;
	}
	return -ENOSPC;
}

/* A guest looks for functions 1 to 7 only if function 0 says that there are some. */
static void mark_multi_function(struct pci_host *pci, unsigned int slot)
{
	struct pci_device *zero = pci->function[PCI_DEVFN(slot, 0)];

	for (unsigned int i = 1; zero && i < 8; i++) {
		if (!pci->function[PCI_DEVFN(slot, i)])
			continue;
		zero->config[PCI_HEADER_TYPE] |= MULTI_FUNCTION;
		zero->power_on[PCI_HEADER_TYPE] |= MULTI_FUNCTION;
	}
}

int pci_device__realize(struct pci_device *dev, int devfn)
{
	struct pci_host *pci = dev->pci;
	int place;

	pthread_mutex_lock(&pci->config_lock);
	place = choose_devfn(pci, devfn);
	if (place >= 0) {
		dev->devfn = (unsigned int)place;
		pci->function[place] = dev;
		wire_pin(dev);
		assign_bars(dev);
		memcpy(dev->power_on, dev->config, sizeof(dev->power_on));
		mark_multi_function(pci, PCI_SLOT(dev->devfn));
	}
	pthread_mutex_unlock(&pci->config_lock);

	if (place == -ENOSPC)
		pr_fatal("%s: all 32 slots of the PCI bus are taken", dev->dev.name);
	else if (place < 0)
		pr_fatal("%s: cannot be PCI function 00:%02x.%x: %s", dev->dev.name,
			 PCI_SLOT((unsigned int)devfn), PCI_FUNC((unsigned int)devfn),
			 strerror(-place));
	return place < 0 ? place : 0;
}

void pci_device__reset(struct pci_device *dev)
{
	struct pci_host *pci = dev->pci;

	pthread_mutex_lock(&pci->config_lock);
	memcpy(dev->config, dev->power_on, sizeof(dev->config));
	publish_command(dev);
	settle_bars(dev);
	pci_msi__reset(dev);
	atomic_store(&dev->intx_asserted, false);
	settle_intx(dev);
	pthread_mutex_unlock(&pci->config_lock);
}

void pci_device__unrealize(struct pci_device *dev)
{
	struct pci_host *pci = dev->pci;

	pci_device__set_intx(dev, false);
	pthread_mutex_lock(&pci->config_lock);
	pthread_mutex_lock(&pci->map_lock);
	for (unsigned int i = 0; i < PCI_NR_BARS; i++)
		unmap_bar(dev, i);
	pthread_mutex_unlock(&pci->map_lock);
	if (pci->function[dev->devfn] == dev)
		pci->function[dev->devfn] = NULL;
	pthread_mutex_unlock(&pci->config_lock);
	pci_msi__destroy(dev);
	pthread_mutex_destroy(&dev->intx_lock);
}

/* --- the host bridge --- */

bool pci_host__has_msi(const struct pci_host *pci)
{
	return pci->cfg.msi;
}

/* Which register a mechanism #1 data access at @offset (4 to 7) means. */
static bool conf1_target(struct pci_host *pci, uint64_t offset, unsigned int *devfn, uint32_t *reg)
{
	uint32_t address;

	pthread_mutex_lock(&pci->config_lock);
	address = pci->conf1_address;
	pthread_mutex_unlock(&pci->config_lock);

	*devfn = address >> 8 & 0xff;
	*reg = (address & 0xfc) | (uint32_t)(offset - CONF1_DATA);
	return address & CONF1_ENABLE && !(address >> 16 & 0xff);
}

static void conf1_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct pci_host *pci = ctx;
	unsigned int devfn;
	uint32_t reg;

	memset(data, 0xff, len);
	if (offset >= CONF1_DATA) {
		if (conf1_target(pci, offset, &devfn, &reg))
			pci_host__config_read(pci, devfn, reg, data, len);
		return;
	}
	pthread_mutex_lock(&pci->config_lock);
	if (!offset && len == 4)
		io__put(data, len, pci->conf1_address);
	else if (offset == CONF1_RESET && len == 1)
		io__put(data, len, pci->reset_control);
	pthread_mutex_unlock(&pci->config_lock);
}

static void conf1_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct pci_host *pci = ctx;
	uint32_t value = (uint32_t)io__get(data, len), reg;
	unsigned int devfn;
	bool reset = false;

	if (offset >= CONF1_DATA) {
		if (conf1_target(pci, offset, &devfn, &reg))
			pci_host__config_write(pci, devfn, reg, data, len);
		return;
	}
	pthread_mutex_lock(&pci->config_lock);
	if (!offset && len == 4) {
		pci->conf1_address = value & CONF1_WRITABLE;
	} else if (offset == CONF1_RESET && len == 1) {
		pci->reset_control = value & RESET_STORED;
		reset = value & RESET_CPU;
	}
	pthread_mutex_unlock(&pci->config_lock);

	if (reset)
		fate__report(pci->bridge.dev.host->fate, FATE_RESET, 0);
}

static void ecam_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	uint64_t reg = offset & (PCI_CONFIG_SIZE - 1);

	memset(data, 0xff, len);
	if (!(offset >> ECAM_BUS_SHIFT))
		pci_host__config_read(ctx, (unsigned int)(offset >> ECAM_DEVFN_SHIFT), reg, data,
				      len);
}

static void ecam_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	uint64_t reg = offset & (PCI_CONFIG_SIZE - 1);

	if (!(offset >> ECAM_BUS_SHIFT))
		pci_host__config_write(ctx, (unsigned int)(offset >> ECAM_DEVFN_SHIFT), reg, data,
				       len);
}

static void host_reset(struct device *dev)
{
	struct pci_host *pci = pci_host__from(dev);

	pthread_mutex_lock(&pci->config_lock);
	pci->conf1_address = 0;
	pci->reset_control = 0;
	pthread_mutex_unlock(&pci->config_lock);
	pci_device__reset(&pci->bridge);
}

static int host_realize(struct device *dev)
{
	struct pci_host *pci = pci_host__from(dev);
	int ret = 0;

	if (pci->cfg.conf1)
		ret = bus__add(dev->host->bus, BUS_PIO, &pci->conf1);
	if (!ret && pci->ecam.size)
		ret = bus__add(dev->host->bus, BUS_MMIO, &pci->ecam);
	if (ret) {
		pr_fatal("%s: cannot claim the PCI configuration ports or addresses: %s", dev->name,
			 strerror(-ret));
		return ret;
	}
	return pci_device__realize(&pci->bridge, PCI_DEVFN(0, 0));
}

static void host_unrealize(struct device *dev)
{
	struct pci_host *pci = pci_host__from(dev);

	pci_device__unrealize(&pci->bridge);
	bus__remove(dev->host->bus, BUS_PIO, &pci->conf1);
	bus__remove(dev->host->bus, BUS_MMIO, &pci->ecam);
	pthread_mutex_destroy(&pci->map_lock);
	pthread_mutex_destroy(&pci->config_lock);
	free(pci);
}

static const struct device_ops host_ops = {
	.kind = "pci-host",
	.realize = host_realize,
	.reset = host_reset,
	.unrealize = host_unrealize,
};

struct pci_host *pci_host__from(struct device *dev)
{
	return (struct pci_host *)dev;
}

struct device *pci_host__create(const struct device_host *host, const struct pci_host_config *cfg)
{
	struct pci_host *pci = calloc(1, sizeof(*pci));

	if (!pci)
		return NULL;
	pci->cfg = *cfg;
	if (pci->cfg.nr_gsis > PCI_MAX_GSIS)
		pci->cfg.nr_gsis = PCI_MAX_GSIS;
	pci->conf1 = (struct bus_region){ .base = CONF1_BASE,
					  .size = CONF1_SIZE,
					  .read = conf1_read,
					  .write = conf1_write,
					  .ctx = pci,
					  .name = "PCI configuration" };
	pci->ecam = (struct bus_region){ .base = cfg->ecam_base,
					 .size = cfg->ecam_size,
					 .read = ecam_read,
					 .write = ecam_write,
					 .ctx = pci,
					 .name = "PCI configuration" };
	pthread_mutex_init(&pci->config_lock, NULL);
	pthread_mutex_init(&pci->map_lock, NULL);
	pci->bridge.dev.host = host;
	pci_device__init(&pci->bridge, pci, &host_ops, "pci-host", &bridge_ids);
	return &pci->bridge.dev;
}
