// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The local APIC, by memory or, once a processor is in x2APIC mode, by MSR.
 */
#include "cpu.h"

#define APIC_DEFAULT_BASE 0xfee00000ull
#define X2APIC_MSR(reg)	  (0x800 + (reg) / 16)
#define SVR_ENABLE	  0x100

bool apic_present(void)
{
	return cpuid(1, 0).edx & CPUID1_EDX_APIC;
}

bool x2apic_present(void)
{
	return cpuid(1, 0).ecx & CPUID1_ECX_X2APIC;
}

bool apic_is_x2apic(void)
{
	return rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

uint32_t apic_read(uint32_t reg)
{
	if (apic_is_x2apic())
		return (uint32_t)rdmsr(X2APIC_MSR(reg));
	return mmio_read32(APIC_DEFAULT_BASE + reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
	if (apic_is_x2apic())
		wrmsr(X2APIC_MSR(reg), value);
	else
		mmio_write32(APIC_DEFAULT_BASE + reg, value);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

bool apic_in_service(uint8_t vector)
{
	return apic_read(APIC_ISR + vector / 32u * 0x10) >> vector % 32 & 1;
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(APIC_ID);

	return apic_is_x2apic() ? id : id >> 24;
}

void apic_enable(void)
{
	apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LVT_TIMER, APIC_MASKED);
	apic_write(APIC_LVT_LINT0, APIC_MASKED);
	apic_write(APIC_LVT_LINT1, APIC_MASKED);
}

void x2apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

void apic_send(uint32_t icr, uint32_t destination)
{
	if (apic_is_x2apic()) {
		__asm__ volatile("mfence" ::: "memory"); /* the MSR write orders nothing */
		wrmsr(X2APIC_MSR(APIC_ICR), (uint64_t)destination << 32 | icr);
		return;
	}
	while (mmio_read32(APIC_DEFAULT_BASE + APIC_ICR) & ICR_PENDING)
		relax();
	mmio_write32(APIC_DEFAULT_BASE + APIC_ICR_HIGH, destination << 24);
	mmio_write32(APIC_DEFAULT_BASE + APIC_ICR, icr);
}
