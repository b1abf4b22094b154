// SPDX-License-Identifier: Apache-2.0

#include "CQuernKernels.h"
#include <string.h>

size_t quern_length_without_zeros(const void *bytes, size_t length) {
    const uint8_t *start = bytes;
    while (length >= 64) {
        uint64_t words[8], any = 0;
        memcpy(words, start + length - 64, 64);
        for (int i = 0; i < 8; i++) any |= words[i];
        if (any != 0) break;
        length -= 64;
    }
    while (length > 0 && start[length - 1] == 0) length--;
    return length;
}
