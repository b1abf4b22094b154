// SPDX-License-Identifier: Apache-2.0
import Glibc
import QuernTesting
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("TaskHandle: whom it answers, and when", .timeLimit(.minutes(20)))
struct HandleTests {
    @Test("A task whose outcome is being written is not unknown")
    func outcomeUnderWay() async throws {
        try await withScheduler(SlowSyncs()) {
            $0.register(StepHandler())
        } _: { scheduler in
            for number in 0..<40 {
                let memo = try await scheduler.submit(Step(number: number)).memo()
                #expect(memo.value == Int64(number))
            }
        }
    }

    @Test("A task whose outcome found no space is waited for")
    func outcomeWithoutSpace() async throws {
        let files = SimulatedFileSystem()
        try await withScheduler(files) {
            $0.register(
                StepHandler { step, _ in
                    files.faults.capacity = files.usedBytes
                    return Int64(step.number)
                })
        } _: { scheduler in
            let id = try await scheduler.submit(Step(number: 7)).id
            try await eventually { scheduler.core.read { $0.dispatcher.isStalled } }
            async let answer = scheduler.handle(for: id, of: Step.self).memo()
            try await Task.sleep(for: .milliseconds(20))
            files.faults.capacity = nil
            let memo = try await answer
            #expect(memo.value == 7)
        }
    }

    @Test("A full disk after a crash makes the scheduler wait, and does not end it (S4)")
    func noSpaceForNotes() async throws {
        let files = SimulatedFileSystem()
        let first = try await idleScheduler(files) { $0.register(StepHandler()) }
        let id = try await first.submit(Step(number: 7)).id
        let crashed = files.crash(keeping: .keepAll)
        let second = try await idleScheduler(crashed) { $0.register(StepHandler()) }
        crashed.faults.capacity = crashed.usedBytes
        let service = Task { try await second.run() }
        try await eventually { second.core.read { $0.dispatcher.isStalled || $0.failure != nil } }
        crashed.faults.capacity = nil
        #expect(try await second.handle(for: id, of: Step.self).memo().value == 7)
        second.triggerGracefulShutdown()
        try await service.value
    }

    @Test("A child has no handle: whoever asks is told so, and does not wait for ever")
    func child() async throws {
        let gate = Gate()
        try await withScheduler {
            $0.register(
                StepHandler { _, _ in
                    try await gate.passOrThrow()
                    return 1
                })
            $0.register(PlanHandler())
        } _: { scheduler in
            let plan = try await scheduler.submit(Plan(children: 1))
            try await eventually { scheduler.progress(of: plan.id)?.liveChildren == 1 }
            let child = scheduler.handle(for: TaskID(plan.id.rawValue + 1), of: Step.self)
            let alive = await #expect(throws: SchedulerError.self) { try await child.memo() }
            #expect(alive?.code == .unknownTask)
            gate.open()
            _ = try await plan.memo()
            let ended = await #expect(throws: SchedulerError.self) { try await child.memo() }
            #expect(ended?.code == .unknownTask)
        }
    }

    @Test("Handles of what has ended, or never was, leave nothing behind, asked or not")
    func nothingLeft() async throws {
        let gate = Gate()
        try await withScheduler {
            $0.register(
                StepHandler { step, _ in
                    if step.number == 1 { await gate.pass() }
                    return 1
                })
        } _: { scheduler in
            let id = try await scheduler.submit(Step(number: 0)).id
            try await eventually { !scheduler.core.store.isLive(id) }
            let ended = (0..<3).map { _ in scheduler.handle(for: id, of: Step.self) }
            let unknown = scheduler.handle(for: TaskID(1_000_000), of: Step.self)
            #expect(scheduler.core.read { $0.watches.isEmpty })
            for handle in ended { #expect(try await handle.memo().value == 1) }
            await #expect(throws: SchedulerError.self) { try await unknown.memo() }
            #expect(scheduler.core.read { $0.watches.isEmpty })

            // All of one task are answered, whichever of them was there first.
            let live = try await scheduler.submit(Step(number: 1)).id
            let first = scheduler.handle(for: live, of: Step.self)
            let second = TaskHandle<Step>(id: live, core: scheduler.core, watch: RootWatch())
            try await scheduler.core.lookUp(live, second.watch)
            gate.open()
            #expect(try await first.memo() == second.memo())
            #expect(second.watch.isAnswered && scheduler.core.read { $0.watches.isEmpty })
        }
    }

    @Test("A handle of another type gives an error, not bytes read as what they are not")
    func otherType() async throws {
        struct Other: DurableTask {
            static let type: TaskType = "test.other"
            typealias Memo = NoMemo
        }
        try await withScheduler {
            $0.register(StepHandler())
        } _: { scheduler in
            let step = try await scheduler.submit(Step(number: 1))
            _ = try await step.memo()
            let other = scheduler.handle(for: step.id, of: Other.self)
            let memo = await #expect(throws: SchedulerError.self) { try await other.memo() }
            #expect(memo?.code == .unknownTask)
            let outcome = await #expect(throws: SchedulerError.self) { try await other.outcome() }
            #expect(outcome?.code == .unknownTask)
            #expect(try await scheduler.handle(for: step.id, of: Step.self).memo().value == 1)
        }
    }

    @Test("A shutdown that is asked for before run() ends it at once, and loses nothing")
    func shutdownBeforeRun() async throws {
        let files = SimulatedFileSystem()
        let scheduler = try await idleScheduler(files) { $0.register(StepHandler()) }
        let id = try await scheduler.submit(Step(number: 3)).id
        scheduler.triggerGracefulShutdown()
        try await scheduler.run()
        try await withScheduler(files) {
            $0.register(StepHandler())
        } _: { scheduler in
            let memo = try await scheduler.handle(for: id, of: Step.self).memo()
            #expect(memo.value == 3)
        }
    }
}

/// A file system in memory whose syncs take a while.
private struct SlowSyncs: FileSystem {
    final class File: StoreFile {
        let file: any StoreFile
        init(_ file: any StoreFile) { self.file = file }

        var path: FilePath { file.path }
        func size() throws(FileError) -> Int { try file.size() }
        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
            try file.read(into: buffer, at: offset)
        }
        func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
            try file.write(bytes, at: offset)
        }
        func synchronize() throws(FileError) {
            usleep(3000)
            try file.synchronize()
        }
        func map(length: Int) throws(FileError) -> FileMapping { try file.map(length: length) }
    }

    let files = SimulatedFileSystem()

    func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        File(try files.open(path, mode))
    }
    func list(_ directory: FilePath) throws(FileError) -> [String] { try files.list(directory) }
    func createDirectory(_ path: FilePath) throws(FileError) { try files.createDirectory(path) }
    func rename(_ source: FilePath, to target: FilePath) throws(FileError) { try files.rename(source, to: target) }
    func remove(_ path: FilePath) throws(FileError) { try files.remove(path) }
    func synchronizeDirectory(_ path: FilePath) throws(FileError) { try files.synchronizeDirectory(path) }
    func lock(_ path: FilePath) throws(FileError) -> any FileLock { try files.lock(path) }
}
