/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A writer of JSON (RFC 8259): what lkvm tells to programs, as one indented value.
 *
 * Called by whoever has an option that prints machine-readable facts. There is nothing to free, and
 * no call can fail by itself: trouble with the stream is asked for once, at the end.
 */
#ifndef KVM_JSON_H
#define KVM_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_MAX_DEPTH 31

/**
 * struct json_writer - where in a value we are
 * @out:      stream
 * @depth:    objects and arrays open, at most JSON_MAX_DEPTH
 * @nonempty: bit n: the object or array at depth n has something in it
 */
struct json_writer {
	FILE *out;
	unsigned int depth;
	uint32_t nonempty;
};

/**
 * json__init - ready to write one value to @out
 */
void json__init(struct json_writer *json, FILE *out);

/**
 * json__object_begin, json__object_end, json__array_begin, json__array_end - brackets
 * @key: name within the object around it; NULL in an array and at the top
 */
void json__object_begin(struct json_writer *json, const char *key);
void json__object_end(struct json_writer *json);
void json__array_begin(struct json_writer *json, const char *key);
void json__array_end(struct json_writer *json);

/**
 * json__string - a string, escaped; bytes that are not UTF-8 become U+FFFD
 * @value: NULL is written as null
 */
void json__string(struct json_writer *json, const char *key, const char *value);

/**
 * json__uint, json__bool, json__null - the other values
 */
void json__uint(struct json_writer *json, const char *key, uint64_t value);
void json__bool(struct json_writer *json, const char *key, bool value);
void json__null(struct json_writer *json, const char *key);

/**
 * json__finish - end the line and flush
 *
 * Return: 0, or -EIO if the stream could not take everything.
 */
int json__finish(struct json_writer *json);

#endif
