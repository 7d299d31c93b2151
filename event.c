// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The event loop, on epoll.
 *
 * Theory of operation: one thread runs callbacks; any thread may add, change and remove events. The
 * hard part is removal: epoll_wait() may already have returned an event that another callback (or
 * another thread) removes. A removed event is therefore only marked dead and unlinked; the loop
 * frees the dead after each batch, when no returned pointer is left. A remover in another thread
 * waits until the callback, if it is running, has returned.
 */
#include "kvm/event.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kvm/log.h"
#include "kvm/sys.h"

#define BATCH 16

struct event {
	struct event_loop *loop;
	struct event *next;
	event_fn fn;
	void *ctx;
	int fd;
	bool dead;
};

struct event_loop {
	int epoll_fd;
	int wake_fd;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t idle; /* the current callback has returned */
	struct event *live;
	struct event *dead;
	struct event *current; /* whose callback runs */
	pthread_t thread;      /* valid while @running */
	bool running;
};

struct event_loop *event_loop__create(void)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event wake = { .events = EPOLLIN };

	if (!loop) {
		pr_fatal("no memory for the event loop");
		return NULL;
	}
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->idle, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = sys__eventfd();
	if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &wake)) {
		pr_fatal("cannot create the event loop (epoll, eventfd): %s", strerror(errno));
		event_loop__destroy(loop);
		return NULL;
	}
	return loop;
}

static void free_list(struct event *event)
{
	while (event) {
		struct event *next = event->next;

		free(event);
		event = next;
	}
}

void event_loop__destroy(struct event_loop *loop)
{
	if (!loop)
		return;
	free_list(loop->live);
	free_list(loop->dead);
	sys__close(loop->wake_fd);
	sys__close(loop->epoll_fd);
	pthread_cond_destroy(&loop->idle);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

struct event *event__add(struct event_loop *loop, int fd, uint32_t events, event_fn fn, void *ctx)
{
	struct event *event = calloc(1, sizeof(*event));
	struct epoll_event what = { .events = events, .data.ptr = event };

	if (!event)
		return NULL;
	*event = (struct event){ .loop = loop, .fn = fn, .ctx = ctx, .fd = fd };

	/* Linked before epoll can return it, under the lock that the loop takes to call it. */
	pthread_mutex_lock(&loop->lock);
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &what)) {
		int err = errno;

		pthread_mutex_unlock(&loop->lock);
		free(event);
		errno = err;
		return NULL;
	}
	event->next = loop->live;
	loop->live = event;
	pthread_mutex_unlock(&loop->lock);
	return event;
}

int event__modify(struct event *event, uint32_t events)
{
	struct epoll_event what = { .events = events, .data.ptr = event };

	return epoll_ctl(event->loop->epoll_fd, EPOLL_CTL_MOD, event->fd, &what) ? -errno : 0;
}

static void unlink_event(struct event_loop *loop, struct event *event)
{
	struct event **at = &loop->live;

	while (*at && *at != event)
		at = &(*at)->next;
	if (*at)
		*at = event->next;
}

void event__remove(struct event *event)
{
	struct event_loop *loop;

	if (!event)
		return;
	loop = event->loop;
	pthread_mutex_lock(&loop->lock);
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, event->fd, NULL);
	while (loop->current == event && !pthread_equal(loop->thread, pthread_self()))
		pthread_cond_wait(&loop->idle, &loop->lock);
	unlink_event(loop, event);
	event->dead = true;
	if (loop->running) {
		event->next = loop->dead;
		loop->dead = event;
	} else {
		free(event);
	}
	pthread_mutex_unlock(&loop->lock);
}

static void dispatch(struct event_loop *loop, const struct epoll_event *ready)
{
	struct event *event = ready->data.ptr;

	pthread_mutex_lock(&loop->lock);
	if (event->dead) {
		pthread_mutex_unlock(&loop->lock);
		return;
	}
	loop->current = event;
	pthread_mutex_unlock(&loop->lock);

	event->fn(event->ctx, ready->events);

	pthread_mutex_lock(&loop->lock);
	loop->current = NULL;
	pthread_cond_broadcast(&loop->idle);
	pthread_mutex_unlock(&loop->lock);
}

static void bury_dead(struct event_loop *loop, bool running)
{
	struct event *dead;

	pthread_mutex_lock(&loop->lock);
	dead = loop->dead;
	loop->dead = NULL;
	loop->running = running;
	pthread_mutex_unlock(&loop->lock);
	free_list(dead);
}

int event_loop__run(struct event_loop *loop)
{
	struct epoll_event ready[BATCH];
	uint64_t count;
	int ret = 0;

	pthread_mutex_lock(&loop->lock);
	loop->thread = pthread_self();
	loop->running = true;
	pthread_mutex_unlock(&loop->lock);

	while (!atomic_load(&loop->stop)) {
		int nr = epoll_wait(loop->epoll_fd, ready, BATCH, -1);

		if (nr < 0 && errno != EINTR) {
			ret = -errno;
			break;
		}
		for (int i = 0; i < nr; i++) {
			if (ready[i].data.ptr)
				dispatch(loop, &ready[i]);
		}
		bury_dead(loop, true);
	}

	bury_dead(loop, false);
	atomic_store(&loop->stop, false);
	if (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN && !ret)
		ret = -errno;
	return ret;
}

void event_loop__stop(struct event_loop *loop)
{
	uint64_t one = 1;

	atomic_store(&loop->stop, true);
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: the loop has been woken already */
}
