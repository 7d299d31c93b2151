/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A builder of ACPI Machine Language (AML), the byte code of the DSDT. Used by x86/acpi.c.
 *
 * AML is a prefix notation: an opcode, then its operands. The calls that make it are in the same
 * order, so that a sequence of them reads like the ASL it stands for:
 *
 *	aml__begin_device(aml, "RTC");		Device (RTC) {
 *	aml__name(aml, "_HID");			    Name (_HID,
 *	aml__hardware_id(aml, "PNP0B00");		EisaId ("PNP0B00"))
 *	aml__name(aml, "_CRS");			    Name (_CRS,
 *	aml__begin_resources(aml);			ResourceTemplate () {
 *	aml__io(aml, 0x70, 2);				    IO (Decode16, 0x70, 0x70, 1, 2)
 *	aml__end(aml);					})
 *	aml__end(aml);				}
 *
 * Section numbers are those of the ACPI specification, version 6.4.
 */
#ifndef X86_AML_H
#define X86_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AML_MAX_DEPTH 8

/**
 * struct aml - code in the making
 * @buf:   where it goes; may be NULL if @size is 0
 * @size:  bytes there
 * @len:   bytes so far, also beyond @size: what does not fit is counted but not written
 * @error: first mistake, or 0; later calls do nothing
 * @depth: blocks open
 * @block: for each open block, where its body starts and whether it is a resource template
 */
struct aml {
	uint8_t *buf;
	size_t size;
	size_t len;
	int error;
	unsigned int depth;
	struct aml_block {
		size_t at;
		bool resources;
	} block[AML_MAX_DEPTH];
};

/**
 * enum aml_op - opcodes for aml__op(); the operands follow by further calls (20.2.5, 20.2.6)
 * @AML_STORE:              value, target
 * @AML_AND:                value, value, target
 * @AML_OR:                 value, value, target
 * @AML_NOTIFY:             device, code
 * @AML_CREATE_DWORD_FIELD: buffer, byte index, name
 * @AML_LNOT:               value
 * @AML_LEQUAL:             value, value
 * @AML_RETURN:             value
 * @AML_LOCAL0:             no operands: a variable of the method (Local1 is AML_LOCAL0 + 1 …)
 * @AML_ARG0:               no operands: an argument of the method (Arg1 is AML_ARG0 + 1 …)
 */
enum aml_op {
	AML_LOCAL0 = 0x60,
	AML_ARG0 = 0x68,
	AML_STORE = 0x70,
	AML_AND = 0x7b,
	AML_OR = 0x7d,
	AML_NOTIFY = 0x86,
	AML_CREATE_DWORD_FIELD = 0x8a,
	AML_LNOT = 0x92,
	AML_LEQUAL = 0x93,
	AML_RETURN = 0xa4,
};

/**
 * enum aml_region_space - what an operation region maps (20.2.5.2, RegionSpace)
 */
enum aml_region_space { AML_SYSTEM_MEMORY = 0, AML_SYSTEM_IO = 1 };

/**
 * enum aml_access - how fields of a region are accessed (20.2.5.2, AccessType)
 */
enum aml_access { AML_ACCESS_BYTE = 1, AML_ACCESS_WORD = 2, AML_ACCESS_DWORD = 3 };

/**
 * enum aml_trigger - what a line says; it is active high and belongs to one device
 */
enum aml_trigger { AML_LEVEL = 0, AML_EDGE = 1 };

/**
 * aml__init - start with no code
 * @buf:  room for it; NULL to learn only how long it becomes
 * @size: bytes there
 */
void aml__init(struct aml *aml, void *buf, size_t size);

/**
 * aml__finish - was it all good?
 *
 * The only check a caller has to make.
 *
 * Return: bytes of code; -EINVAL for a bad name, id or range, or a block left open or closed twice;
 * -EOVERFLOW for a block of 256 MiB or more. More than the buffer's size means that the end is
 * missing: the caller compares.
 */
ssize_t aml__finish(const struct aml *aml);

/**
 * aml__raw - bytes as they are
 */
void aml__raw(struct aml *aml, const void *data, size_t len);

/**
 * aml__op - an opcode; see enum aml_op for what has to follow
 */
void aml__op(struct aml *aml, enum aml_op op);

/**
 * aml__path - refer to an object (20.2.2)
 * @path: ASL notation: "_STA", "\\_SB.PCI0", "^FOO"; short segments are filled with '_'
 */
void aml__path(struct aml *aml, const char *path);

/**
 * aml__integer - a constant in its shortest encoding (20.2.3)
 */
void aml__integer(struct aml *aml, uint64_t value);

/**
 * aml__string - an ASCII string without NUL (20.2.3)
 */
void aml__string(struct aml *aml, const char *text);

/**
 * aml__hardware_id - the value of a _HID or _CID (6.1.5)
 * @id: "PNP0501" becomes a compressed EISA id; "ACPI0007", of eight characters, a string
 */
void aml__hardware_id(struct aml *aml, const char *id);

/**
 * aml__uuid - a buffer with a UUID in the byte order of ASL's ToUUID (19.6)
 * @uuid: "aabbccdd-eeff-gghh-iijj-kkllmmnnoopp"
 */
void aml__uuid(struct aml *aml, const char *uuid);

/**
 * aml__name - give a name to the object that follows (20.2.5.1)
 */
void aml__name(struct aml *aml, const char *path);

/**
 * aml__name_integer - name a constant
 */
void aml__name_integer(struct aml *aml, const char *path, uint64_t value);

/**
 * aml__region - declare an operation region (20.2.5.2)
 * @offset: first address or port
 * @len:    bytes
 */
void aml__region(struct aml *aml, const char *path, enum aml_region_space space, uint64_t offset,
		 uint64_t len);

/*
 * Blocks: each begin has its aml__end(), which fills in the length (20.2.4).
 */

/**
 * aml__begin_scope - objects in a scope that exists (20.2.5.1)
 */
void aml__begin_scope(struct aml *aml, const char *path);

/**
 * aml__begin_device - a device (20.2.5.2)
 */
void aml__begin_device(struct aml *aml, const char *path);

/**
 * aml__begin_method - a method (20.2.5.2)
 * @args:       how many arguments, up to 7
 * @serialized: one thread at a time: needed where the method makes named objects
 */
void aml__begin_method(struct aml *aml, const char *path, unsigned int args, bool serialized);

/**
 * aml__begin_if - the condition comes first, then the statements (20.2.5.3)
 */
void aml__begin_if(struct aml *aml);

/**
 * aml__begin_else - directly after the end of an If
 */
void aml__begin_else(struct aml *aml);

/**
 * aml__begin_package - a package (20.2.5.4)
 * @elements: how many follow, up to 255
 */
void aml__begin_package(struct aml *aml, unsigned int elements);

/**
 * aml__begin_fields - the fields of an operation region (20.2.5.2); aml__field() follows for each
 */
void aml__begin_fields(struct aml *aml, const char *region, enum aml_access access);

/**
 * aml__field - the next field of a region
 * @name: one segment, or NULL for bits without a name
 * @bits: its width
 */
void aml__field(struct aml *aml, const char *name, unsigned int bits);

/**
 * aml__begin_resources - a ResourceTemplate (19.6): a buffer of the descriptors that follow
 *
 * Its end adds the end tag with the checksum (6.4.2.9).
 */
void aml__begin_resources(struct aml *aml);

/**
 * aml__end - close the block opened last
 */
void aml__end(struct aml *aml);

/*
 * Descriptors, between aml__begin_resources() and aml__end().
 */

/**
 * aml__io - ports that a device decodes, all 16 address bits (6.4.2.5)
 * @size: 1 to 255 ports
 */
void aml__io(struct aml *aml, uint64_t base, uint64_t size);

/**
 * aml__isa_irq - an ISA interrupt: edge, active high, not shared (IRQNoFlags, 6.4.2.1)
 * @irq: 0 to 15
 */
void aml__isa_irq(struct aml *aml, unsigned int irq);

/**
 * aml__interrupt - a global system interrupt that a device raises (6.4.3.6)
 */
void aml__interrupt(struct aml *aml, uint32_t gsi, enum aml_trigger trigger);

/**
 * aml__memory32 - read-write memory of a device, below 4 GiB (Memory32Fixed, 6.4.3.4)
 */
void aml__memory32(struct aml *aml, uint64_t base, uint64_t size);

/**
 * aml__bus_window - bus numbers below a host bridge (WordBusNumber, 6.4.3.5.3)
 */
void aml__bus_window(struct aml *aml, unsigned int first, unsigned int count);

/**
 * aml__io_window - ports that a host bridge passes on (WordIO, 6.4.3.5.3)
 * @size: up to 65535 ports
 */
void aml__io_window(struct aml *aml, uint64_t base, uint64_t size);

/**
 * aml__memory_window - addresses that a host bridge passes on, uncached, read-write
 *
 * DWordMemory (6.4.3.5.2) below 4 GiB, QWordMemory (6.4.3.5.1) otherwise.
 */
void aml__memory_window(struct aml *aml, uint64_t base, uint64_t size);

#endif
