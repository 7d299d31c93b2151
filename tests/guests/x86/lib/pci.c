// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PCI configuration space by ports (PCI 3.0, 3.2.2.3.2).
 */
#include "pci.h"

static void select_register(unsigned int function, unsigned int reg)
{
	outl(PCI_ADDRESS, PCI_ENABLE | function << 8 | (reg & 0xfc));
}

uint32_t pci_read32(unsigned int function, unsigned int reg)
{
	select_register(function, reg);
	return inl(PCI_DATA);
}

uint16_t pci_read16(unsigned int function, unsigned int reg)
{
	select_register(function, reg);
	return inw((uint16_t)(PCI_DATA + (reg & 2)));
}

uint8_t pci_read8(unsigned int function, unsigned int reg)
{
	select_register(function, reg);
	return inb((uint16_t)(PCI_DATA + (reg & 3)));
}

void pci_write32(unsigned int function, unsigned int reg, uint32_t value)
{
	select_register(function, reg);
	outl(PCI_DATA, value);
}

void pci_write16(unsigned int function, unsigned int reg, uint16_t value)
{
	select_register(function, reg);
	outw((uint16_t)(PCI_DATA + (reg & 2)), value);
}

void pci_write8(unsigned int function, unsigned int reg, uint8_t value)
{
	select_register(function, reg);
	outb((uint16_t)(PCI_DATA + (reg & 3)), value);
}

int pci_next(unsigned int function)
{
	for (; function < 256; function++) {
		unsigned int first = function & ~7u;

		if (pci_read16(first, PCI_ID) == 0xffff ||
		    (function != first &&
		     !(pci_read8(first, PCI_HEADER_TYPE) & PCI_HEADER_MULTI))) {
			function |= 7; /* the slot has no more */
			continue;
		}
		if (pci_read16(function, PCI_ID) != 0xffff)
			return (int)function;
	}
	return -1;
}

int pci_find(uint32_t id)
{
	int function = pci_next(0);

	while (function >= 0 && pci_read32((unsigned int)function, PCI_ID) != id)
		function = pci_next((unsigned int)function + 1);
	return function;
}

uint8_t pci_capability(unsigned int function, uint8_t id)
{
	uint8_t at;

	if (!(pci_read16(function, PCI_STATUS) & PCI_STATUS_CAPS))
		return 0;
	at = pci_read8(function, PCI_CAPS) & 0xfc;
	for (unsigned int i = 0; at && i < 48; i++) {
		if (pci_read8(function, at) == id)
			return at;
		at = pci_read8(function, at + 1u) & 0xfc;
	}
	return 0;
}

void pci_command(unsigned int function, uint16_t clear, uint16_t set)
{
	uint16_t command = pci_read16(function, PCI_COMMAND);

	pci_write16(function, PCI_COMMAND, (uint16_t)((command & ~clear) | set));
}
