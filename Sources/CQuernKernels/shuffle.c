// SPDX-License-Identifier: Apache-2.0

// Byte shuffle by squares: eight columns of sixteen records sit in eight pairs of 64-bit words, and three rounds of
// exchanges turn rows into columns. A square may lie anywhere in the records, so any width of eight or more is
// covered: the last square in each direction overlaps the one before it and writes the same bytes again. A narrower
// record is covered by a square that reaches into the records behind it, and the last records go byte by byte.

#include "CQuernKernels.h"
#include <string.h>

enum {
    square_rows = 16,
    square_columns = 8,
    /// Rows that one group of columns goes through before the next: few enough to stay in the first cache, a whole
    /// cache line a plane, and only eight planes written at a time, whatever power of two lies between them.
    stripe_rows = 64,
};

/// Two words side by side, one of a record and one of the eighth record after it: a vector register where the
/// processor has them.
typedef uint64_t word_pair __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))

/// Exchanges the bytes of `upper` that `mask << distance` selects with those of `lower` that `mask` selects.
INLINE void exchange(word_pair *upper, word_pair *lower, unsigned distance, uint64_t mask) {
    word_pair difference = ((*upper >> distance) ^ *lower) & mask;
    *lower ^= difference;
    *upper ^= difference << distance;
}

/// Byte `b` of word `r` becomes byte `r` of word `b`, in both halves. Its own inverse.
INLINE void transpose(word_pair words[square_columns]) {
    for (int i = 0; i < 4; i++) exchange(&words[i], &words[i + 4], 32, 0x00000000FFFFFFFFu);
    for (int i = 0; i < 8; i += 4) {
        exchange(&words[i], &words[i + 2], 16, 0x0000FFFF0000FFFFu);
        exchange(&words[i + 1], &words[i + 3], 16, 0x0000FFFF0000FFFFu);
    }
    for (int i = 0; i < 8; i += 2) exchange(&words[i], &words[i + 1], 8, 0x00FF00FF00FF00FFu);
}

INLINE void shuffle_square(const uint8_t *records, uint8_t *planes, size_t count, size_t width) {
    word_pair words[square_columns];
    for (size_t r = 0; r < 8; r++) {
        uint64_t halves[2];
        memcpy(&halves[0], records + r * width, 8);
        memcpy(&halves[1], records + (r + 8) * width, 8);
        words[r] = (word_pair){halves[0], halves[1]};
    }
    transpose(words);
    for (size_t c = 0; c < square_columns && c < width; c++) memcpy(planes + c * count, &words[c], square_rows);
}

/// Writes the records in their order: what reaches into a following narrow record is overwritten with its own bytes.
INLINE void unshuffle_square(const uint8_t *planes, uint8_t *records, size_t count, size_t width) {
    word_pair words[square_columns] = {0};
    for (size_t c = 0; c < square_columns && c < width; c++) memcpy(&words[c], planes + c * count, square_rows);
    transpose(words);
    for (size_t half = 0; half < 2; half++)
        for (size_t r = 0; r < 8; r++) {
            uint64_t word = words[r][half];
            memcpy(records + (r + 8 * half) * width, &word, 8);
        }
}

/// How many leading records squares cover: all, but for narrow ones whose word would reach beyond the last byte, and
/// none where a word's first byte in memory is not its lowest.
INLINE size_t rows_in_squares(size_t count, size_t width) {
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || count < square_rows) return 0;
    size_t rows = (count * width - square_columns) / width + 1;
    return rows < square_rows ? 0 : rows;
}

/// Where the square after the one at `start` begins: the last one ends at `end`.
INLINE size_t next_square(size_t start, size_t side, size_t end) {
    size_t next = start + side;
    return next < end && next + side > end ? end - side : next;
}

INLINE size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

INLINE void shuffle(const uint8_t *restrict source, uint8_t *restrict target, size_t count, size_t width) {
    size_t rows = rows_in_squares(count, width);
    for (size_t first = 0; first < rows; first += stripe_rows) {
        size_t end = smaller(first + stripe_rows, rows);
        for (size_t column = 0; column < width; column = next_square(column, square_columns, width))
            for (size_t row = smaller(first, rows - square_rows); row < end; row = next_square(row, square_rows, end))
                shuffle_square(source + row * width + column, target + column * count + row, count, width);
    }
    for (size_t row = rows; row < count; row++)
        for (size_t column = 0; column < width; column++) target[column * count + row] = source[row * width + column];
}

INLINE void unshuffle(const uint8_t *restrict source, uint8_t *restrict target, size_t count, size_t width) {
    size_t rows = rows_in_squares(count, width);
    for (size_t first = 0; first < rows; first += stripe_rows) {
        size_t end = smaller(first + stripe_rows, rows);
        for (size_t column = 0; column < width; column = next_square(column, square_columns, width))
            for (size_t row = smaller(first, rows - square_rows); row < end; row = next_square(row, square_rows, end))
                unshuffle_square(source + column * count + row, target + row * width + column, count, width);
    }
    for (size_t row = rows; row < count; row++)
        for (size_t column = 0; column < width; column++) target[row * width + column] = source[column * count + row];
}

// A width that the compiler knows is unrolled; 24 is three 64-bit integers.

void quern_shuffle(const uint8_t *source, uint8_t *target, size_t count, size_t width) {
    if (count == 0 || width == 0) return;
    switch (width) {
        case 1: memcpy(target, source, count); break;
        case 2: shuffle(source, target, count, 2); break;
        case 4: shuffle(source, target, count, 4); break;
        case 8: shuffle(source, target, count, 8); break;
        case 16: shuffle(source, target, count, 16); break;
        case 24: shuffle(source, target, count, 24); break;
        default: shuffle(source, target, count, width); break;
    }
}

void quern_unshuffle(const uint8_t *source, uint8_t *target, size_t count, size_t width) {
    if (count == 0 || width == 0) return;
    switch (width) {
        case 1: memcpy(target, source, count); break;
        case 2: unshuffle(source, target, count, 2); break;
        case 4: unshuffle(source, target, count, 4); break;
        case 8: unshuffle(source, target, count, 8); break;
        case 16: unshuffle(source, target, count, 16); break;
        case 24: unshuffle(source, target, count, 24); break;
        default: unshuffle(source, target, count, width); break;
    }
}
