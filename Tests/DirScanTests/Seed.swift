// SPDX-License-Identifier: Apache-2.0

/// Random numbers that can be had again: a failing test prints its seed, and the seed replays it.
struct SeededGenerator: RandomNumberGenerator, CustomStringConvertible {
    let seed: UInt64
    private var state: UInt64

    /// - Parameter seed: a new one each run, unless a failure is to be replayed.
    init(seed: UInt64 = .random(in: 0...UInt64.max)) {
        self.seed = seed
        state = seed
    }

    /// A Weyl sequence through two rounds of multiplication, the generator that is known as SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    var description: String { "seed \(seed)" }
}
