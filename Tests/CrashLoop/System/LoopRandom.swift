// SPDX-License-Identifier: Apache-2.0

/// Random numbers from a seed: SplitMix64.
struct LoopRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        defer { state &+= 0x9E37_79B9_7F4A_7C15 }
        return LoadModel.mix(state)
    }

    mutating func below(_ limit: Int) -> Int { limit > 0 ? Int.random(in: 0..<limit, using: &self) : 0 }

    /// True once in `times`.
    mutating func once(in times: Int) -> Bool { below(times) == 0 }
}
