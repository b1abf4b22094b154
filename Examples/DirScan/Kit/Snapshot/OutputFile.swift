// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A new file that is appended to through a buffer of fixed size.
final class OutputFile {
    let path: PathBytes
    let descriptor: Int32
    /// The bytes appended so far, those in the buffer included.
    private(set) var length = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
    private var used = 0

    /// Creates the file, or empties what an interrupted run left under its name.
    ///
    /// - Parameter anonymous: whether the name goes at once, so that nothing is left whatever happens.
    init(_ path: PathBytes, anonymous: Bool = false) throws(SnapshotError) {
        self.path = path
        descriptor = path.withCString { open($0, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600) }
        if descriptor < 0 { throw .failed(call: "open", errno: errno, path) }
        if anonymous { _ = path.withCString { unlink($0) } }
    }

    deinit {
        buffer.deallocate()
        if descriptor >= 0 { close(descriptor) }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(SnapshotError) {
        if bytes.count > buffer.count - used { try flush() }
        if bytes.count > buffer.count {
            try write(bytes, at: length)
        } else {
            UnsafeMutableRawBufferPointer(rebasing: buffer[used...]).copyMemory(from: bytes)
            used += bytes.count
        }
        length += bytes.count
    }

    /// Hands what is in the buffer to the system.
    func flush() throws(SnapshotError) {
        try write(UnsafeRawBufferPointer(rebasing: buffer[..<used]), at: length - used)
        used = 0
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SnapshotError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 || errno != EINTR {
                throw .failed(call: "pwrite", errno: count == 0 ? EIO : errno, path)
            }
        }
    }

    /// Reads exactly the bytes from `offset` that fill `target`; they must have been flushed.
    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(SnapshotError) {
        var done = 0
        while done < target.count {
            let count = pread(descriptor, target.baseAddress! + done, target.count - done, off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 || errno != EINTR {
                throw .failed(call: "pread", errno: count == 0 ? EIO : errno, path)
            }
        }
    }

    /// Appends all of another file.
    func append(_ other: OutputFile) throws(SnapshotError) {
        try flush()
        try other.flush()
        var offset = 0
        while offset < other.length {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, other.length - offset)])
            try other.read(into: part, at: offset)
            try write(UnsafeRawBufferPointer(part), at: length)
            offset += part.count
            length += part.count
        }
    }

    /// Makes the file durable under another name, in one step for whoever looks for it there.
    func publish(as target: PathBytes) throws(SnapshotError) {
        try flush()
        if fsync(descriptor) != 0 { throw .failed(call: "fsync", errno: errno, path) }
        let renamed = path.withCString { from in target.withCString { rename(from, $0) } }
        if renamed != 0 { throw .failed(call: "rename", errno: errno, target) }
        let directory = Self.directory(of: target)
        let opened = directory.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        if opened < 0 { throw .failed(call: "open", errno: errno, directory) }
        defer { close(opened) }
        if fsync(opened) != 0 { throw .failed(call: "fsync", errno: errno, directory) }
    }

    private static func directory(of path: PathBytes) -> PathBytes {
        guard let cut = path.bytes.lastIndex(of: PathBytes.slash) else { return PathBytes(".") }
        return cut == 0 ? PathBytes("/") : PathBytes(Array(path.bytes[..<cut]))
    }
}
