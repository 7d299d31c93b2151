// SPDX-License-Identifier: GPL-2.0-or-later
/* A 9p client gets its directory, all of it, and nothing else, whatever it sends. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kvm/virtio-9p.h"
#include "virtio-driver.h"
#include "virtio/p9-internal.h"

enum {
	STATFS = 8,
	LOPEN = 12,
	LCREATE = 14,
	SYMLINK = 16,
	MKNOD = 18,
	RENAME = 20,
	READLINK = 22,
	GETATTR = 24,
	SETATTR = 26,
	XATTRWALK = 30,
	XATTRCREATE = 32,
	READDIR = 40,
	FSYNC = 50,
	LOCK = 52,
	GETLOCK = 54,
	LINK = 70,
	MKDIR = 72,
	RENAMEAT = 74,
	UNLINKAT = 76,
	VERSION = 100,
	ATTACH = 104,
	FLUSH = 108,
	WALK = 110,
	READ = 116,
	WRITE = 118,
	CLUNK = 120,
	REMOVE = 122,
};

#define SIZE	   (64u << 10)
#define MAX_PIECES 4096
#define ROOT	   1u /* the fid that connect() attaches */

/**
 * struct client - one that speaks to a server of a fresh directory
 * @top:      holds "share", which is served, and "outside", which must not be reached
 * @piece:    bytes in each piece that a message is cut into, 0 for one piece
 * @room:     bytes offered for a reply
 * @r:        the body of the last reply
 */
struct client {
	char top[64], share[80], outside[80];
	struct p9_server *server;
	size_t piece, room;
	uint8_t out[SIZE], in[SIZE];
	size_t out_len;
	struct p9_reader r;
};

static unsigned int cut(uint8_t *data, size_t len, size_t piece, struct iovec *iov)
{
	unsigned int nr = 0;

	if (!piece)
		piece = len ? len : 1;
	for (size_t at = 0; at < len; at += piece) {
		assert_true(nr < MAX_PIECES);
		iov[nr].iov_base = data + at;
		iov[nr++].iov_len = len - at < piece ? len - at : piece;
	}
	return nr;
}

/* Send what is in c->out. Return: 0, or the errno that the server answered, or its own < 0. */
static int send_out(struct client *c)
{
	static struct iovec out[MAX_PIECES], in[MAX_PIECES];
	unsigned int nr_out = cut(c->out, c->out_len, c->piece, out);
	unsigned int nr_in = cut(c->in, c->room, c->piece, in);
	int len = p9_server__handle(c->server, out, nr_out, in, nr_in);

	if (len < 0)
		return len;
	c->r = (struct p9_reader){ .data = c->in, .len = (size_t)len };
	assert_true((size_t)len <= c->room);
	assert_int_equal(p9__get32(&c->r), len);
	if (p9__get8(&c->r) == 7) {
		assert_int_equal(p9__get16(&c->r), 0x1234);
		assert_int_equal(len, 11);
		return (int)p9__get32(&c->r);
	}
	assert_int_equal(c->in[4], c->out[4] + 1);
	assert_int_equal(p9__get16(&c->r), 0x1234);
	return 0;
}

/* b, w, d, q: a number of 8, 16, 32, 64 bits; s: a string; n: data and its length */
static void build(struct client *c, uint8_t type, const char *fmt, va_list args)
{
	struct p9_writer w = { .data = c->out, .size = sizeof(c->out) };

	p9__put32(&w, 0);
	p9__put8(&w, type);
	p9__put16(&w, 0x1234);
	for (; *fmt; fmt++) {
		const char *text;
		size_t len;

		switch (*fmt) {
		case 'b':
			p9__put8(&w, (uint8_t)va_arg(args, int));
			break;
		case 'w':
			p9__put16(&w, (uint16_t)va_arg(args, int));
			break;
		case 'd':
			p9__put32(&w, va_arg(args, unsigned int));
			break;
		case 'q':
			p9__put64(&w, va_arg(args, unsigned long));
			break;
		case 's':
			text = va_arg(args, const char *);
			p9__put_text(&w, text, strlen(text));
			break;
		default:
			text = va_arg(args, const char *);
			len = va_arg(args, size_t);
			memcpy(w.data + w.at, text, len);
			w.at += len;
			break;
		}
	}
	assert_false(w.full);
	c->out_len = w.at;
	w.at = 0;
	p9__put32(&w, (uint32_t)c->out_len);
}

static void prepare(struct client *c, uint8_t type, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	build(c, type, fmt, args);
	va_end(args);
}

static int call(struct client *c, uint8_t type, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	build(c, type, fmt, args);
	va_end(args);
	return send_out(c);
}

#define assert_call(...)	 assert_int_equal(call(__VA_ARGS__), 0)
#define assert_error(error, ...) assert_int_equal(call(__VA_ARGS__), (error))

static struct p9_qid get_qid(struct client *c)
{
	struct p9_qid qid;

	qid.type = p9__get8(&c->r);
	qid.version = p9__get32(&c->r);
	qid.path = p9__get64(&c->r);
	assert_false(c->r.bad);
	return qid;
}

static void serve(struct client *c, struct p9_config cfg)
{
	p9_server__destroy(c->server);
	c->server = NULL;
	cfg.dir = c->share;
	assert_int_equal(p9_server__create(&cfg, &c->server), 0);
}

static void connect_client(struct client *c, struct p9_config cfg)
{
	serve(c, cfg);
	c->room = SIZE;
	assert_call(c, VERSION, "ds", SIZE, "9P2000.L");
	assert_call(c, ATTACH, "ddssd", ROOT, P9_NOFID, "root", "", geteuid());
	assert_int_equal(get_qid(c).type, P9_QT_DIR);
}

static void write_host(const char *dir, const char *name, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int setup(void **state)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return -1;
	snprintf(c->top, sizeof(c->top), "/tmp/lkvm-9p.XXXXXX");
	if (!mkdtemp(c->top) || chmod(c->top, 0755))
		return -1;
	snprintf(c->share, sizeof(c->share), "%s/share", c->top);
	snprintf(c->outside, sizeof(c->outside), "%s/outside", c->top);
	if (mkdir(c->share, 0777) || chmod(c->share, 0777) || mkdir(c->outside, 0755))
		return -1;
	write_host(c->outside, "secret", "secret");
	*state = c;
	connect_client(c, (struct p9_config){ 0 });
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct client *c = *state;

	p9_server__destroy(c->server);
	nftw(c->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(c);
	return 0;
}

static bool is_on_host(struct client *c, const char *name, struct stat *st)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", c->share, name);
	return !lstat(path, st);
}

static int walk1(struct client *c, uint32_t fid, uint32_t new_fid, const char *name)
{
	return call(c, WALK, "ddws", fid, new_fid, 1, name);
}

/* Make a file with @text by @fid, which is left open. */
static void make(struct client *c, uint32_t dir, uint32_t fid, const char *name, const char *text)
{
	assert_call(c, WALK, "ddw", dir, fid, 0);
	assert_call(c, LCREATE, "dsddd", fid, name, O_RDWR, 0644, getegid());
	assert_call(c, WRITE, "dqdn", fid, 0ul, (uint32_t)strlen(text), text, strlen(text));
	assert_int_equal(p9__get32(&c->r), strlen(text));
}

static void assert_contents(struct client *c, uint32_t fid, const char *text)
{
	assert_call(c, READ, "dqd", fid, 0ul, 4096);
	assert_int_equal(p9__get32(&c->r), strlen(text));
	assert_memory_equal(c->in + P9_RREAD, text, strlen(text));
}

struct attributes {
	struct p9_qid qid;
	uint32_t mode, uid, gid;
	uint64_t nlink, rdev, size;
};

static struct attributes getattr(struct client *c, uint32_t fid)
{
	struct attributes a;

	assert_call(c, GETATTR, "dq", fid, 0x7fful);
	assert_int_equal(c->r.len, 160);
	assert_int_equal(p9__get64(&c->r) & 0x7ff, 0x7ff);
	a.qid = get_qid(c);
	a.mode = p9__get32(&c->r);
	a.uid = p9__get32(&c->r);
	a.gid = p9__get32(&c->r);
	a.nlink = p9__get64(&c->r);
	a.rdev = p9__get64(&c->r);
	a.size = p9__get64(&c->r);
	return a;
}

/* --- the protocol as it is meant -------------------------------------------------------------- */

static void build_and_check_tree(struct client *c)
{
	struct attributes a;
	char text[16] = { 0 };

	assert_call(c, MKDIR, "dsdd", ROOT, "d", 0750, getegid());
	assert_int_equal(get_qid(c).type, P9_QT_DIR);
	assert_int_equal(walk1(c, ROOT, 2, "d"), 0);
	make(c, 2, 3, "file", "hello, world");
	assert_call(c, CLUNK, "d", 3);
	assert_call(c, SYMLINK, "dssd", 2, "link", "/etc/passwd", getegid());
	assert_int_equal(get_qid(c).type, P9_QT_SYMLINK);
	assert_call(c, MKNOD, "dsdddd", 2, "fifo", S_IFIFO | 0600, 0, 0, getegid());

	assert_call(c, WALK, "ddwss", ROOT, 3, 2, "d", "file");
	assert_int_equal(p9__get16(&c->r), 2);
	assert_int_equal(get_qid(c).type, P9_QT_DIR);
	a = getattr(c, 3);
	assert_int_equal(get_qid(c).path == a.qid.path, 0);
	assert_int_equal(a.mode, S_IFREG | 0644);
	assert_int_equal(a.size, 12);
	assert_call(c, LOPEN, "dd", 3, O_RDONLY);
	assert_contents(c, 3, "hello, world");
	assert_call(c, LINK, "dds", 2, 3, "again");
	assert_int_equal(getattr(c, 3).nlink, 2);

	assert_int_equal(walk1(c, 2, 4, "link"), 0);
	assert_int_equal(getattr(c, 4).mode & S_IFMT, S_IFLNK);
	assert_call(c, READLINK, "d", 4);
	assert_int_equal(p9__get_text(&c->r, text, sizeof(text)), 0);
	assert_string_equal(text, "/etc/passwd");
	assert_int_equal(walk1(c, 2, 5, "fifo"), 0);
	assert_int_equal(getattr(c, 5).mode, S_IFIFO | 0600);
	assert_error(ENXIO, c, LOPEN, "dd", 5, O_RDONLY);
	a = getattr(c, 2);
	assert_int_equal(a.mode, S_IFDIR | 0750);
	assert_call(c, STATFS, "d", 2);
	assert_int_equal(p9__get32(&c->r), 0x01021997);
	assert_call(c, FSYNC, "dd", 3, 1);

	for (uint32_t fid = 2; fid <= 5; fid++)
		assert_call(c, CLUNK, "d", fid);
	assert_int_equal(p9_server__nr_fids(c->server), 1);
	assert_int_equal(p9_server__nr_fds(c->server), 1);
}

static void a_tree_can_be_made_walked_and_read_back(void **state)
{
	struct client *c = *state;

	build_and_check_tree(c);
}

static void it_makes_no_difference_how_messages_are_cut(void **state)
{
	struct client *c = *state;

	for (c->piece = 17; c->piece < 19; c->piece++) {
		struct stat st;

		build_and_check_tree(c);
		assert_true(is_on_host(c, "d/file", &st));
		assert_call(c, RENAMEAT, "dsds", ROOT, "d", ROOT, c->piece & 1 ? "e" : "f");
	}
}

static void a_tree_is_the_same_with_no_security_and_with_mapped(void **state)
{
	struct client *c = *state;

	connect_client(c, (struct p9_config){ .security = P9_SECURITY_NONE });
	build_and_check_tree(c);
	assert_call(c, RENAMEAT, "dsds", ROOT, "d", ROOT, "e");
	connect_client(c, (struct p9_config){ .security = P9_SECURITY_MAPPED });
	build_and_check_tree(c);
}

static void a_session_begins_with_a_version_and_ends_with_the_next(void **state)
{
	struct client *c = *state;
	char text[16];

	make(c, ROOT, 2, "a", "a");
	assert_call(c, VERSION, "ds", 8192, "9P2000.L");
	assert_int_equal(p9__get32(&c->r), 8192);
	assert_int_equal(p9_server__nr_fids(c->server), 0);
	assert_int_equal(p9_server__nr_fds(c->server), 0);
	assert_error(EBADF, c, GETATTR, "dq", ROOT, 0ul);

	assert_call(c, VERSION, "ds", 1u << 31, "9P2000.u");
	assert_int_equal(p9__get32(&c->r), P9_DEFAULT_MSIZE);
	p9__get_text(&c->r, text, sizeof(text));
	assert_string_equal(text, "unknown");
	assert_error(EPROTO, c, ATTACH, "ddssd", ROOT, P9_NOFID, "root", "", 0);
	assert_error(EMSGSIZE, c, VERSION, "ds", 4095, "9P2000.L");
	assert_call(c, FLUSH, "w", 7);
	assert_error(EOPNOTSUPP, c, 102, "dssd", 1, "", "", 0);
	assert_error(EOPNOTSUPP, c, 255, "");
}

static void a_file_without_a_name_is_as_good_as_any(void **state)
{
	struct client *c = *state;
	struct stat st;

	make(c, ROOT, 2, "gone", "contents");
	assert_int_equal(walk1(c, ROOT, 3, "gone"), 0);
	assert_call(c, UNLINKAT, "dsd", ROOT, "gone", 0);
	assert_false(is_on_host(c, "gone", &st));

	assert_int_equal(getattr(c, 2).nlink, 0);
	assert_int_equal(getattr(c, 3).size, 8);
	assert_contents(c, 2, "contents");
	assert_call(c, SETATTR, "dddddqqqqq", 2, 0x9, 0600, 0, 0, 3ul, 0ul, 0ul, 0ul, 0ul);
	assert_int_equal(getattr(c, 3).mode, S_IFREG | 0600);
	assert_call(c, LOPEN, "dd", 3, O_RDONLY);
	assert_contents(c, 3, "con");
	assert_error(ENOENT, c, WALK, "ddws", ROOT, 4, 1, "gone");
	assert_error(ESTALE, c, REMOVE, "d", 3);
	assert_error(EBADF, c, CLUNK, "d", 3);
}

static void names_may_change_under_fids(void **state)
{
	struct client *c = *state;
	struct stat st;

	make(c, ROOT, 2, "a", "from a");
	make(c, ROOT, 3, "b", "from b");
	assert_call(c, RENAMEAT, "dsds", ROOT, "a", ROOT, "b");
	assert_contents(c, 2, "from a");
	assert_contents(c, 3, "from b");
	assert_int_equal(getattr(c, 3).nlink, 0);
	assert_call(c, MKDIR, "dsdd", ROOT, "d", 0755, getegid());
	assert_int_equal(walk1(c, ROOT, 4, "d"), 0);
	assert_call(c, RENAME, "dds", 2, 4, "c");
	assert_true(is_on_host(c, "d/c", &st));
	assert_false(is_on_host(c, "b", &st));
	assert_call(c, REMOVE, "d", 2);
	assert_false(is_on_host(c, "d/c", &st));
	assert_error(EBUSY, c, RENAME, "dds", ROOT, 4, "x");
	assert_error(ENOTDIR, c, UNLINKAT, "dsd", 3, "x", 0);
	assert_error(EISDIR, c, UNLINKAT, "dsd", ROOT, "d", 0);
	assert_call(c, UNLINKAT, "dsd", ROOT, "d", AT_REMOVEDIR);
	assert_error(EINVAL, c, UNLINKAT, "dsd", ROOT, "d", 1);
}

static void creating_what_exists_opens_it_unless_it_must_not(void **state)
{
	struct client *c = *state;

	make(c, ROOT, 2, "a", "old");
	assert_call(c, WALK, "ddw", ROOT, 3, 0);
	assert_error(EEXIST, c, LCREATE, "dsddd", 3, "a", 0200 | O_RDWR, 0600, getegid());
	assert_call(c, LCREATE, "dsddd", 3, "a", O_RDWR, 0600, getegid());
	assert_contents(c, 3, "old");
	assert_int_equal(getattr(c, 3).mode, S_IFREG | 0644);
	assert_call(c, CLUNK, "d", 3);
	assert_int_equal(walk1(c, ROOT, 3, "a"), 0);
	assert_call(c, LOPEN, "dd", 3, O_RDWR | 01000);
	assert_int_equal(getattr(c, 3).size, 0);
	assert_error(EINVAL, c, LOPEN, "dd", 3, O_RDONLY);
}

static void times_can_be_set_and_are_checked(void **state)
{
	struct client *c = *state;
	struct stat st;

	make(c, ROOT, 2, "a", "");
	assert_call(c, SETATTR, "dddddqqqqq", 2, 0x1b0, 0, 0, 0, 0ul, 1000ul, 5ul, 2000ul, 6ul);
	assert_true(is_on_host(c, "a", &st));
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(st.st_mtim.tv_nsec, 6);
	assert_error(EINVAL, c, SETATTR, "dddddqqqqq", 2, 0x120, 0, 0, 0, 0ul, 0ul, 0ul, 1ul,
		     (unsigned long)UTIME_OMIT);
	assert_call(c, SETATTR, "dddddqqqqq", 2, 0x20, 0, 0, 0, 0ul, 0ul, 0ul, 0ul, 0ul);
	assert_true(is_on_host(c, "a", &st));
	assert_true(st.st_mtim.tv_sec > 2000);
}

#define NR_FILES 300

/* Count what is listed from @offset on with replies of @count bytes; the last offset seen. */
static unsigned int list(struct client *c, uint32_t fid, uint64_t offset, uint32_t count,
			 bool seen[NR_FILES], uint64_t *second)
{
	unsigned int nr = 0;

	for (;;) {
		struct p9_reader r;

		assert_call(c, READDIR, "dqd", fid, (unsigned long)offset, count);
		r = c->r;
		assert_true(p9__get32(&r) <= count);
		if (r.at == r.len)
			return nr;
		while (r.at < r.len) {
			char name[NAME_MAX + 1];
			unsigned int i;

			r.at += P9_QID;
			offset = p9__get64(&r);
			p9__get8(&r);
			assert_int_equal(p9__get_text(&r, name, sizeof(name)), 0);
			if (++nr == 2 && second)
				*second = offset;
			if (sscanf(name, "file-%u", &i) == 1) {
				assert_false(seen[i]);
				seen[i] = true;
			}
		}
	}
}

static void a_listing_can_go_on_from_any_offset(void **state)
{
	struct client *c = *state;
	uint64_t second = 0;

	for (unsigned int i = 0; i < NR_FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file-%u", i);
		write_host(c->share, name, "");
	}
	assert_call(c, WALK, "ddw", ROOT, 2, 0);
	assert_error(EBADF, c, READDIR, "dqd", 2, 0ul, 4096);
	assert_call(c, LOPEN, "dd", 2, 0200000);
	for (uint32_t count = 40; count < SIZE; count *= 6) {
		bool seen[NR_FILES] = { false };

		assert_int_equal(list(c, 2, 0, count, seen, &second), NR_FILES + 2);
		for (unsigned int i = 0; i < NR_FILES; i++)
			assert_true(seen[i]);
		memset(seen, 0, sizeof(seen));
		assert_int_equal(list(c, 2, second, count, seen, NULL), NR_FILES);
	}
	assert_error(EINVAL, c, READDIR, "dqd", 2, 0ul, 20);
	assert_error(EINVAL, c, READDIR, "dqd", 2, ~0ul, 4096);
	assert_error(EISDIR, c, READ, "dqd", 2, 0ul, 100);
	make(c, ROOT, 3, "plain", "x");
	assert_error(ENOTDIR, c, READDIR, "dqd", 3, 0ul, 4096);
}

static void what_is_above_the_root_is_not_told(void **state)
{
	struct client *c = *state;
	struct p9_qid qid;
	uint64_t root = getattr(c, ROOT).qid.path;

	assert_call(c, WALK, "ddw", ROOT, 2, 0);
	assert_call(c, LOPEN, "dd", 2, O_RDONLY);
	assert_call(c, READDIR, "dqd", 2, 0ul, 4096);
	p9__get32(&c->r);
	for (int i = 0; i < 2; i++) {
		qid = get_qid(c);
		assert_int_equal(qid.path, root);
		p9__get64(&c->r);
		p9__get8(&c->r);
		c->r.at += p9__get16(&c->r);
	}
}

static void locks_of_two_fids_exclude_each_other(void **state)
{
	struct client *c = *state;

	make(c, ROOT, 2, "a", "0123456789");
	assert_int_equal(walk1(c, ROOT, 3, "a"), 0);
	assert_call(c, LOPEN, "dd", 3, O_RDONLY);
	assert_call(c, LOCK, "dbdqqds", 2, 1, 0, 0ul, 5ul, 100, "client");
	assert_int_equal(p9__get8(&c->r), 0);
	assert_call(c, LOCK, "dbdqqds", 3, 1, 1, 4ul, 1ul, 101, "client");
	assert_int_equal(p9__get8(&c->r), 1);
	assert_call(c, LOCK, "dbdqqds", 3, 1, 0, 5ul, 0ul, 101, "client");
	assert_int_equal(p9__get8(&c->r), 0);
	assert_call(c, GETLOCK, "dbqqds", 3, 0, 0ul, 1ul, 101, "client");
	assert_int_equal(p9__get8(&c->r), 1);
	assert_int_equal(p9__get64(&c->r), 0);
	assert_int_equal(p9__get64(&c->r), 5);
	assert_call(c, LOCK, "dbdqqds", 2, 2, 0, 0ul, 5ul, 100, "client");
	assert_call(c, GETLOCK, "dbqqds", 3, 0, 0ul, 1ul, 101, "client");
	assert_int_equal(p9__get8(&c->r), 2);
	assert_error(EINVAL, c, LOCK, "dbdqqds", 2, 3, 0, 0ul, 5ul, 100, "client");
	assert_error(EINVAL, c, LOCK, "dbdqqds", 2, 1, 0, ~0ul, 5ul, 100, "client");
	assert_error(EBADF, c, LOCK, "dbdqqds", ROOT, 1, 0, 0ul, 5ul, 100, "client");
}

/* --- attributes of other kinds ---------------------------------------------------------------- */

static int set_xattr(struct client *c, uint32_t fid, const char *name, const char *value,
		     uint32_t flags)
{
	int ret;

	assert_call(c, WALK, "ddw", fid, 90, 0);
	ret = call(c, XATTRCREATE, "dsqd", 90, name, strlen(value), flags);
	if (!ret && value[0])
		ret = call(c, WRITE, "dqdn", 90, 0ul, (uint32_t)strlen(value), value,
			   strlen(value));
	return ret ? (call(c, CLUNK, "d", 90), ret) : call(c, CLUNK, "d", 90);
}

static void extended_attributes_can_be_set_read_listed_and_removed(void **state)
{
	struct client *c = *state;

	make(c, ROOT, 2, "a", "");
	assert_int_equal(set_xattr(c, 2, "user.colour", "blue", 0), 0);
	assert_call(c, XATTRWALK, "dds", 2, 3, "user.colour");
	assert_int_equal(p9__get64(&c->r), 4);
	assert_contents(c, 3, "blue");
	assert_call(c, READ, "dqd", 3, 2ul, 100);
	assert_int_equal(p9__get32(&c->r), 2);
	assert_call(c, READ, "dqd", 3, ~0ul, 100);
	assert_int_equal(p9__get32(&c->r), 0);
	assert_error(EINVAL, c, WRITE, "dqdn", 3, 0ul, 1, "x", (size_t)1);
	assert_error(EINVAL, c, LOPEN, "dd", 3, O_RDONLY);
	assert_error(EINVAL, c, WALK, "ddw", 3, 9, 0);
	assert_call(c, CLUNK, "d", 3);
	assert_call(c, XATTRWALK, "dds", 2, 3, "");
	assert_int_equal(p9__get64(&c->r), sizeof("user.colour"));
	assert_call(c, READ, "dqd", 3, 0ul, 4096);
	assert_memory_equal(c->in + P9_RREAD, "user.colour", sizeof("user.colour"));
	assert_call(c, CLUNK, "d", 3);
	assert_int_equal(set_xattr(c, 2, "user.colour", "red", XATTR_CREATE), EEXIST);
	assert_int_equal(set_xattr(c, 2, "user.colour", "", XATTR_REPLACE), 0);
	assert_error(ENODATA, c, XATTRWALK, "dds", 2, 3, "user.colour");
	assert_int_equal(set_xattr(c, 2, "user.virtfs.uid", "0000", 0), EPERM);
	assert_error(E2BIG, c, XATTRCREATE, "dsqd", ROOT, "user.big", 65537ul, 0);

	assert_call(c, WALK, "ddw", 2, 4, 0);
	assert_call(c, XATTRCREATE, "dsqd", 4, "user.half", 4ul, 0);
	assert_error(EINVAL, c, WRITE, "dqdn", 4, 0ul, 5, "12345", (size_t)5);
	assert_error(EINVAL, c, WRITE, "dqdn", 4, 1ul, 1, "1", (size_t)1);
	assert_call(c, WRITE, "dqdn", 4, 0ul, 2, "12", (size_t)2);
	assert_error(EINVAL, c, CLUNK, "d", 4);
	assert_error(EBADF, c, CLUNK, "d", 4);
	assert_error(ENODATA, c, XATTRWALK, "dds", 2, 3, "user.half");
}

static void values_of_attributes_have_a_bound_in_memory(void **state)
{
	struct client *c = *state;
	int ret = 0;
	uint32_t fid;

	for (fid = 100; !ret && fid < 1000; fid++) {
		assert_call(c, WALK, "ddw", ROOT, fid, 0);
		ret = call(c, XATTRCREATE, "dsqd", fid, "user.big", 65536ul, 0);
	}
	assert_int_equal(ret, ENOSPC);
	assert_int_equal(call(c, CLUNK, "d", 100), EINVAL);
	assert_call(c, XATTRCREATE, "dsqd", fid - 1, "user.big", 65536ul, 0);
}

static void mapped_objects_are_plain_files_of_the_host(void **state)
{
	struct client *c = *state;
	struct attributes a;
	struct stat st;

	connect_client(c, (struct p9_config){ .security = P9_SECURITY_MAPPED });
	make(c, ROOT, 2, "a", "x");
	assert_call(c, SETATTR, "dddddqqqqq", 2, 0x7, 04755, 1234, 5678, 0ul, 0ul, 0ul, 0ul, 0ul);
	a = getattr(c, 2);
	assert_int_equal(a.mode, S_IFREG | 04755);
	assert_int_equal(a.uid, 1234);
	assert_int_equal(a.gid, 5678);
	assert_true(is_on_host(c, "a", &st));
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_uid, geteuid());

	assert_call(c, MKNOD, "dsdddd", ROOT, "dev", S_IFCHR | 0644, 1, 0x12345, 7);
	assert_int_equal(walk1(c, ROOT, 3, "dev"), 0);
	a = getattr(c, 3);
	assert_int_equal(a.mode, S_IFCHR | 0644);
	assert_int_equal(a.rdev, makedev(1, 0x12345));
	assert_int_equal(a.gid, 7);
	assert_error(ENXIO, c, LOPEN, "dd", 3, O_RDONLY);
	assert_call(c, SYMLINK, "dssd", ROOT, "link", "/etc", 0);
	assert_true(is_on_host(c, "dev", &st) && S_ISREG(st.st_mode));
	assert_true(is_on_host(c, "link", &st) && S_ISREG(st.st_mode));
	assert_int_equal(set_xattr(c, 2, "security.capability", "x", 0), EOPNOTSUPP);
	assert_call(c, XATTRWALK, "dds", 2, 4, "");
	assert_int_equal(p9__get64(&c->r), 0);
	assert_error(ENODATA, c, XATTRWALK, "dds", 2, 5, "user.virtfs.uid");
}

static void without_security_no_ids_and_no_devices_reach_the_host(void **state)
{
	struct client *c = *state;
	struct stat st;

	connect_client(c, (struct p9_config){ .security = P9_SECURITY_NONE });
	make(c, ROOT, 2, "a", "x");
	assert_call(c, SETATTR, "dddddqqqqq", 2, 0x7, 06755, 1234, 5678, 0ul, 0ul, 0ul, 0ul, 0ul);
	assert_true(is_on_host(c, "a", &st));
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(st.st_uid, geteuid());
	assert_error(EPERM, c, MKNOD, "dsdddd", ROOT, "dev", S_IFCHR | 0644, 1, 3, 0);
	assert_false(is_on_host(c, "dev", &st));
}

static void passthrough_gives_the_guests_ids_to_the_host(void **state)
{
	struct client *c = *state;
	struct stat st;

	if (geteuid()) {
		print_message("SKIP: only root can give files to others\n");
		skip();
	}
	assert_call(c, ATTACH, "ddssd", 9, P9_NOFID, "someone", "", 4321);
	assert_call(c, MKDIR, "dsdd", 9, "d", 02770, 99);
	assert_true(is_on_host(c, "d", &st));
	assert_int_equal(st.st_mode, S_IFDIR | 02770);
	assert_int_equal(st.st_uid, 4321);
	assert_int_equal(st.st_gid, 99);
	assert_call(c, SYMLINK, "dssd", 9, "l", "nowhere", 99);
	assert_true(is_on_host(c, "l", &st));
	assert_int_equal(st.st_uid, 4321);
}

static void nothing_changes_on_a_read_only_share(void **state)
{
	struct client *c = *state;
	struct stat before, after;

	write_host(c->share, "a", "text");
	connect_client(c, (struct p9_config){ .read_only = true });
	assert_true(is_on_host(c, ".", &before));
	assert_int_equal(walk1(c, ROOT, 2, "a"), 0);
	assert_error(EROFS, c, LOPEN, "dd", 2, O_WRONLY);
	assert_error(EROFS, c, LOPEN, "dd", 2, O_RDONLY | 01000);
	assert_call(c, LOPEN, "dd", 2, O_RDONLY);
	assert_contents(c, 2, "text");
	assert_error(EROFS, c, WRITE, "dqdn", 2, 0ul, 1, "x", (size_t)1);
	assert_error(EROFS, c, SETATTR, "dddddqqqqq", 2, 0x1, 0, 0, 0, 0ul, 0ul, 0ul, 0ul, 0ul);
	assert_error(EROFS, c, LCREATE, "dsddd", ROOT, "b", O_RDWR, 0600, 0);
	assert_error(EROFS, c, MKDIR, "dsdd", ROOT, "d", 0700, 0);
	assert_error(EROFS, c, SYMLINK, "dssd", ROOT, "l", "a", 0);
	assert_error(EROFS, c, MKNOD, "dsdddd", ROOT, "n", S_IFIFO, 0, 0, 0);
	assert_error(EROFS, c, LINK, "dds", ROOT, 2, "b");
	assert_error(EROFS, c, RENAME, "dds", 2, ROOT, "b");
	assert_error(EROFS, c, RENAMEAT, "dsds", ROOT, "a", ROOT, "b");
	assert_error(EROFS, c, UNLINKAT, "dsd", ROOT, "a", 0);
	assert_error(EROFS, c, XATTRCREATE, "dsqd", ROOT, "user.a", 0ul, 0);
	assert_error(EROFS, c, REMOVE, "d", 2);
	assert_true(is_on_host(c, ".", &after));
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

/* --- hostile clients -------------------------------------------------------------------------- */

static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = { "..", ".", "", "a/b", "/", "/etc", "../outside" };
	struct client *c = *state;
	struct stat st;

	make(c, ROOT, 2, "a", "");
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		const char *name = names[i];

		assert_error(EINVAL, c, WALK, "ddws", ROOT, 3, 1, name);
		assert_error(EINVAL, c, WALK, "ddwss", ROOT, 3, 2, "a", name);
		assert_error(EINVAL, c, LCREATE, "dsddd", ROOT, name, O_RDWR, 0600, 0);
		assert_error(EINVAL, c, MKDIR, "dsdd", ROOT, name, 0700, 0);
		assert_error(EINVAL, c, SYMLINK, "dssd", ROOT, name, "a", 0);
		assert_error(EINVAL, c, MKNOD, "dsdddd", ROOT, name, S_IFIFO, 0, 0, 0);
		assert_error(EINVAL, c, LINK, "dds", ROOT, 2, name);
		assert_error(EINVAL, c, RENAME, "dds", 2, ROOT, name);
		assert_error(EINVAL, c, RENAMEAT, "dsds", ROOT, "a", ROOT, name);
		assert_error(EINVAL, c, RENAMEAT, "dsds", ROOT, name, ROOT, "b");
		assert_error(EINVAL, c, UNLINKAT, "dsd", ROOT, name, 0);
	}
	assert_error(EINVAL, c, WALK, "ddwwn", ROOT, 3, 1, 3, "a\0b", (size_t)3);
	assert_true(is_on_host(c, "a", &st));
	assert_true(is_on_host(c, "../outside/secret", &st));
}

static void no_symlink_is_followed_on_the_host(void **state)
{
	struct client *c = *state;
	char link[128];
	struct stat st;

	snprintf(link, sizeof(link), "%s/absolute", c->share);
	assert_int_equal(symlink(c->outside, link), 0);
	snprintf(link, sizeof(link), "%s/relative", c->share);
	assert_int_equal(symlink("../outside/secret", link), 0);

	assert_call(c, WALK, "ddwss", ROOT, 2, 2, "absolute", "secret");
	assert_int_equal(p9__get16(&c->r), 1);
	assert_error(EBADF, c, CLUNK, "d", 2);
	assert_int_equal(walk1(c, ROOT, 2, "absolute"), 0);
	assert_int_equal(getattr(c, 2).mode & S_IFMT, S_IFLNK);
	assert_error(ENOTDIR, c, WALK, "ddws", 2, 3, 1, "secret");
	assert_error(ENOTDIR, c, MKDIR, "dsdd", 2, "d", 0700, 0);
	assert_error(ENOTDIR, c, UNLINKAT, "dsd", 2, "secret", 0);

	assert_int_equal(walk1(c, ROOT, 4, "relative"), 0);
	assert_error(ELOOP, c, LOPEN, "dd", 4, O_RDWR);
	assert_error(EINVAL, c, SETATTR, "dddddqqqqq", 4, 0x8, 0, 0, 0, 0ul, 0ul, 0ul, 0ul, 0ul);
	call(c, SETATTR, "dddddqqqqq", 4, 0x1, 0777, 0, 0, 0ul, 0ul, 0ul, 0ul, 0ul);
	call(c, SETATTR, "dddddqqqqq", 4, 0x120, 0, 0, 0, 0ul, 0ul, 0ul, 77ul, 0ul);
	assert_call(c, WALK, "ddw", ROOT, 5, 0);
	assert_error(ELOOP, c, LCREATE, "dsddd", 5, "relative", O_RDWR | 01000, 0600, 0);
	assert_true(is_on_host(c, "../outside/secret", &st));
	assert_int_equal(st.st_size, 6);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_not_equal(st.st_mtim.tv_sec, 77);
}

static void an_attach_by_path_stays_below_the_root(void **state)
{
	struct client *c = *state;
	char link[128];
	uint64_t root = getattr(c, ROOT).qid.path;

	snprintf(link, sizeof(link), "%s/up", c->share);
	assert_int_equal(symlink("../../..", link), 0);
	snprintf(link, sizeof(link), "%s/out", c->share);
	assert_int_equal(symlink(c->outside, link), 0);
	assert_call(c, MKDIR, "dsdd", ROOT, "d", 0755, getegid());
	assert_call(c, ATTACH, "ddssd", 2, P9_NOFID, "", "/d", 0);
	assert_call(c, ATTACH, "ddssd", 3, P9_NOFID, "", "../..", 0);
	assert_int_equal(get_qid(c).path, root);
	assert_call(c, ATTACH, "ddssd", 4, P9_NOFID, "", "/up", 0);
	assert_int_equal(get_qid(c).path, root);
	assert_error(ENOENT, c, ATTACH, "ddssd", 5, P9_NOFID, "", "out", 0);
	assert_error(EINVAL, c, ATTACH, "ddssd", 2, P9_NOFID, "", "", 0);
}

static void a_directory_swapped_for_a_symlink_leads_nowhere(void **state)
{
	struct client *c = *state;
	char dir[128], moved[128];

	assert_call(c, MKDIR, "dsdd", ROOT, "d", 0755, getegid());
	assert_int_equal(walk1(c, ROOT, 2, "d"), 0);
	make(c, 2, 3, "secret", "mine");
	assert_call(c, CLUNK, "d", 3);

	snprintf(dir, sizeof(dir), "%s/d", c->share);
	snprintf(moved, sizeof(moved), "%s/moved", c->share);
	assert_int_equal(rename(dir, moved), 0);
	assert_int_equal(symlink(c->outside, dir), 0);

	assert_int_equal(walk1(c, 2, 3, "secret"), 0);
	assert_call(c, LOPEN, "dd", 3, O_RDONLY);
	assert_contents(c, 3, "mine");
	assert_call(c, WALK, "ddwss", ROOT, 4, 2, "d", "secret");
	assert_int_equal(p9__get16(&c->r), 1);
}

struct swapper {
	const char *dir, *link;
	atomic_bool stop;
	unsigned int swaps;
};

static void *swap(void *ctx)
{
	struct swapper *s = ctx;

	while (!atomic_load(&s->stop)) {
		renameat2(AT_FDCWD, s->dir, AT_FDCWD, s->link, RENAME_EXCHANGE);
		s->swaps++;
	}
	return NULL;
}

static void nor_does_one_that_is_swapped_while_it_is_walked(void **state)
{
	struct client *c = *state;
	char dir[128], link[128];
	struct swapper swapper = { .dir = dir, .link = link };
	unsigned int reached = 0;
	pthread_t thread;

	assert_call(c, MKDIR, "dsdd", ROOT, "d", 0755, getegid());
	assert_int_equal(walk1(c, ROOT, 2, "d"), 0);
	make(c, 2, 3, "secret", "mine");
	assert_call(c, CLUNK, "d", 3);
	snprintf(dir, sizeof(dir), "%s/d", c->share);
	snprintf(link, sizeof(link), "%s/l", c->share);
	assert_int_equal(symlink(c->outside, link), 0);
	assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);

	for (int i = 0; i < 20000; i++) {
		assert_call(c, WALK, "ddwss", ROOT, 4, 2, "d", "secret");
		if (p9__get16(&c->r) < 2)
			continue;
		reached++;
		assert_call(c, LOPEN, "dd", 4, O_RDONLY);
		assert_contents(c, 4, "mine");
		assert_call(c, CLUNK, "d", 4);
	}
	atomic_store(&swapper.stop, true);
	pthread_join(thread, NULL);
	assert_true(swapper.swaps > 0);
	assert_true(reached > 0);
}

/* One of each kind, such that it would succeed. */
static void prepare_nth(struct client *c, unsigned int n)
{
	switch (n) {
	case 0:
		prepare(c, STATFS, "d", 2);
		break;
	case 1:
		prepare(c, LOPEN, "dd", 4, O_RDONLY);
		break;
	case 2:
		prepare(c, LCREATE, "dsddd", 3, "new", O_RDWR, 0600, getegid());
		break;
	case 3:
		prepare(c, SYMLINK, "dssd", ROOT, "new", "target", getegid());
		break;
	case 4:
		prepare(c, MKNOD, "dsdddd", ROOT, "new", S_IFIFO | 0600, 0, 0, getegid());
		break;
	case 5:
		prepare(c, RENAME, "dds", 2, ROOT, "new");
		break;
	case 6:
		prepare(c, READLINK, "d", 5);
		break;
	case 7:
		prepare(c, GETATTR, "dq", 2, 0ul);
		break;
	case 8:
		prepare(c, SETATTR, "dddddqqqqq", 2, 1, 0600, 0, 0, 0ul, 0ul, 0ul, 0ul, 0ul);
		break;
	case 9:
		prepare(c, XATTRWALK, "dds", 2, 9, "");
		break;
	case 10:
		prepare(c, XATTRCREATE, "dsqd", 3, "user.x", 1ul, 0);
		break;
	case 11:
		prepare(c, READDIR, "dqd", 6, 0ul, 4096);
		break;
	case 12:
		prepare(c, FSYNC, "dd", 2, 0);
		break;
	case 13:
		prepare(c, LOCK, "dbdqqds", 2, 1, 0, 0ul, 0ul, 1, "me");
		break;
	case 14:
		prepare(c, GETLOCK, "dbqqds", 2, 1, 0ul, 0ul, 1, "me");
		break;
	case 15:
		prepare(c, LINK, "dds", ROOT, 2, "new");
		break;
	case 16:
		prepare(c, MKDIR, "dsdd", ROOT, "new", 0700, getegid());
		break;
	case 17:
		prepare(c, RENAMEAT, "dsds", ROOT, "a", ROOT, "new");
		break;
	case 18:
		prepare(c, UNLINKAT, "dsd", ROOT, "a", 0);
		break;
	case 19:
		prepare(c, VERSION, "ds", 8192, "9P2000.L");
		break;
	case 20:
		prepare(c, ATTACH, "ddssd", 9, P9_NOFID, "root", "", 0);
		break;
	case 21:
		prepare(c, FLUSH, "w", 1);
		break;
	case 22:
		prepare(c, WALK, "ddws", ROOT, 9, 1, "a");
		break;
	case 23:
		prepare(c, READ, "dqd", 2, 0ul, 100);
		break;
	case 24:
		prepare(c, WRITE, "dqdn", 2, 0ul, 3, "abc", (size_t)3);
		break;
	case 25:
		prepare(c, CLUNK, "d", 2);
		break;
	default:
		prepare(c, REMOVE, "d", 2);
		break;
	}
}

#define NR_KINDS 27

static void prepare_scene(struct client *c)
{
	make(c, ROOT, 2, "a", "text");
	assert_call(c, WALK, "ddw", ROOT, 3, 0);
	assert_int_equal(walk1(c, ROOT, 4, "a"), 0);
	assert_call(c, SYMLINK, "dssd", ROOT, "l", "target", getegid());
	assert_int_equal(walk1(c, ROOT, 5, "l"), 0);
	assert_call(c, WALK, "ddw", ROOT, 6, 0);
	assert_call(c, LOPEN, "dd", 6, O_RDONLY);
}

static void a_message_cut_short_anywhere_does_nothing(void **state)
{
	struct client *c = *state;
	struct stat before, after;
	unsigned int fids;

	prepare_scene(c);
	fids = p9_server__nr_fids(c->server);
	assert_true(is_on_host(c, ".", &before));
	for (unsigned int n = 0; n < NR_KINDS; n++) {
		prepare_nth(c, n);
		for (size_t len = c->out_len; len-- > 0;) {
			prepare_nth(c, n);
			c->out_len = len;
			/* Once with the size it claims to have, once with what it has. */
			assert_int_equal(send_out(c), len < 7 ? -EINVAL : EMSGSIZE);
			if (len < 7)
				continue;
			memcpy(c->out, &(uint32_t){ (uint32_t)len }, 4);
			assert_int_equal(send_out(c), EINVAL);
		}
	}
	assert_int_equal(p9_server__nr_fids(c->server), fids);
	assert_true(is_on_host(c, ".", &after));
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_contents(c, 2, "text");
	for (unsigned int n = 0; n < NR_KINDS - 2; n++) {
		struct stat st;

		prepare_nth(c, n);
		assert_int_equal(send_out(c), 0);
		if (is_on_host(c, "new", &st)) {
			teardown(state);
			assert_int_equal(setup(state), 0);
			c = *state;
			prepare_scene(c);
		} else if (n == 10 || n == 18 || n == 19) {
			connect_client(c, (struct p9_config){ 0 });
			call(c, UNLINKAT, "dsd", ROOT, "a", 0);
			call(c, UNLINKAT, "dsd", ROOT, "l", 0);
			prepare_scene(c);
		} else {
			call(c, CLUNK, "d", 9);
		}
	}
}

static void a_reply_never_is_longer_than_its_room(void **state)
{
	struct client *c = *state;

	prepare_scene(c);
	for (c->room = 0; c->room < 11; c->room++) {
		prepare(c, GETATTR, "dq", 2, 0ul);
		assert_int_equal(send_out(c), -ENOSPC);
	}
	for (; c->room < 160; c->room++)
		assert_error(EMSGSIZE, c, GETATTR, "dq", 2, 0ul);
	assert_call(c, GETATTR, "dq", 2, 0ul);
	for (c->room = 11; c->room < 15; c->room++) {
		assert_call(c, READ, "dqd", 2, 0ul, ~0u);
		assert_int_equal(p9__get32(&c->r), c->room - 11);
	}
	c->room = 12;
	assert_error(EMSGSIZE, c, READLINK, "d", 5);
	assert_error(EMSGSIZE, c, MKDIR, "dsdd", ROOT, "new", 0700, 0);
	assert_error(EINVAL, c, READDIR, "dqd", 6, 0ul, ~0u);
	c->room = SIZE;
	assert_int_equal(walk1(c, ROOT, 9, "new"), ENOENT);
}

static void counts_beyond_reason_are_refused(void **state)
{
	struct client *c = *state;

	prepare_scene(c);
	assert_error(EINVAL, c, WRITE, "dqdn", 2, 0ul, 4, "abc", (size_t)3);
	assert_error(EINVAL, c, WRITE, "dqdn", 2, 0ul, ~0u, "abc", (size_t)3);
	assert_error(EFBIG, c, WRITE, "dqdn", 2, ~0ul, 3, "abc", (size_t)3);
	assert_error(EINVAL, c, READ, "dqd", 2, 1ul << 63, 3);
	assert_call(c, READ, "dqd", 2, 1ul << 40, 3);
	assert_int_equal(p9__get32(&c->r), 0);
	assert_error(EFBIG, c, SETATTR, "dddddqqqqq", 2, 8, 0, 0, 0, ~0ul, 0ul, 0ul, 0ul, 0ul);
	assert_error(EINVAL, c, WALK, "ddw", ROOT, 9, 17);
	assert_error(EINVAL, c, WALK, "ddw", ROOT, 9, 0xffff);
	assert_error(EINVAL, c, MKDIR, "dwn", ROOT, 0xffff, "x", (size_t)1);
	assert_error(EINVAL, c, MKNOD, "dsdddd", ROOT, "n", S_IFIFO, 0x1000, 0, 0);
	assert_error(EINVAL, c, MKNOD, "dsdddd", ROOT, "n", S_IFDIR, 0, 0, 0);
	assert_error(EINVAL, c, MKNOD, "dsdddd", ROOT, "n", S_IFLNK, 0, 0, 0);
	prepare(c, FLUSH, "w", 1);
	memcpy(c->out, &(uint32_t){ ~0u }, 4);
	assert_int_equal(send_out(c), EMSGSIZE);
	memcpy(c->out, &(uint32_t){ 6 }, 4);
	assert_int_equal(send_out(c), EMSGSIZE);
}

static void a_name_of_255_bytes_is_the_longest(void **state)
{
	struct client *c = *state;
	char name[257];

	memset(name, 'x', sizeof(name));
	name[256] = 0;
	assert_error(ENAMETOOLONG, c, MKDIR, "dsdd", ROOT, name, 0700, getegid());
	name[255] = 0;
	assert_call(c, MKDIR, "dsdd", ROOT, name, 0700, getegid());
	assert_int_equal(walk1(c, ROOT, 2, name), 0);
}

static void fids_are_bounded_and_unique(void **state)
{
	struct client *c = *state;
	uint32_t fid = 10;

	connect_client(c, (struct p9_config){ .max_fids = 20 });
	assert_error(EINVAL, c, WALK, "ddw", ROOT, P9_NOFID, 0);
	assert_error(EBADF, c, WALK, "ddw", 2, 3, 0);
	assert_call(c, WALK, "ddw", ROOT, ROOT, 0);
	while (!call(c, WALK, "ddw", ROOT, fid, 0))
		assert_true(++fid < 100);
	assert_int_equal(fid, 29);
	assert_error(ENFILE, c, WALK, "ddw", ROOT, fid, 0);
	assert_error(EINVAL, c, WALK, "ddw", ROOT, 10, 0);
	assert_call(c, CLUNK, "d", 10);
	assert_call(c, WALK, "ddw", ROOT, fid, 0);
}

static void host_descriptors_are_bounded(void **state)
{
	struct client *c = *state;
	uint32_t nr = 0;
	char name[16];

	connect_client(c, (struct p9_config){ .max_fds = 10 });
	for (;; nr++) {
		assert_true(nr < 20);
		snprintf(name, sizeof(name), "%u", nr);
		write_host(c->share, name, "");
		if (walk1(c, ROOT, 10 + nr, name))
			break;
	}
	assert_int_equal(nr, 9);
	assert_int_equal(walk1(c, ROOT, 50, name), EMFILE);
	assert_error(EMFILE, c, LOPEN, "dd", 10, O_RDONLY);
	assert_call(c, CLUNK, "d", 11);
	assert_call(c, LOPEN, "dd", 10, O_RDONLY);
	assert_call(c, VERSION, "ds", SIZE, "9P2000.L");
	assert_int_equal(p9_server__nr_fds(c->server), 0);
}

static void inode_numbers_of_any_length_make_distinct_qids(void **state)
{
	struct client *c = *state;
	uint64_t path[4], first, again;

	assert_int_equal(p9__qid_path(c->server, 1, 5, &path[0]), 0);
	assert_int_equal(p9__qid_path(c->server, 2, 5, &path[1]), 0);
	assert_int_equal(p9__qid_path(c->server, 1, 5 | 1ull << 48, &path[2]), 0);
	assert_int_equal(p9__qid_path(c->server, 2, 5 | 1ull << 48, &path[3]), 0);
	for (int i = 0; i < 4; i++) {
		for (int j = 0; j < i; j++)
			assert_true(path[i] != path[j]);
	}
	for (uint64_t i = 0; i < 5000; i++) {
		assert_int_equal(p9__qid_path(c->server, 3, i << 50 | i | 1ull << 63, &again), 0);
		assert_int_equal(again, path[3] + 1 + i);
	}
	assert_int_equal(p9__qid_path(c->server, 1, 5 | 1ull << 48, &first), 0);
	assert_int_equal(first, path[2]);
}

/* --- others ----------------------------------------------------------------------------------- */

static void it_all_works_for_an_unprivileged_user(void **state)
{
	struct client *c = *state;
	int status;
	pid_t pid;

	if (geteuid()) {
		print_message("SKIP: this user is unprivileged already\n");
		skip();
	}
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(2);
		connect_client(c, (struct p9_config){ 0 });
		build_and_check_tree(c);
		if (call(c, RENAMEAT, "dsds", ROOT, "d", ROOT, "e"))
			_exit(3);
		connect_client(c, (struct p9_config){ .security = P9_SECURITY_MAPPED });
		build_and_check_tree(c);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_share_is_described_by_directory_tag_and_options(void **state)
{
	struct p9_share share;

	(void)state;
	assert_int_equal(p9__parse("/a,,b,tag", &share), 0);
	assert_string_equal(share.dir, "/a,b");
	assert_string_equal(share.tag, "tag");
	assert_false(share.read_only);
	assert_int_equal(p9__parse("d,t,ro,security=mapped,msize=8192", &share), 0);
	assert_true(share.read_only);
	assert_int_equal(share.security, P9_SHARE_MAPPED);
	assert_int_equal(share.msize, 8192);
	assert_int_equal(p9__parse("d", &share), -EINVAL);
	assert_int_equal(p9__parse("d,", &share), -EINVAL);
	assert_int_equal(p9__parse(",t", &share), -EINVAL);
	assert_int_equal(p9__parse("d,t,rw", &share), -EINVAL);
	assert_int_equal(p9__parse("d,t,security=high", &share), -EINVAL);
	assert_int_equal(p9__parse("d,t,msize=4095", &share), -EINVAL);
	assert_int_equal(p9__parse("d,t,msize=8192x", &share), -EINVAL);
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
	struct p9_server *server;
	struct p9_config cfg = { .dir = "/nonexistent/directory" };

	(void)state;
	assert_int_equal(p9_server__create(&cfg, &server), -ENOENT);
	cfg.dir = "/etc/passwd";
	assert_int_equal(p9_server__create(&cfg, &server), -ENOTDIR);
	cfg = (struct p9_config){ .dir = "/tmp", .msize = 100 };
	assert_int_equal(p9_server__create(&cfg, &server), -EINVAL);
}

/**
 * struct rig - a guest with a 9p device
 */
struct rig {
	struct driver d;
	struct driver_queue q;
};

static void rig__up(struct rig *r, const struct client *c)
{
	struct p9_share share = { .tag = "tag" };

	snprintf(share.dir, sizeof(share.dir), "%s", c->share);
	driver__init(&r->d);
	driver__plug(&r->d, virtio_9p__create(&r->d.board.host, &share, 3));
	assert_true(driver__negotiate(&r->d, VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(0)));
	dq__init(&r->q, &r->d, 0, 64, false, false);
	driver__enable_queue(&r->q);
	driver__ok(&r->d);
}

/* Send what is in c->out by the device, and take the reply into c->in. Return: its length. */
static uint32_t rig__send(struct rig *r, struct client *c, uint32_t room)
{
	uint32_t id, len = 0;

	memcpy(driver__at(&r->d, 0x40000), c->out, c->out_len);
	dq__add(&r->q, 0,
		(struct driver_buf[]){ { 0x40000, 9, 0 },
				       { 0x40009, (uint32_t)c->out_len - 9, 0 },
				       { 0x50000, 11, VRING_DESC_F_WRITE },
				       { 0x60000, room - 11, VRING_DESC_F_WRITE } },
		4);
	driver__notify(&r->q);
	assert_true(dq__wait(&r->q, &id, &len));
	memcpy(c->in, driver__at(&r->d, 0x50000), 11);
	memcpy(c->in + 11, driver__at(&r->d, 0x60000), room - 11);
	return len;
}

static void a_guest_reaches_its_directory_by_the_device(void **state)
{
	struct client *c = *state;
	struct rig r;

	write_host(c->share, "a", "through and through");
	rig__up(&r, c);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG, 2), 3);
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 2, 1), 't');
	assert_int_equal(board__load(&r.d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 4, 1), 'g');

	prepare(c, VERSION, "ds", SIZE, "9P2000.L");
	assert_int_equal(rig__send(&r, c, 100), 21);
	prepare(c, ATTACH, "ddssd", ROOT, P9_NOFID, "root", "", 0);
	assert_int_equal(rig__send(&r, c, 100), 20);
	prepare(c, WALK, "ddws", ROOT, 2, 1, "a");
	assert_int_equal(rig__send(&r, c, 400), 22);
	prepare(c, LOPEN, "dd", 2, O_RDONLY);
	assert_int_equal(rig__send(&r, c, 100), 24);
	prepare(c, READ, "dqd", 2, 0ul, 100);
	assert_int_equal(rig__send(&r, c, 100), 11 + 19);
	assert_memory_equal(c->in + 11, "through and through", 19);

	/* A reset is the end of the session. */
	assert_true(driver__negotiate(&r.d, VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(0)));
	dq__init(&r.q, &r.d, 0, 64, false, false);
	driver__enable_queue(&r.q);
	driver__ok(&r.d);
	prepare(c, READ, "dqd", 2, 0ul, 100);
	assert_int_equal(rig__send(&r, c, 100), 11);
	assert_int_equal(c->in[4], 7);
	assert_int_equal(c->in[7], EPROTO);
	driver__destroy(&r.d);
}

static void what_cannot_be_answered_breaks_the_device_and_a_reset_mends_it(void **state)
{
	static const struct driver_buf bad[][2] = {
		{ { 0x40000, 6, 0 }, { 0x50000, 100, VRING_DESC_F_WRITE } },
		{ { 0x40000, 16, 0 }, { 0x50000, 10, VRING_DESC_F_WRITE } },
	};
	struct client *c = *state;
	struct rig r;

	rig__up(&r, c);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		dq__add(&r.q, 0, bad[i], 2);
		driver__notify(&r.q);
		for (int wait = 0; wait < 5000 && !driver__needs_reset(&r.d); wait++)
			usleep(1000);
		assert_true(driver__needs_reset(&r.d));
		assert_true(
			driver__negotiate(&r.d, VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(0)));
		dq__init(&r.q, &r.d, 0, 64, false, false);
		driver__enable_queue(&r.q);
		driver__ok(&r.d);
	}
	prepare(c, VERSION, "ds", SIZE, "9P2000.L");
	assert_int_equal(rig__send(&r, c, 100), 21);
	driver__destroy(&r.d);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_tree_can_be_made_walked_and_read_back),
		test(it_makes_no_difference_how_messages_are_cut),
		test(a_tree_is_the_same_with_no_security_and_with_mapped),
		test(a_session_begins_with_a_version_and_ends_with_the_next),
		test(a_file_without_a_name_is_as_good_as_any),
		test(names_may_change_under_fids),
		test(creating_what_exists_opens_it_unless_it_must_not),
		test(times_can_be_set_and_are_checked),
		test(a_listing_can_go_on_from_any_offset),
		test(what_is_above_the_root_is_not_told),
		test(locks_of_two_fids_exclude_each_other),
		test(extended_attributes_can_be_set_read_listed_and_removed),
		test(values_of_attributes_have_a_bound_in_memory),
		test(mapped_objects_are_plain_files_of_the_host),
		test(without_security_no_ids_and_no_devices_reach_the_host),
		test(passthrough_gives_the_guests_ids_to_the_host),
		test(nothing_changes_on_a_read_only_share),
		test(names_that_lead_elsewhere_are_refused),
		test(no_symlink_is_followed_on_the_host),
		test(an_attach_by_path_stays_below_the_root),
		test(a_directory_swapped_for_a_symlink_leads_nowhere),
		test(nor_does_one_that_is_swapped_while_it_is_walked),
		test(a_message_cut_short_anywhere_does_nothing),
		test(a_reply_never_is_longer_than_its_room),
		test(counts_beyond_reason_are_refused),
		test(a_name_of_255_bytes_is_the_longest),
		test(fids_are_bounded_and_unique),
		test(host_descriptors_are_bounded),
		test(inode_numbers_of_any_length_make_distinct_qids),
		test(it_all_works_for_an_unprivileged_user),
		test(a_guest_reaches_its_directory_by_the_device),
		test(what_cannot_be_answered_breaks_the_device_and_a_reset_mends_it),
		cmocka_unit_test(a_share_is_described_by_directory_tag_and_options),
		cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
