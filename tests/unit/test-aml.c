// SPDX-License-Identifier: GPL-2.0-or-later
/* What the AML builder writes is, byte for byte, what ACPI 6.4 chapters 6.4 and 20 say. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "x86/aml.h"

static uint8_t buf[0x200000];
static struct aml aml;

static int start(void **state)
{
	memset(buf, 0xcc, sizeof(buf));
	aml__init(&aml, buf, sizeof(buf));
	return 0;
}

#define assert_code(...)                                                    \
	do {                                                                \
		const uint8_t want[] = { __VA_ARGS__ };                     \
		assert_int_equal(aml__finish(&aml), (ssize_t)sizeof(want)); \
		assert_memory_equal(buf, want, sizeof(want));               \
		assert_int_equal(buf[sizeof(want)], 0xcc);                  \
		start(NULL);                                                \
	} while (0)

#define assert_refused(CALL)                                  \
	do {                                                  \
		CALL;                                         \
		assert_int_equal(aml.error, -EINVAL);         \
		assert_int_equal(aml__finish(&aml), -EINVAL); \
		start(NULL);                                  \
	} while (0)

static void integers_take_their_shortest_encoding(void **state)
{
	aml__integer(&aml, 0);
	aml__integer(&aml, 1);
	aml__integer(&aml, UINT64_MAX);
	assert_code(0x00, 0x01, 0xff);

	aml__integer(&aml, 2);
	aml__integer(&aml, 0xff);
	assert_code(0x0a, 0x02, 0x0a, 0xff);

	aml__integer(&aml, 0x100);
	aml__integer(&aml, 0xffff);
	assert_code(0x0b, 0x00, 0x01, 0x0b, 0xff, 0xff);

	aml__integer(&aml, 0x10000);
	aml__integer(&aml, 0xffffffff);
	assert_code(0x0c, 0x00, 0x00, 0x01, 0x00, 0x0c, 0xff, 0xff, 0xff, 0xff);

	aml__integer(&aml, 0x100000000);
	aml__integer(&aml, UINT64_MAX - 1);
	assert_code(0x0e, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x0e, 0xfe, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff);
}

/* A scope of the root with @pad bytes of code: PkgLength covers itself, the name's 2 bytes and the
 * pad. */
static void scope_with(size_t pad)
{
	static const uint8_t noop[0x100000] = { 0 };

	start(NULL);
	aml__begin_scope(&aml, "\\");
	aml__raw(&aml, noop, pad);
	aml__end(&aml);
}

static void package_lengths_grow_where_their_encoding_does(void **state)
{
	scope_with(60);
	assert_int_equal(aml__finish(&aml), 1 + 63);
	assert_memory_equal(buf, ((uint8_t[]){ 0x10, 0x3f, '\\', 0x00 }), 4);

	/* 64 does not fit one byte, and the second counts too. */
	scope_with(61);
	assert_int_equal(aml__finish(&aml), 1 + 65);
	assert_memory_equal(buf, ((uint8_t[]){ 0x10, 0x41, 0x04, '\\', 0x00 }), 5);

	scope_with(4091);
	assert_int_equal(aml__finish(&aml), 1 + 4095);
	assert_memory_equal(buf, ((uint8_t[]){ 0x10, 0x4f, 0xff, '\\', 0x00 }), 5);

	scope_with(4092);
	assert_int_equal(aml__finish(&aml), 1 + 4097);
	assert_memory_equal(buf, ((uint8_t[]){ 0x10, 0x81, 0x00, 0x01, '\\', 0x00 }), 6);

	scope_with(0xfffff - 5);
	assert_int_equal(aml__finish(&aml), 1 + 0xfffff);
	assert_memory_equal(buf, ((uint8_t[]){ 0x10, 0x8f, 0xff, 0xff, '\\', 0x00 }), 6);

	scope_with(0xfffff - 4);
	assert_int_equal(aml__finish(&aml), 1 + 0x100001);
	assert_memory_equal(buf, ((uint8_t[]){ 0x10, 0xc1, 0x00, 0x00, 0x01, '\\', 0x00 }), 7);
}

static void what_a_length_is_inserted_before_moves_up_unchanged(void **state)
{
	aml__begin_scope(&aml, "\\");
	for (unsigned int i = 0; i < 100; i++)
		aml__raw(&aml, &(uint8_t){ (uint8_t)i }, 1);
	aml__end(&aml);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(buf[5 + i], i);
}

static void a_block_of_256_mib_is_refused(void **state)
{
	static const uint8_t mib[0x100000];

	aml__init(&aml, NULL, 0);
	aml__begin_scope(&aml, "\\");
	for (unsigned int i = 0; i < 256; i++)
		aml__raw(&aml, mib, i < 255 ? sizeof(mib) : sizeof(mib) - 7);
	aml__end(&aml);
	assert_int_equal(aml__finish(&aml), 1 + 0xfffffff);

	aml__init(&aml, NULL, 0);
	aml__begin_scope(&aml, "\\");
	for (unsigned int i = 0; i < 256; i++)
		aml__raw(&aml, mib, i < 255 ? sizeof(mib) : sizeof(mib) - 6);
	aml__end(&aml);
	assert_int_equal(aml__finish(&aml), -EOVERFLOW);
}

static void paths_are_padded_and_counted(void **state)
{
	aml__path(&aml, "A");
	assert_code('A', '_', '_', '_');
	aml__path(&aml, "\\");
	assert_code('\\', 0x00);
	aml__path(&aml, "\\_SB");
	assert_code('\\', '_', 'S', 'B', '_');
	aml__path(&aml, "^^COM1");
	assert_code('^', '^', 'C', 'O', 'M', '1');
	aml__path(&aml, "\\_SB.PCI0");
	assert_code('\\', 0x2e, '_', 'S', 'B', '_', 'P', 'C', 'I', '0');
	aml__path(&aml, "A.B.C");
	assert_code(0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_');
}

static void a_path_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "1ABC", "ABCDE", "abc",  "A..B", "A.",
					   ".A",   "A B",   "\\^A", "^\\A" };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(aml__path(&aml, bad[i]));
}

static void a_path_has_at_most_255_segments(void **state)
{
	char path[2 * 256];

	for (unsigned int i = 0; i < sizeof(path); i++)
		path[i] = i % 2 ? '.' : 'A';
	path[2 * 255 - 1] = '\0';
	aml__path(&aml, path);
	assert_int_equal(aml__finish(&aml), 2 + 4 * 255);
	assert_int_equal(buf[1], 255);

	start(NULL);
	path[2 * 255 - 1] = '.';
	path[2 * 256 - 1] = '\0';
	assert_refused(aml__path(&aml, path));
}

static void ids_of_pnp_are_compressed_and_ids_of_acpi_are_strings(void **state)
{
	aml__hardware_id(&aml, "PNP0501");
	assert_code(0x0c, 0x41, 0xd0, 0x05, 0x01);
	aml__hardware_id(&aml, "PNP0A08");
	assert_code(0x0c, 0x41, 0xd0, 0x0a, 0x08);
	aml__hardware_id(&aml, "ZZZFFFF");
	assert_code(0x0c, 0x6b, 0x5a, 0xff, 0xff);
	aml__hardware_id(&aml, "ACPI0007");
	assert_code(0x0d, 'A', 'C', 'P', 'I', '0', '0', '0', '7', 0);
}

static void an_id_that_is_neither_is_refused(void **state)
{
	static const char *const bad[] = { "",	      "PNP050",	 "PNP05010X", "pnp0501",
					   "PN@0501", "PNP05G1", "P1P0501" };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(aml__hardware_id(&aml, bad[i]));
}

static void the_first_groups_of_a_uuid_are_little_endian(void **state)
{
	aml__uuid(&aml, "33db4d5b-1ff7-401C-9657-7441c03dd766");
	assert_code(0x11, 0x13, 0x0a, 0x10, 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40, 0x96,
		    0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66);
}

static void a_uuid_of_another_shape_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"33db4d5b",
		"33db4d5b-1ff7-401c-9657-7441c03dd7",
		"33db4d5b-1ff7-401c-9657-7441c03dd7666",
		"33db4d5b-1ff7-401c-9657-7441c03dd76g",
		"33db4d5b01ff7-401c-9657-7441c03dd766",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(aml__uuid(&aml, bad[i]));
}

static void strings_are_ascii(void **state)
{
	aml__string(&aml, "hi");
	assert_code(0x0d, 'h', 'i', 0);
	assert_refused(aml__string(&aml, "\xc3\xbc"));
}

static void named_objects_and_devices(void **state)
{
	aml__begin_device(&aml, "DEV");
	aml__name_integer(&aml, "_UID", 7);
	aml__end(&aml);
	assert_code(0x5b, 0x82, 12, 'D', 'E', 'V', '_', 0x08, '_', 'U', 'I', 'D', 0x0a, 7);
}

static void methods_carry_their_flags(void **state)
{
	aml__begin_method(&aml, "_OSC", 4, true);
	aml__op(&aml, AML_RETURN);
	aml__op(&aml, AML_ARG0 + 3);
	aml__end(&aml);
	assert_code(0x14, 8, '_', 'O', 'S', 'C', 0x0c, 0xa4, 0x6b);

	aml__begin_method(&aml, "F", 0, false);
	aml__end(&aml);
	assert_code(0x14, 6, 'F', '_', '_', '_', 0x00);

	assert_refused(aml__begin_method(&aml, "F", 8, false));
}

static void conditions_come_before_statements(void **state)
{
	aml__begin_if(&aml);
	aml__op(&aml, AML_LNOT);
	aml__op(&aml, AML_LEQUAL);
	aml__op(&aml, AML_LOCAL0 + 1);
	aml__integer(&aml, 0);
	aml__op(&aml, AML_STORE);
	aml__integer(&aml, 1);
	aml__op(&aml, AML_LOCAL0);
	aml__end(&aml);
	aml__begin_else(&aml);
	aml__op(&aml, AML_NOTIFY);
	aml__path(&aml, "DEV");
	aml__integer(&aml, 0x80);
	aml__end(&aml);
	assert_code(0xa0, 8, 0x92, 0x93, 0x61, 0x00, 0x70, 0x01, 0x60, 0xa1, 8, 0x86, 'D', 'E', 'V',
		    '_', 0x0a, 0x80);
}

static void packages_tell_how_many_elements_they_have(void **state)
{
	aml__begin_package(&aml, 2);
	aml__integer(&aml, 5);
	aml__integer(&aml, 0);
	aml__end(&aml);
	assert_code(0x12, 5, 2, 0x0a, 5, 0x00);

	assert_refused(aml__begin_package(&aml, 256));
}

static void fields_of_a_region_have_widths_that_do_not_count_themselves(void **state)
{
	aml__region(&aml, "REG", AML_SYSTEM_IO, 0xaf00, 12);
	assert_code(0x5b, 0x80, 'R', 'E', 'G', '_', 0x01, 0x0b, 0x00, 0xaf, 0x0a, 12);

	aml__begin_fields(&aml, "REG", AML_ACCESS_BYTE);
	aml__field(&aml, "A", 1);
	aml__field(&aml, NULL, 63);
	aml__field(&aml, "B", 64);
	aml__end(&aml);
	assert_code(0x5b, 0x81, 19, 'R', 'E', 'G', '_', 0x41, 'A', '_', '_', '_', 0x01, 0x00, 0x3f,
		    'B', '_', '_', '_', 0x40, 0x04);

	assert_refused(aml__field(&aml, "A.B", 1));
	assert_refused(aml__field(&aml, NULL, 1u << 28));
}

static void resources_end_with_a_tag_that_makes_their_sum_zero(void **state)
{
	uint8_t sum = 0;

	aml__begin_resources(&aml);
	aml__io(&aml, 0x3f8, 8);
	aml__isa_irq(&aml, 4);
	aml__end(&aml);
	for (unsigned int i = 4; i < 4 + 13; i++)
		sum = (uint8_t)(sum + buf[i]);
	assert_int_equal(sum, 0);
	assert_code(0x11, 16, 0x0a, 13, 0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08, 0x22, 0x10,
		    0x00, 0x79,
		    (uint8_t) - (0x47 + 1 + 2 * (0xf8 + 3) + 1 + 8 + 0x22 + 0x10 + 0x79));

	aml__begin_resources(&aml);
	aml__end(&aml);
	assert_code(0x11, 5, 0x0a, 2, 0x79, 0x87);
}

/* The descriptors that follow, without the buffer around them: 4 bytes before, 2 after */
#define assert_descriptor(...)                                                  \
	do {                                                                    \
		const uint8_t want[] = { __VA_ARGS__ };                         \
		aml__end(&aml);                                                 \
		assert_int_equal(aml__finish(&aml), 4 + (int)sizeof(want) + 2); \
		assert_memory_equal(buf + 4, want, sizeof(want));               \
		start(NULL);                                                    \
		aml__begin_resources(&aml);                                     \
	} while (0)

static void descriptors_are_as_in_chapter_6_4(void **state)
{
	aml__begin_resources(&aml);

	aml__isa_irq(&aml, 15);
	assert_descriptor(0x22, 0x00, 0x80);
	aml__interrupt(&aml, 0x12345678, AML_EDGE);
	assert_descriptor(0x89, 6, 0, 0x03, 1, 0x78, 0x56, 0x34, 0x12);
	aml__interrupt(&aml, 20, AML_LEVEL);
	assert_descriptor(0x89, 6, 0, 0x01, 1, 20, 0, 0, 0);
	aml__memory32(&aml, 0xe0000000, 0x10000000);
	assert_descriptor(0x86, 9, 0, 1, 0, 0, 0, 0xe0, 0, 0, 0, 0x10);
	aml__bus_window(&aml, 0, 256);
	assert_descriptor(0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0x00, 0x01);
	aml__io_window(&aml, 0x1000, 0xf000);
	assert_descriptor(0x88, 13, 0, 1, 0x0c, 3, 0, 0, 0x00, 0x10, 0xff, 0xff, 0, 0, 0x00, 0xf0);
	aml__memory_window(&aml, 0xc0000000, 0x20000000);
	assert_descriptor(0x87, 23, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff,
			  0xdf, 0, 0, 0, 0, 0, 0, 0, 0x20);
	aml__memory_window(&aml, 0x800000000, 0x100000000);
	assert_descriptor(0x8a, 43, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0,
			  0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
			  0, 0, 0);
}

static void a_window_that_ends_at_4_gib_has_32_bits_and_one_beyond_has_64(void **state)
{
	aml__memory_window(&aml, 0xfffff000, 0x1000);
	assert_int_equal(buf[0], 0x87);
	start(NULL);
	aml__memory_window(&aml, 0xfffff000, 0x1001);
	assert_int_equal(buf[0], 0x8a);
	start(NULL);
	aml__memory_window(&aml, 0, 0x100000000); /* its length has 33 bits */
	assert_int_equal(buf[0], 0x8a);
}

static void a_range_that_its_descriptor_cannot_hold_is_refused(void **state)
{
	assert_refused(aml__io(&aml, 0x3f8, 0));
	assert_refused(aml__io(&aml, 0x3f8, 256));
	assert_refused(aml__io(&aml, 0xffff, 2));
	assert_refused(aml__io(&aml, UINT64_MAX, 2));
	assert_refused(aml__isa_irq(&aml, 16));
	assert_refused(aml__memory32(&aml, 0x100000000, 0x1000));
	assert_refused(aml__memory32(&aml, 0xfffff000, 0x1001));
	assert_refused(aml__memory32(&aml, 0x1000, 0));
	assert_refused(aml__memory32(&aml, 0x1000, UINT64_MAX));
	assert_refused(aml__bus_window(&aml, 0, 257));
	assert_refused(aml__bus_window(&aml, 255, 2));
	assert_refused(aml__bus_window(&aml, 3, 0));
	assert_refused(aml__io_window(&aml, 0, 0x10000));
	assert_refused(aml__io_window(&aml, 0xf000, 0x1001));
	assert_refused(aml__memory_window(&aml, 0x1000, 0));
	assert_refused(aml__memory_window(&aml, UINT64_MAX - 0xfff, 0x1001));
}

static void the_first_error_stays(void **state)
{
	aml__path(&aml, "bad");
	aml__integer(&aml, 5);
	aml__begin_scope(&aml, "\\_SB");
	aml__end(&aml);
	assert_int_equal(aml__finish(&aml), -EINVAL);
}

static void a_block_left_open_or_closed_twice_is_refused(void **state)
{
	aml__begin_if(&aml);
	assert_int_equal(aml__finish(&aml), -EINVAL);
	aml__end(&aml);
	assert_int_equal(aml__finish(&aml), 2);
	assert_refused(aml__end(&aml));
}

static void blocks_nest_to_a_limit(void **state)
{
	for (unsigned int i = 0; i < AML_MAX_DEPTH; i++)
		aml__begin_else(&aml);
	for (unsigned int i = 0; i < AML_MAX_DEPTH; i++)
		aml__end(&aml);
	assert_code(0xa1, 15, 0xa1, 13, 0xa1, 11, 0xa1, 9, 0xa1, 7, 0xa1, 5, 0xa1, 3, 0xa1, 1);

	for (unsigned int i = 0; i < AML_MAX_DEPTH; i++)
		aml__begin_else(&aml);
	assert_refused(aml__begin_else(&aml));
}

static void a_device_with_everything(void)
{
	aml__begin_device(&aml, "DEV");
	aml__name(&aml, "_HID");
	aml__hardware_id(&aml, "PNP0501");
	aml__name(&aml, "_CRS");
	aml__begin_resources(&aml);
	for (unsigned int i = 0; i < 8; i++)
		aml__io(&aml, 0x3f8, 8);
	aml__end(&aml);
	aml__end(&aml);
}

static void code_has_the_same_length_without_a_buffer(void **state)
{
	ssize_t len;

	a_device_with_everything();
	len = aml__finish(&aml);
	assert_int_equal(len, 3 + 1 + 4 + 10 + 5 + 1 + 2 + 2 + 8 * 8 + 2);

	for (size_t size = 0; size <= (size_t)len; size++) {
		memset(buf, 0xcc, sizeof(buf));
		aml__init(&aml, size ? buf : NULL, size);
		a_device_with_everything();
		assert_int_equal(aml__finish(&aml), len);
		assert_int_equal(buf[size], 0xcc);
	}
	assert_int_equal(buf[0], 0x5b);
	assert_int_equal(buf[len - 2], 0x79);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(integers_take_their_shortest_encoding, start),
		cmocka_unit_test_setup(package_lengths_grow_where_their_encoding_does, start),
		cmocka_unit_test_setup(what_a_length_is_inserted_before_moves_up_unchanged, start),
		cmocka_unit_test_setup(a_block_of_256_mib_is_refused, start),
		cmocka_unit_test_setup(paths_are_padded_and_counted, start),
		cmocka_unit_test_setup(a_path_that_is_none_is_refused, start),
		cmocka_unit_test_setup(a_path_has_at_most_255_segments, start),
		cmocka_unit_test_setup(ids_of_pnp_are_compressed_and_ids_of_acpi_are_strings,
				       start),
		cmocka_unit_test_setup(an_id_that_is_neither_is_refused, start),
		cmocka_unit_test_setup(the_first_groups_of_a_uuid_are_little_endian, start),
		cmocka_unit_test_setup(a_uuid_of_another_shape_is_refused, start),
		cmocka_unit_test_setup(strings_are_ascii, start),
		cmocka_unit_test_setup(named_objects_and_devices, start),
		cmocka_unit_test_setup(methods_carry_their_flags, start),
		cmocka_unit_test_setup(conditions_come_before_statements, start),
		cmocka_unit_test_setup(packages_tell_how_many_elements_they_have, start),
		cmocka_unit_test_setup(fields_of_a_region_have_widths_that_do_not_count_themselves,
				       start),
		cmocka_unit_test_setup(resources_end_with_a_tag_that_makes_their_sum_zero, start),
		cmocka_unit_test_setup(descriptors_are_as_in_chapter_6_4, start),
		cmocka_unit_test_setup(
			a_window_that_ends_at_4_gib_has_32_bits_and_one_beyond_has_64, start),
		cmocka_unit_test_setup(a_range_that_its_descriptor_cannot_hold_is_refused, start),
		cmocka_unit_test_setup(the_first_error_stays, start),
		cmocka_unit_test_setup(a_block_left_open_or_closed_twice_is_refused, start),
		cmocka_unit_test_setup(blocks_nest_to_a_limit, start),
		cmocka_unit_test_setup(code_has_the_same_length_without_a_buffer, start),
	};

	return cmocka_run_group_tests_name("aml", tests, NULL, NULL);
}
