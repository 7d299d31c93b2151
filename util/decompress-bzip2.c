// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bzip2 by libbz2: one stream after another, as parallel packers write them.
 */
#ifdef HAVE_BZ2

#include <bzlib.h>
#include <errno.h>
#include <limits.h>

#include "util/decompress-formats.h"

static unsigned int chunk(size_t left)
{
	return left < UINT_MAX ? (unsigned int)left : UINT_MAX;
}

/* A block is decoded as a whole before any of it comes out, so there may be more without more
 * input. */
static bool has_more(bz_stream *bz)
{
	char byte;

	bz->next_out = &byte;
	bz->avail_out = 1;
	BZ2_bzDecompress(bz);
	return !bz->avail_out;
}

static int one_stream(bz_stream *bz, struct decompress_job *job)
{
	unsigned int in, room;
	int ret;

	do {
		in = chunk(job->in_left);
		room = chunk(job->room);
		bz->next_in = (char *)(uintptr_t)job->in;
		bz->avail_in = in;
		bz->next_out = (char *)job->out;
		bz->avail_out = room;
		ret = BZ2_bzDecompress(bz);
		in -= bz->avail_in;
		room -= bz->avail_out;
		job->in += in;
		job->in_left -= in;
		job->out += room;
		job->room -= room;
		if (ret == BZ_OK && !job->room && job->extent == DECOMPRESS_START)
			return 0;
	} while (ret == BZ_OK && (in || room));

	switch (ret) {
	case BZ_STREAM_END:
		return 0;
	case BZ_OK: /* no progress: one of the two has run out */
		return !job->room && has_more(bz) ? -E2BIG : -ENODATA;
	case BZ_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

int decompress__bzip2(struct decompress_job *job)
{
	int ret;

	do {
		bz_stream bz = { 0 };

		if (BZ2_bzDecompressInit(&bz, 0, 0) != BZ_OK)
			return -ENOMEM;
		ret = one_stream(&bz, job);
		BZ2_bzDecompressEnd(&bz);
	} while (!ret && job->in_left && (job->room || job->extent == DECOMPRESS_ALL));
	return ret;
}

#endif
