// SPDX-License-Identifier: GPL-2.0-or-later
/* A removed event never fires again, and a stopped loop returns, whoever asks and whenever. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "kvm/event.h"

struct source {
	struct event_loop *loop;
	struct event *event, *victim;
	int fd;
	unsigned int fired;
	bool stop;
};

static void fire(struct source *source)
{
	uint64_t one = 1;

	assert_int_equal(write(source->fd, &one, sizeof(one)), sizeof(one));
}

static void on_ready(void *ctx, uint32_t events)
{
	struct source *source = ctx;
	uint64_t count;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(source->fd, &count, sizeof(count)), sizeof(count));
	source->fired++;
	if (source->victim) {
		event__remove(source->victim);
		source->victim = NULL;
	}
	if (source->stop)
		event_loop__stop(source->loop);
}

static void open_source(struct source *source, struct event_loop *loop)
{
	*source = (struct source){ .loop = loop, .fd = eventfd(0, EFD_NONBLOCK) };
	source->event = event__add(loop, source->fd, EPOLLIN, on_ready, source);
	assert_non_null(source->event);
}

static void close_source(struct source *source)
{
	event__remove(source->event);
	close(source->fd);
}

static int setup(void **state)
{
	*state = event_loop__create();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	event_loop__destroy(*state);
	return 0;
}

static void what_is_ready_is_called(void **state)
{
	struct source source;

	open_source(&source, *state);
	source.stop = true;
	fire(&source);
	assert_int_equal(event_loop__run(*state), 0);
	assert_int_equal(source.fired, 1);
	close_source(&source);
}

static void a_stop_before_the_run_counts_and_only_once(void **state)
{
	struct source source;

	event_loop__stop(*state);
	assert_int_equal(event_loop__run(*state), 0);
	open_source(&source, *state);
	source.stop = true;
	fire(&source);
	assert_int_equal(event_loop__run(*state), 0);
	assert_int_equal(source.fired, 1);
	close_source(&source);
}

static void an_event_removed_in_the_same_batch_does_not_fire(void **state)
{
	struct source a, b;

	open_source(&a, *state);
	open_source(&b, *state);
	a.victim = b.event;
	b.victim = a.event;
	a.stop = b.stop = true;
	fire(&a);
	fire(&b);
	assert_int_equal(event_loop__run(*state), 0);
	assert_int_equal(a.fired + b.fired, 1);
	close_source(a.fired ? &a : &b);
	close((a.fired ? &b : &a)->fd);
}

static void an_event_may_remove_itself(void **state)
{
	struct source source;

	open_source(&source, *state);
	source.victim = source.event;
	source.stop = true;
	fire(&source);
	assert_int_equal(event_loop__run(*state), 0);
	close(source.fd);
}

static void a_modified_event_waits_for_what_it_was_told(void **state)
{
	struct source muted, other;

	open_source(&muted, *state);
	open_source(&other, *state);
	other.stop = true;
	assert_int_equal(event__modify(muted.event, 0), 0);
	fire(&muted);
	fire(&other);
	assert_int_equal(event_loop__run(*state), 0);
	assert_int_equal(muted.fired, 0);
	assert_int_equal(event__modify(muted.event, EPOLLIN), 0);
	muted.stop = true;
	assert_int_equal(event_loop__run(*state), 0);
	assert_int_equal(muted.fired, 1);
	close_source(&muted);
	close_source(&other);
}

static void what_cannot_be_polled_says_so(void **state)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_null(event__add(*state, fileno(file), EPOLLIN, on_ready, NULL));
	assert_int_equal(errno, EPERM);
	fclose(file);
}

struct slow {
	struct event *event;
	int fd;
	atomic_bool inside, done;
};

static void on_slow(void *ctx, uint32_t events)
{
	struct slow *slow = ctx;
	struct timespec moment = { .tv_nsec = 50 * 1000 * 1000 };
	uint64_t count;

	assert_int_equal(read(slow->fd, &count, sizeof(count)), sizeof(count));
	atomic_store(&slow->inside, true);
	nanosleep(&moment, NULL);
	atomic_store(&slow->done, true);
}

static void *run_loop(void *loop)
{
	event_loop__run(loop);
	return NULL;
}

static void removal_from_another_thread_waits_for_the_callback(void **state)
{
	struct slow slow = { .fd = eventfd(1, EFD_NONBLOCK) };
	pthread_t thread;

	slow.event = event__add(*state, slow.fd, EPOLLIN, on_slow, &slow);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, *state), 0);
	while (!atomic_load(&slow.inside))
		sched_yield();
	event__remove(slow.event);
	assert_true(atomic_load(&slow.done));
	event_loop__stop(*state);
	pthread_join(thread, NULL);
	close(slow.fd);
}

#define with_loop(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_loop(what_is_ready_is_called),
		with_loop(a_stop_before_the_run_counts_and_only_once),
		with_loop(an_event_removed_in_the_same_batch_does_not_fire),
		with_loop(an_event_may_remove_itself),
		with_loop(a_modified_event_waits_for_what_it_was_told),
		with_loop(what_cannot_be_polled_says_so),
		with_loop(removal_from_another_thread_waits_for_the_callback),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
