// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A PCI device from its BAR to its interrupts and its DMA: needs the edu device, 1234:11e8.
 */
#include "acpi.h"
#include "boot.h"
#include "pci.h"

#define EDU_ID 0x11e81234

#define EDU_IDENT	0x00
#define EDU_LIVENESS	0x04
#define EDU_FACTORIAL	0x08
#define EDU_STATUS	0x20
#define EDU_IRQ_STATUS	0x24
#define EDU_IRQ_RAISE	0x60
#define EDU_IRQ_ACK	0x64
#define EDU_DMA_SOURCE	0x80
#define EDU_DMA_TARGET	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_COMMAND 0x98

#define EDU_IDENTITY	  0x010000ed
#define EDU_STATUS_BUSY	  0x01
#define EDU_STATUS_IRQ	  0x80
#define EDU_IRQ_FACTORIAL 0x001
#define EDU_IRQ_DMA	  0x100
#define EDU_DMA_START	  0x01
#define EDU_DMA_TO_RAM	  0x02
#define EDU_DMA_IRQ	  0x04
#define EDU_BUFFER	  0x40000
#define DMA_SIZE	  2048

#define BAR_SIZE      0x100000u
#define BAR_FLAGS     0xfu
#define MOVES	      64
#define TOP_OF_WINDOW 0xfec00000u

#define VECTOR_A    0x71
#define VECTOR_B    0x72
#define VECTOR_GSI  0xa0 /* + pin */
#define NO_SUCH_CPU 0x7e

/* Where PCI pins may go on a PC; the other IRQs have owners. */
#define PCI_IRQS     0x0e20
#define PRIVATE_GSIS 0x0117

static unsigned int edu;
static uint64_t bar;
static uint8_t msi;
static unsigned int nr_cpus;

static volatile unsigned int count_a, count_b, last_cpu;
static volatile unsigned int line_count, line_acked_after;
static uint8_t buffer[2][DMA_SIZE] __attribute__((aligned(4096)));

static uint32_t edu_read(uint32_t reg)
{
	return mmio_read32(bar + reg);
}

static void edu_write(uint32_t reg, uint32_t value)
{
	mmio_write32(bar + reg, value);
}

/* --- BAR --- */

static void check_registers(void)
{
	uint64_t until = tsc_soon();

	CHECK_EQ(edu_read(EDU_IDENT), EDU_IDENTITY, "the device answers at its BAR");
	edu_write(EDU_LIVENESS, 0x12345678);
	CHECK_EQ(edu_read(EDU_LIVENESS), ~0x12345678u, "its liveness register inverts");
	edu_write(EDU_FACTORIAL, 10);
	while (edu_read(EDU_STATUS) & EDU_STATUS_BUSY && rdtsc() < until)
		relax();
	CHECK_EQ(edu_read(EDU_FACTORIAL), 3628800, "it computes 10!");
}

static void check_sizing(void)
{
	uint32_t before = pci_read32(edu, PCI_BAR0), size;

	CHECK(before & ~BAR_FLAGS, "the BAR has been given an address");
	CHECK_EQ(before & BAR_FLAGS, 0, "the BAR is 32-bit memory, not prefetchable");
	pci_command(edu, PCI_COMMAND_MEMORY, 0);
	pci_write32(edu, PCI_BAR0, 0xffffffff);
	size = pci_read32(edu, PCI_BAR0);
	pci_write32(edu, PCI_BAR0, before);
	pci_command(edu, 0, PCI_COMMAND_MEMORY);
	CHECK_EQ(size, ~(BAR_SIZE - 1), "sizing says 1 MiB");
	CHECK_EQ(pci_read32(edu, PCI_BAR0), before, "and the address can be put back");
}

static bool is_free(uint64_t address)
{
	uint32_t seen = mmio_read32(address);

	return seen == 0xffffffff || !seen;
}

/* An address in the neighbourhood that nobody answers. */
static uint32_t find_room(void)
{
	unsigned int last_bus = 0;
	uint64_t ecam = ecam_base(&last_bus), ecam_size = (last_bus + 1ull) << 20;

	for (uint32_t i = 2; i < MOVES; i++) {
		uint64_t address = bar + i * BAR_SIZE;

		if (address + BAR_SIZE > TOP_OF_WINDOW)
			address = bar - i * BAR_SIZE;
		if (address - ecam < ecam_size)
			continue;
		if (is_free(address) && is_free(address + BAR_SIZE - 4))
			return (uint32_t)address;
	}
	bail("there is room for another BAR", "not near 0x%x", (uint32_t)bar);
}

static void check_moving(void)
{
	uint64_t before = bar;
	uint32_t room = find_room();

	pci_command(edu, PCI_COMMAND_MEMORY, 0);
	CHECK(edu_read(EDU_IDENT) != EDU_IDENTITY, "with memory decoding off nobody answers");
	pci_command(edu, 0, PCI_COMMAND_MEMORY);
	CHECK_EQ(edu_read(EDU_IDENT), EDU_IDENTITY, "with memory decoding on again it does");

	put("# from 0x%x to 0x%x\n", (uint32_t)before, room);
	pci_write32(edu, PCI_BAR0, room);
	CHECK_EQ(pci_read32(edu, PCI_BAR0), room, "the BAR takes another address");
	bar = room;
	CHECK_EQ(edu_read(EDU_IDENT), EDU_IDENTITY, "the device answers there");
	CHECK(mmio_read32(before) != EDU_IDENTITY, "and no longer where it was");
	edu_write(EDU_LIVENESS, 0xcafe);
	CHECK_EQ(edu_read(EDU_LIVENESS), ~0xcafeu, "writes reach it there");
	pci_command(edu, PCI_COMMAND_MEMORY, 0);
	pci_write32(edu, PCI_BAR0, (uint32_t)before);
	pci_command(edu, 0, PCI_COMMAND_MEMORY);
	bar = before;
	CHECK_EQ(edu_read(EDU_IDENT), EDU_IDENTITY, "and it moves back");
}

/* --- DMA --- */

static bool dma(uint64_t source, uint64_t target, uint32_t count, uint32_t command)
{
	uint64_t until = tsc_soon();

	mmio_write64(bar + EDU_DMA_SOURCE, source);
	mmio_write64(bar + EDU_DMA_TARGET, target);
	mmio_write64(bar + EDU_DMA_COUNT, count);
	mmio_write64(bar + EDU_DMA_COMMAND, command | EDU_DMA_START);
	while (edu_read(EDU_DMA_COMMAND) & EDU_DMA_START && rdtsc() < until)
		relax();
	return !(edu_read(EDU_DMA_COMMAND) & EDU_DMA_START);
}

static void check_dma(void)
{
	for (unsigned int i = 0; i < DMA_SIZE; i++)
		buffer[0][i] = module_byte(i);

	pci_command(edu, 0, PCI_COMMAND_MASTER);
	CHECK(dma((uint64_t)buffer[0], EDU_BUFFER, DMA_SIZE, 0), "DMA from RAM ends");
	CHECK(dma(EDU_BUFFER, (uint64_t)buffer[1], DMA_SIZE, EDU_DMA_TO_RAM), "DMA to RAM ends");
	CHECK(!memcmp(buffer[0], buffer[1], DMA_SIZE), "what went out comes back");

	memset(buffer[1], 0x77, DMA_SIZE);
	dma(EDU_BUFFER + 100, (uint64_t)buffer[1] + 3, 5, EDU_DMA_TO_RAM);
	CHECK(!memcmp(&buffer[1][3], &buffer[0][100], 5) && buffer[1][2] == 0x77 &&
		      buffer[1][8] == 0x77,
	      "5 bytes are 5 bytes");

	pci_command(edu, PCI_COMMAND_MASTER, 0);
	dma(EDU_BUFFER, (uint64_t)buffer[1], 64, EDU_DMA_TO_RAM);
	CHECK(buffer[1][0] == 0x77 && buffer[1][63] == 0x77,
	      "without bus mastering, memory is not written");
	pci_command(edu, 0, PCI_COMMAND_MASTER);
	edu_write(EDU_IRQ_ACK, 0xffffffff);
}

/* --- MSI --- */

static void on_a(struct frame *frame)
{
	(void)frame;
	last_cpu = this_cpu()->index;
	count_a++;
	apic_eoi();
}

static void on_b(struct frame *frame)
{
	(void)frame;
	last_cpu = this_cpu()->index;
	count_b++;
	apic_eoi();
}

static uint32_t msi_data_at(void)
{
	return msi + (pci_read16(edu, msi + MSI_CONTROL) & MSI_64BIT ? 12u : 8u);
}

static void msi_set(uint32_t id, uint8_t vector)
{
	pci_write32(edu, msi + MSI_ADDRESS, MSI_ADDRESS_BASE | id << 12);
	if (pci_read16(edu, msi + MSI_CONTROL) & MSI_64BIT)
		pci_write32(edu, msi + MSI_ADDRESS + 4, 0);
	pci_write16(edu, msi_data_at(), vector);
}

static void msi_enable(bool on)
{
	uint16_t control = pci_read16(edu, msi + MSI_CONTROL);

	pci_write16(edu, msi + MSI_CONTROL,
		    (uint16_t)(on ? control | MSI_ENABLE : control & ~MSI_ENABLE));
}

/* One interrupt of the device: how many of A and B must come of it. */
static void check_raise(unsigned int a, unsigned int b, const char *name)
{
	count_a = count_b = 0;
	edu_write(EDU_IRQ_RAISE, 1);
	if (a)
		wait_count(&count_a, a);
	if (b)
		wait_count(&count_b, b);
	wait_quiet();
	edu_write(EDU_IRQ_ACK, 1);
	report(count_a == a && count_b == b, name, "%u of vector A, %u of vector B", count_a,
	       count_b);
}

static void check_msi_destination(void)
{
	msi_set(NO_SUCH_CPU, VECTOR_A);
	check_raise(0, 0, "MSI: to a processor that does not exist, it goes nowhere");
	if (nr_cpus < 2) {
		skip("MSI: a changed address moves it to another processor", "there is one");
		msi_set(cpus[0].apic_id, VECTOR_A);
		return;
	}
	msi_set(cpus[1].apic_id, VECTOR_A);
	last_cpu = 0;
	check_raise(1, 0, "MSI: a changed address moves it to another processor");
	CHECK_EQ(last_cpu, 1, "MSI: and there it arrives");
	msi_set(cpus[0].apic_id, VECTOR_A);
	check_raise(1, 0, "MSI: and back");
	CHECK_EQ(last_cpu, 0, "MSI: where it arrives again");
}

static void check_msi(void)
{
	trap_set(VECTOR_A, on_a);
	trap_set(VECTOR_B, on_b);
	pci_command(edu, PCI_COMMAND_INTX_DISABLE, PCI_COMMAND_MASTER);

	msi_set(cpus[0].apic_id, VECTOR_A);
	msi_enable(true);
	CHECK_EQ(pci_read16(edu, msi + MSI_CONTROL) & 0x71, MSI_ENABLE, "MSI: enabled, one vector");
	check_raise(1, 0, "MSI: it arrives once");
	check_raise(1, 0, "MSI: and again");
	pci_write16(edu, msi_data_at(), VECTOR_B);
	check_raise(0, 1, "MSI: changed data move it to another vector");
	msi_set(cpus[0].apic_id, VECTOR_A);
	check_raise(1, 0, "MSI: and back");
	check_msi_destination();

	pci_command(edu, PCI_COMMAND_MASTER, 0);
	check_raise(0, 0, "MSI: without bus mastering none is sent");
	pci_command(edu, 0, PCI_COMMAND_MASTER);

	count_a = 0;
	edu_write(EDU_STATUS, EDU_STATUS_IRQ);
	edu_write(EDU_FACTORIAL, 5);
	report(wait_count(&count_a, 1), "MSI: announces a finished computation", "it does not");
	CHECK_EQ(edu_read(EDU_IRQ_STATUS), EDU_IRQ_FACTORIAL, "and the interrupt status says so");
	CHECK_EQ(edu_read(EDU_FACTORIAL), 120, "it has computed 5!");
	edu_write(EDU_STATUS, 0);
	edu_write(EDU_IRQ_ACK, EDU_IRQ_FACTORIAL);
	CHECK_EQ(edu_read(EDU_IRQ_STATUS), 0, "acknowledging clears it");

	count_a = 0;
	dma((uint64_t)buffer[0], EDU_BUFFER, 16, EDU_DMA_IRQ);
	report(wait_count(&count_a, 1), "MSI: announces finished DMA", "it does not");
	CHECK_EQ(edu_read(EDU_IRQ_STATUS), EDU_IRQ_DMA, "and the interrupt status says so");
	edu_write(EDU_IRQ_ACK, EDU_IRQ_DMA);

	msi_enable(false);
	check_raise(0, 0, "MSI: disabled, none is sent");
}

/* --- INTx --- */

/* Bits of lines by which it came since the last raise_line(). */
static volatile uint32_t lines_seen;
static volatile unsigned int ended_early;

static void line_interrupt(unsigned int line)
{
	lines_seen |= 1u << line;
	line_count++;
	if (line_count >= line_acked_after)
		edu_write(EDU_IRQ_ACK, 0xffffffff);
}

static void by_pic(struct frame *frame)
{
	unsigned int irq = (unsigned int)frame->vector - PIC_VECTOR;

	line_interrupt(irq);
	pic_eoi(irq);
}

/*
 * The local APIC has the interrupt in service until our EOI. That of some software KVM has not, and
 * lets the I/O APIC deliver once more than the device asks for.
 */
static void by_ioapic(struct frame *frame)
{
	ended_early += !apic_in_service((uint8_t)frame->vector);
	line_interrupt((unsigned int)frame->vector - VECTOR_GSI);
	apic_eoi();
}

static void report_times(unsigned int expected, const char *name)
{
	if (line_count > expected && ended_early)
		skip(name, "this KVM ends interrupts before their EOI");
	else
		report(line_count == expected, name, "%u times", line_count);
}

static void raise_line(unsigned int times)
{
	line_count = ended_early = 0;
	lines_seen = 0;
	line_acked_after = times;
	edu_write(EDU_IRQ_RAISE, 1);
	if (times)
		wait_count(&line_count, times);
	wait_quiet();
}

/* Where the pin is wired to, found by trying; a board may wire it to several. */
static uint32_t find_lines(void)
{
	edu_write(EDU_IRQ_ACK, 0xffffffff);
	wait_quiet();
	raise_line(1);
	put("# lines 0x%x\n", lines_seen);
	report(lines_seen, "INTx: it arrives", "it does not");
	return lines_seen;
}

static void check_line(void)
{
	raise_line(1);
	report_times(1, "INTx: it arrives once if it is acknowledged");
	raise_line(3);
	report_times(3, "INTx: it comes again until it is acknowledged");
	CHECK_EQ(pci_read16(edu, PCI_STATUS) & PCI_STATUS_INTX, 0,
		 "INTx: the status bit is clear afterwards");

	pci_command(edu, 0, PCI_COMMAND_INTX_DISABLE);
	raise_line(0);
	CHECK_EQ(line_count, 0, "INTx: the disable bit holds it back");
	CHECK_EQ(pci_read16(edu, PCI_STATUS) & PCI_STATUS_INTX, PCI_STATUS_INTX,
		 "INTx: while the status bit shows it");
	line_acked_after = 1;
	pci_command(edu, PCI_COMMAND_INTX_DISABLE, 0);
	wait_count(&line_count, 1);
	wait_quiet();
	report_times(1, "INTx: and it arrives when that bit is cleared");
}

static void check_intx_pic(void)
{
	unsigned int irq;

	if (!pic_init()) {
		skip("INTx by the 8259", "there is none");
		return;
	}
	put("# by the 8259\n");
	pic_level(PCI_IRQS);
	for (irq = 0; irq < 16; irq++) {
		if (PCI_IRQS >> irq & 1) {
			trap_set((uint8_t)(PIC_VECTOR + irq), by_pic);
			pic_unmask(irq);
		}
	}
	irq = pci_read8(edu, PCI_IRQ_LINE);
	CHECK_EQ(find_lines(), 1u << irq, "INTx: the interrupt line register says where");
	if (lines_seen)
		check_line();
	for (irq = 0; irq < 16; irq++) {
		if (PCI_IRQS >> irq & 1)
			pic_mask(irq);
	}
}

static void route_pin(unsigned int pin)
{
	trap_set((uint8_t)(VECTOR_GSI + pin), by_ioapic);
	ioapic_route(pin, (uint8_t)(VECTOR_GSI + pin), IOAPIC_LEVEL | IOAPIC_LOW_ACTIVE);
}

static void check_intx_ioapic(void)
{
	unsigned int pins = ioapic_init(), pin;
	uint32_t lines;

	if (!pins) {
		skip("INTx by the I/O APIC", "there is none");
		return;
	}
	put("# by the I/O APIC\n");
	for (pin = 0; pin < pins && pin < 32; pin++) {
		if (pin >= 16 || !(PRIVATE_GSIS >> pin & 1))
			route_pin(pin);
	}
	lines = find_lines();
	ioapic_init();
	if (!lines)
		return;
	for (pin = 0; !(lines >> pin & 1);)
		pin++;
	route_pin(pin);
	check_line();
	ioapic_mask(pin);
}

static void start_second_processor(void)
{
	static struct madt_info madt;

	madt_read(&madt);
	nr_cpus = madt.nr_cpus < 2 ? 1 : 2;
	smp_prepare();
	if (nr_cpus == 2) {
		smp_start(madt.apic_id[1]);
		if (!wait_count(&nr_cpus_up, 2))
			bail("a second processor starts", "it does not");
	}
}

void guest_main(void)
{
	int function = pci_find(EDU_ID);

	if (function < 0)
		bail("there is an edu device", "there is none");
	edu = (unsigned int)function;
	msi = pci_capability(edu, PCI_CAP_MSI);
	CHECK_EQ(pci_read8(edu, PCI_IRQ_PIN), 1, "it has pin A");
	if (apic_present())
		CHECK(msi, "it has MSI");
	check_sizing();
	bar = pci_read32(edu, PCI_BAR0) & ~BAR_FLAGS;
	check_registers();
	check_moving();
	check_dma();
	if (apic_present()) {
		start_second_processor();
		if (msi)
			check_msi();
	} else {
		skip("MSI", "there is no local APIC");
	}
	check_intx_pic();
	check_intx_ioapic();
}
