// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting

/// Trees that are dropped, and the space that they took.
extension StoreModel {
    /// Ended roots that are surely ended: a crash leaves them without, once their drop is there.
    private var surelyEnded: [ExpectedChild] {
        guard let before = uncertain.first?.before else { return expected.endedRoots }
        let shown = Set(expected.endedRoots.map(\.id))
        return before.endedRoots.filter { shown.contains($0.id) }
    }

    mutating func drop() async throws {
        if random.chance(1, in: 10) { return try await dropInVain() }
        let durability: Durability = random.chance(1, in: 3) ? .buffered : .synced
        // What may be undone must not hide whether what it rests on was.
        let roots = durability == .synced ? expected.endedRoots : surelyEnded
        guard !roots.isEmpty else { return }
        let root = random.pick(roots).id
        let entry = planDrop(of: root, durability)
        let sequence = random.coin() ? try commitPosition(ofRoot: root) : nil
        try await store.dropTree(TaskID(root), endedAt: sequence, durability: durability)
        note(entry)
    }

    /// Notes a drop as done already, with what it is without it.
    private mutating func planDrop(of root: UInt64, _ durability: Durability) -> UncertainCommit {
        let commit = PlannedCommit(durability: durability, dropped: root)
        let entry = UncertainCommit(before: expected, commit: commit, isAcknowledged: true)
        expected.drop(root)
        return entry
    }

    private func commitPosition(ofRoot root: UInt64) throws -> UInt64? {
        let (children, sequences) = try Self.read(try store.children(of: .none))
        return children.firstIndex { $0.id == root }.map { sequences[$0] }
    }

    /// What is live, is no root task, or is dropped already.
    private mutating func dropInVain() async throws {
        let live = expected.live.keys.sorted()
        let others = expected.ended.filter { $0.key != 0 }.values.flatMap { $0 }.map(\.id).sorted()
        let choices = [live, others, expected.dropped].filter { !$0.isEmpty }
        guard !choices.isEmpty else { return }
        let task = random.pick(random.pick(choices))
        var failure: StoreError?
        do throws(StoreError) { try await store.dropTree(TaskID(task)) } catch { failure = error }
        let isRight = failure.map { $0.code == .rejected } ?? expected.dropped.contains(task)
        try expect(isRight, "a drop of \(task) in vain: \(failure.map(\.description) ?? "taken")")
    }

    /// A drop while the machine stops.
    mutating func dropInDoubt() async {
        let roots = surelyEnded
        guard !roots.isEmpty else { return }
        let root = random.pick(roots).id
        var entry = planDrop(of: root, .synced)
        do {
            try await store.dropTree(TaskID(root), durability: .synced)
        } catch { entry.isAcknowledged = false }
        uncertain.append(entry)
    }

    mutating func retain() async throws {
        let roots = expected.endedRoots
        var policy = RetentionPolicy()
        let kind = random.below(3)
        switch kind {
        case 0: policy.count = max(0, roots.count - random.below(12))
        case 1: policy.bytes = random.below(200 << 10)
        default: policy.age = .milliseconds(random.below(20_000))
        }
        let report = try await store.applyRetention(policy, now: Timestamp(milliseconds: clock))
        let victims: [ExpectedChild]
        switch kind {
        case 0: victims = Array(roots.prefix(max(0, roots.count - (policy.count ?? 0))))
        case 1: victims = Array(roots.prefix(report.trees))
        default:
            let age = policy.age.map {
                $0.components.seconds * 1000 + $0.components.attoseconds / 1_000_000_000_000_000
            }
            victims = roots.filter { $0.endedAt < clock - (age ?? 0) }
        }
        try expect(report.trees == victims.count, "\(report.trees) trees were dropped, not \(victims.count)")
        let children = victims.reduce(0) { $0 + expected.treeSize($1.id) }
        try expect(report.children == UInt64(children), "\(report.children) tasks were dropped, not \(children)")
        for victim in victims { expected.drop(victim.id) }
        if !victims.isEmpty { uncertain = [] }
        let again = try await store.applyRetention(policy, now: Timestamp(milliseconds: clock))
        try expect(again.trees == 0, "\(again.trees) more trees were dropped for the same policy")
    }

    mutating func compact() async throws {
        try await store.compact()
        let sizes = try store.sizes()
        try expect(sizes.droppedTrees == 0, "\(sizes.droppedTrees) trees are not reclaimed")
        let failure = sizes.housekeepingFailure
        try expect(failure == nil, "housekeeping failed: \(failure.map(\.description) ?? "")")
    }
}
