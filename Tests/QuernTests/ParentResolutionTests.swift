// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Quern
@testable import QuernStore

@Suite("ParentResolution: the decision table (T3, T8, T10)")
struct ParentResolutionTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var phase: UInt8
        var live: UInt64
        var failures: UInt64
        var policy: ChildFailurePolicy
        var isCancelled: Bool
        var expected: ParentResolution

        var testDescription: String {
            "phase \(phase), \(live) live, \(failures) failed, \(policy)\(isCancelled ? ", cancelled" : "")"
        }
    }

    static let rows: [Row] = [
        Row(phase: 0, live: 0, failures: 0, policy: .failFast, isCancelled: false, expected: .wait),
        Row(phase: 0, live: 3, failures: 0, policy: .failFast, isCancelled: false, expected: .wait),
        Row(phase: 1, live: 3, failures: 0, policy: .failFast, isCancelled: false, expected: .wait),
        Row(phase: 1, live: 0, failures: 0, policy: .failFast, isCancelled: false, expected: .finalize),
        Row(phase: 1, live: 0, failures: 0, policy: .tolerate, isCancelled: false, expected: .finalize),
        Row(phase: 1, live: 2, failures: 1, policy: .failFast, isCancelled: false, expected: .cancelChildren),
        Row(phase: 0, live: 2, failures: 1, policy: .failFast, isCancelled: false, expected: .cancelChildren),
        Row(phase: 1, live: 0, failures: 1, policy: .failFast, isCancelled: false, expected: .endFailed),
        Row(phase: 0, live: 0, failures: 1, policy: .failFast, isCancelled: false, expected: .wait),
        Row(phase: 1, live: 2, failures: 9, policy: .tolerate, isCancelled: false, expected: .wait),
        Row(phase: 1, live: 0, failures: 9, policy: .tolerate, isCancelled: false, expected: .finalize),
        Row(phase: 1, live: 2, failures: 0, policy: .tolerate, isCancelled: true, expected: .cancelChildren),
        Row(phase: 0, live: 2, failures: 0, policy: .tolerate, isCancelled: true, expected: .cancelChildren),
        Row(phase: 1, live: 0, failures: 0, policy: .tolerate, isCancelled: true, expected: .endCancelled),
        Row(phase: 1, live: 0, failures: 4, policy: .failFast, isCancelled: true, expected: .endCancelled),
        Row(phase: 0, live: 0, failures: 0, policy: .failFast, isCancelled: true, expected: .wait),
        Row(phase: 2, live: 3, failures: 0, policy: .tolerate, isCancelled: false, expected: .cancelChildren),
        Row(phase: 2, live: 0, failures: 0, policy: .tolerate, isCancelled: false, expected: .endFailed),
        Row(phase: 2, live: 0, failures: 0, policy: .tolerate, isCancelled: true, expected: .endCancelled),
    ]

    @Test("Each row decides as documented, by request or with a parent", arguments: rows)
    func table(row: Row) {
        var status = ParentStatus(id: TaskID(4))
        status.phase = row.phase
        status.liveChildren = row.live
        status.counts.failed = row.failures
        #expect(
            ParentResolution.decide(status, policy: row.policy, isCancelled: row.isCancelled) == row.expected)
        status.cancelRequested = row.isCancelled
        #expect(ParentResolution.decide(status, policy: row.policy, isCancelled: false) == row.expected)
    }

    @Test("A share counts against the children that a redriven tree keeps, too")
    func keptChildren() {
        var status = ParentStatus(id: TaskID(4))
        status.phase = TaskPhase.children
        status.counts.failed = 1
        for (kept, expected) in [(0, ParentResolution.endFailed), (98, .endFailed), (99, .finalize)] {
            let resolution = ParentResolution.decide(
                status, policy: .budget(share: 0.01), isCancelled: false, kept: UInt64(kept))
            #expect(resolution == expected, "\(kept)")
        }
        status.liveChildren = 1
        let policy = ChildFailurePolicy.budget(share: 0.01)
        #expect(ParentResolution.decide(status, policy: policy, isCancelled: false, kept: 97) == .cancelChildren)
        #expect(ParentResolution.decide(status, policy: policy, isCancelled: false, kept: 98) == .wait)
    }

    @Test("Only failures count as failures; a cancelled or superseded child does not fail its parent")
    func whichOutcomesCount() {
        for kind in OutcomeKind.allCases {
            var status = ParentStatus(id: TaskID(4))
            status.phase = 1
            status.counts[kind] = 1
            let isFailure = [.failed, .deadLettered, .expired, .dependencyFailed].contains(kind)
            #expect(
                ParentResolution.decide(status, policy: .failFast, isCancelled: false)
                    == (isFailure ? .endFailed : .finalize))
        }
    }
}
