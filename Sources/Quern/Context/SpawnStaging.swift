// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization

/// What one execution has spawned beyond what belongs in memory: parts on their way to the log, for one stage (T6).
///
/// Parts are handed over without waiting, since handlers spawn in synchronous calls, maybe on the cooperative pool;
/// they are waited for when the handler has returned.
final class SpawnStaging: Sendable {
    private struct State {
        var partsUnderWay = 0
        var failure: StoreError?
        var waiter: CheckedContinuation<Void, Never>?
    }

    let stage: SpawnStage
    private let state = Mutex(State())

    init(_ stage: SpawnStage) { self.stage = stage }

    /// Sends spawns to the log, unless earlier ones did not get there.
    func add(_ part: Transaction) {
        let isUseful = state.withLock { state in
            guard state.failure == nil else { return false }
            state.partsUnderWay += 1
            return true
        }
        guard isUseful else { return }
        stage.enqueue(spawns: part) { [self] result in
            let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
                state.partsUnderWay -= 1
                if case .failure(let error) = result, state.failure == nil { state.failure = error }
                guard state.partsUnderWay == 0 else { return nil }
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }

    /// Returns when all parts are in the log. Call it once, behind the last ``add(_:)``.
    func finish() async throws(StoreError) {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.partsUnderWay > 0 { state.waiter = continuation }
                return state.partsUnderWay == 0
            }
            if isDone { continuation.resume() }
        }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }
}
