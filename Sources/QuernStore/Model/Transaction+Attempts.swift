// SPDX-License-Identifier: Apache-2.0

extension Transaction {
    /// What is known of the attempts in a transaction that found no space.
    struct KeptBack: Sendable {
        /// The phase in which each of the tasks was tried.
        var phases: [TaskID: UInt8]
        /// What tasks keep in it goes with their attempts: why they failed.
        var errorSlot: UInt8
    }

    /// The tasks of which it notes an attempt, and the last number of each.
    var notedAttempts: [TaskID: UInt32] {
        var attempts: [TaskID: UInt32] = [:]
        for case .attempt(let task, let number, _, _) in notes { attempts[task] = number }
        return attempts
    }

    /// Whether it was kept back with attempts in it.
    package var wasKeptBack: Bool { keptBack != nil }

    /// Notes that it waits for space, and is to be committed once more. Meanwhile its tasks may be tried again, and
    /// what those later attempts leave may find space first: the attempts in it of tasks that have ended, gone on or
    /// been tried again when its turn comes are left out then.
    ///
    /// To be called before anything behind it is committed.
    ///
    /// - Parameter errorSlot: what the tasks keep in it belongs to their attempts.
    package mutating func keepBack(errorSlot: UInt8, in store: MemoStore) {
        guard keptBack == nil else { return }
        let phases = notedAttempts.keys.map { ($0, store.detail(of: $0)?.phase ?? 0) }
        if phases.isEmpty { return }
        keptBack = KeptBack(phases: Dictionary(uniqueKeysWithValues: phases), errorSlot: errorSlot)
    }

    /// The same without the attempts of some tasks.
    ///
    /// - Parameters:
    ///   - errorSlot: what those keep in it goes with them.
    ///   - ended: those of them that have ended, and keep nothing any more.
    func leavingOutAttempts(of tasks: Set<TaskID>, errorSlot: UInt8, ended: Set<TaskID>) -> Transaction {
        var rest = self
        rest.notes.removeAll { note in
            switch note {
            case .attempt(let task, _, _, _): tasks.contains(task)
            case .keep(let task, let kept, _): ended.contains(task) || kept == errorSlot && tasks.contains(task)
            default: false
            }
        }
        return rest
    }
}
