// SPDX-License-Identifier: Apache-2.0

/// One ended child without its memo or error bytes.
package struct OutcomeRow: Sendable, BitwiseCopyable, Equatable {
    package var task: UInt64
    package var sequence: UInt64
    package var startedAt: Int64
    package var endedAt: Int64
    package var label: UInt32
    package var attempts: UInt32
    package var valueLength: UInt32
    package var kind: OutcomeKind

    package init(
        task: UInt64, sequence: UInt64, startedAt: Int64, endedAt: Int64, label: UInt32, attempts: UInt32,
        valueLength: UInt32, kind: OutcomeKind
    ) {
        self.task = task
        self.sequence = sequence
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.label = label
        self.attempts = attempts
        self.valueLength = valueLength
        self.kind = kind
    }
}

/// Ended children of one parent, in sequence order, as rows in memory. ``OutcomeBlockCodec`` makes columns of them.
package struct OutcomeBlock: Sendable, Equatable {
    package var parent: TaskID
    /// The root of the tree that the parent belongs to; `none` while that does not matter.
    package var root: TaskID
    package var rows: [OutcomeRow] = []
    /// The memos of the completed rows, side by side.
    package var memos: [UInt8] = []
    /// The errors of all other rows, side by side.
    package var errors: [UInt8] = []
    /// What some rows have beside their memo or error.
    package var attachments = Attachments()

    package init(parent: TaskID, root: TaskID = .none) {
        self.parent = parent
        self.root = root
    }

    package var valueBytes: Int { memos.count + errors.count + attachments.bytes.count }

    /// What it takes in memory, in bytes, with its place in a table, and with headers and room in reserve of its
    /// arrays; 0 without rows.
    var footprint: Int {
        guard !rows.isEmpty else { return 0 }
        return MemoryLayout<TaskID>.stride + MemoryLayout<OutcomeBlock>.stride
            + rows.footprint + memos.footprint + errors.footprint + attachments.footprint
    }

    /// About what it takes in a file before compression: header, bases of the columns, a few bytes a row.
    var rawSize: Int { 160 + rows.count * 8 + valueBytes }

    /// Whether it is time to write it to an index segment.
    func isFull(_ sizes: BlockSizes) -> Bool { valueBytes >= sizes.full || rows.count >= sizes.rows }

    package mutating func append(_ row: OutcomeRow, value: UnsafeRawBufferPointer) {
        rows.append(row)
        if row.kind == .completed { memos.append(contentsOf: value) } else { errors.append(contentsOf: value) }
    }

    /// Takes the rows and begins an empty block of the same parent.
    mutating func take() -> OutcomeBlock {
        var taken = OutcomeBlock(parent: parent, root: root)
        swap(&taken, &self)
        return taken
    }

    /// Adds the rows of `other` behind these. Each time that no more belong into this block, `empty` gets it and must
    /// leave it without rows.
    mutating func fill<Failure: Error>(
        from other: OutcomeBlock, sizes: BlockSizes = BlockSizes(),
        empty: (inout OutcomeBlock) throws(Failure) -> Void
    ) throws(Failure) {
        var index = 0
        var memoOffset = 0
        var errorOffset = 0
        while index < other.rows.count {
            index = fill(from: other, at: index, sizes: sizes, memoOffset: &memoOffset, errorOffset: &errorOffset)
            if index < other.rows.count || isFull(sizes) { try empty(&self) }
        }
    }

    /// Adds rows of `other` from `index` on, until the block is full or `other` ends.
    /// Returns the index of the first row that stayed. `memoOffset` and `errorOffset` follow the values.
    private mutating func fill(
        from other: OutcomeBlock, at index: Int, sizes: BlockSizes, memoOffset: inout Int, errorOffset: inout Int
    ) -> Int {
        var end = index
        var memoBytes = 0
        var errorBytes = 0
        var attachmentBytes = 0
        let isPlain = other.attachments.isEmpty
        while end < other.rows.count {
            let row = other.rows[end]
            let length = Int(row.valueLength)
            let attached = isPlain ? 0 : other.attachments.range(of: row.sequence).count
            let bytes = valueBytes + memoBytes + errorBytes + attachmentBytes
            // A value that does not fit begins the next block; one larger than a block gets a block of its own.
            if rows.count + end - index >= sizes.rows || (bytes > 0 && bytes + length + attached > sizes.full) {
                break
            }
            if row.kind == .completed { memoBytes += length } else { errorBytes += length }
            attachmentBytes += attached
            end += 1
        }
        rows.append(contentsOf: other.rows[index..<end])
        memos.append(contentsOf: other.memos[memoOffset..<(memoOffset + memoBytes)])
        errors.append(contentsOf: other.errors[errorOffset..<(errorOffset + errorBytes)])
        attachments.append(other.attachments, of: other.rows[index..<end])
        memoOffset += memoBytes
        errorOffset += errorBytes
        return end
    }

    package mutating func removeAll() {
        rows.removeAll(keepingCapacity: true)
        memos.removeAll(keepingCapacity: true)
        errors.removeAll(keepingCapacity: true)
        attachments.removeAll()
    }
}

extension Array {
    /// What it takes in memory, in bytes: one that is not empty has a header of 32 bytes, and the allocator takes up to
    /// 16 for itself.
    var footprint: Int { capacity == 0 ? 0 : capacity * MemoryLayout<Element>.stride + 48 }
}
