// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that networks need: scripts of the user, and passt.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kvm/sys.h"
#include "net/net.h"

#define PATIENCE_MS 30000
#define POLL_MS	    5

bool net__find_program(const char *name)
{
	const char *path = getenv("PATH");
	char file[4096];

	while (path && *path) {
		size_t len = strcspn(path, ":");

		if (len &&
		    snprintf(file, sizeof(file), "%.*s/%s", (int)len, path, name) <
			    (int)sizeof(file) &&
		    !access(file, X_OK))
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static int set_up_files(posix_spawn_file_actions_t *files, int keep_fd, int words_fd)
{
	int ret = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (!ret && words_fd >= 0)
		ret = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY,
						       0);
	if (!ret && words_fd >= 0)
		ret = posix_spawn_file_actions_adddup2(files, words_fd, STDERR_FILENO);
	/* To its own number: that takes FD_CLOEXEC away in the child alone. */
	if (!ret && keep_fd >= 0)
		ret = posix_spawn_file_actions_adddup2(files, keep_fd, keep_fd);
	return -ret;
}

static int spawn(char *const argv[], int keep_fd, int words_fd, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, dfl;
	int ret;

	sigemptyset(&none);
	sigemptyset(&dfl);
	sigaddset(&dfl, SIGPIPE);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &dfl);
	ret = set_up_files(&files, keep_fd, words_fd);
	if (!ret)
		ret = -posix_spawnp(pid, argv[0], &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return ret;
}

/* Take what has been written so far; what does not fit is dropped. */
static void take_words(int fd, char *words, size_t size)
{
	size_t len = strlen(words);
	char rest[256];
	ssize_t got;

	while ((got = read(fd, rest, sizeof(rest))) > 0) {
		size_t part = (size_t)got < size - 1 - len ? (size_t)got : size - 1 - len;

		memcpy(words + len, rest, part);
		len += part;
		words[len] = '\0';
	}
}

/* The program's exit status; its words are taken as they come, so that it never waits for us. */
static int await(pid_t pid, int words_fd, char *words, size_t size)
{
	int64_t deadline = now_ms() + PATIENCE_MS;
	struct pollfd pollfd = { .fd = words_fd, .events = POLLIN };
	bool late = false;
	int status;
	pid_t ended;

	while (!(ended = waitpid(pid, &status, WNOHANG)) || (ended < 0 && errno == EINTR)) {
		if (!late && now_ms() > deadline) {
			late = true;
			kill(pid, SIGKILL);
		}
		if (poll(&pollfd, 1, POLL_MS) <= 0)
			continue;
		take_words(words_fd, words, size);
		if (pollfd.revents & POLLHUP)
			pollfd.fd = -1;
	}
	if (ended < 0)
		return -errno;
	if (words_fd >= 0)
		take_words(words_fd, words, size);
	if (late)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int net__run(char *const argv[], int keep_fd, char *words, size_t size)
{
	int pipe_fd[2] = { -1, -1 };
	pid_t pid;
	int ret;

	if (words) {
		words[0] = '\0';
		if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK))
			return -errno;
	}
	ret = spawn(argv, keep_fd, pipe_fd[1], &pid);
	sys__close(pipe_fd[1]);
	if (!ret)
		ret = await(pid, pipe_fd[0], words, size);
	sys__close(pipe_fd[0]);
	return ret;
}
