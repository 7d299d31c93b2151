// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vCPUs: threads, the loop around KVM_RUN, the kick and the pause barrier.
 *
 * Theory of operation: a vCPU thread enters the guest, deals with the exit, and enters it again.
 * Nothing else happens on that path unless somebody wants it: a kick sets @kicked, then
 * immediate_exit, then sends a signal whose handler does nothing. In that order, and with the vCPU
 * clearing immediate_exit before it looks at
 * @kicked, no kick is lost: either KVM_RUN does not start (immediate_exit), or it is interrupted
 * (the signal), or the vCPU has not looked at @kicked yet.
 *
 * The pause barrier parks vCPUs between two KVM_RUNs, after the exit in flight has been completed:
 * KVM finishes a read (PIO or MMIO) only when it is entered again, so the vCPU does that with
 * immediate_exit set.
 *
 * Once a machine's fate is decided (a reset, say) its vCPUs park by themselves: what follows the
 * guest's write to the reset port never runs.
 */
#include "kvm/kvm-cpu.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kvm/arch.h"
#include "kvm/bus.h"
#include "kvm/config.h"
#include "kvm/fate.h"
#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "kvm/trace.h"

#define KICK_SIGNAL SIGRTMIN

static const char *const exit_names[] = {
	[KVM_EXIT_UNKNOWN] = "UNKNOWN",
	[KVM_EXIT_EXCEPTION] = "EXCEPTION",
	[KVM_EXIT_IO] = "IO",
	[KVM_EXIT_HYPERCALL] = "HYPERCALL",
	[KVM_EXIT_DEBUG] = "DEBUG",
	[KVM_EXIT_HLT] = "HLT",
	[KVM_EXIT_MMIO] = "MMIO",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
	[KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
	[KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
	[KVM_EXIT_INTR] = "INTR",
	[KVM_EXIT_SET_TPR] = "SET_TPR",
	[KVM_EXIT_TPR_ACCESS] = "TPR_ACCESS",
	[KVM_EXIT_S390_SIEIC] = "S390_SIEIC",
	[KVM_EXIT_S390_RESET] = "S390_RESET",
	[KVM_EXIT_DCR] = "DCR",
	[KVM_EXIT_NMI] = "NMI",
	[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
	[KVM_EXIT_OSI] = "OSI",
	[KVM_EXIT_PAPR_HCALL] = "PAPR_HCALL",
	[KVM_EXIT_S390_UCONTROL] = "S390_UCONTROL",
	[KVM_EXIT_WATCHDOG] = "WATCHDOG",
	[KVM_EXIT_S390_TSCH] = "S390_TSCH",
	[KVM_EXIT_EPR] = "EPR",
	[KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT",
	[KVM_EXIT_S390_STSI] = "S390_STSI",
	[KVM_EXIT_IOAPIC_EOI] = "IOAPIC_EOI",
	[KVM_EXIT_HYPERV] = "HYPERV",
	[KVM_EXIT_ARM_NISV] = "ARM_NISV",
	[KVM_EXIT_X86_RDMSR] = "X86_RDMSR",
	[KVM_EXIT_X86_WRMSR] = "X86_WRMSR",
	[KVM_EXIT_DIRTY_RING_FULL] = "DIRTY_RING_FULL",
	[KVM_EXIT_AP_RESET_HOLD] = "AP_RESET_HOLD",
	[KVM_EXIT_X86_BUS_LOCK] = "X86_BUS_LOCK",
	[KVM_EXIT_XEN] = "XEN",
	[KVM_EXIT_RISCV_SBI] = "RISCV_SBI",
	[KVM_EXIT_RISCV_CSR] = "RISCV_CSR",
	[KVM_EXIT_NOTIFY] = "NOTIFY",
	[38] = "LOONGARCH_IOCSR", /* younger than the headers this builds against */
	[39] = "MEMORY_FAULT",
	[40] = "TDX",
};

#define NR_EXIT_NAMES (sizeof(exit_names) / sizeof(exit_names[0]))

const char *kvm_cpu__exit_name(uint32_t reason)
{
	return reason < NR_EXIT_NAMES && exit_names[reason] ? exit_names[reason] : "unknown";
}

int kvm_cpu__ioctl(struct kvm_cpu *cpu, unsigned long request, void *arg, const char *name)
{
	int ret = sys__ioctl(cpu->fd, request, arg);

	if (ret < 0)
		pr_fatal("vCPU %u: %s: %s", cpu->index, name, strerror(-ret));
	return ret;
}

static void free_cpu(struct kvm_cpu *cpu)
{
	if (!cpu)
		return;
	arch__cpu_destroy(cpu);
	sys__munmap(cpu->run, (size_t)cpu->kvm->run_size);
	sys__close(cpu->fd);
	pthread_cond_destroy(&cpu->kick_cond);
	pthread_mutex_destroy(&cpu->kick_lock);
	free(cpu);
}

static int create_cpu(struct kvm *kvm, unsigned int index)
{
	struct kvm_cpu *cpu = calloc(1, sizeof(*cpu));
	void *run;
	int ret;

	if (!cpu) {
		pr_fatal("no memory for vCPU %u", index);
		return -ENOMEM;
	}
	cpu->kvm = kvm;
	cpu->index = index;
	cpu->id = arch__cpu_id(kvm, index);
	cpu->fd = -1;
	pthread_mutex_init(&cpu->kick_lock, NULL);
	pthread_cond_init(&cpu->kick_cond, NULL);
	kvm->cpu[index] = cpu;

	ret = sys__ioctl_val(kvm->vm_fd, KVM_CREATE_VCPU, cpu->id);
	if (ret < 0) {
		pr_fatal("vCPU %u: KVM_CREATE_VCPU (id %lu): %s", index, cpu->id, strerror(-ret));
		return ret;
	}
	cpu->fd = ret;

	ret = sys__mmap((size_t)kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0,
			&run);
	if (ret) {
		pr_fatal("vCPU %u: cannot map struct kvm_run: %s", index, strerror(-ret));
		return ret;
	}
	cpu->run = run;
	return arch__cpu_init(cpu);
}

int kvm_cpu__create_all(struct kvm *kvm, unsigned int nr)
{
	kvm->cpu = calloc(nr, sizeof(struct kvm_cpu *));
	if (!kvm->cpu) {
		pr_fatal("no memory for %u vCPUs", nr);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < nr; i++) {
		int ret;

		kvm->nr_cpus = i + 1;
		ret = create_cpu(kvm, i);
		if (ret)
			return ret;
	}
	return 0;
}

void kvm_cpu__destroy_all(struct kvm *kvm)
{
	for (unsigned int i = 0; i < kvm->nr_cpus; i++)
		free_cpu(kvm->cpu[i]);
	free(kvm->cpu);
	kvm->cpu = NULL;
	kvm->nr_cpus = 0;
}

void kvm_cpu__kick(struct kvm_cpu *cpu)
{
	atomic_store(&cpu->kicked, true);
	__atomic_store_n(&cpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&cpu->kick_lock);
	if (cpu->started)
		pthread_kill(cpu->thread, KICK_SIGNAL);
	pthread_cond_signal(&cpu->kick_cond);
	pthread_mutex_unlock(&cpu->kick_lock);
}

void kvm_cpu__wait_for_kick(struct kvm_cpu *cpu)
{
	pthread_mutex_lock(&cpu->kick_lock);
	while (!atomic_load(&cpu->kicked))
		pthread_cond_wait(&cpu->kick_cond, &cpu->kick_lock);
	pthread_mutex_unlock(&cpu->kick_lock);
}

static void kick_all(struct kvm *kvm)
{
	for (unsigned int i = 0; i < kvm->nr_cpus; i++)
		kvm_cpu__kick(kvm->cpu[i]);
}

static bool decided(const struct kvm *kvm)
{
	return fate__cause(kvm->host.fate, NULL) != FATE_NONE;
}

/* Report what stopped @cpu, with everything known about it. */
static void end_with_dump(struct kvm_cpu *cpu, enum fate_cause cause, const char *what)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out;

	if (!fate__report(cpu->kvm->host.fate, cause, 0))
		return; /* another vCPU was first: one dump is enough */

	out = open_memstream(&text, &size);
	if (out) {
		fprintf(out, "\nvCPU %u: %s\n", cpu->index, what);
		arch__cpu_dump(cpu, out);
		if (!fclose(out))
			fwrite(text, 1, size, stderr);
		free(text);
	}
}

static void handle_io(struct kvm_cpu *cpu)
{
	struct kvm_run *run = cpu->run;
	struct bus *bus = cpu->kvm->host.bus;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool is_write = run->io.direction == KVM_EXIT_IO_OUT;
	uint32_t size = run->io.size;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		bool answered = is_write ? bus__write(bus, BUS_PIO, run->io.port, data, size)
					 : bus__read(bus, BUS_PIO, run->io.port, data, size);

		if (!answered && cpu->kvm->cfg->debug_ioport)
			pr_warn("vCPU %u: %s port 0x%x, %u bytes: no device", cpu->index,
				is_write ? "write to" : "read from", run->io.port, size);
	}
}

static void handle_mmio(struct kvm_cpu *cpu)
{
	struct kvm_run *run = cpu->run;
	struct bus *bus = cpu->kvm->host.bus;
	uint64_t gpa = run->mmio.phys_addr;
	uint32_t len = run->mmio.len;
	bool answered = run->mmio.is_write ? bus__write(bus, BUS_MMIO, gpa, run->mmio.data, len)
					   : bus__read(bus, BUS_MMIO, gpa, run->mmio.data, len);

	if (!answered && cpu->kvm->cfg->debug_mmio)
		pr_warn("vCPU %u: %s gpa 0x%" PRIx64 ", %u bytes: no device", cpu->index,
			run->mmio.is_write ? "write to" : "read from", gpa, len);
}

static void handle_system_event(struct kvm_cpu *cpu)
{
	struct vm_fate *fate = cpu->kvm->host.fate;

	switch (cpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		fate__report(fate, FATE_POWEROFF, 0);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		fate__report(fate, FATE_RESET, 0);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		fate__report(fate, FATE_PANIC, 0);
		break;
	default:
		end_with_dump(cpu, FATE_INTERNAL_ERROR, "a system event that lkvm does not know");
	}
}

static void handle_unknown(struct kvm_cpu *cpu)
{
	char what[96];

	snprintf(what, sizeof(what), "KVM exit %u (%s) that lkvm does not handle",
		 cpu->run->exit_reason, kvm_cpu__exit_name(cpu->run->exit_reason));
	end_with_dump(cpu, FATE_INTERNAL_ERROR, what);
}

static void handle_exit(struct kvm_cpu *cpu)
{
	uint32_t reason = cpu->run->exit_reason;

	cpu->exits[reason < KVM_CPU_NR_EXITS - 1 ? reason : KVM_CPU_NR_EXITS - 1]++;
	if (cpu->kvm->trace)
		trace__exit(cpu->kvm->trace, cpu);

	switch (reason) {
	case KVM_EXIT_IO:
		handle_io(cpu);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(cpu);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(cpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		end_with_dump(cpu, FATE_TRIPLE_FAULT, "triple fault");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		end_with_dump(cpu, FATE_INTERNAL_ERROR,
			      "the processor refused to enter the guest (KVM_EXIT_FAIL_ENTRY)");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		end_with_dump(cpu, FATE_INTERNAL_ERROR,
			      "KVM cannot go on (KVM_EXIT_INTERNAL_ERROR)");
		break;
	default:
		if (arch__cpu_handle_exit(cpu) == ARCH_EXIT_UNKNOWN)
			handle_unknown(cpu);
	}
}

/* Returns what KVM_RUN does; exits have been handled. -EINTR and -EAGAIN only say "look around". */
static int run_once(struct kvm_cpu *cpu)
{
	int ret;

	arch__cpu_before_run(cpu);
	ret = sys__ioctl_val(cpu->fd, KVM_RUN, 0);
	if (!ret)
		handle_exit(cpu);
	return ret;
}

static void run_failed(struct kvm_cpu *cpu, int err)
{
	char what[96];

	/* Newer kernels fill in the exit as well: KVM_EXIT_MEMORY_FAULT says which gpa. */
	snprintf(what, sizeof(what), "KVM_RUN: %s%s", strerror(-err),
		 err == -EFAULT ? " (guest memory that this process has not mapped?)" : "");
	end_with_dump(cpu, FATE_INTERNAL_ERROR, what);
}

/* Let KVM complete the access whose data handle_exit() has just supplied, without running guest
 * code. */
static void complete_exit(struct kvm_cpu *cpu)
{
	int ret;

	do {
		__atomic_store_n(&cpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		ret = run_once(cpu);
	} while (!ret && !decided(cpu->kvm));
}

/* Stand at the barrier while it is up; false when the thread shall end. */
static bool pass_barrier(struct kvm_cpu *cpu)
{
	struct kvm *kvm = cpu->kvm;

	complete_exit(cpu);
	pthread_mutex_lock(&kvm->pause_lock);
	kvm->parked++;
	pthread_cond_broadcast(&kvm->pause_cond);
	while ((kvm->paused || decided(kvm)) && !atomic_load(&kvm->quit))
		pthread_cond_wait(&kvm->pause_cond, &kvm->pause_lock);
	kvm->parked--;
	pthread_mutex_unlock(&kvm->pause_lock);
	return !atomic_load(&kvm->quit);
}

static bool barrier_is_up(struct kvm *kvm)
{
	bool up;

	pthread_mutex_lock(&kvm->pause_lock);
	up = kvm->paused;
	pthread_mutex_unlock(&kvm->pause_lock);
	return up;
}

static void *cpu_thread(void *arg)
{
	struct kvm_cpu *cpu = arg;
	struct kvm *kvm = cpu->kvm;
	char name[16];

	snprintf(name, sizeof(name), "kvm-vcpu-%u", cpu->index % 100000);
	pthread_setname_np(pthread_self(), name);

	for (;;) {
		int ret;

		if (atomic_load_explicit(&cpu->kicked, memory_order_relaxed)) {
			__atomic_store_n(&cpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			atomic_store(&cpu->kicked, false);
			if (atomic_load(&kvm->quit))
				break;
			if (barrier_is_up(kvm) && !pass_barrier(cpu))
				break;
			__atomic_store_n(&cpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			if (atomic_load(&cpu->kicked))
				continue;
		}
		ret = run_once(cpu);
		if (ret == -EINTR || ret == -EAGAIN) {
			/*
			 * Without a kick behind it, a stale immediate_exit would spin here. The
			 * fence keeps the look at @kicked above behind the store.
			 */
			if (!atomic_load(&cpu->kicked)) {
				__atomic_store_n(&cpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
				atomic_thread_fence(memory_order_seq_cst);
			}
			continue;
		}
		if (ret < 0)
			run_failed(cpu, ret);
		if (decided(kvm) && !pass_barrier(cpu))
			break;
	}

	pthread_mutex_lock(&kvm->pause_lock);
	kvm->running--;
	pthread_cond_broadcast(&kvm->pause_cond);
	pthread_mutex_unlock(&kvm->pause_lock);
	return NULL;
}

static void on_kick(int signal)
{
}

int kvm_cpu__start_all(struct kvm *kvm)
{
	struct sigaction action = { .sa_handler = on_kick };

	sigaction(KICK_SIGNAL, &action, NULL);
	for (unsigned int i = 0; i < kvm->nr_cpus; i++) {
		struct kvm_cpu *cpu = kvm->cpu[i];
		int err;

		if (kvm->cfg->debug_single_step) {
			err = arch__cpu_set_single_step(cpu, true);
			if (err) {
				pr_fatal("--debug-single-step: %s", strerror(-err));
				kvm_cpu__stop_all(kvm);
				return err;
			}
		}
		pthread_mutex_lock(&kvm->pause_lock);
		kvm->running++;
		pthread_mutex_unlock(&kvm->pause_lock);
		pthread_mutex_lock(&cpu->kick_lock);
		err = pthread_create(&cpu->thread, NULL, cpu_thread, cpu);
		cpu->started = !err;
		pthread_mutex_unlock(&cpu->kick_lock);
		if (err) {
			pr_fatal("vCPU %u: cannot start its thread: %s", i, strerror(err));
			pthread_mutex_lock(&kvm->pause_lock);
			kvm->running--;
			pthread_mutex_unlock(&kvm->pause_lock);
			kvm_cpu__stop_all(kvm);
			return -err;
		}
	}
	return 0;
}

void kvm_cpu__stop_all(struct kvm *kvm)
{
	pthread_mutex_lock(&kvm->pause_lock);
	atomic_store(&kvm->quit, true);
	pthread_cond_broadcast(&kvm->pause_cond);
	pthread_mutex_unlock(&kvm->pause_lock);

	for (unsigned int i = 0; i < kvm->nr_cpus; i++) {
		struct kvm_cpu *cpu = kvm->cpu[i];

		if (!cpu || !cpu->started)
			continue;
		kvm_cpu__kick(cpu);
		pthread_join(cpu->thread, NULL);
		cpu->started = false;
	}
	atomic_store(&kvm->quit, false);
}

void kvm__pause(struct kvm *kvm)
{
	pthread_mutex_lock(&kvm->pause_lock);
	kvm->paused++;
	pthread_mutex_unlock(&kvm->pause_lock);
	kick_all(kvm);

	pthread_mutex_lock(&kvm->pause_lock);
	while (kvm->parked < kvm->running)
		pthread_cond_wait(&kvm->pause_cond, &kvm->pause_lock);
	pthread_mutex_unlock(&kvm->pause_lock);
}

void kvm__resume(struct kvm *kvm)
{
	pthread_mutex_lock(&kvm->pause_lock);
	kvm->paused--;
	pthread_cond_broadcast(&kvm->pause_cond);
	pthread_mutex_unlock(&kvm->pause_lock);
}

void kvm_cpu__print_stats(const struct kvm *kvm, FILE *out)
{
	fprintf(out, "\n%-20s", "exits");
	for (unsigned int i = 0; i < kvm->nr_cpus; i++)
		fprintf(out, " %11s%u", "vCPU ", i);
	fprintf(out, " %12s\n", "all");

	for (unsigned int reason = 0; reason < KVM_CPU_NR_EXITS; reason++) {
		uint64_t all = 0;

		for (unsigned int i = 0; i < kvm->nr_cpus; i++)
			all += kvm->cpu[i]->exits[reason];
		if (!all)
			continue;
		fprintf(out, "%-20s",
			reason == KVM_CPU_NR_EXITS - 1 ? "other" : kvm_cpu__exit_name(reason));
		for (unsigned int i = 0; i < kvm->nr_cpus; i++)
			fprintf(out, " %12" PRIu64, kvm->cpu[i]->exits[reason]);
		fprintf(out, " %12" PRIu64 "\n", all);
	}
}
