// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting

extension StoreModel {
    private static let heldSnapshots = 8

    /// After an opening: everything that is live, and mostly but a sample of what has ended.
    mutating func checkAfterOpening() throws {
        if random.chance(1, in: 4) { return try checkEverything() }
        try checkLive()
        for _ in 0..<min(4, expected.endedParents.count) { try checkChildren(of: random.pick(expected.endedParents)) }
    }

    /// Compares everything that the store says with the model.
    func checkEverything() throws {
        try checkLive()
        for parent in expected.endedParents { try checkChildren(of: parent) }
    }

    func livePayloads() throws -> [UInt64: [UInt8]] {
        var payloads: [UInt64: [UInt8]] = [:]
        for entry in store.liveTasks().runs {
            try store.withPayloads(of: entry.run, indexes: entry.live) { index, payload in
                payloads[entry.run.id(at: index).rawValue] = payload.withUnsafeBytes { Array($0) }
            }
        }
        return payloads
    }

    private func checkLive() throws {
        let live = store.liveTasks()
        let payloads = try livePayloads()
        try expect(
            payloads.count == expected.live.count,
            "\(payloads.count) live tasks, \(expected.live.count) are expected")
        for entry in live.runs {
            for index in 0..<Int(entry.run.count) where entry.live >> UInt64(index) & 1 == 1 {
                let id = entry.run.id(at: index)
                let task = expected.live[id.rawValue]
                try expect(task?.parent == entry.run.parent.rawValue, "task \(id) is under \(entry.run.parent)")
                try expect(task?.label == entry.run.label.rawValue, "task \(id) has label \(entry.run.label)")
                try expect(task?.payload == payloads[id.rawValue], "task \(id) has another payload")
                let detail = live.details[id] ?? .init()
                try expect(detail == expected.details[id.rawValue] ?? .init(), "task \(id) has \(detail)")
            }
        }
        for (task, value) in expected.handovers {
            try expect(try store.handover(of: TaskID(task)) == value, "task \(task) has another hand-over")
        }
        for (parent, count) in expected.liveChildren where count > 0 {
            let found = store.status(of: TaskID(parent))?.liveChildren
            try expect(found == UInt64(count), "parent \(parent) has \(found ?? 0) live children, not \(count)")
        }
    }

    private func checkChildren(of parent: UInt64) throws {
        let children = expected.ended[parent, default: []]
        let snapshot = try store.children(of: TaskID(parent))
        try expect(snapshot.counts == Self.counts(children), "parent \(parent) has the counts \(snapshot.counts)")
        if let status = store.status(of: TaskID(parent)) {
            let failure = children.first { $0.kind.isFailure }?.id ?? 0
            try expect(status.counts == snapshot.counts, "parent \(parent) has the status \(status)")
            try expect(status.firstFailure.rawValue == failure, "parent \(parent) has the status \(status)")
        }
        try expect(try Self.read(snapshot).children == children, "parent \(parent) has other children")
    }

    // MARK: Scans

    /// The views of one parent against the same views of an array.
    mutating func scan() throws {
        guard !expected.endedParents.isEmpty else { return }
        let parent = random.pick(expected.endedParents)
        let children = expected.ended[parent, default: []]
        let snapshot = try store.children(of: TaskID(parent))
        let (found, sequences) = try Self.read(snapshot)
        try expect(found == children, "parent \(parent) has other children")
        try expect(zip(sequences, sequences.dropFirst()).allSatisfy { $0 < $1 }, "the sequences are out of order")

        var view = snapshot
        var shown = children
        var name = "children of \(parent)"
        if random.coin() {
            let skipped = random.below(children.count + 1)
            view = try view.after(skipped == 0 ? 0 : sequences[skipped - 1])
            shown.removeFirst(skipped)
            name += " after \(skipped)"
        }
        if random.chance(1, in: 3) {
            view = view.failuresOnly
            shown.removeAll { !$0.kind.isFailure }
            name += ", failures"
        }
        if random.chance(1, in: 3) {
            view = view.reversed()
            shown.reverse()
            name += ", reversed"
        }
        try expect(view.counts == Self.counts(shown), "\(name): the counts are \(view.counts)")
        try expect(try Self.read(view).children == shown, "\(name): others are shown")
        let parts = view.split(into: 1 + random.below(4))
        try expect(try parts.flatMap { try Self.read($0).children } == shown, "\(name): the parts show others")
    }

    mutating func hold() throws {
        guard !expected.endedParents.isEmpty else { return }
        let parent = random.pick(expected.endedParents)
        if held.count == Self.heldSnapshots { held.remove(at: random.below(held.count)) }
        held.append(
            HeldSnapshot(
                snapshot: try store.children(of: TaskID(parent)), count: expected.ended[parent, default: []].count))
    }

    mutating func scanHeld() throws {
        guard !held.isEmpty else { return }
        let entry = random.pick(held)
        let parent = entry.snapshot.parent
        let children = expected.ended[parent.rawValue, default: []].prefix(entry.count)
        try expect(
            try Self.read(entry.snapshot).children == Array(children), "an old snapshot of \(parent) shows others")
    }

    // MARK: Reading

    private static func read(_ snapshot: ChildSnapshot) throws -> (children: [ExpectedChild], sequences: [UInt64]) {
        var cursor = snapshot.makeCursor()
        var block = ChildBlock()
        var children: [ExpectedChild] = []
        var sequences: [UInt64] = []
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                sequences.append(block.sequence(at: index))
                children.append(
                    ExpectedChild(
                        id: block.id(at: index).rawValue, kind: block.kind(at: index),
                        label: block.label(at: index).rawValue, attempts: block.attempts(at: index),
                        startedAt: block.startedAt(at: index).rawValue, endedAt: block.endedAt(at: index).rawValue,
                        value: block.withValue(at: index) { bytes in bytes.withUnsafeBytes { Array($0) } }))
            }
        }
        return (children, sequences)
    }

    private static func counts(_ children: [ExpectedChild]) -> OutcomeCounts {
        children.reduce(into: OutcomeCounts()) { $0[$1.kind] += 1 }
    }
}
