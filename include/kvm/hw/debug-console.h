/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug console: a port whose bytes go straight out, as Bochs and QEMU have at 0xe9.
 */
#ifndef KVM_HW_DEBUG_CONSOLE_H
#define KVM_HW_DEBUG_CONSOLE_H

#include <stdint.h>

struct chardev;
struct device;
struct device_host;

/**
 * debug_console__create - one port; it reads as 0xe9, which is how a guest finds it
 * @port: 0xe9
 * @chr:  where bytes go; stays the caller's
 *
 * Return: the device, or NULL without memory.
 */
struct device *debug_console__create(const struct device_host *host, uint16_t port,
				     struct chardev *chr);

#endif
