/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host can do for guests, as lkvm doctor finds it: facts first, words later.
 *
 * doctor.c collects, builtin-doctor.c prints. Nothing on the host is changed, but that opening a
 * device node may load its module, as using it would.
 */
#ifndef KVM_DOCTOR_H
#define KVM_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "kvm/arch.h"

#define DOCTOR_MAX_CAPS	      96
#define DOCTOR_MAX_HUGE_SIZES 8

/* No limit, in doctor_facts.memlock_*. */
#define DOCTOR_UNLIMITED UINT64_MAX

/**
 * enum doctor_state - whether a device node can be used
 * @DOCTOR_OK:        it opens for reading and writing
 * @DOCTOR_ABSENT:    there is no such node
 * @DOCTOR_NO_DRIVER: there is one, but nothing behind it
 * @DOCTOR_DENIED:    its mode keeps us out
 * @DOCTOR_FORBIDDEN: its mode would do, but something else (a container's device rules) keeps us
 * out
 * @DOCTOR_NOT_KVM:   it opens, but does not speak the KVM API that we do
 * @DOCTOR_FAILED:    anything else, see doctor_node.error
 */
enum doctor_state {
	DOCTOR_OK,
	DOCTOR_ABSENT,
	DOCTOR_NO_DRIVER,
	DOCTOR_DENIED,
	DOCTOR_FORBIDDEN,
	DOCTOR_NOT_KVM,
	DOCTOR_FAILED,
	DOCTOR_NR_STATES,
};

/**
 * struct doctor_node - a device node
 * @path:  its name
 * @state: see enum doctor_state
 * @error: positive errno of opening it, or of asking KVM for its version
 * @group: whose members its mode lets in; "" if a group does not help
 */
struct doctor_node {
	const char *path;
	enum doctor_state state;
	int error;
	char group[32];
};

/**
 * struct doctor_cap - a capability of KVM
 * @name:  without KVM_CAP_
 * @use:   what lkvm has of it
 * @value: 0 if it is absent
 */
struct doctor_cap {
	const char *name;
	const char *use;
	int value;
};

/**
 * struct doctor_huge - huge pages of one size
 * @size:  bytes
 * @total: how many there are
 * @free:  how many of them are free
 */
struct doctor_huge {
	uint64_t size;
	uint64_t total;
	uint64_t free;
};

/**
 * struct doctor_facts - all that was found
 * @kvm:         the KVM device
 * @api_version: what it says to KVM_GET_API_VERSION, 0 if it could not be asked
 * @vendor:      arch__vendor(), NULL if it could not be asked
 * @host:        arch__probe_host()
 * @why:         what keeps stock kernels from running, or ""
 * @cap:         capabilities
 * @nr_caps:     how many
 * @nested_module: kernel module that has a parameter "nested", or NULL
 * @nested:      what the parameter says
 * @vfio:        the VFIO container
 * @iommufd:     its successor
 * @iommu_groups: how many there are
 * @vfio_pci:    whether the driver vfio-pci is there
 * @vfio_pci_devices: how many devices it has
 * @huge:        huge pages, sizes ascending
 * @nr_huge:     how many sizes
 * @memlock_soft, @memlock_hard: RLIMIT_MEMLOCK in bytes
 * @tun, @vhost_net, @vhost_vsock: device nodes
 */
struct doctor_facts {
	struct doctor_node kvm;
	int api_version;
	const char *vendor;
	enum arch_host_kind host;
	char why[256];
	struct doctor_cap cap[DOCTOR_MAX_CAPS];
	unsigned int nr_caps;
	const char *nested_module;
	bool nested;
	struct doctor_node vfio;
	struct doctor_node iommufd;
	unsigned int iommu_groups;
	bool vfio_pci;
	unsigned int vfio_pci_devices;
	struct doctor_huge huge[DOCTOR_MAX_HUGE_SIZES];
	unsigned int nr_huge;
	uint64_t memlock_soft;
	uint64_t memlock_hard;
	struct doctor_node tun;
	struct doctor_node vhost_net;
	struct doctor_node vhost_vsock;
};

/**
 * doctor__collect - find everything out
 * @facts: receives it; strings in it are @dev or constants
 * @dev:   the KVM device, as --dev of lkvm run
 * @root:  directory that stands for /: "" but in tests
 */
void doctor__collect(struct doctor_facts *facts, const char *dev, const char *root);

/**
 * doctor__print_text - for people: each fact, and the remedy where something is missing
 */
void doctor__print_text(const struct doctor_facts *facts, FILE *out);

/**
 * doctor__print_json - for programs: Documentation/doctor.md describes the keys
 */
void doctor__print_json(const struct doctor_facts *facts, FILE *out);

#endif
