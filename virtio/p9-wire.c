// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 9P messages: little-endian numbers, counted strings, and the pieces of memory they lie in.
 */
#include "virtio/p9-internal.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static void get(struct p9_reader *r, void *to, size_t len)
{
	if (r->bad || len > r->len - r->at) {
		r->bad = true;
		memset(to, 0, len);
		return;
	}
	memcpy(to, r->data + r->at, len);
	r->at += len;
}

uint8_t p9__get8(struct p9_reader *r)
{
	uint8_t value;

	get(r, &value, sizeof(value));
	return value;
}

uint16_t p9__get16(struct p9_reader *r)
{
	uint16_t value;

	get(r, &value, sizeof(value));
	return le16toh(value);
}

uint32_t p9__get32(struct p9_reader *r)
{
	uint32_t value;

	get(r, &value, sizeof(value));
	return le32toh(value);
}

uint64_t p9__get64(struct p9_reader *r)
{
	uint64_t value;

	get(r, &value, sizeof(value));
	return le64toh(value);
}

int p9__get_text(struct p9_reader *r, char *text, size_t size)
{
	size_t len = p9__get16(r);

	if (r->bad || len > r->len - r->at) {
		r->bad = true;
		return -EINVAL;
	}
	if (len >= size) {
		r->at += len;
		return -ENAMETOOLONG;
	}
	get(r, text, len);
	text[len] = 0;
	return memchr(text, 0, len) ? -EINVAL : 0;
}

int p9__get_name(struct p9_reader *r, char name[NAME_MAX + 1])
{
	int ret = p9__get_text(r, name, NAME_MAX + 1);

	if (ret)
		return ret;
	if (!name[0] || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return 0;
}

static void put(struct p9_writer *w, const void *from, size_t len)
{
	if (w->full || len > w->size - w->at) {
		w->full = true;
		return;
	}
	memcpy(w->data + w->at, from, len);
	w->at += len;
}

void p9__put8(struct p9_writer *w, uint8_t value)
{
	put(w, &value, sizeof(value));
}

void p9__put16(struct p9_writer *w, uint16_t value)
{
	value = htole16(value);
	put(w, &value, sizeof(value));
}

void p9__put32(struct p9_writer *w, uint32_t value)
{
	value = htole32(value);
	put(w, &value, sizeof(value));
}

void p9__put64(struct p9_writer *w, uint64_t value)
{
	value = htole64(value);
	put(w, &value, sizeof(value));
}

void p9__put_text(struct p9_writer *w, const char *text, size_t len)
{
	if (len > UINT16_MAX) {
		w->full = true;
		return;
	}
	p9__put16(w, (uint16_t)len);
	put(w, text, len);
}

void p9__put_qid(struct p9_writer *w, const struct p9_qid *qid)
{
	p9__put8(w, qid->type);
	p9__put32(w, qid->version);
	p9__put64(w, qid->path);
}

uint64_t p9_iov__len(const struct iovec *iov, unsigned int nr)
{
	uint64_t len = 0;

	for (unsigned int i = 0; i < nr; i++)
		len += iov[i].iov_len;
	return len;
}

/* Piece by piece: calls for at most @len bytes from @offset on. */
static size_t copy(const struct iovec *iov, unsigned int nr, size_t offset, uint8_t *to,
		   const uint8_t *from, size_t len)
{
	size_t done = 0;

	for (unsigned int i = 0; i < nr && done < len; i++) {
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset;
		if (part > len - done)
			part = len - done;
		if (to)
			memcpy(to + done, (const uint8_t *)iov[i].iov_base + offset, part);
		else
			memcpy((uint8_t *)iov[i].iov_base + offset, from + done, part);
		done += part;
		offset = 0;
	}
	return done;
}

size_t p9_iov__read(const struct iovec *iov, unsigned int nr, size_t offset, void *to, size_t len)
{
	return copy(iov, nr, offset, to, NULL, len);
}

size_t p9_iov__write(const struct iovec *iov, unsigned int nr, size_t offset, const void *from,
		     size_t len)
{
	return copy(iov, nr, offset, NULL, from, len);
}

int p9_iov__slice(const struct iovec *iov, unsigned int nr, size_t offset, size_t len,
		  struct iovec to[IOV_MAX])
{
	int pieces = 0;

	for (unsigned int i = 0; i < nr && len && pieces < IOV_MAX; i++) {
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset;
		if (part > len)
			part = len;
		to[pieces].iov_base = (uint8_t *)iov[i].iov_base + offset;
		to[pieces++].iov_len = part;
		len -= part;
		offset = 0;
	}
	return pieces;
}
