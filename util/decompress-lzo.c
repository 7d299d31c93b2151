// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lzop's container for LZO1X, as a kernel build makes it, block by block through liblzo2.
 *
 * All numbers are big-endian. The header is as long as its version and flags say. A block is its
 * unpacked length (0 ends the file), its packed length, checksums as the flags say, and the data;
 * equal lengths mean that the data is stored as it is.
 */
#ifdef HAVE_LZO

#include <errno.h>
#include <lzo/lzo1x.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/decompress-formats.h"

#define MAGIC_LEN      9
#define VERSION_LEVELS 0x0940 /* from here on: version needed, level, 64-bit time */
#define METHOD_LAST    3      /* 1 to 3 are all LZO1X */
#define BLOCK_MAX      (64u << 20)
#define F_ADLER_OUT    0x001u
#define F_ADLER_IN     0x002u
#define F_EXTRA_FIELD  0x040u
#define F_CRC_OUT      0x100u
#define F_CRC_IN       0x200u
#define F_MULTIPART    0x400u
#define F_FILTER       0x800u
#define F_HEADER_CRC   0x1000u
#define ADLER_INIT     1
#define CRC_INIT       0

struct sums {
	uint32_t adler, crc;
};

static bool skip(struct decompress_job *job, size_t len)
{
	if (len > job->in_left)
		return false;
	job->in += len;
	job->in_left -= len;
	return true;
}

static bool take(struct decompress_job *job, unsigned int len, uint32_t *value)
{
	const uint8_t *from = job->in;

	if (!skip(job, len))
		return false;
	*value = 0;
	while (len--)
		*value = *value << 8 | *from++;
	return true;
}

static uint32_t header_sum(const uint8_t *header, const uint8_t *end, uint32_t flags)
{
	lzo_uint len = (lzo_uint)(end - header);

	return flags & F_HEADER_CRC ? lzo_crc32(CRC_INIT, header, len)
				    : lzo_adler32(ADLER_INIT, header, len);
}

static int read_header(struct decompress_job *job, uint32_t *flags)
{
	const uint8_t *header = job->in + MAGIC_LEN;
	uint32_t version, method, len, sum;
	bool levels;

	if (!skip(job, MAGIC_LEN) || !take(job, 2, &version))
		return -ENODATA;
	levels = version >= VERSION_LEVELS;
	/* The library's version; the version needed. */
	if (!skip(job, levels ? 4 : 2) || !take(job, 1, &method) || !skip(job, levels ? 1 : 0) ||
	    !take(job, 4, flags))
		return -ENODATA;
	if (!method || method > METHOD_LAST || *flags & (F_MULTIPART | F_FILTER))
		return -EBADMSG;
	/* Mode, time; name. */
	if (!skip(job, levels ? 12 : 8) || !take(job, 1, &len) || !skip(job, len))
		return -ENODATA;
	sum = header_sum(header, job->in, *flags);
	if (!take(job, 4, &len))
		return -ENODATA;
	if (len != sum)
		return -EBADMSG;
	if (*flags & F_EXTRA_FIELD && (!take(job, 4, &len) || !skip(job, len) || !skip(job, 4)))
		return -ENODATA;
	return 0;
}

static bool take_sums(struct decompress_job *job, bool adler, bool crc, struct sums *sums)
{
	return (!adler || take(job, 4, &sums->adler)) && (!crc || take(job, 4, &sums->crc));
}

static bool sums_match(const struct sums *sums, bool adler, bool crc, const uint8_t *data,
		       uint32_t len)
{
	return (!adler || lzo_adler32(ADLER_INIT, data, len) == sums->adler) &&
	       (!crc || lzo_crc32(CRC_INIT, data, len) == sums->crc);
}

static int unpack_block(const uint8_t *in, uint32_t in_len, uint8_t *out, uint32_t out_len)
{
	lzo_uint len = out_len;

	if (in_len == out_len) {
		memcpy(out, in, in_len);
		return 0;
	}
	return lzo1x_decompress_safe(in, in_len, out, &len, NULL) == LZO_E_OK && len == out_len
		       ? 0
		       : -EBADMSG;
}

/* A block of which only the beginning fits. */
static int start_of_block(struct decompress_job *job, uint32_t in_len, uint32_t out_len)
{
	uint8_t *whole = malloc(out_len);
	int ret;

	if (!whole)
		return -ENOMEM;
	ret = unpack_block(job->in, in_len, whole, out_len);
	if (!ret) {
		memcpy(job->out, whole, job->room);
		job->room = 0;
	}
	free(whole);
	return ret;
}

static int block(struct decompress_job *job, uint32_t flags, uint32_t out_len)
{
	struct sums out_sums = { 0 }, in_sums = { 0 };
	bool packed;
	uint32_t in_len;
	int ret;

	if (!take(job, 4, &in_len))
		return -ENODATA;
	if (out_len > BLOCK_MAX || !in_len || in_len > out_len)
		return -EBADMSG;
	packed = in_len < out_len;
	if (!take_sums(job, flags & F_ADLER_OUT, flags & F_CRC_OUT, &out_sums) ||
	    (packed && !take_sums(job, flags & F_ADLER_IN, flags & F_CRC_IN, &in_sums)) ||
	    in_len > job->in_left)
		return -ENODATA;
	if (packed && !sums_match(&in_sums, flags & F_ADLER_IN, flags & F_CRC_IN, job->in, in_len))
		return -EBADMSG;
	if (out_len > job->room)
		return job->extent == DECOMPRESS_START ? start_of_block(job, in_len, out_len)
						       : -E2BIG;

	ret = unpack_block(job->in, in_len, job->out, out_len);
	if (!ret &&
	    !sums_match(&out_sums, flags & F_ADLER_OUT, flags & F_CRC_OUT, job->out, out_len))
		ret = -EBADMSG;
	skip(job, in_len);
	job->out += out_len;
	job->room -= out_len;
	return ret;
}

int decompress__lzo(struct decompress_job *job)
{
	uint32_t flags, out_len;
	int ret;

	if (lzo_init() != LZO_E_OK)
		return -ENOMEM;
	ret = read_header(job, &flags);
	while (!ret && (job->room || job->extent == DECOMPRESS_ALL)) {
		if (!take(job, 4, &out_len))
			return -ENODATA;
		if (!out_len)
			return 0;
		ret = block(job, flags, out_len);
	}
	return ret;
}

#endif
