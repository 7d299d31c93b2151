/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VM: /dev/kvm, its capabilities, memory slots, and the parts that make up one machine.
 *
 * Made by builtin-run.c in the order of the functions below, torn down by kvm__destroy() in
 * reverse.
 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kvm/config.h"
#include "kvm/device.h"
#include "kvm/memory.h"

struct arch_machine;
struct chardev;
struct kvm_cpu;
struct trace;

#define KVM_MAX_MEMSLOTS 64

/**
 * struct kvm - one virtual machine
 * @cfg:        what was asked for; never changes once validated
 * @sys_fd:     /dev/kvm
 * @vm_fd:      from KVM_CREATE_VM
 * @run_size:   bytes of struct kvm_run's mapping
 * @ram:        guest memory
 * @slot_used:  memory slots in use (kvm__add_memslot())
 * @slot_lock:  guards @slot_used
 * @host:       what devices see
 * @devices:    the board's devices in order
 * @console:    standard input and output
 * @tty:        what the board's serial ports are connected to: @console, a --tty of its own, or
 * NULL for nothing
 * @arch:       the board (ARCH/machine.c)
 * @cpu:        vCPUs
 * @nr_cpus:    how many
 * @trace:      --trace, or NULL
 * @pause_lock, @pause_cond: the pause barrier (kvm-cpu.c)
 * @paused:     nesting depth of kvm__pause(); guarded by @pause_lock
 * @parked:     vCPUs waiting at the barrier; guarded by @pause_lock
 * @running:    vCPU threads alive; guarded by @pause_lock
 * @quit:       vCPU threads shall end
 */
struct kvm {
	const struct vm_config *cfg;
	int sys_fd;
	int vm_fd;
	int run_size;
	struct guest_memory ram;
	uint64_t slot_used;
	pthread_mutex_t slot_lock;
	struct device_host host;
	struct device_list devices;
	struct chardev *console;
	struct chardev *tty[CONFIG_MAX_TTYS];
	struct arch_machine *arch;
	struct kvm_cpu **cpu;
	unsigned int nr_cpus;
	struct trace *trace;
	pthread_mutex_t pause_lock;
	pthread_cond_t pause_cond;
	unsigned int paused;
	unsigned int parked;
	unsigned int running;
	atomic_bool quit;
};

/**
 * kvm__open - open the KVM device and check that it is KVM, of the API this program speaks
 *
 * Prints why not: absent, not permitted (and which group would help), not KVM, wrong version.
 *
 * Return: 0 or negative errno.
 */
int kvm__open(struct kvm *kvm, const struct vm_config *cfg);

/**
 * kvm__create_vm - KVM_CREATE_VM
 * @type: machine type (Documentation/virt/kvm/api.rst 4.2), 0 for the default
 *
 * Return: 0 or negative errno, printed.
 */
int kvm__create_vm(struct kvm *kvm, unsigned long type);

/**
 * kvm__destroy - tear down whatever exists, in reverse; harmless on a zeroed or half-made one
 */
void kvm__destroy(struct kvm *kvm);

/**
 * kvm__cap - what KVM_CHECK_EXTENSION says: of the VM once there is one, else of the system
 *
 * Return: 0 if absent or on error, else the capability's value.
 */
int kvm__cap(const struct kvm *kvm, unsigned int cap);

/**
 * kvm__require_cap - the same, for what a configuration cannot do without
 * @cap:  KVM_CAP_…
 * @name: its name, for the message
 * @what: what needs it ("--irqchip split")
 *
 * Return: the value (> 0), or -ENOTSUP with a message.
 */
int kvm__require_cap(const struct kvm *kvm, unsigned int cap, const char *name, const char *what);

/**
 * kvm__enable_cap - KVM_ENABLE_CAP on the VM
 *
 * Return: 0 or negative errno, not printed: the caller knows what it means.
 */
int kvm__enable_cap(const struct kvm *kvm, unsigned int cap, uint64_t arg0, uint64_t arg1);

/**
 * kvm__ioctl - an ioctl on the VM that must not fail
 * @name: for the message ("KVM_SET_TSS_ADDR")
 *
 * Return: its result, or negative errno with a message.
 */
int kvm__ioctl(const struct kvm *kvm, unsigned long request, void *arg, const char *name);

/**
 * kvm__add_memslot - give the guest memory at @gpa
 * @flags: KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES
 *
 * Return: the slot, or negative errno, printed.
 */
int kvm__add_memslot(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva, uint32_t flags);

/**
 * kvm__remove_memslot - the reverse
 */
void kvm__remove_memslot(struct kvm *kvm, int slot);

/**
 * kvm__add_ram_memslots - a slot for each region of @kvm->ram
 *
 * Return: 0 or negative errno, printed.
 */
int kvm__add_ram_memslots(struct kvm *kvm);

/**
 * struct kvm_device_attr is KVM's; these wrap KVM_CREATE_DEVICE and KVM_{SET,GET,HAS}_DEVICE_ATTR
 *
 * Return: kvm_device__create(): a descriptor; the others 0; negative errno, not printed.
 */
int kvm_device__create(const struct kvm *kvm, uint32_t type, uint32_t flags);
int kvm_device__set(int fd, uint32_t group, uint64_t attr, void *addr);
int kvm_device__get(int fd, uint32_t group, uint64_t attr, void *addr);
int kvm_device__has(int fd, uint32_t group, uint64_t attr);

#endif
