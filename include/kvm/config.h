/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was asked for: plain data from the command line, validated before anything is created.
 */
#ifndef KVM_CONFIG_H
#define KVM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_MAX_TTYS	   4
#define CONFIG_MAX_VCPUS   4096
#define CONFIG_MAX_DEVICES 32
#define CONFIG_MAX_NAME	   64

/* Guest RAM in bytes: what a vCPU needs to start, and what fits a 47-bit process with room to
 * spare. */
#define CONFIG_MIN_RAM	   (1ull << 20)
#define CONFIG_MAX_RAM	   (1ull << 46)
#define CONFIG_DEFAULT_RAM (512ull << 20)

/**
 * enum boot_mode - how the kernel is entered
 * @BOOT_AUTO:   by magic; a bzImage is unpacked here if its compression is built in
 * @BOOT_KERNEL: a bzImage unpacks itself in the guest (and randomizes its address)
 * @BOOT_ELF:    an ELF kernel by the architecture's native entry
 * @BOOT_PVH:    an ELF kernel by its PVH note (x86)
 * @BOOT_FLAT:   a flat 16-bit image: it has no magic, so it is never guessed but asked for (x86)
 */
enum boot_mode { BOOT_AUTO, BOOT_KERNEL, BOOT_ELF, BOOT_PVH, BOOT_FLAT };

/**
 * enum irqchip_mode - where interrupt controllers live
 * @IRQCHIP_AUTO:   the board's choice
 * @IRQCHIP_KERNEL: all in KVM
 * @IRQCHIP_SPLIT:  local APICs in KVM, the rest here (x86)
 * @IRQCHIP_OFF:    none in KVM (x86)
 * @IRQCHIP_XIVE:   KVM's XIVE native device (powerpc)
 * @IRQCHIP_XICS:   KVM's XICS (powerpc)
 */
enum irqchip_mode {
	IRQCHIP_AUTO,
	IRQCHIP_KERNEL,
	IRQCHIP_SPLIT,
	IRQCHIP_OFF,
	IRQCHIP_XIVE,
	IRQCHIP_XICS,
};

/**
 * enum console_mode - which device the guest's console is
 */
enum console_mode { CONSOLE_SERIAL, CONSOLE_VIRTIO, CONSOLE_HV };

/**
 * enum virtio_mode - how virtio devices are plugged in
 * @VIRTIO_PCI:    PCI functions, modern and (where there was one) legacy interface
 * @VIRTIO_PCI_MODERN: PCI functions without the legacy interface
 * @VIRTIO_MMIO:   memory-mapped registers
 */
enum virtio_mode { VIRTIO_PCI, VIRTIO_PCI_MODERN, VIRTIO_MMIO };

/**
 * struct arg_list - arguments of an option that can be repeated, as they were given
 */
struct arg_list {
	const char **arg;
	unsigned int nr;
};

/**
 * struct cpu_topology - --cpus N[,sockets=S][,cores=C][,threads=T]; nr == sockets * cores * threads
 */
struct cpu_topology {
	unsigned int nr, sockets, cores, threads;
};

/**
 * struct vm_config - everything lkvm run was told, with defaults filled in
 * @name:        guest name (default guest-PID)
 * @dev:         KVM device node (default /dev/kvm)
 * @kernel:      path of the kernel image
 * @initrd:      path of an initial RAM disk, or a Multiboot module; or NULL
 * @params:      what --params gave, joined by spaces; or NULL
 * @default_params: whether the board's own kernel parameters come first
 * @boot:        see enum boot_mode
 * @ram_size:    bytes, a multiple of the page size
 * @mem_path:    --mem-path/--hugetlbfs: a directory to allocate guest RAM in, or NULL
 * @mem_shared:  guest RAM as a memfd
 * @cpus:        topology
 * @cpu_model:   "host", "max", a board's model, then ",-feature,+feature"
 * @irqchip:     see enum irqchip_mode
 * @console:     see enum console_mode
 * @tty:         back end for serial port i: NULL (console for 0, nothing for others), or as
 * chardev__open()
 * @no_acpi:     no ACPI tables are offered (x86)
 * @debug_exit:  isa-debug-exit at 0xf4 (x86)
 * @debug_console: debug console at 0xe9 (x86)
 * @device:      --device arguments: optional devices by name
 * @disk:        --disk: files, and a directory for the root file system
 * @network:     --network
 * @p9:          --9p: host directories by the 9p protocol
 * @fs:          --fs: host directories by virtio-fs
 * @vsock:       --vsock, or NULL
 * @rng:         an entropy device
 * @balloon:     a memory balloon
 * @virtio:      see enum virtio_mode
 * @reboot:      a guest reset starts it again instead of ending lkvm
 * @timeout:     seconds until lkvm gives up, 0 never
 * @debug_ioport, @debug_mmio: report accesses that no device answers
 * @debug_single_step: trace each instruction's address
 * @trace:       file for a time-stamped line per exit, "-" for standard error, or NULL
 * @stats:       print exit statistics at the end
 * @vmlinux:     ELF file with symbols for register dumps, or NULL
 * @dump_config: print the configuration instead of running it
 * @name_buf:    holds the default of @name, which is why the struct cannot be copied
 */
struct vm_config {
	const char *name;
	const char *dev;
	const char *kernel;
	const char *initrd;
	char *params;
	bool default_params;
	enum boot_mode boot;
	uint64_t ram_size;
	const char *mem_path;
	bool mem_shared;
	struct cpu_topology cpus;
	const char *cpu_model;
	enum irqchip_mode irqchip;
	enum console_mode console;
	const char *tty[CONFIG_MAX_TTYS];
	bool no_acpi;
	bool debug_exit;
	bool debug_console;
	const char *device[CONFIG_MAX_DEVICES];
	unsigned int nr_devices;
	struct arg_list disk, network, p9, fs;
	const char *vsock;
	bool rng;
	bool balloon;
	enum virtio_mode virtio;
	bool reboot;
	unsigned int timeout;
	bool debug_ioport;
	bool debug_mmio;
	bool debug_single_step;
	const char *trace;
	bool stats;
	const char *vmlinux;
	bool dump_config;
	char name_buf[32];
};

/**
 * config__init - all defaults
 */
void config__init(struct vm_config *cfg);

/**
 * config__free - release what parsing allocated
 */
void config__free(struct vm_config *cfg);

/**
 * config__parse_run - the arguments of lkvm run, and config__validate()
 * @cfg:  from config__init(), receives what was given; config__free() it whatever comes back
 * @argv: argv[0] is "run"; strings are kept, not copied
 *
 * Return: 0 if a guest shall run; 1 if all that was asked for has been printed (--help,
 * --dump-config); negative errno with the reason printed.
 */
int config__parse_run(struct vm_config *cfg, int argc, char **argv);

/**
 * config__parse_number - a decimal number, or hexadecimal with 0x, and nothing else
 *
 * Return: 0; -EINVAL for anything that is not a number; -ERANGE if it is more than @max.
 */
int config__parse_number(const char *text, uint64_t max, uint64_t *value);

/**
 * config__parse_size - "512", "512M", "2G", "0x40000000B": a number with a unit
 * @text: digits, then B, K, M, G, T or P in either case; without a unit the number counts MiB
 * @bytes: receives the value
 *
 * A final B is always the unit, even where it could be a hexadecimal digit.
 *
 * Return: 0; -EINVAL for anything that is not a number with a known unit; -ERANGE if it does not
 * fit 64 bits.
 */
int config__parse_size(const char *text, uint64_t *bytes);

/**
 * config__parse_cpus - "4", "8,sockets=2,cores=2,threads=2"
 *
 * What is not given is 1, but for sockets, which take what is left over.
 *
 * Return: 0; -EINVAL for garbage or a product that is not the number; -ERANGE for 0 or more than
 * CONFIG_MAX_VCPUS.
 */
int config__parse_cpus(const char *text, struct cpu_topology *topology);

/**
 * config__validate - checks that do not depend on the architecture, before anything is created
 *
 * Return: 0, or -EINVAL with the reason printed.
 */
int config__validate(const struct vm_config *cfg);

/**
 * config__print_json - the whole configuration as one JSON object
 */
void config__print_json(const struct vm_config *cfg, FILE *out);

#endif
