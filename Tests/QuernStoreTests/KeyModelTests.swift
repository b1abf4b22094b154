// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Random transactions with few keys, several a batch, against a dictionary (T11).
@Suite struct KeyModelTests {
    /// What was spawned: by a number that its payload has, since ids are known late.
    struct Model {
        var holders: [Int: UInt32] = [:]
        var live: [UInt32: Int?] = [:]
        var superseded: Set<UInt32> = []
        /// Of live tasks, what they have instead of what they were spawned with.
        var priorities: [UInt32: UInt8] = [:]
        /// Of all tasks so far, as many as wanted it: what the spawns of the last transaction got.
        var fates: [UInt32: String] = [:]
    }

    struct Spawn {
        var number: UInt32
        var name: Int?
        var policy: DuplicatePolicy
        var priority: UInt8
    }

    struct Plan {
        var spawns: [Spawn] = []
        var staged: [Spawn] = []
        var ends: [UInt32] = []
        var notes: [(number: UInt32, priority: UInt8)] = []
    }

    static func transaction(_ spawns: [Spawn]) -> Transaction {
        var transaction = Transaction()
        for spawn in spawns {
            transaction.spawn(
                under: .none, label: Label(rawValue: 1), priority: spawn.priority,
                key: spawn.name.map(KeyTests.key), onDuplicate: spawn.policy, at: Timestamp(milliseconds: 1)
            ) { $0.append(littleEndian: spawn.number) }
        }
        return transaction
    }

    /// Applies a plan; false when it is to be refused.
    static func apply(_ plan: Plan, to model: inout Model) -> Bool {
        let before = model
        for number in plan.ends {
            if let name = model.live.removeValue(forKey: number) ?? nil, model.holders[name] == number {
                model.holders[name] = nil
            }
            model.superseded.remove(number)
            model.priorities[number] = nil
        }
        let all = plan.staged + plan.spawns
        for (index, spawn) in all.enumerated() {
            model.fates[spawn.number] = "duplicate"
            guard let name = spawn.name else {
                model.live.updateValue(nil, forKey: spawn.number)
                model.priorities[spawn.number] = spawn.priority
                model.fates[spawn.number] = "inserted"
                continue
            }
            if all[(index + 1)...].contains(where: { $0.name == name }) { continue }
            model.fates[spawn.number] = "inserted"
            if let holder = model.holders[name] {
                switch spawn.policy {
                case .skip:
                    let isBetter = spawn.priority < model.priorities[holder]!
                    if isBetter { model.priorities[holder] = spawn.priority }
                    model.fates[spawn.number] = isBetter ? "upgraded" : "duplicate"
                    continue
                case .ignore:
                    model.fates[spawn.number] = "duplicate"
                    continue
                case .reject:
                    model = before
                    return false
                case .replace:
                    model.superseded.insert(holder)
                    model.fates[spawn.number] = "replaced"
                }
            }
            model.priorities[spawn.number] = spawn.priority
            model.holders[name] = spawn.number
            model.live.updateValue(name, forKey: spawn.number)
        }
        for note in plan.notes { model.priorities[note.number] = note.priority }
        return true
    }

    static func fate(_ disposition: SpawnDisposition) -> String {
        switch disposition {
        case .inserted: "inserted"
        case .duplicate: "duplicate"
        case .upgraded: "upgraded"
        case .replaced: "replaced"
        }
    }

    static func check(_ store: MemoStore, _ model: Model, _ place: String) throws -> [UInt32: TaskID] {
        var found: [UInt32: TaskID] = [:]
        let tasks = store.liveTasks()
        for entry in tasks.runs {
            try store.withPayloads(of: entry.run, indexes: entry.live) { index, payload in
                let number = payload.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) }
                let id = entry.run.id(at: index)
                found[number] = id
                let priority = tasks.details[id]?.priority ?? entry.run.priority
                #expect(priority == model.priorities[number], "\(place): the priority of \(id)")
            }
        }
        #expect(Set(found.keys) == Set(model.live.keys), "\(place): other tasks are live")
        for name in 0..<12 {
            let holder = store.task(forKey: KeyTests.key(name))
            #expect(holder == model.holders[name].flatMap { found[$0] }, "\(place): key \(name)")
        }
        let superseded = Set(tasks.details.filter { $0.value.cancel == .superseded }.keys)
        #expect(superseded == Set(model.superseded.compactMap { found[$0] }), "\(place): others are superseded")
        #expect(store.status(of: .none)?.liveChildren == UInt64(model.live.count), "\(place): count of root tasks")
        return found
    }

    @Test("A store decides on keys as a dictionary does, through crashes and checkpoints", arguments: 1...24)
    func model(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.checkpointBytes = random.pick([2, 8, 64]) << 10
        configuration.logSegmentBytes = random.pick([2, 64]) << 10
        configuration.startThread = { $0() }
        var store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        var model = Model()
        var next: UInt32 = 0
        func spawns(_ count: Int) -> [Spawn] {
            (0..<count).map { _ in
                next += 1
                let name = random.chance(1, in: 4) ? nil : random.below(12)
                let policy = random.pick([DuplicatePolicy.skip, .skip, .ignore, .replace, .replace, .reject])
                return Spawn(number: next, name: name, policy: policy, priority: UInt8(random.below(9)))
            }
        }
        for round in 0..<40 {
            let found = try Self.check(store, model, "seed \(seed), round \(round)")
            var ended: Set<UInt32> = []
            var plans: [Plan] = []
            var transactions: [Transaction] = []
            for _ in 0..<(1 + random.below(4)) {
                var plan = Plan(spawns: spawns(random.below(4)))
                for number in found.keys.sorted() where random.chance(1, in: 4) && ended.insert(number).inserted {
                    plan.ends.append(number)
                }
                var transaction = Self.transaction(plan.spawns)
                for number in plan.ends { transaction.end(.init(found[number]!.rawValue, under: 0)) }
                for number in found.keys.sorted() where random.chance(1, in: 8) && !ended.contains(number) {
                    plan.notes.append((number, UInt8(random.below(9))))
                    transaction.setPriority(found[number]!, plan.notes.last!.priority)
                }
                if random.chance(1, in: 3) {
                    plan.staged = spawns(1 + random.below(5))
                    let stage = store.makeStage()
                    // A stage's positions go by group: one of its appends is one group here.
                    for spawn in plan.staged { try await stage.append(spawns: Self.transaction([spawn])) }
                    transaction.commit(stage, tellingEach: true)
                }
                plans.append(plan)
                transactions.append(transaction)
            }
            let results = await store.appendTogether(transactions)
            for (plan, result) in zip(plans, results) {
                let isTaken = Self.apply(plan, to: &model)
                #expect(result.code == (isTaken ? nil : .duplicateKey), "seed \(seed), round \(round)")
                if !isTaken { ended.subtract(plan.ends) }
                guard case .success(let commit) = result else { continue }
                for (index, spawn) in plan.spawns.enumerated() {
                    let fate = Self.fate(commit.disposition(of: index))
                    #expect(fate == model.fates[spawn.number], "seed \(seed), round \(round), \(spawn)")
                }
                for (position, spawn) in plan.staged.enumerated() {
                    let fate = Self.fate(commit.disposition(ofStaged: UInt64(position)))
                    #expect(fate == model.fates[spawn.number], "seed \(seed), round \(round), \(spawn)")
                }
                let fates = (plan.staged + plan.spawns).map { model.fates[$0.number] }
                func count(_ fate: String) -> UInt64 { UInt64(fates.count { $0 == fate }) }
                var counts = SpawnCounts()
                counts.inserted = count("inserted")
                counts.duplicates = count("duplicate")
                counts.upgraded = count("upgraded")
                counts.replaced = count("replaced")
                #expect(commit.counts == counts, "seed \(seed), round \(round)")
                #expect(UInt64(commit.absent.count) <= counts.duplicates + counts.upgraded)
            }
            guard random.chance(1, in: 4) else { continue }
            if random.coin() {
                try await store.close()
            } else {
                let remains = files.crash(keeping: .dropAll)
                await Workload.abandon(store, on: files)
                files = remains
            }
            store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        }
        _ = try Self.check(store, model, "seed \(seed), at the end")
        try await store.close()
    }
}
