// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The attempts in a transaction that found no space. While it waits, their tasks may be tried again, and what those
/// later attempts leave may find space first (S4): what the earlier one says is out of date then, or even refused.
struct StalledAttempts {
    /// The phase in which each of the tasks was tried.
    private let phases: [TaskID: UInt8]

    /// To be called before anything behind the transaction is committed.
    init(in transaction: Transaction, _ store: MemoStore) {
        var phases: [TaskID: UInt8] = [:]
        for task in transaction.notedAttempts.keys { phases[task] = store.detail(of: task)?.phase ?? 0 }
        self.phases = phases
    }

    /// The transaction without the attempts of tasks that have ended, gone on or been tried again by now; nil when
    /// there are none.
    func overtaken(_ transaction: Transaction, in store: MemoStore) -> Transaction? {
        if phases.isEmpty { return nil }
        let overtaken = transaction.notedAttempts.filter { task, attempts in
            guard store.isLive(task) else { return true }
            let detail = store.detail(of: task) ?? LiveTasks.Detail()
            return detail.phase != phases[task] ?? detail.phase || detail.attempts >= attempts
        }
        if overtaken.isEmpty { return nil }
        let tasks = Set(overtaken.keys)
        return transaction.leavingOutAttempts(
            of: tasks, slot: TaskSlot.lastError, ended: tasks.filter { !store.isLive($0) })
    }
}
