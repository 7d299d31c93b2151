// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: all registers of a transitional virtio-pci function: configuration space, both BARs,
 * MSI-X.
 *
 * The input is a row of accesses of 8 bytes each: what and how wide, where (two bytes), a value
 * (four), and one to spare for the width beyond.
 */
#include "virtio-fuzz.h"

#include "kvm/pci.h"

#define DEVFN 8
#define MEM   0xe0000000ull
#define IO    0xc000ull

static struct pci_host *make(struct fuzz *f)
{
	const struct pci_host_config cfg = {
		.io = { .base = IO, .size = 0x1000 },
		.mem32 = { .base = MEM, .size = 0x100000 },
		.gsi = { 10 },
		.nr_gsis = 1,
		.msi = true,
	};
	const struct virtio_pci_config vcfg = { .devfn = DEVFN };
	struct device *host;

	fuzz__init(f, 3);
	host = pci_host__create(&f->host, &cfg);
	if (device__add(&f->devices, host) ||
	    device__add(&f->devices, virtio_pci__create(pci_host__from(host), &f->dev, &vcfg)))
		abort();
	return pci_host__from(host);
}

static void access_it(struct fuzz *f, struct pci_host *pci, const uint8_t *in)
{
	static const uint64_t bases[] = { MEM, MEM + 0x4000, MEM + 0x7000, MEM + 0x1000 };
	uint32_t len = (in[0] >> 3 & 7) + 1, at = (uint32_t)io__get(&in[1], 2);
	uint64_t base = bases[in[0] >> 1 & 3];
	uint8_t data[8];

	io__put(data, 8, io__get(&in[3], 4) | (uint64_t)in[7] << 32);
	switch (in[0] >> 6) {
	case 0:
		if (in[0] & 1)
			bus__write(f->host.bus, BUS_MMIO, base + (at & 0xfff), data, len);
		else
			bus__read(f->host.bus, BUS_MMIO, base + (at & 0xfff), data, len);
		break;
	case 1:
		if (in[0] & 1)
			bus__write(f->host.bus, BUS_PIO, IO + (at & 0x3f), data, len);
		else
			bus__read(f->host.bus, BUS_PIO, IO + (at & 0x3f), data, len);
		break;
	case 2:
		if (in[0] & 1)
			pci_host__config_write(pci, DEVFN, at & 0xff, data, len);
		else
			pci_host__config_read(pci, DEVFN, at & 0xff, data, len);
		break;
	default: /* a queue's work */
		if (virtqueue__lock(virtio_device__queue(&f->dev, at % 3))) {
			fuzz__step(f, virtio_device__queue(&f->dev, at % 3), in[0]);
			virtqueue__unlock(virtio_device__queue(&f->dev, at % 3));
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pci_host *pci;
	static struct fuzz f;

	if (!pci)
		pci = make(&f);
	device_list__reset(&f.devices);
	for (; size >= 8; data += 8, size -= 8)
		access_it(&f, pci, data);
	return 0;
}
