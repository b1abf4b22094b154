// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// The scheduler that one writes in a day on SQLite: a table of tasks, an index, a poll for a thousand that are
/// pending, and one synced transaction that moves them to the history when they have run.
///
/// It is spared what such schedulers mostly do beside: no wait between polls, no transaction that claims what was
/// polled, no query builder in front of SQLite, and its handler is a function that is called, not a task.
struct NaiveScheduler {
    static let pollSize = 1000

    private let connection: SQLiteConnection
    private let layout = SQLiteLayout.tasks

    init(_ file: FilePath) throws {
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
            var isDone = children == 0
            while !isDone {
                let polled = try poll()
                let memos = polled.map { Self.execute($0.payload) }
                try transaction {
                    for (task, memo) in zip(polled, memos) {
                        sequence += 1
                        isDone = try !complete(task.id, memo, sequence: sequence, parent: parent)
                    }
                }
            }
            run.finalizing = try timed { run.sum = try finalize(parent) }
        }
        return run
    }

    private func transaction(_ body: () throws -> Void) throws {
        try connection.run("BEGIN IMMEDIATE")
        try body()
        try connection.run("COMMIT")
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
        let statement = try connection.statement(
            """
            SELECT id, payload FROM tasks WHERE status = 'pending' ORDER BY priority, id LIMIT \(Self.pollSize)
            """)
        var tasks: [(id: Int64, payload: [UInt8])] = []
        try statement.forEachRow { tasks.append((statement.integer(0), Array(statement.bytes(1)))) }
        return tasks
    }

    /// As the no-op handler of the others: discovered, skipped, deleted.
    private static func execute(_ payload: [UInt8]) -> [UInt64] {
        let number = payload.reduce(0) { (48...57).contains($1) ? $0 * 10 + UInt64($1 - 48) : $0 }
        return [1, number % 50, 0]
    }

    /// - Returns: whether the parent has children left.
    private func complete(_ id: Int64, _ memo: [UInt64], sequence: Int64, parent: Int64) throws -> Bool {
        var isLeft = true
        try memo.withUnsafeBytes { memo in
            for sql in layout.complete {
                let statement = try connection.statement(sql)
                statement.bind(1, id)
                if statement.parameters >= 3 { statement.bind(3, parent) }
                if statement.parameters >= 8 {
                    statement.bind(2, sequence)
                    statement.bind(4, 0)
                    statement.bind(5, ChildSet.start)
                    statement.bind(6, ChildSet.start)
                    statement.bind(7, blob: memo)
                }
                try statement.forEachRow { isLeft = statement.integer(0) != 0 }
            }
        }
        return isLeft
    }

    private func finalize(_ parent: Int64) throws -> UInt64 {
        let statement = try connection.statement(layout.scan)
        statement.bind(1, parent)
        var sum: UInt64 = 0
        try statement.forEachRow { sum &+= statement.bytes(1).loadUnaligned(as: UInt64.self) }
        return sum
    }
}
