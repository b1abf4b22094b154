// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

/// quern itself, in its default configuration. One caller, as the others have: each batch waits for its own sync.
final class QuernEngine: Engine {
    let store: MemoStore
    private let label: Label

    init(_ directory: FilePath, synced: Bool, fileSystem: any FileSystem = PosixFileSystem()) throws {
        var configuration = MemoStore.Configuration()
        configuration.durability = synced ? .synced : .buffered
        store = try MemoStore.openBlocking(
            at: directory, configuration: configuration, fileSystem: fileSystem)
        label = try store.labelBlocking(for: "benchmark.child")
    }

    func makeParents(_ count: Int) throws -> UInt64 {
        var transaction = Transaction()
        for _ in 0..<count {
            transaction.spawn(under: .none, label: label, at: Timestamp(milliseconds: ChildSet.start)) {
                $0.append(contentsOf: "root".utf8)
            }
        }
        return try first(try store.appendBlocking(transaction), count)
    }

    func insert(_ children: ChildSet, _ rows: Range<Int>, under parents: UInt64) throws -> UInt64 {
        let time = Timestamp(milliseconds: ChildSet.start)
        var transaction = Transaction()
        children.forEachRun(rows) { parent, rows in
            children.forEach(rows) { _, row in
                transaction.spawn(under: TaskID(parents + parent), label: label, at: time) {
                    $0.append(contentsOf: row.payload)
                }
            }
        }
        return try first(try store.appendBlocking(transaction), rows.count)
    }

    func complete(_ children: ChildSet, _ rows: Range<Int>, first: UInt64, under parents: UInt64) throws {
        try store.appendBlocking(ending(children, rows, first: first, under: parents))
    }

    /// As ``complete(_:_:first:under:)``, for callers that do not block a thread.
    func completeAsynchronously(
        _ children: ChildSet, _ rows: Range<Int>, first: UInt64, under parents: UInt64
    ) async throws {
        try await store.append(ending(children, rows, first: first, under: parents))
    }

    private func ending(
        _ children: ChildSet, _ rows: Range<Int>, first: UInt64, under parents: UInt64
    ) -> Transaction {
        var transaction = Transaction()
        children.forEachRun(rows) { parent, rows in
            children.forEach(rows) { index, row in
                transaction.end(
                    .init(
                        task: TaskID(first + UInt64(index)), parent: TaskID(parents + parent), label: label,
                        kind: row.failed ? .failed : .completed,
                        startedAt: Timestamp(milliseconds: row.startedAt),
                        endedAt: Timestamp(milliseconds: row.endedAt))
                ) { $0.append(contentsOf: row.value) }
            }
        }
        return transaction
    }

    func scan(_ parent: UInt64, _ part: ScanPart) throws -> ScanTotal {
        var total = ScanTotal()
        var block = ChildBlock()
        switch part {
        case .all:
            var cursor = try store.children(of: TaskID(parent)).makeCursor(columns: .memos)
            while try cursor.next(into: &block) { Self.add(block, 0..<block.count, to: &total) }
        case .failures:
            var cursor = try store.children(of: TaskID(parent)).failuresOnly.makeCursor(columns: .errors)
            while try cursor.next(into: &block) {
                for index in 0..<block.count {
                    block.withValue(at: index) { text in text.withUnsafeBytes { total.addError($0) } }
                }
            }
        case .middle(let skipped, let limit):
            var cursor = try store.children(of: TaskID(parent), after: UInt64(skipped)).makeCursor(columns: .memos)
            while total.children < limit, try cursor.next(into: &block) {
                Self.add(block, 0..<min(block.count, limit - total.children), to: &total)
            }
        }
        return total
    }

    private static func add(_ block: borrowing ChildBlock, _ rows: Range<Int>, to total: inout ScanTotal) {
        let isWhole = rows.count == block.count
        let isInPlace = block.withMemos(as: Memos.Counters.self) { memos in
            if memos.isEmpty || !isWhole && memos.count < block.count { return false }
            var sum: UInt64 = 0
            for index in isWhole ? memos.indices : rows {
                sum &+= memos[index].discovered &+ memos[index].skipped &+ memos[index].deleted
            }
            total.children += rows.count
            // The others of a whole block are those that have no memo.
            total.failures += isWhole ? block.count - memos.count : 0
            total.sum &+= sum
            return true
        }
        if isInPlace { return }
        for index in rows {
            if block.kind(at: index) == .completed {
                block.withValue(at: index) { memo in memo.withUnsafeBytes { total.add($0) } }
            } else {
                total.addFailure()
            }
        }
    }

    func digest(_ parent: UInt64, first: UInt64, into digest: inout OrderDigest) throws {
        var cursor = try store.children(of: TaskID(parent)).makeCursor()
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let id = block.id(at: index).rawValue - first
                let failed = block.kind(at: index) != .completed
                block.withValue(at: index) { value in
                    value.withUnsafeBytes { digest.add(id: id, failed: failed, $0) }
                }
            }
        }
    }

    func compact() throws { try store.compactBlocking() }
    func close() throws { try store.closeBlocking() }

    /// Ids are given out in the order of commits, so that those of one transaction follow one another.
    private func first(_ commit: Commit, _ count: Int) throws -> UInt64 {
        guard let first = commit.spawned.first?.lowerBound, let end = commit.spawned.last?.upperBound,
            end - first == UInt64(count)
        else { throw EngineFailure("quern", "append", "the ids of a transaction do not follow one another") }
        return first
    }
}
