// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// A task that has children although its `execute` has not committed: they were spawned ahead.
///
/// Wherever it is, it cannot get an outcome before its children have theirs. When its `execute` returns or fails for
/// good it becomes a ``WaitingParent``; when it is cancelled first it waits here.
struct EarlyParent: Sendable, Equatable {
    let label: Label
    /// Its own parent.
    let parent: TaskID
    /// Children without an outcome, as the last batch left them.
    var liveChildren: UInt64 = 0
    /// Transactions with children that are on their way to the store.
    var arriving = 0
    /// The task itself, when it is to be cancelled and nothing else has it any more.
    var cancelled: ReadyRun?

    var hasChildren: Bool { liveChildren > 0 || arriving > 0 }
}

extension Dispatcher {
    func isParent(_ id: TaskID) -> Bool { waiting[id] != nil || early[id] != nil }

    /// All live parents that are known, with their own parents, in the order of their ids.
    var parents: [(id: TaskID, parent: TaskID)] {
        var parents = waiting.map { (id: $0.key, parent: $0.value.run.parent) }
        parents += early.map { (id: $0.key, parent: $0.value.parent) }
        return parents.sorted { $0.id < $1.id }
    }

    // MARK: While `execute` runs

    /// A running task sends children to the store ahead of its own commit. Must be told before the store knows.
    mutating func childrenLeave(for id: TaskID, _ label: Label, under parent: TaskID) {
        early[id, default: EarlyParent(label: label, parent: parent)].arriving += 1
        if cancelsChildren(of: parent) { doomed.insert(id) }
    }

    /// They are there, or will never be.
    mutating func childrenArrived(at id: TaskID) {
        guard early[id] != nil else { return }
        early[id]?.arriving -= 1
        endEarly(id)
    }

    /// A batch changed this parent, whose `execute` has not committed.
    mutating func touchedEarly(_ status: ParentStatus) {
        guard var parent = early[status.id] else { return }
        parent.liveChildren = status.liveChildren
        early[status.id] = parent
        let isCancelled = isDoomed(status.id, parent: parent.parent) || status.cancelRequested
        let policy = facts(of: parent.label)?.policy ?? .tolerate
        if ParentResolution.decide(status, policy: policy, isCancelled: isCancelled) == .cancelChildren {
            cancelChildren(of: status.id, isCancelled: isCancelled)
        }
        endEarly(status.id)
    }

    // MARK: Cancel

    /// Takes out the tasks that have children: they are cancelled when those have ended.
    mutating func holdBackParents(_ entry: inout ReadyRun) {
        for index in BitIndexes(entry.bits) {
            let id = entry.run.id(at: index)
            guard early[id]?.hasChildren == true else { continue }
            early[id]?.cancelled = entry.take(1 << UInt64(index))
        }
    }

    private mutating func endEarly(_ id: TaskID) {
        guard let parent = early[id], !parent.hasChildren, let entry = parent.cancelled else { return }
        early[id] = nil
        enqueueCancel(entry)
    }

    // MARK: Recovery

    /// Finds the tasks of a run that have children although their `execute` has not committed, and takes them out.
    mutating func recoverEarly(
        _ entry: inout ReadyRun, _ attributes: TaskAttributes?, _ executing: ExecutingParents,
        details: [TaskID: LiveTasks.Detail]
    ) {
        let bits = executing.bits(of: entry.run) & entry.bits
        if bits == 0 { return }
        for index in BitIndexes(bits) {
            let id = entry.run.id(at: index)
            let live = executing.liveChildren[id] ?? 0
            early[id] = EarlyParent(label: entry.run.label, parent: entry.run.parent, liveChildren: live)
            if cancelsChildren(of: entry.run.parent) { doomed.insert(id) }
        }
        // A handler that has no `finalize` any more would end them beside their children.
        let isHeld = facts(of: entry.run.label)?.isOrchestrator == false
        recover(entry.take(bits), isHeld ? nil : attributes, hasBegun: true, details: details)
    }
}

/// The parents whose `execute` has not committed, in what a store has when it is opened.
struct ExecutingParents {
    let liveChildren: [TaskID: UInt64]
    private let mask: SweepMask

    init(_ parents: [ParentStatus]) {
        var live: [TaskID: UInt64] = [:]
        for status in parents where status.phase == TaskPhase.executing { live[status.id] = status.liveChildren }
        liveChildren = live
        mask = SweepMask(live.keys)
    }

    func bits(of run: SpawnRun) -> UInt64 { liveChildren.isEmpty ? 0 : mask.ownBits(of: run) }
}
