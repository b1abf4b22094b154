// SPDX-License-Identifier: Apache-2.0
import CLevelDB
import Synchronization
import SystemPackage

/// LevelDB with Snappy, the one compression that it has.
///
/// | setting | why |
/// |---|---|
/// | a write buffer of 64 MiB | the default of 4 MiB is for small devices; as large as that of RocksDB |
/// | files of 32 MiB | fewer files, fewer opens |
/// | blocks of 32 KiB | fewer index entries and better compression for scans; nothing looks up single keys |
/// | a block cache of 512 MiB | a warm scan finds all blocks decompressed |
/// | no bloom filter | nobody asks for a key that may be missing |
///
/// It has no bound for an iterator, so that each key is compared.
final class LevelDBEngine: Engine {
    // `leveldb::DB` may be used from any thread without a lock of the caller's (LevelDB's index.md, "Concurrency").
    private let database: SharedHandle
    private let options: SharedHandle
    private let cache: SharedHandle
    private let writing: SharedHandle
    private let counters: Mutex<KeyValueCounters>
    private let isOpen = Mutex(true)

    init(_ directory: FilePath, synced: Bool) throws {
        let options = leveldb_options_create()
        leveldb_options_set_create_if_missing(options, 1)
        leveldb_options_set_compression(options, Int32(leveldb_snappy_compression))
        leveldb_options_set_write_buffer_size(options, 64 << 20)
        leveldb_options_set_max_file_size(options, 32 << 20)
        leveldb_options_set_block_size(options, 32 << 10)
        let cache = leveldb_cache_create_lru(512 << 20)
        leveldb_options_set_cache(options, cache)
        var error: UnsafeMutablePointer<CChar>?
        let opened = leveldb_open(options, directory.string, &error)
        try Self.check("open", &error)
        let writing = leveldb_writeoptions_create()
        leveldb_writeoptions_set_sync(writing, synced ? 1 : 0)
        guard let opened, let options, let writing, let cache else {
            throw EngineFailure("leveldb", "open", "no database")
        }
        database = SharedHandle(pointer: opened)
        self.options = SharedHandle(pointer: options)
        self.cache = SharedHandle(pointer: cache)
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
        defer { leveldb_free(text) }
        throw EngineFailure("leveldb", call, String(cString: text))
    }

    private func storedNextID() throws -> UInt64 {
        let reading = leveldb_readoptions_create()
        defer { leveldb_readoptions_destroy(reading) }
        var size = 0
        var error: UnsafeMutablePointer<CChar>?
        let value = withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { key in
            key.baseAddress.flatMap { key -> UnsafeMutablePointer<CChar>? in
                Self.writeKey(.nextID, 0, 0, to: key)
                return leveldb_get(
                    database.pointer, reading, key.assumingMemoryBound(to: CChar.self), KeyValueForm.keySize + 1,
                    &size, &error)
            }
        }
        try Self.check("get", &error)
        guard let value else { return 1 }
        defer { leveldb_free(value) }
        return size == 8 ? UnsafeRawPointer(value).loadUnaligned(as: UInt64.self) : 1
    }

    /// The number in the last key of a kind, or 0.
    private func last(_ kind: KeyValueForm.Kind) throws -> UInt64 {
        let reading = leveldb_readoptions_create()
        defer { leveldb_readoptions_destroy(reading) }
        let iterator = leveldb_create_iterator(database.pointer, reading)
        defer { leveldb_iter_destroy(iterator) }
        var bound = CChar(bitPattern: kind.rawValue + 1)
        leveldb_iter_seek(iterator, &bound, 1)
        if leveldb_iter_valid(iterator) != 0 {
            leveldb_iter_prev(iterator)
        } else {
            leveldb_iter_seek_to_last(iterator)
        }
        guard leveldb_iter_valid(iterator) != 0 else { return 0 }
        var size = 0
        guard let key = leveldb_iter_key(iterator, &size), size == KeyValueForm.keySize + 1,
            UInt8(bitPattern: key[0]) == kind.rawValue
        else { return 0 }
        return KeyValueForm.number(UnsafeRawPointer(key) + 1)
    }

    /// Fills a batch and writes it. Batches of several threads share a sync.
    private func write(
        _ scratchSize: Int,
        _ fill: (OpaquePointer, _ key: UnsafeMutableRawPointer, _ value: UnsafeMutableRawPointer) -> Void
    ) throws {
        guard let batch = leveldb_writebatch_create() else { throw EngineFailure("leveldb", "write", "no batch") }
        defer { leveldb_writebatch_destroy(batch) }
        withUnsafeTemporaryAllocation(byteCount: 24 + scratchSize, alignment: 8) { scratch in
            if let start = scratch.baseAddress { fill(batch, start, start + 24) }
        }
        var error: UnsafeMutablePointer<CChar>?
        leveldb_write(database.pointer, writing.pointer, batch, &error)
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
        leveldb_writebatch_put(
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

    func complete(_ children: ChildSet, _ rows: Range<Int>, first: UInt64, under parents: UInt64) throws {
        let sequence = counters.withLock { next in
            defer { next.nextSequence += UInt64(rows.count) }
            return next.nextSequence
        }
        try write(KeyValueForm.scratchSize(children.longestValue)) { batch, key, value in
            // One kind of key after the other, so that the memtable's inserts stay close to one another.
            children.forEachRun(rows) { parent, rows in
                for index in rows {
                    Self.writeKey(.pending, parents + parent, first + UInt64(index), to: key)
                    leveldb_writebatch_delete(
                        batch, key.assumingMemoryBound(to: CChar.self), KeyValueForm.keySize + 1)
                }
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
        let reading = leveldb_readoptions_create()
        defer { leveldb_readoptions_destroy(reading) }
        // Cached blocks have passed it; what is read from disk is checked too, as in the others.
        leveldb_readoptions_set_verify_checksums(reading, 1)
        let iterator = leveldb_create_iterator(database.pointer, reading)
        defer { leveldb_iter_destroy(iterator) }
        withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { scratch in
            guard let start = scratch.baseAddress else { return }
            Self.writeKey(kind, parent, position + 1, to: start)
            leveldb_iter_seek(iterator, start.assumingMemoryBound(to: CChar.self), KeyValueForm.keySize + 1)
        }
        let prefix = parent.bigEndian
        var size = 0
        while leveldb_iter_valid(iterator) != 0 {
            guard let key = UnsafeRawPointer(leveldb_iter_key(iterator, &size)),
                key.load(as: UInt8.self) == kind.rawValue,
                key.loadUnaligned(fromByteOffset: 1, as: UInt64.self) == prefix
            else { break }
            let bytes = leveldb_iter_value(iterator, &size)
            guard visitor.visit(StoredChild(bytes: .init(start: bytes, count: size))) else { return }
            leveldb_iter_next(iterator)
        }
        var error: UnsafeMutablePointer<CChar>?
        leveldb_iter_get_error(iterator, &error)
        try Self.check("iterate", &error)
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

    /// Begins with a write of the memtable.
    func compact() throws { leveldb_compact_range(database.pointer, nil, 0, nil, 0) }

    func close() throws {
        let wasOpen = isOpen.withLock { open in
            defer { open = false }
            return open
        }
        guard wasOpen else { return }
        leveldb_close(database.pointer)
        leveldb_writeoptions_destroy(writing.pointer)
        leveldb_options_destroy(options.pointer)
        leveldb_cache_destroy(cache.pointer)
    }

    deinit { try? close() }
}
