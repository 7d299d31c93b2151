/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images for the tests of boot loaders, made in memory: files without a name, ELFs, compressed
 * data; and what was printed about them.
 */
#ifndef TESTS_UNIT_BOOT_IMAGES_H
#define TESTS_UNIT_BOOT_IMAGES_H

#include "test.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_BZ2
#include <bzlib.h>
#endif
#ifdef HAVE_LZMA
#include <lzma.h>
#endif
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif
#ifdef HAVE_LZ4
#include <lz4.h>
#include <lz4frame.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "kvm/decompress.h"
#include "kvm/log.h"

/* --- messages; a test that includes this says WRAP: with the three names --- */

static char last_message[2048];
static unsigned int nr_fatal, nr_info, nr_warn;

static inline void forget_messages(void)
{
	last_message[0] = 0;
	nr_fatal = nr_info = nr_warn = 0;
}

#define STAND_IN(name, counter)                                                         \
	void __wrap_##name(const char *fmt, ...) __attribute__((format(printf, 1, 2))); \
	void __wrap_##name(const char *fmt, ...)                                        \
	{                                                                               \
		va_list args;                                                           \
                                                                                        \
		va_start(args, fmt);                                                    \
		vsnprintf(last_message, sizeof(last_message), fmt, args);               \
		va_end(args);                                                           \
		counter++;                                                              \
	}

STAND_IN(pr_fatal, nr_fatal)
STAND_IN(pr_info, nr_info)
STAND_IN(pr_warn, nr_warn)

#define assert_said(words)                                                        \
	do {                                                                      \
		if (!strstr(last_message, words))                                 \
			fail_msg("\"%s\" is not in \"%s\"", words, last_message); \
	} while (0)

/* --- bytes and files ----------------------------------------------------------------------------
 */

struct bytes {
	uint8_t *data;
	size_t size;
};

static inline struct bytes bytes__new(size_t size)
{
	struct bytes b = { calloc(1, size ? size : 1), size };

	assert_non_null(b.data);
	return b;
}

/* Text-like: it compresses, but not to nothing. */
static inline struct bytes bytes__text(size_t size)
{
	struct bytes b = bytes__new(size);
	uint32_t seed = 1;

	for (size_t i = 0; i < size; i++) {
		if (i % 16 == 0)
			seed = seed * 1103515245u + 12345u;
		b.data[i] = (uint8_t)(seed >> (i % 4 * 8));
	}
	return b;
}

static inline void bytes__free(struct bytes *b)
{
	free(b->data);
	b->data = NULL;
}

/* A file with a path as long as it is open: no directory to clean up. */
struct temp_file {
	int fd;
	char path[32];
};

static inline struct temp_file temp_file__new(const void *data, size_t size)
{
	struct temp_file f = { .fd = memfd_create("test", MFD_CLOEXEC) };

	assert_true(f.fd >= 0);
	assert_int_equal(write(f.fd, data, size), size);
	snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
	return f;
}

static inline void temp_file__free(struct temp_file *f)
{
	close(f->fd);
}

/* --- compression --------------------------------------------------------------------------------
 */

#ifdef HAVE_ZLIB
static inline struct bytes pack_gzip(const void *data, size_t size)
{
	struct bytes out = bytes__new(compressBound(size) + 64);
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)size;
	z.next_out = out.data;
	z.avail_out = (uInt)out.size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.size = z.total_out;
	deflateEnd(&z);
	return out;
}
#endif

#ifdef HAVE_BZ2
static inline struct bytes pack_bzip2(const void *data, size_t size)
{
	struct bytes out = bytes__new(size + size / 100 + 600);
	unsigned int len = (unsigned int)out.size;

	assert_int_equal(BZ2_bzBuffToBuffCompress((char *)out.data, &len, (char *)(uintptr_t)data,
						  (unsigned int)size, 1, 0, 0),
			 BZ_OK);
	out.size = len;
	return out;
}
#endif

#ifdef HAVE_LZMA
static inline struct bytes pack_xz(const void *data, size_t size)
{
	struct bytes out = bytes__new(lzma_stream_buffer_bound(size));
	size_t len = 0;

	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, data, size, out.data,
						 &len, out.size),
			 LZMA_OK);
	out.size = len;
	return out;
}

static inline struct bytes pack_lzma(const void *data, size_t size)
{
	struct bytes out = bytes__new(size + size / 2 + 1024);
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	assert_false(lzma_lzma_preset(&options, 1));
	assert_int_equal(lzma_alone_encoder(&stream, &options), LZMA_OK);
	stream.next_in = data;
	stream.avail_in = size;
	stream.next_out = out.data;
	stream.avail_out = out.size;
	assert_int_equal(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
	out.size = stream.total_out;
	lzma_end(&stream);
	return out;
}
#endif

#ifdef HAVE_LZO
#define LZO_BLOCK (256u * 1024)

static inline uint8_t *put_be(uint8_t *at, unsigned int len, uint32_t value)
{
	while (len--)
		*at++ = (uint8_t)(value >> (len * 8));
	return at;
}

static inline struct bytes pack_lzo(const void *data, size_t size)
{
	struct bytes out = bytes__new(size + size / 16 + 4096);
	uint8_t *at = out.data, *work = malloc(LZO1X_1_MEM_COMPRESS);
	const uint8_t *in = data;

	assert_non_null(work);
	memcpy(at, "\x89LZO\0\r\n\x1a\n", 9);
	at = put_be(at + 9, 2, 0x1030); /* version */
	at = put_be(at, 2, 0x20a0);	/* the library's */
	at = put_be(at, 2, 0x0940);	/* needed */
	at = put_be(at, 1, 1);		/* method */
	at = put_be(at, 1, 5);		/* level */
	at = put_be(at, 4, 0x3);	/* Adler-32 of both */
	at = put_be(at, 4, 0100644);
	at = put_be(at, 4, 0);
	at = put_be(at, 4, 0);
	at = put_be(at, 1, 7);
	memcpy(at, "vmlinux", 7);
	at += 7;
	at = put_be(at, 4, lzo_adler32(1, out.data + 9, (lzo_uint)(at - out.data - 9)));
	while (size) {
		uint32_t len = size < LZO_BLOCK ? (uint32_t)size : LZO_BLOCK;
		uint8_t *block = at + 16;
		lzo_uint packed;

		assert_int_equal(lzo1x_1_compress(in, len, block, &packed, work), LZO_E_OK);
		put_be(at, 4, len);
		put_be(at + 4, 4, (uint32_t)packed);
		put_be(at + 8, 4, lzo_adler32(1, in, len));
		if (packed < len) {
			put_be(at + 12, 4, lzo_adler32(1, block, packed));
			at = block + packed;
		} else {
			put_be(at + 4, 4, len);
			memcpy(at + 12, in, len);
			at += 12 + len;
		}
		in += len;
		size -= len;
	}
	at = put_be(at, 4, 0);
	out.size = (size_t)(at - out.data);
	free(work);
	return out;
}
#endif

#ifdef HAVE_LZ4
#define LZ4_LEGACY_BLOCK (8u << 20)

static inline struct bytes pack_lz4(const void *data, size_t size)
{
	struct bytes out = bytes__new((size_t)LZ4_compressBound((int)size) + 4096);
	const char *in = data;
	uint8_t *at = out.data;

	memcpy(at, "\x02\x21\x4c\x18", 4);
	at += 4;
	while (size) {
		int len = size < LZ4_LEGACY_BLOCK ? (int)size : (int)LZ4_LEGACY_BLOCK;
		uint32_t packed = (uint32_t)LZ4_compress_default(in, (char *)at + 4, len,
								 LZ4_compressBound(len));

		assert_true(packed);
		memcpy(at, &packed, 4);
		at += 4 + packed;
		in += len;
		size -= (size_t)len;
	}
	out.size = (size_t)(at - out.data);
	return out;
}

static inline struct bytes pack_lz4_frame(const void *data, size_t size)
{
	LZ4F_preferences_t wishes = {
		.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled,
	};
	struct bytes out = bytes__new(LZ4F_compressFrameBound(size, &wishes));

	out.size = LZ4F_compressFrame(out.data, out.size, data, size, &wishes);
	assert_false(LZ4F_isError(out.size));
	return out;
}
#endif

#ifdef HAVE_ZSTD
static inline struct bytes pack_zstd(const void *data, size_t size)
{
	struct bytes out = bytes__new(ZSTD_compressBound(size));
	ZSTD_CCtx *ctx = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	out.size = ZSTD_compress2(ctx, out.data, out.size, data, size);
	assert_false(ZSTD_isError(out.size));
	ZSTD_freeCCtx(ctx);
	return out;
}
#endif

/* @data compressed; a test whose library is missing is skipped. */
static inline struct bytes pack(enum compression type, const void *data, size_t size)
{
	switch (type) {
#ifdef HAVE_ZLIB
	case COMPRESSION_GZIP:
		return pack_gzip(data, size);
#endif
#ifdef HAVE_BZ2
	case COMPRESSION_BZIP2:
		return pack_bzip2(data, size);
#endif
#ifdef HAVE_LZMA
	case COMPRESSION_XZ:
		return pack_xz(data, size);
	case COMPRESSION_LZMA:
		return pack_lzma(data, size);
#endif
#ifdef HAVE_LZO
	case COMPRESSION_LZO:
		return pack_lzo(data, size);
#endif
#ifdef HAVE_LZ4
	case COMPRESSION_LZ4:
		return pack_lz4(data, size);
	case COMPRESSION_LZ4_FRAME:
		return pack_lz4_frame(data, size);
#endif
#ifdef HAVE_ZSTD
	case COMPRESSION_ZSTD:
		return pack_zstd(data, size);
#endif
	default:
		print_message("SKIP: built without the library for %s\n", decompress__name(type));
		skip();
		return (struct bytes){ 0 };
	}
}

/* --- ELFs ---------------------------------------------------------------------------------------
 */

#define ELF_MAX_SEGMENTS 8

/**
 * struct elf_spec - an ELF to be
 * @segment: program headers; those of type PT_LOAD get bytes that elf_byte() knows, unless @content
 * @size:    of the file; what is not described is zeroes
 */
struct elf_spec {
	bool is32, big_endian;
	uint16_t type, machine;
	uint64_t entry;
	unsigned int nr;
	struct {
		uint32_t type;
		uint64_t offset, vaddr, paddr, filesz, memsz;
		const void *content;
	} segment[ELF_MAX_SEGMENTS];
	size_t size;
};

/* What byte @i of the file holds: never 0. */
static inline uint8_t elf_byte(uint64_t i)
{
	return (uint8_t)(1 + (i * 7 + i / 256) % 255);
}

static inline uint8_t *put(const struct elf_spec *spec, uint8_t *at, unsigned int len,
			   uint64_t value)
{
	for (unsigned int i = 0; i < len; i++)
		at[spec->big_endian ? len - 1 - i : i] = (uint8_t)(value >> (8 * i));
	return at + len;
}

static inline struct bytes elf__make(const struct elf_spec *spec)
{
	struct bytes b = bytes__new(spec->size);
	unsigned int wide = spec->is32 ? 4 : 8;
	uint8_t *at = b.data;

	memcpy(at, ELFMAG, SELFMAG);
	at[EI_CLASS] = spec->is32 ? ELFCLASS32 : ELFCLASS64;
	at[EI_DATA] = spec->big_endian ? ELFDATA2MSB : ELFDATA2LSB;
	at[EI_VERSION] = EV_CURRENT;
	at = put(spec, at + EI_NIDENT, 2, spec->type);
	at = put(spec, at, 2, spec->machine);
	at = put(spec, at, 4, EV_CURRENT);
	at = put(spec, at, wide, spec->entry);
	at = put(spec, at, wide, spec->is32 ? 52 : 64); /* e_phoff */
	at = put(spec, at, wide, 0);			/* e_shoff */
	at = put(spec, at, 4, 0);
	at = put(spec, at, 2, spec->is32 ? 52 : 64);
	at = put(spec, at, 2, spec->is32 ? 32 : 56);
	at = put(spec, at, 2, spec->nr);
	at += 6;
	for (unsigned int i = 0; i < spec->nr; i++) {
		at = put(spec, at, 4, spec->segment[i].type);
		if (!spec->is32)
			at = put(spec, at, 4, 0);
		at = put(spec, at, wide, spec->segment[i].offset);
		at = put(spec, at, wide, spec->segment[i].vaddr);
		at = put(spec, at, wide, spec->segment[i].paddr);
		at = put(spec, at, wide, spec->segment[i].filesz);
		at = put(spec, at, wide, spec->segment[i].memsz);
		if (spec->is32)
			at = put(spec, at, 4, 0);
		at = put(spec, at, wide, 4);
	}
	for (unsigned int i = 0; i < spec->nr; i++) {
		uint64_t start = spec->segment[i].offset, len = spec->segment[i].filesz;

		if (start > b.size || len > b.size - start)
			continue;
		if (spec->segment[i].content)
			memcpy(b.data + start, spec->segment[i].content, len);
		else if (spec->segment[i].type == PT_LOAD)
			for (uint64_t j = start; j < start + len; j++)
				b.data[j] = elf_byte(j);
	}
	return b;
}

#define KERNEL_GPA 0x1000000ull
#define DATA_GPA   (KERNEL_GPA + 0x3e000)

/* Shaped like a vmlinux: text in place, data in place, a segment that moves down and has a .bss. */
static inline struct elf_spec vmlinux_spec(void)
{
	return (struct elf_spec){
		.type = ET_EXEC,
		.machine = EM_X86_64,
		.entry = KERNEL_GPA + 0x123,
		.nr = 3,
		.segment = {
			{ PT_LOAD, 0x2000, ~0x7effffffull, KERNEL_GPA, 0x30000, 0x30000, NULL },
			{ PT_LOAD, 0x40000, ~0x7efc1fffull, DATA_GPA, 0x8000, 0x8000, NULL },
			{ PT_LOAD, 0x50000, 0, KERNEL_GPA + 0x48000, 0x6000, 0x20000, NULL },
		},
		.size = 0x60000,
	};
}

/* XEN_ELFNOTE_PHYS32_ENTRY, of 4 or 8 bytes */
struct pvh_note {
	uint32_t namesz, descsz, type;
	char name[4];
	uint64_t entry;
};

static inline struct pvh_note pvh_note(uint64_t entry, uint32_t descsz)
{
	return (struct pvh_note){ 4, descsz, 18, "Xen", entry };
}

#endif
