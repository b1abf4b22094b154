// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Counts the calls, and says for each whether the plan lets it pass.
struct CallMonitor: Sendable {
    /// What shall become of a call.
    enum Verdict {
        case pass
        case fail(Errno, bytesWritten: Int)
        /// The machine has stopped: not even the side effects of a failure happen.
        case stopped
    }

    private(set) var plan = FaultPlan()
    private(set) var counts: [FileCall: Int] = [:]
    private(set) var changes = 0
    /// Calls that failed because the plan said so.
    private(set) var fired: [FileCall: Int] = [:]
    /// Whether the plan's faults rest, and nothing is counted.
    var isSuspended = false
    private var changesUnderPlan = 0

    /// Puts a plan into force, its counts at zero.
    mutating func adopt(_ plan: FaultPlan) {
        self.plan = plan
        for index in plan.faults.indices { self.plan.faults[index].seen = 0 }
        changesUnderPlan = 0
    }

    /// Whether the plan's crash point lies behind us, so that every call fails.
    var isStopped: Bool {
        plan.crashAfterCall.map { changesUnderPlan >= $0 } ?? false
    }

    /// - Parameter changing: whether the call can change what a later crash leaves.
    mutating func admit(_ call: FileCall, _ path: FilePath, changing: Bool) -> Verdict {
        if isSuspended, !isStopped { return .pass }
        counts[call, default: 0] += 1
        if isStopped { return .stopped }
        if changing {
            changes += 1
            changesUnderPlan += 1
        }
        var verdict = Verdict.pass
        // Every fault counts every call that it matches, also one that another fault fails.
        for index in plan.faults.indices where plan.faults[index].matches(call, path) {
            plan.faults[index].seen += 1
            let fault = plan.faults[index]
            if case .pass = verdict, fault.isDue {
                fired[call, default: 0] += 1
                verdict = .fail(fault.errno, bytesWritten: fault.bytesWritten)
            }
        }
        return verdict
    }
}

extension FaultPlan.Fault {
    /// Whether the call that was counted last is to fail.
    fileprivate var isDue: Bool {
        switch repetition {
        case .once: seen == ordinal
        case .fromThenOn: seen >= ordinal
        }
    }

    fileprivate func matches(_ call: FileCall, _ path: FilePath) -> Bool {
        guard self.call == nil || self.call == call else { return false }
        guard let pathPart else { return true }
        return pathPart.isEmpty || path.string.contains(pathPart)
    }
}
