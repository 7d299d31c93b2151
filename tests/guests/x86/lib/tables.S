/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the processor reads in long mode: descriptors, page tables and the 256 trap entries.
 */
#include "layout.h"

	.section .data, "aw"
	.balign	8
	.globl	gdt, gdtr
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad	0x00cf93000000ffff	/* 0x10: data */
	.quad	0x00cf9b000000ffff	/* 0x18: 32-bit code */
gdtr:
	.word	GDT_SIZE - 1
	.quad	gdt

/* 4 GiB, one to one, in pages of 2 MiB; map_physical() adds what lies above. */
	.balign	4096
	.globl	pml4, pdpt
pml4:
	.quad	pdpt + 3
	.fill	511, 8, 0
pdpt:
	.quad	page_directory + 0x0003
	.quad	page_directory + 0x1003
	.quad	page_directory + 0x2003
	.quad	page_directory + 0x3003
	.fill	508, 8, 0
page_directory:
	.set	address, 0
	.rept	2048
	.quad	address + 0x83
	.set	address, address + 0x200000
	.endr

	.text
/*
 * One entry for each vector, 16 bytes apart. They complete a struct frame on the stack and hand it to trap().
 */
	.balign	16
	.globl	trap_entries
trap_entries:
	.set	vector, 0
	.rept	256
	.balign	16
	/* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX bring an error code of their own */
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
	      vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

trap_common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	movq	%rsp, %rbp
	andq	$-16, %rsp
	call	trap
	movq	%rbp, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
