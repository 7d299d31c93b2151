// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine on io_uring: reads, writes and flushes, buffered or not. What would wait goes to the
 * kernel's own threads. The ring's descriptor is readable when something has completed.
 */
#include <errno.h>

#include "disk/disk.h"

#ifdef HAVE_LIBURING

#include <liburing.h>
#include <stdlib.h>

struct uring {
	struct disk_engine engine;
	struct io_uring ring;
	unsigned int in_flight;
	bool queued;
};

static bool uring_queue(struct disk_engine *engine, struct disk_io *io)
{
	struct uring *uring = CONTAINER_OF(engine, struct uring, engine);
	const struct iovec *iov = io->bounce ? &io->bounce_iov : io->iov;
	unsigned int nr = io->bounce ? 1 : io->nr_iov;
	int fd = io->buffered ? io->file->fd : io->file->direct_fd;
	struct io_uring_sqe *sqe;

	if (uring->in_flight == DISK_ENGINE_DEPTH)
		return false;
	sqe = io_uring_get_sqe(&uring->ring);
	if (!sqe)
		return false;
	if (io->op == DISK_FLUSH)
		io_uring_prep_fsync(sqe, io->file->fd, IORING_FSYNC_DATASYNC);
	else if (io->op == DISK_READ)
		io_uring_prep_readv(sqe, fd, iov, nr, io->offset);
	else
		io_uring_prep_writev(sqe, fd, iov, nr, io->offset);
	io_uring_sqe_set_data(sqe, io);
	uring->in_flight++;
	uring->queued = true;
	return true;
}

static void uring_kick(struct disk_engine *engine)
{
	struct uring *uring = CONTAINER_OF(engine, struct uring, engine);
	int ret;

	/* Entries that are not taken now (no memory, completions to be reaped first) stay queued. */
	do
		ret = uring->queued ? io_uring_submit(&uring->ring) : 0;
	while (ret == -EINTR);
	uring->queued = io_uring_sq_ready(&uring->ring) > 0;
}

static void uring_reap(struct disk_engine *engine)
{
	struct uring *uring = CONTAINER_OF(engine, struct uring, engine);
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&uring->ring, &cqe)) {
		struct disk_io *io = io_uring_cqe_get_data(cqe);
		long res = cqe->res;

		io_uring_cqe_seen(&uring->ring, cqe);
		uring->in_flight--;
		disk_io__complete(io, res);
	}
}

static void uring_destroy(struct disk_engine *engine)
{
	struct uring *uring = CONTAINER_OF(engine, struct uring, engine);

	io_uring_queue_exit(&uring->ring);
	free(uring);
}

static const struct disk_engine_ops uring_ops = {
	.name = "io_uring",
	.queue = uring_queue,
	.kick = uring_kick,
	.reap = uring_reap,
	.destroy = uring_destroy,
};

int disk_engine__uring(struct disk_engine **out)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int ret;

	if (!uring)
		return -ENOMEM;
	ret = io_uring_queue_init(DISK_ENGINE_DEPTH, &uring->ring, 0);
	if (ret) {
		free(uring);
		return ret;
	}
	uring->engine = (struct disk_engine){
		.ops = &uring_ops,
		.fd = uring->ring.ring_fd,
	};
	*out = &uring->engine;
	return 0;
}

#else

int disk_engine__uring(struct disk_engine **out)
{
	return -ENOTSUP;
}

#endif
