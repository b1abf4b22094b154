// SPDX-License-Identifier: Apache-2.0

/// Who has which key once the transactions of a batch are applied in their order (T11).
///
/// Nothing here changes the state, so that there is nothing to take back when the write fails.
struct BatchKeys: Sendable {
    /// A task that has an id, or will have one when the batch is encoded.
    enum Holder: Sendable {
        case task(TaskID)
        case spawned(group: Int, index: Int)
        case staged(commit: Int, position: UInt64)
    }

    /// A spawn with a key: one of the transaction's own, or one of a stage that it commits.
    struct Entry: Sendable {
        var key: TaskKey
        var policy: DuplicatePolicy
        var parent: TaskID
        var staged: (commit: Int, position: UInt64)?
    }

    enum Decision: Sendable {
        case insert
        case replace(Holder)
        /// The key is taken.
        case skip(Holder)
        /// A later entry of the transaction has the same key.
        case yield(to: Int)

        var isSpawned: Bool {
            switch self {
            case .insert, .replace: true
            case .skip, .yield: false
            }
        }
    }

    /// What becomes of one call that spawns.
    enum Fate: Sendable {
        case inserted(Holder)
        case duplicate(Holder)
        case replaced(Holder, by: Holder)

        /// What it is for an earlier call of the transaction with the same key.
        var forEarlier: Fate {
            switch self {
            case .inserted(let holder), .duplicate(let holder), .replaced(_, let holder): .duplicate(holder)
            }
        }
    }

    /// What becomes of the keyed spawns of one transaction.
    struct Plan: Sendable {
        /// Those of stages come first.
        var entries: [Entry] = []
        var decisions: [Decision] = []
        /// What is left out of the stages that it commits, by the index of the commit.
        var absent: [Int: AbsentPositions] = [:]
        /// How many children fewer than it says each parent gets.
        var fewer: [TaskID: UInt64] = [:]
    }

    private var holders: [TaskKey: Holder] = [:]
    /// Tasks that lost their keys to others and are to be cancelled, behind so many notes of the batch: of several
    /// cancels the first one counts.
    private(set) var replaced: [(holder: Holder, notes: Int)] = []
    /// Keys that went from one task of the batch to another: ids do not tell which of the two came later.
    private(set) var moved: [(key: TaskKey, holder: Holder)] = []
    private(set) var fates: [Fate] = []

    // MARK: Checking

    /// Decides on all of a transaction, or throws.
    func plan(_ entries: [Entry], _ state: StoreState) throws(StoreError) -> Plan {
        var plan = Plan(entries: entries)
        var last: [TaskKey: Int] = [:]
        for (index, entry) in entries.enumerated() { last[entry.key] = index }
        plan.decisions.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            let decision = try decide(entry, index, last: last[entry.key], state)
            plan.decisions.append(decision)
            if decision.isSpawned { continue }
            plan.fewer[entry.parent, default: 0] += 1
            if let staged = entry.staged { plan.absent[staged.commit, default: .init()].insert(staged.position) }
        }
        for absent in plan.absent.values where absent.encodedSize > Limits.valueBytes {
            throw StoreError(.tooLarge, "too many tasks of a stage have keys that are taken")
        }
        return plan
    }

    private func decide(
        _ entry: Entry, _ index: Int, last: Int?, _ state: StoreState
    ) throws(StoreError) -> Decision {
        if let last, last != index { return .yield(to: last) }
        guard let holder = holder(of: entry.key, state) else { return .insert }
        switch entry.policy {
        case .skip: return .skip(holder)
        case .replace: return .replace(holder)
        case .reject:
            guard case .task(let task) = holder else {
                throw StoreError(.duplicateKey, "a task that is spawned in the same batch has the key")
            }
            throw StoreError(.duplicateKey, "task \(task) has the key", task: task)
        }
    }

    private func holder(of key: TaskKey, _ state: StoreState) -> Holder? {
        if let holder = holders[key] { return holder }
        guard let task = state.keys.task(for: key), state.live.isUntouched(task) else { return nil }
        return .task(task)
    }

    // MARK: Gathering

    /// Gives a key to a task that is spawned, behind so many notes of the batch.
    mutating func give(_ key: TaskKey, to holder: Holder, _ decision: Decision, behind notes: Int) {
        holders[key] = holder
        guard case .replace(let old) = decision else { return }
        replaced.append((old, notes))
        if case .task = old { return }
        moved.append((key, holder))
    }

    mutating func add(_ fate: Fate) { fates.append(fate) }

    /// An earlier call yields to a later one.
    mutating func yield(_ earlier: Int, to later: Int) { fates[earlier] = fates[later].forEarlier }
}
