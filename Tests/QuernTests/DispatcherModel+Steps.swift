// SPDX-License-Identifier: Apache-2.0
import HeapModule
import QuernTesting

@testable import Quern
@testable import QuernStore

/// What happens in the world, one step at a time.
extension DispatcherModel {
    mutating func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<6: submit()
        case 6..<9: try cancelSomething()
        case 9..<11: changeLimits()
        case 11: try prioritizeSomething()
        case 12..<40: try commit()
        case 40..<45:
            clock += 10
            dispatcher.now = now
            dispatcher.timePassed()
        case 45..<50: tick()
        default: try moveWorker()
        }
        applyEffects()
        if chance(30) { try checkOwners() }
    }

    mutating func applyEffects() {
        var effects = Dispatcher.Effects()
        watchingClaims { effects = $0.dispatcher.takeEffects() }
        for start in effects.starts { workers[start.worker] = WorkerState(place: start.place) }
        for worker in effects.cancellations { workers[worker]?.isCancelled = true }
        answer(effects)
    }

    mutating func submit() {
        guard spawnBudget > 0 else { return }
        spawnBudget -= 1
        let label = UInt32.random(in: 0...3, using: &random)
        uncommitted.append(([.spawn(.test(0, count: 1, parent: 0, label: label), depth: 0)], 0))
    }

    mutating func cancelSomething() throws {
        guard let id = nodes.keys.sorted().randomElement(using: &random), nodes[id]?.outcome == nil else { return }
        // The request is a commit of its own, in order with the others.
        while !uncommitted.isEmpty { try commit() }
        guard nodes[id]?.outcome == nil else { return }
        nodes[id]?.cancel = .cancelled
        watchingClaims { $0.dispatcher.cancel([TaskID(id)]) }
    }

    mutating func prioritizeSomething() throws {
        guard let id = nodes.keys.sorted().randomElement(using: &random), nodes[id]?.outcome == nil else { return }
        while !uncommitted.isEmpty { try commit() }
        guard nodes[id]?.outcome == nil else { return }
        let priority = UInt8.random(in: 99...130, using: &random)
        nodes[id]?.priority = priority
        watchingClaims { $0.dispatcher.prioritized([TaskID(id): priority]) }
    }

    mutating func moveWorker() throws {
        guard let id = workers.keys.sorted().randomElement(using: &random), var worker = workers[id] else { return }
        guard let pull = worker.pull else {
            return try pull(&worker, id, isFirst: true)
        }
        let (report, changes) = try run(pull, isCancelled: worker.isCancelled)
        var final = report
        if report.advanced != 0, case .execute(let entry) = pull.work {
            dispatcher.advanced(entry, report.advanced)
        }
        if !changes.isEmpty {
            final.transactionBytes = changes.count
            uncommitted.append((changes, changes.count))
        }
        finished(pull)
        recordIO(of: pull, &final)
        dispatcher.finished(id, final)
        try self.pull(&worker, id)
        if worker.isCancelled, worker.pull != nil {
            throw ModelError(description: "a worker whose Swift task is cancelled got another pull")
        }
    }

    private mutating func pull(_ worker: inout WorkerState, _ id: UInt64, isFirst: Bool = false) throws {
        var pull: Pull?
        let place = worker.place
        watchingClaims { pull = $0.dispatcher.next(for: id, at: place, isFirst: isFirst) }
        worker.pull = pull
        workers[id] = worker.pull == nil ? nil : worker
        if let pull = worker.pull { try checkGrant(pull, at: worker.place) }
    }

    /// Tasks that the dispatcher takes back from a pull give back what they took of the rates.
    mutating func watchingClaims(_ body: (inout DispatcherModel) -> Void) {
        let before = workers.mapValues { $0.pull?.claims.remaining ?? 0 }
        body(&self)
        for (id, bits) in before {
            guard let pull = workers[id]?.pull, case .execute(let entry) = pull.work else { continue }
            giveBack(bits & ~pull.claims.remaining, of: entry.run)
        }
    }

    private mutating func tick() { watchingClaims { _ = $0.dispatcher.tick(ticksUntilNoted: 3) } }

    private mutating func run(_ pull: Pull, isCancelled: Bool) throws -> (PullReport, [Change]) {
        var report = PullReport()
        var changes: [Change] = []
        switch pull.work {
        case .execute(let entry):
            report.elapsed = .microseconds(Int.random(in: 1..<400, using: &random))
            while let index = pull.claims.claimNext() {
                report.tried += 1
                execute(entry, index, isCancelled, &report, &changes)
                if chance(10) { break }
            }
        case .finalize(let parent):
            try finalize(parent, pull.claims, isCancelled, &report, &changes)
        case .failParent(let parent):
            changes.append(.end(parent.id.rawValue, .failed))
        case .cancel(let entries):
            for entry in entries {
                for index in BitIndexes(entry.bits) {
                    let id = entry.run.id(at: index)
                    changes.append(.end(id.rawValue, pull.cancelKinds[id] ?? .cancelled))
                }
            }
        }
        return (report, changes)
    }

    private mutating func execute(
        _ entry: ReadyRun, _ index: Int, _ isCancelled: Bool, _ report: inout PullReport, _ changes: inout [Change]
    ) {
        let id = entry.run.id(at: index)
        let bit: UInt64 = 1 << UInt64(index)
        nodes[id.rawValue]?.executed += 1
        spawnAhead(entry, id)
        if pull(entry, isDoomed: id) {
            report.cancelled |= bit
        } else if isCancelled, chance(50) {
            report.givenBack |= bit
        } else if chance(8) {
            nodes[id.rawValue]?.attempts += 1
            report.retries.append(
                .init(index: index, attempts: entry.attempts + 1, notBefore: Timestamp(milliseconds: clock + 5)))
        } else if chance(6) {
            // A task cannot end beside its children.
            let hasChildren = dispatcher.early[id] != nil
            if hasChildren { report.advanced |= bit }
            changes.append(hasChildren ? .advance(id.rawValue, phase: 2) : .end(id.rawValue, .failed))
        } else if nodes[id.rawValue]?.isOrchestrator == true {
            report.advanced |= bit
            nodes[id.rawValue]?.attempts = 0
            changes.append(.advance(id.rawValue, phase: 1))
            spawn(under: id.rawValue, &changes)
        } else {
            changes.append(.end(id.rawValue, .completed))
            if entry.run.parent != .none, chance(15) { spawn(under: entry.run.parent.rawValue, &changes) }
        }
    }

    /// Some orchestrators have children before they return, or throw.
    private mutating func spawnAhead(_ entry: ReadyRun, _ id: TaskID) {
        guard nodes[id.rawValue]?.isOrchestrator == true, chance(30) else { return }
        var changes: [Change] = []
        spawn(under: id.rawValue, &changes)
        // Whether there is space for them or not.
        if chance(10) { changes = [] }
        watchingClaims { $0.dispatcher.childrenLeave(for: id, entry.run.label, under: entry.run.parent) }
        uncommitted.append((changes + [.arrived(id.rawValue)], 0))
    }

    private func pull(_ entry: ReadyRun, isDoomed id: TaskID) -> Bool {
        dispatcher.isDoomed(id, parent: entry.run.parent)
    }

    private mutating func spawn(under parent: UInt64, _ changes: inout [Change]) {
        let depth = (nodes[parent]?.depth ?? 0) + 1
        guard spawnBudget > 0, chance(80) else { return }
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            spawnBudget -= 1
            let label = depth < 4 ? UInt32.random(in: 0...2, using: &random) : 0
            let count = Int.random(in: 1...(label == 0 ? 64 : 4), using: &random)
            changes.append(.spawn(.test(0, count: count, parent: parent, label: label), depth: depth))
        }
    }

    private mutating func finalize(
        _ parent: WaitingParent, _ claims: PullClaims, _ isCancelled: Bool, _ report: inout PullReport,
        _ changes: inout [Change]
    ) throws {
        let id = parent.id.rawValue
        guard let node = nodes[id], node.live == 0, node.phase == 1 else {
            throw ModelError(description: "finalize of \(id) beside live children or before execute")
        }
        if node.policyIsFailFast, node.counts.failures > 0 {
            throw ModelError(description: "finalize of fail-fast \(id) after a failure")
        }
        _ = claims.claimNext()
        report.tried = 1
        if dispatcher.isDoomed(parent.id, parent: parent.run.parent) {
            report.cancelled = parent.bit
        } else if isCancelled {
            report.givenBack = parent.bit
        } else if chance(20) {
            nodes[id]?.attempts += 1
            report.retries = [
                .init(index: parent.index, attempts: parent.attempts + 1, notBefore: Timestamp(milliseconds: clock + 5))
            ]
        } else {
            nodes[id]?.finalized += 1
            changes.append(.end(id, chance(20) ? .failed : .completed))
        }
    }

    /// Runs on until nothing is left that could happen.
    mutating func drain() throws {
        spawnBudget = 0
        liftLimits()
        for _ in 0..<50_000 {
            clock += 10
            dispatcher.now = now
            dispatcher.timePassed()
            try moveWorker()
            try commit()
            applyEffects()
            guard workers.isEmpty, uncommitted.isEmpty, dispatcher.delayed.isEmpty, dispatcher.dependencies.isEmpty
            else { continue }
            if dispatcher.queues.count == 0 { return try checkOwners() }
            guard let due = dispatcher.nextDue else { throw ModelError(description: "nobody will ever look again") }
            clock = max(clock, due.rawValue)
        }
        throw ModelError(description: "it does not come to rest")
    }
}
