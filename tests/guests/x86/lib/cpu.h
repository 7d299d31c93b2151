/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What 64-bit guests have on top of guest.h: registers, traps, time and other processors.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "guest.h"
#include "layout.h"

#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA	0x10
#define SELECTOR_CODE32 0x18

#define RFLAGS_IF 0x200

#define MSR_EFER	    0xc0000080
#define MSR_APIC_BASE	    0x1b
#define MSR_GS_BASE	    0xc0000101
#define APIC_BASE_X2APIC    0x400
#define APIC_BASE_ENABLE    0x800
#define CPUID1_EDX_APIC	    (1u << 9)
#define CPUID1_ECX_X2APIC   (1u << 21)
#define CPUID1_ECX_DEADLINE (1u << 24)

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid id;

	__asm__ volatile("cpuid"
			 : "=a"(id.eax), "=b"(id.ebx), "=c"(id.ecx), "=d"(id.edx)
			 : "a"(leaf), "c"(subleaf));
	return id;
}

static inline void irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

/** halt - enable interrupts, sleep until one has come, disable them */
static inline void halt(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

static inline void relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

/*
 * Memory-mapped registers: one access of exactly the named width.
 */
static inline uint32_t mmio_read32(uint64_t address)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" ::"r"(value), "r"(address) : "memory");
}

static inline uint16_t mmio_read16(uint64_t address)
{
	uint16_t value;

	__asm__ volatile("movw (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline uint8_t mmio_read8(uint64_t address)
{
	uint8_t value;

	__asm__ volatile("movb (%1), %0" : "=q"(value) : "r"(address) : "memory");
	return value;
}

static inline uint64_t mmio_read64(uint64_t address)
{
	uint64_t value;

	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write64(uint64_t address, uint64_t value)
{
	__asm__ volatile("movq %0, (%1)" ::"r"(value), "r"(address) : "memory");
}

/**
 * map_physical - make a physical address accessible; what lies below 4 GiB always is
 *
 * Return: the same address, as a pointer; ends the guest if there are too many above 4 GiB.
 */
void *map_physical(uint64_t address);

/**
 * struct frame - the state that a trap interrupted; the handler may change it
 */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/**
 * typedef trap_fn - a handler; runs with interrupts off, on the stack of what it interrupted
 */
typedef void (*trap_fn)(struct frame *frame);

/**
 * trap_init - load this processor's IDT; start-up code has done it
 */
void trap_init(void);

/**
 * trap_set - handle @vector by @fn, or with NULL end the guest should it come
 */
void trap_set(uint8_t vector, trap_fn fn);

/**
 * struct fault - what happened to an instruction under TRY()
 * @vector: of the exception, or NO_FAULT
 * @error:  the error code
 * @cr2:    the address, for a page fault
 */
#define NO_FAULT (~0ull)
struct fault {
	uint64_t vector, error, cr2;
};

extern uint64_t try_resume;
extern struct fault try_fault;

/**
 * TRY - run instructions that may fault, and go on after them if they do
 *
 * try_fault then says what happened. @code is a string; operands follow as in an asm statement's
 * inputs.
 */
#define TRY(code, ...)                                                                       \
	do {                                                                                 \
		try_fault.vector = NO_FAULT;                                                 \
		__asm__ volatile("movq $1f, try_resume\n\t" code "\n1:\tmovq $0, try_resume" \
				 : /* no outputs: a fault leaves them undefined */           \
				 : __VA_ARGS__                                               \
				 : "memory", "cc", "rax", "rcx", "rdx");                     \
	} while (0)

/**
 * tsc_soon - a time that a working machine need not reach, whatever it waits for
 */
static inline uint64_t tsc_soon(void)
{
	return rdtsc() + 8000000000ull;
}

/**
 * wait_count - wait with interrupts on until *@count is at least @wanted
 *
 * Return: true; false if it has not come to it in some seconds.
 */
bool wait_count(const volatile unsigned int *count, unsigned int wanted);

/**
 * wait_quiet - leave interrupts on for a while in which an interrupt that was wrongly sent would
 * come
 */
void wait_quiet(void);

/*
 * The local APIC, in whichever mode it is in. Registers go by their xAPIC offset.
 */
#define APIC_ID	       0x20
#define APIC_VERSION   0x30
#define APIC_TPR       0x80
#define APIC_EOI       0xb0
#define APIC_LDR       0xd0
#define APIC_DFR       0xe0
#define APIC_SVR       0xf0
#define APIC_ISR       0x100 /* 8 registers of 32 bits, 0x10 apart */
#define APIC_ESR       0x280
#define APIC_ICR       0x300
#define APIC_ICR_HIGH  0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_INITIAL   0x380
#define APIC_CURRENT   0x390
#define APIC_DIVIDE    0x3e0
#define APIC_SELF_IPI  0x3f0 /* x2APIC only */

#define APIC_MASKED	    (1u << 16)
#define APIC_EXTINT	    0x700
#define APIC_TIMER_PERIODIC (1u << 17)
#define APIC_TIMER_DEADLINE (2u << 17)
#define MSR_TSC_DEADLINE    0x6e0

#define ICR_FIXED	 0
#define ICR_NMI		 0x400
#define ICR_INIT	 0x500
#define ICR_STARTUP	 0x600
#define ICR_LOGICAL	 0x800
#define ICR_PENDING	 0x1000
#define ICR_ASSERT	 0x4000
#define ICR_SELF	 0x40000
#define ICR_ALL		 0x80000
#define ICR_ALL_BUT_SELF 0xc0000

#define VECTOR_NMI	2
#define VECTOR_SPURIOUS 0xff

/** apic_present - does CPUID announce a local APIC? */
bool apic_present(void);

/** x2apic_present - does CPUID announce x2APIC mode? */
bool x2apic_present(void);

/** apic_enable - software-enable this processor's local APIC, all its LVT entries masked */
void apic_enable(void);

/** x2apic_enable - switch this processor's local APIC to x2APIC mode */
void x2apic_enable(void);

bool apic_is_x2apic(void);
uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);
void apic_eoi(void);

/** apic_in_service - is an interrupt of this vector between its delivery and its EOI? */
bool apic_in_service(uint8_t vector);

/** apic_id - this processor's, 8 bits or in x2APIC mode 32 */
uint32_t apic_id(void);

/** apic_send - send an IPI: @icr is the low half of the ICR, @destination its target, unshifted */
void apic_send(uint32_t icr, uint32_t destination);

/*
 * The I/O APIC that has GSI 0.
 */
#define IOAPIC_LEVEL	  (1u << 15)
#define IOAPIC_LOW_ACTIVE (1u << 13)
#define IOAPIC_REMOTE_IRR (1u << 14)

/** ioapic_init - find it by the MADT and mask all its pins. Return: how many; 0 without one */
unsigned int ioapic_init(void);
void ioapic_route(unsigned int pin, uint8_t vector, uint32_t flags);
void ioapic_mask(unsigned int pin);

/*
 * The pair of 8259s: IRQs 0-15 come as vectors PIC_VECTOR + IRQ.
 */
#define PIC_VECTOR 0x20

/**
 * pic_init - set both up, all IRQs masked, and let them through the local APIC if there is one
 *
 * Return: false if there is no 8259.
 */
bool pic_init(void);
void pic_unmask(unsigned int irq);
void pic_mask(unsigned int irq);
void pic_mask_all(void);
void pic_eoi(unsigned int irq);
/** pic_level - ELCR: are these IRQs (a bit each) level-triggered? */
void pic_level(uint16_t irqs);

/*
 * Other processors.
 */
/**
 * struct cpu - one processor that runs our code
 * @self:    this, as found by GS
 * @apic_id: as CPUID and its APIC say
 * @index:   in cpus[]; 0 is the boot processor
 * @work:    what it shall do next (see cpu_run()); NULL while it does nothing
 */
struct cpu {
	struct cpu *self;
	uint32_t apic_id;
	uint32_t index;
	void (*volatile work)(void);
};

extern struct cpu cpus[MAX_CPUS];

/** nr_cpus_up - processors that run our code, the boot processor included */
extern volatile unsigned int nr_cpus_up;

/** smp_x2apic - set before smp_prepare(): all processors shall use x2APIC mode from the start */
extern bool smp_x2apic;

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/**
 * smp_prepare - put the start-up trampoline where processors can start at it
 */
void smp_prepare(void);

/**
 * smp_start - INIT, SIPI, SIPI to one processor, which then waits for cpu_run() with interrupts on
 */
void smp_start(uint32_t apic_id);

/**
 * cpu_run - have another processor run @fn once, with interrupts off
 *
 * It must be awake or woken by an interrupt to notice: so sends it VECTOR_WAKE.
 *
 * Return: true when it has returned, false if it did not in some seconds.
 */
#define VECTOR_WAKE 0xf0
bool cpu_run(unsigned int index, void (*fn)(void));

#endif
