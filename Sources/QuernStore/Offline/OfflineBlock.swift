// SPDX-License-Identifier: Apache-2.0

/// A block of one parent's children, wherever it is.
struct OfflineBlock: Sendable {
    enum Place: Sendable {
        case file(RawFile)
        case memory(BlockExtent)
    }

    let entry: DirectoryEntry
    let place: Place

    init(_ entry: DirectoryEntry, in file: RawFile) {
        self.entry = entry
        place = .file(file)
    }

    init(_ extent: BlockExtent) {
        entry = extent.entry
        place = .memory(extent)
    }

    /// Decodes all rows. `scratch` is used again from block to block.
    func read(
        of parent: TaskID, seed: UInt32, columns: ChildColumns, scratch: inout OfflineScratch,
        into block: inout ChildBlock
    ) throws(OfflineFailure) {
        guard case .file(let file) = place else { return try readMemory(columns, &scratch, &block) }
        if !scratch.holds(entry, of: file) {
            let start = Int(clamping: entry.offset)
            guard start <= file.size, Int(entry.length) <= file.size - start else {
                throw .decoding("a block that passes the end of the file")
            }
            try scratch.read(entry, of: file, seed: seed)
        }
        do throws(DecodingFailure) {
            try scratch.decode(
                entry, segment: UInt32(truncatingIfNeeded: file.number), of: parent, seed: seed, columns: columns,
                into: &block)
        } catch { throw .decoding(error.reason) }
        block.hasFacts = columns.contains(.facts)
        block.hasAttachments = columns.contains(.attachments)
    }

    private func readMemory(
        _ columns: ChildColumns, _ scratch: inout OfflineScratch, _ block: inout ChildBlock
    ) throws(OfflineFailure) {
        guard case .memory(let extent) = place else { return }
        do throws(StoreError) {
            // Nothing in memory has to do with a store's identity.
            _ = try extent.read(
                of: TaskID(entry.parent), StoreIdentity(high: 0, low: 0), columns: columns, scratch: &scratch.block,
                into: &block)
        } catch { throw .decoding(error.message) }
    }
}

/// Room to read blocks, which is used again. Of small blocks that share a frame the next one is mostly in the same.
struct OfflineScratch {
    var block = BlockScratch()
    private var frame: [UInt8] = []
    /// The decoded body of a shared frame, and which it is of.
    private var shared: (body: [UInt8], file: UInt64, offset: UInt64, length: UInt32)?

    fileprivate func holds(_ entry: DirectoryEntry, of file: RawFile) -> Bool {
        guard let shared else { return false }
        return shared.file == file.number && shared.offset == entry.offset && shared.length == entry.length
    }

    /// Reads the frame of a block, which lies in the file.
    fileprivate mutating func read(
        _ entry: DirectoryEntry, of file: RawFile, seed: UInt32
    ) throws(OfflineFailure) {
        shared = nil
        let start = Int(clamping: entry.offset)
        frame = try file.bytes(start..<(start + Int(entry.length)))
        let segment = UInt32(truncatingIfNeeded: file.number)
        let header = frame.withUnsafeBytes {
            FrameHeader(detached: $0, offset: entry.offset, segment: segment, seed: seed)
        }
        guard let header, header.kind == .sharedBlocks, header.totalLength == frame.count else { return }
        let stored = Array(frame[FrameHeader.size..<(FrameHeader.size + header.storedLength)])
        do throws(DecodingFailure) {
            let body = try RawFrame(header: header, stored: stored, seed: seed).body()
            shared = (body, file.number, entry.offset, entry.length)
        } catch { throw .decoding(error.reason) }
    }

    fileprivate mutating func decode(
        _ entry: DirectoryEntry, segment: UInt32, of parent: TaskID, seed: UInt32, columns: ChildColumns,
        into block: inout ChildBlock
    ) throws(DecodingFailure) {
        guard let shared else {
            let frame = frame
            return try frame.withUnsafeBytesThrowing { (frame) throws(DecodingFailure) in
                try BlockExtent.decode(
                    entry, frame: frame, segment: segment, of: parent, seed: seed, columns: columns,
                    scratch: &self.block, into: &block)
            }
        }
        try shared.body.withUnsafeBytesThrowing { (body) throws(DecodingFailure) in
            try BlockExtent.decode(
                entry, body: body, of: parent, columns: columns, scratch: &self.block.section, into: &block)
        }
    }
}

extension RawFile {
    func bytes(_ range: Range<Int>) throws(OfflineFailure) -> [UInt8] {
        do throws(FileError) { return try read(range) } catch { throw .file(error) }
    }
}
