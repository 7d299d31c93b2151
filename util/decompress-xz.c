// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xz and the older lzma format, by liblzma.
 */
#ifdef HAVE_LZMA

#include <errno.h>
#include <lzma.h>

#include "util/decompress-formats.h"

static int result(lzma_ret ret, const struct decompress_job *job)
{
	switch (ret) {
	case LZMA_OK: /* the beginning was enough */
		return 0;
	case LZMA_STREAM_END:
		return job->in_left && job->extent == DECOMPRESS_ALL ? -EBADMSG : 0;
	case LZMA_BUF_ERROR: /* no progress: one of the two has run out */
		return job->in_left ? -E2BIG : -ENODATA;
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

static int run(lzma_stream *stream, struct decompress_job *job)
{
	lzma_ret ret;

	do {
		stream->next_in = job->in;
		stream->avail_in = job->in_left;
		stream->next_out = job->out;
		stream->avail_out = job->room;
		ret = lzma_code(stream, LZMA_FINISH);
		job->in = stream->next_in;
		job->in_left = stream->avail_in;
		job->out = stream->next_out;
		job->room = stream->avail_out;
	} while (ret == LZMA_OK && (job->room || job->extent == DECOMPRESS_ALL));
	lzma_end(stream);
	return result(ret, job);
}

int decompress__xz(struct decompress_job *job)
{
	lzma_stream stream = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&stream, DECOMPRESS_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK)
		return -ENOMEM;
	return run(&stream, job);
}

int decompress__lzma(struct decompress_job *job)
{
	lzma_stream stream = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&stream, DECOMPRESS_MEMORY_MAX) != LZMA_OK)
		return -ENOMEM;
	return run(&stream, job);
}

#endif
