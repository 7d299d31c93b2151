// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CPUID of the vCPUs.
 *
 * Theory of operation: KVM's list describes the processor it happened to ask, so it is right about
 * features and wrong about everything that names a place: APIC ids, how many threads share a cache,
 * which leaf 0xb level is how wide. The list is copied, --cpu adds and removes features (and what
 * cannot do without a removed one), then every leaf that tells of topology, local APIC or clock is
 * written anew. Only three leaves differ between vCPUs; x86_cpuid__of() patches those.
 *
 * Clocks: Linux takes the TSC's frequency from kvmclock. Without it, Linux reads leaf 0x15 (on
 * Intel only), other kernels leaf 0x40000010. The three agree here, so none has to calibrate. They
 * are given only if KVM knows the frequency and says that the TSC is invariant: else a kernel would
 * believe a number that is about to change.
 */
#include "x86/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <asm/kvm_para.h>

#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/sys.h"

#define BIT(n)	      (1u << (n))
#define BIT64(n)      (1ull << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define LEAF_TIMING 0x40000010u /* of the KVM signature: EAX TSC, EBX APIC bus, both in kHz */

enum reg { EAX, EBX, ECX, EDX };

enum word {
	W_1_EDX,
	W_1_ECX,
	W_6_EAX,
	W_7_0_EBX,
	W_7_0_ECX,
	W_7_0_EDX,
	W_7_1_EAX,
	W_7_1_EDX,
	W_D_1_EAX,
	W_KVM_EAX,
	W_8000_0001_EDX,
	W_8000_0001_ECX,
	W_8000_0007_EDX,
	W_8000_0008_EBX,
	W_8000_000A_EDX,
	W_8000_0021_EAX,
	NR_WORDS,
};

static const struct {
	uint32_t function, index;
	enum reg reg;
} words[NR_WORDS] = {
	[W_1_EDX] = { 1, 0, EDX },
	[W_1_ECX] = { 1, 0, ECX },
	[W_6_EAX] = { 6, 0, EAX },
	[W_7_0_EBX] = { 7, 0, EBX },
	[W_7_0_ECX] = { 7, 0, ECX },
	[W_7_0_EDX] = { 7, 0, EDX },
	[W_7_1_EAX] = { 7, 1, EAX },
	[W_7_1_EDX] = { 7, 1, EDX },
	[W_D_1_EAX] = { 0xd, 1, EAX },
	[W_KVM_EAX] = { KVM_CPUID_FEATURES, 0, EAX },
	[W_8000_0001_EDX] = { 0x80000001, 0, EDX },
	[W_8000_0001_ECX] = { 0x80000001, 0, ECX },
	[W_8000_0007_EDX] = { 0x80000007, 0, EDX },
	[W_8000_0008_EBX] = { 0x80000008, 0, EBX },
	[W_8000_000A_EDX] = { 0x8000000a, 0, EDX },
	[W_8000_0021_EAX] = { 0x80000021, 0, EAX },
};

/*
 * Names as /proc/cpuinfo has them, by bit. A name may occur twice (AMD repeats leaf 1 in
 * 0x80000001; speculation controls differ by vendor): it then stands for all its bits.
 */
/* clang-format off */
static const char *const names[NR_WORDS][32] = {
	[W_1_EDX] = {
		"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce",
		"cx8", "apic", NULL, "sep", "mtrr", "pge", "mca", "cmov",
		"pat", "pse36", "pn", "clflush", NULL, "dts", "acpi", "mmx",
		"fxsr", "sse", "sse2", "ss", "ht", "tm", "ia64", "pbe",
	},
	[W_1_ECX] = {
		"pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est",
		"tm2", "ssse3", "cid", "sdbg", "fma", "cx16", "xtpr", "pdcm",
		NULL, "pcid", "dca", "sse4_1", "sse4_2", "x2apic", "movbe", "popcnt",
		"tsc_deadline_timer", "aes", "xsave", NULL, "avx", "f16c", "rdrand", "hypervisor",
	},
	[W_6_EAX] = { [2] = "arat" },
	[W_7_0_EBX] = {
		"fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2", NULL, "smep",
		"bmi2", "erms", "invpcid", "rtm", "cqm", NULL, "mpx", "rdt_a",
		"avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", NULL, "clflushopt",
		"clwb", "intel_pt", "avx512pf", "avx512er", "avx512cd", "sha_ni", "avx512bw",
		"avx512vl",
	},
	[W_7_0_ECX] = {
		NULL, "avx512vbmi", "umip", "pku", NULL, "waitpkg", "avx512_vbmi2", "shstk",
		"gfni", "vaes", "vpclmulqdq", "avx512_vnni", "avx512_bitalg", "tme",
		"avx512_vpopcntdq", NULL,
		"la57", NULL, NULL, NULL, NULL, NULL, "rdpid", NULL,
		"bus_lock_detect", "cldemote", NULL, "movdiri", "movdir64b", "enqcmd", "sgx_lc",
		"pks",
	},
	[W_7_0_EDX] = {
		NULL, NULL, "avx512_4vnniw", "avx512_4fmaps", "fsrm", "uintr", NULL, NULL,
		"avx512_vp2intersect", NULL, "md_clear", NULL, NULL, NULL, "serialize", NULL,
		"tsxldtrk", NULL, "pconfig", "arch_lbr", "ibt", NULL, "amx_bf16", "avx512_fp16",
		"amx_tile", "amx_int8", "spec_ctrl", "stibp", "flush_l1d", "arch_capabilities",
		NULL, "ssbd",
	},
	[W_7_1_EAX] = {
		[4] = "avx_vnni", [5] = "avx512_bf16", [7] = "cmpccxadd", [10] = "fzrm",
		[11] = "fsrs", [12] = "fsrc", [21] = "amx_fp16", [23] = "avx_ifma", [26] = "lam",
	},
	[W_7_1_EDX] = {
		[4] = "avx_vnni_int8", [5] = "avx_ne_convert", [8] = "amx_complex",
		[14] = "prefetchiti",
	},
	[W_D_1_EAX] = { "xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd" },
	[W_KVM_EAX] = {
		[KVM_FEATURE_CLOCKSOURCE] = "kvmclock",
		[KVM_FEATURE_NOP_IO_DELAY] = "kvm_nopiodelay",
		[KVM_FEATURE_CLOCKSOURCE2] = "kvmclock",
		[KVM_FEATURE_ASYNC_PF] = "kvm_asyncpf",
		[KVM_FEATURE_STEAL_TIME] = "kvm_steal_time",
		[KVM_FEATURE_PV_EOI] = "kvm_pv_eoi",
		[KVM_FEATURE_PV_UNHALT] = "kvm_pv_unhalt",
		[KVM_FEATURE_PV_TLB_FLUSH] = "kvm_pv_tlb_flush",
		[KVM_FEATURE_ASYNC_PF_VMEXIT] = "kvm_asyncpf_vmexit",
		[KVM_FEATURE_PV_SEND_IPI] = "kvm_pv_ipi",
		[KVM_FEATURE_POLL_CONTROL] = "kvm_poll_control",
		[KVM_FEATURE_PV_SCHED_YIELD] = "kvm_pv_sched_yield",
		[KVM_FEATURE_ASYNC_PF_INT] = "kvm_asyncpf_int",
		[KVM_FEATURE_MSI_EXT_DEST_ID] = "kvm_msi_ext_dest_id",
		[KVM_FEATURE_CLOCKSOURCE_STABLE_BIT] = "kvmclock_stable",
	},
	[W_8000_0001_EDX] = {
		"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce",
		"cx8", "apic", NULL, "syscall", "mtrr", "pge", "mca", "cmov",
		"pat", "pse36", NULL, "mp", "nx", NULL, "mmxext", "mmx",
		"fxsr", "fxsr_opt", "pdpe1gb", "rdtscp", NULL, "lm", "3dnowext", "3dnow",
	},
	[W_8000_0001_ECX] = {
		"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a",
		"misalignsse",
		"3dnowprefetch", "osvw", "ibs", "xop", "skinit", "wdt", NULL, "lwp",
		"fma4", "tce", NULL, "nodeid_msr", NULL, "tbm", "topoext", "perfctr_core",
		"perfctr_nb", NULL, "bpext", "ptsc", "perfctr_llc", "mwaitx",
	},
	[W_8000_0007_EDX] = { [8] = "nonstop_tsc" },
	[W_8000_0008_EBX] = {
		[0] = "clzero", [1] = "irperf", [2] = "xsaveerptr", [4] = "rdpru",
		[9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs", [15] = "stibp", [23] = "amd_ppin",
		[24] = "ssbd", [25] = "virt_ssbd",
	},
	[W_8000_000A_EDX] = {
		"npt", "lbrv", "svm_lock", "nrip_save", "tsc_scale", "vmcb_clean", "flushbyasid",
		"decodeassists",
		[10] = "pausefilter", [12] = "pfthreshold", [13] = "avic", [15] = "v_vmsave_vmload",
		[16] = "vgif", [18] = "x2avic", [20] = "v_spec_ctrl", [25] = "vnmi",
	},
	[W_8000_0021_EAX] = { [8] = "autoibrs" },
};
/* clang-format on */

/* Other names that people know. */
static const struct {
	const char *alias, *name;
} aliases[] = {
	{ "sse3", "pni" },
	{ "tsc_deadline", "tsc_deadline_timer" },
	{ "invtsc", "nonstop_tsc" },
	{ "constant_tsc", "nonstop_tsc" },
	{ "htt", "ht" },
	{ "lzcnt", "abm" },
	{ "sha", "sha_ni" },
	{ "ibrs_ibpb", "spec_ctrl" },
};

/*
 * Who falls with whom: a kernel that finds one of the right without the left trusts it and breaks,
 * or refuses both.
 */
/* clang-format off */
static const struct {
	const char *name;
	const char *dependents[16];
} dependencies[] = {
	{ "apic", { "x2apic", "extapic", "tsc_deadline_timer", "arat", "cr8_legacy", "kvm_asyncpf",
		    "kvm_pv_eoi", "kvm_pv_ipi", "kvm_pv_unhalt", "kvm_msi_ext_dest_id" } },
	{ "kvm_asyncpf", { "kvm_asyncpf_int", "kvm_asyncpf_vmexit" } },
	{ "kvm_steal_time", { "kvm_pv_tlb_flush" } },
	{ "tsc", { "tsc_adjust", "tsc_deadline_timer", "rdtscp", "nonstop_tsc", "kvmclock" } },
	{ "kvmclock", { "kvmclock_stable" } },
	{ "pae", { "lm" } },
	{ "lm", { "la57", "pdpe1gb", "lam" } },
	{ "pcid", { "invpcid" } },
	{ "cx8", { "cx16" } },
	{ "mmx", { "mmxext", "3dnow" } },
	{ "3dnow", { "3dnowext" } },
	{ "fxsr", { "fxsr_opt", "sse" } },
	{ "sse", { "sse2", "misalignsse" } },
	{ "sse2", { "pni", "aes", "pclmulqdq", "sha_ni", "gfni" } },
	{ "pni", { "ssse3", "sse4a" } },
	{ "ssse3", { "sse4_1" } },
	{ "sse4_1", { "sse4_2" } },
	{ "sse4_2", { "avx" } },
	{ "xsave", { "xsaveopt", "xsavec", "xgetbv1", "xfd", "xsaveerptr", "mpx", "pku", "avx" } },
	{ "xsavec", { "xsaves" } },
	{ "xsaves", { "shstk", "ibt", "arch_lbr", "enqcmd" } },
	{ "xfd", { "amx_tile" } },
	{ "amx_tile", { "amx_bf16", "amx_int8", "amx_fp16", "amx_complex" } },
	{ "avx", { "avx2", "fma", "f16c", "xop", "fma4", "vaes", "vpclmulqdq" } },
	{ "avx2", { "avx512f", "avx_vnni", "avx_ifma", "avx_vnni_int8", "avx_ne_convert" } },
	{ "avx512f", { "avx512dq", "avx512ifma", "avx512pf", "avx512er", "avx512cd", "avx512bw",
		       "avx512vl", "avx512_vnni", "avx512_vpopcntdq", "avx512_4vnniw",
		       "avx512_4fmaps" } },
	{ "avx512bw", { "avx512vbmi", "avx512_vbmi2", "avx512_bitalg", "avx512_bf16",
			"avx512_fp16" } },
	{ "avx512vl", { "avx512_vp2intersect" } },
};
/* clang-format on */

/* Leaves that describe one feature. */
static const struct {
	uint32_t function;
	const char *name;
} owned_leaves[] = {
	{ 0x12, "sgx" },      { 0x14, "intel_pt" },  { 0x1d, "amx_tile" },
	{ 0x1e, "amx_tile" }, { 0x8000000a, "svm" },
};

/* State components of XSAVE and the features they hold (SDM volume 1, 13.1). */
static const struct {
	uint64_t components;
	const char *name, *or_name;
} xsave_owners[] = {
	{ BIT64(2), "avx", NULL },
	{ BIT64(3) | BIT64(4), "mpx", NULL },
	{ BIT64(5) | BIT64(6) | BIT64(7), "avx512f", NULL },
	{ BIT64(8), "intel_pt", NULL },
	{ BIT64(9), "pku", NULL },
	{ BIT64(11) | BIT64(12), "shstk", "ibt" },
	{ BIT64(15), "arch_lbr", NULL },
	{ BIT64(17) | BIT64(18), "amx_tile", NULL },
};

/* --- lists --- */

static size_t list_size(unsigned int nr)
{
	return sizeof(struct kvm_cpuid2) + nr * sizeof(struct kvm_cpuid_entry2);
}

int x86_cpuid__fetch(int sys_fd, unsigned long request, struct kvm_cpuid2 **out)
{
	for (unsigned int nr = 128; nr <= 4096; nr *= 2) {
		struct kvm_cpuid2 *list = calloc(1, list_size(nr));
		int ret;

		if (!list)
			return -ENOMEM;
		list->nent = nr;
		ret = sys__ioctl(sys_fd, request, list);
		if (ret >= 0) {
			if (list->nent > nr)
				list->nent = nr;
			*out = list;
			return 0;
		}
		free(list);
		if (ret != -E2BIG)
			return ret;
	}
	return -E2BIG;
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *list, uint32_t function, uint32_t index)
{
	for (unsigned int i = 0; i < list->nent; i++) {
		struct kvm_cpuid_entry2 *e = &list->entries[i];

		if (e->function == function &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	}
	return NULL;
}

const struct kvm_cpuid_entry2 *x86_cpuid__entry(const struct kvm_cpuid2 *list, uint32_t function,
						uint32_t index)
{
	return find((struct kvm_cpuid2 *)list, function, index);
}

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, enum reg reg)
{
	switch (reg) {
	case EAX:
		return &e->eax;
	case EBX:
		return &e->ebx;
	case ECX:
		return &e->ecx;
	default:
		return &e->edx;
	}
}

static uint32_t read_reg(const struct kvm_cpuid2 *list, uint32_t function, enum reg reg)
{
	struct kvm_cpuid_entry2 *e = find((struct kvm_cpuid2 *)list, function, 0);

	return e ? *reg_of(e, reg) : 0;
}

/* Lists under construction have room for X86_CPUID_MAX_ENTRIES. */
static int put(struct kvm_cpuid2 *list, const struct kvm_cpuid_entry2 *entry)
{
	struct kvm_cpuid_entry2 *e = find(list, entry->function, entry->index);

	if (!e) {
		if (list->nent == X86_CPUID_MAX_ENTRIES)
			return -E2BIG;
		e = &list->entries[list->nent++];
	}
	*e = *entry;
	return 0;
}

static void drop_function(struct kvm_cpuid2 *list, uint32_t function)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < list->nent; i++)
		if (list->entries[i].function != function)
			list->entries[kept++] = list->entries[i];
	list->nent = kept;
}

/* KVM answers zeros for a leaf in range that has no entry: those need none. */
static void drop_zeros(struct kvm_cpuid2 *list)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < list->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &list->entries[i];

		if (e->eax || e->ebx || e->ecx || e->edx)
			list->entries[kept++] = *e;
	}
	list->nent = kept;
}

/* --- features --- */

static bool same_name(const char *name, const char *text, size_t len)
{
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i] == '-' || text[i] == '.' ? '_' : text[i];

		if (c != name[i])
			return false;
	}
	return true;
}

/* Step through the bits of a feature: @at starts at 0 and is left behind the bit found. */
static bool next_bit(const char *name, unsigned int *at, enum word *word, uint32_t *mask)
{
	for (; *at < NR_WORDS * 32; (*at)++) {
		const char *candidate = names[*at / 32][*at % 32];

		if (candidate && !strcmp(candidate, name)) {
			*word = (enum word)(*at / 32);
			*mask = BIT(*at % 32);
			(*at)++;
			return true;
		}
	}
	return false;
}

/* The feature's name in the table, whatever way the user spelt it; NULL if there is none. */
static const char *known_name(const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (same_name(aliases[i].alias, text, len))
			return aliases[i].name;
	for (unsigned int i = 0; i < NR_WORDS * 32; i++)
		if (names[i / 32][i % 32] && same_name(names[i / 32][i % 32], text, len))
			return names[i / 32][i % 32];
	return NULL;
}

static uint32_t *word_of(struct kvm_cpuid2 *list, enum word word)
{
	struct kvm_cpuid_entry2 *e = find(list, words[word].function, words[word].index);

	return e ? reg_of(e, words[word].reg) : NULL;
}

static bool has(const struct kvm_cpuid2 *list, const char *name)
{
	unsigned int at = 0;
	enum word word;
	uint32_t mask;

	while (next_bit(name, &at, &word, &mask)) {
		const uint32_t *value = word_of((struct kvm_cpuid2 *)list, word);

		if (value && *value & mask)
			return true;
	}
	return false;
}

bool x86_cpuid__has(const struct x86_cpuid *cpuid, const char *feature)
{
	const char *name = known_name(feature, strlen(feature));

	return name && has(cpuid->list, name);
}

static void set_feature(struct kvm_cpuid2 *list, const char *name)
{
	unsigned int at = 0;
	enum word word;
	uint32_t mask;

	while (next_bit(name, &at, &word, &mask)) {
		uint32_t *value = word_of(list, word);

		if (value)
			*value |= mask;
	}
}

static void clear_feature(struct kvm_cpuid2 *list, const char *name)
{
	unsigned int at = 0;
	enum word word;
	uint32_t mask;

	while (next_bit(name, &at, &word, &mask)) {
		uint32_t *value = word_of(list, word);

		if (value)
			*value &= ~mask;
	}
}

/* Set in @list those bits of a feature that @source has. */
static bool copy_feature(struct kvm_cpuid2 *list, const struct kvm_cpuid2 *source, const char *name)
{
	bool found = false;
	unsigned int at = 0;
	enum word word;
	uint32_t mask;

	while (next_bit(name, &at, &word, &mask)) {
		const uint32_t *from = word_of((struct kvm_cpuid2 *)source, word);
		uint32_t *to = word_of(list, word);

		if (from && to && *from & mask) {
			*to |= mask;
			found = true;
		}
	}
	return found;
}

static bool clear_dependents_of(struct kvm_cpuid2 *list, const char *const dependents[16])
{
	bool changed = false;

	for (unsigned int i = 0; i < 16 && dependents[i]; i++) {
		if (!has(list, dependents[i]))
			continue;
		clear_feature(list, dependents[i]);
		changed = true;
	}
	return changed;
}

static void clear_dependents(struct kvm_cpuid2 *list)
{
	bool changed;

	do { /* each round clears a feature or is the last */
		changed = false;
		for (size_t i = 0; i < ARRAY_SIZE(dependencies); i++)
			if (!has(list, dependencies[i].name) &&
			    clear_dependents_of(list, dependencies[i].dependents))
				changed = true;
	} while (changed);
}

static void drop_orphaned_leaves(struct kvm_cpuid2 *list)
{
	for (size_t i = 0; i < ARRAY_SIZE(owned_leaves); i++)
		if (!has(list, owned_leaves[i].name))
			drop_function(list, owned_leaves[i].function);
}

/* Which state components no longer have a feature that uses them. */
static uint64_t orphaned_components(const struct kvm_cpuid2 *list)
{
	uint64_t orphans = 0;

	if (!has(list, "xsave"))
		return UINT64_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(xsave_owners); i++)
		if (!has(list, xsave_owners[i].name) &&
		    !(xsave_owners[i].or_name && has(list, xsave_owners[i].or_name)))
			orphans |= xsave_owners[i].components;
	return orphans;
}

static void trim_xsave(struct kvm_cpuid2 *list)
{
	uint64_t orphans = orphaned_components(list);
	uint32_t end = 512 + 64; /* legacy area and header */

	for (unsigned int i = 0; i < list->nent; i++) {
		struct kvm_cpuid_entry2 *e = &list->entries[i];

		if (e->function != 0xd || e->index >= 64)
			continue;
		if (e->index == 0) {
			e->eax &= (uint32_t)~orphans;
			e->edx &= (uint32_t)(~orphans >> 32);
		} else if (e->index == 1) {
			e->ecx &= (uint32_t)~orphans;
			e->edx &= (uint32_t)(~orphans >> 32);
		} else if (orphans & BIT64(e->index)) {
			e->eax = e->ebx = e->ecx = e->edx = 0;
		} else if (!(e->ecx & 1) && e->eax + e->ebx > end) {
			end = e->eax + e->ebx;
		}
	}

	for (unsigned int i = 0; i < list->nent; i++)
		if (list->entries[i].function == 0xd && !list->entries[i].index)
			list->entries[i].ebx = list->entries[i].ecx = has(list, "xsave") ? end : 0;
}

/* --- --cpu --- */

static int apply_change(struct kvm_cpuid2 *list, const struct kvm_cpuid2 *offered,
			const struct x86_cpuid_input *in, const char *text, size_t len)
{
	const char *name = len > 1 ? known_name(text + 1, len - 1) : NULL;
	bool found;

	if (!len || (*text != '+' && *text != '-')) {
		pr_fatal("--cpu %s: \"%.*s\" is neither +feature nor -feature", in->model, (int)len,
			 text);
		return -EINVAL;
	}
	if (!name) {
		pr_fatal("--cpu %s: unknown feature \"%.*s\"; names are those of /proc/cpuinfo",
			 in->model, (int)len - 1, text + 1);
		return -EINVAL;
	}
	if (*text == '-') {
		clear_feature(list, name);
		return 0;
	}
	found = copy_feature(list, offered, name);
	if (in->emulated && copy_feature(list, in->emulated, name))
		found = true;
	if (!found) {
		pr_fatal("--cpu %s: KVM on this host does not offer \"%s\"", in->model, name);
		return -ENOTSUP;
	}
	return 0;
}

/* Was a feature asked for that fell with another one that was removed? */
static int check_added(const struct kvm_cpuid2 *list, const struct x86_cpuid_input *in,
		       const char *changes)
{
	while (*changes == ',') {
		size_t len = strcspn(++changes, ",");
		const char *name = *changes == '+' ? known_name(changes + 1, len - 1) : NULL;

		if (name && !has(list, name)) {
			pr_fatal("--cpu %s: \"%s\" was added, but it or what it needs was removed",
				 in->model, name);
			return -EINVAL;
		}
		changes += len;
	}
	return 0;
}

static int apply_model(struct kvm_cpuid2 *list, const struct kvm_cpuid2 *offered,
		       const struct x86_cpuid_input *in)
{
	const char *model = in->model ? in->model : "host";
	size_t len = strcspn(model, ",");
	const char *changes = model + len;
	const char *p = changes;

	if (same_name("max", model, len)) {
		for (unsigned int w = 0; in->emulated && w < NR_WORDS; w++) {
			uint32_t *more = word_of((struct kvm_cpuid2 *)in->emulated, (enum word)w);
			uint32_t *value = word_of(list, (enum word)w);

			if (more && value)
				*value |= *more;
		}
	} else if (!same_name("host", model, len)) {
		pr_fatal("--cpu %s: no such model; use host or max, then ,+feature or ,-feature",
			 model);
		return -EINVAL;
	}

	while (*p == ',') {
		int ret;

		len = strcspn(++p, ",");
		ret = apply_change(list, offered, in, p, len);
		if (ret)
			return ret;
		p += len;
	}

	if (*changes || in->irqchip == IRQCHIP_OFF) {
		clear_dependents(list);
		drop_orphaned_leaves(list);
		trim_xsave(list);
	}
	return check_added(list, in, changes);
}

/* --- topology --- */

/* Bits that number @count things. */
static unsigned int width(unsigned int count)
{
	unsigned int bits = 0;

	while (bits < 31 && (1u << bits) < count)
		bits++;
	return bits;
}

uint32_t x86_cpuid__apic_id(const struct cpu_topology *topology, unsigned int index)
{
	unsigned int thread = index % topology->threads;
	unsigned int core = index / topology->threads % topology->cores;
	unsigned int socket = index / topology->threads / topology->cores;
	unsigned int core_shift = width(topology->threads);

	return socket << (core_shift + width(topology->cores)) | core << core_shift | thread;
}

uint32_t x86_cpuid__max_apic_id(const struct cpu_topology *topology)
{
	return x86_cpuid__apic_id(topology,
				  topology->sockets * topology->cores * topology->threads - 1);
}

static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

static void set_field(uint32_t *reg, unsigned int shift, unsigned int bits, uint32_t value)
{
	uint32_t mask = (BIT(bits) - 1) << shift;

	*reg = (*reg & ~mask) | (value << shift & mask);
}

static bool is_amd(const struct kvm_cpuid2 *list)
{
	uint32_t ebx = read_reg(list, 0, EBX);

	return ebx == 0x68747541 || ebx == 0x6f677948; /* "Auth"enticAMD, "Hygo"nGenuine */
}

static bool is_intel(const struct kvm_cpuid2 *list)
{
	return read_reg(list, 0, EBX) == 0x756e6547; /* "Genu"ineIntel */
}

/*
 * Leaf 4 and 0x8000001d: first and second level caches belong to a core, the third to a package.
 * Both count ids, not processors, so that "who shares this" is a shift of the APIC id.
 */
static void share_caches(struct kvm_cpuid2 *list, const struct cpu_topology *t)
{
	unsigned int core_shift = width(t->threads);
	unsigned int package_shift = core_shift + width(t->cores);

	for (unsigned int i = 0; i < list->nent; i++) {
		struct kvm_cpuid_entry2 *e = &list->entries[i];
		unsigned int level = e->eax >> 5 & 7;
		unsigned int shift = level > 2 ? package_shift : core_shift;

		if ((e->function != 4 && e->function != 0x8000001d) || !(e->eax & 0x1f))
			continue;
		set_field(&e->eax, 14, 12, at_most(BIT(shift) - 1, 0xfff));
		if (e->function == 4)
			set_field(&e->eax, 26, 6, at_most(BIT(width(t->cores)) - 1, 0x3f));
	}
}

/* Leaf 0xb, and 0x1f, which differs only in levels that we have none of. */
static int put_levels(struct kvm_cpuid2 *list, const struct cpu_topology *t, uint32_t function)
{
	unsigned int core_shift = width(t->threads);
	const struct kvm_cpuid_entry2 levels[] = {
		{ .index = 0, .eax = core_shift, .ebx = t->threads, .ecx = 1 << 8 },
		{ .index = 1,
		  .eax = core_shift + width(t->cores),
		  .ebx = t->cores * t->threads,
		  .ecx = 2 << 8 | 1 },
		{ .index = 2, .ecx = 2 },
	};

	drop_function(list, function);
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		struct kvm_cpuid_entry2 e = levels[i];

		e.function = function;
		e.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		if (put(list, &e))
			return -E2BIG;
	}
	return 0;
}

static int set_amd_topology(struct kvm_cpuid2 *list, const struct cpu_topology *t)
{
	const struct kvm_cpuid_entry2 node = { .function = 0x8000001e,
					       .ebx = at_most(t->threads - 1, 0xff) << 8 };
	struct kvm_cpuid_entry2 *sizes = find(list, 0x80000008, 0);
	uint32_t *features = word_of(list, W_8000_0001_ECX);
	uint32_t per_package = t->cores * t->threads;

	if (sizes) {
		set_field(&sizes->ecx, 0, 8, at_most(per_package - 1, 0xff));
		set_field(&sizes->ecx, 12, 4, at_most(width(t->threads) + width(t->cores), 15));
	}
	if (features)
		set_field(features, 1, 1, per_package > 1); /* cmp_legacy */
	drop_function(list, node.function);
	if (!has(list, "topoext") || read_reg(list, 0x80000000, EAX) < node.function)
		return 0;
	return put(list, &node);
}

static int set_topology(struct kvm_cpuid2 *list, const struct cpu_topology *t)
{
	struct kvm_cpuid_entry2 *max = find(list, 0, 0);
	struct kvm_cpuid_entry2 *leaf1 = find(list, 1, 0);
	uint32_t per_package = t->cores * t->threads;
	int ret;

	set_field(&leaf1->ebx, 16, 8, at_most(per_package, 255));
	set_field(&leaf1->edx, 28, 1, per_package > 1); /* ht: the field above is valid */
	if (!(leaf1->ebx >> 8 & 0xff))
		set_field(&leaf1->ebx, 8, 8, 64 / 8); /* cache line, for CLFLUSH */
	share_caches(list, t);

	if (max->eax < 0xb)
		max->eax = 0xb;
	ret = put_levels(list, t, 0xb);
	if (!ret && find(list, 0, 0)->eax >= 0x1f)
		ret = put_levels(list, t, 0x1f);
	if (ret)
		return ret;

	drop_function(list, 0x80000026); /* AMD's newer topology leaf: 0xb says the same */
	return is_amd(list) ? set_amd_topology(list, t) : 0;
}

/* --- clocks --- */

/*
 * Leaf 0x15 gives the TSC as a multiple of a crystal that Linux also takes for the local APIC's
 * clock, so the crystal is KVM's 1 GHz. Linux multiplies kHz by the numerator in 32 bits, hence the
 * bound; the best fraction within it is good if it is off by no more than 1 ppm.
 */
static bool tsc_fraction(uint32_t khz, uint32_t *numerator, uint32_t *denominator)
{
	const uint64_t limit = UINT32_MAX / X86_APIC_BUS_KHZ;
	uint64_t best_error = UINT64_MAX, best_den = 1, best_num = 0;

	for (uint64_t den = 1; den <= limit; den++) {
		uint64_t wanted = khz * den;
		uint64_t num = (wanted + X86_APIC_BUS_KHZ / 2) / X86_APIC_BUS_KHZ;
		uint64_t got = num * X86_APIC_BUS_KHZ;
		uint64_t error = got > wanted ? got - wanted : wanted - got;

		if (num > limit)
			break;
		if (best_error == UINT64_MAX || error * best_den < best_error * den) {
			best_error = error;
			best_den = den;
			best_num = num;
		}
	}
	if (!best_num || best_error * 1000000 > (uint64_t)khz * best_den)
		return false;
	*numerator = (uint32_t)best_num;
	*denominator = (uint32_t)best_den;
	return true;
}

static int set_clocks(struct kvm_cpuid2 *list, uint32_t tsc_khz)
{
	struct kvm_cpuid_entry2 *signature;
	uint32_t max = read_reg(list, 0, EAX);
	struct kvm_cpuid_entry2 crystal = { .function = 0x15 };
	struct kvm_cpuid_entry2 speed = { .function = 0x16 };
	struct kvm_cpuid_entry2 timing = { .function = LEAF_TIMING };
	int ret = 0;

	drop_function(list, 0x15); /* not the host's */
	drop_function(list, 0x16);
	if (!tsc_khz || !has(list, "nonstop_tsc"))
		return 0;

	if (is_intel(list) && max >= 0x15 && tsc_fraction(tsc_khz, &crystal.ebx, &crystal.eax)) {
		crystal.ecx = X86_APIC_BUS_KHZ * 1000;
		ret = put(list, &crystal);
	}
	if (!ret && is_intel(list) && max >= 0x16) {
		speed.eax = speed.ebx = at_most((tsc_khz + 500) / 1000, 0xffff);
		speed.ecx = 100; /* bus MHz */
		ret = put(list, &speed);
	}
	signature = find(list, KVM_CPUID_SIGNATURE, 0);
	if (!ret && signature && signature->ebx == 0x4b4d564b) { /* "KVMK"VMKVM */
		if (signature->eax < LEAF_TIMING)
			signature->eax = LEAF_TIMING;
		timing.eax = tsc_khz;
		timing.ebx = has(list, "apic") ? X86_APIC_BUS_KHZ : 0;
		ret = put(list, &timing);
	}
	return ret;
}

/* --- a VM's CPUID --- */

/* What the board adds to, or takes from, what KVM offers. */
static void set_board_features(struct kvm_cpuid2 *list, const struct x86_cpuid_input *in)
{
	struct kvm_cpuid_entry2 *leaf1 = find(list, 1, 0);
	struct kvm_cpuid_entry2 *leaf7 = find(list, 7, 0);

	set_feature(list, "hypervisor");
	leaf1->ecx &= ~BIT(27); /* OSXSAVE and OSPKE follow CR4: KVM's business */
	if (leaf7)
		leaf7->ecx &= ~BIT(4);

	if (in->irqchip == IRQCHIP_OFF) {
		clear_feature(list, "apic");
		clear_feature(list, "x2apic");
	}
	clear_feature(list, "tsc_deadline_timer");
	if (in->tsc_deadline && in->irqchip != IRQCHIP_OFF)
		set_feature(list, "tsc_deadline_timer");
	clear_feature(list, "kvm_msi_ext_dest_id");
	if (in->msi_ext_dest_id)
		set_feature(list, "kvm_msi_ext_dest_id");
}

static struct kvm_cpuid2 *copy_list(const struct kvm_cpuid2 *list)
{
	struct kvm_cpuid2 *copy = calloc(1, list_size(X86_CPUID_MAX_ENTRIES));

	if (!copy)
		return NULL;
	copy->nent = at_most(list->nent, X86_CPUID_MAX_ENTRIES);
	memcpy(copy->entries, list->entries, copy->nent * sizeof(copy->entries[0]));
	return copy;
}

static int build_list(struct kvm_cpuid2 *list, struct kvm_cpuid2 *offered,
		      const struct x86_cpuid_input *in)
{
	int ret;

	if (!find(list, 0, 0) || !find(list, 1, 0)) {
		pr_fatal("KVM_GET_SUPPORTED_CPUID does not describe a processor (no leaf 0 or 1)");
		return -EINVAL;
	}
	set_board_features(list, in);
	set_board_features(offered, in);
	ret = apply_model(list, offered, in);
	if (ret)
		return ret;

	drop_zeros(list);
	ret = set_topology(list, &in->topology);
	if (!ret)
		ret = set_clocks(list, in->tsc_khz);
	if (ret)
		pr_fatal("CPUID needs more than the %u entries KVM takes", X86_CPUID_MAX_ENTRIES);
	return ret;
}

int x86_cpuid__build(struct x86_cpuid *cpuid, const struct x86_cpuid_input *in)
{
	struct kvm_cpuid2 *list = copy_list(in->supported);
	struct kvm_cpuid2 *offered = copy_list(in->supported);
	int ret = -ENOMEM;

	if (list && offered)
		ret = build_list(list, offered, in);
	else
		pr_fatal("no memory for CPUID");
	free(offered);
	if (ret) {
		free(list);
		return ret;
	}
	*cpuid = (struct x86_cpuid){ in->topology, in->irqchip, list };
	return 0;
}

int x86_cpuid__init(struct x86_cpuid *cpuid, const struct kvm *kvm, enum irqchip_mode irqchip,
		    bool msi_ext_dest_id)
{
	struct x86_cpuid_input in = {
		.model = kvm->cfg->cpu_model,
		.topology = kvm->cfg->cpus,
		.irqchip = irqchip,
		.tsc_deadline = irqchip != IRQCHIP_OFF && kvm__cap(kvm, KVM_CAP_TSC_DEADLINE_TIMER),
		.msi_ext_dest_id = msi_ext_dest_id,
	};
	struct kvm_cpuid2 *supported = NULL, *emulated = NULL;
	int khz = sys__ioctl(kvm->vm_fd, KVM_GET_TSC_KHZ, NULL);
	int ret = x86_cpuid__fetch(kvm->sys_fd, KVM_GET_SUPPORTED_CPUID, &supported);

	if (ret) {
		pr_fatal("KVM_GET_SUPPORTED_CPUID: %s", strerror(-ret));
		return ret;
	}
	/* A KVM that emulates nothing may lack this one. */
	if (in.model && strcmp(in.model, "host"))
		x86_cpuid__fetch(kvm->sys_fd, KVM_GET_EMULATED_CPUID, &emulated);

	in.tsc_khz = khz > 0 ? (uint32_t)khz : 0; /* old KVMs know it per vCPU only */
	in.supported = supported;
	in.emulated = emulated;
	ret = x86_cpuid__build(cpuid, &in);
	free(supported);
	free(emulated);
	return ret;
}

void x86_cpuid__free(struct x86_cpuid *cpuid)
{
	free(cpuid->list);
	cpuid->list = NULL;
}

struct kvm_cpuid2 *x86_cpuid__of(struct x86_cpuid *cpuid, unsigned int index)
{
	const struct cpu_topology *t = &cpuid->topology;
	uint32_t id = x86_cpuid__apic_id(t, index);

	for (unsigned int i = 0; i < cpuid->list->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->list->entries[i];

		switch (e->function) {
		case 1:
			set_field(&e->ebx, 24, 8, id & 0xff);
			break;
		case 0xb:
		case 0x1f:
			e->edx = id;
			break;
		case 0x8000001e:
			e->eax = id;
			set_field(&e->ebx, 0, 8, index / t->threads % t->cores);
			set_field(&e->ecx, 0, 8, index / t->threads / t->cores);
			break;
		}
	}
	return cpuid->list;
}

unsigned int x86_cpuid__phys_bits(const struct x86_cpuid *cpuid)
{
	unsigned int bits = read_reg(cpuid->list, 0x80000008, EAX) & 0xff;

	return bits >= 32 && bits <= 52 ? bits : 36;
}
