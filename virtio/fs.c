// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virtio file system device (virtio 1.2, 5.11): all but its configuration is virtiofsd's.
 *
 * Theory of operation: for a directory, a daemon is started that gets a listening socket, to which
 * lkvm has connected before. So nobody else can, there is nothing to wait for, and the socket's name
 * is gone before the daemon runs. It ends by itself when the connection does; it is reminded, and
 * waited for, when the device goes.
 */
#include "kvm/virtio-fs.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_fs.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kvm/config.h"
#include "kvm/device.h"
#include "kvm/field.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "kvm/vhost-user.h"
#include "kvm/virtio.h"

#define QUEUE_SIZE 1024

/* Patience with a daemon that shall end. */
#define END_STEPS   100
#define END_STEP_NS 20000000

extern char **environ;

struct virtio_fs {
	struct virtio_device dev;
	struct fs_share share;
	struct vhost_user *back_end;
	pid_t daemon; /* 0 if it is not ours */
};

/* --- options ---------------------------------------------------------------------------------- */

static int set_text(char *to, size_t size, const char *key, const char *value)
{
	size_t len = strlen(value);

	if (!len || len >= size) {
		pr_fatal("--fs: %s has to have 1 to %zu characters", key, size - 1);
		return -EINVAL;
	}
	memcpy(to, value, len + 1);
	return 0;
}

static int set_queues(unsigned int *queues, const char *value)
{
	uint64_t number;

	if (config__parse_number(value, FS_MAX_QUEUES, &number) || !number) {
		pr_fatal("--fs: queues=%s is not a number from 1 to %d", value, FS_MAX_QUEUES);
		return -EINVAL;
	}
	*queues = (unsigned int)number;
	return 0;
}

static int set_option(const char *option, struct fs_share *share)
{
	const char *value = strchr(option, '=');

	value = value ? value + 1 : option + strlen(option);
	if (!strncmp(option, "socket=", 7))
		return set_text(share->socket, sizeof(share->socket), "socket", value);
	if (!strncmp(option, "dir=", 4))
		return set_text(share->dir, sizeof(share->dir), "dir", value);
	if (!strncmp(option, "daemon=", 7))
		return set_text(share->daemon, sizeof(share->daemon), "daemon", value);
	if (!strncmp(option, "tag=", 4))
		return set_text(share->tag, sizeof(share->tag), "tag", value);
	if (!strncmp(option, "queues=", 7))
		return set_queues(&share->queues, value);
	pr_fatal("--fs: %s is not socket=PATH, dir=DIR, tag=TAG, queues=N or daemon=PATH", option);
	return -EINVAL;
}

int fs__parse(const char *text, struct fs_share *share)
{
	char option[PATH_MAX + 16];

	memset(share, 0, sizeof(*share));
	share->queues = 1;
	for (const char *rest = text; rest;) {
		if (field__take(&rest, option, sizeof(option))) {
			pr_fatal("--fs %s: an option is too long", text);
			return -EINVAL;
		}
		if (set_option(option, share))
			return -EINVAL;
	}
	if (!share->socket[0] == !share->dir[0]) {
		pr_fatal("--fs %s: give either socket=PATH or dir=DIR", text);
		return -EINVAL;
	}
	if (!share->tag[0]) {
		pr_fatal("--fs %s: give a tag by which the guest can mount it: tag=TAG", text);
		return -EINVAL;
	}
	return 0;
}

/* --- the daemon ------------------------------------------------------------------------------- */

const char *fs__find_daemon(void)
{
	static const char *const places[] = {
		"/usr/libexec/virtiofsd",
		"/usr/lib/qemu/virtiofsd",
		"/usr/lib/virtiofsd",
	};

	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!access(places[i], X_OK))
			return places[i];
	}
	return NULL;
}

/* A socket that listens, and one that is connected to it, without a name left in the file system. */
static int listen_and_connect(int *listener, int *connection)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/lkvm-fs.XXXXXX";
	int ret = 0;

	*listener = *connection = -1;
	if (!mkdtemp(dir))
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", dir);
	*listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener < 0 || *connection < 0 ||
	    bind(*listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(*listener, 1) ||
	    connect(*connection, (struct sockaddr *)&addr, sizeof(addr)))
		ret = -errno;
	unlink(addr.sun_path);
	rmdir(dir);
	if (ret) {
		sys__close(*listener);
		sys__close(*connection);
	}
	return ret;
}

/* Descriptor 3 is the listening socket there, and its signals are as in any program. */
static int spawn(pid_t *pid, char *const argv[], int listener)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int ret;

	sigemptyset(&none);
	sigfillset(&all);
	ret = -posix_spawn_file_actions_init(&actions);
	if (ret)
		return ret;
	ret = -posix_spawnattr_init(&attr);
	if (ret) {
		posix_spawn_file_actions_destroy(&actions);
		return ret;
	}
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* A group of its own: Ctrl-C at the terminal is lkvm's. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETPGROUP);
	ret = -posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!ret)
		ret = -posix_spawn_file_actions_adddup2(&actions, listener, 3);
	if (!ret)
		ret = -posix_spawn(pid, argv[0], &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return ret;
}

static int run_daemon(pid_t *pid, const struct fs_share *share, const char *path, int listener)
{
	char program[PATH_MAX], dir[PATH_MAX + 16];
	char fd[] = "--fd=3", option[] = "-o", level[] = "log_level=warn";
	/* QEMU's own virtiofsd, in C, talks much. That in Rust does not. */
	bool is_qemus = strstr(path, "/qemu/");
	char *argv[] = { program, fd, option, dir, is_qemus ? option : NULL, level, NULL };

	snprintf(program, sizeof(program), "%s", path);
	/* Both know this. */
	snprintf(dir, sizeof(dir), "source=%s", share->dir);
	return spawn(pid, argv, listener);
}

static int start_daemon(struct virtio_fs *fs, const char *name, int *connection)
{
	const char *path = fs->share.daemon[0] ? fs->share.daemon : fs__find_daemon();
	int listener, ret;

	if (!path) {
		pr_fatal(
			"%s: no virtiofsd is installed to share %s; install one (Debian: virtiofsd "
			"or qemu-system-common), or use --9p",
			name, fs->share.dir);
		return -ENOENT;
	}
	ret = listen_and_connect(&listener, connection);
	if (!ret) {
		ret = run_daemon(&fs->daemon, &fs->share, path, listener);
		sys__close(listener);
		if (ret)
			sys__close(*connection);
	}
	if (ret)
		pr_fatal("%s: cannot start %s: %s", name, path, strerror(-ret));
	return ret;
}

/* The connection is closed, on which a daemon ends. */
static void end_daemon(pid_t pid)
{
	const struct timespec step = { .tv_nsec = END_STEP_NS };

	if (pid <= 0)
		return;
	for (int i = 0; i < END_STEPS; i++) {
		if (waitpid(pid, NULL, WNOHANG))
			return;
		if (i == END_STEPS / 2)
			kill(pid, SIGTERM);
		nanosleep(&step, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- the device ------------------------------------------------------------------------------- */

static int fs_realize(struct virtio_device *dev)
{
	return vhost_user__realize(((struct virtio_fs *)dev)->back_end);
}

static int fs_start(struct virtio_device *dev)
{
	return vhost_user__start(((struct virtio_fs *)dev)->back_end);
}

static void fs_stop(struct virtio_device *dev)
{
	vhost_user__stop(((struct virtio_fs *)dev)->back_end);
}

static int fs_queue_enable(struct virtio_device *dev, struct virtqueue *q)
{
	return vhost_user__queue_enable(((struct virtio_fs *)dev)->back_end, q);
}

static void fs_queue_reset(struct virtio_device *dev, struct virtqueue *q)
{
	vhost_user__queue_reset(((struct virtio_fs *)dev)->back_end, q);
}

static void fs_call_changed(struct virtio_device *dev, struct virtqueue *q)
{
	vhost_user__call_changed(((struct virtio_fs *)dev)->back_end, q);
}

/* 5.11.4: the tag is padded with NULs, and has none at its end if it is as long as can be. */
static void fs_config_read(struct virtio_device *dev, uint32_t offset, void *data, uint32_t len)
{
	const struct virtio_fs *fs = (const struct virtio_fs *)dev;
	struct virtio_fs_config config = {
		.num_request_queues = htole32(fs->share.queues),
	};

	memcpy(config.tag, fs->share.tag, sizeof(config.tag));
	memcpy(data, (const uint8_t *)&config + offset, len);
}

static void fs_destroy(struct virtio_device *dev)
{
	struct virtio_fs *fs = (struct virtio_fs *)dev;

	vhost_user__destroy(fs->back_end);
	end_daemon(fs->daemon);
	virtio_device__exit(dev);
	free(fs);
}

static const struct virtio_ops fs_ops = {
	.kind = "virtio-fs",
	.id = VIRTIO_ID_FS,
	.pci_class = 0x018000, /* mass storage, other */
	.config_size = sizeof(struct virtio_fs_config),
	.realize = fs_realize,
	.start = fs_start,
	.stop = fs_stop,
	.queue_enable = fs_queue_enable,
	.queue_reset = fs_queue_reset,
	.call_changed = fs_call_changed,
	.config_read = fs_config_read,
	.destroy = fs_destroy,
};

static int connect_back_end(struct virtio_fs *fs, const struct device_host *host, const char *name)
{
	struct vhost_user_config cfg = {
		.name = name,
		.path = fs->share.socket[0] ? fs->share.socket : NULL,
		.fd = -1,
		.ram = host->ram,
		.nr_queues = fs->share.queues + 1, /* one has priority (5.11.2) */
	};
	int ret = 0;

	if (!cfg.path)
		ret = start_daemon(fs, name, &cfg.fd);
	return ret ? ret : vhost_user__create(&cfg, &fs->back_end);
}

struct virtio_device *virtio_fs__create(const struct device_host *host,
					const struct fs_share *share, unsigned int index)
{
	struct virtio_fs *fs = calloc(1, sizeof(*fs));
	char name[24];

	if (!fs)
		return NULL;
	fs->share = *share;
	snprintf(name, sizeof(name), "fs%u", index);
	if (connect_back_end(fs, host, name) ||
	    virtio_device__init(&fs->dev, &fs_ops, host, name, share->queues + 1)) {
		vhost_user__destroy(fs->back_end);
		end_daemon(fs->daemon);
		free(fs);
		return NULL;
	}
	for (unsigned int i = 0; i < fs->dev.nr_queues; i++)
		virtio_device__set_queue_size(&fs->dev, i, QUEUE_SIZE);
	vhost_user__bind(fs->back_end, &fs->dev, 0);
	return &fs->dev;
}
