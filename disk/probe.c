// SPDX-License-Identifier: GPL-2.0-or-later
/* Image formats by the first bytes of a file. */
#include <string.h>

#include "disk/disk.h"

static const struct magic {
	const char *name;
	unsigned int offset;
	unsigned int len;
	const char *bytes;
} magics[] = {
	{ "qcow1", 0, 8, "QFI\xfb\0\0\0\1" },
	{ "qcow2", 0, 4, "QFI\xfb" },
	{ "QED", 0, 4, "QED\0" },
	{ "VMDK", 0, 4, "KDMV" },
	{ "VMDK", 0, 4, "COWD" },
	{ "VMDK", 0, 21, "# Disk DescriptorFile" },
	{ "VHDX", 0, 8, "vhdxfile" },
	{ "VHD", 0, 8, "conectix" },
	{ "VDI", 64, 4, "\x7f\x10\xda\xbe" },
	{ "Parallels", 0, 16, "WithoutFreeSpace" },
	{ "Parallels", 0, 16, "WithouFreSpacExt" },
};

bool probe__format(const uint8_t *data, size_t len, const char **name)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		const struct magic *m = &magics[i];

		if (m->offset + m->len <= len && !memcmp(data + m->offset, m->bytes, m->len)) {
			*name = m->name;
			return true;
		}
	}
	return false;
}
