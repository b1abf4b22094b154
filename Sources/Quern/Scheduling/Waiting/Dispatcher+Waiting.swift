// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Tasks that wait for a time or for others before they wait for a worker, and tasks whose time is over (T16).
extension Dispatcher {
    /// Tasks come that were not tried yet: what they wait for is decided by their attributes.
    mutating func arrive(_ entry: ReadyRun, _ attributes: TaskAttributes, isNew: Bool) {
        let dependencies = attributes.dependencies(of: entry.run)
        let startTime = attributes.startTime(ofSpawnAt: entry.run.submittedAt)
        guard !dependencies.isEmpty || (startTime.map { $0 > now } ?? false) else { return admit(entry, isNew: isNew) }
        var entry = entry
        cancelDoomed(&entry, isNew: isNew)
        guard entry.bits != 0 else { return }
        if dependencies.isEmpty { start(entry, at: startTime) } else { block(entry, attributes, on: dependencies) }
    }

    /// Has tasks wait for a worker, or first for a time.
    private mutating func start(_ entry: ReadyRun, at time: Timestamp?) {
        if let time, time > now { delay(.tasks(entry), until: time) } else { admit(entry) }
    }

    // MARK: - Dependencies

    private mutating func block(_ entry: ReadyRun, _ attributes: TaskAttributes, on wanted: [TaskDependency]) {
        effects.needs.append(Effects.Need(run: entry.run, dependencies: wanted))
        let tasks = DependencyTable.Waiting(entry, attributes)
        var wanted = wanted
        let unreachable = dependencies.unreachable(wanted, under: entry.run.parent) { parent(of: $0) }
        if !unreachable.isEmpty {
            // As if those had failed: they would wait for each other for ever.
            if let kind = tasks.verdict(on: nil) { return end(entry, as: kind) }
            wanted.removeAll { unreachable.contains($0.task) }
            if wanted.isEmpty { return start(entry, at: tasks.startTime) }
        }
        effects.questions += dependencies.add(tasks, for: wanted)
    }

    /// The parent of a task that has children.
    private func parent(of task: TaskID) -> TaskID? {
        if let parent = waiting[task]?.run.parent ?? early[task]?.parent { return parent }
        for flight in inFlight.values {
            guard case .execute(let entry) = flight.pull.work, entry.run.firstID <= task,
                task.rawValue - entry.run.firstID.rawValue < UInt64(entry.run.count)
            else { continue }
            return entry.run.parent
        }
        return nil
    }

    /// Tasks have ended, some of which others may wait for.
    mutating func dependenciesEnded(_ kinds: [TaskID: OutcomeKind]) {
        if dependencies.isEmpty { return }
        for task in kinds.keys.sorted() { dependencyEnded(task, kinds[task]) }
    }

    /// - Parameter kind: nil when nobody knows how it ended.
    mutating func dependencyEnded(_ task: TaskID, _ kind: OutcomeKind?) {
        for (waiting, decision) in dependencies.ended(task, kind) {
            switch decision {
            case .run: start(waiting.tasks, at: waiting.startTime)
            case .end(let kind): end(waiting.tasks, as: kind)
            }
        }
    }

    /// Ends tasks that never ran. Nothing needs to be noted before: after a crash the same is decided.
    private mutating func end(_ entry: ReadyRun, as kind: OutcomeKind) {
        for index in BitIndexes(entry.bits) {
            let id = entry.run.id(at: index)
            // Who asked for a cancel before has said how it is to end.
            if doomed.insert(id).inserted, kind != .cancelled { cancelKinds[id] = kind }
        }
        enqueueCancel(entry)
    }

    mutating func sweepDependencies(_ mask: SweepMask) {
        if dependencies.isEmpty { return }
        for entry in dependencies.remove({ mask.bits(of: $0.run) }) { enqueueCancel(entry) }
    }

    // MARK: - Time to live

    /// An attempt of tasks begins whose time to live counts from the first one.
    mutating func began(_ entry: ReadyRun, _ limit: Duration) {
        deadlines.add(entry.bits, of: entry.run.firstID, due: now.advanced(by: limit))
    }

    /// Asks for the cancel of tasks whose time is over.
    mutating func takeOverdue() {
        if !deadlines.isEmpty { effects.overdue += deadlines.takeDue(now) }
    }
}
