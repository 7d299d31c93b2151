// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Zstandard (RFC 8878) by libzstd.
 *
 * Unpacking all of it at one go writes to the output alone. The beginning alone can only be had as
 * a stream, through a window that the library allocates: several times slower, so it is kept for
 * headers.
 */
#ifdef HAVE_ZSTD

#include <errno.h>
#include <stdbool.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "util/decompress-formats.h"

#define WINDOW_LOG_MAX 28

_Static_assert(1u << WINDOW_LOG_MAX == DECOMPRESS_MEMORY_MAX, "one bound for all formats");

static int result(size_t code)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_dstSize_tooSmall:
		return -E2BIG;
	case ZSTD_error_srcSize_wrong:
		return -ENODATA;
	case ZSTD_error_memory_allocation:
	case ZSTD_error_frameParameter_windowTooLarge:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

static int run_all(ZSTD_DCtx *ctx, struct decompress_job *job)
{
	size_t n = ZSTD_decompressDCtx(ctx, job->out, job->room, job->in, job->in_left);

	if (ZSTD_isError(n))
		return result(n);
	job->room -= n;
	return 0;
}

static int run_start(ZSTD_DCtx *ctx, struct decompress_job *job)
{
	ZSTD_inBuffer in = { job->in, job->in_left, 0 };
	ZSTD_outBuffer out = { job->out, job->room, 0 };
	size_t hint;

	ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	do {
		size_t before = in.pos + out.pos;

		hint = ZSTD_decompressStream(ctx, &out, &in);
		if (ZSTD_isError(hint))
			return result(hint);
		if (in.pos + out.pos == before)
			break;
	} while (out.pos < out.size && (hint || in.pos < in.size));

	job->room -= out.pos;
	return job->room && hint ? -ENODATA : 0;
}

int decompress__zstd(struct decompress_job *job)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	int ret;

	if (!ctx)
		return -ENOMEM;
	ret = job->extent == DECOMPRESS_ALL ? run_all(ctx, job) : run_start(ctx, job);
	ZSTD_freeDCtx(ctx);
	return ret;
}

#endif
