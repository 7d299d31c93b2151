// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A 16550A answers as drivers expect, and raises its line exactly while something enabled is
 * pending.
 *
 * WRAP: chardev__attach chardev__resume chardev__write
 */
#include "test.h"

#include <linux/serial_reg.h>

#include "board.h"
#include "kvm/chardev.h"
#include "kvm/hw/serial.h"

#define PORT 0x3f8
#define GSI  4

static struct board board;
static struct chardev_frontend frontend;
static char sent[64];
static size_t nr_sent;
static unsigned int resumed;

void __wrap_chardev__attach(struct chardev *chr, const struct chardev_frontend *fe);
void __wrap_chardev__resume(struct chardev *chr);
void __wrap_chardev__write(struct chardev *chr, const void *data, size_t len);

void __wrap_chardev__attach(struct chardev *chr, const struct chardev_frontend *fe)
{
	frontend = fe ? *fe : (struct chardev_frontend){ 0 };
}

void __wrap_chardev__resume(struct chardev *chr)
{
	resumed++;
}

void __wrap_chardev__write(struct chardev *chr, const void *data, size_t len)
{
	assert_true(nr_sent + len <= sizeof(sent));
	memcpy(&sent[nr_sent], data, len);
	nr_sent += len;
}

static int setup(void **state)
{
	static char any;
	const struct serial_config cfg = { .port = PORT,
					   .gsi = GSI,
					   .chr = (struct chardev *)&any };

	board__init(&board);
	nr_sent = 0;
	resumed = 0;
	board__add(&board, serial__create(&board.host, &cfg));
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	assert_null(frontend.receive); /* let go of */
	return 0;
}

static uint8_t get(unsigned int reg)
{
	return inb(&board, (uint16_t)(PORT + reg));
}

static void put(unsigned int reg, uint8_t value)
{
	outb(&board, (uint16_t)(PORT + reg), value);
}

static void receive(const char *text)
{
	frontend.receive(frontend.ctx, (const uint8_t *)text, strlen(text));
}

static size_t room(void)
{
	return frontend.room(frontend.ctx);
}

static void use_fifo(uint8_t trigger)
{
	put(UART_MCR, UART_MCR_OUT2);
	put(UART_FCR, UART_FCR_ENABLE_FIFO | trigger);
}

static void is_found_as_a_16550a(void **state)
{
	/* In the order of Linux's autoconfig(): interrupt enables, loopback, type of FIFO. */
	put(UART_IER, 0);
	assert_int_equal(get(UART_IER), 0);
	put(UART_IER, 0xff);
	assert_int_equal(get(UART_IER), 0x0f);
	put(UART_IER, 0);

	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(get(UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	put(UART_MCR, 0);

	put(UART_LCR, UART_LCR_CONF_MODE_B);
	put(UART_EFR, 0);
	put(UART_LCR, 0);
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(get(UART_IIR) >> 6, 3);
	put(UART_LCR, UART_LCR_CONF_MODE_A);
	assert_int_not_equal(get(UART_EFR), 0); /* else it is something newer */
	put(UART_LCR, 0);

	/* Not a 16750: bit 5 of the identification stays away. */
	put(UART_LCR, UART_LCR_CONF_MODE_A);
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(get(UART_IIR) >> 5, 6);
}

static void scratch_and_divisor_are_memory(void **state)
{
	put(UART_SCR, 0x5a);
	put(UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	assert_int_equal(get(UART_DLL), 1); /* a divisor that nobody set must not be 0 */
	assert_int_equal(get(UART_DLM), 0);
	put(UART_DLL, 12);
	put(UART_DLM, 34);
	assert_int_equal(get(UART_DLL), 12);
	assert_int_equal(get(UART_DLM), 34);
	put(UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(get(UART_LCR), UART_LCR_WLEN8);
	assert_int_equal(get(UART_IER), 0);
	assert_int_equal(get(UART_SCR), 0x5a);
	assert_int_equal(nr_sent, 0);
}

static void output_goes_straight_through(void **state)
{
	assert_int_equal(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	for (const char *c = "early"; *c; c++) {
		assert_true(get(UART_LSR) & UART_LSR_THRE);
		put(UART_TX, (uint8_t)*c);
	}
	assert_int_equal(nr_sent, 5);
	assert_memory_equal(sent, "early", 5);
	assert_int_equal(board.rises[GSI], 0);
}

static void a_wide_write_is_several_narrow_ones(void **state)
{
	/* THR, then IER: the ISA bus cuts a word in two. */
	board__out(&board, PORT, 2, 0x0141);
	assert_int_equal(nr_sent, 1);
	assert_int_equal(sent[0], 'A');
	assert_int_equal(get(UART_IER), 1);
	assert_int_equal(board__in(&board, PORT + UART_LSR, 2) & 0xff,
			 UART_LSR_THRE | UART_LSR_TEMT);
}

static void thre_is_raised_by_enabling_it_and_by_each_write(void **state)
{
	put(UART_MCR, UART_MCR_OUT2);
	put(UART_IER, UART_IER_THRI);
	assert_true(board.level[GSI]);
	assert_int_equal(get(UART_IIR), UART_IIR_THRI);
	assert_false(board.level[GSI]); /* reading the cause is what acknowledges it */
	assert_int_equal(get(UART_IIR), UART_IIR_NO_INT);

	/* Linux takes a UART that does not do this for broken (UART_BUG_THRE). */
	put(UART_IER, 0);
	put(UART_IER, UART_IER_THRI);
	assert_int_equal(get(UART_IIR), UART_IIR_THRI);

	put(UART_TX, 'x');
	assert_true(board.level[GSI]);
	put(UART_TX, 'y');
	assert_int_equal(board.rises[GSI], 3); /* it was high already */
	put(UART_IER, 0);
	assert_false(board.level[GSI]);
}

static void without_out2_the_line_is_dead(void **state)
{
	put(UART_IER, UART_IER_THRI);
	assert_int_equal(get(UART_IIR) & UART_IIR_NO_INT, 0);
	put(UART_TX, 'x');
	assert_int_equal(board.rises[GSI], 0);
	put(UART_MCR, UART_MCR_OUT2);
	assert_true(board.level[GSI]);
	put(UART_MCR, 0);
	assert_false(board.level[GSI]);
}

static void input_below_the_trigger_is_a_timeout_and_above_it_data(void **state)
{
	use_fifo(UART_FCR_TRIGGER_8);
	put(UART_IER, UART_IER_RDI);
	receive("1234567");
	assert_true(board.level[GSI]);
	assert_int_equal(get(UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT);
	receive("8");
	assert_int_equal(get(UART_IIR), 0xc0 | UART_IIR_RDI);
	assert_int_equal(get(UART_RX), '1');
	assert_int_equal(get(UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT);
	for (char c = '2'; c <= '8'; c++) {
		assert_true(get(UART_LSR) & UART_LSR_DR);
		assert_true(board.level[GSI]);
		assert_int_equal(get(UART_RX), c);
	}
	assert_false(get(UART_LSR) & UART_LSR_DR);
	assert_false(board.level[GSI]);
	assert_int_equal(board.rises[GSI], 1);
}

static void the_trigger_levels_are_1_4_8_14(void **state)
{
	static const struct {
		uint8_t bits;
		unsigned int level;
	} triggers[] = { { UART_FCR_TRIGGER_1, 1 },
			 { UART_FCR_TRIGGER_4, 4 },
			 { UART_FCR_TRIGGER_8, 8 },
			 { UART_FCR_TRIGGER_14, 14 } };

	put(UART_IER, UART_IER_RDI);
	for (unsigned int i = 0; i < ARRAY_SIZE(triggers); i++) {
		put(UART_FCR, 0);
		use_fifo(triggers[i].bits);
		for (unsigned int n = 1; n <= 16; n++) {
			receive("x");
			assert_int_equal(get(UART_IIR) & 0x0f, n >= triggers[i].level
								       ? UART_IIR_RDI
								       : UART_IIR_RX_TIMEOUT);
		}
	}
}

static void a_full_fifo_stops_input_and_an_empty_one_resumes_it(void **state)
{
	use_fifo(UART_FCR_TRIGGER_14);
	assert_int_equal(room(), 16);
	receive("0123456789abcdef");
	assert_int_equal(room(), 0);
	for (unsigned int i = 0; i < 15; i++)
		get(UART_RX);
	assert_int_equal(resumed, 0);
	assert_int_equal(get(UART_RX), 'f');
	assert_int_equal(resumed, 1);
	get(UART_RX);
	assert_int_equal(resumed, 1);
	assert_false(get(UART_LSR) & UART_LSR_OE);
}

static void without_fifo_there_is_room_for_one(void **state)
{
	put(UART_MCR, UART_MCR_OUT2);
	put(UART_IER, UART_IER_RDI);
	assert_int_equal(room(), 1);
	receive("a");
	assert_int_equal(room(), 0);
	assert_int_equal(get(UART_IIR), UART_IIR_RDI);
	assert_int_equal(get(UART_RX), 'a');
	assert_int_equal(resumed, 1);
}

static void clearing_or_switching_the_fifo_drops_input_and_resumes(void **state)
{
	use_fifo(UART_FCR_TRIGGER_1);
	receive("0123456789abcdef");
	assert_int_equal(room(), 0);
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_false(get(UART_LSR) & UART_LSR_DR);
	assert_int_equal(resumed, 1);

	receive("x");
	put(UART_FCR,
	    UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8); /* another trigger drops nothing */
	assert_true(get(UART_LSR) & UART_LSR_DR);
	put(UART_FCR, UART_FCR_CLEAR_RCVR); /* without the enable bit: switched off */
	assert_false(get(UART_LSR) & UART_LSR_DR);
	assert_int_equal(get(UART_IIR) >> 6, 0);
}

static void loopback_returns_bytes_and_modem_lines(void **state)
{
	use_fifo(UART_FCR_TRIGGER_1);
	get(UART_MSR);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	assert_int_equal(room(), 0); /* nothing comes in from outside */
	put(UART_TX, 'L');
	assert_int_equal(nr_sent, 0);
	assert_int_equal(get(UART_RX), 'L');
	assert_int_equal(resumed, 0);

	get(UART_MSR);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
	assert_int_equal(get(UART_MSR), UART_MSR_RI | UART_MSR_DSR | UART_MSR_DDSR | UART_MSR_DDCD);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_DTR);
	assert_int_equal(get(UART_MSR), UART_MSR_DSR | UART_MSR_TERI); /* RI counts when it falls */
	assert_int_equal(get(UART_MSR), UART_MSR_DSR);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_DTR | UART_MCR_OUT1);
	assert_int_equal(get(UART_MSR), UART_MSR_DSR | UART_MSR_RI);

	put(UART_MCR, 0);
	assert_int_equal(resumed, 1);
	assert_int_equal(room(), 16);
	assert_int_equal(get(UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}

static void interrupts_come_in_order_of_priority(void **state)
{
	use_fifo(UART_FCR_TRIGGER_1);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	get(UART_MSR);
	put(UART_IER, 0x0f);
	for (unsigned int i = 0; i < 17; i++)
		put(UART_TX, (uint8_t)('a' + i)); /* one too many: overrun */
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);

	assert_int_equal(get(UART_IIR), 0xc0 | UART_IIR_RLSI);
	assert_true(get(UART_LSR) & UART_LSR_OE);
	assert_false(get(UART_LSR) & UART_LSR_OE);
	assert_int_equal(get(UART_IIR), 0xc0 | UART_IIR_RDI);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(get(UART_RX), 'a' + i); /* the FIFO keeps what it had */
	assert_int_equal(get(UART_IIR), 0xc0 | UART_IIR_THRI);
	assert_int_equal(get(UART_IIR), 0xc0 | UART_IIR_MSI);
	assert_true(board.level[GSI]);
	get(UART_MSR);
	assert_int_equal(get(UART_IIR), 0xc0 | UART_IIR_NO_INT);
	assert_false(board.level[GSI]);
	assert_int_equal(board.rises[GSI], 1);
}

static void without_fifo_an_overrun_replaces_the_byte(void **state)
{
	put(UART_MCR, UART_MCR_LOOP);
	put(UART_TX, 'a');
	put(UART_TX, 'b');
	assert_int_equal(get(UART_LSR) & (UART_LSR_OE | UART_LSR_DR), UART_LSR_OE | UART_LSR_DR);
	assert_int_equal(get(UART_RX), 'b');
	assert_false(get(UART_LSR) & UART_LSR_DR);
}

static void each_register_is_its_own(void **state)
{
	static const struct {
		unsigned int reg;
		uint8_t value, dlab_value;
	} regs[] = { { UART_DLL, 0, 0x11 },
		     { UART_IER, 0x05, 0x22 },
		     { UART_LCR, 0x03, 0x83 },
		     { UART_MCR, 0x0b, 0x0b },
		     { UART_SCR, 0x77, 0x77 } };

	put(UART_LCR, 0x83);
	put(UART_DLL, 0x11);
	put(UART_DLM, 0x22);
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	put(UART_MCR, 0x0b);
	put(UART_SCR, 0x77);
	put(UART_LCR, 0x03);
	put(UART_IER, 0x05);
	for (unsigned int i = 1; i < ARRAY_SIZE(regs); i++)
		assert_int_equal(get(regs[i].reg), regs[i].value);
	put(UART_LCR, 0x83);
	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++)
		assert_int_equal(get(regs[i].reg), regs[i].dlab_value);
	assert_int_equal(get(UART_IIR) & 0xc0, 0xc0);
}

static void modem_lines_that_change_together_are_all_noted(void **state)
{
	put(UART_MCR, UART_MCR_LOOP);
	assert_int_equal(get(UART_MSR), UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
	put(UART_MCR, UART_MCR_LOOP | 0x0f);
	assert_int_equal(get(UART_MSR), 0xf0 | UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
	put(UART_MCR, UART_MCR_LOOP);
	assert_int_equal(get(UART_MSR), 0x0f);
}

static void lsr_and_msr_are_not_for_writing(void **state)
{
	put(UART_LSR, 0);
	put(UART_MSR, 0xff);
	assert_int_equal(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(get(UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}

static void reset_forgets_everything(void **state)
{
	use_fifo(UART_FCR_TRIGGER_1);
	put(UART_IER, 0x0f);
	put(UART_SCR, 1);
	receive("0123456789abcdef");
	assert_int_equal(room(), 0);
	device_list__reset(&board.devices);
	assert_false(board.level[GSI]);
	assert_int_equal(resumed, 1);
	assert_int_equal(get(UART_IER), 0);
	assert_int_equal(get(UART_SCR), 0);
	assert_int_equal(get(UART_IIR), UART_IIR_NO_INT);
	assert_false(get(UART_LSR) & UART_LSR_DR);
}

static void a_port_connected_to_nothing_works(void **state)
{
	const struct serial_config cfg = { .index = 1, .port = 0x2f8, .gsi = 3 };

	board__add(&board, serial__create(&board.host, &cfg));
	board__hammer(&board, BUS_PIO, 0x2f8, 8);
	outb(&board, 0x2f8 + UART_LCR, 0);
	outb(&board, 0x2f8 + UART_MCR, 0);
	outb(&board, 0x2f8, 'x');
	assert_int_equal(inb(&board, 0x2f8 + UART_LSR) & UART_LSR_THRE, UART_LSR_THRE);
	assert_int_equal(nr_sent, 0);
}

static void a_taken_port_is_refused(void **state)
{
	const struct serial_config cfg = { .index = 1, .port = PORT + 4, .gsi = 3 };

	assert_int_equal(device__add(&board.devices, serial__create(&board.host, &cfg)), -EEXIST);
	assert_null(device_list__find(&board.devices, "serial1"));
	assert_non_null(device_list__find(&board.devices, "serial0"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(is_found_as_a_16550a),
		TEST(scratch_and_divisor_are_memory),
		TEST(output_goes_straight_through),
		TEST(a_wide_write_is_several_narrow_ones),
		TEST(thre_is_raised_by_enabling_it_and_by_each_write),
		TEST(without_out2_the_line_is_dead),
		TEST(input_below_the_trigger_is_a_timeout_and_above_it_data),
		TEST(the_trigger_levels_are_1_4_8_14),
		TEST(a_full_fifo_stops_input_and_an_empty_one_resumes_it),
		TEST(without_fifo_there_is_room_for_one),
		TEST(clearing_or_switching_the_fifo_drops_input_and_resumes),
		TEST(loopback_returns_bytes_and_modem_lines),
		TEST(interrupts_come_in_order_of_priority),
		TEST(without_fifo_an_overrun_replaces_the_byte),
		TEST(each_register_is_its_own),
		TEST(modem_lines_that_change_together_are_all_noted),
		TEST(lsr_and_msr_are_not_for_writing),
		TEST(reset_forgets_everything),
		TEST(a_port_connected_to_nothing_works),
		TEST(a_taken_port_is_refused),
	};

	return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
