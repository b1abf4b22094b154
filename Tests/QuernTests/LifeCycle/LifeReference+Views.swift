// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// What the store has shown must be there again, and what is new must have a reason.
extension LifeReference {
    /// What was committed; told before the view that shows it.
    mutating func hear(_ news: CommitSpy.News) {
        for (id, parent, label, time) in news.spawned {
            tasks[id, default: LifeRecord()].parent = parent
            tasks[id]?.kind = kinds[label]
            tasks[id]?.submittedAt = time
            tasks[id]?.isSeen = true
            live.insert(id)
        }
        for (id, status) in news.statuses where status.phase == TaskPhase.children { advanced(id) }
        for (id, kind) in news.cancels where tasks[id]?.cancelKind == nil {
            tasks[id, default: LifeRecord()].cancelKind = kind
        }
    }

    private mutating func advanced(_ id: TaskID) {
        guard id != .none, tasks[id]?.isAdvanced != true else { return }
        tasks[id, default: LifeRecord()].isAdvanced = true
        if tasks[id]?.hasReturned != true {
            tasks[id]?.failures = 0
            tasks[id]?.durableFailures = 0
        }
    }

    /// - Parameter isFirst: whether it is the first one of a process, which nobody has heard anything of.
    mutating func see(_ view: LifeView, isFirst: Bool) {
        for (id, number) in view.numbers { name(id, number) }
        var new: Set<TaskID> = []
        for entry in view.live {
            if tasks[entry.id]?.isSeen != true || instances[instance(entry.id)]?.contains(entry.id) != true {
                new.insert(entry.id)
            }
            see(entry)
        }
        for (id, detail) in view.details { see(id, detail, in: view, isFirst: isFirst) }
        for entry in view.live where view.details[entry.id] == nil {
            if let wanted = tasks[entry.id]?.priority { report("\(describe(entry.id)) has lost priority \(wanted)") }
        }
        if isFirst, mayHaveDropped, let left = view.ended[.none] { dropped(allBut: Set(left.map(\.id)), most: .max) }
        if isFirst { mayHaveDropped = false }
        var ended: [TaskID] = []
        for (parent, outcomes) in view.ended.sorted(by: { $0.key < $1.key }) where tasks[parent]?.isDropped != true {
            ended += see(outcomes, below: parent, isWhole: view.isWhole, isFirst: isFirst)
        }
        for id in ended where instances[instance(id)]?.contains(id) != true { new.insert(id) }
        compareLive(view)
        compareStatuses(view)
        for id in new.sorted() { add(id) }
        for id in new.sorted() { checkOrigin(of: id) }
        for id in ended.sorted() { checkEnd(of: id) }
        checkSpawns(of: Set(ended).union(view.details.keys))
    }

    func instance(_ id: TaskID) -> Instance {
        Instance(parent: tasks[id]?.parent ?? .none, number: tasks[id]?.number ?? -1)
    }

    private mutating func add(_ id: TaskID) { instances[instance(id), default: []].append(id) }

    private mutating func see(_ entry: LifeView.Live) {
        var record = tasks[entry.id] ?? LifeRecord()
        record.parent = entry.run.parent
        record.kind = kinds[entry.run.label]
        record.submittedAt = entry.run.submittedAt
        record.isSeen = true
        if let attributes = entry.attributes {
            record.dependencies = attributes.dependencies(of: entry.run).map(\.task)
            record.redrives = attributes.redrives?.task
        }
        if record.outcome != nil { report("\(describe(entry.id)) has ended and lives") }
        tasks[entry.id] = record
        live.insert(entry.id)
    }

    private mutating func see(
        _ id: TaskID, _ detail: LiveTasks.Detail, in view: LifeView, isFirst: Bool
    ) {
        if detail.phase == TaskPhase.children { advanced(id) }
        if tasks[id]?.isAdvanced == true, detail.phase != TaskPhase.children {
            report("\(describe(id)) had executed, and is in phase \(detail.phase)")
        }
        let kind = tasks[id]?.cancelKind
        if let kind, detail.cancel != kind {
            report("\(describe(id)) was to end as \(kind), not \(detail.cancel as Any)")
        }
        tasks[id]?.cancelKind = detail.cancel
        // A duplicate may have given it a better one since.
        if let wanted = tasks[id]?.priority, (detail.priority ?? .max) > wanted {
            report("\(describe(id)) was given priority \(wanted), not \(detail.priority as Any)")
        }
        if detail.phase == TaskPhase.failed || isFirst { return }
        let attempts = detail.attempts
        // What a parent's execute left waits for space: its attempts do not count anew before that is there.
        let isBehind =
            isStalled && detail.phase == TaskPhase.executing && tasks[id]?.hasReturned == true
            && tasks[id]?.kind?.isBranch == true
        let failures = (isBehind ? tasks[id]?.executeFailures : tasks[id]?.failures) ?? 0
        // What waits for space is not there yet.
        let isAsTold = isStalled ? attempts <= failures : attempts == failures
        if countsAttempts, !isAsTold, tasks[id]?.isRunning != true {
            report("\(describe(id)) was tried \(attempts) times, not \(failures): \(view.errors[id] as Any)")
        }
        if !isBehind { tasks[id]?.durableFailures = attempts }
    }

    /// - Returns: the tasks that are new among them.
    private mutating func see(
        _ outcomes: [LifeOutcome], below parent: TaskID, isWhole: Bool, isFirst: Bool
    ) -> [TaskID] {
        let known = parent == .none ? roots : tasks[parent]?.children ?? []
        var all = isWhole ? outcomes : known + outcomes
        if isWhole, parent == .none {
            // Those of trees that were dropped are gone.
            for outcome in outcomes where tasks[outcome.id]?.isDropped == true {
                report("\(describe(outcome.id)) was dropped, and is there again")
            }
            let dropped = known.filter { tasks[$0.id]?.isDropped == true }
            all = dropped.filter { old in !outcomes.contains { $0.id == old.id } } + outcomes
            all.sort { $0.sequence < $1.sequence }
        }
        let prefix = all.prefix(known.count)
        if !prefix.elementsEqual(known) {
            let changed = zip(prefix, known).first { $0 != $1 }
            report("the \(known.count) outcomes below \(parent) have changed: \(prefix.count), \(changed as Any)")
        }
        if parent == .none { roots = all } else { tasks[parent, default: LifeRecord()].children = all }
        let new = all.dropFirst(known.count)
        for outcome in new { end(outcome, below: parent, isFirst: isFirst) }
        return new.map(\.id)
    }

    private mutating func end(_ outcome: LifeOutcome, below parent: TaskID, isFirst: Bool) {
        var record = tasks[outcome.id] ?? LifeRecord()
        if record.outcome != nil { report("\(describe(outcome.id)) has two outcomes") }
        // What it did since the last look of the process before is not known.
        if isFirst || !record.isSeen { record.isBlurred = true }
        record.parent = parent
        record.kind = kinds[outcome.label]
        record.isSeen = true
        record.outcome = outcome
        record.endedHere = !isFirst
        record.isRunning = false
        tasks[outcome.id] = record
        if let kind = record.kind, let number = outcome.number(kind) { name(outcome.id, number) }
        live.remove(outcome.id)
    }

    /// The tasks without an outcome are live, with all above them.
    private mutating func compareLive(_ view: LifeView) {
        let shown = Set(view.live.map(\.id))
        for id in live.subtracting(shown).sorted() {
            guard tasks[id]?.isSeen == true || isExact else { continue }
            report("\(describe(id)) has vanished")
            live.remove(id)
        }
        for id in shown.sorted() {
            let parent = tasks[id]?.parent ?? .none
            if parent != .none, !shown.contains(parent) { report("\(describe(id)) lives below a task that does not") }
        }
        var holders: [String: TaskID] = [:]
        for id in shown.sorted() where tasks[id]?.redrives == nil {
            // Another may have taken the key of one that is to end.
            if tasks[id]?.cancelKind != nil { continue }
            guard let script = script(of: id), let key = script.options.key, let parent = tasks[id]?.parent else {
                continue
            }
            // One that is run again may have lost its key to another, when it was to end.
            if let same = instances[instance(id)], same.contains(where: { $0 < id && tasks[$0]?.cancelKind != nil }) {
                continue
            }
            // Children that are run again have no key.
            if parent != .none, tasks[parent]?.redrives != nil, isRerunChild(id) { continue }
            let scope = parent == .none ? "\(script.kind) \(key)" : "below \(parent) \(key)"
            if let other = holders.updateValue(id, forKey: scope) {
                report("\(describe(id)) and \(describe(other)) have the key \(key)")
            }
        }
    }

    private mutating func compareStatuses(_ view: LifeView) {
        var liveChildren: [TaskID: UInt64] = [:]
        for entry in view.live { liveChildren[entry.run.parent, default: 0] += 1 }
        for (id, status) in view.statuses {
            let (lives, counts) = (liveChildren[id] ?? 0, OutcomeCounts(of: tasks[id]?.children ?? []))
            if status.liveChildren != lives || status.counts != counts {
                report("\(describe(id)) counts \(status), and has \(lives) live children and \(counts)")
            }
        }
    }
}
