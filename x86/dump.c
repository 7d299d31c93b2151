// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything about an x86 vCPU that stopped.
 *
 * Theory of operation: the state is fetched once, then each part prints itself. Guest-virtual
 * addresses are translated here, by the guest's own tables, rather than by KVM_TRANSLATE: so each
 * level can be shown, and the entry at which it ends. All of guest memory is reached through
 * guest_memory__read(), every chain (tables, frames, stack) has a fixed bound, and what a
 * symbol file says is printed only as far as it is printable.
 */
#include "x86/dump.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <linux/kvm.h>

#include "kvm/config.h"
#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"
#include "kvm/symbols.h"
#include "kvm/sys.h"

#define RESET_RIP     0xfff0
#define RESET_CS_BASE 0xffff0000
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define CR0_PE	      0x1u
#define CR0_PG	      0x80000000u
#define CR4_PSE	      0x10u
#define CR4_PAE	      0x20u
#define CR4_LA57      0x1000u
#define EFER_LMA      0x400u
#define RFLAGS_VM     0x20000u
#define PTE_PRESENT   0x1u
#define PTE_PAGE_SIZE 0x80u
#define PTE_ADDRESS   0x000ffffffffff000ull

#define MSR_STAR	   0xc0000081
#define MSR_LSTAR	   0xc0000082
#define MSR_KERNEL_GS_BASE 0xc0000102

/* Younger than the oldest headers this builds against. */
#ifndef KVM_RUN_X86_GUEST_MODE
#define KVM_RUN_X86_GUEST_MODE (1 << 2)
#endif

#define CODE_BEFORE 42 /* as in the kernel's own "Code:" line, which scripts/decodecode reads */
#define CODE_AFTER  21
#define STACK_WORDS 16
#define MAX_FRAMES  64
#define SCAN_WORDS  1024
#define MAX_GUESSES 32
#define KASLR_ALIGN 0x200000u

/**
 * struct dump - a dump under way
 * @cpu:      whose
 * @out:      where to
 * @ram:      guest memory
 * @regs, @sregs: registers
 * @lstar:    MSR_LSTAR, or 0
 * @symbols:  names, or NULL
 * @slide:    how far the kernel runs from where it was linked
 * @text, @text_end: kernel text at run time; no bound on names if both are 0
 */
struct dump {
	struct kvm_cpu *cpu;
	FILE *out;
	const struct guest_memory *ram;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint64_t lstar;
	struct symbols *symbols;
	uint64_t slide;
	uint64_t text, text_end;
};

/* --- bits with names ---------------------------------------------------------------------------
 */

/* clang-format off */
static const char *const rflags_bits[64] = {
	[0] = "CF", [2] = "PF", [4] = "AF", [6] = "ZF", [7] = "SF", [8] = "TF", [9] = "IF",
	[10] = "DF", [11] = "OF", [14] = "NT", [16] = "RF", [17] = "VM", [18] = "AC",
	[19] = "VIF", [20] = "VIP", [21] = "ID",
};
static const char *const cr0_bits[64] = {
	[0] = "PE", [1] = "MP", [2] = "EM", [3] = "TS", [4] = "ET", [5] = "NE", [16] = "WP",
	[18] = "AM", [29] = "NW", [30] = "CD", [31] = "PG",
};
static const char *const cr4_bits[64] = {
	[0] = "VME", [1] = "PVI", [2] = "TSD", [3] = "DE", [4] = "PSE", [5] = "PAE", [6] = "MCE",
	[7] = "PGE", [8] = "PCE", [9] = "OSFXSR", [10] = "OSXMMEXCPT", [11] = "UMIP",
	[12] = "LA57", [13] = "VMXE", [14] = "SMXE", [16] = "FSGSBASE", [17] = "PCIDE",
	[18] = "OSXSAVE", [20] = "SMEP", [21] = "SMAP", [22] = "PKE", [23] = "CET", [24] = "PKS",
	[28] = "LAM_SUP",
};
static const char *const efer_bits[64] = {
	[0] = "SCE", [8] = "LME", [10] = "LMA", [11] = "NXE", [12] = "SVME", [13] = "LMSLE",
	[14] = "FFXSR", [15] = "TCE", [21] = "AIBRSE",
};
static const char *const apic_base_bits[64] = { [8] = "BSP", [10] = "x2APIC", [11] = "on" };
static const char *const pte_bits[64] = {
	[0] = "P", [1] = "W", [2] = "U", [3] = "PWT", [4] = "PCD", [5] = "A", [6] = "D",
	[7] = "PS", [8] = "G", [63] = "NX",
};
/* clang-format on */

static void print_bits(FILE *out, const char *const names[64], uint64_t value)
{
	const char *separator = "";

	fputs(" [", out);
	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(value >> bit & 1) || !names[bit])
			continue;
		fprintf(out, "%s%s", separator, names[bit]);
		separator = " ";
	}
	fputc(']', out);
}

static void print_register(FILE *out, const char *name, uint64_t value, const char *const names[64])
{
	fprintf(out, "%s %016llx", name, (unsigned long long)value);
	print_bits(out, names, value);
	fputc('\n', out);
}

/* --- modes ---------------------------------------------------------------------------------------
 */

static bool long_mode(const struct dump *d)
{
	return d->sregs.efer & EFER_LMA;
}

static bool mode64(const struct dump *d)
{
	return long_mode(d) && d->sregs.cs.l;
}

/* Bytes of a word on the stack. */
static unsigned int word_size(const struct dump *d)
{
	if (mode64(d))
		return 8;
	return d->sregs.cs.db ? 4 : 2;
}

/* Segment bases count outside 64-bit mode, where addresses have 32 bits. */
static uint64_t linear(const struct dump *d, const struct kvm_segment *segment, uint64_t offset)
{
	return mode64(d) ? offset : (uint32_t)(segment->base + offset);
}

/* --- page walk -----------------------------------------------------------------------------------
 */

enum walk_end {
	WALK_MAPPED,
	WALK_NOT_PRESENT,
	WALK_NOT_RAM,
	WALK_NOT_CANONICAL,
};

/**
 * struct walk - the way from a linear to a physical address
 * @level:     what was read, from the root down
 * @nr:        how many levels that are
 * @end:       how it ended, at the last level
 * @gpa:       result, if mapped
 * @page_size: bytes of the page that maps it; 0 without paging
 */
struct walk {
	struct {
		const char *name;
		unsigned int index;
		uint64_t gpa, entry;
	} level[5];
	unsigned int nr;
	enum walk_end end;
	uint64_t gpa, page_size;
};

/* One kind of paging: levels from the root, each of which decodes @bits of the address. */
struct paging {
	const char *what;
	unsigned int nr, entry_size;
	uint64_t root_mask;
	struct {
		const char *name;
		unsigned int shift, bits;
		bool may_be_page;
	} level[5];
};

/* clang-format off */
static const struct paging paging_5 = { "5 levels", 5, 8, PTE_ADDRESS, {
	{ "PML5", 48, 9, false }, { "PML4", 39, 9, false }, { "PDPT", 30, 9, true },
	{ "PD", 21, 9, true }, { "PT", 12, 9, false } } };
static const struct paging paging_4 = { "4 levels", 4, 8, PTE_ADDRESS, {
	{ "PML4", 39, 9, false }, { "PDPT", 30, 9, true },
	{ "PD", 21, 9, true }, { "PT", 12, 9, false } } };
static const struct paging paging_pae = { "PAE", 3, 8, 0xffffffe0, {
	{ "PDPT", 30, 2, false }, { "PD", 21, 9, true }, { "PT", 12, 9, false } } };
static const struct paging paging_32_pse = { "32 bits", 2, 4, 0xfffff000, {
	{ "PD", 22, 10, true }, { "PT", 12, 10, false } } };
static const struct paging paging_32 = { "32 bits, no PSE", 2, 4, 0xfffff000, {
	{ "PD", 22, 10, false }, { "PT", 12, 10, false } } };
/* clang-format on */

static const struct paging *paging_of(const struct dump *d)
{
	if (!(d->sregs.cr0 & CR0_PG))
		return NULL;
	if (long_mode(d))
		return d->sregs.cr4 & CR4_LA57 ? &paging_5 : &paging_4;
	if (d->sregs.cr4 & CR4_PAE)
		return &paging_pae;
	return d->sregs.cr4 & CR4_PSE ? &paging_32_pse : &paging_32;
}

static bool canonical(const struct paging *paging, uint64_t address)
{
	unsigned int top = paging->level[0].shift + paging->level[0].bits - 1;

	return paging->nr < 4 || address >> top == 0 || address >> top == UINT64_MAX >> top;
}

/* Where the page or table is that an entry points to, for a page of 1 << @shift bytes. */
static uint64_t target(const struct paging *paging, uint64_t entry, unsigned int shift)
{
	uint64_t address = entry & PTE_ADDRESS & ~((1ull << shift) - 1);

	if (paging->entry_size == 4 && shift == 22) /* PSE-36: bits 39:32 are in 20:13 */
		address |= (entry >> 13 & 0xff) << 32;
	return address;
}

static void walk_tables(const struct dump *d, const struct paging *paging, uint64_t address,
			struct walk *w)
{
	uint64_t table = d->sregs.cr3 & paging->root_mask;

	for (unsigned int i = 0; i < paging->nr; i++) {
		unsigned int shift = paging->level[i].shift;
		uint64_t index = address >> shift & ((1u << paging->level[i].bits) - 1);
		uint64_t gpa = table + index * paging->entry_size;
		uint64_t entry = 0;
		bool last = i + 1 == paging->nr;

		w->level[i].name = paging->level[i].name;
		w->level[i].index = (unsigned int)index;
		w->level[i].gpa = gpa;
		w->nr = i + 1;
		w->end = WALK_NOT_RAM;
		if (guest_memory__read(d->ram, gpa, &entry, paging->entry_size))
			return;
		w->level[i].entry = entry;
		w->end = WALK_NOT_PRESENT;
		if (!(entry & PTE_PRESENT))
			return;
		if (last || (paging->level[i].may_be_page && entry & PTE_PAGE_SIZE)) {
			w->end = WALK_MAPPED;
			w->page_size = 1ull << shift;
			w->gpa = target(paging, entry, shift) | (address & (w->page_size - 1));
			return;
		}
		table = entry & PTE_ADDRESS;
	}
}

static void walk(const struct dump *d, uint64_t address, struct walk *w)
{
	const struct paging *paging = paging_of(d);

	*w = (struct walk){ .end = WALK_MAPPED, .gpa = address };
	if (!paging)
		return;
	if (!canonical(paging, address)) {
		w->end = WALK_NOT_CANONICAL;
		return;
	}
	walk_tables(d, paging, address, w);
}

static void print_walk(const struct dump *d, uint64_t address)
{
	const struct paging *paging = paging_of(d);
	struct walk w;

	walk(d, address, &w);
	fprintf(d->out, "Translation of RIP (linear %016llx), %s:\n", (unsigned long long)address,
		paging ? paging->what : "paging is off");
	for (unsigned int i = 0; i < w.nr; i++) {
		bool last = i + 1 == w.nr;

		fprintf(d->out, "  %-4s[%3u] at %010llx: ", w.level[i].name, w.level[i].index,
			(unsigned long long)w.level[i].gpa);
		if (last && w.end == WALK_NOT_RAM) {
			fputs("not in RAM\n", d->out);
			return;
		}
		fprintf(d->out, "%016llx", (unsigned long long)w.level[i].entry);
		if (last && w.end == WALK_NOT_PRESENT) {
			fputs(" not present here\n", d->out);
			return;
		}
		print_bits(d->out, pte_bits, w.level[i].entry);
		fputc('\n', d->out);
	}
	if (w.end == WALK_NOT_CANONICAL)
		fputs("  not a canonical address\n", d->out);
	else if (w.page_size)
		fprintf(d->out, "  physical %010llx in a page of %llu KiB\n",
			(unsigned long long)w.gpa, (unsigned long long)w.page_size >> 10);
}

/* Read guest-virtual memory, which may cross pages. */
static bool read_linear(const struct dump *d, uint64_t address, void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		uint64_t at = address + done;
		uint64_t in_page = 0x1000 - (at & 0xfff);
		size_t chunk = len - done < in_page ? len - done : (size_t)in_page;
		struct walk w;

		walk(d, at, &w);
		if (w.end != WALK_MAPPED ||
		    guest_memory__read(d->ram, w.gpa, (char *)to + done, chunk))
			return false;
		done += chunk;
	}
	return true;
}

/* --- the last exit --- */

static const char *suberror_name(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "KVM could not emulate an instruction";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "exceptions at the same time";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "an exit while an event was delivered";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "an exit KVM does not expect";
	default:
		return "unknown";
	}
}

static void print_internal_error(const struct kvm_run *run, FILE *out)
{
	uint32_t nr = run->internal.ndata;

	fprintf(out, ", suberror %u (%s)", run->internal.suberror,
		suberror_name(run->internal.suberror));
	if (nr > ARRAY_SIZE(run->internal.data))
		nr = ARRAY_SIZE(run->internal.data);
	for (uint32_t i = 0; i < nr; i++)
		fprintf(out, "%s%#llx", i ? " " : ", data ",
			(unsigned long long)run->internal.data[i]);

	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION || nr < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	fputs(", instruction", out);
	for (uint32_t i = 0;
	     i < run->emulation_failure.insn_size && i < sizeof(run->emulation_failure.insn_bytes);
	     i++)
		fprintf(out, " %02x", run->emulation_failure.insn_bytes[i]);
}

static void print_exit(const struct dump *d)
{
	const struct kvm_run *run = d->cpu->run;
	FILE *out = d->out;

	fprintf(out, "vCPU %u (id %lu), last exit %u (%s)", d->cpu->index, d->cpu->id,
		run->exit_reason, kvm_cpu__exit_name(run->exit_reason));
	switch (run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		print_internal_error(run, out);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fprintf(out, ", hardware entry failure reason %#llx on host CPU %u",
			(unsigned long long)run->fail_entry.hardware_entry_failure_reason,
			run->fail_entry.cpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		fputs(", a triple fault", out);
		break;
	case KVM_EXIT_UNKNOWN:
		fprintf(out, ", hardware exit reason %#llx",
			(unsigned long long)run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_MMIO:
		fprintf(out, ", %s %u bytes at %#llx", run->mmio.is_write ? "write" : "read",
			run->mmio.len, (unsigned long long)run->mmio.phys_addr);
		break;
	case KVM_EXIT_IO:
		fprintf(out, ", %s %u bytes at port %#x",
			run->io.direction == KVM_EXIT_IO_OUT ? "write" : "read", run->io.size,
			run->io.port);
		break;
	}
	fputc('\n', out);
	if (run->flags & KVM_RUN_X86_SMM)
		fputs("In system management mode.\n", out);
	if (run->flags & KVM_RUN_X86_GUEST_MODE)
		fputs("In a nested guest: what follows is its state, and addresses are read as if\n"
		      "they were the outer guest's.\n",
		      out);
}

/* --- symbols --- */

static void print_name(FILE *out, const struct symbol *symbol, uint64_t address)
{
	for (int i = 0; i < symbol->name_len; i++) {
		char c = symbol->name[i];

		fputc(c > ' ' && c < 0x7f ? c : '?', out);
	}
	fprintf(out, "+%#llx/%#llx", (unsigned long long)(address - symbol->address),
		(unsigned long long)symbol->size);
}

static bool find_code(const struct dump *d, uint64_t address, struct symbol *symbol)
{
	if (!d->symbols || (d->text_end && (address < d->text || address >= d->text_end)))
		return false;
	return symbols__find(d->symbols, address - d->slide, symbol) && symbol->function;
}

/* Gate 0 of the IDT: where divide errors go. */
static bool first_gate(const struct dump *d, uint64_t *handler)
{
	uint64_t gate[2];

	if (!long_mode(d) || d->sregs.idt.limit < sizeof(gate) - 1 ||
	    !read_linear(d, d->sregs.idt.base, gate, sizeof(gate)) || !(gate[0] >> 47 & 1))
		return false;
	*handler = (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32;
	return true;
}

static bool slide_fits(struct dump *d, uint64_t actual, const char *name)
{
	uint64_t linked;

	if (!symbols__address(d->symbols, name, &linked) || (actual - linked) % KASLR_ALIGN)
		return false;
	d->slide = actual - linked;
	return true;
}

/*
 * Two addresses of Linux are known from registers: the entry of system calls, and, before that is
 * set, the handler of divide errors (which has had three names).
 */
static bool find_slide(struct dump *d)
{
	static const char *const divide_errors[] = { "asm_exc_divide_error", "divide_error",
						     "early_idt_handler_array" };
	uint64_t handler, linked;

	if (!symbols__address(d->symbols, "entry_SYSCALL_64", &linked))
		return true; /* not Linux: runs where it was linked */
	if (d->lstar && slide_fits(d, d->lstar, "entry_SYSCALL_64"))
		return true;
	if (!first_gate(d, &handler))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(divide_errors); i++)
		if (slide_fits(d, handler, divide_errors[i]))
			return true;
	return false;
}

static void open_symbols(struct dump *d)
{
	const struct vm_config *cfg = d->cpu->kvm->cfg;
	const char *path = cfg->vmlinux ? cfg->vmlinux : cfg->kernel;
	int ret = path ? symbols__open(path, &d->symbols) : -ENOENT;

	if (ret) {
		d->symbols = NULL;
		if (cfg->vmlinux)
			fprintf(d->out, "No symbols: %s: %s\n", path,
				ret == -ENODATA ? "no symbol table" : strerror(-ret));
		return;
	}
	if (!find_slide(d))
		fprintf(d->out, "Symbols of %s may be off: the kernel's KASLR offset is unknown.\n",
			path);
	if (d->slide)
		fprintf(d->out, "KASLR offset: %#llx\n", (unsigned long long)d->slide);
	if (symbols__address(d->symbols, "_text", &d->text) &&
	    symbols__address(d->symbols, "_end", &d->text_end)) {
		d->text += d->slide;
		d->text_end += d->slide;
	} else {
		d->text = d->text_end = 0;
	}
}

/* --- registers --- */

static void print_general(const struct dump *d)
{
	const struct kvm_regs *r = &d->regs;
	const struct {
		const char *name;
		uint64_t value;
	} general[] = {
		{ "RAX", r->rax }, { "RBX", r->rbx }, { "RCX", r->rcx }, { "RDX", r->rdx },
		{ "RSI", r->rsi }, { "RDI", r->rdi }, { "RBP", r->rbp }, { "RSP", r->rsp },
		{ "R8 ", r->r8 },  { "R9 ", r->r9 },  { "R10", r->r10 }, { "R11", r->r11 },
		{ "R12", r->r12 }, { "R13", r->r13 }, { "R14", r->r14 }, { "R15", r->r15 },
	};
	struct symbol symbol;

	fprintf(d->out, "RIP: %04x:%016llx", d->sregs.cs.selector, (unsigned long long)r->rip);
	if (find_code(d, linear(d, &d->sregs.cs, r->rip), &symbol)) {
		fputc(' ', d->out);
		print_name(d->out, &symbol, linear(d, &d->sregs.cs, r->rip) - d->slide);
	}
	fputc('\n', d->out);
	for (size_t i = 0; i < ARRAY_SIZE(general); i++)
		fprintf(d->out, "%s: %016llx%c", general[i].name,
			(unsigned long long)general[i].value, i % 4 == 3 ? '\n' : ' ');
	fprintf(d->out, "RFLAGS: %08llx IOPL %u", (unsigned long long)r->rflags,
		(unsigned int)(r->rflags >> 12 & 3));
	print_bits(d->out, rflags_bits, r->rflags);
	fputc('\n', d->out);
}

static const char *segment_kind(const struct kvm_segment *s)
{
	if (s->unusable || !s->present)
		return "unusable";
	if (!s->s)
		return "system";
	if (!(s->type & 8))
		return s->type & 2 ? "data rw" : "data r";
	if (s->l)
		return "code 64";
	return s->db ? "code 32" : "code 16";
}

static void print_segment(FILE *out, const char *name, const struct kvm_segment *s)
{
	fprintf(out, "%-3s: %04x base %016llx limit %08x type %x dpl %u %s\n", name, s->selector,
		(unsigned long long)s->base, s->limit, s->type, s->dpl, segment_kind(s));
}

static void print_special(const struct dump *d)
{
	const struct kvm_sregs *s = &d->sregs;
	FILE *out = d->out;

	print_segment(out, "CS", &s->cs);
	print_segment(out, "SS", &s->ss);
	print_segment(out, "DS", &s->ds);
	print_segment(out, "ES", &s->es);
	print_segment(out, "FS", &s->fs);
	print_segment(out, "GS", &s->gs);
	print_segment(out, "TR", &s->tr);
	print_segment(out, "LDT", &s->ldt);
	fprintf(out, "GDT:      base %016llx limit %08x\n", (unsigned long long)s->gdt.base,
		s->gdt.limit);
	fprintf(out, "IDT:      base %016llx limit %08x\n", (unsigned long long)s->idt.base,
		s->idt.limit);
	print_register(out, "CR0: ", s->cr0, cr0_bits);
	fprintf(out, "CR2:  %016llx\nCR3:  %016llx\n", (unsigned long long)s->cr2,
		(unsigned long long)s->cr3);
	print_register(out, "CR4: ", s->cr4, cr4_bits);
	fprintf(out, "CR8:  %016llx\n", (unsigned long long)s->cr8);
	print_register(out, "EFER:", s->efer, efer_bits);
	print_register(out, "APIC:", s->apic_base, apic_base_bits);
}

/* --- what is fetched only to be printed --- */

static bool fetch(const struct dump *d, unsigned long request, void *arg, const char *name)
{
	int ret = sys__ioctl(d->cpu->fd, request, arg);

	if (ret < 0)
		fprintf(d->out, "%s: %s\n", name, strerror(-ret));
	return ret >= 0;
}

static void print_debug_registers(const struct dump *d)
{
	struct kvm_debugregs regs = { 0 };

	if (!fetch(d, KVM_GET_DEBUGREGS, &regs, "KVM_GET_DEBUGREGS"))
		return;
	fprintf(d->out, "DR0: %016llx DR1: %016llx DR2: %016llx DR3: %016llx\n",
		(unsigned long long)regs.db[0], (unsigned long long)regs.db[1],
		(unsigned long long)regs.db[2], (unsigned long long)regs.db[3]);
	fprintf(d->out, "DR6: %016llx DR7: %016llx\n", (unsigned long long)regs.dr6,
		(unsigned long long)regs.dr7);
}

static void print_msrs(struct dump *d)
{
	static const struct {
		uint32_t index;
		const char *name;
	} msrs[] = {
		{ MSR_LSTAR, "LSTAR" },
		{ MSR_STAR, "STAR" },
		{ MSR_KERNEL_GS_BASE, "KERNEL_GS_BASE" },
	};
	struct { /* struct kvm_msrs with room */
		uint32_t nr, pad;
		struct kvm_msr_entry entry[ARRAY_SIZE(msrs)];
	} list = { .nr = ARRAY_SIZE(msrs) };
	int done;

	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		list.entry[i].index = msrs[i].index;
	done = sys__ioctl(d->cpu->fd, KVM_GET_MSRS, &list);
	if (done < 0)
		fprintf(d->out, "KVM_GET_MSRS: %s\n", strerror(-done));
	for (int i = 0; i < done && i < (int)ARRAY_SIZE(msrs); i++)
		fprintf(d->out, "%s%s: %016llx", i ? " " : "", msrs[i].name,
			(unsigned long long)list.entry[i].data);
	if (done > 0) {
		fputc('\n', d->out);
		d->lstar = list.entry[0].data;
	}
}

static void print_mp_state(const struct dump *d)
{
	static const char *const names[] = { "running", "waits for INIT or SIPI", "INIT received",
					     "halted", "SIPI received" };
	struct kvm_mp_state state = { 0 };

	if (!fetch(d, KVM_GET_MP_STATE, &state, "KVM_GET_MP_STATE"))
		return;
	fprintf(d->out, "State: %u (%s)\n", state.mp_state,
		state.mp_state < ARRAY_SIZE(names) ? names[state.mp_state] : "unknown");
}

static void print_exception(FILE *out, const struct kvm_vcpu_events *events)
{
	static const char *const names[32] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL,  "#TS",
		"#NP", "#SS", "#GP", "#PF", NULL,  "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
	};
	uint8_t nr = events->exception.nr;

	fprintf(out, " exception %u (%s) %s", nr, nr < 32 && names[nr] ? names[nr] : "?",
		events->exception.injected ? "injected" : "pending");
	if (events->exception.has_error_code)
		fprintf(out, " error %#x", events->exception.error_code);
}

static void print_events(const struct dump *d)
{
	struct kvm_vcpu_events e = { 0 };
	FILE *out = d->out;

	if (!fetch(d, KVM_GET_VCPU_EVENTS, &e, "KVM_GET_VCPU_EVENTS"))
		return;
	fputs("Events:", out);
	if (e.exception.injected || e.exception.pending)
		print_exception(out, &e);
	if (e.interrupt.injected)
		fprintf(out, " %s %#x injected",
			e.interrupt.soft ? "software interrupt" : "interrupt", e.interrupt.nr);
	if (e.interrupt.shadow)
		fputs(" interrupt-shadow", out);
	if (e.nmi.injected || e.nmi.pending)
		fprintf(out, " NMI %s", e.nmi.injected ? "injected" : "pending");
	if (e.nmi.masked)
		fputs(" NMI-masked", out);
	if (e.flags & KVM_VCPUEVENT_VALID_SMM && (e.smi.smm || e.smi.pending))
		fputs(" SMI", out);
	if (e.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT && e.triple_fault.pending)
		fputs(" triple-fault-pending", out);
	fputs("\n", out);
}

/* --- code, stack, back-trace --- */

static void print_code(const struct dump *d)
{
	uint64_t rip = linear(d, &d->sregs.cs, d->regs.rip);

	fputs("Code:", d->out);
	for (int i = -CODE_BEFORE; i <= CODE_AFTER; i++) {
		char text[4] = "--";
		unsigned char byte;

		if (read_linear(d, rip + (uint64_t)(int64_t)i, &byte, 1))
			snprintf(text, sizeof(text), "%02x", byte);
		fprintf(d->out, i ? " %s" : " <%s>", text);
	}
	fputc('\n', d->out);
}

static bool read_word(const struct dump *d, uint64_t address, uint64_t *value)
{
	*value = 0;
	return read_linear(d, address, value, word_size(d));
}

static void print_stack(const struct dump *d)
{
	uint64_t sp = linear(d, &d->sregs.ss, d->regs.rsp);
	unsigned int size = word_size(d);
	uint64_t value;

	fputs("Stack:", d->out);
	for (unsigned int i = 0; i < STACK_WORDS; i++) {
		if (!read_word(d, sp + i * size, &value)) {
			fputs(" (not mapped)", d->out);
			break;
		}
		fprintf(d->out, "%s%0*llx", i % 4 || !i ? " " : "\n       ", (int)size * 2,
			(unsigned long long)value);
	}
	fputc('\n', d->out);
}

static void print_frame(const struct dump *d, const char *mark, uint64_t address)
{
	struct symbol symbol;

	fprintf(d->out, "  %s%016llx", mark, (unsigned long long)address);
	if (find_code(d, address, &symbol)) {
		fputc(' ', d->out);
		print_name(d->out, &symbol, address - d->slide);
	}
	fputc('\n', d->out);
}

/* With names, a return address has one; without, it is at least somewhere. */
static bool is_return_address(const struct dump *d, uint64_t address)
{
	struct symbol symbol;
	unsigned char byte;

	if (d->symbols)
		return find_code(d, address, &symbol);
	return address && read_linear(d, address, &byte, 1);
}

/* Return: frames found. Stacks grow down, so each frame is above the last: that ends loops. */
static unsigned int follow_frames(const struct dump *d)
{
	uint64_t size = word_size(d), frame = linear(d, &d->sregs.ss, d->regs.rbp);
	uint64_t next, ret;
	unsigned int nr = 0;

	while (nr < MAX_FRAMES && frame && frame % size == 0 && read_word(d, frame, &next) &&
	       read_word(d, frame + size, &ret) && is_return_address(d, ret)) {
		print_frame(d, "", ret);
		nr++;
		if (next <= frame)
			break;
		frame = next;
	}
	return nr;
}

static unsigned int guess_frames(const struct dump *d)
{
	uint64_t sp = linear(d, &d->sregs.ss, d->regs.rsp) & ~(uint64_t)(word_size(d) - 1);
	unsigned int found = 0;
	uint64_t value;

	for (unsigned int i = 0; i < SCAN_WORDS && found < MAX_GUESSES; i++) {
		if (!read_word(d, sp + i * word_size(d), &value))
			break;
		if (!is_return_address(d, value))
			continue;
		print_frame(d, "? ", value);
		found++;
	}
	return found;
}

static void print_back_trace(const struct dump *d)
{
	if (word_size(d) == 2)
		return; /* segments: a return address may have one or not */
	fputs("Call trace:\n", d->out);
	if (follow_frames(d))
		return;
	if (!d->symbols)
		fputs("  none: no frame pointers, and no symbols to guess by (--vmlinux)\n",
		      d->out);
	else if (!guess_frames(d))
		fputs("  none: no frame pointers, and no return address on the stack\n", d->out);
}

/*
 * With SVM, KVM cannot know the state of a vCPU that shut down and resets it before it reports the
 * exit. Do not let anybody search for a bug at the reset vector.
 */
static void print_lost_state(const struct dump *d)
{
	if (d->cpu->run->exit_reason != KVM_EXIT_SHUTDOWN || d->regs.rip != RESET_RIP ||
	    d->sregs.cs.base != RESET_CS_BASE)
		return;
	fprintf(d->out, "KVM has reset this vCPU before it reported the shutdown, as it does on "
			"AMD processors: "
			"what follows is\nthe state after INIT. --trace and --debug-single-step "
			"show what came "
			"before.\n");
}

void x86_dump__cpu(struct kvm_cpu *cpu, FILE *out)
{
	struct dump d = { .cpu = cpu, .out = out, .ram = &cpu->kvm->ram };

	print_exit(&d);
	if (!fetch(&d, KVM_GET_REGS, &d.regs, "KVM_GET_REGS") ||
	    !fetch(&d, KVM_GET_SREGS, &d.sregs, "KVM_GET_SREGS"))
		return; /* without these nothing else means anything */
	print_lost_state(&d);
	print_mp_state(&d);
	print_events(&d);
	print_special(&d);
	print_debug_registers(&d);
	print_msrs(&d);
	open_symbols(&d);
	print_general(&d);
	print_code(&d);
	print_walk(&d, linear(&d, &d.sregs.cs, d.regs.rip));
	print_stack(&d);
	print_back_trace(&d);
	fflush(out);
	symbols__close(d.symbols);
}
