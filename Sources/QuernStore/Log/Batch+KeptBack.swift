// SPDX-License-Identifier: Apache-2.0

/// Transactions that found no space and are tried again (S4): what they say may be out of date by now.
extension Batch {
    /// The transaction without the attempts of tasks that have ended, gone on or been tried again since, also by what
    /// comes before it in the batch. A cold path: O(notes of both).
    func withoutOvertaken(
        _ transaction: borrowing Transaction, _ keptBack: Transaction.KeptBack, _ state: StoreState
    ) -> Transaction {
        var details: [TaskID: LiveTasks.Detail] = [:]
        for task in keptBack.phases.keys { details[task] = state.details[task] ?? LiveTasks.Detail() }
        for note in notes {
            switch note {
            case .advance(let task, let phase, _):
                details[task]?.phase = phase
                details[task]?.attempts = 0
            case .attempt(let task, let attempts, _, _): details[task]?.attempts = attempts
            default: break
            }
        }
        let ended = Set(details.keys.filter { !state.live.isUntouched($0) })
        let overtaken = transaction.notedAttempts.filter { task, attempts in
            guard let detail = details[task], !ended.contains(task) else { return true }
            return detail.phase != keptBack.phases[task] || detail.attempts >= attempts
        }
        var current = transaction.leavingOutAttempts(
            of: Set(overtaken.keys), errorSlot: keptBack.errorSlot, ended: ended)
        current.keptBack = nil
        return current
    }
}
