// SPDX-License-Identifier: Apache-2.0

/// What a snapshot remembers of one directory, read in place: the number of its entries, then an ``EntryRecord`` for
/// each, by name hash.
///
///     entries  u64
///     { name hash u64, fingerprint u64 } ...
///
/// A memo may hold 16 MiB, so a record remembers at most a million entries (``limit``): of a larger directory those
/// with the lowest hashes, a sample that depends on the names alone and so is the same each time. The others count as
/// discovered in every scan, their deletion is only seen when the whole directory goes, and the scan says how many
/// they were (``DirectoryChanges/unremembered``).
struct DirectoryRecord {
    private let bytes: UnsafeRawBufferPointer

    /// The entries that the directory had.
    let total: UInt64

    /// The entries of which this record knows name and fingerprint.
    let remembered: Int

    static let limit = 1_000_000
    static let headerLength = 8
    static let entryLength = 16

    /// - Returns: nil when the bytes are no record.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.headerLength else { return nil }
        let (count, rest) = (bytes.count - Self.headerLength).quotientAndRemainder(dividingBy: Self.entryLength)
        total = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard rest == 0, UInt64(count) <= total else { return nil }
        remembered = count
        self.bytes = bytes
    }

    subscript(index: Int) -> EntryRecord {
        let offset = Self.headerLength + index * Self.entryLength
        return EntryRecord(
            nameHash: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            fingerprint: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
    }

    /// The highest name hash of which this record can tell whether it was there.
    var horizon: UInt64 { UInt64(remembered) == total ? .max : remembered == 0 ? 0 : self[remembered - 1].nameHash }
}

extension DirectoryRecord {
    /// Appends the record of a directory with these entries, which must be in order.
    static func append(_ entries: [EntryRecord], to bytes: inout [UInt8], limit: Int = limit) {
        let kept = entries.prefix(limit)
        bytes.reserveCapacity(bytes.count + headerLength + kept.count * entryLength)
        withUnsafeBytes(of: UInt64(entries.count).littleEndian) { bytes.append(contentsOf: $0) }
        #if _endian(little)
            kept.withUnsafeBytes { bytes.append(contentsOf: $0) }
        #else
            for entry in kept {
                withUnsafeBytes(of: entry.nameHash.littleEndian) { bytes.append(contentsOf: $0) }
                withUnsafeBytes(of: entry.fingerprint.littleEndian) { bytes.append(contentsOf: $0) }
            }
        #endif
    }

    static func encode(_ entries: [EntryRecord], limit: Int = limit) -> [UInt8] {
        var bytes: [UInt8] = []
        append(entries, to: &bytes, limit: limit)
        return bytes
    }
}
