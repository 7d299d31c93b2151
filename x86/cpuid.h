/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID of the vCPUs: what KVM supports, as --cpu, the topology and the interrupt controllers shape
 * it.
 *
 * Made once per VM by x86/machine.c, before the first vCPU; x86/cpu.c hands each vCPU its copy.
 */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "kvm/config.h"

struct kvm;

/* What KVM_SET_CPUID2 takes at the most. */
#define X86_CPUID_MAX_ENTRIES 256

/* KVM's local APICs count at 1 GHz, unless KVM_CAP_X86_APIC_BUS_CYCLES_NS is used (it is not). */
#define X86_APIC_BUS_KHZ 1000000u

/**
 * struct x86_cpuid_input - everything that CPUID is made from
 * @supported:       KVM_GET_SUPPORTED_CPUID
 * @emulated:        KVM_GET_EMULATED_CPUID, or NULL: what KVM can do, slowly, where the processor
 * cannot
 * @model:           --cpu: "host" (@supported) or "max" (with @emulated), then
 * ",+feature,-feature"; NULL is "host"
 * @topology:        sockets, cores and threads, each at least 1
 * @irqchip:         IRQCHIP_OFF leaves no local APIC; never IRQCHIP_AUTO
 * @tsc_deadline:    KVM_CAP_TSC_DEADLINE_TIMER
 * @msi_ext_dest_id: MSI routes carry APIC ids above 255 in address bits 11:5
 * (KVM_FEATURE_MSI_EXT_DEST_ID)
 * @tsc_khz:         KVM_GET_TSC_KHZ, 0 if unknown or unstable
 */
struct x86_cpuid_input {
	const struct kvm_cpuid2 *supported;
	const struct kvm_cpuid2 *emulated;
	const char *model;
	struct cpu_topology topology;
	enum irqchip_mode irqchip;
	bool tsc_deadline;
	bool msi_ext_dest_id;
	uint32_t tsc_khz;
};

/**
 * struct x86_cpuid - the CPUID of one VM's vCPUs; zeroed is empty
 * @topology: as given
 * @irqchip:  as given
 * @list:     the entries of the vCPU last asked for
 */
struct x86_cpuid {
	struct cpu_topology topology;
	enum irqchip_mode irqchip;
	struct kvm_cpuid2 *list;
};

/**
 * x86_cpuid__fetch - KVM_GET_SUPPORTED_CPUID or KVM_GET_EMULATED_CPUID, however long the list is
 * @sys_fd: /dev/kvm
 * @out:    receives the list, to be freed by the caller
 *
 * Return: 0 or negative errno, not printed.
 */
int x86_cpuid__fetch(int sys_fd, unsigned long request, struct kvm_cpuid2 **out);

/**
 * x86_cpuid__build - make CPUID from what KVM and the user said
 *
 * Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E; Linux
 * Documentation/virt/kvm/x86/cpuid.rst.
 *
 * Return: 0; -EINVAL (unknown model or feature), -ENOTSUP (a feature this KVM lacks), -E2BIG,
 * -ENOMEM; printed.
 */
int x86_cpuid__build(struct x86_cpuid *cpuid, const struct x86_cpuid_input *in);

/**
 * x86_cpuid__init - ask KVM, then x86_cpuid__build() for @kvm's configuration
 * @kvm:             has a VM; its configuration names model and topology
 * @irqchip:         as the board decided
 * @msi_ext_dest_id: see struct x86_cpuid_input
 *
 * Return: 0 or negative errno, printed.
 */
int x86_cpuid__init(struct x86_cpuid *cpuid, const struct kvm *kvm, enum irqchip_mode irqchip,
		    bool msi_ext_dest_id);

/**
 * x86_cpuid__free - harmless on a zeroed one
 */
void x86_cpuid__free(struct x86_cpuid *cpuid);

/**
 * x86_cpuid__of - the argument of KVM_SET_CPUID2 for vCPU @index
 *
 * Return: a list that is good until the next call.
 */
struct kvm_cpuid2 *x86_cpuid__of(struct x86_cpuid *cpuid, unsigned int index);

/**
 * x86_cpuid__has - does the guest see a feature, by its name in /proc/cpuinfo?
 */
bool x86_cpuid__has(const struct x86_cpuid *cpuid, const char *feature);

/**
 * x86_cpuid__entry - the entry for a leaf, or NULL
 */
const struct kvm_cpuid_entry2 *x86_cpuid__entry(const struct kvm_cpuid2 *list, uint32_t function,
						uint32_t index);

/**
 * x86_cpuid__phys_bits - width of guest-physical addresses: 36 unless leaf 0x80000008 says more
 */
unsigned int x86_cpuid__phys_bits(const struct x86_cpuid *cpuid);

/**
 * x86_cpuid__apic_id - APIC id of vCPU @index: bit fields for socket, core and thread
 *
 * Each field is as wide as the largest number in it needs, so counts that are not powers of two
 * leave gaps.
 */
uint32_t x86_cpuid__apic_id(const struct cpu_topology *topology, unsigned int index);

/**
 * x86_cpuid__max_apic_id - the highest APIC id of a topology
 *
 * Above 254 the guest needs x2APIC, and KVM KVM_CAP_X2APIC_API with KVM_X2APIC_API_USE_32BIT_IDS
 * and KVM_CAP_MAX_VCPU_ID above this.
 */
uint32_t x86_cpuid__max_apic_id(const struct cpu_topology *topology);

#endif
