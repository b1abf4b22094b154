// SPDX-License-Identifier: Apache-2.0

/// What a scan adds up, the same for every engine: it looks at every memo and costs about as much as a sum does.
struct ScanTotal: Equatable, CustomStringConvertible {
    var children = 0
    var failures = 0
    var sum: UInt64 = 0

    /// A completed child.
    @inline(__always)
    mutating func add(_ memo: UnsafeRawBufferPointer) {
        children += 1
        if memo.count == 24 {
            sum &+=
                memo.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
                &+ memo.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                &+ memo.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        } else if memo.count >= 8 {
            // The first and the last word and the length of a longer one: reading all of it would measure the sum.
            sum &+=
                memo.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
                &+ memo.loadUnaligned(fromByteOffset: memo.count - 8, as: UInt64.self) &+ UInt64(memo.count)
        }
    }

    /// A failed child, in a scan for the memos of the others.
    @inline(__always)
    mutating func addFailure() {
        children += 1
        failures += 1
    }

    /// A failed child, in a scan for errors.
    @inline(__always)
    mutating func addError(_ text: UnsafeRawBufferPointer) {
        addFailure()
        if let first = text.first { sum &+= UInt64(first) &+ UInt64(text.count) << 8 }
    }

    static func += (left: inout ScanTotal, right: ScanTotal) {
        left.children += right.children
        left.failures += right.failures
        left.sum &+= right.sum
    }

    var description: String { "\(children) children, \(failures) failures, sum \(sum)" }
}

/// All of all children in their order: who, how, and every byte. Slow, and so computed beside the clock.
struct OrderDigest: Equatable {
    private(set) var children = 0
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    /// - Parameter id: counted from the first child.
    mutating func add(id: UInt64, failed: Bool, _ bytes: UnsafeRawBufferPointer) {
        children += 1
        mix(id << 1 | (failed ? 1 : 0))
        mix(UInt64(bytes.count))
        var offset = 0
        while offset + 8 <= bytes.count {
            mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        while offset < bytes.count {
            mix(UInt64(bytes[offset]))
            offset += 1
        }
    }

    private mutating func mix(_ word: UInt64) {
        value = (value ^ word) &* 0x9E37_79B9_7F4A_7C15
        value ^= value >> 29
    }
}
