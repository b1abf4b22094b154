// SPDX-License-Identifier: Apache-2.0
import HeapModule
import QuernStore

extension TaskScheduler {
    /// What the scheduler has to do and has done since it was made.
    ///
    /// - Complexity: O(runs that wait for a time, for others to end or for a handler).
    public var statistics: SchedulerStatistics { core.read { $0.dispatcher.statistics } }

    /// The tasks that wait for a handler, by type: no handler is registered for it, or a newer program wrote their
    /// payloads or options in a form that this one does not know. They are kept as they are, and can be cancelled.
    ///
    /// - Complexity: O(such tasks + parents that wait for children).
    public var heldTypes: [HeldType] { HeldType.list(core.read { $0.dispatcher.heldCounts }, in: core.store) }
}

/// A type of which tasks wait for a handler.
public struct HeldType: Sendable, Equatable {
    /// The name in the store; behind it, after a "#", the version of the payloads unless it is 0.
    public var name: String
    /// Tasks that wait.
    public var count: Int

    static func list(_ counts: [Label: Int], in store: MemoStore) -> [HeldType] {
        counts.map { HeldType(name: store.name(of: $0.key) ?? "", count: $0.value) }.sorted { $0.name < $1.name }
    }
}

/// Counts of one moment.
public struct SchedulerStatistics: Sendable, Equatable {
    /// Tasks that wait for a worker.
    public var ready = 0
    /// Those of them that the pressure holds back (``TaskScheduler/pressure``).
    public var throttled = 0
    /// Tasks that wait for their start or their next attempt.
    public var delayed = 0
    /// Tasks that wait for others to end (``TaskOptions/dependencies``).
    public var blocked = 0
    /// Tasks of types without a handler.
    public var held = 0
    /// Orchestrator tasks between `execute` and their outcome.
    public var waitingParents = 0
    /// Workers that run tasks, one at a time each.
    public var running = 0
    /// Tasks that got an outcome.
    public var ended: UInt64 = 0
}

extension Dispatcher {
    /// The tasks that wait for a handler, parents that wait for one after their children included.
    var heldCounts: [Label: Int] {
        var counts: [Label: Int] = [:]
        for entry in held { counts[entry.run.label, default: 0] += entry.count }
        for parent in waiting.values where facts(of: parent.run.label) == nil {
            counts[parent.run.label, default: 0] += 1
        }
        return counts
    }

    var statistics: SchedulerStatistics {
        var statistics = SchedulerStatistics()
        statistics.ready =
            queues.count + inFlight.values.reduce(0) { $0 + $1.pull.claims.remaining.nonzeroBitCount }
        if throttle.heldPriority != nil {
            queues.forEachFlow { if throttle.holds($0.throttle) { statistics.throttled += $1 } }
        }
        statistics.delayed = delayed.unordered.reduce(0) { $0 + $1.item.count }
        statistics.blocked = dependencies.count
        statistics.held = held.reduce(0) { $0 + $1.count }
        statistics.waitingParents = waiting.count
        statistics.running = inFlight.count
        statistics.ended = endedCount
        return statistics
    }
}
