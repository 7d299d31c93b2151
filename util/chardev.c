// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Console back ends: the terminal, pseudo-terminals, files.
 *
 * Theory of operation: input is read on the event loop, never more than the front end has room for;
 * without room the descriptor is not watched until the front end calls chardev__resume(). Regular
 * files cannot be watched: an eventfd that is always ready stands in for them.
 *
 * Output is written at once by whoever calls (a guest's console output must be visible when the
 * guest dies with the next instruction), through an open file description of our own that does not
 * block: standard output is shared with the shell, whose flags are not ours to change. A reader
 * that is merely slow is waited for, so that nothing of a log is lost, until chardev__hang_up().
 *
 * Raw mode outlives a crash unless a signal handler undoes it, which is why the terminal's old
 * settings are the one global of this program.
 */
#include "kvm/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "kvm/event.h"
#include "kvm/fate.h"
#include "kvm/log.h"
#include "kvm/sys.h"

#define CTRL_A	     0x01
#define READ_AT_MOST 512
#define SLOW_POLL_MS 100

struct chardev {
	struct event_loop *loop;
	struct vm_fate *fate; /* the terminal's: told of Ctrl-a x */
	struct chardev_frontend frontend;
	pthread_mutex_t lock; /* frontend, input */
	int in_fd, out_fd;
	bool own_in, own_out;
	bool drop_when_full; /* a pty that may have no reader */
	struct event *input;
	int always_fd; /* an eventfd that is always ready, for input that cannot be polled */
	bool input_ended;
	bool poll_first; /* output that may block */
	bool escape;	 /* Ctrl-a has been typed */
	bool raw;
	bool escapes; /* input is a person's */
	atomic_bool hung_up;
	atomic_bool out_gone;
	int hold_fd; /* keeps a pty's other end open */
	const char *watch_text;
	size_t watch_at; /* characters of it seen so far */
	void (*watch_fn)(void *ctx);
	void *watch_ctx;
};

static struct {
	volatile sig_atomic_t raw;
	int fd;
	struct termios settings;
} terminal;

static const int deadly_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGSYS };

static void on_deadly_signal(int signal)
{
	if (terminal.raw)
		tcsetattr(terminal.fd, TCSANOW, &terminal.settings);
	raise(signal); /* SA_RESETHAND: this time it kills */
}

static int make_raw(int fd)
{
	struct sigaction action = { .sa_handler = on_deadly_signal,
				    .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };
	struct termios raw;

	if (tcgetattr(fd, &terminal.settings))
		return -errno;
	terminal.fd = fd;
	for (size_t i = 0; i < sizeof(deadly_signals) / sizeof(deadly_signals[0]); i++)
		sigaction(deadly_signals[i], &action, NULL);

	raw = terminal.settings;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; /* our own messages end in a bare newline */
	terminal.raw = 1;
	if (tcsetattr(fd, TCSANOW, &raw)) {
		terminal.raw = 0;
		return -errno;
	}
	return 0;
}

static void restore_terminal(void)
{
	if (!terminal.raw)
		return;
	tcsetattr(terminal.fd, TCSAFLUSH, &terminal.settings);
	terminal.raw = 0;
	for (size_t i = 0; i < sizeof(deadly_signals) / sizeof(deadly_signals[0]); i++)
		signal(deadly_signals[i], SIG_DFL);
}

static struct chardev *chardev_new(struct event_loop *loop)
{
	struct chardev *chr = calloc(1, sizeof(*chr));

	if (!chr) {
		pr_fatal("no memory for a console");
		return NULL;
	}
	pthread_mutex_init(&chr->lock, NULL);
	chr->loop = loop;
	chr->in_fd = chr->out_fd = chr->always_fd = chr->hold_fd = -1;
	return chr;
}

static bool is_foreground_terminal(int fd)
{
	return isatty(fd) && tcgetpgrp(fd) == getpgrp();
}

/*
 * A description of our own for standard output, so that O_NONBLOCK stays private. A regular file
 * never blocks and has an offset to keep; a socket cannot be opened again and is polled before each
 * write.
 */
static void reopen_output(struct chardev *chr)
{
	struct stat st;
	int fd;

	chr->out_fd = STDOUT_FILENO;
	if (fstat(STDOUT_FILENO, &st) || S_ISREG(st.st_mode))
		return;
	fd = sys__open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		chr->poll_first = true;
		return;
	}
	chr->out_fd = fd;
	chr->own_out = true;
}

struct chardev *chardev__open_terminal(struct event_loop *loop, struct vm_fate *fate)
{
	struct chardev *chr = chardev_new(loop);
	int ret;

	if (!chr)
		return NULL;
	chr->fate = fate;
	chr->in_fd = STDIN_FILENO;
	reopen_output(chr);

	if (isatty(STDIN_FILENO)) {
		if (!is_foreground_terminal(STDIN_FILENO)) {
			chr->in_fd = -1; /* reading would stop a background job */
			return chr;
		}
		chr->escapes = true;
		ret = make_raw(STDIN_FILENO);
		if (ret)
			pr_warn("the terminal stays in line mode: %s", strerror(-ret));
		chr->raw = !ret;
	}
	return chr;
}

static int open_pty(struct chardev *chr)
{
	struct termios raw;
	char name[64];
	int fd;

	fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, name, sizeof(name))) {
		int err = -errno;

		sys__close(fd);
		return err;
	}
	chr->in_fd = chr->out_fd = fd;
	chr->own_in = true;
	chr->drop_when_full = true;
	chr->hold_fd = sys__open(name, O_RDWR | O_NOCTTY);
	if (chr->hold_fd >= 0 && !tcgetattr(chr->hold_fd, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(chr->hold_fd, TCSANOW, &raw);
	}
	pr_info("a console is at %s", name);
	return 0;
}

static int open_path(struct chardev *chr, const char *path)
{
	struct stat st;
	int fd = sys__open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CREAT);

	if (fd < 0)
		return fd;
	chr->out_fd = fd;
	chr->own_out = true;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		if (ftruncate(fd, 0))
			return -errno;
	} else {
		chr->in_fd = fd;
	}
	return 0;
}

struct chardev *chardev__open(const char *spec, struct event_loop *loop)
{
	struct chardev *chr = chardev_new(loop);
	int ret = 0;

	if (!chr)
		return NULL;
	if (!strcmp(spec, "pty"))
		ret = open_pty(chr);
	else if (strcmp(spec, "null"))
		ret = open_path(chr, spec);
	if (ret) {
		pr_fatal("console %s: cannot open: %s", spec, strerror(-ret));
		chardev__close(chr);
		return NULL;
	}
	return chr;
}

void chardev__hang_up(struct chardev *chr)
{
	if (chr)
		atomic_store(&chr->hung_up, true);
}

void chardev__close(struct chardev *chr)
{
	if (!chr)
		return;
	chardev__attach(chr, NULL);
	if (chr->raw)
		restore_terminal();
	sys__close(chr->always_fd);
	sys__close(chr->hold_fd);
	if (chr->own_in)
		sys__close(chr->in_fd);
	if (chr->own_out)
		sys__close(chr->out_fd);
	pthread_mutex_destroy(&chr->lock);
	free(chr);
}

static void print_escapes(void)
{
	static const char help[] = "\r\nCtrl-a x  end the guest\r\n"
				   "Ctrl-a a  send Ctrl-a to the guest\r\n"
				   "Ctrl-a h  this help\r\n";

	if (write(STDERR_FILENO, help, sizeof(help) - 1) < 0)
		return; /* nobody is left to tell */
}

/* Take Ctrl-a sequences out of what a person typed; returns what is left for the guest. */
static size_t take_escapes(struct chardev *chr, uint8_t *data, size_t len)
{
	size_t left = 0;

	for (size_t i = 0; i < len; i++) {
		if (!chr->escape && data[i] == CTRL_A) {
			chr->escape = true;
			continue;
		}
		if (!chr->escape) {
			data[left++] = data[i];
			continue;
		}
		chr->escape = false;
		if (data[i] == 'x' || data[i] == 'X')
			fate__report(chr->fate, FATE_USER_QUIT, 0);
		else if (data[i] == 'h' || data[i] == '?')
			print_escapes();
		else if (data[i] == 'a' || data[i] == CTRL_A)
			data[left++] = CTRL_A;
	}
	return left;
}

static void stop_watching(struct chardev *chr)
{
	struct event *input;

	pthread_mutex_lock(&chr->lock);
	input = chr->input;
	chr->input = NULL;
	pthread_mutex_unlock(&chr->lock);
	event__remove(input);
}

static void on_input(void *ctx, uint32_t events)
{
	struct chardev *chr = ctx;
	uint8_t data[READ_AT_MOST];
	size_t room;
	ssize_t len;

	room = chr->frontend.room(chr->frontend.ctx);
	if (!room) {
		stop_watching(chr);
		/* Room may have come between the question and the answer. */
		if (chr->frontend.room(chr->frontend.ctx))
			chardev__resume(chr);
		return;
	}

	len = read(chr->in_fd, data, room < sizeof(data) ? room : sizeof(data));
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		chr->input_ended = true;
		stop_watching(chr);
		return;
	}
	if (chr->escapes)
		len = (ssize_t)take_escapes(chr, data, (size_t)len);
	if (len)
		chr->frontend.receive(chr->frontend.ctx, data, (size_t)len);
}

/* With the lock held. */
static void watch_input(struct chardev *chr)
{
	uint64_t one = 1;

	if (chr->input || chr->input_ended || chr->in_fd < 0 || !chr->frontend.receive)
		return;
	if (chr->always_fd < 0) {
		chr->input = event__add(chr->loop, chr->in_fd, EPOLLIN, on_input, chr);
		if (chr->input || errno != EPERM)
			return;
		chr->always_fd = sys__eventfd();
		if (chr->always_fd < 0 || write(chr->always_fd, &one, sizeof(one)) < 0)
			return;
	}
	chr->input = event__add(chr->loop, chr->always_fd, EPOLLIN, on_input, chr);
}

void chardev__attach(struct chardev *chr, const struct chardev_frontend *frontend)
{
	stop_watching(chr);
	pthread_mutex_lock(&chr->lock);
	chr->frontend = frontend ? *frontend : (struct chardev_frontend){ 0 };
	watch_input(chr);
	pthread_mutex_unlock(&chr->lock);
}

void chardev__resume(struct chardev *chr)
{
	pthread_mutex_lock(&chr->lock);
	watch_input(chr);
	pthread_mutex_unlock(&chr->lock);
}

/* Wait until a slow reader has made room; false when there is no use in waiting. */
static bool wait_for_reader(struct chardev *chr)
{
	struct pollfd pollfd = { .fd = chr->out_fd, .events = POLLOUT };

	while (!atomic_load(&chr->hung_up)) {
		int ret = poll(&pollfd, 1, SLOW_POLL_MS);

		if (ret > 0)
			return !(pollfd.revents & (POLLERR | POLLNVAL));
		if (ret < 0 && errno != EINTR)
			return false;
	}
	return false;
}

void chardev__watch_for(struct chardev *chr, const char *text, void (*fn)(void *ctx), void *ctx)
{
	chr->watch_text = text;
	chr->watch_at = 0;
	chr->watch_fn = fn;
	chr->watch_ctx = ctx;
}

static void watch(struct chardev *chr, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == chr->watch_text[chr->watch_at])
			chr->watch_at++;
		else
			chr->watch_at = data[i] == chr->watch_text[0];
		if (!chr->watch_text[chr->watch_at]) {
			chr->watch_at = 0;
			chr->watch_fn(chr->watch_ctx);
		}
	}
}

void chardev__write(struct chardev *chr, const void *data, size_t len)
{
	const char *at = data;

	if (chr->watch_text)
		watch(chr, data, len);
	if (chr->out_fd < 0 || atomic_load_explicit(&chr->out_gone, memory_order_relaxed))
		return;
	while (len) {
		ssize_t done;

		if (chr->poll_first && !wait_for_reader(chr))
			return;
		done = write(chr->out_fd, at, len);

		if (done > 0) {
			at += done;
			len -= (size_t)done;
			continue;
		}
		if (done < 0 && errno == EINTR && !atomic_load(&chr->hung_up))
			continue;
		if (done < 0 && errno == EAGAIN && !chr->drop_when_full && wait_for_reader(chr))
			continue;
		if (done < 0 && errno != EAGAIN && errno != EINTR)
			atomic_store(&chr->out_gone, true);
		return;
	}
}
