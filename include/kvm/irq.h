/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts: lines (GSIs) shared by devices, MSI routes, and the irqfds that deliver both.
 *
 * A device gets an irq_line for its pin and an msi_route for each message; it never sees an
 * interrupt controller. The board says where lines go (KVM's irqchip, or a model in user space).
 */
#ifndef KVM_IRQ_H
#define KVM_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct irq_router;
struct kvm;

/**
 * typedef irq_set_gsi_fn - drive a line of the board
 * @ctx:   as given to irq__set_sink()
 * @gsi:   line number
 * @level: true while asserted
 */
typedef void (*irq_set_gsi_fn)(void *ctx, unsigned int gsi, bool level);

/**
 * struct irq_line - one device's pin on a line that others may share
 * @router: where it is wired to
 * @gsi:    line number
 * @level:  what this device asserts (owned by irq.c)
 *
 * The line is high while any device asserts it (wired OR).
 */
struct irq_line {
	struct irq_router *router;
	unsigned int gsi;
	bool level;
};

/**
 * struct msi_message - what a device would write to signal an interrupt
 * @address: bus address (x86: 0xfee….; in an IOMMU-less guest also the guest-physical address)
 * @data:    value
 * @devid:   requester id for controllers that look at it (KVM_MSI_VALID_DEVID); 0 otherwise
 */
struct msi_message {
	uint64_t address;
	uint32_t data;
	uint32_t devid;
};

/**
 * irq__create - the routing table of a VM
 * @kvm: the VM, whose fd gets KVM_SET_GSI_ROUTING, KVM_IRQFD and KVM_SIGNAL_MSI
 *
 * Return: the router or NULL without memory.
 */
struct irq_router *irq__create(struct kvm *kvm);

/**
 * irq__destroy - free it; NULL is harmless
 */
void irq__destroy(struct irq_router *router);

/**
 * irq__set_sink - where lines go: the arch's interrupt controller
 *
 * Until it is set, line changes are only remembered. Set before devices are realized.
 */
void irq__set_sink(struct irq_router *router, irq_set_gsi_fn fn, void *ctx);

/**
 * typedef irq_translate_fn - from the message a guest has programmed to the one that KVM understands
 * @ctx: as given to irq__set_translation()
 * @msg: changed in place
 *
 * Return: false if it reaches no interrupt controller, whatever the guest wanted by it: it is dropped.
 */
typedef bool (*irq_translate_fn)(const void *ctx, struct msi_message *msg);

/**
 * irq__set_translation - how this board's messages become KVM's; without, they are the same
 */
void irq__set_translation(struct irq_router *router, irq_translate_fn fn, const void *ctx);

/**
 * irq__set_msi_range - GSIs for messages
 * @first:   lowest GSI that MSI routes may use (lines and controller pins are below)
 * @nr_gsis: KVM_CAP_IRQ_ROUTING's answer: how many GSIs there are; 0 where there is no routing
 */
void irq__set_msi_range(struct irq_router *router, unsigned int first, unsigned int nr_gsis);

/**
 * irq_line__init - wire a device's pin to line @gsi
 */
void irq_line__init(struct irq_line *line, struct irq_router *router, unsigned int gsi);

/**
 * irq_line__set - assert or deassert the pin; any thread; cheap if nothing changes
 */
void irq_line__set(struct irq_line *line, bool level);

/**
 * irq_line__pulse - assert and deassert, for edge-triggered users
 */
void irq_line__pulse(struct irq_line *line);

/* A fixed route (an irqchip pin) is added once by the board; routes of MSIs come and go. */

/**
 * irq__add_pin_route - route a GSI to a pin of an in-kernel interrupt controller
 * @irqchip: KVM_IRQCHIP_PIC_MASTER… (x86)
 *
 * Takes effect with the next irq__commit().
 *
 * Return: 0 or -ENOMEM.
 */
int irq__add_pin_route(struct irq_router *router, unsigned int gsi, unsigned int irqchip,
		       unsigned int pin);

/**
 * irq__set_msi_route - make @gsi, a line of a user-space controller, deliver a message
 * @msg: what to deliver, or NULL to have the GSI deliver nothing
 *
 * For the split irqchip's I/O APIC, whose pins are MSI routes. Takes effect at once if the table
 * has been committed before, and not at all if nothing changed.
 *
 * Return: 0 or negative errno of KVM_SET_GSI_ROUTING, printed.
 */
int irq__set_msi_route(struct irq_router *router, unsigned int gsi, const struct msi_message *msg);

/**
 * irq__commit - hand the table to KVM (KVM_SET_GSI_ROUTING)
 *
 * Return: 0 or negative errno, printed.
 */
int irq__commit(struct irq_router *router);

/**
 * irq__alloc_msi - a GSI of its own for a message, routed at once
 *
 * May be called while vCPUs run.
 *
 * Return: the GSI; -ENOSPC when KVM's GSIs are used up; negative errno of KVM_SET_GSI_ROUTING.
 */
int irq__alloc_msi(struct irq_router *router, const struct msi_message *msg);

/**
 * irq__update_msi - change the message of a GSI from irq__alloc_msi(); a no-op if it is the same
 *
 * Return: 0 or negative errno.
 */
int irq__update_msi(struct irq_router *router, unsigned int gsi, const struct msi_message *msg);

/**
 * irq__free_msi - give the GSI back; its irqfd must have been removed
 */
void irq__free_msi(struct irq_router *router, unsigned int gsi);

/**
 * irq__signal_msi - deliver a message without a route (KVM_SIGNAL_MSI)
 *
 * Return: negative errno; 0 if a masked or absent destination dropped it; positive if delivered.
 */
int irq__signal_msi(struct irq_router *router, const struct msi_message *msg);

/**
 * irq__add_irqfd - have KVM raise @gsi whenever @fd is signalled
 * @resamplefd: -1, or an eventfd that KVM signals at the guest's EOI of a level-triggered GSI
 *
 * Return: 0 or negative errno (-EINVAL where the host has no irqfd resample).
 */
int irq__add_irqfd(struct irq_router *router, unsigned int gsi, int fd, int resamplefd);

/**
 * irq__remove_irqfd - the reverse
 */
void irq__remove_irqfd(struct irq_router *router, unsigned int gsi, int fd);

#endif
