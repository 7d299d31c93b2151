// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lkvm version: which lkvm this is, for people and bug reports.
 */
#include <stdio.h>

#include "kvm/builtin.h"
#include "kvm/fate.h"
#include "kvm/options.h"

/* Whose compressed kernels lkvm can unpack itself. */
static const char libraries[] = ""
#ifdef HAVE_ZLIB
				" gzip"
#endif
#ifdef HAVE_BZ2
				" bzip2"
#endif
#ifdef HAVE_LZMA
				" xz lzma"
#endif
#ifdef HAVE_LZO
				" lzo"
#endif
#ifdef HAVE_LZ4
				" lz4"
#endif
#ifdef HAVE_ZSTD
				" zstd"
#endif
	;

const struct option_table version_options = {
	.command = "version",
	.summary = "Print the version, the architecture, and what was built in",
};

int builtin_version(int argc, char **argv)
{
	int ret = options__parse(&version_options, NULL, argc, argv);

	if (ret)
		return ret < 0 ? EXIT_HOST_ERROR : 0;

	printf("lkvm %s\n", LKVM_VERSION);
	printf("guests: %s\n", LKVM_ARCH);
	printf("unpacks kernels: %s\n", *libraries ? libraries + 1 : "none");
	return 0;
}
