// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PCI transport of virtio, modern and transitional (Virtio 1.2, section 4.1).
 *
 * Theory of operation. The modern registers are in BAR 4, a page for each structure, and vendor
 * capabilities say where; those of before 1.0 are in the I/O BAR 0 (4.1.4.10), if the device has a
 * transitional form. MSI-X is in BAR 1. Registers are described by tables of fields: a read of any
 * width is put together from the fields that it meets, a write sets those that it covers whole, so
 * there is no width or alignment that is not answered somehow.
 *
 * Interrupts: with MSI-X enabled, the eventfd of the vector is written, which KVM turns into a
 * message (pci-msi.c sees to masks); without irqfds the message is sent by an ioctl. With MSI-X
 * disabled, a bit in the ISR and the pin, under a lock of their own, because a read of the ISR
 * clears both.
 *
 * Selectors and vectors are atomics. A driver that writes them from two vCPUs at once gets what it
 * deserves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_pci.h>

#include "kvm/log.h"
#include "kvm/pci.h"
#include "kvm/virtio-transport.h"

#define VENDOR		 0x1af4
#define MODERN_DEVICE	 0x1040
#define MODERN_REVISION	 1
#define MODERN_SUBSYSTEM 0x40
#define CLASS_OTHER	 0x00ff00

#define LEGACY_BAR 0
#define MSIX_BAR   1
#define MODERN_BAR 4

#define COMMON_AT    0x0000u
#define ISR_AT	     0x1000u
#define CONFIG_AT    0x2000u
#define NOTIFY_AT    0x3000u /* to the end */
#define MODERN_SIZE  0x4000u
#define COMMON_SIZE  60u
#define NOTIFY_STEP  4u
#define LEGACY_PAGE  (1u << VIRTIO_PCI_QUEUE_ADDR_SHIFT)
#define ISR_QUEUE    1u
#define CAP_SIZE     16u
#define CAP_MORE     4u /* of the two that have a word more */
#define PCI_CFG_DATA CAP_SIZE

_Static_assert(VIRTIO_MAX_QUEUES *NOTIFY_STEP <= MODERN_SIZE - NOTIFY_AT,
	       "each queue has a place to notify");

/**
 * struct virtio_pci - a function
 * @nr_vectors:     of MSI-X, 0 if there is none: one for each queue and one for the configuration
 * @vector_fd:      eventfds of the vectors in use, -1 of the others
 * @ioeventfd:      one for each queue, on the bus while the queue runs
 * @pci_cfg:        where the capability for access by configuration space is (4.1.4.9)
 * @irq_lock:       guards @isr and the pin
 */
struct virtio_pci {
	struct pci_device pci;
	struct virtio_transport t;
	struct virtio_pci_config cfg;
	unsigned int nr_vectors;
	atomic_int *vector_fd;
	struct pci_ioeventfd *ioeventfd;
	unsigned int pci_cfg;
	atomic_uint device_select, driver_select, queue_select;
	atomic_uint config_vector;
	atomic_uint *queue_vector;
	pthread_mutex_t irq_lock;
	unsigned int isr;
};

struct field {
	uint32_t at, size;
};

static struct virtio_pci *from_transport(struct virtio_transport *t)
{
	return (struct virtio_pci *)((char *)t - offsetof(struct virtio_pci, t));
}

/* --- interrupts ----------------------------------------------------------------------------- */

static void send_message(struct virtio_pci *vp, unsigned int vector)
{
	const uint64_t one = 1;
	int fd;

	if (vector >= vp->nr_vectors)
		return; /* VIRTIO_MSI_NO_VECTOR */
	fd = atomic_load_explicit(&vp->vector_fd[vector], memory_order_relaxed);
	if (fd < 0)
		pci_msi__signal(&vp->pci, vector);
	else if (write(fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: the message is on its way */
}

static void raise_pin(struct virtio_pci *vp, unsigned int bit)
{
	pthread_mutex_lock(&vp->irq_lock);
	vp->isr |= bit;
	pci_device__set_intx(&vp->pci, true);
	pthread_mutex_unlock(&vp->irq_lock);
}

static uint8_t read_isr(struct virtio_pci *vp)
{
	unsigned int isr;

	pthread_mutex_lock(&vp->irq_lock);
	isr = vp->isr;
	vp->isr = 0;
	pci_device__set_intx(&vp->pci, false);
	pthread_mutex_unlock(&vp->irq_lock);
	return (uint8_t)isr;
}

static void signal_queue(struct virtio_transport *t, unsigned int index)
{
	struct virtio_pci *vp = from_transport(t);

	if (pci_msi__is_enabled(&vp->pci))
		send_message(vp, atomic_load(&vp->queue_vector[index]));
	else
		raise_pin(vp, ISR_QUEUE);
}

static void signal_config(struct virtio_transport *t)
{
	struct virtio_pci *vp = from_transport(t);

	if (pci_msi__is_enabled(&vp->pci))
		send_message(vp, atomic_load(&vp->config_vector));
	else
		raise_pin(vp, VIRTIO_PCI_ISR_CONFIG);
}

static int call_fd(struct virtio_transport *t, unsigned int index)
{
	struct virtio_pci *vp = from_transport(t);
	unsigned int vector = atomic_load(&vp->queue_vector[index]);

	if (!vp->cfg.irqfd || !pci_msi__is_enabled(&vp->pci))
		return -ENOTSUP;
	return vector < vp->nr_vectors ? atomic_load(&vp->vector_fd[vector]) : -1;
}

/* 4.1.5.1.2.1: a vector that cannot be had reads back as NO_VECTOR. */
static void set_vector(struct virtio_pci *vp, atomic_uint *which, unsigned int vector)
{
	int fd = -1;

	if (vector >= vp->nr_vectors)
		vector = VIRTIO_MSI_NO_VECTOR;
	if (vector != VIRTIO_MSI_NO_VECTOR && vp->cfg.irqfd) {
		fd = pci_msi__eventfd(&vp->pci, vector);
		if (fd < 0)
			vector = VIRTIO_MSI_NO_VECTOR;
		else
			atomic_store(&vp->vector_fd[vector], fd);
	}
	atomic_store(which, vector);
}

static void set_queue_vector(struct virtio_pci *vp, unsigned int vector)
{
	unsigned int index = atomic_load(&vp->queue_select);

	if (index >= vp->t.dev->nr_queues)
		return;
	set_vector(vp, &vp->queue_vector[index], vector);
	virtio_device__call_changed(vp->t.dev, index);
}

static unsigned int get_queue_vector(struct virtio_pci *vp)
{
	unsigned int index = atomic_load(&vp->queue_select);

	return index < vp->t.dev->nr_queues ? atomic_load(&vp->queue_vector[index])
					    : VIRTIO_MSI_NO_VECTOR;
}

/* --- what the core asks for ----------------------------------------------------------------- */

static void queue_started(struct virtio_transport *t, unsigned int index, bool legacy)
{
	struct virtio_pci *vp = from_transport(t);
	struct pci_ioeventfd *ev = &vp->ioeventfd[index];

	*ev = (struct pci_ioeventfd){
		.bar = legacy ? LEGACY_BAR : MODERN_BAR,
		.offset = legacy ? VIRTIO_PCI_QUEUE_NOTIFY : NOTIFY_AT + index * NOTIFY_STEP,
		.len = legacy ? 2 : 0,
		.match = legacy,
		.datamatch = index,
		.fd = virtqueue__kick_fd(virtio_device__queue(t->dev, index)),
	};
	pci__add_ioeventfd(&vp->pci, ev);
}

static void queue_stopped(struct virtio_transport *t, unsigned int index)
{
	struct virtio_pci *vp = from_transport(t);

	pci__remove_ioeventfd(&vp->pci, &vp->ioeventfd[index]);
}

static void queue_reset(struct virtio_transport *t, unsigned int index)
{
	atomic_store(&from_transport(t)->queue_vector[index], VIRTIO_MSI_NO_VECTOR);
}

static void transport_reset(struct virtio_transport *t)
{
	struct virtio_pci *vp = from_transport(t);

	atomic_store(&vp->device_select, 0);
	atomic_store(&vp->driver_select, 0);
	atomic_store(&vp->queue_select, 0);
	atomic_store(&vp->config_vector, VIRTIO_MSI_NO_VECTOR);
	for (unsigned int i = 0; i < t->dev->nr_queues; i++)
		atomic_store(&vp->queue_vector[i], VIRTIO_MSI_NO_VECTOR);
	read_isr(vp);
}

static const struct virtio_transport_ops transport_ops = {
	.signal_queue = signal_queue,
	.signal_config = signal_config,
	.call_fd = call_fd,
	.queue_started = queue_started,
	.queue_stopped = queue_stopped,
	.queue_reset = queue_reset,
	.reset = transport_reset,
};

/* --- registers as fields -------------------------------------------------------------------- */

static void read_fields(struct virtio_pci *vp, const struct field *fields, unsigned int nr,
			uint64_t (*get)(struct virtio_pci *vp, uint32_t at), uint64_t offset,
			void *data, uint32_t len)
{
	uint8_t *bytes = data;

	for (unsigned int i = 0; i < nr; i++) {
		const struct field *f = &fields[i];
		uint64_t value;

		if (offset >= f->at + f->size || f->at >= offset + len)
			continue;
		value = get(vp, f->at);
		for (uint32_t at = f->at; at < f->at + f->size; at++, value >>= 8) {
			if (at >= offset && at < offset + len)
				bytes[at - offset] = (uint8_t)value;
		}
	}
}

static void write_fields(struct virtio_pci *vp, const struct field *fields, unsigned int nr,
			 void (*set)(struct virtio_pci *vp, uint32_t at, uint32_t value),
			 uint64_t offset, const void *data, uint32_t len)
{
	const uint8_t *bytes = data;

	for (unsigned int i = 0; i < nr; i++) {
		const struct field *f = &fields[i];

		if (f->at >= offset && f->at + f->size <= offset + len)
			set(vp, f->at, (uint32_t)io__get(&bytes[f->at - offset], f->size));
	}
}

/* --- common configuration (4.1.4.3) --------------------------------------------------------- */

static const struct field common_fields[] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4 },  { VIRTIO_PCI_COMMON_DF, 4 },
	{ VIRTIO_PCI_COMMON_GFSELECT, 4 },  { VIRTIO_PCI_COMMON_GF, 4 },
	{ VIRTIO_PCI_COMMON_MSIX, 2 },	    { VIRTIO_PCI_COMMON_NUMQ, 2 },
	{ VIRTIO_PCI_COMMON_STATUS, 1 },    { VIRTIO_PCI_COMMON_CFGGENERATION, 1 },
	{ VIRTIO_PCI_COMMON_Q_SELECT, 2 },  { VIRTIO_PCI_COMMON_Q_SIZE, 2 },
	{ VIRTIO_PCI_COMMON_Q_MSIX, 2 },    { VIRTIO_PCI_COMMON_Q_ENABLE, 2 },
	{ VIRTIO_PCI_COMMON_Q_NOFF, 2 },    { VIRTIO_PCI_COMMON_Q_DESCLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_DESCHI, 4 },  { VIRTIO_PCI_COMMON_Q_AVAILLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_AVAILHI, 4 }, { VIRTIO_PCI_COMMON_Q_USEDLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_USEDHI, 4 },  { VIRTIO_PCI_COMMON_Q_NDATA, 2 },
	{ VIRTIO_PCI_COMMON_Q_RESET, 2 },
};
#define NR_COMMON_FIELDS (sizeof(common_fields) / sizeof(common_fields[0]))

static bool queue_field(uint32_t at, enum virtqueue_field *field, unsigned int *shift)
{
	*shift = 0;
	switch (at) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		*field = VIRTQUEUE_SIZE;
		return true;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		*field = VIRTQUEUE_ENABLE;
		return true;
	case VIRTIO_PCI_COMMON_Q_RESET:
		*field = VIRTQUEUE_RESET;
		return true;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		*shift = 32;
		at -= 4;
		break;
	default:
		break;
	}
	if (at == VIRTIO_PCI_COMMON_Q_DESCLO)
		*field = VIRTQUEUE_DESC;
	else if (at == VIRTIO_PCI_COMMON_Q_AVAILLO)
		*field = VIRTQUEUE_DRIVER;
	else if (at == VIRTIO_PCI_COMMON_Q_USEDLO)
		*field = VIRTQUEUE_DEVICE;
	else
		return false;
	return true;
}

static uint64_t get_common(struct virtio_pci *vp, uint32_t at)
{
	struct virtio_device *dev = vp->t.dev;
	unsigned int queue = atomic_load(&vp->queue_select), shift;
	enum virtqueue_field field;

	if (queue_field(at, &field, &shift))
		return virtqueue__get(dev, queue, field) >> shift;
	switch (at) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return atomic_load(&vp->device_select);
	case VIRTIO_PCI_COMMON_DF:
		return virtio_device__offered(dev, atomic_load(&vp->device_select), false);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return atomic_load(&vp->driver_select);
	case VIRTIO_PCI_COMMON_GF:
		return virtio_device__driver_features(dev, atomic_load(&vp->driver_select));
	case VIRTIO_PCI_COMMON_MSIX:
		return atomic_load(&vp->config_vector);
	case VIRTIO_PCI_COMMON_NUMQ:
		return dev->nr_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return virtio_device__status(dev);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return virtio_device__generation(dev);
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return queue;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return get_queue_vector(vp);
	case VIRTIO_PCI_COMMON_Q_NOFF:
	case VIRTIO_PCI_COMMON_Q_NDATA:
		return queue < dev->nr_queues ? queue : 0;
	default:
		return 0;
	}
}

static void set_common(struct virtio_pci *vp, uint32_t at, uint32_t value)
{
	struct virtio_device *dev = vp->t.dev;
	unsigned int shift;
	enum virtqueue_field field;

	if (queue_field(at, &field, &shift)) {
		/* 4.1.4.3.2: a driver does not disable a queue by writing 0. */
		if (field != VIRTQUEUE_ENABLE || value == 1)
			virtqueue__set(dev, atomic_load(&vp->queue_select), field,
				       (uint64_t)value << shift, 0xffffffffull << shift);
		return;
	}
	switch (at) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		atomic_store(&vp->device_select, value);
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		atomic_store(&vp->driver_select, value);
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_device__set_driver_features(dev, atomic_load(&vp->driver_select), value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		set_vector(vp, &vp->config_vector, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_device__set_status(dev, (uint8_t)value, false);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		atomic_store(&vp->queue_select, value);
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		set_queue_vector(vp, value);
		break;
	default:
		break;
	}
}

static void modern_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct virtio_pci *vp = ctx;

	memset(data, 0, len);
	if (offset < ISR_AT)
		read_fields(vp, common_fields, NR_COMMON_FIELDS, get_common, offset, data, len);
	else if (offset == ISR_AT)
		*(uint8_t *)data = read_isr(vp);
	else if (offset >= CONFIG_AT && offset < NOTIFY_AT)
		virtio_device__config_read(vp->t.dev, offset - CONFIG_AT, data, len);
}

static void modern_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct virtio_pci *vp = ctx;

	if (offset < ISR_AT)
		write_fields(vp, common_fields, NR_COMMON_FIELDS, set_common, offset, data, len);
	else if (offset >= NOTIFY_AT)
		virtio_device__notify(vp->t.dev, (unsigned int)(offset - NOTIFY_AT) / NOTIFY_STEP,
				      false);
	else if (offset >= CONFIG_AT)
		virtio_device__config_write(vp->t.dev, offset - CONFIG_AT, data, len);
}

/* --- the legacy interface (4.1.4.10) -------------------------------------------------------- */

static const struct field legacy_fields[] = {
	{ VIRTIO_PCI_HOST_FEATURES, 4 }, { VIRTIO_PCI_GUEST_FEATURES, 4 },
	{ VIRTIO_PCI_QUEUE_PFN, 4 },	 { VIRTIO_PCI_QUEUE_NUM, 2 },
	{ VIRTIO_PCI_QUEUE_SEL, 2 },	 { VIRTIO_PCI_QUEUE_NOTIFY, 2 },
	{ VIRTIO_PCI_STATUS, 1 },	 { VIRTIO_PCI_ISR, 1 },
	{ VIRTIO_MSI_CONFIG_VECTOR, 2 }, { VIRTIO_MSI_QUEUE_VECTOR, 2 },
};
#define NR_LEGACY_FIELDS (sizeof(legacy_fields) / sizeof(legacy_fields[0]))

static uint64_t get_legacy(struct virtio_pci *vp, uint32_t at)
{
	struct virtio_device *dev = vp->t.dev;
	unsigned int queue = atomic_load(&vp->queue_select);

	switch (at) {
	case VIRTIO_PCI_HOST_FEATURES:
		return virtio_device__offered(dev, 0, true);
	case VIRTIO_PCI_GUEST_FEATURES:
		return virtio_device__driver_features(dev, 0);
	case VIRTIO_PCI_QUEUE_PFN:
		return virtqueue__legacy_pfn(dev, queue);
	case VIRTIO_PCI_QUEUE_NUM:
		return virtqueue__get(dev, queue, VIRTQUEUE_MAX_SIZE);
	case VIRTIO_PCI_QUEUE_SEL:
		return queue;
	case VIRTIO_PCI_STATUS:
		return virtio_device__status(dev);
	case VIRTIO_PCI_ISR:
		return read_isr(vp);
	case VIRTIO_MSI_CONFIG_VECTOR:
		return atomic_load(&vp->config_vector);
	case VIRTIO_MSI_QUEUE_VECTOR:
		return get_queue_vector(vp);
	default:
		return 0;
	}
}

static void set_legacy(struct virtio_pci *vp, uint32_t at, uint32_t value)
{
	struct virtio_device *dev = vp->t.dev;
	unsigned int queue = atomic_load(&vp->queue_select);

	switch (at) {
	case VIRTIO_PCI_GUEST_FEATURES:
		virtio_device__set_driver_features(dev, 0, value);
		break;
	case VIRTIO_PCI_QUEUE_PFN:
		virtqueue__set_legacy(dev, queue,
				      (unsigned int)virtqueue__get(dev, queue, VIRTQUEUE_MAX_SIZE),
				      value, LEGACY_PAGE, VIRTIO_PCI_VRING_ALIGN);
		break;
	case VIRTIO_PCI_QUEUE_SEL:
		atomic_store(&vp->queue_select, value);
		break;
	case VIRTIO_PCI_QUEUE_NOTIFY:
		virtio_device__notify(dev, value, true);
		break;
	case VIRTIO_PCI_STATUS:
		virtio_device__set_status(dev, (uint8_t)value, true);
		break;
	case VIRTIO_MSI_CONFIG_VECTOR:
		set_vector(vp, &vp->config_vector, value);
		break;
	case VIRTIO_MSI_QUEUE_VECTOR:
		set_queue_vector(vp, value);
		break;
	default:
		break;
	}
}

/* The two vectors are there only while MSI-X is enabled; what follows moves. */
static uint32_t legacy_config_at(struct virtio_pci *vp)
{
	return VIRTIO_PCI_CONFIG_OFF(pci_msi__is_enabled(&vp->pci));
}

static unsigned int nr_legacy_fields(struct virtio_pci *vp)
{
	return pci_msi__is_enabled(&vp->pci) ? NR_LEGACY_FIELDS : NR_LEGACY_FIELDS - 2;
}

static void legacy_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct virtio_pci *vp = ctx;
	uint32_t config_at = legacy_config_at(vp);

	memset(data, 0, len);
	if (offset >= config_at)
		virtio_device__config_read(vp->t.dev, offset - config_at, data, len);
	else
		read_fields(vp, legacy_fields, nr_legacy_fields(vp), get_legacy, offset, data, len);
}

static void legacy_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct virtio_pci *vp = ctx;
	uint32_t config_at = legacy_config_at(vp);

	if (offset >= config_at)
		virtio_device__config_write(vp->t.dev, offset - config_at, data, len);
	else
		write_fields(vp, legacy_fields, nr_legacy_fields(vp), set_legacy, offset, data,
			     len);
}

/* --- configuration space -------------------------------------------------------------------- */

/* The BAR, the place in it and the width that the driver has asked for by the capability (4.1.4.9).
 */
static const struct bus_region *pci_cfg_target(struct virtio_pci *vp, uint32_t *offset,
					       uint32_t *len)
{
	const struct bus_region *region;
	unsigned int bar;

	bar = (unsigned int)pci_config__get(&vp->pci, vp->pci_cfg + VIRTIO_PCI_CAP_BAR, 1);
	*offset = (uint32_t)pci_config__get(&vp->pci, vp->pci_cfg + VIRTIO_PCI_CAP_OFFSET, 4);
	*len = (uint32_t)pci_config__get(&vp->pci, vp->pci_cfg + VIRTIO_PCI_CAP_LENGTH, 4);
	if (bar >= PCI_ROM_BAR || (*len != 1 && *len != 2 && *len != 4) || *offset & (*len - 1))
		return NULL;
	region = &vp->pci.bar[bar].region;
	return *offset < region->size && *len <= region->size - *offset ? region : NULL;
}

static bool touches_pci_cfg_data(const struct virtio_pci *vp, uint32_t offset, uint32_t len)
{
	return offset < vp->pci_cfg + PCI_CFG_DATA + 4 && vp->pci_cfg + PCI_CFG_DATA < offset + len;
}

static uint32_t on_config_read(struct pci_device *pci, uint32_t offset, uint32_t len)
{
	struct virtio_pci *vp = (struct virtio_pci *)pci;
	const struct bus_region *region;
	uint32_t at, width;

	if (touches_pci_cfg_data(vp, offset, len)) {
		region = pci_cfg_target(vp, &at, &width);
		if (region)
			region->read(region->ctx, at, &pci->config[vp->pci_cfg + PCI_CFG_DATA],
				     width);
	}
	return pci_config__read(pci, offset, len);
}

static void on_config_write(struct pci_device *pci, uint32_t offset, uint32_t value, uint32_t len)
{
	struct virtio_pci *vp = (struct virtio_pci *)pci;
	bool had_msix = pci_msi__is_enabled(pci);
	const struct bus_region *region;
	uint32_t at, width;

	pci_config__write(pci, offset, value, len);
	if (touches_pci_cfg_data(vp, offset, len)) {
		region = pci_cfg_target(vp, &at, &width);
		if (region)
			region->write(region->ctx, at, &pci->config[vp->pci_cfg + PCI_CFG_DATA],
				      width);
	}
	if (pci_msi__is_enabled(pci) != had_msix) {
		for (unsigned int i = 0; i < vp->t.dev->nr_queues; i++)
			virtio_device__call_changed(vp->t.dev, i);
	}
}

static const struct pci_device_ops config_ops = {
	.config_read = on_config_read,
	.config_write = on_config_write,
};

static int add_cap(struct virtio_pci *vp, unsigned int type, unsigned int size, uint32_t offset,
		   uint32_t length)
{
	int cap = pci__add_cap(&vp->pci, PCI_CAP_ID_VNDR, size);

	if (cap < 0)
		return cap;
	pci_config__set(&vp->pci, (uint32_t)cap + VIRTIO_PCI_CAP_LEN, 1, size);
	pci_config__set(&vp->pci, (uint32_t)cap + VIRTIO_PCI_CAP_CFG_TYPE, 1, type);
	if (length)
		pci_config__set(&vp->pci, (uint32_t)cap + VIRTIO_PCI_CAP_BAR, 1, MODERN_BAR);
	pci_config__set(&vp->pci, (uint32_t)cap + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	pci_config__set(&vp->pci, (uint32_t)cap + VIRTIO_PCI_CAP_LENGTH, 4, length);
	return cap;
}

static int add_caps(struct virtio_pci *vp)
{
	const struct virtio_device *dev = vp->t.dev;
	int cap;

	cap = add_cap(vp, VIRTIO_PCI_CAP_COMMON_CFG, CAP_SIZE, COMMON_AT, COMMON_SIZE);
	if (cap >= 0)
		cap = add_cap(vp, VIRTIO_PCI_CAP_ISR_CFG, CAP_SIZE, ISR_AT, 1);
	if (cap >= 0 && dev->config_size)
		cap = add_cap(vp, VIRTIO_PCI_CAP_DEVICE_CFG, CAP_SIZE, CONFIG_AT, dev->config_size);
	if (cap >= 0)
		cap = add_cap(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, CAP_SIZE + CAP_MORE, NOTIFY_AT,
			      MODERN_SIZE - NOTIFY_AT);
	if (cap < 0)
		return cap;
	pci_config__set(&vp->pci, (uint32_t)cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, NOTIFY_STEP);

	cap = add_cap(vp, VIRTIO_PCI_CAP_PCI_CFG, CAP_SIZE + CAP_MORE, 0, 0);
	if (cap < 0)
		return cap;
	vp->pci_cfg = (unsigned int)cap;
	pci_config__set_writable(&vp->pci, vp->pci_cfg + VIRTIO_PCI_CAP_BAR, 1, 0xff);
	pci_config__set_writable(&vp->pci, vp->pci_cfg + VIRTIO_PCI_CAP_OFFSET, 4, 0xffffffff);
	pci_config__set_writable(&vp->pci, vp->pci_cfg + VIRTIO_PCI_CAP_LENGTH, 4, 0xffffffff);
	pci_config__set_writable(&vp->pci, vp->pci_cfg + PCI_CFG_DATA, 4, 0xffffffff);
	return 0;
}

/* --- the life of a function ----------------------------------------------------------------- */

static int vp_realize(struct device *dev)
{
	struct virtio_pci *vp = (struct virtio_pci *)dev;
	int ret = pci_device__realize(&vp->pci, vp->cfg.devfn);

	return ret ? ret : virtio_device__realize(vp->t.dev, &vp->t);
}

static void vp_reset(struct device *dev)
{
	struct virtio_pci *vp = (struct virtio_pci *)dev;

	virtio_device__reset(vp->t.dev);
	pci_device__reset(&vp->pci);
}

static void vp_unrealize(struct device *dev)
{
	struct virtio_pci *vp = (struct virtio_pci *)dev;

	virtio_device__destroy(vp->t.dev);
	pci_device__unrealize(&vp->pci);
	pthread_mutex_destroy(&vp->irq_lock);
	free(vp->vector_fd);
	free(vp->queue_vector);
	free(vp->ioeventfd);
	free(vp);
}

static const struct device_ops vp_ops = {
	.kind = "virtio-pci",
	.realize = vp_realize,
	.reset = vp_reset,
	.unrealize = vp_unrealize,
};

/* Table of 4.1.2.1; 0 for a device that has only ever been modern. */
static uint16_t transitional_id(uint16_t id)
{
	switch (id) {
	case VIRTIO_ID_NET:
		return 0x1000;
	case VIRTIO_ID_BLOCK:
		return 0x1001;
	case VIRTIO_ID_BALLOON:
		return 0x1002;
	case VIRTIO_ID_CONSOLE:
		return 0x1003;
	case VIRTIO_ID_SCSI:
		return 0x1004;
	case VIRTIO_ID_RNG:
		return 0x1005;
	case VIRTIO_ID_9P:
		return 0x1009;
	default:
		return 0;
	}
}

static void describe(struct virtio_pci *vp, struct pci_host *pci)
{
	const struct virtio_ops *ops = vp->t.dev->ops;
	struct pci_ids ids = {
		.vendor = VENDOR,
		.device = (uint16_t)(MODERN_DEVICE + ops->id),
		.subsystem_vendor = VENDOR,
		.subsystem = MODERN_SUBSYSTEM,
		.class = ops->pci_class ? ops->pci_class : CLASS_OTHER,
		.revision = MODERN_REVISION,
	};

	if (!vp->cfg.modern_only) {
		ids.device = transitional_id(ops->id);
		ids.subsystem = ops->id;
		ids.revision = VIRTIO_PCI_ABI_VERSION;
	}
	pci_device__init(&vp->pci, pci, &vp_ops, vp->t.dev->name, &ids);
	vp->pci.ops = &config_ops;
	pci_config__set(&vp->pci, PCI_INTERRUPT_PIN, 1, 1);
}

static int add_bars(struct virtio_pci *vp)
{
	struct bus_region legacy = {
		.size = 32,
		.read = legacy_read,
		.write = legacy_write,
		.ctx = vp,
		.name = "virtio",
	};
	struct bus_region modern = {
		.size = MODERN_SIZE,
		.read = modern_read,
		.write = modern_write,
		.ctx = vp,
		.name = "virtio",
	};
	int ret = 0;

	while (legacy.size < VIRTIO_PCI_CONFIG_OFF(true) + vp->t.dev->config_size)
		legacy.size *= 2;
	if (!vp->cfg.modern_only)
		ret = pci__add_bar(&vp->pci, LEGACY_BAR, PCI_BAR_IO, false, &legacy);
	if (!ret)
		ret = pci__add_bar(&vp->pci, MODERN_BAR, PCI_BAR_MEM64, false, &modern);
	return ret;
}

static int add_messages(struct virtio_pci *vp)
{
	unsigned int nr = vp->t.dev->nr_queues + 1;
	int ret = pci_msix__init_bar(&vp->pci, nr, MSIX_BAR);

	if (ret == -ENOTSUP)
		return 0;
	if (!ret)
		vp->nr_vectors = nr;
	return ret;
}

static int allocate(struct virtio_pci *vp)
{
	unsigned int nr = vp->t.dev->nr_queues;

	vp->vector_fd = calloc(nr + 1, sizeof(*vp->vector_fd));
	vp->queue_vector = calloc(nr + 1, sizeof(*vp->queue_vector));
	vp->ioeventfd = calloc(nr + 1, sizeof(*vp->ioeventfd));
	if (!vp->vector_fd || !vp->queue_vector || !vp->ioeventfd)
		return -ENOMEM;
	for (unsigned int i = 0; i <= nr; i++) {
		atomic_init(&vp->vector_fd[i], -1);
		atomic_init(&vp->queue_vector[i], VIRTIO_MSI_NO_VECTOR);
	}
	atomic_init(&vp->config_vector, VIRTIO_MSI_NO_VECTOR);
	return 0;
}

struct device *virtio_pci__create(struct pci_host *pci, struct virtio_device *dev,
				  const struct virtio_pci_config *cfg)
{
	struct virtio_pci *vp = dev ? calloc(1, sizeof(*vp)) : NULL;
	int ret;

	if (!vp) {
		virtio_device__destroy(dev);
		return NULL;
	}
	vp->cfg = *cfg;
	vp->cfg.modern_only |= !transitional_id(dev->ops->id);
	vp->t = (struct virtio_transport){ .ops = &transport_ops, .dev = dev };
	pthread_mutex_init(&vp->irq_lock, NULL);
	describe(vp, pci);
	ret = allocate(vp);
	if (!ret)
		ret = add_messages(vp);
	if (!ret)
		ret = add_bars(vp);
	if (!ret)
		ret = add_caps(vp);
	if (ret) {
		pr_fatal("%s: cannot be a PCI function: %s", dev->name, strerror(-ret));
		vp_unrealize(&vp->pci.dev);
		return NULL;
	}
	return &vp->pci.dev;
}
