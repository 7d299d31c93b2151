/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unpacking of compressed kernels, from memory to memory, by whichever libraries lkvm was built
 * with.
 *
 * The formats are those that a Linux kernel build produces, and what the usual tools make of a
 * file.
 */
#ifndef KVM_DECOMPRESS_H
#define KVM_DECOMPRESS_H

#include <stdbool.h>
#include <stddef.h>

/**
 * enum compression - formats, told apart by their magic
 * @COMPRESSION_LZMA:       the old .lzma format
 * @COMPRESSION_LZ4:        LZ4's legacy frame, as kernels use it
 * @COMPRESSION_LZ4_FRAME:  LZ4's present frame, as the lz4 tool makes
 * @COMPRESSION_LZO:        lzop's format
 */
enum compression {
	COMPRESSION_NONE,
	COMPRESSION_GZIP,
	COMPRESSION_BZIP2,
	COMPRESSION_XZ,
	COMPRESSION_LZMA,
	COMPRESSION_LZO,
	COMPRESSION_LZ4,
	COMPRESSION_LZ4_FRAME,
	COMPRESSION_ZSTD,
};

/**
 * enum decompress_extent - how much to unpack
 * @DECOMPRESS_ALL:   everything: it is an error if there is more than fits, or if a checksum is
 * wrong
 * @DECOMPRESS_START: as much as fits: what comes later is not looked at
 */
enum decompress_extent { DECOMPRESS_ALL, DECOMPRESS_START };

/**
 * decompress__detect - the format of some data, by magic
 * @data: its first bytes
 * @len:  how many there are
 *
 * Return: the format, COMPRESSION_NONE if it is none of these.
 */
enum compression decompress__detect(const void *data, size_t len);

/**
 * decompress__name - "gzip", "xz", …
 */
const char *decompress__name(enum compression type);

/**
 * decompress__supported - was the library for @type there when lkvm was built?
 */
bool decompress__supported(enum compression type);

/**
 * decompress__run - unpack
 * @type:    the format
 * @in:      compressed data, @in_len bytes, nothing behind its end
 * @out:     receives at most @out_size bytes; what is there after an error is undefined
 * @extent:  all of it or its beginning
 * @out_len: receives the bytes unpacked
 *
 * Memory beyond @out is bounded whatever the data says.
 *
 * Return: 0; -EBADMSG if the data is corrupt; -ENODATA if it ends too early; -E2BIG if there is
 * more than @out_size (only DECOMPRESS_ALL); -ENOMEM; -ENOTSUP if @type is not supported. Nothing
 * is printed: decompress__strerror() has the words.
 */
int decompress__run(enum compression type, const void *in, size_t in_len, void *out,
		    size_t out_size, enum decompress_extent extent, size_t *out_len);

/**
 * decompress__strerror - an error of decompress__run() in words: "is corrupt", "ends too early", …
 */
const char *decompress__strerror(int err);

#endif
