// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PCI bus: configuration space by both mechanisms, BARs wherever a guest puts them, pins,
 * capabilities, reset.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "board.h"
#include "kvm/pci.h"

#define ECAM	   0xe0000000ull
#define MEM32	   0xc0000000ull
#define MEM32_SIZE 0x20000000ull
#define MEM64	   0x800000000ull
#define MEM64_SIZE 0x400000000ull
#define IO	   0x1000
#define IO_SIZE	   0xf000
#define RAM_SIZE   0x40000000ull
#define COMMAND	   PCI_COMMAND
#define BAR(n)	   ((uint32_t)(PCI_BASE_ADDRESS_0 + 4 * (n)))
#define NR_TOYS	   3

/* A device made for this test: registers that note where they were touched. */
struct toy {
	struct pci_device pci;
	int devfn;
	uint64_t read_at, written_at, written;
	unsigned int reads, writes;
	unsigned int maps, unmaps;
	bool refuse_map;
};

static struct board board;
static struct pci_host *pci;
static struct toy *toy; /* the one most tests use */
static unsigned int nr_toys;

static void toy_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct toy *t = ctx;

	t->read_at = offset;
	t->reads++;
	io__put(data, len, 0x1122334455667788 + offset);
}

static void toy_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct toy *t = ctx;

	t->written_at = offset;
	t->written = io__get(data, len);
	t->writes++;
}

static int toy_realize(struct device *dev)
{
	struct toy *t = (struct toy *)dev;

	return pci_device__realize(&t->pci, t->devfn);
}

static void toy_reset(struct device *dev)
{
	pci_device__reset((struct pci_device *)dev);
}

static void toy_unrealize(struct device *dev)
{
	pci_device__unrealize((struct pci_device *)dev);
	free(dev);
}

static const struct device_ops toy_ops = {
	.kind = "toy",
	.realize = toy_realize,
	.reset = toy_reset,
	.unrealize = toy_unrealize,
};

static const struct pci_ids toy_ids = {
	.vendor = 0xabcd,
	.device = 0x4321,
	.subsystem_vendor = 0x1111,
	.subsystem = 0x2222,
	.class = 0xff0102,
	.revision = 7,
};

/* The last ioeventfd that was asked for, and how many there are. */
static struct {
	uint64_t addr, match;
	uint32_t len;
	enum bus_space space;
	bool has_match;
	int fd, nr, error;
} ioeventfd;

static int on_ioeventfd(void *ctx, enum bus_space space, uint64_t addr, uint32_t len,
			const uint64_t *datamatch, int fd, bool assign)
{
	if (assign && ioeventfd.error)
		return ioeventfd.error;
	ioeventfd.addr = addr;
	ioeventfd.len = len;
	ioeventfd.space = space;
	ioeventfd.has_match = datamatch;
	ioeventfd.match = datamatch ? *datamatch : 0;
	ioeventfd.fd = fd;
	ioeventfd.nr += assign ? 1 : -1;
	assert_true(ioeventfd.nr >= 0);
	return 0;
}

static struct toy *new_toy(int devfn)
{
	struct toy *t = calloc(1, sizeof(*t));
	char name[24];

	assert_non_null(t);
	snprintf(name, sizeof(name), "toy%u", nr_toys++);
	t->devfn = devfn;
	pci_device__init(&t->pci, pci, &toy_ops, name, &toy_ids);
	return t;
}

static int add_bar(struct toy *t, unsigned int bar, enum pci_bar_kind kind, uint64_t size)
{
	return pci__add_bar(&t->pci, bar, kind, kind == PCI_BAR_MEM64,
			    &(struct bus_region){ .size = size,
						  .read = toy_read,
						  .write = toy_write,
						  .ctx = t,
						  .name = "toy" });
}

static struct toy *add_toy(struct toy *t)
{
	board__add(&board, &t->pci.dev);
	return t;
}

static void make_board(const struct pci_host_config *cfg)
{
	board__init(&board);
	bus__destroy(board.host.bus);
	memset(&ioeventfd, 0, sizeof(ioeventfd));
	board.host.bus = bus__create(on_ioeventfd, NULL);
	/* No memory behind it: nothing but its place matters here. */
	assert_int_equal(guest_memory__add(&board.ram, &(struct memory_region){ .size = RAM_SIZE }),
			 0);
	pci = pci_host__from(board__add(&board, pci_host__create(&board.host, cfg)));
	nr_toys = 0;
}

static int setup(void **state)
{
	const struct pci_host_config cfg = {
		.io = { IO, IO_SIZE, 0 },
		.mem32 = { MEM32, MEM32_SIZE, 0 },
		.mem64 = { MEM64, MEM64_SIZE, 0 },
		.io_space = BUS_PIO,
		.conf1 = true,
		.ecam_base = ECAM,
		.ecam_size = 0x10000000,
		.gsi = { 5, 10, 11, 14 },
		.nr_gsis = 4,
		.msi = true,
	};

	make_board(&cfg);
	toy = new_toy(PCI_DEVFN(3, 0));
	add_bar(toy, 0, PCI_BAR_MEM32, 0x1000);
	add_bar(toy, 1, PCI_BAR_IO, 0x40);
	add_bar(toy, 2, PCI_BAR_MEM64, 0x10000);
	add_bar(toy, PCI_ROM_BAR, PCI_BAR_ROM, 0x800);
	pci_config__set(&toy->pci, PCI_INTERRUPT_PIN, 1, 1);
	add_toy(toy);
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	return 0;
}

static uint64_t ecam(unsigned int devfn, uint32_t reg)
{
	return ECAM + ((uint64_t)devfn << 12) + reg;
}

static uint32_t get(const struct toy *t, uint32_t reg, uint32_t len)
{
	return (uint32_t)board__load(&board, ecam(t->pci.devfn, reg), len);
}

static void put(const struct toy *t, uint32_t reg, uint32_t len, uint32_t value)
{
	board__store(&board, ecam(t->pci.devfn, reg), len, value);
}

static uint32_t conf1_get(uint32_t address, unsigned int at, uint32_t len)
{
	board__out(&board, 0xcf8, 4, 0x80000000 | address);
	return board__in(&board, (uint16_t)(0xcfc + at), len);
}

static struct bus_region *at(enum bus_space space, uint64_t addr)
{
	return bus__find(board.host.bus, space, addr);
}

static void mechanism_1_is_found_and_shows_the_bridge(void **state)
{
	/* pci_check_type1() and pci_sanity_check() */
	uint32_t before = board__in(&board, 0xcf8, 4);

	outb(&board, 0xcfb, 0x01);
	board__out(&board, 0xcf8, 4, 0x80000000);
	assert_int_equal(board__in(&board, 0xcf8, 4), 0x80000000);
	board__out(&board, 0xcf8, 4, before);
	assert_int_equal(conf1_get(PCI_CLASS_REVISION, 2, 2), 0x0600);
	assert_int_equal(conf1_get(0, 0, 4), 0x00081b36);
	assert_int_equal(conf1_get(PCI_DEVFN(3, 0) << 8, 0, 4), 0x4321abcd);
}

static void reserved_bits_of_the_address_do_not_stick(void **state)
{
	board__out(&board, 0xcf8, 4, 0xffffffff);
	assert_int_equal(board__in(&board, 0xcf8, 4), 0x80fffffc);
	board__out(&board, 0xcf8, 2, 0); /* only a double word reaches it */
	outb(&board, 0xcf8, 0);
	assert_int_equal(board__in(&board, 0xcf8, 4), 0x80fffffc);
	assert_int_equal(board__in(&board, 0xcf8, 2), 0xffff);
}

static void what_is_not_there_reads_as_ones(void **state)
{
	assert_int_equal(conf1_get(PCI_DEVFN(4, 0) << 8, 0, 4), 0xffffffff);
	assert_int_equal(conf1_get(PCI_DEVFN(3, 1) << 8, 0, 2), 0xffff);
	assert_int_equal(conf1_get(1 << 16, 0, 4), 0xffffffff); /* another bus */
	board__out(&board, 0xcf8, 4, PCI_DEVFN(3, 0) << 8);
	assert_int_equal(board__in(&board, 0xcfc, 4), 0xffffffff); /* not enabled */
	board__out(&board, 0xcfc, 4, 0);

	for (unsigned int devfn = 0; devfn < PCI_NR_DEVFNS; devfn++) {
		bool there = devfn == 0 || devfn == PCI_DEVFN(3, 0);

		assert_int_equal(board__load(&board, ecam(devfn, 0), 4) != 0xffffffff, there);
		board__store(&board, ecam(devfn, COMMAND), 2, 0);
	}
	assert_int_equal(board__load(&board, ecam(0x100, 0), 4), 0xffffffff);
	board__store(&board, ecam(0x100, 0), 4, 0);
}

static void both_mechanisms_agree_in_every_width(void **state)
{
	for (uint32_t reg = 0; reg < 0x100; reg++) {
		uint32_t address = PCI_DEVFN(3, 0) << 8 | (reg & 0xfc);
		uint32_t expected = 0;

		for (uint32_t len = 1; len <= 4; len++) {
			if ((reg & 3) + len > 4)
				break;
			expected |= (uint32_t)toy->pci.config[reg + len - 1] << 8 * (len - 1);
			assert_int_equal(get(toy, reg, len), expected);
			assert_int_equal(conf1_get(address, reg & 3, len), expected);
		}
	}
	/* Accesses that PCI has none of are cut up, or answered with ones at the end. */
	assert_true(board__load(&board, ecam(PCI_DEVFN(3, 0), 0), 8) ==
		    io__get(toy->pci.config, 8));
	assert_int_equal(get(toy, 1, 4), io__get(&toy->pci.config[1], 4));
	assert_int_equal(get(toy, 0xffe, 4), 0xffffffff);
	put(toy, 0xffe, 4, 0);
}

static void identity_is_read_only(void **state)
{
	static const uint32_t read_only[] = { PCI_VENDOR_ID,
					      PCI_CLASS_REVISION,
					      PCI_SUBSYSTEM_VENDOR_ID,
					      PCI_CAPABILITY_LIST,
					      0x40,
					      0xffc };

	for (unsigned int i = 0; i < ARRAY_SIZE(read_only); i++) {
		uint32_t before = get(toy, read_only[i], 4);

		put(toy, read_only[i], 4, ~before);
		assert_int_equal(get(toy, read_only[i], 4), before);
	}
	assert_int_equal(get(toy, PCI_CLASS_REVISION, 4), 0xff010207);
	assert_int_equal(get(toy, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x22221111);
	put(toy, PCI_INTERRUPT_LINE, 2, 0xff77);
	assert_int_equal(get(toy, PCI_INTERRUPT_LINE, 2), 0x0177);
}

static void status_bits_are_cleared_by_writing_ones(void **state)
{
	pci_config__set(&toy->pci, PCI_STATUS, 2, 0xf900 | PCI_STATUS_CAP_LIST);
	put(toy, PCI_STATUS, 2, 0x8000);
	assert_int_equal(get(toy, PCI_STATUS, 2), 0x7900 | PCI_STATUS_CAP_LIST);
	put(toy, PCI_STATUS, 2, 0);
	assert_int_equal(get(toy, PCI_STATUS, 2), 0x7900 | PCI_STATUS_CAP_LIST);
	put(toy, COMMAND, 4, 0xffff0000 | get(toy, COMMAND, 2));
	assert_int_equal(get(toy, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
}

static void firmware_has_placed_bars_in_their_windows(void **state)
{
	uint32_t mem = get(toy, BAR(0), 4), io = get(toy, BAR(1), 4), low = get(toy, BAR(2), 4);

	assert_int_equal(get(toy, COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_in_range(mem, MEM32, MEM32 + MEM32_SIZE - 1);
	assert_int_equal(mem & 0xfff, 0);
	assert_int_equal(io & 3, 1);
	assert_in_range(io & ~3u, IO, 0xffff);
	assert_int_equal(low & 0xf, 0xc);			     /* 64 bits, prefetchable */
	assert_in_range(low & ~0xfu, MEM32, MEM32 + MEM32_SIZE - 1); /* small: below 4 GiB */
	assert_int_equal(get(toy, BAR(3), 4), 0);
	assert_int_not_equal(get(toy, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(get(toy, PCI_ROM_ADDRESS, 4) & 1, 0);

	assert_ptr_equal(at(BUS_MMIO, mem + 0xfff), &toy->pci.bar[0].region);
	assert_ptr_equal(at(BUS_PIO, (io & ~3u) + 0x3f), &toy->pci.bar[1].region);
	assert_ptr_equal(at(BUS_MMIO, low & ~0xfu), &toy->pci.bar[2].region);
	assert_null(at(BUS_MMIO, get(toy, PCI_ROM_ADDRESS, 4)));
}

static void assigned_bars_are_aligned_and_disjoint(void **state)
{
	static const uint64_t sizes[] = { 0x10, 0x100000, 0x1000, 0x10000000, 0x4000, 0x20, 0x800 };
	struct pci_bar *bars[NR_TOYS * ARRAY_SIZE(sizes)];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NR_TOYS; i++) {
		struct toy *t = new_toy(PCI_ANY_DEVFN);

		for (unsigned int bar = 0; bar < 6; bar++) {
			assert_int_equal(add_bar(t, bar, PCI_BAR_MEM32,
						 sizes[(i + bar) % (i ? 3 : ARRAY_SIZE(sizes))]),
					 0);
			bars[nr++] = &t->pci.bar[bar];
		}
		add_toy(t);
	}
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t start = bars[i]->assigned, size = bars[i]->region.size;

		assert_true(bars[i]->mapped);
		assert_true(start >= MEM32 && start + size <= MEM32 + MEM32_SIZE);
		assert_int_equal(start & (size - 1), 0);
		assert_int_equal(start & 0xfff, 0); /* a page of its own */
		for (unsigned int j = 0; j < i; j++)
			assert_true(start >= bars[j]->assigned + bars[j]->region.size ||
				    bars[j]->assigned >= start + size);
	}
}

static void large_64_bit_bars_go_above_4_gib_and_fill_the_rest(void **state)
{
	struct toy *t = new_toy(PCI_ANY_DEVFN), *rest = new_toy(PCI_ANY_DEVFN);

	add_bar(t, 0, PCI_BAR_MEM64, 0x2000000);
	add_bar(t, 2, PCI_BAR_MEM64, MEM64_SIZE / 2);
	add_toy(t);
	assert_int_equal(t->pci.bar[0].assigned, MEM64);
	assert_int_equal(t->pci.bar[2].assigned, MEM64 + MEM64_SIZE / 2);
	assert_int_equal(get(t, BAR(1), 4), MEM64 >> 32);
	assert_ptr_equal(at(BUS_MMIO, MEM64 + MEM64_SIZE - 1), &t->pci.bar[2].region);

	add_bar(rest, 0, PCI_BAR_MEM64, MEM64_SIZE / 2); /* no room left for this one */
	add_bar(rest, 2, PCI_BAR_MEM64, MEM64_SIZE / 4); /* but for this, after the small one */
	add_bar(rest, 4, PCI_BAR_MEM64, MEM32_SIZE / 2);
	add_toy(rest);
	assert_int_equal(rest->pci.bar[0].assigned, 0);
	assert_false(rest->pci.bar[0].mapped);
	assert_int_equal(rest->pci.bar[2].assigned, MEM64 + MEM64_SIZE / 4);
	assert_true(rest->pci.bar[2].mapped);

	/* When nothing is left above, below will do. */
	rest = new_toy(PCI_ANY_DEVFN);
	add_bar(rest, 0, PCI_BAR_MEM64, MEM64_SIZE / 8);
	add_bar(rest, 2, PCI_BAR_MEM64, MEM64_SIZE / 16);
	add_bar(rest, 4, PCI_BAR_MEM64, 0x8000000);
	add_toy(rest);
	for (unsigned int i = 0; i < 20; i++) {
		rest = new_toy(PCI_ANY_DEVFN);
		add_bar(rest, 0, PCI_BAR_MEM64, 0x8000000);
		add_toy(rest);
		if (rest->pci.bar[0].assigned < MEM64)
			break;
	}
	assert_in_range(rest->pci.bar[0].assigned, MEM32, MEM32 + MEM32_SIZE - 1);
	assert_true(rest->pci.bar[0].mapped);
}

static void bars_tell_their_size(void **state)
{
	static const struct {
		enum pci_bar_kind kind;
		uint64_t size;
	} cases[] = { { PCI_BAR_MEM32, 0x10 },
		      { PCI_BAR_MEM32, 0x80000000 },
		      { PCI_BAR_IO, 4 },
		      { PCI_BAR_IO, 0x100 },
		      { PCI_BAR_MEM64, 0x1000 },
		      { PCI_BAR_MEM64, 0x100000000 },
		      { PCI_BAR_MEM64, 1ull << 40 },
		      { PCI_BAR_MEM64, 1ull << 63 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct toy *t = new_toy(PCI_ANY_DEVFN);
		uint32_t flags = cases[i].kind == PCI_BAR_IO ? 3 : 0xf, high = 0xffffffff;
		uint64_t size;

		assert_int_equal(add_bar(t, 4, cases[i].kind, cases[i].size), 0);
		add_toy(t);
		for (uint32_t width = 1; width <= 4; width *= 2) {
			for (uint32_t byte = 0; byte < 8; byte += width)
				put(t, BAR(4) + byte, width, 0xffffffff);
			if (cases[i].kind == PCI_BAR_MEM64)
				high = get(t, BAR(5), 4);
			else
				assert_int_equal(get(t, BAR(5), 4), 0);
			size = ~((uint64_t)high << 32 | (get(t, BAR(4), 4) & ~flags)) + 1;
			assert_true(size == cases[i].size);
			put(t, BAR(4), 4, 0);
			put(t, BAR(5), 4, 0);
		}
		assert_int_equal(get(t, BAR(4), 4) & flags, cases[i].kind == PCI_BAR_IO	     ? 1
							    : cases[i].kind == PCI_BAR_MEM64 ? 0xc
											     : 0);
	}
}

static void impossible_bars_are_refused(void **state)
{
	struct toy *t = new_toy(PCI_ANY_DEVFN);

	assert_int_equal(add_bar(t, 0, PCI_BAR_MEM32, 0), -EINVAL);
	assert_int_equal(add_bar(t, 0, PCI_BAR_MEM32, 0x1001), -EINVAL);
	assert_int_equal(add_bar(t, 0, PCI_BAR_MEM32, 8), -EINVAL);
	assert_int_equal(add_bar(t, 0, PCI_BAR_MEM32, 1ull << 32), -EINVAL);
	assert_int_equal(add_bar(t, 0, PCI_BAR_IO, 2), -EINVAL);
	assert_int_equal(add_bar(t, 0, PCI_BAR_ROM, 0x800), -EINVAL);
	assert_int_equal(add_bar(t, PCI_ROM_BAR, PCI_BAR_MEM32, 0x800), -EINVAL);
	assert_int_equal(add_bar(t, PCI_ROM_BAR, PCI_BAR_ROM, 0x400), -EINVAL);
	assert_int_equal(add_bar(t, 7, PCI_BAR_MEM32, 0x1000), -EINVAL);
	assert_int_equal(add_bar(t, 5, PCI_BAR_MEM64, 0x1000), -EINVAL);
	assert_int_equal(add_bar(t, 0, PCI_BAR_NONE, 0x1000), -EINVAL);
	assert_int_equal(add_bar(t, 1, PCI_BAR_MEM32, 0x1000), 0);
	assert_int_equal(add_bar(t, 1, PCI_BAR_MEM32, 0x1000), -EINVAL);
	assert_int_equal(add_bar(t, 0, PCI_BAR_MEM64, 0x1000), -EINVAL);
	assert_int_equal(add_bar(t, 2, PCI_BAR_MEM64, 0x1000), 0);
	assert_int_equal(add_bar(t, 3, PCI_BAR_MEM32, 0x1000), -EINVAL);
	toy_unrealize(&t->pci.dev);
}

static void a_bar_decodes_where_it_was_moved_to(void **state)
{
	uint32_t old = get(toy, BAR(0), 4);

	put(toy, BAR(0), 4, 0xd1234fff);
	assert_int_equal(get(toy, BAR(0), 4), 0xd1234000);
	assert_int_equal(board__load(&board, 0xd1234010, 4), 0x55667798);
	assert_int_equal(toy->read_at, 0x10);
	board__store(&board, 0xd1234ffc, 4, 0xcafe);
	assert_int_equal(toy->written_at, 0xffc);
	assert_int_equal(toy->written, 0xcafe);
	assert_null(at(BUS_MMIO, old));
	assert_int_equal(board__load(&board, 0xd1234ffe, 4), 0xffffffff); /* runs past its end */

	/* In two halves, above 4 GiB. */
	put(toy, BAR(3), 4, 0x12);
	put(toy, BAR(2), 4, 0x34560000);
	assert_ptr_equal(at(BUS_MMIO, 0x1234560000), &toy->pci.bar[2].region);
	put(toy, BAR(2), 2, 0); /* the size leaves 16 bits for flags and zeros */
	assert_ptr_equal(at(BUS_MMIO, 0x1234560000), &toy->pci.bar[2].region);
	put(toy, BAR(2) + 2, 1, 0x78);
	assert_ptr_equal(at(BUS_MMIO, 0x1234780000), &toy->pci.bar[2].region);
}

static void io_bars_move_and_end_at_64_kib(void **state)
{
	put(toy, BAR(1), 4, 0x3040);
	assert_int_equal(board__in(&board, 0x3044, 2), 0x778c);
	board__out(&board, 0x307f, 1, 0x5a);
	assert_int_equal(toy->written_at, 0x3f);
	put(toy, BAR(1), 4, 0xffc0);
	assert_ptr_equal(at(BUS_PIO, 0xffff), &toy->pci.bar[1].region);
	put(toy, BAR(1), 4, 0x10000);
	assert_false(toy->pci.bar[1].mapped);
	put(toy, BAR(1), 4, 0x3040);
	assert_true(toy->pci.bar[1].mapped);
}

static void decoding_follows_the_command_register(void **state)
{
	uint32_t mem = get(toy, BAR(0), 4), io = get(toy, BAR(1), 4) & ~3u;

	put(toy, COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_non_null(at(BUS_MMIO, mem));
	assert_null(at(BUS_PIO, io));
	put(toy, COMMAND, 1, PCI_COMMAND_IO);
	assert_null(at(BUS_MMIO, mem));
	assert_non_null(at(BUS_PIO, io));
	put(toy, BAR(0), 4, 0xd0000000); /* moved while it does not decode */
	assert_null(at(BUS_MMIO, 0xd0000000));
	put(toy, COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_non_null(at(BUS_MMIO, 0xd0000000));
	put(toy, COMMAND, 2, 0);
	assert_null(at(BUS_MMIO, 0xd0000000));
	put(toy, COMMAND, 2, 0xffff);
	assert_int_equal(get(toy, COMMAND, 2), 0x0547);
}

static void the_rom_needs_its_own_enable_bit_too(void **state)
{
	uint32_t rom = get(toy, PCI_ROM_ADDRESS, 4);

	put(toy, PCI_ROM_ADDRESS, 4, rom | 1);
	assert_ptr_equal(at(BUS_MMIO, rom), &toy->pci.bar[PCI_ROM_BAR].region);
	put(toy, COMMAND, 2, 0);
	assert_null(at(BUS_MMIO, rom));
	put(toy, COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_non_null(at(BUS_MMIO, rom));
	put(toy, PCI_ROM_ADDRESS, 4, 0xfffffffe); /* sizing leaves the enable bit alone */
	assert_int_equal(get(toy, PCI_ROM_ADDRESS, 4), 0xfffff800);
	assert_null(at(BUS_MMIO, rom));
}

static void a_bar_over_ram_or_another_region_does_not_decode(void **state)
{
	static const uint32_t bad[] = { 0, 0x1000, RAM_SIZE - 0x1000, ECAM, ECAM + 0xffff000 };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		put(toy, BAR(0), 4, bad[i]);
		assert_int_equal(get(toy, BAR(0), 4), bad[i]);
		assert_false(toy->pci.bar[0].mapped);
		put(toy, BAR(0), 4, RAM_SIZE);
		assert_true(toy->pci.bar[0].mapped);
	}
	assert_int_equal(board__load(&board, ecam(0, 0), 4), 0x00081b36);
	/* A large one that begins below RAM's end or spans it. */
	put(toy, BAR(3), 4, 0);
	put(toy, BAR(2), 4, RAM_SIZE - 0x10000);
	assert_false(toy->pci.bar[2].mapped);
}

static void bars_may_trade_places_in_any_order(void **state)
{
	struct toy *other = new_toy(PCI_ANY_DEVFN);
	uint32_t a, b;

	add_bar(other, 0, PCI_BAR_MEM32, 0x1000);
	add_toy(other);
	a = get(toy, BAR(0), 4);
	b = get(other, BAR(0), 4);

	put(toy, BAR(0), 4, b); /* taken: it answers nowhere for now */
	assert_false(toy->pci.bar[0].mapped);
	assert_ptr_equal(at(BUS_MMIO, b), &other->pci.bar[0].region);
	put(other, BAR(0), 4, a);
	assert_ptr_equal(at(BUS_MMIO, a), &other->pci.bar[0].region);
	assert_ptr_equal(at(BUS_MMIO, b), &toy->pci.bar[0].region);

	put(toy, BAR(0), 4, a); /* again, and the one in the way is switched off */
	assert_false(toy->pci.bar[0].mapped);
	put(other, COMMAND, 2, 0);
	assert_ptr_equal(at(BUS_MMIO, a), &toy->pci.bar[0].region);
}

static void ioeventfds_go_where_the_bar_goes(void **state)
{
	struct pci_ioeventfd ev = {
		.bar = 0, .offset = 0x100, .len = 2, .match = true, .datamatch = 7, .fd = 42
	};
	struct pci_ioeventfd any = { .bar = 1, .offset = 8, .fd = 43 };
	uint32_t mem = get(toy, BAR(0), 4);

	pci__add_ioeventfd(&toy->pci, &ev);
	assert_true(ev.active);
	assert_int_equal(ioeventfd.addr, mem + 0x100);
	assert_int_equal(ioeventfd.space, BUS_MMIO);
	assert_int_equal(ioeventfd.len, 2);
	assert_true(ioeventfd.has_match);
	assert_int_equal(ioeventfd.match, 7);
	assert_int_equal(ioeventfd.fd, 42);

	put(toy, BAR(0), 4, 0xd0000000);
	assert_int_equal(ioeventfd.addr, 0xd0000100);
	assert_int_equal(ioeventfd.nr, 1);
	put(toy, COMMAND, 2, 0);
	assert_int_equal(ioeventfd.nr, 0);
	assert_false(ev.active);
	pci__add_ioeventfd(&toy->pci, &any); /* while it does not decode */
	assert_int_equal(ioeventfd.nr, 0);
	put(toy, COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(ioeventfd.addr, (get(toy, BAR(1), 4) & ~3u) + 8);
	assert_int_equal(ioeventfd.space, BUS_PIO);
	assert_int_equal(ioeventfd.len, 0);
	assert_false(ioeventfd.has_match);
	put(toy, COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(ioeventfd.nr, 2);

	pci__remove_ioeventfd(&toy->pci, &ev);
	pci__remove_ioeventfd(&toy->pci, &ev);
	pci__remove_ioeventfd(&toy->pci, &any);
	assert_int_equal(ioeventfd.nr, 0);
	put(toy, COMMAND, 2, 0);
	assert_null(toy->pci.bar[0].ioeventfds);
}

static void an_ioeventfd_that_kvm_refuses_is_tried_again_elsewhere(void **state)
{
	struct pci_ioeventfd ev = { .bar = 0, .offset = 0, .len = 4, .fd = 42 };

	ioeventfd.error = -ENOSPC;
	pci__add_ioeventfd(&toy->pci, &ev);
	assert_false(ev.active);
	put(toy, BAR(0), 4, 0xd0000000);
	assert_false(ev.active);
	ioeventfd.error = 0;
	put(toy, BAR(0), 4, 0xd0001000);
	assert_true(ev.active);
	assert_int_equal(ioeventfd.nr, 1);
	pci__remove_ioeventfd(&toy->pci, &ev);
}

static void pins_are_spread_over_the_lines(void **state)
{
	static const unsigned int gsis[] = { 5, 10, 11, 14 };

	for (unsigned int slot = 0; slot < 32; slot++) {
		for (unsigned int pin = 1; pin <= 4; pin++)
			assert_int_equal(pci_host__intx_gsi(pci, PCI_DEVFN(slot, 2), pin),
					 gsis[(slot + pin - 1) % 4]);
	}
	assert_int_equal(get(toy, PCI_INTERRUPT_LINE, 1), 14); /* slot 3, pin A */
	assert_int_equal(get(toy, PCI_INTERRUPT_PIN, 1), 1);
}

static void a_pin_reaches_its_line_unless_it_is_disabled(void **state)
{
	pci_device__set_intx(&toy->pci, true);
	assert_true(board.level[14]);
	assert_int_equal(get(toy, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
	put(toy, COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_false(board.level[14]);
	assert_int_equal(get(toy, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
	put(toy, COMMAND, 2, 0);
	assert_true(board.level[14]);
	pci_device__set_intx(&toy->pci, false);
	assert_false(board.level[14]);
	assert_int_equal(get(toy, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
}

static void functions_share_lines(void **state)
{
	struct toy *other = new_toy(PCI_DEVFN(7, 0));

	pci_config__set(&other->pci, PCI_INTERRUPT_PIN, 1, 1);
	add_toy(other);
	pci_device__set_intx(&toy->pci, true);
	pci_device__set_intx(&other->pci, true);
	pci_device__set_intx(&toy->pci, false);
	assert_true(board.level[14]);
	pci_device__set_intx(&other->pci, false);
	assert_false(board.level[14]);
}

static void a_function_without_pin_drives_nothing(void **state)
{
	struct toy *other = new_toy(PCI_ANY_DEVFN);

	add_toy(other);
	pci_device__set_intx(&other->pci, true);
	assert_int_equal(get(other, PCI_INTERRUPT_LINE, 2), 0);
	for (unsigned int i = 0; i < BOARD_NR_LINES; i++)
		assert_false(board.level[i]);
}

static void bus_mastering_is_the_guests_to_allow(void **state)
{
	assert_false(pci_device__is_bus_master(&toy->pci));
	put(toy, COMMAND, 2, PCI_COMMAND_MASTER);
	assert_true(pci_device__is_bus_master(&toy->pci));
	device_list__reset(&board.devices);
	assert_false(pci_device__is_bus_master(&toy->pci));
}

static void function_0_tells_of_the_others(void **state)
{
	struct toy *later, *first;

	assert_int_equal(get(toy, PCI_HEADER_TYPE, 1), 0);
	add_toy(new_toy(PCI_DEVFN(3, 5)));
	assert_int_equal(get(toy, PCI_HEADER_TYPE, 1), 0x80);
	device_list__reset(&board.devices);
	assert_int_equal(get(toy, PCI_HEADER_TYPE, 1), 0x80);

	first = add_toy(new_toy(PCI_DEVFN(9, 1)));
	later = add_toy(new_toy(PCI_DEVFN(9, 0)));
	assert_int_equal(get(first, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(get(later, PCI_HEADER_TYPE, 1), 0x80);
}

static void slots_are_given_out_until_there_are_none(void **state)
{
	struct toy *t;

	for (unsigned int i = 0; i < 30; i++) {
		t = add_toy(new_toy(PCI_ANY_DEVFN));
		assert_int_equal(PCI_SLOT(t->pci.devfn), i < 2 ? i + 1 : i + 2);
		assert_int_equal(PCI_FUNC(t->pci.devfn), 0);
	}
	t = new_toy(PCI_ANY_DEVFN);
	assert_int_equal(device__add(&board.devices, &t->pci.dev), -ENOSPC);
	t = new_toy(PCI_DEVFN(3, 0));
	assert_int_equal(device__add(&board.devices, &t->pci.dev), -EEXIST);
	t = new_toy(PCI_NR_DEVFNS);
	assert_int_equal(device__add(&board.devices, &t->pci.dev), -EINVAL);
	assert_int_equal(get(toy, 0, 4), 0x4321abcd); /* whose place it was is still there */
}

static void capabilities_are_chained_in_order(void **state)
{
	struct toy *t = new_toy(PCI_ANY_DEVFN);
	int first = pci__add_cap(&t->pci, PCI_CAP_ID_VNDR, 5), second, third;

	second = pci__add_cap(&t->pci, PCI_CAP_ID_MSIX, 12);
	third = pci__add_cap(&t->pci, PCI_CAP_ID_VNDR, 0xa8);
	assert_int_equal(first, 0x40);
	assert_int_equal(second, 0x48);
	assert_int_equal(third, 0x54);
	assert_int_equal(pci__add_cap(&t->pci, PCI_CAP_ID_VNDR, 8), -ENOSPC);
	assert_int_equal(pci__add_cap(&t->pci, PCI_CAP_ID_VNDR, 4), 0xfc);
	assert_int_equal(pci__add_cap(&t->pci, PCI_CAP_ID_VNDR, 2), -ENOSPC);
	add_toy(t);
	assert_int_equal(get(t, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, PCI_STATUS_CAP_LIST);
	assert_int_equal(get(t, PCI_CAPABILITY_LIST, 1), 0x40);
	assert_int_equal(get(t, 0x40, 2), 0x4809);
	assert_int_equal(get(t, 0x48, 2), 0x5411);
	assert_int_equal(get(t, 0x54, 2), 0xfc09);
	assert_int_equal(get(t, 0xfc, 2), 0x0009);
	assert_int_equal(pci__find_cap(&t->pci, PCI_CAP_ID_MSIX), 0x48);
	assert_int_equal(pci__find_cap(&t->pci, PCI_CAP_ID_VNDR), 0x40);
	assert_int_equal(pci__find_cap(&t->pci, PCI_CAP_ID_PM), 0);
	assert_int_equal(pci__find_cap(&toy->pci, PCI_CAP_ID_VNDR), 0);
}

static void extended_capabilities_are_chained_from_0x100(void **state)
{
	struct toy *t = new_toy(PCI_ANY_DEVFN);

	assert_int_equal(pci__add_ext_cap(&t->pci, PCI_EXT_CAP_ID_DSN, 1, 12), 0x100);
	assert_int_equal(pci__add_ext_cap(&t->pci, PCI_EXT_CAP_ID_ERR, 2, 0x48), 0x10c);
	assert_int_equal(pci__add_ext_cap(&t->pci, PCI_EXT_CAP_ID_VNDR, 1, 0xec0), -ENOSPC);
	assert_int_equal(pci__add_ext_cap(&t->pci, PCI_EXT_CAP_ID_VNDR, 1, 0xeac), 0x154);
	assert_int_equal(pci__add_ext_cap(&t->pci, PCI_EXT_CAP_ID_VNDR, 1, 4), -ENOSPC);
	add_toy(t);
	assert_int_equal(get(t, 0x100, 4), 0x10c10003);
	assert_int_equal(get(t, 0x10c, 4), 0x15420001);
	assert_int_equal(get(t, 0x154, 4), 0x0001000b);
	assert_int_equal(get(toy, 0x100, 4), 0);
}

static struct {
	uint32_t offset, len, value;
	unsigned int nr;
} hook[16];
static unsigned int nr_hooks;

static uint32_t read_hook(struct pci_device *dev, uint32_t offset, uint32_t len)
{
	assert_true(len == 1 || len == 2 || len == 4);
	assert_int_equal(offset % len, 0);
	assert_true(nr_hooks < ARRAY_SIZE(hook));
	hook[nr_hooks].offset = offset;
	hook[nr_hooks++].len = len;
	return offset >= 0xf00 ? 0xa5a5a5a5 : pci_config__read(dev, offset, len);
}

static void write_hook(struct pci_device *dev, uint32_t offset, uint32_t value, uint32_t len)
{
	assert_true(len == 1 || len == 2 || len == 4);
	assert_int_equal(offset % len, 0);
	assert_true(nr_hooks < ARRAY_SIZE(hook));
	hook[nr_hooks].offset = offset;
	hook[nr_hooks].value = value;
	hook[nr_hooks++].len = len;
	pci_config__write(dev, offset, value, len);
}

static int map_hook(struct pci_device *dev, unsigned int bar, uint64_t addr)
{
	struct toy *t = (struct toy *)dev;

	assert_int_equal(t->pci.bar[bar].region.base, addr);
	t->maps++;
	return t->refuse_map ? -EINVAL : 0;
}

static void unmap_hook(struct pci_device *dev, unsigned int bar, uint64_t addr)
{
	struct toy *t = (struct toy *)dev;

	assert_int_equal(t->pci.bar[bar].region.base, addr);
	t->unmaps++;
}

static const struct pci_device_ops hooks = {
	.config_read = read_hook,
	.config_write = write_hook,
	.bar_map = map_hook,
	.bar_unmap = unmap_hook,
};

static void hooks_see_aligned_pieces(void **state)
{
	uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	toy->pci.ops = &hooks;
	nr_hooks = 0;
	assert_int_equal(get(toy, 0xf01, 4), 0xa5a5a5a5);
	assert_int_equal(nr_hooks, 3);
	assert_int_equal(hook[0].len, 1);
	assert_int_equal(hook[1].len, 2);
	assert_int_equal(hook[2].len, 1);
	assert_int_equal(hook[2].offset, 0xf04);

	nr_hooks = 0;
	pci_host__config_write(pci, toy->pci.devfn, 0x42, data, 8);
	assert_int_equal(nr_hooks, 3);
	assert_int_equal(hook[0].value, 0x0201);
	assert_int_equal(hook[1].value, 0x06050403);
	assert_int_equal(hook[1].offset, 0x44);
	assert_int_equal(hook[2].value, 0x0807);
	toy->pci.ops = NULL;
}

static void bar_hooks_come_in_pairs_and_may_refuse(void **state)
{
	put(toy, COMMAND, 2, 0);
	toy->pci.ops = &hooks;
	nr_hooks = 0;
	put(toy, COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(toy->maps, 2);
	put(toy, BAR(0), 4, 0xd0000000);
	assert_int_equal(toy->maps, 3);
	assert_int_equal(toy->unmaps, 1);
	toy->refuse_map = true;
	put(toy, BAR(0), 4, 0xd0001000);
	assert_int_equal(toy->unmaps, 2);
	assert_false(toy->pci.bar[0].mapped);
	assert_null(at(BUS_MMIO, 0xd0001000));
	toy->refuse_map = false;
	put(toy, COMMAND, 2, 0);
	assert_int_equal(toy->unmaps, 3);
	assert_int_equal(toy->maps, 4);
}

static void reset_undoes_what_a_guest_did(void **state)
{
	uint8_t before[PCI_CONFIG_SIZE];

	memcpy(before, toy->pci.config, sizeof(before));
	put(toy, COMMAND, 2, 0x0547);
	put(toy, BAR(0), 4, 0xd0000000);
	put(toy, BAR(1), 4, 0x3000);
	put(toy, PCI_ROM_ADDRESS, 4, 0xd8000001);
	put(toy, PCI_INTERRUPT_LINE, 1, 0xff);
	pci_device__set_intx(&toy->pci, true);
	board__out(&board, 0xcf8, 4, 0x80001234);
	board__store(&board, ecam(0, COMMAND), 2, PCI_COMMAND_MASTER);
	device_list__reset(&board.devices);
	assert_memory_equal(before, toy->pci.config, sizeof(before));
	assert_false(board.level[14]);
	assert_ptr_equal(at(BUS_MMIO, toy->pci.bar[0].assigned), &toy->pci.bar[0].region);
	assert_ptr_equal(at(BUS_PIO, toy->pci.bar[1].assigned), &toy->pci.bar[1].region);
	assert_null(at(BUS_MMIO, 0xd0000000));
	assert_null(at(BUS_MMIO, 0xd8000000));
	assert_int_equal(board__in(&board, 0xcf8, 4), 0);
	assert_int_equal(board__load(&board, ecam(0, COMMAND), 2), 0);
}

static void the_reset_register_resets_when_told_to_and_only_as_a_byte(void **state)
{
	board__out(&board, 0xcf8, 4, 0x80000600 | 0x06 << 8);
	board__out(&board, 0xcf9, 2, 0x0606);
	outb(&board, 0xcf8, 0x06);
	outb(&board, 0xcf9, 0x02);
	assert_int_equal(inb(&board, 0xcf9), 0x02);
	outb(&board, 0xcf9, 0xf8);
	assert_int_equal(fate__cause(board.host.fate, NULL), FATE_NONE);
	outb(&board, 0xcf9, 0x06);
	assert_int_equal(fate__cause(board.host.fate, NULL), FATE_RESET);
	fate__clear(board.host.fate);
	outb(&board, 0xcf9, 0x0e);
	assert_int_equal(fate__cause(board.host.fate, NULL), FATE_RESET);
	assert_int_equal(board__in(&board, 0xcf8, 4), 0x80000600);
	assert_int_equal(inb(&board, 0xcf9), 0x0a);
	device_list__reset(&board.devices);
	assert_int_equal(inb(&board, 0xcf9), 0x00);
}

static void bus_and_cpu_addresses_may_differ(void **state)
{
	const struct pci_host_config cfg = {
		.io = { 0x10000, 0x10000, 0x200080000000 },
		.mem32 = { 0x80000000, 0x80000000, 0x200000000000 },
		.mem64 = { 0x210000000000, 0x10000000000, 0 },
		.io_space = BUS_MMIO,
		.nr_gsis = 0,
		.msi = false,
	};
	uint8_t one = PCI_COMMAND_MEMORY | PCI_COMMAND_IO, address[4];
	struct toy *t;

	board__destroy(&board);
	make_board(&cfg);
	t = new_toy(PCI_ANY_DEVFN);
	add_bar(t, 0, PCI_BAR_MEM32, 0x1000);
	add_bar(t, 1, PCI_BAR_IO, 0x40);
	add_bar(t, 2, PCI_BAR_MEM64, 0x10000000);
	pci_config__set(&t->pci, PCI_INTERRUPT_PIN, 1, 1);
	assert_int_equal(pci_msi__init(&t->pci, 1, 0), -ENOTSUP);
	add_toy(t);
	assert_int_equal(t->pci.config[PCI_INTERRUPT_PIN], 0); /* there are no lines */
	assert_ptr_equal(at(BUS_MMIO, 0x200080000000), &t->pci.bar[0].region);
	assert_ptr_equal(at(BUS_MMIO, 0x200080010000), &t->pci.bar[1].region);
	assert_ptr_equal(at(BUS_MMIO, 0x210000000000), &t->pci.bar[2].region);

	/* Outside its window a bus address is no address. */
	io__put(address, 4, 0x40000000);
	pci_host__config_write(pci, t->pci.devfn, BAR(0), address, 4);
	assert_false(t->pci.bar[0].mapped);
	io__put(address, 4, 0xfffff000);
	pci_host__config_write(pci, t->pci.devfn, BAR(0), address, 4);
	assert_ptr_equal(at(BUS_MMIO, 0x2000fffff000), &t->pci.bar[0].region);
	pci_host__config_write(pci, t->pci.devfn, COMMAND, &one, 1);
	assert_true(t->pci.bar[0].mapped);
}

/* Each BAR that a guest has placed where it can be must be there, and no other. */
static void check_bars(struct toy **toys)
{
	for (unsigned int i = 0; i < NR_TOYS * PCI_NR_BARS; i++) {
		struct pci_device *dev = &toys[i / PCI_NR_BARS]->pci;
		struct pci_bar *bar = &dev->bar[i % PCI_NR_BARS];
		enum bus_space space = bar->kind == PCI_BAR_IO ? BUS_PIO : BUS_MMIO;
		bool rom = bar->kind == PCI_BAR_ROM, enabled, free = true;
		uint32_t reg = rom ? PCI_ROM_ADDRESS : BAR(i % PCI_NR_BARS);
		uint64_t address, size = bar->region.size;

		if (bar->kind == PCI_BAR_NONE)
			continue;
		address = io__get(&dev->config[reg], bar->kind == PCI_BAR_MEM64 ? 8 : 4) &
			  ~(size - 1);
		enabled = dev->config[COMMAND] & (space == BUS_PIO ? 1 : 2) &&
			  (!rom || dev->config[reg] & 1) && address;
		if (bar->mapped) {
			assert_true(enabled);
			assert_true(bar->region.base == address);
			assert_ptr_equal(at(space, address), &bar->region);
			assert_ptr_equal(at(space, address + size - 1), &bar->region);
			assert_true(space == BUS_PIO || address >= RAM_SIZE);
			continue;
		}
		for (uint64_t page = 0; page < size && page < 0x100000; page += 0x10)
			free &= !at(space, address + page);
		if (space == BUS_PIO ? address > 0xffff : address < RAM_SIZE)
			free = false;
		assert_false(enabled && free);
	}
}

static void no_sequence_of_writes_confuses_it(void **state)
{
	static const uint32_t places[] = { 0,	       0xd0000000, 0xd0001000, 0xd0010000,
					   0xffffffff, 0x3000,	   0x3020,     0x3040,
					   ECAM,       RAM_SIZE,   0xfffff000, 0xd0000001,
					   0xd0000801 };
	struct toy *toys[NR_TOYS];

	for (unsigned int i = 0; i < NR_TOYS; i++) {
		toys[i] = new_toy(PCI_ANY_DEVFN);
		add_bar(toys[i], 0, PCI_BAR_MEM32, 0x1000);
		add_bar(toys[i], 1, PCI_BAR_IO, 0x20);
		add_bar(toys[i], 2, PCI_BAR_MEM64, 0x2000);
		add_bar(toys[i], 4, PCI_BAR_MEM32, 0x10);
		add_bar(toys[i], PCI_ROM_BAR, PCI_BAR_ROM, 0x800);
		add_toy(toys[i]);
	}
	srand(2);
	for (unsigned int i = 0; i < 100000; i++) {
		unsigned int random = (unsigned int)rand();
		struct toy *t = toys[random % NR_TOYS];
		uint32_t reg = random >> 4 & 0x3c;
		uint32_t value = places[(random >> 10) % ARRAY_SIZE(places)];

		if (random & 0x40000000) {
			reg = COMMAND;
			value = random >> 20 & 7;
		}
		put(t, reg, 1u << (random >> 28 & 3), value);
		if (i % 8 == 0)
			check_bars(toys);
	}
	check_bars(toys);
	board__hammer(&board, BUS_PIO, 0xcf8, 8);
	board__hammer(&board, BUS_MMIO, ecam(toys[0]->pci.devfn, 0), 0x100);
	board__hammer(&board, BUS_MMIO, ecam(toys[0]->pci.devfn, 0xff0), 0x20);
	check_bars(toys);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(mechanism_1_is_found_and_shows_the_bridge),
		TEST(reserved_bits_of_the_address_do_not_stick),
		TEST(what_is_not_there_reads_as_ones),
		TEST(both_mechanisms_agree_in_every_width),
		TEST(identity_is_read_only),
		TEST(status_bits_are_cleared_by_writing_ones),
		TEST(firmware_has_placed_bars_in_their_windows),
		TEST(assigned_bars_are_aligned_and_disjoint),
		TEST(large_64_bit_bars_go_above_4_gib_and_fill_the_rest),
		TEST(bars_tell_their_size),
		TEST(impossible_bars_are_refused),
		TEST(a_bar_decodes_where_it_was_moved_to),
		TEST(io_bars_move_and_end_at_64_kib),
		TEST(decoding_follows_the_command_register),
		TEST(the_rom_needs_its_own_enable_bit_too),
		TEST(a_bar_over_ram_or_another_region_does_not_decode),
		TEST(bars_may_trade_places_in_any_order),
		TEST(ioeventfds_go_where_the_bar_goes),
		TEST(an_ioeventfd_that_kvm_refuses_is_tried_again_elsewhere),
		TEST(pins_are_spread_over_the_lines),
		TEST(a_pin_reaches_its_line_unless_it_is_disabled),
		TEST(functions_share_lines),
		TEST(a_function_without_pin_drives_nothing),
		TEST(bus_mastering_is_the_guests_to_allow),
		TEST(function_0_tells_of_the_others),
		TEST(slots_are_given_out_until_there_are_none),
		TEST(capabilities_are_chained_in_order),
		TEST(extended_capabilities_are_chained_from_0x100),
		TEST(hooks_see_aligned_pieces),
		TEST(bar_hooks_come_in_pairs_and_may_refuse),
		TEST(reset_undoes_what_a_guest_did),
		TEST(the_reset_register_resets_when_told_to_and_only_as_a_byte),
		TEST(bus_and_cpu_addresses_may_differ),
		TEST(no_sequence_of_writes_confuses_it),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
