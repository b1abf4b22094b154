// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What each task of the pair's store leaves, and what a child is spawned with.
///
/// Task 1 is the ledger: each transaction ends one of its children, which tells how many children of all other parents
/// had ended then. The children of another parent are numbered from 1 in the order in which they ended.
struct PairMemo: Equatable {
    static let ledger = TaskID(1)

    /// The child's number; of a parent that ended, how many children it had.
    var number: UInt64
    var parent: UInt64
    /// In the ledger, how many children of all other parents have ended.
    var total: UInt64 = 0

    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: number)
        writer.append(littleEndian: parent)
        writer.append(littleEndian: total)
    }

    init(number: UInt64, parent: TaskID, total: UInt64 = 0) {
        self.number = number
        self.parent = parent.rawValue
        self.total = total
    }

    init(_ bytes: RawSpan) throws {
        guard bytes.byteCount == 24 else { throw Wrong("a memo of \(bytes.byteCount) bytes") }
        (number, parent, total) = bytes.withUnsafeBytes { bytes in
            func load(_ offset: Int) -> UInt64 {
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            }
            return (load(0), load(8), load(16))
        }
    }
}

/// Random numbers from a seed: SplitMix64.
struct PairRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// True once in `times`.
    mutating func once(in times: Int) -> Bool { Int.random(in: 0..<times, using: &self) == 0 }
}
