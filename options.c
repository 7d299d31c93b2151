// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Options of a command: parsing them, and explaining them in three ways.
 *
 * Theory of operation: getopt_long(3) takes the words apart; its table is made on the stack from
 * ours, val being the index of our entry. It is asked to keep silent and to return operands in
 * order ("-:"), so that every message is ours and names the option, the value and what would be
 * accepted.
 */
#include "kvm/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "kvm/log.h"

#define HELP_INDENT  30
#define HELP_COLUMNS 80
#define MDOC_COLUMNS 72 /* and room for a few escapes */

/* getopt's val of a long option: our index above all characters. */
#define VAL_BASE 256

static const char *const section_title[SECTION_NR] = {
	[SECTION_OPTIONS] = "Options",
	[SECTION_BASIC] = "Basic options",
	[SECTION_BOOT] = "Boot options",
	[SECTION_CPU_MEMORY] = "CPU and memory options",
	[SECTION_CONSOLE] = "Console options",
	[SECTION_DEVICES] = "Device options",
	[SECTION_ENDING] = "Options on how it ends",
	[SECTION_DEBUGGING] = "Debugging options",
};

static const struct option_spec help_option = {
	.name = "help",
	.letter = 'h',
	.help = "print this help and end",
};

bool option__available(const char *arch)
{
	return !arch || !strcmp(arch, LKVM_ARCH);
}

const char *option__choice_name(const struct option_choice *choices, unsigned int value)
{
	for (; choices->name; choices++)
		if (choices->value == value)
			return choices->name;
	return NULL;
}

/* The words of a choice; those of other architectures only if @all. */
static const char *join_choices(const struct option_choice *choices, bool all,
				const char *separator, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (; choices->name && at < size; choices++)
		if (all || option__available(choices->arch))
			at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? separator : "",
					       choices->name);
	return buf;
}

/* What to call the argument of an option; NULL if it takes none. */
static const char *argument_name(const struct option_spec *opt, char *buf, size_t size)
{
	if (opt->choices)
		return join_choices(opt->choices, false, "|", buf, size);
	return opt->arg;
}

static bool takes_argument(const struct option_spec *opt)
{
	return opt->arg || opt->choices;
}

int option__set_flag(const struct option_spec *opt, void *target, const char *arg)
{
	*(bool *)((char *)target + opt->field) = true;
	return 0;
}

int option__clear_flag(const struct option_spec *opt, void *target, const char *arg)
{
	*(bool *)((char *)target + opt->field) = false;
	return 0;
}

int option__set_string(const struct option_spec *opt, void *target, const char *arg)
{
	if (!*arg) {
		pr_fatal("--%s needs %s, and what was given is empty", opt->name, opt->arg);
		return -EINVAL;
	}
	*(const char **)((char *)target + opt->field) = arg;
	return 0;
}

int option__set_choice(const struct option_spec *opt, void *target, const char *arg)
{
	const struct option_choice *choice = opt->choices;
	char words[128];

	while (choice->name && strcmp(choice->name, arg))
		choice++;
	if (choice->name && option__available(choice->arch)) {
		*(unsigned int *)((char *)target + opt->field) = choice->value;
		return 0;
	}

	join_choices(opt->choices, false, ", ", words, sizeof(words));
	if (choice->name)
		pr_fatal("--%s=%s is only for %s, and this lkvm is for %s, where it is one of: %s",
			 opt->name, arg, choice->arch, LKVM_ARCH, words);
	else
		pr_fatal("--%s=%s: it is one of: %s", opt->name, arg, words);
	return -EINVAL;
}

/*
 * Parsing.
 */

struct parser {
	const struct option_table *table;
	char letters[2 + 2 * (OPTIONS_MAX + 1) + 1];
	struct option longopts[OPTIONS_MAX + 2];
};

static void add_option(struct parser *parser, size_t index, const struct option_spec *opt)
{
	const bool arg = takes_argument(opt);
	char *end = parser->letters + strlen(parser->letters);

	parser->longopts[index] = (struct option){
		.name = opt->name,
		.has_arg = arg ? required_argument : no_argument,
		.val = VAL_BASE + (int)index,
	};
	if (opt->letter) {
		*end++ = opt->letter;
		if (arg)
			*end++ = ':';
		*end = '\0';
	}
}

/* The help option comes last: its index is table->nr. */
static const struct option_spec *spec_at(const struct option_table *table, size_t index)
{
	return index < table->nr ? &table->options[index] : &help_option;
}

/* From getopt's val, or a letter, to the option; NULL if there is none. */
static const struct option_spec *spec_of(const struct option_table *table, int val)
{
	if (val >= VAL_BASE)
		return spec_at(table, (size_t)(val - VAL_BASE));

	for (size_t i = 0; i <= table->nr; i++)
		if (val && spec_at(table, i)->letter == val)
			return spec_at(table, i);
	return NULL;
}

/* @meant: the name of which @word is a beginning, or NULL. */
static int refuse_unknown(const struct option_table *table, const char *word, const char *meant)
{
	const int len = (int)strcspn(word, "=");

	if (meant)
		pr_fatal("no such option: %.*s; did you mean --%s?", len, word, meant);
	else
		pr_fatal("no such option: %.*s. See 'lkvm %s --help'.", len, word, table->command);
	return -EINVAL;
}

/* What getopt did not like: @val as it returned it. */
static int explain_error(const struct option_table *table, int val, const char *word)
{
	const struct option_spec *opt = spec_of(table, optopt);
	char arg[128], letter[3] = { '-', (char)optopt, '\0' };

	if (val == ':')
		pr_fatal("--%s needs %s. See 'lkvm %s --help'.", opt->name,
			 argument_name(opt, arg, sizeof(arg)), table->command);
	else if (optopt >= VAL_BASE)
		pr_fatal("--%s takes no argument", opt->name);
	else
		return refuse_unknown(table, optopt ? letter : word, NULL);
	return -EINVAL;
}

static int set_option(const struct option_table *table, const struct option_spec *opt, void *target)
{
	if (opt == &help_option) {
		options__print_help(table, stdout);
		return 1;
	}
	if (!option__available(opt->arch)) {
		pr_fatal("--%s is only for %s, and this lkvm is for %s", opt->name, opt->arch,
			 LKVM_ARCH);
		return -EINVAL;
	}
	return opt->set(opt, target, optarg);
}

static int set_operand(const struct option_table *table, void *target, const char *arg)
{
	if (table->set_operand)
		return table->set_operand(NULL, target, arg);
	pr_fatal("unexpected argument: %s. See 'lkvm %s --help'.", arg, table->command);
	return -EINVAL;
}

static int parse_next(const struct parser *parser, void *target, int val, int index, char **argv)
{
	const struct option_table *table = parser->table;
	const char *word = argv[optind - 1];

	if (val == 1)
		return set_operand(table, target, optarg);
	if (val == '?' || val == ':')
		return explain_error(table, val, word);

	if (index >= 0) {
		const char *name = parser->longopts[index].name;

		if (optarg == word)
			word = argv[optind - 2];
		if (strcspn(word + 2, "=") != strlen(name))
			return refuse_unknown(table, word, name);
	}
	return set_option(table, spec_of(table, val), target);
}

int options__parse(const struct option_table *table, void *target, int argc, char **argv)
{
	struct parser parser = { .table = table, .letters = "-:" };
	int val, index, ret;

	if (table->nr > OPTIONS_MAX)
		return -E2BIG;
	for (size_t i = 0; i <= table->nr; i++)
		add_option(&parser, i, spec_at(table, i));

	opterr = 0;
	optind = 0; /* GNU: start anew */
	while (index = -1,
	       (val = getopt_long(argc, argv, parser.letters, parser.longopts, &index)) != -1) {
		ret = parse_next(&parser, target, val, index, argv);
		if (ret)
			return ret;
	}

	for (; optind < argc; optind++) {
		ret = set_operand(table, target, argv[optind]);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Help for people.
 */

/* Words of @text up to column HELP_COLUMNS; lines beyond the first start at column @indent. */
static void print_wrapped(FILE *out, const char *text, size_t indent, size_t column)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > indent && column + 1 + len > HELP_COLUMNS) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fwrite(text, 1, len, out);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_option_help(const struct option_spec *opt, FILE *out)
{
	char buf[128];
	const char *arg = argument_name(opt, buf, sizeof(buf));
	int column;

	column = opt->letter ? fprintf(out, "    -%c, ", opt->letter) : fprintf(out, "        ");
	column += fprintf(out, "--%s%s%s", opt->name, arg ? " " : "", arg ? arg : "");
	if (column > HELP_INDENT - 2) {
		fputc('\n', out);
		column = 0;
	}
	fprintf(out, "%*s", HELP_INDENT - column, "");
	print_wrapped(out, opt->help, HELP_INDENT, HELP_INDENT);
}

static bool section_has_options(const struct option_table *table, enum option_section section)
{
	for (size_t i = 0; i < table->nr; i++)
		if (table->options[i].section == section &&
		    option__available(table->options[i].arch))
			return true;
	return false;
}

static void print_section_help(const struct option_table *table, enum option_section section,
			       FILE *out)
{
	fprintf(out, "\n%s:\n", section_title[section]);
	for (size_t i = 0; i < table->nr; i++) {
		const struct option_spec *opt = &table->options[i];

		if (opt->section == section && option__available(opt->arch))
			print_option_help(opt, out);
	}
}

void options__print_help(const struct option_table *table, FILE *out)
{
	fprintf(out, "usage: lkvm %s [options]%s%s\n\n%s.\n", table->command,
		table->operand ? " " : "", table->operand ? table->operand : "", table->summary);

	for (unsigned int section = 0; section < SECTION_NR; section++)
		if (section_has_options(table, section))
			print_section_help(table, section, out);

	fputc('\n', out);
	print_option_help(&help_option, out);
	if (table->notes) {
		fputc('\n', out);
		print_wrapped(out, table->notes, 0, 0);
	}
}

/*
 * The manual page.
 */

/* A word in mdoc: hyphens and backslashes as themselves, nothing taken for a macro. */
static void print_mdoc_word(FILE *out, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (word[i] == '-')
			fputs("\\-", out);
		else if (word[i] == '\\')
			fputs("\\e", out);
		else if (!i && (word[i] == '.' || word[i] == '\''))
			fprintf(out, "\\&%c", word[i]);
		else
			fputc(word[i], out);
	}
}

/* Each sentence starts a line, as mdoc(7) wants it, and no line is long. */
static void print_mdoc_text(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column)
			fputc(column + len < MDOC_COLUMNS ? ' ' : '\n', out);
		column = column + len < MDOC_COLUMNS ? column + 1 + len : len;
		print_mdoc_word(out, text, len);
		if (len && strchr(".?!", text[len - 1])) {
			fputc('\n', out);
			column = 0;
		}
		text += len;
		text += strspn(text, " ");
	}
}

/* The line of help is a sentence here. */
static void print_mdoc_help(FILE *out, const char *help)
{
	char sentence[256];

	snprintf(sentence, sizeof(sentence), "%s.", help);
	sentence[0] = (char)toupper((unsigned char)sentence[0]);
	print_mdoc_text(out, sentence);
}

static void print_option_manual(const struct option_spec *opt, FILE *out)
{
	char words[128];

	fputs(".It ", out);
	if (opt->letter)
		fprintf(out, "Fl %c , ", opt->letter);
	fputs("Fl \\-", out);
	print_mdoc_word(out, opt->name, strlen(opt->name));
	if (opt->choices)
		fprintf(out, " Cm %s",
			join_choices(opt->choices, true, " | ", words, sizeof(words)));
	else if (opt->arg) {
		fputs(" Ar ", out);
		print_mdoc_word(out, opt->arg, strlen(opt->arg));
	}
	fputc('\n', out);

	print_mdoc_help(out, opt->help);
	if (opt->manual)
		print_mdoc_text(out, opt->manual);
	if (opt->arch)
		fprintf(out, "Only on %s.\n", opt->arch);
}

static void print_section_manual(const struct option_table *table, enum option_section section,
				 FILE *out)
{
	bool any = false;

	for (size_t i = 0; i <= table->nr; i++) {
		const struct option_spec *opt = spec_at(table, i);

		if (opt->section != section)
			continue;
		if (!any && section != SECTION_OPTIONS)
			fprintf(out, ".Ss %s\n", section_title[section]);
		if (!any)
			fputs(".Bl -tag -width Ds\n", out);
		any = true;
		print_option_manual(opt, out);
	}
	if (any)
		fputs(".El\n", out);
}

void options__print_manual(const struct option_table *table, FILE *out)
{
	for (unsigned int section = 0; section < SECTION_NR; section++)
		print_section_manual(table, section, out);
}

/*
 * Shell completion.
 */

static void print_option_words(const struct option_spec *opt, FILE *out)
{
	char buf[128];
	const char *arg = argument_name(opt, buf, sizeof(buf));

	fprintf(out, "--%s\t%s\t%s\n", opt->name, arg ? arg : "", opt->help);
	if (opt->letter)
		fprintf(out, "-%c\t%s\t%s\n", opt->letter, arg ? arg : "", opt->help);
}

void options__print_words(const struct option_table *table, FILE *out)
{
	for (size_t i = 0; i <= table->nr; i++)
		if (option__available(spec_at(table, i)->arch))
			print_option_words(spec_at(table, i), out);
}
