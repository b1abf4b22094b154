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

        /// Workers to start.
        var starts: [Start] = []
        /// Workers whose Swift task is to be cancelled.
        var cancellations: [WorkerID] = []
        /// The note on disk of the tasks in flight says something else by now.
        var changesNote = false
    }

    /// When the next delayed task is due.
    var nextDue: Timestamp? { isRunning ? delayed.min?.due : nil }

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
        let taken = effects
        effects = Effects()
        return taken
    }

    var workerCount: Int { cooperative.workers + threads.workers }

    /// Starts as many workers as there are pulls for, within the limit; the place with fewer workers goes first.
    private mutating func planWorkers() {
        guard isRunning, !isThrottled, workerCount < limits.concurrency else { return }
        var wantedHere = pullCount(at: .cooperative) - cooperative.starting
        var wantedThere = pullCount(at: .threads) - threads.starting
        while workerCount < limits.concurrency, wantedHere > 0 || wantedThere > 0 {
            if wantedThere <= 0 || (wantedHere > 0 && cooperative.workers <= threads.workers) {
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

    /// How many pulls a lane's work makes, roughly; 0 only when there is none.
    func pullCount(at place: HandlerPlace) -> Int {
        let lane = self[place]
        var count = lane.decided.count + (lane.cancels.isEmpty ? 0 : 1)
        if let first = lane.ready.first {
            let size = pullSize(for: first.run.label, ready: lane.readyCount)
            count += (lane.readyCount + size - 1) / size
        }
        if let suspect = suspects.first, !isTrying, self.place(of: suspect.run.label) == place { count += 1 }
        return count
    }

    /// How many tasks of a type make a pull: about `pullTarget` of work, up to a run. Tasks that take long are
    /// spread over all workers; a type that was never tried is tried one by one.
    func pullSize(for label: Label, ready: Int) -> Int {
        let index = Int(label.rawValue)
        guard index < costs.count, let cost = costs[index] else { return 1 }
        let fitting = limits.pullTarget.inMilliseconds * 1e6 / max(cost, 1)
        var size = max(1, Int(min(Double(SpawnRun.capacity), fitting)))
        if cost >= 10_000 {
            size = min(size, max(1, (ready + limits.concurrency - 1) / limits.concurrency))
        }
        return size
    }
}
