// SPDX-License-Identifier: Apache-2.0
import CSQLite
import SystemPackage

/// A connection and its statements, which are prepared once. For one thread at a time.
final class SQLiteConnection {
    private let database: OpaquePointer
    private var statements: [String: OpaquePointer] = [:]

    init(_ file: FilePath, pragmas: [String]) throws {
        var opened: OpaquePointer?
        // Without its own lock: this class is used by one thread at a time.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        let status = sqlite3_open_v2(file.string, &opened, flags, nil)
        guard status == SQLITE_OK, let opened else {
            throw EngineFailure("sqlite", "open", String(cString: sqlite3_errstr(status)))
        }
        database = opened
        sqlite3_busy_timeout(database, 60_000)
        for pragma in pragmas { try run("PRAGMA " + pragma) }
    }

    deinit {
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close(database)
    }

    /// Runs statements that return nothing that counts.
    func run(_ sql: String) throws {
        guard sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK else { throw failure(sql) }
    }

    func statement(_ sql: String) throws -> SQLiteStatement {
        if let known = statements[sql] { return SQLiteStatement(handle: known, connection: self) }
        var prepared: OpaquePointer?
        let status = sqlite3_prepare_v3(database, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard status == SQLITE_OK, let prepared else { throw failure(sql) }
        statements[sql] = prepared
        return SQLiteStatement(handle: prepared, connection: self)
    }

    func failure(_ call: String) -> EngineFailure {
        EngineFailure("sqlite", call, String(cString: sqlite3_errmsg(database)))
    }
}

/// A prepared statement: bind, then step through its rows.
struct SQLiteStatement {
    fileprivate let handle: OpaquePointer
    fileprivate let connection: SQLiteConnection

    /// How many parameters it has; the others are not bound.
    var parameters: Int32 { sqlite3_bind_parameter_count(handle) }

    @inline(__always)
    func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(handle, index, value) }

    /// The bytes must stay until the statement has run.
    @inline(__always)
    func bind(_ index: Int32, blob: UnsafeRawBufferPointer) {
        sqlite3_bind_blob(handle, index, blob.baseAddress, Int32(blob.count), nil)
    }

    /// As ``bind(_:blob:)``.
    @inline(__always)
    func bind(_ index: Int32, text: UnsafeRawBufferPointer) {
        sqlite3_bind_text(
            handle, index, text.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(text.count), nil)
    }

    /// Runs it to its end.
    @inline(__always)
    func run() throws {
        try forEachRow {}
    }

    @inline(__always)
    func forEachRow(_ body: () throws -> Void) throws {
        defer { sqlite3_reset(handle) }
        while true {
            let status = sqlite3_step(handle)
            if status == SQLITE_DONE { return }
            guard status == SQLITE_ROW else { throw connection.failure("step") }
            try body()
        }
    }

    @inline(__always)
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// Valid until the next step.
    @inline(__always)
    func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(handle, column)
        return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
    }
}
