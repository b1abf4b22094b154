// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

@Suite("A cancel that is told late (T10)", .timeLimit(.minutes(20)))
struct LateCancelTests {
    @Test("A handler that cancels the Swift task that it runs in leaves that to no other")
    func cancelsItself() async throws {
        try await withScheduler(concurrency: 1) {
            $0.register(
                StepHandler { step, _ in
                    if step.number == 0 {
                        withUnsafeCurrentTask { $0?.cancel() }
                    } else {
                        try Task.checkCancellation()
                    }
                    return 1
                })
        } _: { scheduler in
            let handles = try await scheduler.submit(contentsOf: (0..<3).map { Step(number: $0) })
            for handle in handles { #expect(try await handle.memo().value == 1) }
        }
    }

    @Test("A task never sees the cancel of the one that its worker ran before, however late that one is told")
    func innocent() async throws {
        let journal = Journal()
        let (first, second, third) = (Gate(), Gate(), Gate())
        let hasStarted = DispatchSemaphore(value: 0)
        try await withScheduler(concurrency: 2) {
            $0.register(
                StepHandler { step, context in
                    journal.note("\(step.number)")
                    switch step.number {
                    case 0:
                        // Told of its cancel it holds up who tells, until the worker of the second has gone on.
                        await withTaskCancellationHandler {
                            await first.pass()
                        } onCancel: {
                            second.open()
                            hasStarted.wait()
                        }
                    case 1: await second.pass()
                    default:
                        hasStarted.signal()
                        await third.pass()
                        return context.isCancelled ? 1 : 0
                    }
                    return 0
                })
        } _: { scheduler in
            var cancelled: [TaskHandle<Step>] = []
            for number in 0..<2 {
                let options = TaskOptions(tags: ["cancelled"])
                cancelled.append(try await scheduler.submit(Step(number: number), options: options))
                try await journal.wait(for: "\(number)")
            }
            let innocent = try await scheduler.submit(Step(number: 2))
            #expect(try await scheduler.cancelAll(tagPrefix: "cancelled") == 2)
            // All have been told by now.
            for gate in [first, third] { gate.open() }
            #expect(try await innocent.memo().value == 0)
            for handle in cancelled { #expect(try await handle.outcome().kind == .cancelled) }
        }
    }
}
