// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MSI and MSI-X of emulated PCI devices (PCI Local Bus Specification 3.0, section 6.8).
 *
 * Theory of operation. A vector is open when the guest has enabled the capability, lets the device
 * write to memory (bus master), and masks neither the function nor the vector. One function,
 * settle(), makes a vector's outward state agree with what the guest has programmed; it runs after
 * every write that may change it:
 *
 *	            signal                      becomes open             becomes closed
 *	disabled    refused: use the pin        -                        -
 *	closed      pending                     deliver what is pending  -
 *	open        deliver the message         new message: re-route    -
 *
 * MSI without PCI_MSI_FLAGS_MASKBIT has no vector masks: its vectors are open as soon as it is
 * enabled. If the guest enables fewer MSI vectors than there are, the rest share theirs by the low
 * bits of their number; it never gets more.
 *
 * A vector with a descriptor (pci_msi__eventfd()) has a GSI of its own, routed to its message, and
 * an irqfd while it is open. While it is closed the irqfd is detached and the descriptor's own
 * counter is the pending bit: whoever signals need not know about masks, and KVM delivers a
 * descriptor that has been written to when the irqfd is attached again.
 */
#include "kvm/pci.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm/hw/pci-internal.h"
#include "kvm/irq.h"
#include "kvm/log.h"
#include "kvm/sys.h"

#define MSI_MAX_VECTORS	 32
#define MSIX_MAX_VECTORS 2048
#define PBA_WORD_BITS	 64

struct msi_vector {
	bool pending; /* of a vector without descriptor */
	int fd;	      /* its descriptor, or -1 */
	int gsi;      /* routed to its message, or -1 */
	bool attached;
	bool warned;
};

/* What the guest has programmed. */
struct msi_state {
	bool enabled;
	bool bus_master;
	bool function_masked; /* MSI-X */
	unsigned int nr;      /* vectors enabled: MSI */
	uint64_t address;     /* MSI */
	uint32_t data;	      /* MSI */
	uint32_t mask;	      /* MSI */
};

struct pci_msi {
	struct pci_device *dev;
	bool is_msix;
	uint16_t flags; /* MSI: of the capability */
	unsigned int cap;
	unsigned int nr;
	uint32_t table_at, pba_at; /* MSI-X: offsets in their BAR */
	atomic_bool enabled;
	pthread_mutex_t lock; /* all below */
	struct msi_state s;
	uint8_t *table; /* MSI-X */
	struct msi_vector vector[];
};

/* --- what the guest has programmed, read back --- */

static uint8_t *table_entry(const struct pci_msi *msi, unsigned int nr)
{
	return &msi->table[nr * PCI_MSIX_ENTRY_SIZE];
}

/* The MSI vector that stands in for @nr while not all are enabled. */
static unsigned int shared(const struct pci_msi *msi, unsigned int nr)
{
	return nr & (msi->s.nr - 1);
}

static struct msi_message message(const struct pci_msi *msi, unsigned int nr)
{
	const uint8_t *entry;

	if (!msi->is_msix)
		return (struct msi_message){
			.address = msi->s.address,
			.data = (msi->s.data & ~(msi->s.nr - 1)) | shared(msi, nr),
		};
	entry = table_entry(msi, nr);
	return (struct msi_message){
		.address = io__get(&entry[PCI_MSIX_ENTRY_LOWER_ADDR], 8),
		.data = (uint32_t)io__get(&entry[PCI_MSIX_ENTRY_DATA], 4),
	};
}

static bool is_open(const struct pci_msi *msi, unsigned int nr)
{
	if (!msi->s.enabled || !msi->s.bus_master)
		return false;
	if (!msi->is_msix)
		return !(msi->s.mask >> shared(msi, nr) & 1);
	return !msi->s.function_masked &&
	       !(table_entry(msi, nr)[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static bool is_pending(const struct msi_vector *v)
{
	struct pollfd written = { .fd = v->fd, .events = POLLIN };

	if (v->fd < 0)
		return v->pending;
	return !v->attached && poll(&written, 1, 0) == 1;
}

/* --- the state machine --- */

static void write_fd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it could not be more pending */
}

static void drain_fd(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; /* nothing in it */
}

static int attach(struct pci_msi *msi, struct msi_vector *v, const struct msi_message *msg)
{
	struct irq_router *router = msi->dev->dev.host->irq;
	int ret;

	if (v->gsi < 0) {
		ret = irq__alloc_msi(router, msg);
		if (ret < 0)
			return ret;
		v->gsi = ret;
	} else {
		ret = irq__update_msi(router, (unsigned int)v->gsi, msg);
		if (ret)
			return ret;
	}
	if (v->attached)
		return 0;
	ret = irq__add_irqfd(router, (unsigned int)v->gsi, v->fd, -1);
	v->attached = !ret;
	return ret;
}

static void detach(struct pci_msi *msi, struct msi_vector *v)
{
	if (v->attached)
		irq__remove_irqfd(msi->dev->dev.host->irq, (unsigned int)v->gsi, v->fd);
	v->attached = false;
}

static void deliver(struct pci_msi *msi, unsigned int nr)
{
	struct msi_message msg = message(msi, nr);

	irq__signal_msi(msi->dev->dev.host->irq, &msg);
}

static void settle(struct pci_msi *msi, unsigned int nr)
{
	struct msi_vector *v = &msi->vector[nr];
	struct msi_message msg;
	int ret;

	if (!is_open(msi, nr)) {
		detach(msi, v);
		return;
	}
	if (v->fd < 0) {
		if (v->pending)
			deliver(msi, nr);
		v->pending = false;
		return;
	}
	msg = message(msi, nr);
	ret = attach(msi, v, &msg);
	if (ret && !v->warned) {
		v->warned = true;
		pr_warn("%s: interrupt vector %u does not reach the guest: KVM cannot route it: %s",
			msi->dev->dev.name, nr, strerror(-ret));
	}
}

static void settle_all(struct pci_msi *msi)
{
	for (unsigned int i = 0; i < msi->nr; i++)
		settle(msi, i);
}

bool pci_msi__signal(struct pci_device *dev, unsigned int vector)
{
	struct pci_msi *msi = dev->msi;
	bool enabled;

	if (!pci_msi__is_enabled(dev))
		return false;
	if (vector >= msi->nr)
		return true;

	pthread_mutex_lock(&msi->lock);
	enabled = msi->s.enabled;
	if (is_open(msi, vector))
		deliver(msi, vector);
	else if (enabled && msi->vector[vector].fd >= 0)
		write_fd(msi->vector[vector].fd);
	else if (enabled)
		msi->vector[vector].pending = true;
	pthread_mutex_unlock(&msi->lock);
	return enabled;
}

int pci_msi__eventfd(struct pci_device *dev, unsigned int vector)
{
	struct pci_msi *msi = dev->msi;
	struct msi_vector *v;
	int fd;

	if (!msi || vector >= msi->nr)
		return -EINVAL;

	pthread_mutex_lock(&msi->lock);
	v = &msi->vector[vector];
	fd = v->fd >= 0 ? v->fd : sys__eventfd();
	if (v->fd < 0 && fd >= 0) {
		v->fd = fd;
		if (v->pending)
			write_fd(fd);
		v->pending = false;
		settle(msi, vector);
	}
	pthread_mutex_unlock(&msi->lock);
	return fd;
}

bool pci_msi__is_enabled(struct pci_device *dev)
{
	return dev->msi && atomic_load_explicit(&dev->msi->enabled, memory_order_relaxed);
}

/* --- configuration space --- */

/* Registers of the MSI capability behind the address, which come later if that has 64 bits. */
static unsigned int msi_register(const struct pci_msi *msi, unsigned int offset_32)
{
	return msi->cap + offset_32 + (msi->flags & PCI_MSI_FLAGS_64BIT ? 4 : 0);
}

static void read_back_msi(struct pci_msi *msi)
{
	struct pci_device *dev = msi->dev;
	unsigned int control = (unsigned int)pci_config__get(dev, msi->cap + PCI_MSI_FLAGS, 2);
	unsigned int log_nr = (control & PCI_MSI_FLAGS_QSIZE) >> 4;
	unsigned int log_max = (control & PCI_MSI_FLAGS_QMASK) >> 1;

	if (log_nr > log_max) {
		log_nr = log_max;
		control = (control & ~(unsigned int)PCI_MSI_FLAGS_QSIZE) | log_nr << 4;
		pci_config__set(dev, msi->cap + PCI_MSI_FLAGS, 2, control);
	}
	msi->s.nr = 1u << log_nr;
	msi->s.enabled = control & PCI_MSI_FLAGS_ENABLE;
	msi->s.address = pci_config__get(dev, msi->cap + PCI_MSI_ADDRESS_LO,
					 msi->flags & PCI_MSI_FLAGS_64BIT ? 8 : 4);
	msi->s.data = (uint32_t)pci_config__get(dev, msi_register(msi, PCI_MSI_DATA_32), 2);
	if (msi->flags & PCI_MSI_FLAGS_MASKBIT)
		msi->s.mask = (uint32_t)pci_config__get(dev, msi_register(msi, PCI_MSI_MASK_32), 4);
}

static void read_back_msix(struct pci_msi *msi)
{
	unsigned int control =
		(unsigned int)pci_config__get(msi->dev, msi->cap + PCI_MSIX_FLAGS, 2);

	msi->s.enabled = control & PCI_MSIX_FLAGS_ENABLE;
	msi->s.function_masked = control & PCI_MSIX_FLAGS_MASKALL;
}

static void read_back(struct pci_msi *msi)
{
	if (msi->is_msix)
		read_back_msix(msi);
	else
		read_back_msi(msi);
	msi->s.bus_master = pci_config__get(msi->dev, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
	atomic_store_explicit(&msi->enabled, msi->s.enabled, memory_order_relaxed);
}

static unsigned int cap_size(const struct pci_msi *msi)
{
	unsigned int size = PCI_MSI_DATA_32 + 2;

	if (msi->is_msix)
		return PCI_CAP_MSIX_SIZEOF;
	if (msi->flags & PCI_MSI_FLAGS_MASKBIT)
		size = PCI_MSI_PENDING_32 + 4;
	return size + (msi->flags & PCI_MSI_FLAGS_64BIT ? 4 : 0);
}

void pci_msi__config_written(struct pci_device *dev, uint32_t offset, uint32_t len)
{
	struct pci_msi *msi = dev->msi;

	if (!msi || (!pci_config__touches(offset, len, PCI_COMMAND, 2) &&
		     !pci_config__touches(offset, len, msi->cap, cap_size(msi))))
		return;
	pthread_mutex_lock(&msi->lock);
	read_back(msi);
	settle_all(msi);
	pthread_mutex_unlock(&msi->lock);
}

void pci_msi__config_reading(struct pci_device *dev, uint32_t offset, uint32_t len)
{
	struct pci_msi *msi = dev->msi;
	uint32_t pending = 0;
	unsigned int reg;

	if (!msi || msi->is_msix || !(msi->flags & PCI_MSI_FLAGS_MASKBIT))
		return;
	reg = msi_register(msi, PCI_MSI_PENDING_32);
	if (!pci_config__touches(offset, len, reg, 4))
		return;
	pthread_mutex_lock(&msi->lock);
	for (unsigned int i = 0; i < msi->nr; i++) {
		if (is_pending(&msi->vector[i]))
			pending |= 1u << shared(msi, i);
	}
	pthread_mutex_unlock(&msi->lock);
	pci_config__set(dev, reg, 4, pending);
}

/* --- table and pending bits of MSI-X --- */

static uint32_t table_size(const struct pci_msi *msi)
{
	return msi->nr * PCI_MSIX_ENTRY_SIZE;
}

static uint32_t pba_size(const struct pci_msi *msi)
{
	return (msi->nr + PBA_WORD_BITS - 1) / PBA_WORD_BITS * 8;
}

static bool is_within(uint64_t offset, uint32_t start, uint32_t size)
{
	return offset >= start && offset - start < size;
}

static uint8_t pending_byte(const struct pci_msi *msi, uint32_t at)
{
	uint8_t byte = 0;

	for (unsigned int i = 0; i < 8 && at * 8 + i < msi->nr; i++) {
		if (is_pending(&msi->vector[at * 8 + i]))
			byte |= (uint8_t)(1u << i);
	}
	return byte;
}

static uint8_t msix_byte(const struct pci_msi *msi, uint64_t offset)
{
	if (is_within(offset, msi->table_at, table_size(msi)))
		return msi->table[offset - msi->table_at];
	if (is_within(offset, msi->pba_at, pba_size(msi)))
		return pending_byte(msi, (uint32_t)(offset - msi->pba_at));
	return 0;
}

static bool is_msix_range(const struct pci_msi *msi, uint64_t offset)
{
	return msi && msi->is_msix &&
	       (is_within(offset, msi->table_at, table_size(msi)) ||
		is_within(offset, msi->pba_at, pba_size(msi)));
}

bool pci_msix__read(struct pci_device *dev, uint64_t offset, void *data, uint32_t len)
{
	struct pci_msi *msi = dev->msi;
	uint8_t *bytes = data;

	if (!is_msix_range(msi, offset))
		return false;
	pthread_mutex_lock(&msi->lock);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = msix_byte(msi, offset + i);
	pthread_mutex_unlock(&msi->lock);
	return true;
}

static void write_table(struct pci_msi *msi, uint32_t at, uint8_t byte)
{
	uint32_t field = at % PCI_MSIX_ENTRY_SIZE;

	/* Of the vector control word only the mask bit exists; addresses end in two zeros. */
	if (field == PCI_MSIX_ENTRY_VECTOR_CTRL)
		byte &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	else if (field > PCI_MSIX_ENTRY_VECTOR_CTRL)
		byte = 0;
	else if (field == PCI_MSIX_ENTRY_LOWER_ADDR)
		byte &= (uint8_t)~3u;
	msi->table[at] = byte;
}

bool pci_msix__write(struct pci_device *dev, uint64_t offset, const void *data, uint32_t len)
{
	struct pci_msi *msi = dev->msi;
	const uint8_t *bytes = data;

	if (!is_msix_range(msi, offset))
		return false;
	pthread_mutex_lock(&msi->lock);
	for (uint32_t i = 0; i < len; i++) {
		uint32_t at = (uint32_t)(offset + i - msi->table_at);

		if (!is_within(offset + i, msi->table_at, table_size(msi)))
			continue; /* pending bits are for reading */
		write_table(msi, at, bytes[i]);
		/* Once per entry: at the end of what is written to it. */
		if (i + 1 == len || (at + 1) % PCI_MSIX_ENTRY_SIZE == 0)
			settle(msi, at / PCI_MSIX_ENTRY_SIZE);
	}
	pthread_mutex_unlock(&msi->lock);
	return true;
}

static void msix_bar_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	if (!pci_msix__read(ctx, offset, data, len))
		memset(data, 0, len);
}

static void msix_bar_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	pci_msix__write(ctx, offset, data, len);
}

/* --- life --- */

static void mask_table(struct pci_msi *msi)
{
	memset(msi->table, 0, table_size(msi));
	for (unsigned int i = 0; i < msi->nr; i++)
		table_entry(msi, i)[PCI_MSIX_ENTRY_VECTOR_CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static int add_messages(struct pci_device *dev, unsigned int nr, bool is_msix, uint16_t flags)
{
	struct pci_msi *msi;
	int cap;

	if (dev->msi)
		return -EINVAL;
	if (!pci_host__has_msi(dev->pci))
		return -ENOTSUP;
	msi = calloc(1, sizeof(*msi) + nr * sizeof(msi->vector[0]));
	if (!msi)
		return -ENOMEM;
	*msi = (struct pci_msi){
		.dev = dev, .is_msix = is_msix, .flags = flags, .nr = nr, .s.nr = 1
	};
	if (is_msix) {
		msi->table = calloc(nr, PCI_MSIX_ENTRY_SIZE);
		if (!msi->table) {
			free(msi);
			return -ENOMEM;
		}
		mask_table(msi);
	}
	cap = pci__add_cap(dev, is_msix ? PCI_CAP_ID_MSIX : PCI_CAP_ID_MSI, cap_size(msi));
	if (cap < 0) {
		free(msi->table);
		free(msi);
		return cap;
	}
	msi->cap = (unsigned int)cap;
	for (unsigned int i = 0; i < nr; i++)
		msi->vector[i] = (struct msi_vector){ .fd = -1, .gsi = -1 };
	pthread_mutex_init(&msi->lock, NULL);
	dev->msi = msi;
	return 0;
}

int pci_msi__init(struct pci_device *dev, unsigned int nr, uint16_t flags)
{
	unsigned int log_max = 0;
	struct pci_msi *msi;
	int ret;

	if (!nr || nr > MSI_MAX_VECTORS || nr & (nr - 1) ||
	    flags & ~(PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT))
		return -EINVAL;
	ret = add_messages(dev, nr, false, flags);
	if (ret)
		return ret;

	msi = dev->msi;
	while (1u << log_max < nr)
		log_max++;
	pci_config__set(dev, msi->cap + PCI_MSI_FLAGS, 2, flags | log_max << 1);
	pci_config__set_writable(dev, msi->cap + PCI_MSI_FLAGS, 2,
				 PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pci_config__set_writable(dev, msi->cap + PCI_MSI_ADDRESS_LO, 4, 0xfffffffc);
	if (flags & PCI_MSI_FLAGS_64BIT)
		pci_config__set_writable(dev, msi->cap + PCI_MSI_ADDRESS_HI, 4, 0xffffffff);
	pci_config__set_writable(dev, msi_register(msi, PCI_MSI_DATA_32), 2, 0xffff);
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		pci_config__set_writable(dev, msi_register(msi, PCI_MSI_MASK_32), 4,
					 (1ull << nr) - 1);
	return 0;
}

int pci_msix__init(struct pci_device *dev, unsigned int nr, unsigned int bar, uint32_t table,
		   uint32_t pba)
{
	struct pci_msi *msi;
	int ret;

	if (!nr || nr > MSIX_MAX_VECTORS || bar >= PCI_ROM_BAR || (table | pba) & 7)
		return -EINVAL;
	ret = add_messages(dev, nr, true, 0);
	if (ret)
		return ret;

	msi = dev->msi;
	msi->table_at = table;
	msi->pba_at = pba;
	pci_config__set(dev, msi->cap + PCI_MSIX_FLAGS, 2, nr - 1);
	pci_config__set_writable(dev, msi->cap + PCI_MSIX_FLAGS, 2,
				 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_config__set(dev, msi->cap + PCI_MSIX_TABLE, 4, table | bar);
	pci_config__set(dev, msi->cap + PCI_MSIX_PBA, 4, pba | bar);
	return 0;
}

int pci_msix__init_bar(struct pci_device *dev, unsigned int nr, unsigned int bar)
{
	/* The table in the lower half, the pending bits, which need less, in the upper. */
	uint32_t half = 2048;
	int ret;

	while (half < nr * PCI_MSIX_ENTRY_SIZE && nr <= MSIX_MAX_VECTORS)
		half *= 2;
	ret = pci_msix__init(dev, nr, bar, 0, half);
	if (ret)
		return ret;
	return pci__add_bar(dev, bar, PCI_BAR_MEM32, false,
			    &(struct bus_region){
				    .size = 2 * half,
				    .read = msix_bar_read,
				    .write = msix_bar_write,
				    .ctx = dev,
				    .name = "MSI-X",
			    });
}

void pci_msi__reset(struct pci_device *dev)
{
	struct pci_msi *msi = dev->msi;

	if (!msi)
		return;
	pthread_mutex_lock(&msi->lock);
	if (msi->is_msix)
		mask_table(msi);
	msi->s = (struct msi_state){ .nr = 1 };
	read_back(msi);
	settle_all(msi);
	for (unsigned int i = 0; i < msi->nr; i++) {
		msi->vector[i].pending = false;
		if (msi->vector[i].fd >= 0)
			drain_fd(msi->vector[i].fd);
	}
	pthread_mutex_unlock(&msi->lock);
}

void pci_msi__destroy(struct pci_device *dev)
{
	struct pci_msi *msi = dev->msi;

	if (!msi)
		return;
	for (unsigned int i = 0; i < msi->nr; i++) {
		struct msi_vector *v = &msi->vector[i];

		detach(msi, v);
		if (v->gsi >= 0)
			irq__free_msi(dev->dev.host->irq, (unsigned int)v->gsi);
		sys__close(v->fd);
	}
	pthread_mutex_destroy(&msi->lock);
	free(msi->table);
	free(msi);
	dev->msi = NULL;
}
