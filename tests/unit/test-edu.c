// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The edu device as its drivers use it, and as nobody should.
 *
 * WRAP: irq__signal_msi
 */
#include "test.h"

#include <stdlib.h>

#include "board.h"
#include "kvm/hw/edu.h"
#include "kvm/pci.h"

#define ECAM	 0xe0000000ull
#define RAM_SIZE 0x10000ull
#define GSI	 10
#define BUFFER	 0x40000
#define START	 1
#define TO_RAM	 2
#define IRQ	 4

static struct board board;
static struct pci_host *pci;
static uint8_t ram[RAM_SIZE];
static uint64_t bar;
static unsigned int nr_messages, nr_dirty;

int __wrap_irq__signal_msi(struct irq_router *router, const struct msi_message *msg);

int __wrap_irq__signal_msi(struct irq_router *router, const struct msi_message *msg)
{
	nr_messages++;
	return 1;
}

static void on_dirty(void *ctx, uint64_t gpa, uint64_t len)
{
	assert_true(gpa < RAM_SIZE && len <= RAM_SIZE - gpa);
	nr_dirty++;
}

static uint32_t config_get(uint32_t reg, uint32_t len)
{
	return (uint32_t)board__load(&board, ECAM + 0x8000 + reg, len);
}

static void config_put(uint32_t reg, uint32_t len, uint32_t value)
{
	board__store(&board, ECAM + 0x8000 + reg, len, value);
}

static uint32_t get(uint32_t reg)
{
	return (uint32_t)board__load(&board, bar + reg, 4);
}

static void put(uint32_t reg, uint64_t value)
{
	board__store(&board, bar + reg, reg < 0x80 ? 4 : 8, value);
}

static void make(const struct edu_config *cfg)
{
	const struct pci_host_config host = {
		.mem32 = { 0xc0000000, 0x20000000, 0 },
		.ecam_base = ECAM,
		.ecam_size = 0x100000,
		.gsi = { GSI },
		.nr_gsis = 1,
		.msi = true,
	};

	board__init(&board);
	memset(ram, 0, sizeof(ram));
	assert_int_equal(guest_memory__add(&board.ram,
					   &(struct memory_region){ .size = RAM_SIZE, .hva = ram }),
			 0);
	guest_memory__set_dirty_hook(&board.ram, on_dirty, NULL);
	pci = pci_host__from(board__add(&board, pci_host__create(&board.host, &host)));
	board__add(&board, edu__create(pci, cfg));
	config_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	bar = config_get(PCI_BASE_ADDRESS_0, 4);
	nr_messages = nr_dirty = 0;
}

static int setup(void **state)
{
	make(&(struct edu_config){ .devfn = PCI_DEVFN(1, 0) });
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	return 0;
}

static void enable_msi(void)
{
	uint32_t cap = config_get(PCI_CAPABILITY_LIST, 1);

	assert_int_equal(config_get(cap, 1), PCI_CAP_ID_MSI);
	config_put(cap + PCI_MSI_ADDRESS_LO, 4, 0xfee00000);
	config_put(cap + PCI_MSI_DATA_64, 2, 0x41);
	config_put(cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
}

static void dma(uint64_t src, uint64_t dst, uint64_t count, uint64_t cmd)
{
	put(0x80, src);
	put(0x88, dst);
	put(0x90, count);
	put(0x98, cmd);
}

static void says_who_it_is(void **state)
{
	assert_int_equal(config_get(0, 4), 0x11e81234);
	assert_int_equal(config_get(PCI_CLASS_REVISION, 4), 0x00ff0010);
	assert_int_equal(get(0x00), 0x010000ed);
	put(0x00, 0);
	assert_int_equal(get(0x00), 0x010000ed);
	put(0x04, 0x12345678);
	assert_int_equal(get(0x04), ~0x12345678u);
}

static void its_msi_has_64_bits_and_a_mask_only_if_asked_for(void **state)
{
	uint32_t cap = config_get(PCI_CAPABILITY_LIST, 1);

	assert_int_equal(config_get(cap + PCI_MSI_FLAGS, 2), PCI_MSI_FLAGS_64BIT);
	board__destroy(&board);
	make(&(struct edu_config){ .devfn = PCI_DEVFN(1, 0), .masking = true });
	assert_int_equal(config_get(cap + PCI_MSI_FLAGS, 2),
			 PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
}

static void computes_factorials_modulo_2_to_the_32(void **state)
{
	uint32_t expected = 1;

	for (uint32_t n = 0; n < 50; n++) {
		expected *= n ? n : 1;
		put(0x08, n);
		assert_int_equal(get(0x08), expected);
		assert_int_equal(get(0x20), 0);
	}
	put(0x08, 0xffffffff); /* would take its time by multiplication */
	assert_int_equal(get(0x08), 0);
}

static void a_factorial_may_raise_the_pin(void **state)
{
	put(0x08, 5);
	assert_false(board.level[GSI]);
	put(0x20, 0xff);
	assert_int_equal(get(0x20), 0x80); /* busy is not for writing */
	put(0x08, 5);
	assert_true(board.level[GSI]);
	assert_int_equal(get(0x24), 1);
	put(0x64, 1);
	assert_false(board.level[GSI]);
	assert_int_equal(get(0x24), 0);
}

static void interrupts_are_raised_and_acknowledged_by_bits(void **state)
{
	put(0x60, 0x6);
	assert_true(board.level[GSI]);
	put(0x60, 0x8);
	assert_int_equal(get(0x24), 0xe);
	put(0x64, 0xa);
	assert_true(board.level[GSI]);
	assert_int_equal(get(0x24), 0x4);
	put(0x64, 0xffffffff);
	assert_false(board.level[GSI]);
	put(0x60, 0);
	assert_false(board.level[GSI]);
	put(0x24, 1);
	assert_int_equal(get(0x24), 0);
}

static void with_msi_each_raise_is_a_message(void **state)
{
	enable_msi();
	put(0x60, 1);
	put(0x60, 1);
	assert_int_equal(nr_messages, 2);
	assert_false(board.level[GSI]);
	put(0x64, 1);
	assert_int_equal(nr_messages, 2);
}

static void copies_from_ram_and_back(void **state)
{
	for (unsigned int i = 0; i < 4096; i++)
		ram[0x1000 + i] = (uint8_t)(i * 7);
	dma(0x1000, BUFFER, 4096, START | IRQ);
	assert_int_equal(get(0x98) & START, 0);
	assert_int_equal(get(0x24), 0x100);
	assert_int_equal(nr_dirty, 0);
	put(0x64, 0x100);
	dma(BUFFER + 0x100, 0x8000, 0x200, START | TO_RAM);
	assert_memory_equal(&ram[0x8000], &ram[0x1100], 0x200);
	assert_int_equal(ram[0x8200], 0);
	assert_int_equal(get(0x24), 0); /* no interrupt was asked for */
	assert_int_equal(nr_dirty, 1);
	assert_int_equal(get(0x90), 0x200);
}

static void without_start_nothing_moves(void **state)
{
	dma(0x1000, BUFFER, 4096, IRQ);
	assert_int_equal(get(0x24), 0);
	assert_int_equal(get(0x98), IRQ);
}

static void hostile_transfers_move_nothing_and_say_nothing(void **state)
{
	static const struct {
		uint64_t device, ram, count;
	} bad[] = {
		{ BUFFER, 0, 0 },
		{ BUFFER, 0, 4097 },
		{ BUFFER + 1, 0, 4096 },
		{ BUFFER - 1, 0, 2 },
		{ BUFFER + 4096, 0, 1 },
		{ 0, 0, 1 },
		{ UINT64_MAX, 0, 1 },
		{ UINT64_MAX, 0, 0x100000 },
		{ BUFFER, 0, UINT64_MAX },
		{ BUFFER, 0, 1ull << 32 },
		{ BUFFER + 1, 0, UINT64_MAX },
		{ BUFFER, RAM_SIZE, 1 },
		{ BUFFER, RAM_SIZE - 1, 2 },
		{ BUFFER, 0xfffffff, 16 },
		{ BUFFER, UINT64_MAX, 16 },
	};
	uint8_t before[RAM_SIZE];

	memset(ram, 0x5a, sizeof(ram));
	memcpy(before, ram, sizeof(ram));
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		dma(bad[i].ram, bad[i].device, bad[i].count, START | IRQ);
		dma(bad[i].device, bad[i].ram, bad[i].count, START | IRQ | TO_RAM);
		assert_int_equal(get(0x98) & START, 0);
	}
	assert_memory_equal(ram, before, sizeof(ram));
	assert_int_equal(get(0x24), 0);
	/* The buffer is still empty. */
	dma(BUFFER, 0, 4096, START | TO_RAM);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(ram[i], 0);
}

static void dma_needs_bus_mastering(void **state)
{
	config_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ram[0] = 1;
	dma(BUFFER, 0, 1, START | TO_RAM | IRQ);
	assert_int_equal(ram[0], 1);
	assert_int_equal(get(0x24), 0);
	config_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put(0x98, START | TO_RAM | IRQ);
	assert_int_equal(ram[0], 0);
	assert_int_equal(get(0x24), 0x100);
}

static void addresses_beyond_the_dma_mask_wrap_into_it(void **state)
{
	ram[0x10] = 0x77;
	dma(0xf0000010, BUFFER, 1, START);
	dma(BUFFER, 0x10000020, 1, START | TO_RAM);
	assert_int_equal(ram[0x20], 0x77);

	board__destroy(&board);
	make(&(struct edu_config){ .devfn = PCI_DEVFN(1, 0), .dma_mask = UINT64_MAX });
	memset(ram, 1, sizeof(ram));
	dma(BUFFER, 0x10000020, 1, START | TO_RAM);
	assert_int_equal(ram[0x20], 1);
}

static void registers_take_the_widths_they_say(void **state)
{
	put(0x04, 0x11111111);
	for (uint32_t len = 1; len <= 8; len++) {
		if (len == 4)
			continue;
		board__store(&board, bar + 0x04, len, 0);
		assert_true(board__load(&board, bar + 0x04, len) == UINT64_MAX >> (64 - 8 * len));
	}
	assert_int_equal(get(0x04), ~0x11111111u);
	put(0x80, 0x123456789a);
	assert_true(board__load(&board, bar + 0x80, 8) == 0x123456789a);
	assert_int_equal(board__load(&board, bar + 0x80, 4), 0x3456789a);
	assert_int_equal(board__load(&board, bar + 0x80, 2), 0xffff);
	assert_true(board__load(&board, bar + 0x84, 4) == 0xffffffff);
	assert_true(board__load(&board, bar + 0xffffc, 4) == 0xffffffff);
}

static void reset_clears_registers_buffer_and_pin(void **state)
{
	ram[0] = 0x77;
	dma(0, BUFFER, 1, START);
	put(0x60, 1);
	put(0x08, 5);
	device_list__reset(&board.devices);
	assert_false(board.level[GSI]);
	assert_int_equal(get(0x24), 0);
	assert_int_equal(get(0x08), 0);
	config_put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	dma(BUFFER, 0, 1, START | TO_RAM);
	assert_int_equal(ram[0], 0);
}

static void no_access_breaks_it(void **state)
{
	board__hammer(&board, BUS_MMIO, bar, 0x100);
	board__hammer(&board, BUS_MMIO, bar + 0xffff0, 0x10);
	board__hammer(&board, BUS_MMIO, bar + BUFFER, 0x10);
	srand(3);
	for (unsigned int i = 0; i < 100000; i++) {
		static const uint32_t regs[] = { 0x04, 0x08, 0x20, 0x60, 0x64,
						 0x80, 0x88, 0x90, 0x98 };
		static const uint64_t values[] = {
			0, 1, 2, 3, 4, 7, 0x80, BUFFER, 4096, UINT64_MAX
		};

		put(regs[(unsigned int)rand() % ARRAY_SIZE(regs)],
		    values[(unsigned int)rand() % ARRAY_SIZE(values)]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(says_who_it_is),
		TEST(its_msi_has_64_bits_and_a_mask_only_if_asked_for),
		TEST(computes_factorials_modulo_2_to_the_32),
		TEST(a_factorial_may_raise_the_pin),
		TEST(interrupts_are_raised_and_acknowledged_by_bits),
		TEST(with_msi_each_raise_is_a_message),
		TEST(copies_from_ram_and_back),
		TEST(without_start_nothing_moves),
		TEST(hostile_transfers_move_nothing_and_say_nothing),
		TEST(dma_needs_bus_mastering),
		TEST(addresses_beyond_the_dma_mask_wrap_into_it),
		TEST(registers_take_the_widths_they_say),
		TEST(reset_clears_registers_buffer_and_pin),
		TEST(no_access_breaks_it),
	};

	return cmocka_run_group_tests_name("edu", tests, NULL, NULL);
}
