// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lkvm run: make a machine, run it, and end as it ended.
 *
 * What is made is made in one direction (see the table of steps in create()) and torn down in
 * reverse, whether all of it or only a part came to be. The main thread runs the event loop until
 * the machine's fate is decided.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "kvm/arch.h"
#include "kvm/builtin.h"
#include "kvm/chardev.h"
#include "kvm/config.h"
#include "kvm/event.h"
#include "kvm/fate.h"
#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/options.h"
#include "kvm/sys.h"
#include "kvm/trace.h"

/**
 * struct run - one run of lkvm: the machine and what watches over it
 * @kvm:       the machine
 * @signal_fd: SIGTERM, SIGINT, SIGHUP as events
 * @timer_fd:  --timeout, or -1
 * @old_mask:  signals as they were before
 */
struct run {
	struct kvm kvm;
	int signal_fd;
	int timer_fd;
	sigset_t old_mask;
};

static void on_signal(void *ctx, uint32_t events)
{
	struct run *run = ctx;
	struct signalfd_siginfo info;

	if (read(run->signal_fd, &info, sizeof(info)) == sizeof(info))
		fate__report(run->kvm.host.fate, FATE_SIGNAL, (int)info.ssi_signo);
}

static void on_timeout(void *ctx, uint32_t events)
{
	struct run *run = ctx;

	fate__report(run->kvm.host.fate, FATE_TIMEOUT, 0);
}

/* Before any thread exists, so that all of them have these signals blocked. */
static int watch_signals(struct run *run)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, &run->old_mask);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a guest's I/O error */

	run->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0 ||
	    !event__add(run->kvm.host.loop, run->signal_fd, EPOLLIN, on_signal, run)) {
		pr_fatal("cannot watch for signals: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

static int watch_time(struct run *run)
{
	struct itimerspec when = { .it_value.tv_sec = run->kvm.cfg->timeout };

	if (!run->kvm.cfg->timeout)
		return 0;
	run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (run->timer_fd < 0 || timerfd_settime(run->timer_fd, 0, &when, NULL) ||
	    !event__add(run->kvm.host.loop, run->timer_fd, EPOLLIN, on_timeout, run)) {
		pr_fatal("--timeout: cannot set a timer: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

static int create_watchers(struct run *run)
{
	struct kvm *kvm = &run->kvm;
	int ret;

	kvm->host.loop = event_loop__create();
	if (!kvm->host.loop)
		return -ENOMEM;
	kvm->host.fate = fate__create(kvm->host.loop);
	if (!kvm->host.fate)
		return -ENOMEM;
	ret = watch_signals(run);
	if (ret)
		return ret;
	ret = watch_time(run);
	if (ret)
		return ret;
	if (kvm->cfg->trace) {
		kvm->trace = trace__open(kvm->cfg->trace);
		if (!kvm->trace)
			return -EIO;
	}
	return 0;
}

static void on_panic_text(void *fate)
{
	fate__expect_panic(fate);
}

static int open_consoles(struct kvm *kvm)
{
	const struct vm_config *cfg = kvm->cfg;

	kvm->console = chardev__open_terminal(kvm->host.loop, kvm->host.fate);
	if (!kvm->console)
		return -ENOMEM;
	for (unsigned int i = 0; i < CONFIG_MAX_TTYS; i++) {
		if (!cfg->tty[i])
			continue;
		kvm->tty[i] = chardev__open(cfg->tty[i], kvm->host.loop);
		if (!kvm->tty[i])
			return -EIO;
	}
	if (!kvm->tty[0] && cfg->console == CONSOLE_SERIAL)
		kvm->tty[0] = kvm->console;
	if (kvm->tty[0])
		chardev__watch_for(kvm->tty[0], "Kernel panic - not syncing", on_panic_text,
				   kvm->host.fate);
	return 0;
}

static void hang_up_consoles(struct kvm *kvm)
{
	chardev__hang_up(kvm->console);
	for (unsigned int i = 0; i < CONFIG_MAX_TTYS; i++)
		chardev__hang_up(kvm->tty[i]);
}

static void close_consoles(struct kvm *kvm)
{
	for (unsigned int i = 0; i < CONFIG_MAX_TTYS; i++) {
		if (kvm->tty[i] != kvm->console)
			chardev__close(kvm->tty[i]);
	}
	chardev__close(kvm->console);
}

static int create(struct run *run, const struct vm_config *cfg)
{
	struct kvm *kvm = &run->kvm;
	int ret;

	ret = kvm__open(kvm, cfg);
	if (ret)
		return ret;
	ret = arch__prepare(kvm);
	if (ret)
		return ret;
	ret = create_watchers(run);
	if (ret)
		return ret;
	ret = open_consoles(kvm);
	if (ret)
		return ret;
	ret = arch__create_machine(kvm);
	if (ret)
		return ret;
	device_list__reset(&kvm->devices);
	return arch__load(kvm);
}

static void destroy(struct run *run)
{
	struct kvm *kvm = &run->kvm;

	hang_up_consoles(kvm);
	kvm__destroy(kvm);
	close_consoles(kvm);
	trace__close(kvm->trace);
	event_loop__destroy(kvm->host.loop);
	fate__destroy(kvm->host.fate);
	sys__close(run->timer_fd);
	sys__close(run->signal_fd);
	sigprocmask(SIG_SETMASK, &run->old_mask, NULL);
}

/* After a reset, with --reboot: the same machine from its power-on state. */
static int start_again(struct kvm *kvm)
{
	int ret;

	kvm__pause(kvm);
	device_list__reset(&kvm->devices);
	ret = arch__load(kvm);
	if (ret)
		return ret; /* the vCPUs stay at the barrier until they are told to end */
	fate__clear(kvm->host.fate);
	kvm__resume(kvm);
	return 0;
}

static enum fate_cause wait_for_fate(struct kvm *kvm, int *detail)
{
	for (;;) {
		int ret = event_loop__run(kvm->host.loop);
		enum fate_cause cause = fate__cause(kvm->host.fate, detail);

		if (ret) {
			pr_fatal("the event loop failed: %s", strerror(-ret));
			*detail = ret;
			return FATE_HOST_ERROR;
		}
		if (cause == FATE_NONE)
			continue;
		if (cause != FATE_RESET || !kvm->cfg->reboot)
			return cause;
		ret = start_again(kvm);
		if (ret) {
			*detail = ret;
			return FATE_HOST_ERROR;
		}
	}
}

static void say_how_it_ended(const struct kvm *kvm, enum fate_cause cause, int detail)
{
	switch (cause) {
	case FATE_PANIC:
	case FATE_TRIPLE_FAULT:
	case FATE_INTERNAL_ERROR:
		pr_warn("%s", fate__describe(cause));
		break;
	case FATE_TIMEOUT:
		pr_warn("%s (--timeout %u)", fate__describe(cause), kvm->cfg->timeout);
		break;
	case FATE_SIGNAL:
		pr_warn("%s (%s)", fate__describe(cause), strsignal(detail));
		break;
	default:
		break;
	}
}

/* A closed standard descriptor would be given to the first file that is opened. */
static int fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -EBADF;
	}
	return 0;
}

static int run_machine(const struct vm_config *cfg)
{
	struct run run = { .signal_fd = -1, .timer_fd = -1 };
	int status = EXIT_HOST_ERROR;

	if (fill_standard_fds())
		return EXIT_HOST_ERROR;
	sigprocmask(SIG_SETMASK, NULL, &run.old_mask);

	if (!create(&run, cfg) && !kvm_cpu__start_all(&run.kvm)) {
		int detail = 0;
		enum fate_cause cause = wait_for_fate(&run.kvm, &detail);

		hang_up_consoles(&run.kvm);
		kvm_cpu__stop_all(&run.kvm);
		say_how_it_ended(&run.kvm, cause, detail);
		if (cfg->stats)
			kvm_cpu__print_stats(&run.kvm, stderr);
		status = fate__status(cause, detail);
	}
	destroy(&run);
	return status;
}

int builtin_run(int argc, char **argv)
{
	struct vm_config cfg;
	int ret, status;

	config__init(&cfg);
	ret = config__parse_run(&cfg, argc, argv);
	if (ret)
		status = ret > 0 ? 0 : EXIT_HOST_ERROR;
	else
		status = run_machine(&cfg);
	config__free(&cfg);
	return status;
}
