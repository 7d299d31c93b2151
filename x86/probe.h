/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What kind of KVM this host has: found out by running a guest, never by reading /proc/cpuinfo.
 *
 * For lkvm doctor, and for messages when a kernel stops where a stock kernel would not.
 */
#ifndef X86_PROBE_H
#define X86_PROBE_H

#include <stddef.h>

#include "kvm/arch.h"

struct kvm;

/**
 * x86_probe__host - run a tiny guest that does what a stock kernel does
 * @kvm:      opened; the probe has a VM of its own
 * @why:      receives what is missing, or ""
 * @why_size: bytes
 *
 * Long mode, descriptor tables, MSRs, int3, cmpxchg16b, FPU state, BMI2, user mode and back: each
 * in ring 0, the last three and cmpxchg16b only if KVM's CPUID offers them. What fails is named and
 * stepped over. It takes milliseconds, and five seconds at the most.
 *
 * Return: ARCH_HOST_HARDWARE if all worked, ARCH_HOST_SOFTWARE if a guest runs but trips,
 * ARCH_HOST_NONE if none runs.
 */
enum arch_host_kind x86_probe__host(struct kvm *kvm, char *why, size_t why_size);

/**
 * x86_probe__vendor - which virtualisation extension KVM drives
 * @evidence: receives what the answer rests on; may be NULL. The name of a loaded module is only a
 * hint.
 *
 * Return: "VMX", "SVM" or "none".
 */
const char *x86_probe__vendor(const struct kvm *kvm, const char **evidence);

/* What arch__caps() returns: ends with a NULL name. */
extern const struct arch_cap x86_caps[];

#endif
