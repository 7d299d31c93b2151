// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the packed virtqueue against a guest that writes anything anywhere at any time.
 */
#include "virtio-fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz__queue(data, size, true);
	return 0;
}
