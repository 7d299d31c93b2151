// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * User-mode networks by passt, which translates between the guest's frames and sockets of its own:
 * no privileges, no interface on the host.
 *
 * Theory of operation: passt gets one end of a socket pair and goes into the background when it is
 * ready; that it did, its exit status says. From then on the socket is all that binds us: passt ends
 * when our end is closed, however we end, and that passt has ended shows as end of file here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kvm/log.h"
#include "kvm/sys.h"
#include "net/net.h"

#define SOCKET_BUFFER (1024 * 1024) /* frames of the largest size come in bursts */
#define MAX_ARGS      (20 + 2 * NET_MAX_FORWARDS)

struct command {
	char *argv[MAX_ARGS];
	unsigned int argc;
	char fd[12];
	char guest_ip[INET_ADDRSTRLEN], host_ip[INET_ADDRSTRLEN];
	char forward[NET_MAX_FORWARDS][16];
};

static void add(struct command *cmd, const char *arg, const char *value)
{
	cmd->argv[cmd->argc++] = (char *)arg;
	if (value)
		cmd->argv[cmd->argc++] = (char *)value;
}

static void build_command(struct command *cmd, const struct net_config *cfg, int fd)
{
	snprintf(cmd->fd, sizeof(cmd->fd), "%d", fd);
	add(cmd, "passt", NULL);
	add(cmd, "--quiet", NULL);
	add(cmd, "--one-off", NULL);
	add(cmd, "--fd", cmd->fd);
	if (cfg->guest_ip.s_addr != INADDR_ANY) {
		inet_ntop(AF_INET, &cfg->guest_ip, cmd->guest_ip, sizeof(cmd->guest_ip));
		add(cmd, "--address", cmd->guest_ip);
		add(cmd, "--netmask", "24");
	}
	if (cfg->host_ip.s_addr != INADDR_ANY) {
		inet_ntop(AF_INET, &cfg->host_ip, cmd->host_ip, sizeof(cmd->host_ip));
		add(cmd, "--gateway", cmd->host_ip);
	}
	for (unsigned int i = 0; i < cfg->nr_forwards; i++) {
		const struct net_forward *forward = &cfg->forward[i];

		snprintf(cmd->forward[i], sizeof(cmd->forward[i]), "%u:%u", forward->host_port,
			 forward->guest_port);
		add(cmd, forward->udp ? "--udp-ports" : "--tcp-ports", cmd->forward[i]);
	}
}

/* The last line of what passt wrote is the reason. */
static const char *last_line(char *words)
{
	char *end = words + strlen(words), *line;

	while (end > words && end[-1] == '\n')
		*--end = '\0';
	line = strrchr(words, '\n');
	return line ? line + 1 : words;
}

static int run_passt(const struct net_config *cfg, const char *name, int fd)
{
	struct command cmd = { 0 };
	char words[2048];
	int ret;

	build_command(&cmd, cfg, fd);
	ret = net__run(cmd.argv, fd, words, sizeof(words));
	if (!ret)
		return 0;
	if (ret > 0)
		pr_fatal("%s: passt ended with status %d: %s", name, ret,
			 *words ? last_line(words) : "it did not say why");
	else
		pr_fatal("%s: cannot run passt: %s", name,
			 ret == -ETIMEDOUT ? "it did not get ready within 30 seconds"
					   : strerror(-ret));
	return ret > 0 ? -EIO : ret;
}

int net_passt__open(const struct net_config *cfg, const char *name, struct net_backend **out)
{
	int size = SOCKET_BUFFER;
	int fd[2];
	int ret;

	if (!net__find_program("passt"))
		return -ENOENT;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd)) {
		ret = -errno;
		pr_fatal("%s: cannot make a socket pair for passt: %s", name, strerror(-ret));
		return ret;
	}
	/* As much as the host allows; less works. */
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	ret = run_passt(cfg, name, fd[1]);
	sys__close(fd[1]);
	if (ret) {
		sys__close(fd[0]);
		return ret;
	}
	return net_backend__open_stream(fd[0], "passt", name, out);
}
