// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern

@Suite("Hierarchy: parents, children and what they leave", .timeLimit(.minutes(1)))
struct HierarchyTests {
    @Test("A parent's finalize sees the memo of every child and the hand-over (T2, T3, T5)", arguments: [0, 1, 3, 64, 65, 1000])
    func fanOutAndIn(children: Int) async throws {
        try await withScheduler { $0.register(StepHandler()); $0.register(PlanHandler()) } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: children)).memo()
            #expect(memo.sum == Int64(children * (children - 1) / 2))
            #expect(memo.completed == UInt64(children))
            #expect(memo.note == "attempt 1")
        }
    }
}
