// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest RAM: the regions, the accessor, and the host mapping behind them.
 *
 * Theory of operation: a guest has a handful of regions (below and above the PCI hole, hot-plugged
 * blocks), so a sorted array searched from the front is as fast as anything and can be read whole.
 * Sizes are compared by subtraction, because gpa + len of a hostile guest wraps.
 *
 * All regions are parts of one host mapping. Each lies in it at an offset that is congruent to its
 * guest-physical address modulo the alignment asked for: only then can KVM and the host back a
 * large page of the guest by a large page of the host. The gaps that this leaves are never touched,
 * so they cost address space and nothing else. The address is found by reserving more than is
 * needed and giving back the edges; the memory itself is then mapped over what is left.
 *
 * Where running out of memory can be known beforehand it is an error here, and not a SIGBUS in the
 * middle of a guest's life: hugetlbfs reserves its pages when they are mapped, other file systems
 * are made to allocate the whole file. Anonymous memory and memfds are overcommitted as the host
 * allows.
 *
 * Transparent huge pages are asked for where the host leaves it to the program: a guest's first
 * touches (unpacking a kernel is the greatest of them) then take a fault for each 2 MiB and not for
 * each 4 KiB. Not at the ends of a region, where firmware tables and boot structures lie: there a
 * few bytes would cost the clearing of whole huge pages before the guest's first instruction.
 */
#include "kvm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kvm/log.h"
#include "kvm/sys.h"

#define HUGE_PAGE ((uintptr_t)2 << 20)

/**
 * struct ram_source - what guest RAM is mapped from
 * @fd:    file, or -1 for anonymous memory
 * @page:  its page size in bytes
 * @huge:  a hugetlbfs: no other memory can be put in if its pages run out
 * @flags: of mmap()
 */
struct ram_source {
	int fd;
	uint64_t page;
	bool huge;
	int flags;
};

void guest_memory__init(struct guest_memory *mem)
{
	*mem = (struct guest_memory){ .fd = -1 };
}

static bool overlaps(const struct memory_region *a, const struct memory_region *b)
{
	if (a->gpa < b->gpa)
		return b->gpa - a->gpa < a->size;
	return a->gpa - b->gpa < b->size;
}

int guest_memory__add(struct guest_memory *mem, const struct memory_region *region)
{
	unsigned int at = 0;

	if (!region->size || region->size - 1 > UINT64_MAX - region->gpa)
		return -EINVAL;
	if (mem->nr == GUEST_MEMORY_MAX_REGIONS)
		return -ENOSPC;

	for (unsigned int i = 0; i < mem->nr; i++) {
		if (overlaps(&mem->region[i], region))
			return -EEXIST;
		if (mem->region[i].gpa < region->gpa)
			at = i + 1;
	}

	memmove(&mem->region[at + 1], &mem->region[at], (mem->nr - at) * sizeof(*region));
	mem->region[at] = *region;
	mem->nr++;
	return 0;
}

/* A file of its own in @dir, which is gone from there at once. */
static int open_unlinked(const char *dir)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/lkvm-ram.XXXXXX", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int open_path(struct ram_source *source, const char *dir)
{
	struct statfs fs;

	source->fd = open_unlinked(dir);
	if (source->fd < 0) {
		pr_fatal("--mem-path %s: cannot create a file there: %s", dir,
			 strerror(-source->fd));
		return source->fd;
	}
	source->flags = MAP_SHARED;
	if (!fstatfs(source->fd, &fs) && fs.f_type == HUGETLBFS_MAGIC) {
		source->huge = true;
		source->page = (uint64_t)fs.f_bsize;
	}
	return 0;
}

static int open_source(struct ram_source *source, const struct memory_backing *backing)
{
	*source = (struct ram_source){
		.fd = -1,
		.page = (uint64_t)sysconf(_SC_PAGESIZE),
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	};
	if (backing->path)
		return open_path(source, backing->path);
	if (!backing->shared)
		return 0;

	source->flags = MAP_SHARED | MAP_NORESERVE;
	source->fd = memfd_create("guest-ram", MFD_CLOEXEC);
	if (source->fd < 0) {
		int ret = -errno;

		pr_fatal("--mem-shared: memfd_create: %s", strerror(errno));
		return ret;
	}
	return 0;
}

/* The first offset from @at on that is congruent to @gpa. */
static bool next_offset(uint64_t at, uint64_t gpa, uint64_t align, uint64_t *offset)
{
	return !__builtin_add_overflow(at, (gpa - at) & (align - 1), offset);
}

/* Fill @mem with @regions, each hva being an offset into a mapping of *@size bytes. */
static int lay_out(struct guest_memory *mem, const struct memory_region *regions, unsigned int nr,
		   uint64_t align, uint64_t *size)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < nr; i++) {
		struct memory_region region = regions[i];
		uint64_t offset;
		int ret;

		if (!next_offset(end, region.gpa, align, &offset) ||
		    __builtin_add_overflow(offset, region.size, &end))
			return -EINVAL;
		region.hva = (void *)(uintptr_t)offset;
		ret = guest_memory__add(mem, &region);
		if (ret)
			return ret;
	}
	/* Offsets go to the kernel as signed numbers; the reservation needs @align more. */
	if (!end || end > INT64_MAX / 2 || align > INT64_MAX / 4)
		return -EINVAL;
	*size = end;
	return 0;
}

/* Blocks of a file that is not on hugetlbfs: all of them, now. */
static int allocate_blocks(int fd, uint64_t size)
{
	struct statfs fs;

	if (!fallocate(fd, 0, 0, (off_t)size))
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	/* A file system that cannot promise: at least it must have the room now. */
	if (fstatfs(fd, &fs))
		return -errno;
	return fs.f_bavail < size / (uint64_t)fs.f_bsize ? -ENOSPC : 0;
}

static int size_file(const struct ram_source *source, const struct memory_backing *backing,
		     uint64_t size)
{
	int ret;

	if (source->fd < 0)
		return 0;
	ret = ftruncate(source->fd, (off_t)size) ? -errno : 0;
	if (!ret && backing->path && !source->huge)
		ret = allocate_blocks(source->fd, size);
	if (ret && backing->path)
		pr_fatal("--mem-path %s: no room there for %llu MiB of guest RAM: %s",
			 backing->path, (unsigned long long)(size >> 20), strerror(-ret));
	else if (ret)
		pr_fatal("--mem-shared: cannot size a memfd to %llu MiB: %s",
			 (unsigned long long)(size >> 20), strerror(-ret));
	return ret;
}

static int reserve(uint64_t size, uint64_t align, char **base)
{
	uint64_t slack = align, head;
	void *addr;
	int ret;

	ret = sys__mmap(size + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0,
			&addr);
	if (ret)
		return ret;
	head = -(uintptr_t)addr & (align - 1);
	*base = (char *)addr + head;
	if (head)
		sys__munmap(addr, head);
	sys__munmap(*base + size, slack - head);
	return 0;
}

static void print_map_error(const struct ram_source *source, const struct memory_backing *backing,
			    uint64_t size, int err)
{
	if (source->huge && err == -ENOMEM)
		pr_fatal("--mem-path %s: guest RAM needs %llu free huge pages of %llu KiB, and "
			 "there are "
			 "fewer:\n  reserve them in "
			 "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
			 backing->path, (unsigned long long)(size / source->page),
			 (unsigned long long)(source->page >> 10),
			 (unsigned long long)(source->page >> 10));
	else
		pr_fatal("cannot map %llu MiB of guest RAM: %s", (unsigned long long)(size >> 20),
			 strerror(-err));
}

static void advise_huge_pages(const struct memory_region *region)
{
	uintptr_t start = (uintptr_t)region->hva, end = start + region->size;

	start = (start + 2 * HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	end = (end & ~(HUGE_PAGE - 1)) - HUGE_PAGE;
	/* Advice: a host without transparent huge pages says EINVAL, and that is all right. */
	if (region->size >= 4 * HUGE_PAGE)
		madvise((void *)start, end - start, MADV_HUGEPAGE);
}

static int map_source(struct guest_memory *mem, const struct ram_source *source,
		      const struct memory_backing *backing, uint64_t align)
{
	uint64_t size = mem->base_size;
	char *base;
	int ret;

	ret = reserve(size, align, &base);
	if (!ret && mmap(base, size, PROT_READ | PROT_WRITE, source->flags | MAP_FIXED, source->fd,
			 0) == MAP_FAILED) {
		ret = -errno;
		sys__munmap(base, size);
	}
	if (ret) {
		print_map_error(source, backing, size, ret);
		return ret;
	}

	mem->base = base;
	for (unsigned int i = 0; i < mem->nr; i++) {
		mem->region[i].hva = base + (uintptr_t)mem->region[i].hva;
		if (!source->huge)
			advise_huge_pages(&mem->region[i]);
	}
	return 0;
}

int guest_memory__alloc(struct guest_memory *mem, const struct memory_region *regions,
			unsigned int nr, const struct memory_backing *backing)
{
	struct guest_memory fresh = *mem;
	struct ram_source source;
	uint64_t align, size;
	int ret;

	if (mem->nr || mem->base || backing->align & (backing->align - 1))
		return -EINVAL;
	ret = open_source(&source, backing);
	if (ret)
		return ret;

	align = backing->align > source.page ? backing->align : source.page;
	ret = lay_out(&fresh, regions, nr, align, &size);
	if (!ret) {
		fresh.fd = source.fd;
		fresh.base_size = (size + source.page - 1) & ~(source.page - 1);
		ret = size_file(&source, backing, fresh.base_size);
	}
	if (!ret)
		ret = map_source(&fresh, &source, backing, align);
	if (ret) {
		sys__close(source.fd);
		return ret;
	}
	*mem = fresh;
	return 0;
}

void guest_memory__free(struct guest_memory *mem)
{
	sys__munmap(mem->base, mem->base_size);
	sys__close(mem->fd);
	guest_memory__init(mem);
}

uint64_t guest_memory__size(const struct guest_memory *mem)
{
	uint64_t size = 0;

	for (unsigned int i = 0; i < mem->nr; i++)
		size += mem->region[i].size;
	return size;
}

void *guest_memory__at(const struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
	if (!len)
		return NULL;

	for (unsigned int i = 0; i < mem->nr; i++) {
		const struct memory_region *r = &mem->region[i];
		uint64_t offset = gpa - r->gpa;

		if (gpa >= r->gpa && offset < r->size)
			return len <= r->size - offset ? (char *)r->hva + offset : NULL;
	}
	return NULL;
}

int guest_memory__read(const struct guest_memory *mem, uint64_t gpa, void *to, uint64_t len)
{
	const void *from = guest_memory__at(mem, gpa, len);

	if (!from)
		return -EFAULT;
	memcpy(to, from, len);
	return 0;
}

int guest_memory__write(const struct guest_memory *mem, uint64_t gpa, const void *from,
			uint64_t len)
{
	void *to = guest_memory__at(mem, gpa, len);

	if (!to)
		return -EFAULT;
	memcpy(to, from, len);
	guest_memory__dirty(mem, gpa, len);
	return 0;
}

void guest_memory__set_dirty_hook(struct guest_memory *mem, memory_dirty_fn fn, void *ctx)
{
	mem->dirty = fn;
	mem->dirty_ctx = ctx;
}
