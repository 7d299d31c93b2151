/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edu: a PCI device made for learning and for tests, register-compatible with QEMU's
 * (docs/specs/edu.rst there).
 */
#ifndef KVM_HW_EDU_H
#define KVM_HW_EDU_H

#include <stdbool.h>
#include <stdint.h>

struct device;
struct device_host;
struct pci_host;

#define EDU_DMA_MASK 0x0fffffffull /* 28 bits */

/**
 * struct edu_config - variants
 * @index:    0 … for its name, "edu0" …
 * @devfn:    PCI_DEVFN(slot, function), or PCI_ANY_DEVFN
 * @dma_mask: address bits that its DMA engine drives; 0 for EDU_DMA_MASK
 * @masking:  its MSI can be masked per vector (QEMU's cannot)
 */
struct edu_config {
	unsigned int index;
	int devfn;
	uint64_t dma_mask;
	bool masking;
};

/**
 * edu__create - PCI device 1234:11e8
 *
 *	0x00 identification (r)         0x60 raise interrupt (w)     0x88 DMA destination (rw)
 *	0x04 liveness: inverts (rw)     0x64 acknowledge (w)         0x90 DMA count (rw)
 *	0x08 factorial (rw)             0x80 DMA source (rw)         0x98 DMA command (rw)
 *	0x20 status (rw)                                             0x40000 DMA buffer, 4096 bytes
 *	0x24 interrupt status (r)
 *
 * Registers below 0x80 take accesses of 4 bytes, the others of 4 or 8.
 *
 * Return: the device, or NULL without memory.
 */
struct device *edu__create(struct pci_host *pci, const struct edu_config *cfg);

#endif
