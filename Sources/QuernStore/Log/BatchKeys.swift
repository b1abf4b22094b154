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

        init(_ staged: (commit: Int, position: UInt64)) {
            self = .staged(commit: staged.commit, position: staged.position)
        }
    }

    /// A spawn with a key: one of the transaction's own, or one of a stage that it commits.
    struct Entry: Sendable {
        var key: TaskKey
        var policy: DuplicatePolicy
        var priority: UInt8
        var parent: TaskID
        var staged: (commit: Int, position: UInt64)?
    }

    enum Decision: Sendable {
        case insert
        case replace(Holder)
        /// The key is taken.
        case skip(Holder)
        /// The key is taken, by a task that is to go sooner from now on.
        case upgrade(Holder)
        /// A later entry of the transaction has the same key.
        case yield(to: Int)

        var isSpawned: Bool {
            switch self {
            case .insert, .replace: true
            case .skip, .upgrade, .yield: false
            }
        }

        /// - Parameter holder: the task, when it is spawned.
        /// - Returns: nil when it is as with a later entry.
        func fate(of holder: Holder) -> Fate? {
            switch self {
            case .insert: .inserted(holder)
            case .replace(let old): .replaced(old, by: holder)
            case .skip(let other): .duplicate(other)
            case .upgrade(let other): .upgraded(other)
            case .yield: nil
            }
        }
    }

    /// What becomes of one call that spawns.
    enum Fate: Sendable {
        case inserted(Holder)
        case duplicate(Holder)
        case upgraded(Holder)
        case replaced(Holder, by: Holder)

        /// What it is for an earlier call of the transaction with the same key.
        var forEarlier: Fate {
            switch self {
            case .inserted(let holder), .duplicate(let holder), .upgraded(let holder), .replaced(_, let holder):
                .duplicate(holder)
            }
        }
    }

    /// What becomes of a task because another one was spawned with its key.
    enum Effect: Sendable {
        case supersede
        case prioritize(UInt8)
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
        /// Of all spawns, those too that have no keys.
        var counts = SpawnCounts()

        mutating func count(_ decision: Decision) {
            switch decision {
            case .insert: counts.inserted += 1
            case .replace: counts.replaced += 1
            case .skip, .yield: counts.duplicates += 1
            case .upgrade: counts.upgraded += 1
            }
        }
    }

    /// Who got a key in this batch, with the priority that it has.
    private(set) var holders: [TaskKey: (holder: Holder, priority: UInt8)] = [:]
    /// The priorities that live tasks got in this batch, last.
    private var priorities: [TaskID: UInt8] = [:]
    /// What becomes of tasks, behind so many notes of the batch: of several cancels the first one counts, of several
    /// priorities the last one.
    private(set) var effects: [(holder: Holder, effect: Effect, notes: Int)] = []
    /// Keys that went from one task of the batch to another: ids do not tell which of the two came later.
    private(set) var moved: [(key: TaskKey, holder: Holder)] = []
    private(set) var fates: [Fate] = []
    /// The same of the tasks of stages, by what they would have been; not of those that are new and nothing else.
    private(set) var stagedFates: [(holder: Holder, fate: Fate)] = []

    // MARK: Checking

    /// Decides on all of a transaction that is contested, or throws.
    ///
    /// - Parameter commits: stages that the batch commits before it.
    func plan(
        _ entries: [Entry], _ state: StoreState, behind commits: ArraySlice<BatchStages.Commit>
    ) throws(StoreError) -> Plan {
        var plan = Plan(entries: entries)
        if entries.isEmpty { return plan }
        var last = Dictionary<TaskKey, Int>(minimumCapacity: entries.count)
        for (index, entry) in entries.enumerated() { last[entry.key] = index }
        plan.decisions.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            let decision = try decide(entry, index, last: last[entry.key], state, commits)
            plan.decisions.append(decision)
            plan.count(decision)
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
        _ entry: Entry, _ index: Int, last: Int?, _ state: StoreState, _ commits: ArraySlice<BatchStages.Commit>
    ) throws(StoreError) -> Decision {
        if let last, last != index { return .yield(to: last) }
        guard let (holder, priority) = holder(of: entry.key, state, commits) else { return .insert }
        switch entry.policy {
        case .skip: return entry.priority < priority ? .upgrade(holder) : .skip(holder)
        case .ignore: return .skip(holder)
        case .replace: return .replace(holder)
        case .reject:
            guard case .task(let task) = holder else {
                throw StoreError(.duplicateKey, "a task that is spawned in the same batch has the key")
            }
            throw StoreError(.duplicateKey, "task \(task) has the key", task: task)
        }
    }

    private func holder(
        of key: TaskKey, _ state: StoreState, _ commits: ArraySlice<BatchStages.Commit>
    ) -> (Holder, priority: UInt8)? {
        if let known = holders[key] { return known }
        for index in commits.indices {
            // It got the key uncontested, or is not there.
            guard let staged = state.stages[commits[index].number], let position = staged.keys.position(of: key),
                !commits[index].absent.contains(position), let run = staged.run(with: position)
            else { continue }
            return (.staged(commit: index, position: position), run.priority)
        }
        guard let task = state.keys.task(for: key), state.live.isUntouched(task), let run = state.live.run(of: task)
        else { return nil }
        return (.task(task), priorities[task] ?? state.details[task]?.priority ?? run.run.priority)
    }

    // MARK: Gathering

    /// Carries out what was decided on an entry, behind so many notes of the batch.
    ///
    /// - Parameter holder: the task, when it is spawned.
    mutating func carryOut(_ decision: Decision, on entry: Entry, as holder: Holder, behind notes: Int) {
        switch decision {
        case .skip, .yield: return
        case .insert: break
        case .upgrade(let other):
            effects.append((other, .prioritize(entry.priority), notes))
            if case .task(let task) = other {
                priorities[task] = entry.priority
            } else {
                holders[entry.key] = (other, entry.priority)
            }
            return
        case .replace(let old):
            effects.append((old, .supersede, notes))
            if case .task = old { break }
            moved.append((entry.key, holder))
        }
        holders[entry.key] = (holder, entry.priority)
    }

    /// A live task gets another priority by a note.
    mutating func prioritize(_ task: TaskID, _ priority: UInt8) { priorities[task] = priority }

    mutating func add(_ fate: Fate) { fates.append(fate) }

    mutating func add(_ fate: Fate, ofStaged holder: Holder) { stagedFates.append((holder, fate)) }

    /// An earlier call yields to a later one.
    mutating func yield(_ earlier: Int, to later: Int) { fates[earlier] = fates[later].forEarlier }
}
