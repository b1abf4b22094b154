// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A child that ended in failure.
public struct ChildFailure: Sendable, Equatable {
    public var id: TaskID
    /// The type's name in the store.
    public var type: String
    public var kind: OutcomeKind
    public var attempts: UInt32
    public var endedAt: Timestamp
    public var failure: FailureInfo
}

/// The children that ended in failure (failed, dead-lettered, expired or dependency-failed), of all types, in the
/// order in which they ended.
public struct ChildFailures: AsyncSequence, Sendable {
    public typealias Element = ChildFailure
    public typealias Failure = any Error

    let children: ChildSnapshot
    let store: MemoStore

    public func makeAsyncIterator() -> Iterator {
        // Nothing is read, and no cancellation asked for, behind the last one.
        Iterator(
            walk: ChildWalk(children.failuresOnly, columns: [.errors, .facts]),
            remaining: children.counts.failures, store: store)
    }

    public struct Iterator: AsyncIteratorProtocol {
        var walk: ChildWalk
        var remaining: UInt64
        let store: MemoStore

        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> ChildFailure? {
            guard remaining > 0, let index = try walk.next() else { return nil }
            remaining -= 1
            let block = walk.block
            return ChildFailure(
                id: block.id(at: index), type: store.name(of: block.label(at: index)) ?? "",
                kind: block.kind(at: index), attempts: block.attempts(at: index), endedAt: block.endedAt(at: index),
                failure: block.withValue(at: index) { FailureInfo(decoding: $0) })
        }
    }
}
