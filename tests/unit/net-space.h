/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of networks: a network namespace of the test's own.
 */
#ifndef TESTS_UNIT_NET_SPACE_H
#define TESTS_UNIT_NET_SPACE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Write a line to a file of /proc. */
static inline bool tell_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/*
 * Move this process into a new network namespace, as root of a user namespace if need be. Return: 0
 * or the errno of unshare.
 */
static inline int enter_namespace(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();
	char line[64];

	if (!unshare(CLONE_NEWNET))
		return 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return errno;
	tell_proc("/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "0 %u 1", uid);
	tell_proc("/proc/self/uid_map", line);
	snprintf(line, sizeof(line), "0 %u 1", gid);
	tell_proc("/proc/self/gid_map", line);
	return 0;
}

#endif
