// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// The scheduler that one writes in a day on SQLite, with one of its layouts: a table of pending tasks, a poll for a
/// thousand of them, and one synced transaction that moves them to where ended ones are when they have run.
///
/// It is spared what such schedulers mostly do beside: no wait between polls, no transaction that claims what was
/// polled, no query builder in front of SQLite, and its handler is a function that is called, not a task.
struct NaiveScheduler {
    static let pollSize = 1000

    private let connection: SQLiteConnection
    private let layout: SQLiteLayout

    init(_ file: FilePath, _ layout: SQLiteLayout) throws {
        self.layout = layout
        connection = try SQLiteConnection(file, pragmas: SQLiteEngine.pragmas(layout, synced: true))
        for sql in layout.schema { try connection.run(sql) }
    }

    /// What a run took, and what it found.
    struct Run {
        var duration = Duration.zero
        var finalizing = Duration.zero
        var sum: UInt64 = 0
    }

    /// Spawns children of one parent in one transaction, runs them all, and adds up their memos.
    func run(children: Int) throws -> Run {
        var run = Run()
        run.duration = try timed {
            let parent: Int64 = 1
            try transaction { try spawn(children, under: parent) }
            var sequence: Int64 = 0
            while case let polled = try poll(), !polled.isEmpty {
                let memos = polled.map { Self.execute($0.payload) }
                try transaction {
                    try complete(polled.map(\.id), memos, after: sequence, under: parent)
                    sequence += Int64(polled.count)
                }
            }
            run.finalizing = try timed { run.sum = try finalize(parent) }
        }
        return run
    }

    private func transaction(_ body: () throws -> Void) throws {
        try connection.statement("BEGIN IMMEDIATE").run()
        try body()
        try connection.statement("COMMIT").run()
    }

    private func spawn(_ children: Int, under parent: Int64) throws {
        let making = try connection.statement(layout.makeParent)
        making.bind(1, parent)
        try making.run()
        let inserting = try connection.statement(layout.insert)
        inserting.bind(2, parent)
        inserting.bind(4, ChildSet.start)
        for number in 0..<children {
            inserting.bind(1, parent + 1 + Int64(number))
            try Array("{\"number\":\(number)}".utf8).withUnsafeBytes { payload in
                inserting.bind(3, blob: payload)
                try inserting.run()
            }
        }
    }

    private func poll() throws -> [(id: Int64, payload: [UInt8])] {
        let statement = try connection.statement(layout.poll)
        statement.bind(1, Int64(Self.pollSize))
        var tasks: [(id: Int64, payload: [UInt8])] = []
        try statement.forEachRow { tasks.append((statement.integer(0), Array(statement.bytes(1)))) }
        return tasks
    }

    /// As the no-op handler of the others: discovered, skipped, deleted.
    private static func execute(_ payload: [UInt8]) -> [UInt64] {
        let number = payload.reduce(0) { (48...57).contains($1) ? $0 * 10 + UInt64($1 - 48) : $0 }
        return [1, number % 50, 0]
    }

    /// What was polled has succeeding ids: children are spawned by one transaction, and taken in their order.
    private func complete(_ ids: [Int64], _ memos: [[UInt64]], after sequence: Int64, under parent: Int64) throws {
        let steps = try layout.complete.map { sql in
            let statement = try connection.statement(sql)
            return (statement: statement, parameters: statement.parameters)
        }
        for (index, (id, memo)) in zip(ids, memos).enumerated() {
            try memo.withUnsafeBytes { memo in
                for (statement, parameters) in steps {
                    statement.bind(1, id)
                    if parameters >= 3 { statement.bind(3, parent) }
                    if parameters >= 8 {
                        statement.bind(2, sequence + Int64(index) + 1)
                        statement.bind(4, 0)
                        statement.bind(5, ChildSet.start)
                        statement.bind(6, ChildSet.start)
                        statement.bind(7, blob: memo)
                    }
                    try statement.run()
                }
            }
        }
        guard let first = ids.first else { return }
        for sql in layout.afterComplete {
            let statement = try connection.statement(sql)
            try statement.run(parent: UInt64(parent), ids: UInt64(first)..<UInt64(first) + UInt64(ids.count))
        }
    }

    private func finalize(_ parent: Int64) throws -> UInt64 {
        let statement = try connection.statement(layout.scan)
        statement.bind(1, parent)
        var sum: UInt64 = 0
        try statement.forEachRow { sum &+= statement.bytes(1).loadUnaligned(as: UInt64.self) }
        return sum
    }
}
