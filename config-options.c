// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The options of lkvm run: how people write a struct vm_config, and how it is printed for programs.
 */
#include "kvm/config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/builtin.h"
#include "kvm/json.h"
#include "kvm/log.h"
#include "kvm/options.h"

#define FIELD(member, type) .field = OPTION_FIELD(struct vm_config, member, type)

static const struct option_choice boot_choices[] = {
	{ "auto", BOOT_AUTO, NULL }, { "kernel", BOOT_KERNEL, "x86" }, { "elf", BOOT_ELF, NULL },
	{ "pvh", BOOT_PVH, "x86" },  { "flat", BOOT_FLAT, "x86" },     { NULL, 0, NULL },
};

static const struct option_choice irqchip_choices[] = {
	{ "auto", IRQCHIP_AUTO, NULL },
	{ "kernel", IRQCHIP_KERNEL, "x86" },
	{ "split", IRQCHIP_SPLIT, "x86" },
	{ "off", IRQCHIP_OFF, "x86" },
	{ "xive", IRQCHIP_XIVE, "powerpc" },
	{ "xics", IRQCHIP_XICS, "powerpc" },
	{ NULL, 0, NULL },
};

static const struct option_choice console_choices[] = {
	{ "serial", CONSOLE_SERIAL, NULL },
	{ "virtio", CONSOLE_VIRTIO, NULL },
	{ NULL, 0, NULL },
};

static const struct option_choice virtio_choices[] = {
	{ "pci", VIRTIO_PCI, NULL },
	{ "pci-modern", VIRTIO_PCI_MODERN, NULL },
	{ "mmio", VIRTIO_MMIO, NULL },
	{ NULL, 0, NULL },
};

_Static_assert(sizeof(enum boot_mode) == sizeof(unsigned int), "option__set_choice() writes those");

/* --kernel, and the argument that is no option (@opt is NULL then). */
static int set_kernel(const struct option_spec *opt, void *target, const char *arg)
{
	struct vm_config *cfg = target;

	if (!*arg) {
		pr_fatal("the name of the kernel is empty");
		return -EINVAL;
	}
	if (cfg->kernel) {
		pr_fatal("two kernels were given: %s and %s", cfg->kernel, arg);
		return -EINVAL;
	}
	cfg->kernel = arg;
	return 0;
}

static int add_params(const struct option_spec *opt, void *target, const char *arg)
{
	struct vm_config *cfg = target;
	const size_t old = cfg->params ? strlen(cfg->params) + 1 : 0;
	const size_t len = strlen(arg) + 1;
	char *joined = realloc(cfg->params, old + len);

	if (!joined) {
		pr_fatal("--%s: no memory for %zu bytes", opt->name, old + len);
		return -ENOMEM;
	}
	if (old)
		joined[old - 1] = ' ';
	memcpy(joined + old, arg, len);
	cfg->params = joined;
	return 0;
}

static int set_mem(const struct option_spec *opt, void *target, const char *arg)
{
	struct vm_config *cfg = target;
	int ret = config__parse_size(arg, &cfg->ram_size);

	if (ret == -ERANGE)
		pr_fatal("--%s=%s: more than 64 bits can count", opt->name, arg);
	else if (ret)
		pr_fatal("--%s=%s: it is a number of MiB, or a number with one of the units B, K, "
			 "M, G, T, P",
			 opt->name, arg);
	return ret;
}

static int set_cpus(const struct option_spec *opt, void *target, const char *arg)
{
	struct vm_config *cfg = target;
	int ret = config__parse_cpus(arg, &cfg->cpus);

	if (ret == -ERANGE)
		pr_fatal("--%s=%s: each number is one from 1 to %d", opt->name, arg,
			 CONFIG_MAX_VCPUS);
	else if (ret)
		pr_fatal("--%s=%s: it is %s, and N is the product of S, C and T", opt->name, arg,
			 opt->arg);
	return ret;
}

static int set_timeout(const struct option_spec *opt, void *target, const char *arg)
{
	struct vm_config *cfg = target;
	uint64_t seconds;
	int ret = config__parse_number(arg, INT_MAX, &seconds);

	if (ret) {
		pr_fatal("--%s=%s: it is a number of seconds up to %d, 0 for no limit", opt->name,
			 arg, INT_MAX);
		return ret;
	}
	cfg->timeout = (unsigned int)seconds;
	return 0;
}

/* "1" or "1=/dev/pts/7" */
static int set_tty(const struct option_spec *opt, void *target, const char *arg)
{
	struct vm_config *cfg = target;
	const char *path = strchr(arg, '=');
	const size_t digits = path ? (size_t)(path - arg) : strlen(arg);
	const unsigned int port = (unsigned int)(arg[0] - '0');

	if (digits != 1 || port >= CONFIG_MAX_TTYS || (path && !path[1])) {
		pr_fatal("--%s %s: it is %s with a port from 0 to %d", opt->name, arg, opt->arg,
			 CONFIG_MAX_TTYS - 1);
		return -EINVAL;
	}
	if (cfg->tty[port]) {
		pr_fatal("--%s %s: port %u has been given %s already", opt->name, arg, port,
			 cfg->tty[port]);
		return -EINVAL;
	}
	cfg->tty[port] = path ? path + 1 : "pty";
	return 0;
}

static int add_device(const struct option_spec *opt, void *target, const char *arg)
{
	struct vm_config *cfg = target;

	if (!*arg) {
		pr_fatal("--%s needs %s, and what was given is empty", opt->name, opt->arg);
		return -EINVAL;
	}
	if (cfg->nr_devices == CONFIG_MAX_DEVICES) {
		pr_fatal("--%s %s: there are %d already", opt->name, arg, CONFIG_MAX_DEVICES);
		return -E2BIG;
	}
	cfg->device[cfg->nr_devices++] = arg;
	return 0;
}

/* An option that can be repeated; what its argument means is found out with all of them at hand. */
static int add_arg(const struct option_spec *opt, void *target, const char *arg)
{
	struct arg_list *list = (struct arg_list *)((char *)target + opt->field);
	const char **grown;

	if (!*arg) {
		pr_fatal("--%s needs %s, and what was given is empty", opt->name, opt->arg);
		return -EINVAL;
	}
	grown = realloc(list->arg, (list->nr + 1) * sizeof(*grown));
	if (!grown) {
		pr_fatal("--%s %s: no memory", opt->name, arg);
		return -ENOMEM;
	}
	list->arg = grown;
	list->arg[list->nr++] = arg;
	return 0;
}

static const struct option_spec options[] = {
	{
		.name = "name",
		.section = SECTION_BASIC,
		.arg = "NAME",
		.set = option__set_string,
		FIELD(name, const char *),
		.help = "what the guest is called (default: guest-PID)",
		.manual = "A name has up to 64 letters, digits, dots, underscores and hyphens.",
	},
	{
		.name = "dev",
		.section = SECTION_BASIC,
		.arg = "FILE",
		.set = option__set_string,
		FIELD(dev, const char *),
		.help = "the KVM device (default: /dev/kvm)",
	},
	{
		.name = "nodefaults",
		.section = SECTION_BASIC,
		.set = option__clear_flag,
		FIELD(default_params, bool),
		.help = "same as --no-default-params",
		.manual = "This is kvmtool's name for leaving out what was not asked for.",
	},
	{
		.name = "dump-config",
		.section = SECTION_BASIC,
		.set = option__set_flag,
		FIELD(dump_config, bool),
		.help = "check the options, print them as JSON, and end",
		.manual = "Names in the JSON object are those of the options, with underscores and "
			  "without a leading no. Sizes are in bytes.",
	},
	{
		.name = "kernel",
		.letter = 'k',
		.section = SECTION_BOOT,
		.arg = "FILE",
		.set = set_kernel,
		.help = "the kernel image; KERNEL alone does the same",
		.manual = "What it is, is found out from its contents.",
	},
	{
		.name = "initrd",
		.letter = 'i',
		.section = SECTION_BOOT,
		.arg = "FILE",
		.set = option__set_string,
		FIELD(initrd, const char *),
		.help = "initial RAM disk, or a Multiboot module",
	},
	{
		.name = "params",
		.letter = 'p',
		.section = SECTION_BOOT,
		.arg = "TEXT",
		.set = add_params,
		.help = "kernel parameters, after the default ones",
		.manual = "Given more than once, all of them are joined by spaces.",
	},
	{
		.name = "no-default-params",
		.section = SECTION_BOOT,
		.set = option__clear_flag,
		FIELD(default_params, bool),
		.help = "leave out the default kernel parameters",
		.manual = "These make the kernel print to the console, and reboot after a panic.",
	},
	{
		.name = "boot",
		.section = SECTION_BOOT,
		.choices = boot_choices,
		.set = option__set_choice,
		FIELD(boot, enum boot_mode),
		.help = "how the kernel is entered (default: auto)",
		.manual =
			"auto goes by what the image is; lkvm unpacks a bzImage itself if it can. "
			"kernel (x86) lets a bzImage unpack itself in the guest, "
			"where it may also choose a random address. "
			"elf enters an ELF image by the architecture's own protocol. "
			"pvh (x86) enters an ELF image by its PVH note. "
			"flat (x86) is a 16-bit image: it has no header that auto could find.",
	},
	{
		.name = "mem",
		.letter = 'm',
		.section = SECTION_CPU_MEMORY,
		.arg = "SIZE",
		.set = set_mem,
		.help = "guest memory, MiB without a unit (default: 512)",
		.manual = "The units are B, K, M, G, T and P in either case. "
			  "It is 1M at the least, 64T at the most; a board may want more or less.",
	},
	{
		.name = "mem-path",
		.section = SECTION_CPU_MEMORY,
		.arg = "DIR",
		.set = option__set_string,
		FIELD(mem_path, const char *),
		.help = "allocate guest memory in this file system",
		.manual = "On a hugetlbfs, memory consists of huge pages. "
			  "The file there has no name and vanishes with the guest.",
	},
	{
		.name = "hugetlbfs",
		.section = SECTION_CPU_MEMORY,
		.arg = "DIR",
		.set = option__set_string,
		FIELD(mem_path, const char *),
		.help = "same as --mem-path",
		.manual = "This is how kvmtool calls it.",
	},
	{
		.name = "mem-shared",
		.section = SECTION_CPU_MEMORY,
		.set = option__set_flag,
		FIELD(mem_shared, bool),
		.help = "guest memory that other processes can map",
		.manual = "It lies in a memfd.",
	},
	{
		.name = "cpus",
		.letter = 'c',
		.section = SECTION_CPU_MEMORY,
		.arg = "N[,sockets=S][,cores=C][,threads=T]",
		.set = set_cpus,
		.help = "number of vCPUs (default: 1), and their topology",
		.manual = "N is the product of the others. "
			  "Of those not given, cores and threads are 1, sockets what is left. "
			  "Unlike kvmtool, which takes as many as the host has, the default is 1.",
	},
	{
		.name = "cpu",
		.section = SECTION_CPU_MEMORY,
		.arg = "MODEL[,+FEATURE][,-FEATURE]",
		.set = option__set_string,
		FIELD(cpu_model, const char *),
		.help = "the guest's CPU and its features (default: host)",
		.manual = "host is what KVM gives of the host's CPU by default, max all it can.",
	},
	{
		.name = "irqchip",
		.section = SECTION_CPU_MEMORY,
		.choices = irqchip_choices,
		.set = option__set_choice,
		FIELD(irqchip, enum irqchip_mode),
		.help = "where interrupts are emulated (default: auto)",
		.manual = "auto takes what suits the host. "
			  "kernel (x86) has all of them in KVM. "
			  "split (x86) has the local APICs in KVM and the rest in lkvm. "
			  "off (x86) has none in KVM. "
			  "xive and xics (powerpc) choose the controller that KVM emulates.",
	},
	{
		.name = "console",
		.section = SECTION_CONSOLE,
		.choices = console_choices,
		.set = option__set_choice,
		FIELD(console, enum console_mode),
		.help = "device of the guest's console (default: serial)",
	},
	{
		.name = "tty",
		.section = SECTION_CONSOLE,
		.arg = "ID[=FILE]",
		.set = set_tty,
		.help = "connect serial port ID to a new pty, or to FILE",
		.manual = "Ports are numbered from 0 to 3. "
			  "FILE is a terminal, a FIFO, a file, or the word null. "
			  "Without this option, port 0 is standard input and output.",
	},
	{
		.name = "disk",
		.letter = 'd',
		.section = SECTION_DEVICES,
		.arg = "FILE[,ro][,...]",
		.set = add_arg,
		FIELD(disk, struct arg_list),
		.help = "add a disk, or a directory as root",
		.manual = "It can be repeated. FILE is a raw or qcow2 image or a block device. "
			  "What can follow it: ro, "
			  "direct, snapshot, "
			  "queues=N, format=raw|qcow2, engine=aio|uring|threads, serial=TEXT. "
			  "A comma in FILE is written twice. A directory becomes the root file "
			  "system, by the 9p protocol.",
	},
	{
		.name = "network",
		.letter = 'n',
		.section = SECTION_DEVICES,
		.arg = "MODE[,...]",
		.set = add_arg,
		FIELD(network, struct arg_list),
		.help = "add a network: mode=user|tap|none",
		.manual = "It can be repeated. What can follow: guest_ip=, host_ip=, guest_mac=, "
			  "host_mac=, script=, "
			  "downscript=, tapif=, fd=N[:N...], "
			  "vhost=0|1, mq=N, stack=passt|slirp, forward=tcp|udp:HOSTPORT:GUESTPORT. "
			  "Without this option there is no network.",
	},
	{
		.name = "9p",
		.section = SECTION_DEVICES,
		.arg = "DIRECTORY,TAG[,...]",
		.set = add_arg,
		FIELD(p9, struct arg_list),
		.help = "share a host directory by the 9p protocol",
		.manual = "It can be repeated. What can follow: ro, "
			  "security=passthrough|mapped|none, msize=BYTES. "
			  "In the guest: mount -t 9p -o trans=virtio,version=9p2000.L TAG /mnt.",
	},
	{
		.name = "fs",
		.section = SECTION_DEVICES,
		.arg = "dir=DIR|socket=PATH,tag=TAG[,...]",
		.set = add_arg,
		FIELD(fs, struct arg_list),
		.help = "share a host directory by virtio-fs",
		.manual = "It can be repeated. Served by virtiofsd, which has to be installed; "
			  "needs --mem-shared. "
			  "What can follow: queues=N, daemon=PATH. In the guest: mount -t virtiofs "
			  "TAG /mnt.",
	},
	{
		.name = "vsock",
		.section = SECTION_DEVICES,
		.arg = "CID[,PATH]",
		.set = option__set_string,
		FIELD(vsock, const char *),
		.help = "add sockets between guest and host",
		.manual = "With PATH, they are UNIX sockets of that name on the host; without, "
			  "those of the kernel (vhost-vsock).",
	},
	{
		.name = "rng",
		.section = SECTION_DEVICES,
		.set = option__set_flag,
		FIELD(rng, bool),
		.help = "add an entropy device",
	},
	{
		.name = "balloon",
		.section = SECTION_DEVICES,
		.set = option__set_flag,
		FIELD(balloon, bool),
		.help = "add a memory balloon",
		.manual = "Its size cannot be changed from outside yet.",
	},
	{
		.name = "virtio-transport",
		.section = SECTION_DEVICES,
		.choices = virtio_choices,
		.set = option__set_choice,
		FIELD(virtio, enum virtio_mode),
		.help = "how virtio devices are plugged in (default: pci)",
		.manual = "pci-modern leaves out the interface for drivers older than virtio 1.0.",
	},
	{
		.name = "device",
		.section = SECTION_DEVICES,
		.arg = "NAME",
		.set = add_device,
		.help = "add an optional device; can be repeated",
		.manual = "On x86 there is edu, a PCI device to try out interrupts and DMA with.",
	},
	{
		.name = "no-acpi",
		.section = SECTION_DEVICES,
		.set = option__set_flag,
		FIELD(no_acpi, bool),
		.arch = "x86",
		.help = "offer no ACPI tables",
	},
	{
		.name = "timeout",
		.section = SECTION_ENDING,
		.arg = "SECONDS",
		.set = set_timeout,
		.help = "give up after so long, with status 124",
		.manual = "0, the default, is never.",
	},
	{
		.name = "reboot",
		.section = SECTION_ENDING,
		.set = option__set_flag,
		FIELD(reboot, bool),
		.help = "start the guest again when it resets",
		.manual = "Without this option a reset ends lkvm with status 0.",
	},
	{
		.name = "debug-exit",
		.section = SECTION_ENDING,
		.set = option__set_flag,
		FIELD(debug_exit, bool),
		.arch = "x86",
		.help = "let the guest choose the status, by port 0xf4",
		.manual = "Writing a value there ends lkvm with status (value << 1) | 1.",
	},
	{
		.name = "debug-console",
		.section = SECTION_DEBUGGING,
		.set = option__set_flag,
		FIELD(debug_console, bool),
		.arch = "x86",
		.help = "print what the guest writes to port 0xe9",
	},
	{
		.name = "debug-ioport",
		.section = SECTION_DEBUGGING,
		.set = option__set_flag,
		FIELD(debug_ioport, bool),
		.help = "report accesses to ports that nothing answers",
	},
	{
		.name = "debug-mmio",
		.section = SECTION_DEBUGGING,
		.set = option__set_flag,
		FIELD(debug_mmio, bool),
		.help = "report accesses to memory that is not there",
	},
	{
		.name = "debug-single-step",
		.section = SECTION_DEBUGGING,
		.set = option__set_flag,
		FIELD(debug_single_step, bool),
		.help = "report the address of each instruction",
	},
	{
		.name = "trace",
		.section = SECTION_DEBUGGING,
		.arg = "FILE",
		.set = option__set_string,
		FIELD(trace, const char *),
		.help = "write a line for each exit; - is standard error",
	},
	{
		.name = "stats",
		.section = SECTION_DEBUGGING,
		.set = option__set_flag,
		FIELD(stats, bool),
		.help = "print how many exits of which kind there were",
	},
	{
		.name = "vmlinux",
		.section = SECTION_DEBUGGING,
		.arg = "FILE",
		.set = option__set_string,
		FIELD(vmlinux, const char *),
		.help = "symbols for register dumps, from an ELF file",
	},
};

_Static_assert(sizeof(options) / sizeof(options[0]) <= OPTIONS_MAX, "options__parse() has room");

const struct option_table run_options = {
	.command = "run",
	.summary = "Boot a kernel in a new virtual machine",
	.options = options,
	.nr = sizeof(options) / sizeof(options[0]),
	.operand = "[KERNEL]",
	.set_operand = set_kernel,
	.notes = "The exit status is 0 if the guest powered off or reset, 120 if it panicked, 121 "
		 "if its CPU "
		 "or KVM could not go on, 124 after --timeout, 125 if lkvm or the host failed, "
		 "128 + n after signal n. See lkvm-run(1).",
};

int config__parse_run(struct vm_config *cfg, int argc, char **argv)
{
	int ret = options__parse(&run_options, cfg, argc, argv);

	if (ret)
		return ret;
	ret = config__validate(cfg);
	if (ret)
		return ret;
	if (!cfg->dump_config)
		return 0;
	config__print_json(cfg, stdout);
	return 1;
}

static void print_cpus(struct json_writer *json, const struct cpu_topology *cpus)
{
	json__object_begin(json, "cpus");
	json__uint(json, "nr", cpus->nr);
	json__uint(json, "sockets", cpus->sockets);
	json__uint(json, "cores", cpus->cores);
	json__uint(json, "threads", cpus->threads);
	json__object_end(json);
}

static void print_strings(struct json_writer *json, const char *key, const char *const *strings,
			  unsigned int nr)
{
	json__array_begin(json, key);
	for (unsigned int i = 0; i < nr; i++)
		json__string(json, NULL, strings[i]);
	json__array_end(json);
}

void config__print_json(const struct vm_config *cfg, FILE *out)
{
	struct json_writer json;

	json__init(&json, out);
	json__object_begin(&json, NULL);
	json__string(&json, "name", cfg->name);
	json__string(&json, "dev", cfg->dev);
	json__string(&json, "kernel", cfg->kernel);
	json__string(&json, "initrd", cfg->initrd);
	json__string(&json, "params", cfg->params);
	json__bool(&json, "default_params", cfg->default_params);
	json__string(&json, "boot", option__choice_name(boot_choices, cfg->boot));
	json__uint(&json, "mem", cfg->ram_size);
	json__string(&json, "mem_path", cfg->mem_path);
	json__bool(&json, "mem_shared", cfg->mem_shared);
	print_cpus(&json, &cfg->cpus);
	json__string(&json, "cpu", cfg->cpu_model);
	json__string(&json, "irqchip", option__choice_name(irqchip_choices, cfg->irqchip));
	json__string(&json, "console", option__choice_name(console_choices, cfg->console));
	print_strings(&json, "tty", cfg->tty, CONFIG_MAX_TTYS);
	print_strings(&json, "device", cfg->device, cfg->nr_devices);
	print_strings(&json, "disk", cfg->disk.arg, cfg->disk.nr);
	print_strings(&json, "network", cfg->network.arg, cfg->network.nr);
	print_strings(&json, "9p", cfg->p9.arg, cfg->p9.nr);
	print_strings(&json, "fs", cfg->fs.arg, cfg->fs.nr);
	json__string(&json, "vsock", cfg->vsock);
	json__bool(&json, "rng", cfg->rng);
	json__bool(&json, "balloon", cfg->balloon);
	json__string(&json, "virtio", option__choice_name(virtio_choices, cfg->virtio));
	json__bool(&json, "acpi", !cfg->no_acpi);
	json__uint(&json, "timeout", cfg->timeout);
	json__bool(&json, "reboot", cfg->reboot);
	json__bool(&json, "debug_exit", cfg->debug_exit);
	json__bool(&json, "debug_console", cfg->debug_console);
	json__bool(&json, "debug_ioport", cfg->debug_ioport);
	json__bool(&json, "debug_mmio", cfg->debug_mmio);
	json__bool(&json, "debug_single_step", cfg->debug_single_step);
	json__string(&json, "trace", cfg->trace);
	json__bool(&json, "stats", cfg->stats);
	json__string(&json, "vmlinux", cfg->vmlinux);
	json__object_end(&json);
	json__finish(&json);
}
