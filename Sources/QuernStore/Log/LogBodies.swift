// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The bodies of log frames, read back for payloads and what tasks keep. Keeps the most recently used ones in memory:
/// tasks are mostly run in the order in which they were spawned, so that a frame is read once.
final class LogBodies: Sendable {
    struct Key: Hashable, Sendable {
        var segment: UInt32
        var offset: UInt64
    }

    final class Body: Sendable {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
    }

    /// Files that stay open at most, about: a store may have more segments than a process may have descriptors.
    private static let openFiles = 32

    let files: StoreFiles
    private let cache: Mutex<GenerationalCache<Key, Body>>
    /// Segments that are open. The lock is held while one is opened: a segment that is forgotten meanwhile is forgotten
    /// behind that, and one that was forgotten before is not there any more.
    private let segments = Mutex(GenerationalCache<UInt32, any StoreFile>(capacity: openFiles))

    /// - Parameter capacity: bytes of bodies that stay in memory.
    init(files: StoreFiles, capacity: Int) {
        self.files = files
        cache = Mutex(GenerationalCache(capacity: capacity))
    }

    /// Keeps a body that was just written.
    func insert(_ bytes: [UInt8], at key: Key) {
        let kept = LogRecord.withoutOutcomes(bytes)
        if !kept.isEmpty { insert(Body(kept), at: key) }
    }

    private func insert(_ body: Body, at key: Key) {
        cache.withLock { $0.insert(body, at: key, cost: body.bytes.count) }
    }

    /// Forgets a segment whose file was removed.
    func forget(segment: UInt32) {
        segments.withLock { $0.forget { $0 == segment } }
        cache.withLock { $0.forget { $0.segment == segment } }
    }

    /// The body of the frame at `key`, checked against its checksums when it comes from the file.
    func body(at key: Key) throws(StoreError) -> Body {
        if let found = cache.withLock({ $0.find(key) }) { return found }
        let body = Body(LogRecord.withoutOutcomes(try read(key)))
        insert(body, at: key)
        return body
    }

    private func read(_ key: Key) throws(StoreError) -> [UInt8] {
        let path = files.path(.log, UInt64(key.segment))
        let seed = files.identity.seed
        let file = try open(key.segment)
        func read(_ count: Int, _ offset: Int) throws(StoreError) -> [UInt8] {
            try StoreError.wrapping("cannot read a log segment") { () throws(FileError) in
                try file.read(count: count, at: offset)
            }
        }
        let head = try read(FrameHeader.size, Int(key.offset))
        guard
            let header = head.withUnsafeBytes({
                FrameHeader(detached: $0, offset: key.offset, segment: key.segment, seed: seed)
            })
        else {
            throw StoreError(.damaged, "no valid frame header", file: path, offset: Int(key.offset))
        }
        let stored = try read(header.storedLength, Int(key.offset) + FrameHeader.size)
        let result = stored.withUnsafeBytes { bytes -> Result<[UInt8], DecodingFailure> in
            guard bytes.count == header.storedLength, Checksum.crc32c(bytes, seed: seed) == header.bodyChecksum else {
                return .failure(DecodingFailure("wrong checksum of a frame's body"))
            }
            do throws(DecodingFailure) { return .success(try header.decoded(bytes)) } catch { return .failure(error) }
        }
        switch result {
        case .success(let body): return body
        case .failure(let failure):
            throw StoreError(.damaged, failure.reason, file: path, offset: Int(key.offset))
        }
    }

    private func open(_ segment: UInt32) throws(StoreError) -> any StoreFile {
        try segments.withLock { (segments) throws(StoreError) in
            if let file = segments.find(segment) { return file }
            let loader = StoreLoader(directory: files.directory, fileSystem: files.fileSystem, access: .readOnly)
            let file = try loader.openLogFile(segment, of: files.identity)
            segments.insert(file, at: segment, cost: 1)
            return file
        }
    }
}

extension StoreFile {
    /// Up to `count` bytes; fewer at the end of the file.
    func read(count: Int, at offset: Int) throws(FileError) -> [UInt8] {
        var failure: FileError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            do throws(FileError) {
                used = try read(
                    into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count), at: offset)
            } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }
}
