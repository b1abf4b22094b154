// SPDX-License-Identifier: Apache-2.0
import QuernTesting
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
}
