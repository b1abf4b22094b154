// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Bytes that pass their checksum and are wrong all the same: an error or some value, never a trap, and no memory
/// beyond what their length justifies (F30, F35).
@Suite struct HostileBytesTests {
    /// A copy with some bytes changed, removed or put in.
    static func mutated(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0...random.below(4) {
            guard !bytes.isEmpty else { break }
            let place = random.chance(2, in: 3) ? random.below(min(bytes.count, 160)) : random.below(bytes.count)
            switch random.below(8) {
            case 0: bytes.remove(at: place)
            case 1: bytes.insert(UInt8(random.below(256)), at: place)
            case 2: bytes.removeLast(random.below(bytes.count))
            case 3: bytes[place] = random.pick([0, 1, 0x7F, 0x80, 0xFF])
            case 4:
                for index in place..<min(place + random.pick([2, 4, 8]), bytes.count) { bytes[index] = 0xFF }
            case 5:
                for index in place..<min(place + 8, bytes.count) { bytes[index] = index == place + 7 ? 0x7F : 0xFF }
            default: bytes[place] ^= 1 << UInt8(random.below(8))
            }
        }
        return bytes
    }

    /// Reads all that a block offers.
    static func readAll(_ block: ChildBlock, _ columns: ChildColumns) -> Int {
        var sum = 0
        for index in 0..<block.count {
            sum &+= Int(block.kind(at: index).rawValue) &+ Int(block.label(at: index).rawValue)
            if columns.contains(.facts) {
                sum &+= Int(truncatingIfNeeded: block.id(at: index).rawValue) &+ Int(block.attempts(at: index))
            }
            if columns.contains(.attachments) { sum &+= block.withAttachment(at: index) { $0.byteCount } }
            if columns.contains(.all) { sum &+= block.withValue(at: index) { $0.byteCount } }
        }
        return sum
    }

    @Test("F35: no change of a block's bytes traps its reader", arguments: 1...12 as ClosedRange<UInt64>)
    func blocks(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for round in 0..<120 {
            let good = CodecTests.encoded(CodecTests.block(&random), compress: random.coin())
            let bytes = Self.mutated(good, &random)
            for columns in [ChildColumns.stored, .all, .attachments, [.facts], [], [.memos], [.errors]] {
                guard let block = try? CodecTests.decoded(bytes, columns) else { continue }
                #expect(block.count <= Limits.blockRows, "seed \(seed), round \(round)")
                _ = Self.readAll(block, columns)
            }
        }
    }

    @Test("F35: ids, and places in files, above what there can be are damage; those at the limit are none")
    func numbersAboveLimits() {
        func isRead(_ id: UInt64, at offset: UInt64) -> Bool {
            var writer = ByteWriter()
            SpawnRun(
                firstID: TaskID(id), parent: .none, submittedAt: Timestamp(milliseconds: 0), label: Label(rawValue: 1),
                count: 1, priority: 0, segment: 1, frameOffset: offset, recordOffset: 0
            ).append(to: &writer)
            return writer.bytes.withUnsafeBytes { bytes in
                var reader = ByteReader(bytes)
                return (try? SpawnRun(&reader)) != nil
            }
        }
        #expect(isRead(Limits.number, at: Limits.fileBytes))
        #expect(!isRead(Limits.number + 1, at: 0) && !isRead(1, at: Limits.fileBytes + 1))
    }

    @Test("F35: numbers at the end of their range in the manifest are damage", arguments: 0..<3)
    func manifestNumbers(field: Int) async throws {
        let files = SimulatedFileSystem()
        try await MemoStore.labelled(at: "/store", fileSystem: files).close()
        let bytes = try #require(files.contents("/store/MANIFEST"))
        var manifest = try bytes.withUnsafeBytesThrowing { (bytes) throws in try Manifest(bytes) }
        switch field {
        case 0: manifest.epoch = .max
        case 1: manifest.generation = .max
        default: manifest.checkpointNumber = .max
        }
        try files.open("/store/MANIFEST", .readWrite).write(manifest.encoded(), at: 0)
        do throws(StoreError) {
            let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
            try await store.close()
            Issue.record("opened")
        } catch { #expect(error.code == .damaged, "\(error)") }
    }

    @Test("F30: a block's row count is checked before its rows are made")
    func rowCount() {
        var block = OutcomeBlock(parent: TaskID(1))
        let row = OutcomeRow(
            task: 1, sequence: 1, startedAt: 0, endedAt: 0, label: 1, attempts: 1, valueLength: 0, kind: .completed)
        [].withUnsafeBytes { block.append(row, value: $0) }
        var bytes = CodecTests.encoded(block, compress: false)
        // Columns of width 0 hold as many rows as the header says, in no bytes at all.
        for count in [UInt32(Limits.blockRows) + 1, 12_000_000, .max] {
            withUnsafeBytes(of: count.littleEndian) { bytes.replaceSubrange(24..<28, with: $0) }
            #expect((try? CodecTests.decoded(bytes).count) == nil)
        }
    }

    /// The records of a log, frame by frame.
    static func bodies() async throws -> [[UInt8]] {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        workload.configuration.checkpointBytes = 1 << 30
        let result = try await workload.run(on: files)
        await Workload.abandon(result.store, on: files)
        var bodies: [[UInt8]] = []
        for name in try files.crash(keeping: .keepAll).list("/store").sorted() where name.hasPrefix("log") {
            let bytes = files.contents(Workload.directory.appending(name))!
            try bytes.withUnsafeBytesThrowing { (bytes) throws in
                let header = try FileHeader(bytes)
                let seed = header.identity.seed
                var offset = FileHeader.size
                while let frame = FrameHeader(bytes, at: offset, segment: UInt32(header.number), seed: seed) {
                    bodies.append(try frame.decoded(frame.body(in: bytes, seed: seed)!))
                    offset += frame.totalLength
                }
            }
        }
        return bodies
    }

    @Test(
        "F35: no change of a log's records traps the state that applies them", arguments: 1...8 as ClosedRange<UInt64>)
    func records(seed: UInt64) async throws {
        let bodies = try await Self.bodies()
        #expect(bodies.count > 8)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<120 {
            var state = StoreState()
            let victim = random.below(bodies.count)
            for (index, body) in bodies.enumerated() {
                let bytes = index == victim || random.chance(1, in: 20) ? Self.mutated(body, &random) : body
                var changes = ChangeCollector()
                let applied: Void? = try? bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                    try state.apply(bytes, segment: 1, frameOffset: 128, changes: &changes)
                }
                guard applied != nil else { break }
                state.finishBatch(openLimit: 2000)
                _ = changes.changes(in: state)
            }
        }
    }

    /// A checkpoint with keys and attributes, of live tasks and of a stage that is open.
    static func stagedCheckpoint() async throws -> (files: SimulatedFileSystem, path: FilePath, manifest: Manifest) {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        var spawns = Transaction()
        for name in 1...9 as ClosedRange<UInt64> {
            spawns.spawn(
                under: .none, label: Label(rawValue: 1), attributes: [UInt8(name % 3)],
                key: TaskKey(first: name, second: 2), onDuplicate: .replace, at: Timestamp(milliseconds: 1)
            ) { $0.append(UInt8(name)) }
        }
        let first = try await store.append(spawns).spawned[0].lowerBound
        var notes = Transaction()
        for slot in 0...2 as ClosedRange<UInt8> { notes.keep(TaskID(first), slot: slot, [slot]) }
        for name in ["a", "b/c"] { notes.set(name, to: [1, 2]) }
        try await store.append(notes)
        let stage = store.makeStage()
        try await stage.append(spawns: spawns)
        _ = try await store.compact()
        let copy = files.crash(keeping: .keepAll)
        try await store.close()
        withExtendedLifetime(stage) {}
        let bytes = try #require(copy.contents("/store/MANIFEST"))
        let manifest = try bytes.withUnsafeBytesThrowing { (bytes) throws(FileHeader.Failure) in try Manifest(bytes) }
        let path = Workload.directory.appending(StoreFiles.name(.checkpoint, manifest.checkpointNumber))
        let loader = StoreLoader(directory: "/store", fileSystem: copy, access: .readOnly)
        let stages = try loader.readCheckpoint(manifest).state.stages
        #expect(stages.values.map(\.keys.runs.count) == [3])
        return (copy, path, manifest)
    }

    @Test(
        "F35: no change of a checkpoint's records traps, neither in its reader nor in the store that starts from it",
        arguments: 1...6 as ClosedRange<UInt64>)
    func checkpoints(seed: UInt64) async throws {
        let (files, path, manifest) =
            seed % 2 == 0 ? try await Self.stagedCheckpoint() : try await CodecTests.checkpoint()
        let bytes = try #require(files.contents(path))
        let (header, body) = try bytes.withUnsafeBytesThrowing { (bytes) throws -> (FileHeader, [UInt8]) in
            let header = try FileHeader(bytes)
            let frame = FrameHeader(
                bytes, at: FileHeader.size, segment: UInt32(header.number), seed: header.identity.seed)!
            return (header, try frame.decoded(frame.body(in: bytes, seed: header.identity.seed)!))
        }
        var random = SeededGenerator(seed: seed)
        var opened = 0
        for _ in 0..<60 {
            // Framed anew, so that every checksum is right.
            var encoder = FrameEncoder(
                identity: header.identity, segment: UInt32(header.number), position: UInt64(FileHeader.size),
                checksum: 0)
            var output = ByteWriter()
            var scratch = ByteWriter()
            _ = Self.mutatedFields(body, &random).withUnsafeBytes {
                encoder.append(.commit, body: $0, compress: true, scratch: &scratch, to: &output)
            }
            let copy = files.crash(keeping: .keepAll)
            try copy.place(header.encoded() + output.bytes, at: path)
            var changed = manifest
            changed.checkpointChecksum = encoder.checksum
            try copy.place(changed.encoded(), at: "/store/MANIFEST")
            guard let store = try? await MemoStore.labelled(at: "/store", fileSystem: copy) else { continue }
            opened += 1
            _ = store.totals
            _ = store.values(withPrefix: "b")
            for entry in store.liveTasks().runs {
                try? store.withPayloads(of: entry.run, indexes: entry.live) { _, _ in }
            }
            for id in 0..<60 as Range<UInt64> {
                for slot in 0..<3 as Range<UInt8> { _ = try? store.kept(TaskID(id), slot: slot) }
                _ = try? StoreFacts.children(of: TaskID(id), in: store)
            }
            _ = await store.failure(of: .spawning(2))
            _ = await store.failure(of: .spawning(1, under: 3))
            try? await store.close()
        }
        #expect(opened > 4, "seed \(seed)")
    }

    @Test("F35: segment numbers at the end of their range, or that would be given out again, are damage")
    func segmentNumbers() async throws {
        let (files, path, _) = try await CodecTests.checkpoint()
        let bytes = try #require(files.contents(path))
        /// The checkpoint with another number at a place of its base record, which is its first.
        func failure(_ number: UInt32?, at place: Int) -> DecodingFailure? {
            bytes.withUnsafeBytes { bytes -> DecodingFailure? in
                guard let header = try? FileHeader(bytes),
                    let frame = FrameHeader(
                        bytes, at: FileHeader.size, segment: UInt32(header.number), seed: header.identity.seed),
                    var body = frame.body(in: bytes, seed: header.identity.seed).flatMap({ try? frame.decoded($0) })
                else { return DecodingFailure("no frame") }
                if let number {
                    let start = LogRecord.prefixSize + place
                    withUnsafeBytes(of: number.littleEndian) { body.replaceSubrange(start..<(start + 4), with: $0) }
                }
                var encoder = FrameEncoder(
                    identity: header.identity, segment: UInt32(header.number), position: UInt64(FileHeader.size),
                    checksum: 0)
                var output = ByteWriter()
                output.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<FileHeader.size]))
                var scratch = ByteWriter()
                _ = body.withUnsafeBytes {
                    encoder.append(.commit, body: $0, compress: true, scratch: &scratch, to: &output)
                }
                return output.bytes.withUnsafeBytes { copy in
                    do throws(DecodingFailure) {
                        _ = try CheckpointDecoder.decode(copy, header: header, checksum: encoder.checksum)
                        return nil
                    } catch { return error }
                }
            }
        }
        let (segment, nextIndex) = (16, 32)
        #expect(failure(nil, at: segment) == nil)
        for number in [Limits.segments + 1, .max - 1, .max] {
            #expect(failure(number, at: segment) == DecodingFailure("base record"))
            #expect(failure(number, at: nextIndex) == DecodingFailure("base record"))
        }
        for number in [0, 1] as [UInt32] {
            #expect(failure(number, at: nextIndex) == DecodingFailure("an index segment behind the next number"))
        }
    }

    /// Changes fields inside records and leaves the records' lengths alone, so that more than the frame is tried.
    static func mutatedFields(_ body: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var fields: [Range<Int>] = []
        _ = body.withUnsafeBytes { bytes in
            try? LogRecord.forEach(in: bytes) { _, offset, content in
                fields.append((offset + LogRecord.prefixSize)..<(offset + LogRecord.prefixSize + content.count))
            }
        }
        var body = body
        for _ in 0...random.below(3) {
            let field = random.pick(fields.filter { !$0.isEmpty })
            let place = field.lowerBound + random.below(field.count)
            let end = min(place + random.pick([1, 2, 4, 8]), field.upperBound)
            let fill = random.pick([0, 0xFF, 0x7F, UInt8(random.below(256))])
            for index in place..<end { body[index] = fill }
        }
        return body
    }

    @Test("F35: no change of a header or manifest traps", arguments: 1...4 as ClosedRange<UInt64>)
    func headers(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let identity = StoreIdentity(high: 1, low: 2)
        let manifest = Manifest(
            generation: 3, identity: identity, epoch: 4, checkpointNumber: 5, checkpointChecksum: 6, isClean: true,
            newestLog: 7)
        for _ in 0..<1000 {
            let bytes = Self.mutated(manifest.encoded(), &random)
            bytes.withUnsafeBytes { bytes in
                _ = try? FileHeader(bytes)
                _ = try? Manifest(bytes)
                for offset in [0, 8, 128, Int.max - 8] {
                    _ = FrameHeader(bytes, at: offset, segment: 3, seed: identity.seed)
                }
            }
        }
    }

    @Test("F30: a compressed length that its bytes cannot have is refused before memory is taken")
    func lengths() {
        #expect(!LZ4.isPlausible(raw: 1 << 30, stored: 100))
        #expect(LZ4.isPlausible(raw: 255 * 100, stored: 100))
        let frame = FrameHeader(
            kind: .commit, codec: .lz4, storedLength: 16, rawLength: 32 << 20, firstSequence: 0, firstID: 0,
            offset: 0, durableUpTo: 0, previousChecksum: 0, segment: 1)
        var copy = frame
        var writer = ByteWriter()
        let body = [UInt8](repeating: 1, count: 16)
        body.withUnsafeBytes { copy.append(body: $0, seed: 7, to: &writer) }
        writer.bytes.withUnsafeBytes { #expect(FrameHeader($0, at: 0, segment: 1, seed: 7) == nil) }
    }
}
