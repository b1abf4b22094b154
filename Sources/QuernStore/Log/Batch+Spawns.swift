// SPDX-License-Identifier: Apache-2.0

/// Spawns: with or without keys, at once or into a stage.
extension Batch {
    // MARK: Checking

    /// Checks what a transaction spawns and which stages it commits, and decides on what has a key.
    mutating func checkSpawns(
        _ transaction: borrowing Transaction, _ state: StoreState
    ) throws(StoreError) -> BatchKeys.Plan {
        for length in transaction.payloadLengths { try Self.checkSize(Int(length)) }
        if transaction.attributeBytes > 0 { try Self.checkAttributes(transaction) }
        if transaction.stage != 0 {
            // Parents and keys are checked when the stage is committed.
            try stages.add(transaction.spawnCount, to: transaction.stage, state)
            var plan = BatchKeys.Plan()
            plan.counts.inserted = UInt64(transaction.spawnCount)
            return plan
        }
        var arrivals: [(parent: TaskID, children: UInt64)] = []
        let commitsBefore = stages.commits.count
        var count = UInt64(transaction.spawnCount)
        for case .commitStage(let stage, let tellsEach) in transaction.notes {
            try stages.commit(stage.number, tellsEach: tellsEach, state)
            count += stages.commits[stages.commits.count - 1].count
            arrivals += self.arrivals(ofStage: stage.number, state)
        }
        for group in transaction.spawnGroups { try checkParent(group.parent, state) }
        for arrival in arrivals { try checkParent(arrival.parent, state) }
        let entries = contested(transaction, commits: commitsBefore..<stages.commits.count, state)
        var plan = try keys.plan(entries, state, behind: stages.commits[..<commitsBefore])
        plan.counts.inserted += count - UInt64(plan.entries.count)
        var fewer = plan.fewer
        for group in transaction.spawnGroups { expect(UInt64(group.count), under: group.parent, &fewer) }
        for arrival in arrivals { expect(arrival.children, under: arrival.parent, &fewer) }
        return plan
    }

    private static func checkAttributes(_ transaction: borrowing Transaction) throws(StoreError) {
        for group in transaction.spawnGroups where group.attributes.count > Limits.attributeBytes {
            throw StoreError(
                .tooLarge, "\(group.attributes.count) bytes of attributes; the limit is \(Limits.attributeBytes)")
        }
    }

    private func checkParent(_ parent: TaskID, _ state: StoreState) throws(StoreError) {
        guard parent == .none || state.live.isUntouched(parent) else {
            throw StoreError(.rejected, "parent \(parent) is not live")
        }
    }

    private mutating func expect(_ children: UInt64, under parent: TaskID, _ fewer: inout [TaskID: UInt64]) {
        if parent == .none { return }
        var children = children
        if !fewer.isEmpty, let less = fewer[parent] {
            fewer[parent] = less - min(less, children)
            children -= min(less, children)
        }
        tally.arrive(children, under: parent)
    }

    /// What is in a stage, and what this batch adds to it.
    private func arrivals(ofStage stage: UInt64, _ state: StoreState) -> [(parent: TaskID, children: UInt64)] {
        let added = spawnGroups.lazy.filter { $0.key.stage == stage }
        return (state.stages[stage]?.arrivals ?? []) + added.map { ($0.key.parent, UInt64($0.lengths.count)) }
    }

    // MARK: Gathering

    mutating func gatherSpawns(_ transaction: borrowing Transaction, _ plan: BatchKeys.Plan) {
        let told = gatherStaged(plan)
        for (commit, absent) in plan.absent { stages.leaveOut(absent, of: commit) }
        let ownEntries = plan.entries.count - transaction.keys.count
        var cursor = SpawnCursor()
        for part in transaction.spawnGroups {
            let key = GroupKey(part, stage: transaction.stage)
            let group = spawnGroup(key, isLast: repeatsStagedKey(part, of: transaction, cursor, key))
            if part.policy == nil || transaction.stage != 0 {
                gather(part, of: transaction, into: group, &cursor)
            } else {
                gatherKeyed(part, of: transaction, into: group, &cursor, plan, ownEntries)
            }
        }
        for (earlier, later) in cursor.yields { keys.yield(earlier, to: cursor.fates[later - ownEntries]) }
        for (holder, later) in told {
            let fate =
                later < ownEntries
                ? plan.entries[later].staged.flatMap { plan.decisions[later].fate(of: .init($0)) }
                : keys.fates[cursor.fates[later - ownEntries]]
            if let fate { keys.add(fate.forEarlier, ofStaged: holder) }
        }
    }

    /// Carries out what was decided on the tasks of stages.
    ///
    /// - Returns: those to tell of that yield to later ones, of which it is not known yet what becomes.
    private mutating func gatherStaged(_ plan: BatchKeys.Plan) -> [(BatchKeys.Holder, later: Int)] {
        var told: [(BatchKeys.Holder, later: Int)] = []
        for (entry, decision) in zip(plan.entries, plan.decisions) {
            guard let staged = entry.staged else { break }
            let holder = BatchKeys.Holder(staged)
            keys.carryOut(decision, on: entry, as: holder, behind: notes.count)
            guard stages.commits[staged.commit].tellsEach else { continue }
            switch decision {
            case .insert: break
            case .yield(let later): told.append((holder, later))
            case .replace, .skip, .upgrade:
                if let fate = decision.fate(of: holder) { keys.add(fate, ofStaged: holder) }
            }
        }
        return told
    }

    /// How far the spawns of a transaction are gathered.
    private struct SpawnCursor {
        var index = 0
        var offset = 0
        var key = 0
        /// Where the fate of each keyed spawn is.
        var fates: [Int] = []
        /// Fates that follow those of later entries.
        var yields: [(fate: Int, entry: Int)] = []
    }

    /// A part as a whole.
    private mutating func gather(
        _ part: Transaction.SpawnGroup, of transaction: borrowing Transaction, into group: Int,
        _ cursor: inout SpawnCursor
    ) {
        let lengths = transaction.payloadLengths[cursor.index..<(cursor.index + part.count)]
        let bytes = lengths.reduce(into: 0) { $0 += Int($1) }
        let start = spawnGroups[group].lengths.count
        stretches.append((group, start, part.count))
        spawnGroups[group].lengths.append(contentsOf: lengths)
        spawnGroups[group].payloads.append(
            contentsOf: transaction.payloads.bytes[cursor.offset..<(cursor.offset + bytes)])
        cursor.index += part.count
        cursor.offset += bytes
        if transaction.keys.isEmpty { return }
        if part.policy != nil {
            spawnGroups[group].keys.append(contentsOf: transaction.keys[cursor.key..<(cursor.key + part.count)])
            cursor.key += part.count
        } else if transaction.stage == 0 {
            for index in start..<(start + part.count) { keys.add(.inserted(.spawned(group: group, index: index))) }
        }
    }

    /// One by one: some may be left out.
    private mutating func gatherKeyed(
        _ part: Transaction.SpawnGroup, of transaction: borrowing Transaction, into group: Int,
        _ cursor: inout SpawnCursor, _ plan: BatchKeys.Plan, _ ownEntries: Int
    ) {
        var start = spawnGroups[group].lengths.count
        func addStretch(_ batch: inout Batch) {
            let count = batch.spawnGroups[group].lengths.count - start
            if count > 0 { batch.stretches.append((group, start, count)) }
            start += count
        }
        for _ in 0..<part.count {
            let length = transaction.payloadLengths[cursor.index]
            let entry = plan.entries[ownEntries + cursor.key]
            let decision = plan.decisions[ownEntries + cursor.key]
            let payload = cursor.offset..<(cursor.offset + Int(length))
            cursor.index += 1
            cursor.key += 1
            cursor.offset = payload.upperBound
            cursor.fates.append(keys.fates.count)
            let holder = BatchKeys.Holder.spawned(group: group, index: spawnGroups[group].lengths.count)
            if case .yield(let later) = decision { cursor.yields.append((keys.fates.count, later)) }
            keys.add(decision.fate(of: holder) ?? .duplicate(holder))
            keys.carryOut(decision, on: entry, as: holder, behind: notes.count)
            guard decision.isSpawned else {
                addStretch(&self)
                continue
            }
            spawnGroups[group].lengths.append(length)
            spawnGroups[group].payloads.append(contentsOf: transaction.payloads.bytes[payload])
            spawnGroups[group].keys.append(entry.key)
        }
        addStretch(&self)
    }

    /// Whether a part adds a key to a stage that the batch has added to one before: of these the last one counts, by
    /// its position, so that it must come behind the others.
    private mutating func repeatsStagedKey(
        _ part: Transaction.SpawnGroup, of transaction: borrowing Transaction, _ cursor: SpawnCursor, _ kind: GroupKey
    ) -> Bool {
        if part.policy == nil || transaction.stage == 0 { return false }
        if stagedKeys == nil {
            // As long as all parts are of one kind, each comes behind the others anyway.
            if spawnGroups.isEmpty || spawnGroups.count == 1 && spawnGroups[0].key == kind { return false }
            stagedKeys = Set(spawnGroups.lazy.filter { $0.key.stage != 0 }.flatMap(\.keys))
        }
        let keys = transaction.keys[cursor.key..<(cursor.key + part.count)]
        defer { stagedKeys?.formUnion(keys) }
        return keys.contains { stagedKeys?.contains($0) ?? false }
    }

    /// The group of a kind, or a new one that is the last.
    private mutating func spawnGroup(_ key: GroupKey, isLast: Bool) -> Int {
        if lastGroup >= 0, spawnGroups[lastGroup].key == key, !isLast { return lastGroup }
        if let known = spawnIndex[key], !isLast || known == spawnGroups.count - 1 {
            lastGroup = known
        } else {
            lastGroup = spawnGroups.count
            spawnGroups.append(SpawnGroup(key: key))
            spawnIndex[key] = lastGroup
        }
        return lastGroup
    }
}
