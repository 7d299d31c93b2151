// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bring-up of all processors that the firmware tables name, and what they share: memory,
 * atomically.
 */
#include "acpi.h"
#include "boot.h"
#include "mp.h"

#define ROUNDS 200

static uint32_t ids[MAX_CPUS];
static unsigned int nr_ids;
static volatile unsigned int added, exchanged, guarded, lock;

static void count(void)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int seen;

		__asm__ volatile("lock incl %0" : "+m"(added));
		do {
			seen = exchanged;
		} while (!__sync_bool_compare_and_swap(&exchanged, seen, seen + 1));

		while (__sync_lock_test_and_set(&lock, 1))
			relax();
		guarded = guarded + 1;
		__sync_lock_release(&lock);
	}
}

static void read_tables(void)
{
	static struct madt_info madt;
	unsigned int expected = boot_option("cpus=", 0);

	if (madt_read(&madt)) {
		nr_ids = madt.nr_cpus;
		memcpy(ids, madt.apic_id, sizeof(ids));
	} else {
		nr_ids = mp_read(ids, MAX_CPUS);
	}
	if (!nr_ids)
		bail("the firmware tables name processors", "neither MADT nor MP table does");
	if (expected)
		CHECK_EQ(nr_ids, expected, "the tables name as many processors as were asked for");
	if (nr_ids <= 16)
		put("# %u processors by the %s\n", nr_ids, madt.nr_cpus ? "MADT" : "MP table");
}

static void check_mp_table(void)
{
	static uint32_t by_mp[MAX_CPUS];
	unsigned int nr = mp_read(by_mp, MAX_CPUS);

	if (!nr)
		skip("MP table and MADT name the same processors", "there is no MP table");
	else
		report(nr == nr_ids && !memcmp(by_mp, ids, nr * sizeof(ids[0])),
		       "MP table and MADT name the same processors", "%u by the MP table, %u", nr,
		       nr_ids);
}

static unsigned int times_up(uint32_t id)
{
	unsigned int times = 0;

	for (unsigned int i = 0; i < nr_cpus_up; i++)
		times += cpus[i].apic_id == id;
	return times;
}

static void start_all(void)
{
	bool once = true;

	smp_prepare();
	CHECK_EQ(ids[0], cpus[0].apic_id, "the first one named is the boot processor");
	for (unsigned int i = 0; i < nr_ids; i++) {
		if (ids[i] != cpus[0].apic_id)
			smp_start(ids[i]);
	}
	report(wait_count(&nr_cpus_up, nr_ids), "all processors start", "%u of %u did", nr_cpus_up,
	       nr_ids);
	wait_quiet();
	CHECK_EQ(nr_cpus_up, nr_ids, "no processor starts that is not named, none twice");
	for (unsigned int i = 0; i < nr_ids; i++)
		once = once && times_up(ids[i]) == 1;
	report(once, "each reports the APIC ID that the tables give it, once", "they do not");
	put("# %u processors up\n", nr_cpus_up);
}

static void count_together(void)
{
	uint64_t until = tsc_soon();
	unsigned int busy, all = nr_cpus_up * ROUNDS;

	for (unsigned int i = 1; i < nr_cpus_up; i++) {
		cpus[i].work = count;
		apic_send(ICR_FIXED | ICR_ASSERT | VECTOR_WAKE, cpus[i].apic_id);
	}
	count();
	do {
		busy = 0;
		for (unsigned int i = 1; i < nr_cpus_up; i++)
			busy += cpus[i].work != NULL;
		relax();
	} while (busy && rdtsc() < until);

	CHECK_EQ(busy, 0, "all processors finish their work");
	CHECK_EQ(added, all, "lock inc loses no count");
	CHECK_EQ(exchanged, all, "lock cmpxchg loses no count");
	CHECK_EQ(guarded, all, "xchg makes a lock");
}

void guest_main(void)
{
	if (!apic_present())
		bail("CPUID announces a local APIC", "it does not");
	read_tables();
	check_mp_table();
	start_all();
	count_together();
}
