// SPDX-License-Identifier: GPL-2.0-or-later
/* What the JSON writer prints is JSON, whatever bytes it is given. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/json.h"

struct output {
	struct json_writer json;
	FILE *file;
	char *text;
	size_t size;
};

static void begin(struct output *out)
{
	out->file = open_memstream(&out->text, &out->size);
	assert_non_null(out->file);
	json__init(&out->json, out->file);
}

static void expect(struct output *out, const char *expected)
{
	assert_int_equal(json__finish(&out->json), 0);
	assert_string_equal(out->text, expected);
	fclose(out->file);
	free(out->text);
}

static void expect_text(const char *value, const char *expected)
{
	struct output out;

	begin(&out);
	json__string(&out.json, NULL, value);
	expect(&out, expected);
}

static void commas_stand_between_values_only(void **state)
{
	struct output out;

	begin(&out);
	json__object_begin(&out.json, NULL);
	json__uint(&out.json, "a", 1);
	json__object_begin(&out.json, "b");
	json__bool(&out.json, "c", true);
	json__bool(&out.json, "d", false);
	json__object_end(&out.json);
	json__null(&out.json, "e");
	json__object_end(&out.json);
	expect(&out, "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": true,\n    \"d\": false\n  },\n"
		     "  \"e\": null\n}\n");
}

static void empty_brackets_stay_closed(void **state)
{
	struct output out;

	begin(&out);
	json__array_begin(&out.json, NULL);
	json__object_begin(&out.json, NULL);
	json__object_end(&out.json);
	json__array_begin(&out.json, NULL);
	json__array_end(&out.json);
	json__array_end(&out.json);
	expect(&out, "[\n  {},\n  []\n]\n");
}

static void numbers_keep_all_64_bits(void **state)
{
	struct output out;

	begin(&out);
	json__uint(&out.json, NULL, UINT64_MAX);
	expect(&out, "18446744073709551615\n");
}

static void a_string_that_is_not_there_is_null(void **state)
{
	expect_text(NULL, "null\n");
}

static void quotes_backslashes_and_controls_are_escaped(void **state)
{
	expect_text("a\"b\\c", "\"a\\\"b\\\\c\"\n");
	expect_text("\n\t\x1b\x01", "\"\\u000a\\u0009\\u001b\\u0001\"\n");
	expect_text("\x7f/", "\"\x7f/\"\n");
}

static void keys_are_escaped_too(void **state)
{
	struct output out;

	begin(&out);
	json__object_begin(&out.json, NULL);
	json__null(&out.json, "\"");
	json__object_end(&out.json);
	expect(&out, "{\n  \"\\\"\": null\n}\n");
}

static void utf8_passes_through(void **state)
{
	expect_text("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7",
		    "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7\"\n");
	expect_text("\xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf",
		    "\"\xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf\"\n");
}

static void bytes_that_are_not_utf8_are_replaced_one_by_one(void **state)
{
	expect_text("a\xff"
		    "b\x80",
		    "\"a\\ufffdb\\ufffd\"\n");
	/* cut short, at the end and before another character */
	expect_text("\xe2\x82", "\"\\ufffd\\ufffd\"\n");
	expect_text("\xf0\x9f\x90x", "\"\\ufffd\\ufffd\\ufffdx\"\n");
	/* overlong, surrogate, beyond Unicode */
	expect_text("\xc0\xaf", "\"\\ufffd\\ufffd\"\n");
	expect_text("\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"\n");
	expect_text("\xf0\x80\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"\n");
	expect_text("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"\n");
	expect_text("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"\n");
}

static void the_deepest_bracket_has_its_own_comma(void **state)
{
	struct output out;

	begin(&out);
	for (int i = 0; i < JSON_MAX_DEPTH; i++)
		json__array_begin(&out.json, NULL);
	json__uint(&out.json, NULL, 1);
	json__uint(&out.json, NULL, 2);
	for (int i = 0; i < JSON_MAX_DEPTH; i++)
		json__array_end(&out.json);
	assert_int_equal(json__finish(&out.json), 0);
	assert_non_null(strstr(out.text, "  1,\n"));
	assert_non_null(strstr(out.text, "  2\n"));
	fclose(out.file);
	free(out.text);
}

static void a_full_disk_is_reported(void **state)
{
	struct json_writer json;
	FILE *full = fopen("/dev/full", "w");

	if (!full) {
		print_message("SKIP: no /dev/full\n");
		skip();
	}
	json__init(&json, full);
	json__null(&json, NULL);
	assert_int_equal(json__finish(&json), -EIO);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_stand_between_values_only),
		cmocka_unit_test(empty_brackets_stay_closed),
		cmocka_unit_test(numbers_keep_all_64_bits),
		cmocka_unit_test(a_string_that_is_not_there_is_null),
		cmocka_unit_test(quotes_backslashes_and_controls_are_escaped),
		cmocka_unit_test(keys_are_escaped_too),
		cmocka_unit_test(utf8_passes_through),
		cmocka_unit_test(bytes_that_are_not_utf8_are_replaced_one_by_one),
		cmocka_unit_test(the_deepest_bracket_has_its_own_comma),
		cmocka_unit_test(a_full_disk_is_reported),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
