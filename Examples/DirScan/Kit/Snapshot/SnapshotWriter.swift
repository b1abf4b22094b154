// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Makes the snapshot of a scan from what its children report, in any order and in bounded memory.
///
///     let writer = try SnapshotWriter(at: path, scan: id, scope: root)
///     for memo in memos { try writer.add(memo.key, parent: memo.parent, record: memo.record) }
///     for failure in failures where !failure.meansGone { try writer.addUnlisted(failure.key, parent: failure.parent) }
///     let summary = try writer.finish(since: previous)
///
/// Records go straight to the new file, under a name of its own until it is complete; index entries are sorted aside
/// (``IndexSorter``). The same input gives the same file, byte for byte, and a writer that is killed leaves at most a
/// file that the next one overwrites: so a `finalize` may be repeated as often as need be, provided that the previous
/// snapshot is still there (``SnapshotFolder``).
final class SnapshotWriter {
    private let target: PathBytes
    private let scan: UInt64
    private let scope: DirectoryKey
    private let records: OutputFile
    private var sorter: IndexSorter
    private var hasUnknownFailures = false
    private var summary = SnapshotSummary()
    private var isPublished = false

    init(
        at target: PathBytes, scan: UInt64, scope: DirectoryKey, runLength: Int = IndexSorter.runLength
    ) throws(SnapshotError) {
        self.target = target
        self.scan = scan
        self.scope = scope
        records = try OutputFile(Self.beside(target, ".new"))
        sorter = IndexSorter(file: try OutputFile(Self.beside(target, ".runs"), anonymous: true), runLength: runLength)
        let placeholder = [UInt8](repeating: 0, count: SnapshotFormat.headerLength)
        try Self.append(placeholder, to: records)
    }

    deinit {
        if !isPublished { _ = records.path.withCString { unlink($0) } }
    }

    /// Adds a directory that was listed.
    func add(_ key: DirectoryKey, parent: DirectoryKey, record: UnsafeRawBufferPointer) throws(SnapshotError) {
        guard let length = UInt32(exactly: record.count) else { throw .recordTooLong(record.count) }
        let entries = DirectoryRecord(record)?.total ?? 0
        let entry = IndexEntry(
            key: key, parent: parent, offset: UInt64(records.length), length: length,
            entries: UInt32(clamping: entries), check: StableHash.hash(record, seed: SnapshotFormat.recordSeed))
        try records.append(record)
        try sorter.add(entry)
    }

    /// Adds a directory that is there but was not listed: what the previous snapshot knows of it, and of all below it,
    /// stays as it is.
    func addUnlisted(_ key: DirectoryKey, parent: DirectoryKey) throws(SnapshotError) {
        try sorter.add(IndexEntry(unlisted: key, parent: parent))
    }

    /// Says that some directory was not listed and nobody knows which. Then nothing that the scan did not come across
    /// can be called deleted; all of it stays.
    func addUnknownFailure() { hasUnknownFailures = true }

    /// Writes the snapshot and makes it durable under its name. To be called once.
    ///
    /// - Parameter previous: the snapshot that the scan was compared with.
    func finish(since previous: CatalogSnapshot?) throws(SnapshotError) -> SnapshotSummary {
        let seen = try sortedIndex()
        var index = IndexWriter(try OutputFile(Self.beside(target, ".index"), anonymous: true))
        try merge(seen, previous, into: &index)
        try index.finish()
        let recordsLength = records.length - SnapshotFormat.headerLength
        try records.append(index.file)
        let header = SnapshotHeader(
            scan: scan, scope: scope, directories: UInt64(index.count), entries: summary.entries,
            recordsLength: UInt64(recordsLength), indexCheck: index.check)
        let bytes = header.encode()
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(SnapshotError) in try records.write(bytes, at: 0) }
        }
        try outcome.get()
        try records.publish(as: target)
        isPublished = true
        summary.directories = UInt64(index.count)
        return summary
    }

    /// The directories that the scan came across, in order and each once, in a file of their own: its final place is
    /// only known when the records that are kept from the previous snapshot have been added.
    private func sortedIndex() throws(SnapshotError) -> SortedIndex {
        let file = try OutputFile(Self.beside(target, ".seen"), anonymous: true)
        var seen = IndexWriter(file)
        var last: DirectoryKey?
        var duplicates: UInt64 = 0
        try sorter.drain { (entry) throws(SnapshotError) in
            if entry.key == last {
                if entry.isListed { duplicates += 1 }
            } else {
                try seen.append(entry)
            }
            last = entry.key
        }
        try seen.finish()
        summary.duplicates = duplicates
        let mapped = try MappedFile(descriptor: file.descriptor, path: file.path)
        return SortedIndex(mapped, start: 0, count: seen.count)
    }

    /// Walks the previous index and the new one side by side.
    private func merge(
        _ seen: SortedIndex, _ previous: CatalogSnapshot?, into index: inout IndexWriter
    ) throws(SnapshotError) {
        guard let previous else {
            var position = 0
            while let entry = seen.next(&position) { try keep(entry, in: &index) }
            return
        }
        var vanished = VanishedDirectories(before: previous.index, now: seen)
        var (oldPosition, newPosition) = (0, 0)
        var old = previous.index.next(&oldPosition)
        var new = seen.next(&newPosition)
        while old != nil || new != nil {
            if let known = old, new.map({ known.key < $0.key }) ?? true {
                if !hasUnknownFailures && vanished.isGone(known) {
                    summary.deletedDirectories += 1
                    summary.deletedEntries += try entries(of: known, in: previous)
                } else {
                    try carry(known, from: previous, to: &index)
                }
                old = previous.index.next(&oldPosition)
            } else if let found = new {
                let known = old.flatMap { $0.key == found.key ? $0 : nil }
                if let known, !found.isListed {
                    try carry(known, from: previous, to: &index)
                } else {
                    try keep(found, in: &index)
                }
                if known != nil { old = previous.index.next(&oldPosition) }
                new = seen.next(&newPosition)
            }
        }
    }

    /// A directory of this scan. One that was never listed has nothing to remember.
    private func keep(_ entry: IndexEntry, in index: inout IndexWriter) throws(SnapshotError) {
        guard entry.isListed else { return }
        summary.entries += UInt64(entry.entries)
        try index.append(entry)
    }

    /// A directory that this scan could not look into: its old record goes on.
    private func carry(
        _ entry: IndexEntry, from previous: CatalogSnapshot, to index: inout IndexWriter
    ) throws(SnapshotError) {
        var moved = entry
        moved.offset = UInt64(records.length)
        try records.append(try previous.bytes(of: entry))
        summary.carriedDirectories += 1
        try keep(moved, in: &index)
    }

    /// The entries of a directory that is gone.
    private func entries(of entry: IndexEntry, in previous: CatalogSnapshot) throws(SnapshotError) -> UInt64 {
        entry.entries < UInt32.max ? UInt64(entry.entries) : DirectoryRecord(try previous.bytes(of: entry))?.total ?? 0
    }

    private static func append(_ bytes: [UInt8], to file: OutputFile) throws(SnapshotError) {
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(SnapshotError) in try file.append(bytes) }
        }
        try outcome.get()
    }

    private static func beside(_ target: PathBytes, _ suffix: String) -> PathBytes {
        PathBytes(target.bytes + Array(suffix.utf8))
    }
}

/// What came out of writing a snapshot.
struct SnapshotSummary: Equatable, Sendable {
    /// Directories in the snapshot.
    var directories: UInt64 = 0
    /// Entries in them.
    var entries: UInt64 = 0
    /// Directories that are gone since the previous snapshot, and the entries that they had.
    var deletedDirectories: UInt64 = 0
    var deletedEntries: UInt64 = 0
    /// Directories that could not be looked into and keep the record of the previous snapshot.
    var carriedDirectories: UInt64 = 0
    /// Directories left out because another one has the same key: they will count as discovered again.
    var duplicates: UInt64 = 0
}
