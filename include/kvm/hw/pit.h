/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 8254 timer and system control port B (0x61), for VMs whose KVM has none (split and off).
 */
#ifndef KVM_HW_PIT_H
#define KVM_HW_PIT_H

struct device;
struct device_host;

/**
 * pit__create - three counters at 0x40, of which the first drives an interrupt line, and port 0x61
 * @gsi: interrupt line of counter 0
 *
 * Return: the device, or NULL without memory.
 */
struct device *pit__create(const struct device_host *host, unsigned int gsi);

#endif
