// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// A fixed sequence of transactions that makes a store do everything once: segments rotate, a batch takes several
/// frames, blocks are written early, index segments are sealed, checkpoints are written, the store is closed and
/// opened.
struct Workload {
    enum Step: Sendable {
        case label(String)
        case reopen
        case commit(@Sendable (inout Transaction, Workload) -> Void)
        /// Spawns that a later commit makes visible.
        case stage(@Sendable (inout Transaction, Workload) -> Void)

        /// Whether it can be taken once more when it failed for want of space.
        var isRepeatable: Bool {
            switch self {
            case .commit, .stage: true
            case .label, .reopen: false
            }
        }
    }

    static let directory: FilePath = "/store"
    static let start: Int64 = 1_700_000_000_000

    var steps: [Step]
    var configuration = MemoStore.Configuration()
    /// The ids that the transactions got, in the order of their spawns.
    private(set) var ids: [UInt64] = []
    let label = Label(rawValue: 1)
    /// What was staged and not committed.
    private var stage: SpawnStage?

    enum Kind: Sendable, CaseIterable {
        /// Many steps with few bytes each.
        case everything
        /// A few steps, two of them larger than a frame.
        case large
    }

    /// When checkpoints are written.
    enum Checkpoints: Sendable, CaseIterable {
        /// On the writer thread, so that the calls come in the same order each time.
        case inPlace
        /// Some steps later, by chance from a seed.
        case later
        /// On a thread of their own, as in a program.
        case beside
    }

    private var threads: HeldThreads?
    private var random = SeededGenerator(seed: 0)

    init(_ kind: Kind, checkpoints: Checkpoints = .inPlace, seed: UInt64 = 0) {
        configuration.logSegmentBytes = 2 << 10
        configuration.indexSegmentBytes = 3 << 10
        configuration.openBlockBytes = 2 << 10
        configuration.checkpointBytes = 5 << 10
        configuration.payloadCacheBytes = 1 << 10
        switch checkpoints {
        case .inPlace: configuration.startThread = { $0() }
        case .later:
            let threads = HeldThreads()
            self.threads = threads
            random = SeededGenerator(seed: seed)
            configuration.startThread = threads.start
        case .beside: break
        }
        configuration.logReserveBytes = 700
        configuration.reserveBytes = 0
        // Which calls are made is not to depend on the time.
        configuration.vouchDelay = nil
        switch kind {
        case .everything: steps = Self.small
        case .large:
            // The first one ends in an empty commit frame, the second one in a frame with records.
            steps = [Self.small[0], Self.small[1]]
            steps += [.commit(Self.spawnLarge(4, of: 600 << 10)), .commit(Self.spawnLarge(3, of: 700 << 10))]
        }
    }

    init(steps: [Step]) { self.steps = steps }

    /// What became of a run.
    struct Result {
        /// Steps that were acknowledged; opening is the first.
        var completed = 0
        var error: StoreError?
        var store: MemoStore?
    }

    /// Runs until a step fails. The store stays open.
    mutating func run(
        on files: SimulatedFileSystem, afterEach: (MemoStore) throws -> Void = { _ in }
    ) async throws -> Result {
        var result = Result()
        ids = []
        defer { threads?.open() }
        do throws(StoreError) {
            result.store = try await open(files)
            result.completed = 1
        } catch {
            result.error = error
            return result
        }
        try afterEach(result.store!)
        while result.completed <= steps.count {
            if let error = await take(steps[result.completed - 1], &result.store!, files) {
                result.error = error
                return result
            }
            result.completed += 1
            if let threads {
                await result.store?.settle()
                if random.chance(1, in: 4) { threads.release() }
            }
            try afterEach(result.store!)
        }
        await result.store?.settle()
        return result
    }

    func open(_ files: SimulatedFileSystem) async throws(StoreError) -> MemoStore {
        try await MemoStore.open(at: Self.directory, configuration: configuration, fileSystem: files)
    }

    /// Ends a store as the death of its process would, without the work of closing.
    static func abandon(_ store: MemoStore?, on files: SimulatedFileSystem) async {
        files.faults = .crashing(afterCall: 0)
        try? await store?.close()
    }

    /// Closes a store whatever comes of it.
    static func close(_ store: MemoStore?) async { try? await store?.close() }

    /// Takes one step. Returns why it failed.
    mutating func take(_ step: Step, _ store: inout MemoStore, _ files: SimulatedFileSystem) async -> StoreError? {
        do throws(StoreError) {
            switch step {
            case .label(let name): _ = try await store.label(for: name)
            case .reopen:
                threads?.open()
                defer { threads?.hold() }
                stage = nil
                try await store.close()
                store = try await open(files)
            case .commit(let fill):
                var transaction = Transaction()
                fill(&transaction, self)
                let commit = try await store.append(transaction)
                ids.append(contentsOf: commit.spawned.joined())
                ids.append(contentsOf: commit.staged.joined())
                if !commit.staged.isEmpty { stage = nil }
            case .stage(let fill):
                var transaction = Transaction()
                fill(&transaction, self)
                let stage = self.stage ?? store.makeStage()
                self.stage = stage
                try await stage.append(spawns: transaction)
            }
            return nil
        } catch { return error }
    }

    /// What the store must say after opening and after each step.
    static func facts(_ kind: Kind) async throws -> [StoreFacts] {
        var workload = Workload(kind)
        var facts: [StoreFacts] = []
        let result = try await workload.run(on: SimulatedFileSystem()) { facts.append(try StoreFacts($0)) }
        if let error = result.error { throw error }
        try await result.store?.close()
        return facts
    }

    // MARK: The steps

    private static func spawnLarge(
        _ count: Int, of bytes: Int
    ) -> @Sendable (inout Transaction, Workload) -> Void {
        { transaction, workload in
            for index in 0..<count {
                workload.spawn(1, under: workload.ids[2], index, bytes: bytes, into: &transaction)
            }
        }
    }

    private func spawn(
        _ count: Int, under parent: UInt64, _ seed: Int, bytes: Int, into transaction: inout Transaction
    ) {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<count {
            let payload = bytes > 1 << 16 ? [UInt8](repeating: UInt8(seed), count: bytes) : random.bytes(bytes)
            transaction.spawn(
                under: TaskID(parent), label: label, attributes: seed % 3 == 0 ? [] : [UInt8(seed), 2],
                at: Timestamp(milliseconds: Self.start)
            ) { $0.append(contentsOf: payload) }
        }
    }

    private func spawn(
        keys: [UInt64], _ policy: DuplicatePolicy, under parent: UInt64 = 0, into transaction: inout Transaction
    ) {
        for key in keys {
            transaction.spawn(
                under: TaskID(parent), label: label, attributes: policy == .skip ? [9] : [],
                key: TaskKey(first: key, second: 1), onDuplicate: policy, at: Timestamp(milliseconds: Self.start)
            ) { $0.append(littleEndian: key) }
        }
    }

    private func commitStage(into transaction: inout Transaction) {
        if let stage { transaction.commit(stage) }
    }

    /// Ends tasks by their place in ``ids``.
    private func end(
        _ places: Range<Int>, under parent: UInt64, memo bytes: Int, failing: Bool = false,
        into transaction: inout Transaction
    ) {
        var random = SeededGenerator(seed: UInt64(places.lowerBound))
        for place in places {
            let fails = failing && place % 3 == 0
            let value = random.bytes(bytes)
            transaction.end(
                .init(
                    task: TaskID(ids[place]), parent: TaskID(parent), label: label,
                    kind: fails ? .failed : .completed, attempts: UInt32(1 + place % 2),
                    startedAt: Timestamp(milliseconds: Self.start + Int64(place)),
                    endedAt: Timestamp(milliseconds: Self.start + Int64(2 * place))),
                attachment: fails ? random.bytes(10 * place) : []
            ) { $0.append(contentsOf: value) }
        }
    }

    private static let small: [Step] = [
        .label("directory"),
        .commit { transaction, workload in
            workload.spawn(3, under: 0, 1, bytes: 20, into: &transaction)
        },
        .commit { transaction, workload in
            workload.spawn(30, under: workload.ids[0], 2, bytes: 30, into: &transaction)
        },
        .commit { transaction, workload in
            workload.end(3..<9, under: workload.ids[0], memo: 24, into: &transaction)
            workload.spawn(5, under: workload.ids[0], 3, bytes: 7, into: &transaction)
            workload.spawn(2, under: workload.ids[1], 4, bytes: 0, into: &transaction)
        },
        .commit { transaction, workload in
            transaction.advance(TaskID(workload.ids[0]), to: 1, value: [1, 2, 3])
            transaction.noteAttempt(
                TaskID(workload.ids[10]), attempts: 2, notBefore: Timestamp(milliseconds: 77), error: [9])
            transaction.requestCancel(TaskID(workload.ids[11]), as: .expired)
            transaction.setPriority(TaskID(workload.ids[14]), 3)
            transaction.noteInFlight([TaskID(workload.ids[10])])
            transaction.noteCrash(TaskID(workload.ids[12]), count: 3)
            transaction.keep(TaskID(workload.ids[2]), slot: 2, [1, 2])
            transaction.keep(TaskID(workload.ids[10]), slot: 1, [3])
            transaction.set("cursor", to: [1])
            transaction.set("schedule/a", to: [2, 3])
        },
        .commit { transaction, workload in
            workload.end(13..<19, under: workload.ids[0], memo: 90, failing: true, into: &transaction)
        },
        .commit { transaction, workload in
            workload.end(19..<24, under: workload.ids[0], memo: 700, into: &transaction)
        },
        .label("file"),
        .commit { transaction, workload in
            workload.end(24..<28, under: workload.ids[0], memo: 900, failing: true, into: &transaction)
            workload.end(9..<13, under: workload.ids[0], memo: 0, into: &transaction)
        },
        .reopen,
        .commit { transaction, workload in
            workload.end(28..<33, under: workload.ids[0], memo: 24, into: &transaction)
            workload.end(33..<38, under: workload.ids[0], memo: 300, into: &transaction)
        },
        .commit { transaction, workload in
            workload.end(0..<1, under: 0, memo: 40, into: &transaction)
            workload.spawn(4, under: workload.ids[2], 5, bytes: 400, into: &transaction)
        },
        .commit { transaction, workload in
            workload.end(38..<40, under: workload.ids[1], memo: 1, into: &transaction)
            transaction.advance(TaskID(workload.ids[2]), to: 2, value: Array(repeating: 5, count: 500))
            transaction.keep(TaskID(workload.ids[2]), slot: 2, Array(repeating: 6, count: 300))
            transaction.set("cursor", to: nil)
            transaction.set("schedule/b", to: Array(repeating: 7, count: 200))
        },
        .commit { transaction, workload in workload.end(1..<2, under: 0, memo: 2000, into: &transaction) },
        .stage { transaction, workload in
            workload.spawn(70, under: workload.ids[2], 6, bytes: 10, into: &transaction)
            workload.spawn(1, under: 0, 7, bytes: 900, into: &transaction)
        },
        .commit { transaction, workload in
            workload.end(40..<42, under: workload.ids[2], memo: 2000, into: &transaction)
            workload.spawn(2, under: workload.ids[2], 8, bytes: 900, into: &transaction)
        },
        .stage { transaction, workload in
            workload.spawn(2, under: workload.ids[42], 9, bytes: 1500, into: &transaction)
        },
        .commit { transaction, workload in
            workload.spawn(1, under: workload.ids[2], 10, bytes: 5, into: &transaction)
            workload.commitStage(into: &transaction)
            workload.end(43..<44, under: workload.ids[2], memo: 10, into: &transaction)
        },
        .stage { transaction, workload in
            workload.spawn(3, under: workload.ids[2], 11, bytes: 20, into: &transaction)
        },
        .reopen,
        .commit { transaction, workload in
            workload.end(47..<110, under: workload.ids[2], memo: 24, into: &transaction)
        },
        .commit { transaction, workload in workload.spawn(keys: [1, 2, 1, 6], .skip, into: &transaction) },
        .stage { transaction, workload in
            workload.spawn(keys: [2, 3, 4], .skip, into: &transaction)
            workload.spawn(keys: [6], .replace, into: &transaction)
        },
        .commit { transaction, workload in
            workload.spawn(keys: [1, 5], .replace, into: &transaction)
            workload.commitStage(into: &transaction)
        },
    ]
}
