// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What has all its checksums and contradicts the rest of the store is found: a writer may be wrong, too.
@Suite("Verification of stores that contradict themselves")
struct VerifyForgeryTests {
    /// A store whose checkpoint was written once more, with something else in it.
    private func forged(_ forge: (inout StoreState) throws -> Void) async throws -> StoreVerification {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files)
        try await result.store?.close()
        let loader = StoreLoader(directory: Workload.directory, fileSystem: files, access: .readOnly)
        let manifest = try loader.readManifest()
        let checkpoint = try loader.readCheckpoint(manifest)
        let store = StoreFiles(
            directory: Workload.directory, fileSystem: files, identity: manifest.identity, epoch: manifest.epoch,
            lock: nil)
        var state = checkpoint.state
        try forge(&state)
        _ = try CheckpointWriter(files: store, manifest: ManifestFile(manifest, in: store)).write(
            state: state, index: try loader.openIndex(checkpoint, files: store), position: checkpoint.position,
            isClean: true)
        return try StoreVerifier.verify(at: Workload.directory, fileSystem: files)
    }

    private func expect(
        _ found: StoreVerification, _ words: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let damage = found.findings.filter { $0.severity == .damage }
        #expect(damage.contains { $0.what.contains(words) }, "\(damage)", sourceLocation: sourceLocation)
        #expect(damage.allSatisfy { !$0.consequence.isEmpty }, sourceLocation: sourceLocation)
    }

    /// Changes what is known of a parent: of the youngest with ended children and with live ones.
    private func change(_ state: inout StoreState, _ parent: TaskID? = nil, _ body: (inout ParentTable.Record) -> Void)
    {
        var record = Array(state.parents.records).last {
            parent == nil ? ($0.status.liveChildren > 0 && $0.status.counts.total > 0) : $0.status.id == parent
        }!
        body(&record)
        state.parents.restore(record)
    }

    @Test("A checkpoint that is written as it was is whole")
    func unchanged() async throws {
        let found = try await forged { _ in }
        #expect(!found.isDamaged, "\(found.findings)")
    }

    @Test("A counter that is not that of the rows")
    func counters() async throws {
        expect(try await forged { change(&$0) { $0.status.counts.completed += 1 } }, "ended children by its counters")
        expect(try await forged { change(&$0) { $0.status.liveChildren += 1 } }, "live children by its counter")
        expect(try await forged { change(&$0) { $0.status.firstFailure = TaskID(1) } }, "first failed child")
        expect(
            try await forged { state in
                change(&state) {
                    $0.status.counts.completed -= 1
                    $0.status.counts.cancelled += 1
                }
            }, "of other kinds")
    }

    @Test("A root that is not that of the blocks")
    func roots() async throws {
        let found = try await forged { state in
            var record = Array(state.parents.records).last {
                $0.status.id != .none && $0.root == $0.status.id && $0.status.counts.total > 0
            }!
            record.root = TaskID(1)
            state.parents.restore(record)
        }
        expect(found, "root")
    }

    @Test("Rows behind what was given out, or of labels that no name has")
    func limits() async throws {
        expect(try await forged { $0.nextSequence -= 3 }, "behind all that were given out")
        let found = try await forged { state in
            // Of the last task that ended.
            state.nextID = 12
            for entry in Array(state.live.runs) {
                for task in 0..<Int(entry.run.count) { _ = state.live.end(entry.run.id(at: task)) }
            }
        }
        expect(found, "behind all ids")
    }

    @Test("Rows that are in the index and in memory, too")
    func doubled() async throws {
        let found = try await forged { state in
            var block = OutcomeBlock(parent: TaskID(1), root: TaskID(1))
            let row = OutcomeRow(
                task: 4, sequence: 3, startedAt: 0, endedAt: 0, label: 1, attempts: 1, valueLength: 0, kind: .completed)
            block.append(row, value: UnsafeRawBufferPointer(start: nil, count: 0))
            state.restoreEnded(block)
        }
        expect(found, "a sequence that another outcome has")
    }

    @Test("A live task that has an outcome")
    func twice() async throws {
        let found = try await forged { state in
            let partly = state.live.runs.first { $0.live != $0.run.allBits && $0.live != 0 }!.run
            let runs = Array(state.live.runs)
            state.live = LiveTable()
            for entry in runs { state.live.append(entry.run, live: entry.run == partly ? partly.allBits : entry.live) }
            change(&state, partly.parent) { $0.status.liveChildren += 1 }
        }
        expect(found, "")
    }

    @Test("What live tasks name in the log and is not there")
    func log() async throws {
        func relocated(_ change: (inout SpawnRun) -> Void) async throws -> StoreVerification {
            try await forged { state in
                var run = state.live.runs.first { $0.live != 0 }!.run
                change(&run)
                state.live.relocate(run)
            }
        }
        expect(try await relocated { $0.payloadBytes += 1 }, "another run")
        expect(try await relocated { $0.frameOffset += 8 }, "no frame begins")
        expect(try await relocated { $0.segment = 1 << 20 }, "is missing")
        expect(try await relocated { $0.recordOffset += 1 }, "")
        let slots = try await forged { state in
            let (slot, task, place) = Array(state.slots.all)[0]
            var other = place
            other.bytes += 1
            state.slots[task, slot] = other
        }
        expect(slots, "bytes in a slot")
        let attributes = try await forged { state in
            for (run, _) in Array(state.attributes.all) { state.attributes.insert([7, 7, 7], of: run) }
        }
        expect(attributes, "other attributes")
    }

    @Test("Details, keys and slots of tasks that are not live, and a dropped tree that is still counted")
    func strays() async throws {
        expect(try await forged { $0.details[TaskID(4)] = LiveTasks.Detail() }, "which is not live")
        let dropped = try await forged { state in
            var tree = DroppedTree(root: TaskID(1), sequence: 1, kind: .completed)
            tree.isRowReclaimed = true
            _ = state.dropped.insert(tree)
        }
        expect(dropped, "dropped root task")
    }

    // MARK: Directories

    /// A store in which a sealed directory was changed and has its checksums.
    private func forgedDirectory(_ forge: (inout [DirectoryEntry]) -> Void) async throws -> StoreVerification {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files)
        try await result.store?.close()
        let store = try OfflineStore.read(at: Workload.directory, fileSystem: files)
        let sealed = try #require(store.base?.sealed.first { $0.entryCount > 2 })
        let directory = try #require(store.segments.first { $0.file.number == UInt64(sealed.number) })
        var entries = try directory.entries(in: 0..<directory.count)
        forge(&entries)
        var body = ByteWriter()
        for entry in entries { entry.append(to: &body) }
        var file = try directory.file.read(0..<Int(sealed.directoryOffset))
        let head = try directory.file.read(
            Int(sealed.directoryOffset)..<(Int(sealed.directoryOffset) + FrameHeader.size))
        let previous = try #require(
            head.withUnsafeBytes {
                FrameHeader(
                    detached: $0, offset: sealed.directoryOffset, segment: sealed.number, seed: store.identity.seed)
            })
        var encoder = FrameEncoder(
            identity: store.identity, segment: sealed.number, position: sealed.directoryOffset,
            checksum: previous.previousChecksum)
        var (output, scratch) = (ByteWriter(), ByteWriter())
        body.bytes.withUnsafeBytes {
            _ = encoder.append(.directory, body: $0, compress: false, scratch: &scratch, to: &output)
        }
        file += output.bytes
        try files.place(file, at: Workload.directory.appending(directory.file.name))
        let found = try StoreVerifier.verify(at: Workload.directory, fileSystem: files)
        #expect(found.findings.filter { $0.severity == .damage }.contains { $0.file == directory.file.name })
        return found
    }

    @Test("A directory that says something else than its blocks")
    func directories() async throws {
        expect(try await forgedDirectory { $0[0].counts.0 += 1 }, "the directory says something else")
        expect(try await forgedDirectory { $0[1].length -= 8 }, "the directory says something else")
        expect(try await forgedDirectory { $0[1].bodyLength -= 1 }, "the directory says something else")
        expect(try await forgedDirectory { $0[0].root = 1 << 40 }, "root")
        let moved = try await forgedDirectory { $0[1].firstSequence += 1 }
        expect(moved, "the directory does not name")
        expect(moved, "whose block is not there")
        expect(try await forgedDirectory { $0.swapAt(0, 1) }, "not sorted")
    }
}
