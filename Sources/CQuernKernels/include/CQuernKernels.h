// SPDX-License-Identifier: Apache-2.0
#ifndef CQUERN_KERNELS_H
#define CQUERN_KERNELS_H
#include <stddef.h>
#include <stdint.h>

/// CRC32C (Castagnoli) of `length` bytes, continued from `crc` (0 to start). Uses SSE4.2 or the ARMv8 CRC
/// instructions where the processor has them, slice-by-8 tables elsewhere.
uint32_t quern_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same by tables alone: what every machine can run, and what tests compare the hardware with.
uint32_t quern_crc32c_portable(uint32_t crc, const void *bytes, size_t length);

/// The name of the implementation that `quern_crc32c` chose: "sse4.2", "armv8" or "portable".
const char *quern_crc32c_implementation(void);

/// Which bytes of `count` records of `width` bytes differ between records: bit j stands for byte j. Widths up to 64.
uint64_t quern_varying_planes(const uint8_t *source, size_t count, size_t width);

/// Byte shuffle: `count` records of `width` bytes, at most 64, become planes in the order of the bytes: `count` bytes
/// for a byte whose bit is set in `varying`, one byte for another, which all records have alike. The memory of records
/// and planes does not overlap.
void quern_shuffle(const uint8_t *source, uint8_t *target, size_t count, size_t width, uint64_t varying);

/// The inverse of `quern_shuffle`.
void quern_unshuffle(const uint8_t *source, uint8_t *target, size_t count, size_t width, uint64_t varying);

/// The length of `bytes` without the zeros at its end. Looks at those zeros alone.
size_t quern_length_without_zeros(const void *bytes, size_t length);

/// Gives back the space of a part of a file, which reads as zeros then; its length stays. Swift does not see
/// `fallocate`. Returns -1 where the system or the file system cannot do that.
int quern_punch_hole(int descriptor, int64_t offset, int64_t length);
#endif
