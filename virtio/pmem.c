// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Persistent memory (Virtio 1.2, section 5.19).
 *
 * Theory of operation. The file is mapped and given to the guest as a memory slot: reads and writes
 * are none of our business, and this process never touches the mapping, because a file that
 * somebody truncates has nothing behind it any more. (KVM_RUN then fails with EFAULT for the guest
 * that touches it.) What is left for the device is to flush. That may take long, so it is done in a
 * thread; all requests that wait when a flush begins are answered by it.
 *
 * The mapping is aligned like the guest's address, so that huge pages of the host can be
 * huge pages of the guest.
 */
#include "kvm/virtio-pmem.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/virtio_pmem.h>

#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "kvm/virtio.h"

#define QUIET_SECONDS 10 /* between two lines about failed flushes */

/**
 * struct pmem - the device
 * @file_size:   bytes of the file, at most @size
 * @size:        bytes of the guest's address space, @base being where they are in this process's
 * @slot:        of KVM, -1 if there is none
 * @has_thread:  @thread exists
 * @last_line:   when a failed flush was printed, seconds; the thread's
 *
 * Guarded by @lock, which is taken after that of the queue:
 * @waiting:     chains to be answered by the next flush, linked by their private part
 * @busy:        the thread flushes, or answers
 * @quit:        it shall end
 */
struct pmem {
	struct virtio_device dev;
	struct kvm *kvm;
	char *path;
	int fd;
	bool read_only;
	uint64_t gpa, size, file_size;
	void *base;
	int slot;
	pthread_t thread;
	bool has_thread;
	int64_t last_line;

	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct virtio_chain *waiting;
	bool busy, quit;
};

static struct pmem *to_pmem(struct virtio_device *dev)
{
	return (struct pmem *)dev;
}

static struct virtio_chain **next_of(struct virtio_chain *chain)
{
	return virtio_chain__priv(chain);
}

/* --- flushing, in the thread ---------------------------------------------------------------- */

static int sync_file(const struct pmem *pmem)
{
	struct stat st;

	if (pmem->read_only)
		return 0;
	if (fdatasync(pmem->fd) || fstat(pmem->fd, &st))
		return -errno;
	/* What lay beyond its end is lost, and the guest had better know. */
	return (uint64_t)st.st_size < pmem->file_size ? -ESTALE : 0;
}

static void print_failure(struct pmem *pmem, int err)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - pmem->last_line < QUIET_SECONDS)
		return;
	pmem->last_line = now.tv_sec;
	pr_warn("%s: cannot flush %s: %s", pmem->dev.name, pmem->path,
		err == -ESTALE ? "somebody has truncated it" : strerror(-err));
}

/* 5.19.6.2: 0, or -1 for an error. */
static void answer(struct pmem *pmem, struct virtio_chain *chain, int err)
{
	struct virtqueue *q = virtio_device__queue(&pmem->dev, 0);
	struct virtio_pmem_resp resp = { .ret = htole32(err ? UINT32_MAX : 0) };

	if (!virtqueue__lock(q))
		return; /* stopped: its chains are the core's again */
	while (chain) {
		struct virtio_chain *next = *next_of(chain);

		virtio_chain__write(chain, 0, &resp, sizeof(resp));
		virtqueue__push(q, chain, sizeof(resp));
		chain = next;
	}
	virtqueue__publish(q);
	virtqueue__unlock(q);
}

static void *run_thread(void *ctx)
{
	struct pmem *pmem = ctx;

	pthread_mutex_lock(&pmem->lock);
	for (;;) {
		struct virtio_chain *batch;
		int ret;

		while (!pmem->waiting && !pmem->quit)
			pthread_cond_wait(&pmem->work, &pmem->lock);
		if (pmem->quit)
			break;
		batch = pmem->waiting;
		pmem->waiting = NULL;
		pmem->busy = true;
		pthread_mutex_unlock(&pmem->lock);

		ret = sync_file(pmem);
		if (ret)
			print_failure(pmem, ret);
		answer(pmem, batch, ret);

		pthread_mutex_lock(&pmem->lock);
		pmem->busy = false;
		pthread_cond_broadcast(&pmem->idle);
	}
	pthread_mutex_unlock(&pmem->lock);
	return NULL;
}

/* --- requests ------------------------------------------------------------------------------- */

/* Return: whether it is one that can be answered. */
static bool check(struct pmem *pmem, const struct virtio_chain *chain)
{
	struct virtio_pmem_req req;

	if (virtio_chain__read(chain, 0, &req, sizeof(req)) < sizeof(req) ||
	    chain->in_len < sizeof(struct virtio_pmem_resp)) {
		virtio_device__fail(&pmem->dev, "a request of %llu and %llu bytes",
				    (unsigned long long)chain->out_len,
				    (unsigned long long)chain->in_len);
		return false;
	}
	if (le32toh(req.type) != VIRTIO_PMEM_REQ_TYPE_FLUSH) {
		virtio_device__fail(&pmem->dev, "a request of type %u", le32toh(req.type));
		return false;
	}
	return true;
}

static void pmem_notify(struct virtio_device *dev, struct virtqueue *q)
{
	struct pmem *pmem = to_pmem(dev);
	struct virtio_chain *chain;

	/* A ring has only so many chains, and none comes back before the thread has answered. */
	while ((chain = virtqueue__pop(q))) {
		if (!check(pmem, chain))
			return;
		pthread_mutex_lock(&pmem->lock);
		*next_of(chain) = pmem->waiting;
		pmem->waiting = chain;
		pthread_cond_signal(&pmem->work);
		pthread_mutex_unlock(&pmem->lock);
	}
}

static void pmem_stop(struct virtio_device *dev)
{
	struct pmem *pmem = to_pmem(dev);

	pthread_mutex_lock(&pmem->lock);
	pmem->waiting = NULL;
	while (pmem->busy)
		pthread_cond_wait(&pmem->idle, &pmem->lock);
	pthread_mutex_unlock(&pmem->lock);
}

static void pmem_queue_reset(struct virtio_device *dev, struct virtqueue *q)
{
	pmem_stop(dev);
}

static void pmem_config_read(struct virtio_device *dev, uint32_t offset, void *data, uint32_t len)
{
	const struct pmem *pmem = to_pmem(dev);
	struct virtio_pmem_config config = {
		.start = htole64(pmem->gpa),
		.size = htole64(pmem->size),
	};

	memcpy(data, (char *)&config + offset, len);
}

/* --- the file ------------------------------------------------------------------------------- */

static int check_file(const char *path, const struct stat *st, bool read_only, uint64_t *size)
{
	uint64_t bytes = (uint64_t)st->st_size;
	uint64_t round = (bytes + VIRTIO_PMEM_ALIGN - 1) & ~(VIRTIO_PMEM_ALIGN - 1);

	if (!S_ISREG(st->st_mode)) {
		pr_fatal("Persistent memory %s: it is not a regular file", path);
		return -EINVAL;
	}
	if (!bytes || (bytes != round && !read_only)) {
		pr_fatal("Persistent memory %s: its size has to be a multiple of 2 MiB, not %llu "
			 "bytes:\n  truncate -s %%2M does that%s",
			 path, (unsigned long long)bytes,
			 bytes ? "; or make it read-only" : " once there is something in it");
		return -EINVAL;
	}
	*size = round;
	return 0;
}

int virtio_pmem__size(const char *path, bool read_only, uint64_t *size)
{
	struct stat st;

	if (stat(path, &st)) {
		int ret = -errno;

		pr_fatal("Persistent memory %s: %s", path, strerror(-ret));
		return ret;
	}
	return check_file(path, &st, read_only, size);
}

/* All of the file, as those who lock single bytes of it (disks of guests) will notice. */
static int lock_file(const struct pmem *pmem)
{
	struct flock lock = {
		.l_type = pmem->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (!fcntl(pmem->fd, F_OFD_SETLK, &lock))
		return 0;
	/* A file system without locks protects nobody, and refuses nobody. */
	return errno == EAGAIN || errno == EACCES ? -EBUSY : 0;
}

static int open_file(struct pmem *pmem)
{
	struct stat st;
	int ret;

	ret = sys__open(pmem->path, pmem->read_only ? O_RDONLY : O_RDWR);
	if (ret >= 0) {
		pmem->fd = ret;
		ret = fstat(pmem->fd, &st) ? -errno : 0;
	}
	if (!ret) {
		ret = check_file(pmem->path, &st, pmem->read_only, &pmem->size);
		if (ret)
			return ret;
		pmem->file_size = (uint64_t)st.st_size;
		ret = lock_file(pmem);
	}
	if (ret)
		pr_fatal("Persistent memory %s: %s", pmem->path,
			 ret == -EBUSY ? "another process uses it" : strerror(-ret));
	return ret;
}

/* What is beyond the end of the file's last page is of no file, and reads as zeroes. */
static int map_file(struct pmem *pmem)
{
	int prot = PROT_READ | (pmem->read_only ? 0 : PROT_WRITE);
	uint64_t slack = VIRTIO_PMEM_ALIGN, head;
	void *addr;
	char *base;
	int ret = sys__mmap(pmem->size + slack, PROT_READ,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &addr);

	if (!ret) {
		head = -(uintptr_t)addr & (VIRTIO_PMEM_ALIGN - 1);
		base = (char *)addr + head;
		if (head)
			sys__munmap(addr, head);
		sys__munmap(base + pmem->size, slack - head);
		pmem->base = base;
		if (mmap(base, pmem->file_size, prot, MAP_SHARED | MAP_FIXED, pmem->fd, 0) ==
		    MAP_FAILED)
			ret = -errno;
	}
	if (ret)
		pr_fatal("Persistent memory %s: cannot map %llu MiB: %s", pmem->path,
			 (unsigned long long)(pmem->size >> 20), strerror(-ret));
	return ret;
}

/* --- life ----------------------------------------------------------------------------------- */

static void pmem_destroy(struct virtio_device *dev)
{
	struct pmem *pmem = to_pmem(dev);

	if (pmem->has_thread) {
		pthread_mutex_lock(&pmem->lock);
		pmem->quit = true;
		pthread_cond_signal(&pmem->work);
		pthread_mutex_unlock(&pmem->lock);
		pthread_join(pmem->thread, NULL);
	}
	if (pmem->slot >= 0)
		kvm__remove_memslot(pmem->kvm, pmem->slot);
	sys__munmap(pmem->base, pmem->size);
	sys__close(pmem->fd);
	pthread_cond_destroy(&pmem->idle);
	pthread_cond_destroy(&pmem->work);
	pthread_mutex_destroy(&pmem->lock);
	virtio_device__exit(dev);
	free(pmem->path);
	free(pmem);
}

static const struct virtio_ops pmem_ops = {
	.kind = "virtio-pmem",
	.id = VIRTIO_ID_PMEM,
	.config_size = sizeof(struct virtio_pmem_config),
	.stop = pmem_stop,
	.queue_reset = pmem_queue_reset,
	.notify = pmem_notify,
	.config_read = pmem_config_read,
	.destroy = pmem_destroy,
};

static int start_thread(struct pmem *pmem)
{
	int ret = -pthread_create(&pmem->thread, NULL, run_thread, pmem);

	if (ret) {
		pr_fatal("%s: cannot create a thread: %s", pmem->dev.name, strerror(-ret));
		return ret;
	}
	pmem->has_thread = true;
	return 0;
}

static int set_up(struct pmem *pmem)
{
	int ret;

	if (!pmem->path)
		return -ENOMEM;
	if (pmem->gpa & (VIRTIO_PMEM_ALIGN - 1)) {
		pr_fatal("%s: its address %#llx is not a multiple of 2 MiB", pmem->dev.name,
			 (unsigned long long)pmem->gpa);
		return -EINVAL;
	}
	ret = open_file(pmem);
	if (!ret)
		ret = map_file(pmem);
	if (ret)
		return ret;
	ret = kvm__add_memslot(pmem->kvm, pmem->gpa, pmem->size, pmem->base,
			       pmem->read_only ? KVM_MEM_READONLY : 0);
	if (ret < 0)
		return ret;
	pmem->slot = ret;
	return start_thread(pmem);
}

int virtio_pmem__create(struct kvm *kvm, unsigned int index,
			const struct virtio_pmem_params *params, struct virtio_device **out)
{
	struct pmem *pmem = calloc(1, sizeof(*pmem));
	char name[24];
	int ret;

	if (!pmem)
		return -ENOMEM;
	snprintf(name, sizeof(name), "pmem%u", index);
	ret = virtio_device__init(&pmem->dev, &pmem_ops, &kvm->host, name, 1);
	if (ret) {
		free(pmem);
		return ret;
	}
	pmem->dev.chain_priv = sizeof(struct virtio_chain *);
	pmem->kvm = kvm;
	pmem->path = strdup(params->path);
	pmem->fd = pmem->slot = -1;
	pmem->gpa = params->gpa;
	pmem->read_only = params->read_only;
	pmem->last_line = -QUIET_SECONDS;
	pthread_mutex_init(&pmem->lock, NULL);
	pthread_cond_init(&pmem->work, NULL);
	pthread_cond_init(&pmem->idle, NULL);
	ret = set_up(pmem);
	if (ret) {
		pmem_destroy(&pmem->dev);
		return ret;
	}
	*out = &pmem->dev;
	return 0;
}
