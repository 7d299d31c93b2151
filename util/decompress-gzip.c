// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gzip (RFC 1952) by zlib: one member after another.
 */
#ifdef HAVE_ZLIB

#include <errno.h>
#include <limits.h>
#include <zlib.h>

#include "util/decompress-formats.h"

#define GZIP_ONLY 16 /* added to the window's bits: a gzip header, and no other */

static unsigned int chunk(size_t left)
{
	return left < UINT_MAX ? (unsigned int)left : UINT_MAX;
}

static int one_member(z_stream *z, struct decompress_job *job)
{
	int ret;

	do {
		unsigned int in = chunk(job->in_left), room = chunk(job->room);

		z->next_in = (Bytef *)(uintptr_t)job->in;
		z->avail_in = in;
		z->next_out = job->out;
		z->avail_out = room;
		ret = inflate(z, Z_NO_FLUSH);
		job->in += in - z->avail_in;
		job->in_left -= in - z->avail_in;
		job->out += room - z->avail_out;
		job->room -= room - z->avail_out;
		if (ret == Z_OK && !job->room && job->extent == DECOMPRESS_START)
			return 0;
	} while (ret == Z_OK);

	switch (ret) {
	case Z_STREAM_END:
		return 0;
	case Z_BUF_ERROR: /* no progress: one of the two has run out */
		return job->in_left ? -E2BIG : -ENODATA;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

int decompress__gzip(struct decompress_job *job)
{
	z_stream z = { 0 };
	int ret;

	if (inflateInit2(&z, MAX_WBITS + GZIP_ONLY) != Z_OK)
		return -ENOMEM;
	do {
		ret = one_member(&z, job);
		if (!ret && inflateReset(&z) != Z_OK)
			ret = -ENOMEM;
	} while (!ret && job->in_left && (job->room || job->extent == DECOMPRESS_ALL));
	inflateEnd(&z);
	return ret;
}

#endif
