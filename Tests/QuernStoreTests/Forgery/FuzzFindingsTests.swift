// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What `make fuzz` has found, in as few bytes as show it.
@Suite("What fuzzing has found (F30, F35)")
struct FuzzFindingsTests {
    private func apply(_ note: Transaction.Note, to state: inout StoreState) throws(DecodingFailure) {
        var body = ByteWriter()
        LogRecord.append(note, to: &body)
        var changes = ChangeCollector()
        try body.bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
            try state.apply(bytes, segment: 1, frameOffset: 128, changes: &changes)
        }
    }

    /// It was kept for ever, and the next checkpoint could not be read again.
    @Test("A record about a task that is not live is damage", arguments: 0..<6)
    func notLive(kind: Int) throws {
        let task = TaskID(7)
        let note: Transaction.Note =
            switch kind {
            case 0: .advance(task, phase: 1, value: [1])
            case 1: .keep(task, slot: 1, value: [1])
            case 2: .attempt(task, attempts: 1, notBefore: Timestamp(milliseconds: 1), error: [])
            case 3: .cancel(task, as: .cancelled)
            case 4: .priority(task, 3)
            default: .crash(task, count: 1)
            }
        var state = StoreState()
        #expect(throws: DecodingFailure.self) { try apply(note, to: &state) }
        #expect(state.slots[task, 0] == nil && state.details[task] == nil && !state.parents.contains(task))
    }

    /// Seed 791948378 of `ForgedStoreTests`: verification called it whole, and nobody could open it.
    @Test("A checkpoint that goes on in a log segment that is not there is found")
    func checkpointBehindTheLog() throws {
        var store = try ForgedStoreTests.golden("killed")
        let index = try #require(store.files.firstIndex { $0.header.kind == .checkpoint })
        // Of the base record, the second byte of the segment's number.
        store.files[index].frames[0].body[LogRecord.prefixSize + 17] = 0x80
        let found = try StoreVerifier.verify(
            at: ForgedStore.directory, fileSystem: try store.placed(), options: .init(threads: 1))
        #expect(found.isDamaged, "\(found.findings)")
    }

    /// `ForgedStoreTests`: a trap.
    @Test("A checkpoint that goes on in its log segment behind the end of all numbers is found")
    func checkpointBehindAllNumbers() throws {
        var store = try ForgedStoreTests.golden("killed")
        let index = try #require(store.files.firstIndex { $0.header.kind == .checkpoint })
        // Of the base record, the place in the log segment.
        for byte in 20..<28 { store.files[index].frames[0].body[LogRecord.prefixSize + byte] = 0xFF }
        let found = try StoreVerifier.verify(
            at: ForgedStore.directory, fileSystem: try store.placed(), options: .init(threads: 1))
        #expect(found.isDamaged, "\(found.findings)")
        #expect(ForgedStoreCheck.complaint(try store.placed()) == nil)
    }

    /// `ForgedStoreTests`: a trap, of an assertion that runs come in the order of their ids.
    @Test("A checkpoint whose next id its live tasks have, and behind which the log spawns them again, is found")
    func takenIDs() throws {
        var store = try ForgedStoreTests.golden("killed")
        let index = try #require(store.files.firstIndex { $0.header.kind == .checkpoint })
        var base = ByteWriter()
        base.append(littleEndian: UInt64(1))
        base.append(littleEndian: UInt64(0))
        // The log from its beginning on.
        base.append(littleEndian: UInt32(1))
        base.append(littleEndian: UInt64(FileHeader.size))
        base.append(littleEndian: UInt32(0))
        for (byte, value) in base.bytes.enumerated() {
            store.files[index].frames[0].body[LogRecord.prefixSize + byte] = value
        }
        let found = try StoreVerifier.verify(
            at: ForgedStore.directory, fileSystem: try store.placed(), options: .init(threads: 1))
        #expect(found.isDamaged, "\(found.findings)")
        #expect(ForgedStoreCheck.complaint(try store.placed()) == nil)
    }

    /// Seed 2822794666 of `ForgedStoreTests`: it was whole, and the payload could not be read.
    @Test("What a frame has between and behind outcomes can be read, too")
    func outcomesInFront() throws {
        var body = ByteWriter()
        func append(_ kind: LogRecord.Kind) -> Range<Int> {
            let start = body.count
            LogRecord.append(kind.rawValue, to: &body) { $0.append(littleEndian: UInt64(7)) }
            return start..<body.count
        }
        _ = append(.outcomes)
        let kept = append(.keep)
        let outcomes = append(.outcomes)
        #expect(LogRecord.withoutOutcomes(body.bytes) == Array(body.bytes[..<kept.upperBound]))
        #expect(LogRecord.withoutOutcomes(Array(body.bytes[outcomes])).isEmpty)
        let spawn = append(.spawn)
        #expect(LogRecord.withoutOutcomes(body.bytes) == body.bytes)
        #expect(spawn.upperBound == body.count)
    }

    /// `make fuzz TARGET=store`: the checkpoint is lost, and of what the log has as well a block says another parent.
    @Test("Repair takes each position once")
    func positionsTwice() throws {
        var store = try ForgedStoreTests.golden("killed")
        let changes: [UInt8] = [0, 20, 16, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        changes.withUnsafeBytes { Forgery.apply($0, to: &store) }
        #expect(ForgedStoreCheck.complaint(try store.placed()) == nil)
    }

    // MARK: Numbers at their end

    enum Counter: CaseIterable {
        case openings, manifests, tasks, outcomes, indexSegments
    }

    private func counted(_ counter: Counter, _ value: UInt64) throws -> SimulatedFileSystem {
        var store = try ForgedStoreTests.golden("closed")
        let manifest = try #require(store.files.firstIndex { $0.header.kind == .manifest })
        let checkpoint = try #require(store.files.firstIndex { $0.header.kind == .checkpoint })
        func base(_ bytes: some Sequence<UInt8>, at place: Int) {
            for (byte, value) in bytes.enumerated() {
                store.files[checkpoint].frames[0].body[LogRecord.prefixSize + place + byte] = value
            }
        }
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        switch counter {
        case .openings: store.files[manifest].header.epoch = value
        case .manifests: store.files[manifest].header.number = value
        case .tasks: base(bytes(value), at: 0)
        case .outcomes: base(bytes(value), at: 8)
        case .indexSegments: base(bytes(UInt32(clamping: value)), at: 32)
        }
        return try store.placed()
    }

    /// Seeds 3359146303 and others of `ForgedStoreTests`: a writer gave out the next number, and who opened the store
    /// after it refused that.
    @Test("A store whose numbers come to their end is read, and no writer begins with it", arguments: Counter.allCases)
    func exhausted(counter: Counter) throws {
        let limit = counter == .indexSegments ? UInt64(Limits.writableSegments) : Limits.writableNumber
        let disk = try counted(counter, limit + 1)
        _ = try MemoReader.openBlocking(at: ForgedStore.directory, fileSystem: disk)
        let found = try StoreVerifier.verify(at: ForgedStore.directory, fileSystem: disk, options: .init(threads: 1))
        #expect(found.findings.contains { $0.severity == .damage && $0.what.contains("than a writer can go on from") })
        let error = #expect(throws: StoreError.self) {
            try MemoStore.openBlocking(at: ForgedStore.directory, configuration: .init(), fileSystem: disk)
        }
        #expect(error?.code == .damaged && error?.message.contains("than a writer can go on from") ?? false)
        #expect(ForgedStoreCheck.complaint(disk) == nil)
    }

    /// `ForgedStoreTests`: a trap in the repair, which leaves ids out for what may be missing; and, seed 410135554, a
    /// next position of zero was read as a whole store, which no repair can write.
    @Test("A next id or position that is none says nothing", arguments: [Counter.tasks, .outcomes], [0, UInt64.max])
    func nextIsNoNumber(counter: Counter, value: UInt64) throws {
        let disk = try counted(counter, value)
        let found = try StoreVerifier.verify(at: ForgedStore.directory, fileSystem: disk, options: .init(threads: 1))
        #expect(found.isDamaged, "\(found.findings)")
        #expect(ForgedStoreCheck.complaint(disk) == nil)
    }

    @Test("Of a store whose numbers come to their end all is salvaged", arguments: [Counter.tasks, .outcomes])
    func salvagesExhausted(counter: Counter) async throws {
        let disk = try counted(counter, Limits.writableNumber + 1)
        let before = try MemoReader.openBlocking(at: ForgedStore.directory, fileSystem: disk).children(of: .none).count
        let damaged = try OfflineStore.read(at: ForgedStore.directory, fileSystem: disk)
        var contents = try OfflineContents(of: damaged, for: .salvage)
        try StoreBuilder.build(at: "/repaired", fileSystem: disk, configuration: .init()) { try contents.tell(&$0) }
        let reader = try MemoReader.openBlocking(at: "/repaired", fileSystem: disk)
        #expect(try reader.children(of: .none).count == before)
    }

    @Test("A row with a number that nobody has is lost, and counted on by nobody", arguments: [true, false])
    func rowsBehindAllNumbers(isSequence: Bool) throws {
        var store = try ForgedStoreTests.golden("killed")
        // A parent that nobody knows, so that the rows are strays.
        var block = OutcomeBlock(parent: TaskID(Limits.number))
        block.rows.append(
            OutcomeRow(
                task: isSequence ? 1 : .max, sequence: isSequence ? .max : 1 << 40, startedAt: 1, endedAt: 2, label: 1,
                attempts: 1, valueLength: 0, kind: .completed))
        var body = ByteWriter()
        var scratch = OutcomeBlockScratch()
        LogRecord.append(LogRecord.Kind.outcomes.rawValue, to: &body) {
            OutcomeBlockCodec.encode(block, compress: false, scratch: &scratch, into: &$0)
        }
        let log = try #require(store.files.lastIndex { $0.header.kind == .log && !$0.frames.isEmpty })
        store.files[log].frames[store.files[log].frames.count - 1].body += body.bytes
        let disk = try store.placed()
        let found = try StoreVerifier.verify(at: ForgedStore.directory, fileSystem: disk, options: .init(threads: 1))
        #expect(found.isDamaged, "\(found.findings)")
        #expect(ForgedStoreCheck.complaint(disk) == nil)
    }

    // MARK: What vouches

    /// Seed 3457036611 of `ForgedStoreTests`: it was whole, and nobody could open it.
    @Test("A frame that is cut short vouches for what is before it (F12)")
    func vouchesCutShort() throws {
        var store = try ForgedStoreTests.golden("killed")
        let log = try #require(store.files.lastIndex { $0.header.kind == .log && $0.frames.count > 2 })
        let last = store.files[log].frames.count - 1
        let place = { (store: ForgedStore, frame: Int) in
            var file = store.files[log]
            file.frames.removeSubrange(frame...)
            return file.encoded().end
        }
        store.files[log].frames[last].header.durableUpTo = UInt64(place(store, last))
        let name = store.files[log].name
        store.damages = [
            (name, .cut(at: place(store, last) + FrameHeader.size)),
            (name, .flip(at: place(store, last - 1) + FrameHeader.size, bits: 1)),
        ]
        let disk = try store.placed()
        let found = try StoreVerifier.verify(at: ForgedStore.directory, fileSystem: disk, options: .init(threads: 1))
        #expect(found.isDamaged, "\(found.findings)")
        #expect(ForgedStoreCheck.complaint(disk) == nil)
    }

    /// `ForgedStoreTests`: gigabytes.
    @Test("How long a checkpoint says that an open segment is takes no memory (F35)")
    func lengthOfAnOpenSegment() throws {
        let disk = try ForgedStoreTests.golden("killed").placed()
        let store = try OfflineStore.read(at: ForgedStore.directory, fileSystem: disk)
        let file = try #require(store.raw.files(.index).first)
        let directory = IndexDirectory(file, blocksEnd: Int(Limits.fileBytes), entries: [])
        let check = IndexSegmentCheck(directory, lastChecksum: nil, VerifyContext(store))
        #expect(check.partCount == 1)
    }
}
