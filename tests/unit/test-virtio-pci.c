// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PCI transport: modern and transitional (Virtio 1.2, section 4.1), against a KVM that writes
 * down messages, irqfds and ioeventfds.
 *
 * WRAP: sys__ioctl
 */
#include <poll.h>

#include <linux/kvm.h>
#include <linux/virtio_pci.h>

#include "kvm/kvm.h"
#include "kvm/pci.h"
#include "virtio-echo.h"

#define SIZE  16
#define DEVFN 0x18
#define GSI   10u
#define MEM   0xe0000000ull
#define IO    0xc000ull
#define BASIC (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC))

int __real_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);

static struct {
	unsigned int messages, last_data;
	struct {
		int fd;
		unsigned int gsi;
	} irqfd[16];
	unsigned int nr_irqfds;
	unsigned int nr_ioeventfds;
	uint64_t last_ioeventfd, last_match;
	uint32_t last_len;
} seen;

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	const struct kvm_irqfd *irqfd = arg;

	if (request == KVM_SIGNAL_MSI) {
		seen.messages++;
		seen.last_data = ((struct kvm_msi *)arg)->data;
		return 1;
	}
	if (request != KVM_IRQFD)
		return __real_sys__ioctl(fd, request, arg);
	if (!(irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN)) {
		assert_true(seen.nr_irqfds < 16);
		seen.irqfd[seen.nr_irqfds].fd = (int)irqfd->fd;
		seen.irqfd[seen.nr_irqfds++].gsi = irqfd->gsi;
		return 0;
	}
	for (unsigned int i = 0; i < seen.nr_irqfds; i++) {
		if (seen.irqfd[i].fd == (int)irqfd->fd)
			seen.irqfd[i] = seen.irqfd[--seen.nr_irqfds];
	}
	return 0;
}

static int on_ioeventfd(void *ctx, enum bus_space space, uint64_t addr, uint32_t len,
			const uint64_t *datamatch, int fd, bool assign)
{
	seen.nr_ioeventfds += assign ? 1u : -1u;
	if (assign) {
		seen.last_ioeventfd = addr;
		seen.last_len = len;
		seen.last_match = datamatch ? *datamatch : UINT64_MAX;
	}
	return 0;
}

struct rig {
	struct driver d;
	struct kvm kvm;
	struct pci_host *pci;
	struct echo *echo;
	struct driver_queue q;
	uint64_t common, isr, config, notify; /* addresses */
	uint32_t pci_cfg;
};

/* --- configuration space -------------------------------------------------------------------- */

static uint32_t conf(struct rig *r, uint32_t at, uint32_t len)
{
	uint8_t data[8];

	pci_host__config_read(r->pci, DEVFN, at, data, len);
	return (uint32_t)io__get(data, len);
}

static void set_conf(struct rig *r, uint32_t at, uint32_t len, uint32_t value)
{
	uint8_t data[8];

	io__put(data, len, value);
	pci_host__config_write(r->pci, DEVFN, at, data, len);
}

static uint64_t bar(struct rig *r, unsigned int nr)
{
	return conf(r, PCI_BASE_ADDRESS_0 + 4 * nr, 4) & ~0xfu;
}

static void find_structures(struct rig *r)
{
	for (uint32_t at = conf(r, PCI_CAPABILITY_LIST, 1); at; at = conf(r, at + 1, 1)) {
		uint64_t place;

		if (conf(r, at, 1) != PCI_CAP_ID_VNDR)
			continue;
		place = bar(r, conf(r, at + VIRTIO_PCI_CAP_BAR, 1)) +
			conf(r, at + VIRTIO_PCI_CAP_OFFSET, 4);
		switch (conf(r, at + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			r->common = place;
			assert_true(conf(r, at + VIRTIO_PCI_CAP_LENGTH, 4) >= 56);
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			r->notify = place;
			assert_int_equal(conf(r, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4), 4);
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			r->isr = place;
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			r->config = place;
			assert_int_equal(conf(r, at + VIRTIO_PCI_CAP_LENGTH, 4), 32);
			break;
		case VIRTIO_PCI_CAP_PCI_CFG:
			r->pci_cfg = at;
			break;
		default:
			fail();
		}
	}
	assert_true(r->common && r->isr && r->config && r->notify && r->pci_cfg);
}

static void up(struct rig *r, unsigned int nr_queues, struct virtio_pci_config cfg)
{
	struct pci_host_config host = {
		.io = { .base = IO, .size = 0x1000 },
		.mem32 = { .base = MEM, .size = 0x1000000 },
		.gsi = { GSI },
		.nr_gsis = 1,
		.msi = true,
	};
	struct device *dev;

	memset(r, 0, sizeof(*r));
	memset(&seen, 0, sizeof(seen));
	driver__init(&r->d);
	irq__destroy(r->d.board.host.irq);
	r->kvm.vm_fd = -1;
	r->d.board.host.irq = irq__create(&r->kvm);
	irq__set_sink(r->d.board.host.irq, board__on_line, &r->d.board);
	irq__set_msi_range(r->d.board.host.irq, 24, 1000);
	bus__destroy(r->d.board.host.bus);
	r->d.board.host.bus = bus__create(on_ioeventfd, NULL);
	dev = board__add(&r->d.board, pci_host__create(&r->d.board.host, &host));
	r->pci = pci_host__from(dev);
	r->echo = echo__create(&r->d, nr_queues);
	cfg.devfn = DEVFN;
	r->d.dev = board__add(&r->d.board, virtio_pci__create(r->pci, &r->echo->dev, &cfg));
	set_conf(r, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	find_structures(r);
}

static void down(struct rig *r)
{
	driver__destroy(&r->d);
}

/* --- the modern registers ------------------------------------------------------------------- */

static uint64_t get(struct rig *r, uint32_t at, uint32_t len)
{
	return board__load(&r->d.board, r->common + at, len);
}

static void set(struct rig *r, uint32_t at, uint32_t len, uint64_t value)
{
	board__store(&r->d.board, r->common + at, len, value);
}

static bool negotiate(struct rig *r, uint64_t features)
{
	set(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	set(r, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	set(r, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	for (unsigned int i = 0; i < 2; i++) {
		set(r, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		set(r, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * i));
	}
	set(r, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	return get(r, VIRTIO_PCI_COMMON_STATUS, 1) == 11;
}

static void enable(struct rig *r, struct driver_queue *q, unsigned int vector)
{
	set(r, VIRTIO_PCI_COMMON_Q_SELECT, 2, q->index);
	set(r, VIRTIO_PCI_COMMON_Q_SIZE, 2, q->size);
	set(r, VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	set(r, VIRTIO_PCI_COMMON_Q_DESCLO, 4, q->desc);
	set(r, VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0);
	set(r, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, q->driver);
	set(r, VIRTIO_PCI_COMMON_Q_USEDLO, 8, q->device);
	set(r, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void start(struct rig *r, unsigned int vector)
{
	assert_true(negotiate(r, BASIC));
	dq__init(&r->q, &r->d, 0, SIZE, false, false);
	enable(r, &r->q, vector);
	set(r, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	driver__run(&r->d);
	assert_int_equal(get(r, VIRTIO_PCI_COMMON_STATUS, 1), 15);
}

static void request(struct rig *r)
{
	uint32_t id, len;

	dq__add(&r->q, 0,
		(struct driver_buf[]){ { 0x1000, 4, 0 }, { 0x1010, 4, VRING_DESC_F_WRITE } }, 2);
	board__store(&r->d.board, r->notify + 4ull * r->q.index, 2, r->q.index);
	driver__run(&r->d);
	assert_true(dq__get(&r->q, &id, &len));
	assert_int_equal(len, 4);
}

static void enable_msix(struct rig *r, bool on)
{
	uint32_t at = conf(r, PCI_CAPABILITY_LIST, 1);

	while (conf(r, at, 1) != PCI_CAP_ID_MSIX)
		at = conf(r, at + 1, 1);
	set_conf(r, at + PCI_MSIX_FLAGS, 2, on ? PCI_MSIX_FLAGS_ENABLE : 0);
}

static void set_message(struct rig *r, unsigned int vector, uint32_t data, bool masked)
{
	uint64_t entry = bar(r, 1) + 16ull * vector;

	board__store(&r->d.board, entry, 8, 0xfee00000);
	board__store(&r->d.board, entry + 8, 4, data);
	board__store(&r->d.board, entry + 12, 4, masked);
}

/* --- identity ------------------------------------------------------------------------------- */

static void a_transitional_function_is_known_to_old_drivers(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	assert_int_equal(conf(&r, PCI_VENDOR_ID, 4), 0x10051af4);
	assert_int_equal(conf(&r, PCI_REVISION_ID, 1), 0);
	assert_int_equal(conf(&r, PCI_SUBSYSTEM_ID, 2), VIRTIO_ID_RNG);
	assert_true(conf(&r, PCI_BASE_ADDRESS_0, 4) & PCI_BASE_ADDRESS_SPACE_IO);
	down(&r);
}

static void a_modern_function_is_not(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ .modern_only = true });
	assert_int_equal(conf(&r, PCI_VENDOR_ID, 4), 0x10441af4);
	assert_true(conf(&r, PCI_REVISION_ID, 1) >= 1);
	assert_true(conf(&r, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(conf(&r, PCI_BASE_ADDRESS_0, 4), 0);
	down(&r);
}

static void a_failed_constructor_fails_the_function(void **state)
{
	struct virtio_pci_config cfg = { 0 };
	struct rig r;

	up(&r, 1, cfg);
	assert_null(virtio_pci__create(r.pci, NULL, &cfg));
	down(&r);
}

static void a_slot_that_is_taken_destroys_the_device(void **state)
{
	struct virtio_pci_config cfg = { .devfn = DEVFN };
	struct echo *second;
	bool gone = false;
	struct rig r;

	up(&r, 1, cfg);
	second = echo__create(&r.d, 1);
	second->gone_flag = &gone;
	assert_int_equal(device__add(&r.d.board.devices,
				     virtio_pci__create(r.pci, &second->dev, &cfg)),
			 -EEXIST);
	assert_true(gone);
	down(&r);
}

/* --- interrupts ----------------------------------------------------------------------------- */

static void without_msix_there_is_a_pin_and_its_status(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	start(&r, VIRTIO_MSI_NO_VECTOR);
	request(&r);
	assert_true(r.d.board.level[GSI]);
	assert_int_equal(board__load(&r.d.board, r.isr, 1), 1);
	assert_false(r.d.board.level[GSI]);
	assert_int_equal(board__load(&r.d.board, r.isr, 1), 0);
	virtio_device__config_begin(&r.echo->dev);
	virtio_device__config_end(&r.echo->dev);
	request(&r);
	assert_int_equal(board__load(&r.d.board, r.isr, 1), 3);
	assert_false(r.d.board.level[GSI]);
	down(&r);
}

static void with_msix_each_queue_has_its_message(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	enable_msix(&r, true);
	set_message(&r, 0, 0x40, false);
	set_message(&r, 1, 0x41, false);
	set(&r, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	start(&r, 1);
	set(&r, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	request(&r);
	assert_int_equal(seen.messages, 1);
	assert_int_equal(seen.last_data, 0x41);
	virtio_device__config_begin(&r.echo->dev);
	virtio_device__config_end(&r.echo->dev);
	assert_int_equal(seen.last_data, 0x40);
	assert_false(r.d.board.level[GSI]);
	down(&r);
}

static void vectors_can_change_while_the_device_runs(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	enable_msix(&r, true);
	set_message(&r, 0, 0x50, false);
	set_message(&r, 1, 0x51, true);
	start(&r, 0);
	request(&r);
	assert_int_equal(seen.last_data, 0x50);
	assert_int_equal(r.echo->calls, 0);
	set(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(r.echo->calls, 1);
	request(&r);
	assert_int_equal(seen.messages, 1); /* masked: it waits */
	set_message(&r, 1, 0x52, false);
	assert_int_equal(seen.messages, 2);
	assert_int_equal(seen.last_data, 0x52);
	set(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	request(&r);
	assert_int_equal(seen.messages, 2);
	enable_msix(&r, false);
	request(&r);
	assert_true(r.d.board.level[GSI]);
	down(&r);
}

static void a_vector_that_does_not_exist_is_refused(void **state)
{
	static const unsigned int absent[] = { 2, 3, 0x7fff, 0xfffe };
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ .irqfd = true });
	for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++) {
		set(&r, VIRTIO_PCI_COMMON_MSIX, 2, 1);
		assert_int_equal(get(&r, VIRTIO_PCI_COMMON_MSIX, 2), 1);
		set(&r, VIRTIO_PCI_COMMON_MSIX, 2, absent[i]);
		assert_int_equal(get(&r, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
		set(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2, absent[i]);
		assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	}
	set(&r, VIRTIO_PCI_COMMON_Q_SELECT, 2, 7);
	set(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	down(&r);
}

static bool is_written(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void an_irqfd_is_written_where_there_is_one(void **state)
{
	struct rig r;
	int fd;

	up(&r, 1, (struct virtio_pci_config){ .irqfd = true });
	enable_msix(&r, true);
	set_message(&r, 1, 0x60, false);
	start(&r, 1);
	assert_int_equal(seen.nr_irqfds, 1);
	fd = seen.irqfd[0].fd;
	assert_int_equal(virtqueue__call_fd(virtio_device__queue(&r.echo->dev, 0)), fd);
	assert_false(is_written(fd));
	request(&r);
	assert_true(is_written(fd));
	assert_int_equal(seen.messages, 0);
	set_message(&r, 1, 0x60, true);
	assert_int_equal(seen.nr_irqfds, 0);
	set(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(virtqueue__call_fd(virtio_device__queue(&r.echo->dev, 0)), -1);
	enable_msix(&r, false);
	assert_true(virtqueue__call_fd(virtio_device__queue(&r.echo->dev, 0)) >= 0);
	down(&r);
}

static void a_broken_device_says_so_by_its_configuration_vector(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	enable_msix(&r, true);
	set_message(&r, 0, 0x70, false);
	start(&r, 1);
	set(&r, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	dq__add(&r.q, 0, &(struct driver_buf){ DRIVER_RAM, 1, 0 }, 1);
	board__store(&r.d.board, r.notify, 2, 0);
	driver__run(&r.d);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_STATUS, 1), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(seen.last_data, 0x70);
	down(&r);
}

/* --- notifications -------------------------------------------------------------------------- */

static void ioeventfds_are_there_while_queues_run(void **state)
{
	struct rig r;

	up(&r, 3, (struct virtio_pci_config){ 0 });
	assert_int_equal(seen.nr_ioeventfds, 0);
	start(&r, VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(seen.nr_ioeventfds, 1); /* of three queues one is enabled */
	assert_int_equal(seen.last_ioeventfd, r.notify);
	assert_int_equal(seen.last_len, 0);
	assert_int_equal(seen.last_match, UINT64_MAX);

	/* they go where the BAR goes */
	set_conf(&r, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(seen.nr_ioeventfds, 0);
	set_conf(&r, PCI_BASE_ADDRESS_4, 4, (uint32_t)(MEM + 0x800000));
	set_conf(&r, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	find_structures(&r);
	assert_int_equal(seen.nr_ioeventfds, 1);
	assert_int_equal(seen.last_ioeventfd, r.notify);
	request(&r);

	set(&r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(seen.nr_ioeventfds, 0);
	start(&r, VIRTIO_MSI_NO_VECTOR);
	r.d.dev->ops->reset(r.d.dev);
	assert_int_equal(seen.nr_ioeventfds, 0);
	down(&r);
}

static void notifying_an_absent_queue_is_nothing(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	start(&r, VIRTIO_MSI_NO_VECTOR);
	for (unsigned int i = 1; i < 1024; i++)
		board__store(&r.d.board, r.notify + 4ull * i, 4, i);
	driver__run(&r.d);
	assert_int_equal(r.echo->popped, 0);
	request(&r);
	down(&r);
}

/* --- accesses of all kinds ------------------------------------------------------------------ */

static void a_read_of_any_width_is_made_of_its_bytes(void **state)
{
	struct rig r;

	up(&r, 2, (struct virtio_pci_config){ 0 });
	assert_true(negotiate(&r, BASIC));
	set(&r, VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x1122334455667788);
	set(&r, VIRTIO_PCI_COMMON_Q_USEDHI, 4, 0xcafe);
	for (uint32_t at = 0; at < 64; at++) {
		for (uint32_t len = 1; len <= 8; len++) {
			uint64_t whole = get(&r, at, len), bytes = 0;

			for (uint32_t i = 0; i < len; i++)
				bytes |= get(&r, at + i, 1) << 8 * i;
			assert_int_equal(whole, bytes);
		}
	}
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0x1122334455667788);
	down(&r);
}

static void half_a_register_is_not_written(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	set(&r, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	set(&r, VIRTIO_PCI_COMMON_DFSELECT, 2, 1);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_DFSELECT, 4), 0);
	set(&r, VIRTIO_PCI_COMMON_Q_DESCLO, 1, 0xff);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
	/* two registers at once */
	set(&r, VIRTIO_PCI_COMMON_Q_SIZE, 4, 8 | 1 << 16);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	down(&r);
}

static void zero_does_not_disable_a_queue(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	start(&r, VIRTIO_MSI_NO_VECTOR);
	set(&r, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	request(&r);
	down(&r);
}

static void a_queue_reset_clears_its_vector_and_works(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	assert_true(negotiate(&r, BASIC | VIRTIO_BIT(VIRTIO_F_RING_RESET)));
	dq__init(&r.q, &r.d, 0, SIZE, false, false);
	enable(&r, &r.q, 1);
	set(&r, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	request(&r);
	set(&r, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	dq__init(&r.q, &r.d, 0, SIZE, false, false);
	enable(&r, &r.q, 1);
	request(&r);
	down(&r);
}

static void every_access_anywhere_is_survived(void **state)
{
	struct rig r;

	for (unsigned int irqfd = 0; irqfd < 2; irqfd++) {
		up(&r, 4, (struct virtio_pci_config){ .irqfd = irqfd });
		enable_msix(&r, irqfd);
		start(&r, 0);
		board__hammer(&r.d.board, BUS_MMIO, r.common, 72);
		board__hammer(&r.d.board, BUS_MMIO, r.common + 0xff0, 32);
		board__hammer(&r.d.board, BUS_MMIO, r.config - 8, 64);
		board__hammer(&r.d.board, BUS_MMIO, r.notify - 8, 40);
		board__hammer(&r.d.board, BUS_MMIO, r.notify + 0xff0, 24);
		board__hammer(&r.d.board, BUS_PIO, IO, 64);
		driver__run(&r.d);
		set(&r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		start(&r, VIRTIO_MSI_NO_VECTOR);
		request(&r);
		down(&r);
	}
}

static void configuration_space_reaches_every_bar(void **state)
{
	struct rig r;

	up(&r, 2, (struct virtio_pci_config){ 0 });
	set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_BAR, 1, 4);
	set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_NUMQ);
	set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_LENGTH, 4, 2);
	assert_int_equal(conf(&r, r.pci_cfg + 16, 2), 2);
	set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_STATUS);
	set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	set_conf(&r, r.pci_cfg + 16, 1, 3);
	assert_int_equal(get(&r, VIRTIO_PCI_COMMON_STATUS, 1), 3);
	assert_int_equal(conf(&r, r.pci_cfg + 16, 1), 3);
	down(&r);
}

static void configuration_space_reaches_nothing_else(void **state)
{
	static const uint32_t bars[] = { 0, 1, 2, 4, 5, 6, 7, 255 };
	static const uint32_t offsets[] = {
		0, 1, 3, 0x3ffe, 0x3fff, 0x4000, 0x7fffffff, 0xffffffff
	};
	static const uint32_t lengths[] = { 0, 1, 2, 3, 4, 8, 0x80000000, 0xffffffff };
	struct rig r;

	up(&r, 2, (struct virtio_pci_config){ 0 });
	for (unsigned int i = 0; i < 8 * 8 * 8; i++) {
		set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_BAR, 1, bars[i % 8]);
		set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_OFFSET, 4, offsets[i / 8 % 8]);
		set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_LENGTH, 4, lengths[i / 64]);
		for (uint32_t at = 16; at < 20; at++) {
			set_conf(&r, r.pci_cfg + at, 1, 0);
			conf(&r, r.pci_cfg + at, 1);
		}
	}
	assert_int_equal(conf(&r, PCI_VENDOR_ID, 2), 0x1af4);

	/* an access that is not aligned is none: the data stay as they were written */
	set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_BAR, 1, 4);
	set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_NUMQ + 1);
	set_conf(&r, r.pci_cfg + VIRTIO_PCI_CAP_LENGTH, 4, 2);
	set_conf(&r, r.pci_cfg + 16, 4, 0xdeadbeef);
	assert_int_equal(conf(&r, r.pci_cfg + 16, 4), 0xdeadbeef);
	down(&r);
}

/* --- the legacy interface ------------------------------------------------------------------- */

static uint32_t in(struct rig *r, uint16_t at, uint32_t len)
{
	return board__in(&r->d.board, (uint16_t)(IO + at), len);
}

static void out(struct rig *r, uint16_t at, uint32_t len, uint32_t value)
{
	board__out(&r->d.board, (uint16_t)(IO + at), len, value);
}

static void set_up_legacy(struct rig *r)
{
	out(r, VIRTIO_PCI_STATUS, 1, 0);
	out(r, VIRTIO_PCI_STATUS, 1, 1);
	out(r, VIRTIO_PCI_STATUS, 1, 3);
	out(r, VIRTIO_PCI_GUEST_FEATURES, 4, 1u << VIRTIO_RING_F_INDIRECT_DESC);
	out(r, VIRTIO_PCI_QUEUE_SEL, 2, 0);
	assert_int_equal(in(r, VIRTIO_PCI_QUEUE_NUM, 2), VIRTIO_QUEUE_SIZE);
	dq__init(&r->q, &r->d, 0, VIRTIO_QUEUE_SIZE, false, false);
	r->q.driver = r->q.desc + 16 * VIRTIO_QUEUE_SIZE;
	r->q.device = r->q.desc + 0x2000;
	out(r, VIRTIO_PCI_QUEUE_PFN, 4, (uint32_t)(r->q.desc >> 12));
}

static void ask_legacy(struct rig *r)
{
	dq__add(&r->q, 0,
		(struct driver_buf[]){ { 0x1000, 4, 0 }, { 0x1010, 4, VRING_DESC_F_WRITE } }, 2);
	out(r, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	driver__run(&r->d);
}

static void an_old_driver_is_served(void **state)
{
	uint32_t id, len;
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	assert_true(in(&r, VIRTIO_PCI_HOST_FEATURES, 4) & 1u << VIRTIO_F_ANY_LAYOUT);
	set_up_legacy(&r);
	assert_int_equal(in(&r, VIRTIO_PCI_QUEUE_PFN, 4), r.q.desc >> 12);
	out(&r, VIRTIO_PCI_STATUS, 1, 7);
	assert_int_equal(in(&r, VIRTIO_PCI_STATUS, 1), 7);
	assert_true(virtio_device__is_legacy(&r.echo->dev));
	assert_int_equal(seen.last_ioeventfd, IO + VIRTIO_PCI_QUEUE_NOTIFY);
	assert_int_equal(seen.last_len, 2);
	assert_int_equal(seen.last_match, 0);
	for (unsigned int i = 0; i < 600; i++) {
		ask_legacy(&r);
		assert_true(dq__get(&r.q, &id, &len));
		assert_true(r.d.board.level[GSI]);
		assert_int_equal(in(&r, VIRTIO_PCI_ISR, 1), 1);
		assert_false(r.d.board.level[GSI]);
	}
	out(&r, VIRTIO_PCI_STATUS, 1, 0);
	assert_int_equal(r.echo->stops, 1);
	down(&r);
}

static void a_driver_that_notifies_before_driver_ok_is_served(void **state)
{
	uint32_t id, len;
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	set_up_legacy(&r);
	ask_legacy(&r);
	assert_true(dq__get(&r.q, &id, &len));
	out(&r, VIRTIO_PCI_STATUS, 1, 7);
	assert_int_equal(r.echo->starts, 1);
	ask_legacy(&r);
	assert_true(dq__get(&r.q, &id, &len));
	down(&r);
}

static void an_old_driver_gives_a_queue_up_by_frame_zero(void **state)
{
	uint32_t id, len;
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	set_up_legacy(&r);
	out(&r, VIRTIO_PCI_STATUS, 1, 7);
	out(&r, VIRTIO_PCI_QUEUE_PFN, 4, 0);
	assert_int_equal(r.echo->queue_resets, 1);
	assert_int_equal(in(&r, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	ask_legacy(&r);
	assert_false(dq__get(&r.q, &id, &len));
	assert_int_equal(seen.nr_ioeventfds, 0);
	down(&r);
}

static void an_old_ring_beyond_memory_breaks_the_device(void **state)
{
	static const uint32_t frames[] = { 0xffffffff, 0x200, 0x1ff, 0xfffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++) {
		struct rig r;

		up(&r, 1, (struct virtio_pci_config){ 0 });
		set_up_legacy(&r);
		out(&r, VIRTIO_PCI_QUEUE_PFN, 4, frames[i]);
		out(&r, VIRTIO_PCI_STATUS, 1, 7);
		assert_true(in(&r, VIRTIO_PCI_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(r.echo->starts, 0);
		down(&r);
	}
}

static void old_configuration_moves_when_msix_is_enabled(void **state)
{
	struct rig r;

	up(&r, 1, (struct virtio_pci_config){ 0 });
	r.echo->config[0] = 0x5a;
	assert_int_equal(in(&r, 20, 1), 0x5a);
	enable_msix(&r, true);
	assert_int_equal(in(&r, 24, 1), 0x5a);
	out(&r, VIRTIO_MSI_CONFIG_VECTOR, 2, 1);
	assert_int_equal(in(&r, VIRTIO_MSI_CONFIG_VECTOR, 2), 1);
	out(&r, VIRTIO_MSI_QUEUE_VECTOR, 2, 9);
	assert_int_equal(in(&r, VIRTIO_MSI_QUEUE_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
	out(&r, 24 + 31, 1, 0x77);
	assert_int_equal(r.echo->config[31], 0x77);
	down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transitional_function_is_known_to_old_drivers),
		cmocka_unit_test(a_modern_function_is_not),
		cmocka_unit_test(a_failed_constructor_fails_the_function),
		cmocka_unit_test(a_slot_that_is_taken_destroys_the_device),
		cmocka_unit_test(without_msix_there_is_a_pin_and_its_status),
		cmocka_unit_test(with_msix_each_queue_has_its_message),
		cmocka_unit_test(vectors_can_change_while_the_device_runs),
		cmocka_unit_test(a_vector_that_does_not_exist_is_refused),
		cmocka_unit_test(an_irqfd_is_written_where_there_is_one),
		cmocka_unit_test(a_broken_device_says_so_by_its_configuration_vector),
		cmocka_unit_test(ioeventfds_are_there_while_queues_run),
		cmocka_unit_test(notifying_an_absent_queue_is_nothing),
		cmocka_unit_test(a_read_of_any_width_is_made_of_its_bytes),
		cmocka_unit_test(half_a_register_is_not_written),
		cmocka_unit_test(zero_does_not_disable_a_queue),
		cmocka_unit_test(a_queue_reset_clears_its_vector_and_works),
		cmocka_unit_test(every_access_anywhere_is_survived),
		cmocka_unit_test(configuration_space_reaches_every_bar),
		cmocka_unit_test(configuration_space_reaches_nothing_else),
		cmocka_unit_test(an_old_driver_is_served),
		cmocka_unit_test(a_driver_that_notifies_before_driver_ok_is_served),
		cmocka_unit_test(an_old_driver_gives_a_queue_up_by_frame_zero),
		cmocka_unit_test(an_old_ring_beyond_memory_breaks_the_device),
		cmocka_unit_test(old_configuration_moves_when_msix_is_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
