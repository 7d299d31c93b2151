// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * More processors than 8-bit APIC IDs can name: x2APIC entries in the MADT, and start-up by 32-bit
 * IDs.
 */
#include "acpi.h"
#include "boot.h"

static struct madt_info madt;

static void check_table(void)
{
	unsigned int expected = boot_option("cpus=", 0), beyond = 0;
	bool unique = true;

	if (!madt_read(&madt))
		bail("there is a MADT", "there is none");
	if (expected)
		CHECK_EQ(madt.nr_cpus, expected,
			 "the MADT names as many processors as were asked for");
	for (unsigned int i = 0; i < madt.nr_cpus; i++) {
		beyond += madt.apic_id[i] > 254;
		for (unsigned int j = 0; j < i; j++)
			unique = unique && madt.apic_id[i] != madt.apic_id[j];
	}
	CHECK(unique, "no two processors have the same APIC ID");
	report(madt.nr_x2apic >= beyond, "those with an ID above 254 have x2APIC entries",
	       "%u have, of %u", madt.nr_x2apic, beyond);
	if (!beyond)
		skip("processors with an ID above 254 start", "there is none");
}

static bool is_up(uint32_t id)
{
	for (unsigned int i = 0; i < nr_cpus_up; i++) {
		if (cpus[i].apic_id == id)
			return true;
	}
	return false;
}

void guest_main(void)
{
	unsigned int missing = 0;

	if (!x2apic_present())
		bail("CPUID announces x2APIC mode", "it does not");
	check_table();
	smp_x2apic = true;
	smp_prepare();
	for (unsigned int i = 0; i < madt.nr_cpus; i++) {
		if (madt.apic_id[i] != cpus[0].apic_id)
			smp_start(madt.apic_id[i]);
	}
	wait_count(&nr_cpus_up, madt.nr_cpus);
	for (unsigned int i = 0; i < madt.nr_cpus; i++)
		missing += !is_up(madt.apic_id[i]);
	report(nr_cpus_up == madt.nr_cpus && !missing, "all processors start, under their APIC ID",
	       "%u of %u did, %u IDs are missing", nr_cpus_up, madt.nr_cpus, missing);
	put("# %u processors up\n", nr_cpus_up);
}
