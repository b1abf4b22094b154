// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernStore
import Synchronization
import Tracing

/// The dispatcher's shell: holds the lock, starts and cancels workers, talks to the store and to the clock.
///
/// Every event takes the lock once, in ``perform(_:)``; the effects that the dispatcher asks for are carried out after
/// the lock is released.
final class SchedulerCore: CommitObserver {
    let store: MemoStore
    let types: TypeTable
    let keySecret: TaskKey.Secret
    let clock: any WallClock
    let logger: Logger
    let timeZoneFiles: any FileSystem
    let cancelHookLimit: Duration
    /// What the configuration says.
    let concurrency: Int
    /// Nil for no quarantine.
    let crashLimit: UInt8?
    /// For `finalize` and for handlers that block.
    let threads: ThreadPoolExecutor
    let events = EventHub()
    let observers: TypeObservers
    let progress = ProgressBoard()
    let aggregates: LiveAggregates
    let gauge: PressureGauge
    /// Nil when nothing is traced.
    let tracer: (any Tracer)?
    /// Held while what schedules spawn is handed to the store; taken before ``state``.
    let schedules = Mutex(ScheduleBook())
    private let state: Mutex<CoreState>
    /// Held while a note of the tasks in flight is made and handed to the store; taken before ``state``.
    let notes = Mutex(())
    /// Held while ended tasks are looked at and submitted again, so that each is but once.
    let resubmissions = Mutex(ResubmissionMarks())

    init(store: MemoStore, types: TypeTable, configuration: TaskScheduler.Configuration) {
        self.store = store
        self.types = types
        keySecret = store.keySecret
        clock = configuration.clock
        logger = configuration.logger
        timeZoneFiles = configuration.timeZoneFiles
        cancelHookLimit = configuration.cancelHookLimit
        crashLimit = configuration.crashLimit
        concurrency = configuration.isSequential ? 1 : Self.places(configuration.concurrency)
        threads = ThreadPoolExecutor(ThreadPool(limit: concurrency + 1))
        var limits = Dispatcher.Limits(
            concurrency: concurrency, uncommittedTransactions: 4 * max(16, concurrency),
            aging: configuration.aging.map { max($0, .milliseconds(1)) }, preemption: configuration.preemption,
            ioBudget: configuration.ioBudget)
        if configuration.isSequential {
            limits.pullTarget = .zero
            limits.uncommittedTransactions = 1
        }
        gauge = PressureGauge(configuration)
        if gauge.isUsed { limits.throttle = configuration.throttle }
        aggregates = LiveAggregates(types.maintained)
        tracer = types.tracer
        observers = TypeObservers(types, name: configuration.name, configuration.metrics)
        state = Mutex(CoreState(dispatcher: Dispatcher(facts: types.facts, limits: limits)))
    }

    /// How many workers that makes at most: "no limit" may come as any number.
    static func places(_ concurrency: Int) -> Int { min(max(1, concurrency), 1 << 20) }

    /// Passes an event to the dispatcher, and carries out what follows from it.
    @discardableResult
    func perform<Result: Sendable>(_ event: (inout CoreState) -> Result) -> Result {
        let now = clock.now
        let (result, followUp) = state.withLock { state in
            state.setTime(now)
            let result = event(&state)
            return (result, FollowUp(&state))
        }
        followUp.carryOut(self)
        return result
    }

    /// Reads the state; what is read may be old already.
    func read<Result: Sendable>(_ body: (borrowing CoreState) -> Result) -> Result {
        state.withLock { body($0) }
    }

    /// Whether a task is to be cancelled, and its outcome will say so.
    func isDoomed(_ id: TaskID, parent: TaskID) -> Bool {
        state.withLock { $0.dispatcher.isDoomed(id, parent: parent) }
    }

    /// Whether a task whose `execute` has not committed has children, or may have.
    func hasEarlyChildren(_ id: TaskID) -> Bool { state.withLock { $0.dispatcher.early[id] != nil } }

    /// What live tasks were spawned with; nil when that is nothing, or nothing that this version understands.
    func attributes(of run: SpawnRun) -> TaskAttributes? {
        let bytes = store.attributes(of: run)
        return bytes.isEmpty ? nil : try? TaskAttributes(decoding: bytes)
    }

    /// How often a task that failed is tried: as was said when it was spawned, else as its type says.
    func retryPolicy(of run: SpawnRun, else policy: RetryPolicy) -> RetryPolicy {
        attributes(of: run)?.retry ?? policy
    }

    // MARK: - Workers

    /// The life of a worker: pull after pull in one Swift task, until there is nothing to do or a handler was
    /// cancelled.
    func work(_ start: Dispatcher.Effects.Start, _ buffer: PullBuffer) async {
        let worker = Worker(id: start.worker, place: start.place, core: self, buffer: buffer)
        var pull = perform { $0.dispatcher.next(for: start.worker, at: start.place, isFirst: true) }
        while let current = pull {
            var report = await run(current, worker)
            if report.advanced != 0, case .execute(let entry) = current.work {
                let advanced = report.advanced
                perform { $0.dispatcher.advanced(entry, advanced) }
            }
            let (transaction, io) = buffer.take()
            report.io = io
            let told = report.events?.events ?? []
            if !transaction.isEmpty {
                report.transactionBytes = transaction.estimatedBytes
                commit(transaction, bytes: report.transactionBytes, events: told)
            } else if !told.isEmpty {
                // What they tell of went to the store while the pull's last task still ran.
                publishBehindCommits(told)
            }
            observe(current, report)
            let final = report
            // A Swift task stays cancelled, so that the next pull needs another: the dispatcher knows of what it
            // cancels, and not of a handler that cancels the task that it runs in.
            let isCancelled = Task.isCancelled
            pull = perform { state in
                if isCancelled { state.dispatcher.cancelledWorkers.insert(worker.id) }
                state.dispatcher.finished(worker.id, final)
                return state.dispatcher.next(for: worker.id, at: worker.place)
            }
        }
        perform { $0.workers[worker.id] = nil }
    }

    private func run(_ pull: Pull, _ worker: Worker) async -> PullReport {
        if pull.isNoted {
            let noted = await withCheckedContinuation { continuation in
                noteInFlight { continuation.resume(returning: $0) }
            }
            // Without space for it the task runs unnoted: its outcome will wait for space, the note need not.
            if case .failure(let error) = noted, !error.isTransient { storeFailed(error) }
        }
        switch pull.work {
        case .execute(let entry):
            guard let runner = types.runner(of: entry.run.label) else { return PullReport() }
            return await runner.execute(entry, claims: pull.claims, worker: worker)
        case .finalize(let parent):
            guard let runner = types.runner(of: parent.run.label) else { return PullReport() }
            return await runner.finalize(parent, claims: pull.claims, worker: worker)
        case .failParent(let parent):
            return FailFast(parent: parent, core: self).run(in: worker.buffer)
        case .cancel(let entries):
            return await cancel(entries, pull, in: worker.buffer)
        }
    }

    /// Ends tasks as cancelled: hooks first, then the outcomes, so that a crash in between repeats the hooks.
    private func cancel(_ entries: [ReadyRun], _ pull: Pull, in buffer: PullBuffer) async -> PullReport {
        var report = PullReport(events: events.isObserved ? EventCollector() : nil)
        var remains: [[Int: [UInt8]]] = []
        do {
            for entry in entries {
                remains.append(pull.leavesRemains ? try self.remains(of: entry.run, entry.bits) : [:])
            }
            for entry in entries {
                guard let runner = types.runner(of: entry.run.label), runner.facts.hasCancelHook else { continue }
                try await runner.runCancelHooks(entry, core: self)
            }
        } catch {
            readFailed(error)
            report.givenBack = .max
            return report
        }
        let now = clock.now
        buffer.abandon { transaction in
            for (entry, remains) in zip(entries, remains) {
                report.events?.type = types.type(of: entry.run.label)
                for index in BitIndexes(entry.bits) {
                    let id = entry.run.id(at: index)
                    let kind = pull.cancelKinds[id] ?? .cancelled
                    let outcome = Transaction.Outcome(
                        task: id, parent: entry.run.parent, label: entry.run.label, kind: kind,
                        attempts: entry.attempts, endedAt: now)
                    transaction.end(cancelled: outcome, leaving: remains[index] ?? [])
                    report.ended[kind] += 1
                    report.events?.add(.ended(kind), outcome)
                }
            }
        }
        return report
    }
}
