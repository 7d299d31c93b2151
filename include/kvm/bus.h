/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus: decodes addresses of PIO and MMIO exits to devices.
 *
 * A vCPU thread looks an address up without any lock; devices are added, moved and removed under a
 * mutex that no vCPU takes on its exit path unless the guest itself moves a BAR.
 */
#ifndef KVM_BUS_H
#define KVM_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct bus;

/**
 * enum bus_space - address spaces an exit can name
 * @BUS_PIO:  port I/O, 16-bit addresses (x86)
 * @BUS_MMIO: guest-physical addresses that are not RAM
 */
enum bus_space { BUS_PIO, BUS_MMIO, BUS_NR_SPACES };

/**
 * struct bus_region - a range of addresses that one device answers
 * @base:  first address
 * @size:  bytes, never 0
 * @read:  fill @data with @len bytes from @offset; NULL reads as all ones
 * @write: take @len bytes from @offset; NULL ignores writes
 * @ctx:   handed to both
 * @name:  for traces and --debug-ioport; must outlive the region
 *
 * @offset is address - @base. @len is 1 to 8 bytes and lies within the region: an access that runs
 * past its end does not reach the device. Data is in guest (little-endian) byte order. The
 * callbacks run in vCPU threads, several at once: the device locks its own state. The struct stays
 * the device's and must outlive its registration; @base changes only through bus__move().
 */
struct bus_region {
	uint64_t base;
	uint64_t size;
	void (*read)(void *ctx, uint64_t offset, void *data, uint32_t len);
	void (*write)(void *ctx, uint64_t offset, const void *data, uint32_t len);
	void *ctx;
	const char *name;
};

/**
 * typedef bus_ioeventfd_fn - hands an ioeventfd to the kernel (or, in a test, to a model)
 * @ctx:       as given to bus__create()
 * @space:     PIO or MMIO
 * @addr:      guest address
 * @len:       bytes of the write that matches; 0 matches any length (where KVM can)
 * @datamatch: value to match, or NULL for any
 * @fd:        eventfd
 * @assign:    add, or remove
 *
 * Return: 0 or negative errno.
 */
typedef int (*bus_ioeventfd_fn)(void *ctx, enum bus_space space, uint64_t addr, uint32_t len,
				const uint64_t *datamatch, int fd, bool assign);

/**
 * bus__create - an empty bus
 * @ioeventfd: reaches KVM_IOEVENTFD, or NULL where there is none
 * @ctx:       its argument
 *
 * Return: the bus, or NULL without memory.
 */
struct bus *bus__create(bus_ioeventfd_fn ioeventfd, void *ctx);

/**
 * bus__destroy - free the bus; regions still registered are forgotten. NULL is harmless.
 */
void bus__destroy(struct bus *bus);

/**
 * bus__add - let @region answer its range
 *
 * Return: 0; -EINVAL for an empty or wrapping range (or one beyond 64 KiB of ports); -EEXIST where
 * another region answers part of it; -ENOMEM.
 */
int bus__add(struct bus *bus, enum bus_space space, struct bus_region *region);

/**
 * bus__remove - stop @region from answering; harmless if it does not
 *
 * A vCPU that looked the region up just before may still be inside its callbacks: free what they
 * use only at the pause barrier.
 */
void bus__remove(struct bus *bus, enum bus_space space, struct bus_region *region);

/**
 * bus__move - remove @region, set its base and add it again
 *
 * Return: as bus__add(); on failure the region is left removed.
 */
int bus__move(struct bus *bus, enum bus_space space, struct bus_region *region, uint64_t base);

/**
 * bus__find - the region that answers @addr, or NULL; without locks
 */
struct bus_region *bus__find(struct bus *bus, enum bus_space space, uint64_t addr);

/**
 * bus__read - perform a read exit
 * @data: receives @len bytes: the device's answer, or all ones where nobody answers
 * @len:  1 to 8
 *
 * Return: true if a device answered.
 */
bool bus__read(struct bus *bus, enum bus_space space, uint64_t addr, void *data, uint32_t len);

/**
 * bus__write - perform a write exit
 *
 * Return: true if a device took it; a write nobody answers is dropped.
 */
bool bus__write(struct bus *bus, enum bus_space space, uint64_t addr, const void *data,
		uint32_t len);

/**
 * bus__add_ioeventfd - have KVM signal @fd instead of leaving the guest
 *
 * Return: 0; -ENOSYS where the bus has no ioeventfd; KVM's errno (Documentation/virt/kvm/api.rst,
 * 4.59 KVM_IOEVENTFD). A caller that gets an error serves the write by its region instead.
 */
int bus__add_ioeventfd(struct bus *bus, enum bus_space space, uint64_t addr, uint32_t len,
		       const uint64_t *datamatch, int fd);

/**
 * bus__remove_ioeventfd - the reverse, with the same arguments
 */
void bus__remove_ioeventfd(struct bus *bus, enum bus_space space, uint64_t addr, uint32_t len,
			   const uint64_t *datamatch, int fd);

#endif
