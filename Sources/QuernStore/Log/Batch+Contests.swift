// SPDX-License-Identifier: Apache-2.0

/// Which spawns have to be decided on. A stage may hold a million keys of which hardly one is somebody else's too: the
/// others are simply new, and nothing is done for each of them.
extension Batch {
    /// A stage that a transaction commits.
    private struct Committed {
        var commit: Int
        /// What the log has of it.
        var staged: StagedSpawns?
        /// What this batch adds to it.
        var added: [BatchKeys.Entry]
    }

    /// The spawns of a transaction that have keys, in order, those of its stages first; of these only the ones whose
    /// key comes twice or is, or may be, another task's.
    ///
    /// - Parameter commits: those of the transaction among the batch's.
    func contested(
        _ transaction: borrowing Transaction, commits: Range<Int>, _ state: StoreState
    ) -> [BatchKeys.Entry] {
        let own = Self.keyed(transaction)
        if commits.isEmpty { return own }
        let committed = commits.map { index in
            let number = stages.commits[index].number
            let staged = state.stages[number]
            return Committed(
                commit: index, staged: staged, added: added(toStage: number, commit: index, behind: staged?.count ?? 0))
        }
        var contested: Set<TaskKey> = []
        for index in committed.indices {
            guard let keys = committed[index].staged?.keys, !keys.isEmpty else { continue }
            func contest(_ key: TaskKey) { if keys.position(of: key) != nil { contested.insert(key) } }
            for position in keys.repeated {
                if let key = keys.key(at: position) { contested.insert(key) }
            }
            state.keys.forEachKey(sharedWith: keys) { contested.insert($0) }
            for key in self.keys.holders.keys { contest(key) }
            for entry in own { contest(entry.key) }
            for other in committed.indices {
                for entry in committed[other].added { contest(entry.key) }
                guard other != index, let others = committed[other].staged else { continue }
                others.keys.forEachKey(sharedWith: keys) { contested.insert($0) }
            }
            for earlier in stages.commits[..<commits.lowerBound] {
                state.stages[earlier.number]?.keys.forEachKey(sharedWith: keys) { contested.insert($0) }
            }
        }
        return committed.flatMap { Self.entries($0, of: contested) + $0.added } + own
    }

    private static func entries(_ committed: Committed, of contested: Set<TaskKey>) -> [BatchKeys.Entry] {
        guard let staged = committed.staged, !contested.isEmpty else { return [] }
        let positions = staged.keys.repeated + contested.compactMap { staged.keys.position(of: $0) }
        return positions.sorted().compactMap { position in
            guard let run = staged.run(with: position), let keys = staged.keys.run(at: run.firstID.rawValue) else {
                return nil
            }
            return BatchKeys.Entry(
                key: keys.keys[Int(position - keys.position)], policy: keys.policy, priority: run.priority,
                parent: run.parent, staged: (committed.commit, position))
        }
    }

    private func added(toStage stage: UInt64, commit: Int, behind count: UInt64) -> [BatchKeys.Entry] {
        var entries: [BatchKeys.Entry] = []
        var position = count
        for group in spawnGroups where group.key.stage == stage {
            if let policy = group.key.policy {
                for (index, key) in group.keys.enumerated() {
                    entries.append(
                        BatchKeys.Entry(
                            key: key, policy: policy, priority: group.key.priority, parent: group.key.parent,
                            staged: (commit, position + UInt64(index))))
                }
            }
            position += UInt64(group.lengths.count)
        }
        return entries
    }

    private static func keyed(_ transaction: borrowing Transaction) -> [BatchKeys.Entry] {
        var entries: [BatchKeys.Entry] = []
        entries.reserveCapacity(transaction.keys.count)
        for group in transaction.spawnGroups {
            guard let policy = group.policy else { continue }
            for _ in 0..<group.count {
                entries.append(
                    .init(
                        key: transaction.keys[entries.count], policy: policy, priority: group.priority,
                        parent: group.parent, staged: nil))
            }
        }
        return entries
    }
}
