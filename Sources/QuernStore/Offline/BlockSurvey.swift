// SPDX-License-Identifier: Apache-2.0

/// The blocks of an index segment as its frames have them, without its directory.
struct BlockSurvey {
    /// What a directory would say of the blocks that are intact, in the order of the file.
    private(set) var entries: [DirectoryEntry] = []
    /// What is no intact frame of blocks, nor the directory.
    private(set) var findings: [StoreFinding] = []

    private var block = ChildBlock()
    private var scratch: [UInt8] = []

    /// - Parameter end: where the blocks end, when that is known; else the file's end.
    init(of file: RawFile, to end: Int? = nil, seed: UInt32) throws(FileError) {
        var walk = FrameWalk(file, to: end, segment: UInt32(truncatingIfNeeded: file.number), seed: seed)
        while let item = try walk.next() {
            switch item {
            case .gap(let gap):
                if gap.isZeros { continue }
                findings.append(
                    StoreFinding(
                        .damage, file.name, at: gap.range.lowerBound,
                        "\(gap.reason) in \(gap.range.count) bytes", "children of blocks that were here are lost"))
            case .frame(let frame):
                if frame.header.kind == .directory { continue }
                do throws(DecodingFailure) { try add(frame) } catch {
                    findings.append(
                        StoreFinding(
                            .damage, file.name, at: frame.offset, error.reason,
                            frame.header.kind == .block
                                ? "children of parent \(frame.header.firstID) are lost"
                                : "children of small parents are lost"))
                }
            }
        }
    }

    private mutating func add(_ frame: RawFrame) throws(DecodingFailure) {
        guard frame.header.kind == .block || frame.header.kind == .sharedBlocks else {
            throw DecodingFailure("a frame of another kind")
        }
        let body = try frame.body()
        var start = 0
        while start < body.count {
            start = try body.withUnsafeBytesThrowing { (body) throws(DecodingFailure) in
                let rest = UnsafeRawBufferPointer(rebasing: body[start...])
                let length = try OutcomeBlockReader.length(rest)
                try OutcomeBlockReader.decode(
                    UnsafeRawBufferPointer(rebasing: rest[..<length]), columns: .stored, scratch: &scratch, into: &block
                )
                entries.append(
                    DirectoryEntry(
                        block: block.outcomeBlock(), offset: frame.header.offset, length: frame.length,
                        bodyOffset: start, bodyLength: length))
                return start + length
            }
        }
    }
}
