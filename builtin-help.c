// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lkvm help: the list of commands, and what each says of itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kvm/builtin.h"
#include "kvm/fate.h"
#include "kvm/log.h"
#include "kvm/options.h"

static const struct builtin builtins[] = {
	{ builtin_run, &run_options },
	{ builtin_doctor, &doctor_options },
	{ builtin_version, &version_options },
	{ builtin_help, &help_options },
};

/**
 * struct help_request - what lkvm help was asked for
 * @command: the one to explain, NULL for all
 * @man:     as the list of options of a manual page
 * @words:   as a list of words for shell completion
 */
struct help_request {
	const char *command;
	bool man;
	bool words;
};

static int set_command(const struct option_spec *opt, void *target, const char *arg)
{
	struct help_request *request = target;

	if (request->command) {
		pr_fatal("one command at a time: %s or %s", request->command, arg);
		return -EINVAL;
	}
	request->command = arg;
	return 0;
}

static const struct option_spec options[] = {
	{
		.name = "man",
		.set = option__set_flag,
		.field = OPTION_FIELD(struct help_request, man, bool),
		.help = "print the command's options for its manual page",
	},
	{
		.name = "words",
		.set = option__set_flag,
		.field = OPTION_FIELD(struct help_request, words, bool),
		.help = "print commands, or a command's options, for shell completion",
	},
};

const struct option_table help_options = {
	.command = "help",
	.summary = "List the commands, or explain one",
	.options = options,
	.nr = sizeof(options) / sizeof(options[0]),
	.operand = "[COMMAND]",
	.set_operand = set_command,
};

const struct builtin *builtin__at(size_t index)
{
	return index < sizeof(builtins) / sizeof(builtins[0]) ? &builtins[index] : NULL;
}

const struct builtin *builtin__find(const char *name)
{
	const struct builtin *builtin;

	for (size_t i = 0; (builtin = builtin__at(i)); i++)
		if (!strcmp(builtin->options->command, name))
			return builtin;
	return NULL;
}

int builtin__unknown(const char *name)
{
	fprintf(stderr, "lkvm: '%s' is not an lkvm command. See 'lkvm --help'.\n", name);
	return EXIT_HOST_ERROR;
}

static void print_overview(void)
{
	const struct builtin *builtin;

	puts("usage: lkvm COMMAND [arguments]\n"
	     "       lkvm --help | --version\n"
	     "\n"
	     "Light-weight virtual machines for people who work on KVM and the kernel.\n"
	     "\n"
	     "The most commonly used lkvm commands are:");
	for (size_t i = 0; (builtin = builtin__at(i)); i++)
		printf("   %-10s %s\n", builtin->options->command, builtin->options->summary);
	puts("\n"
	     "See 'lkvm help COMMAND' for more on one of them.");
}

static void print_commands(void)
{
	const struct builtin *builtin;

	for (size_t i = 0; (builtin = builtin__at(i)); i++)
		printf("%s\t\t%s\n", builtin->options->command, builtin->options->summary);
}

static int explain(const struct help_request *request)
{
	const struct builtin *builtin = builtin__find(request->command);

	if (!builtin)
		return builtin__unknown(request->command);

	if (request->man)
		options__print_manual(builtin->options, stdout);
	else if (request->words)
		options__print_words(builtin->options, stdout);
	else
		options__print_help(builtin->options, stdout);
	return 0;
}

int builtin_help(int argc, char **argv)
{
	struct help_request request = { 0 };
	int ret = options__parse(&help_options, &request, argc, argv);

	if (ret)
		return ret < 0 ? EXIT_HOST_ERROR : 0;
	if (request.command)
		return explain(&request);
	if (request.words)
		print_commands();
	else
		print_overview();
	return 0;
}
