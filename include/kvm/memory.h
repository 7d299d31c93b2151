/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM: which guest-physical addresses are memory, and where that memory is in this process.
 *
 * Built by ARCH/machine.c before the first vCPU exists; read by everyone after that, without locks.
 */
#ifndef KVM_MEMORY_H
#define KVM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_MEMORY_MAX_REGIONS 16

/**
 * struct memory_region - one contiguous piece of guest RAM
 * @gpa:  first guest-physical address, page aligned
 * @size: bytes, page aligned, never 0
 * @hva:  where it is mapped in this process
 */
struct memory_region {
	uint64_t gpa;
	uint64_t size;
	void *hva;
};

struct guest_memory;

/**
 * typedef memory_dirty_fn - told of every write that lkvm itself makes to guest RAM
 * @ctx: as given to guest_memory__set_dirty_hook()
 * @gpa: first byte written
 * @len: bytes written, never 0
 *
 * KVM's dirty log covers what vCPUs write; this hook covers the rest (device DMA, loaders). It may
 * run in any thread.
 */
typedef void (*memory_dirty_fn)(void *ctx, uint64_t gpa, uint64_t len);

/**
 * struct guest_memory - all RAM of one guest, sorted by address, without overlaps
 * @nr:        regions in use
 * @region:    the regions
 * @dirty:     hook for writes by lkvm, or NULL
 * @dirty_ctx: its argument
 * @fd:        the file behind all regions (memfd or --mem-path), -1 for anonymous memory or none
 * @base:      the one mapping that all regions are parts of (guest_memory__alloc()), or NULL
 * @base_size: its bytes
 */
struct guest_memory {
	unsigned int nr;
	struct memory_region region[GUEST_MEMORY_MAX_REGIONS];
	memory_dirty_fn dirty;
	void *dirty_ctx;
	int fd;
	void *base;
	uint64_t base_size;
};

/**
 * struct memory_backing - where the bytes of guest RAM come from
 * @path:     directory on hugetlbfs (or any file system) that holds the unlinked file, or NULL
 * @shared:   a memfd, so that other processes (vhost-user, snapshots) can map it; anonymous if
 * false
 * @align:    alignment of the mapping in bytes, a power of two; 0 is the host's page size
 */
struct memory_backing {
	const char *path;
	bool shared;
	uint64_t align;
};

/**
 * guest_memory__init - an empty guest memory
 */
void guest_memory__init(struct guest_memory *mem);

/**
 * guest_memory__add - declare a region of RAM
 *
 * The mapping stays the caller's: it must outlive @mem.
 *
 * Return: 0; -EINVAL if @region is empty or wraps around the address space; -EEXIST if it overlaps
 * RAM already there; -ENOSPC if there are GUEST_MEMORY_MAX_REGIONS already.
 */
int guest_memory__add(struct guest_memory *mem, const struct memory_region *region);

/**
 * guest_memory__alloc - make one host mapping and spread it over guest-physical ranges
 * @mem:     empty, initialised
 * @regions: gpa and size of each piece, ascending; hva is ignored
 * @nr:      how many
 * @backing: where the bytes come from
 *
 * Nothing is touched: pages come when the guest or a loader first uses them.
 *
 * Return: 0; -EINVAL/-EEXIST/-ENOSPC as guest_memory__add(); the errno of memfd_create, open,
 * ftruncate or mmap, which has then been printed.
 */
int guest_memory__alloc(struct guest_memory *mem, const struct memory_region *regions,
			unsigned int nr, const struct memory_backing *backing);

/**
 * guest_memory__free - unmap what guest_memory__alloc() mapped; harmless on an empty one
 */
void guest_memory__free(struct guest_memory *mem);

/**
 * guest_memory__size - bytes of RAM in all regions
 */
uint64_t guest_memory__size(const struct guest_memory *mem);

/**
 * guest_memory__at - the only way from a guest address to host memory
 * @gpa: any value a guest may have written
 * @len: bytes wanted, all of which must be RAM of a single region
 *
 * Return: a pointer good for @len bytes, or NULL if any of them is not RAM (a @len of 0 never is).
 */
void *guest_memory__at(const struct guest_memory *mem, uint64_t gpa, uint64_t len);

/**
 * guest_memory__read - copy out of guest RAM
 *
 * Return: 0, or -EFAULT if any byte is not RAM of a single region; then nothing was copied.
 */
int guest_memory__read(const struct guest_memory *mem, uint64_t gpa, void *to, uint64_t len);

/**
 * guest_memory__write - copy into guest RAM and report it dirty
 *
 * Return: 0, or -EFAULT if any byte is not RAM of a single region; then nothing was written.
 */
int guest_memory__write(const struct guest_memory *mem, uint64_t gpa, const void *from,
			uint64_t len);

/**
 * guest_memory__dirty - report bytes written through guest_memory__at()
 */
static inline void guest_memory__dirty(const struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
	if (mem->dirty && len)
		mem->dirty(mem->dirty_ctx, gpa, len);
}

/**
 * guest_memory__set_dirty_hook - install or (with NULL) remove the hook
 *
 * Only while no other thread uses @mem: before the first vCPU runs, or at the pause barrier.
 */
void guest_memory__set_dirty_hook(struct guest_memory *mem, memory_dirty_fn fn, void *ctx);

#endif
