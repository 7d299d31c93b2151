// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bringing other processors up and giving them work.
 *
 * Each takes an index from ap_ticket in start.S, announces itself in cpus[] and sleeps until an
 * interrupt; then it looks whether there is work. The index says in which order they came, not who
 * they are.
 */
#include "cpu.h"

extern char trampoline[], trampoline_end[];

bool smp_x2apic;

void ap_main(uint32_t index) __attribute__((noreturn));

static void wake(struct frame *frame)
{
	(void)frame;
	apic_eoi();
}

void ap_main(uint32_t index)
{
	struct cpu *cpu = &cpus[index];

	cpu->self = cpu;
	cpu->index = index;
	wrmsr(MSR_GS_BASE, (uint64_t)cpu);
	trap_init();
	if (smp_x2apic)
		x2apic_enable();
	apic_enable();
	cpu->apic_id = apic_id();
	__atomic_fetch_add(&nr_cpus_up, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		void (*work)(void) = cpu->work;

		if (!work) {
			halt();
			continue;
		}
		work();
		cpu->work = NULL;
	}
}

void smp_prepare(void)
{
	memcpy((void *)(uintptr_t)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
	trap_set(VECTOR_WAKE, wake);
	if (smp_x2apic)
		x2apic_enable();
	apic_enable();
	cpus[0].apic_id = apic_id();
}

static void pause_cycles(uint64_t cycles)
{
	uint64_t until = rdtsc() + cycles;

	while (rdtsc() < until)
		relax();
}

void smp_start(uint32_t id)
{
	apic_send(ICR_INIT | ICR_ASSERT, id);
	pause_cycles(1000000);
	apic_send(ICR_STARTUP | ICR_ASSERT | TRAMPOLINE >> 12, id);
	pause_cycles(500000);
	apic_send(ICR_STARTUP | ICR_ASSERT | TRAMPOLINE >> 12, id);
}

bool cpu_run(unsigned int index, void (*fn)(void))
{
	struct cpu *cpu = &cpus[index];
	uint64_t until = tsc_soon();

	cpu->work = fn;
	apic_send(ICR_FIXED | ICR_ASSERT | VECTOR_WAKE, cpu->apic_id);
	while (cpu->work && rdtsc() < until)
		relax();
	return !cpu->work;
}
