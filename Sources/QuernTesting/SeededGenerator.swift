// SPDX-License-Identifier: Apache-2.0

/// Random numbers that a seed fixes, on every platform and for ever: a test that prints its seed can be run again.
///
/// ```swift
/// var generator = SeededGenerator(seed: 7)
/// let die = generator.below(6) + 1
/// ```
///
/// The algorithm is SplitMix64: a counter with a mixing step. Use ``below(_:)`` and its kin where a replay must survive
/// a new compiler; how the standard library turns a generator into a range is its own affair and may change.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, not including, `bound`.
    ///
    /// - Precondition: `bound` is positive.
    public mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "nothing lies below \(bound)")
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True in one of two cases.
    public mutating func coin() -> Bool { next() >> 63 == 1 }

    /// True in `share` of `whole` cases.
    public mutating func chance(_ share: Int, in whole: Int) -> Bool { below(whole) < share }

    /// One of the elements.
    ///
    /// - Precondition: `elements` is not empty.
    public mutating func pick<Elements: RandomAccessCollection>(_ elements: Elements) -> Elements.Element {
        elements[elements.index(elements.startIndex, offsetBy: below(elements.count))]
    }

    /// Bytes without pattern.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            withUnsafeBytes(of: next().littleEndian) { bytes.append(contentsOf: $0.prefix(count - bytes.count)) }
        }
        return bytes
    }

    /// A generator of its own for a part of a test, so that more draws in one part do not change another.
    public mutating func fork() -> SeededGenerator { SeededGenerator(seed: next()) }
}
