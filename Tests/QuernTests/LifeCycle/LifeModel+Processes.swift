// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import Quern
@testable import QuernStore

/// Processes end in order, at once, or by a crash, and the next one begins with what is left.
extension LifeModel {
    /// Has a process that was opened take over, when all is there that must be.
    func begin(_ process: LifeProcess) async throws {
        let core = process.core
        world.with { reference in
            for kind in Script.Kind.allCases {
                guard let label = core.store.knownLabel(for: kind.type.name) else { continue }
                reference.labels[kind] = label
                reference.kinds[label] = kind
            }
        }
        try process.look(isFirst: true)
        checkValues(process)
        await process.run()
        try await process.settle()
        if !process.isOver { try process.look() }
        try check()
    }

    private func checkValues(_ process: LifeProcess) {
        let now = process.clock.now
        let found = Dictionary(uniqueKeysWithValues: process.scheduler.pauses.map { ($0.scope, $0.end) })
        world.with { reference in
            let expected = reference.pauses.filter { $0.value > now }
            let differ = Set(found.keys).union(expected.keys).filter { found[$0] != expected[$0] }
            // Those that were over before the clock was set back may be no more.
            let isOver = { [latest = reference.latest] (scope: LimitScope) in
                [found[scope], expected[scope]].allSatisfy { $0.map { $0 <= latest } ?? true }
            }
            if !differ.subtracting(reference.uncertainPauses).allSatisfy(isOver) {
                reference.report("pauses \(found) after a restart, and \(expected) before")
            }
            reference.pauses = found
            reference.uncertainPauses = []
            for id in reference.uncertainAgain {
                reference.tasks[id]?.wasRunAgain = Resubmissions.isMarked(id, in: process.core.store)
            }
            reference.uncertainAgain = []
        }
    }

    /// Opens the store again, after some time and maybe with a type missing.
    private mutating func reopen(_ files: SimulatedFileSystem) async throws {
        if random.chance(1, in: 3) {
            // Somebody may have set the clock back.
            let gap = Int64(random.below(8000)) - (random.chance(1, in: 4) ? 6000 : 0)
            world.with { $0.latest = max($0.latest, process.clock.now) }
            process.clock.set(Timestamp(milliseconds: process.clock.now.rawValue + gap))
        }
        let knowsRare = random.chance(3, in: 4)
        if !knowsRare { note("without rare") }
        try await start(files, knowsRare: knowsRare)
    }

    mutating func start(_ files: SimulatedFileSystem, knowsRare: Bool) async throws {
        world.with { reference in
            reference.forgetCalls()
            reference.knowsRare = knowsRare
        }
        process = try await openUnderFaults(files, knowsRare: knowsRare)
        // The machine stopped at the last call.
        if process.isOver { return try await recover() }
        try await begin(process)
    }

    mutating func open(_ files: SimulatedFileSystem, knowsRare: Bool) async throws -> LifeProcess {
        try await LifeProcess.open(
            world, configuration, files: files, clock: process.clock, knowsRare: knowsRare, seed: random.next())
    }

    mutating func stop() async throws {
        let error = await process.stop(cancelled: false)
        // A store that could not be closed is as one whose process died.
        if process.isOver || error != nil && tally != nil { return try await recover() }
        if let error { throw error }
        await checkEvents()
        try await reopen(process.files)
    }

    mutating func stopAtOnce() async throws {
        let error = await process.stop(cancelled: true)
        if process.isOver { return try await recover() }
        if tally != nil, !(error is CancellationError) { return try await recover() }
        guard error is CancellationError else { throw Trouble("stopped at once, with \(error as Any)") }
        try await reopen(process.files)
    }

    /// The process dies, if it has not yet, and with it what the machine had not written.
    mutating func recover() async throws {
        note("crash")
        let policies: [CrashPolicy] = [.keepAll, .dropAll, .random(seed: random.next())]
        sweep?.noteCrash(process.files)
        try await reopen(await process.kill(keeping: sweep?.policy ?? random.pick(policies)))
    }

    /// Until a process lives on: where each one ends by itself, none ever will.
    mutating func recoverWhileOver() async throws {
        var deaths = 0
        while process.isOver {
            deaths += 1
            if deaths > 20 { throw Trouble("one process after the other ends") }
            try await recover()
        }
    }

    /// Everything ends, once nothing holds it back: first without the rare type, then with it.
    mutating func finish() async throws {
        for knowsRare in [false, true] {
            log.append("finish")
            try await recoverWhileOver()
            process.files.faults = FaultPlan()
            process.stage.die(inCalls: nil)
            if let error = await process.stop(cancelled: false) {
                // A store that failed beside its callers says so when it is closed, once.
                guard tally != nil, !knowsRare else { throw error }
                try await recover()
                if let error = await process.stop(cancelled: false) { throw error }
            }
            try await start(process.files, knowsRare: knowsRare)
            process.stage.open(forGood: true)
            for pause in process.scheduler.pauses {
                world.with { $0.pauses[pause.scope] = nil }
                try await process.scheduler.resume(pause.scope)
            }
            var times = 0
            try await process.settle()
            while let due = process.scheduler.nextDue, times < 10_000 {
                times += 1
                if due > process.clock.now { process.clock.set(due) }
                try await process.settle()
            }
            try process.look(isWhole: true)
            try check()
        }
        let live = world.with { reference in reference.live.sorted().map(reference.describe) }
        if !live.isEmpty { throw Trouble("at rest there live \(live)") }
        try await process.core.store.compact()
        try process.look(isWhole: true)
        if let error = await process.stop(cancelled: false) { throw error }
        await checkEvents()
        try check()
    }

    /// Each task that ended was told of, once, and nobody else.
    private func checkEvents() async {
        var ended: [TaskID: [OutcomeKind]] = [:]
        var missed: UInt64 = 0
        while let event = await process.events.next() {
            missed += event.missed
            if case .ended(let kind) = event.kind { ended[event.task, default: []].append(kind) }
        }
        world.with { [ended, missed] reference in
            if missed > 0 { reference.report("\(missed) events were missed") }
            for (id, kinds) in ended.sorted(by: { $0.key < $1.key }) {
                guard let outcome = reference.tasks[id]?.outcome else { continue }
                if kinds != [outcome.kind] { reference.report("\(reference.describe(id)) was told to end as \(kinds)") }
            }
            for (id, record) in reference.tasks where record.endedHere && ended[id] == nil {
                reference.report("nobody was told of the end of \(reference.describe(id))")
            }
        }
    }
}
