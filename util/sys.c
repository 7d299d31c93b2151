// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System calls with errors as negative errno; the seam at which tests stand in for the kernel.
 */
#include "kvm/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int sys__ioctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int sys__ioctl_val(int fd, unsigned long request, unsigned long val)
{
	return sys__ioctl(fd, request, (void *)val);
}

int sys__open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

void sys__close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	void *addr = mmap(NULL, len, prot, flags, fd, offset);

	if (addr == MAP_FAILED)
		return -errno;
	*out = addr;
	return 0;
}

void sys__munmap(void *addr, size_t len)
{
	if (addr)
		munmap(addr, len);
}

int sys__eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}
