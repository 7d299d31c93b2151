// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Long mode: what a guest's own page tables and descriptors do, and that addresses nobody answers
 * do no harm.
 */
#include "boot.h"
#include "cpu.h"

#define VECTOR_DE 0
#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_PF 14

#define PF_PRESENT 0x1
#define PF_WRITE   0x2
#define PF_FETCH   0x10

#define PAGE_PRESENT 0x1ull
#define PAGE_WRITE   0x2ull
#define PAGE_NX	     (1ull << 63)
#define PAGE_SIZE    4096

/* 1 TiB: a part of the address space of which nothing is mapped yet. */
#define WINDOW 0x10000000000ull

/* Behind the RAM of a small guest, in front of every device. */
#define UNASSIGNED_MEMORY 0x60000000ull
#define UNASSIGNED_PORT	  0x9a4

extern uint64_t pml4[512];

static uint64_t window_pdpt[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t window_pd[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t window_pt[512] __attribute__((aligned(PAGE_SIZE)));
static uint8_t page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static void check_fault(uint64_t vector, uint64_t error, const char *name)
{
	report(try_fault.vector == vector && try_fault.error == error, name,
	       "vector %u, error 0x%llx", (unsigned int)try_fault.vector,
	       (unsigned long long)try_fault.error);
}

static void check_exceptions(void)
{
	TRY("xorl %%edx, %%edx; xorl %%ecx, %%ecx; movl $1, %%eax; divl %%ecx");
	check_fault(VECTOR_DE, 0, "#DE for a division by 0");
	TRY("ud2");
	check_fault(VECTOR_UD, 0, "#UD for ud2");
	TRY("movq (%0), %%rax", "r"(1ull << 62));
	check_fault(VECTOR_GP, 0, "#GP for an address that is not canonical");
	TRY("movl %0, %%fs", "r"(0x1234));
	check_fault(VECTOR_GP, 0x1234, "#GP with its selector, for one beyond the GDT");
	TRY("nop");
	CHECK_EQ(try_fault.vector, NO_FAULT, "no fault for nop");
}

static void map_window(uint64_t flags)
{
	pml4[WINDOW >> 39] = (uint64_t)window_pdpt | PAGE_PRESENT | PAGE_WRITE;
	window_pdpt[0] = (uint64_t)window_pd | PAGE_PRESENT | PAGE_WRITE;
	window_pd[0] = (uint64_t)window_pt | PAGE_PRESENT | PAGE_WRITE;
	window_pt[0] = flags ? ((uint64_t)page | flags) : 0;
	__asm__ volatile("invlpg (%0)" ::"r"(WINDOW) : "memory");
}

static void check_page_fault(uint64_t error, uint64_t cr2, const char *name)
{
	report(try_fault.vector == VECTOR_PF && try_fault.error == error && try_fault.cr2 == cr2,
	       name, "vector %u, error 0x%llx, cr2 0x%llx", (unsigned int)try_fault.vector,
	       (unsigned long long)try_fault.error, (unsigned long long)try_fault.cr2);
}

static void check_paging(void)
{
	map_window(PAGE_PRESENT | PAGE_WRITE);
	page[5] = 0xa5;
	CHECK_EQ(mmio_read8(WINDOW + 5), 0xa5, "a page is seen at a second address");
	mmio_write32(WINDOW + 8, 0x12345678);
	CHECK(!memcmp(&page[8], "\x78\x56\x34\x12", 4), "and written there");

	map_window(0);
	TRY("movb (%0), %%al", "r"(WINDOW + 0x123));
	check_page_fault(0, WINDOW + 0x123, "#PF for reading a page that is not present");
	TRY("movb %%al, (%0)", "r"(WINDOW + 0x456));
	check_page_fault(PF_WRITE, WINDOW + 0x456, "#PF for writing a page that is not present");

	map_window(PAGE_PRESENT);
	TRY("movb (%0), %%al", "r"(WINDOW));
	CHECK_EQ(try_fault.vector, NO_FAULT, "a read-only page can be read");
	TRY("movb %%al, (%0)", "r"(WINDOW));
	check_page_fault(PF_PRESENT | PF_WRITE, WINDOW, "#PF for writing a read-only page");

	page[0] = 0xff; /* jmp *%rdx */
	page[1] = 0xe2;
	map_window(PAGE_PRESENT | PAGE_NX);
	TRY("leaq 2f(%%rip), %%rdx; jmp *%0; 2:", "r"(WINDOW));
	check_page_fault(PF_PRESENT | PF_FETCH, WINDOW,
			 "#PF for running code of a no-execute page");
	map_window(PAGE_PRESENT);
	TRY("leaq 2f(%%rip), %%rdx; jmp *%0; 2:", "r"(WINDOW));
	CHECK_EQ(try_fault.vector, NO_FAULT, "code of an executable page runs");
}

static void check_unassigned_memory(void)
{
	const uint64_t at = UNASSIGNED_MEMORY;
	uint8_t copied[16] = { 0 };
	const void *from = (const void *)at;
	void *to = copied;
	uint64_t len = sizeof(copied), ones = 0;

	CHECK_EQ(mmio_read8(at), 0xff, "unassigned memory reads all ones: 1 byte");
	CHECK_EQ(mmio_read16(at + 2), 0xffff, "unassigned memory reads all ones: 2 bytes");
	CHECK_EQ(mmio_read32(at + 4), 0xffffffff, "unassigned memory reads all ones: 4 bytes");
	CHECK_EQ(mmio_read64(at + 8), ~0ull, "unassigned memory reads all ones: 8 bytes");
	CHECK_EQ(mmio_read32(at + 0xffe), 0xffffffff, "and across a page boundary");
	__asm__ volatile("cld; rep movsb" : "+S"(from), "+D"(to), "+c"(len)::"memory");
	for (unsigned int i = 0; i < sizeof(copied); i++)
		ones += copied[i] == 0xff;
	CHECK_EQ(ones, sizeof(copied), "and by rep movsb");
	mmio_write32(at, 0);
	mmio_write64(at + 8, 0);
	CHECK_EQ(mmio_read32(at), 0xffffffff, "a write to unassigned memory is dropped");
	map_physical(at + (256ull << 30));
	CHECK_EQ(mmio_read32(at + (256ull << 30)), 0xffffffff,
		 "unassigned memory far above 4 GiB reads all ones");
}

static void check_unassigned_ports(void)
{
	CHECK_EQ(inb(UNASSIGNED_PORT), 0xff, "an unassigned port reads all ones: 1 byte");
	CHECK_EQ(inw(UNASSIGNED_PORT), 0xffff, "an unassigned port reads all ones: 2 bytes");
	CHECK_EQ(inl(UNASSIGNED_PORT), 0xffffffff, "an unassigned port reads all ones: 4 bytes");
	outl(UNASSIGNED_PORT, 0);
	CHECK_EQ(inl(UNASSIGNED_PORT), 0xffffffff, "a write to an unassigned port is dropped");
}

void guest_main(void)
{
	CHECK_EQ(boot.eax, MULTIBOOT_LOADED_MAGIC, "entered by Multiboot");
	CHECK_EQ(rdmsr(MSR_EFER) & 0xd00, 0xd00, "EFER has LME, LMA and NXE");
	check_exceptions();
	check_paging();
	check_unassigned_memory();
	check_unassigned_ports();
}
