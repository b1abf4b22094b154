// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Readers of a store that a writer is at work on (S1, S11, S12, F26 to F28).
@Suite struct ReaderTests {
    private static func open(_ files: any FileSystem) async throws(StoreError) -> MemoReader {
        try await MemoReader.open(at: ReaderScript.directory, fileSystem: files)
    }

    @Test(
        "F26: a reader answers as the writer does at each moment, and makes no call that changes anything",
        arguments: Workload.Kind.allCases)
    func everyMoment(_ kind: Workload.Kind) async throws {
        let files = SimulatedFileSystem()
        let readOnly = ReaderFiles(files)
        let kept = MutexBox<MemoReader?>(nil)
        var workload = Workload(kind)
        let result = try await workload.run(on: files) { store in
            let fresh = try MemoReader.openBlocking(at: Workload.directory, fileSystem: readOnly)
            let facts = try StoreFacts(store)
            if let reader = kept.value {
                let before = try? StoreFacts(reader)
                let isOther = try reader.refreshBlocking()
                // Payloads and hand-overs of the moment before may be gone.
                if let before { #expect(isOther == (before != facts), "says whether it shows anything else") }
            } else {
                kept.change { $0 = fresh }
            }
            expectSame(try StoreFacts(fresh), facts, "opened")
            if let reader = kept.value { expectSame(try StoreFacts(reader), facts, "refreshed") }
        }
        #expect(result.error == nil)
        let last = try StoreFacts(result.store!)
        try await result.store?.close()
        let reader = try #require(kept.value)
        #expect(try await !reader.refresh(), "closing adds nothing to the log")
        expectSame(try StoreFacts(reader), last, "closed")
        expectSame(
            try StoreFacts(try await MemoReader.open(at: Workload.directory, fileSystem: readOnly)), last, "reopened")
        #expect(readOnly.refusedCalls == [])
    }

    @Test("A refresh over frames in which there is nothing to see says that nothing has changed")
    func nothingToSee() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration.exactLog
        configuration.vouchDelay = .zero
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let tasks = try await store.append(.spawning(2)).spawned[0].map { TaskID($0) }
        var cancel = Transaction()
        cancel.requestCancel(tasks[0])
        try await store.append(cancel)
        let reader = try await Self.open(files)
        _ = try await reader.refresh()
        // One more task of a stage, and frames that vouch: the log grows, and the answers stay.
        let log: FilePath = "/store/log-0000000001"
        let before = files.contents(log)?.count ?? 0
        let stage = store.makeStage()
        try await stage.append(spawns: .spawning(1))
        // Asked for a second time, and on disk, so that there is something to vouch for.
        try await store.append(cancel)
        while files.contents(log)!.suffix(FrameHeader.size).prefix(4) != [0x51, 0x46, 0x52, 0x1A] {
            await store.settle()
        }
        #expect((files.contents(log)?.count ?? 0) > before + 2 * FrameHeader.size)
        #expect(try await !reader.refresh())
        var commit = Transaction()
        commit.commit(stage)
        var notes = [commit] + (0..<5).map { _ in Transaction() }
        notes[1].requestCancel(tasks[1])
        notes[2].noteAttempt(tasks[0], attempts: 1, notBefore: Timestamp(milliseconds: 5), error: [])
        notes[3].noteInFlight(tasks)
        notes[4].advance(tasks[1], to: 0, value: [1])
        notes[5].noteCrash(tasks[1], count: 1)
        for (index, note) in notes.enumerated() {
            try await store.append(note)
            #expect(try await reader.refresh(), "note \(index)")
            #expect(try await !reader.refresh(), "note \(index)")
        }
        _ = try await store.label(for: "new")
        #expect(try await reader.refresh())
        try await store.append(.ending([tasks[0].rawValue], under: 0))
        #expect(try await reader.refresh())
        try await store.dropTree(tasks[0])
        #expect(try await reader.refresh())
        await store.settle()
        #expect(try await !reader.refresh())
        try await store.close()
        #expect(try await !reader.refresh())
    }

    @Test("F26: on the operating system's files too, beside the writer, with permission to read alone")
    func realFiles() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        let readOnly = ReaderFiles(PosixFileSystem())
        let store = try await MemoStore.labelled(at: path, configuration: ReaderScript.configuration)
        let reader = try await MemoReader.open(at: path, fileSystem: readOnly)
        #expect(try await !reader.refresh())
        let root = TaskID(try await store.append(.spawning(1)).spawned[0].lowerBound)
        var ended = 0
        for round in 1...30 {
            let children = try await store.append(.spawning(3, under: root.rawValue)).spawned[0]
            let before = try reader.children(of: root)
            try await store.append(.ending(children, under: root.rawValue), durability: .buffered)
            #expect(before.count == ended)
            #expect(try await reader.refresh())
            ended = 3 * round
            #expect(try StoreFacts.children(of: root, in: reader).count == ended)
            #expect(reader.status(of: root)?.counts.completed == UInt64(ended))
        }
        expectSame(try StoreFacts(reader), try StoreFacts(store), "at the end")
        try await store.close()
        #expect(readOnly.refusedCalls == [])
    }

    /// Lets the writer take steps before one call of a reader, for each of its calls.
    private func intervene(
        steps: Int, _ prepare: (ReaderFiles) throws -> MemoReader?
    ) throws {
        let facts = try ReaderScript.facts(40)
        var wanted = 1
        var isOver = false
        while !isOver {
            let files = SimulatedFileSystem()
            let script = try ReaderScript(on: files, steps: 12)
            let readOnly = ReaderFiles(files)
            let old = try prepare(readOnly)
            let seen = MutexBox(0)
            let failure = MutexBox<StoreError?>(nil)
            try script.take(3)
            readOnly.beforeEach { [wanted] _, _ in
                seen.change { $0 += 1 }
                guard seen.value == wanted else { return }
                do throws(StoreError) { try script.take(steps) } catch { failure.change { $0 = error } }
            }
            let before = script.steps
            let reader = try old ?? MemoReader.openBlocking(at: ReaderScript.directory, fileSystem: readOnly)
            if old != nil { #expect(try reader.refreshBlocking()) }
            readOnly.beforeEach(nil)
            #expect(failure.value == nil)
            // Payloads of tasks that ended meanwhile may be gone: then a refresh leads to the newest facts.
            var found: StoreFacts?
            do throws(StoreError) { found = try StoreFacts(reader) } catch {
                #expect(error.code == .storeChanged, "call \(wanted): \(error)")
            }
            let possible = facts[before...script.steps]
            #expect(found.map { possible.contains($0) } ?? true, "call \(wanted)")
            _ = try reader.refreshBlocking()
            expectSame(try StoreFacts(reader), facts[script.steps], "refreshed behind call \(wanted)")
            try script.store.closeBlocking()
            #expect(readOnly.refusedCalls == [])
            isOver = seen.value < wanted
            wanted += 1
        }
        #expect(wanted > 10)
    }

    @Test("F27: a reader opens at a committed moment, whatever the writer does between two of its calls")
    func openingIsAtomic() throws {
        // With one step a frame is added, with two or three there may be a checkpoint, with fifteen all files are new.
        for steps in [1, 2, 3, 15] { try intervene(steps: steps) { _ in nil } }
    }

    @Test("F27: a refresh leads to a committed moment, whatever the writer does between two of its calls")
    func refreshingIsAtomic() throws {
        for steps in [1, 2, 3, 15] {
            try intervene(steps: steps) {
                try MemoReader.openBlocking(at: ReaderScript.directory, fileSystem: $0)
            }
        }
    }

    @Test("F27: an inspection succeeds, whatever the writer does between two of its calls")
    func inspecting() throws {
        var wanted = 1
        var isOver = false
        while !isOver {
            let files = SimulatedFileSystem()
            let script = try ReaderScript(on: files, steps: 12)
            let readOnly = ReaderFiles(files)
            let seen = MutexBox(0)
            readOnly.beforeEach { [wanted] _, _ in
                seen.change { $0 += 1 }
                if seen.value == wanted { _ = try? script.take(15) }
            }
            let inspection = try StoreInspection(of: ReaderScript.directory, fileSystem: readOnly)
            #expect([2, 4].contains(inspection.liveTasks), "the roots and what one or two steps spawned")
            #expect(readOnly.refusedCalls == [])
            isOver = seen.value < wanted
            wanted += 1
            try script.store.closeBlocking()
        }
        #expect(wanted > 10)
    }

    @Test("F27: a writer that writes checkpoints all the time keeps no reader from opening")
    func checkpointsAllTheTime() throws {
        let facts = try ReaderScript.facts(120)
        let files = SimulatedFileSystem()
        let script = try ReaderScript(on: files, steps: 10)
        let readOnly = ReaderFiles(files)
        // Whenever everything was read, the manifest is another.
        readOnly.beforeEach { call, path in
            guard call == .open, path.string.contains("MANIFEST"), script.steps < 110 else { return }
            _ = try? script.take(8)
        }
        let reader = try MemoReader.openBlocking(at: ReaderScript.directory, fileSystem: readOnly)
        readOnly.beforeEach(nil)
        #expect(script.steps < 60, "as many attempts as it takes")
        _ = try reader.refreshBlocking()
        expectSame(try StoreFacts(reader), facts[script.steps], "refreshed")
        try script.store.closeBlocking()
    }

    @Test("F27: when the files are gone at every attempt, the store has changed: it is not damaged")
    func alwaysGone() throws {
        let files = SimulatedFileSystem()
        let script = try ReaderScript(on: files, steps: 10)
        let readOnly = ReaderFiles(files)
        readOnly.beforeEach { call, path in
            guard call == .open, path.string.contains("checkpoint") else { return }
            _ = try? script.take(8)
        }
        let error = #expect(throws: StoreError.self) {
            try MemoReader.openBlocking(at: ReaderScript.directory, fileSystem: readOnly)
        }
        #expect(error?.code == .storeChanged)
        #expect(error?.cause?.errno == .noSuchFileOrDirectory)
        readOnly.beforeEach(nil)
        _ = try MemoReader.openBlocking(at: ReaderScript.directory, fileSystem: readOnly)
        try script.store.closeBlocking()
    }

    @Test("S11: a snapshot shows the same children after refreshes, and when its files are replaced and removed")
    func snapshotsStay() throws {
        let files = SimulatedFileSystem()
        let script = try ReaderScript(on: files, steps: 30)
        let reader = try MemoReader.openBlocking(at: ReaderScript.directory, fileSystem: files)
        var old: [(children: [StoreFacts.Child], snapshot: ChildSnapshot)] = []
        for _ in 0..<10 {
            let snapshot = try reader.children(of: TaskID(1))
            old.append((try StoreFacts.children(of: snapshot), snapshot))
            try script.take(7)
            #expect(try reader.refreshBlocking())
        }
        for (children, snapshot) in old {
            let same = try StoreFacts.children(of: snapshot) == children
            #expect(same)
            #expect(snapshot.count == children.count)
        }
        #expect(old[9].children.count > old[0].children.count)
        try script.store.closeBlocking()
    }

    @Test("S11: children that are in the log's tail alone are shown in every view as the writer shows them")
    func tailViews() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        var random = SeededGenerator(seed: 11)
        for _ in 0..<6 {
            let children = try await store.append(.spawning(400, under: root)).spawned[0]
            var ends = Transaction()
            for child in children {
                let value = random.bytes(Int.random(in: 0...120, using: &random))
                let kind: OutcomeKind = child % 97 == 0 ? .failed : .completed
                ends.end(.init(child, under: root, kind)) { $0.append(contentsOf: value) }
            }
            try await store.append(ends)
        }
        let reader = try await Self.open(files)
        #expect(reader.current.committed.tailBlocks[TaskID(root)]?.count ?? 0 > 1)
        let all = try StoreFacts.children(of: TaskID(root), in: store)
        let middle = all[700].sequence
        func views(_ all: ChildSnapshot) throws -> [[ChildSnapshot]] {
            [
                [all], [all.reversed()], [all.failuresOnly], all.split(into: 3), [try all.after(middle)],
                [try all.reversed().failuresOnly.after(middle)],
            ]
        }
        let expected = try views(try store.children(of: TaskID(root)))
        let found = try views(try reader.children(of: TaskID(root)))
        for (index, (expected, found)) in zip(expected, found).enumerated() {
            let isSame =
                try expected.flatMap { try StoreFacts.children(of: $0) }
                == found.flatMap { try StoreFacts.children(of: $0) }
            #expect(isSame, "view \(index)")
        }
        try await store.close()
    }

    @Test("F27: payloads that were removed since are a change of the store, and gone after a refresh")
    func removedPayloads() throws {
        let files = SimulatedFileSystem()
        let script = try ReaderScript(on: files, steps: 10)
        let reader = try MemoReader.openBlocking(at: ReaderScript.directory, fileSystem: files)
        let run = try #require(reader.run(of: TaskID(19)))
        try script.take(30)
        let error = #expect(throws: StoreError.self) {
            try reader.withPayloads(of: run, indexes: run.allBits) { _, _ in }
        }
        #expect(error?.code == .storeChanged)
        #expect(reader.isLive(TaskID(19)))
        #expect(try reader.refreshBlocking())
        #expect(!reader.isLive(TaskID(19)))
        try script.store.closeBlocking()
    }

    @Test("A directory without a store, and another store in the place of the one that was opened, are told apart")
    func noStore() async throws {
        let files = SimulatedFileSystem()
        func code(_ body: () async throws(StoreError) -> Void) async -> StoreError.Code? {
            do throws(StoreError) { try await body() } catch { return error.code }
            return nil
        }
        #expect(await code { () throws(StoreError) in _ = try await Self.open(files) } == .notFound)
        try files.createDirectory("/store")
        #expect(await code { () throws(StoreError) in _ = try await Self.open(files) } == .notFound)
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let reader = try await Self.open(files)
        try await store.close()
        for name in try files.list("/store") { try files.remove(FilePath("/store").appending(name)) }
        #expect(await code { () throws(StoreError) in _ = try await reader.refresh() } == .notFound)
        let other = try await MemoStore.labelled(at: "/store", fileSystem: files)
        #expect(await code { () throws(StoreError) in _ = try await reader.refresh() } == .notAStore)
        #expect(reader.totals.live == 0, "what was read before stays")
        try await other.close()
    }
}
