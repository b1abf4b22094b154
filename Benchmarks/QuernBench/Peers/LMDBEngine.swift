// SPDX-License-Identifier: Apache-2.0
import CLMDB
import Synchronization
import SystemPackage

/// LMDB: a B+tree in a mapped file.
///
/// Children are appended (`MDB_APPEND`), which fills pages to the brim and does not search, and written straight into
/// the page (`MDB_RESERVE`). No `MDB_WRITEMAP`: it is no faster here, as pages that are appended are written once
/// either way, and gives up the protection against stray writes. `MDB_NOTLS` lets readers come and go between threads.
/// Duplicates of a fixed size would be smaller, but hold neither memos that differ in length nor any above 511 bytes.
/// When buffered: `MDB_NOSYNC`, which the file survives a killed process with.
final class LMDBEngine: GatheringEngine {
    // Environments and database handles may be used from any thread (LMDB's documentation of `mdb_env_open`); write
    // transactions wait for each other inside, and each transaction here stays on its thread.
    private let environment: SharedHandle
    private let directory: FilePath
    private let pending: MDB_dbi
    private let ended: MDB_dbi
    private let failed: MDB_dbi
    private let counters: Mutex<KeyValueCounters>
    private let isOpen = Mutex(true)

    /// Addresses are reserved, not memory or disk.
    private static let mapSize = 64 << 30

    init(_ directory: FilePath, synced: Bool) throws {
        self.directory = directory
        var created: OpaquePointer?
        try Self.check("mdb_env_create", mdb_env_create(&created))
        guard let created else { throw EngineFailure("lmdb", "mdb_env_create", "no environment") }
        environment = SharedHandle(pointer: created)
        try Self.check("mdb_env_set_mapsize", mdb_env_set_mapsize(created, Self.mapSize))
        try Self.check("mdb_env_set_maxdbs", mdb_env_set_maxdbs(created, 4))
        let flags = UInt32(MDB_NOTLS) | (synced ? 0 : UInt32(MDB_NOSYNC))
        try Self.check("mdb_env_open", mdb_env_open(created, directory.string, flags, 0o600))
        var names: [MDB_dbi] = []
        var next = KeyValueCounters()
        var transaction: OpaquePointer?
        try Self.check("mdb_txn_begin", mdb_txn_begin(created, nil, 0, &transaction))
        for name in ["pending", "ended", "failed"] {
            var handle = MDB_dbi()
            try Self.check("mdb_dbi_open", mdb_dbi_open(transaction, name, UInt32(MDB_CREATE), &handle))
            names.append(handle)
        }
        (pending, ended, failed) = (names[0], names[1], names[2])
        next.nextID = try Self.last(transaction, pending) + 1
        next.nextSequence = try Self.last(transaction, ended) + 1
        try Self.check("mdb_txn_commit", mdb_txn_commit(transaction))
        counters = Mutex(next)
    }

    /// The number in the last key of a database, or 0.
    private static func last(_ transaction: OpaquePointer?, _ database: MDB_dbi) throws -> UInt64 {
        var cursor: OpaquePointer?
        try check("mdb_cursor_open", mdb_cursor_open(transaction, database, &cursor))
        defer { mdb_cursor_close(cursor) }
        var key = MDB_val()
        var value = MDB_val()
        guard mdb_cursor_get(cursor, &key, &value, MDB_LAST) == 0, let bytes = key.mv_data else { return 0 }
        return KeyValueForm.number(bytes)
    }

    @inline(__always)
    private static func check(_ call: String, _ status: Int32) throws {
        if status != 0 { throw EngineFailure("lmdb", call, String(cString: mdb_strerror(status))) }
    }

    /// One write transaction. Those of other threads wait in `mdb_txn_begin`.
    private func write<Value>(_ body: (OpaquePointer?, inout KeyValueCounters) throws -> Value) throws -> Value {
        var transaction: OpaquePointer?
        try Self.check("mdb_txn_begin", mdb_txn_begin(environment.pointer, nil, 0, &transaction))
        var value: Value
        do {
            var next = counters.withLock { $0 }
            value = try body(transaction, &next)
            let changed = next
            counters.withLock { $0 = changed }
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        try Self.check("mdb_txn_commit", mdb_txn_commit(transaction))
        return value
    }

    /// Appends, or puts where it belongs what is not behind all others.
    ///
    /// - Returns: where the value is to be written.
    @inline(__always)
    private func reserve(
        _ cursor: OpaquePointer?, _ key: UnsafeMutableRawPointer, _ size: Int
    ) throws -> UnsafeMutableRawPointer {
        var keyValue = MDB_val(mv_size: KeyValueForm.keySize, mv_data: key)
        var value = MDB_val(mv_size: size, mv_data: nil)
        var status = mdb_cursor_put(cursor, &keyValue, &value, UInt32(MDB_APPEND | MDB_RESERVE))
        if status == MDB_KEYEXIST { status = mdb_cursor_put(cursor, &keyValue, &value, UInt32(MDB_RESERVE)) }
        try Self.check("mdb_cursor_put", status)
        guard let place = value.mv_data else { throw EngineFailure("lmdb", "mdb_cursor_put", "no place") }
        return place
    }

    func makeParents(_ count: Int) throws -> UInt64 {
        try write { transaction, next in
            let first = next.nextID
            var cursor: OpaquePointer?
            try Self.check("mdb_cursor_open", mdb_cursor_open(transaction, pending, &cursor))
            defer { mdb_cursor_close(cursor) }
            try withUnsafeTemporaryAllocation(byteCount: KeyValueForm.keySize, alignment: 8) { key in
                guard let key = key.baseAddress else { return }
                for _ in 0..<count {
                    KeyValueForm.writeKey(0, next.nextID, to: key)
                    let place = try reserve(cursor, key, KeyValueForm.pendingFacts)
                    place.initializeMemory(as: UInt8.self, repeating: 0, count: KeyValueForm.pendingFacts)
                    next.nextID += 1
                }
            }
            return first
        }
    }

    func insert(_ children: ChildSet, _ rows: Range<Int>, under parents: UInt64) throws -> UInt64 {
        try write { transaction, next in
            let first = next.nextID
            var cursor: OpaquePointer?
            try Self.check("mdb_cursor_open", mdb_cursor_open(transaction, pending, &cursor))
            defer { mdb_cursor_close(cursor) }
            try withUnsafeTemporaryAllocation(byteCount: KeyValueForm.keySize, alignment: 8) { key in
                guard let key = key.baseAddress else { return }
                try children.forEachRun(rows) { parent, rows in
                    try children.forEach(rows) { _, row in
                        KeyValueForm.writeKey(parents + parent, next.nextID, to: key)
                        let place = try reserve(cursor, key, KeyValueForm.pendingFacts + row.payload.count)
                        _ = KeyValueForm.writePending(row, to: place)
                        next.nextID += 1
                    }
                }
            }
            return first
        }
    }

    func complete(_ children: ChildSet, _ rows: Range<Int>, first: UInt64, under parents: UInt64) throws {
        try complete(children, [rows], first: first, under: parents)
    }

    func complete(_ children: ChildSet, _ stretches: [Range<Int>], first: UInt64, under parents: UInt64) throws {
        try write { transaction, next in
            var cursors: [OpaquePointer?] = []
            defer { for cursor in cursors { mdb_cursor_close(cursor) } }
            for database in [pending, ended, failed] {
                var cursor: OpaquePointer?
                try Self.check("mdb_cursor_open", mdb_cursor_open(transaction, database, &cursor))
                cursors.append(cursor)
            }
            let (pending, ended, failed) = (cursors[0], cursors[1], cursors[2])
            try withUnsafeTemporaryAllocation(byteCount: KeyValueForm.keySize, alignment: 8) { key in
                guard let key = key.baseAddress else { return }
                for rows in stretches {
                    try children.forEachRun(rows) { parent, rows in
                        try children.forEach(rows) { index, row in
                            let id = first + UInt64(index)
                            let size = KeyValueForm.endedFacts + row.value.count
                            KeyValueForm.writeKey(parents + parent, next.nextSequence, to: key)
                            _ = KeyValueForm.writeEnded(row, id: id, to: try reserve(ended, key, size))
                            if row.failed {
                                _ = KeyValueForm.writeEnded(row, id: id, to: try reserve(failed, key, size))
                            }
                            next.nextSequence += 1
                            KeyValueForm.writeKey(parents + parent, id, to: key)
                            var keyValue = MDB_val(mv_size: KeyValueForm.keySize, mv_data: key)
                            var value = MDB_val()
                            try Self.check("mdb_cursor_get", mdb_cursor_get(pending, &keyValue, &value, MDB_SET))
                            try Self.check("mdb_cursor_del", mdb_cursor_del(pending, 0))
                        }
                    }
                }
            }
        }
    }

    /// Visits the children of a parent behind a position.
    @inline(__always)
    private func walk<Visitor: StoredChildVisitor>(
        _ parent: UInt64, in database: MDB_dbi, after position: UInt64 = 0, _ visitor: inout Visitor
    ) throws {
        var transaction: OpaquePointer?
        let begun = mdb_txn_begin(environment.pointer, nil, UInt32(MDB_RDONLY), &transaction)
        try Self.check("mdb_txn_begin", begun)
        defer { mdb_txn_abort(transaction) }
        var cursor: OpaquePointer?
        try Self.check("mdb_cursor_open", mdb_cursor_open(transaction, database, &cursor))
        defer { mdb_cursor_close(cursor) }
        var start: (UInt64, UInt64) = (parent.bigEndian, (position + 1).bigEndian)
        let prefix = parent.bigEndian
        try withUnsafeMutableBytes(of: &start) { bytes in
            var key = MDB_val(mv_size: KeyValueForm.keySize, mv_data: bytes.baseAddress)
            var value = MDB_val()
            var status = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
            while status == 0, let found = key.mv_data, found.loadUnaligned(as: UInt64.self) == prefix {
                let child = StoredChild(bytes: .init(start: value.mv_data, count: value.mv_size))
                guard visitor.visit(child) else { return }
                status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
            }
            if status != MDB_NOTFOUND { try Self.check("mdb_cursor_get", status) }
        }
    }

    func scan(_ parent: UInt64, _ part: ScanPart) throws -> ScanTotal {
        switch part {
        case .all:
            var visitor = TotalVisitor()
            try walk(parent, in: ended, &visitor)
            return visitor.total
        case .failures:
            var visitor = ErrorVisitor()
            try walk(parent, in: failed, &visitor)
            return visitor.total
        case .middle(let skipped, let limit):
            var visitor = TotalVisitor(limit: limit)
            try walk(parent, in: ended, after: UInt64(skipped), &visitor)
            return visitor.total
        }
    }

    func digest(_ parent: UInt64, first: UInt64, into digest: inout OrderDigest) throws {
        var visitor = DigestVisitor(digest: digest, first: first)
        try walk(parent, in: ended, &visitor)
        digest = visitor.digest
    }

    /// A compacted copy in the place of the file: LMDB does not shrink one.
    func compact() throws {
        let copy = directory.appending("compacted")
        try Self.check(
            "mdb_env_copy2",
            { () -> Int32 in
                guard (try? makeDirectory(copy)) != nil else { return 2 }
                return mdb_env_copy2(environment.pointer, copy.string, UInt32(MDB_CP_COMPACT))
            }())
        try close()
        try replace(directory.appending("data.mdb"), with: copy.appending("data.mdb"))
    }

    func close() throws {
        let wasOpen = isOpen.withLock { open in
            defer { open = false }
            return open
        }
        guard wasOpen else { return }
        // What was not synced yet, as others do at their close.
        try Self.check("mdb_env_sync", mdb_env_sync(environment.pointer, 1))
        mdb_env_close(environment.pointer)
    }

    deinit { try? close() }
}
