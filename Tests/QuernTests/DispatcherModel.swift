// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import Quern
@testable import QuernStore

extension SpawnRun {
    static func test(_ firstID: UInt64, count: Int, parent: UInt64, label: UInt32 = 0) -> SpawnRun {
        SpawnRun(
            firstID: TaskID(firstID), parent: TaskID(parent), submittedAt: Timestamp(milliseconds: 0),
            label: Label(rawValue: label), count: UInt8(count), priority: 128, segment: 0, frameOffset: 0,
            recordOffset: 0)
    }
}

/// A world around a dispatcher: a store that knows every task's state, and workers that a seed moves. It checks at
/// every step what must never happen: a task with two owners, two outcomes, an outcome before its children's, a
/// finalize beside live children, a task that is run although it was to be cancelled before.
struct DispatcherModel {
    struct Node {
        var parent: UInt64
        var isOrchestrator: Bool
        var policyIsFailFast = false
        var depth: Int
        var phase: UInt8 = 0
        var outcome: OutcomeKind?
        var cancel: OutcomeKind?
        var cancelRequested: Bool { cancel != nil }
        var attributes = TaskAttributes()
        var run: SpawnRun
        var live = 0
        var counts = OutcomeCounts()
        var firstFailure = TaskID.none
        var finalized = 0
        var executed = 0
        /// Attempts that count.
        var attempts: UInt32 = 0
        var group: String?
        /// Bytes that it is expected to read and write.
        var bytes = 0
        /// What it has now.
        var priority: UInt8
    }

    struct ModelError: Error, CustomStringConvertible {
        var description: String
    }

    struct WorkerState {
        var place: HandlerPlace
        var pull: Pull?
        var isCancelled = false
    }

    /// What a worker's report commits later.
    enum Change {
        case spawn(SpawnRun, depth: Int)
        case advance(UInt64, phase: UInt8)
        /// The children that were spawned ahead of a commit are there.
        case arrived(UInt64)
        case end(UInt64, OutcomeKind)
    }

    // Labels: a leaf, a fail-fast orchestrator, a tolerant one on threads, an unknown type.
    static let groups = ["a", "b"]
    static let facts: [TypeFacts?] = [
        TypeFacts(), TypeFacts(isOrchestrator: true, policy: .failFast, ioBytes: 40),
        TypeFacts(place: .threads, isOrchestrator: true, policy: .tolerate, hasCancelHook: true), nil,
    ]

    var random: SeededGenerator
    var dispatcher: Dispatcher
    var nodes: [UInt64: Node] = [:]
    var workers: [UInt64: WorkerState] = [:]
    var uncommitted: [(changes: [Change], bytes: Int)] = []
    var nextID: UInt64 = 1
    var clock: Int64 = 0
    var spawnBudget = 300
    /// Of what is counted in starts, and behind them those of what is counted in bytes.
    var limits = Array(repeating: Limits(), count: 2 * (4 + Self.groups.count))
    /// Of which the dispatcher wants to hear when they end.
    var watched: Set<UInt64> = []
    var waitsForOthers = false

    init(seed: UInt64, concurrency: Int) {
        random = SeededGenerator(seed: seed)
        var limits = Dispatcher.Limits(concurrency: concurrency, cancelledPerPull: 10)
        if seed % 3 == 1 { limits.aging = .milliseconds(50) }
        if seed % 4 == 1 { limits.preemption = 5 }
        if seed % 2 == 1 { limits.throttle = Self.throttle }
        dispatcher = Dispatcher(facts: Self.facts, limits: limits)
        dispatcher.isRunning = true
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    // MARK: The store

    mutating func makeRun(count: Int, parent: UInt64, label: UInt32) -> SpawnRun {
        let run = SpawnRun.test(nextID, count: count, parent: parent, label: label)
        nextID += UInt64(count)
        return run
    }

    mutating func commit() throws {
        guard !uncommitted.isEmpty else { return }
        let count = Int.random(in: 1...uncommitted.count, using: &random)
        let batch = Array(uncommitted.prefix(count))
        uncommitted.removeFirst(count)
        var touched: Set<UInt64> = []
        var spawned: [(run: SpawnRun, attributes: [UInt8], absent: UInt64)] = []
        for change in batch.flatMap(\.changes) {
            switch change {
            case .spawn(let run, let depth):
                // Ids follow commit order.
                var placed = run
                placed.firstID = TaskID(nextID)
                placed.submittedAt = now
                placed.priority = [100, 110, 128].randomElement(using: &random) ?? 128
                nextID += UInt64(run.count)
                var attributes = makeAttributes(for: placed)
                if chance(50) { attributes.group = Self.groups.randomElement(using: &random) }
                if chance(40) { attributes.expectedIO = IOEstimate(writeBytes: UInt64(random.below(80))) }
                // Some whose keys were taken.
                let absent =
                    chance(10) && run.count > 1 ? UInt64.random(in: 0...placed.allBits >> 1, using: &random) : 0
                add(placed, depth: depth, attributes, absent: absent)
                spawned.append((placed, try attributes.encoded(), absent))
                touched.insert(run.parent.rawValue)
            case .advance(let id, let phase):
                nodes[id]?.phase = phase
                touched.insert(id)
            case .arrived: break
            case .end(let id, let kind):
                try end(id, kind)
                if let parent = nodes[id]?.parent { touched.insert(parent) }
            }
        }
        for new in spawned { dispatcher.spawned(new.run, attributes: new.attributes, absent: new.absent) }
        tellEnds()
        for id in touched.sorted() where id != 0 && nodes[id]?.outcome == nil {
            let status = status(id)
            watchingClaims { $0.dispatcher.touched(status) }
        }
        for case .arrived(let id) in batch.flatMap(\.changes) {
            watchingClaims { $0.dispatcher.childrenArrived(at: TaskID(id)) }
        }
        for entry in batch where entry.bytes > 0 { dispatcher.committed(bytes: entry.bytes) }
    }

    mutating func add(_ run: SpawnRun, depth: Int, _ attributes: TaskAttributes, absent: UInt64) {
        for index in BitIndexes(run.allBits & ~absent) {
            nodes[run.id(at: index).rawValue] = Node(
                parent: run.parent.rawValue, isOrchestrator: run.label.rawValue == 1 || run.label.rawValue == 2,
                policyIsFailFast: run.label.rawValue == 1, depth: depth, attributes: attributes, run: run,
                group: attributes.group,
                bytes: Int(attributes.expectedIO?.total ?? Self.facts[Int(run.label.rawValue)]?.ioBytes ?? 0),
                priority: run.priority)
        }
        nodes[run.parent.rawValue]?.live += (run.allBits & ~absent).nonzeroBitCount
    }

    mutating func end(_ id: UInt64, _ kind: OutcomeKind) throws {
        guard let node = nodes[id] else { throw ModelError(description: "unknown task \(id) ends") }
        guard node.outcome == nil else { throw ModelError(description: "task \(id) ends twice") }
        guard node.live == 0 else { throw ModelError(description: "task \(id) ends before its children") }
        nodes[id]?.outcome = kind
        guard node.parent != 0 else { return }
        nodes[node.parent]?.live -= 1
        nodes[node.parent]?.counts[kind] += 1
        if kind.isFailure, nodes[node.parent]?.firstFailure == TaskID.none {
            nodes[node.parent]?.firstFailure = TaskID(id)
        }
    }

    func status(_ id: UInt64) -> ParentStatus {
        var status = ParentStatus(id: TaskID(id))
        guard let node = nodes[id] else { return status }
        status.phase = node.phase
        status.cancelRequested = node.cancelRequested
        status.liveChildren = UInt64(node.live)
        status.counts = node.counts
        status.firstFailure = node.firstFailure
        return status
    }

    func live() -> LiveTasks {
        var live = LiveTasks()
        var seen: Set<UInt64> = []
        for id in nodes.keys.sorted() {
            guard let node = nodes[id] else { continue }
            let first = node.run.firstID.rawValue
            if seen.insert(first).inserted {
                var bits: UInt64 = 0
                for index in 0..<Int(node.run.count) {
                    if let other = nodes[first + UInt64(index)], other.outcome == nil { bits |= 1 << UInt64(index) }
                }
                if bits != 0 {
                    live.runs.append(LiveTasks.Run(run: node.run, live: bits))
                    if let attributes = try? node.attributes.encoded(), !attributes.isEmpty {
                        live.attributes[node.run.firstID] = attributes
                    }
                }
            }
            guard node.outcome == nil else { continue }
            if node.phase != 0 || node.cancelRequested || node.priority != node.run.priority {
                var detail = LiveTasks.Detail()
                detail.phase = node.phase
                detail.priority = node.priority == node.run.priority ? nil : node.priority
                detail.cancel = node.cancel
                live.details[TaskID(id)] = detail
            }
            if node.phase != 0 || node.live > 0 || node.counts.total > 0 { live.parents.append(status(id)) }
        }
        return live
    }

    func isCancelled(_ id: UInt64) -> Bool {
        var current = id
        while let node = nodes[current] {
            if node.cancelRequested { return true }
            current = node.parent
        }
        return false
    }
}
