// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Compressed clusters: raw deflate with a window of 4 KiB, or zstd. What follows the end of the
 * compressed data, up to the next sector, means nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/qcow2.h"

#ifdef HAVE_ZLIB
#include <zlib.h>

#define DEFLATE_WINDOW (-12) /* raw */

static int unpack_deflate(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	z_stream stream = {
		.next_in = (uint8_t *)(uintptr_t)in,
		.avail_in = (uInt)in_len,
		.next_out = out,
		.avail_out = (uInt)out_len,
	};
	int ret = inflateInit2(&stream, DEFLATE_WINDOW);

	if (ret != Z_OK)
		return -ENOMEM;
	ret = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	/* Full without having met the end marker will do: Z_BUF_ERROR. */
	return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !stream.avail_out ? 0 : -EIO;
}
#else
static int unpack_deflate(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	return -ENOTSUP;
}
#endif

#ifdef HAVE_ZSTD
#include <zstd.h>

static int unpack_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	ZSTD_inBuffer from = { in, in_len, 0 };
	ZSTD_outBuffer to = { out, out_len, 0 };
	int ret = ctx ? 0 : -ENOMEM;

	while (!ret && to.pos < to.size) {
		size_t before = from.pos + to.pos;

		if (ZSTD_isError(ZSTD_decompressStream(ctx, &to, &from)) ||
		    from.pos + to.pos == before)
			ret = -EIO;
	}
	ZSTD_freeDCtx(ctx);
	return ret;
}
#else
static int unpack_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	return -ENOTSUP;
}
#endif

int qcow2__unpack(bool zstd, const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	return zstd ? unpack_zstd(in, in_len, out, out_len)
		    : unpack_deflate(in, in_len, out, out_len);
}
