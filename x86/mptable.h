/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MP table: CPUs and interrupt wiring for kernels that do not read ACPI. Used by x86/machine.c.
 *
 * Intel MultiProcessor Specification, version 1.4. It makes sense only with an I/O APIC.
 */
#ifndef X86_MPTABLE_H
#define X86_MPTABLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MPTABLE_ALIGN	 16
#define MPTABLE_MAX_SIZE 0x2000 /* no machine needs more bytes */

/**
 * struct mptable_params - the machine to describe
 * @nr_cpus:   vCPUs, at least 1
 * @apic_id:   APIC id of vCPU @index, ascending with it; vCPU 0 is the one that boots
 * @ctx:       for @apic_id
 * @signature: the vCPUs' CPUID.1:EAX (family, model, stepping)
 * @features:  the vCPUs' CPUID.1:EDX
 */
struct mptable_params {
	unsigned int nr_cpus;
	uint32_t (*apic_id)(const void *ctx, unsigned int index);
	const void *ctx;
	uint32_t signature;
	uint32_t features;
};

/**
 * mptable__build - write the floating pointer and, right behind it, the configuration table
 * @params: the machine
 * @gpa:    guest-physical address of @buf: X86_MPTABLE, or another multiple of MPTABLE_ALIGN in the
 *          BIOS area
 * @buf:    receives both
 * @size:   bytes there; MPTABLE_MAX_SIZE always do
 *
 * vCPUs with an APIC id of 255 or more cannot be described and are left out.
 *
 * Return: bytes written; -ENOSPC if @size is too small; -EINVAL for @gpa, or if there is no vCPU,
 * the first cannot be described, or the ids do not ascend.
 */
ssize_t mptable__build(const struct mptable_params *params, uint64_t gpa, void *buf, size_t size);

#endif
