// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The debug console at port 0xe9: what is written comes out, what is read says that it is there.
 */
#include "guest.h"

#define DEBUG_CONSOLE 0xe9

void guest_main(void)
{
	static const char first[] = "written by bytes\n", second[] = "written by a string\n";
	const char *from = second;
	size_t len = sizeof(second) - 1;

	CHECK_EQ(inb(DEBUG_CONSOLE), 0xe9, "the debug console reads 0xe9");
	for (size_t i = 0; i < sizeof(first) - 1; i++)
		outb(DEBUG_CONSOLE, (uint8_t)first[i]);
	__asm__ volatile("cld; rep outsb" : "+S"(from), "+c"(len) : "d"(DEBUG_CONSOLE) : "memory");
	CHECK_EQ(len, 0, "rep outsb writes all bytes");
}
