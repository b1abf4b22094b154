// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// How far a task is: enough for a line that is printed every second.
public struct TaskProgress: Sendable, Equatable {
    /// Whether its `execute` has returned and committed. Children may still spawn siblings.
    public var isExecuted: Bool
    /// Children without an outcome.
    public var liveChildren: UInt64
    /// Children with an outcome.
    public var counts: OutcomeCounts
    /// What its handler last said while it ran.
    public var reported: ReportedProgress?
    /// When this was so, on the scheduler's clock.
    public var time: Timestamp

    /// What part is done, from 0 to 1: as the handler says, else the part of the children that have ended. Nil when
    /// neither tells.
    public var fraction: Double? {
        if let reported {
            guard let total = reported.total else { return nil }
            return total == 0 ? 1 : min(1, Double(reported.completed) / Double(total))
        }
        let children = Double(liveChildren) + Double(counts.total)
        return children == 0 ? nil : Double(counts.total) / children
    }

    /// How much longer it takes at the pace since an earlier look at the same task, for the work that is known now.
    ///
    /// - Returns: nil when nothing was done between the two looks.
    public func remaining(since earlier: TaskProgress) -> Duration? {
        guard let now = fraction, let before = earlier.work(of: self), let done = work(of: self) else { return nil }
        let elapsed = Double(time.rawValue.subtractingSaturating(earlier.time.rawValue))
        guard now < 1 else { return .zero }
        guard done > before, elapsed > 0 else { return nil }
        let left = done / now - done
        let milliseconds = left * elapsed / (done - before)
        // At most some 300 years, which fits everywhere.
        return milliseconds < 9e12 ? .milliseconds(Int64(milliseconds)) : nil
    }

    /// What was done, in the unit that another look counts in.
    private func work(of other: TaskProgress) -> Double? {
        if other.reported != nil { return Double(reported?.completed ?? 0) }
        return reported == nil ? Double(counts.total) : nil
    }
}

extension TaskScheduler {
    /// How far a live task is.
    ///
    /// - Returns: nil when the task has ended, or is known to nobody: it has had no children, its `execute` has not
    ///   committed, and its handler has reported nothing.
    /// - Complexity: O(1).
    public func progress(of id: TaskID) -> TaskProgress? {
        let (status, reported) = (core.store.status(of: id), core.progress[id])
        guard status != nil || reported != nil else { return nil }
        return TaskProgress(
            isExecuted: status.map { $0.phase != TaskPhase.executing } ?? false,
            liveChildren: status?.liveChildren ?? 0, counts: status?.counts ?? OutcomeCounts(), reported: reported,
            time: core.clock.now)
    }
}
