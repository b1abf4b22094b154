// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore
import Synchronization

/// The callers of the service: each submits, waits, and says what it was told before it goes on.
final class Load: Sendable {
    private static let callers = 48
    private static let batchCallers = 3
    private static let waveCallers = 4
    /// The name under which values are stored beside the tasks.
    static let counter = "crash.counter"
    /// Ended trees of this process that are kept before the first is dropped.
    private static let keptTrees = 300

    private let scheduler: TaskScheduler
    private let store: MemoStore
    private let numbers: Atomic<UInt64>
    private let drops: Bool
    private let ended = Mutex<[TaskID]>([])

    init(scheduler: TaskScheduler, store: MemoStore, firstNumber: UInt64, drops: Bool) {
        self.scheduler = scheduler
        self.store = store
        numbers = Atomic(firstNumber)
        self.drops = drops
    }

    private var nextNumber: UInt64 { numbers.wrappingAdd(1, ordering: .relaxed).oldValue }

    /// Returns when the scheduler stops.
    func run() async throws {
        // Before there are more, so that nobody waits twice for one.
        let left = try unfinished()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.callers { group.addTask { try await self.repeating { try await self.single() } } }
            for _ in 0..<Self.batchCallers { group.addTask { try await self.repeating { try await self.batch() } } }
            for _ in 0..<Self.waveCallers { group.addTask { try await self.repeating { try await self.wave() } } }
            group.addTask { try await self.repeating { try await self.count() } }
            group.addTask { try await self.repeating { try await self.compact() } }
            group.addTask { try await self.awaitAll(left) }
            try await group.waitForAll()
        }
    }

    /// Says how the tasks end that an earlier process left.
    func awaitUnfinished() async throws { try await awaitAll(try unfinished()) }

    private typealias Handles = (singles: [TaskHandle<Single>], waves: [TaskHandle<Wave>])

    private func unfinished() throws -> Handles {
        (try scheduler.unfinished(Single.self), try scheduler.unfinished(Wave.self))
    }

    private func awaitAll(_ handles: Handles) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for handle in handles.singles { group.addTask { try await self.stoppable { try await self.end(handle) } } }
            for handle in handles.waves { group.addTask { try await self.stoppable { try await self.end(handle) } } }
            try await group.waitForAll()
        }
    }

    // MARK: Callers

    private func single() async throws {
        let number = nextNumber
        let handle = try await scheduler.submit(Single(number: number), options: SingleHandler.options(of: number))
        AcknowledgementPipe.write(.submitted(id: handle.id.rawValue, number: number, isWave: false))
        if LoadModel.isCancelled(single: number) { try await cancel(handle.id) }
        try await end(handle)
    }

    private func batch() async throws {
        let count = 20 + Int(LoadModel.mix(nextNumber) % 300)
        var tasks: [Single] = []
        while tasks.count < count {
            let number = nextNumber
            // They have options in common, so that none of them is one that is tried again.
            if SingleHandler.options(of: number) == TaskOptions() { tasks.append(Single(number: number)) }
        }
        let handles = try await scheduler.submit(contentsOf: tasks)
        AcknowledgementPipe.write(
            zip(handles, tasks).map { .submitted(id: $0.id.rawValue, number: $1.number, isWave: false) })
        for handle in handles { try await end(handle) }
    }

    private func wave() async throws {
        let wave = Wave(number: nextNumber)
        let handle = try await scheduler.submit(wave)
        AcknowledgementPipe.write(.submitted(id: handle.id.rawValue, number: wave.number, isWave: true))
        if LoadModel.isCancelled(wave: wave.number) {
            try await Task.sleep(for: .microseconds(Int64(LoadModel.mix(wave.number) % 20_000)))
            try await cancel(handle.id)
        }
        try await end(handle)
    }

    private func cancel(_ id: TaskID) async throws {
        if try await scheduler.cancel(id) { AcknowledgementPipe.write(.cancelled(id: id.rawValue)) }
    }

    private func end(_ handle: TaskHandle<Single>) async throws {
        let outcome = try await handle.outcome()
        try await end(handle.id, outcome.kind, (try? outcome.result.get().value) ?? 0)
    }

    private func end(_ handle: TaskHandle<Wave>) async throws {
        let outcome = try await handle.outcome()
        try await end(handle.id, outcome.kind, (try? outcome.result.get().sum) ?? 0)
    }

    private func end(_ id: TaskID, _ kind: OutcomeKind, _ value: UInt64) async throws {
        AcknowledgementPipe.write(.ended(id: id.rawValue, kind: kind.rawValue, value: value))
        guard drops else { return }
        let oldest = ended.withLock { ended -> TaskID? in
            ended.append(id)
            return ended.count > Self.keptTrees ? ended.removeFirst() : nil
        }
        guard let oldest else { return }
        AcknowledgementPipe.write(.dropping(id: oldest.rawValue))
        try await store.dropTree(oldest)
        AcknowledgementPipe.write(.dropped(id: oldest.rawValue))
    }

    /// A commit to the store beside the scheduler's.
    private func count() async throws {
        let number = nextNumber
        var transaction = Transaction()
        transaction.set(Self.counter, to: Array("\(number)".utf8))
        try await store.append(transaction)
        AcknowledgementPipe.write(.stored(value: number))
        try await Task.sleep(for: .milliseconds(1))
    }

    private func compact() async throws {
        try await Task.sleep(for: .milliseconds(150))
        try await store.compact()
    }

    // MARK: Errors

    private func repeating(_ body: @Sendable () async throws -> Void) async throws {
        while try await stoppable(body) {}
    }

    /// Says what was refused. Returns whether the service goes on: what may succeed later is no reason to end.
    @discardableResult
    private func stoppable(_ body: @Sendable () async throws -> Void) async throws -> Bool {
        do {
            try await body()
            return true
        } catch let error as SchedulerError {
            if error.code == .stopped { return false }
            guard let cause = error.cause else { throw error }
            return try await goesOn(after: cause)
        } catch let error as StoreError {
            return try await goesOn(after: error)
        }
    }

    private func goesOn(after error: StoreError) async throws -> Bool {
        if error.code == .closed { return false }
        AcknowledgementPipe.write(.refused(Self.summary(of: error)))
        try await Task.sleep(for: .milliseconds(5))
        return error.isTransient
    }

    /// The kind of an error, and the reason that the system gave.
    static func summary(of error: StoreError) -> String {
        guard let cause = error.cause else { return "\(error.code): \(error.message.filter { !$0.isNumber })" }
        return "\(error.code) (\(cause.operation): \(cause.errno))"
    }
}
