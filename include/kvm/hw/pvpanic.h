/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pvpanic: the port on which a guest kernel reports that it has panicked.
 */
#ifndef KVM_HW_PVPANIC_H
#define KVM_HW_PVPANIC_H

#include <stdint.h>

struct device;
struct device_host;

/**
 * pvpanic__create - the ISA variant
 * @port: its only port (0x505, as the ACPI tables must say: QEMU0001)
 *
 * A panic reports FATE_PANIC. A guest that says it has loaded a crash kernel is left to run it.
 *
 * Return: the device, or NULL without memory.
 */
struct device *pvpanic__create(const struct device_host *host, uint16_t port);

#endif
