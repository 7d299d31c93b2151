// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files and block devices of the host.
 *
 * Theory of operation: with "direct" there are two descriptors, one of them O_DIRECT. What is
 * aligned goes through it (by way of a bounce buffer if only the addresses are not), the rest goes
 * through the page cache, which the kernel keeps coherent with it.
 *
 * An engine may do less than was asked, or refuse to wait: the request is then done again from its
 * beginning in a thread, which takes the time that it takes. Reads and writes of the same bytes can
 * be repeated.
 *
 * Files are never mapped: one that is truncated under us gives a short read, which is -EIO.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk/disk.h"
#include "kvm/log.h"
#include "kvm/sys.h"

#define SYNC_IOV      64
#define INLINE_MAX    (256u << 10) /* cached bytes to copy on the loop rather than in a thread */
#define SLOW_WRITE_NS 1000000
#define SLOW_WRITES   1024 /* to be done in threads after one that took that long */
#define ZERO_CHUNK    (64u << 10)
#define DEFAULT_BLOCK 4096u

/* Record locks as QEMU's tools take them: a byte per permission held, and one per permission that
 * others must not have. */
#define QEMU_LOCK_HELD	   100
#define QEMU_LOCK_UNSHARED 200
#define QEMU_LOCK_READ	   0 /* consistent read */
#define QEMU_LOCK_WRITE	   1
#define QEMU_LOCK_RESIZE   3

static int set_lock(int fd, int byte)
{
	struct flock lock = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

static int test_lock(int fd, int byte)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	if (fcntl(fd, F_OFD_GETLK, &lock))
		return -errno;
	return lock.l_type == F_UNLCK ? 0 : -EBUSY;
}

static int lock_file(int fd, bool read_only)
{
	static const int held[] = { QEMU_LOCK_READ, QEMU_LOCK_WRITE, QEMU_LOCK_RESIZE };
	unsigned int nr_held = read_only ? 1 : 3;
	int ret = 0;

	for (unsigned int i = 0; i < nr_held && !ret; i++)
		ret = set_lock(fd, QEMU_LOCK_HELD + held[i]);
	for (unsigned int i = 1; i < 3 && !ret; i++)
		ret = set_lock(fd, QEMU_LOCK_UNSHARED + held[i]);
	for (unsigned int i = 0; i < nr_held && !ret; i++)
		ret = test_lock(fd, QEMU_LOCK_UNSHARED + held[i]);
	for (unsigned int i = 1; i < 3 && !ret; i++)
		ret = test_lock(fd, QEMU_LOCK_HELD + held[i]);
	/* A file system without locks protects nobody, and refuses nobody. */
	return ret == -EBUSY || ret == -EAGAIN ? -EBUSY : 0;
}

static uint64_t read_sysfs(dev_t dev, const char *attribute)
{
	static const char *const places[] = { "queue", "../queue" };
	unsigned long long value = 0;

	for (unsigned int i = 0; i < 2; i++) {
		char path[128];
		FILE *in;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(dev), minor(dev),
			 places[i], attribute);
		in = fopen(path, "re");
		if (!in)
			continue;
		if (fscanf(in, "%llu", &value) != 1)
			value = 0;
		fclose(in);
		break;
	}
	return value;
}

static bool is_block_size(uint64_t n)
{
	return n >= DISK_SECTOR && n <= (1u << 26) && !(n & (n - 1));
}

static void ask_block_device(struct disk_file *file, dev_t dev)
{
	unsigned int physical = 0, min = 0, opt = 0;
	uint64_t granularity = read_sysfs(dev, "discard_granularity");
	int logical = 0;

	if (!sys__ioctl(file->fd, BLKSSZGET, &logical) && logical > 0 &&
	    is_block_size((unsigned int)logical))
		file->logical_block = (uint32_t)logical;
	file->physical_block = file->logical_block;
	if (!sys__ioctl(file->fd, BLKPBSZGET, &physical) && is_block_size(physical) &&
	    physical > file->logical_block)
		file->physical_block = physical;
	if (!sys__ioctl(file->fd, BLKIOMIN, &min))
		file->min_io = min;
	if (!sys__ioctl(file->fd, BLKIOOPT, &opt))
		file->optimal_io = opt;
	file->can_discard = granularity && !file->read_only;
	file->discard_granularity =
		is_block_size(granularity) ? (uint32_t)granularity : file->physical_block;
}

static void ask_file(struct disk_file *file, const struct stat *st)
{
	uint64_t block = (uint64_t)st->st_blksize;

	file->physical_block =
		is_block_size(block) && block <= 65536 ? (uint32_t)block : DEFAULT_BLOCK;
	file->discard_granularity = file->physical_block;
	/* Behind the end, keeping the size, there is nothing to lose. */
	file->can_discard = !file->read_only &&
			    !fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       (off_t)((file->size + 65535) & ~65535ull), DEFAULT_BLOCK);
}

int disk_file__measure(const struct disk_file *file, uint64_t *size)
{
	struct stat st;

	if (file->is_block)
		return sys__ioctl(file->fd, BLKGETSIZE64, size);
	if (fstat(file->fd, &st))
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

/* What alignment does O_DIRECT want here? Ask by trying. */
static bool probe_direct(struct disk_file *file)
{
	static const uint32_t sizes[] = { 512, 1024, 2048, 4096 };
	void *buf;

	if (posix_memalign(&buf, DEFAULT_BLOCK, 2 * DEFAULT_BLOCK))
		return false;
	for (unsigned int i = 0; i < 4; i++) {
		file->align = sizes[i];
		if (pread(file->direct_fd, buf, sizes[i], 0) < 0)
			continue;
		file->mem_align = sizes[i];
		if (pread(file->direct_fd, (char *)buf + sizes[i], sizes[i], 0) < 0)
			file->mem_align = DEFAULT_BLOCK;
		free(buf);
		return true;
	}
	free(buf);
	return false;
}

static int open_direct(struct disk_file *file, const char *path)
{
	file->direct_fd = sys__open(path, (file->read_only ? O_RDONLY : O_RDWR) | O_DIRECT);
	if (file->direct_fd >= 0 && probe_direct(file)) {
		if (file->logical_block < file->align)
			file->logical_block = file->align;
		if (file->physical_block < file->align)
			file->physical_block = file->align;
		return 0;
	}
	pr_fatal("Disk %s: its file system cannot do direct I/O (%s): leave out \",direct\"",
		 file->path,
		 file->direct_fd < 0 ? strerror(-file->direct_fd) : "no alignment works");
	return file->direct_fd < 0 ? file->direct_fd : -EINVAL;
}

static int refuse(const struct disk_file *file, int err)
{
	const char *remedy = "";

	if (!file->read_only && (err == -EACCES || err == -EROFS || err == -EPERM))
		remedy = "; \",ro\" opens it without writing to it";
	if (err == -EBUSY)
		pr_fatal("Disk %s: another process is using it%s", file->path,
			 file->read_only ? " and may write to it" : "");
	else
		pr_fatal("Disk %s: %s%s", file->path, strerror(-err), remedy);
	return err;
}

static int take_in(struct disk_file *file, bool direct, const char *reopen)
{
	struct stat st;
	int ret;

	if (fstat(file->fd, &st))
		return refuse(file, -errno);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		pr_fatal("Disk %s: it is neither a regular file nor a block device", file->path);
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	file->is_block = S_ISBLK(st.st_mode);
	ret = disk_file__measure(file, &file->size);
	if (!ret)
		ret = lock_file(file->fd, file->read_only);
	if (ret)
		return refuse(file, ret);
	if (file->is_block)
		ask_block_device(file, st.st_rdev);
	else
		ask_file(file, &st);
	return direct ? open_direct(file, reopen) : 0;
}

static void init(struct disk_file *file, const char *path, bool read_only)
{
	*file = (struct disk_file){
		.path = strdup(path),
		.fd = -1,
		.direct_fd = -1,
		.align = DISK_SECTOR,
		.mem_align = DISK_SECTOR,
		.logical_block = DISK_SECTOR,
		.physical_block = DISK_SECTOR,
		.read_only = read_only,
		.nowait = true,
		.aio_nowait = true,
	};
}

int disk_file__open(struct disk_file *file, const char *path, bool read_only, bool direct)
{
	int ret;

	init(file, path, read_only);
	if (!file->path)
		return -ENOMEM;
	/* Not to hang on a pipe that nobody writes to. */
	file->fd = sys__open(path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY);
	ret = file->fd < 0 ? refuse(file, file->fd) : take_in(file, direct, path);
	if (ret)
		disk_file__close(file);
	return ret;
}

int disk_file__open_temporary(struct disk_file *file, bool direct)
{
	const char *dir = getenv("TMPDIR");
	char self[40];
	int ret;

	init(file, dir && *dir ? dir : "/var/tmp", false);
	if (!file->path)
		return -ENOMEM;
	file->no_sync = true;
	file->fd = sys__open(file->path, O_RDWR | O_TMPFILE | O_EXCL);
	if (file->fd < 0) {
		pr_fatal("Cannot create a temporary file in %s: %s; TMPDIR names another directory",
			 file->path, strerror(-file->fd));
		ret = file->fd;
	} else {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
		ret = take_in(file, direct, self);
	}
	if (ret)
		disk_file__close(file);
	return ret;
}

void disk_file__close(struct disk_file *file)
{
	sys__close(file->direct_fd);
	sys__close(file->fd);
	free(file->path);
	file->direct_fd = file->fd = -1;
	file->path = NULL;
}

/* --- here and now --------------------------------------------------------------------------- */

static bool is_aligned(const struct disk_file *file, const struct iovec *iov, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) & (file->mem_align - 1))
			return false;
	}
	return true;
}

static bool can_be_direct(const struct disk_file *file, uint64_t offset, uint64_t len)
{
	return file->direct_fd >= 0 && !((offset | len) & (file->align - 1));
}

static int check_range(uint64_t offset, uint64_t len)
{
	return offset > INT64_MAX || len > INT64_MAX - offset ? -EFBIG : 0;
}

/* A read has come to the end of the file: are there zeroes behind it? */
static int read_tail(struct disk_file *file, uint64_t offset, struct iov_cursor *at, uint64_t len)
{
	uint64_t until = atomic_load(&file->tail_zero);

	if (offset < file->size || offset > until || len > until - offset)
		return -EIO;
	iov_cursor__zero(at, len);
	return 0;
}

static int transfer(struct disk_file *file, bool write, uint64_t offset, struct iov_cursor *at,
		    uint64_t len)
{
	struct iovec iov[SYNC_IOV];
	unsigned int nr;

	while (len) {
		struct iov_cursor next = *at;
		size_t want = iov_cursor__take(&next, len, iov, SYNC_IOV, &nr);
		int fd = file->fd;
		ssize_t n;

		if (!want)
			return -EINVAL;
		if (can_be_direct(file, offset, want) && is_aligned(file, iov, nr))
			fd = file->direct_fd;
		n = write ? pwritev(fd, iov, (int)nr, (off_t)offset)
			  : preadv(fd, iov, (int)nr, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return write ? -ENOSPC : read_tail(file, offset, at, len);
		iov_cursor__take(at, (size_t)n, iov, SYNC_IOV, &nr);
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int disk_file__readv(struct disk_file *file, uint64_t offset, struct iov_cursor *at, uint64_t len)
{
	int ret = check_range(offset, len);

	return ret ? ret : transfer(file, false, offset, at, len);
}

int disk_file__writev(struct disk_file *file, uint64_t offset, struct iov_cursor *at, uint64_t len)
{
	int ret = check_range(offset, len);

	return ret ? ret : transfer(file, true, offset, at, len);
}

int disk_file__read(struct disk_file *file, uint64_t offset, void *to, uint64_t len)
{
	char *at = to;

	if (check_range(offset, len))
		return -EFBIG;
	while (len) {
		ssize_t n = pread(file->fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int disk_file__write(struct disk_file *file, uint64_t offset, const void *from, uint64_t len)
{
	const char *at = from;

	if (check_range(offset, len))
		return -EFBIG;
	while (len) {
		ssize_t n = pwrite(file->fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		at += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int disk_file__sync(struct disk_file *file)
{
	if (file->no_sync || file->read_only)
		return 0;
	return fdatasync(file->fd) ? -errno : 0;
}

static int change_space(struct disk_file *file, int mode, uint64_t offset, uint64_t len)
{
	int ret;

	do
		ret = fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
	while (ret && errno == EINTR);
	return ret ? -errno : 0;
}

static int change_blocks(struct disk_file *file, unsigned long request, uint64_t offset,
			 uint64_t len)
{
	uint64_t range[2] = { offset, len };

	if ((offset | len) & (file->logical_block - 1))
		return -EOPNOTSUPP;
	return sys__ioctl(file->fd, request, range);
}

int disk_file__discard(struct disk_file *file, uint64_t offset, uint64_t len)
{
	int ret = check_range(offset, len);

	if (ret)
		return ret;
	ret = file->is_block ? change_blocks(file, BLKDISCARD, offset, len)
			     : change_space(file, FALLOC_FL_PUNCH_HOLE, offset, len);
	/* A hint need not be taken. */
	return ret == -EOPNOTSUPP || ret == -ENOTTY ? 0 : ret;
}

static int write_zeroes(struct disk_file *file, uint64_t offset, uint64_t len)
{
	void *zeroes = NULL;
	int ret = 0;

	if (posix_memalign(&zeroes, DEFAULT_BLOCK, ZERO_CHUNK))
		return -ENOMEM;
	memset(zeroes, 0, ZERO_CHUNK);
	while (len && !ret) {
		struct iovec iov = { zeroes, len < ZERO_CHUNK ? (size_t)len : ZERO_CHUNK };
		struct iov_cursor at = { &iov, 1, 0 };

		ret = disk_file__writev(file, offset, &at, iov.iov_len);
		offset += iov.iov_len;
		len -= iov.iov_len;
	}
	free(zeroes);
	return ret;
}

int disk_file__zero(struct disk_file *file, uint64_t offset, uint64_t len, bool unmap)
{
	int ret = check_range(offset, len);

	if (ret)
		return ret;
	if (file->is_block) {
		ret = change_blocks(file, BLKZEROOUT, offset, len);
	} else {
		ret = unmap ? change_space(file, FALLOC_FL_PUNCH_HOLE, offset, len) : -EOPNOTSUPP;
		if (ret)
			ret = change_space(file, FALLOC_FL_ZERO_RANGE, offset, len);
	}
	return ret == -EOPNOTSUPP || ret == -ENOTTY ? write_zeroes(file, offset, len) : ret;
}

/* --- asynchronously ------------------------------------------------------------------------- */

static void finish(struct disk_io *io, int ret)
{
	if (io->bounce && io->op == DISK_READ && !ret) {
		struct iov_cursor to = { io->iov, io->nr_iov, 0 };

		iov_cursor__copy_to(&to, io->bounce, io->len);
	}
	free(io->bounce);
	io->bounce = NULL;
	io->done(io, ret);
}

static void run_job(struct disk_job *job)
{
	struct disk_io *io = CONTAINER_OF(job, struct disk_io, job);
	struct iov_cursor at = { io->iov, io->nr_iov, 0 };

	if (io->bounce)
		at = (struct iov_cursor){ &io->bounce_iov, 1, 0 };
	if (io->op == DISK_FLUSH)
		io->ret = disk_file__sync(io->file);
	else if (io->op == DISK_WRITE)
		io->ret = disk_file__writev(io->file, io->offset, &at, io->len);
	else
		io->ret = disk_file__readv(io->file, io->offset, &at, io->len);
}

static void job_done(struct disk_job *job)
{
	struct disk_io *io = CONTAINER_OF(job, struct disk_io, job);

	finish(io, io->ret);
}

static void run_in_thread(struct disk_io *io)
{
	io->job = (struct disk_job){ .run = run_job, .done = job_done };
	disk_pool__run(io->file->pool, &io->job);
}

void disk_io__complete(struct disk_io *io, long res)
{
	uint64_t want = io->op == DISK_FLUSH ? 0 : io->len;

	if (res >= 0 && (uint64_t)res == want)
		finish(io, 0);
	else if (res >= 0 || res == -EAGAIN || res == -EINTR || res == -EOPNOTSUPP ||
		 res == -EINVAL)
		run_in_thread(io);
	else
		finish(io, (int)res);
}

/* Bytes that are in the page cache need no thread. */
static bool read_cached(struct disk_io *io)
{
	ssize_t n;

	if (!io->file->nowait || io->len > INLINE_MAX || io->nr_iov > IOV_MAX)
		return false;
	n = preadv2(io->file->fd, io->iov, (int)io->nr_iov, (off_t)io->offset, RWF_NOWAIT);
	if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		io->file->nowait = false;
	return n >= 0 && (uint64_t)n == io->len;
}

/*
 * Copying into the page cache is quicker than waking a thread that does it, until there are too
 * many dirty pages and the writer has to wait: then threads do the next ones.
 */
static bool write_cached(struct disk_io *io)
{
	struct disk_file *file = io->file;
	struct iov_cursor at = { io->iov, io->nr_iov, 0 };
	struct timespec start, end;
	int64_t ns;

	if (io->len > INLINE_MAX)
		return false;
	if (file->slow_writes) {
		file->slow_writes--;
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	io->ret = disk_file__writev(file, io->offset, &at, io->len);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ns = (end.tv_sec - start.tv_sec) * 1000000000ll + end.tv_nsec - start.tv_nsec;
	if (ns > SLOW_WRITE_NS)
		file->slow_writes = SLOW_WRITES;
	return true;
}

/* For O_DIRECT, when the guest's buffers lie askew. */
static bool make_bounce(struct disk_io *io)
{
	size_t align = io->file->mem_align > sizeof(void *) ? io->file->mem_align : sizeof(void *);

	if (posix_memalign(&io->bounce, align, io->len)) {
		io->bounce = NULL;
		return false;
	}
	io->bounce_iov = (struct iovec){ io->bounce, io->len };
	if (io->op == DISK_WRITE) {
		struct iov_cursor from = { io->iov, io->nr_iov, 0 };

		iov_cursor__copy_from(&from, io->bounce, io->len);
	}
	return true;
}

static bool prepare(struct disk_file *file, struct disk_io *io)
{
	if (io->op == DISK_FLUSH)
		return true;
	io->buffered = !can_be_direct(file, io->offset, io->len);
	if (!io->buffered && !is_aligned(file, io->iov, io->nr_iov) && !make_bounce(io))
		io->buffered = true;
	return io->nr_iov <= IOV_MAX;
}

void disk_file__submit(struct disk_file *file, struct disk_io *io)
{
	int ret = io->op == DISK_FLUSH ? 0 : check_range(io->offset, io->len);

	io->file = file;
	io->bounce = NULL;
	if (ret || (io->op == DISK_FLUSH && (file->no_sync || file->read_only))) {
		io->done(io, ret);
		return;
	}
	if (!prepare(file, io)) {
		run_in_thread(io);
		return;
	}
	if (io->op == DISK_READ && io->buffered && read_cached(io)) {
		finish(io, 0);
		return;
	}
	if (io->op == DISK_WRITE && file->direct_fd < 0 && write_cached(io)) {
		finish(io, io->ret);
		return;
	}
	if (!file->engine || !file->engine->ops->queue(file->engine, io))
		run_in_thread(io);
}
