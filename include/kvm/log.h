/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages to the person who runs lkvm: one line each, on standard error, never on the guest's
 * console.
 *
 * Whoever knows the cause of an error prints it, once, with the object, the reason and the remedy;
 * callers further up only pass the negative errno on. None of these functions ends the process.
 */
#ifndef KVM_LOG_H
#define KVM_LOG_H

/**
 * pr_fatal - an error that ends the command ("Fatal: …")
 * @fmt: printf format, without a trailing newline; lines beyond the first are indented by the
 * caller
 */
void pr_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * pr_warn - something is not as asked for, but the guest goes on ("Warning: …")
 * @fmt: printf format, without a trailing newline
 */
void pr_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * pr_info - a fact worth a line ("Info: …")
 * @fmt: printf format, without a trailing newline
 */
void pr_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
