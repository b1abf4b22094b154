// SPDX-License-Identifier: Apache-2.0

/// Spawns that are in the log and wait for the transaction that makes them visible (T6). 64 bytes a run.
struct StagedSpawns: Sendable {
    /// In order and without gaps. Their first ids are positions in the stage, from 0.
    private(set) var runs: [SpawnRun] = []
    /// Of runs that were staged with some, by the position of their first task.
    private(set) var attributes: [UInt64: [UInt8]] = [:]
    private(set) var keys = StagedKeys()

    /// How many tasks wait.
    var count: UInt64 { runs.last.map { $0.firstID.rawValue + UInt64($0.count) } ?? 0 }

    /// - Parameter keys: one a task, or none.
    mutating func append(
        _ run: SpawnRun, attributes: [UInt8] = [], policy: DuplicatePolicy? = nil, keys: [TaskKey] = []
    ) throws(DecodingFailure) {
        guard run.firstID.rawValue == count, count + UInt64(run.count) <= Limits.stagedTasks else {
            throw DecodingFailure("staged tasks from \(run.firstID) behind \(count)")
        }
        runs.append(run)
        if !attributes.isEmpty { self.attributes[run.firstID.rawValue] = attributes }
        if let policy { self.keys.append(.init(position: run.firstID.rawValue, policy: policy, keys: keys)) }
    }

    /// Takes attributes back from a checkpoint, behind the run that they are of.
    mutating func restore(_ attributes: [UInt8], at position: UInt64) throws(DecodingFailure) {
        guard run(at: position) != nil, self.attributes[position] == nil else {
            throw DecodingFailure("attributes of no staged run")
        }
        self.attributes[position] = attributes
    }

    /// Takes keys back from a checkpoint, behind the run that they are of, in the order of the runs.
    mutating func restore(_ run: StagedKeys.Run) throws(DecodingFailure) {
        guard Int(self.run(at: run.position)?.count ?? 0) == run.keys.count,
            keys.runs.last.map({ $0.position < run.position }) ?? true
        else { throw DecodingFailure("keys of no staged run") }
        keys.append(run)
    }

    private func run(at position: UInt64) -> SpawnRun? {
        guard let run = run(with: position), run.firstID.rawValue == position else { return nil }
        return run
    }

    /// The run that the task at a position is of. O(log runs).
    func run(with position: UInt64) -> SpawnRun? {
        guard position < count else { return nil }
        return runs[runs.partition { $0.firstID.rawValue > position } - 1]
    }

    /// The parents and how many children each gets; a parent may come more than once. O(runs).
    var arrivals: [(parent: TaskID, children: UInt64)] {
        var arrivals: [(parent: TaskID, children: UInt64)] = []
        for run in runs {
            if arrivals.last?.parent != run.parent { arrivals.append((run.parent, 0)) }
            arrivals[arrivals.count - 1].children += UInt64(run.count)
        }
        return arrivals
    }
}

extension StoreState {
    /// Begins a stage. Nobody sees what is in it, and the log knows it from its first task on.
    mutating func openStage() -> UInt64 {
        lastStage += 1
        stages[lastStage] = StagedSpawns()
        return lastStage
    }

    /// Drops the stages that an earlier process left: nobody can commit them any more.
    mutating func dropStages() { stages = [:] }

    mutating func applyStagedSpawn(
        _ reader: inout ByteReader, at place: LogPlace
    ) throws(DecodingFailure) {
        let number: UInt64 = try reader.littleEndian()
        guard number > 0, number <= Limits.number else { throw DecodingFailure("stage \(number)") }
        let record = try SpawnRecord(try reader.take(reader.remaining), isStaged: true)
        try labels.check(record.label)
        lastStage = max(lastStage, number)
        try stages[number, default: StagedSpawns()].append(
            record.run(at: place), attributes: Array(record.attributes), policy: record.policy, keys: try record.keys())
    }

    mutating func applyStageCommit(
        _ reader: inout ByteReader, changes: inout ChangeCollector
    ) throws(DecodingFailure) {
        let number: UInt64 = try reader.littleEndian()
        let firstID: UInt64 = try reader.littleEndian()
        let absent = try AbsentPositions(&reader)
        guard let stage = stages.removeValue(forKey: number) else {
            throw DecodingFailure("commit of stage \(number), which is not open")
        }
        guard firstID >= nextID, firstID <= Limits.number else { throw DecodingFailure("id \(firstID) used twice") }
        guard stage.keys.repeated.allSatisfy(absent.contains) else { throw DecodingFailure("two tasks with a key") }
        var misfit: SpawnRun?
        for var run in stage.runs {
            guard run.parent.rawValue < firstID else {
                throw DecodingFailure("spawn of \(firstID) under \(run.parent)")
            }
            let position = run.firstID.rawValue
            run.firstID = TaskID(firstID + position)
            let fits = spawn(
                run, attributes: stage.attributes[position] ?? [],
                absent: absent.bits(from: position, count: run.count), changes: &changes)
            if !fits { misfit = run }
        }
        keys.give(stage.keys, from: firstID, absent: absent)
        if let misfit { throw Self.misfit(misfit) }
    }
}
