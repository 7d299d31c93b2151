/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options of a command: one table that is parsed, explained by --help, printed into the manual
 * page, and offered by shell completion.
 *
 * Each builtin-COMMAND.c has a table; that of lkvm run is in config-options.c. An option that is
 * not in a table does not exist, and one that is cannot be undocumented.
 */
#ifndef KVM_OPTIONS_H
#define KVM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define OPTIONS_MAX 64

/**
 * enum option_section - the heading that an option is listed under
 */
enum option_section {
	SECTION_OPTIONS,
	SECTION_BASIC,
	SECTION_BOOT,
	SECTION_CPU_MEMORY,
	SECTION_CONSOLE,
	SECTION_DEVICES,
	SECTION_ENDING,
	SECTION_DEBUGGING,
	SECTION_NR,
};

/**
 * struct option_choice - one of the words that an option accepts; an array of them ends with a NULL
 * name
 * @name:  the word
 * @value: of the enum
 * @arch:  the only architecture that has it, NULL for all
 */
struct option_choice {
	const char *name;
	unsigned int value;
	const char *arch;
};

struct option_spec;

/**
 * typedef option_set_fn - put what was given where it belongs
 * @opt:    the option
 * @target: struct that the table describes
 * @arg:    the argument; NULL for an option without one
 *
 * Return: 0, or negative errno with the reason printed.
 */
typedef int (*option_set_fn)(const struct option_spec *opt, void *target, const char *arg);

/**
 * struct option_spec - an option
 * @name:    long name without its dashes
 * @letter:  short name, 0 for none
 * @section: its heading
 * @arg:     what its argument is, for people; NULL if it takes none, or if @choices say it. One
 * that starts with FILE or DIR is completed as such.
 * @choices: the words it accepts, NULL if it is not a choice
 * @set:     see option_set_fn
 * @field:   for @set: OPTION_FIELD()
 * @arch:    the only architecture that has it, NULL for all
 * @help:    one line, without a capital or a full stop
 * @manual:  whole sentences that follow in the manual page, or NULL
 */
struct option_spec {
	const char *name;
	char letter;
	enum option_section section;
	const char *arg;
	const struct option_choice *choices;
	option_set_fn set;
	size_t field;
	const char *arch;
	const char *help;
	const char *manual;
};

/**
 * struct option_table - a command and all its options; --help and -h come by themselves
 * @command:    its name
 * @summary:    what it does, one line without a full stop
 * @options:    array
 * @nr:         of them, at most OPTIONS_MAX
 * @operand:    what an argument that is no option is ("[KERNEL]"), NULL if there is none
 * @set_operand: takes each of them, @opt being NULL; NULL if there is none
 * @notes:      a paragraph at the end of --help, or NULL
 */
struct option_table {
	const char *command;
	const char *summary;
	const struct option_spec *options;
	size_t nr;
	const char *operand;
	option_set_fn set_operand;
	const char *notes;
};

/**
 * OPTION_FIELD - offset of a member, for option_spec.field; does not compile unless the member has
 * that type
 */
#define OPTION_FIELD(container, member, type)                                                 \
	(offsetof(container, member) +                                                        \
	 sizeof(char[__builtin_types_compatible_p(__typeof__(((container *)0)->member), type) \
			     ? 1                                                              \
			     : -1]) -                                                         \
	 1)

/**
 * options__parse - fill @target from a command's arguments
 * @argv: argv[0] is the command itself; strings are kept, not copied
 *
 * Long options must be written out: an abbreviation that is clear today is not tomorrow. Options
 * and operands may be mixed; "--" ends the options.
 *
 * Return: 0; 1 if help was asked for and has been printed; negative errno with the reason printed.
 */
int options__parse(const struct option_table *table, void *target, int argc, char **argv);

/**
 * options__print_help - what --help says: the options that this architecture has
 */
void options__print_help(const struct option_table *table, FILE *out);

/**
 * options__print_manual - the list of options of a manual page in mdoc(7): those of all
 * architectures
 */
void options__print_manual(const struct option_table *table, FILE *out);

/**
 * options__print_words - for shell completion: a line for each word, "--name\targument\thelp"
 *
 * The argument is empty, "FILE…", "DIR…", the words of a choice with '|' in between, or
 * something free.
 */
void options__print_words(const struct option_table *table, FILE *out);

/**
 * option__available - whether this architecture has it
 * @arch: of an option or a choice
 */
bool option__available(const char *arch);

/**
 * option__choice_name - the word for a value, NULL if there is none
 */
const char *option__choice_name(const struct option_choice *choices, unsigned int value);

/**
 * option__set_flag, option__clear_flag - a bool field
 * option__set_string - a const char * field; an empty argument is refused
 * option__set_choice - a field of an enum, from option_spec.choices
 *
 * Return: see option_set_fn.
 */
int option__set_flag(const struct option_spec *opt, void *target, const char *arg);
int option__clear_flag(const struct option_spec *opt, void *target, const char *arg);
int option__set_string(const struct option_spec *opt, void *target, const char *arg);
int option__set_choice(const struct option_spec *opt, void *target, const char *arg);

#endif
