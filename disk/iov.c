// SPDX-License-Identifier: GPL-2.0-or-later
/* Walking through lists of buffers. */
#include <string.h>

#include "disk/disk.h"

/* The rest of the present buffer, at most @len bytes; NULL at the end of the list. */
static void *next_bytes(struct iov_cursor *at, size_t len, size_t *out)
{
	while (at->nr && at->skip == at->iov->iov_len) {
		at->iov++;
		at->nr--;
		at->skip = 0;
	}
	if (!at->nr)
		return NULL;

	void *start = (char *)at->iov->iov_base + at->skip;
	size_t rest = at->iov->iov_len - at->skip;

	*out = len < rest ? len : rest;
	at->skip += *out;
	return start;
}

size_t iov_cursor__take(struct iov_cursor *at, size_t len, struct iovec *to, unsigned int max,
			unsigned int *nr)
{
	size_t total = 0, n;
	void *base;

	*nr = 0;
	while (total < len && *nr < max && (base = next_bytes(at, len - total, &n))) {
		to[(*nr)++] = (struct iovec){ base, n };
		total += n;
	}
	return total;
}

void iov_cursor__copy_to(struct iov_cursor *at, const void *from, size_t len)
{
	const char *src = from;
	size_t n;
	void *base;

	for (; len && (base = next_bytes(at, len, &n)); src += n, len -= n)
		memcpy(base, src, n);
}

void iov_cursor__copy_from(struct iov_cursor *at, void *to, size_t len)
{
	char *dst = to;
	size_t n;
	void *base;

	for (; len && (base = next_bytes(at, len, &n)); dst += n, len -= n)
		memcpy(dst, base, n);
}

void iov_cursor__zero(struct iov_cursor *at, size_t len)
{
	size_t n;
	void *base;

	for (; len && (base = next_bytes(at, len, &n)); len -= n)
		memset(base, 0, n);
}
