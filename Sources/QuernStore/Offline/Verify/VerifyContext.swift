// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What the threads of a verification share: the store as it was read, and what they find.
final class VerifyContext: Sendable {
    /// What is known of all rows together.
    private struct Rows: Sendable {
        var sequences = NumberSet()
        var ids = NumberSet()
        var count: UInt64 = 0
        var blocks = 0
        /// Of live parents: the first failure among the rows.
        var firstFailures: [TaskID: (sequence: UInt64, task: UInt64)] = [:]
    }

    let store: OfflineStore
    private let rows = Mutex(Rows())
    private let list = Mutex(FindingList())
    private let bytesDone = Atomic<Int>(0)

    init(_ store: OfflineStore) {
        self.store = store
        for finding in store.findings { report(finding) }
    }

    var seed: UInt32 { store.identity.seed }

    // MARK: Findings

    func report(_ finding: StoreFinding) { list.withLock { $0.append(finding) } }

    func damage(_ file: String, at offset: Int? = nil, _ what: String, _ consequence: String) {
        report(StoreFinding(.damage, file, at: offset, what, consequence))
    }

    func note(_ file: String, at offset: Int? = nil, _ what: String, _ consequence: String) {
        report(StoreFinding(.note, file, at: offset, what, consequence))
    }

    var findings: [StoreFinding] { list.withLock { $0.sorted() } }

    // MARK: Progress

    func advance(_ bytes: Int) { bytesDone.add(bytes, ordering: .relaxed) }

    var done: Int { bytesDone.load(ordering: .relaxed) }

    // MARK: Rows

    var totals: (rows: UInt64, blocks: Int) { rows.withLock { ($0.count, $0.blocks) } }

    /// Compares a block with what is known of its parent, and its rows with all others.
    ///
    /// - Throws: what does not fit.
    func add(_ block: borrowing BlockCheck) throws(DecodingFailure) {
        try check(root: block.root, of: block.parent)
        guard block.sequences.last < store.state.nextSequence else {
            throw DecodingFailure("sequence \(block.sequences.last), behind all that were given out")
        }
        guard block.ids.highest < store.state.nextID else {
            throw DecodingFailure("task \(block.ids.highest), behind all ids that were given out")
        }
        guard store.state.labels.defines(block.lowestLabel), store.state.labels.defines(block.highestLabel) else {
            throw DecodingFailure("a label that no name has")
        }
        let isParentLive = store.state.parents.contains(block.parent)
        let (ids, sequences) = (block.ids, block.sequences)
        let (parent, count, failure) = (block.parent, block.rows, block.firstFailure)
        let isNew = rows.withLock { rows -> (sequences: Bool, ids: Bool) in
            rows.count += UInt64(count)
            rows.blocks += 1
            if isParentLive, let failure, rows.firstFailures[parent]?.sequence ?? .max > sequences[failure] {
                rows.firstFailures[parent] = (sequences[failure], ids[failure])
            }
            return (sequences.insert(into: &rows.sequences), ids.insert(into: &rows.ids))
        }
        guard isNew.sequences else { throw DecodingFailure("a sequence that another outcome has") }
        guard isNew.ids else { throw DecodingFailure("a second outcome of a task") }
    }

    /// Checks the root of a parent's tree, as a block or an entry tells it.
    func check(root: TaskID, of parent: TaskID) throws(DecodingFailure) {
        if parent == .none {
            guard root == .none else { throw DecodingFailure("root tasks below \(root)") }
            return
        }
        guard root != .none, root <= parent else { throw DecodingFailure("root \(root) of the tree of \(parent)") }
        if let known = store.state.parents.root(of: parent), known != root {
            throw DecodingFailure("root \(root) of the tree of \(parent), which is \(known)")
        }
    }

    /// What was added of a live parent's failures.
    func firstFailure(of parent: TaskID) -> TaskID {
        rows.withLock { $0.firstFailures[parent].map { TaskID($0.task) } ?? .none }
    }

    /// Whether a row was added with this sequence.
    func hasRow(at sequence: UInt64) -> Bool { rows.withLock { $0.sequences.contains(sequence) } }

    /// A live task of a run that has an outcome, too.
    func endedTask(in run: LiveTasks.Run) -> TaskID? {
        rows.withLock { rows in
            var bits = run.live
            while bits != 0 {
                let task = run.run.id(at: bits.trailingZeroBitCount)
                if rows.ids.contains(task.rawValue) { return task }
                bits &= bits - 1
            }
            return nil
        }
    }
}
