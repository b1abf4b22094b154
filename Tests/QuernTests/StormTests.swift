// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// A task of a tree: what it does follows from its seed.
private struct Twig: DurableTask {
    static let type: TaskType = "storm.twig"
    var seed: UInt64
    var depth: Int
    struct Memo: FixedLayoutMemo { var leaves: UInt64 }
}

private struct Bough: DurableTask {
    static let type: TaskType = "storm.branch"
    var seed: UInt64
    var depth: Int
    typealias Memo = Twig.Memo
}

/// As ``Bough``, and bears no failure.
private struct Stem: DurableTask {
    static let type: TaskType = "storm.stem"
    var seed: UInt64
    var depth: Int
    typealias Memo = Twig.Memo
}

private struct TwigHandler: TaskHandler, CancelHandling {
    func execute(_ task: Twig, in context: TaskContext) async throws -> Twig.Memo {
        var random = SeededGenerator(seed: task.seed &+ UInt64(context.attempt))
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<6: throw PermanentError(reason: "broken")
        case 6..<14: throw Trouble("once more")
        case 14..<18: try await Task.sleep(for: .milliseconds(2))
        case 18..<20: while !context.isCancelled, Bool.random(in: 20, using: &random) { await Task.yield() }
        case 20..<23 where context.parent != .none && task.depth > 0:
            try context.spawnSibling(Twig(seed: random.next(), depth: task.depth - 1))
        default: break
        }
        return Twig.Memo(leaves: 1)
    }

    func cancelled(_ task: Twig, id: TaskID) async throws {
        if task.seed % 50 == 0 { throw Trouble("hook") }
    }
}

extension Bool {
    fileprivate static func random(in chances: Int, using random: inout SeededGenerator) -> Bool {
        Int.random(in: 0..<chances, using: &random) != 0
    }
}

private enum Growth {
    static func grow(_ seed: UInt64, _ depth: Int, _ context: TaskContext) async throws {
        var random = SeededGenerator(seed: seed &+ UInt64(context.attempt))
        let count = Int.random(in: 0..<6, using: &random)
        for _ in 0..<count {
            var options = TaskOptions()
            if Int.random(in: 0..<4, using: &random) == 0 { options.group = ["a", "b"].randomElement(using: &random) }
            if Int.random(in: 0..<8, using: &random) == 0 {
                options.start = .after(.milliseconds(Int64.random(in: 0..<30, using: &random)))
            }
            if Int.random(in: 0..<12, using: &random) == 0 {
                options.timeToLive = TimeToLive(
                    .milliseconds(Int64.random(in: 0..<40, using: &random)),
                    from: [.submission, .firstAttempt].randomElement(using: &random) ?? .submission)
            }
            if Int.random(in: 0..<6, using: &random) == 0 {
                options.key = "k\(Int.random(in: 0..<4, using: &random))"
                options.onDuplicate = [.skip, .replace].randomElement(using: &random)
            }
            options.priority = [10, 128, 200].randomElement(using: &random)
            let isEarly = Int.random(in: 0..<6, using: &random) == 0
            switch depth > 0 ? Int.random(in: 0..<3, using: &random) : 2 {
            case 0:
                let child = Bough(seed: random.next(), depth: depth - 1)
                if isEarly {
                    _ = try await context.spawnNow(child, options: options)
                } else {
                    try context.spawnChild(child, options: options)
                }
            case 1:
                let child = Stem(seed: random.next(), depth: depth - 1)
                if isEarly {
                    _ = try await context.spawnNow(child, options: options)
                } else {
                    try context.spawnChild(child, options: options)
                }
            default:
                let child = Twig(seed: random.next(), depth: 1)
                if isEarly {
                    _ = try await context.spawnNow(child, options: options)
                } else {
                    try context.spawnChild(child, options: options)
                }
            }
        }
        if Int.random(in: 0..<10, using: &random) == 0 {
            let twigs = AsyncStream { continuation in
                for number in 0..<40 { continuation.yield(Twig(seed: seed &+ UInt64(number), depth: 0)) }
                continuation.finish()
            }
            try await context.spawnChildren(from: twigs, chunk: 8, pendingLimit: 8)
        }
        if Int.random(in: 0..<12, using: &random) == 0 { throw Trouble("in execute") }
    }

    static func leaves(_ context: FinalizeContext, _ seed: UInt64) async throws -> Twig.Memo {
        var random = SeededGenerator(seed: seed &+ UInt64(context.attempt))
        if Int.random(in: 0..<10, using: &random) == 0 { throw Trouble("in finalize") }
        var sum: UInt64 = 0
        for try await memo in context.childMemos(of: Twig.self) { sum += memo.leaves }
        for try await memo in context.childMemos(of: Bough.self) { sum += memo.leaves }
        for try await memo in context.childMemos(of: Stem.self) { sum += memo.leaves }
        return Twig.Memo(leaves: sum)
    }
}

private struct BoughHandler: OrchestratorHandler {
    func execute(_ task: Bough, in context: TaskContext) async throws -> NoHandover {
        try await Growth.grow(task.seed, task.depth, context)
        return NoHandover()
    }
    func finalize(_ task: Bough, handover: NoHandover, in context: FinalizeContext) async throws -> Twig.Memo {
        try await Growth.leaves(context, task.seed)
    }
}

private struct StemHandler: OrchestratorHandler {
    func execute(_ task: Stem, in context: TaskContext) async throws -> NoHandover {
        try await Growth.grow(task.seed, task.depth, context)
        return NoHandover()
    }
    func finalize(_ task: Stem, handover: NoHandover, in context: FinalizeContext) async throws -> Twig.Memo {
        try await Growth.leaves(context, task.seed)
    }
}

@Suite(
    "A storm of calls from many threads leaves nothing behind (T3, T8, T9, T10)", .serialized, .timeLimit(.minutes(20)))
struct StormTests {
    static let seeds = (ProcessInfo.processInfo.environment["QUERN_STORMS"].flatMap(UInt64.init) ?? 2)

    private func open(_ files: SimulatedFileSystem, _ seed: UInt64) async throws -> TaskScheduler {
        var configuration = TaskScheduler.Configuration.simulated(files, concurrency: 2 + Int(seed % 5))
        configuration.cancelHookLimit = .milliseconds(50)
        configuration.crashLimit = nil
        if seed % 3 == 0 { configuration.preemption = 40 }
        if seed % 4 == 0 { configuration.aging = .milliseconds(20) }
        return try await TaskScheduler(storeAt: "/store", configuration: configuration) {
            $0.register(TwigHandler(), retry: .constant(.milliseconds(1), attempts: 3))
            $0.register(
                BoughHandler(), retry: .constant(.milliseconds(1), attempts: 3), runsOn: .threads,
                onChildFailure: .tolerate)
            $0.register(StemHandler(), retry: .constant(.zero, attempts: 2), onChildFailure: .failFast)
        }
    }

    private func act(_ scheduler: TaskScheduler, _ random: inout SeededGenerator, _ roots: inout [TaskID]) async throws
    {
        let some = TaskID(UInt64.random(in: 1...max(1, scheduler.core.store.lastTask.rawValue), using: &random))
        switch Int.random(in: 0..<24, using: &random) {
        case 0..<6:
            roots.append(try await scheduler.submit(Bough(seed: random.next(), depth: 2)).id)
        case 6..<9:
            let key = "r\(Int.random(in: 0..<3, using: &random))"
            let options = TaskOptions(key: key, onDuplicate: .replace)
            roots.append(try await scheduler.submit(Stem(seed: random.next(), depth: 2), options: options).id)
        case 9..<13: _ = try await scheduler.cancel(some)
        case 13: _ = try await scheduler.cancelAll(group: "a")
        case 14: _ = try await scheduler.cancel { $0.id.rawValue % 7 == 0 }
        case 15: _ = try await scheduler.setPriority(UInt8.random(in: 0...255, using: &random), of: some)
        case 16: _ = try? await scheduler.redrive(roots.randomElement(using: &random) ?? some)
        case 17: _ = try? await scheduler.resubmit(roots.randomElement(using: &random) ?? some)
        case 18: try await scheduler.pause(.group("b"))
        case 19: try await scheduler.resume(.group("b"))
        case 20: try scheduler.setConcurrency(Int.random(in: 1..<6, using: &random), for: .everything)
        case 21: try scheduler.setConcurrency([nil, 1, 2].randomElement(using: &random) ?? nil, for: .type(Twig.type))
        case 22: _ = try await scheduler.tasks(limit: 50)
        default: try scheduler.setRate(RateLimit(50, per: .milliseconds(5)), for: .group("a"))
        }
    }

    @Test("All ends, once each, whatever was cancelled, cut off and run again meanwhile", arguments: 1...Self.seeds)
    func storm(seed: UInt64) async throws {
        var files = SimulatedFileSystem()
        var random = SeededGenerator(seed: seed)
        var roots: [TaskID] = []
        for round in 0..<4 {
            let scheduler = try await open(files, seed)
            let service = Task { try await scheduler.run() }
            let events = scheduler.events(capacity: 1 << 20)
            let actors = (0..<3).map { number in
                var random = SeededGenerator(seed: random.next() &+ UInt64(number))
                let own = roots
                return Task { [own] in
                    var roots = own
                    for _ in 0..<40 { try await act(scheduler, &random, &roots) }
                    return roots
                }
            }
            for actor in actors { roots += try await actor.value.dropFirst(roots.count) }
            if round < 3 {
                switch Int.random(in: 0..<3, using: &random) {
                case 0: service.cancel()
                case 1: scheduler.triggerGracefulShutdown()
                default:
                    files = files.crash(keeping: .random(seed: random.next()))
                    service.cancel()
                }
                _ = await service.result
                continue
            }
            try await scheduler.resume(.group("b"))
            try scheduler.setConcurrency(nil, for: .type(Twig.type))
            try scheduler.setConcurrency(nil, for: .everything)
            let store = scheduler.core.store
            // The suite's time limit ends it when something is left.
            try await eventually { store.totals.live == 0 }
            // At rest nothing is remembered of anything.
            try await eventually {
                scheduler.core.read { $0.dispatcher.isIdle && $0.dispatcher.uncommittedTransactions == 0 }
            }
            scheduler.core.read { state in
                let dispatcher = state.dispatcher
                #expect(dispatcher.waiting.isEmpty && dispatcher.early.isEmpty && dispatcher.failing.isEmpty)
                #expect(dispatcher.doomed.isEmpty && dispatcher.cancelKinds.isEmpty, "\(dispatcher.doomed.count)")
                #expect(dispatcher.parked == 0 && dispatcher.questionsUnderWay == 0)
                #expect(dispatcher.limiters.groups.taskCount == 0 && dispatcher.deadlines.isEmpty)
                #expect(dispatcher.uncommittedBytes == 0 && dispatcher.uncommittedTransactions == 0)
                #expect(!dispatcher.queues.isUsed(dispatcher.limiters.suspects))
                #expect(!dispatcher.queues.isUsed(dispatcher.limiters.everything))
            }
            #expect(!scheduler.core.progress.isUsed)
            scheduler.triggerGracefulShutdown()
            try await service.value
            var ended: [TaskID: Int] = [:]
            for await event in events { if case .ended = event.kind { ended[event.task, default: 0] += 1 } }
            #expect(ended.values.allSatisfy { $0 == 1 })
        }
    }
}
