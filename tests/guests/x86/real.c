// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A flat image in real mode: how it is entered, plain 8086 and 386 instructions, and waking from
 * hlt.
 */
#include "guest.h"

#define LOAD_SEGMENT 0x1000
#define STACK_CHECK  0x5aa5
#define FLAG_CF	     0x0001
#define FLAG_ZF	     0x0040
#define FLAG_SF	     0x0080
#define FLAG_IF	     0x0200
#define FLAG_OF	     0x0800
#define ARITHMETIC   (FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define COM1_SCRATCH (COM1 + 7)
#define PIC1_COMMAND 0x20
#define PIC1_DATA    0x21
#define PIT_CHANNEL0 0x40
#define PIT_COMMAND  0x43
#define PIT_HZ	     1193182

extern uint16_t entry_cs, entry_ip, entry_ss, entry_sp, entry_flags, entry_popped;
extern volatile uint16_t software_interrupts, ticks, division_faults;
extern char count_software[], count_tick[], count_divide[], image_end[];

uint32_t far_round_trip(void);

/* One byte or word anywhere in the first MiB and the 64 KiB above it, through FS. */
static void far_write16(uint16_t segment, uint16_t offset, uint16_t value)
{
	__asm__ volatile("movw %0, %%fs; movw %2, %%fs:(%k1)" ::"r"(segment), "r"(offset + 0u),
			 "r"(value)
			 : "memory");
}

static uint16_t far_read16(uint16_t segment, uint16_t offset)
{
	uint16_t value;

	__asm__ volatile("movw %1, %%fs; movw %%fs:(%k2), %0"
			 : "=r"(value)
			 : "r"(segment), "r"(offset + 0u)
			 : "memory");
	return value;
}

static void set_vector(uint8_t vector, const char *handler)
{
	far_write16(0, (uint16_t)(vector * 4), (uint16_t)(uintptr_t)handler);
	far_write16(0, (uint16_t)(vector * 4 + 2), LOAD_SEGMENT);
}

static void check_entry(void)
{
	uint32_t cr0, stack = (uint32_t)entry_ss * 16 + entry_sp;

	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	CHECK_EQ(entry_cs, LOAD_SEGMENT, "entered with CS 1000");
	CHECK_EQ(entry_ip, 0, "entered with IP 0000");
	CHECK_EQ(entry_popped, STACK_CHECK, "entered with a stack that works");
	report(stack > LOAD_SEGMENT * 16u + (uintptr_t)image_end ||
		       stack == (uint32_t)entry_ss * 16,
	       "the stack is not on top of the image", "it is at 0x%x", stack);
	CHECK(!(entry_flags & FLAG_IF), "entered with interrupts off");
	CHECK(!(cr0 & 1), "entered in real mode");
}

static void check_a20(void)
{
	far_write16(0, 0x600, 0x1234);
	far_write16(0xffff, 0x610, 0xabcd);
	CHECK_EQ(far_read16(0, 0x600), 0x1234, "A20 is open: 1 MiB does not wrap to 0");
	CHECK_EQ(far_read16(0xffff, 0x610), 0xabcd, "memory above 1 MiB keeps what was written");
}

/* Flags of a two-operand instruction on AX and BX; the result in *ax. */
#define ALU16(instruction, ax, bx, flags)                                           \
	__asm__ volatile("clc\n\t" instruction " %%bx, %%ax\n\tpushfw\n\tpopw %%cx" \
			 : "+a"(ax), "=c"(flags)                                    \
			 : "b"((uint16_t)(bx))                                      \
			 : "cc")

static void check_addition(void)
{
	uint16_t ax, flags;

	ax = 0x7fff;
	ALU16("addw", ax, 1, flags);
	CHECK_EQ(ax, 0x8000, "add");
	CHECK_EQ(flags & ARITHMETIC, FLAG_SF | FLAG_OF, "add sets SF and OF on signed overflow");
	ax = 0xffff;
	ALU16("addw", ax, 1, flags);
	CHECK_EQ(flags & ARITHMETIC, FLAG_CF | FLAG_ZF, "add sets CF and ZF on a carry to 0");
	ax = 1;
	ALU16("stc; adcw", ax, 0xffff, flags);
	CHECK_EQ(ax, 1, "adc adds the carry");
	ax = 5;
	ALU16("subw", ax, 7, flags);
	CHECK_EQ(ax, 0xfffe, "sub");
	CHECK_EQ(flags & ARITHMETIC, FLAG_CF | FLAG_SF, "sub sets CF and SF on a borrow");
	ax = 5;
	ALU16("stc; sbbw", ax, 5, flags);
	CHECK_EQ(ax, 0xffff, "sbb subtracts the borrow");
	ax = 9;
	ALU16("cmpw", ax, 9, flags);
	CHECK_EQ(flags & ARITHMETIC, FLAG_ZF, "cmp of equals sets ZF");
	ax = 0xf0f0;
	ALU16("xorw", ax, 0xffff, flags);
	CHECK_EQ(ax, 0x0f0f, "xor");
}

static void check_multiplication(void)
{
	uint16_t ax, dx;
	uint32_t eax, edx;

	__asm__ volatile("mulw %%bx"
			 : "=a"(ax), "=d"(dx)
			 : "a"((uint16_t)0x1234), "b"((uint16_t)0x5678)
			 : "cc");
	CHECK_EQ((uint32_t)dx << 16 | ax, 0x1234u * 0x5678u, "mul gives 32 bits in DX:AX");
	__asm__ volatile("imulw %%bx"
			 : "=a"(ax), "=d"(dx)
			 : "a"((uint16_t)-3), "b"((uint16_t)1000)
			 : "cc");
	CHECK_EQ((uint32_t)dx << 16 | ax, (uint32_t)-3000, "imul is signed");
	__asm__ volatile("divw %%bx"
			 : "=a"(ax), "=d"(dx)
			 : "a"((uint16_t)0x86a0), "d"((uint16_t)1), "b"((uint16_t)7)
			 : "cc");
	report(ax == 100000 / 7 && dx == 100000 % 7, "div gives quotient and remainder",
	       "%u and %u", ax, dx);
	__asm__ volatile("idivl %%ebx" : "=a"(eax), "=d"(edx) : "a"(-100), "d"(-1), "b"(7) : "cc");
	report((int32_t)eax == -14 && (int32_t)edx == -2,
	       "idiv with a 32-bit operand rounds to zero", "0x%x and 0x%x", eax, edx);
}

static void check_shifts(void)
{
	uint16_t ax;
	uint32_t eax;
	uint8_t al;

	__asm__ volatile("shlw $4, %0" : "=r"(ax) : "0"((uint16_t)0x1234) : "cc");
	CHECK_EQ(ax, 0x2340, "shl");
	__asm__ volatile("sarw %%cl, %0" : "=a"(ax) : "0"((uint16_t)0x8000), "c"(3) : "cc");
	CHECK_EQ(ax, 0xf000, "sar keeps the sign");
	__asm__ volatile("rolw $4, %0" : "=r"(ax) : "0"((uint16_t)0x1234) : "cc");
	CHECK_EQ(ax, 0x2341, "rol");
	__asm__ volatile("stc; rcrw $1, %0" : "=r"(ax) : "0"((uint16_t)0) : "cc");
	CHECK_EQ(ax, 0x8000, "rcr brings the carry in");
	__asm__ volatile("shldl $8, %1, %0"
			 : "=r"(eax)
			 : "r"(0xab000000u), "0"(0x12345678u)
			 : "cc");
	CHECK_EQ(eax, 0x345678ab, "shld");
	__asm__ volatile("bsfl %1, %0" : "=r"(eax) : "r"(0x00400000u) : "cc");
	CHECK_EQ(eax, 22, "bsf");
	__asm__ volatile("bswap %0" : "=r"(eax) : "0"(0x12345678u));
	CHECK_EQ(eax, 0x78563412, "bswap");
	__asm__ volatile("subb %%bl, %%al; das"
			 : "=a"(al)
			 : "a"((uint8_t)0x83), "b"((uint8_t)0x45)
			 : "cc");
	CHECK_EQ(al, 0x38, "das corrects a decimal difference");
	__asm__ volatile("aam" : "=a"(ax) : "a"((uint16_t)63) : "cc");
	CHECK_EQ(ax, 0x0603, "aam splits digits");
}

static void check_segments(void)
{
	uint16_t value;
	static struct {
		uint16_t offset, segment;
	} far_pointer = { 0x0008, 0x0061 };

	far_write16(0x0060, 0x0018, 0xbeef);
	CHECK_EQ(far_read16(0x0061, 0x0008), 0xbeef, "segments overlap every 16 bytes");
	__asm__ volatile("pushw %%es; lesw %1, %%bx; movw %%es:(%%bx), %0; popw %%es"
			 : "=a"(value)
			 : "m"(far_pointer)
			 : "ebx", "memory");
	CHECK_EQ(value, 0xbeef, "les loads a far pointer");
	CHECK_EQ(far_round_trip(), 0x0ff0, "lcall and lret go to another segment and back");
	__asm__ volatile("movw %%sp, %%bx; pushw $0x1357; popw %0; subw %%sp, %%bx"
			 : "=a"(value)
			 :
			 : "ebx", "cc", "memory");
	CHECK_EQ(value, 0x1357, "push and pop");
}

static void check_strings(void)
{
	static const char source[] = "real mode strings";
	static char target[sizeof(source)];
	uint16_t count, source_end, target_end;

	__asm__ volatile("cld; rep movsb"
			 : "=S"(source_end), "=D"(target_end), "=c"(count)
			 : "0"(source), "1"(target), "2"(sizeof(source))
			 : "memory");
	CHECK(!memcmp(source, target, sizeof(source)), "rep movsb copies");
	CHECK(target_end == (uint16_t)(uintptr_t)(target + sizeof(target)) && !count,
	      "rep movsb leaves DI behind the last byte and CX 0");
	__asm__ volatile("std; rep movsb; cld"
			 : "=S"(source_end), "=D"(target_end), "=c"(count)
			 : "0"(target + 3), "1"(target + 8), "2"(4)
			 : "memory");
	CHECK(!memcmp(target + 5, "real", 4), "movsb goes down with DF set");
	__asm__ volatile("cld; repne scasb"
			 : "=D"(target_end), "=c"(count)
			 : "0"(source), "1"(sizeof(source)), "a"('m')
			 : "cc", "memory");
	CHECK_EQ(target_end - (uint16_t)(uintptr_t)source, 6, "repne scasb stops at the byte");
	__asm__ volatile("cld; repe cmpsb"
			 : "=S"(source_end), "=D"(target_end), "=c"(count)
			 : "0"(source), "1"("real wood"), "2"(9)
			 : "cc", "memory");
	CHECK_EQ(source_end - (uint16_t)(uintptr_t)source, 6, "repe cmpsb stops at the difference");
	__asm__ volatile("cld; rep stosw"
			 : "=D"(target_end), "=c"(count)
			 : "0"(target), "1"(4), "a"(0x2d2d)
			 : "memory");
	CHECK(!memcmp(target, "--------", 8), "rep stosw fills");
}

static void check_ports(void)
{
	static uint8_t bytes[] = { 0x11, 0x22, 0x77 };
	uint32_t count = sizeof(bytes);
	const uint8_t *from = bytes;
	uint8_t *to = bytes;

	outb(COM1_SCRATCH, 0x5a);
	CHECK_EQ(inb(COM1_SCRATCH), 0x5a, "out and in reach a device");
	__asm__ volatile("cld; rep outsb" : "+S"(from), "+c"(count) : "d"(COM1_SCRATCH) : "memory");
	CHECK_EQ(inb(COM1_SCRATCH), 0x77, "rep outsb writes up to the last byte");
	count = sizeof(bytes);
	__asm__ volatile("cld; rep insb" : "+D"(to), "+c"(count) : "d"(COM1_SCRATCH) : "memory");
	CHECK(bytes[0] == 0x77 && bytes[2] == 0x77, "rep insb reads as often as asked");
}

static void check_interrupts(void)
{
	uint16_t quotient;

	set_vector(0x40, count_software);
	__asm__ volatile("int $0x40; int $0x40" ::: "memory", "cc");
	CHECK_EQ(software_interrupts, 2, "int goes through the vector table and iret returns");
	set_vector(0, count_divide);
	__asm__ volatile("divb %%bl"
			 : "=a"(quotient)
			 : "a"((uint16_t)100), "b"((uint8_t)0)
			 : "memory", "cc");
	CHECK_EQ(division_faults, 1, "division by 0 comes as interrupt 0");
}

static void check_wake_up(void)
{
	static const uint8_t words[] = { 0x08, 0x04, 0x01 };
	const uint16_t divisor = PIT_HZ / 200;

	outb(PIC1_COMMAND, 0x11);
	for (unsigned int i = 0; i < sizeof(words); i++)
		outb(PIC1_DATA, words[i]);
	outb(PIC1_DATA, 0xfe);
	if (inb(PIC1_DATA) != 0xfe) {
		skip("a timer interrupt wakes hlt", "there is no 8259");
		return;
	}
	set_vector(8, count_tick);
	outb(PIT_COMMAND, 0x34); /* channel 0, both bytes, rate generator */
	outb(PIT_CHANNEL0, (uint8_t)divisor);
	outb(PIT_CHANNEL0, divisor >> 8);
	while (ticks < 3)
		__asm__ volatile("sti; hlt; cli" ::: "memory");
	outb(PIC1_DATA, 0xff);
	CHECK(ticks >= 3, "a timer interrupt wakes hlt");
}

void guest_main(void)
{
	check_entry();
	check_a20();
	check_addition();
	check_multiplication();
	check_shifts();
	check_segments();
	check_strings();
	check_ports();
	check_interrupts();
	check_wake_up();
}
