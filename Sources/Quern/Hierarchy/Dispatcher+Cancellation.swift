// SPDX-License-Identifier: Apache-2.0
import DequeModule
import HeapModule
import QuernStore

extension Dispatcher {
    /// Whether all children of a parent are to be cancelled.
    func cancelsChildren(of parent: TaskID) -> Bool { doomed.contains(parent) || failing.contains(parent) }

    /// Whether a task is to be cancelled: by itself or with its parent.
    func isDoomed(_ id: TaskID, parent: TaskID) -> Bool { doomed.contains(id) || cancelsChildren(of: parent) }

    /// Cancels tasks with all below them (T10). What runs of that is interrupted at once, the rest is left to a sweep.
    ///
    /// - Complexity: O(workers), times the depth when a parent is among them; and the share of a sweep.
    mutating func cancel(_ ids: [TaskID]) {
        let new = ids.filter { $0 != .none && doomed.insert($0).inserted }
        guard !new.isEmpty else { return }
        unswept += new
        interruptDoomed(SweepMask(Set(new)), reachesBelow: new.contains(where: isParent))
    }

    /// Cancels tasks with all below them, as the store was asked to: each with the outcome that it is to have.
    mutating func cancel(_ kinds: [TaskID: OutcomeKind]) {
        for (id, kind) in kinds where kind != .cancelled { cancelKinds[id] = kind }
        cancel(kinds.keys.sorted())
    }

    /// Cancels the children of a parent that fails, as ``cancel(_:)`` does those of one that is cancelled.
    mutating func cancelChildren(ofFailing parent: TaskID) {
        guard failing.insert(parent).inserted else { return }
        unsweptFailing.append(parent)
        interruptDoomed(SweepMask([]), reachesBelow: true)
    }

    /// Whether all children of a task are to be cancelled, since it is or one above it. Those in between are then noted
    /// as doomed.
    ///
    /// - Complexity: O(depth).
    mutating func isDoomed(below parent: TaskID) -> Bool {
        var between: [TaskID] = []
        var above = parent
        while above != .none {
            if cancelsChildren(of: above) {
                doomed.formUnion(between)
                return true
            }
            between.append(above)
            above = waiting[above]?.run.parent ?? early[above]?.parent ?? .none
        }
        return false
    }

    /// Takes back what no worker has started of doomed tasks, and has the others interrupted. A worker then asks
    /// ``isDoomed(_:parent:)`` for the task that it runs, and reports it as cancelled.
    ///
    /// - Parameter reachesBelow: whether tasks below are looked for that the mask does not name.
    private mutating func interruptDoomed(_ mask: SweepMask, reachesBelow: Bool) {
        for worker in inFlight.keys.sorted() {
            guard let flight = inFlight[worker] else { continue }
            switch flight.pull.work {
            case .execute(let entry):
                let isBelow = reachesBelow && isDoomed(below: entry.run.parent)
                let wanted = isBelow ? entry.bits : entry.bits & mask.bits(of: entry.run)
                guard wanted != 0 else { continue }
                if let taken = withdraw(wanted, from: worker) { enqueueCancel(taken) }
                if wanted & lastStarted(by: worker) == 0 { continue }
                // Nobody else's task is to be cut short: so that is not the next one by then, none may be started.
                takeBack(.max, from: worker)
                if wanted & lastStarted(by: worker) != 0 { interrupt(worker) }
            case .finalize(let parent):
                let isBelow = reachesBelow && isDoomed(below: parent.run.parent)
                if isBelow || isDoomed(parent.id, parent: parent.run.parent) { interrupt(worker) }
            case .failParent, .cancel: break
            }
        }
    }

    /// The task that a worker executes, or had executed last, as a bit. A pull's tasks are started in their order.
    private func lastStarted(by worker: WorkerID) -> UInt64 {
        guard let pull = inFlight[worker]?.pull, case .execute(let entry) = pull.work else { return 0 }
        let started = entry.bits & ~pull.claims.remaining
        return started == 0 ? 0 : 1 << UInt64(63 - started.leadingZeroBitCount)
    }

    // MARK: - Sweeps

    /// Whether doomed tasks may be anywhere. Until they are swept together, each pull is looked at.
    var isUnswept: Bool { !unswept.isEmpty || !unsweptFailing.isEmpty }

    /// What a pull contributes to the next sweep, in tasks that the sweep passes.
    private static let sweepShare = 256

    /// Sweeps once the pulls since the last sweep make up for its cost: so many parents that fail one after the other
    /// cost each pull the same.
    mutating func sweepIfDue() {
        guard isUnswept else { return }
        sweepCredit += Self.sweepShare
        let cost = queues.count + delayed.count + held.count + waiting.count + early.count
        if sweepCredit >= cost { sweep() }
    }

    /// Takes out of a pull what is doomed.
    mutating func divertDoomed(_ entry: inout ReadyRun, finalizes: Bool) {
        let isBelow = isDoomed(below: entry.run.parent)
        guard finalizes else {
            if isBelow { enqueueCancel(entry.take(.max)) } else { cancelDoomed(&entry, isNew: false) }
            return
        }
        let id = entry.run.id(at: entry.bits.trailingZeroBitCount)
        guard isBelow || doomed.contains(id), let parent = waiting[id] else { return }
        entry.bits = 0
        enqueueCancel(of: parent)
    }

    /// Moves the doomed tasks, and all tasks below those, to the cancels, wherever they are.
    ///
    /// Every live parent below is in `waiting` or in `early`, or with a worker and will come there, so that no question
    /// to the store is needed: a child's id is greater than its parent's, and one pass in id order finds all levels.
    mutating func sweep() {
        var named = Set(unswept)
        // They stay where they are; what is below them does not.
        let spared = Set(unsweptFailing.filter { !doomed.contains($0) })
        named.formUnion(unsweptFailing)
        unswept = []
        unsweptFailing = []
        sweepCredit = 0
        for (id, parent) in named.contains(where: isParent) ? parents : [] where !named.contains(id) {
            if named.contains(parent) {
                named.insert(id)
                doomed.insert(id)
            }
        }
        let mask = SweepMask(named, sparing: spared)
        sweepQueues(mask)
        sweepFails()
        sweepHeld(mask)
        sweepHeldParents()
        sweepDelayed(mask)
        sweepDependencies(mask)
        interruptDoomed(mask, reachesBelow: false)
    }

    private mutating func sweepQueues(_ mask: SweepMask) {
        var removed: [ReadyRun] = []
        queues.remove(now: now, { mask.bits(of: $0.run) & $0.bits }, { removed.append($0) })
        for entry in removed { enqueueCancel(entry) }
    }

    /// A fail-fast parent whose children have all ended fails, unless it is cancelled itself.
    private mutating func sweepFails() {
        for _ in fails.indices {
            let parent = fails.removeFirst()
            if isDoomed(parent.id, parent: parent.run.parent) {
                enqueueCancel(of: parent)
            } else {
                fails.append(parent)
            }
        }
    }

    private mutating func sweepHeld(_ mask: SweepMask) {
        var kept: [ReadyRun] = []
        for var entry in held {
            enqueueCancel(entry.take(mask.bits(of: entry.run)))
            if entry.bits != 0 { kept.append(entry) }
        }
        held = kept
    }

    private mutating func sweepHeldParents() {
        for id in heldParents.sorted() {
            guard let parent = waiting[id], isDoomed(id, parent: parent.run.parent) else { continue }
            heldParents.remove(id)
            enqueueCancel(of: parent)
        }
    }

    private mutating func sweepDelayed(_ mask: SweepMask) {
        var kept: [Delayed] = []
        for var entry in delayed.unordered {
            switch entry.item {
            case .tasks(var tasks):
                enqueueCancel(tasks.take(mask.bits(of: tasks.run)))
                entry.item = .tasks(tasks)
                if tasks.bits != 0 { kept.append(entry) }
            case .finalize(let id):
                if let parent = waiting[id], isDoomed(id, parent: parent.run.parent) {
                    enqueueCancel(of: parent)
                } else {
                    kept.append(entry)
                }
            }
        }
        delayed = Heap(kept)
    }

    /// Has a worker's handler cancelled; its worker ends after it, so that nobody else's handler is cancelled when the
    /// Swift task hears of it late. Of what the worker executes nothing may be unstarted.
    mutating func interrupt(_ worker: WorkerID) {
        inFlight[worker]?.pull.claims.interrupt()
        inFlight[worker]?.isCancelled = true
        effects.cancellations.append(worker)
    }

    /// Whether no task is with a worker, on its way to the store, or to be cancelled.
    var hasNothingUnderWay: Bool {
        workerCount == 0 && uncommittedTransactions == 0 && !isUnswept && cooperative.cancels.isEmpty
            && threads.cancels.isEmpty && fails.isEmpty
    }

    /// Forgets cancels that came when the outcome of their task was on its way to the store: with nothing under way,
    /// whoever is doomed and no parent has ended.
    mutating func forgetEnded() {
        for id in doomed where !isParent(id) {
            doomed.remove(id)
            cancelKinds[id] = nil
        }
    }

    // MARK: - Stop

    /// The root tasks that workers have, with whatever they do about them.
    var rootsInFlight: Set<TaskID> {
        var roots: Set<TaskID> = []
        func add(_ entry: ReadyRun) {
            guard entry.run.parent == .none else { return }
            for index in BitIndexes(entry.bits) { roots.insert(entry.run.id(at: index)) }
        }
        for flight in inFlight.values {
            switch flight.pull.work {
            case .execute(let entry): add(entry)
            case .finalize(let parent), .failParent(let parent): add(parent.ready)
            case .cancel(let entries): for entry in entries { add(entry) }
            }
        }
        return roots
    }

    /// Gives out no more pulls; workers end after the task they run. What they have not started stays pending.
    ///
    /// - Parameter immediately: whether the handlers that run are cancelled.
    mutating func stop(immediately: Bool) {
        isRunning = false
        for (worker, flight) in inFlight {
            flight.pull.claims.interrupt()
            if immediately { interrupt(worker) }
        }
    }
}

/// Which tasks of a run are named, by their own id or by their parent's.
struct SweepMask {
    private let sorted: [TaskID]
    /// Named as parents alone.
    private let spared: Set<TaskID>

    init(_ ids: some Sequence<TaskID>, sparing spared: Set<TaskID> = []) {
        sorted = ids.sorted()
        self.spared = spared
    }

    func bits(of run: SpawnRun) -> UInt64 {
        let parent = sorted.partition { $0 >= run.parent }
        if parent < sorted.count, sorted[parent] == run.parent { return run.allBits }
        return ownBits(of: run)
    }

    /// Of those that are named by their own ids.
    func ownBits(of run: SpawnRun) -> UInt64 {
        var low = sorted.partition { $0 >= run.firstID }
        var bits: UInt64 = 0
        let end = run.firstID.rawValue + UInt64(run.count)
        while low < sorted.count, sorted[low].rawValue < end {
            if !spared.contains(sorted[low]) { bits |= 1 << (sorted[low].rawValue - run.firstID.rawValue) }
            low += 1
        }
        return bits
    }
}
