// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The AML builder.
 *
 * Theory of operation: everything is appended. What cannot be known when a block opens is its
 * length, whose encoding has 1 to 4 bytes depending on its value; so nothing is left open for it,
 * and aml__end() inserts it before the body, which moves up. A table is built once per boot and
 * nests four deep: moving is cheap.
 *
 * Where the buffer ends, bytes are only counted. The lengths, and with them the total, come out the
 * same, which lets a caller build into nothing first and ask how much room it needs.
 */
#include "x86/aml.h"

#include <errno.h>
#include <string.h>

/* Opcodes that begin a construct of their own (20.3) */
#define NULL_NAME	   0x00
#define ZERO_OP		   0x00
#define ONE_OP		   0x01
#define NAME_OP		   0x08
#define BYTE_PREFIX	   0x0a
#define WORD_PREFIX	   0x0b
#define DWORD_PREFIX	   0x0c
#define STRING_PREFIX	   0x0d
#define QWORD_PREFIX	   0x0e
#define SCOPE_OP	   0x10
#define BUFFER_OP	   0x11
#define PACKAGE_OP	   0x12
#define METHOD_OP	   0x14
#define DUAL_NAME_PREFIX   0x2e
#define MULTI_NAME_PREFIX  0x2f
#define EXT_OP_PREFIX	   0x5b
#define EXT_OP_REGION	   0x80
#define EXT_FIELD	   0x81
#define EXT_DEVICE	   0x82
#define IF_OP		   0xa0
#define ELSE_OP		   0xa1
#define ONES_OP		   0xff
#define METHOD_SERIALIZED  0x08
#define FIELD_WRITE_ZEROES 0x40

/* Descriptor tags (6.4) */
#define TAG_IRQ_NO_FLAGS  0x22
#define TAG_IO		  0x47
#define TAG_END		  0x79
#define TAG_MEMORY32	  0x86
#define TAG_DWORD_ADDRESS 0x87
#define TAG_WORD_ADDRESS  0x88
#define TAG_INTERRUPT	  0x89
#define TAG_QWORD_ADDRESS 0x8a

#define IO_DECODE_16	   0x01
#define MEMORY_READ_WRITE  0x01
#define INTERRUPT_CONSUMER 0x01
#define INTERRUPT_EDGE	   0x02
#define WINDOW_TYPE_MEMORY 0
#define WINDOW_TYPE_IO	   1
#define WINDOW_TYPE_BUS	   2
#define WINDOW_FIXED	   0x0c /* both ends; the bridge is a producer and decodes positively */
#define WINDOW_IO_ALL	   0x03 /* ISA and other ports of the range */

#define MAX_ENCODED_LENGTH 4
#define MAX_INTEGER	   9
#define SEGMENT_LENGTH	   4
#define EISA_ID_LENGTH	   7
#define ACPI_ID_LENGTH	   8
#define LIMIT_4G	   0x100000000ull

void aml__init(struct aml *aml, void *buf, size_t size)
{
	*aml = (struct aml){ .buf = buf, .size = size };
}

ssize_t aml__finish(const struct aml *aml)
{
	if (aml->error)
		return aml->error;
	return aml->depth ? -EINVAL : (ssize_t)aml->len;
}

static void fail(struct aml *aml, int error)
{
	if (!aml->error)
		aml->error = error;
}

void aml__raw(struct aml *aml, const void *data, size_t len)
{
	if (aml->error || !len)
		return;
	if (aml->len < aml->size && len <= aml->size - aml->len)
		memcpy(aml->buf + aml->len, data, len);
	aml->len += len;
}

/* A little-endian number of @width bytes, at most 8 */
static void put(struct aml *aml, uint64_t value, unsigned int width)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	aml__raw(aml, bytes, width);
}

static void put_byte(struct aml *aml, unsigned int byte)
{
	put(aml, byte, 1);
}

/* Put @len bytes before what stands at @at */
static void insert(struct aml *aml, size_t at, const uint8_t *data, size_t len)
{
	size_t tail = aml->len - at;

	aml__raw(aml, data, len);
	if (aml->error || aml->len > aml->size)
		return;
	memmove(aml->buf + at + len, aml->buf + at, tail);
	memcpy(aml->buf + at, data, len);
}

/* How many bytes encode @length; 0 if it is too large (20.2.4) */
static unsigned int length_size(size_t length)
{
	if (length < 1u << 6)
		return 1;
	for (unsigned int n = 2; n <= MAX_ENCODED_LENGTH; n++) {
		if (length < (size_t)1 << (8 * n - 4))
			return n;
	}
	return 0;
}

/* Encode @length into @n bytes */
static void encode_length(uint8_t out[MAX_ENCODED_LENGTH], size_t length, unsigned int n)
{
	if (n == 1) {
		out[0] = (uint8_t)length;
		return;
	}
	out[0] = (uint8_t)((n - 1) << 6 | (length & 0xf));
	for (unsigned int i = 1; i < n; i++)
		out[i] = (uint8_t)(length >> (8 * i - 4));
}

static unsigned int encode_integer(uint8_t out[MAX_INTEGER], uint64_t value)
{
	static const struct {
		uint8_t prefix, width;
	} forms[] = {
		{ BYTE_PREFIX, 1 },
		{ WORD_PREFIX, 2 },
		{ DWORD_PREFIX, 4 },
		{ QWORD_PREFIX, 8 },
	};
	unsigned int form = 0;

	if (value <= 1 || value == UINT64_MAX) {
		out[0] = value > 1 ? ONES_OP : value ? ONE_OP : ZERO_OP;
		return 1;
	}
	while (forms[form].width < 8 && value >> (8 * forms[form].width))
		form++;
	out[0] = forms[form].prefix;
	for (unsigned int i = 0; i < forms[form].width; i++)
		out[1 + i] = (uint8_t)(value >> (8 * i));
	return 1u + forms[form].width;
}

/* --- names and constants --- */

static bool is_lead_char(char c)
{
	return (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_char(char c)
{
	return is_lead_char(c) || (c >= '0' && c <= '9');
}

/* Append the segment at the front of @path. Return: what follows it */
static const char *put_segment(struct aml *aml, const char *path)
{
	char segment[SEGMENT_LENGTH] = { '_', '_', '_', '_' };
	size_t len = 0;

	if (!is_lead_char(*path))
		fail(aml, -EINVAL);
	while (len < SEGMENT_LENGTH && is_name_char(path[len])) {
		segment[len] = path[len];
		len++;
	}
	aml__raw(aml, segment, sizeof(segment));
	return path + len;
}

static unsigned int count_segments(const char *path)
{
	unsigned int segments = *path != '\0';

	for (; *path; path++)
		segments += *path == '.';
	return segments;
}

void aml__path(struct aml *aml, const char *path)
{
	unsigned int segments;

	if (*path == '\\')
		put_byte(aml, (unsigned char)*path++);
	else
		while (*path == '^')
			put_byte(aml, (unsigned char)*path++);

	segments = count_segments(path);
	if (segments > UINT8_MAX) {
		fail(aml, -EINVAL);
	} else if (segments > 2) {
		put_byte(aml, MULTI_NAME_PREFIX);
		put_byte(aml, segments);
	} else if (segments == 2) {
		put_byte(aml, DUAL_NAME_PREFIX);
	} else if (segments == 0) {
		put_byte(aml, NULL_NAME);
		return;
	}

	path = put_segment(aml, path);
	while (*path == '.')
		path = put_segment(aml, path + 1);
	if (*path)
		fail(aml, -EINVAL);
}

void aml__integer(struct aml *aml, uint64_t value)
{
	uint8_t code[MAX_INTEGER];

	aml__raw(aml, code, encode_integer(code, value));
}

void aml__string(struct aml *aml, const char *text)
{
	put_byte(aml, STRING_PREFIX);
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c > 0x7f)
			fail(aml, -EINVAL);
	}
	aml__raw(aml, text, strlen(text) + 1);
}

/* The value of a hexadecimal digit, or -1 */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Three letters of 5 bits each, then four hexadecimal digits: a big-endian 32-bit number */
static void put_eisa_id(struct aml *aml, const char *id)
{
	uint32_t number = 0;

	for (unsigned int i = 0; i < EISA_ID_LENGTH; i++) {
		bool letter = i < 3;
		int value = letter ? id[i] - 'A' + 1 : hex_digit(id[i]);

		if (value < 0 || (letter && (value < 1 || value > 26))) {
			fail(aml, -EINVAL);
			return;
		}
		number = number << (letter ? 5 : 4) | (uint32_t)value;
	}
	put_byte(aml, DWORD_PREFIX);
	put(aml, __builtin_bswap32(number), 4);
}

void aml__hardware_id(struct aml *aml, const char *id)
{
	if (strlen(id) == EISA_ID_LENGTH)
		put_eisa_id(aml, id);
	else if (strlen(id) == ACPI_ID_LENGTH)
		aml__string(aml, id);
	else
		fail(aml, -EINVAL);
}

void aml__uuid(struct aml *aml, const char *uuid)
{
	/* Which byte of the buffer each byte of the text becomes: the first three groups are
	 * little-endian. */
	static const uint8_t place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t code[] = { BUFFER_OP, 3 + sizeof(place), BYTE_PREFIX, sizeof(place) };
	uint8_t bytes[sizeof(place)];

	for (unsigned int i = 0; i < sizeof(place); i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *uuid++ != '-') {
			fail(aml, -EINVAL);
			return;
		}
		high = hex_digit(uuid[0]);
		low = high < 0 ? -1 : hex_digit(uuid[1]);
		if (low < 0) {
			fail(aml, -EINVAL);
			return;
		}
		bytes[place[i]] = (uint8_t)(high << 4 | low);
		uuid += 2;
	}
	if (*uuid) {
		fail(aml, -EINVAL);
		return;
	}
	aml__raw(aml, code, sizeof(code));
	aml__raw(aml, bytes, sizeof(bytes));
}

void aml__op(struct aml *aml, enum aml_op op)
{
	put_byte(aml, op);
}

void aml__name(struct aml *aml, const char *path)
{
	put_byte(aml, NAME_OP);
	aml__path(aml, path);
}

void aml__name_integer(struct aml *aml, const char *path, uint64_t value)
{
	aml__name(aml, path);
	aml__integer(aml, value);
}

void aml__region(struct aml *aml, const char *path, enum aml_region_space space, uint64_t offset,
		 uint64_t len)
{
	put_byte(aml, EXT_OP_PREFIX);
	put_byte(aml, EXT_OP_REGION);
	aml__path(aml, path);
	put_byte(aml, space);
	aml__integer(aml, offset);
	aml__integer(aml, len);
}

/* --- blocks --- */

static void begin(struct aml *aml)
{
	if (aml->depth == AML_MAX_DEPTH)
		fail(aml, -EINVAL);
	if (!aml->error)
		aml->block[aml->depth++] = (struct aml_block){ .at = aml->len };
}

void aml__begin_scope(struct aml *aml, const char *path)
{
	put_byte(aml, SCOPE_OP);
	begin(aml);
	aml__path(aml, path);
}

void aml__begin_device(struct aml *aml, const char *path)
{
	put_byte(aml, EXT_OP_PREFIX);
	put_byte(aml, EXT_DEVICE);
	begin(aml);
	aml__path(aml, path);
}

void aml__begin_method(struct aml *aml, const char *path, unsigned int args, bool serialized)
{
	if (args > 7)
		fail(aml, -EINVAL);
	put_byte(aml, METHOD_OP);
	begin(aml);
	aml__path(aml, path);
	put_byte(aml, args | (serialized ? METHOD_SERIALIZED : 0));
}

void aml__begin_if(struct aml *aml)
{
	put_byte(aml, IF_OP);
	begin(aml);
}

void aml__begin_else(struct aml *aml)
{
	put_byte(aml, ELSE_OP);
	begin(aml);
}

void aml__begin_package(struct aml *aml, unsigned int elements)
{
	if (elements > UINT8_MAX)
		fail(aml, -EINVAL);
	put_byte(aml, PACKAGE_OP);
	begin(aml);
	put_byte(aml, elements);
}

void aml__begin_fields(struct aml *aml, const char *region, enum aml_access access)
{
	put_byte(aml, EXT_OP_PREFIX);
	put_byte(aml, EXT_FIELD);
	begin(aml);
	aml__path(aml, region);
	put_byte(aml, access | FIELD_WRITE_ZEROES);
}

void aml__field(struct aml *aml, const char *name, unsigned int bits)
{
	uint8_t width[MAX_ENCODED_LENGTH];
	unsigned int n = length_size(bits);

	if (!n || (name && *put_segment(aml, name))) {
		fail(aml, -EINVAL);
		return;
	}
	if (!name)
		put_byte(aml, NULL_NAME);
	encode_length(width, bits, n);
	aml__raw(aml, width, n);
}

void aml__begin_resources(struct aml *aml)
{
	put_byte(aml, BUFFER_OP);
	begin(aml);
	if (!aml->error)
		aml->block[aml->depth - 1].resources = true;
}

/* End tag, and before the descriptors how many bytes they are: the size of the buffer */
static void end_resources(struct aml *aml, size_t at)
{
	uint8_t code[MAX_INTEGER];
	uint8_t sum = 0;

	put_byte(aml, TAG_END);
	if (aml->len <= aml->size) {
		for (size_t i = at; i < aml->len; i++)
			sum = (uint8_t)(sum + aml->buf[i]);
	}
	put_byte(aml, (uint8_t)-sum);
	insert(aml, at, code, encode_integer(code, aml->len - at));
}

void aml__end(struct aml *aml)
{
	uint8_t code[MAX_ENCODED_LENGTH];
	struct aml_block *block;
	unsigned int n = 1;
	size_t body;

	if (!aml->depth)
		fail(aml, -EINVAL);
	if (aml->error)
		return;

	block = &aml->block[--aml->depth];
	if (block->resources)
		end_resources(aml, block->at);

	/* The length counts itself. */
	body = aml->len - block->at;
	while (n < MAX_ENCODED_LENGTH && length_size(body + n) != n)
		n++;
	if (!length_size(body + n)) {
		fail(aml, -EOVERFLOW);
		return;
	}
	encode_length(code, body + n, n);
	insert(aml, block->at, code, n);
}

/* --- resource descriptors --- */

/* Whether @size bytes from @base lie within @limit (exclusive, not 0) */
static bool in_range(uint64_t base, uint64_t size, uint64_t limit)
{
	return size && base < limit && size <= limit - base;
}

void aml__io(struct aml *aml, uint64_t base, uint64_t size)
{
	if (!in_range(base, size, 0x10000) || size > UINT8_MAX)
		fail(aml, -EINVAL);
	put_byte(aml, TAG_IO);
	put_byte(aml, IO_DECODE_16);
	put(aml, base, 2);
	put(aml, base, 2);
	put_byte(aml, 1);
	put(aml, size, 1);
}

void aml__isa_irq(struct aml *aml, unsigned int irq)
{
	if (irq > 15) {
		fail(aml, -EINVAL);
		return;
	}
	put_byte(aml, TAG_IRQ_NO_FLAGS);
	put(aml, 1u << irq, 2);
}

void aml__interrupt(struct aml *aml, uint32_t gsi, enum aml_trigger trigger)
{
	put_byte(aml, TAG_INTERRUPT);
	put(aml, 6, 2);
	put_byte(aml, INTERRUPT_CONSUMER | (trigger == AML_EDGE ? INTERRUPT_EDGE : 0u));
	put_byte(aml, 1);
	put(aml, gsi, 4);
}

void aml__memory32(struct aml *aml, uint64_t base, uint64_t size)
{
	if (!in_range(base, size, LIMIT_4G) || size > UINT32_MAX)
		fail(aml, -EINVAL);
	put_byte(aml, TAG_MEMORY32);
	put(aml, 9, 2);
	put_byte(aml, MEMORY_READ_WRITE);
	put(aml, base, 4);
	put(aml, size, 4);
}

/* An address space descriptor of 2, 4 or 8 byte fields (6.4.3.5) */
static void put_window(struct aml *aml, unsigned int width, unsigned int type, unsigned int flags,
		       uint64_t base, uint64_t size)
{
	put_byte(aml, width == 2   ? TAG_WORD_ADDRESS
		      : width == 4 ? TAG_DWORD_ADDRESS
				   : TAG_QWORD_ADDRESS);
	put(aml, 3 + 5 * width, 2);
	put_byte(aml, type);
	put_byte(aml, WINDOW_FIXED);
	put_byte(aml, flags);
	put(aml, 0, width); /* granularity */
	put(aml, base, width);
	put(aml, base + size - 1, width);
	put(aml, 0, width); /* translation */
	put(aml, size, width);
}

void aml__bus_window(struct aml *aml, unsigned int first, unsigned int count)
{
	if (!in_range(first, count, 0x100)) {
		fail(aml, -EINVAL);
		return;
	}
	put_window(aml, 2, WINDOW_TYPE_BUS, 0, first, count);
}

void aml__io_window(struct aml *aml, uint64_t base, uint64_t size)
{
	if (!in_range(base, size, 0x10000) || size > UINT16_MAX) {
		fail(aml, -EINVAL);
		return;
	}
	put_window(aml, 2, WINDOW_TYPE_IO, WINDOW_IO_ALL, base, size);
}

void aml__memory_window(struct aml *aml, uint64_t base, uint64_t size)
{
	if (!size || size - 1 > UINT64_MAX - base) {
		fail(aml, -EINVAL);
		return;
	}
	put_window(aml, in_range(base, size, LIMIT_4G) && size <= UINT32_MAX ? 4 : 8,
		   WINDOW_TYPE_MEMORY, MEMORY_READ_WRITE, base, size);
}
