// SPDX-License-Identifier: Apache-2.0

/// The index segment that blocks are appended to. Its directory is in memory until it is sealed.
struct OpenIndexSegment: Sendable {
    let file: IndexFile
    private(set) var encoder: FrameEncoder
    private(set) var entries: [DirectoryEntry] = []
    /// For each entry the entry of the same parent before it, or -1; for each parent its last entry.
    private var previous: [Int32] = []
    private var last: [UInt64: Int32] = [:]

    /// Where the next block goes.
    var length: Int { Int(encoder.position) }

    init(file: IndexFile, encoder: FrameEncoder, entries: [DirectoryEntry] = []) {
        self.file = file
        self.encoder = encoder
        for entry in entries { add(entry) }
    }

    private mutating func add(_ entry: DirectoryEntry) {
        previous.append(last[entry.parent] ?? -1)
        last[entry.parent] = Int32(entries.count)
        entries.append(entry)
    }

    /// Writes a block behind the last one. When that fails, nothing has changed: the next try writes over it.
    mutating func append(
        _ block: OutcomeBlock, scratch: inout IndexScratch
    ) throws(FileError) {
        scratch.body.removeAll()
        scratch.output.removeAll()
        OutcomeBlockCodec.encode(block, compress: true, scratch: &scratch.columns, into: &scratch.body)
        var next = encoder
        let header = scratch.body.bytes.withUnsafeBytes {
            next.append(
                .block, body: $0, compress: false, firstSequence: block.rows[0].sequence,
                firstID: block.parent.rawValue, scratch: &scratch.compressed, to: &scratch.output)
        }
        try file.file.write(scratch.output, at: length)
        add(
            DirectoryEntry(
                block: block, offset: header.offset, length: header.totalLength, bodyOffset: 0,
                bodyLength: header.rawLength))
        encoder = next
    }

    /// Writes the directory, syncs, and gives the sealed segment.
    func seal(scratch: inout IndexScratch) throws(FileError) -> SealedIndexSegment {
        scratch.body.removeAll()
        scratch.output.removeAll()
        for entry in entries.sorted(by: { ($0.parent, $0.firstSequence) < ($1.parent, $1.firstSequence) }) {
            entry.append(to: &scratch.body)
        }
        var next = encoder
        _ = scratch.body.bytes.withUnsafeBytes {
            next.append(
                .directory, body: $0, compress: false, scratch: &scratch.compressed, to: &scratch.output)
        }
        try file.file.write(scratch.output, at: length)
        try file.file.synchronize()
        return SealedIndexSegment(
            file: file, directoryOffset: encoder.position, entryCount: entries.count, tier: 0)
    }

    /// The entries of one parent, in sequence order.
    func entries(of parent: TaskID) -> [DirectoryEntry] {
        var found: [DirectoryEntry] = []
        var next = last[parent.rawValue] ?? -1
        while next >= 0 {
            found.append(entries[Int(next)])
            next = previous[Int(next)]
        }
        return found.reversed()
    }
}

/// Buffers that appending to the index uses again and again.
struct IndexScratch: Sendable {
    var columns = OutcomeBlockScratch()
    var body = ByteWriter()
    var compressed = ByteWriter()
    var output = ByteWriter()
}

extension StoreFile {
    func write(_ writer: ByteWriter, at offset: Int) throws(FileError) { try write(writer.bytes, at: offset) }

    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        try bytes.withUnsafeBytesThrowing { (bytes) throws(FileError) in try write(bytes, at: offset) }
    }
}
