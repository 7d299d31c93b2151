/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a device: realize → (reset)* → save/restore → unrealize.
 *
 * The board makes each device with its own constructor (serial__create() and the like) and puts it
 * into the machine's list with device__add(), which realizes it. They are reset together in order
 * of the list, saved in that order, and unrealized in reverse.
 */
#ifndef KVM_DEVICE_H
#define KVM_DEVICE_H

#include <stddef.h>
#include <stdint.h>

struct bus;
struct irq_router;
struct guest_memory;
struct event_loop;
struct vm_fate;
struct device;
struct state_writer;
struct state_reader;

/**
 * struct device_host - all that a device may know of the machine around it
 * @bus:   where it answers
 * @irq:   where its lines and messages go
 * @ram:   guest memory, for DMA
 * @loop:  where its back ends wait
 * @fate:  where it says that the machine shall end or reset
 */
struct device_host {
	struct bus *bus;
	struct irq_router *irq;
	struct guest_memory *ram;
	struct event_loop *loop;
	struct vm_fate *fate;
};

/**
 * struct device_ops - what a kind of device can do; NULL where there is nothing to do
 * @kind:      name of the kind, as in messages and state files ("serial")
 * @realize:   claim addresses, lines, descriptors; 0 or negative errno (printed); undoes its own
 * part on failure
 * @reset:     to power-on state; runs before the first vCPU and at the pause barrier
 * @save:      write state; runs at the pause barrier
 * @restore:   read state; -EINVAL/-ENODATA (printed) leaves the device reset
 * @unrealize: release all that realize claimed and free the device itself
 */
struct device_ops {
	const char *kind;
	int (*realize)(struct device *dev);
	void (*reset)(struct device *dev);
	int (*save)(struct device *dev, struct state_writer *out);
	int (*restore)(struct device *dev, struct state_reader *in);
	void (*unrealize)(struct device *dev);
};

/**
 * struct device - embedded first in each device
 * @ops:  its kind
 * @host: the machine around it
 * @name: unique in the machine ("serial0"); owned by the list after device__add()
 * @next: in the list
 */
struct device {
	const struct device_ops *ops;
	const struct device_host *host;
	char name[24];
	struct device *next;
};

/**
 * struct device_list - the devices of a machine in the order in which the board added them
 */
struct device_list {
	struct device *first, *last;
};

/**
 * device__add - realize @dev and append it to the list
 * @dev: from a constructor; NULL (its constructor found no memory) gives -ENOMEM
 *
 * On failure @dev has been freed by its unrealize().
 *
 * Return: 0 or negative errno.
 */
int device__add(struct device_list *list, struct device *dev);

/**
 * device_list__reset - power-on state for all, in order
 */
void device_list__reset(struct device_list *list);

/**
 * device_list__save, device_list__restore - state of all, in order
 *
 * Return: 0 or the first device's negative errno.
 */
int device_list__save(struct device_list *list, struct state_writer *out);
int device_list__restore(struct device_list *list, struct state_reader *in);

/**
 * device_list__unrealize - tear all down in reverse order; the list is empty afterwards
 */
void device_list__unrealize(struct device_list *list);

/**
 * device_list__find - by name, or NULL
 */
struct device *device_list__find(const struct device_list *list, const char *name);

#endif
