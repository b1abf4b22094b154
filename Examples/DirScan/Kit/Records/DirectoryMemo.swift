// SPDX-License-Identifier: Apache-2.0

/// What a child leaves for `finalize`: its sums, the name of its directory, and what the next snapshot needs.
///
///     discovered, skipped, deleted, unremembered, bytes   u64 each
///     key, parent key                                     16 bytes each
///     number of directories left out                      u64
///     { key of a directory left out } ...
///     record                                              to the end
///
/// The child names its directory, so that `finalize` needs neither its payload nor its path.
struct DirectoryMemo: Equatable, Sendable {
    var changes: DirectoryChanges
    /// The sizes of the entries.
    var bytes: UInt64
    var key: DirectoryKey
    var parent: DirectoryKey
    /// Sub-directories on other file systems, which `--one-file-system` leaves out: what an earlier scan without that
    /// option knows of them is neither deleted nor forgotten.
    var leftOut: [DirectoryKey]
    var record: [UInt8]

    /// Entries, whether discovered or skipped: together all that the directory holds.
    var files: UInt64 { changes.discovered + changes.skipped }

    init(of listing: DirectoryListing, at path: PathBytes, changes: DirectoryChanges) {
        self.changes = changes
        bytes = listing.bytes
        key = DirectoryKey(path)
        parent = DirectoryKey.parent(of: path)
        leftOut = listing.otherFileSystems.map { DirectoryKey(path.appending($0)) }
        record = DirectoryRecord.encode(listing.entries)
    }
}

extension DirectoryMemo {
    static let headerLength = 80

    func encode() -> [UInt8] {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(Self.headerLength + 16 * leftOut.count + record.count)
        func append(_ value: UInt64) {
            withUnsafeBytes(of: value.littleEndian) { encoded.append(contentsOf: $0) }
        }
        append(changes.discovered)
        append(changes.skipped)
        append(changes.deleted)
        append(changes.unremembered)
        append(bytes)
        for directory in [key, parent] {
            append(directory.parentHash)
            append(directory.hash)
        }
        append(UInt64(leftOut.count))
        for directory in leftOut {
            append(directory.parentHash)
            append(directory.hash)
        }
        encoded.append(contentsOf: record)
        return encoded
    }

    /// - Returns: nil when the bytes are no memo.
    init?(decoding encoded: UnsafeRawBufferPointer) {
        guard encoded.count >= Self.headerLength else { return nil }
        func word(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: encoded.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        func key(_ offset: Int) -> DirectoryKey { DirectoryKey(parentHash: word(offset), hash: word(offset + 8)) }
        let leftOutCount = word(72)
        guard leftOutCount <= (encoded.count - Self.headerLength) / 16 else { return nil }
        let recordStart = Self.headerLength + 16 * Int(leftOutCount)
        let recordBytes = UnsafeRawBufferPointer(rebasing: encoded[recordStart...])
        guard DirectoryRecord(recordBytes) != nil else { return nil }
        changes = DirectoryChanges(discovered: word(0), skipped: word(8), deleted: word(16), unremembered: word(24))
        bytes = word(32)
        self.key = key(40)
        parent = key(56)
        leftOut = stride(from: Self.headerLength, to: recordStart, by: 16).map(key)
        record = [UInt8](recordBytes)
    }
}
