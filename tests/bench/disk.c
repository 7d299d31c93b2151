// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests per second of a disk, by engine: random 4 KiB at depth 1 and 32, sequential 128 KiB at
 * depth 4, on a loop as a device has it.
 *
 * usage: disk SECONDS DISK[,option]...   (the disk is written to)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "kvm/disk.h"
#include "kvm/event.h"

#define MAX_DEPTH 32

struct load {
	const char *name;
	enum disk_op op;
	uint32_t len;
	unsigned int depth;
	bool sequential;
};

static const struct load loads[] = {
	{ "read 4k depth 1", DISK_READ, 4096, 1, false },
	{ "read 4k depth 32", DISK_READ, 4096, 32, false },
	{ "write 4k depth 1", DISK_WRITE, 4096, 1, false },
	{ "write 4k depth 32", DISK_WRITE, 4096, 32, false },
	{ "read 128k depth 4", DISK_READ, 131072, 4, true },
	{ "write 128k depth 4", DISK_WRITE, 131072, 4, true },
};

struct bench {
	struct event_loop *loop;
	struct disk *disk;
	const struct load *load;
	struct disk_request req[MAX_DEPTH];
	struct iovec iov[MAX_DEPTH];
	uint64_t done, next, seed;
	unsigned int in_flight;
	double until;
	int error;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void on_done(struct disk_request *req, int ret);

static void submit(struct bench *b, struct disk_request *req)
{
	uint64_t slots = disk__info(b->disk)->size / b->load->len, slot = b->next++;

	b->seed = b->seed * 6364136223846793005ull + 1442695040888963407ull;
	if (!b->load->sequential)
		slot = b->seed >> 20;
	req->op = b->load->op;
	req->offset = slot % slots * b->load->len;
	req->len = b->load->len;
	req->done = on_done;
	req->ctx = b;
	b->in_flight++;
	disk__submit(b->disk, req);
}

/* What completes within disk__submit() is submitted again from on_batch(), not recursively. */
static void on_done(struct disk_request *req, int ret)
{
	struct bench *b = req->ctx;

	b->in_flight--;
	b->done++;
	if (ret)
		b->error = ret;
	req->ctx = NULL;
}

static void on_batch(void *ctx)
{
	struct bench *b = ctx;
	bool again;

	do {
		again = false;
		for (unsigned int i = 0; i < b->load->depth && !b->error; i++) {
			if (b->req[i].ctx)
				continue;
			submit(b, &b->req[i]);
			again = true;
		}
		disk__kick(b->disk);
	} while (again && !b->error && now() < b->until);
	if (now() >= b->until || b->error)
		event_loop__stop(b->loop);
}

static int run(struct bench *b, const struct load *load, double seconds)
{
	double start = now(), cpu_start = cpu(), took;

	b->load = load;
	b->done = b->next = 0;
	b->seed = 1;
	b->until = start + seconds;
	for (unsigned int i = 0; i < load->depth; i++) {
		b->iov[i].iov_len = load->len;
		b->req[i] = (struct disk_request){ .iov = &b->iov[i], .nr_iov = 1 };
	}
	disk__on_batch(b->disk, on_batch, b);
	on_batch(b);
	event_loop__run(b->loop);
	disk__on_batch(b->disk, NULL, NULL);
	disk__drain(b->disk);
	took = now() - start;
	if (b->error) {
		fprintf(stderr, "%s: %s\n", load->name, strerror(-b->error));
		return 1;
	}
	printf("  %-20s %9.0f /s  %7.1f us CPU each\n", load->name, (double)b->done / took,
	       (cpu() - cpu_start) * 1e6 / (double)b->done);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench b = { .loop = event_loop__create() };
	struct disk_spec spec;
	int ret = 0;

	if (argc != 3 || !b.loop || disk_spec__parse(&spec, argv[2]))
		return 2;
	for (unsigned int i = 0; i < MAX_DEPTH; i++) {
		if (posix_memalign(&b.iov[i].iov_base, 4096, 131072))
			return 2;
		memset(b.iov[i].iov_base, (int)i + 1, 131072);
	}
	if (disk__open(&spec, b.loop, &b.disk))
		return 1;
	printf("%s (%s, %s)\n", argv[2], disk__info(b.disk)->format, disk__info(b.disk)->engine);
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]) && !ret; i++)
		ret = run(&b, &loads[i], atof(argv[1]));
	disk_spec__free(&spec);
	if (disk__close(b.disk))
		ret = 1;
	for (unsigned int i = 0; i < MAX_DEPTH; i++)
		free(b.iov[i].iov_base);
	event_loop__destroy(b.loop);
	return ret;
}
