// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fields of an option, separated by commas.
 */
#include "kvm/field.h"

#include <errno.h>

int field__take(const char **text, char *to, size_t size)
{
	const char *at = *text;
	size_t len = 0;

	for (; *at; at++) {
		if (*at == ',' && *++at != ',') {
			*text = at;
			to[len] = 0;
			return 0;
		}
		if (len == size - 1)
			return -ENAMETOOLONG;
		to[len++] = *at;
	}
	*text = NULL;
	to[len] = 0;
	return 0;
}
