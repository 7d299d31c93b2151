/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for a guest's addresses, out of an ELF file's symbol table or a System.map.
 *
 * Used by register dumps. Nothing is indexed or copied: a look-up walks the mapped file, which is
 * quick enough for the few dozen that a dump needs, and costs nothing until then.
 */
#ifndef KVM_SYMBOLS_H
#define KVM_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

struct symbols;

/**
 * struct symbol - one that was found
 * @name:     not terminated; good until symbols__close()
 * @name_len: its bytes
 * @address:  where it starts
 * @size:     bytes, or the distance to the next symbol if the file gives none; 0 if there is no
 * next
 * @function: it is code
 */
struct symbol {
	const char *name;
	int name_len;
	uint64_t address;
	uint64_t size;
	bool function;
};

/**
 * symbols__open - map a file of symbols
 * @path: ELF, 32 or 64 bits, of this machine's byte order; or text in the format of nm and
 * System.map
 *
 * Whatever the file says of offsets, sizes and indices is checked when it is used.
 *
 * Return: 0; -ENOEXEC if it is neither kind; -ENODATA for an ELF file without a symbol table; or
 * the errno of open, fstat or mmap. Not printed.
 */
int symbols__open(const char *path, struct symbols **out);

/**
 * symbols__close - NULL is harmless
 */
void symbols__close(struct symbols *symbols);

/**
 * symbols__find - the symbol that an address belongs to: the nearest one that starts at or below it
 *
 * Return: false if there is none, or if the nearest one has a size and ends before @address.
 */
bool symbols__find(const struct symbols *symbols, uint64_t address, struct symbol *out);

/**
 * symbols__address - where a symbol is
 *
 * Return: false if the file does not have it.
 */
bool symbols__address(const struct symbols *symbols, const char *name, uint64_t *address);

#endif
