/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of networks: what was printed.
 */
#ifndef TESTS_UNIT_NET_CAPTURE_H
#define TESTS_UNIT_NET_CAPTURE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

struct capture {
	FILE *file;
	int saved;
};

/* From now on standard error goes to a file. */
static inline void capture__begin(struct capture *capture)
{
	fflush(stderr);
	capture->file = tmpfile();
	assert_non_null(capture->file);
	capture->saved = dup(STDERR_FILENO);
	assert_true(capture->saved >= 0);
	dup2(fileno(capture->file), STDERR_FILENO);
}

/* Back to where it went; @words receives what was written. */
static inline void capture__end(struct capture *capture, char *words, size_t size)
{
	size_t len;

	fflush(stderr);
	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	rewind(capture->file);
	len = fread(words, 1, size - 1, capture->file);
	words[len] = '\0';
	fclose(capture->file);
}

static inline unsigned int count_lines(const char *words)
{
	unsigned int lines = 0;

	for (; (words = strchr(words, '\n')); words++)
		lines++;
	return lines;
}

#endif
