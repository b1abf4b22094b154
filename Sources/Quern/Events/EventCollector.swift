// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The events of one pull, which are told when its transaction is durable.
struct EventCollector: Sendable, Equatable {
    /// That of the tasks that the next events are of.
    var type: TaskType = ""
    private(set) var events: [TaskEvent] = []

    mutating func add(_ kind: TaskEvent.Kind, _ outcome: Transaction.Outcome) {
        add(kind, outcome.task, parent: outcome.parent, at: outcome.endedAt)
    }

    mutating func add(_ kind: TaskEvent.Kind, _ task: TaskID, parent: TaskID, at time: Timestamp) {
        events.append(TaskEvent(kind: kind, task: task, parent: parent, type: type, time: time))
    }
}

extension SchedulerCore {
    /// Where to put the events of a pull; nil when nobody listens.
    func collectEvents(of type: TaskType) -> EventCollector? {
        events.isObserved ? EventCollector(type: type) : nil
    }

    /// A cold path: tells at once that a handler is called.
    @inline(never)
    func tellStart(_ task: TaskID, parent: TaskID, _ type: TaskType, attempt: UInt32, at time: Timestamp) {
        events.publish([
            TaskEvent(kind: .started(attempt: attempt), task: task, parent: parent, type: type, time: time)
        ])
    }

    /// Tells events when what was handed to the store so far is durable.
    func publishBehindCommits(_ events: [TaskEvent]) {
        store.enqueue(Transaction()) { [weak self] result in
            if case .success = result { self?.events.publish(events) }
        }
    }

    /// Tells what a batch spawned.
    func tellSpawns(_ changes: CommitChanges) {
        let now = clock.now
        var collector = EventCollector()
        for run in changes.spawned {
            collector.type = types.type(of: run.label)
            for index in BitIndexes(run.allBits & ~(changes.absent[run.firstID] ?? 0)) {
                collector.add(.spawned, run.id(at: index), parent: run.parent, at: now)
            }
        }
        events.publish(collector.events)
    }

    /// Counts a pull that is over, and tells what it did not do.
    func observe(_ pull: Pull, _ report: PullReport) {
        let now = clock.now
        let summary = PullSummary(
            tried: report.tried, elapsed: report.elapsed, queued: pull.queued, ended: report.ended,
            retried: report.retries.count, io: report.io)
        switch pull.work {
        case .execute(let entry):
            observers[entry.run.label]?.add(summary, at: now)
            tellInterruptions(of: entry, report)
            if progress.isUsed { progress.remove(BitIndexes(entry.bits).lazy.map(entry.run.id(at:))) }
        case .finalize(let parent):
            observers[parent.run.label]?.add(summary, at: now)
            if progress.isUsed { progress.remove(CollectionOfOne(parent.id)) }
        case .failParent(let parent): observers[parent.run.label]?.add(summary, at: now)
        case .cancel(let entries):
            for entry in entries {
                guard report.givenBack == 0 else { continue }
                var ended = OutcomeCounts()
                for index in BitIndexes(entry.bits) {
                    ended[pull.cancelKinds[entry.run.id(at: index)] ?? .cancelled] += 1
                }
                observers[entry.run.label]?.add(PullSummary(ended: ended), at: now)
            }
        }
    }

    private func tellInterruptions(of entry: ReadyRun, _ report: PullReport) {
        guard report.givenBack != 0, var collector = collectEvents(of: types.type(of: entry.run.label)) else { return }
        for index in BitIndexes(report.givenBack) {
            collector.add(.interrupted, entry.run.id(at: index), parent: entry.run.parent, at: clock.now)
        }
        events.publish(collector.events)
    }
}
