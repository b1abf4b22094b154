// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// A lock on a file of the operating system, which also ends when the process does, whatever the reason.
///
/// The file stays when the lock is released: removing it would let two processes lock two files of one name.
final class PosixFileLock: FileLock {
    private let path: FilePath
    /// The file that is locked, whatever its name leads to by now.
    private let locked: Stat
    /// Nil once released.
    private let descriptor: Mutex<FileDescriptor?>

    /// What is read of a file that should hold a line or two.
    private static let longestText = 1 << 16

    /// - Throws: `Errno`; `resourceTemporarilyUnavailable` when the lock is taken.
    init(_ path: FilePath) throws {
        self.path = path
        let (held, locked) = try Self.lock(path)
        self.locked = locked
        descriptor = Mutex(held)
    }

    deinit { release() }

    private static func lock(_ path: FilePath) throws -> (FileDescriptor, Stat) {
        while true {
            let descriptor = try FileDescriptor.open(
                path, .readWrite, options: [.create, .closeOnExec, .noFollow, .nonBlocking],
                permissions: .ownerReadWrite)
            do {
                let opened = try descriptor.stat()
                guard opened.type == .regular else { throw Errno.invalidArgument }
                try descriptor.lockExclusively()
                if try isStillNamed(path, opened) { return (descriptor, opened) }
            } catch {
                try? descriptor.close()
                throw error
            }
            // Somebody removed or replaced the file between the open and the lock: this lock excludes nobody.
            try? descriptor.close()
        }
    }

    private static func isStillNamed(_ path: FilePath, _ opened: Stat) throws(Errno) -> Bool {
        let named: Stat
        do {
            named = try path.stat(followTargetSymlink: false)
        } catch {
            if error == .noSuchFileOrDirectory || error == .notDirectory { return false }
            throw error
        }
        return named.inode == opened.inode && named.deviceID == opened.deviceID
    }

    func read() throws(FileError) -> String {
        try withFile("read") { descriptor in
            var bytes = [UInt8](repeating: 0, count: Self.longestText)
            var done = 0
            try bytes.withUnsafeMutableBytes { buffer in
                while done < buffer.count {
                    let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
                    let count = try descriptor.read(fromAbsoluteOffset: Int64(done), into: part)
                    if count == 0 { break }
                    done += count
                }
            }
            return String(decoding: bytes[..<done], as: UTF8.self)
        }
    }

    func write(_ holder: String) throws(FileError) {
        try withFile("write") { descriptor in
            let bytes = Array(holder.utf8)
            // First the text, then the end: who reads in between never finds the file empty.
            var done = 0
            try bytes.withUnsafeBytes { buffer in
                while done < buffer.count {
                    let part = UnsafeRawBufferPointer(rebasing: buffer[done...])
                    let count = try descriptor.write(toAbsoluteOffset: Int64(done), part)
                    if count == 0 { throw Errno.ioError }
                    done += count
                }
            }
            try descriptor.resize(to: Int64(bytes.count))
        }
    }

    /// The corresponding C function is `lstat`.
    func check() throws(FileError) {
        try withFile("lock") { _ in
            guard try Self.isStillNamed(path, locked) else { throw Errno.staleNFSFileHandle }
        }
    }

    func release() {
        descriptor.withLock { descriptor in
            guard let held = descriptor.take() else { return }
            held.unlock()
            try? held.close()
        }
    }

    private func withFile<Value>(
        _ operation: String, _ body: (FileDescriptor) throws -> Value
    ) throws(FileError) -> Value {
        try FileError.naming(operation, path) {
            try descriptor.withLock { descriptor in
                guard let descriptor else { throw Errno.badFileDescriptor }
                return try body(descriptor)
            }
        }
    }
}
