// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reports, console output and the end of a guest, in whichever mode it is compiled for.
 *
 * Output goes to COM1 by polling, a byte at a time, so that it works before, without and despite
 * interrupts.
 */
#include "guest.h"

#define COM1_LSR (COM1 + 5)
#define LSR_THRE 0x20

static unsigned int nr_ok, nr_not_ok, nr_skipped;

static void put_char(char c)
{
	while (!(inb(COM1_LSR) & LSR_THRE))
		;
	outb(COM1, (uint8_t)c);
}

static void put_string(const char *s)
{
	for (; *s; s++)
		put_char(*s);
}

static void put_decimal(unsigned int value)
{
	char digits[11];
	unsigned int at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put_string(&digits[at]);
}

static void put_hex(uint64_t value)
{
	int shift = 60;

	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[(value >> shift) & 0xf]);
}

static void vput(const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		switch (*++fmt) {
		case 's':
			put_string(va_arg(args, const char *));
			break;
		case 'c':
			put_char((char)va_arg(args, int));
			break;
		case 'u':
			put_decimal(va_arg(args, unsigned int));
			break;
		case 'x':
			put_hex(va_arg(args, unsigned int));
			break;
		case 'l': /* of "llx" */
			fmt += 2;
			put_hex(va_arg(args, unsigned long long));
			break;
		default:
			put_char(*fmt);
		}
	}
}

void put(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vput(fmt, args);
	va_end(args);
}

static void vreport(bool ok, const char *name, const char *why, va_list args)
{
	if (ok) {
		nr_ok++;
		put("ok %s\n", name);
		return;
	}
	nr_not_ok++;
	put("not ok %s: ", name);
	vput(why, args);
	put_char('\n');
}

void report(bool ok, const char *name, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	vreport(ok, name, why, args);
	va_end(args);
}

void report_equal(uint64_t value, uint64_t expected, const char *name)
{
	report(value == expected, name, "0x%llx instead of 0x%llx", (unsigned long long)value,
	       (unsigned long long)expected);
}

void skip(const char *name, const char *why)
{
	nr_skipped++;
	put("ok %s # SKIP %s\n", name, why);
}

void bail(const char *name, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	vreport(false, name, why, args);
	va_end(args);
	finish();
}

void finish(void)
{
	put("# %u ok, %u not ok, %u skipped\n", nr_ok, nr_not_ok, nr_skipped);
	debug_exit(nr_not_ok != 0 || nr_ok + nr_skipped == 0);
}

void debug_exit(uint8_t value)
{
	outb(DEBUG_EXIT, value);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void *memcpy(void *to, const void *from, size_t len)
{
	void *at = to;

	__asm__ volatile("cld; rep movsb" : "+D"(at), "+S"(from), "+c"(len)::"memory");
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	void *at = to;

	__asm__ volatile("cld; rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < len; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t len = 0;

	while (s[len])
		len++;
	return len;
}

const char *find_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	bool prefix = word[len - 1] == '=';

	while (words && *words) {
		const char *after = words;

		while (*after && *after != ' ')
			after++;
		if ((size_t)(after - words) >= len && !memcmp(words, word, len) &&
		    (prefix || words + len == after))
			return words + len;
		words = *after ? after + 1 : after;
	}
	return NULL;
}

unsigned int number(const char *s, unsigned int otherwise)
{
	unsigned int value = 0;

	if (!s)
		return otherwise;
	for (; *s >= '0' && *s <= '9'; s++)
		value = value * 10 + (unsigned int)(*s - '0');
	return value;
}
