// SPDX-License-Identifier: Apache-2.0

/// The frames of a part of an index segment: checksums, blocks, and for each block its entry in the directory.
struct IndexPartCheck {
    private(set) var part = IndexSegmentCheck.Part()

    private let segment: IndexSegmentCheck
    private let entries: [DirectoryEntry]
    private let context: VerifyContext
    private let range: Range<Int>
    private var block = BlockCheck()
    private var body: [UInt8] = []

    init(
        _ range: Range<Int>, of segment: IndexSegmentCheck, _ entries: [DirectoryEntry], _ context: VerifyContext
    ) {
        self.range = range
        self.segment = segment
        self.entries = entries
        self.context = context
    }

    mutating func run() throws(OfflineFailure) {
        var walk = FrameWalk(
            segment.file, from: range.lowerBound, to: segment.directory.blocksEnd, limit: range.upperBound,
            segment: segment.file.segment(nil), seed: context.seed)
        var told = range.lowerBound
        var gap: FrameWalk.Gap?
        while let step = try Self.step(&walk) {
            switch step {
            // A gap at the beginning may be the end of a frame of the part before, one at the end go on in the next.
            case .gap(let found): gap = part.first == nil ? nil : found
            case .frame(let header):
                if let gap { report(gap) }
                gap = nil
                take(header, in: walk)
            }
            context.advance(max(0, min(walk.position, range.upperBound) - told))
            told = max(told, min(walk.position, range.upperBound))
        }
    }

    private static func step(_ walk: inout FrameWalk) throws(OfflineFailure) -> FrameWalk.Step? {
        do throws(FileError) { return try walk.step() } catch { throw .file(error) }
    }

    private mutating func report(_ gap: FrameWalk.Gap) {
        part.lost.append(gap.range)
        context.damage(
            segment.file.name, at: gap.range.lowerBound, "\(gap.reason) in \(gap.range.count) bytes",
            IndexSegmentCheck.loss(in: gap.range, entries))
    }

    private mutating func take(_ header: FrameHeader, in walk: FrameWalk) {
        let offset = Int(header.offset)
        if part.first == nil {
            part.first = (offset, header.previousChecksum)
        } else if header.previousChecksum != part.checksum, part.end == offset {
            segment.reportChain(offset)
        }
        part.end = offset + header.totalLength
        part.checksum = header.checksum
        do throws(DecodingFailure) { try check(header, in: walk) } catch {
            let lost = offset..<part.end
            part.lost.append(lost)
            context.damage(segment.file.name, at: offset, error.reason, IndexSegmentCheck.loss(in: lost, entries))
        }
    }

    private mutating func check(_ header: FrameHeader, in walk: FrameWalk) throws(DecodingFailure) {
        let seed = context.seed
        guard walk.withStored({ Checksum.crc32c($0, seed: seed) }) == header.bodyChecksum else {
            throw DecodingFailure("wrong checksum of a frame's body")
        }
        guard header.durableUpTo == 0 else { throw DecodingFailure("a frame header of a log") }
        switch header.kind {
        case .block:
            guard header.codec == .raw else { throw DecodingFailure("a compressed frame of one block") }
            try walk.withStored { (stored) throws(DecodingFailure) in try check(stored, at: 0, in: header) }
            guard block.parent.rawValue == header.firstID, block.sequences.first == header.firstSequence else {
                throw DecodingFailure("a frame header that speaks of another block")
            }
        case .sharedBlocks:
            guard header.firstID == 0, header.firstSequence == 0 else {
                throw DecodingFailure("a frame header that speaks of one block")
            }
            if header.codec == .raw {
                try walk.withStored { (stored) throws(DecodingFailure) in try checkShared(stored, in: header) }
            } else {
                try checkCompressed(header, in: walk)
            }
        default: throw DecodingFailure("a frame that no index segment has here")
        }
    }

    private mutating func checkCompressed(_ header: FrameHeader, in walk: FrameWalk) throws(DecodingFailure) {
        var room: [UInt8] = []
        swap(&room, &body)
        defer { swap(&room, &body) }
        if room.count < header.rawLength { room.resize(to: header.rawLength) }
        try walk.withStored { (stored) throws(DecodingFailure) in
            try room.withUnsafeMutableBytesThrowing { (bytes) throws(DecodingFailure) in
                try LZ4.decompress(stored, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<header.rawLength]))
            }
        }
        try room.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
            try checkShared(UnsafeRawBufferPointer(rebasing: bytes[..<header.rawLength]), in: header)
        }
    }

    private mutating func checkShared(
        _ body: UnsafeRawBufferPointer, in header: FrameHeader
    ) throws(DecodingFailure) {
        var start = 0
        while start < body.count {
            let rest = UnsafeRawBufferPointer(rebasing: body[start...])
            let length = try OutcomeBlockReader.length(rest)
            try check(UnsafeRawBufferPointer(rebasing: rest[..<length]), at: start, in: header)
            start += length
        }
    }

    /// Checks one block of a frame, and that the directory says the same of it.
    private mutating func check(
        _ bytes: UnsafeRawBufferPointer, at bodyOffset: Int, in header: FrameHeader
    ) throws(DecodingFailure) {
        try block.read(bytes)
        // Of most blocks there is nothing to say.
        var children: String { StoreFinding.children(UInt64(block.rows), of: block.parent) }
        if let index = entry(of: block.parent.rawValue, block.sequences.first) {
            let span = block.sequences.last - block.sequences.first
            part.found.append((index, UInt32(min(span, UInt64(IndexSegmentCheck.unknownSpan - 1)))))
            let entry = entries[index]
            if entry.offset != header.offset || entry.bodyOffset != bodyOffset || entry.bodyLength != bytes.count
                || entry.length != header.totalLength || entry.root != block.root.rawValue
                || entry.outcomeCounts != block.counts
            {
                report(header, "a block of which the directory says something else", "\(children) may not be shown")
            }
        } else {
            report(header, "a block that the directory does not name", "\(children) are not shown")
        }
        do throws(DecodingFailure) { try context.add(block) } catch {
            report(header, error.reason, "what is told of \(children) is not right")
        }
    }

    private func report(_ header: FrameHeader, _ what: String, _ consequence: String) {
        context.damage(segment.file.name, at: Int(header.offset), what, consequence)
    }

    private func entry(of parent: UInt64, _ sequence: UInt64) -> Int? {
        let index = entries.partition { ($0.parent, $0.firstSequence) >= (parent, sequence) }
        guard index < entries.count, entries[index].parent == parent, entries[index].firstSequence == sequence else {
            return nil
        }
        return index
    }
}
