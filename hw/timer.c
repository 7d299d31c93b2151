// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clocks that devices count by, and one-shot timers on the event loop (timerfd).
 */
#include "kvm/hw/timer.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "kvm/event.h"
#include "kvm/log.h"
#include "kvm/sys.h"

uint64_t hw_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * HW_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

int64_t hw_wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * (int64_t)HW_NS_PER_SEC + now.tv_nsec;
}

static void on_expiry(void *ctx, uint32_t events)
{
	struct hw_timer *timer = ctx;
	uint64_t expirations;

	/* Nothing to read: it was set anew between the event and now. */
	if (read(timer->fd, &expirations, sizeof(expirations)) < 0)
		return;
	timer->fn(timer->ctx);
}

int hw_timer__init(struct hw_timer *timer, struct event_loop *loop, void (*fn)(void *ctx),
		   void *ctx)
{
	int err;

	*timer = (struct hw_timer){ .fd = -1, .fn = fn, .ctx = ctx };
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer->fd < 0)
		goto failed;
	timer->event = event__add(loop, timer->fd, EPOLLIN, on_expiry, timer);
	if (timer->event)
		return 0;
failed:
	err = errno;
	pr_fatal("cannot create a timer for a device (timerfd, epoll): %s", strerror(err));
	hw_timer__destroy(timer);
	return -err;
}

void hw_timer__set(struct hw_timer *timer, uint64_t deadline)
{
	struct itimerspec when = {
		.it_value.tv_sec = (time_t)(deadline / HW_NS_PER_SEC),
		.it_value.tv_nsec = (long)(deadline % HW_NS_PER_SEC),
	};

	/* Zero would mean never. */
	if (!deadline)
		when.it_value.tv_nsec = 1;
	timerfd_settime(timer->fd, TFD_TIMER_ABSTIME, &when, NULL);
	timer->armed = true;
}

void hw_timer__clear(struct hw_timer *timer)
{
	const struct itimerspec never = { 0 };

	if (!timer->armed)
		return;
	timerfd_settime(timer->fd, 0, &never, NULL);
	timer->armed = false;
}

void hw_timer__destroy(struct hw_timer *timer)
{
	if (timer->fd < 0)
		return;
	event__remove(timer->event);
	sys__close(timer->fd);
	timer->event = NULL;
	timer->fd = -1;
}
