// SPDX-License-Identifier: Apache-2.0

// CRC32C three ways: the processor's instruction, on three lanes at once because one step waits three cycles for the
// step before it; and tables. Between steps `state` is the complement of the CRC that callers see.

#include "CQuernKernels.h"
#include <stdatomic.h>
#include <string.h>

// MARK: Tables

// All that depends on a byte and a distance is linear: the entry of a byte is the exclusive or of the entries of its
// bits. So a table is written as its eight bits' entries, and the compiler spells out the 256: nothing is computed
// at start, and nothing is shared that changes.

#define BIT(i, b, entry) ((i) >> (b) & 1 ? (entry) : 0u)
#define ENTRY(i, e0, e1, e2, e3, e4, e5, e6, e7) \
    (BIT(i, 0, e0) ^ BIT(i, 1, e1) ^ BIT(i, 2, e2) ^ BIT(i, 3, e3) ^ \
     BIT(i, 4, e4) ^ BIT(i, 5, e5) ^ BIT(i, 6, e6) ^ BIT(i, 7, e7))
#define FOUR(i, ...) \
    ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__), ENTRY((i) + 3, __VA_ARGS__)
#define SIXTEEN(i, ...) \
    FOUR(i, __VA_ARGS__), FOUR((i) + 4, __VA_ARGS__), FOUR((i) + 8, __VA_ARGS__), FOUR((i) + 12, __VA_ARGS__)
#define SIXTY_FOUR(i, ...) \
    SIXTEEN(i, __VA_ARGS__), SIXTEEN((i) + 16, __VA_ARGS__), \
    SIXTEEN((i) + 32, __VA_ARGS__), SIXTEEN((i) + 48, __VA_ARGS__)
#define TABLE(...) \
    {SIXTY_FOUR(0, __VA_ARGS__), SIXTY_FOUR(64, __VA_ARGS__), \
     SIXTY_FOUR(128, __VA_ARGS__), SIXTY_FOUR(192, __VA_ARGS__)}

/// `slices[k][byte]`: what a byte becomes when it and k zero bytes behind it have gone through. The last number of the
/// first row is the polynomial, its bits reversed.
static const uint32_t slices[8][256] = {
    TABLE(0xF26B8303, 0xE13B70F7, 0xC79A971F, 0x8AD958CF, 0x105EC76F, 0x20BD8EDE, 0x417B1DBC, 0x82F63B78),
    TABLE(0x13A29877, 0x274530EE, 0x4E8A61DC, 0x9D14C3B8, 0x3FC5F181, 0x7F8BE302, 0xFF17C604, 0xFBC3FAF9),
    TABLE(0xA541927E, 0x4F6F520D, 0x9EDEA41A, 0x38513EC5, 0x70A27D8A, 0xE144FB14, 0xC76580D9, 0x8B277743),
    TABLE(0xDD45AAB8, 0xBF672381, 0x7B2231F3, 0xF64463E6, 0xE964B13D, 0xD725148B, 0xABA65FE7, 0x52A0C93F),
    TABLE(0x38116FAC, 0x7022DF58, 0xE045BEB0, 0xC5670B91, 0x8F2261D3, 0x1BA8B557, 0x37516AAE, 0x6EA2D55C),
    TABLE(0xEF306B19, 0xDB8CA0C3, 0xB2F53777, 0x6006181F, 0xC00C303E, 0x85F4168D, 0x0E045BEB, 0x1C08B7D6),
    TABLE(0x68032CC8, 0xD0065990, 0xA5E0C5D1, 0x4E2DFD53, 0x9C5BFAA6, 0x3D5B83BD, 0x7AB7077A, 0xF56E0EF4),
    TABLE(0x493C7D27, 0x9278FA4E, 0x211D826D, 0x423B04DA, 0x847609B4, 0x0D006599, 0x1A00CB32, 0x34019664),
};

// MARK: Portable

static inline uint64_t load_little_endian(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint32_t quern_crc32c_portable(uint32_t crc, const void *bytes, size_t length) {
    const uint8_t *next = bytes;
    uint32_t state = ~crc;
    for (; length >= 8; next += 8, length -= 8) {
        uint64_t word = load_little_endian(next) ^ state;
        state = slices[7][word & 0xFF] ^ slices[6][word >> 8 & 0xFF] ^
                slices[5][word >> 16 & 0xFF] ^ slices[4][word >> 24 & 0xFF] ^
                slices[3][word >> 32 & 0xFF] ^ slices[2][word >> 40 & 0xFF] ^
                slices[1][word >> 48 & 0xFF] ^ slices[0][word >> 56];
    }
    for (; length > 0; next++, length--) state = state >> 8 ^ slices[0][(state ^ *next) & 0xFF];
    return ~state;
}

// MARK: Hardware

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE "sse4.2"
#define HARDWARE_TARGET __attribute__((target("sse4.2")))
#define STEP_WORD(state, word) ((uint32_t)_mm_crc32_u64(state, word))
#define STEP_BYTE(state, byte) _mm_crc32_u8(state, byte)
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_acle.h>
#define HARDWARE "armv8"
#if defined(__ARM_FEATURE_CRC32)
#define HARDWARE_TARGET
#else
#define HARDWARE_TARGET __attribute__((target("+crc")))
#endif
#define STEP_WORD(state, word) __crc32cd(state, word)
#define STEP_BYTE(state, byte) __crc32cb(state, byte)
#endif

#if defined(HARDWARE)

enum {
    /// Bytes a lane: long for throughput, short so that a few hundred bytes gain too.
    long_lane = 2048,
    short_lane = 128,
};

/// `distance[k][byte]`: what byte k of a state becomes behind as many zero bytes as the lane is long.
typedef uint32_t distance_table[4][256];

static const distance_table long_distance = {
    TABLE(0xF7506984, 0xEB4CA5F9, 0xD3753D03, 0xA3060CF7, 0x43E06F1F, 0x87C0DE3E, 0x0A6DCA8D, 0x14DB951A),
    TABLE(0x29B72A34, 0x536E5468, 0xA6DCA8D0, 0x48552751, 0x90AA4EA2, 0x24B8EBB5, 0x4971D76A, 0x92E3AED4),
    TABLE(0x202B2B59, 0x405656B2, 0x80ACAD64, 0x04B52C39, 0x096A5872, 0x12D4B0E4, 0x25A961C8, 0x4B52C390),
    TABLE(0x96A58720, 0x28A778B1, 0x514EF162, 0xA29DE2C4, 0x40D7B379, 0x81AF66F2, 0x06B2BB15, 0x0D65762A),
};

static const distance_table short_distance = {
    TABLE(0x6992CEA2, 0xD3259D44, 0xA3A74C79, 0x42A2EE03, 0x8545DC06, 0x0F67CEFD, 0x1ECF9DFA, 0x3D9F3BF4),
    TABLE(0x7B3E77E8, 0xF67CEFD0, 0xE915A951, 0xD7C72453, 0xAA623E57, 0x51280A5F, 0xA25014BE, 0x414C5F8D),
    TABLE(0x8298BF1A, 0x00DD08C5, 0x01BA118A, 0x03742314, 0x06E84628, 0x0DD08C50, 0x1BA118A0, 0x37423140),
    TABLE(0x6E846280, 0xDD08C500, 0xBFFDFCF1, 0x7A178F13, 0xF42F1E26, 0xEDB24ABD, 0xDE88E38B, 0xB8FDB1E7),
};

/// The state after a lane of zero bytes.
static inline uint32_t advance(uint32_t state, const distance_table distance) {
    return distance[0][state & 0xFF] ^ distance[1][state >> 8 & 0xFF] ^
           distance[2][state >> 16 & 0xFF] ^ distance[3][state >> 24];
}

/// Takes three lanes at a time, as long as there are three.
#define TAKE_LANES(lane, distance) \
    for (; length >= 3 * lane; next += 3 * lane, length -= 3 * lane) { \
        uint32_t second = 0, third = 0; \
        for (const uint8_t *end = next + lane, *word = next; word < end; word += 8) { \
            state = STEP_WORD(state, load_little_endian(word)); \
            second = STEP_WORD(second, load_little_endian(word + lane)); \
            third = STEP_WORD(third, load_little_endian(word + 2 * lane)); \
        } \
        state = advance(advance(state, distance) ^ second, distance) ^ third; \
    }

HARDWARE_TARGET
static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *next, size_t length) {
    uint32_t state = ~crc;
    TAKE_LANES(long_lane, long_distance)
    TAKE_LANES(short_lane, short_distance)
    for (; length >= 8; next += 8, length -= 8) state = STEP_WORD(state, load_little_endian(next));
    for (; length > 0; next++, length--) state = STEP_BYTE(state, *next);
    return ~state;
}

// MARK: Dispatch

#if defined(__SSE4_2__) || defined(__ARM_FEATURE_CRC32)

static inline int has_hardware(void) { return 1; }

#elif defined(__x86_64__)

/// Reads a word that the compiler's runtime fills in before `main`.
static inline int has_hardware(void) { return __builtin_cpu_supports("sse4.2") != 0; }

#elif defined(__linux__)

#include <sys/auxv.h>

#define CRC32_CAPABILITY (1ul << 7)  // HWCAP_CRC32, for systems whose headers are older than it

/// Asks the kernel once. Threads that ask at the same time get the same answer, so neither lock nor order is needed.
static inline int has_hardware(void) {
    static _Atomic(int) answer;  // 0: not asked yet, 1: no, 2: yes
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == 0) {
        known = getauxval(AT_HWCAP) & CRC32_CAPABILITY ? 2 : 1;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known == 2;
}

#else

static inline int has_hardware(void) { return 0; }

#endif
#endif  // HARDWARE

uint32_t quern_crc32c(uint32_t crc, const void *bytes, size_t length) {
#if defined(HARDWARE)
    if (has_hardware()) return crc32c_hardware(crc, bytes, length);
#endif
    return quern_crc32c_portable(crc, bytes, length);
}

const char *quern_crc32c_implementation(void) {
#if defined(HARDWARE)
    if (has_hardware()) return HARDWARE;
#endif
    return "portable";
}
