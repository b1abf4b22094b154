// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernTesting

@testable import Quern
@testable import QuernStore

/// One life of a store: processes that come and go, what is asked of their schedulers, and the reference beside. The
/// seed fixes all of it but what commits share a batch; without faults one seed in four has handlers that run side by
/// side.
struct LifeModel {
    /// What a step does: a case, its weight, and its function in `take`.
    enum Operation: CaseIterable {
        case submit, submitMany, submitGraph, advance, open
        case cancel, cancelMany, setPriority, pause, resume
        case setConcurrency, setRate, setWeight
        case resubmit, resubmitAll, redrive, retain, compact
        case read, stop, stopAtOnce, crash, crashSoon, crashInHandler, look
        case failCall, fillDisk, mend, damage

        var weight: Int {
            switch self {
            case .submit: 22
            case .submitMany: 4
            case .submitGraph: 2
            case .advance: 22
            case .open: 6
            case .cancel: 6
            case .cancelMany: 3
            case .setPriority: 2
            case .pause: 4
            case .resume: 5
            case .setConcurrency: 3
            case .setRate: 3
            case .setWeight: 1
            case .resubmit: 3
            case .resubmitAll: 1
            case .redrive: 5
            case .retain: 1
            case .compact: 2
            case .read: 4
            case .stop: 3
            case .stopAtOnce: 2
            case .crash: 4
            case .crashSoon: 4
            case .crashInHandler: 3
            case .look: 1
            case .failCall: 8
            case .fillDisk: 3
            case .mend: 6
            case .damage: 3
            }
        }

        /// Whether it belongs to lives on disks that fail.
        var isFault: Bool { [.failCall, .fillDisk, .mend, .damage].contains(self) }

        /// When its calls happen, for the coverage.
        var phase: FaultTally.Phase {
            switch self {
            case .compact, .retain: .compacting
            case .stop, .stopAtOnce: .stopping
            default: .running
            }
        }
    }

    let seed: UInt64
    var random: SeededGenerator
    var writer: ScriptWriter
    let world: LifeWorld
    var configuration = LifeConfiguration()
    var process: LifeProcess
    var log: [String] = []
    /// Counts what goes wrong, of a life on a disk that fails.
    let tally: FaultTally?
    /// What was counted before, of which files, and what goes on now.
    private var counted: (files: SimulatedFileSystem, reading: FaultTally.Reading)
    private(set) var phase = FaultTally.Phase.running
    /// What goes wrong where, of a life that is lived once for each place.
    var sweep: FaultSweep?
    /// Whether nothing goes wrong any more, so that everything comes to its end.
    var isFinishing = false
    /// Whether a fault was planned in this process that may end it: not only one of space, descriptors or memory.
    var hasLastingFault = false

    init(seed: UInt64, tally: FaultTally? = nil, sweep: FaultSweep? = nil) async throws {
        self.seed = seed
        self.tally = tally
        self.sweep = sweep
        random = SeededGenerator(seed: seed)
        writer = ScriptWriter(seed: seed ^ 0x5EED)
        let runsBeside = tally == nil && seed % 4 == 3
        configuration.scheduler.isSequential = !runsBeside
        configuration.scheduler.concurrency = runsBeside ? 3 : 1
        configuration.scheduler.logger.logLevel = .critical
        configuration.scheduler.crashLimit = random.pick([nil, 2, 3])
        if random.chance(1, in: 3) { configuration.scheduler.preemption = 20 }
        if random.chance(1, in: 3) { configuration.scheduler.aging = .milliseconds(100) }
        configuration.hasLeafHook = random.coin()
        configuration.maintains = runsBeside
        var store = MemoStore.Configuration()
        // Small, so that segments rotate, blocks are written early and checkpoints come often.
        store.logSegmentBytes = random.pick([4, 16, 64]) << 10
        store.logReserveBytes = random.pick([0, 700])
        store.reserveBytes = 0
        store.indexSegmentBytes = random.pick([8, 64]) << 10
        store.openBlockBytes = random.pick([2, 64]) << 10
        store.checkpointBytes = random.pick([4, 20]) << 10
        store.payloadCacheBytes = random.pick([1, 64]) << 10
        // A thread of its own waits for that, as long as no seed says.
        store.vouchDelay = nil
        store.startThread = { $0() }
        store.identity = StoreIdentity(high: seed, low: 1)
        configuration.scheduler.store = store
        var reference = LifeReference()
        reference.isExact = !runsBeside
        reference.mayPreempt = configuration.scheduler.preemption != nil
        reference.allPlaces = configuration.scheduler.concurrency
        reference.crashLimit = Int(configuration.scheduler.crashLimit ?? 0)
        world = LifeWorld(reference)
        let files = SimulatedFileSystem()
        counted = (files, files.reading())
        process = try await LifeProcess.open(
            world, configuration, files: files,
            clock: ManualClock(now: Timestamp(milliseconds: 1_700_000_000_000)), knowsRare: true, seed: seed)
        count(.opening, then: files)
        try await begin(process)
    }

    /// Takes random steps; then lets everything come to its end.
    ///
    /// - Parameter steps: their numbers. Each has random numbers of its own, so that fewer can replay a failure.
    /// - Throws: ``LifeFailure`` with the seed and the steps.
    mutating func run(steps: [Int]) async throws {
        let operations = Operation.allCases.filter { tally != nil || !$0.isFault }
        do {
            for number in steps {
                drawLots(number)
                let operation = random.pick(operations, weight: \.weight)
                try await take(operation, number)
            }
            isFinishing = true
            try await finish()
        } catch { throw await failed(error) }
    }

    /// Each step has random numbers of its own, whatever those before it drew.
    mutating func drawLots(_ number: Int) {
        var lots = SeededGenerator(seed: seed &+ UInt64(number) << 32)
        writer.random = lots.fork()
        random = lots.fork()
    }

    mutating func take(_ operation: Operation, _ number: Int) async throws {
        log.append("\(number) \(operation)")
        try await step(operation.phase) { (model) in try await model.take(operation) }
    }

    func failed(_ error: any Error) async -> LifeFailure {
        process.stage.die()
        await process.stop(cancelled: true)
        return LifeFailure(seed: seed, log: log, error: error)
    }

    mutating func step(
        _ phase: FaultTally.Phase = .running, _ body: (inout LifeModel) async throws -> Void
    ) async throws {
        // The machine may have stopped in the last moment of the step before.
        try await recoverWhileOver()
        self.phase = phase
        do { try await body(&self) } catch {
            guard isForgiven(error) else { throw error }
            note("\(error)")
        }
        try await process.settle()
        count(phase, then: process.files)
        if !process.isOver { try process.look() }
        if process.isOver {
            try checkFailure()
            try await recover()
        }
        try check()
    }

    /// Counts what went wrong since the last time, and goes on with these files.
    mutating func count(_ phase: FaultTally.Phase, then files: SimulatedFileSystem) {
        let couldFail = sweep?.isAhead(on: counted.files) ?? true
        tally?.add(counted.files, since: counted.reading, in: phase, couldFail: couldFail)
        counted = (files, files.reading())
    }

    /// A scheduler does not end by itself for what will be over.
    private func checkFailure() throws {
        guard let failure = process.failure, !hasLastingFault else { return }
        // A sync that failed leaves in doubt what is on disk, a lock that cannot be looked at who may write there.
        let fired = process.files.faultsFiredByCall
        if FaultTally.doubts.allSatisfy({ fired[$0] == nil }) { throw Trouble("it ended for \(failure)") }
    }

    /// Whether what was asked may have failed: the process is over, or its disk fails.
    private func isForgiven(_ error: any Error) -> Bool {
        guard let cause = (error as? SchedulerError)?.cause ?? error as? StoreError else {
            return process.isOver && error is SchedulerError
        }
        return process.isOver || tally != nil && (cause.isTransient || cause.code == .inputOutput)
    }

    func check() throws {
        let violations = world.with { $0.violations }
        if !violations.isEmpty { throw Trouble(violations.joined(separator: "\n  ")) }
    }

    mutating func note(_ text: String) { log[log.count - 1] += " " + text }

    private mutating func take(_ operation: Operation) async throws {
        switch operation {
        case .submit: try await submit()
        case .submitMany: try await submitMany()
        case .submitGraph: try await submitGraph()
        case .advance: try await advance(by: random.below(random.chance(1, in: 4) ? 10_000 : 1500))
        case .open: process.stage.open()
        case .cancel: try await cancel()
        case .cancelMany: try await cancelMany()
        case .setPriority: try await setPriority()
        case .pause: try await pause()
        case .resume: try await resume()
        case .setConcurrency: try setConcurrency()
        case .setRate: try setRate()
        case .setWeight: setWeight()
        case .resubmit: try await resubmit()
        case .resubmitAll: try await resubmitAll()
        case .redrive: try await redrive()
        case .retain: try await retain()
        case .compact: try await process.core.store.compact()
        case .read: try await read()
        case .stop: try await stop()
        case .stopAtOnce: try await stopAtOnce()
        case .crash: try await recover()
        case .crashSoon: process.files.faults = .crashing(afterCall: 1 + random.below(40))
        case .crashInHandler: process.stage.die(inCalls: 1 + random.below(12))
        case .look: try process.look(isWhole: true)
        case .failCall: failCall()
        case .fillDisk: fillDisk()
        case .mend: try await mend()
        case .damage: try damage()
        }
    }

    /// Moves the clock on, and stops at each time that something waits for.
    mutating func advance(by milliseconds: Int) async throws {
        let clock = process.clock
        let end = Timestamp(milliseconds: clock.now.rawValue + Int64(milliseconds))
        note("\(milliseconds)")
        while !process.isOver, let due = process.scheduler.nextDue, due <= end {
            if due > clock.now { clock.set(due) }
            try await process.settle()
        }
        if !process.isOver, end > clock.now { clock.set(end) }
    }
}

struct LifeFailure: Error, CustomStringConvertible {
    var seed: UInt64
    var log: [String]
    var error: any Error

    var description: String {
        "seed \(seed), after \(log.count) steps: \(error)\n  steps: \(log.joined(separator: ", "))"
    }
}

extension SeededGenerator {
    mutating func pick<Element>(_ elements: [Element], weight: (Element) -> Int) -> Element {
        var lot = below(elements.reduce(0) { $0 + weight($1) })
        for element in elements {
            lot -= weight(element)
            if lot < 0 { return element }
        }
        return elements[0]
    }
}
