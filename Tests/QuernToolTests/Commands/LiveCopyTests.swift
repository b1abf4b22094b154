// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore
@testable import QuernTool

@Suite("Live copies")
struct LiveCopyTests {
    private final class Progress: Sendable {
        let acknowledged = Atomic(0)
        let isOver = Atomic(false)
    }

    @Test("Copies made while a writer commits, checkpoints and compacts are whole, and have all that was acknowledged")
    func busy() async throws {
        let directory = try TemporaryDirectory()
        let source = directory.path.appending("store")
        let store = try await MemoStore.open(at: source, configuration: ToolStore.small)
        let label = try await store.label(for: "work")
        var root = Transaction()
        root.spawn(under: .none, label: label, at: ToolStore.submitted) { (_) throws(Never) in }
        let parent = TaskID(try await store.append(root).spawned[0].lowerBound)
        let progress = Progress()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var round = 0
                while !progress.isOver.load(ordering: .relaxed) {
                    round += 1
                    try await Self.commit(20, under: parent, label, in: store)
                    progress.acknowledged.add(20, ordering: .sequentiallyConsistent)
                    if round.isMultiple(of: 40) { try await store.compact() }
                }
            }
            defer { progress.isOver.store(true, ordering: .relaxed) }
            for index in 0..<12 {
                let known = progress.acknowledged.load(ordering: .sequentiallyConsistent)
                let copy = directory.path.appending("copy-\(index)")
                _ = try StoreCopy.run(of: source, into: copy, isLive: true)
                #expect(try StoreVerifier.verify(at: copy).findings.filter { $0.severity == .damage } == [])
                let opened = try await MemoStore.open(at: copy)
                let children = try opened.children(of: parent).count
                #expect(children >= known)
                #expect(opened.status(of: parent)?.counts.completed ?? 0 == UInt64(children))
                // Those that were spawned and not ended keep their payloads.
                for entry in opened.liveTasks().runs where entry.run.parent == parent {
                    try opened.withPayloads(of: entry.run, indexes: entry.live) { _, bytes in
                        #expect(bytes.byteCount == 100)
                    }
                }
                try await opened.close()
            }
        }
        try await store.close()
    }

    @Test("S15: of the log before the checkpoint only segments that a live task needs are copied")
    func oldLog() throws {
        let directory = try TemporaryDirectory()
        let (source, copy) = (directory.path.appending("store"), directory.path.appending("copy"))
        var configuration = ToolStore.small
        configuration.relocates = false
        let first = try MemoStore.openBlocking(at: source, configuration: configuration)
        let label = try first.labelBlocking(for: "work")
        // Each opening begins a segment with its first commit.
        var opened = first
        for _ in 0..<3 {
            var spawns = Transaction()
            spawns.spawn(under: .none, label: label, at: ToolStore.submitted) { (writer) throws(Never) in
                writer.append(7)
            }
            try opened.appendBlocking(spawns)
            try opened.closeBlocking()
            opened = try MemoStore.openBlocking(at: source, configuration: configuration)
        }
        func logs(_ path: FilePath) throws -> [String] {
            try PosixFileSystem().list(path).filter { $0.hasPrefix("log-") }.sorted()
        }
        var end = Transaction()
        end.end(
            Transaction.Outcome(
                task: TaskID(1), parent: .none, label: label, kind: .completed, endedAt: ToolStore.ended))
        try opened.appendBlocking(end)
        let present = try logs(source)
        _ = try StoreCopy.run(of: source, into: copy, isLive: true)
        #expect(try logs(source) == present)
        #expect(try logs(copy) == Array(present.dropFirst()))
        #expect(try StoreVerifier.verify(at: copy).findings == [])
        let other = try MemoStore.openBlocking(at: copy, configuration: configuration)
        #expect(other.totals.live == 2)
        for entry in other.liveTasks().runs {
            try other.withPayloads(of: entry.run, indexes: entry.live) { _, bytes in #expect(bytes.byteCount == 1) }
        }
        try other.closeBlocking()
        try opened.closeBlocking()
    }

    /// Spawns some, ends most of them, and leaves one for the log to keep.
    private static func commit(_ count: Int, under parent: TaskID, _ label: Label, in store: MemoStore) async throws {
        var spawns = Transaction()
        for _ in 0...count {
            spawns.spawn(under: parent, label: label, at: ToolStore.submitted) { (writer) throws(Never) in
                writer.append(contentsOf: [UInt8](repeating: 7, count: 100))
            }
        }
        let first = try await store.append(spawns).spawned[0].lowerBound
        var ends = Transaction()
        for id in first..<(first + UInt64(count)) {
            ends.end(
                Transaction.Outcome(
                    task: TaskID(id), parent: parent, label: label, kind: .completed, endedAt: ToolStore.ended)
            ) { (writer) throws(Never) in writer.append(littleEndian: id) }
        }
        try await store.append(ends)
    }
}
