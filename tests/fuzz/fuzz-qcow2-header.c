// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A qcow2 header of arbitrary bytes is refused with a reason, or describes tables that are within
 * the file; lkvm's extension can be added to one that is good, and it is good again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disk/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static uint8_t whole[8192];

static void put(uint64_t at, const void *from, size_t len)
{
	must(at + len <= sizeof(whole));
	memcpy(whole + at, from, len);
}

/* It says what it said. Return: where lkvm's extension is. */
static uint32_t check(const struct qcow2_header *h, size_t size)
{
	struct qcow2_header again;
	char why[QCOW2_WHY];

	must(!qcow2_header__parse(whole, sizeof(whole), 1ull << 20, size & 1, &again, why));
	must(!strcmp(again.backing, h->backing) && again.size == h->size);
	must(again.l1_offset == h->l1_offset && !strcmp(again.backing_format, h->backing_format));
	return again.marker;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2_header h, again;
	uint64_t file_size = 1ull << 20;
	char why[QCOW2_WHY] = "";
	struct qcow2_marker plan;

	if (qcow2_header__parse(data, size, file_size, size & 1, &h, why)) {
		must(*why);
		return 0;
	}
	must(h.l1_offset + (uint64_t)h.l1_size * 8 <= file_size);
	must(h.rt_offset + ((uint64_t)h.rt_clusters << h.cluster_bits) <= file_size);
	must(h.ext_end <= size && strlen(h.backing) < sizeof(h.backing));
	/* A file has at least a cluster in front of its tables. */
	if (size > sizeof(whole))
		return 0;
	memset(whole, 0, sizeof(whole));
	memcpy(whole, data, size);
	if (qcow2_header__parse(whole, sizeof(whole), file_size, size & 1, &h, why))
		return 0;
	if (h.marker || !qcow2_header__plan_marker(&h, &plan))
		return 0;
	if (plan.name_at) {
		put(plan.name_at, h.backing, strlen(h.backing));
		check(&h, size);
		put(QCOW2_HEADER_NAME, plan.name_field, sizeof(plan.name_field));
		check(&h, size);
	}
	put(plan.at + 8, plan.rest, sizeof(plan.rest));
	check(&h, size);
	put(plan.at, plan.head, sizeof(plan.head));
	must(check(&h, size) == plan.at + 8);
	return 0;
}
