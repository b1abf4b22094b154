// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// One child's outcome: what became of it, and its memo or its error (T1, T2).
public struct ChildOutcome<T: DurableTask>: Sendable {
    public var id: TaskID
    public var kind: OutcomeKind
    /// How often it was tried; 0 when it never ran.
    public var attempts: UInt32
    public var startedAt: Timestamp
    public var endedAt: Timestamp
    /// The memo of a completed child; why there is none otherwise.
    public var result: Result<T.Memo, ChildError>
}

/// Why a child has no memo to show.
public enum ChildError: Error, Sendable {
    /// It did not complete.
    case ended(OutcomeKind, FailureInfo)
    /// It completed, and its memo cannot be read (T13).
    case undecodable(MemoDecodingError)
}

extension ChildError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .ended(let kind, let failure): failure.reason.isEmpty ? "\(kind)" : "\(kind): \(failure)"
        case .undecodable(let error): error.description
        }
    }
}

/// The outcomes of a parent's children of one type, in the order in which they ended.
///
/// A child whose memo cannot be decoded is one item with an error; the sequence goes on (T13).
public struct ChildOutcomes<T: DurableTask>: AsyncSequence, Sendable {
    public typealias Element = ChildOutcome<T>
    public typealias Failure = any Error

    let children: ChildSnapshot
    /// Nil when no handler is registered for the type; the first element then says so.
    let labels: TypeLabels?
    /// Behind which position the children are.
    var start: UInt64 = 0

    public func makeAsyncIterator() -> Iterator {
        Iterator(walk: ChildWalk(children, columns: .all, after: start), labels: labels)
    }

    public struct Iterator: AsyncIteratorProtocol {
        var walk: ChildWalk
        let labels: TypeLabels?

        /// Up to where the iterator has looked: give it to ``FinalizeContext/children(of:after:)`` to go on behind it
        /// another time. Where it begins it is what that was given, or 0.
        public var position: UInt64 { walk.position }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> ChildOutcome<T>? {
            guard let labels else { throw SchedulerError.notRegistered(T.type) }
            while let index = try walk.next() {
                if labels.contains(walk.block.label(at: index)) { return outcome(at: index) }
            }
            return nil
        }

        private func outcome(at index: Int) -> ChildOutcome<T> {
            let block = walk.block
            let kind = block.kind(at: index)
            let result: Result<T.Memo, ChildError> = block.withValue(at: index) { bytes in
                guard kind == .completed else { return .failure(.ended(kind, FailureInfo(decoding: bytes))) }
                do { return .success(try T.Memo.decodeMemo(bytes)) } catch {
                    return .failure(
                        .undecodable(MemoDecodingError(child: block.id(at: index), type: T.type, cause: error)))
                }
            }
            return ChildOutcome(
                id: block.id(at: index), kind: kind, attempts: block.attempts(at: index),
                startedAt: block.startedAt(at: index), endedAt: block.endedAt(at: index), result: result)
        }
    }
}

/// A walk over children, one index of the current block at a time.
struct ChildWalk: Sendable {
    private(set) var block = ChildBlock()
    /// The commit position of the last child that ``next()`` came to. Needs facts.
    private(set) var position: UInt64
    private let hasFacts: Bool
    private var cursor: ChildCursor?
    private var following = 0

    /// - Parameter children: nil for a walk over nothing.
    init(_ children: ChildSnapshot?, columns: ChildColumns, after position: UInt64 = 0) {
        self.position = position
        cursor = children?.makeCursor(columns: columns)
        hasFacts = columns.contains(.facts)
    }

    /// The next child, as an index into ``block``; nil at the end.
    ///
    /// - Throws: `StoreError`; `CancellationError`, between blocks, when the task is cancelled.
    mutating func next() throws -> Int? {
        while following >= block.count {
            try Task.checkCancellation()
            following = 0
            guard try cursor?.next(into: &block) == true else {
                block = ChildBlock()
                cursor = nil
                return nil
            }
        }
        defer { following += 1 }
        if hasFacts { position = block.sequence(at: following) }
        return following
    }
}
