// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import QuernStore

extension StoreModel {
    /// Live tasks that the model aims at: more are ended than spawned above it.
    private static let liveTarget = 300
    static let slots: [UInt8] = [0, 1, 2, 200]
    /// Names that keys are made of: few, so that many are taken.
    static let names: UInt64 = 40

    static func key(_ name: UInt64) -> TaskKey { TaskKey(first: name, second: 1) }

    /// Makes a random transaction that the store must take, and changes what is expected to what it leaves, all but
    /// the ids of what it spawns.
    mutating func plan(_ durability: Durability) -> PlannedCommit {
        var plan = PlannedCommit(durability: durability)
        clock += Int64(random.below(50))
        // A witness stays until its commit is on disk, and with it what is above.
        let witnesses = Set(uncertain.compactMap(\.commit.witness))
        let candidates = expected.live.filter { !witnesses.contains($0.value.payload) }.keys.sorted()
        if !candidates.isEmpty { planEnds(of: candidates, into: &plan) }
        planSpawns(under: candidates.filter { expected.live[$0] != nil }, into: &plan)
        let rest = candidates.filter { expected.live[$0] != nil }
        if !rest.isEmpty { planNotes(on: rest, into: &plan) }
        return plan
    }

    private mutating func planEnds(of candidates: [UInt64], into plan: inout PlannedCommit) {
        let count = random.below(candidates.count > Self.liveTarget ? 60 : 20)
        for _ in 0..<count {
            let task = random.pick(candidates)
            guard let info = expected.live[task], expected.liveChildren[task, default: 0] == 0 else { continue }
            var child = ExpectedChild(
                id: task, kind: random.coin() ? .completed : random.pick(OutcomeKind.allCases), label: info.label,
                attempts: UInt32(1 + random.below(3)), startedAt: clock - Int64(random.below(1000)), endedAt: clock,
                value: memo())
            if random.chance(1, in: child.kind.isFailure ? 2 : 30) { child.attachment = memo() }
            plan.transaction.end(
                .init(
                    task: TaskID(task), parent: TaskID(info.parent), label: labels[Int(info.label) - 1],
                    kind: child.kind, attempts: child.attempts,
                    startedAt: Timestamp(milliseconds: child.startedAt), endedAt: Timestamp(milliseconds: clock)),
                attachment: child.attachment
            ) { $0.append(contentsOf: child.value) }
            expected.end(child, under: info.parent)
        }
    }

    private mutating func planSpawns(under parents: [UInt64], into plan: inout PlannedCommit) {
        let payload = nextWitness()
        spawn(under: 0, label: labels[0], payload, into: &plan)
        for _ in 0..<(1 + random.below(3)) {
            planSpawns(of: random.chance(1, in: 20) ? 100 : 1 + random.below(10), under: parents, into: &plan)
            if random.chance(1, in: 3) { planKeyed(under: parents, into: &plan) }
        }
        for task in plan.spawned { expected.liveChildren[task.parent, default: 0] += 1 }
    }

    mutating func planSpawns(of count: Int, under parents: [UInt64], into plan: inout PlannedCommit) {
        let parent = parents.isEmpty || random.chance(1, in: 4) ? 0 : random.pick(parents)
        let label = random.pick(labels)
        let attributes = random.chance(1, in: 3) ? random.bytes(1 + random.below(30)) : []
        for _ in 0..<count {
            let payload = random.bytes(random.below(60))
            spawn(under: parent, label: label, payload, attributes, into: &plan)
        }
    }

    /// A spawn with a key, which may be left out or take the place of another.
    private mutating func planKeyed(under parents: [UInt64], into plan: inout PlannedCommit) {
        let name = UInt64(random.below(Int(Self.names)))
        let holder = expected.holders[name]
        // What is to become of a task whose id is not known yet is not for this model, nor which of several spawns of
        // a transaction counts.
        if holder == 0 || !plan.names.insert(name).inserted { return }
        let policy: DuplicatePolicy =
            holder == nil ? random.pick(DuplicatePolicy.allCases) : random.pick([.skip, .ignore, .replace])
        let priority = UInt8(random.below(256))
        let task = ExpectedStore.LiveTask(
            parent: parents.isEmpty ? 0 : random.pick(parents), label: labels[0].rawValue,
            payload: random.bytes(random.below(60)), name: name, priority: priority)
        plan.transaction.spawn(
            under: TaskID(task.parent), label: labels[0], priority: priority, key: Self.key(name),
            onDuplicate: policy, at: Timestamp(milliseconds: clock)
        ) { $0.append(contentsOf: task.payload) }
        if let holder {
            if policy == .skip, priority < expected.priority(of: holder) {
                expected.details[holder, default: .init()].priority = priority
            }
            if policy != .replace { return }
            expected.live[holder]?.name = nil
            let cancel = expected.details[holder]?.cancel ?? .superseded
            expected.details[holder, default: .init()].cancel = cancel
        }
        expected.holders[name] = 0
        plan.spawned.append(task)
    }

    private func spawn(
        under parent: UInt64, label: Label, _ payload: [UInt8], _ attributes: [UInt8] = [],
        into plan: inout PlannedCommit
    ) {
        plan.transaction.spawn(
            under: TaskID(parent), label: label, attributes: attributes, at: Timestamp(milliseconds: clock)
        ) { $0.append(contentsOf: payload) }
        plan.spawned.append(.init(parent: parent, label: label.rawValue, payload: payload, attributes: attributes))
    }

    private mutating func planNotes(on tasks: [UInt64], into plan: inout PlannedCommit) {
        let task = random.pick(tasks)
        var detail = expected.details[task] ?? .init()
        switch random.below(9) {
        case 0:
            let value = random.bytes(random.below(100))
            plan.transaction.advance(TaskID(task), to: 1, value: value)
            expected.kept[task, default: [:]][0] = value
            detail = .init()
            detail.phase = 1
            detail.cancel = expected.details[task]?.cancel
            detail.priority = expected.details[task]?.priority
            detail.crashes = expected.details[task]?.crashes ?? 0
        case 1:
            detail.attempts = UInt32(1 + random.below(9))
            detail.notBefore = Timestamp(milliseconds: clock)
            plan.transaction.noteAttempt(
                TaskID(task), attempts: detail.attempts, notBefore: detail.notBefore, error: random.bytes(20))
        case 2:
            let kind: OutcomeKind = random.pick([.cancelled, .superseded, .expired, .dependencyFailed])
            detail.cancel = detail.cancel ?? kind
            plan.transaction.requestCancel(TaskID(task), as: kind)
        case 3:
            detail.crashes = UInt8(1 + random.below(9))
            plan.transaction.noteCrash(TaskID(task), count: detail.crashes)
        case 4:
            detail.priority = UInt8(random.below(256))
            plan.transaction.setPriority(TaskID(task), detail.priority ?? 0)
        case 5:
            let (slot, value) = (random.pick(Self.slots), random.bytes(random.below(100)))
            plan.transaction.keep(TaskID(task), slot: slot, value)
            expected.kept[task, default: [:]][slot] = value
        case 6:
            let name = "value/\(random.below(30))"
            let value = random.chance(1, in: 4) ? nil : random.bytes(random.below(100))
            plan.transaction.set(name, to: value)
            expected.values[name] = value
        default: return
        }
        expected.details[task] = detail
    }

    /// Bytes that no other payload has: the others are shorter than 60.
    private mutating func nextWitness() -> [UInt8] {
        witnesses += 1
        return withUnsafeBytes(of: witnesses.littleEndian) { Array($0) } + [UInt8](repeating: 0xAA, count: 56)
    }

    /// Half of the memos have a fixed layout; of the others a few are larger than a block.
    private mutating func memo() -> [UInt8] {
        if random.coin() { return (0..<24).map { UInt8($0 & 3) } }
        if random.chance(1, in: 400) { return random.bytes(70 << 10) }
        let count = random.below(300)
        return random.coin() ? random.bytes(count) : [UInt8](repeating: UInt8(count & 0xFF), count: count)
    }
}
