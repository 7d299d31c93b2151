/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI: one bus of functions under a host bridge, and what a function is made of.
 *
 * A PCI device embeds struct pci_device first and describes itself in its constructor:
 *
 *	pci_device__init(), pci__add_bar(), pci__add_cap(), pci_msi__init() or pci_msix__init_bar()
 *
 * Its device_ops call pci_device__realize(), pci_device__reset() and pci_device__unrealize(). From
 *then on configuration accesses, the moving and switching of BARs, interrupt pins and messages are
 *taken care of; the device sees accesses to its BARs through the callbacks of their bus regions.
 *
 * Locks, outermost first: the host's configuration lock (config_read() and config_write() hooks run
 *under it), then whatever the device has, then the host's map lock (bar_map() and bar_unmap() run
 *under it; pci__add_ioeventfd() and pci__remove_ioeventfd() take it), then those of messages and
 *interrupt pins.
 */
#ifndef KVM_PCI_H
#define KVM_PCI_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/pci.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/hw/io.h"
#include "kvm/irq.h"

#define PCI_CONFIG_SIZE 4096
#define PCI_NR_DEVFNS	256
#define PCI_NR_BARS	7 /* six, and the expansion ROM */
#define PCI_ROM_BAR	6
#define PCI_ANY_DEVFN	-1
#define PCI_MAX_GSIS	8

struct pci_device;
struct pci_host;
struct pci_msi;

/**
 * struct pci_window - addresses that BARs may be given
 * @base, @size: in bus addresses, as they stand in BARs; size 0: no such window
 * @cpu_offset:  what to add to a bus address to get the CPU's
 */
struct pci_window {
	uint64_t base, size;
	uint64_t cpu_offset;
};

/**
 * struct pci_host_config - what the board decides about its PCI bus
 * @io:        window for I/O BARs
 * @mem32:     window for memory BARs below 4 GiB
 * @mem64:     window above it
 * @io_space:  where accesses to I/O BARs come from: BUS_PIO, or BUS_MMIO on machines without ports
 * @conf1:     configuration mechanism #1 at ports 0xcf8-0xcff, with the reset register at 0xcf9
 * @ecam_base: guest-physical address of the memory-mapped configuration space
 * @ecam_size: its bytes, 1 MiB per bus; 0 for none
 * @gsi:       lines that interrupt pins are spread over
 * @nr_gsis:   how many, 1 to PCI_MAX_GSIS; 0: no function gets a pin
 * @msi:       message-signalled interrupts reach somebody; without, no function offers them
 */
struct pci_host_config {
	struct pci_window io, mem32, mem64;
	enum bus_space io_space;
	bool conf1;
	uint64_t ecam_base, ecam_size;
	unsigned int gsi[PCI_MAX_GSIS];
	unsigned int nr_gsis;
	bool msi;
};

/**
 * pci_host__create - the bus with its host bridge, function 00:00.0
 *
 * Return: the device, or NULL without memory. Its PCI devices are added after it.
 */
struct device *pci_host__create(const struct device_host *host, const struct pci_host_config *cfg);

/**
 * pci_host__from - the bus of a device from pci_host__create()
 */
struct pci_host *pci_host__from(struct device *dev);

/**
 * pci_host__intx_gsi - the line that a pin is wired to: gsi[(slot + pin - 1) % nr_gsis]
 * @devfn: function, PCI_DEVFN(slot, function)
 * @pin:   1 to 4 for INTA to INTD
 *
 * For the tables that describe the board (ACPI _PRT, MP table, device tree).
 */
unsigned int pci_host__intx_gsi(const struct pci_host *pci, unsigned int devfn, unsigned int pin);

/**
 * pci_host__config_read, pci_host__config_write - a configuration access by other means (RTAS)
 * @devfn:  0 to 255; a function that does not exist reads as all ones
 * @offset: anything; what does not lie within 4096 bytes reads as all ones
 * @len:    1 to 8
 */
void pci_host__config_read(struct pci_host *pci, unsigned int devfn, uint64_t offset, void *data,
			   uint32_t len);
void pci_host__config_write(struct pci_host *pci, unsigned int devfn, uint64_t offset,
			    const void *data, uint32_t len);

/**
 * enum pci_bar_kind - what a base address register decodes
 */
enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64, PCI_BAR_ROM };

/**
 * struct pci_ioeventfd - an ioeventfd at a place in a BAR, wherever the BAR goes
 * @bar:       which
 * @offset:    in it
 * @len:       bytes of the write that matches; 0 matches any length
 * @match:     match @datamatch only
 * @datamatch: value
 * @fd:        eventfd
 * @active, @next: the bus's own
 *
 * Embedded in the device. Where KVM cannot have it, writes reach the BAR's callback, which must be
 * able to serve them anyway.
 */
struct pci_ioeventfd {
	unsigned int bar;
	uint64_t offset;
	uint32_t len;
	bool match;
	uint64_t datamatch;
	int fd;
	bool active;
	struct pci_ioeventfd *next;
};

/**
 * struct pci_bar - one base address register
 * @kind:         see enum pci_bar_kind
 * @prefetchable: memory without side effects of reading
 * @assigned:     the bus address it has after a reset, 0 for none
 * @region:       callbacks, size, and where it is while @mapped
 * @mapped:       the region is on the bus
 * @ioeventfds:   those that move with it
 */
struct pci_bar {
	enum pci_bar_kind kind;
	bool prefetchable;
	uint64_t assigned;
	struct bus_region region;
	bool mapped;
	struct pci_ioeventfd *ioeventfds;
};

/**
 * struct pci_ids - who a function says it is
 * @class: base class, sub-class and programming interface: 0xccsspp
 */
struct pci_ids {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class;
	uint8_t revision;
};

/**
 * struct pci_device_ops - hooks of a device that is more than its registers; NULL where the default
 * will do
 * @config_read:  answer a read of 1, 2 or 4 aligned bytes; pci_config__read() is the default
 * @config_write: take such a write; pci_config__write() is the default
 * @bar_map:      the BAR has come to guest-physical (or port) address @addr; a negative errno keeps
 * it from decoding
 * @bar_unmap:    the BAR is about to leave @addr
 */
struct pci_device_ops {
	uint32_t (*config_read)(struct pci_device *dev, uint32_t offset, uint32_t len);
	void (*config_write)(struct pci_device *dev, uint32_t offset, uint32_t value, uint32_t len);
	int (*bar_map)(struct pci_device *dev, unsigned int bar, uint64_t addr);
	void (*bar_unmap)(struct pci_device *dev, unsigned int bar, uint64_t addr);
};

/**
 * struct pci_device - embedded first in each PCI device
 * @dev:       its life cycle
 * @pci:       the bus it is on
 * @ops:       its hooks, or NULL
 * @devfn:     where, once realized
 * @config:    configuration space as a guest reads it
 * @writable:  bits that a guest's write changes
 * @clearable: bits that a guest clears by writing one
 * @power_on:  configuration space after a reset
 * @cap_end, @last_cap: where the next capability goes; the last one, or 0
 * @ext_cap_end, @last_ext_cap: the same for extended capabilities
 * @bar:       base address registers
 * @msi:       messages (pci-msi.c), or NULL
 * @command:   the command register, for other threads
 * @intx_lock: guards @intx
 * @intx:      interrupt pin, if the function has one
 * @intx_asserted: what the device asks of its pin, whether or not it may drive it
 */
struct pci_device {
	struct device dev;
	struct pci_host *pci;
	const struct pci_device_ops *ops;
	unsigned int devfn;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
	uint8_t clearable[PCI_CONFIG_SIZE];
	uint8_t power_on[PCI_CONFIG_SIZE];
	unsigned int cap_end, last_cap;
	unsigned int ext_cap_end, last_ext_cap;
	struct pci_bar bar[PCI_NR_BARS];
	struct pci_msi *msi;
	atomic_uint command;
	pthread_mutex_t intx_lock;
	struct irq_line intx;
	atomic_bool intx_asserted;
};

/**
 * pci_device__init - a type 0 function without BARs or capabilities
 * @dev:  zeroed
 * @ops:  the device's life cycle
 * @name: unique in the machine, at most 23 characters
 */
void pci_device__init(struct pci_device *dev, struct pci_host *pci, const struct device_ops *ops,
		      const char *name, const struct pci_ids *ids);

/**
 * pci__add_bar - describe a base address register
 * @bar:    0 to 5, or PCI_ROM_BAR with @kind PCI_BAR_ROM; a 64-bit one takes the next as well
 * @region: size (a power of two, at least 16, for I/O 4, for a ROM 2048), callbacks and name
 *
 * Before pci_device__realize().
 *
 * Return: 0, or -EINVAL for what is not possible in PCI.
 */
int pci__add_bar(struct pci_device *dev, unsigned int bar, enum pci_bar_kind kind,
		 bool prefetchable, const struct bus_region *region);

/**
 * pci__add_cap - append a capability, all zero and read-only but for its header
 * @id:   PCI_CAP_ID_…
 * @size: bytes, header included
 *
 * Return: its offset; -ENOSPC if there is no room left below 256.
 */
int pci__add_cap(struct pci_device *dev, uint8_t id, unsigned int size);

/**
 * pci__add_ext_cap - append a PCI Express extended capability
 * @id:      PCI_EXT_CAP_ID_…
 * @version: of the capability
 * @size:    bytes, header included
 *
 * Return: its offset; -ENOSPC if there is no room left below 4096.
 */
int pci__add_ext_cap(struct pci_device *dev, uint16_t id, unsigned int version, unsigned int size);

/**
 * pci__find_cap - offset of the first capability of that kind, or 0
 */
unsigned int pci__find_cap(const struct pci_device *dev, uint8_t id);

/**
 * pci_config__get, pci_config__set - registers as the device sees them, without side effects
 * @len: 1 to 8
 */
static inline uint64_t pci_config__get(const struct pci_device *dev, uint32_t offset, uint32_t len)
{
	return io__get(&dev->config[offset], len);
}

static inline void pci_config__set(struct pci_device *dev, uint32_t offset, uint32_t len,
				   uint64_t value)
{
	io__put(&dev->config[offset], len, value);
}

/**
 * pci_config__set_writable - which bits a guest's write changes
 */
static inline void pci_config__set_writable(struct pci_device *dev, uint32_t offset, uint32_t len,
					    uint64_t mask)
{
	io__put(&dev->writable[offset], len, mask);
}

/**
 * pci_config__read, pci_config__write - an access by the guest, as it is without hooks
 *
 * For use in hooks. @offset and @len as these get them. A write moves BARs, switches messages and
 * pins.
 */
uint32_t pci_config__read(struct pci_device *dev, uint32_t offset, uint32_t len);
void pci_config__write(struct pci_device *dev, uint32_t offset, uint32_t value, uint32_t len);

/**
 * pci_device__realize - put the function on its bus
 * @devfn: PCI_DEVFN(slot, function), or PCI_ANY_DEVFN for the next free slot
 *
 * BARs get addresses as firmware would give them, and decode after the first reset. A configured
 * interrupt pin (PCI_INTERRUPT_PIN) is wired up.
 *
 * Return: 0; -EEXIST if the place is taken; -ENOSPC if all are; printed.
 */
int pci_device__realize(struct pci_device *dev, int devfn);

/**
 * pci_device__reset - configuration space, BARs, messages and pin as at power-on
 */
void pci_device__reset(struct pci_device *dev);

/**
 * pci_device__unrealize - take the function off its bus and release what it has, but not its memory
 */
void pci_device__unrealize(struct pci_device *dev);

/**
 * pci_device__is_bus_master - whether the guest lets the device reach memory; any thread
 */
static inline bool pci_device__is_bus_master(struct pci_device *dev)
{
	return atomic_load_explicit(&dev->command, memory_order_relaxed) & PCI_COMMAND_MASTER;
}

/**
 * pci_device__set_intx - assert or deassert the interrupt pin; any thread
 *
 * It reaches the line unless the guest has disabled it or uses messages.
 */
void pci_device__set_intx(struct pci_device *dev, bool level);

/**
 * pci__add_ioeventfd - from now on, while the BAR decodes, have KVM signal @ev->fd
 */
void pci__add_ioeventfd(struct pci_device *dev, struct pci_ioeventfd *ev);

/**
 * pci__remove_ioeventfd - the reverse; harmless if it was not added
 */
void pci__remove_ioeventfd(struct pci_device *dev, struct pci_ioeventfd *ev);

/* Messages: pci-msi.c. A function has either MSI or MSI-X. */

/**
 * pci_msi__init - offer MSI (PCI Local Bus 3.0, section 6.8.1)
 * @nr:    vectors: 1, 2, 4, 8, 16 or 32
 * @flags: PCI_MSI_FLAGS_64BIT, PCI_MSI_FLAGS_MASKBIT
 *
 * Return: 0; -ENOTSUP where messages reach nobody: the device uses its pin; -EINVAL, -ENOSPC,
 * -ENOMEM.
 */
int pci_msi__init(struct pci_device *dev, unsigned int nr, uint16_t flags);

/**
 * pci_msix__init - offer MSI-X (PCI Local Bus 3.0, section 6.8.2) in a BAR of the device's own
 * @nr:    vectors, 1 to 2048
 * @bar:   whose callbacks call pci_msix__read() and pci_msix__write() first
 * @table: offset of the table in it, 16 bytes a vector; a multiple of 8
 * @pba:   offset of the pending bit array; a multiple of 8
 *
 * Return: as pci_msi__init().
 */
int pci_msix__init(struct pci_device *dev, unsigned int nr, unsigned int bar, uint32_t table,
		   uint32_t pba);

/**
 * pci_msix__init_bar - offer MSI-X with a 32-bit BAR for it alone
 *
 * Return: as pci_msi__init().
 */
int pci_msix__init_bar(struct pci_device *dev, unsigned int nr, unsigned int bar);

/**
 * pci_msix__read, pci_msix__write - an access to the BAR that holds table and pending bits
 *
 * Return: whether it began in one of them and has been dealt with.
 */
bool pci_msix__read(struct pci_device *dev, uint64_t offset, void *data, uint32_t len);
bool pci_msix__write(struct pci_device *dev, uint64_t offset, const void *data, uint32_t len);

/**
 * pci_msi__is_enabled - whether the guest has enabled MSI or MSI-X; any thread
 */
bool pci_msi__is_enabled(struct pci_device *dev);

/**
 * pci_msi__signal - deliver a vector's message, or remember it while it is masked; any thread
 * @vector: one that does not exist is dropped
 *
 * Return: false if messages are disabled: use the pin.
 */
bool pci_msi__signal(struct pci_device *dev, unsigned int vector);

/**
 * pci_msi__eventfd - a descriptor that signals a vector when it is written to
 *
 * For threads and kernel parts (vhost) that do not come by here. KVM takes it over while the vector
 * is enabled and not masked; meanwhile the descriptor itself remembers. It stays open until
 * pci_device__unrealize().
 *
 * Return: the descriptor; -EINVAL for a vector that does not exist; the errno of eventfd.
 */
int pci_msi__eventfd(struct pci_device *dev, unsigned int vector);

#endif
