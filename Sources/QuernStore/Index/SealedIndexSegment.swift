// SPDX-License-Identifier: Apache-2.0

/// An index segment that ends in its directory and is never written to again.
struct SealedIndexSegment: Sendable {
    let file: IndexFile
    /// Where the directory's frame begins: the blocks are before it.
    let directoryOffset: UInt64
    let entryCount: Int
    /// How often what is in it was compacted: 0 as the writer sealed it.
    let tier: UInt8
    private let seed: UInt32

    init(number: UInt32, directoryOffset: UInt64, entryCount: Int, tier: UInt8, in files: StoreFiles) {
        self.directoryOffset = directoryOffset
        self.entryCount = entryCount
        self.tier = tier
        seed = files.identity.seed
        file = IndexFile(
            number: number, length: Self.length(directoryOffset: directoryOffset, entryCount: entryCount), in: files)
    }

    /// The same segment in another tier.
    func inTier(_ tier: UInt8) -> SealedIndexSegment { SealedIndexSegment(self, tier: tier) }

    private init(_ other: SealedIndexSegment, tier: UInt8) {
        file = other.file
        directoryOffset = other.directoryOffset
        entryCount = other.entryCount
        seed = other.seed
        self.tier = tier
    }

    var length: Int { Self.length(directoryOffset: directoryOffset, entryCount: entryCount) }

    /// The file's length up to and with the directory.
    static func length(directoryOffset: UInt64, entryCount: Int) -> Int {
        Int(clamping: directoryOffset) + FrameHeader.size + (entryCount * DirectoryEntry.size + 7) & ~7
    }

    /// Calls `body` with each of the parent's blocks, in sequence order. A binary search in the mapped directory, which
    /// is verified when it is first used.
    func forEachEntry(
        of parent: TaskID, _ body: (DirectoryEntry) -> Void
    ) throws(StoreError) {
        let mapping = try verifiedMapping()
        defer { withExtendedLifetime(mapping) {} }
        let directory = directory(in: mapping)
        var index = (0..<entryCount).partition { Self.key(of: $0, in: directory).parent >= parent.rawValue }
        while index < entryCount, Self.key(of: index, in: directory).parent == parent.rawValue {
            body(try entry(at: index, in: mapping))
            index += 1
        }
    }

    /// A mapping of the whole file, of which the directory was verified.
    func verifiedMapping() throws(StoreError) -> FileMapping { try file.mapping(length: length, verifiedBy: verify) }

    /// An entry of the directory by its place in it.
    func entry(at index: Int, in mapping: FileMapping) throws(StoreError) -> DirectoryEntry {
        defer { withExtendedLifetime(mapping) {} }
        var reader = ByteReader(directory(in: mapping), at: index * DirectoryEntry.size)
        guard let entry = try? DirectoryEntry(&reader), entry.lies(before: directoryOffset) else {
            throw damaged("a directory entry points outside its segment")
        }
        return entry
    }

    private func directory(in mapping: FileMapping) -> UnsafeRawBufferPointer {
        let start = Int(directoryOffset) + FrameHeader.size
        return UnsafeRawBufferPointer(rebasing: mapping.bytes[start..<(start + entryCount * DirectoryEntry.size)])
    }

    /// What entries are sorted by.
    private static func key(
        of index: Int, in directory: UnsafeRawBufferPointer
    ) -> (parent: UInt64, firstSequence: UInt64) {
        func load(_ place: Int) -> UInt64 {
            UInt64(
                littleEndian: directory.loadUnaligned(
                    fromByteOffset: index * DirectoryEntry.size + place, as: UInt64.self))
        }
        return (load(0), load(24))
    }

    /// Checks the directory's frame: header, length, checksum and order.
    private func verify(_ mapping: FileMapping) throws(StoreError) {
        defer { withExtendedLifetime(mapping) {} }
        guard
            let header = FrameHeader(mapping.bytes, at: Int(directoryOffset), segment: file.number, seed: seed),
            header.kind == .directory, header.rawLength == entryCount * DirectoryEntry.size,
            header.codec == .raw, header.body(in: mapping.bytes, seed: seed) != nil
        else { throw damaged("the directory of an index segment is damaged") }
        let directory = directory(in: mapping)
        var last: (parent: UInt64, firstSequence: UInt64) = (0, 0)
        for index in 0..<entryCount {
            let next = Self.key(of: index, in: directory)
            guard last < next else { throw damaged("the directory of an index segment is not sorted") }
            last = next
        }
    }

    private func damaged(_ reason: String) -> StoreError {
        StoreError(.damaged, reason, file: file.path, offset: Int(directoryOffset))
    }
}
