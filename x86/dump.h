/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything about an x86 vCPU that stopped, for people who debug kernels.
 *
 * Called where a machine's fate is reported, and for lkvm debug; the vCPU must not be in KVM_RUN.
 */
#ifndef X86_DUMP_H
#define X86_DUMP_H

#include <stdio.h>

struct kvm_cpu;

/**
 * x86_dump__cpu - print a vCPU's state
 *
 * The last exit, registers, the code at RIP, how RIP translates (each level of the page tables),
 * the stack, and a back-trace: along frame pointers, or guessed from the stack ('?'), as Linux
 * does.
 *
 * Names come from the configuration's @vmlinux, or from its kernel if that is an ELF file with
 * symbols. A randomized kernel's offset is found by comparing MSR_LSTAR, or the IDT's first gate,
 * with the symbols.
 *
 * A state that KVM does not give is said to be missing, and the rest is printed.
 */
void x86_dump__cpu(struct kvm_cpu *cpu, FILE *out);

#endif
