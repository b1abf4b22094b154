// SPDX-License-Identifier: Apache-2.0

extension Transaction {
    /// The tasks of which it notes an attempt, and the last number of each.
    package var notedAttempts: [TaskID: UInt32] {
        var attempts: [TaskID: UInt32] = [:]
        for case .attempt(let task, let number, _, _) in notes { attempts[task] = number }
        return attempts
    }

    /// The same without the attempts of some tasks.
    ///
    /// - Parameters:
    ///   - slot: what those keep in it goes with them.
    ///   - ended: those of them that have ended, and keep nothing any more.
    package func leavingOutAttempts(of tasks: Set<TaskID>, slot: UInt8, ended: Set<TaskID>) -> Transaction {
        var rest = self
        rest.notes.removeAll { note in
            switch note {
            case .attempt(let task, _, _, _): tasks.contains(task)
            case .keep(let task, let kept, _): ended.contains(task) || kept == slot && tasks.contains(task)
            default: false
            }
        }
        return rest
    }
}
