// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage

@testable import Quern
@testable import QuernStore

/// How the schedulers of one life are made.
struct LifeConfiguration: Sendable {
    var scheduler = TaskScheduler.Configuration()
    var hasLeafHook = false
    /// Whether an aggregate is kept up to date in the background, which no seed replays.
    var maintains = false
}

/// One process: a scheduler on a store, its handlers, and who listens to both.
final class LifeProcess: Sendable {
    let world: LifeWorld
    let stage: LifeStage
    let scheduler: TaskScheduler
    let files: SimulatedFileSystem
    let clock: ManualClock
    let events: EventReader
    private let spy: CommitSpy
    private let service = Mutex<Task<Void, any Error>?>(nil)
    private let remains: Mutex<SimulatedFileSystem?>

    var core: SchedulerCore { scheduler.core }
    /// What is left of the files, once the process has died in a handler.
    var remainsOfCrash: SimulatedFileSystem? { remains.withLock { $0 } }

    /// Opens the store, and runs nothing yet.
    ///
    /// - Parameter seed: of what a crash in a handler leaves.
    static func open(
        _ world: LifeWorld, _ configuration: LifeConfiguration, files: SimulatedFileSystem, clock: ManualClock,
        knowsRare: Bool, seed: UInt64
    ) async throws -> LifeProcess {
        let picture = Picture()
        let stage = LifeStage(world) { picture.take() }
        var settings = configuration.scheduler
        settings.fileSystem = files
        settings.clock = clock
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: settings) {
            if configuration.hasLeafHook {
                $0.register(LifeHookedLeafHandler(stage: stage), retry: Script.Kind.leaf.retry)
            } else {
                $0.register(LifeLeafHandler(stage: stage), retry: Script.Kind.leaf.retry)
            }
            register(FailFastBranch.self, in: &$0, stage)
            register(TolerantBranch.self, in: &$0, stage)
            register(BudgetBranch.self, in: &$0, stage)
            if knowsRare { register(RareBranch.self, in: &$0, stage) }
            if configuration.maintains { $0.maintain(LeafTotals.aggregate, under: LifeTask<TolerantBranch>.self) }
        }
        return LifeProcess(world, stage, scheduler, files, clock, picture, seed)
    }

    private static func register<Kind: BranchKind>(
        _ kind: Kind.Type, in registry: inout Registry, _ stage: LifeStage
    ) {
        registry.register(
            LifeBranchHandler<Kind>(stage: stage), retry: Kind.kind.retry, onChildFailure: Kind.kind.policy)
    }

    /// Takes the picture that a crash leaves, when a handler says so.
    private final class Picture: Sendable {
        private let body = Mutex<(@Sendable () -> Void)?>(nil)
        func set(_ body: @escaping @Sendable () -> Void) { self.body.withLock { $0 = body } }
        func take() { body.withLock { $0 }?() }
    }

    private init(
        _ world: LifeWorld, _ stage: LifeStage, _ scheduler: TaskScheduler, _ files: SimulatedFileSystem,
        _ clock: ManualClock, _ picture: Picture, _ seed: UInt64
    ) {
        self.world = world
        self.stage = stage
        self.scheduler = scheduler
        self.files = files
        self.clock = clock
        spy = CommitSpy(scheduler.core)
        events = scheduler.core.events.add(capacity: 1 << 20, types: nil)
        remains = Mutex(nil)
        scheduler.core.store.setObserver(spy)
        picture.set { [weak self] in self?.crash(keeping: .random(seed: seed)) }
    }

    func run() async {
        let scheduler = scheduler
        service.withLock { $0 = Task { try await scheduler.run() } }
        while core.read({ $0.phase == .idle }) { await Task.yield() }
    }

    // MARK: - At rest

    /// Returns when nothing moves any more but for handlers that hang, or when the store has failed.
    ///
    /// - Throws: when that never comes.
    func settle() async throws {
        for _ in 0..<Self.mostLooks {
            if isSettled {
                if core.read({ $0.dispatcher.isStalled }) { world.with { $0.hasStalled = true } }
                return
            }
            await Task.yield()
        }
        let state = core.read { "\($0.phase), due \($0.nextDue as Any), \(Self.describe($0.dispatcher))" }
        throw Trouble("no rest at \(clock.now): \(state), hanging \(stage.hanging)")
    }

    /// So often that whoever moves at all has come to rest.
    private static let mostLooks = 2_000_000

    private static func describe(_ dispatcher: borrowing Dispatcher) -> String {
        let flights = dispatcher.inFlight.values.map { flight in
            "\(flight.pull.work), \(flight.pull.claims.remaining) left, "
                + "interrupted: \(flight.pull.claims.isInterrupted)"
        }
        return "\(dispatcher.statistics), \(dispatcher.workerCount) workers, \(dispatcher.parked) parked, "
            + "\(dispatcher.uncommittedTransactions) uncommitted, \(dispatcher.questionsUnderWay) asked, \(flights)"
    }

    private var isSettled: Bool {
        // A process that has not begun to run may be over as well.
        if core.read({ $0.phase == .idle }) { return isOver }
        return core.read { state in
            // Counted while no pull can come or go: one that ended would be taken for the next one.
            let hanging = stage.hanging.count
            if state.failure != nil || state.phase == .stopping || state.phase == .stopped { return true }
            let dispatcher = state.dispatcher
            guard state.phase == .running, dispatcher.uncommittedTransactions == state.stalled.commits.count,
                dispatcher.questionsUnderWay == 0, state.nextDue.map({ $0 > clock.now }) ?? true
            else { return false }
            return dispatcher.workerCount == dispatcher.inFlight.count
                && dispatcher.inFlight.count == hanging + dispatcher.parked
                && dispatcher.inFlight.values.allSatisfy {
                    !$0.pull.claims.isInterrupted && $0.pull.claims.remaining == 0
                }
        }
    }

    /// Whether the machine has stopped, or the process has died.
    var isOver: Bool { files.isStopped || remainsOfCrash != nil || core.read { $0.failure != nil } }
    /// Why it ended by itself.
    var failure: StoreError? { files.isStopped || remainsOfCrash != nil ? nil : core.read { $0.failure } }

    /// Looks at the store, and compares. What works beside all this, as a compaction, may be what reaches the crash
    /// point in the middle of it: then nothing was seen.
    func look(isFirst: Bool = false, isWhole: Bool = false) throws {
        do { try files.suspendingFaults { try see(isFirst: isFirst, isWhole: isWhole) } } catch {
            guard files.isStopped else { throw error }
        }
    }

    private func see(isFirst: Bool, isWhole: Bool) throws {
        let news = spy.take()
        let isStalled = core.read { $0.dispatcher.isStalled }
        world.with { reference in
            reference.isStalled = isStalled
            reference.hear(news)
        }
        let touched = Set(news.statuses.keys).union([.none])
        let view = try LifeView(of: core.store, world, touched: touched, isWhole: isWhole || isFirst)
        world.with { $0.see(view, isFirst: isFirst) }
        if isFirst { return world.with { $0.begin(view) } }
        let rest = rest()
        world.with { $0.checkRest(view, rest) }
    }

    private func rest() -> LifeRest {
        let now = clock.now
        let byType = scheduler.statisticsByType()
        return core.read { state in
            let dispatcher = state.dispatcher
            var rest = LifeRest(
                now: now, nextDue: state.nextDue, running: [], suspects: [],
                hasPlace: dispatcher.busyWorkers < dispatcher.limits.concurrency,
                isRunning: dispatcher.isRunning && !dispatcher.isStalled,
                statistics: dispatcher.statistics,
                byType: byType)
            for flight in dispatcher.inFlight.values {
                rest.running.formUnion(dispatcher.tasks(of: flight.pull))
                if dispatcher.isSuspect(flight.pull) { rest.suspects.formUnion(dispatcher.tasks(of: flight.pull)) }
            }
            return rest
        }
    }

    // MARK: - Ends

    /// The process is as good as dead from here on: what it does in the time that is left to it reaches nobody.
    private func crash(keeping policy: CrashPolicy) {
        stage.die()
        spy.goDeaf()
        let left = files.crash(keeping: policy)
        remains.withLock { $0 = $0 ?? left }
    }

    /// Kills the process at this moment, unless it has died before.
    ///
    /// - Returns: what is left of the files.
    func kill(keeping policy: CrashPolicy) async -> SimulatedFileSystem {
        crash(keeping: policy)
        let news = spy.take()
        world.with { reference in
            reference.hear(news)
            reference.die()
        }
        await stop(cancelled: true)
        return remainsOfCrash ?? files
    }

    /// Stops it in order, or at once, and tells how.
    @discardableResult
    func stop(cancelled: Bool) async -> (any Error)? {
        let service = service.withLock { $0 }
        if core.read({ $0.dispatcher.isStalled }) { world.with { $0.hasCrashed = true } }
        let fired = files.faultsFired
        if cancelled { service?.cancel() } else { scheduler.triggerGracefulShutdown() }
        stage.open(forGood: true)
        let result = await service?.result
        if service == nil { try? await scheduler.close() }
        // What could not be stored while it stopped is tried again by the next process.
        if files.faultsFired > fired { world.with { $0.hasCrashed = true } }
        let news = spy.take()
        if !stage.isDead { world.with { $0.hear(news) } }
        if case .failure(let error)? = result { return error }
        return nil
    }
}
