// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages of emulated PCI devices: registers, and the state of a vector through every short
 * sequence of events.
 *
 * WRAP: irq__signal_msi irq__alloc_msi irq__update_msi irq__free_msi
 * WRAP: irq__add_irqfd irq__remove_irqfd
 */
#include "test.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "board.h"
#include "kvm/pci.h"

#define ECAM	  0xe0000000ull
#define ADDRESS	  0xfee01000u
#define DATA	  0x4140u
#define MAX_GSIS  64
#define FIRST_GSI 24

struct toy {
	struct pci_device pci;
};

static struct board board;
static struct pci_host *pci;
static struct toy *toy;
static unsigned int cap;

/* What KVM is told, and what it would have delivered. */
static struct {
	bool used;
	struct msi_message msg;
	int fd;
} gsis[MAX_GSIS];
static struct msi_message last;
static unsigned int nr_delivered, nr_updates;
static int alloc_error;

int __wrap_irq__signal_msi(struct irq_router *router, const struct msi_message *msg);
int __wrap_irq__alloc_msi(struct irq_router *router, const struct msi_message *msg);
int __wrap_irq__update_msi(struct irq_router *router, unsigned int gsi,
			   const struct msi_message *msg);
void __wrap_irq__free_msi(struct irq_router *router, unsigned int gsi);
int __wrap_irq__add_irqfd(struct irq_router *router, unsigned int gsi, int fd, int resamplefd);
void __wrap_irq__remove_irqfd(struct irq_router *router, unsigned int gsi, int fd);

int __wrap_irq__signal_msi(struct irq_router *router, const struct msi_message *msg)
{
	last = *msg;
	nr_delivered++;
	return 1;
}

int __wrap_irq__alloc_msi(struct irq_router *router, const struct msi_message *msg)
{
	if (alloc_error)
		return alloc_error;
	for (unsigned int gsi = FIRST_GSI; gsi < MAX_GSIS; gsi++) {
		if (gsis[gsi].used)
			continue;
		gsis[gsi].used = true;
		gsis[gsi].msg = *msg;
		gsis[gsi].fd = -1;
		return (int)gsi;
	}
	return -ENOSPC;
}

int __wrap_irq__update_msi(struct irq_router *router, unsigned int gsi,
			   const struct msi_message *msg)
{
	assert_true(gsi < MAX_GSIS && gsis[gsi].used);
	if (gsis[gsi].msg.address != msg->address || gsis[gsi].msg.data != msg->data)
		nr_updates++;
	gsis[gsi].msg = *msg;
	return 0;
}

void __wrap_irq__free_msi(struct irq_router *router, unsigned int gsi)
{
	assert_true(gsi < MAX_GSIS && gsis[gsi].used);
	assert_int_equal(gsis[gsi].fd, -1); /* its irqfd is gone first */
	gsis[gsi].used = false;
}

/* What KVM does with an irqfd that has been written to. */
static void kvm_looks(void)
{
	for (unsigned int gsi = FIRST_GSI; gsi < MAX_GSIS; gsi++) {
		uint64_t count;

		if (!gsis[gsi].used || gsis[gsi].fd < 0)
			continue;
		if (read(gsis[gsi].fd, &count, sizeof(count)) == sizeof(count))
			__wrap_irq__signal_msi(NULL, &gsis[gsi].msg);
	}
}

int __wrap_irq__add_irqfd(struct irq_router *router, unsigned int gsi, int fd, int resamplefd)
{
	assert_true(gsi < MAX_GSIS && gsis[gsi].used);
	assert_int_equal(gsis[gsi].fd, -1);
	assert_int_equal(resamplefd, -1);
	gsis[gsi].fd = fd;
	kvm_looks();
	return 0;
}

void __wrap_irq__remove_irqfd(struct irq_router *router, unsigned int gsi, int fd)
{
	assert_true(gsi < MAX_GSIS && gsis[gsi].fd == fd);
	gsis[gsi].fd = -1;
}

static int toy_realize(struct device *dev)
{
	return pci_device__realize((struct pci_device *)dev, PCI_DEVFN(1, 0));
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

static int setup(void **state)
{
	const struct pci_host_config cfg = {
		.mem32 = { 0xc0000000, 0x20000000, 0 },
		.ecam_base = ECAM,
		.ecam_size = 0x100000,
		.gsi = { 10 },
		.nr_gsis = 1,
		.msi = true,
	};
	const struct pci_ids ids = { .vendor = 0xabcd, .device = 0x4321, .class = 0xff0000 };

	board__init(&board);
	pci = pci_host__from(board__add(&board, pci_host__create(&board.host, &cfg)));
	toy = calloc(1, sizeof(*toy));
	assert_non_null(toy);
	pci_device__init(&toy->pci, pci, &toy_ops, "toy", &ids);
	pci_config__set(&toy->pci, PCI_INTERRUPT_PIN, 1, 1);
	nr_delivered = nr_updates = 0;
	alloc_error = 0;
	return 0;
}

static int teardown(void **state)
{
	board__destroy(&board);
	for (unsigned int gsi = 0; gsi < MAX_GSIS; gsi++)
		assert_false(gsis[gsi].used); /* all have been given back */
	return 0;
}

static uint32_t get(uint32_t reg, uint32_t len)
{
	return (uint32_t)board__load(&board, ECAM + 0x8000 + reg, len);
}

static void put(uint32_t reg, uint32_t len, uint32_t value)
{
	board__store(&board, ECAM + 0x8000 + reg, len, value);
}

static void set_master(bool on)
{
	put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));
}

static void add_toy(uint8_t id)
{
	board__add(&board, &toy->pci.dev);
	cap = pci__find_cap(&toy->pci, id);
	assert_int_not_equal(cap, 0);
	set_master(true);
}

static void add_msi(unsigned int nr, uint16_t flags)
{
	assert_int_equal(pci_msi__init(&toy->pci, nr, flags), 0);
	add_toy(PCI_CAP_ID_MSI);
}

static void add_msix(unsigned int nr)
{
	assert_int_equal(pci_msix__init_bar(&toy->pci, nr, 0), 0);
	add_toy(PCI_CAP_ID_MSIX);
}

static uint64_t table(unsigned int vector)
{
	return toy->pci.bar[0].assigned + vector * 16;
}

static void program_entry(unsigned int vector, uint32_t data, uint32_t control)
{
	board__store(&board, table(vector), 4, ADDRESS);
	board__store(&board, table(vector) + 4, 4, 0);
	board__store(&board, table(vector) + 8, 4, data);
	board__store(&board, table(vector) + 12, 4, control);
}

static void msi_control(uint16_t value)
{
	put(cap + PCI_MSI_FLAGS, 2, value);
}

static void msix_control(uint16_t value)
{
	put(cap + PCI_MSIX_FLAGS, 2, value);
}

/* --- registers --- */

static void msi_has_the_registers_it_says(void **state)
{
	add_msi(4, PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	assert_int_equal(get(cap + PCI_MSI_FLAGS, 2), 0x0184);
	put(cap + PCI_MSI_FLAGS, 2, 0xffff);
	assert_int_equal(get(cap + PCI_MSI_FLAGS, 2), 0x01a5); /* no more than four vectors */
	for (uint32_t reg = PCI_MSI_ADDRESS_LO; reg < 24; reg += 4)
		put(cap + reg, 4, 0xffffffff);
	assert_int_equal(get(cap + PCI_MSI_ADDRESS_LO, 4), 0xfffffffc);
	assert_int_equal(get(cap + PCI_MSI_ADDRESS_HI, 4), 0xffffffff);
	assert_int_equal(get(cap + PCI_MSI_DATA_64, 4), 0x0000ffff);
	assert_int_equal(get(cap + PCI_MSI_MASK_64, 4), 0x0000000f);
	assert_int_equal(get(cap + PCI_MSI_PENDING_64, 4), 0);
	device_list__reset(&board.devices);
	assert_int_equal(get(cap + PCI_MSI_FLAGS, 2), 0x0184);
	assert_int_equal(get(cap + PCI_MSI_MASK_64, 4), 0);
}

static void msi_without_options_is_shorter(void **state)
{
	add_msi(1, 0);
	assert_int_equal(get(cap + PCI_MSI_FLAGS, 2), 0x0000);
	put(cap + PCI_MSI_DATA_32, 4, 0xffffffff);
	assert_int_equal(get(cap + PCI_MSI_DATA_32, 4), 0x0000ffff);
	put(cap + 12, 4, 0xffffffff);
	assert_int_equal(get(cap + 12, 4), 0);
	put(cap + PCI_MSI_ADDRESS_LO, 4, ADDRESS);
	put(cap + PCI_MSI_DATA_32, 2, DATA);
	msi_control(PCI_MSI_FLAGS_ENABLE);
	assert_true(pci_msi__signal(&toy->pci, 0));
	assert_int_equal(last.address, ADDRESS);
	assert_int_equal(last.data, DATA);
	assert_int_equal(last.devid, 0);
}

static void impossible_messages_are_refused(void **state)
{
	assert_int_equal(pci_msi__init(&toy->pci, 0, 0), -EINVAL);
	assert_int_equal(pci_msi__init(&toy->pci, 3, 0), -EINVAL);
	assert_int_equal(pci_msi__init(&toy->pci, 64, 0), -EINVAL);
	assert_int_equal(pci_msi__init(&toy->pci, 1, PCI_MSI_FLAGS_ENABLE), -EINVAL);
	assert_int_equal(pci_msix__init(&toy->pci, 0, 0, 0, 0x800), -EINVAL);
	assert_int_equal(pci_msix__init(&toy->pci, 2049, 0, 0, 0x8000), -EINVAL);
	assert_int_equal(pci_msix__init(&toy->pci, 1, 0, 4, 0x800), -EINVAL);
	assert_int_equal(pci_msix__init(&toy->pci, 1, 6, 0, 0x800), -EINVAL);
	assert_int_equal(pci_msix__init_bar(&toy->pci, ~0u, 0), -EINVAL);
	assert_int_equal(pci_msi__eventfd(&toy->pci, 0), -EINVAL);
	assert_false(pci_msi__signal(&toy->pci, 0));
	add_msi(1, 0);
	assert_int_equal(pci_msi__init(&toy->pci, 1, 0), -EINVAL);
	assert_int_equal(pci_msi__eventfd(&toy->pci, 1), -EINVAL);
}

static void msi_vectors_share_when_fewer_are_enabled(void **state)
{
	add_msi(4, PCI_MSI_FLAGS_64BIT);
	put(cap + PCI_MSI_ADDRESS_LO, 4, ADDRESS);
	put(cap + PCI_MSI_ADDRESS_HI, 4, 0x12);
	put(cap + PCI_MSI_DATA_64, 2, 0x4143);
	for (unsigned int log = 0; log < 8; log++) {
		unsigned int nr = log < 2 ? 1u << log : 4;

		msi_control((uint16_t)(PCI_MSI_FLAGS_ENABLE | log << 4));
		assert_int_equal(get(cap + PCI_MSI_FLAGS, 2) >> 4 & 7, log < 2 ? log : 2);
		for (unsigned int v = 0; v < 4; v++) {
			assert_true(pci_msi__signal(&toy->pci, v));
			assert_int_equal(last.data, (0x4143 & ~(nr - 1)) | (v & (nr - 1)));
			assert_true(last.address == (0x1200000000 | ADDRESS));
		}
	}
	nr_delivered = 0;
	assert_true(pci_msi__signal(&toy->pci, 4)); /* there is no such vector */
	assert_true(pci_msi__signal(&toy->pci, 0xffff));
	assert_int_equal(nr_delivered, 0);
}

static void msi_masks_move_exactly_the_vectors_they_name(void **state)
{
	add_msi(4, PCI_MSI_FLAGS_MASKBIT);
	put(cap + PCI_MSI_DATA_32, 2, DATA);
	put(cap + PCI_MSI_MASK_32, 4, 0x5);
	msi_control(PCI_MSI_FLAGS_ENABLE | 2 << 4);
	for (unsigned int v = 0; v < 4; v++)
		pci_msi__signal(&toy->pci, v);
	assert_int_equal(nr_delivered, 2);
	assert_int_equal(get(cap + PCI_MSI_PENDING_32, 4), 0x5);
	assert_int_equal(get(cap + PCI_MSI_PENDING_32, 1), 0x5);
	put(cap + PCI_MSI_PENDING_32, 4, 0);
	assert_int_equal(get(cap + PCI_MSI_PENDING_32, 4), 0x5);
	put(cap + PCI_MSI_MASK_32, 1, 0x4);
	assert_int_equal(nr_delivered, 3);
	assert_int_equal(last.data, DATA);
	assert_int_equal(get(cap + PCI_MSI_PENDING_32, 4), 0x4);
	put(cap + PCI_MSI_MASK_32, 4, 0);
	assert_int_equal(nr_delivered, 4);
	assert_int_equal(last.data, DATA + 2);
	assert_int_equal(get(cap + PCI_MSI_PENDING_32, 4), 0);
}

static void msix_has_a_table_and_pending_bits(void **state)
{
	add_msix(3);
	assert_int_equal(get(cap + PCI_MSIX_FLAGS, 2), 2);
	put(cap + PCI_MSIX_FLAGS, 2, 0xffff);
	assert_int_equal(get(cap + PCI_MSIX_FLAGS, 2), 0xc002);
	put(cap + PCI_MSIX_TABLE, 4, 0xffffffff);
	assert_int_equal(get(cap + PCI_MSIX_TABLE, 4), 0);
	assert_int_equal(get(cap + PCI_MSIX_PBA, 4), 0x800);
	msix_control(0);

	for (unsigned int v = 0; v < 3; v++)
		assert_int_equal(board__load(&board, table(v) + 12, 4), 1); /* masked */
	board__store(&board, table(1), 8, 0x1122334455667788);
	board__store(&board, table(1) + 8, 8, UINT64_MAX);
	assert_true(board__load(&board, table(1), 8) == 0x1122334455667788);
	assert_true(board__load(&board, table(1) + 8, 8) == 0x1ffffffff);
	board__store(&board, table(1), 1, 0xff);
	assert_int_equal(board__load(&board, table(1), 4), 0x556677fc);
	assert_int_equal(board__load(&board, table(3), 4), 0); /* beyond the table */
	board__store(&board, table(3), 4, 0xffffffff);
	assert_int_equal(board__load(&board, table(3), 4), 0);
	board__store(&board, table(0) + 0x800, 8, UINT64_MAX);
	assert_int_equal(board__load(&board, table(0) + 0x800, 8), 0);
	device_list__reset(&board.devices);
	assert_true(board__load(&board, table(1), 8) == 0);
	assert_int_equal(board__load(&board, table(1) + 12, 4), 1);
}

static void pending_bits_are_as_many_as_vectors(void **state)
{
	add_msix(130);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	for (unsigned int v = 0; v < 130; v += 3)
		pci_msi__signal(&toy->pci, v);
	for (unsigned int word = 0; word < 4; word++) {
		uint64_t expected = 0;

		for (unsigned int v = 64 * word; v < 64 * word + 64 && v < 130; v++)
			expected |= (uint64_t)(v % 3 == 0) << v % 64;
		assert_true(board__load(&board, table(0) + 0x1000 + 8 * word, 8) == expected);
	}
	assert_int_equal(board__load(&board, table(0) + 0x1000 + 16, 1), 1 << 1);
	assert_int_equal(nr_delivered, 0);
}

static void table_and_pending_bits_may_lie_in_a_shared_bar(void **state)
{
	uint8_t data[8];

	assert_int_equal(pci_msix__init(&toy->pci, 2, 4, 0x2000, 0x3000), 0);
	add_toy(PCI_CAP_ID_MSIX);
	assert_int_equal(get(cap + PCI_MSIX_TABLE, 4), 0x2004);
	assert_int_equal(get(cap + PCI_MSIX_PBA, 4), 0x3004);
	assert_false(pci_msix__read(&toy->pci, 0x1fff, data, 1));
	assert_true(pci_msix__read(&toy->pci, 0x201c, data, 4));
	assert_int_equal(io__get(data, 4), 1);
	assert_false(pci_msix__read(&toy->pci, 0x2020, data, 4));
	assert_false(pci_msix__write(&toy->pci, 0x2020, data, 4));
	assert_true(pci_msix__read(&toy->pci, 0x3000, data, 8));
	assert_false(pci_msix__read(&toy->pci, 0x3008, data, 1));
	assert_true(pci_msix__write(&toy->pci, 0x201c, data, 8)); /* runs past the table's end */
}

static void the_largest_table_works(void **state)
{
	add_msix(2048);
	assert_int_equal(get(cap + PCI_MSIX_FLAGS, 2), 2047);
	assert_int_equal(toy->pci.bar[0].region.size, 0x10000);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	program_entry(2047, 0x99, 0);
	assert_true(pci_msi__signal(&toy->pci, 2047));
	assert_int_equal(last.data, 0x99);
}

/* --- descriptors and routes --- */

static void a_descriptor_follows_address_data_and_mask(void **state)
{
	int fd;
	uint64_t one = 1;

	add_msix(2);
	fd = pci_msi__eventfd(&toy->pci, 1);
	assert_true(fd >= 0);
	assert_int_equal(pci_msi__eventfd(&toy->pci, 1), fd);
	assert_false(gsis[FIRST_GSI].used); /* nothing to route yet */

	program_entry(1, 0x31, 0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_true(gsis[FIRST_GSI].used);
	assert_int_equal(gsis[FIRST_GSI].msg.data, 0x31);
	assert_int_equal(gsis[FIRST_GSI].fd, fd);
	assert_int_equal(write(fd, &one, 8), 8);
	kvm_looks();
	assert_int_equal(nr_delivered, 1);

	/* Moved to another CPU while it is on: the route moves, the irqfd stays. */
	board__store(&board, table(1), 4, ADDRESS + 0x2000);
	assert_int_equal(gsis[FIRST_GSI].msg.address, ADDRESS + 0x2000);
	assert_int_equal(gsis[FIRST_GSI].fd, fd);
	assert_int_equal(nr_updates, 1);

	board__store(&board, table(1) + 12, 4, 1);
	assert_int_equal(gsis[FIRST_GSI].fd, -1);
	board__store(&board, table(1) + 8, 4, 0x77); /* changed behind the mask */
	assert_int_equal(nr_updates, 1);
	assert_int_equal(write(fd, &one, 8), 8);
	kvm_looks();
	assert_int_equal(nr_delivered, 1);
	assert_int_equal(board__load(&board, table(0) + 0x800, 8), 2);
	board__store(&board, table(1) + 12, 4, 0);
	assert_int_equal(nr_delivered, 2);
	assert_int_equal(last.data, 0x77);
	assert_int_equal(board__load(&board, table(0) + 0x800, 8), 0);
	assert_int_equal(gsis[FIRST_GSI].fd, fd);
}

static void what_was_pending_moves_into_the_descriptor(void **state)
{
	add_msix(1);
	program_entry(0, 0x31, 1);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	pci_msi__signal(&toy->pci, 0);
	assert_true(pci_msi__eventfd(&toy->pci, 0) >= 0);
	assert_int_equal(board__load(&board, table(0) + 0x800, 8), 1);
	board__store(&board, table(0) + 12, 4, 0);
	assert_int_equal(nr_delivered, 1);
	assert_int_equal(board__load(&board, table(0) + 0x800, 8), 0);
}

static void reset_detaches_and_forgets(void **state)
{
	struct pollfd pollfd = { .events = POLLIN };
	uint64_t one = 1;

	add_msix(1);
	pollfd.fd = pci_msi__eventfd(&toy->pci, 0);
	program_entry(0, 0x31, 0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(write(pollfd.fd, &one, 8), 8);
	device_list__reset(&board.devices);
	assert_int_equal(gsis[FIRST_GSI].fd, -1);
	assert_int_equal(poll(&pollfd, 1, 0), 0);
	assert_false(pci_msi__signal(&toy->pci, 0));
	set_master(true);
	program_entry(0, 0x31, 0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(nr_delivered, 0);
	assert_int_equal(gsis[FIRST_GSI].fd, pollfd.fd);
	device_list__reset(&board.devices); /* now while it is open */
	assert_int_equal(gsis[FIRST_GSI].fd, -1);
}

static void kvm_without_room_for_a_route_is_survived(void **state)
{
	add_msix(1);
	assert_true(pci_msi__eventfd(&toy->pci, 0) >= 0);
	alloc_error = -ENOSPC;
	program_entry(0, 0x31, 0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_true(pci_msi__signal(&toy->pci, 0)); /* directly it still works */
	assert_int_equal(nr_delivered, 1);
	alloc_error = 0;
	board__store(&board, table(0) + 8, 4, 0x32);
	assert_true(gsis[FIRST_GSI].used);
}

static void messages_silence_the_pin(void **state)
{
	add_msi(1, 0);
	pci_device__set_intx(&toy->pci, true);
	assert_true(board.level[10]);
	msi_control(PCI_MSI_FLAGS_ENABLE);
	assert_false(board.level[10]);
	assert_true(pci_msi__is_enabled(&toy->pci));
	msi_control(0);
	assert_true(board.level[10]);
	assert_false(pci_msi__is_enabled(&toy->pci));
	assert_false(pci_msi__signal(&toy->pci, 0));
	pci_device__set_intx(&toy->pci, false);
}

/* --- every short sequence, against the rules in their shortest form --- */

enum step { ENABLE, DISABLE, MASK, UNMASK, MASTER_ON, MASTER_OFF, SIGNAL, MASK_ALL, UNMASK_ALL };

struct model {
	bool enabled, masked, all_masked, master, pending;
	unsigned int delivered;
};

static void model_step(struct model *m, enum step step, bool has_mask)
{
	switch (step) {
	case ENABLE:
	case DISABLE:
		m->enabled = step == ENABLE;
		break;
	case MASK:
	case UNMASK:
		m->masked = step == MASK && has_mask;
		break;
	case MASK_ALL:
	case UNMASK_ALL:
		m->all_masked = step == MASK_ALL;
		break;
	case MASTER_ON:
	case MASTER_OFF:
		m->master = step == MASTER_ON;
		break;
	case SIGNAL:
		m->pending |= m->enabled;
		break;
	}
	if (m->pending && m->enabled && m->master && !m->masked && !m->all_masked) {
		m->pending = false;
		m->delivered++;
	}
}

static void device_step(enum step step, bool is_msix, struct model *m)
{
	uint16_t control = 0;

	switch (step) {
	case ENABLE:
	case DISABLE:
	case MASK_ALL:
	case UNMASK_ALL:
		if (is_msix)
			control = (uint16_t)((m->enabled ? PCI_MSIX_FLAGS_ENABLE : 0) |
					     (m->all_masked ? PCI_MSIX_FLAGS_MASKALL : 0));
		else
			control = m->enabled ? PCI_MSI_FLAGS_ENABLE : 0;
		put(cap + PCI_MSI_FLAGS, 2, control);
		break;
	case MASK:
	case UNMASK:
		if (is_msix)
			board__store(&board, table(0) + 12, 4, step == MASK);
		else
			put(cap + PCI_MSI_MASK_64, 4, step == MASK);
		break;
	case MASTER_ON:
	case MASTER_OFF:
		set_master(step == MASTER_ON);
		break;
	case SIGNAL:
		assert_int_equal(pci_msi__signal(&toy->pci, 0), m->enabled);
		break;
	}
	kvm_looks();
}

static void walk(bool is_msix, bool has_mask, unsigned int nr_events, unsigned int length)
{
	unsigned int nr_sequences = 1;

	for (unsigned int i = 0; i < length; i++)
		nr_sequences *= nr_events;
	for (unsigned int sequence = 0; sequence < nr_sequences; sequence++) {
		struct model model = { .master = true, .masked = is_msix };
		unsigned int rest = sequence;

		device_list__reset(&board.devices);
		set_master(true);
		nr_delivered = 0;
		for (unsigned int i = 0; i < length; i++, rest /= nr_events) {
			enum step step = (enum step)(rest % nr_events);

			model_step(&model, step, has_mask);
			device_step(step, is_msix, &model);
			assert_int_equal(nr_delivered, model.delivered);
			if (is_msix)
				assert_int_equal(board__load(&board, table(0) + 0x800, 8),
						 model.pending);
			else if (has_mask)
				assert_int_equal(get(cap + PCI_MSI_PENDING_64, 4), model.pending);
		}
	}
}

static void msix_follows_the_rules_in_every_short_sequence(void **state)
{
	add_msix(1);
	walk(true, true, 9, 5);
}

static void msix_with_a_descriptor_does_too(void **state)
{
	add_msix(1);
	assert_true(pci_msi__eventfd(&toy->pci, 0) >= 0);
	walk(true, true, 9, 4);
}

static void msi_with_masks_does_too(void **state)
{
	add_msi(1, PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	walk(false, true, 7, 5);
}

static void msi_with_masks_and_a_descriptor_does_too(void **state)
{
	add_msi(1, PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	assert_true(pci_msi__eventfd(&toy->pci, 0) >= 0);
	walk(false, true, 7, 4);
}

static void msi_without_masks_is_open_once_enabled(void **state)
{
	add_msi(1, PCI_MSI_FLAGS_64BIT);
	walk(false, false, 7, 5);
}

static void msi_without_masks_but_with_a_descriptor_is_too(void **state)
{
	add_msi(1, PCI_MSI_FLAGS_64BIT);
	assert_true(pci_msi__eventfd(&toy->pci, 0) >= 0);
	walk(false, false, 7, 4);
}

static void no_access_breaks_it(void **state)
{
	add_msix(5);
	assert_true(pci_msi__eventfd(&toy->pci, 4) >= 0);
	board__hammer(&board, BUS_MMIO, table(0), 0x60);
	board__hammer(&board, BUS_MMIO, table(0) + 0x7f0, 0x20);
	board__hammer(&board, BUS_MMIO, ECAM + 0x8000 + cap, 12);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(msi_has_the_registers_it_says),
		TEST(msi_without_options_is_shorter),
		TEST(impossible_messages_are_refused),
		TEST(msi_vectors_share_when_fewer_are_enabled),
		TEST(msi_masks_move_exactly_the_vectors_they_name),
		TEST(msix_has_a_table_and_pending_bits),
		TEST(pending_bits_are_as_many_as_vectors),
		TEST(table_and_pending_bits_may_lie_in_a_shared_bar),
		TEST(the_largest_table_works),
		TEST(a_descriptor_follows_address_data_and_mask),
		TEST(what_was_pending_moves_into_the_descriptor),
		TEST(reset_detaches_and_forgets),
		TEST(kvm_without_room_for_a_route_is_survived),
		TEST(messages_silence_the_pin),
		TEST(msix_follows_the_rules_in_every_short_sequence),
		TEST(msix_with_a_descriptor_does_too),
		TEST(msi_with_masks_does_too),
		TEST(msi_with_masks_and_a_descriptor_does_too),
		TEST(msi_without_masks_is_open_once_enabled),
		TEST(msi_without_masks_but_with_a_descriptor_is_too),
		TEST(no_access_breaks_it),
	};

	return cmocka_run_group_tests_name("msi", tests, NULL, NULL);
}
