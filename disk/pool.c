// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads for what would block a disk's event loop.
 *
 * Theory of operation: a thread is started when there is work and none is idle, up to POOL_MAX, and
 * leaves after IDLE_SECONDS without any. What is done is put into a list, and the first to be put
 * there rings the eventfd; so the loop wakes once for many. Threads block all signals: they belong
 * to the main thread.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/disk.h"
#include "kvm/log.h"
#include "kvm/sys.h"

#define POOL_MAX     16
#define IDLE_SECONDS 10

struct disk_pool {
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t ended;
	struct disk_job *first, **last;
	struct disk_job *done_first, **done_last;
	unsigned int threads, idle, queued;
	bool stop;
};

struct disk_pool *disk_pool__create(void)
{
	struct disk_pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t attr;

	if (!pool) {
		pr_fatal("no memory for the threads of a disk");
		return NULL;
	}
	pool->fd = sys__eventfd();
	if (pool->fd < 0) {
		pr_fatal("cannot create an eventfd for a disk: %s", strerror(-pool->fd));
		free(pool);
		return NULL;
	}
	pool->last = &pool->first;
	pool->done_last = &pool->done_first;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->work, &attr);
	pthread_cond_init(&pool->ended, NULL);
	pthread_condattr_destroy(&attr);
	return pool;
}

void disk_pool__destroy(struct disk_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	while (pool->threads)
		pthread_cond_wait(&pool->ended, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->ended);
	pthread_mutex_destroy(&pool->lock);
	sys__close(pool->fd);
	free(pool);
}

static void put_done(struct disk_pool *pool, struct disk_job *job)
{
	uint64_t one = 1;
	bool ring = !pool->done_first;

	job->next = NULL;
	*pool->done_last = job;
	pool->done_last = &job->next;
	if (ring && write(pool->fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it rings already */
}

static struct disk_job *take_job(struct disk_pool *pool)
{
	struct disk_job *job = pool->first;

	pool->first = job->next;
	if (!pool->first)
		pool->last = &pool->first;
	pool->queued--;
	return job;
}

/* Wait for work. Return: false if the thread shall end. */
static bool wait_for_work(struct disk_pool *pool)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	pool->idle++;
	while (!pool->first && !pool->stop && !ret)
		ret = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
	pool->idle--;
	return pool->first;
}

static void *worker(void *arg)
{
	struct disk_pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	while (pool->first || wait_for_work(pool)) {
		struct disk_job *job = take_job(pool);

		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		pthread_mutex_lock(&pool->lock);
		put_done(pool, job);
	}
	pool->threads--;
	pthread_cond_signal(&pool->ended);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Called with the lock held. */
static void start_thread(struct disk_pool *pool)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!pthread_create(&thread, &attr, worker, pool))
		pool->threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

void disk_pool__run(struct disk_pool *pool, struct disk_job *job)
{
	bool here;

	job->next = NULL;
	pthread_mutex_lock(&pool->lock);
	if (pool->queued >= pool->idle && pool->threads < POOL_MAX)
		start_thread(pool);
	here = !pool->threads;
	if (!here) {
		*pool->last = job;
		pool->last = &job->next;
		pool->queued++;
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	if (!here)
		return;

	job->run(job);
	pthread_mutex_lock(&pool->lock);
	put_done(pool, job);
	pthread_mutex_unlock(&pool->lock);
}

int disk_pool__fd(const struct disk_pool *pool)
{
	return pool->fd;
}

void disk_pool__reap(struct disk_pool *pool)
{
	struct disk_job *job;
	uint64_t count;

	if (read(pool->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&pool->lock);
	job = pool->done_first;
	pool->done_first = NULL;
	pool->done_last = &pool->done_first;
	pthread_mutex_unlock(&pool->lock);

	while (job) {
		struct disk_job *next = job->next;

		job->done(job);
		job = next;
	}
}
