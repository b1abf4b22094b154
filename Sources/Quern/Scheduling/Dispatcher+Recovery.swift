// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension Dispatcher {
    /// Takes over the tasks that a store has when it is opened (T3, T4, T14): pending, delayed, waiting for
    /// children or to be cancelled, each as its durable state says.
    ///
    /// - Parameter wasClean: whether the last process closed the store; if not, one of the tasks may have killed it.
    mutating func recover(_ live: LiveTasks, wasClean: Bool) {
        // First what is to be cancelled, so that everything else finds its place.
        for status in live.parents where status.cancelRequested { doomed.insert(status.id) }
        for (id, detail) in live.details where detail.cancelRequested { doomed.insert(id) }
        recoverParents(live)
        for entry in live.runs { recover(entry, details: live.details) }
        for status in live.parents { touched(status) }
        if !wasClean { carefulPulls = 4 * limits.concurrency }
    }

    /// Ids grow from parent to child and the runs come in id order, so that a parent is known before its children.
    private mutating func recoverParents(_ live: LiveTasks) {
        for entry in live.runs {
            for index in BitIndexes(entry.live) {
                let id = entry.run.id(at: index)
                guard let detail = live.details[id], detail.phase != TaskPhase.executing else { continue }
                var parent = WaitingParent(run: entry.run, index: index)
                parent.attempts = detail.attempts
                parent.crashes = detail.crashes
                if cancelsChildren(of: entry.run.parent) { doomed.insert(id) }
                if detail.notBefore > now, !doomed.contains(id) {
                    // Only `finalize` is tried in this phase, so that its children have ended.
                    parent.state = .decided
                    delay(.finalize(id), until: detail.notBefore)
                }
                waiting[id] = parent
            }
        }
    }

    private mutating func recover(_ entry: LiveTasks.Run, details: [TaskID: LiveTasks.Detail]) {
        var plain = ReadyRun(run: entry.run, bits: entry.live)
        if !details.isEmpty {
            for index in BitIndexes(entry.live) {
                guard let detail = details[entry.run.id(at: index)] else { continue }
                var single = plain.take(1 << UInt64(index))
                guard detail.phase == TaskPhase.executing else { continue }
                single.attempts = detail.attempts
                single.crashes = detail.crashes
                if detail.notBefore > now, !isDoomed(entry.run.id(at: index), parent: entry.run.parent) {
                    delay(.tasks(single), until: detail.notBefore)
                } else {
                    admit(single)
                }
            }
        }
        if plain.bits != 0 { admit(plain) }
    }
}
