// SPDX-License-Identifier: Apache-2.0
import Synchronization

@testable import Quern
@testable import QuernStore

/// What the handlers of one process have in common: they follow their scripts and tell the reference what they do, as
/// long as the process lives.
final class LifeStage: Sendable {
    private struct State {
        var isDead = false
        /// Whether nobody hangs any more.
        var isOpen = false
        var hanging: [TaskID: CheckedContinuation<Void, Never>] = [:]
        /// Handlers' calls until the process dies in one; nil for never.
        var callsToLive: Int?
    }

    let world: LifeWorld
    private let state = Mutex(State())
    /// What takes the picture of the files when the process dies in a handler.
    let dies: @Sendable () -> Void

    init(_ world: LifeWorld, dies: @escaping @Sendable () -> Void) {
        self.world = world
        self.dies = dies
    }

    var isDead: Bool { state.withLock { $0.isDead } }
    var hanging: Set<TaskID> { state.withLock { Set($0.hanging.keys) } }

    func die() { state.withLock { $0.isDead = true } }
    /// - Parameter calls: nil for never.
    func die(inCalls calls: Int?) { state.withLock { $0.callsToLive = calls } }

    /// Lets those go on that hang; for good, when asked.
    func open(forGood: Bool = false) {
        let hanging = state.withLock { state in
            state.isOpen = state.isOpen || forGood
            defer { state.hanging = [:] }
            return state.hanging
        }
        for (_, continuation) in hanging.sorted(by: { $0.key < $1.key }) { continuation.resume() }
    }

    private func hang(_ id: TaskID) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    if state.isOpen || state.isDead || Task.isCancelled { return true }
                    state.hanging[id] = continuation
                    return false
                }
                if goesOn { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.hanging.removeValue(forKey: id) }?.resume()
        }
    }

    // MARK: - What handlers do

    func execute(_ number: Int, padding: Int, in context: TaskContext) async throws -> Script {
        let script = try world.script(number)
        if padding != script.padding { world.report("script \(number) came with \(padding) bytes") }
        let call = LifeCall(context, script)
        world.began(call, self)
        try countCall()
        do {
            try await spawn(script, in: context)
            try await follow(script.execute, call)
            world.returned(call, self)
            return script
        } catch {
            world.threw(call, error, isCut: Task.isCancelled, self)
            throw error
        }
    }

    func finalize(
        _ number: Int, _ handover: LifeHandover, in context: FinalizeContext
    ) async throws -> (Script, sum: Int64) {
        let script = try world.script(number)
        let call = LifeCall(context, script)
        world.began(call, self)
        try countCall()
        do {
            let outcomes = try context.children.outcomes()
            if !isDead { try await compare(outcomes, handover, call, context) }
            try await follow(script.finalize, call)
            world.returned(call, self)
            return (script, LeafTotals(of: outcomes, world).sum)
        } catch {
            world.threw(call, error, isCut: Task.isCancelled, self)
            throw error
        }
    }

    /// All ways to look at children show the same.
    private func compare(
        _ outcomes: [LifeOutcome], _ handover: LifeHandover, _ call: LifeCall, _ context: FinalizeContext
    ) async throws {
        let expected = LeafTotals(of: outcomes, world)
        let folded = try await context.aggregate(of: LifeTask<Leaf>.self, into: LeafTotals(), every: 2, named: "fold") {
            $0.add($1.number)
        }
        let value = try await context.value(of: LeafTotals.aggregate)
        var walked = LeafTotals()
        for try await memo in context.childMemos(of: LifeTask<Leaf>.self) { walked.add(memo.number) }
        let reduced = try context.reduceMemos(of: LifeTask<Leaf>.self, into: LeafTotals()) { $0.add($1.number) }
        var failures = 0
        for try await _ in context.failures() { failures += 1 }
        guard !isDead else { return }
        if [folded, value, walked, reduced].contains(where: { $0 != expected }) {
            world.report("\(call) sees \(expected), and \(folded), \(value), \(walked), \(reduced)")
        }
        let counts = OutcomeCounts(of: outcomes)
        if context.counts != counts || UInt64(failures) != counts.failures {
            world.report("\(call) counts \(context.counts) and \(failures) failures of \(counts)")
        }
        if handover.number != call.script.number { world.report("\(call) is handed \(handover)") }
        world.sawChildren(call, outcomes)
    }

    func cancelled(_ number: Int, _ id: TaskID) {
        if !isDead { world.hooked(number, id) }
    }

    private func countCall() throws {
        let isLast = state.withLock { state in
            guard let left = state.callsToLive else { return false }
            state.callsToLive = left > 1 ? left - 1 : nil
            return left <= 1
        }
        if isLast { dies() }
        if isDead { throw Trouble("dead") }
    }

    private func follow(_ part: Script.Part, _ call: LifeCall) async throws {
        if part.hangs != .never {
            await hang(call.id)
            if part.hangs == .untilCancelled { try Task.checkCancellation() }
        }
        if part.ending == .failAlways || call.attempt <= part.failures {
            if let delay = part.retryAfter { throw LifeDelay(retryAfter: delay) }
            throw Trouble("attempt \(call.attempt)")
        }
        if part.ending == .failForGood { throw PermanentError(reason: "for good") }
    }
}

/// An error that says when to try again.
struct LifeDelay: DelaysRetry { var retryAfter: Duration }

/// One call of a handler.
struct LifeCall: Sendable, CustomStringConvertible {
    var id: TaskID
    var parent: TaskID
    var attempt: UInt32
    var script: Script
    var finalizes: Bool
    /// What is known of the task beside, at its start.
    var now: Timestamp
    var submittedAt: Timestamp?
    var attributes = TaskAttributes()
    /// Whether what it waits for has ended.
    var isFree: Bool
    var liveChildren: UInt64

    init(_ context: TaskContext, _ script: Script) {
        self.init(
            context.core, context.id, context.parent, context.attempt, script, finalizes: false,
            now: context.startedAt)
    }

    init(_ context: FinalizeContext, _ script: Script) {
        self.init(
            context.core, context.id, context.parent, context.attempt, script, finalizes: true, now: context.now)
    }

    private init(
        _ core: SchedulerCore, _ id: TaskID, _ parent: TaskID, _ attempt: UInt32, _ script: Script, finalizes: Bool,
        now: Timestamp
    ) {
        self.id = id
        self.parent = parent
        self.attempt = attempt
        self.script = script
        self.finalizes = finalizes
        self.now = now
        let run = core.store.run(of: id)
        submittedAt = run?.submittedAt
        if let run { attributes = core.attributes(of: run) ?? TaskAttributes() }
        isFree = !attributes.dependencies.contains { core.store.isLive($0.task) }
        liveChildren = core.store.status(of: id)?.liveChildren ?? 0
    }

    var description: String {
        "\(finalizes ? "finalize" : "execute") of task \(id) (script \(script.number), "
            + "\(script.kind)), attempt \(attempt)"
    }
}

extension LeafTotals {
    init(of outcomes: [LifeOutcome], _ world: LifeWorld) {
        let leaf = world.label(of: .leaf)
        for outcome in outcomes where outcome.kind == .completed && outcome.label == leaf {
            add(Int64(outcome.number(.leaf) ?? 0))
        }
    }
}
