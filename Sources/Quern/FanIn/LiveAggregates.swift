// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernStore
import Synchronization

/// The values of aggregates as far as they were folded, and when the background folds again.
///
/// What is here is a short cut: every value can be computed from the children, and from what was saved sooner.
final class LiveAggregates: Sendable {
    /// One parent's. Its aggregates are folded one at a time.
    private final class Entry: Sendable {
        let turnstile = Turnstile()
        let states: StateKeeper
        /// A ``MemoFold`` each, by name.
        let folds = Mutex<[String: any Sendable]>([:])

        init(_ states: StateKeeper) { self.states = states }
    }

    private struct State {
        var entries: [TaskID: Entry] = [:]
        /// At how many ended children a parent is folded in the background; `max` for never.
        var due: [TaskID: UInt64] = [:]
        /// The parents that are being folded there.
        var busy: Set<TaskID> = []
    }

    /// How many parents are remembered.
    private static let mostParents = 256

    /// By the raw value of the parent's label.
    private let maintained: [UInt32: [MaintainedAggregate]]
    private let shortestInterval: UInt64
    private let state = Mutex(State())

    init(_ maintained: [UInt32: [MaintainedAggregate]]) {
        self.maintained = maintained
        shortestInterval = UInt64(maintained.values.joined().map(\.interval).min() ?? .max)
    }

    // MARK: Reading

    /// The value with all children that have ended by now.
    ///
    /// - Parameter savesAll: whether it is saved however few children are new.
    func value<Child: DurableTask, Value: Codable & Sendable>(
        of aggregate: Aggregate<Child, Value>, under parent: TaskID, in core: SchedulerCore, savesAll: Bool = false
    ) async throws -> Value {
        let labels = try core.types.labels(of: Child.self)
        let entry = entry(of: parent, core.store)
        return try await entry.turnstile.pass {
            typealias Fold = MemoFold<Value>
            let known = entry.folds.withLock { $0[aggregate.name] as? Fold }
            let (begun, rest) = try await Self.begin(aggregate, known, entry.states, parent, core.store)
            var fold = begun
            if !rest.isEmpty {
                fold = try await rest.reduce(
                    into: begun, columns: .memos, threads: 1,
                    { (fold, block) in try fold.add(block, of: Child.self, labels, in: rest, aggregate.update) },
                    combine: { (_, _) in })
                // `children` counts those since the last save.
                if savesAll || fold.children >= aggregate.interval, await Self.save(fold, aggregate.name, entry.states)
                {
                    fold.children = 0
                }
            }
            entry.folds.withLock { [fold] in $0[aggregate.name] = fold }
            return fold.state
        }
    }

    /// Where to go on, and what there is to fold. Reads the store on a thread that may block.
    private static func begin<Child: DurableTask, Value: Codable & Sendable>(
        _ aggregate: Aggregate<Child, Value>, _ known: MemoFold<Value>?, _ states: StateKeeper, _ parent: TaskID,
        _ store: MemoStore
    ) async throws -> (MemoFold<Value>, ChildSnapshot) {
        let result = try await ThreadPool.blocking.run { () throws(StoreError) in
            Result<(MemoFold<Value>, ChildSnapshot), any Error> {
                let children = try store.children(of: parent)
                // A tree that was dropped has no children any more.
                if children.isEmpty { return (MemoFold(state: aggregate.initial), children) }
                var fold = known ?? MemoFold(state: aggregate.initial)
                if known == nil, let saved = try states.state(named: aggregate.name),
                    let value = try? saved.value(as: Value.self)
                {
                    fold = MemoFold(state: value, position: saved.position)
                }
                return (fold, try children.after(fold.position))
            }
        }
        return try result.get()
    }

    /// - Returns: whether it was saved. A task that has ended keeps nothing; a store without space keeps it later.
    private static func save<Value: Encodable & Sendable>(
        _ fold: MemoFold<Value>, _ name: String, _ states: StateKeeper
    ) async -> Bool {
        do throws(SchedulerError) {
            _ = try await states.save(try KeptState(fold.state, position: fold.position), named: name)
            return true
        } catch { return false }
    }

    private func entry(of parent: TaskID, _ store: MemoStore) -> Entry {
        state.withLock { state in
            if let entry = state.entries[parent] { return entry }
            // Who is at work with one that goes here ends that all the same.
            if state.entries.count >= Self.mostParents { state.entries = [:] }
            let entry = Entry(StateKeeper(parent, slot: StateKeeper.Slot.aggregates, store))
            state.entries[parent] = entry
            return entry
        }
    }

    // MARK: In the background

    /// A batch changed these parents. On the thread that wrote it.
    ///
    /// - Complexity: O(parents), however many children they have.
    func touched(_ parents: [ParentStatus], in core: SchedulerCore) {
        if maintained.isEmpty { return }
        for status in parents where status.counts.total >= shortestInterval && status.id != .none {
            guard let due = due(status, core.store) else { continue }
            Task.detached { [self, core] in
                for aggregate in due {
                    do { try await aggregate.catchUp(status.id, core) } catch {
                        core.logger.debug("aggregate \(aggregate.name) of task \(status.id): \(error)")
                    }
                }
                state.withLock { _ = $0.busy.remove(status.id) }
            }
        }
    }

    /// The aggregates of a parent that are to be folded now.
    private func due(_ status: ParentStatus, _ store: MemoStore) -> [MaintainedAggregate]? {
        let ended = status.counts.total
        guard state.withLock({ ($0.due[status.id] ?? 0) <= ended && !$0.busy.contains(status.id) }) else { return nil }
        let aggregates = store.run(of: status.id).flatMap { maintained[$0.label.rawValue] } ?? []
        let interval = aggregates.map(\.interval).min()
        state.withLock { state in
            if state.due.count >= 16 * Self.mostParents { state.due = [:] }
            state.due[status.id] = interval.map { ended + UInt64($0) } ?? .max
            if interval != nil { state.busy.insert(status.id) }
        }
        return aggregates.isEmpty ? nil : aggregates
    }
}
