// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages on standard error, one write(2) each, so that lines of several threads never mix.
 */
#include "kvm/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void __attribute__((format(printf, 2, 0)))
print_line(const char *prefix, const char *fmt, va_list args)
{
	char line[1024];
	size_t at, room;
	int len;

	at = (size_t)snprintf(line, sizeof(line), "%s", prefix);
	room = sizeof(line) - at - 1;
	len = vsnprintf(line + at, room, fmt, args);
	if (len > 0)
		at += (size_t)len < room ? (size_t)len : room - 1;
	line[at++] = '\n';

	if (write(STDERR_FILENO, line, at) < 0)
		return; /* nobody is left to tell */
}

void pr_fatal(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("Fatal: ", fmt, args);
	va_end(args);
}

void pr_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("Warning: ", fmt, args);
	va_end(args);
}

void pr_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("Info: ", fmt, args);
	va_end(args);
}
