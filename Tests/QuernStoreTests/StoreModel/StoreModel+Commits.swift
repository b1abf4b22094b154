// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

extension StoreModel {
    mutating func commit() async throws {
        var entry = UncertainCommit(before: expected, commit: plan())
        let commit = try await store.append(entry.commit.transaction, durability: entry.commit.durability)
        try adopt(commit, of: entry.commit)
        entry.isAcknowledged = true
        note(entry)
    }

    mutating func burst() async throws {
        let entries = planBurst()
        let results = await store.appendTogether(entries.map(\.commit))
        uncertain.removeLast(entries.count)
        for (entry, result) in zip(entries, results) {
            try adopt(try result.get(), of: entry.commit)
            note(entry)
        }
    }

    private mutating func planBurst() -> [UncertainCommit] {
        (0..<(1 + random.below(4))).map { _ in
            let before = expected
            let entry = UncertainCommit(before: before, commit: plan())
            uncertain.append(entry)
            return entry
        }
    }

    private mutating func adopt(_ commit: Commit, of plan: PlannedCommit) throws {
        let ids = commit.spawned.flatMap { Array($0) }
        try expect(ids.count == plan.spawned.count, "\(ids.count) ids for \(plan.spawned.count) tasks")
        expected.adopt(plan.spawned, ids: ids)
    }

    /// A synced commit makes all before it certain too (S3).
    private mutating func note(_ entry: UncertainCommit) {
        if entry.commit.durability == .synced { uncertain = [] } else { uncertain.append(entry) }
    }

    mutating func reopen() async throws {
        try await store.close()
        uncertain = []
        store = try await open()
        try expect(store.recovery.wasClean, "a store that was closed is not clean")
        try checkAfterOpening()
    }

    func open() async throws -> MemoStore {
        try await MemoStore.open(at: files.store, configuration: configuration, fileSystem: files.fileSystem)
    }

    // MARK: Crashes

    mutating func crash() async throws {
        held = []
        switch files {
        case .real: try await killProcess()
        case .simulated(let simulated): try await losePower(simulated)
        }
        uncertain = []
        try checkAfterOpening()
    }

    /// The death of the process, at rest.
    private mutating func killProcess() async throws {
        await store.settle()
        let copy = try files.copy()
        try await store.close()
        files = copy
        store = try await open()
        try findWhatIsLeft(lostPower: false)
    }

    /// A crash at any call while a batch is under way, and maybe others while the store is opened again.
    private mutating func losePower(_ simulated: SimulatedFileSystem) async throws {
        await store.settle()
        simulated.faults = .crashing(afterCall: random.below(8))
        let entries = random.coin() ? planBurst() : []
        let results = entries.isEmpty ? [] : await store.appendTogether(entries.map(\.commit))
        for (index, result) in results.enumerated() {
            uncertain[uncertain.count - entries.count + index].isAcknowledged = (try? result.get()) != nil
        }
        var lostPower = false
        func remains(of files: SimulatedFileSystem, _ random: inout SeededGenerator) -> SimulatedFileSystem {
            let policies: [CrashPolicy] = [
                .keepAll, .dropAll, .random(seed: random.next(), tearing: random.coin() ? .sectors : .bytes),
            ]
            let policy = random.pick(policies)
            lostPower = lostPower || policy != .keepAll
            return files.crash(keeping: policy)
        }
        var image = remains(of: simulated, &random)
        await Workload.abandon(store, on: simulated)
        while random.chance(1, in: 3) {
            image.faults = .crashing(afterCall: random.below(12))
            let opened = try? await MemoStore.open(at: "/store", configuration: configuration, fileSystem: image)
            let again = remains(of: image, &random)
            await Workload.abandon(opened, on: image)
            image = again
        }
        image.faults = FaultPlan()
        files = .simulated(image)
        store = try await open()
        try findWhatIsLeft(lostPower: lostPower)
    }

    /// Of the commits that were uncertain the first ones are there and the others are not; those that were promised
    /// are there.
    private mutating func findWhatIsLeft(lostPower: Bool) throws {
        let payloads = try livePayloads()
        let known = Set(payloads.values)
        let isThere = uncertain.map { known.contains($0.commit.witness) }
        let count = isThere.prefix { $0 }.count
        try expect(!isThere[count...].contains(true), "a commit is there without one before it: \(isThere)")
        let promised = uncertain.lastIndex { entry in
            entry.isAcknowledged && (!lostPower || entry.commit.durability == .synced)
        }
        try expect(count > promised ?? -1, "commit \(promised ?? -1) was promised: \(isThere)")
        let left = uncertain.prefix(count)
        if count < uncertain.count { expected = uncertain[count].before }
        // The ids of the commits that nobody was told of follow in their order those that were known.
        let ids = payloads.keys.filter { expected.live[$0] == nil }.sorted()
        let spawned = left.filter { !$0.isAdopted(in: expected) }.flatMap(\.commit.spawned)
        try expect(ids.count == spawned.count, "\(ids.count) tasks are new, \(spawned.count) were spawned")
        expected.adopt(spawned, ids: ids)
    }
}

extension UncertainCommit {
    /// Whether the ids of its tasks are known.
    fileprivate func isAdopted(in expected: ExpectedStore) -> Bool {
        expected.live.values.contains { $0.payload == commit.witness }
    }
}

extension MemoStore {
    /// Commits transactions as one batch: they are handed over while the writer thread is kept busy.
    fileprivate func appendTogether(_ commits: [PlannedCommit]) async -> [Result<Commit, StoreError>] {
        let results = MutexBox<[Int: Result<Commit, StoreError>]>([:])
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            enqueue(Transaction(), durability: .buffered) { _ in
                for (index, commit) in commits.enumerated() {
                    self.enqueue(commit.transaction, durability: commit.durability) { result in
                        results.change { $0[index] = result }
                        if results.value.count == commits.count { continuation.resume() }
                    }
                }
            }
        }
        let found = results.value
        return commits.indices.compactMap { found[$0] }
    }
}
