// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it costs to start a guest: process start → first guest instruction → process end, beside a
 * program that makes only the system calls no VMM can do without.
 *
 *   startup minimal              be that program
 *   startup compare N CMD ARGS   run "startup minimal" and CMD in turn, N times each, and print
 * medians and ratio
 *
 * Both run the same guest: one instruction that writes to port 0xf4.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#define RAM_SIZE    (128ul << 20)
#define LOAD_AT	    0x10000
#define MAX_ENTRIES 256
#define GUEST_OK    1 /* isa-debug-exit's status for a guest that writes 0 */

extern char **environ;

static const unsigned char guest[] = { 0x31, 0xc0, 0xe6, 0xf4 }; /* xor %ax,%ax; out %al,$0xf4 */

static int failed(const char *what)
{
	fprintf(stderr, "startup: %s: %s\n", what, strerror(errno));
	return 125;
}

static int minimal(void)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_userspace_memory_region slot = { .memory_size = RAM_SIZE };
	unsigned long long identity_map = 0xfeffc000;
	struct kvm_cpuid2 *cpuid;
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_run *run;
	int kvm, vm, vcpu, size;
	char *ram;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return failed("/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return failed("KVM_CREATE_VM");
	if (ioctl(vm, KVM_SET_TSS_ADDR, 0xfeffd000ul) ||
	    ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) ||
	    ioctl(vm, KVM_CREATE_IRQCHIP, 0) || ioctl(vm, KVM_CREATE_PIT2, &pit))
		return failed("interrupt controllers");

	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		return failed("mmap");
	memcpy(ram + LOAD_AT, guest, sizeof(guest));
	slot.userspace_addr = (unsigned long)ram;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot))
		return failed("KVM_SET_USER_MEMORY_REGION");

	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		return failed("KVM_CREATE_VCPU");
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	cpuid = calloc(1, sizeof(*cpuid) + MAX_ENTRIES * sizeof(cpuid->entries[0]));
	if (run == MAP_FAILED || !cpuid)
		return failed("memory");
	cpuid->nent = MAX_ENTRIES;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) || ioctl(vcpu, KVM_SET_CPUID2, cpuid))
		return failed("CPUID");
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		return failed("KVM_GET_SREGS");
	sregs.cs.selector = LOAD_AT >> 4;
	sregs.cs.base = LOAD_AT;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) || ioctl(vcpu, KVM_SET_REGS, &regs))
		return failed("registers");

	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0) && errno != EINTR)
			return failed("KVM_RUN");
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == 0xf4)
			return GUEST_OK;
		if (run->exit_reason != KVM_EXIT_INTR) {
			fprintf(stderr, "startup: exit reason %u\n", run->exit_reason);
			return 125;
		}
	}
}

struct cost {
	double ms;
	long rss_kib;
};

static int run_once(char **argv, struct cost *cost)
{
	struct timespec before, after;
	struct rusage usage;
	int status;
	pid_t pid;

	clock_gettime(CLOCK_MONOTONIC, &before);
	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ)) {
		perror(argv[0]);
		return -1;
	}
	if (wait4(pid, &status, 0, &usage) != pid)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &after);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != GUEST_OK) {
		fprintf(stderr, "startup: %s ended with 0x%x\n", argv[0], status);
		return -1;
	}
	cost->ms = (double)(after.tv_sec - before.tv_sec) * 1e3 +
		   (double)(after.tv_nsec - before.tv_nsec) / 1e6;
	cost->rss_kib = usage.ru_maxrss;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	double x = ((const struct cost *)a)->ms, y = ((const struct cost *)b)->ms;

	return (x > y) - (x < y);
}

static int compare(char *self, int rounds, char **argv)
{
	char word[] = "minimal";
	char *minimal_argv[] = { self, word, NULL };
	struct cost *ours, *least;

	if (rounds < 1 || rounds > 10000) {
		fprintf(stderr, "startup: 1 to 10000 rounds\n");
		return 2;
	}
	ours = calloc((size_t)rounds, sizeof(*ours));
	least = calloc((size_t)rounds, sizeof(*least));
	if (!ours || !least)
		return failed("memory");

	/* In turn, so that whatever else the machine does hits both; the first pair only warms up.
	 */
	for (int i = -1; i < rounds; i++) {
		if (run_once(minimal_argv, &least[i < 0 ? 0 : i]) ||
		    run_once(argv, &ours[i < 0 ? 0 : i]))
			return 1;
	}
	qsort(ours, (size_t)rounds, sizeof(*ours), by_time);
	qsort(least, (size_t)rounds, sizeof(*least), by_time);
	printf("minimal ioctls: median %.2f ms (fastest %.2f), peak RSS %ld KiB\n",
	       least[rounds / 2].ms, least[0].ms, least[rounds / 2].rss_kib);
	printf("%-14s: median %.2f ms (fastest %.2f), peak RSS %ld KiB\n", "lkvm",
	       ours[rounds / 2].ms, ours[0].ms, ours[rounds / 2].rss_kib);
	printf("ratio of medians: %.3f\n", ours[rounds / 2].ms / least[rounds / 2].ms);
	free(ours);
	free(least);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "minimal"))
		return minimal();
	if (argc >= 4 && !strcmp(argv[1], "compare"))
		return compare(argv[0], atoi(argv[2]), argv + 3);
	fprintf(stderr, "usage: startup minimal | startup compare ROUNDS COMMAND...\n");
	return 2;
}
