// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization

/// How far running tasks say that they are. In memory only.
final class ProgressBoard: Sendable {
    private let reports = Mutex<[TaskID: ReportedProgress]>([:])
    private let count = Atomic(0)

    /// Whether there is anything to remove: one load.
    var isUsed: Bool { count.load(ordering: .relaxed) > 0 }

    subscript(task: TaskID) -> ReportedProgress? { reports.withLock { $0[task] } }

    func note(_ report: ReportedProgress, of task: TaskID) {
        reports.withLock { reports in
            reports[task] = report
            count.store(reports.count, ordering: .relaxed)
        }
    }

    /// The tasks do not run any more.
    func remove(_ tasks: some Sequence<TaskID>) {
        reports.withLock { reports in
            for task in tasks { reports[task] = nil }
            count.store(reports.count, ordering: .relaxed)
        }
    }
}

/// How far a handler says that it is.
public struct ReportedProgress: Sendable, Equatable {
    /// What is done, in a unit of the handler's choice: items or bytes.
    public var completed: UInt64
    /// What there is to do; nil when the handler does not know.
    public var total: UInt64?

    /// That many of so many.
    public init(completed: UInt64, total: UInt64? = nil) {
        self.completed = completed
        self.total = total
    }
}

extension TaskContext {
    /// Tells how far the task is, for ``TaskScheduler/progress(of:)`` and the listeners of its events.
    ///
    /// - Parameters:
    ///   - completed: what is done, in a unit of your choice: items or bytes.
    ///   - total: what there is to do, when it is known.
    /// - Complexity: O(1) under locks of its own. Not durable: a new attempt begins with none. Does nothing when the
    ///   handler has returned.
    public func report(completed: UInt64, of total: UInt64? = nil) {
        buffer.whileRunning(ticket) {
            core.note(ReportedProgress(completed: completed, total: total), of: id, parent: parent, label: label)
        }
    }
}

extension FinalizeContext {
    /// Tells how far `finalize` is, as ``TaskContext/report(completed:of:)`` does.
    public func report(completed: UInt64, of total: UInt64? = nil) {
        buffer.whileRunning(ticket) {
            core.note(ReportedProgress(completed: completed, total: total), of: id, parent: parent, label: label)
        }
    }
}

extension SchedulerCore {
    func note(_ report: ReportedProgress, of task: TaskID, parent: TaskID, label: Label) {
        progress.note(report, of: task)
        guard var collector = collectEvents(of: types.type(of: label)) else { return }
        collector.add(.progressed(completed: report.completed, of: report.total), task, parent: parent, at: clock.now)
        events.publish(collector.events)
    }
}
