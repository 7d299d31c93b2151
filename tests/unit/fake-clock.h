/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A clock that stands still until a test moves it, and the one timer that a device under test has
 * on it.
 *
 * A test that includes this has a line "WRAP:" with the names hw_clock_ns hw_wall_clock_ns
 * hw_timer__init hw_timer__set hw_timer__clear hw_timer__destroy.
 */
#ifndef TESTS_UNIT_FAKE_CLOCK_H
#define TESTS_UNIT_FAKE_CLOCK_H

#include "kvm/hw/timer.h"
#include "test.h"

#define CLOCK_MS 1000000ull

/**
 * struct fake_clock - what time it is
 * @ns:       hw_clock_ns()
 * @wall_ns:  hw_wall_clock_ns()
 * @timer:    the timer, while there is one
 * @deadline: when it runs, while it is set
 * @set:      how often it has been set
 * @fired:    how often it has run
 */
static struct {
	uint64_t ns;
	int64_t wall_ns;
	struct hw_timer *timer;
	uint64_t deadline;
	unsigned int set, fired;
} fake_clock;

uint64_t __wrap_hw_clock_ns(void);
int64_t __wrap_hw_wall_clock_ns(void);
int __wrap_hw_timer__init(struct hw_timer *timer, struct event_loop *loop, void (*fn)(void *ctx),
			  void *ctx);
void __wrap_hw_timer__set(struct hw_timer *timer, uint64_t deadline);
void __wrap_hw_timer__clear(struct hw_timer *timer);
void __wrap_hw_timer__destroy(struct hw_timer *timer);

uint64_t __wrap_hw_clock_ns(void)
{
	return fake_clock.ns;
}

int64_t __wrap_hw_wall_clock_ns(void)
{
	return fake_clock.wall_ns;
}

int __wrap_hw_timer__init(struct hw_timer *timer, struct event_loop *loop, void (*fn)(void *ctx),
			  void *ctx)
{
	assert_null(fake_clock.timer);
	*timer = (struct hw_timer){ .fd = 0, .fn = fn, .ctx = ctx };
	fake_clock.timer = timer;
	return 0;
}

void __wrap_hw_timer__set(struct hw_timer *timer, uint64_t deadline)
{
	assert_ptr_equal(timer, fake_clock.timer);
	timer->armed = true;
	fake_clock.deadline = deadline;
	fake_clock.set++;
}

void __wrap_hw_timer__clear(struct hw_timer *timer)
{
	timer->armed = false;
}

void __wrap_hw_timer__destroy(struct hw_timer *timer)
{
	if (timer == fake_clock.timer)
		fake_clock.timer = NULL;
}

static inline void fake_clock__reset(uint64_t ns, int64_t wall_ns)
{
	memset(&fake_clock, 0, sizeof(fake_clock));
	fake_clock.ns = ns;
	fake_clock.wall_ns = wall_ns;
}

/* Without running the timer: the host is late. */
static inline void fake_clock__skip(uint64_t ns)
{
	fake_clock.ns += ns;
	fake_clock.wall_ns += (int64_t)ns;
}

/* Running the timer whenever it is due. */
static inline void fake_clock__advance(uint64_t ns)
{
	uint64_t until = fake_clock.ns + ns;
	struct hw_timer *timer = fake_clock.timer;

	while (timer->armed && fake_clock.deadline <= until) {
		if (fake_clock.deadline > fake_clock.ns)
			fake_clock__skip(fake_clock.deadline - fake_clock.ns);
		timer->armed = false;
		fake_clock.fired++;
		timer->fn(timer->ctx);
	}
	fake_clock__skip(until - fake_clock.ns);
}

#endif
