// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Traps, waiting and address space of 64-bit guests.
 */
#include "cpu.h"

struct gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, reserved;
};

#define GATE_INTERRUPT 0x8e00
#define PAGE_PRESENT   0x1
#define PAGE_WRITE     0x2
#define PAGE_LARGE     0x80
#define LARGE_PAGE     0x200000ull
#define GIB	       0x40000000ull
#define NR_DIRECTORIES 4

extern char trap_entries[];
extern uint64_t pdpt[512];

uint64_t try_resume;
struct fault try_fault;
struct cpu cpus[MAX_CPUS];
volatile unsigned int nr_cpus_up = 1;

static struct gate idt[256] __attribute__((aligned(16)));
static trap_fn handlers[256];

void trap(struct frame *frame);
void boot_processor_main(uint32_t index) __attribute__((noreturn));

void trap(struct frame *frame)
{
	trap_fn handler = handlers[frame->vector];
	uint64_t cr2;

	if (handler) {
		handler(frame);
		return;
	}
	__asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
	if (try_resume) {
		try_fault = (struct fault){ frame->vector, frame->error, cr2 };
		frame->rip = try_resume;
		return;
	}
	put("not ok trap: vector %u error 0x%llx at 0x%llx, cr2 0x%llx\n",
	    (unsigned int)frame->vector, (unsigned long long)frame->error,
	    (unsigned long long)frame->rip, (unsigned long long)cr2);
	debug_exit(1);
}

static void fill_idt(void)
{
	for (unsigned int vector = 0; vector < ARRAY_SIZE(idt); vector++) {
		uint64_t entry = (uint64_t)trap_entries + vector * 16;

		idt[vector] = (struct gate){
			.offset_low = (uint16_t)entry,
			.selector = SELECTOR_CODE64,
			.flags = GATE_INTERRUPT,
			.offset_mid = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32),
		};
	}
}

void trap_init(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uint64_t)idt };

	__asm__ volatile("lidt %0" ::"m"(idtr));
}

void trap_set(uint8_t vector, trap_fn fn)
{
	handlers[vector] = fn;
}

bool wait_count(const volatile unsigned int *count, unsigned int wanted)
{
	uint64_t until = tsc_soon();

	irq_enable();
	while (*count < wanted && rdtsc() < until)
		relax();
	irq_disable();
	return *count >= wanted;
}

void wait_quiet(void)
{
	uint64_t until = rdtsc() + 60000000;

	irq_enable();
	while (rdtsc() < until)
		relax();
	irq_disable();
}

void *map_physical(uint64_t address)
{
	static uint64_t directories[NR_DIRECTORIES][512] __attribute__((aligned(4096)));
	static unsigned int used;
	uint64_t *entry = &pdpt[address / GIB % 512];

	if (address >= 512 * GIB)
		bail("address space", "0x%llx is beyond 512 GiB", (unsigned long long)address);
	if (!(*entry & PAGE_PRESENT)) {
		uint64_t *directory = directories[used];
		uint64_t base = address / GIB * GIB;

		if (used++ == NR_DIRECTORIES)
			bail("address space", "more than %u GiB in use", NR_DIRECTORIES);
		for (unsigned int i = 0; i < 512; i++)
			directory[i] =
				(base + i * LARGE_PAGE) | PAGE_PRESENT | PAGE_WRITE | PAGE_LARGE;
		*entry = (uint64_t)directory | PAGE_PRESENT | PAGE_WRITE;
	}
	return (void *)address;
}

void boot_processor_main(uint32_t index)
{
	struct cpu *cpu = &cpus[index];

	cpu->self = cpu;
	cpu->apic_id = cpuid(1, 0).ebx >> 24;
	wrmsr(MSR_GS_BASE, (uint64_t)cpu);
	fill_idt();
	trap_init();
	pic_mask_all(); /* firmware may have left a timer running */
	guest_main();
	finish();
}
