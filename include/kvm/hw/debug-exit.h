/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * debug-exit: a port with which a test guest ends the machine and chooses its exit status.
 */
#ifndef KVM_HW_DEBUG_EXIT_H
#define KVM_HW_DEBUG_EXIT_H

#include <stdint.h>

struct device;
struct device_host;

/**
 * debug_exit__create - four ports, any write to which reports FATE_GUEST_EXIT
 * @port: the first of them (0xf4)
 *
 * The status is (value << 1 | 1) & 0xff, as with QEMU's isa-debug-exit: never 0.
 *
 * Return: the device, or NULL without memory.
 */
struct device *debug_exit__create(const struct device_host *host, uint16_t port);

#endif
