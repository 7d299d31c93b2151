/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start-up of 64-bit guests that are entered in 32-bit protected mode (Multiboot 1, PVH), and of
 * application processors.
 *
 * All end in long mode, below 4 GiB mapped one to one, with the processor's struct cpu at GS.
 */
#include "layout.h"

#ifdef PVH
	.section .note.pvh, "a", @note
	.long	4, 4, 18		/* name and value sizes, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start32
#else
	.section .multiboot, "a"
	.balign	4
	.long	0x1badb002		/* Multiboot 1 */
	.long	0x00000003		/* modules on page boundaries, memory information */
	.long	-(0x1badb002 + 0x00000003)
#endif

	.text
	.code32
	.globl	start32
start32:
	movl	%eax, boot + BOOT_EAX
	movl	%ebx, boot + BOOT_EBX
	movl	%ebx, boot + BOOT_INFO
	movw	%cs, boot + BOOT_CS
	movw	%ds, boot + BOOT_DS
	movw	%es, boot + BOOT_ES
	movw	%fs, boot + BOOT_FS
	movw	%gs, boot + BOOT_GS
	movw	%ss, boot + BOOT_SS
	movl	%cr0, %eax
	movl	%eax, boot + BOOT_CR0
	movl	%cr4, %eax
	movl	%eax, boot + BOOT_CR4
	movl	$boot_stack_top, %esp
	pushfl
	popl	boot + BOOT_EFLAGS
#ifdef PVH
	movl	$1, boot + BOOT_PROTOCOL
#endif
	cli
	cld
	movl	$boot_processor_main, %ebp
	movl	$0, %edi
	/* fall through */

/*
 * enter_long_mode - from flat 32-bit protected mode without paging, on stack %esp
 * call %ebp(struct cpu of index %edi) in 64-bit mode
 */
enter_long_mode:
	lgdt	gdtr
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER: LME and NXE */
	rdmsr
	orl	$0x900, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80010001, %eax	/* PG, WP and PE */
	movl	%eax, %cr0
	ljmp	$0x08, $1f

	.code64
1:	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%ebp, %ebp
	movl	%edi, %edi
	call	*%rbp
	ud2

/*
 * Where a processor wakes after SIPI: copied to TRAMPOLINE, a page below 1 MiB, of which CS has the base.
 */
	.code16
	.globl	trampoline, trampoline_end
trampoline:
	cli
	lgdtl	%cs:(trampoline_gdtr - trampoline)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$0x18, $ap_start32

	.balign	4
trampoline_gdtr:
	.word	GDT_SIZE - 1
	.long	gdt
trampoline_end:

	.code32
ap_start32:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$1, %edi
	lock xaddl %edi, ap_ticket
	movl	%edi, %esp
	incl	%esp
	imull	$AP_STACK_SIZE, %esp
	addl	$ap_stacks, %esp
	movl	$ap_main, %ebp
	jmp	enter_long_mode

	.bss
	.balign	16
boot_stack:
	.skip	BOOT_STACK_SIZE
boot_stack_top:
ap_stacks:
	.skip	AP_STACK_SIZE * MAX_CPUS

	.data
	.balign	4
ap_ticket:
	.long	1			/* the boot processor has index 0 */

	.section .note.GNU-stack, "", @progbits
