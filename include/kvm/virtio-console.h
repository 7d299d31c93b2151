/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console device: terminals (hvc0, …) and named channels (/dev/virtio-ports/NAME) over
 * chardevs.
 */
#ifndef KVM_VIRTIO_CONSOLE_H
#define KVM_VIRTIO_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_CONSOLE_MAX_PORTS 31

struct chardev;
struct device_host;
struct virtio_device;

/**
 * struct virtio_console_port - one port
 * @chr:     its back end, which stays the caller's and must outlive the device
 * @name:    of a channel, or NULL; at most 63 characters; copied
 * @console: a terminal and not a channel
 */
struct virtio_console_port {
	struct chardev *chr;
	const char *name;
	bool console;
};

/**
 * struct virtio_console_options - what the board decides about a console device
 * @index:      of several; its name is "console" and this
 * @ports:      port 0 is the one for drivers that know no more than one
 * @nr_ports:   1 to VIRTIO_CONSOLE_MAX_PORTS; a single console without a name needs no MULTIPORT
 * @cols, @rows: size of the terminal of port 0; 0 if unknown
 */
struct virtio_console_options {
	unsigned int index;
	const struct virtio_console_port *ports;
	unsigned int nr_ports;
	uint16_t cols, rows;
};

/**
 * virtio_console__create - a console device (Virtio 1.2, section 5.3)
 *
 * Return: the device, for a transport; NULL without memory or with impossible options.
 */
struct virtio_device *virtio_console__create(const struct device_host *host,
					     const struct virtio_console_options *options);

/**
 * virtio_console__resize - the terminal of port 0 has another size
 * @dev: from virtio_console__create()
 *
 * Any thread but one that holds a lock of the device.
 */
void virtio_console__resize(struct virtio_device *dev, uint16_t cols, uint16_t rows);

#endif
