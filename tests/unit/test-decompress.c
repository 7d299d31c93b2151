// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal pr_info pr_warn */
/* Compressed data unpacks to what was packed, or to an error; never to more than there is room for.
 */
#include "boot-images.h"

#include "kvm/decompress.h"

#define SMALL 1200u

static const enum compression all[] = {
	COMPRESSION_GZIP, COMPRESSION_BZIP2, COMPRESSION_XZ,	    COMPRESSION_LZMA,
	COMPRESSION_LZO,  COMPRESSION_LZ4,   COMPRESSION_LZ4_FRAME, COMPRESSION_ZSTD,
};

/* Each test runs once for each format. */
static enum compression format(void **state)
{
	return *(const enum compression *)*state;
}

/* More than a block of the format. */
static size_t large(void **state)
{
	return format(state) == COMPRESSION_LZ4 ? 9u << 20 : 1u << 20;
}

/* The output is its own allocation, so that a sanitizer sees the first byte too many. */
static int unpack(enum compression type, struct bytes in, size_t room,
		  enum decompress_extent extent, struct bytes *out)
{
	size_t got = 12345;
	int ret;

	*out = bytes__new(room);
	ret = decompress__run(type, in.data, in.size, out->data, room, extent, &got);
	assert_true(got <= room || ret);
	out->size = got;
	return ret;
}

static struct bytes copy_of(struct bytes b, size_t size)
{
	struct bytes copy = bytes__new(size);

	memcpy(copy.data, b.data, size);
	return copy;
}

static void round_trip(enum compression type, size_t size, size_t room)
{
	struct bytes text = bytes__text(size), packed = pack(type, text.data, size), out;

	assert_int_equal(decompress__detect(packed.data, packed.size), type);
	assert_int_equal(unpack(type, packed, room, DECOMPRESS_ALL, &out), 0);
	assert_int_equal(out.size, size);
	assert_memory_equal(out.data, text.data, size);
	bytes__free(&out);
	bytes__free(&packed);
	bytes__free(&text);
}

static void what_was_packed_comes_out(void **state)
{
	round_trip(format(state), SMALL, SMALL);
	round_trip(format(state), large(state), large(state));
	round_trip(format(state), SMALL, large(state));
}

static void the_beginning_comes_out_alone(void **state)
{
	const size_t lengths[] = { 1, 64, 4096, 300000, large(state) - 1, large(state) };
	struct bytes text = bytes__text(large(state)),
		     packed = pack(format(state), text.data, large(state));

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct bytes out;

		assert_int_equal(unpack(format(state), packed, lengths[i], DECOMPRESS_START, &out),
				 0);
		assert_int_equal(out.size, lengths[i]);
		assert_memory_equal(out.data, text.data, lengths[i]);
		bytes__free(&out);
	}
	bytes__free(&packed);
	bytes__free(&text);
}

static void the_beginning_of_less_is_all_of_it(void **state)
{
	struct bytes text = bytes__text(SMALL), packed = pack(format(state), text.data, SMALL), out;

	assert_int_equal(unpack(format(state), packed, large(state), DECOMPRESS_START, &out), 0);
	assert_int_equal(out.size, SMALL);
	assert_memory_equal(out.data, text.data, SMALL);
	bytes__free(&out);
	bytes__free(&packed);
	bytes__free(&text);
}

static void a_bomb_stops_where_the_room_ends(void **state)
{
	const size_t rooms[] = { 0, 1, 100, 70000, large(state) - 1 };
	struct bytes zeroes = bytes__new(large(state)),
		     packed = pack(format(state), zeroes.data, large(state));

	for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
		struct bytes out;

		assert_int_equal(unpack(format(state), packed, rooms[i], DECOMPRESS_ALL, &out),
				 -E2BIG);
		bytes__free(&out);
	}
	bytes__free(&packed);
	bytes__free(&zeroes);
}

static void every_truncation_is_noticed(void **state)
{
	struct bytes text = bytes__text(SMALL), packed = pack(format(state), text.data, SMALL);

	for (size_t len = 0; len < packed.size; len++) {
		struct bytes cut = copy_of(packed, len), out;
		int ret = unpack(format(state), cut, SMALL + 1, DECOMPRESS_ALL, &out);

		/* LZ4's legacy frame has no end: what came out is too short, and that is all there
		 * is. */
		if (format(state) == COMPRESSION_LZ4 && !ret)
			assert_true(out.size < SMALL);
		else if (ret != -ENODATA && ret != -EBADMSG)
			fail_msg("%zu of %zu bytes: %d", len, packed.size, ret);
		bytes__free(&out);
		bytes__free(&cut);
	}
	bytes__free(&packed);
	bytes__free(&text);
}

static void truncation_ends_too_early_rather_than_being_corrupt(void **state)
{
	struct bytes text = bytes__text(large(state)),
		     packed = pack(format(state), text.data, large(state)), out;

	packed.size /= 2;
	assert_int_equal(unpack(format(state), packed, large(state), DECOMPRESS_ALL, &out),
			 -ENODATA);
	bytes__free(&out);
	assert_int_equal(unpack(format(state), packed, large(state), DECOMPRESS_START, &out),
			 -ENODATA);
	bytes__free(&out);
	bytes__free(&packed);
	bytes__free(&text);
}

static void no_flipped_bit_gets_through_unnoticed(void **state)
{
	struct bytes text = bytes__text(SMALL), packed = pack(format(state), text.data, SMALL);
	/* These two have no checksum; all that counts is that nothing breaks. */
	bool unchecked = format(state) == COMPRESSION_LZ4 || format(state) == COMPRESSION_LZMA;

	for (size_t bit = 0; bit < packed.size * 8; bit++) {
		struct bytes bad = copy_of(packed, packed.size), out;
		int ret;

		bad.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ret = unpack(format(state), bad, SMALL, DECOMPRESS_ALL, &out);
		if (!ret && !unchecked &&
		    (out.size != SMALL || memcmp(out.data, text.data, SMALL) != 0))
			fail_msg("bit %zu of %zu bytes", bit, packed.size);
		if (ret)
			assert_true(ret == -EBADMSG || ret == -ENODATA || ret == -E2BIG ||
				    ret == -ENOMEM);
		bytes__free(&out);
		bytes__free(&bad);
	}
	bytes__free(&packed);
	bytes__free(&text);
}

static void garbage_behind_the_end_is_corruption(void **state)
{
	struct bytes text = bytes__text(SMALL), packed = pack(format(state), text.data, SMALL), out;
	struct bytes longer = bytes__new(packed.size + 64);
	int ret;

	memcpy(longer.data, packed.data, packed.size);
	memset(longer.data + packed.size, 0xa5, 64);
	ret = unpack(format(state), longer, SMALL + 64, DECOMPRESS_ALL, &out);
	/* lzop's format says itself where it ends. */
	if (format(state) == COMPRESSION_LZO)
		assert_int_equal(ret, 0);
	else
		assert_true(ret == -EBADMSG || ret == -ENODATA);
	bytes__free(&out);
	bytes__free(&longer);
	bytes__free(&packed);
	bytes__free(&text);
}

static void several_streams_are_one(void **state)
{
	struct bytes text = bytes__text(SMALL), packed = pack(format(state), text.data, SMALL), out;
	struct bytes twice = bytes__new(packed.size * 2);

	memcpy(twice.data, packed.data, packed.size);
	memcpy(twice.data + packed.size, packed.data, packed.size);
	assert_int_equal(unpack(format(state), twice, 2 * SMALL, DECOMPRESS_ALL, &out), 0);
	assert_int_equal(out.size, 2 * SMALL);
	assert_memory_equal(out.data + SMALL, text.data, SMALL);
	bytes__free(&out);
	assert_int_equal(unpack(format(state), twice, 2 * SMALL, DECOMPRESS_START, &out), 0);
	assert_int_equal(out.size, 2 * SMALL);
	bytes__free(&out);
	bytes__free(&twice);
	bytes__free(&packed);
	bytes__free(&text);
}

static void what_has_no_magic_is_not_compressed(void **state)
{
	assert_int_equal(decompress__detect("", 0), COMPRESSION_NONE);
	assert_int_equal(decompress__detect("\x1f\x8b", 2), COMPRESSION_NONE);
	assert_int_equal(decompress__detect("\x7f"
					    "ELF\2\1\1\0\0",
					    9),
			 COMPRESSION_NONE);
	assert_int_equal(decompress__detect("\x1f\x8b\x08\0", 4), COMPRESSION_GZIP);
}

static void uncompressed_is_no_format_to_run(void **state)
{
	char in[4] = "abc", out[4];
	size_t got;

	assert_false(decompress__supported(COMPRESSION_NONE));
	assert_int_equal(decompress__run(COMPRESSION_NONE, in, 4, out, 4, DECOMPRESS_ALL, &got),
			 -ENOTSUP);
}

static void each_error_has_words_of_its_own(void **state)
{
	static const int errors[] = { -EBADMSG, -ENODATA, -E2BIG, -ENOTSUP, -ENOMEM };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(decompress__strerror(errors[i]),
						decompress__strerror(errors[j]));
}

#ifdef HAVE_LZO
/* Where things are in what pack_lzo() makes. */
#define LZO_METHOD 15
#define LZO_FLAGS  17
#define LZO_BLOCK0 45
#define LZO_SUM	   41

/* With one field changed, and the header's checksum made to fit. */
static int unpack_lzo_with(size_t offset, unsigned int len, uint32_t value)
{
	struct bytes text = bytes__text(SMALL), packed = pack_lzo(text.data, SMALL), out;
	int ret;

	put_be(packed.data + offset, len, value);
	put_be(packed.data + LZO_SUM, 4, lzo_adler32(1, packed.data + 9, LZO_SUM - 9));
	ret = unpack(COMPRESSION_LZO, packed, SMALL, DECOMPRESS_ALL, &out);
	bytes__free(&out);
	bytes__free(&packed);
	bytes__free(&text);
	return ret;
}

static void lzo_refuses_what_it_cannot_do(void **state)
{
	assert_int_equal(unpack_lzo_with(LZO_METHOD, 1, 1), 0);
	assert_int_equal(unpack_lzo_with(LZO_METHOD, 1, 0), -EBADMSG);
	assert_int_equal(unpack_lzo_with(LZO_METHOD, 1, 4), -EBADMSG);
	assert_int_equal(unpack_lzo_with(LZO_FLAGS, 4, 0x803), -EBADMSG);
	assert_int_equal(unpack_lzo_with(LZO_FLAGS, 4, 0x403), -EBADMSG);
	/* An extra field whose length is what comes next: the first block's, far too long. */
	assert_int_equal(unpack_lzo_with(LZO_FLAGS, 4, 0x043), -ENODATA);
}

static void lzo_headers_have_a_checksum(void **state)
{
	struct bytes text = bytes__text(SMALL), packed = pack_lzo(text.data, SMALL), out;

	packed.data[LZO_SUM - 1] ^= 1; /* of the name */
	assert_int_equal(unpack(COMPRESSION_LZO, packed, SMALL, DECOMPRESS_ALL, &out), -EBADMSG);
	bytes__free(&out);
	bytes__free(&packed);
	bytes__free(&text);
}

static void lzo_block_lengths_are_bounded(void **state)
{
	assert_int_equal(unpack_lzo_with(LZO_BLOCK0, 4, UINT32_MAX), -EBADMSG);
	assert_int_equal(unpack_lzo_with(LZO_BLOCK0, 4, (64u << 20) + 1), -EBADMSG);
	assert_int_equal(unpack_lzo_with(LZO_BLOCK0, 4, SMALL + 1), -E2BIG);
	assert_int_equal(unpack_lzo_with(LZO_BLOCK0 + 4, 4, 0), -EBADMSG);
	assert_int_equal(unpack_lzo_with(LZO_BLOCK0 + 4, 4, SMALL + 1), -EBADMSG);
	assert_int_equal(unpack_lzo_with(LZO_BLOCK0 + 4, 4, SMALL - 1), -ENODATA);
	assert_int_equal(unpack_lzo_with(LZO_BLOCK0 + 8, 4, 0), -EBADMSG);
	assert_int_equal(unpack_lzo_with(LZO_BLOCK0 + 12, 4, 0), -EBADMSG);
}
#endif

#ifdef HAVE_LZ4
static void lz4_block_lengths_are_bounded(void **state)
{
	static const uint32_t lengths[] = { 0, UINT32_MAX, 9u << 20 };
	struct bytes text = bytes__text(SMALL), out;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct bytes packed = pack_lz4(text.data, SMALL);

		memcpy(packed.data + 4, &lengths[i], 4);
		assert_int_equal(unpack(COMPRESSION_LZ4, packed, SMALL, DECOMPRESS_ALL, &out),
				 -EBADMSG);
		bytes__free(&out);
		bytes__free(&packed);
	}
	bytes__free(&text);
}
#endif

#ifdef HAVE_LZMA
static void a_dictionary_of_4_gib_is_refused(void **state)
{
	struct bytes text = bytes__text(SMALL), packed = pack_lzma(text.data, SMALL), out;

	memset(packed.data + 1, 0xff, 4);
	assert_int_equal(unpack(COMPRESSION_LZMA, packed, SMALL, DECOMPRESS_ALL, &out), -ENOMEM);
	bytes__free(&out);
	bytes__free(&packed);
	bytes__free(&text);
}
#endif

#define FOR_EACH_FORMAT(test)                                                                \
	FORMAT(test, 0), FORMAT(test, 1), FORMAT(test, 2), FORMAT(test, 3), FORMAT(test, 4), \
		FORMAT(test, 5), FORMAT(test, 6), FORMAT(test, 7)
#define FORMAT(test, i)                                                         \
	{                                                                       \
#test " (" #i ")", test, NULL, NULL, (void *)(uintptr_t)&all[i] \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR_EACH_FORMAT(what_was_packed_comes_out),
		FOR_EACH_FORMAT(the_beginning_comes_out_alone),
		FOR_EACH_FORMAT(the_beginning_of_less_is_all_of_it),
		FOR_EACH_FORMAT(a_bomb_stops_where_the_room_ends),
		FOR_EACH_FORMAT(every_truncation_is_noticed),
		FOR_EACH_FORMAT(truncation_ends_too_early_rather_than_being_corrupt),
		FOR_EACH_FORMAT(no_flipped_bit_gets_through_unnoticed),
		FOR_EACH_FORMAT(garbage_behind_the_end_is_corruption),
		FORMAT(several_streams_are_one, 0), /* gzip */
		FORMAT(several_streams_are_one, 1), /* bzip2 */
		FORMAT(several_streams_are_one, 2), /* xz */
		FORMAT(several_streams_are_one, 5), /* lz4 */
		FORMAT(several_streams_are_one, 6), /* lz4 frame */
		FORMAT(several_streams_are_one, 7), /* zstd */
		cmocka_unit_test(what_has_no_magic_is_not_compressed),
		cmocka_unit_test(uncompressed_is_no_format_to_run),
		cmocka_unit_test(each_error_has_words_of_its_own),
#ifdef HAVE_LZO
		cmocka_unit_test(lzo_refuses_what_it_cannot_do),
		cmocka_unit_test(lzo_headers_have_a_checksum),
		cmocka_unit_test(lzo_block_lengths_are_bounded),
#endif
#ifdef HAVE_LZ4
		cmocka_unit_test(lz4_block_lengths_are_bounded),
#endif
#ifdef HAVE_LZMA
		cmocka_unit_test(a_dictionary_of_4_gib_is_refused),
#endif
	};

	return cmocka_run_group_tests_name("decompress", tests, NULL, NULL);
}
