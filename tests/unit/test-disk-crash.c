// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that is killed while it writes to a qcow2 image leaves a consistent one (clusters may
 * have leaked), with all that was flushed before in it, and the next one that opens it says so.
 */
#include "disk-rig.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#define SIZE	(4u << 20)
#define SECTORS (SIZE / DISK_SECTOR)
#define DEPTH	8
#define MAX_LEN 65536u
#define KILLS	8

/* What the writer shares with the one who kills it: contents as of its last flush, and which
 * sectors it may have changed since. Two of each, so that there is always one that is whole. */
struct shared {
	atomic_int current;
	atomic_int flushes;
	uint8_t stable[2][SIZE];
	uint8_t touched[2][SECTORS];
};

struct writer {
	struct shared *shared;
	struct disk *disk;
	uint8_t *now;
	uint8_t *buf[DEPTH];
	struct disk_request req[DEPTH];
	struct iovec iov[DEPTH];
	unsigned int seed;
};

static unsigned int next(struct writer *w)
{
	w->seed = w->seed * 1103515245u + 12345u;
	return w->seed >> 8;
}

static void on_done(struct disk_request *req, int ret)
{
	if (ret)
		_exit(10);
}

static void start_one(struct writer *w, int i)
{
	uint64_t len = (next(w) % (MAX_LEN / DISK_SECTOR) + 1) * DISK_SECTOR;
	uint64_t offset = next(w) % ((SIZE - len) / DISK_SECTOR) * DISK_SECTOR;
	bool zero = next(w) % 4 == 0;
	int current = atomic_load(&w->shared->current);

	memset(&w->shared->touched[current][offset / DISK_SECTOR], 1, len / DISK_SECTOR);
	memset(w->buf[i], (int)(next(w) | 1), len);
	memset(w->now + offset, zero ? 0 : w->buf[i][0], len);
	w->iov[i] = (struct iovec){ w->buf[i], len };
	w->req[i] = (struct disk_request){
		.op = zero ? DISK_WRITE_ZEROES : DISK_WRITE,
		.offset = offset,
		.len = len,
		.iov = &w->iov[i],
		.nr_iov = 1,
		.unmap = true,
		.done = on_done,
	};
	disk__submit(w->disk, &w->req[i]);
}

static void flush(struct writer *w)
{
	int other = !atomic_load(&w->shared->current);

	w->req[0] = (struct disk_request){ .op = DISK_FLUSH, .done = on_done };
	disk__submit(w->disk, &w->req[0]);
	disk__drain(w->disk);
	memcpy(w->shared->stable[other], w->now, SIZE);
	memset(w->shared->touched[other], 0, SECTORS);
	atomic_store(&w->shared->current, other);
	atomic_fetch_add(&w->shared->flushes, 1);
}

static void read_all(struct writer *w)
{
	struct iovec iov = { w->now, SIZE };

	w->req[0] = (struct disk_request){
		.op = DISK_READ, .len = SIZE, .iov = &iov, .nr_iov = 1, .done = on_done
	};
	disk__submit(w->disk, &w->req[0]);
	disk__drain(w->disk);
}

static _Noreturn void write_for_ever(struct shared *shared, const char *arg, unsigned int seed)
{
	struct writer w = { .shared = shared, .now = malloc(SIZE), .seed = seed };
	struct event_loop *loop = event_loop__create();
	struct disk_spec spec;
	int quiet = open("said", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	dup2(quiet, STDERR_FILENO);
	for (int i = 0; i < DEPTH; i++)
		w.buf[i] = malloc(MAX_LEN);
	if (disk_spec__parse(&spec, arg) || disk__open(&spec, loop, &w.disk))
		_exit(11);
	read_all(&w);
	flush(&w);
	for (;;) {
		for (int i = 0; i < DEPTH; i++)
			start_one(&w, i);
		disk__drain(w.disk);
		if (next(&w) % 3 == 0)
			flush(&w);
	}
}

static void kill_one(struct shared *shared, const char *arg, unsigned int seed, long us)
{
	const struct timespec wait = { 0, us * 1000 }, moment = { 0, 1000000 };
	pid_t pid;
	int status;

	atomic_store(&shared->current, 0);
	atomic_store(&shared->flushes, 0);
	memset(shared->touched[0], 1, SECTORS);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		write_for_ever(shared, arg, seed);
	/* Not before it has written something, however busy the machine is. */
	for (int i = 0; i < 10000 && atomic_load(&shared->flushes) < 2; i++)
		nanosleep(&moment, NULL);
	nanosleep(&wait, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void expect_flushed(const struct shared *shared)
{
	int current = atomic_load(&shared->current);
	uint8_t *got = malloc(SIZE);

	must_run("qemu-img convert -U -f qcow2 -O raw disk got");
	read_back("got", 0, got, SIZE);
	for (unsigned int i = 0; i < SECTORS; i++) {
		if (!shared->touched[current][i])
			assert_memory_equal(got + i * DISK_SECTOR,
					    shared->stable[current] + i * DISK_SECTOR, DISK_SECTOR);
	}
	free(got);
}

static void survive(const char *options, const char *arg, unsigned int seed)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char command[256];
	int status;

	need_qemu_img();
	assert_true(shared != MAP_FAILED);
	snprintf(command, sizeof(command), "qemu-img create -f qcow2 -o %s disk %u", options, SIZE);
	must_run(command);
	for (unsigned int i = 0; i < KILLS; i++) {
		kill_one(shared, arg, seed + i, (long)((seed + i) * 7919 % 40000));
		status = run("qemu-img check -f qcow2 disk");
		if (status && status != 3)
			(void)!system("cat log >&2");
		assert_true(status == 0 || status == 3); /* consistent; or with leaks */
		expect_flushed(shared);
		if (i == KILLS / 2)
			must_run("qemu-img snapshot -c half disk || true");
	}
	must_run("qemu-img check -r leaks disk && qemu-img check disk");
	munmap(shared, sizeof(*shared));
}

static void killed_with_usual_clusters(void **state)
{
	survive("cluster_size=64k", "disk", 1);
}

static void killed_with_small_clusters(void **state)
{
	survive("cluster_size=512,refcount_bits=32", "disk", 100);
}

static void killed_with_version_2(void **state)
{
	survive("cluster_size=4k,compat=0.10", "disk", 200);
}

static void killed_above_a_backing_file(void **state)
{
	need_qemu_img();
	write_file("base", "base", 4, SIZE / 2);
	survive("cluster_size=8k,backing_file=base,backing_fmt=raw", "disk", 300);
}

static void killed_with_direct_io(void **state)
{
	survive("cluster_size=16k", "disk,direct", 400);
}

static void the_next_user_hears_of_it(void **state)
{
	struct rig *rig = *state;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int out = dup(STDERR_FILENO), quiet;

	need_qemu_img();
	assert_true(shared != MAP_FAILED);
	must_run("qemu-img create -f qcow2 disk 4M");
	kill_one(shared, "disk", 1, 1000);
	for (int i = 0; i < 2; i++) {
		quiet = open("said", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		dup2(quiet, STDERR_FILENO);
		assert_int_equal(rig_open(rig, "disk"), 0);
		assert_int_equal(rig_close(rig), 0);
		dup2(out, STDERR_FILENO);
		close(quiet);
		/* The first time only: then it was closed. */
		assert_int_equal(run("grep 'was not closed.*qemu-img check -r leaks' said"), i);
	}
	close(out);
	munmap(shared, sizeof(*shared));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed_with_usual_clusters), TEST(killed_with_small_clusters),
		TEST(killed_with_version_2),	  TEST(killed_above_a_backing_file),
		TEST(killed_with_direct_io),	  TEST(the_next_user_hears_of_it),
	};

	return cmocka_run_group_tests_name("disk-crash", tests, NULL, NULL);
}
