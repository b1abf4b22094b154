// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import QuernStore

/// Random operations on a store, and dictionaries that say what it must answer. The seed fixes all of it.
struct StoreModel {
    /// What a step does. A new ability of the store joins here: a case, its weight, and its function in `take`.
    enum Operation: CaseIterable {
        /// One transaction.
        case commit
        /// Several transactions as one batch.
        case burst
        /// A transaction with spawns that went to the log before it.
        case stage
        /// Walks over the children of one parent, in all views.
        case scan
        /// A snapshot is taken and kept.
        case hold
        /// A snapshot that was kept must show what it showed.
        case scanHeld
        /// A reader beside the writer catches up and is asked the same.
        case read
        /// A reader that has not caught up must answer as it did, or say that the store has changed.
        case readOld
        /// An ended tree is dropped, or something that must not be.
        case drop
        /// Ended trees are dropped by age, count or bytes.
        case retain
        /// What is dropped is reclaimed, and what is small merged.
        case compact
        /// Stores that are built of the files, and of what is exported of them, are asked the same.
        case rebuild
        /// All answers are compared.
        case check
        case reopen
        case crash

        var weight: Int {
            switch self {
            case .commit: 60
            case .burst: 6
            case .stage: 4
            case .scan: 12
            case .hold: 3
            case .scanHeld: 4
            case .read: 4
            case .readOld: 2
            case .drop: 8
            case .retain: 1
            case .compact: 2
            case .rebuild: 1
            case .check: 1
            case .reopen: 3
            case .crash: 3
            }
        }
    }

    struct HeldSnapshot {
        var snapshot: ChildSnapshot
        var children: [ExpectedChild]
    }

    let seed: UInt64
    var random: SeededGenerator
    var files: ModelFiles
    var configuration = MemoStore.Configuration()
    var store: MemoStore
    var labels: [Label] = []

    var expected = ExpectedStore()
    /// The commits that a loss of power may undo, from the last one on; in commit order.
    var uncertain: [UncertainCommit] = []
    var held: [HeldSnapshot] = []
    var reader: MemoReader?
    /// What the reader saw when it caught up.
    var readerExpected = ExpectedStore()
    var clock: Int64 = 1_700_000_000_000
    var witnesses: UInt64 = 0

    init(seed: UInt64, on kind: ModelFiles.Kind = .simulated) async throws {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        files = try ModelFiles(kind)
        // Small, so that segments rotate, blocks are written early and checkpoints come often.
        configuration.logSegmentBytes = random.pick([4, 8, 64]) << 10
        configuration.logReserveBytes = random.pick([0, 700, 16 << 10])
        configuration.reserveBytes = random.pick([0, 2, 40]) << 10
        configuration.indexSegmentBytes = random.pick([8, 16, 128]) << 10
        configuration.openBlockBytes = random.pick([2, 4, 64]) << 10
        configuration.checkpointBytes = random.pick([10, 20, 200]) << 10
        configuration.payloadCacheBytes = random.pick([1, 2, 64]) << 10
        configuration.compactionBytesPerSecond = random.coin() ? 1 << 40 : nil
        // A replay must not depend on how long a step takes. One seed in four pays with it for checkpoints that run
        // beside the rest; never on real files, which cannot be copied at one moment.
        configuration.vouchDelay = nil
        if kind == .real || seed % 4 != 1 { configuration.startThread = { $0() } }
        store = try await MemoStore.open(
            at: files.store, configuration: configuration, fileSystem: files.fileSystem)
        labels = [try await store.label(for: "a"), try await store.label(for: "b")]
    }

    /// Takes random steps, then compares everything and closes the store.
    ///
    /// - Throws: ``ModelMismatch`` at the first wrong answer, with the seed and the step.
    mutating func run(operations: Int) async throws {
        for step in 0..<operations {
            let operation = nextOperation()
            do { try await take(operation) } catch {
                try? await store.close()
                throw ModelMismatch(description: "seed \(seed), step \(step), \(operation): \(error)")
            }
        }
        do {
            try checkEverything(store)
            try await compact()
            try checkEverything(store)
            try await rebuild()
            try await store.close()
        } catch { throw ModelMismatch(description: "seed \(seed), at the end: \(error)") }
    }

    private mutating func nextOperation() -> Operation {
        var lot = random.below(Operation.allCases.reduce(0) { $0 + $1.weight })
        for operation in Operation.allCases {
            lot -= operation.weight
            if lot < 0 { return operation }
        }
        return .commit
    }

    private mutating func take(_ operation: Operation) async throws {
        switch operation {
        case .commit: try await commit()
        case .burst: try await burst()
        case .stage: try await stage()
        case .scan: try scan()
        case .hold: try hold()
        case .scanHeld: try scanHeld()
        case .read: try await read()
        case .readOld: try readOld()
        case .drop: try await drop()
        case .retain: try await retain()
        case .compact: try await compact()
        case .rebuild: try await rebuild()
        case .check: try checkEverything(store)
        case .reopen: try await reopen()
        case .crash: try await crash()
        }
    }
}
