/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multiboot 1 entry of the guest that stays in 32-bit protected mode, with the loader's segments.
 */
#include "layout.h"

	.section .multiboot, "a"
	.balign	4
	.long	0x1badb002
	.long	0x00000003		/* modules on page boundaries, memory information */
	.long	-(0x1badb002 + 0x00000003)

	.text
	.code32
	.globl	start32
start32:
	movl	%eax, boot + BOOT_EAX
	movl	%ebx, boot + BOOT_EBX
	movw	%cs, boot + BOOT_CS
	movl	%cr0, %eax
	movl	%eax, boot + BOOT_CR0
	movl	%cr4, %eax
	movl	%eax, boot + BOOT_CR4
	movl	$stack_top, %esp
	pushfl
	popl	boot + BOOT_EFLAGS
	/* Each data segment shows us the same word at the same address. */
	movl	%ds:segment_mark, %eax
	movl	%eax, seen
	movl	%es:segment_mark, %eax
	movl	%eax, seen + 4
	movl	%fs:segment_mark, %eax
	movl	%eax, seen + 8
	movl	%gs:segment_mark, %eax
	movl	%eax, seen + 12
	movl	%ss:segment_mark, %eax
	movl	%eax, seen + 16
	cli
	cld
	call	guest_main
	call	finish

	.data
	.balign	4
	.globl	boot, segment_mark, seen
boot:	.skip	BOOT_STATE_SIZE
segment_mark:
	.long	0x5e91e475
seen:	.long	0, 0, 0, 0, 0

	.bss
	.balign	16
	.skip	BOOT_STACK_SIZE
stack_top:

	.section .note.GNU-stack, "", @progbits
