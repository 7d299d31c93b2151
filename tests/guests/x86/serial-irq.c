// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The 8250 at COM1: identification, loopback, interrupts on IRQ 4, and what arrives from lkvm's
 * standard input.
 *
 * Reports wait until the port is no longer in loopback mode, as they would not come out.
 */
#include "boot.h"
#include "cpu.h"

#define COM1_IRQ 4

#define UART_RBR 0
#define UART_DLL 0
#define UART_IER 1
#define UART_DLM 1
#define UART_IIR 2
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_MSR 6
#define UART_SCR 7

#define IER_RECEIVED   0x01
#define IER_THRE       0x02
#define IIR_NONE       0x01
#define IIR_THRE       0x02
#define IIR_RECEIVED   0x04
#define IIR_TIMEOUT    0x0c
#define IIR_ID	       0x0f
#define IIR_FIFO       0xc0
#define FCR_ENABLE     0x01
#define FCR_CLEAR      0x06
#define LCR_DLAB       0x80
#define LCR_8N1	       0x03
#define MCR_DTR_RTS    0x03
#define MCR_OUT2       0x08
#define MCR_LOOP       0x10
#define LSR_READY      0x01
#define LSR_IDLE       0x60
#define MSR_LOOPED_ALL 0xf0

static volatile unsigned int interrupts, lines_read;
static volatile uint8_t last_iir;
static char line[64];
static volatile unsigned int line_len;

static uint8_t get(unsigned int reg)
{
	return inb((uint16_t)(COM1 + reg));
}

static void set(unsigned int reg, uint8_t value)
{
	outb((uint16_t)(COM1 + reg), value);
}

static void check_identity(void)
{
	uint8_t scratch, divisor_low, divisor_high, after, with_fifo, without;

	set(UART_IER, 0);
	set(UART_SCR, 0xa5);
	scratch = get(UART_SCR);
	set(UART_LCR, LCR_DLAB | LCR_8N1);
	set(UART_DLL, 0x12);
	set(UART_DLM, 0x34);
	divisor_low = get(UART_DLL);
	divisor_high = get(UART_DLM);
	set(UART_DLL, 1); /* 115200 baud */
	set(UART_DLM, 0);
	set(UART_LCR, LCR_8N1);
	after = get(UART_IER);
	set(UART_FCR, FCR_ENABLE | FCR_CLEAR);
	with_fifo = get(UART_IIR);
	set(UART_FCR, 0);
	without = get(UART_IIR);

	CHECK_EQ(scratch, 0xa5, "the scratch register keeps what it is given");
	CHECK(divisor_low == 0x12 && divisor_high == 0x34, "DLAB shows the divisor");
	CHECK_EQ(after, 0, "the divisor does not leak into IER");
	CHECK_EQ(get(UART_LCR), LCR_8N1, "LCR reads back");
	CHECK_EQ(with_fifo & IIR_FIFO, IIR_FIFO, "IIR says 16550A when the FIFO is on");
	CHECK_EQ(without & IIR_FIFO, 0, "and not when it is off");
	CHECK_EQ(without & IIR_ID, IIR_NONE, "IIR says that nothing is pending");
	while ((get(UART_LSR) & LSR_IDLE) != LSR_IDLE)
		relax();
	report(true, "the transmitter becomes empty", "-");
}

static void check_loopback(void)
{
	uint8_t bytes[16], empty, looped, with[2];
	bool same = true, after;

	set(UART_FCR, FCR_ENABLE | FCR_CLEAR);
	set(UART_MCR, MCR_LOOP);
	with[0] = get(UART_MSR) & 0xf0;
	set(UART_MCR, MCR_LOOP | 0x0f);
	with[1] = get(UART_MSR) & 0xf0;
	set(UART_MCR, MCR_LOOP);

	/* What came from outside before does not belong here. */
	while (get(UART_LSR) & LSR_READY)
		(void)get(UART_RBR);
	empty = get(UART_LSR);
	for (unsigned int i = 0; i < sizeof(bytes); i++) {
		uint64_t until = tsc_soon();

		set(UART_RBR, (uint8_t)(0x80 + i));
		while (!(get(UART_LSR) & LSR_READY) && rdtsc() < until)
			relax();
		bytes[i] = get(UART_RBR);
		same = same && bytes[i] == 0x80 + i;
	}
	after = get(UART_LSR) & LSR_READY;
	set(UART_RBR, 'L');
	looped = get(UART_LSR);
	for (unsigned int i = 0; i < 10000 && !(looped & LSR_READY); i++)
		looped = get(UART_LSR);
	set(UART_FCR, FCR_ENABLE | FCR_CLEAR);
	set(UART_MCR, MCR_DTR_RTS);

	CHECK_EQ(empty & LSR_READY, 0, "loopback: nothing to read at first");
	CHECK(same, "loopback: what is sent comes back");
	CHECK(!after, "loopback: and nothing else");
	CHECK_EQ(looped & LSR_READY, LSR_READY, "loopback: LSR says that a byte is there");
	CHECK_EQ(get(UART_LSR) & LSR_READY, 0, "clearing the FIFO drops it");
	CHECK_EQ(with[0], 0, "loopback: modem lines off");
	CHECK_EQ(with[1], MSR_LOOPED_ALL, "loopback: modem lines on");
}

static void serve(void)
{
	interrupts++;
	last_iir = get(UART_IIR) & IIR_ID;
	if (last_iir == IIR_THRE)
		return;
	while (get(UART_LSR) & LSR_READY) {
		char c = (char)get(UART_RBR);

		if (c == '\n' || line_len == sizeof(line) - 1)
			lines_read++;
		else
			line[line_len++] = c;
	}
}

static void by_pic(struct frame *frame)
{
	(void)frame;
	serve();
	pic_eoi(COM1_IRQ);
}

static void by_ioapic(struct frame *frame)
{
	(void)frame;
	serve();
	apic_eoi();
}

static void check_stdin(void)
{
	static const char expected[] = "hello from standard input";

	if (!pic_init()) {
		skip("a line from standard input arrives by interrupt", "there is no 8259");
		return;
	}
	/* It may have been there before us: nothing here clears the receiver. */
	trap_set(PIC_VECTOR + COM1_IRQ, by_pic);
	pic_unmask(COM1_IRQ);
	set(UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	set(UART_IER, IER_RECEIVED);
	wait_count(&lines_read, 1);
	set(UART_IER, 0);
	pic_mask(COM1_IRQ);
	line[line_len] = '\0';
	report(line_len == sizeof(expected) - 1 && !memcmp(line, expected, sizeof(expected)),
	       "a line from standard input arrives by interrupt", "got \"%s\"", line);
}

static void check_thre(const char *once, const char *again)
{
	unsigned int first;
	uint8_t iir;

	set(UART_FCR, FCR_ENABLE | FCR_CLEAR);
	set(UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	interrupts = 0;
	set(UART_IER, IER_THRE);
	wait_count(&interrupts, 1);
	wait_quiet();
	first = interrupts;
	iir = last_iir;
	set(UART_RBR, '#');
	wait_count(&interrupts, first + 1);
	set(UART_IER, 0);
	wait_quiet();
	put("\n");
	report(first == 1 && iir == IIR_THRE, once, "%u interrupts, IIR 0x%x", first, iir);
	report(interrupts == first + 1, again, "%u interrupts", interrupts - first);
}

static void check_received(void)
{
	uint8_t iir;
	unsigned int came;

	line_len = 0;
	interrupts = 0;
	set(UART_FCR, FCR_ENABLE | FCR_CLEAR);
	set(UART_MCR, MCR_LOOP | MCR_OUT2);
	set(UART_IER, IER_RECEIVED);
	set(UART_RBR, 'r');
	wait_quiet();
	/* Loopback disconnects the output that gates IRQ 4; then only IIR tells. */
	iir = get(UART_IIR) & IIR_ID;
	came = interrupts;
	set(UART_IER, 0);
	set(UART_FCR, FCR_ENABLE | FCR_CLEAR);
	set(UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	report(iir == IIR_RECEIVED || iir == IIR_TIMEOUT || came,
	       "a byte received is announced by IIR or interrupt", "IIR 0x%x", iir);
	line_len = 0;
	wait_quiet();
}

static void check_by_pic(void)
{
	if (!pic_init()) {
		skip("interrupts by the 8259", "there is none");
		return;
	}
	trap_set(PIC_VECTOR + COM1_IRQ, by_pic);
	pic_unmask(COM1_IRQ);
	check_thre("8259: an empty transmitter interrupts once", "8259: and again after a byte");
	check_received();
	pic_mask(COM1_IRQ);
}

static void check_by_ioapic(void)
{
	if (!ioapic_init()) {
		skip("interrupts by the I/O APIC", "there is none");
		return;
	}
	trap_set(PIC_VECTOR + 16 + COM1_IRQ, by_ioapic);
	ioapic_route(COM1_IRQ, PIC_VECTOR + 16 + COM1_IRQ, 0);
	check_thre("I/O APIC: an empty transmitter interrupts once",
		   "I/O APIC: and again after a byte");
	ioapic_mask(COM1_IRQ);
}

void guest_main(void)
{
	if (find_word(boot_cmdline(), "stdin"))
		check_stdin();
	check_identity();
	check_loopback();
	check_by_pic();
	check_by_ioapic();
}
