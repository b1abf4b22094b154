// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A log whose records are right each by itself and contradict each other. A writer that went on with it would end in
/// its own assertions.
@Suite("Tasks that the log says cannot have ended or begun like this (S6, F35)")
struct MisfitTests {
    enum Misfit: CaseIterable {
        case otherParent, neverSpawned, endedBefore, twice, liveChildren, spawnUnderEnded
    }

    /// Tasks that the forged batch adds behind what the store holds: a root, a child of it, and another root.
    private struct Tasks {
        let root: UInt64
        var child: UInt64 { root + 1 }
        var other: UInt64 { root + 2 }
    }

    private static func spawn(_ task: UInt64, under parent: UInt64, to body: inout ByteWriter) {
        LogRecord.append(LogRecord.Kind.spawn.rawValue, to: &body) {
            SpawnRecord.appendHeader(
                firstID: task, parent: TaskID(parent), submittedAt: Timestamp(milliseconds: 5),
                label: Label(rawValue: 1), count: 1, priority: 0, to: &$0)
            IntegerColumn.encode(count: 1, into: &$0) { _ in 0 }
        }
    }

    private static func end(
        _ tasks: [UInt64], under parent: UInt64, _ sequence: inout UInt64, to body: inout ByteWriter
    ) {
        var block = OutcomeBlock(parent: TaskID(parent))
        for task in tasks {
            block.rows.append(
                OutcomeRow(
                    task: task, sequence: sequence, startedAt: 1, endedAt: 2, label: 1, attempts: 1, valueLength: 0,
                    kind: .completed))
            sequence += 1
        }
        var scratch = OutcomeBlockScratch()
        LogRecord.append(LogRecord.Kind.outcomes.rawValue, to: &body) {
            OutcomeBlockCodec.encode(block, compress: false, scratch: &scratch, into: &$0)
        }
    }

    /// A golden store whose newest batch also does this.
    private static func forged(_ misfit: Misfit?) throws -> (disk: SimulatedFileSystem, log: FilePath) {
        var store = try ForgedStoreTests.golden("killed")
        let state = try MemoReader.openBlocking(at: ForgedStore.directory, fileSystem: try store.placed())
            .current.committed.state
        let tasks = Tasks(root: state.nextID)
        var sequence = state.nextSequence
        var body = ByteWriter()
        spawn(tasks.root, under: 0, to: &body)
        spawn(tasks.child, under: tasks.root, to: &body)
        spawn(tasks.other, under: 0, to: &body)
        switch misfit {
        case nil:
            // The order within a batch is free.
            end([tasks.other, tasks.root], under: 0, &sequence, to: &body)
            end([tasks.child], under: tasks.root, &sequence, to: &body)
        case .otherParent: end([tasks.child], under: 0, &sequence, to: &body)
        case .neverSpawned: end([tasks.other + 1], under: 0, &sequence, to: &body)
        case .endedBefore:
            end([tasks.other], under: 0, &sequence, to: &body)
            end([tasks.other], under: 0, &sequence, to: &body)
        case .twice: end([tasks.other, tasks.other], under: 0, &sequence, to: &body)
        case .liveChildren: end([tasks.root], under: 0, &sequence, to: &body)
        case .spawnUnderEnded:
            end([tasks.other], under: 0, &sequence, to: &body)
            spawn(tasks.other + 1, under: tasks.other, to: &body)
        }
        let log = try #require(store.files.lastIndex { $0.header.kind == .log && !$0.frames.isEmpty })
        let frame = store.files[log].frames.count - 1
        #expect(store.files[log].frames[frame].header.kind == .commit)
        store.files[log].frames[frame].body += body.bytes
        return (try store.placed(), ForgedStore.directory.appending(store.files[log].name))
    }

    @Test("A batch in any order is none")
    func fits() throws {
        let (disk, _) = try Self.forged(nil)
        let found = try StoreVerifier.verify(at: ForgedStore.directory, fileSystem: disk, options: .init(threads: 1))
        #expect(!found.isDamaged, "\(found.findings)")
        #expect(ForgedStoreCheck.complaint(disk) == nil)
    }

    @Test("It is damage to a writer, a reader, and verify, and what repair makes is whole", arguments: Misfit.allCases)
    func misfit(_ misfit: Misfit) throws {
        let (disk, log) = try Self.forged(misfit)
        do throws(StoreError) {
            _ = try MemoReader.openBlocking(at: ForgedStore.directory, fileSystem: disk)
            Issue.record("a reader opened it")
        } catch { #expect(error.code == .damaged && error.file == log, "\(error)") }
        let copy = disk.crash(keeping: .keepAll)
        do throws(StoreError) {
            let store = try MemoStore.openBlocking(at: ForgedStore.directory, fileSystem: copy)
            Issue.record("a writer opened it")
            try store.closeBlocking()
        } catch { #expect(error.code == .damaged && error.file == log, "\(error)") }
        let found = try StoreVerifier.verify(at: ForgedStore.directory, fileSystem: disk, options: .init(threads: 1))
        #expect(found.findings.contains { log.string.hasSuffix($0.file) && !$0.file.isEmpty }, "\(found.findings)")
        #expect(ForgedStoreCheck.complaint(disk) == nil)
    }
}
