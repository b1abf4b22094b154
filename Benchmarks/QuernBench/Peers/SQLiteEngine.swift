// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// SQLite with one of its layouts.
///
/// What all of them have, as its own documentation advises for many small commits and long reads:
/// a write-ahead log, so that a commit is one sequential write and one sync, and readers do not wait for the writer;
/// checkpoints every 16 MiB of log or so, not every 4, which write a page that changed often but once;
/// a page cache of 256 MiB and the file mapped, so that a warm scan makes no system calls.
final class SQLiteEngine: GatheringEngine {
    private struct Writer {
        var connection: SQLiteConnection
        var nextID: UInt64
        var nextSequence: UInt64
    }

    private let layout: SQLiteLayout
    /// Nil when closed. One connection writes, as SQLite lets one transaction at a time write; callers wait for the
    /// lock rather than poll for SQLite's.
    private let writer: Mutex<Writer?>
    /// Reads beside it.
    private let reader: Mutex<SQLiteConnection?>

    init(_ directory: FilePath, _ layout: SQLiteLayout, synced: Bool) throws {
        self.layout = layout
        let file = directory.appending("tasks.sqlite")
        let pragmas = Self.pragmas(layout, synced: synced)
        let connection = try SQLiteConnection(file, pragmas: pragmas)
        for sql in layout.schema { try connection.run(sql) }
        var (sequence, id): (UInt64, UInt64) = (0, 0)
        let counters = try connection.statement(layout.counters)
        try counters.forEachRow {
            sequence = UInt64(counters.integer(0))
            id = UInt64(counters.integer(1))
        }
        writer = Mutex(Writer(connection: connection, nextID: id + 1, nextSequence: sequence + 1))
        reader = Mutex(try SQLiteConnection(file, pragmas: pragmas))
    }

    static func pragmas(_ layout: SQLiteLayout, synced: Bool) -> [String] {
        [
            "page_size=\(layout.pageSize)", "journal_mode=WAL",
            // FULL syncs the log at each commit, NORMAL only before a checkpoint: what survives the process, and not
            // always the loss of power.
            "synchronous=\(synced ? "FULL" : "NORMAL")",
            "wal_autocheckpoint=\((16 << 20) / layout.pageSize)", "cache_size=-262144", "mmap_size=2147418112",
            "temp_store=MEMORY",
        ]
    }

    private func write<Value>(_ body: (inout Writer) throws -> sending Value) throws -> Value {
        try writer.withLock { writer in
            guard var open = writer else { throw EngineFailure(layout.name, "write", "closed") }
            try open.connection.statement("BEGIN IMMEDIATE").run()
            do {
                let value = try body(&open)
                try open.connection.statement("COMMIT").run()
                writer = open
                return value
            } catch {
                try? open.connection.run("ROLLBACK")
                throw error
            }
        }
    }

    private func read<Value>(_ body: (SQLiteConnection) throws -> sending Value) throws -> Value {
        try reader.withLock { reader in
            guard let reader else { throw EngineFailure(layout.name, "read", "closed") }
            return try body(reader)
        }
    }

    func makeParents(_ count: Int) throws -> UInt64 {
        try write { writer in
            let first = writer.nextID
            let statement = try writer.connection.statement(layout.makeParent)
            for index in 0..<UInt64(count) {
                statement.bind(1, Int64(first + index))
                try statement.run()
            }
            writer.nextID += UInt64(count)
            return first
        }
    }

    func insert(_ children: ChildSet, _ rows: Range<Int>, under parents: UInt64) throws -> UInt64 {
        try write { writer in
            let first = writer.nextID
            let statement = try writer.connection.statement(layout.insert)
            let after = try layout.afterInsert.map { try writer.connection.statement($0) }
            statement.bind(4, ChildSet.start)
            try children.forEachRun(rows) { parent, rows in
                let start = writer.nextID
                statement.bind(2, Int64(parents + parent))
                try children.forEach(rows) { _, row in
                    statement.bind(1, Int64(writer.nextID))
                    statement.bind(3, blob: row.payload)
                    try statement.run()
                    writer.nextID += 1
                }
                if let after { try after.run(parent: parents + parent, ids: start..<writer.nextID) }
            }
            return first
        }
    }

    func complete(_ children: ChildSet, _ rows: Range<Int>, first: UInt64, under parents: UInt64) throws {
        try complete(children, [rows], first: first, under: parents)
    }

    func complete(_ children: ChildSet, _ stretches: [Range<Int>], first: UInt64, under parents: UInt64) throws {
        try write { writer in
            let steps = try layout.complete.map { sql in
                let statement = try writer.connection.statement(sql)
                return (statement: statement, parameters: statement.parameters)
            }
            let after = try layout.afterComplete.map { try writer.connection.statement($0) }
            for rows in stretches {
                try children.forEachRun(rows) { parent, rows in
                    try children.forEach(rows) { index, row in
                        let id = Int64(first + UInt64(index))
                        for (statement, parameters) in steps {
                            statement.bind(1, id)
                            if parameters >= 3 { statement.bind(3, Int64(parents + parent)) }
                            if parameters >= 8 {
                                statement.bind(2, Int64(writer.nextSequence))
                                statement.bind(4, row.failed ? 1 : 0)
                                statement.bind(5, row.startedAt)
                                statement.bind(6, row.endedAt)
                                let none = UnsafeRawBufferPointer(start: nil, count: 0)
                                statement.bind(7, blob: row.failed ? none : row.value)
                                statement.bind(8, text: row.failed ? row.value : none)
                            }
                            try statement.run()
                        }
                        writer.nextSequence += 1
                    }
                    let ids = first + UInt64(rows.lowerBound)..<first + UInt64(rows.upperBound)
                    for statement in after { try statement.run(parent: parents + parent, ids: ids) }
                }
            }
        }
    }

    func scan(_ parent: UInt64, _ part: ScanPart) throws -> ScanTotal {
        try read { connection in
            var total = ScanTotal()
            switch part {
            case .all:
                let statement = try connection.statement(layout.scan)
                statement.bind(1, Int64(parent))
                try Self.add(statement, to: &total)
            case .failures:
                let statement = try connection.statement(layout.failures)
                statement.bind(1, Int64(parent))
                try statement.forEachRow { total.addError(statement.bytes(0)) }
            case .middle(let skipped, let limit):
                let statement = try connection.statement(layout.middle)
                statement.bind(1, Int64(parent))
                statement.bind(2, Int64(skipped))
                statement.bind(3, Int64(limit))
                try Self.add(statement, to: &total)
            }
            return total
        }
    }

    private static func add(_ statement: SQLiteStatement, to total: inout ScanTotal) throws {
        try statement.forEachRow {
            if statement.integer(0) == 0 { total.add(statement.bytes(1)) } else { total.addFailure() }
        }
    }

    func digest(_ parent: UInt64, first: UInt64, into digest: inout OrderDigest) throws {
        let rows = try read { connection in
            var digest = digest
            let statement = try connection.statement(layout.everything)
            statement.bind(1, Int64(parent))
            try statement.forEachRow {
                digest.add(
                    id: UInt64(statement.integer(2)) - first, failed: statement.integer(0) != 0, statement.bytes(1))
            }
            return digest
        }
        digest = rows
    }

    func compact() throws {
        try writer.withLock { writer in
            try writer?.connection.run("VACUUM")
            try writer?.connection.run("PRAGMA wal_checkpoint(TRUNCATE)")
        }
    }

    func close() throws {
        reader.withLock { $0 = nil }
        writer.withLock { $0 = nil }
    }
}
