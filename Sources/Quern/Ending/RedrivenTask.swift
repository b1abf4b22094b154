// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// An ended task whose failed children another one runs again (T12a), and where its outcome is.
struct RedrivenTask: Sendable, Hashable {
    var task: TaskID
    var parent: TaskID
    /// The commit position of its outcome.
    var sequence: UInt64
}

extension TaskRemains {
    /// Children that ended like this run again when their parent is redriven.
    var rerunKinds: [OutcomeKind] {
        OutcomeKind.allCases.filter { $0.isFailure || (stoppedChildren && $0 == .cancelled) }
    }

    /// The task that it redrove itself.
    var redrives: RedrivenTask? { attributes.isEmpty ? nil : (try? TaskAttributes(decoding: attributes))?.redrives }

    /// The task that the one redrove which left this.
    ///
    /// - Throws: `PermanentError` when that did not end before it, as no scheduler writes: who follows such links must
    ///   come to an end.
    func earlier(than ended: RedrivenTask) throws(PermanentError) -> RedrivenTask? {
        guard let before = redrives else { return nil }
        guard before.sequence < ended.sequence else {
            throw PermanentError(reason: "redriven tree is out of order", detail: "task \(ended.task)")
        }
        return before
    }

    /// What a task redrives that takes the place of the ended one which left this: that one, or what it should have
    /// redriven itself and did not come to; nil when it is to run from the start.
    func next(after ended: RedrivenTask) -> RedrivenTask? { handover == nil ? redrives : ended }

    /// Attributes for a new run, which begins at once: what the old one waited for is over.
    ///
    /// - Parameter kept: how many children that completed it keeps of what it redrives.
    /// - Throws: `PermanentError` when they were written in a form that this version does not know.
    static func renewed(
        _ attributes: [UInt8], redriving ended: RedrivenTask?, keeping kept: UInt64 = 0
    ) throws(PermanentError) -> [UInt8] {
        if attributes.isEmpty, ended == nil { return [] }
        do {
            var renewed = try TaskAttributes(decoding: attributes)
            renewed.start = nil
            renewed.dependencies = []
            renewed.backward = []
            renewed.onDependencyFailure = .fail
            renewed.onDependencyCancel = nil
            renewed.redrives = ended
            renewed.kept = kept
            return try renewed.encoded()
        } catch { throw PermanentError(reason: "options cannot be taken over", detail: "\(error)") }
    }
}

extension SchedulerCore {
    /// The ended task that the tasks of a run redrive.
    func redriven(by run: SpawnRun) -> RedrivenTask? { attributes(of: run)?.redrives }

    /// A parent's children, and before them those of the task that it redrives that do not run again.
    func withEarlier(_ children: ChildSnapshot, of parent: WaitingParent) throws -> ChildSnapshot {
        guard let ended = redriven(by: parent.run) else { return children }
        // Said as to a handler, for whom they are read.
        do { return try withEarlier(children, of: ended, try store.remains(of: ended)) } catch let error as StoreError {
            throw SchedulerError(error)
        }
    }

    private func withEarlier(
        _ children: ChildSnapshot, of ended: RedrivenTask, _ remains: TaskRemains
    ) throws -> ChildSnapshot {
        var earlier = try store.children(of: ended.task)
        if let before = try remains.earlier(than: ended) {
            earlier = try withEarlier(earlier, of: before, try store.remains(of: before))
        }
        guard let all = children.preceded(by: earlier, leavingOut: remains.rerunKinds) else {
            throw PermanentError(reason: "redriven tree is out of order", detail: "task \(ended.task)")
        }
        return all
    }
}

extension MemoStore {
    /// Blocking, O(log blocks).
    ///
    /// - Throws: `StoreError`; `PermanentError` when its tree was dropped.
    func remains(of ended: RedrivenTask) throws -> TaskRemains {
        let bytes = try attachment(of: ended.task, under: ended.parent, endedAt: ended.sequence)
        guard let remains = bytes.flatMap(TaskRemains.init(decoding:)) else {
            throw PermanentError(reason: "redriven tree is gone", detail: "task \(ended.task)")
        }
        return remains
    }

    /// The roots of all trees that a task which redrives `ended` needs.
    func trees(of ended: RedrivenTask) throws -> [TaskID] { try chain(from: ended).map(\.task) }

    /// What a task redrives, what that one redrove, and so on.
    private func chain(from ended: RedrivenTask) throws -> [RedrivenTask] {
        var chain: [RedrivenTask] = []
        var next: RedrivenTask? = ended
        while let current = next {
            chain.append(current)
            next = try remains(of: current).earlier(than: current)
        }
        return chain
    }

    /// How many children that completed a task keeps which redrives `ended`, all that it redrives by that among them.
    ///
    /// - Complexity: O(log blocks) for each. Blocking.
    func completedChildren(keptOf ended: RedrivenTask) throws -> UInt64 {
        try chain(from: ended).reduce(0) { try $0 + children(of: $1.task).counts.completed }
    }
}
