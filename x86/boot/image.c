// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loadable part of a kernel: checked against RAM, then read or unpacked into it.
 *
 * Theory of operation: an uncompressed file is read segment by segment, each straight into its
 * place.
 *
 * A compressed one is unpacked into guest RAM as a whole, at an address chosen so that no segment
 * lies below its place: the greatest difference between a segment's address and its offset in the
 * file. The segments that determine it, which in a Linux kernel are text and data, then are where
 * they belong; the others are moved down. As segments have the same order in the file and in
 * memory, moving them in that order overwrites only what has been moved already. What is left over
 * around them is cleared. So there is no second copy of the kernel, neither for a moment nor later,
 * and most of it is written once.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "kvm/log.h"
#include "x86/boot/internal.h"
#include "x86/layout.h"

struct range {
	uint64_t start, end;
};

/* Below 1 MiB, what a protocol without zero page and page tables needs all the same. */
static const struct range taken_low[] = {
	{ X86_BOOT_GDT, X86_PAGE_SIZE },
	{ X86_BOOT_INFO, X86_CMDLINE + X86_CMDLINE_MAX },
};

static void insert(struct x86_image *image, const struct x86_segment *segment)
{
	unsigned int at = image->nr++;

	while (at && image->segment[at - 1].gpa > segment->gpa) {
		image->segment[at] = image->segment[at - 1];
		at--;
	}
	image->segment[at] = *segment;
}

static int add_segment(const struct x86_boot *boot, struct x86_image *image,
		       const struct elf_segment *from, uint64_t size)
{
	struct x86_segment segment = {
		.offset = from->offset,
		.filesz = from->filesz,
		.gpa = from->paddr,
		.memsz = from->memsz,
	};

	if (!segment.memsz && !segment.filesz)
		return 0;
	if (image->nr == X86_MAX_SEGMENTS)
		return x86_boot__refuse(boot, -EINVAL, "its ELF has more than %d segments",
					X86_MAX_SEGMENTS);
	if (segment.filesz > segment.memsz || segment.memsz - 1 > UINT64_MAX - segment.gpa)
		return x86_boot__refuse(
			boot, -EINVAL,
			"its ELF is malformed: segment at %#llx, %#llx bytes in memory, %#llx "
			"in the file",
			(unsigned long long)segment.gpa, (unsigned long long)segment.memsz,
			(unsigned long long)segment.filesz);
	if (segment.offset > size || segment.filesz > size - segment.offset)
		return x86_boot__refuse(
			boot, -EINVAL,
			"its ELF is truncated: %#llx bytes at offset %#llx are not in the file",
			(unsigned long long)segment.filesz, (unsigned long long)segment.offset);
	insert(image, &segment);
	return 0;
}

int x86_image__from_elf(const struct x86_boot *boot, struct x86_image *image, const struct elf *elf,
			uint64_t size)
{
	uint64_t end = 0;

	image->nr = 0;
	image->entry = elf->entry;
	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf_segment segment;
		int ret;

		elf__segment(elf, i, &segment);
		if (segment.type == PT_INTERP)
			return x86_boot__refuse(boot, -ENOEXEC,
						"it is not a kernel but a user program");
		if (segment.type != PT_LOAD)
			continue;
		ret = add_segment(boot, image, &segment, size);
		if (ret)
			return ret;
	}
	if (!image->nr)
		return x86_boot__refuse(boot, -EINVAL, "its ELF has nothing to load");

	for (unsigned int i = 0; i < image->nr; i++) {
		const struct x86_segment *s = &image->segment[i];

		if (s->filesz && s->offset + s->filesz > end)
			end = s->offset + s->filesz;
	}
	/* What comes behind the last segment is symbols and debugging information. */
	image->extent = DECOMPRESS_START;
	image->unpacked = end;
	return 0;
}

bool x86_image__holds(const struct x86_image *image, uint64_t gpa)
{
	for (unsigned int i = 0; i < image->nr; i++) {
		const struct x86_segment *s = &image->segment[i];

		if (gpa >= s->gpa && gpa - s->gpa < s->filesz)
			return true;
	}
	return false;
}

bool x86_image__in_order(const struct x86_image *image)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < image->nr; i++) {
		const struct x86_segment *s = &image->segment[i];

		if (!s->filesz)
			continue;
		if (s->offset < end)
			return false;
		end = s->offset + s->filesz;
	}
	return true;
}

static bool is_low_ram(const struct x86_boot *boot, uint64_t gpa, uint64_t size)
{
	return gpa < FOUR_GIB && e820__is_ram(&boot->map, gpa, size);
}

static int refuse_place(const struct x86_boot *boot, uint64_t gpa, uint64_t size)
{
	return x86_boot__refuse(
		boot, -ENOSPC,
		"it needs RAM from %#llx to %#llx, and the guest's %llu MiB have none "
		"there that is free:\n  more RAM (--mem) may help",
		(unsigned long long)gpa, (unsigned long long)(gpa + size),
		(unsigned long long)(boot->cfg->ram_size >> 20));
}

static int check_low(const struct x86_boot *boot, const struct x86_segment *s, bool low_too)
{
	bool taken = !low_too && s->gpa < X86_BIOS_END;

	for (size_t i = 0; i < sizeof(taken_low) / sizeof(taken_low[0]); i++)
		taken |= s->gpa < taken_low[i].end && s->gpa + s->memsz > taken_low[i].start;
	if (!taken)
		return 0;
	return x86_boot__refuse(boot, -EINVAL,
				"it wants to be at %#llx to %#llx, where the boot protocol's own "
				"data is",
				(unsigned long long)s->gpa,
				(unsigned long long)(s->gpa + s->memsz));
}

/* So that no segment lies below its place; never below 1 MiB. */
static int place_unpacking(const struct x86_boot *boot, struct x86_image *image)
{
	uint64_t gpa = X86_BIOS_END;

	if (!x86_image__in_order(image))
		return x86_boot__refuse(boot, -EINVAL,
					"its segments have another order in the file than in "
					"memory: unpack it beforehand");
	if (image->unpacked > X86_UNPACKED_MAX)
		return x86_boot__refuse(boot, -EINVAL,
					"it unpacks to %llu MiB, and %llu are the most",
					(unsigned long long)(image->unpacked >> 20),
					X86_UNPACKED_MAX >> 20);
	for (unsigned int i = 0; i < image->nr; i++) {
		const struct x86_segment *s = &image->segment[i];

		if (s->filesz && s->gpa > s->offset && s->gpa - s->offset > gpa)
			gpa = s->gpa - s->offset;
	}
	if (!is_low_ram(boot, gpa, image->unpacked))
		return refuse_place(boot, gpa, image->unpacked);
	image->unpack_gpa = gpa;
	return 0;
}

int x86_image__place(const struct x86_boot *boot, struct x86_image *image, bool low_too)
{
	image->end = 0;
	for (unsigned int i = 0; i < image->nr; i++) {
		const struct x86_segment *s = &image->segment[i];
		int ret;

		if (!is_low_ram(boot, s->gpa, s->memsz))
			return refuse_place(boot, s->gpa, s->memsz);
		if (s->gpa < image->end)
			return x86_boot__refuse(boot, -EINVAL,
						"its segments overlap at %#llx in memory",
						(unsigned long long)s->gpa);
		ret = check_low(boot, s, low_too);
		if (ret)
			return ret;
		image->end = s->gpa + s->memsz;
	}
	return image->packing ? place_unpacking(boot, image) : 0;
}

static int clear(const struct guest_memory *ram, uint64_t gpa, uint64_t len)
{
	void *at;

	if (!len)
		return 0;
	at = guest_memory__at(ram, gpa, len);
	if (!at)
		return -EFAULT;
	memset(at, 0, len);
	guest_memory__dirty(ram, gpa, len);
	return 0;
}

static int read_segment(const struct x86_boot *boot, const struct guest_memory *ram,
			const struct x86_segment *s)
{
	void *to = guest_memory__at(ram, s->gpa, s->memsz);
	int ret;

	if (!to)
		return -EFAULT;
	ret = file__read(&boot->kernel, s->offset, to, s->filesz);
	guest_memory__dirty(ram, s->gpa, s->filesz);
	return ret;
}

static int move_segment(const struct x86_image *image, const struct guest_memory *ram,
			const struct x86_segment *s)
{
	uint64_t from_gpa = image->unpack_gpa + s->offset;
	const void *from;
	void *to;

	if (!s->filesz || s->gpa == from_gpa)
		return 0;
	from = guest_memory__at(ram, from_gpa, s->filesz);
	to = guest_memory__at(ram, s->gpa, s->filesz);
	if (!from || !to)
		return -EFAULT;
	memmove(to, from, s->filesz);
	guest_memory__dirty(ram, s->gpa, s->filesz);
	return 0;
}

/* Zeroes where something was unpacked and no segment is. */
static int clear_leftover(const struct x86_image *image, const struct guest_memory *ram)
{
	uint64_t at = image->unpack_gpa;
	const uint64_t end = at + image->unpacked;

	for (unsigned int i = 0; i < image->nr && at < end; i++) {
		const struct x86_segment *s = &image->segment[i];
		uint64_t gap_end = s->gpa < end ? s->gpa : end;
		int ret = at < gap_end ? clear(ram, at, gap_end - at) : 0;

		if (ret)
			return ret;
		if (s->gpa + s->memsz > at)
			at = s->gpa + s->memsz;
	}
	return at < end ? clear(ram, at, end - at) : 0;
}

static int unpack(const struct x86_boot *boot, const struct x86_image *image,
		  const struct guest_memory *ram)
{
	const char *name = decompress__name(image->packing);
	void *out = guest_memory__at(ram, image->unpack_gpa, image->unpacked);
	size_t got = 0;
	int ret;

	if (!out)
		return -EFAULT;
	file__will_read(&boot->kernel, image->offset, image->len);
	ret = decompress__run(image->packing, boot->kernel.data + image->offset, image->len, out,
			      image->unpacked, image->extent, &got);
	guest_memory__dirty(ram, image->unpack_gpa, image->unpacked);
	if (!ret && got != image->unpacked)
		ret = -ENODATA;
	if (ret == -E2BIG)
		pr_fatal("Unable to unpack kernel %s: its %s data unpacks to more than the %llu "
			 "bytes "
			 "that it should",
			 boot->kernel.path, name, (unsigned long long)image->unpacked);
	else if (ret)
		pr_fatal("Unable to unpack kernel %s: its %s data %s", boot->kernel.path, name,
			 decompress__strerror(ret));
	return ret;
}

static int load_packed(const struct x86_boot *boot, const struct x86_image *image,
		       const struct guest_memory *ram)
{
	int ret = unpack(boot, image, ram);

	for (unsigned int i = 0; !ret && i < image->nr; i++)
		ret = move_segment(image, ram, &image->segment[i]);
	return ret ? ret : clear_leftover(image, ram);
}

int x86_image__load(const struct x86_boot *boot, const struct x86_image *image,
		    const struct guest_memory *ram)
{
	int ret = image->packing ? load_packed(boot, image, ram) : 0;

	for (unsigned int i = 0; !ret && i < image->nr; i++) {
		const struct x86_segment *s = &image->segment[i];

		if (!image->packing)
			ret = read_segment(boot, ram, s);
		if (!ret)
			ret = clear(ram, s->gpa + s->filesz, s->memsz - s->filesz);
	}
	return ret;
}
