/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start-up of a guest entered by Linux's 64-bit boot protocol: note what we were given, then go on with
 * descriptors and page tables of our own.
 */
#include "layout.h"

	.text
	.code64
	.globl	start64
start64:
	movl	$2, boot + BOOT_PROTOCOL
	movq	%rsi, boot + BOOT_INFO
	movw	%cs, boot + BOOT_CS
	movw	%ds, boot + BOOT_DS
	movw	%es, boot + BOOT_ES
	movw	%fs, boot + BOOT_FS
	movw	%gs, boot + BOOT_GS
	movw	%ss, boot + BOOT_SS
	movq	%cr0, %rax
	movq	%rax, boot + BOOT_CR0
	movq	%cr3, %rax
	movq	%rax, boot + BOOT_CR3
	movq	%cr4, %rax
	movq	%rax, boot + BOOT_CR4
	movl	$0xc0000080, %ecx
	rdmsr
	movl	%eax, boot + BOOT_EFER
	movl	%edx, boot + BOOT_EFER + 4
	sgdt	boot + BOOT_GDTR
	movq	$stack_top, %rsp
	pushfq
	popq	boot + BOOT_RFLAGS
	cli
	cld
	call	linux64_entered		/* with the loader's page tables and GDT */

	lgdt	gdtr
	movq	$pml4, %rax
	movq	%rax, %cr3
	pushq	$0x08
	pushq	$1f
	lretq
1:	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	xorl	%edi, %edi
	call	boot_processor_main
	ud2

	.bss
	.balign	16
	.skip	BOOT_STACK_SIZE
stack_top:

	.section .note.GNU-stack, "", @progbits
