/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers that C and assembly share: where things are in memory and in struct boot_state.
 */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#define TRAMPOLINE	0x8000 /* start-up vector 8 */
#define BOOT_STACK_SIZE 16384
#define AP_STACK_SIZE	4096
#define MAX_CPUS	1024
#define GDT_SIZE	32

#define BOOT_PROTOCOL	0x00
#define BOOT_EAX	0x04
#define BOOT_EBX	0x08
#define BOOT_EFLAGS	0x0c
#define BOOT_INFO	0x10
#define BOOT_CR0	0x18
#define BOOT_CR3	0x20
#define BOOT_CR4	0x28
#define BOOT_EFER	0x30
#define BOOT_RFLAGS	0x38
#define BOOT_CS		0x40
#define BOOT_DS		0x42
#define BOOT_ES		0x44
#define BOOT_FS		0x46
#define BOOT_GS		0x48
#define BOOT_SS		0x4a
#define BOOT_GDTR	0x4c
#define BOOT_STATE_SIZE 0x58

#endif
