// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The 8254: channel 0 interrupts by 8259 and I/O APIC, channel 2 by port 0x61, counting against the
 * TSC.
 */
#include "acpi.h"
#include "cpu.h"

#define PIT_CHANNEL0 0x40
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define PIT_HZ	     1193182u

#define PIT_BOTH_BYTES	       0x30
#define PIT_ONE_SHOT	       0x00
#define PIT_RATE	       0x04
#define PIT_LATCH_0	       0x00
#define PIT_SELECT_2	       0x80
#define PIT_READ_BACK_STATUS_0 0xe2

#define PORT_B	       0x61
#define PORT_B_GATE2   0x01
#define PORT_B_SPEAKER 0x02
#define PORT_B_REFRESH 0x10
#define PORT_B_OUT2    0x20

#define TICK_HZ	   250u
#define VECTOR_GSI 0x61

static volatile unsigned int ticks;

static void pic_tick(struct frame *frame)
{
	(void)frame;
	ticks++;
	pic_eoi(0);
}

static void ioapic_tick(struct frame *frame)
{
	(void)frame;
	ticks++;
	apic_eoi();
}

static void channel0(uint8_t mode, uint32_t divisor)
{
	outb(PIT_COMMAND, PIT_BOTH_BYTES | mode);
	outb(PIT_CHANNEL0, (uint8_t)divisor);
	outb(PIT_CHANNEL0, (uint8_t)(divisor >> 8));
}

static uint16_t count0(void)
{
	uint8_t low;

	outb(PIT_COMMAND, PIT_LATCH_0);
	low = inb(PIT_CHANNEL0);
	return (uint16_t)(low | inb(PIT_CHANNEL0) << 8);
}

static void check_counter(void)
{
	uint16_t first, second;
	uint8_t status;

	channel0(PIT_RATE, PIT_HZ / TICK_HZ);
	outb(PIT_COMMAND, PIT_READ_BACK_STATUS_0);
	status = inb(PIT_CHANNEL0);
	CHECK_EQ(status & 0x3e, PIT_BOTH_BYTES | PIT_RATE, "the read-back status tells the mode");
	first = count0();
	for (unsigned int i = 0; i < 1000 && count0() == first; i++)
		relax();
	second = count0();
	report(first != second, "the counter counts", "it stays at %u", first);
	report(first <= PIT_HZ / TICK_HZ && second <= PIT_HZ / TICK_HZ,
	       "the counter stays below its divisor", "%u, %u", first, second);
}

static void check_pic(void)
{
	if (!pic_init()) {
		skip("channel 0 interrupts by the 8259", "there is none");
		return;
	}
	trap_set(PIC_VECTOR, pic_tick);
	channel0(PIT_RATE, PIT_HZ / TICK_HZ);
	pic_unmask(0);
	ticks = 0;
	report(wait_count(&ticks, 5), "channel 0 interrupts by the 8259", "%u of 5", ticks);
	if (!ticks)
		return;
	for (unsigned int more = ticks + 3; ticks < more;)
		halt();
	report(true, "and wakes hlt", "-");

	pic_mask(0);
	wait_quiet(); /* one may be on its way */
	ticks = 0;
	wait_quiet();
	CHECK_EQ(ticks, 0, "no interrupt while it is masked");

	channel0(PIT_ONE_SHOT, 0); /* the longest: it ends the periodic one */
	pic_init();		   /* forgets a tick that is pending */
	pic_unmask(0);
	ticks = 0;
	channel0(PIT_ONE_SHOT, PIT_HZ / TICK_HZ);
	wait_count(&ticks, 1);
	wait_quiet();
	CHECK_EQ(ticks, 1, "mode 0 interrupts once");
	pic_mask(0);
}

static void check_ioapic(void)
{
	static struct madt_info madt;
	unsigned int pin;

	if (!ioapic_init()) {
		skip("channel 0 interrupts by the I/O APIC", "there is none");
		return;
	}
	madt_read(&madt);
	pin = madt.gsi[0];
	put("# IRQ 0 is GSI %u\n", pin);
	trap_set(VECTOR_GSI, ioapic_tick);
	ioapic_route(pin, VECTOR_GSI, 0);
	channel0(PIT_RATE, PIT_HZ / TICK_HZ);
	ticks = 0;
	report(wait_count(&ticks, 5), "channel 0 interrupts by the I/O APIC", "%u of 5", ticks);
	ioapic_mask(pin);
	wait_quiet();
	ticks = 0;
	wait_quiet();
	CHECK_EQ(ticks, 0, "no interrupt while the I/O APIC's pin is masked");
}

static void channel2_one_shot(uint32_t divisor)
{
	outb(PIT_COMMAND, PIT_SELECT_2 | PIT_BOTH_BYTES | PIT_ONE_SHOT);
	outb(PIT_CHANNEL2, (uint8_t)divisor);
	outb(PIT_CHANNEL2, (uint8_t)(divisor >> 8));
}

static bool wait_out2(void)
{
	uint64_t until = tsc_soon();

	while (!(inb(PORT_B) & PORT_B_OUT2) && rdtsc() < until)
		relax();
	return inb(PORT_B) & PORT_B_OUT2;
}

static void check_port_b(void)
{
	uint8_t before = inb(PORT_B) & 0x0f, other;
	uint64_t until = tsc_soon();

	outb(PORT_B, PORT_B_GATE2);
	CHECK_EQ(inb(PORT_B) & 3, PORT_B_GATE2, "port 0x61 reads back the gate");
	outb(PORT_B, PORT_B_SPEAKER);
	CHECK_EQ(inb(PORT_B) & 3, PORT_B_SPEAKER, "port 0x61 reads back the speaker");
	other = (inb(PORT_B) & PORT_B_REFRESH) ^ PORT_B_REFRESH;
	while ((inb(PORT_B) & PORT_B_REFRESH) != other && rdtsc() < until)
		relax();
	CHECK_EQ(inb(PORT_B) & 0x40, 0, "port 0x61 has no I/O channel check");
	outb(PORT_B, before);
	report(rdtsc() < until, "the refresh bit toggles", "it does not");
}

static uint64_t tsc_of_channel2(uint32_t divisor)
{
	uint64_t start;

	outb(PORT_B, PORT_B_GATE2);
	channel2_one_shot(divisor);
	start = rdtsc();
	if (!wait_out2())
		bail("channel 2's output goes high when it has counted", "it stays low");
	return rdtsc() - start;
}

static void check_channel2(void)
{
	uint64_t longer, shorter = UINT64_MAX;

	outb(PORT_B, PORT_B_GATE2);
	channel2_one_shot(0xffff);
	CHECK_EQ(inb(PORT_B) & PORT_B_OUT2, 0, "channel 2's output is low while it counts");
	longer = tsc_of_channel2(PIT_HZ / 20);
	report(true, "channel 2's output goes high when it has counted", "-");
	/* Others may run on this host and make us late, never early: the quickest try is the
	 * truest. */
	for (unsigned int i = 0; i < 30 && shorter >= longer / 2; i++) {
		uint64_t cycles = tsc_of_channel2(PIT_HZ / 200);

		if (cycles < shorter)
			shorter = cycles;
	}
	put("# TSC about %u kHz\n", (unsigned int)(shorter / 5));
	report(shorter < longer / 2, "a tenth of the count takes less time",
	       "0x%llx and 0x%llx cycles", (unsigned long long)shorter, (unsigned long long)longer);
	outb(PORT_B, 0);
}

void guest_main(void)
{
	check_port_b();
	check_channel2();
	check_counter();
	check_pic();
	check_ioapic();
}
