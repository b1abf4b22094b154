// SPDX-License-Identifier: Apache-2.0

/// The first 128 bytes of every file of a store.
struct FileHeader: Equatable, Sendable {
    enum Kind: UInt8, Sendable {
        case log = 1
        case index = 2
        case checkpoint = 3
        case manifest = 4
        /// A checkpoint once more.
        case mirror = 5
    }

    static let size = 128
    /// The name, then bytes that a transfer in text mode would change, as in PNG.
    static let magic: [UInt8] = [0x51, 0x55, 0x45, 0x52, 0x4E, 0x1A, 0x0D, 0x0A]
    static let version: UInt8 = 1

    var kind: Kind
    /// The number in the file's name.
    var number: UInt64
    var identity: StoreIdentity
    /// Which opening of the store made the file; grows by one each time.
    var epoch: UInt64
    /// Log segments: where the segment before it ends (F13). Bytes behind that were never acknowledged.
    var previousLength: UInt64 = 0
    /// Log segments: the header checksum of the last frame before it, which its first frame continues.
    var previousChecksum: UInt32 = 0

    func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: Self.size)
        writer.append(contentsOf: Self.magic)
        writer.append(kind.rawValue)
        writer.append(Self.version)
        writer.append(zeros: 6)
        writer.append(littleEndian: number)
        writer.append(littleEndian: identity.high)
        writer.append(littleEndian: identity.low)
        writer.append(littleEndian: epoch)
        writer.append(littleEndian: previousLength)
        writer.append(littleEndian: previousChecksum)
        // Features (F2): compatible, read-only-compatible, incompatible. None yet.
        writer.append(zeros: 12)
        writer.append(zeros: Self.size - 4 - writer.count)
        writer.append(littleEndian: writer.bytes.withUnsafeBytes { Checksum.crc32c($0) })
        return writer.bytes
    }

    enum Failure: Error, Equatable {
        case notAStore(String)
        case unsupported(String)
        case damaged(String)
    }

    init(
        kind: Kind, number: UInt64, identity: StoreIdentity, epoch: UInt64, previousLength: UInt64 = 0,
        previousChecksum: UInt32 = 0
    ) {
        self.kind = kind
        self.number = number
        self.identity = identity
        self.epoch = epoch
        self.previousLength = previousLength
        self.previousChecksum = previousChecksum
    }

    /// What a file is opened for, which decides whether a feature that this version does not know is in the way.
    enum Purpose {
        case reading
        case writing
    }

    /// Reads a header and checks everything in it that it can check by itself.
    init(_ bytes: UnsafeRawBufferPointer, for purpose: Purpose = .writing) throws(Failure) {
        guard bytes.count >= Self.size else { throw .damaged("shorter than a file header") }
        guard bytes.prefix(Self.magic.count).elementsEqual(Self.magic) else { throw .notAStore("no quern file") }
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<(Self.size - 4)])
        let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: Self.size - 4, as: UInt32.self))
        guard Checksum.crc32c(body) == stored else { throw .damaged("file header checksum") }
        guard bytes[9] == Self.version else { throw .unsupported("format version \(bytes[9])") }
        guard let kind = Kind(rawValue: bytes[8]) else { throw .unsupported("file kind \(bytes[8])") }
        func load<Integer: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: Integer.Type) -> Integer {
            Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Integer.self))
        }
        self.kind = kind
        number = load(16, UInt64.self)
        identity = StoreIdentity(high: load(24, UInt64.self), low: load(32, UInt64.self))
        epoch = load(40, UInt64.self)
        previousLength = load(48, UInt64.self)
        previousChecksum = load(56, UInt32.self)
        // This version knows no feature yet: each bit that is set is one of a later version.
        let (readOnlyFeatures, incompatibleFeatures) = (load(64, UInt32.self), load(68, UInt32.self))
        guard incompatibleFeatures == 0 else { throw .unsupported("incompatible features \(incompatibleFeatures)") }
        guard readOnlyFeatures == 0 || purpose == .reading else {
            throw .unsupported("features \(readOnlyFeatures) of a later version, which allow reading alone")
        }
        guard bytes[10..<16].allSatisfy({ $0 == 0 }), bytes[72..<(Self.size - 4)].allSatisfy({ $0 == 0 }) else {
            throw .damaged("reserved bytes are not zero")
        }
        guard number <= Limits.number, epoch <= Limits.number else { throw .damaged("number of a file or an opening") }
    }
}
