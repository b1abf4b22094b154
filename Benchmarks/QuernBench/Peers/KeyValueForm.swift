// SPDX-License-Identifier: Apache-2.0

/// How children are laid out in engines that keep ordered keys.
///
/// Keys are big endian, so that their order is that of the bytes: 16 bytes, parent and id of a pending child, parent
/// and sequence of an ended one. Values begin with the facts in as few bytes as is sensible, fixed so that they cost
/// nothing to read, and go on with payload, memo or error. Engines with one key space put a byte before the key that
/// says which kind it is.
///
/// A live counter of each parent is not kept: that favours these engines.
enum KeyValueForm {
    enum Kind: UInt8 {
        /// One key, whose value is the next id.
        case nextID = 0x60
        /// A parent, pending or not: parent 0 and its id.
        case parent = 0x61
        case pending = 0x62
        case ended = 0x63
        /// The failures once more, one in a hundred, so that they are found without reading the others.
        case failed = 0x64
    }

    static let keySize = 16
    /// When it was submitted (8), priority (1), label (1), reserved (2).
    static let pendingFacts = 12
    /// Id (8), when it ended (8), how long it ran (4), attempts (2), label (1), whether it failed (1).
    static let endedFacts = 24

    @inline(__always)
    static func writeKey(_ parent: UInt64, _ number: UInt64, to key: UnsafeMutableRawPointer) {
        key.storeBytes(of: parent.bigEndian, as: UInt64.self)
        key.storeBytes(of: number.bigEndian, toByteOffset: 8, as: UInt64.self)
    }

    /// The number in a key.
    @inline(__always)
    static func number(_ key: UnsafeRawPointer) -> UInt64 {
        UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    /// - Returns: how long the value is.
    @inline(__always)
    static func writePending(_ row: ChildSet.Row, to value: UnsafeMutableRawPointer) -> Int {
        value.storeBytes(of: ChildSet.start, as: Int64.self)
        value.storeBytes(of: 0x0180, toByteOffset: 8, as: UInt32.self)
        copy(row.payload, to: value + pendingFacts)
        return pendingFacts + row.payload.count
    }

    /// - Returns: how long the value is.
    @inline(__always)
    static func writeEnded(_ row: ChildSet.Row, id: UInt64, to value: UnsafeMutableRawPointer) -> Int {
        value.storeBytes(of: id, as: UInt64.self)
        value.storeBytes(of: row.endedAt, toByteOffset: 8, as: Int64.self)
        value.storeBytes(of: UInt32(row.endedAt - row.startedAt), toByteOffset: 16, as: UInt32.self)
        value.storeBytes(of: 1, toByteOffset: 20, as: UInt16.self)
        value.storeBytes(of: 1, toByteOffset: 22, as: UInt8.self)
        value.storeBytes(of: row.failed ? 1 : 0, toByteOffset: 23, as: UInt8.self)
        copy(row.value, to: value + endedFacts)
        return endedFacts + row.value.count
    }

    @inline(__always)
    private static func copy(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
        if let start = bytes.baseAddress { target.copyMemory(from: start, byteCount: bytes.count) }
    }

    /// Room for a pending or ended child whose payload or value has so many bytes.
    static func scratchSize(_ bytes: Int) -> Int { endedFacts + bytes }
}

/// An ended child as it is stored, in place.
struct StoredChild {
    var bytes: UnsafeRawBufferPointer

    @inline(__always)
    var failed: Bool { bytes[23] != 0 }
    @inline(__always)
    var id: UInt64 { bytes.loadUnaligned(as: UInt64.self) }
    @inline(__always)
    var value: UnsafeRawBufferPointer { .init(rebasing: bytes[KeyValueForm.endedFacts...]) }
}

/// What a walk over stored children does with each: chosen when it is compiled, so that it costs no call.
protocol StoredChildVisitor {
    /// - Returns: false when it has seen enough.
    mutating func visit(_ child: StoredChild) -> Bool
}

struct TotalVisitor: StoredChildVisitor {
    var total = ScanTotal()
    var limit = Int.max

    @inline(__always)
    mutating func visit(_ child: StoredChild) -> Bool {
        if child.failed { total.addFailure() } else { total.add(child.value) }
        return total.children < limit
    }
}

struct ErrorVisitor: StoredChildVisitor {
    var total = ScanTotal()

    @inline(__always)
    mutating func visit(_ child: StoredChild) -> Bool {
        total.addError(child.value)
        return true
    }
}

struct DigestVisitor: StoredChildVisitor {
    var digest: OrderDigest
    var first: UInt64

    mutating func visit(_ child: StoredChild) -> Bool {
        digest.add(id: child.id - first, failed: child.failed, child.value)
        return true
    }
}

/// The next id and the next sequence of an engine that has no counters of its own.
struct KeyValueCounters {
    var nextID: UInt64 = 1
    var nextSequence: UInt64 = 1
}
