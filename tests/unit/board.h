/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A board for unit tests of its devices: a real bus, interrupt lines that are written down, no KVM.
 */
#ifndef TESTS_UNIT_BOARD_H
#define TESTS_UNIT_BOARD_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/event.h"
#include "kvm/fate.h"
#include "kvm/hw/io.h"
#include "kvm/irq.h"
#include "kvm/memory.h"
#include "test.h"

#define BOARD_NR_LINES 32

/**
 * struct board - the machine around a device
 * @level: of each line
 * @rises: how often each line has gone from low to high
 */
struct board {
	struct device_host host;
	struct device_list devices;
	struct guest_memory ram;
	bool level[BOARD_NR_LINES];
	unsigned int rises[BOARD_NR_LINES];
};

static inline void board__on_line(void *ctx, unsigned int gsi, bool level)
{
	struct board *board = ctx;

	assert_true(gsi < BOARD_NR_LINES);
	assert_int_not_equal(board->level[gsi], level);
	board->level[gsi] = level;
	board->rises[gsi] += level;
}

static inline void board__init(struct board *board)
{
	memset(board, 0, sizeof(*board));
	guest_memory__init(&board->ram);
	board->host.bus = bus__create(NULL, NULL);
	board->host.irq = irq__create(NULL);
	board->host.ram = &board->ram;
	board->host.loop = event_loop__create();
	board->host.fate = fate__create(board->host.loop);
	assert_non_null(board->host.bus);
	assert_non_null(board->host.irq);
	assert_non_null(board->host.fate);
	irq__set_sink(board->host.irq, board__on_line, board);
}

/* Tear down; a device that leaves a port claimed is caught here. */
static inline void board__destroy(struct board *board)
{
	device_list__unrealize(&board->devices);
	for (uint32_t port = 0; port <= 0xffff; port++)
		assert_null(bus__find(board->host.bus, BUS_PIO, port));
	fate__destroy(board->host.fate);
	event_loop__destroy(board->host.loop);
	irq__destroy(board->host.irq);
	bus__destroy(board->host.bus);
}

/* Put a device on the board and reset it, as a machine does before it starts. */
static inline struct device *board__add(struct board *board, struct device *dev)
{
	assert_non_null(dev);
	assert_int_equal(device__add(&board->devices, dev), 0);
	assert_ptr_equal(device_list__find(&board->devices, dev->name), dev);
	assert_int_not_equal(dev->name[0], 0);
	if (dev->ops->reset)
		dev->ops->reset(dev);
	return dev;
}

static inline uint32_t board__in(struct board *board, uint16_t port, uint32_t len)
{
	uint8_t data[8];

	bus__read(board->host.bus, BUS_PIO, port, data, len);
	return (uint32_t)io__get(data, len);
}

static inline void board__out(struct board *board, uint16_t port, uint32_t len, uint32_t value)
{
	uint8_t data[8];

	io__put(data, len, value);
	bus__write(board->host.bus, BUS_PIO, port, data, len);
}

static inline uint8_t inb(struct board *board, uint16_t port)
{
	return (uint8_t)board__in(board, port, 1);
}

static inline void outb(struct board *board, uint16_t port, uint8_t value)
{
	board__out(board, port, 1, value);
}

static inline uint64_t board__load(struct board *board, uint64_t gpa, uint32_t len)
{
	uint8_t data[8];

	bus__read(board->host.bus, BUS_MMIO, gpa, data, len);
	return io__get(data, len);
}

static inline void board__store(struct board *board, uint64_t gpa, uint32_t len, uint64_t value)
{
	uint8_t data[8];

	io__put(data, len, value);
	bus__write(board->host.bus, BUS_MMIO, gpa, data, len);
}

/* Every width at every offset of a region, both ways, with every kind of value. */
static inline void board__hammer(struct board *board, enum bus_space space, uint64_t base,
				 uint64_t size)
{
	static const uint64_t values[] = { 0,
					   UINT64_MAX,
					   0x8000000080000000,
					   0x0123456789abcdef,
					   0x5555555555555555,
					   0xaaaaaaaaaaaaaaaa };
	uint8_t data[8];

	for (unsigned int v = 0; v < ARRAY_SIZE(values); v++) {
		for (uint64_t at = 0; at < size; at++) {
			for (uint32_t len = 1; len <= 8; len++) {
				io__put(data, 8, values[v] + at);
				bus__write(board->host.bus, space, base + at, data, len);
				bus__read(board->host.bus, space, base + at, data, len);
			}
		}
	}
}

#endif
