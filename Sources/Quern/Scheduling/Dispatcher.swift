// SPDX-License-Identifier: Apache-2.0
import DequeModule
import HeapModule
import QuernStore

/// Who does what next: the single authority on which queue or worker a task without an outcome belongs to.
///
/// A plain state machine: events go in as calls of mutating methods, what is to be done comes out of
/// ``takeEffects()``. It does no I/O, reads no clock and starts nothing; ``SchedulerCore`` holds it behind a lock
/// and performs the effects. All calls but those that say otherwise take constant time per run of up to 64 tasks.
///
/// Where a task without an outcome can be:
/// - in `queues`: to be executed or finalized
/// - in a lane: to be cancelled
/// - in `fails`, as a fail-fast parent whose end is decided
/// - in `delayed`, until its time comes
/// - in `dependencies`, until others have ended
/// - in `held`, because no handler is registered for its type, or in `heldParents`, when that is so of a parent
/// - with a worker, in `inFlight`
/// - in `waiting`, as a parent of children
/// - in `early`, as a parent that is to be cancelled once its children have ended
/// - in a transaction that is on its way to the store
struct Dispatcher {
    struct Limits: Sendable {
        /// Workers at a time, in all lanes.
        var concurrency = 16
        /// Work per pull that the size of a pull aims at.
        var pullTarget = Duration.microseconds(200)
        /// No pulls are given out while this much waits to be committed.
        var uncommittedBytes = 32 << 20
        var uncommittedTransactions = 64
        /// Cancelled tasks in one transaction.
        var cancelledPerPull = 4096
        /// How long tasks wait to be treated as one level better; nil for never.
        var aging: Duration?
        /// How many levels better a task must be to have one that runs give way; nil for never.
        var preemption: UInt8?
        /// What is not started under pressure.
        var throttle = ThrottlePolicy([])
        /// Of all tasks.
        var ioBudget: ByteBudget?
    }

    typealias WorkerID = UInt64

    /// One place where handlers run.
    struct Lane {
        var cancels: Deque<ReadyRun> = []
        /// Workers that exist, and those of them that have not asked for a pull yet.
        var workers = 0
        var starting = 0
    }

    struct Delayed: Comparable, Sendable {
        enum Item: Sendable {
            case tasks(ReadyRun)
            case finalize(TaskID)

            /// How many tasks.
            var count: Int {
                switch self {
                case .tasks(let tasks): tasks.count
                case .finalize: 1
                }
            }
        }
        var due: Timestamp
        /// FIFO among equals.
        var number: UInt64
        var item: Item

        static func < (left: Delayed, right: Delayed) -> Bool {
            (left.due, left.number) < (right.due, right.number)
        }
        static func == (left: Delayed, right: Delayed) -> Bool { left.number == right.number }
    }

    struct InFlight: Sendable {
        var pull: Pull
        var place: HandlerPlace
        /// What was left unstarted at the last tick, and for how many ticks it has been so.
        var lastRemaining: UInt64 = .max
        var idleTicks = 0
        /// The tasks of the pull that the note on disk names.
        var noted: [TaskID] = []
        /// Whether it was told to give way.
        var isPreempted = false
        /// Whether the worker's Swift task is cancelled, or will be.
        var isCancelled = false
    }

    var limits: Limits
    /// By the raw value of the label; nil for labels that no handler is registered for.
    let facts: [TypeFacts?]

    /// The time of the event that is told next.
    var now = Timestamp(milliseconds: 0)
    var isRunning = false
    var queues: ReadyQueues
    var limiters: LimiterTable
    private(set) var throttle: Throttle
    var cooperative = Lane()
    var threads = Lane()
    var delayed = Heap<Delayed>()
    var dependencies = DependencyTable()
    var deadlines = DeadlineTable()
    var held: [ReadyRun] = []
    /// Parents of types without a handler, all of whose children have ended. They are in `waiting`, too.
    var heldParents: Set<TaskID> = []
    /// On threads.
    var fails: Deque<WaitingParent> = []
    var inFlight: [WorkerID: InFlight] = [:]
    /// Workers whose Swift task is cancelled on behalf of their last pull, perhaps only in a moment: they get no other.
    var cancelledWorkers: Set<WorkerID> = []
    var waiting: [TaskID: WaitingParent] = [:]
    /// Parents whose `execute` has not committed: each has its place elsewhere, too, unless it is to be cancelled.
    var early: [TaskID: EarlyParent] = [:]

    /// How many children that completed live tasks keep of those that they redrive.
    var keptChildren: [TaskID: UInt64] = [:]

    /// Tasks that are to be cancelled with all below them, as long as they have no outcome.
    var doomed: Set<TaskID> = []
    /// The outcomes of doomed tasks that are not to end as cancelled.
    var cancelKinds: [TaskID: OutcomeKind] = [:]
    /// Tasks that got another priority than they were spawned with, as long as they have no outcome.
    var priorities: [TaskID: UInt8] = [:]
    /// Doomed tasks that may still be in a queue, and parents that fail, whose children may: one pass for all takes
    /// them out.
    var unswept: [TaskID] = []
    var unsweptFailing: [TaskID] = []
    /// What the pulls since the last such pass make up for.
    var sweepCredit = 0
    /// Fail-fast parents of which a child failed: their children are to be cancelled.
    var failing: Set<TaskID> = []

    var sizes: PullSizes
    var uncommittedBytes = 0
    var uncommittedTransactions = 0
    /// When transactions that found no space in the store are tried again; nil while there is space.
    var stallEnd: Timestamp?
    var isStalled: Bool { stallEnd != nil }
    var endedCount: UInt64 = 0
    var nextWorker: WorkerID = 1
    /// Workers whose handlers wait for children of their tasks to end: they leave their places to those.
    var parked = 0
    var nextNumber: UInt64 = 0
    /// Pulls that are still noted on disk before they run, because a crash may have cost the last process its life.
    var carefulPulls = 0
    /// How much is done aside whose results the dispatcher will hear of.
    var questionsUnderWay = 0
    var effects = Effects()

    init(facts: [TypeFacts?], limits: Limits = Limits()) {
        self.facts = facts
        self.limits = limits
        sizes = PullSizes(count: facts.count, target: limits.pullTarget)
        queues = ReadyQueues(aging: limits.aging.map(Aging.init(interval:)))
        throttle = Throttle(limits.throttle)
        limiters = LimiterTable(facts, throttle, limits.ioBudget, in: &queues)
    }

    func facts(of label: Label) -> TypeFacts? {
        let index = Int(label.rawValue)
        return index < facts.count ? facts[index] : nil
    }

    /// Where a label's work is done. Cancelled tasks of unknown types need no handler.
    func place(of label: Label) -> HandlerPlace { facts(of: label)?.place ?? .cooperative }

    subscript(place: HandlerPlace) -> Lane {
        _read {
            switch place {
            case .cooperative: yield cooperative
            case .threads: yield threads
            }
        }
        _modify {
            switch place {
            case .cooperative: yield &cooperative
            case .threads: yield &threads
            }
        }
    }
}

// MARK: - Tasks come in

extension Dispatcher {
    /// Tasks were spawned, committed and not tried yet.
    ///
    /// - Parameters:
    ///   - attributes: what they were spawned with.
    ///   - absent: a bit for each number of the run that is no task.
    mutating func spawned(_ run: SpawnRun, attributes: [UInt8] = [], absent: UInt64 = 0) {
        var entry = makeReady(run, run.allBits & ~absent)
        if attributes.isEmpty { return admit(entry, isNew: true) }
        guard let attributes = read(attributes, into: &entry) else { return admit(entry, isNew: true, isHeld: true) }
        arrive(entry, attributes, isNew: true)
    }

    /// Tasks as their type says that they are.
    func makeReady(_ run: SpawnRun, _ bits: UInt64) -> ReadyRun {
        ReadyRun(run: run, bits: bits, ioBytes: facts(of: run.label)?.ioBytes ?? 0)
    }

    /// What the attributes of tasks mean for where they belong. Call it once when they come.
    ///
    /// - Returns: nil when they cannot be understood.
    mutating func read(_ bytes: [UInt8], into entry: inout ReadyRun) -> TaskAttributes? {
        guard let attributes = try? TaskAttributes(decoding: bytes) else { return nil }
        if let group = attributes.group {
            entry.group = limiters.groups.number(of: group, in: &queues)
            limiters.groups.count(entry.count, in: entry.group)
        }
        if let expected = attributes.expectedIO { entry.ioBytes = expected.total }
        entry.isTimedByAttempt = attributes.attemptLimit != nil
        // Each has its own: it is of a run of one.
        if attributes.kept > 0 { keptChildren[entry.run.firstID] = attributes.kept }
        if let due = attributes.deadline(ofSpawnAt: entry.run.submittedAt) {
            deadlines.add(entry.bits, of: entry.run.firstID, due: due)
        }
        return attributes
    }

    /// Puts tasks where they belong now.
    ///
    /// - Parameters:
    ///   - isNew: whether they cannot have been cancelled one by one.
    ///   - since: since when they had been ready before, so that they go before the others again; nil for others.
    ///   - isHeld: whether they cannot run, whatever handlers there are.
    mutating func admit(
        _ entry: ReadyRun, isNew: Bool = false, backSince since: Timestamp? = nil, isHeld: Bool = false
    ) {
        var entry = entry
        cancelDoomed(&entry, isNew: isNew)
        guard entry.bits != 0 else { return }
        guard !isHeld, facts(of: entry.run.label) != nil else { return held.append(entry) }
        enqueue(entry, backSince: since)
    }

    /// Takes out the tasks that are to be cancelled.
    mutating func cancelDoomed(_ entry: inout ReadyRun, isNew: Bool) {
        var mask: UInt64 = 0
        if cancelsChildren(of: entry.run.parent) {
            mask = entry.bits
        } else if !isNew, !doomed.isEmpty {
            for index in BitIndexes(entry.bits) where doomed.contains(entry.run.id(at: index)) {
                mask |= 1 << UInt64(index)
            }
        }
        if mask != 0 { enqueueCancel(entry.take(mask)) }
    }

    /// Has tasks wait for a worker.
    mutating func enqueue(_ entry: ReadyRun, finalizes: Bool = false, backSince since: Timestamp? = nil) {
        var entry = entry
        if !priorities.isEmpty {
            entry.priority = entry.run.priority
            for index in BitIndexes(entry.bits) {
                guard let priority = priorities[entry.run.id(at: index)] else { continue }
                var single = entry.take(1 << UInt64(index))
                single.priority = priority
                addToFlow(single, finalizes, since)
            }
        }
        if entry.bits != 0 { addToFlow(entry, finalizes, since) }
    }

    private mutating func addToFlow(_ entry: ReadyRun, _ finalizes: Bool, _ since: Timestamp?) {
        let key = Flow.Key(
            place: finalizes ? .threads : place(of: entry.run.label), label: entry.run.label,
            group: entry.group, finalizes: finalizes, isSuspect: entry.crashes > 0,
            throttle: throttle.level(of: entry.priority), takesBytes: entry.ioBytes > 0)
        queues.add(entry, to: key, limiters.set(of: key, in: &queues), backSince: since, now: now)
    }

    mutating func enqueueCancel(_ entry: ReadyRun) {
        var entry = entry
        if !early.isEmpty { holdBackParents(&entry) }
        if entry.bits != 0 { self[place(of: entry.run.label)].cancels.append(entry) }
    }

    mutating func delay(_ item: Delayed.Item, until due: Timestamp) {
        nextNumber += 1
        delayed.insert(Delayed(due: due, number: nextNumber, item: item))
    }

    /// Time has passed: what was delayed until ``now`` or before is ready.
    mutating func timePassed() {
        while let first = delayed.min, first.due <= now {
            delayed.removeMin()
            switch first.item {
            case .tasks(let entry): admit(entry)
            case .finalize(let id): if let parent = waiting[id] { decide(parent, fails: false) }
            }
        }
        takeOverdue()
        queues.timePassed(until: now)
    }
}

// MARK: - Pressure

extension Dispatcher {
    /// How many workers may be busy at a time.
    var concurrency: Int { throttle.limit(limits.concurrency) }

    /// The pressure is another.
    ///
    /// - Returns: whether something else is held back than before.
    /// - Complexity: O(steps), and O(log flows) for each flow that is held back no longer.
    mutating func pressureChanged(to pressure: Double) -> Bool {
        guard throttle.note(pressure) else { return false }
        for (index, limiter) in limiters.throttles.enumerated() {
            let end = throttle.holds(UInt16(index + 1)) ? Timestamp(milliseconds: .max) : nil
            queues.update(limiter, now: now) { $0.pausedUntil = end }
        }
        return true
    }
}
