// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// What follows from what the model does.
extension LifeReference {
    mutating func submitted(_ id: TaskID, _ number: Int) {
        name(id, number)
        tasks[id]?.parent = .none
        tasks[id]?.kind = scripts[number]?.kind
        tasks[id]?.isSeen = true
        knownRoots.insert(id)
        if tasks[id]?.outcome == nil { live.insert(id) }
    }

    /// Cancels are durable: all that is below the tasks ends with them.
    mutating func cancelled(_ ids: [TaskID]) {
        let named = Set(ids)
        for id in live where !named.isDisjoint(with: lineage(id)) { tasks[id]?.mustCancel = true }
    }

    /// Whether an ended root task left what it takes.
    func canRunAgain(_ id: TaskID, redrives: Bool) -> Bool {
        guard let record = tasks[id], let outcome = record.outcome, !record.wasRunAgain, !record.isDropped else {
            return false
        }
        if !redrives { return outcome.kind.isFailure && (!mayHaveLost || !outcome.attachment.isEmpty) }
        guard record.kind != .leaf, !outcome.attachment.isEmpty else { return false }
        let hasExecuted = record.isAdvanced && outcome.kind != .cancelled && outcome.kind != .expired
        if hasExecuted, record.redrives == nil { return true }
        return record.redrives != nil && !redriven(by: id).contains { tasks[$0]?.isDropped == true }
    }

    /// Retention has dropped the oldest of the ended trees, but those that live ones need.
    mutating func dropped(allBut left: Set<TaskID>, most: Int) {
        mayHaveDropped = false
        var needed: Set<TaskID> = []
        for id in live {
            needed.formUnion(redriven(by: id))
            for dependency in tasks[id]?.dependencies ?? [] { needed.formUnion(lineage(dependency).suffix(1)) }
        }
        let kept = roots.map(\.id).filter { tasks[$0]?.isDropped != true }
        let gone = kept.filter { !left.contains($0) }
        for id in gone where needed.contains(id) {
            report("\(describe(id)) was dropped, and is redriven or waited for")
        }
        if left.subtracting(needed).count > most { report("\(left.count) trees are left, not \(most)") }
        let above = Set(gone)
        for id in tasks.keys where !above.isDisjoint(with: lineage(id)) { tasks[id]?.isDropped = true }
    }
}
