// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A register dump shows what a kernel developer needs, and no guest state can lead it astray.
 * WRAP: sys__ioctl
 */
#include "test.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "kvm/config.h"
#include "kvm/kvm-cpu.h"
#include "kvm/kvm.h"
#include "kvm/sys.h"
#include "x86/dump.h"

#define RAM_SIZE 0x200000
#define KERNEL	 0xffffffff81000000ull
#define P	 1ull /* of page table entries */
#define PS	 0x80ull

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg);

/* --- a vCPU that stands still ------------------------------------------------------------------
 */

static struct {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_mp_state mp;
	uint64_t lstar;
	unsigned long fail;
} state;

int __wrap_sys__ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_msrs *msrs = arg;

	assert_int_equal(fd, 9);
	if (request == state.fail)
		return -EIO;
	switch (request) {
	case KVM_GET_REGS:
		memcpy(arg, &state.regs, sizeof(state.regs));
		return 0;
	case KVM_GET_SREGS:
		memcpy(arg, &state.sregs, sizeof(state.sregs));
		return 0;
	case KVM_GET_VCPU_EVENTS:
		memcpy(arg, &state.events, sizeof(state.events));
		return 0;
	case KVM_GET_DEBUGREGS:
		memcpy(arg, &state.debug, sizeof(state.debug));
		return 0;
	case KVM_GET_MP_STATE:
		memcpy(arg, &state.mp, sizeof(state.mp));
		return 0;
	case KVM_GET_MSRS:
		assert_int_equal(msrs->entries[0].index, 0xc0000082);
		msrs->entries[0].data = state.lstar;
		return (int)msrs->nmsrs;
	}
	fail_msg("unexpected ioctl 0x%lx", request);
	return -ENOTTY;
}

static char ram[RAM_SIZE] __attribute__((aligned(0x1000)));
static struct kvm_run run;
static struct vm_config cfg;
static struct kvm vm = { .cfg = &cfg };
static struct kvm_cpu cpu = { .kvm = &vm, .index = 2, .id = 5, .fd = 9, .run = &run };
static char *text;
static char symbol_file[64];

static void poke(uint64_t at, uint64_t value, size_t size)
{
	assert_true(at <= RAM_SIZE - size);
	memcpy(ram + at, &value, size);
}

static void poke64(uint64_t at, uint64_t value)
{
	poke(at, value, 8);
}

static void paging_off(void)
{
	memset(&state.sregs, 0, sizeof(state.sregs));
	state.sregs.cr0 = 0x11;
	state.sregs.cs.db = 1;
}

static void paging_pae(void)
{
	paging_off();
	state.sregs.cr0 |= 0x80000000;
	state.sregs.cr4 = 0x20;
	state.sregs.cr3 = 0x1020;
}

static void paging_32(bool pse)
{
	paging_off();
	state.sregs.cr0 |= 0x80000000;
	state.sregs.cr4 = pse ? 0x10 : 0;
	state.sregs.cr3 = 0x1000;
}

static void paging_64(bool la57)
{
	paging_off();
	state.sregs.cr0 |= 0x80000000;
	state.sregs.cr4 = 0x20 | (la57 ? 0x1000 : 0);
	state.sregs.efer = 0x500;
	state.sregs.cr3 = 0x1000;
	state.sregs.cs.db = 0;
	state.sregs.cs.l = 1;
}

/* Linux: KERNEL and what follows is mapped to RAM from 0, by one page of 2 MiB. */
static void paging_linux(void)
{
	paging_64(false);
	poke64(0x1000 + 511 * 8, 0x2000 | P);
	poke64(0x2000 + 510 * 8, 0x3000 | P);
	poke64(0x3000 + 8 * 8, 0x0 | PS | P | 0x8000000000000002);
	state.regs.rip = KERNEL + 0x10000;
	state.regs.rsp = KERNEL + 0x20000;
}

static int begin(void **unused)
{
	memset(&state, 0, sizeof(state));
	memset(&run, 0, sizeof(run));
	memset(ram, 0, sizeof(ram));
	memset(&cfg, 0, sizeof(cfg));
	guest_memory__init(&vm.ram);
	assert_int_equal(guest_memory__add(&vm.ram, &(struct memory_region){ 0, sizeof(ram), ram }),
			 0);
	symbol_file[0] = 0;
	return 0;
}

static int end(void **unused)
{
	if (symbol_file[0])
		unlink(symbol_file);
	free(text);
	text = NULL;
	return 0;
}

static void dump(void)
{
	size_t size;
	FILE *out;

	free(text);
	text = NULL;
	out = open_memstream(&text, &size);
	assert_non_null(out);
	x86_dump__cpu(&cpu, out);
	assert_int_equal(fclose(out), 0);
}

static void has(const char *what)
{
	if (!strstr(text, what))
		fail_msg("no \"%s\" in:\n%s", what, text);
}

static void has_not(const char *what)
{
	if (strstr(text, what))
		fail_msg("\"%s\" in:\n%s", what, text);
}

static unsigned int count(const char *what)
{
	unsigned int n = 0;

	for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
		n++;
	return n;
}

static void use_symbols(const void *data, size_t size)
{
	int fd;

	strcpy(symbol_file, "/tmp/lkvm-dump-XXXXXX");
	fd = mkstemp(symbol_file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
	cfg.vmlinux = symbol_file;
}

/* --- registers -----------------------------------------------------------------------------------
 */

static void every_register_is_shown(void **unused)
{
	paging_off();
	state.regs = (struct kvm_regs){ .rax = 0xa0,
					.rbx = 0xb0,
					.rcx = 0xc0,
					.rdx = 0xd0,
					.rsi = 0xe0,
					.rdi = 0xf0,
					.rsp = 0x1e0,
					.rbp = 0,
					.r8 = 8,
					.r9 = 9,
					.r10 = 10,
					.r11 = 11,
					.r12 = 12,
					.r13 = 13,
					.r14 = 14,
					.r15 = 0xdeadbeefcafe,
					.rip = 0x1234,
					.rflags = 0x3246 };
	state.sregs.cs.selector = 0x10;
	state.sregs.cr2 = 0x5150;
	state.sregs.cr8 = 3;
	state.sregs.gdt.base = 0x500;
	state.sregs.gdt.limit = 0x1f;
	state.sregs.apic_base = 0xfee00900;
	state.debug.dr7 = 0x400;
	state.debug.db[1] = 0x7777;
	dump();
	has("vCPU 2 (id 5)");
	has("RIP: 0010:0000000000001234\n");
	has("RAX: 00000000000000a0 RBX: 00000000000000b0");
	has("R15: 0000deadbeefcafe\n");
	has("RFLAGS: 00003246 IOPL 3 [PF ZF IF]");
	has("CR0:  0000000000000011 [PE ET]");
	has("CR2:  0000000000005150");
	has("CR8:  0000000000000003");
	has("GDT:      base 0000000000000500 limit 0000001f");
	has("APIC: 00000000fee00900 [BSP on]");
	has("DR1: 0000000000007777");
	has("DR7: 0000000000000400");
	has("LSTAR: 0000000000000000");
}

static void a_vcpu_that_kvm_has_reset_is_said_to_be(void **unused)
{
	state.regs.rip = 0xfff0;
	state.sregs.cs.base = 0xffff0000;
	run.exit_reason = KVM_EXIT_SHUTDOWN;
	dump();
	has("KVM has reset this vCPU");
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	dump();
	has_not("KVM has reset this vCPU");
	run.exit_reason = KVM_EXIT_SHUTDOWN;
	state.regs.rip = 0x1000;
	dump();
	has_not("KVM has reset this vCPU");
}

static void segments_say_what_they_are(void **unused)
{
	paging_64(false);
	state.sregs.cs = (struct kvm_segment){ .selector = 0x33,
					       .type = 0xb,
					       .present = 1,
					       .dpl = 3,
					       .s = 1,
					       .l = 1,
					       .limit = 0xffffffff };
	state.sregs.ss = (struct kvm_segment){
		.selector = 0x2b, .type = 3, .present = 1, .dpl = 3, .s = 1, .db = 1
	};
	state.sregs.fs = (struct kvm_segment){ .base = 0x7f0012345678, .unusable = 1 };
	state.sregs.tr = (struct kvm_segment){ .selector = 0x40, .type = 0xb, .present = 1 };
	dump();
	has("CS : 0033 base 0000000000000000 limit ffffffff type b dpl 3 code 64");
	has("SS : 002b base 0000000000000000 limit 00000000 type 3 dpl 3 data rw");
	has("FS : 0000 base 00007f0012345678 limit 00000000 type 0 dpl 0 unusable");
	has("TR : 0040 base 0000000000000000 limit 00000000 type b dpl 0 system");
}

static void pending_events_are_shown(void **unused)
{
	paging_off();
	dump();
	has("Events:\n");
	state.events.exception.injected = 1;
	state.events.exception.nr = 14;
	state.events.exception.has_error_code = 1;
	state.events.exception.error_code = 0x2;
	state.events.interrupt.injected = 1;
	state.events.interrupt.nr = 0xec;
	state.events.nmi.pending = 1;
	state.mp.mp_state = 3;
	dump();
	has("exception 14 (#PF) injected error 0x2 interrupt 0xec injected NMI pending\n");
	has("State: 3 (halted)");
	state.events.exception.nr = 255;
	state.mp.mp_state = 77;
	dump();
	has("exception 255 (?)");
	has("State: 77 (unknown)");
}

static void what_kvm_does_not_give_is_said_and_the_rest_shown(void **unused)
{
	const unsigned long optional[] = { KVM_GET_VCPU_EVENTS, KVM_GET_DEBUGREGS, KVM_GET_MP_STATE,
					   KVM_GET_MSRS };
	const unsigned long needed[] = { KVM_GET_REGS, KVM_GET_SREGS };

	paging_off();
	for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
		state.fail = optional[i];
		dump();
		has(": Input/output error\n");
		has("RIP:");
		has("Code:");
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		state.fail = needed[i];
		dump();
		has("REGS: Input/output error\n");
		has_not("RIP:");
	}
}

/* --- the last exit --- */

static void an_emulation_failure_names_the_instruction(void **unused)
{
	const unsigned char insn[] = { 0xf0, 0x48, 0x0f, 0xc7, 0x0c, 0x25 };

	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run.emulation_failure.ndata = 4;
	run.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run.emulation_failure.insn_size = sizeof(insn);
	memcpy(run.emulation_failure.insn_bytes, insn, sizeof(insn));
	dump();
	has("suberror 1 (KVM could not emulate an instruction), data 0x1 ");
	has(", instruction f0 48 0f c7 0c 25\n");

	run.emulation_failure.ndata = 0; /* an older KVM */
	dump();
	has("suberror 1 (KVM could not emulate an instruction)\n");
}

static void counts_in_the_exit_are_not_believed(void **unused)
{
	unsigned int words = 1;
	char *data;

	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run.emulation_failure.ndata = UINT32_MAX;
	run.emulation_failure.flags = UINT64_MAX;
	run.emulation_failure.insn_size = 255;
	dump();
	has("instruction 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n");

	data = strstr(text, ", data ") + strlen(", data ");
	*strstr(data, ", instruction") = 0;
	for (; *data; data++)
		words += *data == ' ';
	assert_int_equal(words, 16);
}

static void other_failures_give_their_reason(void **unused)
{
	run.exit_reason = KVM_EXIT_FAIL_ENTRY;
	run.fail_entry.hardware_entry_failure_reason = 0x80000021;
	run.fail_entry.cpu = 3;
	dump();
	has("(FAIL_ENTRY), hardware entry failure reason 0x80000021 on host CPU 3");
	run.exit_reason = KVM_EXIT_SHUTDOWN;
	dump();
	has("a triple fault");
	run.exit_reason = KVM_EXIT_MMIO;
	run.mmio.phys_addr = 0xd0000000;
	run.mmio.len = 4;
	run.mmio.is_write = 1;
	dump();
	has("write 4 bytes at 0xd0000000");
	run.exit_reason = 12345;
	dump();
	has("last exit 12345 (unknown)\n");
}

static void a_nested_guest_is_said_to_be_one(void **unused)
{
	dump();
	has_not("nested");
	run.flags = 1 << 2;
	dump();
	has("In a nested guest");
}

/* --- page walk --- */

static void without_paging_addresses_are_physical(void **unused)
{
	paging_off();
	state.sregs.cs.base = 0xffff0000;
	state.regs.rip = 0x20010; /* wraps at 4 GiB */
	ram[0x10010] = (char)0xf4;
	dump();
	has("Translation of RIP (linear 0000000000010010), paging is off:\n");
	has(" <f4> ");
}

static void four_levels_down_to_a_page(void **unused)
{
	paging_64(false);
	state.regs.rip = 0xffff888000123456;
	poke64(0x1000 + 273 * 8, 0x2000 | P | 2);
	poke64(0x2000, 0x3000 | P | 2);
	poke64(0x3000, 0x4000 | P);
	poke64(0x4000 + 0x123 * 8, 0x8000000000005000 | P | 0x60);
	ram[0x5456] = (char)0x90;
	dump();
	has("(linear ffff888000123456), 4 levels:\n");
	has("  PML4[273] at 0000001888: 0000000000002003 [P W]\n");
	has("  PDPT[  0] at 0000002000: 0000000000003003 [P W]\n");
	has("  PD  [  0] at 0000003000: 0000000000004001 [P]\n");
	has("  PT  [291] at 0000004918: 8000000000005061 [P A D NX]\n");
	has("  physical 0000005456 in a page of 4 KiB\n");
	has(" <90> ");
}

static void five_levels(void **unused)
{
	paging_64(true);
	state.regs.rip = 0xff11000000000008;
	poke64(0x1000 + 0x111 * 8, 0x2000 | P);
	poke64(0x2000, 0x3000 | P);
	poke64(0x3000, PS | P); /* 1 GiB */
	ram[8] = (char)0xcc;
	dump();
	has("5 levels:\n  PML5[273] at 0000001888: 0000000000002001 [P]\n  PML4[  0]");
	has("  physical 0000000008 in a page of 1048576 KiB\n");
	has(" <cc> ");
}

static void large_pages_of_four_levels(void **unused)
{
	paging_64(false);
	state.regs.rip = 0x40001010;
	poke64(0x1000, 0x2000 | P);
	poke64(0x2000 + 8, PS | P | 0x1000); /* 1 GiB; bit 12 is PAT, no address */
	dump();
	has("  physical 0000001010 in a page of 1048576 KiB\n");
	poke64(0x2000 + 8, 0x3000 | P);
	poke64(0x3000, PS | P | 0x1000); /* 2 MiB */
	dump();
	has("  physical 0000001010 in a page of 2048 KiB\n");
}

static void pae_has_three_levels_and_its_root_need_not_be_a_page(void **unused)
{
	paging_pae();
	state.regs.rip = 0xc0201008;
	poke64(0x1020 + 3 * 8, 0x2000 | P);
	poke64(0x2000 + 8, 0x3000 | P);
	poke64(0x3000 + 8, 0x6000 | P);
	ram[0x6008] = (char)0xf1;
	dump();
	has("PAE:\n  PDPT[  3] at 0000001038: 0000000000002001 [P]\n");
	has("  PD  [  1] at 0000002008");
	has("  PT  [  1] at 0000003008");
	has("  physical 0000006008 in a page of 4 KiB\n");
	has(" <f1> ");
	poke64(0x2000 + 8, 0x0 | PS | P);
	dump();
	has("  physical 0000001008 in a page of 2048 KiB\n");
}

static void thirty_two_bit_paging_with_and_without_pse(void **unused)
{
	paging_32(true);
	state.regs.rip = 0xc0005004;
	poke(0x1000 + 768 * 4, 0x2000 | P, 4);
	poke(0x1000 + 769 * 4, 0xffffffff, 4); /* a neighbour that must not be read */
	poke(0x2000 + 5 * 4, 0x7000 | P, 4);
	dump();
	has("32 bits:\n  PD  [768] at 0000001c00: 0000000000002001 [P]\n");
	has("  PT  [  5] at 0000002014: 0000000000007001 [P]\n");
	has("  physical 0000007004 in a page of 4 KiB\n");

	/* 4 MiB, address bits 39:32 in 20:13 */
	poke(0x1000 + 768 * 4, 0x00402000 | PS | P, 4);
	dump();
	has("  physical 0100405004 in a page of 4096 KiB\n");

	paging_32(false); /* PS means nothing then */
	poke(0x1000 + 768 * 4, 0x2000 | PS | P, 4);
	dump();
	has("no PSE:");
	has("  physical 0000007004 in a page of 4 KiB\n");
}

static void a_hole_is_shown_where_it_is(void **unused)
{
	static const char *const level[] = { "  PML4[  0] at 0000001000: 0000000000000000",
					     "  PDPT[  0] at 0000002000: 0000000000000000",
					     "  PD  [  0] at 0000003000: 0000000000000000",
					     "  PT  [  1] at 0000004008: 0000000000000000" };
	char line[80];

	paging_64(false);
	state.regs.rip = 0x1000;
	for (unsigned int i = 0; i < 4; i++) {
		dump();
		snprintf(line, sizeof(line), "%s not present here\n", level[i]);
		has(line);
		has_not("physical");
		has("<-->");
		poke64(0x1000 * (i + 1), 0x1000 * (i + 2) | P);
	}
}

static void tables_outside_ram_are_not_followed(void **unused)
{
	static const uint64_t bad[] = { 0x200000, 0xfee00000, 0xffffffffff000,
					RAM_SIZE - 0x1000 + 0x1000 };

	paging_64(false);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		poke64(0x1000, bad[i] | P);
		dump();
		has("not in RAM\n");
		has("Code: -- ");
	}
	state.sregs.cr3 = 0xfffffffffffff000;
	dump();
	has("  PML4[  0] at ffffffffff000: not in RAM\n");
	paging_pae();
	state.sregs.cr3 = 0xffffffff;
	dump();
	has("not in RAM\n");
}

static void tables_that_point_at_themselves_end(void **unused)
{
	paging_64(true);
	for (unsigned int i = 0; i < 512; i++)
		poke64(0x1000 + i * 8, 0x1000 | P);
	dump();
	assert_int_equal(count(" at 0000001000: 0000000000001001"), 5);
	has("  physical 0000001000 in a page of 4 KiB\n");
}

static void addresses_between_the_halves_are_not_canonical(void **unused)
{
	paging_64(false);
	state.regs.rip = 0x0000800000000000;
	dump();
	has("not a canonical address");
	state.regs.rip = 0xffff7fffffffffff;
	dump();
	has("not a canonical address");
	paging_64(true);
	dump();
	has_not("not a canonical address");
	state.regs.rip = 0x0100000000000000;
	dump();
	has("not a canonical address");
}

static void random_tables_are_survived(void **unused)
{
	for (unsigned int seed = 0; seed < 300; seed++) {
		uint32_t *words = (uint32_t *)(void *)ram;

		srand(seed);
		switch (seed % 5) {
		case 0:
			paging_64(false);
			break;
		case 1:
			paging_64(true);
			break;
		case 2:
			paging_pae();
			break;
		default:
			paging_32(seed % 5 == 3);
		}
		for (size_t i = 0; i < 0x10000 / 4; i++) /* mostly present, mostly in RAM */
			words[i] = i % 2 && seed % 5 < 3 ? (uint32_t)rand() % 2
							 : ((uint32_t)rand() & 0xffff) | 1;
		state.sregs.cr3 = (uint32_t)rand() & 0xffff;
		state.regs.rip = (uint64_t)rand() << 32 | (uint64_t)rand() << 4;
		state.regs.rsp = (uint64_t)rand() << 20;
		state.regs.rbp = (uint32_t)rand();
		state.sregs.idt.base = (uint32_t)rand();
		state.sregs.idt.limit = 0xfff;
		dump();
		has("Call trace:");
	}
}

/* --- code and stack --- */

static void code_and_stack_are_shown_across_pages(void **unused)
{
	paging_64(false);
	poke64(0x1000, 0x2000 | P);
	poke64(0x2000, 0x3000 | P);
	poke64(0x3000, 0x4000 | P);
	poke64(0x4000 + 8, 0x8000 | P);
	poke64(0x4000 + 2 * 8, 0x6000 | P); /* the next page lies elsewhere */
	state.regs.rip = 0x1ffe;
	ram[0x6000] = 0x55;
	state.regs.rsp = 0x1ffc;
	poke(0x8ffc, 0x0b0f2211, 4);
	dump();
	has(" 22 <0f> 0b 55 00");
	has("Stack: 000000550b0f2211 ");
	assert_int_equal(strcspn(strstr(text, "Code:"), "\n"), 5 + 64 * 3 + 2);
	poke64(0x4000 + 2 * 8, 0);
	dump();
	has(" <0f> 0b -- --");
}

static void stack_words_are_as_wide_as_the_mode(void **unused)
{
	paging_off();
	state.regs.rsp = 0x8000;
	poke64(0x8000, 0x1122334455667788);
	dump();
	has("Stack: 55667788 11223344 00000000");
	state.sregs.cs.db = 0;
	state.sregs.ss.base = 0x7000;
	state.regs.rsp = 0x1000;
	dump();
	has("Stack: 7788 5566 3344 1122");
	has_not("Call trace:");
	paging_linux();
	poke64(0x20000, 0x1122334455667788);
	dump();
	has("Stack: 1122334455667788 0000000000000000");
	state.regs.rsp = KERNEL + RAM_SIZE - 8;
	dump();
	has("Stack: 0000000000000000 (not mapped)\n");
}

/* --- symbols and back-trace --- */

static const char system_map[] = "ffffffff81000000 T _text\n"
				 "ffffffff81010000 T do_something\n"
				 "ffffffff81010100 t caller\n"
				 "ffffffff81010200 T start_kernel\n"
				 "ffffffff81010300 T asm_exc_divide_error\n"
				 "ffffffff81010400 T entry_SYSCALL_64\n"
				 "ffffffff81020000 D init_stack\n"
				 "ffffffff81040000 B _end\n";

static void use_system_map(void)
{
	use_symbols(system_map, sizeof(system_map) - 1);
	paging_linux();
	state.lstar = KERNEL + 0x10400;
}

static void rip_has_a_name(void **unused)
{
	use_system_map();
	state.regs.rip += 0x12;
	dump();
	has("RIP: 0000:ffffffff81010012 do_something+0x12/0x100\n");
	has_not("KASLR");
}

static void frames_are_followed(void **unused)
{
	use_system_map();
	state.regs.rbp = KERNEL + 0x20010;
	poke64(0x20000, KERNEL + 0x10101); /* would be guessed, if it were scanned */
	poke64(0x20010, KERNEL + 0x20040);
	poke64(0x20018, KERNEL + 0x10123);
	poke64(0x20040, 0);
	poke64(0x20048, KERNEL + 0x10234);
	dump();
	has("Call trace:\n  ffffffff81010123 caller+0x23/0x100\n"
	    "  ffffffff81010234 start_kernel+0x34/0x100\n");
	has_not("? ");
}

static void frames_without_symbols_are_followed_while_they_make_sense(void **unused)
{
	paging_linux();
	state.regs.rbp = KERNEL + 0x20010;
	poke64(0x20010, KERNEL + 0x20040);
	poke64(0x20018, KERNEL + 0x10123);
	poke64(0x20048, 0x1234); /* not mapped: not an address */
	dump();
	has("Call trace:\n  ffffffff81010123\n");
	has_not("  0000000000001234\n");
	state.regs.rbp = 0;
	dump();
	has("no symbols to guess by (--vmlinux)");
}

static void frames_that_loop_end(void **unused)
{
	use_system_map();
	state.regs.rbp = KERNEL + 0x20010;
	poke64(0x20010, KERNEL + 0x20010);
	poke64(0x20018, KERNEL + 0x10123);
	dump();
	assert_int_equal(count("caller+0x23"), 1);
}

static void a_chain_of_frames_has_an_end(void **unused)
{
	use_system_map();
	state.regs.rbp = KERNEL + 0x20000;
	for (uint64_t at = 0x20000; at < 0x22000; at += 0x10) {
		poke64(at, KERNEL + at + 0x10);
		poke64(at + 8, KERNEL + 0x10123);
	}
	dump();
	assert_int_equal(count("caller+0x23"), 64);
}

static void without_frame_pointers_the_stack_is_scanned_for_text(void **unused)
{
	use_system_map();
	state.regs.rbp = 0x1234; /* a number like any other */
	poke64(0x20008, KERNEL + 0x10105);
	poke64(0x20010, KERNEL + 0x20020); /* data */
	poke64(0x20018, 0xffff888000000000);
	poke64(0x20040, KERNEL + 0x10250);
	dump();
	has("Call trace:\n  ? ffffffff81010105 caller+0x5/0x100\n"
	    "  ? ffffffff81010250 start_kernel+0x50/0x100\n");
	has_not("init_stack");
}

static void guesses_have_an_end(void **unused)
{
	use_system_map();
	for (uint64_t at = 0x20000; at < 0x30000; at += 8)
		poke64(at, KERNEL + 0x10105);
	state.regs.rbp = 1;
	dump();
	assert_int_equal(count("? ffffffff81010105"), 32);
}

static void lstar_gives_the_kaslr_offset(void **unused)
{
	use_system_map();
	paging_64(false);
	poke64(0x1000 + 511 * 8, 0x2000 | P);
	poke64(0x2000 + 510 * 8, 0x3000 | P);
	poke64(0x3000 + 0x69 * 8, 0x0 | PS | P); /* 0xffffffff8d200000 */
	state.lstar = 0xffffffff8d200000 + 0x10400;
	state.regs.rip = 0xffffffff8d200000 + 0x10120;
	state.regs.rsp = 0xffffffff8d200000 + 0x20000;
	poke64(0x20000, 0xffffffff8d210234);
	poke64(0x20008, KERNEL + 0x10234); /* where nothing is now */
	dump();
	has("KASLR offset: 0xc200000\n");
	has("RIP: 0000:ffffffff8d210120 caller+0x20/0x100\n");
	has("? ffffffff8d210234 start_kernel+0x34/0x100\n");
	assert_int_equal(count("? "), 1);
}

static void before_lstar_is_set_the_idt_gives_it(void **unused)
{
	const uint64_t handler = KERNEL + 0x200000 + 0x10300;

	use_system_map();
	state.lstar = 0;
	state.sregs.idt.base = KERNEL + 0x30000;
	state.sregs.idt.limit = 0xfff;
	poke64(0x30000, (handler & 0xffff) | 0x8e0000100000 | (handler >> 16 & 0xffff) << 48);
	poke64(0x30008, handler >> 32);
	dump();
	has("KASLR offset: 0x200000\n");
}

static void an_unknown_kaslr_offset_is_admitted(void **unused)
{
	use_system_map();
	state.lstar = KERNEL + 0x10408; /* of another build: not a multiple of 2 MiB away */
	dump();
	has("may be off: the kernel's KASLR offset is unknown");
	state.lstar = 0;
	dump();
	has("may be off");
}

static void a_kernel_that_is_not_linux_runs_where_it_was_linked(void **unused)
{
	static const char map[] = "0000000000010000 T main\n0000000000010100 T after\n";

	use_symbols(map, sizeof(map) - 1);
	paging_off();
	state.regs.rip = 0x10008;
	dump();
	has("main+0x8/0x100\n");
	has_not("KASLR");
}

static void a_symbol_file_that_cannot_be_read_is_named(void **unused)
{
	paging_off();
	cfg.vmlinux = "/nonexistent/vmlinux";
	dump();
	has("No symbols: /nonexistent/vmlinux: No such file or directory\n");
	has("RIP:");
	cfg.vmlinux = NULL;
	cfg.kernel = "/nonexistent/bzImage"; /* only looked at in passing */
	dump();
	has_not("No symbols");
}

static void names_cannot_control_the_terminal(void **unused)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Shdr section[4];
		Elf64_Sym symbol[2];
		char strings[16];
	} elf = {
		.header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
			    .e_shoff = sizeof(Elf64_Ehdr),
			    .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = 4 },
		.section = {
			[1] = { .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addr = 0x10000,
				.sh_size = 0x100 },
			[2] = { .sh_type = SHT_SYMTAB, .sh_link = 3,
				.sh_size = 2 * sizeof(Elf64_Sym) },
			[3] = { .sh_type = SHT_STRTAB, .sh_size = 16 },
		},
		.symbol[1] = { .st_name = 1, .st_value = 0x10000, .st_shndx = 1 },
		.strings = "\0\033[2Jx\n",
	};

	elf.section[2].sh_offset = (Elf64_Off)((char *)elf.symbol - (char *)&elf);
	elf.section[3].sh_offset = (Elf64_Off)((char *)elf.strings - (char *)&elf);
	use_symbols(&elf, sizeof(elf));
	paging_off();
	state.regs.rip = 0x10008;
	dump();
	has(" ?[2Jx?+0x8/0x100\n");
	has_not("\033");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_register_is_shown),
		TEST(a_vcpu_that_kvm_has_reset_is_said_to_be),
		TEST(segments_say_what_they_are),
		TEST(pending_events_are_shown),
		TEST(what_kvm_does_not_give_is_said_and_the_rest_shown),
		TEST(an_emulation_failure_names_the_instruction),
		TEST(counts_in_the_exit_are_not_believed),
		TEST(other_failures_give_their_reason),
		TEST(a_nested_guest_is_said_to_be_one),
		TEST(without_paging_addresses_are_physical),
		TEST(four_levels_down_to_a_page),
		TEST(five_levels),
		TEST(large_pages_of_four_levels),
		TEST(pae_has_three_levels_and_its_root_need_not_be_a_page),
		TEST(thirty_two_bit_paging_with_and_without_pse),
		TEST(a_hole_is_shown_where_it_is),
		TEST(tables_outside_ram_are_not_followed),
		TEST(tables_that_point_at_themselves_end),
		TEST(addresses_between_the_halves_are_not_canonical),
		TEST(random_tables_are_survived),
		TEST(code_and_stack_are_shown_across_pages),
		TEST(stack_words_are_as_wide_as_the_mode),
		TEST(rip_has_a_name),
		TEST(frames_are_followed),
		TEST(frames_without_symbols_are_followed_while_they_make_sense),
		TEST(frames_that_loop_end),
		TEST(a_chain_of_frames_has_an_end),
		TEST(without_frame_pointers_the_stack_is_scanned_for_text),
		TEST(guesses_have_an_end),
		TEST(lstar_gives_the_kaslr_offset),
		TEST(before_lstar_is_set_the_idt_gives_it),
		TEST(an_unknown_kaslr_offset_is_admitted),
		TEST(a_kernel_that_is_not_linux_runs_where_it_was_linked),
		TEST(a_symbol_file_that_cannot_be_read_is_named),
		TEST(names_cannot_control_the_terminal),
	};

	return cmocka_run_group_tests_name("x86-dump", tests, NULL, NULL);
}
