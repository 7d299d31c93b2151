/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pair of 8259A interrupt controllers of a PC, for VMs whose KVM has none (split and off).
 */
#ifndef KVM_HW_PIC_H
#define KVM_HW_PIC_H

#include <stdbool.h>
#include <stdint.h>

struct device;
struct device_host;

/**
 * typedef pic_output_fn - the master's INT pin, which goes to the boot processor, has changed
 * @level: true: an interrupt waits for pic__ack()
 *
 * Runs with the controllers locked, in whatever thread made the change: it may note the level and
 * kick a vCPU, but call no pic__ function.
 */
typedef void (*pic_output_fn)(void *ctx, bool level);

/**
 * pic__create - master at 0x20, slave at 0xa0 on its input 2, edge/level control at 0x4d0
 *
 * Return: the device, or NULL without memory.
 */
struct device *pic__create(const struct device_host *host, pic_output_fn output, void *ctx);

/**
 * pic__set_irq - drive an input; any thread
 * @dev: from pic__create()
 * @irq: 0 to 15; 2 and what is beyond 15 are ignored
 */
void pic__set_irq(struct device *dev, unsigned int irq, bool level);

/**
 * pic__pending - the level of the INT pin
 */
bool pic__pending(struct device *dev);

/**
 * pic__ack - the processor acknowledges (INTA)
 *
 * Return: the vector; that of input 7 if there is nothing to acknowledge (any more).
 */
uint8_t pic__ack(struct device *dev);

#endif
