// SPDX-License-Identifier: Apache-2.0
import DequeModule
import HeapModule
import QuernStore

extension Dispatcher {
    /// What the shell has to do, in any order, once the lock is released.
    struct Effects: Sendable {
        struct Start: Sendable, Equatable {
            var worker: WorkerID
            var place: HandlerPlace
        }

        /// Of tasks that came together.
        struct Need: Sendable {
            var run: SpawnRun
            var dependencies: [TaskDependency]
        }

        /// Workers to start.
        var starts: [Start] = []
        /// Workers whose Swift task is to be cancelled.
        var cancellations: [WorkerID] = []
        /// The note on disk of the tasks in flight says something else by now.
        var changesNote = false
        /// Tasks that are to be cancelled as expired, durably, unless they have ended.
        var overdue: [TaskID] = []
        /// Tasks whose ends the dispatcher wants to hear of.
        var questions: [TaskDependency] = []
        /// What tasks depend on that have come, for which it is to be kept.
        var needs: [Need] = []
    }

    /// When ``timePassed()`` is to be called.
    var nextDue: Timestamp? {
        guard isRunning else { return nil }
        return Self.earlier(queues.nextWake, Self.earlier(delayed.min?.due, deadlines.nextDue))
    }

    static func earlier(_ one: Timestamp?, _ other: Timestamp?) -> Timestamp? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }

    /// Whether no worker exists.
    var isIdle: Bool { workerCount == 0 }

    /// Whether so much waits to be committed that more results would only fill memory.
    var isThrottled: Bool {
        isStalled || uncommittedBytes >= limits.uncommittedBytes
            || uncommittedTransactions >= limits.uncommittedTransactions
    }

    /// What is to be done after the events so far. Call it after each.
    mutating func takeEffects() -> Effects {
        planWorkers()
        planPreemptions()
        if !doomed.isEmpty, hasNothingUnderWay { forgetEnded() }
        let taken = effects
        effects = Effects()
        if !taken.overdue.isEmpty { questionsUnderWay += 1 }
        if !taken.questions.isEmpty { questionsUnderWay += 1 }
        return taken
    }

    var workerCount: Int { cooperative.workers + threads.workers }

    /// Those that take a place.
    var busyWorkers: Int { workerCount - parked }

    /// Starts as many workers as there are pulls for, within the limit: where what waits is better, or there are fewer.
    private mutating func planWorkers() {
        guard isRunning, !isThrottled, busyWorkers < concurrency else { return }
        var wantedHere = pullCount(at: .cooperative) - cooperative.starting
        var wantedThere = pullCount(at: .threads) - threads.starting
        while busyWorkers < concurrency, wantedHere > 0 || wantedThere > 0 {
            if wantedThere <= 0 || (wantedHere > 0 && goesFirst(.cooperative)) {
                startWorker(at: .cooperative)
                wantedHere -= 1
            } else {
                startWorker(at: .threads)
                wantedThere -= 1
            }
        }
    }

    mutating func startWorker(at place: HandlerPlace) {
        effects.starts.append(Effects.Start(worker: nextWorker, place: place))
        nextWorker += 1
        self[place].workers += 1
        self[place].starting += 1
    }

    /// How many pulls can start in a place, up to about the number of workers; 0 only when there is nothing to do.
    mutating func pullCount(at place: HandlerPlace) -> Int {
        var count = self[place].cancels.isEmpty ? 0 : 1
        if place == .threads { count += fails.count } else if isUnswept { count += 1 }
        return count + openings(at: place)
    }

    private mutating func openings(at place: HandlerPlace, upTo level: Int = .max) -> Int {
        let (sizes, workers) = (sizes, concurrency)
        return queues.openings(at: place, most: workers, upTo: level, now: now) {
            sizes.size(for: $0, ready: $1, workers: workers)
        }
    }

    /// Whether a place is to have the next worker, when both have work: that with the better level, or with fewer
    /// workers. What is quick and frees others counts as better than all levels.
    mutating func goesFirst(_ place: HandlerPlace) -> Bool {
        let (here, there) = (urgency(at: place), urgency(at: place.other))
        return here == there ? self[place].workers <= self[place.other].workers : here < there
    }

    private mutating func urgency(at place: HandlerPlace) -> Int {
        if !self[place].cancels.isEmpty || (place == .threads && !fails.isEmpty) { return -1 }
        return queues.bestLevel(at: place, now: now) ?? .max
    }

    // MARK: - Preemption

    /// When no worker is free, pulls whose tasks are worse by some levels than what waits give way (T16).
    ///
    /// - Complexity: O(workers), and nothing without preemption.
    private mutating func planPreemptions() {
        guard let levels = limits.preemption, isRunning, !isThrottled, busyWorkers >= concurrency,
            cooperative.starting + threads.starting == 0
        else { return }
        var underWay = inFlight.values.count { $0.isPreempted }
        while let worker = worstPull(), let level = inFlight[worker]?.pull.level {
            let better = level - max(1, Int(levels))
            guard openings(at: .cooperative, upTo: better) + openings(at: .threads, upTo: better) > underWay
            else { return }
            preempt(worker)
            underWay += 1
        }
    }

    /// The pull with the worst level, the youngest of them.
    private func worstPull() -> WorkerID? {
        inFlight.filter { !$0.value.isPreempted && $0.value.pull.charge != nil }
            .max { ($0.value.pull.level, $0.key) < ($1.value.pull.level, $1.key) }?.key
    }

    /// Takes back what a worker has not started, and has the rest interrupted: it will be pending again, the attempt
    /// not counted.
    private mutating func preempt(_ worker: WorkerID) {
        inFlight[worker]?.isPreempted = true
        if case .execute(let entry) = inFlight[worker]?.pull.work { takeBack(entry.bits, from: worker) }
        interrupt(worker)
    }
}
