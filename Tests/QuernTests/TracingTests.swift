// SPDX-License-Identifier: Apache-2.0
import InMemoryTracing
import QuernTesting
import Testing
import Tracing

@testable import Quern
@testable import QuernStore

@Suite("Tracing", .timeLimit(.minutes(15)))
struct TracingTests {
    @Test("The context goes from who submits to the parent and on to its children, across a restart")
    func carried() async throws {
        let tracer = InMemoryTracer()
        func register(_ registry: inout Registry) {
            registry.use { TracingMiddleware(tracer: tracer) }
            registry.register(
                StepHandler { step, _ in
                    if step.number == 1 { throw PermanentError(reason: "no") }
                    return 1
                })
            registry.register(PlanHandler(), onChildFailure: .tolerate)
        }
        let first = try await TestScheduler(register)
        try await first.scheduler.pause(.everything)
        try await tracer.withAnySpan("request") { _ in
            _ = try await first.scheduler.submit(Plan(children: 2))
        }
        try await first.stop()
        let second = try await TestScheduler(files: first.files, now: first.clock.now, register)
        try await second.scheduler.resume(.everything)
        await second.runUntilIdle()
        try await second.stop()

        let spans = tracer.finishedSpans
        let request = try #require(spans.first { $0.operationName == "request" })
        let plan = try #require(spans.first { $0.operationName == "test.plan" })
        #expect(plan.parentSpanID == request.spanID)
        let finalize = try #require(spans.first { $0.operationName == "test.plan finalize" })
        #expect(finalize.parentSpanID == request.spanID)
        let steps = spans.filter { $0.operationName == "test.step" }
        #expect(steps.map(\.parentSpanID) == [plan.spanID, plan.spanID])
        #expect(steps.map { $0.errors.count } == [0, 1])
        #expect(Set(spans.map(\.traceID)).count == 1)
        #expect(steps[0].attributes.get("task.attempt") == SpanAttribute.int64(1))
    }

    @Test("Nothing is carried when nothing is traced")
    func untraced() async throws {
        let tracer = InMemoryTracer()
        let test = try await TestScheduler { $0.register(StepHandler()) }
        try await test.scheduler.pause(.everything)
        let id = try await tracer.withAnySpan("request") { _ in try await test.scheduler.submit(Step(number: 1)).id }
        let run = try #require(test.scheduler.core.store.run(of: id))
        #expect(test.scheduler.core.store.attributes(of: run).isEmpty)
        try await test.stop()
    }
}
