// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bzImage: Linux with its own unpacker, by Documentation/arch/x86/boot.rst.
 *
 * Theory of operation: the file is a real-mode part, of which only the setup header is of use here,
 * and a protected-mode part: the unpacker, with the compressed kernel (the payload, an ELF) in it.
 * The fast way is to do the unpacker's work: unpack the payload into its place and enter the ELF.
 * The slow way is to load the protected-mode part and enter that. The guest does it the slow way if
 * it is asked for
 * (--boot=kernel; only then the kernel's address is random), and whenever the fast one cannot be
 * gone: an old protocol, a library that is missing, a payload that is not an ELF for 64 bits.
 *
 * In both cases the kernel may use memory up to init_size from where it prefers to be, so initrd
 * and everything else stay out of there.
 *
 * The payload ends with the length of what is in it, as the kernel's build appends it (gzip has it
 * there by itself): that many bytes have to come out, no more and no less.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "kvm/log.h"
#include "x86/boot/internal.h"
#include "x86/layout.h"

#define HEADER_MAGIC	0x53726448u /* "HdrS" */
#define BOOT_FLAG	0xaa55
#define HEADER_MIN_END	0x212 /* behind loadflags: what every version has */
#define HEADER_BASE	0x202 /* the jump's displacement counts from here */
#define JUMP_LEN	0x201
#define SECTOR		512u
#define SETUP_SECTS_OLD 4
#define PARAGRAPH	16u
#define CMDLINE_MAX_OLD 255
#define LOAD_DEFAULT	0x100000u
#define ENTRY_64	0x200u
#define LENGTH_SIZE	4u
#define SNIFF_SIZE	4096u

/* Versions of the protocol that brought something used here. */
enum {
	PROTOCOL_CMDLINE = 0x202,      /* cmd_line_ptr */
	PROTOCOL_INITRD_MAX = 0x203,   /* initrd_addr_max */
	PROTOCOL_SYSSIZE = 0x204,      /* syssize can be relied on */
	PROTOCOL_RELOCATABLE = 0x205,  /* relocatable_kernel, kernel_alignment */
	PROTOCOL_CMDLINE_SIZE = 0x206, /* cmdline_size */
	PROTOCOL_PAYLOAD = 0x208,      /* payload_offset, payload_length */
	PROTOCOL_PREFERENCE = 0x20a,   /* pref_address, init_size */
	PROTOCOL_XLOADFLAGS = 0x20c,   /* xloadflags */
};

/**
 * struct bzimage - the file, taken apart
 * @header:     points into boot->header; fields that the image is too old for are 0
 * @setup_size: bytes of the real-mode part
 * @load:       where the protected-mode part goes
 * @init_end:   address behind what the kernel uses at first
 */
struct bzimage {
	const struct setup_header *header;
	uint64_t setup_size;
	uint64_t load;
	uint64_t init_end;
};

_Static_assert(sizeof(struct setup_header) <= LINUX_HEADER_SIZE, "asm/bootparam.h");

static uint32_t load_le32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static bool is_bzimage(const struct file *file)
{
	struct setup_header header;

	if (file->size < HEADER_MIN_END)
		return false;
	memcpy(&header, file->data + LINUX_HEADER, HEADER_MIN_END - LINUX_HEADER);
	return header.boot_flag == BOOT_FLAG && header.header == HEADER_MAGIC;
}

static int probe(struct x86_boot *boot)
{
	return (boot->cfg->boot == BOOT_AUTO || boot->cfg->boot == BOOT_KERNEL) &&
	       is_bzimage(&boot->kernel);
}

/* The header ends where the jump over it leads, and in any case before what is not its own. */
static void copy_header(struct x86_boot *boot)
{
	uint64_t end = HEADER_BASE + (uint64_t)boot->kernel.data[JUMP_LEN];

	if (end > LINUX_HEADER_END)
		end = LINUX_HEADER_END;
	if (end > boot->kernel.size)
		end = boot->kernel.size;
	if (end < HEADER_MIN_END)
		end = HEADER_MIN_END;
	memcpy(boot->header, boot->kernel.data + LINUX_HEADER, end - LINUX_HEADER);
}

static int check_header(const struct x86_boot *boot, struct bzimage *bz)
{
	const struct setup_header *header = bz->header;
	uint64_t sects = header->setup_sects ? header->setup_sects : SETUP_SECTS_OLD;
	uint64_t size;

	if (header->version < PROTOCOL_CMDLINE)
		return x86_boot__refuse(boot, -EINVAL,
					"its boot protocol is %u.%02u, and 2.02 (Linux 2.4) is the "
					"oldest that lkvm speaks",
					header->version >> 8, header->version & 0xff);
	if (!(header->loadflags & LOADED_HIGH))
		return x86_boot__refuse(boot, -EINVAL,
					"it is a zImage, for below 640 KiB: build a bzImage");
	bz->setup_size = (sects + 1) * SECTOR;
	size = bz->setup_size + 1;
	if (header->version >= PROTOCOL_SYSSIZE)
		size = bz->setup_size + (uint64_t)header->syssize * PARAGRAPH;
	if (size <= bz->setup_size)
		return x86_boot__refuse(boot, -EINVAL, "it is a bzImage with nothing but a header");
	if (size > boot->kernel.size)
		return x86_boot__refuse(
			boot, -EINVAL,
			"it is a truncated bzImage: its header tells of %llu bytes, "
			"and the file has %llu",
			(unsigned long long)size, (unsigned long long)boot->kernel.size);
	return 0;
}

/* Where the protected-mode part goes, and what the kernel uses from there on. */
static int choose_address(const struct x86_boot *boot, struct bzimage *bz)
{
	const struct setup_header *header = bz->header;
	uint64_t size = boot->kernel.size - bz->setup_size;
	bool relocatable = header->version >= PROTOCOL_RELOCATABLE && header->relocatable_kernel;
	uint64_t align = relocatable ? header->kernel_alignment : 1;
	uint64_t at = LOAD_DEFAULT;

	if (!align || align & (align - 1))
		return x86_boot__refuse(boot, -EINVAL,
					"its header is malformed: kernel_alignment %#llx",
					(unsigned long long)align);
	if (relocatable && header->version >= PROTOCOL_PREFERENCE && header->pref_address > at)
		at = header->pref_address;
	if (at > FOUR_GIB)
		return x86_boot__refuse(
			boot, -EINVAL, "its header is malformed: pref_address %#llx is above 4 GiB",
			(unsigned long long)header->pref_address);
	bz->load = (at + align - 1) & ~(align - 1);
	if (header->version >= PROTOCOL_PREFERENCE && header->init_size > size)
		size = header->init_size;
	bz->init_end = bz->load + size;
	if (bz->init_end > FOUR_GIB || !e820__is_ram(&boot->map, bz->load, size))
		return x86_boot__refuse(boot, -ENOSPC,
					"it needs RAM from %#llx to %#llx, and the guest has %llu "
					"MiB:\n  give it more with --mem",
					(unsigned long long)bz->load,
					(unsigned long long)bz->init_end,
					(unsigned long long)(boot->cfg->ram_size >> 20));
	return 0;
}

/* Say why the fast way cannot be gone. */
static int not_fast(const struct x86_boot *boot, const char *why)
{
	pr_info("The kernel %s unpacks itself in the guest, which takes longer: %s",
		boot->kernel.path, why);
	return 0;
}

static bool is_elf64(const uint8_t *data, size_t size, struct elf *elf)
{
	return !elf__init(elf, data, size) && elf->is64 && !elf->big_endian &&
	       elf->machine == EM_X86_64 && (elf->type == ET_EXEC || elf->type == ET_DYN);
}

/* The payload's ELF is what it should be: take its segments, or tell why they do not do. */
static int use_elf(struct x86_boot *boot, struct x86_image *image, const struct elf *elf)
{
	uint64_t declared = image->unpacked;
	int ret;

	ret = x86_image__from_elf(boot, image, elf, declared);
	if (ret)
		return ret;
	image->extent = DECOMPRESS_ALL;
	image->unpacked = declared;
	if (!x86_image__in_order(image))
		return not_fast(boot, "its segments are not in the order of their addresses");
	if (!x86_image__holds(image, image->entry))
		return not_fast(boot, "its ELF's entry point is not in what is loaded");
	ret = x86_image__place(boot, image, false);
	return ret ? ret : 1;
}

/* Find the payload. Return: 1 if there is one, 0 if there is none to unpack here, or an error. */
static int find_payload(const struct x86_boot *boot, const struct bzimage *bz,
			struct x86_image *image)
{
	const struct setup_header *header = bz->header;
	uint64_t room = boot->kernel.size - bz->setup_size;
	const uint8_t *payload;

	if (header->version < PROTOCOL_PAYLOAD || !header->payload_length)
		return not_fast(boot,
				"its header is too old to tell where the compressed kernel is");
	if (header->payload_offset > room || header->payload_length > room - header->payload_offset)
		return x86_boot__refuse(
			boot, -EINVAL,
			"it is a truncated bzImage: payload of %#x bytes at %#x, in "
			"%#llx bytes",
			header->payload_length, header->payload_offset, (unsigned long long)room);
	if (header->payload_length <= LENGTH_SIZE)
		return x86_boot__refuse(boot, -EINVAL, "its payload has only %u bytes",
					header->payload_length);

	image->offset = bz->setup_size + header->payload_offset;
	image->len = header->payload_length;
	payload = boot->kernel.data + image->offset;
	image->packing = decompress__detect(payload, image->len);
	if (!image->packing)
		return not_fast(boot, "it is compressed in a way that lkvm does not know");
	if (!decompress__supported(image->packing))
		return not_fast(boot,
				"this lkvm was built without the library for its compression");
	image->unpacked = load_le32(payload + image->len - LENGTH_SIZE);
	if (image->packing != COMPRESSION_GZIP)
		image->len -= LENGTH_SIZE;
	return 1;
}

/* Return: 1 if @boot->image is the payload's ELF, 0 if the guest has to unpack it, or an error. */
static int prepare_fast(struct x86_boot *boot, const struct bzimage *bz)
{
	struct x86_image *image = &boot->image;
	uint8_t start[SNIFF_SIZE];
	struct elf elf;
	size_t got;
	int ret;

	ret = find_payload(boot, bz, image);
	if (ret <= 0)
		return ret;
	ret = x86_boot__unpack_start(boot, image->packing, image->offset, image->len, start,
				     sizeof(start), &got);
	if (ret)
		return ret;
	if (!is_elf64(start, got, &elf))
		return not_fast(boot, "what is compressed in it is not a 64-bit ELF kernel");
	ret = use_elf(boot, image, &elf);
	if (ret <= 0)
		return ret;
	boot->entry_mode = X86_ENTRY_LONG64;
	boot->entry_gpa = image->entry;
	return 1;
}

static int prepare_slow(struct x86_boot *boot, const struct bzimage *bz)
{
	const uint64_t size = boot->kernel.size - bz->setup_size;
	struct setup_header *header = (struct setup_header *)boot->header;
	bool is64 = header->version >= PROTOCOL_XLOADFLAGS && header->xloadflags & XLF_KERNEL_64;

	boot->image = (struct x86_image){
		.nr = 1,
		.segment[0] = {
			.offset = bz->setup_size,
			.filesz = size,
			.gpa = bz->load,
			.memsz = size,
		},
	};
	header->code32_start = (uint32_t)bz->load;
	boot->entry_mode = is64 ? X86_ENTRY_LONG64 : X86_ENTRY_PROT32;
	boot->entry_gpa = bz->load + (is64 ? ENTRY_64 : 0);
	return x86_image__place(boot, &boot->image, false);
}

static int check_rest(struct x86_boot *boot, const struct bzimage *bz)
{
	const struct setup_header *header = bz->header;
	bool high = header->version >= PROTOCOL_XLOADFLAGS &&
		    header->xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G;
	uint64_t cmdline_max = CMDLINE_MAX_OLD;
	uint64_t initrd_end = LINUX_INITRD_MAX_OLD + 1;
	int ret;

	if (header->version >= PROTOCOL_CMDLINE_SIZE)
		cmdline_max = header->cmdline_size;
	if (cmdline_max > X86_CMDLINE_MAX - 1)
		cmdline_max = X86_CMDLINE_MAX - 1;
	ret = x86_boot__check_cmdline(boot, cmdline_max);
	if (ret)
		return ret;

	if (header->version >= PROTOCOL_INITRD_MAX)
		initrd_end = (uint64_t)header->initrd_addr_max + 1;
	if (boot->image.end < bz->init_end)
		boot->image.end = bz->init_end;
	return x86_boot__place_initrd(boot, high ? FOUR_GIB : initrd_end, high);
}

static int prepare(struct x86_boot *boot)
{
	struct bzimage bz = { .header = (const struct setup_header *)boot->header };
	int ret;

	copy_header(boot);
	ret = check_header(boot, &bz);
	if (!ret)
		ret = choose_address(boot, &bz);
	if (ret)
		return ret;

	ret = boot->cfg->boot == BOOT_KERNEL ? 0 : prepare_fast(boot, &bz);
	if (!ret)
		ret = prepare_slow(boot, &bz);
	return ret < 0 ? ret : check_rest(boot, &bz);
}

const struct x86_boot_loader x86_bzimage_loader = {
	.name = "bzImage",
	.probe = probe,
	.prepare = prepare,
	.load = x86_linux__load,
};
