/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry of a flat real-mode image, and what of real mode C cannot say.
 *
 * C code lives in the one segment at 1000:0000, data and stack included.
 */
	.section .start, "ax"
	.code16
	.globl	start16
start16:
	/* The stack we were given must work before we make our own. */
	pushw	$0x5aa5
	popw	%cs:entry_popped
	movw	%ss, %cs:entry_ss
	movw	%sp, %cs:entry_sp
	movw	%cs, %cs:entry_cs
	pushfw
	popw	%cs:entry_flags
	call	1f
1:	popw	%ax
	subw	$(1b - start16), %ax
	movw	%ax, %cs:entry_ip

	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0xfff0, %esp
	calll	guest_main
	calll	finish

	.globl	entry_cs, entry_ip, entry_ss, entry_sp, entry_flags, entry_popped
	.balign	2
entry_cs:	.word 0
entry_ip:	.word 0
entry_ss:	.word 0
entry_sp:	.word 0
entry_flags:	.word 0
entry_popped:	.word 0

/*
 * Interrupt handlers, for the interrupt vector table.
 */
	.globl	count_software, count_tick, count_divide
count_software:
	incw	%cs:software_interrupts
	iretw

count_tick:
	pushw	%ax
	incw	%cs:ticks
	movb	$0x20, %al
	outb	%al, $0x20
	popw	%ax
	iretw

/* Division faults return to the instruction itself: step over "divb %bl", two bytes. */
count_divide:
	pushw	%bp
	movw	%sp, %bp
	addw	$2, 2(%bp)
	popw	%bp
	incw	%cs:division_faults
	iretw

	.globl	software_interrupts, ticks, division_faults
	.balign	2
software_interrupts:	.word 0
ticks:			.word 0
division_faults:	.word 0

/*
 * far_round_trip - a far call to a procedure seen through another segment, which returns far
 */
	.globl	far_round_trip
far_round_trip:
	lcallw	$0x0ff0, $(far_procedure + 0x100)
	movzwl	%ax, %eax
	retl

far_procedure:
	movw	%cs, %ax
	lretw

	.section .note.GNU-stack, "", @progbits
