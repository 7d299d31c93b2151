// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lkvm doctor: tell what this host can do for guests, why it cannot do the rest, and what would
 * help.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kvm/builtin.h"
#include "kvm/doctor.h"
#include "kvm/fate.h"
#include "kvm/json.h"
#include "kvm/log.h"
#include "kvm/options.h"

/* The exit status if no guest can be run. */
#define EXIT_NO_GUESTS 1

/* Version of the JSON: another number means that a key has gone or means something else. */
#define JSON_VERSION 1

static const char *const state_name[DOCTOR_NR_STATES] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_ABSENT] = "absent",
	[DOCTOR_NO_DRIVER] = "no_driver",
	[DOCTOR_DENIED] = "denied",
	[DOCTOR_FORBIDDEN] = "forbidden",
	[DOCTOR_NOT_KVM] = "not_kvm",
	[DOCTOR_FAILED] = "failed",
};

static const char *const host_name[] = {
	[ARCH_HOST_NONE] = "none",
	[ARCH_HOST_SOFTWARE] = "software",
	[ARCH_HOST_HARDWARE] = "hardware",
};

/* @value is "yes", "no" or a figure; the format says what it is good for, or why it is so. */
static void __attribute__((format(printf, 4, 5)))
print_row(FILE *out, const char *label, const char *value, const char *fmt, ...)
{
	char note[320];
	va_list args;

	va_start(args, fmt);
	vsnprintf(note, sizeof(note), fmt, args);
	va_end(args);

	if (*note)
		fprintf(out, "  %-26s %-9s  %s\n", label, value, note);
	else
		fprintf(out, "  %-26s %s\n", label, value);
}

static void __attribute__((format(printf, 2, 3))) print_remedy(FILE *out, const char *fmt, ...)
{
	va_list args;

	fputs("      remedy: ", out);
	va_start(args, fmt);
	vfprintf(out, fmt, args);
	va_end(args);
	fputc('\n', out);
}

static void print_heading(FILE *out, const char *title)
{
	fprintf(out, "\n%s\n", title);
}

static const char *yes_or_no(bool yes)
{
	return yes ? "yes" : "no";
}

/**
 * struct node_words - what there is to say of a device node
 * @use:    what it is good for
 * @absent: the remedy if nothing is there
 */
struct node_words {
	const char *use;
	const char *absent;
};

static void print_node_remedy(FILE *out, const struct doctor_node *node, const char *absent)
{
	switch (node->state) {
	case DOCTOR_ABSENT:
	case DOCTOR_NO_DRIVER:
		print_remedy(out, "%s", absent);
		break;
	case DOCTOR_DENIED:
		if (*node->group)
			print_remedy(out, "join group %s (adduser USER %s), and log in again",
				     node->group, node->group);
		else
			print_remedy(
				out,
				"its mode lets only the owner in: run as root, or have it changed");
		break;
	case DOCTOR_FORBIDDEN:
		print_remedy(out, "let this container, or whatever confines us, have the device");
		break;
	case DOCTOR_NOT_KVM:
		print_remedy(out, "name the KVM device with --dev");
		break;
	default:
		break;
	}
}

static const char *describe_node(const struct doctor_node *node)
{
	switch (node->state) {
	case DOCTOR_ABSENT:
		return "does not exist";
	case DOCTOR_NO_DRIVER:
		return "has no driver behind it";
	case DOCTOR_NOT_KVM:
		return "is not a KVM device, or one of another API version";
	default:
		return node->error ? strerror(node->error) : "cannot be used";
	}
}

static void print_node(FILE *out, const struct doctor_node *node, const struct node_words *words)
{
	if (node->state == DOCTOR_OK) {
		print_row(out, node->path, "yes", "%s", words->use);
		return;
	}
	print_row(out, node->path, "no", "%s: %s", words->use, describe_node(node));
	print_node_remedy(out, node, words->absent);
}

static void print_verdict(FILE *out, const struct doctor_facts *facts)
{
	switch (facts->host) {
	case ARCH_HOST_HARDWARE:
		fprintf(out, "Hardware KVM (%s): stock kernels run on this host.\n", facts->vendor);
		break;
	case ARCH_HOST_SOFTWARE:
		fprintf(out, "Software KVM: guests run on this host, but stock kernels may not.\n");
		break;
	case ARCH_HOST_NONE:
		fprintf(out, "No usable KVM: no guest can run on this host.\n");
		break;
	}
}

static void print_kvm(FILE *out, const struct doctor_facts *facts)
{
	static const struct node_words words = {
		.use = "running guests",
		.absent = "modprobe kvm_intel, kvm_amd, kvm_hv or kvm; if it is refused, enable "
			  "virtualisation in the firmware, or nesting in the hypervisor below",
	};
	char version[16];

	print_heading(out, "KVM");
	print_node(out, &facts->kvm, &words);
	if (facts->api_version) {
		snprintf(version, sizeof(version), "%d", facts->api_version);
		print_row(out, "API version", version, "lkvm needs 12");
	}
	if (facts->kvm.state != DOCTOR_OK)
		return;
	print_row(out, "extension", facts->vendor, "what KVM has of the processor");
	print_row(out, "stock kernels", yes_or_no(facts->host == ARCH_HOST_HARDWARE), "%s",
		  facts->why);
	if (facts->host != ARCH_HOST_HARDWARE)
		print_remedy(out, "a host whose KVM has the processor's virtualisation to itself");
}

static void print_caps(FILE *out, const struct doctor_facts *facts)
{
	bool any_missing = false;

	if (!facts->nr_caps)
		return;
	print_heading(out, "KVM capabilities");
	for (unsigned int i = 0; i < facts->nr_caps; i++) {
		const struct doctor_cap *cap = &facts->cap[i];
		char value[16] = "no";

		if (cap->value == 1)
			strcpy(value, "yes");
		else if (cap->value)
			snprintf(value, sizeof(value), "%d", cap->value);
		print_row(out, cap->name, value, "%s", cap->use);
		any_missing |= !cap->value;
	}
	if (any_missing)
		print_remedy(out, "what is missing takes a newer kernel or another processor");
}

static void print_nesting(FILE *out, const struct doctor_facts *facts)
{
	print_heading(out, "Guests in guests");
	if (!facts->nested_module) {
		print_row(out, "nested", "no", "no module of this host's KVM offers it");
		print_remedy(out, "a host whose KVM has the processor's virtualisation to itself");
		return;
	}
	print_row(out, "nested", yes_or_no(facts->nested), "parameter of module %s",
		  facts->nested_module);
	if (!facts->nested)
		print_remedy(out, "modprobe -r %s && modprobe %s nested=1", facts->nested_module,
			     facts->nested_module);
}

static void print_pass_through(FILE *out, const struct doctor_facts *facts)
{
	static const struct node_words vfio = { "device pass-through", "modprobe vfio" };
	static const struct node_words iommufd = {
		"device pass-through, its newer interface",
		"modprobe iommufd, in a kernel with CONFIG_IOMMUFD; or do without",
	};

	print_heading(out, "Device pass-through");
	print_row(out, "IOMMU", yes_or_no(facts->iommu_groups), "groups of devices: %u",
		  facts->iommu_groups);
	if (!facts->iommu_groups)
		print_remedy(out,
			     "enable it in the firmware; an Intel host may want intel_iommu=on");
	print_node(out, &facts->vfio, &vfio);
	print_node(out, &facts->iommufd, &iommufd);
	print_row(out, "driver vfio-pci", yes_or_no(facts->vfio_pci), "devices bound to it: %u",
		  facts->vfio_pci_devices);
	if (!facts->vfio_pci)
		print_remedy(out, "modprobe vfio-pci");
}

static const char *format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "BKMGTPE";
	unsigned int unit = 0;

	if (bytes == DOCTOR_UNLIMITED)
		return "unlimited";
	while (bytes && bytes % 1024 == 0 && units[unit + 1]) {
		bytes /= 1024;
		unit++;
	}
	snprintf(buf, size, "%" PRIu64 "%c", bytes, units[unit]);
	return buf;
}

static void print_memory(FILE *out, const struct doctor_facts *facts)
{
	const bool unlimited = facts->memlock_soft == DOCTOR_UNLIMITED;
	char size[24];

	print_heading(out, "Memory");
	for (unsigned int i = 0; i < facts->nr_huge; i++) {
		const struct doctor_huge *huge = &facts->huge[i];
		char label[48];

		snprintf(label, sizeof(label), "huge pages of %s",
			 format_size(huge->size, size, sizeof(size)));
		print_row(out, label, yes_or_no(huge->free), "%" PRIu64 " of %" PRIu64 " are free",
			  huge->free, huge->total);
		if (!huge->free)
			print_remedy(out,
				     "as root, write how many to /sys/kernel/mm/hugepages/"
				     "hugepages-%" PRIu64 "kB/nr_hugepages",
				     huge->size / 1024);
	}
	print_row(out, "locked memory", format_size(facts->memlock_soft, size, sizeof(size)),
		  "limit for who is not root; pass-through locks all guest memory");
	if (!unlimited)
		print_remedy(out,
			     "ulimit -l unlimited; if it is refused, memlock in limits.conf(5)");
}

static void print_network(FILE *out, const struct doctor_facts *facts)
{
	static const struct node_words tun = { "tap network interfaces", "modprobe tun" };
	static const struct node_words net = { "network queues in the kernel",
					       "modprobe vhost_net" };
	static const struct node_words vsock = { "sockets between host and guest",
						 "modprobe vhost_vsock" };

	print_heading(out, "Network and sockets");
	print_node(out, &facts->tun, &tun);
	print_node(out, &facts->vhost_net, &net);
	print_node(out, &facts->vhost_vsock, &vsock);
}

void doctor__print_text(const struct doctor_facts *facts, FILE *out)
{
	print_verdict(out, facts);
	print_kvm(out, facts);
	print_caps(out, facts);
	print_nesting(out, facts);
	print_pass_through(out, facts);
	print_memory(out, facts);
	print_network(out, facts);
}

static void json_kvm(struct json_writer *json, const struct doctor_facts *facts)
{
	json__object_begin(json, "kvm");
	json__string(json, "device", facts->kvm.path);
	json__string(json, "state", state_name[facts->kvm.state]);
	json__string(json, "error", facts->kvm.error ? strerror(facts->kvm.error) : NULL);
	json__string(json, "group", *facts->kvm.group ? facts->kvm.group : NULL);
	json__uint(json, "api_version", (unsigned int)facts->api_version);
	json__string(json, "vendor", facts->vendor);
	json__object_begin(json, "capabilities");
	for (unsigned int i = 0; i < facts->nr_caps; i++)
		json__uint(json, facts->cap[i].name, (unsigned int)facts->cap[i].value);
	json__object_end(json);
	json__object_end(json);
}

static void json_nesting(struct json_writer *json, const struct doctor_facts *facts)
{
	json__object_begin(json, "nested");
	json__string(json, "module", facts->nested_module);
	json__bool(json, "enabled", facts->nested);
	json__object_end(json);
}

static void json_pass_through(struct json_writer *json, const struct doctor_facts *facts)
{
	json__object_begin(json, "pass_through");
	json__uint(json, "iommu_groups", facts->iommu_groups);
	json__string(json, "vfio", state_name[facts->vfio.state]);
	json__string(json, "iommufd", state_name[facts->iommufd.state]);
	json__bool(json, "vfio_pci", facts->vfio_pci);
	json__uint(json, "vfio_pci_devices", facts->vfio_pci_devices);
	json__object_end(json);
}

static void json_limit(struct json_writer *json, const char *key, uint64_t bytes)
{
	if (bytes == DOCTOR_UNLIMITED)
		json__null(json, key);
	else
		json__uint(json, key, bytes);
}

static void json_memory(struct json_writer *json, const struct doctor_facts *facts)
{
	json__object_begin(json, "memory");
	json__array_begin(json, "huge_pages");
	for (unsigned int i = 0; i < facts->nr_huge; i++) {
		json__object_begin(json, NULL);
		json__uint(json, "size", facts->huge[i].size);
		json__uint(json, "total", facts->huge[i].total);
		json__uint(json, "free", facts->huge[i].free);
		json__object_end(json);
	}
	json__array_end(json);
	json_limit(json, "memlock_soft", facts->memlock_soft);
	json_limit(json, "memlock_hard", facts->memlock_hard);
	json__object_end(json);
}

static void json_network(struct json_writer *json, const struct doctor_facts *facts)
{
	json__object_begin(json, "network");
	json__string(json, "tun", state_name[facts->tun.state]);
	json__string(json, "vhost_net", state_name[facts->vhost_net.state]);
	json__string(json, "vhost_vsock", state_name[facts->vhost_vsock.state]);
	json__object_end(json);
}

void doctor__print_json(const struct doctor_facts *facts, FILE *out)
{
	struct json_writer json;

	json__init(&json, out);
	json__object_begin(&json, NULL);
	json__uint(&json, "version", JSON_VERSION);
	json__string(&json, "lkvm", LKVM_VERSION);
	json__string(&json, "arch", LKVM_ARCH);
	json__string(&json, "host", host_name[facts->host]);
	json__string(&json, "why", *facts->why ? facts->why : NULL);
	json_kvm(&json, facts);
	json_nesting(&json, facts);
	json_pass_through(&json, facts);
	json_memory(&json, facts);
	json_network(&json, facts);
	json__object_end(&json);
	json__finish(&json);
}

/**
 * struct doctor_request - what was asked for
 * @json: JSON instead of text
 * @dev:  the KVM device
 */
struct doctor_request {
	bool json;
	const char *dev;
};

static const struct option_spec options[] = {
	{
		.name = "json",
		.set = option__set_flag,
		.field = OPTION_FIELD(struct doctor_request, json, bool),
		.help = "print the facts as JSON",
	},
	{
		.name = "dev",
		.arg = "FILE",
		.set = option__set_string,
		.field = OPTION_FIELD(struct doctor_request, dev, const char *),
		.help = "the KVM device (default: /dev/kvm)",
	},
};

const struct option_table doctor_options = {
	.command = "doctor",
	.summary = "Tell what this host can do for guests, and what would help with the rest",
	.options = options,
	.nr = sizeof(options) / sizeof(options[0]),
	.notes = "The exit status is 0 if guests can be run, even if only by a software KVM; 1 if "
		 "none can; "
		 "125 if something else failed. See lkvm-doctor(1).",
};

int builtin_doctor(int argc, char **argv)
{
	struct doctor_request request = { .dev = "/dev/kvm" };
	struct doctor_facts facts;
	int ret = options__parse(&doctor_options, &request, argc, argv);

	if (ret)
		return ret < 0 ? EXIT_HOST_ERROR : 0;

	doctor__collect(&facts, request.dev, "");
	if (request.json)
		doctor__print_json(&facts, stdout);
	else
		doctor__print_text(&facts, stdout);
	return facts.host == ARCH_HOST_NONE ? EXIT_NO_GUESTS : 0;
}
