/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What util/decompress.c asks of each format's file: unpack one job.
 */
#ifndef UTIL_DECOMPRESS_FORMATS_H
#define UTIL_DECOMPRESS_FORMATS_H

#include <stdint.h>

#include "kvm/decompress.h"

/* The most that a decoder may allocate for its own use: twice what kernels are compressed with. */
#define DECOMPRESS_MEMORY_MAX (256u << 20)

/**
 * struct decompress_job - input and output of a decoder, advanced as it goes
 * @in:      what is left to read
 * @in_left: bytes there
 * @out:     where the next byte goes
 * @room:    bytes left there
 * @extent:  see decompress__run()
 *
 * A decoder returns 0 when the input has ended as it should or, with DECOMPRESS_START, when @room
 * is 0; otherwise an error of decompress__run().
 */
struct decompress_job {
	const uint8_t *in;
	size_t in_left;
	uint8_t *out;
	size_t room;
	enum decompress_extent extent;
};

int decompress__gzip(struct decompress_job *job);
int decompress__bzip2(struct decompress_job *job);
int decompress__xz(struct decompress_job *job);
int decompress__lzma(struct decompress_job *job);
int decompress__lzo(struct decompress_job *job);
int decompress__lz4(struct decompress_job *job);
int decompress__lz4_frame(struct decompress_job *job);
int decompress__zstd(struct decompress_job *job);

#endif
