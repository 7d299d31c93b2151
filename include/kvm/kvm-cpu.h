/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU: its descriptor, its thread, the loop around KVM_RUN, and the barrier at which all stand
 * still.
 */
#ifndef KVM_KVM_CPU_H
#define KVM_KVM_CPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/kvm.h>

struct arch_cpu;
struct kvm;

#define KVM_CPU_NR_EXITS 64

/**
 * struct kvm_cpu - one vCPU
 * @kvm:     its machine
 * @index:   0 …; the vCPU id is the architecture's business (@id)
 * @id:      KVM's vCPU id
 * @fd:      from KVM_CREATE_VCPU
 * @run:     shared with KVM
 * @arch:    per-arch state, or NULL
 * @thread:  valid while @started
 * @started: the thread was created
 * @kicked:  something wants this vCPU out of KVM_RUN
 * @kick_lock, @kick_cond: where a vCPU that halts outside KVM_RUN waits for @kicked
 * @exits:   by reason, written by its own thread only; the last entry counts reasons beyond the
 * table
 */
struct kvm_cpu {
	struct kvm *kvm;
	unsigned int index;
	unsigned long id;
	int fd;
	struct kvm_run *run;
	struct arch_cpu *arch;
	pthread_t thread;
	bool started;
	atomic_bool kicked;
	pthread_mutex_t kick_lock;
	pthread_cond_t kick_cond;
	uint64_t exits[KVM_CPU_NR_EXITS];
};

/**
 * kvm_cpu__create_all - create @nr vCPUs with ids from arch__cpu_id() and set them up
 * (arch__cpu_init())
 *
 * Return: 0 or negative errno, printed.
 */
int kvm_cpu__create_all(struct kvm *kvm, unsigned int nr);

/**
 * kvm_cpu__start_all - start the threads
 *
 * Return: 0 or negative errno, printed; then none runs.
 */
int kvm_cpu__start_all(struct kvm *kvm);

/**
 * kvm_cpu__stop_all - make all threads end and join them
 */
void kvm_cpu__stop_all(struct kvm *kvm);

/**
 * kvm_cpu__destroy_all - free the vCPUs; none may run
 */
void kvm_cpu__destroy_all(struct kvm *kvm);

/**
 * kvm_cpu__kick - make a vCPU leave KVM_RUN (or not enter it) once; any thread
 *
 * It re-examines pause, quit and arch__cpu_before_run(), and goes on.
 */
void kvm_cpu__kick(struct kvm_cpu *cpu);

/**
 * kvm_cpu__wait_for_kick - sleep outside KVM_RUN (a halted vCPU without in-kernel interrupt
 * controller)
 *
 * In the vCPU's thread; returns at once if it has been kicked since it last left KVM_RUN.
 */
void kvm_cpu__wait_for_kick(struct kvm_cpu *cpu);

/**
 * kvm__pause - return when no vCPU runs guest code and all exits have been dealt with
 *
 * Nests. Not from a vCPU thread. State may be read and changed until kvm__resume().
 */
void kvm__pause(struct kvm *kvm);

/**
 * kvm__resume - undo one kvm__pause()
 */
void kvm__resume(struct kvm *kvm);

/**
 * kvm_cpu__ioctl - a vCPU ioctl that must not fail
 * @name: for the message ("KVM_SET_SREGS")
 *
 * Return: its result, or negative errno with a message that names the vCPU.
 */
int kvm_cpu__ioctl(struct kvm_cpu *cpu, unsigned long request, void *arg, const char *name);

/**
 * kvm_cpu__exit_name - "IO", "MMIO", … for KVM_EXIT_IO, KVM_EXIT_MMIO, …; "unknown" beyond the
 * table
 */
const char *kvm_cpu__exit_name(uint32_t reason);

/**
 * kvm_cpu__print_stats - exits by reason, per vCPU and in all (--stats)
 */
void kvm_cpu__print_stats(const struct kvm *kvm, FILE *out);

#endif
