// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// An open file of the operating system. The descriptor is closed when the last reference goes.
final class PosixFile: StoreFile {
    let path: FilePath
    private let descriptor: FileDescriptor

    /// No single call moves more: Linux stops short of 2 GiB, Darwin refuses more.
    private static let longestTransfer = 1 << 30

    /// - Parameter descriptor: an open descriptor, which from now on is this object's to close.
    init(path: FilePath, taking descriptor: FileDescriptor) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        // Not repeated and not reported: the descriptor is free also after an error, and only a sync makes promises.
        try? descriptor.close()
    }

    /// The corresponding C function is `fstat`.
    func size() throws(FileError) -> Int {
        try FileError.naming("stat", path) { Int(try descriptor.stat().size) }
    }

    /// The corresponding C function is `pread`, repeated until the buffer is full or the file ends.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        var done = 0
        while done < buffer.count {
            let part = UnsafeMutableRawBufferPointer(
                rebasing: buffer[done..<min(done + Self.longestTransfer, buffer.count)])
            let count = try FileError.naming("read", path, at: offset + done) {
                try descriptor.read(fromAbsoluteOffset: Int64(offset + done), into: part)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// The corresponding C function is `pwrite`, repeated until all is written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        var done = 0
        while done < bytes.count {
            let part = UnsafeRawBufferPointer(
                rebasing: bytes[done..<min(done + Self.longestTransfer, bytes.count)])
            let count = try FileError.naming("write", path, at: offset + done) {
                let count = try descriptor.write(toAbsoluteOffset: Int64(offset + done), part)
                // A file system that takes nothing and reports nothing would keep us here for ever.
                if count == 0 { throw Errno.ioError }
                return count
            }
            done += count
        }
    }

    /// The corresponding C function is `fallocate`, on Linux; elsewhere nothing happens.
    func discard(_ range: Range<Int>) { descriptor.punchHole(range) }

    /// The corresponding C function is `fdatasync`.
    func synchronize() throws(FileError) {
        try FileError.naming("fdatasync", path) { try descriptor.synchronizeData() }
    }

    /// The corresponding C function is `mmap`. Bytes beyond the end of a file cannot be read without a signal that ends
    /// the process, so a length beyond the end is refused.
    func map(length: Int) throws(FileError) -> FileMapping {
        try FileError.naming("mmap", path) {
            guard length >= 0, length <= Int(try descriptor.stat().size) else { throw Errno.invalidArgument }
            if length == 0 {
                return FileMapping(UnsafeRawBufferPointer(start: nil, count: 0), unmap: { _ in })
            }
            return FileMapping(
                try descriptor.mapToRead(length: length),
                discard: { $0.discardMemory() }, unmap: { $0.unmapMemory() })
        }
    }
}
