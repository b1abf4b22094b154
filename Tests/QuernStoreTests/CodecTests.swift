// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What is encoded comes back, whatever the values (S9, F4, F6).
@Suite struct CodecTests {
    @Test("Integer columns give back every value, the extreme ones too", arguments: 1...40 as ClosedRange<UInt64>)
    func integerColumns(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let count = random.below(200)
        let shape = random.below(7)
        let base = Int64(bitPattern: random.next())
        let values = (0..<count).map { _ -> Int64 in
            switch shape {
            case 0: base
            case 1: base &+ Int64(random.below(2))
            case 2: base &+ Int64(random.below(0x100))
            case 3: base &+ Int64(random.below(0x1_0000))
            case 4: base &+ Int64(random.below(0x1_0000_0000))
            case 5: random.pick([Int64.min, .max, 0, -1, 1])
            default: Int64(bitPattern: random.next())
            }
        }
        var writer = ByteWriter()
        writer.append(0xEE)
        IntegerColumn.encode(count: count, into: &writer) { values[$0] }
        writer.append(0xEE)
        try writer.bytes.withUnsafeBytesThrowing { (bytes) throws in
            var reader = ByteReader(bytes, at: 1)
            let view = try IntegerColumn.decode(count: count, from: &reader)
            #expect(reader.remaining == 1, "seed \(seed)")
            var visited: [Int64] = []
            // It is no sequence: the loop is chosen by the column's width.
            view.visit { visited.append($1) }
            let isSame = visited == values && (0..<count).allSatisfy { view[$0] == values[$0] }
            #expect(isSame, "seed \(seed)")
            #expect(view.isConstant == (Set(values).count <= 1), "seed \(seed)")
        }
    }

    @Test(
        "The total of a column of lengths is exact, and beyond the limit an error",
        arguments: [0, 1, 2, 255, 256, 70_000])
    func columnTotals(range: Int) throws {
        for count in [0, 1, 3, 100] {
            let values = (0..<count).map { $0 % 2 == 0 ? Int64(range) : 0 }
            let sum = values.reduce(0, +)
            var writer = ByteWriter()
            IntegerColumn.encode(count: count, into: &writer) { values[$0] }
            try writer.bytes.withUnsafeBytesThrowing { (bytes) throws in
                var reader = ByteReader(bytes)
                let view = try IntegerColumn.decode(count: count, from: &reader)
                #expect(try view.total(limit: Int(sum)) == Int(sum))
                if sum > 0 { #expect(throws: DecodingFailure.self) { try view.total(limit: Int(sum) - 1) } }
            }
        }
    }

    @Test("Variable-length integers give back every value and refuse what is too long")
    func variableIntegers() throws {
        var writer = ByteWriter()
        let values = [0, 1, 127, 128, 16383, 16384, 1 << 62, UInt64.max - 1, .max]
        for value in values { writer.append(variable: value) }
        try writer.bytes.withUnsafeBytesThrowing { (bytes) throws in
            var reader = ByteReader(bytes)
            for value in values { #expect(try reader.variable() == value) }
            #expect(reader.isAtEnd)
        }
        for bad in [[UInt8](repeating: 0x80, count: 11), [UInt8](repeating: 0xFF, count: 9) + [2], [0x80]] {
            _ = bad.withUnsafeBytes { bytes in
                #expect(throws: DecodingFailure.self) {
                    var reader = ByteReader(bytes)
                    _ = try reader.variable()
                }
            }
        }
    }

    /// Children with values of every kind that a store may be given.
    static func block(_ random: inout SeededGenerator) -> OutcomeBlock {
        var block = OutcomeBlock(parent: TaskID(random.next() >> 4))
        let uniform = random.coin()
        let extreme = random.coin()
        let holdsIntegers = random.coin()
        let hasAttachments = random.coin()
        let memoLength = random.pick([0, 1, 2, 7, 8, 24, 64, 65, 300])
        var sequence = random.next() >> 8
        for _ in 0..<(1 + random.below(100)) {
            let kind = uniform ? OutcomeKind.completed : random.pick(OutcomeKind.allCases)
            let length = random.chance(2, in: 3) || uniform ? memoLength : random.below(200)
            func time() -> Int64 {
                extreme ? random.pick([Int64.min, .max, 0, -1]) : 1_700_000_000_000 + Int64(random.below(1000))
            }
            let row = OutcomeRow(
                task: extreme ? random.next() : UInt64(random.below(1000)), sequence: sequence, startedAt: time(),
                endedAt: time(), label: uniform ? 7 : UInt32(truncatingIfNeeded: random.next()),
                attempts: extreme ? random.pick([0, UInt32.max]) : 1, valueLength: UInt32(length), kind: kind)
            var value = random.coin() ? random.bytes(length) : [UInt8](repeating: 3, count: length)
            if holdsIntegers { for place in value.indices where place % 8 > 0 { value[place] = 0 } }
            value.withUnsafeBytes { block.append(row, value: $0) }
            if hasAttachments, random.chance(1, in: 3) {
                let attachment = random.coin() ? random.bytes(random.below(300)) : [UInt8](repeating: 1, count: 80)
                attachment.withUnsafeBytes { block.attachments.append($0, of: sequence) }
            }
            sequence += UInt64(1 + random.below(3))
        }
        return block
    }

    static func encoded(_ block: OutcomeBlock, compress: Bool) -> [UInt8] {
        var scratch = OutcomeBlockScratch()
        var writer = ByteWriter()
        OutcomeBlockCodec.encode(block, compress: compress, scratch: &scratch, into: &writer)
        return writer.bytes
    }

    static func decoded(_ bytes: [UInt8], _ columns: ChildColumns = .stored) throws -> ChildBlock {
        var block = ChildBlock()
        var scratch: [UInt8] = []
        _ = try bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
            try OutcomeBlockReader.decode(bytes, columns: columns, scratch: &scratch, into: &block)
        }
        block.hasFacts = columns.contains(.facts)
        block.hasAttachments = columns.contains(.attachments)
        return block
    }

    @Test("S9: a block gives back its rows and values, compressed or not", arguments: 1...60 as ClosedRange<UInt64>)
    func outcomeBlocks(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let block = Self.block(&random)
        for compress in [true, false] {
            let read = try Self.decoded(Self.encoded(block, compress: compress))
            let isSame = read.outcomeBlock() == block
            #expect(isSame, "seed \(seed), compressed \(compress)")
            var direct = ChildBlock()
            direct.fill(from: block, columns: .all)
            #expect(read.uniform?.label == direct.uniform?.label, "seed \(seed)")
            #expect(read.uniform?.memoLength == direct.uniform?.memoLength, "seed \(seed)")
            // Of a uniform block the facts are decoded as far as they say that it is.
            let memos = try Self.decoded(Self.encoded(block, compress: compress), .memos)
            #expect(memos.uniform?.memoLength == read.uniform?.memoLength, "seed \(seed)")
            let areSame = memos.memos == read.memos && memos.count == read.count
            #expect(areSame, "seed \(seed), compressed \(compress)")
        }
    }

    @Test("S9: bytes that all memos have alike take one byte, however many memos a block has")
    func planes() throws {
        func size(_ count: Int) -> Int {
            var block = OutcomeBlock(parent: TaskID(1))
            for index in 0..<count {
                let row = OutcomeRow(
                    task: UInt64(index + 2), sequence: UInt64(index), startedAt: 5, endedAt: 5, label: 1, attempts: 1,
                    valueLength: 24, kind: .completed)
                let memo = [UInt8(index % 200)] + [UInt8](repeating: 0, count: 15) + [UInt8](repeating: 7, count: 8)
                memo.withUnsafeBytes { block.append(row, value: $0) }
            }
            return Self.encoded(block, compress: false).count
        }
        #expect(size(2) - size(1) == 1)
        #expect(size(1002) - size(2) == 1000)
    }

    @Test("F30: planes of bytes that memos do not have, or of memos too long to have any, are refused")
    func wrongPlanes() throws {
        var random = SeededGenerator(seed: 1)
        var block = OutcomeBlock(parent: TaskID(1))
        for task in 2...9 as ClosedRange<UInt64> {
            let row = OutcomeRow(
                task: task, sequence: task, startedAt: 5, endedAt: 5, label: 1, attempts: 1, valueLength: 8,
                kind: .completed)
            random.bytes(8).withUnsafeBytes { block.append(row, value: $0) }
        }
        let bytes = Self.encoded(block, compress: false)
        // Fewer planes, more, one beyond the memo, none shuffled but planes, a memo of 65 bytes.
        for (place, value) in [(40, 0x7F), (41, 1), (47, 1), (36, 0), (32, 65)] as [(Int, UInt8)] {
            var wrong = bytes
            #expect(wrong[place] != value)
            wrong[place] = value
            for columns in [.all, .memos] as [ChildColumns] {
                #expect(throws: DecodingFailure.self, "byte \(place)") { try Self.decoded(wrong, columns) }
            }
        }
    }

    @Test("Log records of every kind give back their fields")
    func logRecords() throws {
        var body = ByteWriter()
        let notes: [Transaction.Note] = [
            .advance(TaskID(UInt64.max), phase: 255, value: []), .advance(TaskID(1), phase: 0, value: [1, 2, 3]),
            .attempt(TaskID(2), attempts: .max, notBefore: Timestamp(milliseconds: .min), error: [4]),
            .cancel(TaskID(3), as: .expired), .priority(TaskID(6), 7), .crash(TaskID(4), count: 255), .inFlight([]),
            .inFlight([TaskID(5), TaskID(.max)]), .keep(TaskID(7), slot: 255, value: [1, 2]), .set("ä", to: [1]),
            .set("b", to: nil),
        ]
        for note in notes { LogRecord.append(note, to: &body) }
        LogRecord.append(Label(rawValue: .max), name: "ä", to: &body)
        var kinds: [UInt8] = []
        var lengths: [Int] = []
        try body.bytes.withUnsafeBytesThrowing { (bytes) throws in
            try LogRecord.forEach(in: bytes) { (kind, offset, fields) throws(DecodingFailure) in
                #expect(bytes[offset] == kind)
                kinds.append(kind)
                lengths.append(fields.count)
            }
        }
        #expect(kinds == [3, 3, 4, 5, 15, 6, 8, 8, 17, 16, 16, 7])
        #expect(lengths == [9, 12, 21, 9, 9, 9, 0, 16, 11, 5, 3, 6])
    }

    @Test("Manifests and file headers give back what was written", arguments: 1...20 as ClosedRange<UInt64>)
    func headers(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let identity = StoreIdentity(high: random.next(), low: random.next())
        var header = FileHeader(
            kind: .log, number: random.next() % Limits.number, identity: identity, epoch: random.next() % Limits.number)
        header.previousLength = random.next()
        header.previousChecksum = UInt32(truncatingIfNeeded: random.next())
        let read = try header.encoded().withUnsafeBytesThrowing { (bytes) throws(FileHeader.Failure) in
            try FileHeader(bytes)
        }
        #expect(read == header, "seed \(seed)")
        let manifest = Manifest(
            generation: random.next() % Limits.number, identity: identity, epoch: random.next() % Limits.number,
            checkpointNumber: random.next() % Limits.number,
            checkpointChecksum: UInt32(truncatingIfNeeded: random.next()), isClean: random.coin(),
            newestLog: UInt32(truncatingIfNeeded: random.next()))
        let again = try manifest.encoded().withUnsafeBytesThrowing { (bytes) throws(FileHeader.Failure) in
            try Manifest(bytes)
        }
        #expect(again == manifest, "seed \(seed)")
    }

    @Test(
        "S5: a frame gives back its header and body, and any flipped bit of either is seen", arguments: [true, false])
    func frames(compress: Bool) throws {
        let identity = StoreIdentity(high: 5, low: 6)
        var random = SeededGenerator(seed: 9)
        for body in [[], [1], random.bytes(40), [UInt8](repeating: 9, count: 90)] {
            var encoder = FrameEncoder(identity: identity, segment: 3, position: 128, checksum: 77)
            var output = ByteWriter()
            var scratch = ByteWriter()
            output.append(zeros: 128)
            let header = body.withUnsafeBytes {
                encoder.append(
                    .commit, body: $0, compress: compress, firstSequence: .max, firstID: .max, durableUpTo: .max,
                    scratch: &scratch, to: &output)
            }
            func read(_ bytes: [UInt8]) throws -> (FrameHeader, [UInt8])? {
                try bytes.withUnsafeBytesThrowing { (bytes) throws -> (FrameHeader, [UInt8])? in
                    guard let header = FrameHeader(bytes, at: 128, segment: 3, seed: identity.seed),
                        let stored = header.body(in: bytes, seed: identity.seed)
                    else { return nil }
                    return (header, try header.decoded(stored))
                }
            }
            let found = try #require(try read(output.bytes))
            #expect(found.0 == header && found.1 == body)
            #expect(encoder.position == UInt64(output.count) && output.count % 8 == 0)
            for place in 128..<(128 + FrameHeader.size + header.storedLength) {
                for bit in 0..<8 {
                    var bytes = output.bytes
                    bytes[place] ^= 1 << UInt8(bit)
                    #expect(try read(bytes) == nil, "byte \(place), bit \(bit)")
                }
            }
        }
    }

    @Test("F7: zeros are never a valid header of anything")
    func zeros() {
        let zeros = [UInt8](repeating: 0, count: 4096)
        zeros.withUnsafeBytes { bytes in
            for seed in [0, 1, UInt32.max] { #expect(FrameHeader(bytes, at: 0, segment: 0, seed: seed) == nil) }
            #expect(throws: FileHeader.Failure.self) { try FileHeader(bytes) }
            #expect(throws: FileHeader.Failure.self) { try Manifest(bytes) }
        }
    }

    /// A state with something of everything, its index, and its checkpoint in bytes.
    static func checkpoint() async throws -> (files: SimulatedFileSystem, path: FilePath, manifest: Manifest) {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files)
        try await result.store?.close()
        let bytes = try #require(files.contents("/store/MANIFEST"))
        let manifest = try bytes.withUnsafeBytesThrowing { (bytes) throws(FileHeader.Failure) in try Manifest(bytes) }
        let path = Workload.directory.appending(StoreFiles.name(.checkpoint, manifest.checkpointNumber))
        return (files, path, manifest)
    }

    @Test("A checkpoint gives back the state that it was made of")
    func checkpoints() async throws {
        let expected = try await Workload.facts(.everything)
        let (files, path, manifest) = try await Self.checkpoint()
        let bytes = try #require(files.contents(path))
        let checkpoint = try bytes.withUnsafeBytesThrowing { (bytes) throws in
            try CheckpointDecoder.decode(
                bytes, header: try FileHeader(bytes), checksum: manifest.checkpointChecksum)
        }
        let last = expected[expected.count - 1]
        #expect(checkpoint.state.nextID == last.nextID)
        #expect(checkpoint.state.live.count == last.live.count)
        #expect(checkpoint.state.parents.count == last.parents.count)
        #expect(checkpoint.sealed.count > 1 && checkpoint.open != nil)
        // And once more through its encoder: the same bytes.
        let seed = manifest.identity.seed
        #expect(seed == (try bytes.withUnsafeBytesThrowing { (bytes) throws in try FileHeader(bytes) }.identity.seed))
    }

    @Test("F5: the frames of a checkpoint stay near their target, whatever it holds most of")
    func checkpointFrames() throws {
        var state = StoreState()
        for number in 1...9000 as ClosedRange<UInt32> {
            let name = "\(number)" + String(repeating: "n", count: 240)
            try state.labels.define(name, as: Label(rawValue: number))
        }
        let (bytes, header, checksum) = try CheckpointEncoder.file(of: state)
        try bytes.withUnsafeBytesThrowing { (bytes) throws in
            var offset = FileHeader.size
            var frames = 0
            while let frame = FrameHeader(bytes, at: offset, segment: 1, seed: header.identity.seed) {
                #expect(frame.rawLength < Limits.frameTarget + 1024)
                offset += frame.totalLength
                frames += 1
            }
            #expect(frames > 2 && offset == bytes.count)
            let read = try CheckpointDecoder.decode(bytes, header: header, checksum: checksum)
            #expect(read.state.labels.names.count == 9000)
        }
    }
}
