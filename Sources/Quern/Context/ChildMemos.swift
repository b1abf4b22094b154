// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// The memos of a parent's completed children of one type, in the order in which they ended.
///
/// Holds the decoded memos of one block of children. Can be iterated several times, each from the start.
public struct ChildMemos<T: DurableTask>: AsyncSequence, Sendable {
    public typealias Element = T.Memo
    public typealias Failure = any Error

    @usableFromInline let children: ChildSnapshot
    /// Nil when no handler is registered for the type; the first element then says so.
    @usableFromInline let labels: TypeLabels?

    @inlinable
    public func makeAsyncIterator() -> Iterator {
        Iterator(children: children, labels: labels)
    }

    /// Walks over the memos. After a ``MemoDecodingError`` the next call goes on behind the child that it names.
    public struct Iterator: AsyncIteratorProtocol {
        public typealias Element = T.Memo
        public typealias Failure = any Error

        @usableFromInline var memos: [T.Memo] = []
        @usableFromInline var position = 0
        @usableFromInline var source: MemoSource<T>

        @inlinable
        init(children: ChildSnapshot, labels: TypeLabels?) { source = MemoSource(children: children, labels: labels) }

        @inlinable
        public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws -> T.Memo? {
            if position < memos.count {
                defer { position += 1 }
                return memos[position]
            }
            memos.removeAll(keepingCapacity: true)
            position = 0
            guard try source.refill(&memos) else { return nil }
            position = 1
            return memos[0]
        }
    }
}

/// Decodes memos a block of children at a time.
@usableFromInline
struct MemoSource<T: DurableTask> {
    private let children: ChildSnapshot
    private let labels: TypeLabels?
    private var cursor: ChildCursor
    private var block = ChildBlock()
    /// Children before the block.
    private var start = 0
    /// The next child of the block to decode.
    private var index = 0

    @usableFromInline
    init(children: ChildSnapshot, labels: TypeLabels?) {
        self.children = children
        self.labels = labels
        cursor = children.makeCursor(columns: .memos)
    }

    /// Appends the memos up to the end of a block, or up to one that cannot be decoded; that one is thrown by the
    /// next call.
    ///
    /// - Returns: false at the end of all children.
    @usableFromInline
    mutating func refill(_ memos: inout [T.Memo]) throws -> Bool {
        guard let labels else { throw SchedulerError.notRegistered(T.type) }
        while memos.isEmpty {
            if index >= block.count {
                index = 0
                start += block.count
                try Task.checkCancellation()
                guard try cursor.next(into: &block) else {
                    block = ChildBlock()
                    return false
                }
                if let completed = block.completed {
                    if !labels.contains(completed.label) {
                        index = block.count
                        continue
                    }
                    if T.Memo.decodeUniform(block, into: &memos) {
                        index = block.count
                        continue
                    }
                }
            }
            try decodeRest(&memos, labels)
        }
        return true
    }

    private mutating func decodeRest(_ memos: inout [T.Memo], _ labels: TypeLabels) throws {
        while index < block.count {
            let child = index
            index += 1
            guard labels.contains(block.label(at: child)), block.kind(at: child) == .completed else { continue }
            do { memos.append(try block.withValue(at: child) { try T.Memo.decodeMemo($0) }) } catch {
                if !memos.isEmpty {
                    index = child
                    return
                }
                throw try children.decodingError(of: T.self, child: start + child, cause: error)
            }
        }
    }
}
