// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The local APIC's timer: one-shot, periodic and by TSC deadline, in xAPIC and in x2APIC mode.
 */
#include "cpu.h"

#define VECTOR_TIMER 0x41
#define DIVIDE_BY_1  0xb
#define DIVIDE_BY_16 0x3
#define SHORT_COUNT  2000000u
#define LONG_COUNT   0xffffffffu

static volatile unsigned int ticks;

static void tick(struct frame *frame)
{
	(void)frame;
	ticks++;
	apic_eoi();
}

static void start(uint32_t lvt, uint32_t divide, uint32_t count)
{
	apic_write(APIC_LVT_TIMER, lvt);
	apic_write(APIC_DIVIDE, divide);
	ticks = 0;
	apic_write(APIC_INITIAL, count);
}

static void stop(void)
{
	apic_write(APIC_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, APIC_MASKED);
	wait_quiet();
}

static void check_one_shot(void)
{
	start(VECTOR_TIMER, DIVIDE_BY_1, SHORT_COUNT);
	report(wait_count(&ticks, 1), "one-shot: it interrupts", "it does not");
	wait_quiet();
	CHECK_EQ(ticks, 1, "one-shot: once");
	CHECK_EQ(apic_read(APIC_CURRENT), 0, "one-shot: the count stays 0");
	start(VECTOR_TIMER, DIVIDE_BY_1, SHORT_COUNT);
	while (!ticks)
		halt();
	report(true, "one-shot: it wakes hlt", "-");
	stop();
}

static void check_periodic(void)
{
	start(VECTOR_TIMER | APIC_TIMER_PERIODIC, DIVIDE_BY_1, SHORT_COUNT);
	report(wait_count(&ticks, 5), "periodic: it interrupts again and again", "%u of 5", ticks);
	stop();
	ticks = 0;
	wait_quiet();
	CHECK_EQ(ticks, 0, "periodic: an initial count of 0 stops it");
}

static void check_count(void)
{
	uint32_t first, second;

	start(VECTOR_TIMER | APIC_MASKED, DIVIDE_BY_16, LONG_COUNT);
	first = apic_read(APIC_CURRENT);
	wait_quiet();
	second = apic_read(APIC_CURRENT);
	report(second < first, "the current count goes down", "0x%x, 0x%x", first, second);
	start(VECTOR_TIMER | APIC_MASKED, DIVIDE_BY_1, 1000);
	wait_quiet();
	CHECK_EQ(ticks, 0, "a masked timer does not interrupt");
	stop();
}

static void check_deadline(void)
{
	uint64_t deadline;

	if (!(cpuid(1, 0).ecx & CPUID1_ECX_DEADLINE)) {
		skip("deadline: it interrupts", "CPUID does not announce TSC-deadline mode");
		return;
	}
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | APIC_TIMER_DEADLINE);
	__asm__ volatile("mfence" ::
				 : "memory"); /* an xAPIC write is not ordered before the MSR's */
	ticks = 0;
	deadline = rdtsc() + 5000000;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	report(wait_count(&ticks, 1), "deadline: it interrupts", "it does not");
	CHECK(rdtsc() >= deadline, "deadline: not before");
	CHECK_EQ(rdmsr(MSR_TSC_DEADLINE), 0, "deadline: the MSR reads 0 afterwards");
	ticks = 0;
	wrmsr(MSR_TSC_DEADLINE, 1);
	report(wait_count(&ticks, 1), "deadline: one in the past interrupts at once",
	       "it does not");
	ticks = 0;
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 20000000);
	wrmsr(MSR_TSC_DEADLINE, 0);
	wait_quiet();
	CHECK_EQ(ticks, 0, "deadline: 0 disarms it");
	apic_write(APIC_LVT_TIMER, APIC_MASKED);
}

static void check_all(const char *mode)
{
	put("# %s\n", mode);
	check_one_shot();
	check_periodic();
	check_count();
	check_deadline();
}

void guest_main(void)
{
	if (!apic_present())
		bail("CPUID announces a local APIC", "it does not");
	trap_set(VECTOR_TIMER, tick);
	apic_enable();
	check_all(apic_is_x2apic() ? "x2APIC" : "xAPIC");
	if (!x2apic_present()) {
		skip("the timer in x2APIC mode", "CPUID does not announce it");
	} else if (!apic_is_x2apic()) {
		x2apic_enable();
		apic_enable();
		check_all("x2APIC");
	}
}
