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
    @usableFromInline let label: Label?

    @inlinable
    public func makeAsyncIterator() -> Iterator {
        Iterator(cursor: children.makeCursor(columns: [.memos, .facts]), label: label)
    }

    /// Walks over the memos. After a ``MemoDecodingError`` the next call goes on behind the child that it names.
    public struct Iterator: AsyncIteratorProtocol {
        public typealias Element = T.Memo
        public typealias Failure = any Error

        @usableFromInline var memos: [T.Memo] = []
        @usableFromInline var position = 0
        @usableFromInline var source: MemoSource<T>

        @inlinable
        init(cursor: ChildCursor, label: Label?) { source = MemoSource(cursor: cursor, label: label) }

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
    private var cursor: ChildCursor
    private let label: Label?
    private var block = ChildBlock()
    /// The next child of the block to decode.
    private var index = 0

    @usableFromInline
    init(cursor: ChildCursor, label: Label?) {
        self.cursor = cursor
        self.label = label
    }

    /// Appends the memos up to the end of a block, or up to one that cannot be decoded; that one is thrown by the
    /// next call.
    ///
    /// - Returns: false at the end of all children.
    @usableFromInline
    mutating func refill(_ memos: inout [T.Memo]) throws -> Bool {
        guard let label else { throw SchedulerError.notRegistered(T.type) }
        while memos.isEmpty {
            if index >= block.count {
                index = 0
                try Task.checkCancellation()
                guard try cursor.next(into: &block) else {
                    block = ChildBlock()
                    return false
                }
                if let uniform = block.uniform {
                    if uniform.label != label {
                        index = block.count
                        continue
                    }
                    if T.Memo.decodeUniform(block, into: &memos) {
                        index = block.count
                        continue
                    }
                }
            }
            try decodeRest(&memos, label)
        }
        return true
    }

    private mutating func decodeRest(_ memos: inout [T.Memo], _ label: Label) throws {
        while index < block.count {
            let child = index
            index += 1
            guard block.label(at: child) == label, block.kind(at: child) == .completed else { continue }
            do { memos.append(try block.withValue(at: child) { try T.Memo.decodeMemo($0) }) } catch {
                if !memos.isEmpty {
                    index = child
                    return
                }
                throw MemoDecodingError(child: block.id(at: child), type: T.type, cause: error)
            }
        }
    }
}
