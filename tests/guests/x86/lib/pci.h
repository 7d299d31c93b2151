/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI configuration space, by ports 0xcf8/0xcfc and by ECAM.
 */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include "cpu.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc
#define PCI_ENABLE  0x80000000u

#define PCI_ID		0x00
#define PCI_COMMAND	0x04
#define PCI_STATUS	0x06
#define PCI_CLASS	0x08
#define PCI_HEADER_TYPE 0x0e
#define PCI_BAR0	0x10
#define PCI_CAPS	0x34
#define PCI_IRQ_LINE	0x3c
#define PCI_IRQ_PIN	0x3d

#define PCI_COMMAND_IO		 0x1
#define PCI_COMMAND_MEMORY	 0x2
#define PCI_COMMAND_MASTER	 0x4
#define PCI_COMMAND_INTX_DISABLE 0x400
#define PCI_STATUS_INTX		 0x08
#define PCI_STATUS_CAPS		 0x10
#define PCI_HEADER_MULTI	 0x80
#define PCI_CLASS_HOST_BRIDGE	 0x0600

#define PCI_CAP_MSI	 0x05
#define MSI_CONTROL	 2
#define MSI_ADDRESS	 4
#define MSI_ENABLE	 0x1
#define MSI_64BIT	 0x80
#define MSI_ADDRESS_BASE 0xfee00000u

/** PCI_FUNCTION - bus, slot and function as one number */
#define PCI_FUNCTION(bus, slot, function) ((unsigned int)((bus) << 8 | (slot) << 3 | (function)))

uint32_t pci_read32(unsigned int function, unsigned int reg);
uint16_t pci_read16(unsigned int function, unsigned int reg);
uint8_t pci_read8(unsigned int function, unsigned int reg);
void pci_write32(unsigned int function, unsigned int reg, uint32_t value);
void pci_write16(unsigned int function, unsigned int reg, uint16_t value);
void pci_write8(unsigned int function, unsigned int reg, uint8_t value);

/** pci_next - the next function there is on bus 0, from @function on; -1: there is none */
int pci_next(unsigned int function);

/** pci_find - the first function of bus 0 with these ids (device << 16 | vendor); -1: none */
int pci_find(uint32_t id);

/** pci_capability - offset of a capability; 0: it has none */
uint8_t pci_capability(unsigned int function, uint8_t id);

/** pci_command - change bits of the command register */
void pci_command(unsigned int function, uint16_t clear, uint16_t set);

#endif
