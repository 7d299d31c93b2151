// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LZ4: the legacy frame, block by block, and the present frame by the library's own reader.
 *
 * A legacy frame (LZ4 Frame Format Description, "Legacy frame") is a magic and then blocks, each a
 * 32-bit length and that many compressed bytes that unpack to 8 MiB, the last to what is left. It
 * has no end mark and no checksum.
 */
#ifdef HAVE_LZ4

#include <errno.h>
#include <lz4.h>
#include <lz4frame.h>
#include <stdbool.h>

#include "util/decompress-formats.h"

#define LEGACY_MAGIC 0x184c2102u
#define LEGACY_BLOCK (8u << 20)

static bool take_word(struct decompress_job *job, uint32_t *word)
{
	if (job->in_left < 4)
		return false;
	*word = (uint32_t)job->in[0] | (uint32_t)job->in[1] << 8 | (uint32_t)job->in[2] << 16 |
		(uint32_t)job->in[3] << 24;
	job->in += 4;
	job->in_left -= 4;
	return true;
}

static int legacy_block(struct decompress_job *job, uint32_t len)
{
	const char *in = (const char *)job->in;
	char *out = (char *)job->out;
	int room = job->room < LEGACY_BLOCK ? (int)job->room : (int)LEGACY_BLOCK;
	int n;

	if (!len || len > (uint32_t)LZ4_compressBound(LEGACY_BLOCK))
		return -EBADMSG;
	if (len > job->in_left)
		return -ENODATA;
	if (job->extent == DECOMPRESS_START)
		n = LZ4_decompress_safe_partial(in, out, (int)len, room, room);
	else
		n = LZ4_decompress_safe(in, out, (int)len, room);
	if (n < 0 && room < (int)LEGACY_BLOCK &&
	    LZ4_decompress_safe_partial(in, out, (int)len, room, room) == room)
		return -E2BIG; /* the data is good, there is but too much of it */
	if (n < 0)
		return -EBADMSG;
	job->in += len;
	job->in_left -= len;
	job->out += n;
	job->room -= (size_t)n;
	return 0;
}

int decompress__lz4(struct decompress_job *job)
{
	uint32_t word;
	int ret = 0;

	while (!ret && job->in_left && (job->room || job->extent == DECOMPRESS_ALL)) {
		if (!take_word(job, &word))
			return -ENODATA;
		/* Frames may follow each other. */
		if (word != LEGACY_MAGIC)
			ret = legacy_block(job, word);
	}
	return ret;
}

int decompress__lz4_frame(struct decompress_job *job)
{
	LZ4F_dctx *ctx;
	size_t in, room, hint = 1;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
		return -ENOMEM;
	do {
		in = job->in_left;
		room = job->room;
		hint = LZ4F_decompress(ctx, job->out, &room, job->in, &in, NULL);
		if (LZ4F_isError(hint))
			break;
		job->in += in;
		job->in_left -= in;
		job->out += room;
		job->room -= room;
	} while ((in || room) && (hint || job->in_left) &&
		 (job->room || job->extent == DECOMPRESS_ALL));
	LZ4F_freeDecompressionContext(ctx);

	if (LZ4F_isError(hint))
		return -EBADMSG;
	if (!hint || (!job->room && job->extent == DECOMPRESS_START))
		return 0;
	return job->room ? -ENODATA : -E2BIG;
}

#endif
