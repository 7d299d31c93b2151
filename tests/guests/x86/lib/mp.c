// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding and reading the MP table.
 */
#include "acpi.h"
#include "mp.h"

#define EBDA_SEGMENT_AT 0x40e
#define MP_PROCESSOR	0
#define MP_ENABLED	1
#define MP_ENTRIES_AT	44
#define MP_ENTRY_LAST	4

struct mp_pointer {
	char signature[4];
	uint32_t table;
	uint8_t length; /* in units of 16 bytes */
	uint8_t revision, checksum, features[5];
};

struct mp_table {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, entries;
	uint32_t lapic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
};

_Static_assert(sizeof(struct mp_table) == MP_ENTRIES_AT, "MP specification 1.4, 4.2");

static const struct mp_pointer *scan(uintptr_t from, uintptr_t to)
{
	for (; from < to; from += 16) {
		const struct mp_pointer *pointer = (const void *)from;

		if (!memcmp(pointer->signature, "_MP_", 4) && pointer->length == 1 &&
		    !acpi_sum(pointer, sizeof(*pointer)))
			return pointer;
	}
	return NULL;
}

static const struct mp_table *find(void)
{
	uintptr_t ebda = (uintptr_t)mmio_read16(EBDA_SEGMENT_AT) << 4;
	const struct mp_pointer *pointer = NULL;
	const struct mp_table *table;

	if (ebda >= 0x400 && ebda < 0xa0000)
		pointer = scan(ebda, ebda + 1024);
	if (!pointer)
		pointer = scan(639 * 1024, 640 * 1024);
	if (!pointer)
		pointer = scan(0xf0000, 0x100000);
	if (!pointer || !pointer->table)
		return NULL;
	table = (const void *)(uintptr_t)pointer->table;
	if (memcmp(table->signature, "PCMP", 4) || acpi_sum(table, table->length))
		return NULL;
	return table;
}

unsigned int mp_read(uint32_t *ids, unsigned int max)
{
	const struct mp_table *table = find();
	unsigned int nr = 0;
	uint32_t at = MP_ENTRIES_AT;

	for (unsigned int i = 0; table && i < table->entries && at < table->length; i++) {
		const uint8_t *entry = (const uint8_t *)table + at;

		if (entry[0] > MP_ENTRY_LAST)
			break;
		if (entry[0] == MP_PROCESSOR && entry[3] & MP_ENABLED && nr < max)
			ids[nr++] = entry[1];
		at += entry[0] == MP_PROCESSOR ? 20 : 8;
	}
	return nr;
}
