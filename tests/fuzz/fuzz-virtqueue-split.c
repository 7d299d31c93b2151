// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the split virtqueue against a guest that writes anything anywhere at any time.
 */
#include "virtio-fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz__queue(data, size, false);
	return 0;
}
