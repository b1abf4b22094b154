// SPDX-License-Identifier: Apache-2.0
import CPeerLZ4
import QuernStore
import QuernTesting
import SystemPackage

/// What this machine does at most with the very bytes that engines are given: nothing but the calls.
enum RawFile {
    /// Writes the bytes of each batch behind those of the last into a file, with a sync behind each. The file has its
    /// length before, so that a sync has no more to write than these bytes.
    static func append(_ bytes: [UInt8], batches: Int, synced: Bool) throws -> Duration {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.path.appending("rows"), .createNew)
        let share = max(1, bytes.count / batches)
        try file.write([UInt8](repeating: 0, count: bytes.count), count: bytes.count, at: 0)
        try file.synchronize()
        return try timed {
            for offset in stride(from: 0, to: bytes.count, by: share) {
                let range = offset..<min(offset + share, bytes.count)
                try bytes.span.bytes.extracting(range).withUnsafeBytes { try file.write($0, at: offset) }
                if synced { try file.synchronize() }
            }
        }
    }

    /// Writes bytes to a new file, a megabyte a call, and syncs it once.
    static func appendThenSync(_ bytes: [UInt8]) throws -> Duration {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.path.appending("rows"), .createNew)
        return try timed {
            for offset in stride(from: 0, to: bytes.count, by: 1 << 20) {
                let range = offset..<min(offset + (1 << 20), bytes.count)
                try bytes.span.bytes.extracting(range).withUnsafeBytes { try file.write($0, at: offset) }
            }
            try file.synchronize()
        }
    }

    /// Adds up raw rows in a mapped file: a scan without an engine.
    static func sumMapped(_ bytes: [UInt8], repetitions: Int) throws -> [Duration] {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.path.appending("rows"), .createNew)
        try file.write(bytes, count: bytes.count, at: 0)
        let mapping = try file.map(length: bytes.count)
        return (0...repetitions).map { _ in
            timed {
                mapping.withBytes { bytes in
                    var sum: UInt64 = 0
                    for offset in stride(from: 0, to: bytes.count & ~7, by: 8) {
                        sum &+= bytes.load(fromByteOffset: offset, as: UInt64.self)
                    }
                    keep(sum)
                }
            }
        }.suffix(repetitions)
    }

    /// Reads a file from disk, a megabyte at a time.
    static func readCold(_ bytes: [UInt8]) throws -> Duration {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.path.appending("rows"), .createNew)
        try file.write(bytes, count: bytes.count, at: 0)
        try file.synchronize()
        try dropFromPageCache(directory.path)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        return try timed {
            var offset = 0
            while true {
                let count = try buffer.withUnsafeMutableBytes { bytes throws(FileError) in
                    try file.read(into: bytes, at: offset)
                }
                if count == 0 { break }
                offset += count
            }
        }
    }

    /// LZ4 over blocks of 64 KiB.
    static func compress(_ bytes: [UInt8]) -> (stored: Int, compress: Duration, decompress: Duration) {
        let block = 64 << 10
        var target = [UInt8](repeating: 0, count: Int(LZ4_compressBound(Int32(block))))
        var stored: [[UInt8]] = []
        let compressing = timed {
            bytes.withUnsafeBytes { source in
                for offset in stride(from: 0, to: source.count, by: block) {
                    let part = UnsafeRawBufferPointer(rebasing: source[offset..<min(offset + block, source.count)])
                    let count = target.withUnsafeMutableBytes { target in
                        LZ4_compress_default(
                            part.baseAddress?.assumingMemoryBound(to: CChar.self),
                            target.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(part.count),
                            Int32(target.count))
                    }
                    stored.append(Array(target[..<Int(count)]))
                }
            }
        }
        var decoded = [UInt8](repeating: 0, count: block)
        let decompressing = timed {
            for part in stored {
                let count = part.withUnsafeBytes { part in
                    decoded.withUnsafeMutableBytes { target in
                        LZ4_decompress_safe(
                            part.baseAddress?.assumingMemoryBound(to: CChar.self),
                            target.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(part.count),
                            Int32(target.count))
                    }
                }
                keep(count)
            }
        }
        return (stored.reduce(0) { $0 + $1.count }, compressing, decompressing)
    }
}
