// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB
import SystemPackage

/// The scheduler that one writes in a day in Swift: a record, a table with an index, a poll for a thousand that are
/// pending, and a transaction that says what became of them. GRDB as its guide has it: prepared statements are cached,
/// records are `Codable`, and writes of one kind are in one transaction.
///
/// A write-ahead log, each transaction synced; otherwise the defaults.
struct GRDBScheduler {
    private let database: DatabasePool

    private struct Job: Codable, FetchableRecord, PersistableRecord {
        static let databaseTableName = "job"
        var id: Int64
        var parent: Int64
        var isPending: Bool
        var payload: Data
        var memo: Data?
    }

    private struct Payload: Codable { var number: Int }

    init(_ file: FilePath) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        database = try DatabasePool(path: file.string, configuration: configuration)
        try database.write { database in
            try database.create(table: Job.databaseTableName) { table in
                table.primaryKey("id", .integer)
                table.column("parent", .integer).notNull()
                table.column("isPending", .boolean).notNull()
                table.column("payload", .blob).notNull()
                table.column("memo", .blob)
            }
            try database.create(index: "pending", on: Job.databaseTableName, columns: ["isPending", "id"])
            try database.create(index: "children", on: Job.databaseTableName, columns: ["parent", "id"])
        }
    }

    /// Spawns children of one parent in one transaction, runs them all, and adds up their memos.
    func run(children: Int) throws -> NaiveScheduler.Run {
        var run = NaiveScheduler.Run()
        let encoder = JSONEncoder()
        let decoder = JSONDecoder()
        run.duration = try timed {
            try database.write { database in
                for number in 0..<children {
                    let payload = try encoder.encode(Payload(number: number))
                    try Job(id: Int64(number + 2), parent: 1, isPending: true, payload: payload).insert(database)
                }
            }
            while true {
                let polled = try database.read { database in
                    try Job.filter(Column("isPending") == true).order(Column("id")).limit(NaiveScheduler.pollSize)
                        .fetchAll(database)
                }
                if polled.isEmpty { break }
                let ended = try polled.map { job in
                    var job = job
                    let number = try decoder.decode(Payload.self, from: job.payload).number
                    job.memo = [1, UInt64(number % 50), 0].withUnsafeBytes { Data($0) }
                    job.isPending = false
                    return job
                }
                try database.write { database in
                    for job in ended { try job.update(database, columns: ["isPending", "memo"]) }
                }
            }
            run.finalizing = try timed {
                run.sum = try database.read { database in
                    let memos = try Data.fetchCursor(
                        database, Job.select(Column("memo")).filter(Column("parent") == 1).order(Column("id")))
                    var sum: UInt64 = 0
                    while let memo = try memos.next() {
                        sum &+= memo.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
                    }
                    return sum
                }
            }
        }
        return run
    }
}
