// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * --trace: one line of text per exit.
 */
#include "kvm/trace.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/kvm.h>

#include "kvm/arch.h"
#include "kvm/kvm-cpu.h"
#include "kvm/log.h"

struct trace {
	FILE *out;
	struct timespec start;
};

struct trace *trace__open(const char *path)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	if (!trace) {
		pr_fatal("no memory for the trace");
		return NULL;
	}
	trace->out = strcmp(path, "-") ? fopen(path, "we") : stderr;
	if (!trace->out) {
		pr_fatal("--trace %s: %s", path, strerror(errno));
		free(trace);
		return NULL;
	}
	clock_gettime(CLOCK_MONOTONIC, &trace->start);
	return trace;
}

void trace__close(struct trace *trace)
{
	if (!trace)
		return;
	if (trace->out != stderr && fclose(trace->out))
		pr_warn("--trace: the file is incomplete: %s", strerror(errno));
	free(trace);
}

static unsigned long long bytes_to_value(const void *data, uint32_t len)
{
	uint64_t value = 0;

	memcpy(&value, data, len < sizeof(value) ? len : sizeof(value));
	return value;
}

static void print_access(FILE *out, const char *kind, unsigned long long addr, bool is_write,
			 uint32_t len, const void *data)
{
	fprintf(out, " %s %s 0x%llx size %u", is_write ? "write" : "read", kind, addr, len);
	if (is_write)
		fprintf(out, " data 0x%llx", bytes_to_value(data, len));
}

void trace__exit(struct trace *trace, struct kvm_cpu *cpu)
{
	const struct kvm_run *run = cpu->run;
	FILE *out = trace->out;
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = (double)(now.tv_sec - trace->start.tv_sec) +
		  (double)(now.tv_nsec - trace->start.tv_nsec) / 1e9;

	flockfile(out);
	fprintf(out, "%11.6f cpu%u %s", seconds, cpu->index, kvm_cpu__exit_name(run->exit_reason));
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		print_access(out, "port", run->io.port, run->io.direction == KVM_EXIT_IO_OUT,
			     run->io.size, (const char *)run + run->io.data_offset);
		if (run->io.count != 1)
			fprintf(out, " count %u", run->io.count);
		break;
	case KVM_EXIT_MMIO:
		print_access(out, "gpa", run->mmio.phys_addr, run->mmio.is_write, run->mmio.len,
			     run->mmio.data);
		break;
	default:
		arch__cpu_trace(cpu, out);
	}
	fputc('\n', out);
	funlockfile(out);
}
