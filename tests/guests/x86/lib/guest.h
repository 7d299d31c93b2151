/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every guest has, in 16-, 32- and 64-bit mode alike: port I/O, a console, reports and an end.
 *
 * A guest is one guest_main() that proves one subject. It reports each thing it checks as a line on
 * COM1; when guest_main() returns, the runtime prints the sum and writes 0 (all good) or 1 to the
 * debug-exit port.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COM1	   0x3f8
#define DEBUG_EXIT 0xf4

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/**
 * guest_main - the guest's subject; each image has its own
 */
void guest_main(void);

/**
 * put - print on COM1
 * @fmt: knows %s, %c, %u, %x, %llx and %%
 */
void put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * report - one line about one thing: "ok NAME" or "not ok NAME: WHY"
 * @name: the rule that was checked, as a sentence
 * @why:  as for put(); printed if it does not hold
 */
void report(bool ok, const char *name, const char *why, ...) __attribute__((format(printf, 3, 4)));

/**
 * report_equal - a value and what it should be
 */
void report_equal(uint64_t value, uint64_t expected, const char *name);

/**
 * skip - "ok NAME # SKIP WHY": the thing cannot be checked on this machine
 */
void skip(const char *name, const char *why);

/**
 * bail - something without which nothing more can be checked: reports it and ends the machine
 */
void bail(const char *name, const char *why, ...) __attribute__((format(printf, 2, 3), noreturn));

/**
 * finish - print the sum and end the machine by the debug-exit port
 */
void finish(void) __attribute__((noreturn));

/**
 * debug_exit - end the machine; lkvm's status is then 2 * @value + 1
 */
void debug_exit(uint8_t value) __attribute__((noreturn));

#define CHECK(condition, name)		report((condition), (name), "%s", "no " #condition)
#define CHECK_EQ(value, expected, name) report_equal((value), (expected), (name))

/*
 * The few string functions guests use. Compilers emit calls of the first three on their own.
 */
void *memcpy(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
size_t strlen(const char *s);

/**
 * find_word - look for a word among words separated by blanks
 * @words: such as a command line; NULL has none
 * @word:  if it ends in '=', any word that starts so is found
 *
 * Return: what follows @word in @words, or NULL if it is not there.
 */
const char *find_word(const char *words, const char *word);

/**
 * number - the decimal number at the start of @s, or @otherwise if @s is NULL
 */
unsigned int number(const char *s, unsigned int otherwise);

/**
 * module_byte - byte @i of the file the test runner gives as initrd or module
 */
static inline uint8_t module_byte(uint32_t i)
{
	return (uint8_t)('a' + i % 23);
}

#endif
