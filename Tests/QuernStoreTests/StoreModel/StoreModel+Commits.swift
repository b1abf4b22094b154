// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

extension StoreModel {
    mutating func commit() async throws {
        // Only a commit that may be undone needs a copy of what was before.
        guard random.chance(1, in: 4) else {
            let plan = plan(.synced)
            try adopt(try await store.append(plan.transaction, durability: .synced), of: plan)
            uncertain = []
            return
        }
        let before = expected
        var entry = UncertainCommit(before: before, commit: plan(.buffered))
        let commit = try await store.append(entry.commit.transaction, durability: .buffered)
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
            let entry = UncertainCommit(before: before, commit: plan(random.chance(1, in: 4) ? .buffered : .synced))
            uncertain.append(entry)
            return entry
        }
    }

    private mutating func adopt(_ commit: Commit, of plan: PlannedCommit) throws {
        let ids = commit.spawned.flatMap { Array($0) }
        try expect(ids.count == plan.spawned.count, "\(ids.count) ids for \(plan.spawned.count) tasks")
        expected.adopt(plan.spawned, ids: ids)
    }

    /// A transaction with spawns that were staged before it; or they are dropped.
    mutating func stage() async throws {
        var plan = plan(.synced)
        let (stage, staged) = try await stageSpawns()
        let isCommitted = random.chance(3, in: 4)
        if isCommitted { plan.transaction.commit(stage) } else { stage.cancel() }
        let commit = try await store.append(plan.transaction, durability: plan.durability)
        try adopt(commit, of: plan)
        let ids = commit.staged.flatMap { Array($0) }
        try expect(ids.count == (isCommitted ? staged.count : 0), "\(ids.count) ids for \(staged.count) staged tasks")
        for (task, _) in zip(staged, ids) { expected.liveChildren[task.parent, default: 0] += 1 }
        expected.adopt(staged, ids: ids)
        uncertain = []
    }

    private mutating func stageSpawns() async throws -> (SpawnStage, [ExpectedStore.LiveTask]) {
        let stage = store.makeStage()
        var staged: [ExpectedStore.LiveTask] = []
        for _ in 0..<(1 + random.below(3)) {
            var part = PlannedCommit()
            planSpawns(of: 1 + random.below(100), under: [0] + expected.live.keys.sorted(), into: &part)
            try await stage.append(spawns: part.transaction)
            staged += part.spawned
        }
        return (stage, staged)
    }

    /// A synced commit makes all before it certain too (S3).
    mutating func note(_ entry: UncertainCommit) {
        if entry.commit.durability == .synced { uncertain = [] } else { uncertain.append(entry) }
    }

    mutating func reopen() async throws {
        try await store.close()
        uncertain = []
        store = try await open()
        try expect(store.recovery.wasClean, "a store that was closed is not clean")
        try check(store)
    }

    func open() async throws -> MemoStore {
        try await MemoStore.open(at: files.store, configuration: configuration, fileSystem: files.fileSystem)
    }

    // MARK: Crashes

    mutating func crash() async throws {
        held = []
        reader = nil
        // What was staged and never committed is gone afterwards. Held on to, since a release drops it in order.
        let stage = random.chance(1, in: 3) ? try await stageSpawns().0 : nil
        defer { withExtendedLifetime(stage) {} }
        switch files {
        case .real: try await killProcess()
        case .simulated(let simulated): try await losePower(simulated)
        }
        uncertain = []
        try check(store)
    }

    /// The death of the process, at rest.
    private mutating func killProcess() async throws {
        await store.rest()
        let copy = try files.copy()
        try await store.close()
        files = copy
        store = try await open()
        try findWhatIsLeft(lostPower: false)
    }

    /// A crash at any call while a batch is under way, and maybe others while the store is opened again.
    private mutating func losePower(_ simulated: SimulatedFileSystem) async throws {
        await store.settle()
        switch random.below(5) {
        case 0...1:
            simulated.faults = .crashing(afterCall: random.below(8))
            let entries = planBurst()
            for (index, result) in (await store.appendTogether(entries.map(\.commit))).enumerated() {
                uncertain[uncertain.count - entries.count + index].isAcknowledged = (try? result.get()) != nil
            }
        case 2:
            simulated.faults = .crashing(afterCall: random.below(3))
            await dropInDoubt()
        case 3:
            simulated.faults = .crashing(afterCall: random.below(60))
            _ = try? await store.compact()
        default: simulated.faults = .crashing(afterCall: random.below(8))
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
        let found = try store.foundLive()
        let known = Set(found.values.map(\.payload))
        let shown = Set(try Self.read(try store.children(of: .none)).children.map(\.id))
        let isThere = uncertain.map { $0.isThere(payloads: known, roots: shown) }
        let count = isThere.prefix { $0 }.count
        try expect(!isThere[count...].contains(true), "a commit is there without one before it: \(isThere)")
        let promised = uncertain.lastIndex { entry in
            entry.isAcknowledged && (!lostPower || entry.commit.durability == .synced)
        }
        try expect(count > promised ?? -1, "commit \(promised ?? -1) was promised: \(isThere)")
        let left = uncertain.prefix(count)
        if count < uncertain.count { expected = uncertain[count].before }
        // Nobody was told the ids of the commits that were under way, and a batch gives them out as it likes: what
        // stands under the new ones must be what was spawned.
        let new = found.filter { expected.live[$0.key] == nil }
        let spawned = left.filter { !$0.isAdopted(in: expected) }.flatMap(\.commit.spawned)
        let isSame = Self.histogram(new.values) == Self.histogram(spawned)
        try expect(isSame, "\(new.count) tasks are new and not the \(spawned.count) that were spawned")
        expected.adopt(Array(new.values), ids: new.keys)
    }

    private static func histogram(_ tasks: some Sequence<ExpectedStore.LiveTask>) -> [ExpectedStore.LiveTask: Int] {
        tasks.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }
}

extension UncertainCommit {
    /// Whether the ids of its tasks are known.
    fileprivate func isAdopted(in expected: ExpectedStore) -> Bool {
        expected.live.values.contains { $0.payload == commit.witness }
    }

    /// Whether a store with these live tasks and these ended root tasks has it.
    fileprivate func isThere(payloads: Set<[UInt8]>, roots: Set<UInt64>) -> Bool {
        if let root = commit.dropped { return !roots.contains(root) }
        return commit.witness.map(payloads.contains) ?? false
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
