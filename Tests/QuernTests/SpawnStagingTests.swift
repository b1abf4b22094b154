// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// A task with a payload of a mebibyte, so that a handful of them is staged.
private struct Blob: DurableTask {
    static let type: TaskType = "test.blob"
    typealias Memo = Step.Memo

    var number: UInt8

    func encodePayload(into writer: inout ByteWriter) {
        writer.append(number)
        writer.append(zeros: 1 << 20)
    }

    static func decodePayload(_ bytes: RawSpan) throws -> Blob {
        Blob(number: bytes.withUnsafeBytes { $0.first ?? 0 })
    }
}

private struct BlobHandler: TaskHandler {
    let journal: Journal
    func execute(_ task: Blob, in context: TaskContext) async throws -> Step.Memo {
        journal.note("blob")
        return Step.Memo(value: Int64(task.number))
    }
}

private struct BlobPlanHandler: OrchestratorHandler {
    var onSpawned: @Sendable (Plan, TaskContext) async throws -> Void = { _, _ in }

    func execute(_ plan: Plan, in context: TaskContext) async throws -> Int {
        for number in 0..<plan.children { try context.spawnChild(Blob(number: UInt8(number))) }
        try await onSpawned(plan, context)
        return plan.children
    }

    func finalize(_ plan: Plan, handover: Int, in context: FinalizeContext) async throws -> Plan.Memo {
        var memo = Plan.Memo()
        for try await child in context.childMemos(of: Blob.self) { memo.sum += child.value }
        memo.completed = context.counts.completed
        return memo
    }
}

@Suite("T6: what a task spawns beyond what belongs in memory is staged", .timeLimit(.minutes(20)))
struct SpawnStagingTests {
    private let journal = Journal()

    private func register(
        _ registry: inout Registry, _ onSpawned: @escaping @Sendable (Plan, TaskContext) async throws -> Void
    ) {
        registry.register(BlobHandler(journal: journal))
        registry.register(
            BlobPlanHandler(onSpawned: onSpawned), retry: .constant(.milliseconds(1), attempts: 3))
    }

    private static func staged(_ context: TaskContext) -> [UInt64] {
        context.core.store.shared.committed.withLock { $0.state.stages.values.map(\.count).filter { $0 > 0 } }
    }

    @Test("Spawned tasks go to the log while the handler runs, are not seen before it returns, and then all run")
    func staged() async throws {
        let memo = try await withScheduler { registry in
            register(&registry) { [journal] _, context in
                try await eventually { Self.staged(context).first ?? 0 >= 8 }
                #expect(context.core.store.totals.live == 1)
                #expect(journal.count("blob") == 0)
            }
        } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: 10)).memo()
            #expect(scheduler.core.store.shared.committed.withLock { $0.state.stages.isEmpty })
            return memo
        }
        #expect(memo.sum == 45 && memo.completed == 10)
        #expect(journal.count("blob") == 10)
    }

    @Test("What a failed attempt staged is gone: the next attempt spawns its own")
    func failedAttempt() async throws {
        let memo = try await withScheduler { registry in
            register(&registry) { _, context in
                try await eventually { Self.staged(context).first ?? 0 >= 8 }
                if context.attempt < 3 { throw Trouble("attempt \(context.attempt)") }
                try await eventually { Self.staged(context).count == 1 }
            }
        } _: {
            try await $0.submit(Plan(children: 9)).memo()
        }
        #expect(memo.sum == 36 && memo.completed == 9)
        #expect(journal.count("blob") == 9)
    }

    @Test("A crash before the handler returns leaves neither its outcome nor what it staged")
    func crash() async throws {
        let files = SimulatedFileSystem()
        let image = Mutex<SimulatedFileSystem?>(nil)
        try await withScheduler(files) { registry in
            register(&registry) { _, context in
                try await eventually { Self.staged(context).first ?? 0 >= 4 }
                image.withLock { $0 = files.crash(keeping: .keepAll) }
            }
        } _: {
            _ = try await $0.submit(Plan(children: 8)).memo()
        }
        let remains = try #require(image.withLock { $0 })
        let again = Journal()
        try await withScheduler(remains) { registry in
            registry.register(BlobHandler(journal: again))
            registry.register(BlobPlanHandler(onSpawned: { _, _ in again.note("execute") }))
        } _: { scheduler in
            let memo = try await scheduler.unfinished(Plan.self).first?.memo()
            #expect(memo?.sum == 28 && memo?.completed == 8)
        }
        #expect(again.count("execute") == 1 && again.count("blob") == 8)
    }

    @Test("Without space for what it stages a task waits, and runs again when there is space, as if never started")
    func noSpace() async throws {
        let files = SimulatedFileSystem()
        let memo = try await withScheduler(files) { registry in
            register(&registry) { [journal] _, context in
                journal.note("execute \(context.attempt)")
            }
        } _: { scheduler in
            var plan = FaultPlan()
            // The task itself is written, and then nothing.
            plan.fail(.write, at: 2, with: .noSpace, .fromThenOn, in: "log-")
            files.faults = plan
            let handle = try await scheduler.submit(Plan(children: 8))
            try await eventually { scheduler.core.read { $0.dispatcher.isStalled } }
            files.faults = FaultPlan()
            return try await handle.memo()
        }
        #expect(memo.sum == 28 && memo.completed == 8)
        #expect(journal.all.keys.contains("execute 1") && !journal.all.keys.contains("execute 2"))
        #expect(journal.count("execute 1") > 1 && journal.count("blob") == 8)
    }
}
