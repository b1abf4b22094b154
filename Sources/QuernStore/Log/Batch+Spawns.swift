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
        var entries: [BatchKeys.Entry] = []
        var count = UInt64(transaction.spawnCount)
        for case .commitStage(let stage, let tellsEach) in transaction.notes {
            try stages.commit(stage.number, tellsEach: tellsEach, state)
            count += stages.commits[stages.commits.count - 1].count
            arrivals += self.arrivals(ofStage: stage.number, state)
            entries += keyed(ofStage: stage.number, commit: stages.commits.count - 1, state)
        }
        for group in transaction.spawnGroups { try checkParent(group.parent, state) }
        for arrival in arrivals { try checkParent(arrival.parent, state) }
        var plan = BatchKeys.Plan()
        if !entries.isEmpty || !transaction.keys.isEmpty {
            plan = try keys.plan(entries + Self.keyed(transaction), state)
        }
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

    /// What has a key in a stage, and in what this batch adds to it, in the order of the positions.
    private func keyed(ofStage stage: UInt64, commit: Int, _ state: StoreState) -> [BatchKeys.Entry] {
        var entries: [BatchKeys.Entry] = []
        func add(
            _ keys: [TaskKey], _ policy: DuplicatePolicy, _ priority: UInt8, under parent: TaskID,
            from position: UInt64
        ) {
            for (index, key) in keys.enumerated() {
                let place = (commit: commit, position: position + UInt64(index))
                entries.append(.init(key: key, policy: policy, priority: priority, parent: parent, staged: place))
            }
        }
        let staged = state.stages[stage]
        if let staged, !staged.keys.isEmpty {
            for run in staged.runs {
                let position = run.firstID.rawValue
                if let found = staged.keys[position] {
                    add(found.keys, found.policy, run.priority, under: run.parent, from: position)
                }
            }
        }
        var position = staged?.count ?? 0
        for group in spawnGroups where group.key.stage == stage {
            if let policy = group.key.policy {
                add(group.keys, policy, group.key.priority, under: group.key.parent, from: position)
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

    // MARK: Gathering

    mutating func gatherSpawns(_ transaction: borrowing Transaction, _ plan: BatchKeys.Plan) {
        let told = gatherStaged(plan)
        for (commit, absent) in plan.absent { stages.leaveOut(absent, of: commit) }
        let ownEntries = plan.entries.count - transaction.keys.count
        var cursor = SpawnCursor()
        for part in transaction.spawnGroups {
            let group = spawnGroup(
                GroupKey(part, stage: transaction.stage), isLast: repeatsStagedKey(part, of: transaction, cursor))
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
        _ part: Transaction.SpawnGroup, of transaction: borrowing Transaction, _ cursor: SpawnCursor
    ) -> Bool {
        if part.policy == nil || transaction.stage == 0 { return false }
        let keys = transaction.keys[cursor.key..<(cursor.key + part.count)]
        defer { stagedKeys.formUnion(keys) }
        return keys.contains { stagedKeys.contains($0) }
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
