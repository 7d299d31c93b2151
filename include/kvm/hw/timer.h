/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clocks that devices count by, and one-shot timers on the event loop.
 */
#ifndef KVM_HW_TIMER_H
#define KVM_HW_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define HW_NS_PER_SEC 1000000000ull

struct event;
struct event_loop;

/**
 * hw_clock_ns - CLOCK_MONOTONIC in nanoseconds
 */
uint64_t hw_clock_ns(void);

/**
 * hw_wall_clock_ns - CLOCK_REALTIME in nanoseconds since 1970, UTC
 */
int64_t hw_wall_clock_ns(void);

/**
 * hw_clock__ticks - how often a clock of @hz ticks in @ns nanoseconds, rounded down
 */
static inline uint64_t hw_clock__ticks(uint64_t ns, uint32_t hz)
{
	return ns / HW_NS_PER_SEC * hz + ns % HW_NS_PER_SEC * hz / HW_NS_PER_SEC;
}

/**
 * hw_clock__ns - the first nanosecond at which a clock of @hz has ticked @ticks times
 */
static inline uint64_t hw_clock__ns(uint64_t ticks, uint32_t hz)
{
	return ticks / hz * HW_NS_PER_SEC + (ticks % hz * HW_NS_PER_SEC + hz - 1) / hz;
}

/**
 * struct hw_timer - calls a function once, at a time on hw_clock_ns()
 * @fd:    a timerfd, -1 while there is none
 * @event: watches it
 * @fn:    runs in the event loop's thread
 * @ctx:   its argument
 * @armed: has been set and not cleared since; guarded by the device's lock
 */
struct hw_timer {
	int fd;
	struct event *event;
	void (*fn)(void *ctx);
	void *ctx;
	bool armed;
};

/**
 * hw_timer__init - a timer that is not set
 *
 * @fn may still run once, late, for a time that has meanwhile been changed or cleared: it looks at
 * the clock and decides afresh.
 *
 * Return: 0 or negative errno, printed.
 */
int hw_timer__init(struct hw_timer *timer, struct event_loop *loop, void (*fn)(void *ctx),
		   void *ctx);

/**
 * hw_timer__set - run at @deadline, or at once if that is past; replaces an earlier setting
 * @deadline: on hw_clock_ns()
 *
 * The caller holds the lock that makes its calls follow one another.
 */
void hw_timer__set(struct hw_timer *timer, uint64_t deadline);

/**
 * hw_timer__clear - do not run; cheap if it is not set
 */
void hw_timer__clear(struct hw_timer *timer);

/**
 * hw_timer__destroy - when it returns @fn does not run and will not run again
 *
 * Harmless on a timer whose @fd is -1. Not with a lock held that @fn takes.
 */
void hw_timer__destroy(struct hw_timer *timer);

#endif
