/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --trace: a line of text per exit, with a time stamp.
 */
#ifndef KVM_TRACE_H
#define KVM_TRACE_H

struct kvm_cpu;
struct trace;

/**
 * trace__open - start a trace
 * @path: file to create, or "-" for standard error
 *
 * Return: the trace, or NULL with the reason printed.
 */
struct trace *trace__open(const char *path);

/**
 * trace__close - flush and close; NULL is harmless
 */
void trace__close(struct trace *trace);

/**
 * trace__exit - record the exit that @cpu has just taken, before it is dealt with
 *
 * The line: seconds since the start, vCPU, reason, and what the reason is about:
 *   0.003121 cpu0 IO out port 0x3f8 size 1 count 1 data 0x41
 */
void trace__exit(struct trace *trace, struct kvm_cpu *cpu);

#endif
