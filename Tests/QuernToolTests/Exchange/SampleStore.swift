// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// A store with some of everything that one may hold, from a seed.
struct SampleStore {
    let directory: TemporaryDirectory
    var path: FilePath { directory.path.appending("store") }

    /// - Parameter children: how many of the first task's end, before the rest.
    init(seed: UInt64, children: Int = 300) throws {
        directory = try TemporaryDirectory()
        var random = SeededGenerator(seed: seed)
        let store = try MemoStore.openBlocking(at: directory.path.appending("store"))
        var names = Transaction()
        for name in ["plain", "größer, \"so\"", "tab\tnew\n"] { names.define(name) }
        try store.appendBlocking(names)
        let label = Label(rawValue: 1)
        let parent = try Self.spawn(1, under: .none, label, store, &random)[0]
        let all = try Self.spawn(children, under: parent, label, store, &random)
        try Self.end(all, under: parent, store, &random)
        let nested = try Self.spawn(70, under: parent, Label(rawValue: 2), store, &random)
        for (index, task) in nested.enumerated() where index % 10 == 0 {
            let below = try Self.spawn(5, under: task, Label(rawValue: 3), store, &random)
            try Self.end(Array(below.dropLast(index % 20 == 0 ? 0 : 2)), under: task, store, &random)
        }
        try Self.note(nested, store, &random)
        try Self.end(
            Array(nested.filter { store.status(of: $0)?.liveChildren ?? 0 == 0 }.prefix(40)), under: parent, store,
            &random)
        try store.closeBlocking()
    }

    private static func bytes(_ random: inout SeededGenerator) -> [UInt8] {
        random.chance(1, in: 50) ? random.bytes(3000) : random.bytes(random.below(40))
    }

    private static func spawn(
        _ count: Int, under parent: TaskID, _ label: Label, _ store: MemoStore, _ random: inout SeededGenerator
    ) throws -> [TaskID] {
        var transaction = Transaction()
        for index in 0..<count {
            let payload = bytes(&random)
            transaction.spawn(
                under: parent, label: label, priority: UInt8(random.below(3)),
                attributes: random.chance(1, in: 40) ? [1, 2, 3] : [],
                key: random.chance(1, in: 9) ? TaskKey(first: UInt64(index) + 1, second: parent.rawValue + 1) : nil,
                at: Timestamp(milliseconds: 1_700_000_000_000 - Int64(index))
            ) { $0.append(contentsOf: payload) }
        }
        return try store.appendBlocking(transaction).spawned.joined().map { TaskID($0) }.sorted()
    }

    private static func end(
        _ tasks: [TaskID], under parent: TaskID, _ store: MemoStore, _ random: inout SeededGenerator
    ) throws {
        var transaction = Transaction()
        for task in tasks {
            let kind = random.chance(1, in: 5) ? random.pick(OutcomeKind.allCases) : .completed
            let value = bytes(&random)
            transaction.end(
                .init(
                    task: task, parent: parent, label: Label(rawValue: UInt32(1 + random.below(3))), kind: kind,
                    attempts: UInt32(random.below(4)),
                    startedAt: Timestamp(milliseconds: Int64(random.below(1000)) - 500),
                    endedAt: Timestamp(milliseconds: 1_700_000_000_000)),
                attachment: random.chance(1, in: 6) ? bytes(&random) : []
            ) { $0.append(contentsOf: value) }
        }
        try store.appendBlocking(transaction)
    }

    private static func note(
        _ tasks: [TaskID], _ store: MemoStore, _ random: inout SeededGenerator
    ) throws {
        var transaction = Transaction()
        transaction.advance(tasks[1], to: 2, value: bytes(&random))
        transaction.noteAttempt(tasks[2], attempts: 3, notBefore: Timestamp(milliseconds: -5), error: [7])
        transaction.requestCancel(tasks[3], as: .superseded)
        transaction.noteCrash(tasks[4], count: 2)
        transaction.setPriority(tasks[5], 9)
        transaction.keep(tasks[6], slot: 0, bytes(&random))
        transaction.keep(tasks[6], slot: 255, [])
        transaction.set("ä/\u{1F600}\u{0}\"\\", to: bytes(&random))
        transaction.set("none", to: [])
        try store.appendBlocking(transaction)
    }
}
