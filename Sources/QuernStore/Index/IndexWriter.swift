// SPDX-License-Identifier: Apache-2.0

/// Writes blocks to the index. It works on a copy of the index: readers see nothing of it until the copy is put in the
/// place of the index together with the blocks' leaving the memory.
struct IndexWriter: Sendable {
    /// What one write gathers.
    private static let writeBytes = 1 << 20
    /// Entries of a directory that are written at a time.
    private static let directoryPiece = 4096

    private let files: StoreFiles
    private let segmentBytes: Int
    private let sizes: BlockSizes
    private var scratch = IndexScratch()

    init(files: StoreFiles, configuration: MemoStore.Configuration) {
        self.files = files
        segmentBytes = configuration.indexSegmentBytes
        sizes = configuration.blockSizes
    }

    /// Writes blocks, and takes those out that are written. Begins and seals segments as needed.
    ///
    /// After an error `index` holds what counts, none of the blocks that are left among it, and these can be tried
    /// again: they are written over what the failed write left.
    mutating func append(_ blocks: inout [OutcomeBlock], to index: inout MemoIndex) throws(FileError) {
        while !blocks.isEmpty {
            if let open = index.open, room(in: open) == 0 { try seal(&index) }
            if index.open == nil { index.open = try begin(index.numbers.take()) }
            blocks.removeFirst(try write(blocks[...], to: &index.open!))
        }
    }

    /// Seals the segment that is written to, when it has blocks.
    mutating func seal(_ index: inout MemoIndex) throws(FileError) {
        guard let open = index.open, open.directory.count > 0 else { return }
        index.sealed.append(try seal(open))
        index.open = nil
    }

    /// How many more blocks a segment takes; 0 when it is to be sealed. A new one takes some, however short it is.
    private func room(in segment: OpenIndexSegment) -> Int {
        let isFull = segment.length >= segmentBytes && segment.directory.count > 0
        return isFull ? 0 : max(Limits.directoryEntries - segment.directory.count, 0)
    }

    private func begin(_ number: UInt32) throws(FileError) -> OpenIndexSegment {
        let held = try files.createHeld(files.header(.index, number: UInt64(number)))
        return OpenIndexSegment(
            number: number, output: held.file, hold: held.hold,
            encoder: FrameEncoder(
                identity: files.identity, segment: number, position: UInt64(FileHeader.size), checksum: 0))
    }

    /// Writes the first of `blocks`, as many as one write takes, and returns how many.
    private mutating func write(
        _ blocks: ArraySlice<OutcomeBlock>, to segment: inout OpenIndexSegment
    ) throws(FileError) -> Int {
        scratch.output.removeAll()
        let room = room(in: segment)
        var encoder = segment.encoder
        var entries: [DirectoryEntry] = []
        var rest = blocks.prefix(room)
        while !rest.isEmpty,
            entries.isEmpty || (scratch.output.count < Self.writeBytes && encoder.position < segmentBytes)
        {
            let shared = rest.prefix(sizes.blocksInFrame(rest))
            append(shared, encoder: &encoder, entries: &entries)
            rest = rest.dropFirst(shared.count)
        }
        try segment.output.write(scratch.output, at: segment.length)
        for entry in entries { segment.directory.append(entry) }
        segment.encoder = encoder
        // One large value should not hold its size for ever.
        if scratch.output.count > 4 * Self.writeBytes { scratch = IndexScratch() }
        return entries.count
    }

    /// Encodes a frame: one block, its sections compressed apart, so that failures are found without decoding memos;
    /// or several, compressed as a whole.
    private mutating func append(
        _ blocks: ArraySlice<OutcomeBlock>, encoder: inout FrameEncoder, entries: inout [DirectoryEntry]
    ) {
        let isShared = blocks.count > 1
        scratch.body.removeAll()
        var ends: [Int] = []
        for block in blocks {
            OutcomeBlockCodec.encode(block, compress: !isShared, scratch: &scratch.columns, into: &scratch.body)
            ends.append(scratch.body.count)
        }
        let first = blocks[blocks.startIndex]
        let header = scratch.body.bytes.withUnsafeBytes {
            encoder.append(
                isShared ? .sharedBlocks : .block, body: $0, compress: isShared,
                firstSequence: isShared ? 0 : first.rows[0].sequence, firstID: isShared ? 0 : first.parent.rawValue,
                scratch: &scratch.compressed, to: &scratch.output)
        }
        var start = 0
        for (block, end) in zip(blocks, ends) {
            entries.append(
                DirectoryEntry(
                    block: block, offset: header.offset, length: header.totalLength, bodyOffset: start,
                    bodyLength: end - start))
            start = end
        }
    }

    /// Writes the directory, syncs, and gives the sealed segment. A large directory is written piece by piece, and its
    /// frame's header last: nobody looks for it before.
    private mutating func seal(_ segment: OpenIndexSegment) throws(FileError) -> SealedIndexSegment {
        let entries = segment.directory.sorted()
        var encoder = segment.encoder
        var checksum = encoder.identity.seed
        var end = segment.length + FrameHeader.size
        for start in stride(from: 0, to: entries.count, by: Self.directoryPiece) {
            scratch.output.removeAll()
            for entry in entries[start..<min(start + Self.directoryPiece, entries.count)] {
                entry.append(to: &scratch.output)
            }
            checksum = scratch.output.bytes.withUnsafeBytes { Checksum.crc32c($0, seed: checksum) }
            try segment.output.write(scratch.output, at: end)
            end += scratch.output.count
        }
        scratch.output.removeAll()
        encoder.appendHeader(
            .directory, bodyLength: entries.count * DirectoryEntry.size, bodyChecksum: checksum, to: &scratch.output)
        try segment.output.write(scratch.output, at: segment.length)
        try segment.output.synchronize()
        segment.hold?.release()
        scratch = IndexScratch()
        return SealedIndexSegment(
            number: segment.file.number, directoryOffset: segment.encoder.position, entryCount: entries.count, tier: 0,
            in: files)
    }
}

/// Buffers that writing to the index uses again and again.
private struct IndexScratch: Sendable {
    var columns = OutcomeBlockScratch()
    var body = ByteWriter()
    var compressed = ByteWriter()
    var output = ByteWriter()
}
