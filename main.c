// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lkvm COMMAND [arguments]: find the command and run it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kvm/builtin.h"
#include "kvm/fate.h"
#include "kvm/log.h"

/* Options of lkvm itself are other names of commands. */
static const char *command_name(const char *word)
{
	if (!word || !strcmp(word, "--help") || !strcmp(word, "-h"))
		return "help";
	if (!strcmp(word, "--version"))
		return "version";
	return word;
}

static int run_command(int argc, char **argv)
{
	const char *name = command_name(argc ? argv[0] : NULL);
	const struct builtin *builtin = builtin__find(name);

	return builtin ? builtin->run(argc, argv) : builtin__unknown(name);
}

int main(int argc, char **argv)
{
	int status = run_command(argc > 1 ? argc - 1 : 0, argv + (argc > 1));

	if (fflush(stdout) || ferror(stdout)) {
		pr_fatal("cannot write to standard output: %s", strerror(errno));
		return EXIT_HOST_ERROR;
	}
	return status;
}
