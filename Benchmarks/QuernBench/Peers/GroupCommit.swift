// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Synchronization

/// An engine that can end children from several callers in one transaction, but does not gather them by itself.
protocol GatheringEngine: Engine {
    /// As ``Engine/complete(_:_:first:under:)``, for children that need not follow one another: all in one transaction.
    func complete(_ children: ChildSet, _ stretches: [Range<Int>], first: UInt64, under parents: UInt64) throws
}

/// What one writes in front of a store that syncs each call by itself: calls queue up, and the first in the queue
/// commits for all that wait behind it, with one sync. LevelDB and RocksDB have the same inside.
final class GroupCommit: Sendable {
    /// A caller, while it waits.
    private final class Call: Sendable {
        let row: Int
        let wakeup = DispatchSemaphore(value: 0)
        /// Nil until it is known, unless this call shall commit.
        let outcome = Mutex<Result<Void, EngineFailure>?>(nil)
        init(_ row: Int) { self.row = row }
    }

    private struct Queue {
        var waiting: [Call] = []
        var isCommitting = false
    }

    private let queue = Mutex(Queue())
    private let commit: @Sendable ([Range<Int>]) throws -> Void
    private let commits = Atomic(0)

    init(_ commit: @escaping @Sendable ([Range<Int>]) throws -> Void) { self.commit = commit }

    var commitCount: Int { commits.load(ordering: .relaxed) }

    /// Returns when the row is committed. Blocks its thread.
    func complete(_ row: Int) throws {
        let call = Call(row)
        let leads = queue.withLock { queue in
            queue.waiting.append(call)
            defer { queue.isCommitting = true }
            return !queue.isCommitting
        }
        if !leads {
            call.wakeup.wait()
            if let outcome = call.outcome.withLock({ $0 }) { return try outcome.get() }
        }
        let group = queue.withLock { queue in
            defer { queue.waiting.removeAll(keepingCapacity: true) }
            return queue.waiting
        }
        let outcome: Result<Void, EngineFailure>
        do {
            try commit(Self.stretches(group.map(\.row)))
            outcome = .success(())
        } catch {
            outcome = .failure((error as? EngineFailure) ?? EngineFailure("group commit", "commit", "\(error)"))
        }
        commits.add(1, ordering: .relaxed)
        // Whoever came meanwhile commits next.
        let next = queue.withLock { queue in
            queue.isCommitting = !queue.waiting.isEmpty
            return queue.waiting.first
        }
        next?.wakeup.signal()
        for other in group where other !== call {
            other.outcome.withLock { $0 = outcome }
            other.wakeup.signal()
        }
        try outcome.get()
    }

    /// Rows that follow one another as one stretch.
    private static func stretches(_ rows: [Int]) -> [Range<Int>] {
        var stretches: [Range<Int>] = []
        for row in rows.sorted() {
            if let last = stretches.indices.last, stretches[last].upperBound == row {
                stretches[last] = stretches[last].lowerBound..<row + 1
            } else {
                stretches.append(row..<row + 1)
            }
        }
        return stretches
    }
}
