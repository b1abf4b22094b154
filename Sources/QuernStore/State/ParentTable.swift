// SPDX-License-Identifier: Apache-2.0

/// The live tasks that have or had children or were advanced, and the pseudo-parent of all root tasks.
///
/// A hundred thousand small parents are as common as one that is large: what every parent has takes 40 bytes with its
/// id, and what only some have is kept apart.
struct ParentTable: Sendable {
    private struct Parent: Sendable, BitwiseCopyable, Equatable {
        /// The root task above it, or itself.
        let root: TaskID
        var liveChildren: UInt64 = 0
        var completed: UInt64 = 0
        var phase: UInt8 = 0
        var cancelRequested: Bool
    }

    /// Of a parent with children that did not complete.
    private struct OtherOutcomes: Sendable, BitwiseCopyable, Equatable {
        /// Without those that completed.
        var counts = OutcomeCounts()
        var firstFailure = TaskID.none
    }

    private var parents = TaskMap<Parent>()
    private var others = TaskMap<OtherOutcomes>()

    /// With the pseudo-parent.
    var count: Int { parents.count }

    /// What it takes in memory, in bytes. O(count / 100).
    var footprint: Int { parents.footprint + others.footprint }

    init() { insertIfAbsent(.none, root: .none) }

    func contains(_ task: TaskID) -> Bool { parents.contains(task) }

    func root(of task: TaskID) -> TaskID? { parents[task]?.root }

    func liveChildren(of task: TaskID) -> UInt64 { parents[task]?.liveChildren ?? 0 }

    func status(of task: TaskID) -> ParentStatus? { parents[task].map { status(of: task, $0) } }

    private func status(of task: TaskID, _ parent: Parent) -> ParentStatus {
        let other = others[task] ?? OtherOutcomes()
        var status = ParentStatus(id: task)
        status.phase = parent.phase
        status.cancelRequested = parent.cancelRequested
        status.liveChildren = parent.liveChildren
        status.counts = other.counts
        status.counts.completed = parent.completed
        status.firstFailure = other.firstFailure
        return status
    }

    // MARK: Changes

    mutating func insertIfAbsent(_ task: TaskID, root: @autoclosure () -> TaskID, cancelRequested: Bool = false) {
        parents.modify(task, default: Parent(root: root(), cancelRequested: cancelRequested)) { _ in }
    }

    /// Returns how many live children it had.
    @discardableResult
    mutating func remove(_ task: TaskID) -> UInt64 {
        others.removeValue(forKey: task)
        return parents.removeValue(forKey: task)?.liveChildren ?? 0
    }

    mutating func spawn(_ children: UInt64, under task: TaskID) {
        parents.modify(task) { $0.liveChildren += children }
    }

    mutating func advance(_ task: TaskID, to phase: UInt8) { parents.modify(task) { $0.phase = phase } }

    mutating func requestCancel(_ task: TaskID) { parents.modify(task) { $0.cancelRequested = true } }

    /// Counts children that ended. Returns false when it has not so many that live.
    mutating func end(_ rows: [OutcomeRow], under task: TaskID) -> Bool {
        let ended = UInt64(rows.count)
        let completed = rows.reduce(into: 0 as UInt64) { $0 += $1.kind == .completed ? 1 : 0 }
        let isCounted = parents.modify(task) { parent in
            guard parent.liveChildren >= ended else { return false }
            parent.liveChildren -= ended
            parent.completed += completed
            return true
        }
        guard isCounted == true else { return false }
        if completed < ended {
            others.modify(task, default: OtherOutcomes()) { other in
                for row in rows where row.kind != .completed {
                    other.counts[row.kind] += 1
                    if row.kind.isFailure, other.firstFailure == .none { other.firstFailure = TaskID(row.task) }
                }
            }
        }
        return true
    }

    /// Takes a root task that was dropped out of the counts. Returns false when none ended like this.
    mutating func dropRoot(_ kind: OutcomeKind) -> Bool {
        if kind == .completed { return parents.modify(.none) { $0.completed.decrement() } ?? false }
        return others.modify(.none) { $0.counts[kind].decrement() } ?? false
    }

    // MARK: All of them

    /// Without the pseudo-parent, in the order of their ids.
    var statuses: [ParentStatus] {
        var statuses: [ParentStatus] = []
        statuses.reserveCapacity(count - 1)
        for (task, parent) in parents where task != .none { statuses.append(status(of: task, parent)) }
        return statuses
    }

    /// All that is known of one parent, as a checkpoint keeps it.
    struct Record {
        var status: ParentStatus
        var root: TaskID
    }

    /// Of all parents, in the order of their ids.
    var records: some Sequence<Record> {
        parents.lazy.map { task, parent in
            Record(status: status(of: task, parent), root: parent.root)
        }
    }

    /// Whether both tell the same of the same parents. O(count).
    func holds(sameAs other: Self) -> Bool {
        parents.holds(sameAs: other.parents) { $0 == $1 } && others.holds(sameAs: other.others) { $0 == $1 }
    }

    mutating func restore(_ record: Record) {
        let status = record.status
        parents[status.id] = Parent(
            root: record.root, liveChildren: status.liveChildren, completed: status.counts.completed,
            phase: status.phase, cancelRequested: status.cancelRequested)
        var other = OtherOutcomes(counts: status.counts, firstFailure: status.firstFailure)
        other.counts.completed = 0
        others[status.id] = other.counts.total > 0 || other.firstFailure != .none ? other : nil
    }
}

extension UInt64 {
    /// Returns false, and does nothing, at zero.
    fileprivate mutating func decrement() -> Bool {
        guard self > 0 else { return false }
        self -= 1
        return true
    }
}
