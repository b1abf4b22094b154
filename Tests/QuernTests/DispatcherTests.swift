// SPDX-License-Identifier: Apache-2.0
import DequeModule
import HeapModule
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

extension DispatcherModel {
    /// What waits for a worker.
    var queued: [ReadyRun] {
        var queues = dispatcher.queues
        var entries: [ReadyRun] = []
        queues.remove(now: dispatcher.now, { _ in .max }, { entries.append($0) })
        return entries
    }

    /// Each task without an outcome has exactly one owner, unless its outcome is on its way.
    func checkOwners() throws {
        var owners: [UInt64: String] = [:]
        func own(_ id: TaskID, _ owner: String) throws {
            if let other = owners.updateValue(owner, forKey: id.rawValue) {
                throw ModelError(description: "task \(id) is in \(other) and in \(owner)")
            }
            if nodes[id.rawValue]?.outcome != nil { throw ModelError(description: "ended \(id) is in \(owner)") }
        }
        func own(_ entry: ReadyRun, _ owner: String) throws {
            for index in BitIndexes(entry.bits) { try own(entry.run.id(at: index), owner) }
        }
        for lane in [dispatcher.cooperative, dispatcher.threads] {
            for entry in lane.cancels { try own(entry, "cancels") }
        }
        let ready = queued
        for entry in ready { try own(entry, "ready") }
        for parent in dispatcher.fails { try own(parent.id, "fails") }
        let count = ready.reduce(0) { $0 + $1.count }
        if count != dispatcher.queues.count {
            throw ModelError(description: "\(dispatcher.queues.count) ready, not \(count)")
        }
        for entry in dispatcher.held { try own(entry, "held") }
        for id in dispatcher.heldParents { try own(id, "held parents") }
        for entry in dispatcher.dependencies.all { try own(entry.tasks, "dependencies") }
        for entry in dispatcher.delayed.unordered {
            switch entry.item {
            case .tasks(let tasks): try own(tasks, "delayed")
            case .finalize(let id): try own(id, "delayed finalize")
            }
        }
        for flight in dispatcher.inFlight.values {
            switch flight.pull.work {
            case .execute(let entry): try own(entry, "a pull")
            case .finalize(let parent), .failParent(let parent): try own(parent.id, "finalize")
            case .cancel(let entries): for entry in entries { try own(entry, "a cancel pull") }
            }
        }
        for (id, parent) in dispatcher.early where parent.cancelled != nil { try own(id, "early") }
        for (id, parent) in dispatcher.waiting where parent.state == .waiting { try own(id, "waiting") }
        let underWay = Set(
            uncommitted.flatMap(\.changes).map { change -> UInt64 in
                switch change {
                case .end(let id, _): id
                default: 0
                }
            })
        for (id, node) in nodes where node.outcome == nil && owners[id] == nil && !underWay.contains(id) {
            throw ModelError(description: "nobody owns task \(id), phase \(node.phase)")
        }
    }

    /// After all is done: every task ended, but for those of the unknown type and what waits for them.
    func checkEnd() throws {
        var waitsForUnknown: Set<UInt64> = []
        for (id, node) in nodes where node.outcome == nil && node.run.label.rawValue == 3 { waitsForUnknown.insert(id) }
        for (id, node) in nodes where !waitsForUnknown.contains(id) {
            guard let outcome = node.outcome else {
                throw ModelError(description: "task \(id) has no outcome; phase \(node.phase), \(node.live) live")
            }
            if outcome == .completed, node.isOrchestrator, node.finalized != 1 {
                throw ModelError(description: "task \(id) completed, finalized \(node.finalized) times")
            }
            if outcome == .completed, node.policyIsFailFast, node.counts.failures > 0 {
                throw ModelError(description: "fail-fast \(id) completed in spite of a failure")
            }
        }
        guard dispatcher.waiting.isEmpty, dispatcher.early.isEmpty, dispatcher.inFlight.isEmpty,
            dispatcher.failing.isEmpty, dispatcher.uncommittedBytes == 0, dispatcher.uncommittedTransactions == 0,
            dispatcher.deadlines.isEmpty || nodes.values.contains(where: { $0.outcome == nil }),
            dispatcher.questionsUnderWay == 0
        else { throw ModelError(description: "the dispatcher still remembers something") }
        let grouped = nodes.values.count { $0.outcome == nil && $0.group != nil }
        if dispatcher.limiters.groups.taskCount != grouped {
            throw ModelError(description: "\(dispatcher.limiters.groups.taskCount) tasks in groups, not \(grouped)")
        }
    }
}

@Suite("Dispatcher: who does what next", .timeLimit(.minutes(20)))
struct DispatcherTests {
    @Test(
        "Whatever happens in whatever order, each task has one owner and one outcome", arguments: 1...40,
        [false, true])
    func randomWorld(seed: UInt64, waitsForOthers: Bool) throws {
        var model = DispatcherModel(seed: seed, concurrency: 1 + Int(seed % 7))
        model.waitsForOthers = waitsForOthers
        for _ in 0..<800 { try model.step() }
        try model.drain()
        try model.checkEnd()
        #expect(model.nodes.count > 20)
    }

    @Test("A restart at any moment goes on from what is durable", arguments: 1...20, [false, true])
    func restarts(seed: UInt64, waitsForOthers: Bool) throws {
        var model = DispatcherModel(seed: seed, concurrency: 3)
        model.waitsForOthers = waitsForOthers
        for round in 0..<6 {
            for _ in 0..<150 { try model.step() }
            // What was not committed is gone; the workers too.
            model.uncommitted = []
            model.workers = [:]
            model.watched = []
            model.dispatcher = Dispatcher(facts: DispatcherModel.facts, limits: .init(concurrency: 3))
            model.dispatcher.now = Timestamp(milliseconds: model.clock)
            model.dispatcher.recover(model.live(), wasClean: round % 2 == 0)
            model.dispatcher.isRunning = true
            for id in model.nodes.keys { model.nodes[id]?.attempts = 0 }
            model.limitsAfterRestart()
            model.applyEffects()
            try model.checkOwners()
        }
        for id in model.nodes.keys { model.nodes[id]?.finalized = 0 }
        try model.drain()
        for (id, node) in model.nodes where node.outcome == nil {
            #expect(node.run.label.rawValue == 3, "task \(id) has no outcome")
        }
    }

    private func dispatcher(concurrency: Int = 4, facts: [TypeFacts?] = DispatcherModel.facts) -> Dispatcher {
        var dispatcher = Dispatcher(facts: facts, limits: Dispatcher.Limits(concurrency: concurrency))
        dispatcher.isRunning = true
        return dispatcher
    }

    private func bits(_ pull: Pull?) -> UInt64 {
        if case .execute(let entry) = pull?.work { entry.bits } else { 0 }
    }

    @Test("A pull is one task at first, then as many as make its target, never more than a run")
    func pullSizes() {
        var dispatcher = dispatcher()
        dispatcher.spawned(.test(1, count: 64, parent: 0))
        dispatcher.spawned(.test(65, count: 64, parent: 0))
        let first = dispatcher.takeEffects().starts
        #expect(first.count == 4)
        var pull = dispatcher.next(for: first[0].worker, at: .cooperative, isFirst: true)
        #expect(bits(pull) == 1)
        _ = pull?.claims.claimNext()
        dispatcher.finished(
            first[0].worker, PullReport(tried: 1, elapsed: .microseconds(20), ended: OutcomeCounts(.completed)))
        pull = dispatcher.next(for: first[0].worker, at: .cooperative)
        #expect(bits(pull).nonzeroBitCount == 10)
        while let index = pull?.claims.claimNext() { _ = index }
        dispatcher.finished(
            first[0].worker,
            PullReport(tried: 10, elapsed: .microseconds(10), ended: OutcomeCounts(.completed, count: 10)))
        dispatcher.sizes.costs[0] = 100
        #expect(bits(dispatcher.next(for: first[0].worker, at: .cooperative)).nonzeroBitCount == 53)
    }

    @Test("A worker whose handler is cancelled starts nothing else, however late its Swift task hears of it (T10)")
    func cancelledWorker() throws {
        var dispatcher = dispatcher(concurrency: 1)
        dispatcher.sizes.costs[0] = 10
        dispatcher.spawned(.test(1, count: 8, parent: 0))
        let worker = dispatcher.takeEffects().starts[0].worker
        var given = dispatcher.next(for: worker, at: .cooperative, isFirst: true)
        let pull = try #require(given)
        #expect(bits(pull) == 0xff && pull.claims.claimNext() == 0 && pull.claims.claimNext() == 1)
        // It is with its second task: of the first one nothing is left to cancel.
        dispatcher.cancel([TaskID(1)])
        var effects = dispatcher.takeEffects()
        #expect(effects.cancellations.isEmpty && !pull.claims.isInterrupted)
        #expect(pull.claims.remaining == 0b1111_1100)
        dispatcher.cancel([TaskID(2), TaskID(8)])
        effects = dispatcher.takeEffects()
        #expect(effects.cancellations == [worker] && pull.claims.isInterrupted)
        // Nobody starts them, also who had looked before whether the pull is interrupted.
        #expect(pull.claims.remaining == 0 && dispatcher.queues.count == 5)
        dispatcher.finished(worker, PullReport(cancelled: 0b10, tried: 2, ended: OutcomeCounts(.completed)))
        given = dispatcher.next(for: worker, at: .cooperative)
        #expect(given == nil)
        let next = dispatcher.takeEffects().starts[0].worker
        #expect(next != worker)
        given = dispatcher.next(for: next, at: .cooperative, isFirst: true)
        guard case .cancel? = given?.work else { throw Trouble("no cancel") }
        dispatcher.finished(next, PullReport(ended: OutcomeCounts(.cancelled, count: 2)))
        given = dispatcher.next(for: next, at: .cooperative)
        #expect(bits(given) == 0b0111_1100)
    }

    @Test("Parents that fail one after the other share a pass over the queues, and none of their tasks starts (T8, T9)")
    func sharedSweeps() {
        var dispatcher = dispatcher(concurrency: 1)
        let (parents, children) = (1000, 10)
        for index in 0..<parents {
            let run = SpawnRun.test(UInt64(index + 1), count: 1, parent: 0, label: 1)
            dispatcher.advanced(ReadyRun(run: run, bits: 1), 1)
        }
        for index in 0..<parents {
            let first = UInt64(parents + 1 + index * children)
            dispatcher.spawned(.test(first, count: children, parent: UInt64(index + 1)))
        }
        let start = dispatcher.takeEffects().starts[0]
        var (failed, pulls, sweeps, cancelled) = (0, 0, 0, 0)
        var pull = dispatcher.next(for: start.worker, at: start.place, isFirst: true)
        while let current = pull {
            pulls += 1
            switch current.work {
            case .execute(let entry): #expect(!dispatcher.failing.contains(entry.run.parent))
            case .cancel(let entries): cancelled += entries.reduce(0) { $0 + $1.count }
            case .finalize, .failParent: Issue.record("no parent has had all its children")
            }
            while current.claims.claimNext() != nil {}
            dispatcher.finished(start.worker, PullReport())
            if failed < parents / 2 {
                var status = ParentStatus(id: TaskID(UInt64(failed + 1)))
                status.phase = TaskPhase.children
                status.liveChildren = UInt64(children - 1)
                status.counts.failed = 1
                dispatcher.touched(status)
                failed += 1
            }
            let wasUnswept = dispatcher.isUnswept
            pull = dispatcher.next(for: start.worker, at: start.place)
            if wasUnswept, !dispatcher.isUnswept { sweeps += 1 }
        }
        #expect(dispatcher.queues.count == 0 && !dispatcher.isUnswept && cancelled > 2000)
        #expect(sweeps < 30, "\(sweeps) for \(failed)")
    }

    @Test("Slow tasks are spread over all workers")
    func slowTasksSpread() {
        var dispatcher = dispatcher(concurrency: 4)
        dispatcher.sizes.costs[0] = 20_000
        dispatcher.spawned(.test(1, count: 16, parent: 0))
        let starts = dispatcher.takeEffects().starts
        #expect(starts.count == 4)
        let sizes = starts.map { start in
            bits(dispatcher.next(for: start.worker, at: start.place, isFirst: true)).nonzeroBitCount
        }
        #expect(sizes.allSatisfy { $0 <= 4 && $0 > 0 })
    }

    @Test("The workers of both places share the limit evenly")
    func lanesShare() {
        var dispatcher = dispatcher(
            concurrency: 1, facts: [TypeFacts(), TypeFacts(place: .threads, policy: .tolerate)])
        dispatcher.spawned(.test(1, count: 64, parent: 0, label: 0))
        dispatcher.spawned(.test(65, count: 64, parent: 0, label: 1))
        var places: [HandlerPlace] = []
        var current = dispatcher.takeEffects().starts[0]
        var isFirst = true
        for _ in 0..<8 {
            if let pull = dispatcher.next(for: current.worker, at: current.place, isFirst: isFirst) {
                places.append(current.place)
                while let index = pull.claims.claimNext() { _ = index }
                dispatcher.finished(
                    current.worker, PullReport(tried: 1, elapsed: .milliseconds(1), ended: OutcomeCounts(.completed)))
                isFirst = false
            } else if let start = dispatcher.takeEffects().starts.first {
                current = start
                isFirst = true
            }
        }
        #expect(Set(places).count == 2)
    }

    @Test("Stuck pulls give their unstarted tasks to others")
    func stuckPulls() {
        var dispatcher = dispatcher()
        dispatcher.sizes.costs[0] = 10
        dispatcher.spawned(.test(1, count: 64, parent: 0))
        let worker = dispatcher.takeEffects().starts[0].worker
        let pull = dispatcher.next(for: worker, at: .cooperative, isFirst: true)
        #expect(pull?.claims.claimNext() == 0)
        #expect(dispatcher.tick(ticksUntilNoted: 3) == [])
        #expect(dispatcher.tick(ticksUntilNoted: 3) == [worker])
        #expect(dispatcher.queues.count == 63)
        #expect(pull?.claims.claimNext() == nil)
        _ = dispatcher.tick(ticksUntilNoted: 3)
        _ = dispatcher.tick(ticksUntilNoted: 3)
        #expect(dispatcher.takeEffects().changesNote && dispatcher.inFlightNote == [TaskID(1)])
        dispatcher.finished(worker, PullReport(tried: 1, ended: OutcomeCounts(.completed)))
        #expect(dispatcher.takeEffects().changesNote && dispatcher.inFlightNote == [])
        #expect(dispatcher.queues.count == 63)
    }

    @Test("Suspects run one at a time, noted before they run, beside other work (T14)")
    func suspects() {
        var dispatcher = dispatcher()
        var live = LiveTasks()
        live.runs = [LiveTasks.Run(run: .test(1, count: 3, parent: 0), live: 0b111)]
        for id in [1, 2] {
            live.details[TaskID(UInt64(id))] = {
                var d = LiveTasks.Detail()
                d.crashes = 1
                return d
            }()
        }
        dispatcher.recover(live, wasClean: false)
        let starts = dispatcher.takeEffects().starts
        #expect(starts.count >= 2)
        let first = dispatcher.next(for: starts[0].worker, at: .cooperative, isFirst: true)
        #expect(bits(first) == 0b001 && first?.isNoted == true && dispatcher.inFlightNote == [TaskID(1)])
        let second = dispatcher.next(for: starts[1].worker, at: .cooperative, isFirst: true)
        #expect(bits(second) == 0b100 && second?.isNoted == false)
        _ = first?.claims.claimNext()
        dispatcher.finished(starts[0].worker, PullReport(tried: 1, ended: OutcomeCounts(.completed)))
        let third = dispatcher.next(for: starts[0].worker, at: .cooperative)
        #expect(bits(third) == 0b010 && third?.isNoted == true && dispatcher.inFlightNote == [TaskID(2)])
    }

    @Test("After an unclean end the first pulls are noted before they run (T14)")
    func carefulStart() {
        var dispatcher = dispatcher()
        var live = LiveTasks()
        live.runs = [LiveTasks.Run(run: .test(1, count: 3, parent: 0), live: 0b111)]
        dispatcher.recover(live, wasClean: false)
        let worker = dispatcher.takeEffects().starts[0].worker
        #expect(dispatcher.next(for: worker, at: .cooperative, isFirst: true)?.isNoted == true)
        #expect(dispatcher.inFlightNote == [TaskID(1)])
        #expect(
            Dispatcher.crashCounts(
                of: {
                    var l = live
                    l.inFlight = [TaskID(1)]
                    return l
                }()) == [TaskID(1): 1])
    }

    @Test("No pulls are given out while too much is uncommitted")
    func throttled() {
        var dispatcher = dispatcher(concurrency: 1)
        dispatcher.spawned(.test(1, count: 3, parent: 0))
        let worker = dispatcher.takeEffects().starts[0].worker
        let pull = dispatcher.next(for: worker, at: .cooperative, isFirst: true)
        _ = pull?.claims.claimNext()
        dispatcher.finished(worker, PullReport(ended: OutcomeCounts(.completed), transactionBytes: 64 << 20))
        #expect(dispatcher.next(for: worker, at: .cooperative) == nil)
        #expect(dispatcher.takeEffects().starts.isEmpty)
        dispatcher.committed(bytes: 64 << 20)
        #expect(!dispatcher.takeEffects().starts.isEmpty)
    }
}

@Suite("SweepMask: which tasks of a run are named")
struct SweepMaskTests {
    @Test("By id, by parent, at the borders")
    func masks() {
        let run = SpawnRun.test(10, count: 64, parent: 3)
        #expect(SweepMask([TaskID(3)]).bits(of: run) == .max)
        #expect(SweepMask([TaskID(9), TaskID(74)]).bits(of: run) == 0)
        #expect(SweepMask([TaskID(10), TaskID(73), TaskID(12)]).bits(of: run) == 1 << 63 | 0b101 as UInt64)
        #expect(SweepMask([TaskID(4)]).bits(of: .test(5, count: 2, parent: 3)) == 0)
    }
}
