// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Live tasks of a damaged checkpoint are taken from the log (S6)")
struct LiveSalvageTests {
    @Test("S6: damage in any frame of a checkpoint takes no live task, and nothing that is known of one")
    func damagedFrames() async throws {
        let files = SimulatedFileSystem()
        try await Self.makeManyTasks(on: files)
        let intact = try OfflineStore.read(at: OfflineFixture.store, fileSystem: files)
        var contents = try OfflineContents(of: intact, for: .whole)
        let expected = try CollectedContents(of: &contents)
        let checkpoint = try #require(intact.checkpointFile)
        var walk = FrameWalk(
            checkpoint, segment: UInt32(truncatingIfNeeded: checkpoint.number), seed: intact.identity.seed)
        try files.remove(OfflineFixture.store.appending(StoreFiles.name(.mirror, checkpoint.number)))
        var frames = 0
        while case .frame(let frame)? = try walk.next() {
            frames += 1
            let damaged = files.crash(keeping: .keepAll)
            try damaged.flipBit(
                in: OfflineFixture.store.appending(checkpoint.name), atByte: frame.offset + frame.length / 2, bit: 3)
            try Self.check(damaged, expected, isLogWhole: true, "the frame at \(frame.offset)")
        }
        #expect(frames >= 4)
    }

    /// The ids of tasks that were staged are in the commit of their stage, which is not kept for them.
    @Test(
        "S6: a checkpoint that is damaged anywhere, or missing, takes no live task", arguments: 0..<6 as Range<UInt64>)
    func damagedCheckpoints(seed: UInt64) async throws {
        let fixture = try await OfflineFixture.random(
            seed: 60 + seed, closes: seed % 2 == 0, steps: 60, stages: false)
        let intact = try OfflineStore.read(at: OfflineFixture.store, fileSystem: fixture.files)
        var contents = try OfflineContents(of: intact, for: .whole)
        let expected = try CollectedContents(of: &contents)
        let checkpoint = try #require(intact.checkpointFile)
        let path = OfflineFixture.store.appending(checkpoint.name)
        try fixture.files.remove(OfflineFixture.store.appending(StoreFiles.name(.mirror, checkpoint.number)))
        let logs = intact.raw.files(.log).map(\.number)
        let isLogWhole = logs.first == 1 && logs.last == UInt64(logs.count)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5 {
            let damaged = fixture.files.crash(keeping: .keepAll)
            let (offset, bit) = (random.below(checkpoint.size), random.below(8))
            try damaged.flipBit(in: path, atByte: offset, bit: bit)
            try Self.check(damaged, expected, isLogWhole: isLogWhole, "bit \(bit) of byte \(offset), seed \(seed)")
        }
        let missing = fixture.files.crash(keeping: .keepAll)
        try missing.remove(path)
        try Self.check(missing, expected, isLogWhole: isLogWhole, "no checkpoint, seed \(seed)")
    }

    @Test("S6: names and notes that a lost checkpoint alone had are listed as lost")
    func namesOfACompactedStore() async throws {
        let files = SimulatedFileSystem()
        try await Self.makeManyTasks(on: files)
        _ = try CompactionInPlace(
            of: OfflineFixture.store, fileSystem: files, configuration: OfflineFixture.configuration
        ).run()
        let store = try OfflineStore.read(at: OfflineFixture.store, fileSystem: files)
        for file in store.raw.files(.checkpoint) + store.raw.files(.mirror) {
            try files.remove(OfflineFixture.store.appending(file.name))
        }
        let contents = try OfflineContents(
            of: try OfflineStore.read(at: OfflineFixture.store, fileSystem: files), for: .salvage)
        #expect(contents.losses.contains { $0.what.hasPrefix("the name of label 1 is lost") })
        #expect(contents.losses.contains { $0.what.hasPrefix("phases, ") && $0.count ?? 0 > 3000 })
    }

    /// - Parameter isLogWhole: whether no segment was removed: payloads that are needed stay in any case, while names
    ///   and notes are in the checkpoint alone then.
    private static func check(
        _ files: SimulatedFileSystem, _ expected: CollectedContents, isLogWhole: Bool, _ place: String
    ) throws {
        var contents = try OfflineContents(
            of: try OfflineStore.read(at: OfflineFixture.store, fileSystem: files), for: .salvage)
        let found = try CollectedContents(of: &contents)
        #expect(found.nextID >= expected.nextID, "\(place): ids are given out again")
        for (id, task) in expected.live {
            guard let other = found.live[id] else {
                Issue.record("\(place): task \(id) is lost")
                return
            }
            if isLogWhole ? other != task : (other.parent, other.payload) != (task.parent, task.payload) {
                Issue.record("\(place): task \(id) was \(task) and is \(other)")
                return
            }
        }
        // A task of a tree that was dropped, whose end was in a segment that is gone, cannot be told from a live one.
        if isLogWhole, let extra = found.live.keys.first(where: { expected.live[$0] == nil }) {
            Issue.record("\(place): task \(extra) has ended and is live")
        }
        #expect(found.values == expected.values || !isLogWhole, "\(place): named values")
        try StoreBuilder.build(at: "/new", fileSystem: files, configuration: OfflineFixture.configuration) {
            try contents.tell(&$0)
        }
        let verified = try StoreVerifier.verify(at: "/new", fileSystem: files, options: .init(threads: 1))
        #expect(verified.findings.isEmpty, "\(place): \(verified.findings)")
    }

    /// So much, each task in a run of its own, that a checkpoint has several frames.
    static func makeManyTasks(on files: SimulatedFileSystem) async throws {
        var configuration = OfflineFixture.configuration
        configuration.logSegmentBytes = 256 << 10
        let store = try await MemoStore.open(
            at: OfflineFixture.store, configuration: configuration, fileSystem: files)
        let label = try await store.label(for: "child")
        var spawn = Transaction()
        spawn.spawn(under: .none, label: label, priority: 1, at: Timestamp(milliseconds: 1)) { _ in }
        let root = TaskID(try await store.append(spawn, durability: .buffered).spawned[0].lowerBound)
        var tasks: [TaskID] = []
        for wave in 0..<20 {
            var transaction = Transaction()
            for number in 0..<200 {
                let isKeyed = number % 3 != 0
                transaction.spawn(
                    under: root, label: label, priority: UInt8(number % 7),
                    attributes: [UInt8](repeating: UInt8(wave), count: 800) + [
                        UInt8(number % 256), UInt8(number / 256),
                    ],
                    key: isKeyed ? TaskKey(first: UInt64(wave), second: UInt64(number)) : nil,
                    at: Timestamp(milliseconds: 2)
                ) { $0.append(littleEndian: UInt64(number)) }
            }
            let commit = try await store.append(transaction, durability: .buffered)
            tasks += commit.spawned.joined().map { TaskID($0) }
        }
        try await note(tasks, below: root, label, in: store)
        try await store.close()
    }

    private static func note(
        _ tasks: [TaskID], below root: TaskID, _ label: Label, in store: MemoStore
    ) async throws {
        var transaction = Transaction()
        for (number, task) in tasks.enumerated() {
            let time = Timestamp(milliseconds: Int64(number))
            switch number % 8 {
            case 0:
                transaction.end(
                    .init(
                        task: task, parent: root, label: label, kind: .completed, attempts: 1, startedAt: time,
                        endedAt: time)
                ) { $0.append(littleEndian: UInt64(number)) }
            case 1: transaction.noteAttempt(task, attempts: 2, notBefore: time, error: [1])
            case 2: transaction.requestCancel(task, as: .cancelled)
            case 3: transaction.noteCrash(task, count: 1)
            case 4: transaction.keep(task, slot: 7, [1, 2, UInt8(number % 256)])
            case 5: transaction.setPriority(task, 200)
            case 6: transaction.advance(task, to: 2, value: [9, UInt8(number % 256)])
            default: break
            }
        }
        // Between the frame of the base record and those of the tasks.
        for number in 0..<20 {
            transaction.set("value \(number)", to: [UInt8](repeating: UInt8(number), count: 60_000))
        }
        _ = try await store.append(transaction, durability: .buffered)
    }
}
