// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The JSON writer.
 *
 * Theory of operation: the only state a writer needs is whether a comma is due, one bit per open
 * bracket. Strings come from the command line and from sysfs, so they may hold any bytes: what is
 * not well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF) is
 * replaced byte by byte, so that a reader never sees a document that it must refuse.
 */
#include "kvm/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

_Static_assert(JSON_MAX_DEPTH < 32, "a bit of nonempty for each depth, and one for the top");

void json__init(struct json_writer *json, FILE *out)
{
	*json = (struct json_writer){ .out = out };
}

static void put_indent(const struct json_writer *json)
{
	fputc('\n', json->out);
	for (unsigned int i = 0; i < json->depth; i++)
		fputs("  ", json->out);
}

/* Bytes of the well-formed UTF-8 sequence at @s, 0 if there is none. */
static size_t utf8_len(const unsigned char *s)
{
	unsigned int low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;

	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;

	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static void put_string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	fputc('"', out);
	while (*s) {
		size_t len = utf8_len(s);

		if (!len)
			fputs("\\ufffd", out);
		else if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s < 0x20)
			fprintf(out, "\\u%04x", *s);
		else
			fwrite(s, 1, len, out);
		s += len ? len : 1;
	}
	fputc('"', out);
}

/* What comes before any value: a comma after the one before it, a new line, its key. */
static void begin_value(struct json_writer *json, const char *key)
{
	if (json->nonempty & (1u << json->depth))
		fputc(',', json->out);
	json->nonempty |= 1u << json->depth;
	if (json->depth)
		put_indent(json);
	if (key) {
		put_string(json->out, key);
		fputs(": ", json->out);
	}
}

static void begin_bracket(struct json_writer *json, const char *key, char bracket)
{
	begin_value(json, key);
	fputc(bracket, json->out);
	if (json->depth < JSON_MAX_DEPTH)
		json->depth++;
	json->nonempty &= ~(1u << json->depth);
}

static void end_bracket(struct json_writer *json, char bracket)
{
	bool nonempty = json->nonempty & (1u << json->depth);

	if (json->depth)
		json->depth--;
	if (nonempty)
		put_indent(json);
	fputc(bracket, json->out);
}

void json__object_begin(struct json_writer *json, const char *key)
{
	begin_bracket(json, key, '{');
}

void json__object_end(struct json_writer *json)
{
	end_bracket(json, '}');
}

void json__array_begin(struct json_writer *json, const char *key)
{
	begin_bracket(json, key, '[');
}

void json__array_end(struct json_writer *json)
{
	end_bracket(json, ']');
}

void json__string(struct json_writer *json, const char *key, const char *value)
{
	if (!value) {
		json__null(json, key);
		return;
	}
	begin_value(json, key);
	put_string(json->out, value);
}

void json__uint(struct json_writer *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void json__bool(struct json_writer *json, const char *key, bool value)
{
	begin_value(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json__null(struct json_writer *json, const char *key)
{
	begin_value(json, key);
	fputs("null", json->out);
}

int json__finish(struct json_writer *json)
{
	fputc('\n', json->out);
	return fflush(json->out) || ferror(json->out) ? -EIO : 0;
}
