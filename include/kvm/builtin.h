/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of lkvm: what main.c can run and lkvm help can explain.
 *
 * Each is a function of its own arguments, argv[0] being the command's name, that returns the exit
 * status of lkvm. A new command is a declaration here and a line in builtin-help.c.
 */
#ifndef KVM_BUILTIN_H
#define KVM_BUILTIN_H

#include <stddef.h>

struct option_table;

/**
 * struct builtin - a command
 * @run:     runs it; returns an exit status (kvm/fate.h)
 * @options: its name, what it does, its options
 */
struct builtin {
	int (*run)(int argc, char **argv);
	const struct option_table *options;
};

/**
 * builtin__find - Return: the command of that name, or NULL
 */
const struct builtin *builtin__find(const char *name);

/**
 * builtin__at - Return: the command at @index in the order of lkvm --help, or NULL behind the last
 */
const struct builtin *builtin__at(size_t index);

/**
 * builtin__unknown - say that there is no such command
 *
 * Return: the exit status.
 */
int builtin__unknown(const char *name);

int builtin_run(int argc, char **argv);
int builtin_doctor(int argc, char **argv);
int builtin_version(int argc, char **argv);
int builtin_help(int argc, char **argv);

extern const struct option_table run_options;
extern const struct option_table doctor_options;
extern const struct option_table version_options;
extern const struct option_table help_options;

#endif
