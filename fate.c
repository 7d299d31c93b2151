// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a machine ends: the first report wins, and there is one table from cause to exit status.
 */
#include "kvm/fate.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "kvm/event.h"

/* Cause and detail in one word, so that a report is one compare-and-swap. */
struct vm_fate {
	_Atomic(uint64_t) decided;
	atomic_bool panic_expected;
	struct event_loop *loop;
};

static uint64_t pack(enum fate_cause cause, int detail)
{
	return (uint64_t)cause << 32 | (uint32_t)detail;
}

struct vm_fate *fate__create(struct event_loop *loop)
{
	struct vm_fate *fate = calloc(1, sizeof(*fate));

	if (fate) {
		atomic_init(&fate->decided, pack(FATE_NONE, 0));
		fate->loop = loop;
	}
	return fate;
}

void fate__destroy(struct vm_fate *fate)
{
	free(fate);
}

bool fate__report(struct vm_fate *fate, enum fate_cause cause, int detail)
{
	uint64_t undecided = pack(FATE_NONE, 0);

	if (cause == FATE_RESET && atomic_load(&fate->panic_expected))
		cause = FATE_PANIC;
	if (!atomic_compare_exchange_strong(&fate->decided, &undecided, pack(cause, detail)))
		return false;
	event_loop__stop(fate->loop);
	return true;
}

void fate__expect_panic(struct vm_fate *fate)
{
	atomic_store(&fate->panic_expected, true);
}

enum fate_cause fate__cause(const struct vm_fate *fate, int *detail)
{
	uint64_t decided = atomic_load(&fate->decided);

	if (detail)
		*detail = (int)(uint32_t)decided;
	return (enum fate_cause)(decided >> 32);
}

void fate__clear(struct vm_fate *fate)
{
	atomic_store(&fate->panic_expected, false);
	atomic_store(&fate->decided, pack(FATE_NONE, 0));
}

int fate__status(enum fate_cause cause, int detail)
{
	switch (cause) {
	case FATE_NONE:
	case FATE_POWEROFF:
	case FATE_RESET:
	case FATE_USER_QUIT:
		return 0;
	case FATE_GUEST_EXIT:
		return detail & 0xff;
	case FATE_PANIC:
		return EXIT_GUEST_PANIC;
	case FATE_TRIPLE_FAULT:
	case FATE_INTERNAL_ERROR:
		return EXIT_GUEST_FAULT;
	case FATE_TIMEOUT:
		return EXIT_TIMEOUT;
	case FATE_SIGNAL:
		return EXIT_SIGNAL_BASE + (detail & 0x7f);
	case FATE_HOST_ERROR:
	case FATE_NR_CAUSES:
		break;
	}
	return EXIT_HOST_ERROR;
}

static const char *const descriptions[] = {
	[FATE_NONE] = "the guest is running",
	[FATE_POWEROFF] = "the guest powered off",
	[FATE_RESET] = "the guest was reset",
	[FATE_GUEST_EXIT] = "the guest ended with a status of its own",
	[FATE_PANIC] = "the guest panicked",
	[FATE_TRIPLE_FAULT] = "a triple fault shut a vCPU down",
	[FATE_INTERNAL_ERROR] = "KVM could not run the guest any further",
	[FATE_TIMEOUT] = "the time limit ran out",
	[FATE_HOST_ERROR] = "lkvm or the host failed",
	[FATE_SIGNAL] = "a signal ended lkvm",
	[FATE_USER_QUIT] = "the user quit",
};

static_assert(sizeof(descriptions) / sizeof(descriptions[0]) == FATE_NR_CAUSES,
	      "each cause has its description");

const char *fate__describe(enum fate_cause cause)
{
	return (unsigned int)cause < FATE_NR_CAUSES ? descriptions[cause] : "unknown";
}
