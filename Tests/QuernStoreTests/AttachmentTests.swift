// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What an outcome leaves for whoever runs its task again stays with it, and costs nothing where there is none (S9).
@Suite struct AttachmentTests {
    let files = SimulatedFileSystem()

    static func open(_ files: SimulatedFileSystem) async throws -> MemoStore {
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 2 << 10
        configuration.indexSegmentBytes = 6 << 10
        configuration.checkpointBytes = 12 << 10
        return try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
    }

    /// What the task leaves, if it is one that does.
    static func attachment(_ task: UInt64) -> [UInt8] {
        task % 3 == 0 ? [UInt8](repeating: UInt8(task & 0xFF), count: Int(task % 50)) : []
    }

    static func end(_ tasks: some Sequence<UInt64>, under parent: UInt64, in store: MemoStore) async throws {
        var transaction = Transaction()
        for task in tasks {
            let outcome = Transaction.Outcome(task, under: parent, task % 6 == 0 ? .failed : .completed)
            if task % 7 == 0 {
                transaction.end(outcome, attachment: attachment(task))
            } else {
                transaction.end(outcome, attachment: attachment(task)) { $0.append(littleEndian: task) }
            }
        }
        try await store.append(transaction)
    }

    /// The attachments of a view by task, those alone that are there; checks that a walk over the rest reads none.
    static func read(_ snapshot: ChildSnapshot) throws -> [UInt64: [UInt8]] {
        var found: [UInt64: [UInt8]] = [:]
        var block = ChildBlock()
        for columns in [.all, .facts, .memos] as [ChildColumns] {
            var cursor = snapshot.makeCursor(columns: columns)
            while try cursor.next(into: &block) { #expect(block.attachments.isEmpty) }
        }
        var cursor = snapshot.makeCursor(columns: .attachments)
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let bytes = block.withAttachment(at: index) { $0.withUnsafeBytes { Array($0) } }
                if !bytes.isEmpty { found[block.id(at: index).rawValue] = bytes }
            }
        }
        return found
    }

    static func expected(_ tasks: some Sequence<UInt64>) -> [UInt64: [UInt8]] {
        Dictionary(uniqueKeysWithValues: tasks.map { ($0, attachment($0)) }.filter { !$0.1.isEmpty })
    }

    @Test("Attachments come back in all views: from memory, the index, a reader, after compactions and a crash")
    func survive() async throws {
        let store = try await Self.open(files)
        try await store.append(.spawning(2))
        let children = try await store.append(.spawning(900, under: 1)).spawned[0]
        for start in stride(from: 0, to: 800, by: 20) {
            try await Self.end(Array(children)[start..<(start + 20)], under: 1, in: store)
        }
        let ended = Array(children.prefix(800))
        func check(_ store: some StoreAnswers, _ place: String) throws {
            let all = try store.children(of: TaskID(1))
            let failures = ended.filter { $0 % 6 == 0 }
            #expect(try Self.read(all) == Self.expected(ended), "\(place)")
            #expect(try Self.read(all.reversed()) == Self.expected(ended), "\(place)")
            #expect(try Self.read(all.failuresOnly) == Self.expected(failures), "\(place)")
            #expect(try Self.read(all.after(333)) == Self.expected(ended[333...]), "\(place)")
            #expect(try Self.read(all.reversed().after(333).failuresOnly).count < failures.count, "\(place)")
            for task in ended.suffix(9) {
                #expect(try all.attachment(of: TaskID(task)) == Self.attachment(task), "\(place)")
            }
        }
        let reader = try await MemoReader.open(at: "/store", fileSystem: files)
        try check(store, "the store")
        try check(reader, "a reader")
        try await store.compact()
        try check(store, "compacted")
        let crashed = try await Self.open(files.crash(keeping: .dropAll))
        try check(crashed, "crashed")
        try await crashed.close()
        try await store.close()
        let reopened = try await Self.open(files)
        try check(reopened, "reopened")
        try await reopened.close()
    }

    @Test("One task's attachment is found with and without its commit position, and not where there is no such child")
    func lookUp() async throws {
        let store = try await Self.open(files)
        try await store.append(.spawning(3))
        let children = Array(try await store.append(.spawning(300, under: 1)).spawned[0])
        try await Self.end(children, under: 1, in: store)
        try await Self.end([1, 3], under: 0, in: store)
        for (position, task) in children.enumerated() where position % 17 == 0 {
            let sequence = UInt64(position + 1)
            let found = try store.attachment(of: TaskID(task), under: TaskID(1), endedAt: sequence)
            #expect(found == Self.attachment(task))
            #expect(try store.attachment(of: TaskID(task), under: TaskID(1)) == Self.attachment(task))
            #expect(try store.attachment(of: TaskID(task), under: .none) == nil)
        }
        #expect(try store.attachment(of: TaskID(3), under: .none) == [3, 3, 3])
        #expect(try store.attachment(of: TaskID(2), under: .none) == nil)
        #expect(try store.attachment(of: TaskID(3), under: .none, endedAt: 1000) == nil)
        #expect(try store.attachment(of: TaskID(3), under: .none, endedAt: .max) == nil)
        try await store.dropTree(TaskID(3))
        #expect(try store.attachment(of: TaskID(3), under: .none) == nil)
        #expect(try store.attachment(of: TaskID(1), under: .none) == [])
        try await store.compact()
        #expect(try store.attachment(of: TaskID(3), under: .none) == nil)
        try await store.close()
    }

    @Test("A block without attachments has no byte more")
    func elided() throws {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<20 {
            var block = CodecTests.block(&random)
            block.attachments = Attachments()
            let bytes = CodecTests.encoded(block, compress: true)
            let stored = [52, 60].map { place in
                bytes.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: place, as: UInt32.self)) }
            }
            #expect(bytes[39] == 0 && bytes.count == OutcomeBlockHeader.size + stored[0] + stored[1])
            [1, 2, 3].withUnsafeBytes { block.attachments.append($0, of: block.rows[0].sequence) }
            #expect(CodecTests.encoded(block, compress: false)[39] == 1)
        }
    }

    @Test("F30: a section of attachments that is not what its header says is refused")
    func wrongSections() throws {
        var random = SeededGenerator(seed: 4)
        var block = CodecTests.block(&random)
        block.attachments = Attachments()
        [UInt8](repeating: 9, count: 900).withUnsafeBytes {
            block.attachments.append($0, of: block.rows[block.rows.count - 1].sequence)
        }
        for compress in [true, false] {
            let bytes = CodecTests.encoded(block, compress: compress)
            let section = bytes.count - (try CodecTests.stored(bytes))
            for (place, value) in [(39, 0), (39, 3), (39, 255), (section, 1), (section + 3, 0x7F), (section + 4, 1)]
                as [(Int, UInt8)]
            {
                var wrong = bytes
                #expect(wrong[place] != value)
                wrong[place] = value
                #expect(throws: DecodingFailure.self, "byte \(place)") { try CodecTests.decoded(wrong) }
            }
            #expect(throws: DecodingFailure.self) { try CodecTests.decoded(Array(bytes.dropLast())) }
            #expect(throws: DecodingFailure.self) { try CodecTests.decoded(bytes + [0]) }
        }
    }

    @Test("F5: attachments count for the size of a block, and above their limit are refused")
    func sizes() async throws {
        let store = try await Self.open(files)
        let ids = Array(try await store.append(.spawning(12)).spawned[0])
        var transaction = Transaction()
        for task in ids.dropLast(2) {
            transaction.end(.init(task, under: 0), attachment: [UInt8](repeating: UInt8(task), count: 30 << 10))
        }
        try await store.append(transaction)
        #expect(try store.children(of: .none).extents.map(\.storedRows).max() == 2)
        let large = [UInt8](repeating: 7, count: Limits.valueBytes)
        for (task, attachment) in [(ids[10], large), (ids[11], large + [1])] {
            var end = Transaction()
            end.end(.init(task, under: 0), attachment: attachment) { $0.append(contentsOf: large) }
            #expect(await store.failure(of: end)?.code == (task == ids[10] ? nil : .tooLarge))
        }
        try await store.close()
        let reopened = try await Self.open(files)
        #expect(try reopened.attachment(of: TaskID(ids[10]), under: .none) == large)
        try await reopened.close()
    }

    @Test("A transaction that is cut, rolled back or put together keeps each attachment with its outcome")
    func marks() {
        var transaction = Transaction()
        func end(_ tasks: ClosedRange<UInt64>) {
            for task in tasks { transaction.end(.init(task, under: 0), attachment: Self.attachment(task)) }
        }
        func attached(_ transaction: Transaction) -> [UInt64: [UInt8]] {
            let pairs = transaction.attachments.map { (transaction.outcomes[$0.outcome].task.rawValue, $0.bytes) }
            #expect(transaction.attachmentBytes == pairs.reduce(0) { $0 + $1.1.count })
            return Dictionary(uniqueKeysWithValues: pairs)
        }
        end(1...10)
        let mark = transaction.mark
        end(11...20)
        var cut = transaction
        let before = cut.removeAll(before: mark)
        #expect(attached(before) == Self.expected(1...10) && attached(cut) == Self.expected(11...20))
        var whole = before
        whole.append(cut)
        #expect(attached(whole) == Self.expected(1...20) && attached(transaction) == Self.expected(1...20))
        transaction.rollback(to: mark)
        #expect(attached(transaction) == Self.expected(1...10))
    }
}

extension CodecTests {
    /// Bytes of the section of attachments of an encoded block.
    static func stored(_ bytes: [UInt8]) throws -> Int {
        let header = try bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
            var reader = ByteReader(bytes)
            return try OutcomeBlockHeader(&reader)
        }
        return bytes.count - OutcomeBlockHeader.size - header.factsStored - header.memosStored
    }
}
