/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a machine ends: the one place that decides.
 *
 * Anyone (a device, a vCPU, a timer, a signal) reports what happened with fate__report(); the first
 * report that ends the machine wins, later ones are ignored. The main thread learns of it through
 * the event loop and turns it into the exit status that lkvm-run(1) documents.
 */
#ifndef KVM_FATE_H
#define KVM_FATE_H

#include <stdbool.h>

struct event_loop;

/**
 * enum fate_cause - what can happen to a machine
 * @FATE_NONE:           nothing yet
 * @FATE_POWEROFF:       the guest powered off (S5)                                 status 0
 * @FATE_RESET:          the guest asked for a reset                                status 0, or
 * starts again
 * @FATE_GUEST_EXIT:     debug-exit; detail is the status
 * @FATE_PANIC:          the guest reported a panic (pvpanic, or on its console and then reset)
 *                       status 120
 * @FATE_TRIPLE_FAULT:   shutdown state of a vCPU                                   status 121
 * @FATE_INTERNAL_ERROR: KVM could not go on (internal error, failed entry)         status 121
 * @FATE_TIMEOUT:        --timeout ran out                                          status 124
 * @FATE_HOST_ERROR:     lkvm or the host failed; detail is a negative errno        status 125
 * @FATE_SIGNAL:         lkvm was told to end by a signal; detail is its number     status 128 +
 * detail
 * @FATE_USER_QUIT:      Ctrl-a x                                                   status 0
 */
enum fate_cause {
	FATE_NONE,
	FATE_POWEROFF,
	FATE_RESET,
	FATE_GUEST_EXIT,
	FATE_PANIC,
	FATE_TRIPLE_FAULT,
	FATE_INTERNAL_ERROR,
	FATE_TIMEOUT,
	FATE_HOST_ERROR,
	FATE_SIGNAL,
	FATE_USER_QUIT,
	FATE_NR_CAUSES,
};

#define EXIT_GUEST_PANIC 120
#define EXIT_GUEST_FAULT 121
#define EXIT_TIMEOUT	 124
#define EXIT_HOST_ERROR	 125
#define EXIT_SIGNAL_BASE 128

struct vm_fate;

/**
 * fate__create - Return: an undecided fate that stops @loop once it is decided, or NULL without
 * memory
 */
struct vm_fate *fate__create(struct event_loop *loop);

/**
 * fate__destroy - NULL is harmless
 */
void fate__destroy(struct vm_fate *fate);

/**
 * fate__report - something happened that ends or resets the machine
 * @detail: see enum fate_cause; 0 where it has none
 *
 * Any thread; never blocks.
 *
 * Return: true if this report decided.
 */
bool fate__report(struct vm_fate *fate, enum fate_cause cause, int detail);

/**
 * fate__expect_panic - the guest has said on its console that it panics
 *
 * Not every kernel has a driver for pvpanic. If the next thing that happens is a reset, it was the
 * panic's: it is decided as FATE_PANIC.
 */
void fate__expect_panic(struct vm_fate *fate);

/**
 * fate__cause - what was decided, FATE_NONE so far; @detail may be NULL
 */
enum fate_cause fate__cause(const struct vm_fate *fate, int *detail);

/**
 * fate__clear - undecided again: after a reset that started the machine anew
 */
void fate__clear(struct vm_fate *fate);

/**
 * fate__status - the exit status of lkvm for a cause
 */
int fate__status(enum fate_cause cause, int detail);

/**
 * fate__describe - one sentence for people ("the guest powered off")
 */
const char *fate__describe(enum fate_cause cause);

#endif
