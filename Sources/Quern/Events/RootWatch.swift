// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization

/// Where the callers who wait for one root task's outcome get it from.
final class RootWatch: Sendable {
    private struct State {
        var answer: Result<EndedTask, SchedulerError>?
        var waiting: [UInt64: CheckedContinuation<EndedTask, any Error>] = [:]
        var nextNumber: UInt64 = 0
        /// Those of other handles of the task.
        var others: [RootWatch] = []
    }

    private let state = Mutex(State())

    /// Whether the outcome is known.
    var isAnswered: Bool { state.withLock { $0.answer != nil } }

    /// Tells all who wait, now and later. The first answer counts.
    func answer(_ answer: Result<EndedTask, SchedulerError>) {
        let (waiting, others) = state.withLock { state in
            guard state.answer == nil else { return ([CheckedContinuation<EndedTask, any Error>](), [RootWatch]()) }
            state.answer = answer
            defer { (state.waiting, state.others) = ([:], []) }
            return (Array(state.waiting.values), state.others)
        }
        for continuation in waiting { continuation.resume(with: answer.mapError { $0 as any Error }) }
        for other in others { other.answer(answer) }
    }

    /// Passes the answer on to another watch.
    func tell(_ other: RootWatch) {
        if other === self { return }
        let answer = state.withLock { state in
            if state.answer == nil, !state.others.contains(where: { $0 === other }) { state.others.append(other) }
            return state.answer
        }
        if let answer { other.answer(answer) }
    }

    /// Waits for the answer.
    ///
    /// - Throws: `CancellationError` when the caller's Swift task is cancelled; the task itself goes on.
    func value() async throws -> EndedTask {
        let number = state.withLock { state in
            state.nextNumber += 1
            return state.nextNumber
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer: Result<EndedTask, any Error>? = state.withLock { state in
                    if let answer = state.answer { return answer.mapError { $0 as any Error } }
                    // Checked under the lock: a cancellation before it is seen here, one after it finds the entry.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiting[number] = continuation
                    return nil
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(throwing: CancellationError())
        }
    }
}
