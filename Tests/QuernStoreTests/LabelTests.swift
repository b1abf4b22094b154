// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Labels that stand for a name, and numbers that stand for none (S5, F35).
@Suite struct LabelTests {
    private static let undefined: [UInt32] = [0, 2, 3, .max]

    private static func spawning(_ label: UInt32) -> Transaction {
        var transaction = Transaction()
        transaction.spawn(under: .none, label: Label(rawValue: label), at: Timestamp(milliseconds: 1)) { _ in }
        return transaction
    }

    @Test("Names are told apart by their bytes, also where Unicode calls them equal, and also after a restart")
    func spellings() async throws {
        let files = SimulatedFileSystem()
        let spellings = ["caf\u{e9}", "cafe\u{301}"]
        var store = try await MemoStore.open(at: "/store", configuration: .exactLog, fileSystem: files)
        // Once in one batch, once in batches of their own.
        let definitions = spellings.map { name in
            var transaction = Transaction()
            transaction.define(name)
            return transaction
        }
        for result in await store.appendTogether(definitions) { _ = try result.get() }
        let labels = [try await store.label(for: spellings[0]), try await store.label(for: spellings[1])]
        #expect(labels.map(\.rawValue) == [1, 2])
        for _ in 0..<2 {
            for (label, name) in zip(labels, spellings) {
                #expect(store.knownLabel(for: name) == label)
                #expect(store.name(of: label).map { Array($0.utf8) } == Array(name.utf8))
            }
            try await store.close()
            store = try await MemoStore.open(at: "/store", configuration: .exactLog, fileSystem: files)
        }
        try await store.close()
    }

    @Test("A name that several transactions of a batch define gets one label, and many names get as many")
    func definedTogether() async throws {
        let store = try await MemoStore.open(at: "/store", fileSystem: SimulatedFileSystem())
        let names = (0..<3000).map { "name \($0 % 1000)" }
        let results = await store.appendTogether(
            names.map { name in
                var transaction = Transaction()
                transaction.define(name)
                return transaction
            })
        #expect(results.count { $0.code == nil } == 3000)
        let labels = names.map { store.knownLabel(for: $0)?.rawValue }
        let areRight = labels == names.indices.map { UInt32($0 % 1000 + 1) }
        #expect(areRight)
        try await store.close()
    }

    @Test("A label that the store has not given out is refused, and nothing of its transaction is written")
    func refused() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.open(at: "/store", configuration: .exactLog, fileSystem: files)
        #expect(await store.failure(of: Self.spawning(1))?.code == .rejected)
        let known = try await store.label(for: "known")
        #expect(known.rawValue == 1)
        let root = TaskID(try await store.append(Self.spawning(1)).spawned[0].lowerBound)
        let log = try #require(files.contents("/store/log-0000000001"))
        let facts = try StoreFacts(store)
        // One that goes says so in the log.
        var stages: [SpawnStage] = []
        for label in Self.undefined {
            #expect(await store.failure(of: Self.spawning(label))?.code == .rejected)
            var mixed = Self.spawning(1)
            mixed.append(Self.spawning(label))
            mixed.append(Self.spawning(1))
            #expect(await store.failure(of: mixed)?.code == .rejected)
            var end = Transaction()
            end.end(
                .init(
                    task: root, parent: .none, label: Label(rawValue: label), kind: .completed,
                    endedAt: Timestamp(milliseconds: 2)))
            #expect(await store.failure(of: end)?.code == .rejected)
            let stage = store.makeStage()
            stages.append(stage)
            do throws(StoreError) {
                try await stage.append(spawns: Self.spawning(label))
                Issue.record("staged label \(label)")
            } catch { #expect(error.code == .rejected) }
        }
        expectSame(try StoreFacts(store), facts, "refused")
        let isSame = files.contents("/store/log-0000000001") == log
        #expect(isSame)
        withExtendedLifetime(stages) {}
        #expect(try await store.label(for: "next").rawValue == 2)
        try await store.append(Self.spawning(2))
        let before = try StoreFacts(store)
        try await store.close()
        let reopened = try await MemoStore.open(at: "/store", fileSystem: files)
        expectSame(try StoreFacts(reopened), before, "reopened")
        #expect(reopened.name(of: Label(rawValue: 2)) == "next" && reopened.name(of: Label(rawValue: 0)) == nil)
        try await reopened.close()
    }

    @Test("A transaction that is rolled back or cut names the labels that are left in it, and no others")
    func rollback() {
        for seed in 1...50 as ClosedRange<UInt64> {
            var random = SeededGenerator(seed: seed)
            func add(_ count: Int, to transaction: inout Transaction) {
                for _ in 0..<count {
                    let label = Label(rawValue: UInt32(random.below(9)))
                    if random.coin() {
                        transaction.spawn(under: .none, label: label, at: Timestamp(milliseconds: 1)) { _ in }
                    } else {
                        transaction.end(
                            .init(
                                task: TaskID(1), parent: .none, label: label, kind: .failed,
                                endedAt: Timestamp(milliseconds: 1)))
                    }
                }
            }
            func largest(_ transaction: Transaction) -> UInt32 {
                let labels = transaction.spawnGroups.map(\.label) + transaction.outcomes.map(\.label)
                return labels.map { $0.rawValue == 0 ? .max : $0.rawValue }.max() ?? 0
            }
            var transaction = Transaction()
            add(random.below(4), to: &transaction)
            let mark = transaction.mark
            add(random.below(4), to: &transaction)
            var (rolledBack, rest) = (transaction, transaction)
            rolledBack.rollback(to: mark)
            let cut = rest.removeAll(before: mark)
            for transaction in [transaction, rolledBack, rest, cut] {
                #expect(transaction.largestLabel == largest(transaction), "seed \(seed)")
            }
        }
    }

    /// A store whose log holds one frame, with valid checksums.
    private static func store(logging body: ByteWriter) async throws -> SimulatedFileSystem {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.open(at: "/store", configuration: .exactLog, fileSystem: files)
        let image = files.crash(keeping: .keepAll)
        try await store.close()
        let log = try #require(image.contents("/store/log-0000000001"))
        let header = try log.withUnsafeBytesThrowing { (bytes) throws in try FileHeader(bytes) }
        var encoder = FrameEncoder(
            identity: header.identity, segment: 1, position: UInt64(FileHeader.size), checksum: 0)
        var output = ByteWriter()
        var scratch = ByteWriter()
        _ = body.bytes.withUnsafeBytes {
            encoder.append(.commit, body: $0, compress: false, scratch: &scratch, to: &output)
        }
        try image.place(log[..<FileHeader.size] + output.bytes, at: "/store/log-0000000001")
        return image
    }

    @Test("F35: a log that uses a label which no name has, or gives a name a number out of turn, is damaged")
    func replayed() async throws {
        func spawn(_ label: UInt32, into body: inout ByteWriter) {
            LogRecord.append(LogRecord.Kind.spawn.rawValue, to: &body) {
                SpawnRecord.appendHeader(
                    firstID: 1, parent: .none, submittedAt: Timestamp(milliseconds: 0), label: Label(rawValue: label),
                    count: 1, priority: 0, to: &$0)
                IntegerColumn.encode(count: 1, into: &$0) { _ in 0 }
            }
        }
        func outcome(_ label: UInt32, into body: inout ByteWriter) {
            var block = OutcomeBlock(parent: .none)
            let row = OutcomeRow(
                task: 1, sequence: 1, startedAt: 0, endedAt: 0, label: label, attempts: 1, valueLength: 0,
                kind: .completed)
            [].withUnsafeBytes { block.append(row, value: $0) }
            var scratch = OutcomeBlockScratch()
            LogRecord.append(LogRecord.Kind.outcomes.rawValue, to: &body) {
                OutcomeBlockCodec.encode(block, compress: false, scratch: &scratch, into: &$0)
            }
        }
        for (defined, used, ended) in [(1, 1, 1), (1, 2, 1), (1, 0, 1), (1, 1, 2), (1, 1, 0), (2, 1, 1), (0, 1, 1)] {
            var body = ByteWriter()
            LogRecord.append(Label(rawValue: UInt32(defined)), name: "name", to: &body)
            spawn(UInt32(used), into: &body)
            outcome(UInt32(ended), into: &body)
            let image = try await Self.store(logging: body)
            let isGood = defined == 1 && used == 1 && ended == 1
            do throws(StoreError) {
                let store = try await MemoStore.open(at: "/store", fileSystem: image)
                #expect(isGood, "defined \(defined), used \(used), \(ended)")
                try await store.close()
            } catch {
                #expect(!isGood && error.code == .damaged, "\(error)")
                #expect(error.file == "/store/log-0000000001" && error.offset == FileHeader.size)
            }
        }
    }
}
