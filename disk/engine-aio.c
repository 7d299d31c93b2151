// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine on libaio.
 *
 * Only O_DIRECT reads and writes are asynchronous there, and even those wait in io_submit() when
 * the file system has to allocate first: they are sent with RWF_NOWAIT, and what would have waited
 * comes back as -EAGAIN to be done in a thread.
 */
#include <errno.h>

#include "disk/disk.h"

#ifdef HAVE_LIBAIO

#include <libaio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm/sys.h"

_Static_assert(sizeof(struct iocb) <= sizeof(((struct disk_io *)0)->engine_data), "room for iocb");

struct aio {
	struct disk_engine engine;
	io_context_t ctx;
	struct iocb *queued[DISK_ENGINE_DEPTH];
	unsigned int nr_queued, in_flight;
};

static struct disk_io *io_of(struct iocb *iocb)
{
	return CONTAINER_OF(iocb, struct disk_io, engine_data);
}

static bool aio_queue(struct disk_engine *engine, struct disk_io *io)
{
	struct aio *aio = CONTAINER_OF(engine, struct aio, engine);
	struct iocb *iocb = (struct iocb *)(void *)io->engine_data;
	const struct iovec *iov = io->bounce ? &io->bounce_iov : io->iov;
	int nr = io->bounce ? 1 : (int)io->nr_iov;

	if (io->op == DISK_FLUSH || io->buffered || aio->in_flight == DISK_ENGINE_DEPTH)
		return false;
	if (io->op == DISK_READ)
		io_prep_preadv(iocb, io->file->direct_fd, iov, nr, (long long)io->offset);
	else
		io_prep_pwritev(iocb, io->file->direct_fd, iov, nr, (long long)io->offset);
	io_set_eventfd(iocb, engine->fd);
	if (io->file->aio_nowait)
		iocb->aio_rw_flags = RWF_NOWAIT;
	aio->queued[aio->nr_queued++] = iocb;
	aio->in_flight++;
	return true;
}

static void complete(struct aio *aio, struct iocb *iocb, long res)
{
	struct disk_io *io = io_of(iocb);

	aio->in_flight--;
	if (res == -EOPNOTSUPP)
		io->file->aio_nowait = false;
	disk_io__complete(io, res);
}

/* What does not get in here completes at once, which may queue more. */
static void aio_kick(struct disk_engine *engine)
{
	struct aio *aio = CONTAINER_OF(engine, struct aio, engine);
	struct iocb *batch[DISK_ENGINE_DEPTH];

	while (aio->nr_queued) {
		unsigned int nr = aio->nr_queued, at = 0;

		memcpy(batch, aio->queued, nr * sizeof(*batch));
		aio->nr_queued = 0;
		while (at < nr) {
			int n = io_submit(aio->ctx, (long)(nr - at), &batch[at]);

			if (n > 0)
				at += (unsigned int)n;
			else if (n != -EINTR)
				complete(aio, batch[at++], n ? n : -EAGAIN);
		}
	}
}

static void aio_reap(struct disk_engine *engine)
{
	struct aio *aio = CONTAINER_OF(engine, struct aio, engine);
	struct io_event events[64];
	struct timespec none = { 0, 0 };
	uint64_t count;
	int n;

	if (read(engine->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	do {
		n = io_getevents(aio->ctx, 0, 64, events, &none);
		for (int i = 0; i < n; i++)
			complete(aio, events[i].obj, (long)events[i].res);
	} while (n == 64);
}

static void aio_destroy(struct disk_engine *engine)
{
	struct aio *aio = CONTAINER_OF(engine, struct aio, engine);

	io_destroy(aio->ctx);
	sys__close(engine->fd);
	free(aio);
}

static const struct disk_engine_ops aio_ops = {
	.name = "aio",
	.queue = aio_queue,
	.kick = aio_kick,
	.reap = aio_reap,
	.destroy = aio_destroy,
};

int disk_engine__aio(struct disk_engine **out)
{
	struct aio *aio = calloc(1, sizeof(*aio));
	int ret;

	if (!aio)
		return -ENOMEM;
	aio->engine = (struct disk_engine){ .ops = &aio_ops, .fd = sys__eventfd() };
	ret = aio->engine.fd < 0 ? aio->engine.fd : io_setup(DISK_ENGINE_DEPTH, &aio->ctx);
	if (ret) {
		sys__close(aio->engine.fd);
		free(aio);
		return ret;
	}
	*out = &aio->engine;
	return 0;
}

#else

int disk_engine__aio(struct disk_engine **out)
{
	return -ENOTSUP;
}

#endif
