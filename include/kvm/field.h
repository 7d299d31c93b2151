/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fields of an option, separated by commas: DIR,TAG,ro. A comma in a field is written twice.
 */
#ifndef KVM_FIELD_H
#define KVM_FIELD_H

#include <stddef.h>

/**
 * field__take - the part up to a single comma
 * @text: where to start; becomes what follows the comma, or NULL at the end
 * @to:   receives the part, with its double commas made single, and a terminator
 * @size: bytes there, at least 1
 *
 * Return: 0, or -ENAMETOOLONG if it does not fit; then *@text is as it was.
 */
int field__take(const char **text, char *to, size_t size);

#endif
