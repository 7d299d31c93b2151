/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Register data as a bus access carries it: 1 to 8 bytes, little-endian, not aligned.
 */
#ifndef KVM_HW_IO_H
#define KVM_HW_IO_H

#include <stdint.h>

/**
 * io__get - the value of a write
 * @len: 1 to 8
 */
static inline uint64_t io__get(const void *data, uint32_t len)
{
	const uint8_t *bytes = data;
	uint64_t value = 0;

	for (uint32_t i = 0; i < len; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

/**
 * io__put - the answer to a read; what of @value does not fit @len is cut off
 * @len: 1 to 8
 */
static inline void io__put(void *data, uint32_t len, uint64_t value)
{
	uint8_t *bytes = data;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

#endif
