// SPDX-License-Identifier: Apache-2.0
public import QuernStore
import Synchronization

/// A clock that stands still until a test moves it.
///
/// ```swift
/// let clock = ManualClock()
/// async let nap: Void = clock.sleep(until: Timestamp(milliseconds: 60_000))
/// await clock.waitForSleepers(1)          // now it sleeps, for certain
/// clock.advance(by: 60_000)
/// try await nap
/// ```
public final class ManualClock: Sendable {
    private struct Sleeper {
        let id: UInt64
        let deadline: Timestamp
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct Watcher {
        let count: Int
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now: Timestamp
        var nextID: UInt64 = 0
        /// In the order of their deadlines, and of their coming among equal ones.
        var sleepers: [Sleeper] = []
        var watchers: [Watcher] = []
        /// Sleeps that were cancelled before they began to wait.
        var cancelled: Set<UInt64> = []
    }

    private let state: Mutex<State>

    public init(now: Timestamp = Timestamp(milliseconds: 0)) {
        state = Mutex(State(now: now))
    }

    /// What the clock shows.
    public var now: Timestamp { state.withLock { $0.now } }

    /// How many tasks sleep.
    public var sleepers: Int { state.withLock { $0.sleepers.count } }

    /// The earliest time for which somebody sleeps.
    public var nextDeadline: Timestamp? { state.withLock { $0.sleepers.first?.deadline } }

    /// Moves the clock on, and wakes those whose time has come, the earliest deadline first.
    public func advance(by milliseconds: Int64) {
        precondition(milliseconds >= 0, "time goes forward; use set(_:) to turn a clock back")
        move { $0.rawValue + milliseconds }
    }

    /// Sets the clock, as an operator or a time server may: backwards too. Nobody falls asleep again by that.
    public func set(_ time: Timestamp) {
        move { _ in time.rawValue }
    }

    private func move(_ change: (Timestamp) -> Int64) {
        let awake = state.withLock { state in
            state.now = Timestamp(rawValue: change(state.now))
            let now = state.now
            let due = state.sleepers.prefix { $0.deadline <= now }
            state.sleepers.removeFirst(due.count)
            return Array(due)
        }
        for sleeper in awake { sleeper.continuation.resume() }
    }

    /// Waits until the clock shows `deadline` or later.
    ///
    /// - Throws: `CancellationError` when the task is cancelled, before or while it sleeps.
    public func sleep(until deadline: Timestamp) async throws {
        try Task.checkCancellation()
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        // A cancellation that comes when the sleep is over leaves a note that nobody else would remove.
        defer { state.withLock { _ = $0.cancelled.remove(id) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                fallAsleep(Sleeper(id: id, deadline: deadline, continuation: continuation))
            }
        } onCancel: {
            wake(cancelled: id)
        }
    }

    private enum Start {
        case asleep([Watcher])
        case due
        case cancelled
    }

    private func fallAsleep(_ sleeper: Sleeper) {
        let start: Start = state.withLock { state in
            if state.cancelled.remove(sleeper.id) != nil { return .cancelled }
            if sleeper.deadline <= state.now { return .due }
            let place = state.sleepers.firstIndex { $0.deadline > sleeper.deadline } ?? state.sleepers.endIndex
            state.sleepers.insert(sleeper, at: place)
            let count = state.sleepers.count
            let satisfied = state.watchers.filter { $0.count <= count }
            state.watchers.removeAll { $0.count <= count }
            return .asleep(satisfied)
        }
        switch start {
        case .asleep(let watchers): for watcher in watchers { watcher.continuation.resume() }
        case .due: sleeper.continuation.resume()
        case .cancelled: sleeper.continuation.resume(throwing: CancellationError())
        }
    }

    private func wake(cancelled id: UInt64) {
        let sleeper: Sleeper? = state.withLock { state in
            guard let place = state.sleepers.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.sleepers.remove(at: place)
        }
        sleeper?.continuation.resume(throwing: CancellationError())
    }

    /// Waits until at least `count` tasks sleep, so that a test advances the clock neither too early nor by luck.
    public func waitForSleepers(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.sleepers.count >= count { return true }
                state.watchers.append(Watcher(count: count, continuation: continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}
