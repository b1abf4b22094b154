// SPDX-License-Identifier: Apache-2.0

/// What stands for the name that an application knows a task by: of all live tasks one at most has it (T11).
///
/// It is a hash of 128 bits, so that a store keeps 16 bytes whatever the name is. The secret is the store's own:
/// whoever chooses names cannot make two of them collide.
public struct TaskKey: Hashable, Sendable, BitwiseCopyable {
    /// Within what a name is unique.
    public enum Scope: Sendable, Hashable {
        /// The children of one parent.
        case children(of: TaskID)
        /// The root tasks with one label.
        case roots(Label)
    }

    /// What makes the hashes of one store differ from another's.
    public struct Secret: Sendable, BitwiseCopyable {
        let first: UInt64
        let second: UInt64

        init(_ identity: StoreIdentity) {
            first = identity.high
            second = identity.low
        }
    }

    let first: UInt64
    let second: UInt64

    /// As stored; 0, 0 stands for none.
    init(first: UInt64, second: UInt64) {
        self.first = first
        self.second = second
    }

    /// The key of a name. O(bytes of the name).
    public init(scope: Scope, text: String, secret: Secret) {
        let (kind, number): (UInt8, UInt64) =
            switch scope {
            case .children(let parent): (1, parent.rawValue)
            case .roots(let label): (2, UInt64(label.rawValue))
            }
        var text = text
        let hash = text.withUTF8 { text in
            // Names are short: on the stack.
            withUnsafeTemporaryAllocation(byteCount: 9 + text.count, alignment: 8) { bytes in
                bytes[0] = kind
                bytes.storeBytes(of: number.littleEndian, toByteOffset: 1, as: UInt64.self)
                UnsafeMutableRawBufferPointer(rebasing: bytes[9...]).copyBytes(from: text)
                return SipHash.hash(UnsafeRawBufferPointer(bytes), secret.first, secret.second)
            }
        }
        self.init(first: hash.first, second: hash.first | hash.second == 0 ? 1 : hash.second)
    }

    /// A key is a keyed hash already, which nobody can foresee: hashing it once more would only take time.
    // swift-format-ignore: NoLeadingUnderscores
    public func _rawHashValue(seed: Int) -> Int { Int(truncatingIfNeeded: second) ^ seed }

    public func hash(into hasher: inout Hasher) { hasher.combine(second) }

    var isNone: Bool { first | second == 0 }

    static let size = 16
    package static let byteCount = size

    /// As stored.
    package var bytes: [UInt8] {
        var writer = ByteWriter()
        append(to: &writer)
        return writer.bytes
    }

    /// Nil for bytes that no key has.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.size else { return nil }
        first = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        second = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)) }
        if isNone { return nil }
    }

    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: first)
        writer.append(littleEndian: second)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        first = try reader.littleEndian()
        second = try reader.littleEndian()
        if isNone { throw DecodingFailure("key 0") }
    }
}

/// What becomes of a spawn whose key a live task has.
public enum DuplicatePolicy: UInt8, Sendable, CaseIterable, BitwiseCopyable {
    /// It is left out. A live task of a worse priority gets that of the spawn, as by
    /// ``Transaction/setPriority(_:_:)``.
    case skip = 1
    /// It is spawned and gets the key; the live task is to be cancelled, and to end as ``OutcomeKind/superseded``.
    case replace = 2
    /// Its whole transaction is refused with ``StoreError/Code/duplicateKey``.
    case reject = 3
    /// It is left out; the live task stays as it is, its priority too.
    case ignore = 4
}
