// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any sequence of 9p messages is answered within its room, leaves nothing open after a reset, and
 * touches nothing outside of the shared directory.
 *
 * Input: a byte of options (bit 0: mapped security; bit 1: read-only; bits 2 to 7: bytes in each
 * piece that messages are cut into), then messages, each behind its length in one byte or, if that
 * is 255, in two more. Their sizes and tags are filled in if they are 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio/p9-server.h"

#define MAX_MESSAGE  8192
#define MAX_MESSAGES 64
#define ROOM	     4096
#define SECRET	     "secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[64], share[80], secret[96];

static void must(int condition)
{
	if (!condition)
		abort();
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	if (ftw->level)
		must(!remove(path));
	return 0;
}

static void remove_top(void)
{
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	rmdir(top);
}

static void make_top(void)
{
	const struct rlimit limit = { 1 << 20, 1 << 20 };
	char path[96];
	int fd;

	signal(SIGXFSZ, SIG_IGN);
	must(!setrlimit(RLIMIT_FSIZE, &limit));
	snprintf(top, sizeof(top), "/tmp/lkvm-fuzz-9p.XXXXXX");
	must(!!mkdtemp(top));
	atexit(remove_top);
	snprintf(share, sizeof(share), "%s/share", top);
	snprintf(path, sizeof(path), "%s/outside", top);
	snprintf(secret, sizeof(secret), "%s/secret", path);
	must(!mkdir(share, 0700) && !mkdir(path, 0700));
	fd = open(secret, O_CREAT | O_WRONLY, 0640);
	must(fd >= 0 && write(fd, SECRET, strlen(SECRET)) == (ssize_t)strlen(SECRET));
	close(fd);
}

/* A directory, a file, and symlinks to what must not be reached. */
static void furnish(void)
{
	char path[96];
	int fd;

	nftw(share, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	must(!chmod(share, 0700));
	snprintf(path, sizeof(path), "%s/l", share);
	must(!symlink("../outside/secret", path));
	snprintf(path, sizeof(path), "%s/o", share);
	must(!symlink("../outside", path));
	snprintf(path, sizeof(path), "%s/d", share);
	must(!mkdir(path, 0700));
	snprintf(path, sizeof(path), "%s/a", share);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	must(fd >= 0);
	close(fd);
}

static void check_secret(const struct stat *before)
{
	struct stat now;

	must(!stat(secret, &now));
	must(now.st_size == before->st_size && now.st_mode == before->st_mode &&
	     now.st_nlink == before->st_nlink && now.st_uid == before->st_uid &&
	     now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	     now.st_mtim.tv_nsec == before->st_mtim.tv_nsec);
}

static unsigned int cut(uint8_t *data, size_t len, size_t piece, struct iovec *iov)
{
	unsigned int nr = 0;

	if (piece * 512 < len)
		piece = len ? len : 1;
	for (size_t at = 0; at < len; at += piece) {
		iov[nr].iov_base = data + at;
		iov[nr++].iov_len = len - at < piece ? len - at : piece;
	}
	return nr;
}

static void send_message(struct p9_server *server, const uint8_t *data, size_t len, size_t piece)
{
	static struct iovec out[512], in[512];
	static uint8_t message[MAX_MESSAGE], reply[ROOM + 1];
	uint32_t size = (uint32_t)len;
	int ret;

	memcpy(message, data, len);
	if (len >= 7 && !memcmp(message, "\0\0\0\0", 4))
		memcpy(message, &size, 4);
	reply[ROOM] = 0x5a;
	ret = p9_server__handle(server, out, cut(message, len, piece, out), in,
				cut(reply, ROOM, piece, in));
	must(ret == -EINVAL ? len < 7 : ret >= 7 && ret <= ROOM);
	must(reply[ROOM] == 0x5a);
	if (ret < 0)
		return;
	memcpy(&size, reply, 4);
	must(size == (uint32_t)ret);
	must(reply[4] == 7 ? ret == 11 : reply[4] == (uint8_t)(message[4] + 1));
}

static size_t next_length(const uint8_t **data, size_t *size)
{
	size_t len = *(*data)++;

	(*size)--;
	if (len == 255 && *size >= 2) {
		len = (size_t)((*data)[0] | (*data)[1] << 8);
		*data += 2;
		*size -= 2;
	}
	if (len > *size)
		len = *size;
	return len > MAX_MESSAGE ? MAX_MESSAGE : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct p9_config cfg = { .dir = share, .max_fids = 100, .max_fds = 100 };
	struct p9_server *server;
	struct stat before;
	uint8_t options;

	if (!size)
		return 0;
	if (!top[0])
		make_top();
	furnish();
	must(!stat(secret, &before));

	options = *data++;
	size--;
	cfg.security = options & 1 ? P9_SECURITY_MAPPED : P9_SECURITY_NONE;
	cfg.read_only = options & 2;
	must(!p9_server__create(&cfg, &server));
	for (int i = 0; size && i < MAX_MESSAGES; i++) {
		size_t len = next_length(&data, &size);

		send_message(server, data, len, options >> 2);
		data += len;
		size -= len;
	}
	p9_server__reset(server);
	must(!p9_server__nr_fids(server) && !p9_server__nr_fds(server));
	p9_server__destroy(server);
	check_secret(&before);
	return 0;
}
