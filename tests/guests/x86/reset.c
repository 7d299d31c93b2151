// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every way in which a guest ends: its command line says which.
 */
#include "acpi.h"
#include "boot.h"

#define KBD_COMMAND	 0x64
#define KBD_PULSE_RESET	 0xfe
#define PORT92		 0x92
#define PORT92_RESET	 0x01
#define RESET_CONTROL	 0xcf9
#define RESET_FULL	 0x0e
#define RESET_SYSTEM	 0x02
#define PVPANIC		 0x505
#define PVPANIC_PANICKED 0x01
#define PM1_SCI_EN	 0x0001
#define PM1_SLP_EN	 0x2000
#define PM1_SLP_TYP(t)	 ((uint16_t)((t) << 10))

static const struct acpi_fadt *fadt(void)
{
	const struct acpi_fadt *table = (const void *)acpi_find("FACP");

	if (!table)
		bail("there is a FADT", "there is none");
	return table;
}

static void reset_control(void)
{
	outb(RESET_CONTROL, RESET_SYSTEM);
	outb(RESET_CONTROL, RESET_FULL);
}

static void keyboard_controller(void)
{
	outb(KBD_COMMAND, KBD_PULSE_RESET);
}

static void port92(void)
{
	uint8_t value = inb(PORT92);

	outb(PORT92, (uint8_t)(value & ~PORT92_RESET));
	outb(PORT92, value | PORT92_RESET);
}

static void acpi_reset(void)
{
	const struct acpi_fadt *table = fadt();

	if (!(table->flags & FADT_RESET_SUPPORTED))
		bail("the FADT has a reset register", "flags 0x%x", table->flags);
	if (table->reset.space == GAS_IO)
		outb((uint16_t)table->reset.address, table->reset_value);
	else
		*(volatile uint8_t *)map_physical(table->reset.address) = table->reset_value;
}

static void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

static void sleep_s5(void)
{
	const struct acpi_fadt *table = fadt();
	uint16_t control = (uint16_t)table->pm1a_control;
	int type = acpi_sleep_type("_S5_");

	if (type < 0 || !control)
		bail("there are \\_S5 and PM1a_CNT", "SLP_TYPa %u, port 0x%x", (unsigned int)type,
		     control);
	if (!(inw(control) & PM1_SCI_EN) && table->smi_command)
		outb((uint16_t)table->smi_command, table->acpi_enable);
	put("# SLP_TYPa %u to port 0x%x\n", (unsigned int)type, control);
	outw(control, PM1_SLP_TYP(type) | PM1_SLP_EN);
}

static void panic(void)
{
	CHECK(inb(PVPANIC) & PVPANIC_PANICKED, "pvpanic announces the panicked event");
	outb(PVPANIC, PVPANIC_PANICKED);
}

static void hang(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void spin(void)
{
	for (;;)
		relax();
}

void guest_main(void)
{
	static const struct {
		const char *word;
		void (*end)(void);
	} ways[] = {
		{ "cf9", reset_control },   { "kbd", keyboard_controller },
		{ "port92", port92 },	    { "acpi", acpi_reset },
		{ "triple", triple_fault }, { "s5", sleep_s5 },
		{ "pvpanic", panic },	    { "hang", hang },
		{ "spin", spin },
	};
	const char *cmdline = boot_cmdline(), *status = find_word(cmdline, "exit=");

	report(true, "booted", "-");
	if (status)
		debug_exit((uint8_t)number(status, 0));
	for (unsigned int i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!find_word(cmdline, ways[i].word))
			continue;
		put("# %s\n", ways[i].word);
		ways[i].end();
		/* What ends the machine may take a moment to do so. */
		wait_quiet();
		bail("the machine ends", "it goes on");
	}
	bail("the command line names a way to end", "it is \"%s\"", cmdline);
}
