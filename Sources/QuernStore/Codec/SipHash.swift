// SPDX-License-Identifier: Apache-2.0

/// SipHash-2-4 with 128 bits of output, as its authors define it (J.-P. Aumasson, D. J. Bernstein).
enum SipHash {
    /// The hash as two little-endian words.
    static func hash(
        _ bytes: UnsafeRawBufferPointer, _ key0: UInt64, _ key1: UInt64
    ) -> (first: UInt64, second: UInt64) {
        var state = State(key0, key1)
        var offset = 0
        while bytes.count - offset >= 8 {
            state.absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        // The rest, and the length in the highest byte.
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        for index in offset..<bytes.count { last |= UInt64(bytes[index]) << UInt64(8 * (index - offset)) }
        state.absorb(last)
        return state.finish()
    }

    private struct State {
        var (v0, v1, v2, v3): (UInt64, UInt64, UInt64, UInt64)

        init(_ key0: UInt64, _ key1: UInt64) {
            v0 = key0 ^ 0x736F_6D65_7073_6575
            v1 = key1 ^ 0x646F_7261_6E64_6F6D ^ 0xEE
            v2 = key0 ^ 0x6C79_6765_6E65_7261
            v3 = key1 ^ 0x7465_6462_7974_6573
        }

        mutating func absorb(_ word: UInt64) {
            v3 ^= word
            rounds(2)
            v0 ^= word
        }

        mutating func finish() -> (first: UInt64, second: UInt64) {
            v2 ^= 0xEE
            rounds(4)
            let first = v0 ^ v1 ^ v2 ^ v3
            v1 ^= 0xDD
            rounds(4)
            return (first, v0 ^ v1 ^ v2 ^ v3)
        }

        private mutating func rounds(_ count: Int) {
            for _ in 0..<count {
                v0 &+= v1
                v2 &+= v3
                v1 = Self.rotate(v1, 13) ^ v0
                v3 = Self.rotate(v3, 16) ^ v2
                v0 = Self.rotate(v0, 32)
                v2 &+= v1
                v0 &+= v3
                v1 = Self.rotate(v1, 17) ^ v2
                v3 = Self.rotate(v3, 21) ^ v0
                v2 = Self.rotate(v2, 32)
            }
        }

        private static func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 { word &<< bits | word &>> (64 - bits) }
    }
}
