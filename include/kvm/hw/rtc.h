/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real-time clock and its battery-backed memory, as in a PC.
 */
#ifndef KVM_HW_RTC_H
#define KVM_HW_RTC_H

#include <stdint.h>

struct device;
struct device_host;

/**
 * struct rtc_config - what the board decides about its clock
 * @gsi:      interrupt line
 * @century:  which byte of the memory holds the century (as the FADT says; usually 0x32); 0 for
 * none
 * @low_ram:  bytes of RAM below 4 GiB, for the memory sizes that firmware leaves there
 * @high_ram: bytes of RAM above 4 GiB
 */
struct rtc_config {
	unsigned int gsi;
	uint8_t century;
	uint64_t low_ram, high_ram;
};

/**
 * rtc__create - MC146818 at ports 0x70 and 0x71, set to the host's time in UTC
 *
 * A guest that sets it changes its own view only, and follows the host's clock from there.
 *
 * Return: the device, or NULL without memory.
 */
struct device *rtc__create(const struct device_host *host, const struct rtc_config *cfg);

#endif
