// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of compression formats: magic, name, decoder.
 *
 * Each decoder is in a file of its own, as thin as its library allows. A library that was not there
 * when lkvm was built leaves a NULL here, and what needs it says so.
 */
#include "kvm/decompress.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>

#include "util/decompress-formats.h"

struct format {
	const char *name;
	const char *magic;
	size_t magic_len;
	int (*run)(struct decompress_job *job);
};

#define FORMAT(name, magic, run)                    \
	{                                           \
		name, magic, sizeof(magic) - 1, run \
	}

#ifdef HAVE_ZLIB
#define GZIP decompress__gzip
#else
#define GZIP NULL
#endif
#ifdef HAVE_BZ2
#define BZIP2 decompress__bzip2
#else
#define BZIP2 NULL
#endif
#ifdef HAVE_LZMA
#define XZ   decompress__xz
#define LZMA decompress__lzma
#else
#define XZ   NULL
#define LZMA NULL
#endif
#ifdef HAVE_LZO
#define LZO decompress__lzo
#else
#define LZO NULL
#endif
#ifdef HAVE_LZ4
#define LZ4	  decompress__lz4
#define LZ4_FRAME decompress__lz4_frame
#else
#define LZ4	  NULL
#define LZ4_FRAME NULL
#endif
#ifdef HAVE_ZSTD
#define ZSTD decompress__zstd
#else
#define ZSTD NULL
#endif

static const struct format formats[] = {
	[COMPRESSION_NONE] = { "no", NULL, 0, NULL },
	[COMPRESSION_GZIP] = FORMAT("gzip", "\x1f\x8b\x08", GZIP),
	[COMPRESSION_BZIP2] = FORMAT("bzip2", "BZh", BZIP2),
	[COMPRESSION_XZ] = FORMAT("xz", "\xfd\x37zXZ\0", XZ),
	/* No magic proper, but this is what every encoder's defaults begin with. */
	[COMPRESSION_LZMA] = FORMAT("lzma", "\x5d\0\0", LZMA),
	[COMPRESSION_LZO] = FORMAT("lzo", "\x89LZO\0\r\n\x1a\n", LZO),
	[COMPRESSION_LZ4] = FORMAT("lz4", "\x02\x21\x4c\x18", LZ4),
	[COMPRESSION_LZ4_FRAME] = FORMAT("lz4", "\x04\x22\x4d\x18", LZ4_FRAME),
	[COMPRESSION_ZSTD] = FORMAT("zstd", "\x28\xb5\x2f\xfd", ZSTD),
};

#define NR_FORMATS (sizeof(formats) / sizeof(formats[0]))

enum compression decompress__detect(const void *data, size_t len)
{
	for (size_t i = COMPRESSION_NONE + 1; i < NR_FORMATS; i++) {
		const struct format *format = &formats[i];

		if (len > format->magic_len && !memcmp(data, format->magic, format->magic_len))
			return (enum compression)i;
	}
	return COMPRESSION_NONE;
}

const char *decompress__name(enum compression type)
{
	return formats[type].name;
}

bool decompress__supported(enum compression type)
{
	return formats[type].run;
}

int decompress__run(enum compression type, const void *in, size_t in_len, void *out,
		    size_t out_size, enum decompress_extent extent, size_t *out_len)
{
	struct decompress_job job = {
		.in = in,
		.in_left = in_len,
		.out = out,
		.room = out_size,
		.extent = extent,
	};
	int ret;

	if (!decompress__supported(type))
		return -ENOTSUP;
	*out_len = 0;
	if (!in_len)
		return -ENODATA; /* some libraries take nothing for an empty file */
	ret = formats[type].run(&job);
#ifdef __GLIBC__
	/* Decoders take megabytes, which the allocator would keep for as long as a guest runs. */
	malloc_trim(0);
#endif
	*out_len = out_size - job.room;
	return ret;
}

const char *decompress__strerror(int err)
{
	switch (err) {
	case -EBADMSG:
		return "is corrupt";
	case -ENODATA:
		return "ends too early";
	case -E2BIG:
		return "unpacks to more than it may";
	case -ENOTSUP:
		return "needs a library that this lkvm was built without";
	default:
		return strerror(-err);
	}
}
