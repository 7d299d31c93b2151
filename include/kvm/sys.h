/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one thin layer between lkvm and the kernel: each function is one system call whose error
 * comes back as negative errno. Unit tests put a scripted stand-in behind it (the linker's --wrap),
 * so code that talks to KVM, VFIO or files goes through here and nowhere else.
 */
#ifndef KVM_SYS_H
#define KVM_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * sys__ioctl - ioctl(2)
 * @arg: pointer, or an integer cast to one; NULL is 0
 *
 * Return: what the ioctl returns (≥ 0), or negative errno. EINTR is not retried.
 */
int sys__ioctl(int fd, unsigned long request, void *arg);

/**
 * sys__ioctl_val - ioctl(2) whose argument is an integer
 */
int sys__ioctl_val(int fd, unsigned long request, unsigned long val);

/**
 * sys__open - open(2) with O_CLOEXEC; mode 0600 for what it creates
 *
 * Return: a descriptor or negative errno.
 */
int sys__open(const char *path, int flags);

/**
 * sys__close - close(2); a negative @fd is harmless
 */
void sys__close(int fd);

/**
 * sys__mmap - mmap(2); @addr is always chosen by the kernel
 * @out: receives the address
 *
 * Return: 0 or negative errno.
 */
int sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out);

/**
 * sys__munmap - munmap(2); NULL is harmless
 */
void sys__munmap(void *addr, size_t len);

/**
 * sys__eventfd - eventfd(2), non-blocking, close-on-exec, initially 0
 *
 * Return: a descriptor or negative errno.
 */
int sys__eventfd(void);

#endif
