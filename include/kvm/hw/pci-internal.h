/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hw/pci.c and hw/pci-msi.c tell each other.
 */
#ifndef KVM_HW_PCI_INTERNAL_H
#define KVM_HW_PCI_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

struct pci_device;
struct pci_host;

/**
 * pci_host__has_msi - whether messages reach anybody
 */
bool pci_host__has_msi(const struct pci_host *pci);

/**
 * pci_config__touches - whether an access to @len bytes at @offset meets @size bytes at @reg
 */
static inline bool pci_config__touches(uint32_t offset, uint32_t len, uint32_t reg, uint32_t size)
{
	return offset < reg + size && reg < offset + len;
}

/**
 * pci_msi__config_written - the guest wrote to configuration space; under the configuration lock
 *
 * All of these are harmless on a device without messages.
 */
void pci_msi__config_written(struct pci_device *dev, uint32_t offset, uint32_t len);

/**
 * pci_msi__config_reading - the guest is about to read it: bring pending bits up to date
 */
void pci_msi__config_reading(struct pci_device *dev, uint32_t offset, uint32_t len);

/**
 * pci_msi__reset - nothing pending, everything masked; configuration space has been reset already
 */
void pci_msi__reset(struct pci_device *dev);

/**
 * pci_msi__destroy - release descriptors, routes and memory
 */
void pci_msi__destroy(struct pci_device *dev);

#endif
