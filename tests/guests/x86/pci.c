// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Configuration space: what ports 0xcf8/0xcfc show, what ECAM shows, and that it is the same.
 */
#include "pci.h"
#include "acpi.h"

#define CONFIG_DWORDS	64
#define MAX_FUNCTIONS	256
#define ECAM_FUNCTION	4096ull
#define ECAM_BUS	0x100000ull
#define EXTENDED_CONFIG 0x100

static uint64_t ecam;

static uint64_t ecam_at(unsigned int function, unsigned int reg)
{
	return ecam + function * ECAM_FUNCTION + reg;
}

static unsigned int enumerate(void)
{
	unsigned int count = 0;

	for (int function = pci_next(0); function >= 0;
	     function = pci_next((unsigned int)function + 1)) {
		uint32_t id = pci_read32((unsigned int)function, PCI_ID);

		put("# 00:%x.%u %x:%x class %x\n", (unsigned int)function >> 3,
		    (unsigned int)function & 7, id & 0xffff, id >> 16,
		    pci_read32((unsigned int)function, PCI_CLASS) >> 8);
		count++;
	}
	return count;
}

static void check_ports(void)
{
	uint32_t id = pci_read32(0, PCI_ID);
	uint32_t by_words = pci_read16(0, PCI_ID) | (uint32_t)pci_read16(0, PCI_ID + 2) << 16;
	uint32_t by_bytes = 0;

	for (unsigned int i = 0; i < 4; i++)
		by_bytes |= (uint32_t)pci_read8(0, PCI_ID + i) << 8 * i;
	CHECK(id != 0xffffffff && id != 0, "there is a function 00:00.0");
	CHECK_EQ(pci_read16(0, PCI_CLASS + 2), PCI_CLASS_HOST_BRIDGE, "it is the host bridge");
	CHECK_EQ(by_words, id, "0xcfc and 0xcfe read its words");
	CHECK_EQ(by_bytes, id, "0xcfc to 0xcff read its bytes");

	outl(PCI_ADDRESS, PCI_ENABLE | 0x3c);
	CHECK_EQ(inl(PCI_ADDRESS), PCI_ENABLE | 0x3c, "0xcf8 reads back");
	outb(PCI_ADDRESS, 0);
	CHECK_EQ(inl(PCI_ADDRESS), PCI_ENABLE | 0x3c, "a byte written to 0xcf8 does not change it");
	outl(PCI_ADDRESS, 0);
	CHECK_EQ(inl(PCI_DATA), 0xffffffff, "without the enable bit 0xcfc reads all ones");
	CHECK_EQ(inw(PCI_DATA + 2), 0xffff, "and 0xcfe");
	pci_write32(0, PCI_ID, 0);
	CHECK_EQ(pci_read32(0, PCI_ID), id, "ids are read-only");
}

static void check_absent(void)
{
	unsigned int wrong = 0, absent = 0;

	for (unsigned int function = 0; function < MAX_FUNCTIONS; function += 8) {
		if (pci_read16(function, PCI_ID) != 0xffff)
			continue;
		absent++;
		for (unsigned int reg = 0; reg < 16 * 4; reg += 4)
			wrong += pci_read32(function, reg) != 0xffffffff;
		pci_write32(function, PCI_BAR0, 0);
		wrong += pci_read8(function, PCI_BAR0) != 0xff;
	}
	CHECK(absent, "there are empty slots");
	CHECK_EQ(wrong, 0, "an empty slot reads all ones");
	CHECK_EQ(pci_read32(PCI_FUNCTION(255, 31, 7), PCI_ID), 0xffffffff,
		 "a bus that is not there reads all ones");
}

static void check_same(void)
{
	unsigned int different = 0;

	for (unsigned int function = 0; function < MAX_FUNCTIONS; function++)
		different += mmio_read32(ecam_at(function, PCI_ID)) != pci_read32(function, PCI_ID);
	CHECK_EQ(different, 0, "ECAM has the same functions");
	for (int next = pci_next(0); next >= 0; next = pci_next((unsigned int)next + 1)) {
		unsigned int function = (unsigned int)next;

		for (unsigned int reg = 0; reg < CONFIG_DWORDS * 4; reg += 4) {
			uint32_t port = pci_read32(function, reg);
			uint32_t window = mmio_read32(ecam_at(function, reg));

			if (port != window) {
				put("# 00:%x.%u register 0x%x: 0x%x by port, 0x%x\n", function >> 3,
				    function & 7, reg, port, window);
				different++;
			}
		}
	}
	CHECK_EQ(different, 0, "ECAM shows the same registers");
}

static void check_widths(void)
{
	uint32_t id = pci_read32(0, PCI_ID), by_bytes = 0;

	for (unsigned int i = 0; i < 4; i++)
		by_bytes |= (uint32_t)mmio_read8(ecam_at(0, i)) << 8 * i;
	CHECK_EQ(by_bytes, id, "ECAM reads bytes");
	CHECK_EQ(mmio_read16(ecam_at(0, 0)) | (uint32_t)mmio_read16(ecam_at(0, 2)) << 16, id,
		 "ECAM reads words");
}

static void check_writes(void)
{
	int other = pci_next(8);
	unsigned int function = (unsigned int)other;
	uint8_t line;

	if (other < 0) {
		skip("what is written by ECAM is read by port", "there is only the host bridge");
		return;
	}
	line = pci_read8(function, PCI_IRQ_LINE);
	*(volatile uint8_t *)ecam_at(function, PCI_IRQ_LINE) = 0x5a;
	CHECK_EQ(pci_read8(function, PCI_IRQ_LINE), 0x5a,
		 "what is written by ECAM is read by port");
	pci_write8(function, PCI_IRQ_LINE, 0xa5);
	CHECK_EQ(mmio_read8(ecam_at(function, PCI_IRQ_LINE)), 0xa5,
		 "what is written by port is read by ECAM");
	CHECK_EQ(pci_read8(function, PCI_IRQ_PIN), mmio_read8(ecam_at(function, PCI_IRQ_PIN)),
		 "a byte written leaves its neighbour alone");
	pci_write8(function, PCI_IRQ_LINE, line);
}

static void check_ecam(void)
{
	unsigned int last_bus;

	ecam = ecam_base(&last_bus);
	if (!ecam) {
		report(!apic_present(), "the MCFG says where ECAM is", "there is none");
		return;
	}
	put("# ECAM at 0x%llx, buses 0 to %u\n", (unsigned long long)ecam, last_bus);
	CHECK(!(ecam % ECAM_BUS), "ECAM is aligned");
	map_physical(ecam);
	map_physical(ecam + (last_bus + 1) * ECAM_BUS - 1);
	check_same();
	check_widths();
	check_writes();
	CHECK_EQ(mmio_read32(ecam_at(PCI_FUNCTION(last_bus, 31, 7), 0xffc)), 0xffffffff,
		 "an absent function reads all ones at the end of the window");
	CHECK_EQ(mmio_read32(ecam_at(PCI_FUNCTION(0, 31, 7) - 8, EXTENDED_CONFIG)), 0xffffffff,
		 "and in its extended registers");
}

void guest_main(void)
{
	check_ports();
	CHECK(enumerate() >= 1, "there are functions");
	check_absent();
	check_ecam();
}
