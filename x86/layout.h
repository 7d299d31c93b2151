/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86 board's address map and interrupt numbers: every constant that two files must agree on.
 *
 *   0x00000000 ┌ RAM: real-mode vectors, boot structures (see below)
 *   0x0009fc00 ├ EBDA (MP floating pointer is not here but in the BIOS area)
 *   0x000a0000 ├ RAM that the e820 map does not offer (a PC's video memory and option ROMs)
 *   0x000e0000 ├ RAM, reserved in the e820 map: "BIOS" area: RSDP, MP table
 *   0x00100000 ├ RAM, up to X86_LOW_RAM_MAX at the most; ACPI tables at its very end
 *   0xc0000000 ├ PCI 32-bit window
 *   0xe0000000 ├ PCI ECAM, for the buses there are
 *   0xfeb00000 ├ virtio devices with memory-mapped registers
 *   0xfec00000 ├ I/O APIC
 *   0xfee00000 ├ local APICs
 *   0xfeffc000 ├ KVM's identity map page and TSS pages (Intel without unrestricted guest)
 *  0x100000000 ├ RAM above 4 GiB
 *              └ PCI 64-bit window above it
 */
#ifndef X86_LAYOUT_H
#define X86_LAYOUT_H

#include <stdint.h>

#define X86_LOW_RAM_MAX	    0xc0000000ull
#define X86_HIGH_RAM_BASE   0x100000000ull
#define X86_PCI_WINDOW_BASE 0xc0000000ull
#define X86_PCI_WINDOW_SIZE 0x20000000ull
#define X86_ECAM_BASE	    0xe0000000ull
#define X86_PCI_BUSES	    1 /* Linux looks into every bus that the MCFG table promises */
#define X86_ECAM_SIZE	    (X86_PCI_BUSES * 0x100000ull)
#define X86_VIRTIO_MMIO	    0xfeb00000ull /* a page for each memory-mapped virtio device */
#define X86_IOAPIC_BASE	    0xfec00000ull
#define X86_LAPIC_BASE	    0xfee00000ull
#define X86_IDENTITY_MAP    0xfeffc000ull
#define X86_TSS_ADDR	    0xfeffd000ull
#define X86_PCI_IO_BASE	    0x1000
#define X86_PCI_IO_SIZE	    0xf000

/* Boot structures in low RAM; a kernel may overwrite them once it has read them. */
#define X86_BOOT_GDT	 0x00000500ull
#define X86_BOOT_IDT	 0x00000520ull
#define X86_ZERO_PAGE	 0x00007000ull
#define X86_BOOT_STACK	 0x00008ff0ull
#define X86_BOOT_PGTABLE 0x00009000ull /* PML4, PDPT, then page directories: up to 0x20000 */
#define X86_BOOT_INFO	 0x00020000ull /* Multiboot information, PVH start info: up to 0x30000 */
#define X86_CMDLINE	 0x00030000ull /* up to 64 KiB: to 0x40000 */
#define X86_CMDLINE_MAX	 0x00010000ull
#define X86_FLAT_LOAD	 0x00010000ull /* flat 16-bit images, entered at 1000:0000 */
#define X86_EBDA	 0x0009fc00ull
#define X86_VGA_HOLE	 0x000a0000ull
#define X86_BIOS_AREA	 0x000e0000ull
#define X86_RSDP	 0x000e0000ull
#define X86_MPTABLE	 0x000f0000ull
#define X86_BIOS_END	 0x00100000ull

/* ACPI fixed hardware (ports) and the lines of board devices. */
#define X86_PM1A_EVT	  0x600
#define X86_PM1A_CNT	  0x604
#define X86_PM_TMR	  0x608
#define X86_SCI_GSI	  9
#define X86_RESET_PORT	  0xcf9
#define X86_RESET_VALUE	  0x06
#define X86_S5_SLP_TYP	  5
#define X86_PVPANIC_PORT  0x505
#define X86_DEBUG_EXIT	  0xf4
#define X86_DEBUG_CONSOLE 0xe9
#define X86_NR_ISA_GSIS	  16
#define X86_MAX_XAPIC_ID  254
#define X86_IOAPIC_PINS	  24
#define X86_RTC_GSI	  8
#define X86_KBD_GSI	  1
#define X86_AUX_GSI	  12

/*
 * PCI INTx: pins are swizzled over these ISA lines, which reach both PIC and I/O APIC, so that a
 * kernel sees the same numbers with ACPI, with an MP table, and with neither.
 */
#define X86_NR_PCI_GSIS 4
#define X86_PCI_GSIS          \
	{                     \
		5, 10, 11, 14 \
	}

/* Lines of memory-mapped virtio devices: pins of the I/O APIC that nothing else has. */
#define X86_VIRTIO_MMIO_GSI 16
#define X86_NR_VIRTIO_MMIO  8

#endif
