// SPDX-License-Identifier: Apache-2.0
#include "CQuernKernels.h"
// placeholder bodies until the kernels land: portable and slow
uint32_t quern_crc32c_portable(uint32_t crc, const void *bytes, size_t length) {
    const uint8_t *p = bytes; crc = ~crc;
    for (size_t i = 0; i < length; i++) { crc ^= p[i]; for (int k = 0; k < 8; k++) crc = (crc >> 1) ^ (0x82F63B78u & -(crc & 1)); }
    return ~crc;
}
uint32_t quern_crc32c(uint32_t crc, const void *bytes, size_t length) { return quern_crc32c_portable(crc, bytes, length); }
const char *quern_crc32c_implementation(void) { return "portable"; }
void quern_shuffle(const uint8_t *s, uint8_t *t, size_t n, size_t w) { for (size_t i = 0; i < n; i++) for (size_t b = 0; b < w; b++) t[b * n + i] = s[i * w + b]; }
void quern_unshuffle(const uint8_t *s, uint8_t *t, size_t n, size_t w) { for (size_t i = 0; i < n; i++) for (size_t b = 0; b < w; b++) t[i * w + b] = s[b * n + i]; }
