// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The header of a qcow2 image: nothing of it is believed before it has been checked here.
 *
 * lkvm has a header extension of its own, which other programs preserve and ignore: a flag that is
 * set while the image is being changed. Found set, the last user did not close it, and clusters may
 * be allocated that nothing refers to.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "disk/qcow2.h"

#define MAGIC 0x514649fbu

#define V2_LENGTH 72
#define V3_LENGTH 104

#define EXT_END		   0u
#define EXT_BACKING_FORMAT 0xe2792acau
#define EXT_FEATURE_NAMES  0x6803f857u
#define EXT_LKVM	   0x6c6b766du
#define EXT_LKVM_LEN	   8

#define FEATURE_ENTRY  48
#define FEATURE_NAME   46
#define MAX_EXTENSIONS 256

static uint32_t get32(const uint8_t *data, size_t at)
{
	uint32_t value;

	memcpy(&value, data + at, sizeof(value));
	return be32toh(value);
}

static uint64_t get64(const uint8_t *data, size_t at)
{
	uint64_t value;

	memcpy(&value, data + at, sizeof(value));
	return be64toh(value);
}

static void put32(uint8_t *data, size_t at, uint32_t value)
{
	value = htobe32(value);
	memcpy(data + at, &value, sizeof(value));
}

static void put64(uint8_t *data, size_t at, uint64_t value)
{
	value = htobe64(value);
	memcpy(data + at, &value, sizeof(value));
}

static int __attribute__((format(printf, 3, 4))) refuse(char *why, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, QCOW2_WHY, fmt, args);
	va_end(args);
	return err;
}

/* What the image calls an incompatible feature. */
static void find_feature_name(const uint8_t *data, size_t at, size_t len, unsigned int bit,
			      char *name)
{
	for (; len >= FEATURE_ENTRY; at += FEATURE_ENTRY, len -= FEATURE_ENTRY) {
		if (data[at] || data[at + 1] != bit)
			continue;
		memcpy(name, data + at + 2, FEATURE_NAME);
		name[FEATURE_NAME] = '\0';
		for (char *c = name; *c; c++) {
			if (*c < ' ' || *c > '~')
				*c = '?';
		}
	}
}

struct extensions {
	size_t names, names_len;
};

static int parse_extension(const uint8_t *data, size_t at, uint32_t type, uint32_t len,
			   struct qcow2_header *h, struct extensions *found, char *why)
{
	switch (type) {
	case EXT_BACKING_FORMAT:
		if (len >= sizeof(h->backing_format))
			return refuse(why, -EINVAL, "the name of its backing format is too long");
		memcpy(h->backing_format, data + at, len);
		h->backing_format[len] = '\0';
		break;
	case EXT_FEATURE_NAMES:
		found->names = at;
		found->names_len = len;
		break;
	case EXT_LKVM:
		if (len != EXT_LKVM_LEN)
			break;
		h->marker = (uint32_t)at;
		h->unclean = get64(data, at);
		break;
	default: /* others are for those who know them */
		break;
	}
	return 0;
}

static int parse_extensions(const uint8_t *data, size_t end, struct qcow2_header *h,
			    struct extensions *found, char *why)
{
	size_t at = h->ext_start;

	h->ext_end = h->ext_start;
	for (unsigned int i = 0; at + 8 <= end; i++) {
		uint32_t type = get32(data, at), len = get32(data, at + 4);
		int ret;

		if (type == EXT_END)
			return 0;
		if (i == MAX_EXTENSIONS || len > end - at - 8)
			return refuse(why, -EINVAL, "a header extension does not fit");
		ret = parse_extension(data, at + 8, type, len, h, found, why);
		if (ret)
			return ret;
		at += 8 + (((size_t)len + 7) & ~(size_t)7);
		h->ext_end = (uint32_t)at;
	}
	return at > end ? refuse(why, -EINVAL, "a header extension does not fit") : 0;
}

static int check_features(const uint8_t *data, const struct qcow2_header *h, bool read_only,
			  const struct extensions *found, char *why)
{
	uint64_t unknown =
		h->incompatible & ~(uint64_t)(QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_COMPRESSION_TYPE);
	char name[FEATURE_NAME + 1] = "";

	if (h->incompatible & QCOW2_DATA_FILE)
		return refuse(why, -ENOTSUP,
			      "its data is in an external data file, which lkvm "
			      "does not have; qemu-img convert makes one file of it");
	if (h->incompatible & QCOW2_EXTENDED_L2)
		return refuse(why, -ENOTSUP,
			      "it has extended L2 entries (subclusters), which lkvm "
			      "does not have; qemu-img convert makes an image "
			      "without");
	if (unknown) {
		unsigned int bit = (unsigned int)__builtin_ctzll(unknown);

		find_feature_name(data, found->names, found->names_len, bit, name);
		return refuse(why, -ENOTSUP, "it has a feature that lkvm does not know: bit %u, %s",
			      bit, *name ? name : "without a name");
	}
	if (h->incompatible & QCOW2_CORRUPT && !read_only)
		return refuse(why, -EINVAL,
			      "it is marked as corrupt; \"qemu-img check -r all\" "
			      "may repair it, \",ro\" reads it as it is");
	if (h->incompatible & QCOW2_DIRTY && !read_only)
		return refuse(why, -EINVAL,
			      "it was not closed, and its refcounts are out of date; "
			      "\"qemu-img check -r all\" repairs it, \",ro\" reads "
			      "it as it is");
	return 0;
}

static bool table_fits(const struct qcow2_header *h, uint64_t offset, uint64_t len,
		       uint64_t file_size)
{
	uint64_t cluster = 1ull << h->cluster_bits;

	return !(offset & (cluster - 1)) && offset >= cluster && offset <= file_size &&
	       len <= file_size - offset;
}

static int check_tables(const struct qcow2_header *h, uint64_t file_size, char *why)
{
	uint64_t rt_len = (uint64_t)h->rt_clusters << h->cluster_bits;
	uint64_t l1_len = (uint64_t)h->l1_size * 8;
	unsigned int l1_shift =
		2 * h->cluster_bits - 3; /* bytes of the disk that an entry is for */
	uint64_t need = (h->size >> l1_shift) + !!(h->size & ((1ull << l1_shift) - 1));

	if (l1_len > QCOW2_MAX_L1 || need > QCOW2_MAX_L1 / 8)
		return refuse(why, -EFBIG, "its L1 table is larger than %u MiB",
			      QCOW2_MAX_L1 >> 20);
	if (h->l1_size < need)
		return refuse(why, -EINVAL, "its L1 table is too small for its size");
	if (!table_fits(h, h->l1_offset, l1_len, file_size) && l1_len)
		return refuse(why, -EINVAL, "its L1 table is not in the file");
	if (rt_len > QCOW2_MAX_RT)
		return refuse(why, -EFBIG, "its refcount table is larger than %u MiB",
			      QCOW2_MAX_RT >> 20);
	if (!rt_len || !table_fits(h, h->rt_offset, rt_len, file_size))
		return refuse(why, -EINVAL, "its refcount table is not in the file");
	if (l1_len && h->l1_offset < h->rt_offset + rt_len && h->rt_offset < h->l1_offset + l1_len)
		return refuse(why, -EINVAL, "its L1 table and its refcount table overlap");
	return 0;
}

static int parse_backing(const uint8_t *data, size_t end, struct qcow2_header *h, char *why)
{
	uint64_t offset = get64(data, 8);
	uint32_t len = get32(data, 16);

	if (!offset)
		return 0;
	if (!len || len >= sizeof(h->backing) || offset > end || len > end - offset)
		return refuse(why, -EINVAL, "the name of its backing file is not in its header");
	h->backing_offset = offset;
	memcpy(h->backing, data + offset, len);
	h->backing[len] = '\0';
	if (strlen(h->backing) != len)
		return refuse(why, -EINVAL, "the name of its backing file has a NUL in it");
	return 0;
}

static int parse_v3(const uint8_t *data, size_t len, struct qcow2_header *h, char *why)
{
	unsigned int compression;

	if (len < V3_LENGTH)
		return refuse(why, -EINVAL, "its header is cut short");
	h->incompatible = get64(data, 72);
	h->autoclear = get64(data, 88);
	h->refcount_order = get32(data, 96);
	h->ext_start = get32(data, 100);
	if (h->refcount_order > 6)
		return refuse(why, -EINVAL, "its refcounts are wider than 64 bits");
	if (h->ext_start < V3_LENGTH || h->ext_start & 7 || h->ext_start > len ||
	    h->ext_start > 1u << h->cluster_bits)
		return refuse(why, -EINVAL, "its header has an impossible length");
	compression = h->ext_start > V3_LENGTH ? data[V3_LENGTH] : 0;
	if (!!compression != !!(h->incompatible & QCOW2_COMPRESSION_TYPE))
		return refuse(why, -EINVAL, "its compression type contradicts its features");
	if (compression > 1)
		return refuse(why, -ENOTSUP, "it has compression type %u, which lkvm does not know",
			      compression);
	h->zstd = compression;
	return 0;
}

int qcow2_header__parse(const uint8_t *data, size_t len, uint64_t file_size, bool read_only,
			struct qcow2_header *h, char *why)
{
	static const char *const methods[] = { "", "AES", "LUKS" };
	struct extensions found = { 0, 0 };
	uint32_t crypt;
	size_t end;
	int ret;

	*h = (struct qcow2_header){ .refcount_order = 4, .ext_start = V2_LENGTH };
	if (len < V2_LENGTH)
		return refuse(why, -EINVAL, "its header is cut short");
	if (get32(data, 0) != MAGIC)
		return refuse(why, -EINVAL, "it is no qcow2 image");
	h->version = get32(data, 4);
	if (h->version != 2 && h->version != 3)
		return refuse(why, -ENOTSUP, "it is of version %u; lkvm has qcow2 versions 2 and 3",
			      h->version);
	h->cluster_bits = get32(data, 20);
	h->size = get64(data, 24);
	crypt = get32(data, 32);
	h->l1_size = get32(data, 36);
	h->l1_offset = get64(data, 40);
	h->rt_offset = get64(data, 48);
	h->rt_clusters = get32(data, 56);
	if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
		return refuse(why, -EINVAL, "its clusters have an impossible size (2^%u bytes)",
			      h->cluster_bits);
	if (!h->size || h->size > INT64_MAX - DISK_SECTOR)
		return refuse(why, -EINVAL, "its disk has an impossible size");
	if (crypt)
		return refuse(why, -ENOTSUP, "it is encrypted (%s), which lkvm does not have",
			      crypt < 3 ? methods[crypt] : "by an unknown method");
	ret = h->version == 3 ? parse_v3(data, len, h, why) : 0;
	if (ret)
		return ret;

	/* Extensions and names are in the first cluster. */
	end = len < 1u << h->cluster_bits ? len : 1u << h->cluster_bits;
	ret = parse_backing(data, end, h, why);
	if (ret)
		return ret;
	if (*h->backing && get64(data, 8) >= h->ext_start)
		end = (size_t)get64(data, 8);
	ret = parse_extensions(data, end, h, &found, why);
	if (!ret)
		ret = check_features(data, h, read_only, &found, why);
	return ret ? ret : check_tables(h, file_size, why);
}

bool qcow2_header__plan_marker(const struct qcow2_header *h, struct qcow2_marker *plan)
{
	uint64_t end = h->backing_offset + strlen(h->backing), room = 1ull << h->cluster_bits;

	*plan = (struct qcow2_marker){ .at = h->ext_end };
	put32(plan->head, 0, EXT_LKVM);
	put32(plan->head, 4, EXT_LKVM_LEN);
	put64(plan->rest, 0, 1);
	if (*h->backing) {
		if (end < h->ext_end + QCOW2_MARKER_LEN)
			end = h->ext_end + QCOW2_MARKER_LEN;
		plan->name_at = (end + 7) & ~7ull;
		put64(plan->name_field, 0, plan->name_at);
		return plan->name_at + strlen(h->backing) <= room;
	}
	return h->ext_end + QCOW2_MARKER_LEN <= room;
}

void qcow2_header__create(uint8_t *out, unsigned int cluster_bits, uint64_t size, uint32_t l1_size)
{
	uint64_t cluster = 1ull << cluster_bits;

	memset(out, 0, 512);
	put32(out, 0, MAGIC);
	put32(out, 4, 3);
	put32(out, 20, cluster_bits);
	put64(out, 24, size);
	put32(out, 36, l1_size);
	put64(out, 40, 3 * cluster);
	put64(out, 48, cluster);
	put32(out, 56, 1);
	put32(out, 96, 4);
	put32(out, 100, V3_LENGTH);
}
