// SPDX-License-Identifier: Apache-2.0

/// An index segment that ends in its directory and is never written to again.
struct SealedIndexSegment: Sendable {
    let file: IndexFile
    /// Where the directory's frame begins: the blocks are before it.
    let directoryOffset: UInt64
    let entryCount: Int
    /// How often what is in it was compacted: 0 as the writer sealed it.
    let tier: UInt8

    func rewritten(tier: UInt8) -> SealedIndexSegment {
        SealedIndexSegment(file: file, directoryOffset: directoryOffset, entryCount: entryCount, tier: tier)
    }

    var length: Int { Self.length(directoryOffset: directoryOffset, entryCount: entryCount) }

    /// The file's length up to and with the directory.
    static func length(directoryOffset: UInt64, entryCount: Int) -> Int {
        Int(clamping: directoryOffset) + FrameHeader.size + (entryCount * DirectoryEntry.size + 7) & ~7
    }

    /// Calls `body` with each of the parent's blocks, in sequence order. A binary search in the mapped directory.
    func forEachEntry(
        of parent: TaskID, _ body: (DirectoryEntry) -> Void
    ) throws(StoreError) {
        let mapping = try file.mapped(length: length)
        defer { withExtendedLifetime(mapping) {} }
        let start = Int(directoryOffset) + FrameHeader.size
        let directory = UnsafeRawBufferPointer(
            rebasing: mapping.bytes[start..<(start + entryCount * DirectoryEntry.size)])
        func parentAt(_ index: Int) -> UInt64 {
            UInt64(littleEndian: directory.loadUnaligned(fromByteOffset: index * DirectoryEntry.size, as: UInt64.self))
        }
        var low = 0
        var high = entryCount
        while low < high {
            let middle = (low + high) / 2
            if parentAt(middle) < parent.rawValue { low = middle + 1 } else { high = middle }
        }
        while low < entryCount, parentAt(low) == parent.rawValue {
            var reader = ByteReader(directory, at: low * DirectoryEntry.size)
            guard let entry = try? DirectoryEntry(&reader), entry.lies(before: directoryOffset) else {
                throw StoreError(
                    .damaged, "a directory entry points outside its segment", file: file.file.path,
                    offset: start + low * DirectoryEntry.size)
            }
            body(entry)
            low += 1
        }
    }

    /// Checks the directory's frame: header, checksum and length.
    func verifyDirectory(identity: StoreIdentity) throws(StoreError) {
        let mapping = try file.mapped(length: length)
        defer { withExtendedLifetime(mapping) {} }
        let seed = identity.seed
        guard
            let header = FrameHeader(
                mapping.bytes, at: Int(directoryOffset), segment: file.number, seed: seed),
            header.kind == .directory, header.rawLength == entryCount * DirectoryEntry.size,
            header.body(in: mapping.bytes, seed: seed) != nil
        else {
            throw StoreError(
                .damaged, "the directory of an index segment is damaged", file: file.file.path,
                offset: Int(directoryOffset))
        }
    }
}
