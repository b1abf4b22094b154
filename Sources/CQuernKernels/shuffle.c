// SPDX-License-Identifier: Apache-2.0

// Byte shuffle by squares: eight columns of sixteen records are eight vectors of sixteen bytes. Interleaving the first
// four with the last four, byte by byte, rotates the seven bits of a byte's place among the 128 by one: three rounds
// turn planes (three bits of column, four of row) into records (row, column), and four more are the way back. Zipping
// bytes, then pairs, then fours turns them as well, and lets a half of the columns be left out. A square
// may lie anywhere in the records, so any width of eight or more is covered: the last square in each direction
// overlaps the one before it and writes the same bytes again. A narrower record is covered by a square that reaches
// into the records behind it, and the last records go byte by byte.

#include "CQuernKernels.h"
#include <string.h>

enum {
    square_rows = 16,
    square_columns = 8,
    /// Rows that one group of columns goes through before the next: few enough to stay in the first cache, a whole
    /// cache line a plane, and only eight planes written at a time, whatever power of two lies between them.
    stripe_rows = 64,
    widest = 64,
};

/// A vector register where the processor has them: the compiler knows how each interleaves.
typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint16_t shorts __attribute__((vector_size(16)));
typedef uint32_t words __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))

INLINE void interleave(bytes square[square_columns]) {
    bytes turned[square_columns];
    for (int i = 0; i < 4; i++) {
        turned[2 * i] = __builtin_shufflevector(
            square[i], square[i + 4], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        turned[2 * i + 1] = __builtin_shufflevector(
            square[i], square[i + 4], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    memcpy(square, turned, sizeof turned);
}

/// Byte `row` of plane `column` lies at `start[column] + (row & step[column])`: the step is all ones for a plane that
/// is there, and zero for one that is sixteen bytes for all rows.
struct planes {
    uint8_t *start[widest];
    size_t step[widest];
};

INLINE uint8_t *place(const struct planes *planes, size_t column, size_t row) {
    return planes->start[column] + (row & planes->step[column]);
}

INLINE void shuffle_square(
    const uint8_t *source, const struct planes *planes, size_t column, size_t row, size_t width
) {
    bytes square[square_columns];
    const uint8_t *record = source + row * width + column;
    for (size_t i = 0; i < square_columns; i++, record += 2 * width) {
        memcpy(&square[i], record, 8);
        memcpy((uint8_t *)&square[i] + 8, record + width, 8);
    }
    for (int round = 0; round < 4; round++) interleave(square);
    for (size_t i = 0; i < square_columns; i++) memcpy(place(planes, column + i, row), &square[i], square_rows);
}

/// Pairs up the units of two vectors, of so many bits each: the first halves, then the second ones.
#define ZIP8(a, b, half) \
    __builtin_shufflevector( \
        a, b, 8 * half, 8 * half + 16, 8 * half + 1, 8 * half + 17, 8 * half + 2, 8 * half + 18, 8 * half + 3, \
        8 * half + 19, 8 * half + 4, 8 * half + 20, 8 * half + 5, 8 * half + 21, 8 * half + 6, 8 * half + 22, \
        8 * half + 7, 8 * half + 23)
#define ZIP16(a, b, half) \
    ((bytes)__builtin_shufflevector( \
        (shorts)a, (shorts)b, 4 * half, 4 * half + 8, 4 * half + 1, 4 * half + 9, 4 * half + 2, 4 * half + 10, \
        4 * half + 3, 4 * half + 11))
#define ZIP32(a, b, half) \
    ((bytes)__builtin_shufflevector((words)a, (words)b, 2 * half, 2 * half + 4, 2 * half + 1, 2 * half + 5))

/// Four bytes of sixteen records, four records a vector. Numbers are mostly small, so that half of a word is often the
/// same in all records: that takes no work.
INLINE void half_square(
    const struct planes *planes, bytes half[4], size_t column, size_t row, int is_varying
) {
    bytes plane[4];
    for (size_t i = 0; i < 4; i++) memcpy(&plane[i], place(planes, column + i, row), square_rows);
    if (is_varying) {
        bytes pairs[4] = {
            ZIP8(plane[0], plane[1], 0), ZIP8(plane[0], plane[1], 1), ZIP8(plane[2], plane[3], 0),
            ZIP8(plane[2], plane[3], 1),
        };
        half[0] = ZIP16(pairs[0], pairs[2], 0);
        half[1] = ZIP16(pairs[0], pairs[2], 1);
        half[2] = ZIP16(pairs[1], pairs[3], 0);
        half[3] = ZIP16(pairs[1], pairs[3], 1);
    } else {
        bytes low = ZIP8(plane[0], plane[1], 0), high = ZIP8(plane[2], plane[3], 0);
        half[0] = half[1] = half[2] = half[3] = ZIP16(low, high, 0);
    }
}

/// Writes the records in their order: what reaches into a following narrow record is overwritten with its own bytes.
INLINE void unshuffle_square(
    const struct planes *planes, uint8_t *target, size_t column, size_t row, size_t width, int low_varies,
    int high_varies
) {
    bytes low[4], high[4];
    half_square(planes, low, column, row, low_varies);
    half_square(planes, high, column + 4, row, high_varies);
    uint8_t *record = target + row * width + column;
    for (size_t i = 0; i < 4; i++, record += 4 * width) {
        bytes first = ZIP32(low[i], high[i], 0), second = ZIP32(low[i], high[i], 1);
        memcpy(record, &first, 8);
        memcpy(record + width, (const uint8_t *)&first + 8, 8);
        memcpy(record + 2 * width, &second, 8);
        memcpy(record + 3 * width, (const uint8_t *)&second + 8, 8);
    }
}

/// How many leading records squares cover: all, but for narrow ones whose word would reach beyond the last byte.
INLINE size_t rows_in_squares(size_t count, size_t width) {
    if (count < square_rows) return 0;
    size_t rows = (count * width - square_columns) / width + 1;
    return rows < square_rows ? 0 : rows;
}

/// Where the square after the one at `start` begins: the last one ends at `end`.
INLINE size_t next_square(size_t start, size_t side, size_t end) {
    size_t next = start + side;
    return next < end && next + side > end ? end - side : next;
}

INLINE size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

INLINE int varies(uint64_t varying, size_t column) { return (int)(varying >> column & 1); }

/// Which of `side` columns, at most sixteen, differ from the first record's in rows of `first..<end`.
INLINE bytes differences(
    const uint8_t *source, size_t column, size_t side, size_t width, size_t first, size_t end
) {
    bytes reference = {0}, record = {0}, difference = {0};
    memcpy(&reference, source + column, side);
    for (size_t row = first; row < end; row++) {
        memcpy(&record, source + row * width + column, side);
        difference |= record ^ reference;
    }
    return difference;
}

uint64_t quern_varying_planes(const uint8_t *source, size_t count, size_t width) {
    uint64_t all = width < widest ? ((uint64_t)1 << width) - 1 : ~(uint64_t)0;
    uint64_t varying = 0;
    size_t side = smaller(width, sizeof(bytes));
    // In stripes, so that what is no small number is left early.
    for (size_t first = 0; first < count && varying != all; first += 4 * stripe_rows) {
        size_t end = smaller(first + 4 * stripe_rows, count);
        for (size_t column = 0; column < width; column = next_square(column, side, width)) {
            // A length that the compiler knows is one load.
            bytes difference = side == sizeof(bytes)
                ? differences(source, column, sizeof(bytes), width, first, end)
                : differences(source, column, side, width, first, end);
            for (size_t i = 0; i < side; i++) varying |= (uint64_t)(difference[i] != 0) << (column + i);
        }
    }
    return varying;
}

void quern_shuffle(const uint8_t *source, uint8_t *target, size_t count, size_t width, uint64_t varying) {
    if (count == 0 || width == 0) return;
    struct planes planes;
    uint8_t nowhere[square_rows];
    for (size_t column = 0; column < widest; column++) {
        planes.start[column] = nowhere;
        planes.step[column] = 0;
        if (column >= width) continue;
        if (varies(varying, column)) {
            planes.start[column] = target;
            planes.step[column] = ~(size_t)0;
            target += count;
        } else {
            *target++ = source[column];
        }
    }
    size_t rows = rows_in_squares(count, width);
    for (size_t first = 0; first < rows; first += stripe_rows) {
        size_t end = smaller(first + stripe_rows, rows);
        for (size_t column = 0; column < width; column = next_square(column, square_columns, width))
            for (size_t row = smaller(first, rows - square_rows); row < end; row = next_square(row, square_rows, end))
                shuffle_square(source, &planes, column, row, width);
    }
    for (size_t row = rows; row < count; row++)
        for (size_t column = 0; column < width; column++)
            *place(&planes, column, row) = source[row * width + column];
}

void quern_unshuffle(const uint8_t *source, uint8_t *target, size_t count, size_t width, uint64_t varying) {
    if (count == 0 || width == 0) return;
    struct planes planes;
    uint8_t constant[widest][square_rows];
    for (size_t column = 0; column < widest; column++) {
        if (column < width && varies(varying, column)) {
            planes.start[column] = (uint8_t *)source;
            planes.step[column] = ~(size_t)0;
            source += count;
        } else {
            memset(constant[column], column < width ? *source++ : 0, square_rows);
            planes.start[column] = constant[column];
            planes.step[column] = 0;
        }
    }
    size_t rows = rows_in_squares(count, width);
    for (size_t first = 0; first < rows; first += stripe_rows) {
        size_t end = smaller(first + stripe_rows, rows);
        for (size_t column = 0; column < width; column = next_square(column, square_columns, width)) {
            int low = (varying >> column & 15) != 0, high = (varying >> column >> 4 & 15) != 0;
            for (size_t row = smaller(first, rows - square_rows); row < end; row = next_square(row, square_rows, end))
                unshuffle_square(&planes, target, column, row, width, low, high);
        }
    }
    for (size_t row = rows; row < count; row++)
        for (size_t column = 0; column < width; column++)
            target[row * width + column] = *place(&planes, column, row);
}
