/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MP table (MultiProcessor Specification 1.4), which ACPI's MADT superseded.
 */
#ifndef GUEST_MP_H
#define GUEST_MP_H

#include "cpu.h"

/**
 * mp_read - APIC IDs of the processors that an MP table names
 * @ids: receives up to @max
 *
 * Return: how many; 0 if there is no intact table.
 */
unsigned int mp_read(uint32_t *ids, unsigned int max);

#endif
