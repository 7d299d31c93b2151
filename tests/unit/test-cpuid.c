// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CPUID tells each vCPU where it is, what it can do and how fast its clocks are, whatever KVM's
 * list says. WRAP: sys__ioctl sys__ioctl_val pr_fatal
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/kvm_para.h>

#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/sys.h"
#include "x86/cpuid.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val);
void __wrap_pr_fatal(const char *fmt, ...);

/* --- KVM's side --- */

struct list {
	uint32_t nent, padding;
	struct kvm_cpuid_entry2 entries[X86_CPUID_MAX_ENTRIES];
};

static struct {
	struct list supported, emulated;
	int error;
	unsigned int calls;
	char message[512];
} kernel;

void __wrap_pr_fatal(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(kernel.message, sizeof(kernel.message), fmt, args);
	va_end(args);
}

static int give_list(const struct list *list, struct kvm_cpuid2 *out)
{
	kernel.calls++;
	if (kernel.error)
		return kernel.error;
	if (out->nent < list->nent)
		return -E2BIG;
	memcpy(out->entries, list->entries, list->nent * sizeof(list->entries[0]));
	out->nent = list->nent;
	return 0;
}

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_SUPPORTED_CPUID:
		assert_int_equal(fd, 3);
		return give_list(&kernel.supported, arg);
	case KVM_GET_EMULATED_CPUID:
		assert_int_equal(fd, 3);
		return give_list(&kernel.emulated, arg);
	case KVM_GET_TSC_KHZ:
		assert_int_equal(fd, 4);
		return 2596096;
	}
	return -ENOTTY;
}

int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val)
{
	assert_int_equal(fd, 4);
	assert_int_equal(request, KVM_CHECK_EXTENSION);
	return val == KVM_CAP_TSC_DEADLINE_TIMER;
}

/* An Intel processor as KVM describes it: with the host's own APIC ids, sharing and levels. */
static const struct kvm_cpuid_entry2 intel[] = {
	{ 0, 0, 0, .eax = 0x1f, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69 },
	{ 1, 0, 0, .eax = 0x000806f8, .ebx = 0x17400800, .ecx = 0xfffaf38b, .edx = 0xbfebfbff },
	{ 2, 0, 0, .eax = 0x00feff01 },
	{ 3, 0, 0, .eax = 0 },
	{ 4, 0, INDEXED, .eax = 0xfc004121, .ebx = 0x02c0003f, .ecx = 0x3f },
	{ 4, 1, INDEXED, .eax = 0xfc004122, .ebx = 0x01c0003f, .ecx = 0x3f },
	{ 4, 2, INDEXED, .eax = 0xfc01c143, .ebx = 0x03c0003f, .ecx = 0x7ff },
	{ 4, 3, INDEXED, .eax = 0xfc1fc163, .ebx = 0x0380003f, .ecx = 0x9fff },
	{ 4, 4, INDEXED, .eax = 0 },
	{ 6, 0, 0, .eax = 4 },
	{ 7, 0, INDEXED, .eax = 1, .ebx = 0xf1bf2fbb, .ecx = 0x1b415f7e, .edx = 0xffd14410 },
	{ 7, 1, INDEXED, .eax = 0x30 },
	{ 0xa, 0, 0, .eax = 0x08300802, .edx = 0x8603 },
	{ 0xb, 0, INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 0x17 },
	{ 0xb, 1, INDEXED, .eax = 7, .ebx = 0x40, .ecx = 0x201, .edx = 0x17 },
	{ 0xb, 2, INDEXED, .ecx = 2, .edx = 0x17 },
	{ 0xd, 0, INDEXED, .eax = 0x602e7, .ebx = 0x2b00, .ecx = 0x2b00 },
	{ 0xd, 1, INDEXED, .eax = 0x1f, .ebx = 0x2b00, .ecx = 0x1800 },
	{ 0xd, 2, INDEXED, .eax = 0x100, .ebx = 0x240 },
	{ 0xd, 5, INDEXED, .eax = 0x40, .ebx = 0x440 },
	{ 0xd, 6, INDEXED, .eax = 0x200, .ebx = 0x480 },
	{ 0xd, 7, INDEXED, .eax = 0x400, .ebx = 0x680 },
	{ 0xd, 9, INDEXED, .eax = 8, .ebx = 0xa80 },
	{ 0xd, 11, INDEXED, .eax = 0x10, .ecx = 1 },
	{ 0xd, 17, INDEXED, .eax = 0x40, .ebx = 0xac0 },
	{ 0xd, 18, INDEXED, .eax = 0x2000, .ebx = 0xb00 },
	{ 0x15, 0, 0, .eax = 2, .ebx = 0xd8, .ecx = 0x017d7840 },
	{ 0x1f, 0, INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 0x17 },
	{ 0x40000000, 0, 0, .eax = 0x40000001, .ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d },
	{ 0x40000001, 0, 0, .eax = 0x01007efb },
	{ 0x80000000, 0, 0, .eax = 0x80000008 },
	{ 0x80000001, 0, 0, .ecx = 0x121, .edx = 0x2c100800 },
	{ 0x80000007, 0, 0, .edx = 0x100 },
	{ 0x80000008, 0, 0, .eax = 0x392e },
};

/* An AMD one. */
static const struct kvm_cpuid_entry2 amd[] = {
	{ 0, 0, 0, .eax = 0x10, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65 },
	{ 1, 0, 0, .eax = 0x00a20f10, .ebx = 0x0b180800, .ecx = 0xfef83203, .edx = 0x178bfbff },
	{ 7, 0, INDEXED, .ebx = 0x219c95a9, .ecx = 0x0040068c },
	{ 0xb, 0, INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 0xb },
	{ 0xd, 0, INDEXED, .eax = 7, .ebx = 0x340, .ecx = 0x340 },
	{ 0xd, 1, INDEXED, .eax = 0xf, .ebx = 0x340 },
	{ 0xd, 2, INDEXED, .eax = 0x100, .ebx = 0x240 },
	{ 0x40000000, 0, 0, .eax = 0x40000001, .ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d },
	{ 0x40000001, 0, 0, .eax = 0x01007efb },
	{ 0x80000000, 0, 0, .eax = 0x80000021 },
	{ 0x80000001, 0, 0, .ecx = 0x004003f7, .edx = 0x2fd3fbff },
	{ 0x80000007, 0, 0, .edx = 0x100 },
	{ 0x80000008, 0, 0, .eax = 0x3030, .ebx = 0x0111f205, .ecx = 0x7017 },
	{ 0x8000000a, 0, 0, .eax = 1, .ebx = 8, .edx = 0x119b },
	{ 0x8000001d, 0, INDEXED, .eax = 0x00004121, .ebx = 0x01c0003f, .ecx = 0x3f },
	{ 0x8000001d, 1, INDEXED, .eax = 0x00004122, .ebx = 0x01c0003f, .ecx = 0x3f },
	{ 0x8000001d, 2, INDEXED, .eax = 0x00004143, .ebx = 0x01c0003f, .ecx = 0x3ff },
	{ 0x8000001d, 3, INDEXED, .eax = 0x0003c163, .ebx = 0x03c0003f, .ecx = 0x7fff },
	{ 0x8000001e, 0, 0, .eax = 0 },
	{ 0x80000026, 0, 0, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 0xb },
};

#define USE(processor) use(processor, ARRAY_SIZE(processor))

static void use(const struct kvm_cpuid_entry2 *entries, unsigned int nr)
{
	kernel.supported.nent = nr;
	memcpy(kernel.supported.entries, entries, nr * sizeof(*entries));
}

static int reset(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	USE(intel);
	return 0;
}

static struct kvm_cpuid_entry2 *supported(uint32_t function, uint32_t index)
{
	return (struct kvm_cpuid_entry2 *)x86_cpuid__entry((struct kvm_cpuid2 *)&kernel.supported,
							   function, index);
}

/* --- the VM's side --- */

static struct x86_cpuid_input input(unsigned int sockets, unsigned int cores, unsigned int threads)
{
	return (struct x86_cpuid_input){
		.supported = (struct kvm_cpuid2 *)&kernel.supported,
		.topology = { sockets * cores * threads, sockets, cores, threads },
		.irqchip = IRQCHIP_KERNEL,
		.tsc_deadline = true,
	};
}

static struct x86_cpuid build(const struct x86_cpuid_input *in)
{
	struct x86_cpuid cpuid = { 0 };

	assert_int_equal(x86_cpuid__build(&cpuid, in), 0);
	return cpuid;
}

static struct x86_cpuid build_model(const char *model)
{
	struct x86_cpuid_input in = input(1, 1, 1);

	in.model = model;
	return build(&in);
}

static int fail_model(const char *model)
{
	struct x86_cpuid_input in = input(1, 1, 1);
	struct x86_cpuid cpuid = { 0 };
	int ret;

	in.model = model;
	kernel.message[0] = 0;
	ret = x86_cpuid__build(&cpuid, &in);
	assert_null(cpuid.list);
	return ret;
}

/* What a vCPU sees; all zeros if there is no entry, as KVM answers. */
static struct kvm_cpuid_entry2 leaf(const struct x86_cpuid *cpuid, uint32_t function,
				    uint32_t index)
{
	const struct kvm_cpuid_entry2 *e = x86_cpuid__entry(cpuid->list, function, index);

	return e ? *e : (struct kvm_cpuid_entry2){ 0 };
}

static uint32_t bits(uint32_t value, unsigned int high, unsigned int low)
{
	return value >> low & (uint32_t)((1ull << (high - low + 1)) - 1);
}

static unsigned int log2_up(unsigned int count)
{
	unsigned int n = 0;

	while (1u << n < count)
		n++;
	return n;
}

static const struct cpu_topology topologies[] = {
	{ 1, 1, 1, 1 },	      { 2, 1, 2, 1 },	    { 2, 1, 1, 2 },	 { 2, 2, 1, 1 },
	{ 6, 1, 3, 2 },	      { 12, 2, 3, 2 },	    { 15, 5, 3, 1 },	 { 24, 2, 4, 3 },
	{ 255, 1, 255, 1 },   { 256, 2, 64, 2 },    { 300, 300, 1, 1 },	 { 288, 1, 144, 2 },
	{ 4096, 4096, 1, 1 }, { 4096, 1, 4096, 1 }, { 4096, 8, 256, 2 }, { 4095, 7, 195, 3 },
};

/* --- APIC ids ----------------------------------------------------------------------------------
 */

static void apic_ids_are_distinct_and_ascend(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(topologies); i++) {
		const struct cpu_topology *t = &topologies[i];

		assert_int_equal(x86_cpuid__apic_id(t, 0), 0);
		for (unsigned int n = 1; n < t->nr; n++)
			assert_true(x86_cpuid__apic_id(t, n) > x86_cpuid__apic_id(t, n - 1));
		assert_int_equal(x86_cpuid__max_apic_id(t), x86_cpuid__apic_id(t, t->nr - 1));
	}
}

static void apic_id_fields_are_socket_core_and_thread(void **state)
{
	const struct cpu_topology t = { 12, 2, 3, 2 };

	/* 1 bit of thread, 2 bits of core (3 of 4 used), then the socket */
	assert_int_equal(x86_cpuid__apic_id(&t, 1), 1);
	assert_int_equal(x86_cpuid__apic_id(&t, 2), 2);
	assert_int_equal(x86_cpuid__apic_id(&t, 5), 5);
	assert_int_equal(x86_cpuid__apic_id(&t, 6), 8);
	assert_int_equal(x86_cpuid__apic_id(&t, 11), 13);
}

static void gaps_push_ids_beyond_the_number_of_vcpus(void **state)
{
	const struct cpu_topology t = { 195, 13, 5, 3 };

	assert_int_equal(x86_cpuid__max_apic_id(&t), 12 << 5 | 4 << 2 | 2);
	assert_true(x86_cpuid__max_apic_id(&t) > 254);
}

static void each_leaf_names_the_vcpu(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(topologies); i++) {
		const struct cpu_topology *t = &topologies[i];
		struct x86_cpuid_input in = input(t->sockets, t->cores, t->threads);
		struct x86_cpuid cpuid = build(&in);

		for (unsigned int n = 0; n < t->nr; n += 1 + t->nr / 50) {
			uint32_t id = x86_cpuid__apic_id(t, n);

			assert_ptr_equal(x86_cpuid__of(&cpuid, n), cpuid.list);
			assert_int_equal(bits(leaf(&cpuid, 1, 0).ebx, 31, 24), id & 0xff);
			for (uint32_t level = 0; level < 3; level++) {
				assert_int_equal(leaf(&cpuid, 0xb, level).edx, id);
				assert_int_equal(leaf(&cpuid, 0x1f, level).edx, id);
			}
		}
		x86_cpuid__free(&cpuid);
	}
}

/* --- topology leaves ---------------------------------------------------------------------------
 */

static void leaf_0xb_and_0x1f_shift_ids_to_core_and_package(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(topologies); i++) {
		const struct cpu_topology *t = &topologies[i];
		struct x86_cpuid_input in = input(t->sockets, t->cores, t->threads);
		struct x86_cpuid cpuid = build(&in);
		const uint32_t functions[] = { 0xb, 0x1f };

		for (size_t f = 0; f < 2; f++) {
			struct kvm_cpuid_entry2 smt = leaf(&cpuid, functions[f], 0);
			struct kvm_cpuid_entry2 core = leaf(&cpuid, functions[f], 1);
			struct kvm_cpuid_entry2 end = leaf(&cpuid, functions[f], 2);

			assert_int_equal(smt.eax, log2_up(t->threads));
			assert_int_equal(smt.ebx, t->threads);
			assert_int_equal(smt.ecx, 0x100);
			assert_int_equal(core.eax, log2_up(t->threads) + log2_up(t->cores));
			assert_int_equal(core.ebx, t->threads * t->cores);
			assert_int_equal(core.ecx, 0x201);
			assert_int_equal(end.eax, 0);
			assert_int_equal(end.ebx, 0);
			assert_int_equal(end.ecx, 2);

			for (unsigned int n = 0; n < t->nr; n++) {
				uint32_t id = x86_cpuid__apic_id(t, n);

				assert_int_equal(id >> core.eax, n / (t->cores * t->threads));
				assert_int_equal(id >> smt.eax ==
							 x86_cpuid__apic_id(t, 0) >> smt.eax,
						 n < t->threads);
			}
		}
		x86_cpuid__free(&cpuid);
	}
}

static void leaf_1_counts_the_processors_of_a_package(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(topologies); i++) {
		const struct cpu_topology *t = &topologies[i];
		struct x86_cpuid_input in = input(t->sockets, t->cores, t->threads);
		struct x86_cpuid cpuid = build(&in);
		unsigned int count = t->cores * t->threads;

		assert_int_equal(bits(leaf(&cpuid, 1, 0).ebx, 23, 16), count > 255 ? 255 : count);
		assert_int_equal(x86_cpuid__has(&cpuid, "ht"), count > 1);
		assert_int_equal(bits(leaf(&cpuid, 1, 0).ebx, 15, 8), 8); /* CLFLUSH: kept */
		x86_cpuid__free(&cpuid);
	}
}

static void leaf_4_shares_inner_caches_in_a_core_and_outer_in_a_package(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(topologies); i++) {
		const struct cpu_topology *t = &topologies[i];
		struct x86_cpuid_input in = input(t->sockets, t->cores, t->threads);
		struct x86_cpuid cpuid = build(&in);
		unsigned int thread_ids = 1u << log2_up(t->threads);
		unsigned int core_ids = 1u << log2_up(t->cores);
		unsigned int package = thread_ids * core_ids;

		for (uint32_t cache = 0; cache < 4; cache++) {
			struct kvm_cpuid_entry2 e = leaf(&cpuid, 4, cache);
			uint32_t sharing = bits(e.eax, 25, 14);
			uint32_t cores = bits(e.eax, 31, 26);

			if (cache == 3)
				assert_int_equal(sharing, package > 4096 ? 4095 : package - 1);
			else
				assert_int_equal(sharing, thread_ids - 1);
			assert_int_equal(cores, core_ids > 64 ? 63 : core_ids - 1);
			assert_int_equal(e.eax & 0x3fff, intel[4 + cache].eax & 0x3fff);
			assert_int_equal(e.ebx, intel[4 + cache].ebx);
		}
		x86_cpuid__free(&cpuid);
	}
}

static void amd_leaves_agree_with_leaf_0xb(void **state)
{
	USE(amd);
	for (size_t i = 0; i < ARRAY_SIZE(topologies); i++) {
		const struct cpu_topology *t = &topologies[i];
		struct x86_cpuid_input in = input(t->sockets, t->cores, t->threads);
		struct x86_cpuid cpuid = build(&in);
		unsigned int count = t->cores * t->threads, last = t->nr - 1;
		struct kvm_cpuid_entry2 sizes = leaf(&cpuid, 0x80000008, 0);
		struct kvm_cpuid_entry2 node;

		assert_int_equal(bits(sizes.ecx, 7, 0), count > 256 ? 255 : count - 1);
		assert_int_equal(bits(sizes.ecx, 15, 12), leaf(&cpuid, 0xb, 1).eax);
		assert_int_equal(sizes.eax, 0x3030);
		assert_int_equal(x86_cpuid__has(&cpuid, "cmp_legacy"), count > 1);

		x86_cpuid__of(&cpuid, last);
		node = leaf(&cpuid, 0x8000001e, 0);
		assert_int_equal(node.eax, x86_cpuid__apic_id(t, last));
		assert_int_equal(bits(node.ebx, 7, 0), (t->cores - 1) & 0xff);
		assert_int_equal(bits(node.ebx, 15, 8), t->threads - 1);
		assert_int_equal(bits(node.ecx, 7, 0), (t->sockets - 1) & 0xff);
		assert_int_equal(bits(node.ecx, 10, 8), 0);

		assert_int_equal(bits(leaf(&cpuid, 0x8000001d, 0).eax, 25, 14),
				 (1u << log2_up(t->threads)) - 1);
		assert_int_equal(bits(leaf(&cpuid, 0x8000001d, 3).eax, 25, 14),
				 ((1u << leaf(&cpuid, 0xb, 1).eax) - 1) & 0xfff);
		assert_null(x86_cpuid__entry(cpuid.list, 0x80000026, 0));
		x86_cpuid__free(&cpuid);
	}
}

static void without_topoext_leaf_0x8000001e_is_empty(void **state)
{
	struct x86_cpuid cpuid;

	USE(amd);
	cpuid = build_model("host,-topoext");
	x86_cpuid__of(&cpuid, 0);
	assert_null(x86_cpuid__entry(cpuid.list, 0x8000001e, 0));
	x86_cpuid__free(&cpuid);
}

static void a_processor_without_leaf_0xb_gets_one_and_0x1f_only_if_it_reaches_so_far(void **state)
{
	struct x86_cpuid cpuid;

	supported(0, 0)->eax = 7;
	cpuid = build_model("host");
	assert_int_equal(leaf(&cpuid, 0, 0).eax, 0xb);
	assert_int_equal(leaf(&cpuid, 0xb, 0).ecx, 0x100);
	x86_cpuid__free(&cpuid);

	supported(0, 0)->eax = 0x1e;
	supported(0x1f, 0)->function = 3;
	cpuid = build_model("host");
	assert_int_equal(leaf(&cpuid, 0, 0).eax, 0x1e);
	assert_null(x86_cpuid__entry(cpuid.list, 0x1f, 0));
	x86_cpuid__free(&cpuid);
}

/* --- features ------------------------------------------------------------------------------------
 */

static void host_is_what_kvm_supports(void **state)
{
	struct x86_cpuid cpuid = build_model("host"), unnamed = build_model(NULL);

	assert_int_equal(leaf(&cpuid, 7, 0).ebx, supported(7, 0)->ebx);
	assert_int_equal(leaf(&cpuid, 0xd, 0).eax, supported(0xd, 0)->eax);
	assert_int_equal(leaf(&cpuid, 0xa, 0).eax, supported(0xa, 0)->eax);
	assert_int_equal(leaf(&cpuid, 6, 0).eax, 4);
	assert_int_equal(leaf(&cpuid, 0x40000001, 0).eax, 0x01007efb);
	assert_int_equal(unnamed.list->nent, cpuid.list->nent);
	x86_cpuid__free(&cpuid);
	x86_cpuid__free(&unnamed);
}

static void max_adds_what_kvm_emulates(void **state)
{
	struct x86_cpuid_input in = input(1, 1, 1);
	struct x86_cpuid cpuid;

	supported(1, 0)->ecx &= ~(1u << 22); /* movbe */
	kernel.emulated.nent = 2;
	kernel.emulated.entries[0] = (struct kvm_cpuid_entry2){ .function = 0, .eax = 7 };
	kernel.emulated.entries[1] = (struct kvm_cpuid_entry2){ .function = 1, .ecx = 1u << 22 };
	in.emulated = (struct kvm_cpuid2 *)&kernel.emulated;

	in.model = "host";
	cpuid = build(&in);
	assert_false(x86_cpuid__has(&cpuid, "movbe"));
	x86_cpuid__free(&cpuid);

	in.model = "max";
	cpuid = build(&in);
	assert_true(x86_cpuid__has(&cpuid, "movbe"));
	assert_int_equal(leaf(&cpuid, 0, 0).eax, 0x1f); /* numbers are not features */
	x86_cpuid__free(&cpuid);

	in.model = "host,+movbe";
	cpuid = build(&in);
	assert_true(x86_cpuid__has(&cpuid, "movbe"));
	x86_cpuid__free(&cpuid);
}

static void a_removed_feature_is_gone_and_no_other(void **state)
{
	struct x86_cpuid cpuid = build_model("host,-rdrand,-smap");

	assert_int_equal(leaf(&cpuid, 1, 0).ecx & 1u << 30, 0);
	assert_int_equal(leaf(&cpuid, 7, 0).ebx, supported(7, 0)->ebx & ~(1u << 20));
	assert_false(x86_cpuid__has(&cpuid, "rdrand"));
	assert_true(x86_cpuid__has(&cpuid, "avx512f"));
	x86_cpuid__free(&cpuid);
}

static void names_stand_for_the_bits_of_the_manuals(void **state)
{
	static const struct {
		const char *name;
		uint32_t function, index;
		unsigned int reg, bit;
	} known[] = {
		{ "-fpu", 1, 0, 3, 0 },
		{ "-pge", 1, 0, 3, 13 },
		{ "-ss", 1, 0, 3, 27 },
		{ "-vmx", 1, 0, 2, 5 },
		{ "-pcid", 1, 0, 2, 17 },
		{ "-rdrand", 1, 0, 2, 30 },
		{ "-arat", 6, 0, 0, 2 },
		{ "-fsgsbase", 7, 0, 1, 0 },
		{ "-invpcid", 7, 0, 1, 10 },
		{ "-rdseed", 7, 0, 1, 18 },
		{ "-avx512vl", 7, 0, 1, 31 },
		{ "-umip", 7, 0, 2, 2 },
		{ "-la57", 7, 0, 2, 16 },
		{ "-rdpid", 7, 0, 2, 22 },
		{ "-movdir64b", 7, 0, 2, 28 },
		{ "-fsrm", 7, 0, 3, 4 },
		{ "-serialize", 7, 0, 3, 14 },
		{ "-amx_tile", 7, 0, 3, 24 },
		{ "-spec_ctrl", 7, 0, 3, 26 },
		{ "-ssbd", 7, 0, 3, 31 },
		{ "-avx_vnni", 7, 1, 0, 4 },
		{ "-xsaves", 0xd, 1, 0, 3 },
		{ "-kvm-pv-eoi", 0x40000001, 0, 0, 6 },
		{ "-nx", 0x80000001, 0, 3, 20 },
		{ "-rdtscp", 0x80000001, 0, 3, 27 },
		{ "-abm", 0x80000001, 0, 2, 5 },
		{ "-topoext", 0x80000001, 0, 2, 22 },
		{ "-invtsc", 0x80000007, 0, 3, 8 },
		{ "-wbnoinvd", 0x80000008, 0, 1, 9 },
		{ "-vgif", 0x8000000a, 0, 3, 16 },
	};

	/* A processor that has everything shows which bit goes. */
	for (unsigned int i = 0; i < kernel.supported.nent; i++) {
		struct kvm_cpuid_entry2 *e = &kernel.supported.entries[i];

		if (e->function == 7 || e->function == 1 || e->function == 0x80000001 ||
		    e->function == 0x40000001)
			e->eax = e->ebx = e->ecx = e->edx = UINT32_MAX;
	}
	kernel.supported.entries[kernel.supported.nent++] =
		(struct kvm_cpuid_entry2){ .function = 0x8000000a, .eax = 1, .edx = UINT32_MAX };
	supported(0x80000008, 0)->ebx = UINT32_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct kvm_cpuid_entry2 before, after;
		struct x86_cpuid cpuid;
		char model[64];
		uint32_t b, a;

		cpuid = build_model("host");
		before = leaf(&cpuid, known[i].function, known[i].index);
		x86_cpuid__free(&cpuid);
		snprintf(model, sizeof(model), "host,%s", known[i].name);
		cpuid = build_model(model);
		after = leaf(&cpuid, known[i].function, known[i].index);
		x86_cpuid__free(&cpuid);
		b = (&before.eax)[known[i].reg];
		a = (&after.eax)[known[i].reg];
		assert_true(b & 1u << known[i].bit);
		assert_false(a & 1u << known[i].bit);
	}
}

static void removing_xsave_removes_all_that_stands_on_it(void **state)
{
	struct x86_cpuid cpuid = build_model("host,-xsave");

	for (const char **name =
		     (const char *[]){ "xsave", "xsaveopt", "xsaves", "avx", "avx2", "fma",
				       "avx512f", "avx512bw", "avx512_vnni", "pku", "amx_tile",
				       "amx_int8", "f16c", "vaes", NULL };
	     *name; name++)
		assert_false(x86_cpuid__has(&cpuid, *name));
	assert_true(x86_cpuid__has(&cpuid, "sse4_2"));
	assert_true(x86_cpuid__has(&cpuid, "bmi2"));
	assert_int_equal(leaf(&cpuid, 0xd, 0).eax, 0);
	assert_int_equal(leaf(&cpuid, 0xd, 0).ecx, 0);
	assert_null(x86_cpuid__entry(cpuid.list, 0xd, 2));
	x86_cpuid__free(&cpuid);
}

static void state_components_go_with_their_feature(void **state)
{
	struct x86_cpuid cpuid = build_model("host,-avx512f");

	assert_int_equal(leaf(&cpuid, 0xd, 0).eax, 0x60207);
	assert_null(x86_cpuid__entry(cpuid.list, 0xd, 5));
	assert_non_null(x86_cpuid__entry(cpuid.list, 0xd, 2));
	assert_int_equal(leaf(&cpuid, 0xd, 0).ecx, 0x2b00);
	x86_cpuid__free(&cpuid);

	cpuid = build_model("host,-avx,-amx-tile,-pku");
	assert_int_equal(leaf(&cpuid, 0xd, 0).eax, 3);
	assert_int_equal(leaf(&cpuid, 0xd, 0).ecx, 576); /* legacy area and header */
	x86_cpuid__free(&cpuid);

	cpuid = build_model("host,-pku,-amx-tile");
	assert_int_equal(leaf(&cpuid, 0xd, 0).ecx, 0x680 + 0x400);
	assert_int_equal(leaf(&cpuid, 0xd, 1).ecx, 0x1800); /* shadow stacks: not touched */
	x86_cpuid__free(&cpuid);
}

static void amd_repeats_leaf_1_and_both_copies_follow(void **state)
{
	struct x86_cpuid cpuid;

	USE(amd);
	cpuid = build_model("host,-mtrr");
	assert_int_equal(leaf(&cpuid, 1, 0).edx & 1u << 12, 0);
	assert_int_equal(leaf(&cpuid, 0x80000001, 0).edx & 1u << 12, 0);
	x86_cpuid__free(&cpuid);

	cpuid = build_model("host,-svm");
	assert_false(x86_cpuid__has(&cpuid, "svm"));
	assert_int_equal(leaf(&cpuid, 0x8000000a, 0).edx, 0);
	x86_cpuid__free(&cpuid);
}

static void spellings_and_aliases_are_one_feature(void **state)
{
	struct x86_cpuid cpuid = build_model("host,-sse4.1,-tsc-deadline");

	assert_false(x86_cpuid__has(&cpuid, "sse4_1"));
	assert_false(x86_cpuid__has(&cpuid, "sse4-2")); /* stands on it */
	assert_false(x86_cpuid__has(&cpuid, "tsc_deadline_timer"));
	assert_true(x86_cpuid__has(&cpuid, "sse3"));
	assert_true(x86_cpuid__has(&cpuid, "pni"));
	x86_cpuid__free(&cpuid);
}

static void an_unknown_feature_is_named(void **state)
{
	assert_int_equal(fail_model("host,-frobnicate,-avx"), -EINVAL);
	assert_non_null(strstr(kernel.message, "\"frobnicate\""));
	assert_int_equal(fail_model("host,+"), -EINVAL);
	assert_int_equal(fail_model("host,"), -EINVAL);
	assert_int_equal(fail_model("host,avx"), -EINVAL);
	assert_non_null(strstr(kernel.message, "\"avx\""));
	assert_int_equal(fail_model("host,-avx512"), -EINVAL); /* a beginning is not a name */
}

static void an_unknown_model_is_named(void **state)
{
	assert_int_equal(fail_model("pentium"), -EINVAL);
	assert_non_null(strstr(kernel.message, "pentium"));
	assert_int_equal(fail_model(""), -EINVAL);
	assert_int_equal(fail_model("hosts"), -EINVAL);
}

static void a_feature_the_host_lacks_is_named(void **state)
{
	assert_int_equal(fail_model("host,+3dnow"), -ENOTSUP);
	assert_non_null(strstr(kernel.message, "\"3dnow\""));
	supported(7, 0)->ebx &= ~(1u << 16);
	assert_int_equal(fail_model("max,+avx512f"), -ENOTSUP);
}

static void a_feature_added_and_removed_is_a_contradiction(void **state)
{
	struct x86_cpuid cpuid;

	assert_int_equal(fail_model("host,+avx2,-avx2"), -EINVAL);
	assert_int_equal(fail_model("host,-xsave,+avx"), -EINVAL);
	assert_non_null(strstr(kernel.message, "\"avx\""));

	cpuid = build_model("host,-avx2,+avx2"); /* the last word counts */
	assert_true(x86_cpuid__has(&cpuid, "avx2"));
	x86_cpuid__free(&cpuid);
}

static void dynamic_bits_are_left_to_kvm(void **state)
{
	struct x86_cpuid cpuid;

	supported(1, 0)->ecx |= 1u << 27;
	supported(7, 0)->ecx |= 1u << 4;
	cpuid = build_model("host");
	assert_int_equal(leaf(&cpuid, 1, 0).ecx & 1u << 27, 0);
	assert_int_equal(leaf(&cpuid, 7, 0).ecx & 1u << 4, 0);
	x86_cpuid__free(&cpuid);
}

static void the_guest_knows_that_it_is_one(void **state)
{
	struct x86_cpuid cpuid;

	supported(1, 0)->ecx &= ~(1u << 31);
	cpuid = build_model("host");
	assert_true(x86_cpuid__has(&cpuid, "hypervisor"));
	x86_cpuid__free(&cpuid);
	cpuid = build_model("host,-hypervisor");
	assert_false(x86_cpuid__has(&cpuid, "hypervisor"));
	x86_cpuid__free(&cpuid);
}

/* --- interrupt controllers --- */

static void without_irqchip_there_is_no_local_apic(void **state)
{
	struct x86_cpuid_input in = input(1, 1, 1);
	struct x86_cpuid cpuid;

	USE(amd);
	in.irqchip = IRQCHIP_OFF;
	in.tsc_deadline = false;
	cpuid = build(&in);
	assert_int_equal(leaf(&cpuid, 1, 0).edx & 1u << 9, 0);
	assert_int_equal(leaf(&cpuid, 0x80000001, 0).edx & 1u << 9, 0);
	for (const char **name = (const char *[]){ "x2apic", "tsc_deadline_timer", "arat",
						   "kvm_pv_eoi", "kvm_pv_ipi", "kvm_pv_unhalt",
						   "kvm_asyncpf", "kvm_asyncpf_int", NULL };
	     *name; name++)
		assert_false(x86_cpuid__has(&cpuid, *name));
	assert_true(x86_cpuid__has(&cpuid, "kvmclock"));
	assert_true(x86_cpuid__has(&cpuid, "avx2"));
	assert_int_equal(leaf(&cpuid, 0x40000010, 0).ebx, 0);
	x86_cpuid__free(&cpuid);
}

static void the_deadline_timer_is_there_if_kvm_has_one(void **state)
{
	struct x86_cpuid_input in = input(1, 1, 1);
	struct x86_cpuid cpuid;

	supported(1, 0)->ecx &= ~(1u << 24); /* KVM leaves the bit to its user */
	cpuid = build(&in);
	assert_true(x86_cpuid__has(&cpuid, "tsc_deadline_timer"));
	x86_cpuid__free(&cpuid);

	in.irqchip = IRQCHIP_SPLIT;
	in.tsc_deadline = false;
	supported(1, 0)->ecx |= 1u << 24;
	cpuid = build(&in);
	assert_false(x86_cpuid__has(&cpuid, "tsc_deadline_timer"));
	assert_true(x86_cpuid__has(&cpuid, "x2apic"));
	x86_cpuid__free(&cpuid);
}

static void extended_msi_destinations_only_if_the_board_routes_them(void **state)
{
	struct x86_cpuid_input in = input(1, 1, 1);
	struct x86_cpuid cpuid = build(&in);

	assert_false(x86_cpuid__has(&cpuid, "kvm_msi_ext_dest_id"));
	x86_cpuid__free(&cpuid);
	in.msi_ext_dest_id = true;
	cpuid = build(&in);
	assert_int_equal(leaf(&cpuid, 0x40000001, 0).eax, 0x01007efb | 1u << 15);
	x86_cpuid__free(&cpuid);
}

/* --- clocks --- */

static void timing_leaves_agree_with_the_tsc(void **state)
{
	static const uint32_t khz[] = { 1000000, 1996250, 2000000, 2400000, 2596096,
					2596100, 3000000, 3892000, 4200000 };

	for (size_t i = 0; i < ARRAY_SIZE(khz); i++) {
		struct x86_cpuid_input in = input(1, 1, 1);
		struct kvm_cpuid_entry2 crystal, speed;
		struct x86_cpuid cpuid;
		uint32_t linux_khz;
		int64_t error;

		in.tsc_khz = khz[i];
		cpuid = build(&in);
		crystal = leaf(&cpuid, 0x15, 0);
		speed = leaf(&cpuid, 0x16, 0);
		assert_int_equal(crystal.ecx, 1000000000); /* the local APIC's clock */
		assert_true(crystal.eax && crystal.ebx);
		/* Linux computes in 32 bits */
		assert_true((uint64_t)(crystal.ecx / 1000) * crystal.ebx <= UINT32_MAX);
		linux_khz = crystal.ecx / 1000 * crystal.ebx / crystal.eax;
		error = (int64_t)linux_khz - khz[i];
		assert_true(error * 1000000 <= (int64_t)khz[i] * 2);
		assert_true(-error * 1000000 <= (int64_t)khz[i] * 2);
		assert_int_equal(speed.eax, (khz[i] + 500) / 1000);
		assert_int_equal(leaf(&cpuid, 0x40000000, 0).eax, 0x40000010);
		assert_int_equal(leaf(&cpuid, 0x40000000, 0).ebx, 0x4b4d564b);
		assert_int_equal(leaf(&cpuid, 0x40000010, 0).eax, khz[i]);
		assert_int_equal(leaf(&cpuid, 0x40000010, 0).ebx, 1000000);
		x86_cpuid__free(&cpuid);
	}
}

static void a_frequency_that_leaf_0x15_cannot_say_is_left_out(void **state)
{
	static const uint32_t khz[] = { 2000100, 3000333, 1, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(khz); i++) {
		struct x86_cpuid_input in = input(1, 1, 1);
		struct x86_cpuid cpuid;

		in.tsc_khz = khz[i];
		cpuid = build(&in);
		assert_null(x86_cpuid__entry(cpuid.list, 0x15, 0));
		assert_int_equal(leaf(&cpuid, 0x40000010, 0).eax, khz[i]);
		x86_cpuid__free(&cpuid);
	}
}

static void no_timing_leaf_without_an_invariant_tsc_of_known_frequency(void **state)
{
	struct x86_cpuid_input in = input(1, 1, 1);

	for (int i = 0; i < 3; i++) {
		struct x86_cpuid cpuid;

		USE(intel);
		in.tsc_khz = i == 0 ? 0 : 2400000;
		in.model = i == 2 ? "host,-invtsc" : "host";
		if (i == 1)
			supported(0x80000007, 0)->edx = 0;
		cpuid = build(&in);
		assert_null(x86_cpuid__entry(cpuid.list, 0x15, 0)); /* the host's is gone, too */
		assert_null(x86_cpuid__entry(cpuid.list, 0x16, 0));
		assert_null(x86_cpuid__entry(cpuid.list, 0x40000010, 0));
		assert_int_equal(leaf(&cpuid, 0x40000000, 0).eax, 0x40000001);
		x86_cpuid__free(&cpuid);
	}
}

static void amd_guests_get_the_hypervisor_timing_leaf_only(void **state)
{
	struct x86_cpuid_input in = input(1, 1, 1);
	struct x86_cpuid cpuid;

	USE(amd);
	in.tsc_khz = 3400000;
	cpuid = build(&in);
	assert_int_equal(leaf(&cpuid, 0, 0).eax, 0x10);
	assert_null(x86_cpuid__entry(cpuid.list, 0x15, 0));
	assert_int_equal(leaf(&cpuid, 0x40000010, 0).eax, 3400000);
	x86_cpuid__free(&cpuid);
}

/* --- lists that are not as they should be --- */

static void a_list_without_a_processor_is_refused(void **state)
{
	const uint32_t needed[] = { 0, 1 };

	for (int i = 0; i < 2; i++) {
		USE(intel);
		supported(needed[i], 0)->function = 0x20;
		assert_int_equal(fail_model("host"), -EINVAL);
	}
	kernel.supported.nent = 0;
	assert_int_equal(fail_model("host"), -EINVAL);
	assert_non_null(strstr(kernel.message, "KVM_GET_SUPPORTED_CPUID"));
}

static void the_shortest_list_is_completed(void **state)
{
	struct x86_cpuid cpuid;

	kernel.supported.nent = 2;
	cpuid = build_model("max,-avx");
	assert_int_equal(leaf(&cpuid, 0xb, 1).ebx, 1);
	assert_int_equal(x86_cpuid__phys_bits(&cpuid), 36);
	assert_false(x86_cpuid__has(&cpuid, "nx"));
	x86_cpuid__free(&cpuid);
}

static void a_full_list_has_no_room_and_says_so(void **state)
{
	while (kernel.supported.nent < X86_CPUID_MAX_ENTRIES)
		kernel.supported.entries[kernel.supported.nent++] =
			(struct kvm_cpuid_entry2){ .function = 0x7000, .eax = 1 };
	supported(0xb, 2)->function = 0x7001;
	supported(0x1f, 0)->function = 0x7001;
	assert_int_equal(fail_model("host"), -E2BIG);
	assert_non_null(strstr(kernel.message, "256"));
}

static void absurd_numbers_do_no_harm(void **state)
{
	for (unsigned int seed = 1; seed < 200; seed++) {
		struct x86_cpuid_input in = input(2, 3, 2);
		struct x86_cpuid cpuid = { 0 };

		srand(seed);
		for (unsigned int i = 0; i < kernel.supported.nent; i++) {
			struct kvm_cpuid_entry2 *e = &kernel.supported.entries[i];

			if (e->function > 1)
				e->index = (uint32_t)rand() % 80;
			e->eax = (uint32_t)rand() << 1;
			e->ebx = (uint32_t)rand() << 1;
			e->ecx = (uint32_t)rand() << 1;
			e->edx = (uint32_t)rand() << 1;
		}
		in.model = "max,-sse2,-tsc";
		in.tsc_khz = (uint32_t)rand() << 1;
		assert_int_equal(x86_cpuid__build(&cpuid, &in), 0);
		assert_true(cpuid.list->nent <= X86_CPUID_MAX_ENTRIES);
		assert_false(x86_cpuid__has(&cpuid, "avx"));
		x86_cpuid__of(&cpuid, 11);
		assert_true(x86_cpuid__phys_bits(&cpuid) <= 52);
		x86_cpuid__free(&cpuid);
	}
}

/* --- asking KVM --- */

static void the_buffer_grows_until_the_list_fits(void **state)
{
	struct kvm_cpuid2 *list;

	kernel.supported.nent = 200;
	assert_int_equal(x86_cpuid__fetch(3, KVM_GET_SUPPORTED_CPUID, &list), 0);
	assert_int_equal(list->nent, 200);
	assert_int_equal(kernel.calls, 2);
	free(list);
}

static void a_list_that_never_fits_ends(void **state)
{
	struct kvm_cpuid2 *list;

	kernel.error = -E2BIG;
	assert_int_equal(x86_cpuid__fetch(3, KVM_GET_SUPPORTED_CPUID, &list), -E2BIG);
	assert_true(kernel.calls < 20);
	kernel.error = -EFAULT;
	assert_int_equal(x86_cpuid__fetch(3, KVM_GET_SUPPORTED_CPUID, &list), -EFAULT);
}

static void init_asks_for_emulated_features_only_if_they_could_matter(void **state)
{
	struct vm_config cfg = { .cpus = { 4, 1, 2, 2 } };
	struct kvm kvm = { .cfg = &cfg, .sys_fd = 3, .vm_fd = 4 };
	struct x86_cpuid cpuid;

	assert_int_equal(x86_cpuid__init(&cpuid, &kvm, IRQCHIP_SPLIT, true), 0);
	assert_int_equal(kernel.calls, 1);
	assert_true(x86_cpuid__has(&cpuid, "kvm_msi_ext_dest_id"));
	assert_true(x86_cpuid__has(&cpuid, "tsc_deadline_timer"));
	assert_int_equal(leaf(&cpuid, 0x40000010, 0).eax, 2596096);
	assert_int_equal(cpuid.irqchip, IRQCHIP_SPLIT);
	assert_int_equal(cpuid.topology.threads, 2);
	x86_cpuid__free(&cpuid);

	kernel.calls = 0;
	cfg.cpu_model = "max";
	assert_int_equal(x86_cpuid__init(&cpuid, &kvm, IRQCHIP_OFF, false), 0);
	assert_int_equal(kernel.calls, 2);
	assert_false(x86_cpuid__has(&cpuid, "apic"));
	x86_cpuid__free(&cpuid);
}

static void a_failing_kvm_is_reported(void **state)
{
	struct vm_config cfg = { .cpus = { 1, 1, 1, 1 } };
	struct kvm kvm = { .cfg = &cfg, .sys_fd = 3, .vm_fd = 4 };
	struct x86_cpuid cpuid = { 0 };

	kernel.error = -EPERM;
	assert_int_equal(x86_cpuid__init(&cpuid, &kvm, IRQCHIP_KERNEL, false), -EPERM);
	assert_non_null(strstr(kernel.message, "KVM_GET_SUPPORTED_CPUID"));
	x86_cpuid__free(&cpuid);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(apic_ids_are_distinct_and_ascend),
		TEST(apic_id_fields_are_socket_core_and_thread),
		TEST(gaps_push_ids_beyond_the_number_of_vcpus),
		TEST(each_leaf_names_the_vcpu),
		TEST(leaf_0xb_and_0x1f_shift_ids_to_core_and_package),
		TEST(leaf_1_counts_the_processors_of_a_package),
		TEST(leaf_4_shares_inner_caches_in_a_core_and_outer_in_a_package),
		TEST(amd_leaves_agree_with_leaf_0xb),
		TEST(without_topoext_leaf_0x8000001e_is_empty),
		TEST(a_processor_without_leaf_0xb_gets_one_and_0x1f_only_if_it_reaches_so_far),
		TEST(host_is_what_kvm_supports),
		TEST(max_adds_what_kvm_emulates),
		TEST(a_removed_feature_is_gone_and_no_other),
		TEST(names_stand_for_the_bits_of_the_manuals),
		TEST(removing_xsave_removes_all_that_stands_on_it),
		TEST(state_components_go_with_their_feature),
		TEST(amd_repeats_leaf_1_and_both_copies_follow),
		TEST(spellings_and_aliases_are_one_feature),
		TEST(an_unknown_feature_is_named),
		TEST(an_unknown_model_is_named),
		TEST(a_feature_the_host_lacks_is_named),
		TEST(a_feature_added_and_removed_is_a_contradiction),
		TEST(dynamic_bits_are_left_to_kvm),
		TEST(the_guest_knows_that_it_is_one),
		TEST(without_irqchip_there_is_no_local_apic),
		TEST(the_deadline_timer_is_there_if_kvm_has_one),
		TEST(extended_msi_destinations_only_if_the_board_routes_them),
		TEST(timing_leaves_agree_with_the_tsc),
		TEST(a_frequency_that_leaf_0x15_cannot_say_is_left_out),
		TEST(no_timing_leaf_without_an_invariant_tsc_of_known_frequency),
		TEST(amd_guests_get_the_hypervisor_timing_leaf_only),
		TEST(a_list_without_a_processor_is_refused),
		TEST(the_shortest_list_is_completed),
		TEST(a_full_list_has_no_room_and_says_so),
		TEST(absurd_numbers_do_no_harm),
		TEST(the_buffer_grows_until_the_list_fits),
		TEST(a_list_that_never_fits_ends),
		TEST(init_asks_for_emulated_features_only_if_they_could_matter),
		TEST(a_failing_kvm_is_reported),
	};

	return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}
