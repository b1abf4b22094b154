// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// What a scheduler says of itself at rest.
struct LifeRest: Sendable {
    var now: Timestamp
    var nextDue: Timestamp?
    /// Tasks that workers have.
    var running: Set<TaskID>
    var suspects: Set<TaskID>
    /// Whether another worker could start.
    var hasPlace: Bool
    var isRunning: Bool
    var statistics: SchedulerStatistics
    var byType: [TypeStatistics]
}

/// At rest each task that lives has a reason not to move.
extension LifeReference {
    mutating func checkRest(_ view: LifeView, _ rest: LifeRest) {
        // The store may have failed just now.
        if !rest.isRunning { return }
        var parents: Set<TaskID> = []
        for entry in view.live { parents.insert(entry.run.parent) }
        if rest.hasPlace {
            for entry in view.live where !rest.running.contains(entry.id) {
                guard let why = limbo(entry, view, rest, hasChildren: parents.contains(entry.id)) else { continue }
                report("\(describe(entry.id)) does not move: \(why)")
            }
        }
        for entry in view.live where deadline(of: entry.id).map({ $0 <= rest.now }) == true {
            let basis = script(of: entry.id)?.options.timeToLive?.basis
            if basis == .submission, tasks[entry.id]?.cancelKind == nil, !hasStalled {
                report("\(describe(entry.id)) is overdue")
            }
        }
        let ended = UInt64(tasks.values.count { $0.outcome != nil }) - endedBefore
        if isExact, rest.statistics.ended != ended {
            report("\(rest.statistics.ended) ended, says the scheduler, and \(ended) did")
        }
        let counted = rest.byType.reduce(into: OutcomeCounts()) { $0.add($1.ended) }
        let isCounted = !countsAttempts || rest.byType.reduce(0, { $0 + $1.retries }) == retries
        if isExact, knowsRare, counted.total != ended || !isCounted {
            report("by type \(counted) ended, \(ended) did, of \(retries) retries \(rest.byType.map(\.retries))")
        }
    }

    /// Why a task should have moved; nil when it has a reason not to.
    private func limbo(
        _ entry: LifeView.Live, _ view: LifeView, _ rest: LifeRest, hasChildren: Bool
    ) -> String? {
        let id = entry.id
        guard let record = tasks[id] else { return nil }
        if isDoomed(id) || view.details[id]?.cancel != nil {
            return hasChildren ? nil : "it is to be cancelled"
        }
        let detail = view.details[id] ?? LiveTasks.Detail()
        if detail.phase == TaskPhase.failed {
            return hasChildren || (record.kind == .rare && !knowsRare) ? nil : "its execute failed"
        }
        if detail.phase == TaskPhase.children {
            if hasChildren { return nil }
            if record.kind == .rare, !knowsRare { return nil }
            if isFailing(id) { return "its children failed" }
        } else {
            if record.kind == .rare, !knowsRare { return nil }
            if record.dependencies.contains(where: live.contains) { return nil }
        }
        if detail.notBefore > rest.now || starts(entry, after: rest.now) {
            return rest.nextDue == nil ? "nothing is due" : nil
        }
        guard let script = script(of: id) else { return nil }
        if isHeldBack(script, at: rest.now) != nil { return nil }
        let isFull = script.scopes().contains { scope in
            concurrency[scope].map { count(rest.running, in: scope) >= $0 } ?? false
        }
        if isFull { return nil }
        if detail.crashes > 0, !rest.suspects.isEmpty { return nil }
        if let scope = script.scopes().first(where: { rates[$0] != nil }) {
            return rest.nextDue == nil ? "the rate of \(scope) never fills" : nil
        }
        return "it is ready"
    }

    private func starts(_ entry: LifeView.Live, after now: Timestamp) -> Bool {
        (entry.attributes?.startTime(ofSpawnAt: entry.run.submittedAt)).map { $0 > now } ?? false
    }

    private func count(_ running: Set<TaskID>, in scope: LimitScope) -> Int {
        running.count { script(of: $0)?.scopes().contains(scope) ?? false }
    }
}
