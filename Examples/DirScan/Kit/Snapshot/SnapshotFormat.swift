// SPDX-License-Identifier: Apache-2.0

/// The layout of a snapshot file. All numbers are little-endian.
///
///     header    128 bytes
///     records   the bytes of each directory's record, in the order in which they were added
///     index     an entry of 56 bytes a directory, by key
///
/// Every byte is under a check: the header's own, one of the index in the header, one of each record in the index. The
/// check is ``StableHash``: it finds accidents, not forgeries.
enum SnapshotFormat {
    static let magic: UInt64 = 0x0A6E_6163_7372_6964  // "dirscan\n"
    static let version: UInt32 = 1
    static let headerLength = 128
    static let entryLength = MemoryLayout<IndexEntry>.size

    /// The check of the index runs over blocks of so many entries, each seeded with the check of those before it.
    static let entriesPerBlock = 1024
    static let indexSeed: UInt64 = 5
    static let recordSeed: UInt64 = 6
    static let headerSeed: UInt64 = 7
}

/// The numbers at the start of a snapshot.
struct SnapshotHeader: Equatable, Sendable {
    /// The scan that wrote the snapshot.
    var scan: UInt64
    /// The root that was scanned, so that another root's snapshot is never compared with.
    var scope: DirectoryKey
    var directories: UInt64
    /// The entries of all directories, remembered or not.
    var entries: UInt64
    var recordsLength: UInt64
    var indexCheck: UInt64
}

extension SnapshotHeader {
    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        append(SnapshotFormat.magic)
        append(SnapshotFormat.version)
        append(UInt32(SnapshotFormat.headerLength))
        for value in [scan, scope.parentHash, scope.hash, directories, entries, recordsLength, indexCheck] {
            append(value)
        }
        bytes.append(contentsOf: repeatElement(0, count: SnapshotFormat.headerLength - 8 - bytes.count))
        append(bytes.withUnsafeBytes { StableHash.hash($0, seed: SnapshotFormat.headerSeed) })
        return bytes
    }

    init(decoding bytes: UnsafeRawBufferPointer, path: PathBytes) throws(SnapshotError) {
        func word(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        let length = SnapshotFormat.headerLength
        guard bytes.count >= 8, word(0) == SnapshotFormat.magic else { throw .notASnapshot(path) }
        guard bytes.count >= length else { throw .damaged(.length, path) }
        let checked = UnsafeRawBufferPointer(rebasing: bytes[..<(length - 8)])
        guard StableHash.hash(checked, seed: SnapshotFormat.headerSeed) == word(length - 8) else {
            throw .damaged(.header, path)
        }
        let version = UInt32(truncatingIfNeeded: word(8))
        guard version == SnapshotFormat.version else { throw .unsupportedVersion(version, path) }
        scan = word(16)
        scope = DirectoryKey(parentHash: word(24), hash: word(32))
        directories = word(40)
        entries = word(48)
        recordsLength = word(56)
        indexCheck = word(64)
    }
}
