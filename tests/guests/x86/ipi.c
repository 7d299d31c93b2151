// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupts between processors: every destination and shorthand, in xAPIC and then in x2APIC mode.
 */
#include "acpi.h"
#include "boot.h"

#define VECTOR_TEST 0x51
#define MAX_TESTED  8

#define APIC_DFR_FLAT 0xffffffff

static volatile unsigned int received[MAX_TESTED], nmis[MAX_TESTED], in_all;
static unsigned int nr_cpus;

static void count(struct frame *frame)
{
	(void)frame;
	received[this_cpu()->index]++;
	__atomic_fetch_add(&in_all, 1, __ATOMIC_SEQ_CST);
	apic_eoi();
}

static void count_nmi(struct frame *frame)
{
	(void)frame;
	nmis[this_cpu()->index]++;
	__atomic_fetch_add(&in_all, 1, __ATOMIC_SEQ_CST);
}

static void forget(void)
{
	for (unsigned int i = 0; i < MAX_TESTED; i++)
		received[i] = nmis[i] = 0;
	in_all = 0;
}

/* Each processor must have received what its bit of @expected says: one, or none. */
static void check_received(const volatile unsigned int *counts, uint32_t expected, const char *name)
{
	unsigned int wanted = 0;
	bool good = true;

	for (unsigned int i = 0; i < nr_cpus; i++)
		wanted += expected >> i & 1;
	wait_count(&in_all, wanted);
	wait_quiet();
	for (unsigned int i = 0; i < nr_cpus; i++) {
		if (counts[i] != (expected >> i & 1)) {
			put("# processor %u got %u\n", i, counts[i]);
			good = false;
		}
	}
	report(good && in_all == wanted, name, "%u came instead of %u", in_all, wanted);
	forget();
}

static void check_physical(void)
{
	for (unsigned int i = 0; i < nr_cpus; i++) {
		apic_send(ICR_FIXED | ICR_ASSERT | VECTOR_TEST, cpus[i].apic_id);
		check_received(received, 1u << i, "a fixed IPI to a physical destination arrives");
	}
}

static void check_logical(void)
{
	const uint32_t all = (1u << nr_cpus) - 1;
	uint32_t destination = 0;

	for (unsigned int i = 0; i < nr_cpus; i++) {
		/* x2APIC: cluster in the upper half, one of its 16 in the lower. */
		uint32_t logical = apic_is_x2apic() ? (cpus[i].apic_id >> 4 << 16) |
							      1u << (cpus[i].apic_id & 0xf)
						    : 1u << i;

		apic_send(ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR_TEST, logical);
		check_received(received, 1u << i, "a fixed IPI to a logical destination arrives");
		destination |= logical;
	}
	apic_send(ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR_TEST, destination);
	check_received(received, all, "a logical destination of several reaches them all");
}

static void check_shorthands(void)
{
	const uint32_t all = (1u << nr_cpus) - 1;

	apic_send(ICR_FIXED | ICR_SELF | ICR_ASSERT | VECTOR_TEST, 0);
	check_received(received, 1, "an IPI to self arrives");
	apic_send(ICR_FIXED | ICR_ALL | ICR_ASSERT | VECTOR_TEST, 0);
	check_received(received, all, "an IPI to all arrives at all");
	apic_send(ICR_FIXED | ICR_ALL_BUT_SELF | ICR_ASSERT | VECTOR_TEST, 0);
	check_received(received, all & ~1u, "an IPI to all but self arrives at all but self");
	if (apic_is_x2apic()) {
		apic_write(APIC_SELF_IPI, VECTOR_TEST);
		check_received(received, 1, "the SELF IPI register sends one to self");
	}
}

static void check_nmi(void)
{
	for (unsigned int i = 1; i < nr_cpus; i++) {
		apic_send(ICR_NMI | ICR_ASSERT, cpus[i].apic_id);
		check_received(nmis, 1u << i, "an NMI arrives at its destination");
	}
	if (nr_cpus == 1)
		skip("an NMI arrives at its destination", "there is one processor");
}

static void check_priority(void)
{
	apic_write(APIC_TPR, VECTOR_TEST & 0xf0);
	apic_send(ICR_FIXED | ICR_SELF | ICR_ASSERT | VECTOR_TEST, 0);
	wait_quiet();
	CHECK_EQ(in_all, 0, "the task priority holds an IPI back");
	apic_write(APIC_TPR, 0);
	check_received(received, 1, "and lets it through when it is lowered");
}

static void set_logical_id(void)
{
	apic_write(APIC_DFR, APIC_DFR_FLAT);
	apic_write(APIC_LDR, 1u << (24 + this_cpu()->index));
}

static void to_x2apic(void)
{
	x2apic_enable();
	apic_enable();
}

static void on_all(void (*fn)(void))
{
	fn();
	for (unsigned int i = 1; i < nr_cpus; i++) {
		if (!cpu_run(i, fn))
			bail("processors do as they are told", "number %u does not", i);
	}
}

static void to_x2apic_all(void)
{
	/* The others first: in xAPIC mode we reach them, and they wait for an IPI either way. */
	for (unsigned int i = 1; i < nr_cpus; i++) {
		if (!cpu_run(i, to_x2apic))
			bail("processors switch to x2APIC mode", "number %u does not", i);
	}
	to_x2apic();
	report(apic_is_x2apic(), "processors switch to x2APIC mode", "the first does not");
	CHECK_EQ(apic_id(), cpus[0].apic_id, "the APIC ID stays the same in x2APIC mode");
}

static void check_all(void)
{
	check_physical();
	check_logical();
	check_shorthands();
	check_nmi();
	check_priority();
}

static void start_all(void)
{
	static struct madt_info madt;

	if (!madt_read(&madt))
		bail("there is a MADT", "there is none");
	nr_cpus = madt.nr_cpus;
	if (nr_cpus > MAX_TESTED)
		bail("there are at most 8 processors", "%u", nr_cpus);
	smp_prepare();
	for (unsigned int i = 0; i < nr_cpus; i++) {
		if (madt.apic_id[i] != cpus[0].apic_id)
			smp_start(madt.apic_id[i]);
	}
	if (!wait_count(&nr_cpus_up, nr_cpus))
		bail("all processors start", "%u of %u did", nr_cpus_up, nr_cpus);
}

void guest_main(void)
{
	if (!apic_present())
		bail("CPUID announces a local APIC", "it does not");
	trap_set(VECTOR_TEST, count);
	trap_set(VECTOR_NMI, count_nmi);
	start_all();

	if (apic_is_x2apic()) {
		skip("IPIs in xAPIC mode", "the machine starts in x2APIC mode");
	} else {
		put("# xAPIC\n");
		on_all(set_logical_id);
		check_all();
	}
	if (!x2apic_present()) {
		skip("IPIs in x2APIC mode", "CPUID does not announce it");
		return;
	}
	to_x2apic_all();
	put("# x2APIC\n");
	check_all();
}
