// SPDX-License-Identifier: Apache-2.0

/// An ended root task that is no longer shown, with nothing below it, and that no compaction has reclaimed yet.
struct DroppedTree: Sendable, Equatable, BitwiseCopyable {
    static let size = 24

    var root: TaskID
    /// The commit position of the root's outcome.
    var sequence: UInt64
    var kind: OutcomeKind
    /// Whether the root's own row is gone from the blocks of the root tasks. What is below it may still be there.
    var isRowReclaimed = false

    init(root: TaskID, sequence: UInt64, kind: OutcomeKind) {
        self.root = root
        self.sequence = sequence
        self.kind = kind
    }

    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: root.rawValue)
        writer.append(littleEndian: sequence)
        writer.append(kind.rawValue)
        writer.append(isRowReclaimed ? 1 : 0)
        writer.append(zeros: 6)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        root = TaskID(try reader.littleEndian())
        sequence = try reader.littleEndian()
        let kind = OutcomeKind(rawValue: try reader.byte())
        let reclaimed = try reader.byte()
        guard let kind, reclaimed <= 1, try reader.take(6).allSatisfy({ $0 == 0 }), root != .none,
            root.rawValue <= Limits.number, sequence > 0, sequence <= Limits.number
        else { throw DecodingFailure("dropped tree") }
        self.kind = kind
        isRowReclaimed = reclaimed == 1
    }
}

/// What was so when trees to drop were looked up.
struct DropLookUp: Sendable, Equatable {
    /// How often trees had been forgotten.
    var generation: UInt64
    /// How many pins there had been; nil when they hold nobody back.
    var pins: Pins.Made?

    init(_ state: StoreState, heedsPins: Bool) {
        generation = state.dropped.generation
        pins = heedsPins ? state.pins.made : nil
    }
}

/// The trees that were dropped and wait for a compaction to reclaim their blocks.
///
/// Dropping is one entry here, however large the tree is: every block says which root it is below, so that nothing has
/// to be marked. Snapshots hide what is in here, and compactions leave it out.
struct DroppedTrees: Sendable {
    /// In the order of their sequences.
    private(set) var trees: [DroppedTree] = []
    private var roots: Set<TaskID> = []
    /// How often trees were forgotten. Who found a root's row before that cannot tell a tree that is there from one
    /// that was dropped and reclaimed since.
    private(set) var generation: UInt64 = 0

    var isEmpty: Bool { trees.isEmpty }
    var count: Int { trees.count }

    func contains(_ root: TaskID) -> Bool { roots.contains(root) }

    /// Those whose row is still in a block of the root tasks.
    var hiddenRows: [DroppedTree] { trees.filter { !$0.isRowReclaimed } }

    /// Returns false when the tree was there already. O(log trees) to find its place.
    mutating func insert(_ tree: DroppedTree) -> Bool {
        guard roots.insert(tree.root).inserted else { return false }
        trees.insert(tree, at: trees.lowerBound(of: tree.sequence))
        return true
    }

    /// Notes what a compaction reclaimed. `gone` is in no block any more and forgotten.
    mutating func settle(rows reclaimed: Set<TaskID>, gone: Set<TaskID>) {
        if !gone.isEmpty { generation += 1 }
        roots.subtract(gone)
        trees.removeAll { gone.contains($0.root) }
        for index in trees.indices where reclaimed.contains(trees[index].root) { trees[index].isRowReclaimed = true }
    }
}

extension [DroppedTree] {
    /// The index of the first tree at or behind a commit position.
    func lowerBound(of sequence: UInt64) -> Int { partition { $0.sequence >= sequence } }

    /// Whether one of them ended at this commit position.
    func contains(sequence: UInt64) -> Bool {
        let index = lowerBound(of: sequence)
        return index < count && self[index].sequence == sequence
    }
}
