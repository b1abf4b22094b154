// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// All index segments of a store: where the blocks of ended children go and where a parent's run is found.
struct MemoIndex: Sendable {
    private(set) var sealed: [SealedIndexSegment]
    private(set) var open: OpenIndexSegment?
    var nextNumber: UInt32
    private let files: StoreFiles
    private let segmentBytes: Int
    private var scratch = IndexScratch()

    init(
        files: StoreFiles, segmentBytes: Int, sealed: [SealedIndexSegment] = [], open: OpenIndexSegment? = nil,
        nextNumber: UInt32 = 1
    ) {
        self.files = files
        self.segmentBytes = segmentBytes
        self.sealed = sealed
        self.open = open
        self.nextNumber = nextNumber
    }

    /// Appends a block; begins and seals segments as needed. After an error the same block can be tried again.
    mutating func append(_ block: OutcomeBlock) throws(FileError) {
        if let current = open, current.length >= segmentBytes || current.entries.count >= Limits.directoryEntries {
            try seal()
        }
        if open == nil {
            let number = nextNumber
            open = try files.createIndexSegment(number: number)
            nextNumber += 1
        }
        try open!.append(block, scratch: &scratch)
    }

    /// Seals the open segment, when there is one.
    mutating func seal() throws(FileError) {
        guard let current = open else { return }
        sealed.append(try current.seal(scratch: &scratch))
        open = nil
    }

    /// Takes a number for a segment that is written elsewhere.
    mutating func takeNumber() -> UInt32 {
        defer { nextNumber += 1 }
        return nextNumber
    }

    /// Puts rewritten segments in the place of their neighbours.
    mutating func replace(_ inputs: [SealedIndexSegment], by outputs: [SealedIndexSegment]) {
        guard let first = inputs.first, let start = sealed.firstIndex(where: { $0.file.number == first.file.number })
        else { return }
        sealed.replaceSubrange(start..<(start + inputs.count), with: outputs)
    }

    /// Makes everything appended so far durable.
    func synchronize() throws(FileError) { try open?.file.file.synchronize() }

    /// The blocks of a parent that the open segment has, in sequence order. O(blocks found).
    func openExtents(of parent: TaskID) -> [BlockExtent] {
        guard let open else { return [] }
        let found = open.entries(of: parent)
        if found.isEmpty { return [] }
        open.file.note(written: open.length)
        return found.map { BlockExtent($0, in: open.file) }
    }
}

extension [SealedIndexSegment] {
    /// The blocks of a parent in sequence order. A binary search in each segment, which may block on the file: hold no
    /// lock.
    func extents(of parent: TaskID) throws(StoreError) -> [BlockExtent] {
        var extents: [BlockExtent] = []
        for segment in self {
            try segment.forEachEntry(of: parent) { extents.append(BlockExtent($0, in: segment.file)) }
        }
        return extents
    }
}
