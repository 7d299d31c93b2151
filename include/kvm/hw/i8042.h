/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keyboard controller with a keyboard nobody types on, and system control port A (0x92).
 */
#ifndef KVM_HW_I8042_H
#define KVM_HW_I8042_H

struct device;
struct device_host;

/**
 * i8042__create - ports 0x60, 0x64 and 0x92
 * @gsi: the keyboard's interrupt line
 *
 * Both ways of resetting a PC from here (pulse of output line 0, fast reset) report FATE_RESET.
 *
 * Return: the device, or NULL without memory.
 */
struct device *i8042__create(const struct device_host *host, unsigned int gsi);

#endif
