// SPDX-License-Identifier: Apache-2.0
import HeapModule

/// All ended children of a store by parent and in sequence, from wherever they are, each once: a merge of sorted lists
/// of blocks, which holds those blocks alone that overlap.
struct OfflineRows {
    enum Item {
        /// The next children are in the block that was given.
        case rows
        /// A block cannot be read.
        case lost(RowSource, OfflineFailure)
    }

    /// A block that is read, and how far.
    private struct Active {
        let source: RowSource
        var block: ChildBlock
        var next = 0

        var sequence: UInt64 { block.rows[next].outcome.sequence }
    }

    /// A list by its next block; of equal ones the earlier list comes first.
    private struct Head: Comparable {
        let parent: UInt64
        let sequence: UInt64
        let walk: Int

        static func < (left: Head, right: Head) -> Bool {
            (left.parent, left.sequence, left.walk) < (right.parent, right.sequence, right.walk)
        }
    }

    private static let rowsAtOnce = 4096
    private static let bytesAtOnce = 64 << 10

    private let store: OfflineStore
    private let hidden: [DroppedTree]
    private let hasLog: Bool
    /// Parents in trees that were dropped, of which the log does not say so.
    private var droppedParents: Set<UInt64> = []
    /// Which children of the log count that no block has.
    private let holes: RowHoles
    private var walks: [RowSourceWalk] = []
    /// All lists that have more.
    private var heads = Heap<Head>()
    private var isBegun = false
    private var active: [Active] = []
    private var spare: [ChildBlock] = []
    private var parent = TaskID.none
    private var root = TaskID.none
    private var lastSequence: UInt64 = 0
    private var bodies: OfflineBodies
    private var scratch = OfflineScratch()
    /// Children that came from the log before the checkpoint.
    private(set) var fromLog: UInt64 = 0
    /// Of these, those that nothing else has.
    private(set) var recovered: UInt64 = 0

    /// - Parameters:
    ///   - log: blocks of the log before the checkpoint.
    ///   - holes: where children of these count. Beside them they count in the place of the same ones.
    init(_ store: OfflineStore, log: [RowSource] = [], holes: RowHoles = RowHoles()) {
        self.store = store
        self.holes = holes
        hidden = store.state.dropped.hiddenRows
        bodies = OfflineBodies(store.raw)
        walks = store.segments.map { RowSourceWalk($0) }
        let memory =
            store.state.openBlocks.values.map { OfflineBlock(BlockExtent($0)) }
            + store.state.endedBlocks.map { OfflineBlock(BlockExtent($0)) } + store.tail.values.flatMap(\.self)
        walks.append(RowSourceWalk(memory.map(RowSource.init(_:)).sorted(by: <)))
        hasLog = !log.isEmpty
        // The last, so that the others are known to have a parent when its turn comes.
        walks.append(RowSourceWalk(log.sorted(by: <)))
    }

    /// Fills `rows` with the next children of one parent; nil at the end.
    ///
    /// - Throws: when a directory cannot be read any more.
    mutating func next(into rows: inout OutcomeBlock) throws(OfflineFailure) -> Item? {
        rows = OutcomeBlock(parent: .none)
        while true {
            if let lost = try openOverlapping() { return lost }
            guard !active.isEmpty else { return nil }
            if active.count == 1, !active[0].source.isLog {
                takeStretch(into: &rows, until: nextSequence)
            } else {
                takeMerged(into: &rows, until: nextSequence)
            }
            if !rows.rows.isEmpty { return .rows }
        }
    }

    // MARK: Blocks

    /// The next block of all lists. O(log lists).
    private mutating func first() throws(OfflineFailure) -> RowSource? {
        if !isBegun {
            isBegun = true
            for index in walks.indices { try enqueue(index) }
        }
        while let head = heads.min, let source = walks[head.walk].known {
            // When the turn of a block of the log comes, all others are at its parent or behind it, and told of it.
            guard source.isLog, isDropped(source) else { return source }
            try advance()
        }
        return nil
    }

    private mutating func enqueue(_ index: Int) throws(OfflineFailure) {
        while let source = try walks[index].next, !source.isLog, isDropped(source) { try walks[index].advance() }
        guard let entry = walks[index].known?.entry else { return }
        heads.insert(Head(parent: entry.parent, sequence: entry.firstSequence, walk: index))
    }

    /// Goes on behind the block that ``first()`` gave.
    private mutating func advance() throws(OfflineFailure) {
        let index = heads.removeMin().walk
        try walks[index].advance()
        try enqueue(index)
    }

    private mutating func isDropped(_ source: RowSource) -> Bool {
        if source.isLog { return droppedParents.contains(source.entry.parent) }
        guard store.state.dropped.contains(TaskID(source.entry.root)) else { return false }
        if hasLog { droppedParents.insert(source.entry.parent) }
        return true
    }

    /// Where the next block of the same parent begins.
    private var nextSequence: UInt64 {
        guard let head = heads.min, head.parent == parent.rawValue else { return .max }
        return head.sequence
    }

    /// Reads all blocks that begin before the next child.
    private mutating func openOverlapping() throws(OfflineFailure) -> Item? {
        while let source = try first() {
            if active.isEmpty {
                if source.entry.parent != parent.rawValue || lastSequence == 0 { begin(source) }
            } else {
                let sequence = active.reduce(UInt64.max) { min($0, $1.sequence) }
                guard source.entry.parent == parent.rawValue, source.entry.firstSequence <= sequence else { break }
            }
            try advance()
            var block = spare.popLast() ?? ChildBlock()
            do throws(OfflineFailure) { try read(source, into: &block) } catch {
                return .lost(source, error)
            }
            if block.count > 0 { active.append(Active(source: source, block: block)) }
        }
        return nil
    }

    private mutating func begin(_ source: RowSource) {
        parent = TaskID(source.entry.parent)
        lastSequence = 0
        if parent == .none {
            root = .none
            return
        }
        // The log does not say. Of a parent of which nothing else is known no more can be said.
        root = store.state.parents.root(of: parent) ?? rootInIndex(of: source.entry) ?? parent
    }

    private func rootInIndex(of entry: DirectoryEntry) -> TaskID? {
        if entry.root != 0 { return TaskID(entry.root) }
        let others = walks.lazy.compactMap(\.known).filter { $0.entry.parent == entry.parent }
        return others.first { $0.entry.root != 0 }.map { TaskID($0.entry.root) }
    }

    private mutating func read(_ source: RowSource, into block: inout ChildBlock) throws(OfflineFailure) {
        switch source.place {
        case .block(let found):
            try found.read(
                of: TaskID(source.entry.parent), seed: store.identity.seed, columns: .stored, scratch: &scratch,
                into: &block)
        case .log(let place):
            let body = try bodies.body(segment: place.segment, offset: place.frameOffset)
            do throws(DecodingFailure) {
                try body.withUnsafeBytesThrowing { (body) throws(DecodingFailure) in
                    let (kind, fields) = try LogRecord.record(in: body, at: Int(place.recordOffset))
                    guard kind == .outcomes else { throw DecodingFailure("a record of another kind") }
                    try OutcomeBlockReader.decode(
                        fields, columns: .stored, scratch: &scratch.block.section, into: &block)
                }
            } catch { throw .decoding(error.reason) }
            (block.hasFacts, block.hasAttachments) = (true, true)
        }
        do throws(DecodingFailure) { try block.checkNumbers() } catch { throw .decoding(error.reason) }
    }

    // MARK: Rows

    /// Takes what one block has before `end`.
    private mutating func takeStretch(into rows: inout OutcomeBlock, until end: UInt64) {
        var current = active[0]
        let start = current.next
        var index = start
        while index < current.block.count, current.block.rows[index].outcome.sequence < end { index += 1 }
        let isClean = hidden.isEmpty || parent != .none
        if start == 0, index == current.block.count, isClean, current.sequence > lastSequence {
            rows = current.block.outcomeBlock()
            rows.root = root
            lastSequence = current.block.rows[index - 1].outcome.sequence
        } else {
            rows = OutcomeBlock(parent: parent, root: root)
            for place in start..<index { take(current.block, place, into: &rows) }
        }
        current.next = index
        active[0] = current
        if index == current.block.count { spare.append(active.removeFirst().block) }
    }

    /// Takes what several blocks have before `end`, child by child.
    private mutating func takeMerged(into rows: inout OutcomeBlock, until end: UInt64) {
        rows = OutcomeBlock(parent: parent, root: root)
        while !active.isEmpty, rows.rows.count < Self.rowsAtOnce, rows.valueBytes < Self.bytesAtOnce {
            let sequence = active.reduce(UInt64.max) { min($0, $1.sequence) }
            guard sequence < end else { return }
            var chosen: Int?
            var isIndexed = false
            for index in active.indices where active[index].sequence == sequence {
                let isLog = active[index].source.isLog
                if !isLog { isIndexed = true }
                // The log is what an index is made of.
                if chosen == nil || isLog { chosen = index }
            }
            if let chosen, isIndexed || holes.contains(sequence, of: parent) {
                if active[chosen].source.isLog, sequence > lastSequence {
                    fromLog += 1
                    if !isIndexed { recovered += 1 }
                }
                take(active[chosen].block, active[chosen].next, into: &rows)
            }
            for index in active.indices.reversed() where active[index].sequence == sequence {
                active[index].next += 1
                if active[index].next == active[index].block.count { spare.append(active.remove(at: index).block) }
            }
        }
    }

    private mutating func take(_ block: ChildBlock, _ index: Int, into rows: inout OutcomeBlock) {
        let row = block.rows[index].outcome
        guard row.sequence > lastSequence, parent != .none || !hidden.contains(sequence: row.sequence) else { return }
        lastSequence = row.sequence
        block.withValue(at: index) { value in value.withUnsafeBytes { rows.append(row, value: $0) } }
        block.withAttachment(at: index) { bytes in
            bytes.withUnsafeBytes { rows.attachments.append($0, of: row.sequence) }
        }
    }
}

extension ChildBlock {
    /// Checks that all ids and commit positions, which must have been read, are such as a store gives out: right
    /// checksums do not say so, and a repair that counts on from them must come to numbers that a writer takes.
    func checkNumbers() throws(DecodingFailure) {
        let numbers = Limits.writable
        guard rows.allSatisfy({ numbers.contains($0.outcome.task) && numbers.contains($0.outcome.sequence) }) else {
            throw DecodingFailure("a number that nobody has")
        }
    }
}
