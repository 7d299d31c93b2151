// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The x86 board: a PC without what no kernel needs.
 *
 * Theory of operation: arch__prepare() settles all that can be known before a VM exists (which
 * irqchip, how RAM is laid out, whether the kernel, its command line and initrd fit).
 * arch__create_machine() is the parts list, read from top to bottom; the order of its calls is the
 * order that KVM demands (interrupt controllers before vCPUs) and the order in which parts are
 * reset. arch__load() is what firmware and boot loader would do; it is all that has to be repeated
 * after a reset.
 */
#include "x86/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kvm.h>

#include "kvm/arch.h"
#include "kvm/bus.h"
#include "kvm/chardev.h"
#include "kvm/hw/acpi-pm.h"
#include "kvm/hw/debug-console.h"
#include "kvm/hw/debug-exit.h"
#include "kvm/hw/edu.h"
#include "kvm/hw/i8042.h"
#include "kvm/hw/pvpanic.h"
#include "kvm/hw/rtc.h"
#include "kvm/hw/serial.h"
#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/pci.h"
#include "kvm/sys.h"
#include "kvm/virtio-plan.h"
#include "kvm/virtio-transport.h"
#include "kvm/virtio.h"
#include "x86/acpi.h"
#include "x86/cpu.h"
#include "x86/irqchip.h"
#include "x86/layout.h"
#include "x86/mptable.h"
#include "x86/probe.h"

#define SERIAL_PARAMS "console=ttyS0 panic=-1"
#define VIRTIO_PARAMS "console=hvc0 panic=-1"
#define NR_UARTS      4
#define NR_PARTS      (8 + X86_NR_VIRTIO_MMIO)
#define RTC_CENTURY   0x32
#define RAM_ALIGN     (2ull << 20) /* a large page of the guest can be one of the host */
#define MEM64_SIZE    (64ull << 30)
#define MEM64_ALIGN   (1ull << 30)

static const struct {
	uint16_t port;
	unsigned int gsi;
	const char *acpi_name;
} uarts[NR_UARTS] = {
	{ 0x3f8, 4, "COM1" },
	{ 0x2f8, 3, "COM2" },
	{ 0x3e8, 4, "COM3" },
	{ 0x2e8, 3, "COM4" },
};

const char *arch__name(void)
{
	return "x86";
}

/* --- before there is a VM --- */

static uint32_t apic_id(const void *ctx, unsigned int index)
{
	const struct vm_config *cfg = ctx;

	return x86_cpuid__apic_id(&cfg->cpus, index);
}

static bool needs_wide_apic_ids(const struct kvm *kvm)
{
	return x86_cpuid__max_apic_id(&kvm->cfg->cpus) > X86_MAX_XAPIC_ID;
}

static int check_cpus(const struct kvm *kvm)
{
	uint32_t max_apic_id = x86_cpuid__max_apic_id(&kvm->cfg->cpus);
	int max_cpus = kvm__cap(kvm, KVM_CAP_MAX_VCPUS);
	int max_ids = kvm__cap(kvm, KVM_CAP_MAX_VCPU_ID);

	if (!max_cpus)
		max_cpus = 4; /* api.rst 4.7: what a KVM without the capability can do */
	if (!max_ids)
		max_ids = max_cpus;
	if (kvm->cfg->cpus.nr > (unsigned int)max_cpus) {
		pr_fatal("--cpus %u: the KVM of this host takes %d vCPUs at the most",
			 kvm->cfg->cpus.nr, max_cpus);
		return -EINVAL;
	}
	if (max_apic_id >= (uint32_t)max_ids) {
		pr_fatal("--cpus %u: this topology has APIC ids up to %u, the KVM of this host "
			 "takes ids "
			 "below %d",
			 kvm->cfg->cpus.nr, max_apic_id, max_ids);
		return -EINVAL;
	}
	return 0;
}

static unsigned int virtio_mmio_parts(const struct arch_machine *machine, struct acpi_device *part)
{
	static const char *const names[X86_NR_VIRTIO_MMIO] = { "VIR0", "VIR1", "VIR2", "VIR3",
							       "VIR4", "VIR5", "VIR6", "VIR7" };

	for (unsigned int i = 0; i < machine->nr_virtio_mmio; i++) {
		part[i] = (struct acpi_device){
			.name = names[i],
			.hid = "LNRO0005",
			.uid = i,
			.mmio = { X86_VIRTIO_MMIO + i * VIRTIO_MMIO_SIZE, VIRTIO_MMIO_SIZE },
			.irq_kind = ACPI_IRQ_LEVEL,
			.irq = X86_VIRTIO_MMIO_GSI + i,
		};
	}
	return machine->nr_virtio_mmio;
}

/* The parts that are not on PCI, as ACPI names them. Returns how many. */
static unsigned int isa_parts(const struct arch_machine *machine, struct acpi_device *part)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NR_UARTS; i++) {
		part[nr++] = (struct acpi_device){
			.name = uarts[i].acpi_name,
			.hid = "PNP0501",
			.uid = i + 1,
			.io = { { uarts[i].port, 8 } },
			.irq_kind = ACPI_IRQ_ISA,
			.irq = uarts[i].gsi,
		};
	}
	part[nr++] = (struct acpi_device){
		.name = "KBD",
		.hid = "PNP0303",
		.io = { { 0x60, 1 }, { 0x64, 1 } },
		.irq_kind = ACPI_IRQ_ISA,
		.irq = X86_KBD_GSI,
	};
	part[nr++] = (struct acpi_device){
		.name = "RTC",
		.hid = "PNP0B00",
		.io = { { 0x70, 2 } },
		.irq_kind = ACPI_IRQ_ISA,
		.irq = X86_RTC_GSI,
	};
	part[nr++] = (struct acpi_device){
		.name = "PEVT",
		.hid = "QEMU0001",
		.io = { { X86_PVPANIC_PORT, 1 } },
	};
	return nr + virtio_mmio_parts(machine, part + nr);
}

static void describe_for_acpi(const struct kvm *kvm, struct acpi_params *params,
			      struct acpi_device *parts)
{
	const struct arch_machine *machine = kvm->arch;

	*params = (struct acpi_params){
		.nr_cpus = kvm->cfg->cpus.nr,
		.apic_id = apic_id,
		.ctx = kvm->cfg,
		.has_lapic = machine->irqchip != IRQCHIP_OFF,
		.has_ioapic = machine->irqchip != IRQCHIP_OFF,
		.has_ecam = true,
		.pci_mem64 = { machine->mem64_base, machine->mem64_size },
		.rtc_century = RTC_CENTURY,
		.devices = parts,
		.nr_devices = isa_parts(machine, parts),
	};
}

/* The window for 64-bit BARs: right above RAM, as large as the processor's addresses allow. */
static void place_mem64(struct kvm *kvm)
{
	struct arch_machine *machine = kvm->arch;
	const struct e820_entry *last = &machine->map.entry[machine->map.nr - 1];
	uint64_t top = last->base + last->size;

	if (top < X86_HIGH_RAM_BASE)
		top = X86_HIGH_RAM_BASE;
	machine->mem64_base = (top + MEM64_ALIGN - 1) & ~(MEM64_ALIGN - 1);
	machine->mem64_size = MEM64_SIZE;
}

static int lay_out_memory(struct kvm *kvm)
{
	struct arch_machine *machine = kvm->arch;
	struct acpi_device parts[NR_PARTS];
	struct acpi_params params;
	ssize_t size = 0;

	if (!kvm->cfg->no_acpi) {
		/* The size does not depend on where things are, and there may be fewer of them. */
		machine->mem64_base = X86_HIGH_RAM_BASE;
		machine->mem64_size = MEM64_SIZE;
		machine->nr_virtio_mmio = X86_NR_VIRTIO_MMIO;
		describe_for_acpi(kvm, &params, parts);
		machine->nr_virtio_mmio = 0;
		size = acpi__size(&params);
		if (size < 0) {
			pr_fatal("this machine cannot be described in ACPI tables: %s",
				 strerror((int)-size));
			return (int)size;
		}
	}
	return e820__build(&machine->map, kvm->cfg->ram_size, (uint64_t)size);
}

static int open_kernel(struct kvm *kvm)
{
	const struct vm_config *cfg = kvm->cfg;
	const char *console = cfg->console == CONSOLE_VIRTIO ? VIRTIO_PARAMS : SERIAL_PARAMS;
	const char *root = virtio_plan__root_params(kvm->arch->virtio);
	const char *given = cfg->params ? cfg->params : "";
	bool defaults = cfg->default_params;
	char *cmdline;
	int ret;

	if (strstr(given, "root="))
		root = "";
	/* What was given comes last: of two contradicting parameters, Linux takes the later. */
	if (asprintf(&cmdline, "%s%s%s%s%s", defaults ? console : "", defaults && *root ? " " : "",
		     defaults ? root : "", defaults && *given ? " " : "", given) < 0) {
		pr_fatal("no memory for the kernel command line");
		return -ENOMEM;
	}
	ret = x86_boot__open(&kvm->arch->boot, cfg, &kvm->arch->map, cmdline);
	free(cmdline);
	return ret;
}

static int check_devices(const struct vm_config *cfg)
{
	for (unsigned int i = 0; i < cfg->nr_devices; i++) {
		if (strcmp(cfg->device[i], "edu")) {
			pr_fatal("--device %s: there is no such device; known: edu",
				 cfg->device[i]);
			return -EINVAL;
		}
	}
	return 0;
}

int arch__prepare(struct kvm *kvm)
{
	int ret;

	kvm->arch = calloc(1, sizeof(*kvm->arch));
	if (!kvm->arch) {
		pr_fatal("no memory for the board");
		return -ENOMEM;
	}
	ret = check_cpus(kvm);
	if (ret)
		return ret;
	ret = check_devices(kvm->cfg);
	if (ret)
		return ret;
	ret = virtio_plan__create(kvm->cfg, &kvm->arch->virtio);
	if (ret)
		return ret;
	ret = x86_irqchip__choose(kvm, x86_cpuid__max_apic_id(&kvm->cfg->cpus),
				  &kvm->arch->irqchip);
	if (ret)
		return ret;
	ret = lay_out_memory(kvm);
	if (ret)
		return ret;
	place_mem64(kvm);
	return open_kernel(kvm);
}

/* --- the parts list --- */

static int add_ram(struct kvm *kvm)
{
	const struct memory_backing backing = {
		.path = kvm->cfg->mem_path,
		.shared = kvm->cfg->mem_shared,
		.align = RAM_ALIGN,
	};
	struct memory_region region[X86_RAM_REGIONS];
	unsigned int nr = e820__ram_regions(kvm->cfg->ram_size, region);
	int ret;

	ret = guest_memory__alloc(&kvm->ram, region, nr, &backing);
	return ret ? ret : kvm__add_ram_memslots(kvm);
}

/* Pages that KVM itself needs in the guest's address space where the processor cannot do real mode.
 */
static int add_kvm_pages(struct kvm *kvm)
{
	uint64_t identity_map = X86_IDENTITY_MAP;
	int ret;

	ret = kvm__ioctl(kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map,
			 "KVM_SET_IDENTITY_MAP_ADDR");
	if (ret < 0)
		return ret;
	return kvm__ioctl(kvm, KVM_SET_TSS_ADDR, (void *)X86_TSS_ADDR, "KVM_SET_TSS_ADDR");
}

static int add_serial_ports(struct kvm *kvm)
{
	int ret = 0;

	for (unsigned int i = 0; i < NR_UARTS && !ret; i++) {
		struct serial_config cfg = {
			.index = i,
			.port = uarts[i].port,
			.gsi = uarts[i].gsi,
			.chr = kvm->tty[i],
		};

		ret = device__add(&kvm->devices, serial__create(&kvm->host, &cfg));
	}
	return ret;
}

static int add_acpi_pm(struct kvm *kvm)
{
	const struct acpi_pm_config cfg = {
		.event = X86_PM1A_EVT,
		.control = X86_PM1A_CNT,
		.timer = X86_PM_TMR,
		.sci = X86_SCI_GSI,
		.s5_type = X86_S5_SLP_TYP,
	};
	int ret;

	kvm->arch->pm = acpi_pm__create(&kvm->host, &cfg);
	ret = device__add(&kvm->devices, kvm->arch->pm);
	if (ret)
		kvm->arch->pm = NULL;
	return ret;
}

static int add_rtc(struct kvm *kvm)
{
	uint64_t ram = kvm->cfg->ram_size;
	const struct rtc_config cfg = {
		.gsi = X86_RTC_GSI,
		.century = RTC_CENTURY,
		.low_ram = ram < X86_LOW_RAM_MAX ? ram : X86_LOW_RAM_MAX,
		.high_ram = ram < X86_LOW_RAM_MAX ? 0 : ram - X86_LOW_RAM_MAX,
	};

	return device__add(&kvm->devices, rtc__create(&kvm->host, &cfg));
}

static int add_pci(struct kvm *kvm)
{
	const struct pci_host_config cfg = {
		.io = { X86_PCI_IO_BASE, X86_PCI_IO_SIZE, 0 },
		.mem32 = { X86_PCI_WINDOW_BASE, X86_PCI_WINDOW_SIZE, 0 },
		.mem64 = { kvm->arch->mem64_base, kvm->arch->mem64_size, 0 },
		.io_space = BUS_PIO,
		.conf1 = true,
		.ecam_base = X86_ECAM_BASE,
		.ecam_size = X86_ECAM_SIZE,
		.gsi = X86_PCI_GSIS,
		.nr_gsis = X86_NR_PCI_GSIS,
		.msi = kvm->arch->irqchip != IRQCHIP_OFF,
	};
	struct device *dev = pci_host__create(&kvm->host, &cfg);
	int ret = device__add(&kvm->devices, dev);

	if (!ret)
		kvm->arch->pci = pci_host__from(dev);
	return ret;
}

/* --device edu, and edu,masking: the variant whose MSI can be masked. Names have been checked. */
static int add_edu(struct kvm *kvm, unsigned int index)
{
	const struct edu_config cfg = {
		.index = index,
		.devfn = PCI_ANY_DEVFN,
		.masking = !strcmp(kvm->cfg->device[index], "edu,masking"),
	};

	return device__add(&kvm->devices, edu__create(kvm->arch->pci, &cfg));
}

static int plug_virtio_mmio(struct kvm *kvm, struct virtio_device *dev)
{
	unsigned int index = kvm->arch->nr_virtio_mmio;
	const struct virtio_mmio_config cfg = {
		.base = X86_VIRTIO_MMIO + index * VIRTIO_MMIO_SIZE,
		.gsi = X86_VIRTIO_MMIO_GSI + index,
	};

	if (index == X86_NR_VIRTIO_MMIO || kvm->arch->irqchip == IRQCHIP_OFF) {
		if (dev)
			dev->ops->destroy(dev);
		if (index == X86_NR_VIRTIO_MMIO)
			pr_fatal("--virtio-transport mmio: there is room for %d devices",
				 X86_NR_VIRTIO_MMIO);
		else
			pr_fatal("--virtio-transport mmio: its interrupts need an I/O APIC, which "
				 "--irqchip off leaves out");
		return -ENOSPC;
	}
	kvm->arch->nr_virtio_mmio++;
	return device__add(&kvm->devices, virtio_mmio__create(&kvm->host, dev, &cfg));
}

static int plug_virtio_pci(struct kvm *kvm, struct virtio_device *dev)
{
	const struct virtio_pci_config cfg = {
		.devfn = PCI_ANY_DEVFN,
		.modern_only = kvm->cfg->virtio == VIRTIO_PCI_MODERN,
		.irqfd = kvm->arch->irqchip != IRQCHIP_OFF && kvm__cap(kvm, KVM_CAP_IRQFD),
	};

	return device__add(&kvm->devices, virtio_pci__create(kvm->arch->pci, dev, &cfg));
}

static int add_virtio(struct kvm *kvm)
{
	bool mmio = kvm->cfg->virtio == VIRTIO_MMIO;

	return virtio_plan__add(kvm->arch->virtio, kvm, mmio ? plug_virtio_mmio : plug_virtio_pci);
}

static int add_optional_devices(struct kvm *kvm)
{
	const struct vm_config *cfg = kvm->cfg;
	int ret = 0;

	if (cfg->debug_exit)
		ret = device__add(&kvm->devices, debug_exit__create(&kvm->host, X86_DEBUG_EXIT));
	if (!ret && cfg->debug_console)
		ret = device__add(&kvm->devices,
				  debug_console__create(&kvm->host, X86_DEBUG_CONSOLE,
							kvm->console));
	for (unsigned int i = 0; i < cfg->nr_devices && !ret; i++)
		ret = add_edu(kvm, i);
	return ret;
}

static int add_devices(struct kvm *kvm)
{
	int ret;

	ret = add_serial_ports(kvm);
	if (!ret)
		ret = device__add(&kvm->devices, i8042__create(&kvm->host, X86_KBD_GSI));
	if (!ret)
		ret = add_rtc(kvm);
	if (!ret)
		ret = add_acpi_pm(kvm);
	if (!ret)
		ret = device__add(&kvm->devices, pvpanic__create(&kvm->host, X86_PVPANIC_PORT));
	if (!ret)
		ret = add_pci(kvm);
	if (!ret)
		ret = add_virtio(kvm);
	if (!ret)
		ret = add_optional_devices(kvm);
	return ret;
}

/* APIC ids beyond eight bits: destinations of interrupts are 32 bits wide then (api.rst 7.13). */
static int enable_wide_apic_ids(struct kvm *kvm)
{
	int ret;

	if (!needs_wide_apic_ids(kvm))
		return 0;
	ret = kvm__enable_cap(kvm, KVM_CAP_X2APIC_API,
			      KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
			      0);
	if (ret)
		pr_fatal("KVM_CAP_X2APIC_API: %s", strerror(-ret));
	return ret;
}

int arch__create_machine(struct kvm *kvm)
{
	struct arch_machine *machine = kvm->arch;
	int ret;

	ret = kvm__create_vm(kvm, 0);
	if (!ret)
		ret = add_kvm_pages(kvm);
	if (!ret)
		ret = add_ram(kvm);
	if (!ret)
		ret = enable_wide_apic_ids(kvm);
	if (!ret)
		ret = x86_irqchip__create(kvm);
	if (!ret)
		ret = add_devices(kvm);
	if (!ret)
		ret = x86_cpuid__init(&machine->cpuid, kvm, machine->irqchip,
				      needs_wide_apic_ids(kvm));
	if (!ret)
		ret = kvm_cpu__create_all(kvm, kvm->cfg->cpus.nr);
	return ret;
}

/* --- what firmware and boot loader leave in RAM --- */

static int write_acpi(struct kvm *kvm)
{
	const struct e820_map *map = &kvm->arch->map;
	struct acpi_device parts[NR_PARTS];
	struct acpi_params params;
	void *tables, *rsdp;
	ssize_t size;

	describe_for_acpi(kvm, &params, parts);
	tables = guest_memory__at(&kvm->ram, map->acpi_base, map->acpi_size);
	rsdp = guest_memory__at(&kvm->ram, X86_RSDP, ACPI_RSDP_SIZE);
	if (!tables || !rsdp) {
		pr_fatal("ACPI tables at 0x%llx: not in RAM", (unsigned long long)map->acpi_base);
		return -EFAULT;
	}
	size = acpi__build(&params, map->acpi_base, tables, map->acpi_size, rsdp);
	if (size < 0) {
		pr_fatal("ACPI tables: %s", strerror((int)-size));
		return (int)size;
	}
	guest_memory__dirty(&kvm->ram, map->acpi_base, (uint64_t)size);
	guest_memory__dirty(&kvm->ram, X86_RSDP, ACPI_RSDP_SIZE);
	return 0;
}

/* For a kernel that does not read ACPI. Without an I/O APIC there is nothing to say. */
static int write_mptable(struct kvm *kvm)
{
	const struct kvm_cpuid_entry2 *leaf1;
	struct mptable_params params = {
		.nr_cpus = kvm->cfg->cpus.nr,
		.apic_id = apic_id,
		.ctx = kvm->cfg,
	};
	void *buf;
	ssize_t size;

	if (kvm->arch->irqchip == IRQCHIP_OFF)
		return 0;
	leaf1 = x86_cpuid__entry(kvm->arch->cpuid.list, 1, 0);
	if (leaf1) {
		params.signature = leaf1->eax;
		params.features = leaf1->edx;
	}
	buf = guest_memory__at(&kvm->ram, X86_MPTABLE, MPTABLE_MAX_SIZE);
	if (!buf) {
		pr_fatal("MP table at 0x%llx: not in RAM", X86_MPTABLE);
		return -EFAULT;
	}
	size = mptable__build(&params, X86_MPTABLE, buf, MPTABLE_MAX_SIZE);
	if (size < 0) {
		pr_fatal("MP table: %s", strerror((int)-size));
		return (int)size;
	}
	guest_memory__dirty(&kvm->ram, X86_MPTABLE, (uint64_t)size);
	return 0;
}

/* What KVM has goes back to power-on state; when it is new, it is in it. */
static int reset_kvm(struct kvm *kvm)
{
	int ret;

	if (!kvm->arch->loaded) {
		kvm->arch->loaded = true;
		return 0;
	}
	ret = x86_irqchip__reset(kvm);
	for (unsigned int i = 0; i < kvm->nr_cpus && !ret; i++)
		ret = x86_cpu__reset(kvm->cpu[i], &kvm->arch->cpuid);
	return ret;
}

int arch__load(struct kvm *kvm)
{
	struct arch_machine *machine = kvm->arch;
	struct x86_boot_entry entry;
	uint64_t rsdp = 0;
	int ret;

	ret = reset_kvm(kvm);
	x86_irqchip__preset(kvm);
	if (!ret && !kvm->cfg->no_acpi) {
		rsdp = X86_RSDP;
		ret = write_acpi(kvm);
	}
	if (!ret)
		ret = write_mptable(kvm);
	if (!ret)
		ret = x86_boot__load(machine->boot, &kvm->ram, rsdp, &entry);
	if (!ret)
		ret = x86_cpu__enter(kvm->cpu[0], &machine->cpuid, &entry);
	return ret;
}

void arch__destroy_machine(struct kvm *kvm)
{
	if (!kvm->arch)
		return;
	virtio_plan__free(kvm->arch->virtio);
	x86_irqchip__destroy(kvm);
	x86_boot__close(kvm->arch->boot);
	x86_cpuid__free(&kvm->arch->cpuid);
	free(kvm->arch);
	kvm->arch = NULL;
}

/* --- the rest of the door --- */

int arch__power_button(struct kvm *kvm)
{
	if (!kvm->arch->pm || kvm->cfg->no_acpi)
		return -ENOTSUP;
	acpi_pm__power_button(kvm->arch->pm);
	return 0;
}

enum arch_host_kind arch__probe_host(struct kvm *kvm, char *why, size_t why_size)
{
	return x86_probe__host(kvm, why, why_size);
}

const struct arch_cap *arch__caps(void)
{
	return x86_caps;
}

const char *arch__vendor(const struct kvm *kvm)
{
	return x86_probe__vendor(kvm, NULL);
}
