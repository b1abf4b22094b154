// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A task that ended in failure: failed, dead-lettered, expired or dependency-failed.
public struct DeadLetter: Sendable, Equatable {
    public var id: TaskID
    /// ``TaskID/none`` for a root task.
    public var parent: TaskID
    /// As it is registered today; the name in the store when it is not.
    public var type: TaskType
    public var kind: OutcomeKind
    public var attempts: UInt32
    public var endedAt: Timestamp
    public var failure: FailureInfo
    public var group: String?
    public var tags: [String]
    /// Whether it left what it takes to run it again: not when that was too large, nor when an earlier version ended
    /// it.
    public var canRunAgain: Bool
    /// Whether that was done (``TaskScheduler/resubmit(_:)``, ``TaskScheduler/redrive(_:)``): of root tasks.
    public var wasResubmitted: Bool
}

/// The tasks that ended in failure below a parent, in the order in which they ended, as they are when the iteration
/// begins.
///
/// Reads a block of failures at a time, and no block that has none, on threads of the scheduler's own. The iterator
/// throws `StoreError`, and `CancellationError` when the caller's Swift task is cancelled.
public struct DeadLetters: AsyncSequence, Sendable {
    public typealias Element = DeadLetter
    public typealias Failure = any Error

    let core: SchedulerCore
    let parent: TaskID
    let type: TaskType?
    let tagPrefix: String?

    public func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

    public struct Iterator: AsyncIteratorProtocol {
        private let sequence: DeadLetters
        private var letters: ArraySlice<DeadLetter> = []
        private var cursor: ChildCursor?

        fileprivate init(sequence: DeadLetters) { self.sequence = sequence }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> DeadLetter? {
            while letters.isEmpty {
                try Task.checkCancellation()
                guard let page = try await sequence.nextPage(cursor) else { return nil }
                (letters, cursor) = (page.letters[...], page.cursor)
            }
            return letters.popFirst()
        }
    }

    /// Those of the next block; nil at the end.
    private func nextPage(_ known: ChildCursor?) async throws -> (letters: [DeadLetter], cursor: ChildCursor)? {
        try await Task.detached(executorPreference: core.threads) {
            var cursor =
                try known ?? core.store.children(of: parent).failuresOnly.makeCursor(columns: [.errors, .attachments])
            var block = ChildBlock()
            guard try cursor.next(into: &block) else { return nil }
            return ((0..<block.count).compactMap { letter(at: $0, in: block) }, cursor)
        }.value
    }

    private func letter(at index: Int, in block: ChildBlock) -> DeadLetter? {
        let type = core.typeName(of: block.label(at: index))
        if let wanted = self.type, type != wanted { return nil }
        let remains = block.withAttachment(at: index) { bytes in
            TaskRemains(decoding: bytes.withUnsafeBytes { Array($0) })
        }
        let attributes = remains.flatMap { try? TaskAttributes(decoding: $0.attributes) } ?? TaskAttributes()
        if let tagPrefix, !attributes.tags.contains(where: { $0.hasPrefix(tagPrefix) }) { return nil }
        let id = block.id(at: index)
        return DeadLetter(
            id: id, parent: parent, type: type, kind: block.kind(at: index), attempts: block.attempts(at: index),
            endedAt: block.endedAt(at: index), failure: block.withValue(at: index) { FailureInfo(decoding: $0) },
            group: attributes.group, tags: attributes.tags, canRunAgain: remains != nil,
            wasResubmitted: parent == .none && Resubmissions.isMarked(id, in: core.store))
    }
}

extension SchedulerCore {
    /// The type of a label as it is registered today, else by its name in the store.
    func typeName(of label: Label) -> TaskType {
        types.runner(of: label)?.type ?? TypeLabel(name: store.name(of: label) ?? "").type
    }
}
