// SPDX-License-Identifier: Apache-2.0
import CRocksDB
import Synchronization
import SystemPackage

/// RocksDB with LZ4, set up as its tuning guide says for a few cores, ordered scans and keys that are written in order.
///
/// | setting | why |
/// |---|---|
/// | two background jobs | as many as there are cores |
/// | level sizes from the bottom up, bytes synced every MiB | the guide's recommended set for any work |
/// | LZ4 at all levels | half the bytes for little time; small files are read back soon |
/// | blocks of 32 KiB, format 5 | fewer index entries and better compression for scans; nothing looks up single keys |
/// | no bloom filter | nobody asks for a key that may be missing |
/// | a block cache of 512 MiB, index blocks in it and pinned | a warm scan finds all blocks decompressed |
/// | memtables of 64 MiB | the default: a load of 238,000 children stays in memory |
/// | no concurrent writes to a memtable | for many callers with a small write each, on two cores: half as fast again |
/// | read-ahead of 2 MiB, upper bound | long scans |
///
/// Pending children are taken away without a read: see ``removePending(_:_:_:_:_:)``. A single delete, which their one
/// put allows, goes away sooner than a delete.
final class RocksDBEngine: Engine {
    // `rocksdb::DB` and its options may be used from any thread without a lock of the caller's (rocksdb/db.h).
    private let database: SharedHandle
    private let options: SharedHandle
    private let writing: SharedHandle
    private let counters: Mutex<KeyValueCounters>
    private let isOpen = Mutex(true)

    init(_ directory: FilePath, synced: Bool) throws {
        let options = rocksdb_options_create()
        rocksdb_options_set_create_if_missing(options, 1)
        rocksdb_options_increase_parallelism(options, 2)
        rocksdb_options_set_max_background_jobs(options, 2)
        rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1)
        rocksdb_options_set_bytes_per_sync(options, 1 << 20)
        rocksdb_options_set_compression(options, Int32(rocksdb_lz4_compression))
        rocksdb_options_set_write_buffer_size(options, 64 << 20)
        rocksdb_options_set_keep_log_file_num(options, 1)
        rocksdb_options_set_allow_concurrent_memtable_write(options, 0)
        let table = rocksdb_block_based_options_create()
        rocksdb_block_based_options_set_block_size(table, 32 << 10)
        rocksdb_block_based_options_set_format_version(table, 5)
        rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
        rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1)
        let cache = rocksdb_cache_create_lru(512 << 20)
        rocksdb_block_based_options_set_block_cache(table, cache)
        rocksdb_options_set_block_based_table_factory(options, table)
        // The options keep both.
        rocksdb_cache_destroy(cache)
        rocksdb_block_based_options_destroy(table)
        var error: UnsafeMutablePointer<CChar>?
        let opened = rocksdb_open(options, directory.string, &error)
        try Self.check("open", &error)
        let writing = rocksdb_writeoptions_create()
        rocksdb_writeoptions_set_sync(writing, synced ? 1 : 0)
        guard let opened, let options, let writing else { throw EngineFailure("rocksdb", "open", "no database") }
        database = SharedHandle(pointer: opened)
        self.options = SharedHandle(pointer: options)
        self.writing = SharedHandle(pointer: writing)
        counters = Mutex(KeyValueCounters())
        let next = KeyValueCounters(
            nextID: try storedNextID(), nextSequence: 1 + (try last(.ended)))
        counters.withLock { $0 = next }
    }

    @inline(__always)
    private static func check(_ call: String, _ error: inout UnsafeMutablePointer<CChar>?) throws {
        guard let text = error else { return }
        error = nil
        defer { rocksdb_free(text) }
        throw EngineFailure("rocksdb", call, String(cString: text))
    }

    private func storedNextID() throws -> UInt64 {
        let reading = rocksdb_readoptions_create()
        defer { rocksdb_readoptions_destroy(reading) }
        var size = 0
        var error: UnsafeMutablePointer<CChar>?
        let value = withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { key in
            key.baseAddress.flatMap { key -> UnsafeMutablePointer<CChar>? in
                Self.writeKey(.nextID, 0, 0, to: key)
                return rocksdb_get(
                    database.pointer, reading, key.assumingMemoryBound(to: CChar.self), KeyValueForm.keySize + 1,
                    &size, &error)
            }
        }
        try Self.check("get", &error)
        guard let value else { return 1 }
        defer { rocksdb_free(value) }
        return size == 8 ? UnsafeRawPointer(value).loadUnaligned(as: UInt64.self) : 1
    }

    /// The number in the last key of a kind, or 0.
    private func last(_ kind: KeyValueForm.Kind) throws -> UInt64 {
        let reading = rocksdb_readoptions_create()
        defer { rocksdb_readoptions_destroy(reading) }
        let iterator = rocksdb_create_iterator(database.pointer, reading)
        defer { rocksdb_iter_destroy(iterator) }
        var bound = CChar(bitPattern: kind.rawValue + 1)
        rocksdb_iter_seek_for_prev(iterator, &bound, 1)
        guard rocksdb_iter_valid(iterator) != 0 else { return 0 }
        var size = 0
        guard let key = rocksdb_iter_key(iterator, &size), size == KeyValueForm.keySize + 1,
            UInt8(bitPattern: key[0]) == kind.rawValue
        else { return 0 }
        return KeyValueForm.number(UnsafeRawPointer(key) + 1)
    }

    /// As the database's own report says.
    var writesPerSync: Double? {
        guard let text = rocksdb_property_value(database.pointer, "rocksdb.dbstats") else { return nil }
        defer { rocksdb_free(text) }
        // Cumulative WAL: 10 writes, 5 syncs, 2.00 writes per sync, ...
        let words = String(cString: text).split(whereSeparator: \.isWhitespace)
        guard let end = words.firstIndex(of: "sync,"), end >= 3 else { return nil }
        return Double(words[end - 3])
    }

    /// Fills a batch and writes it. Batches of several threads share a sync.
    private func write(
        _ scratchSize: Int,
        _ fill: (OpaquePointer, _ key: UnsafeMutableRawPointer, _ value: UnsafeMutableRawPointer) -> Void
    ) throws {
        guard let batch = rocksdb_writebatch_create() else { throw EngineFailure("rocksdb", "write", "no batch") }
        defer { rocksdb_writebatch_destroy(batch) }
        withUnsafeTemporaryAllocation(byteCount: 24 + scratchSize, alignment: 8) { scratch in
            if let start = scratch.baseAddress { fill(batch, start, start + 24) }
        }
        var error: UnsafeMutablePointer<CChar>?
        rocksdb_write(database.pointer, writing.pointer, batch, &error)
        try Self.check("write", &error)
    }

    @inline(__always)
    private static func writeKey(
        _ kind: KeyValueForm.Kind, _ parent: UInt64, _ number: UInt64, to key: UnsafeMutableRawPointer
    ) {
        key.storeBytes(of: kind.rawValue, as: UInt8.self)
        KeyValueForm.writeKey(parent, number, to: key + 1)
    }

    @inline(__always)
    private static func put(
        _ batch: OpaquePointer, _ key: UnsafeMutableRawPointer, _ value: UnsafeMutableRawPointer, _ size: Int
    ) {
        rocksdb_writebatch_put(
            batch, key.assumingMemoryBound(to: CChar.self), KeyValueForm.keySize + 1,
            value.assumingMemoryBound(to: CChar.self), size)
    }

    /// With each batch of children, so that an opening need not look for the last pending one behind all that were
    /// deleted.
    private static func putNextID(_ batch: OpaquePointer, _ key: UnsafeMutableRawPointer, _ id: UInt64) {
        writeKey(.nextID, 0, 0, to: key)
        var id = id
        withUnsafeMutableBytes(of: &id) { bytes in
            if let value = bytes.baseAddress { put(batch, key, value, bytes.count) }
        }
    }

    private func takeIDs(_ count: Int) -> UInt64 {
        counters.withLock { next in
            defer { next.nextID += UInt64(count) }
            return next.nextID
        }
    }

    func makeParents(_ count: Int) throws -> UInt64 {
        let first = takeIDs(count)
        try write(KeyValueForm.pendingFacts) { batch, key, value in
            value.initializeMemory(as: UInt8.self, repeating: 0, count: KeyValueForm.pendingFacts)
            for index in 0..<UInt64(count) {
                Self.writeKey(.parent, 0, first + index, to: key)
                Self.put(batch, key, value, KeyValueForm.pendingFacts)
            }
            Self.putNextID(batch, key, first + UInt64(count))
        }
        return first
    }

    func insert(_ children: ChildSet, _ rows: Range<Int>, under parents: UInt64) throws -> UInt64 {
        let first = takeIDs(rows.count)
        try write(KeyValueForm.scratchSize(ChildSet.payloadSize)) { batch, key, value in
            var id = first
            children.forEachRun(rows) { parent, rows in
                children.forEach(rows) { _, row in
                    Self.writeKey(.pending, parents + parent, id, to: key)
                    Self.put(batch, key, value, KeyValueForm.writePending(row, to: value))
                    id += 1
                }
            }
            Self.putNextID(batch, key, id)
        }
        return first
    }

    /// Takes away pending children of succeeding ids: many by one delete of their range, as SQLite does it too; few by
    /// single deletes, since each range slows down later reads a little.
    private static func removePending(
        _ batch: OpaquePointer, _ parent: UInt64, _ ids: Range<UInt64>, _ key: UnsafeMutableRawPointer,
        _ end: UnsafeMutableRawPointer
    ) {
        let size = KeyValueForm.keySize + 1
        if ids.count >= 64 {
            writeKey(.pending, parent, ids.lowerBound, to: key)
            writeKey(.pending, parent, ids.upperBound, to: end)
            rocksdb_writebatch_delete_range(
                batch, key.assumingMemoryBound(to: CChar.self), size, end.assumingMemoryBound(to: CChar.self), size)
        } else {
            for id in ids {
                writeKey(.pending, parent, id, to: key)
                rocksdb_writebatch_singledelete(batch, key.assumingMemoryBound(to: CChar.self), size)
            }
        }
    }

    func complete(_ children: ChildSet, _ rows: Range<Int>, first: UInt64, under parents: UInt64) throws {
        let sequence = counters.withLock { next in
            defer { next.nextSequence += UInt64(rows.count) }
            return next.nextSequence
        }
        try write(KeyValueForm.scratchSize(children.longestValue)) { batch, key, value in
            // One kind of key after the other: the memtable remembers where it inserted last, and keys that take turns
            // make it search from the top, which takes several times as long.
            children.forEachRun(rows) { parent, rows in
                let ids = first + UInt64(rows.lowerBound)..<first + UInt64(rows.upperBound)
                Self.removePending(batch, parents + parent, ids, key, value)
            }
            for kind in [KeyValueForm.Kind.ended, .failed] {
                var next = sequence
                children.forEachRun(rows) { parent, rows in
                    children.forEach(rows) { index, row in
                        if kind == .ended || row.failed {
                            let size = KeyValueForm.writeEnded(row, id: first + UInt64(index), to: value)
                            Self.writeKey(kind, parents + parent, next, to: key)
                            Self.put(batch, key, value, size)
                        }
                        next += 1
                    }
                }
            }
        }
    }

    /// Visits the children of a parent behind a position.
    @inline(__always)
    private func walk<Visitor: StoredChildVisitor>(
        _ kind: KeyValueForm.Kind, of parent: UInt64, after position: UInt64 = 0, _ visitor: inout Visitor
    ) throws {
        let reading = rocksdb_readoptions_create()
        defer { rocksdb_readoptions_destroy(reading) }
        rocksdb_readoptions_set_readahead_size(reading, 2 << 20)
        try withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { scratch in
            guard let start = scratch.baseAddress else { return }
            let end = start + 24
            Self.writeKey(kind, parent, position + 1, to: start)
            Self.writeKey(kind, parent + 1, 0, to: end)
            rocksdb_readoptions_set_iterate_upper_bound(
                reading, end.assumingMemoryBound(to: CChar.self), KeyValueForm.keySize + 1)
            let iterator = rocksdb_create_iterator(database.pointer, reading)
            defer { rocksdb_iter_destroy(iterator) }
            rocksdb_iter_seek(iterator, start.assumingMemoryBound(to: CChar.self), KeyValueForm.keySize + 1)
            var size = 0
            while rocksdb_iter_valid(iterator) != 0 {
                let bytes = rocksdb_iter_value(iterator, &size)
                guard visitor.visit(StoredChild(bytes: .init(start: bytes, count: size))) else { return }
                rocksdb_iter_next(iterator)
            }
            var error: UnsafeMutablePointer<CChar>?
            rocksdb_iter_get_error(iterator, &error)
            try Self.check("iterate", &error)
        }
    }

    func scan(_ parent: UInt64, _ part: ScanPart) throws -> ScanTotal {
        switch part {
        case .all:
            var visitor = TotalVisitor()
            try walk(.ended, of: parent, &visitor)
            return visitor.total
        case .failures:
            var visitor = ErrorVisitor()
            try walk(.failed, of: parent, &visitor)
            return visitor.total
        case .middle(let skipped, let limit):
            var visitor = TotalVisitor(limit: limit)
            try walk(.ended, of: parent, after: UInt64(skipped), &visitor)
            return visitor.total
        }
    }

    func digest(_ parent: UInt64, first: UInt64, into digest: inout OrderDigest) throws {
        var visitor = DigestVisitor(digest: digest, first: first)
        try walk(.ended, of: parent, &visitor)
        digest = visitor.digest
    }

    func compact() throws {
        let flush = rocksdb_flushoptions_create()
        defer { rocksdb_flushoptions_destroy(flush) }
        rocksdb_flushoptions_set_wait(flush, 1)
        var error: UnsafeMutablePointer<CChar>?
        rocksdb_flush(database.pointer, flush, &error)
        try Self.check("flush", &error)
        rocksdb_compact_range(database.pointer, nil, 0, nil, 0)
    }

    func close() throws {
        let wasOpen = isOpen.withLock { open in
            defer { open = false }
            return open
        }
        guard wasOpen else { return }
        rocksdb_close(database.pointer)
        rocksdb_writeoptions_destroy(writing.pointer)
        rocksdb_options_destroy(options.pointer)
    }

    deinit { try? close() }
}
