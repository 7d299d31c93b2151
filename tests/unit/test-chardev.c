// SPDX-License-Identifier: GPL-2.0-or-later
/* A console loses nothing that a slow reader will read, and takes no more than its front end has
 * room for. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/chardev.h"
#include "kvm/event.h"

struct sink {
	struct event_loop *loop;
	size_t room, expected, got;
	char data[256];
};

static size_t sink_room(void *ctx)
{
	return ((struct sink *)ctx)->room;
}

static void sink_receive(void *ctx, const uint8_t *data, size_t len)
{
	struct sink *sink = ctx;

	assert_true(len <= sink->room);
	assert_true(sink->got + len <= sizeof(sink->data));
	memcpy(sink->data + sink->got, data, len);
	sink->got += len;
	sink->room -= len;
	if (sink->got == sink->expected)
		event_loop__stop(sink->loop);
}

static char path[64];

static void make_fifo(void)
{
	snprintf(path, sizeof(path), "/tmp/lkvm-test-chardev-%d", getpid());
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
}

static int setup(void **state)
{
	*state = event_loop__create();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	event_loop__destroy(*state);
	unlink(path);
	return 0;
}

static void input_stops_without_room_and_goes_on_with_it(void **state)
{
	struct sink sink = { .loop = *state, .room = 3, .expected = 3 };
	struct chardev_frontend frontend = { sink_room, sink_receive, &sink };
	struct chardev *chr;
	int fd;

	make_fifo();
	chr = chardev__open(path, *state);
	assert_non_null(chr);
	chardev__attach(chr, &frontend);
	fd = open(path, O_WRONLY | O_NONBLOCK);
	assert_int_equal(write(fd, "abcdefgh", 8), 8);
	assert_int_equal(event_loop__run(*state), 0);
	assert_int_equal(sink.got, 3);

	sink.room = 5;
	sink.expected = 8;
	chardev__resume(chr);
	assert_int_equal(event_loop__run(*state), 0);
	assert_memory_equal(sink.data, "abcdefgh", 8);
	close(fd);
	chardev__close(chr);
}

static void output_goes_to_a_file_whole(void **state)
{
	struct chardev *chr;
	char text[8] = { 0 };
	int fd;

	snprintf(path, sizeof(path), "/tmp/lkvm-test-chardev-%d", getpid());
	chr = chardev__open(path, *state);
	assert_non_null(chr);
	chardev__write(chr, "hel", 3);
	chardev__write(chr, "lo", 2);
	chardev__close(chr);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	close(fd);
}

struct slow_reader {
	int fd;
	size_t wanted, got;
};

static void *read_slowly(void *arg)
{
	struct slow_reader *reader = arg;
	char data[4096];

	usleep(50000);
	while (reader->got < reader->wanted) {
		ssize_t len = read(reader->fd, data, sizeof(data));

		if (len > 0)
			reader->got += (size_t)len;
	}
	return NULL;
}

static void a_slow_reader_gets_everything(void **state)
{
	static char block[200000]; /* more than a pipe holds */
	struct slow_reader reader = { .wanted = sizeof(block) };
	struct chardev *chr;
	pthread_t thread;

	make_fifo();
	chr = chardev__open(path, *state);
	reader.fd = open(path, O_RDONLY);
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
	chardev__write(chr, block, sizeof(block));
	pthread_join(thread, NULL);
	assert_int_equal(reader.got, sizeof(block));
	close(reader.fd);
	chardev__close(chr);
}

static void *hang_up_soon(void *chr)
{
	usleep(50000);
	chardev__hang_up(chr);
	return NULL;
}

static void a_reader_that_never_reads_holds_nobody_after_hang_up(void **state)
{
	static char block[200000];
	struct chardev *chr;
	pthread_t thread;

	make_fifo();
	chr = chardev__open(path, *state);
	assert_int_equal(pthread_create(&thread, NULL, hang_up_soon, chr), 0);
	chardev__write(chr, block, sizeof(block)); /* must return */
	pthread_join(thread, NULL);
	chardev__close(chr);
}

static void a_pty_without_a_reader_loses_output_and_holds_nobody(void **state)
{
	static char block[200000];
	struct chardev *chr = chardev__open("pty", *state);

	assert_non_null(chr);
	chardev__write(chr, block, sizeof(block)); /* must return */
	chardev__close(chr);
}

static void what_cannot_be_opened_is_refused(void **state)
{
	assert_null(chardev__open("/nonexistent/console", *state));
}

static void count(void *ctx)
{
	++*(unsigned int *)ctx;
}

static void a_watched_text_is_found_wherever_writes_break(void **state)
{
	struct chardev *chr = chardev__open("null", *state);
	unsigned int seen = 0;

	chardev__watch_for(chr, "Kernel panic", count, &seen);
	chardev__write(chr, "Kern", 4);
	chardev__write(chr, "el", 2);
	chardev__write(chr, " panic - not syncing\n", 21);
	assert_int_equal(seen, 1);
	chardev__write(chr, "Kernel Kernel pan", 17);
	assert_int_equal(seen, 1);
	chardev__write(chr, "ic", 2);
	assert_int_equal(seen, 2);
	chardev__write(chr, "Kernel pKernel panic", 20);
	assert_int_equal(seen, 3);
	chardev__close(chr);
}

#define with_loop(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_loop(input_stops_without_room_and_goes_on_with_it),
		with_loop(output_goes_to_a_file_whole),
		with_loop(a_slow_reader_gets_everything),
		with_loop(a_reader_that_never_reads_holds_nobody_after_hang_up),
		with_loop(a_pty_without_a_reader_loses_output_and_holds_nobody),
		with_loop(what_cannot_be_opened_is_refused),
		with_loop(a_watched_text_is_found_wherever_writes_break),
	};

	return cmocka_run_group_tests_name("chardev", tests, NULL, NULL);
}
