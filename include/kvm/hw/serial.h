/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16550A serial port.
 */
#ifndef KVM_HW_SERIAL_H
#define KVM_HW_SERIAL_H

#include <stdint.h>

struct chardev;
struct device;
struct device_host;

/**
 * struct serial_config - one port
 * @index: 0 … for its name, "serial0" …
 * @port:  first of its eight I/O ports
 * @gsi:   interrupt line, which other ports may share
 * @chr:   what it is connected to, or NULL: output is lost and nothing comes in
 */
struct serial_config {
	unsigned int index;
	uint16_t port;
	unsigned int gsi;
	struct chardev *chr;
};

/**
 * serial__create - a port as the PC16550D data sheet describes it
 *
 * Return: the device, or NULL without memory.
 */
struct device *serial__create(const struct device_host *host, const struct serial_config *cfg);

#endif
