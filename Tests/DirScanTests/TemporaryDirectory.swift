// SPDX-License-Identifier: Apache-2.0
@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A directory that goes with all it holds, however deep, when the last reference goes.
final class TemporaryDirectory: Sendable {
    let path: PathBytes

    init() {
        var template = Array("/tmp/dirscan-tests-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "mkdtemp: errno \(errno)")
        path = PathBytes(template.dropLast().map { UInt8(bitPattern: $0) })
    }

    deinit {
        _ = path.withCString { chmod($0, 0o700) }
        let descriptor = path.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        if descriptor >= 0 { Self.empty(descriptor) }
        _ = path.withCString { rmdir($0) }
    }

    func makeDirectory(_ name: [UInt8]) { check(path.appending(name).withCString { mkdir($0, 0o755) }) }
    func makeDirectory(_ name: String) { makeDirectory(Array(name.utf8)) }

    func makeFile(_ name: [UInt8], size: Int = 0) {
        let file = path.appending(name)
        let descriptor = file.withCString { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644) }
        check(descriptor)
        check(ftruncate(descriptor, off_t(size)))
        close(descriptor)
    }

    func makeFile(_ name: String, size: Int = 0) { makeFile(Array(name.utf8), size: size) }

    func makeLink(_ name: String, to target: String) {
        check(target.withCString { target in path.appending(name).withCString { symlink(target, $0) } })
    }

    func write(_ name: String, _ bytes: [UInt8]) {
        let descriptor = path.appending(name).withCString { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
        check(descriptor)
        check(Int32(pwrite(descriptor, bytes, bytes.count, 0) == bytes.count ? 0 : -1))
        close(descriptor)
    }

    func read(_ name: String) -> [UInt8] {
        let descriptor = path.appending(name).withCString { open($0, O_RDONLY | O_CLOEXEC) }
        check(descriptor)
        defer { close(descriptor) }
        var status = stat()
        check(fstat(descriptor, &status))
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        check(Int32(pread(descriptor, &bytes, bytes.count, 0) == bytes.count ? 0 : -1))
        return bytes
    }

    /// Sets size-preserving facts of an entry: its time, and its mode unless it is a link.
    func touch(_ name: String, seconds: Int, nanoseconds: Int = 0) {
        let times = [timespec(tv_sec: seconds, tv_nsec: nanoseconds), timespec(tv_sec: seconds, tv_nsec: nanoseconds)]
        check(path.appending(name).withCString { utimensat(AT_FDCWD, $0, times, AT_SYMLINK_NOFOLLOW) })
    }

    func changeMode(_ name: String, _ mode: mode_t) { check(path.appending(name).withCString { chmod($0, mode) }) }

    func remove(_ name: String) { check(path.appending(name).withCString { unlink($0) }) }

    func lister(oneFileSystem: Bool = false) throws -> DirectoryLister {
        DirectoryLister(root: try ScanRoot(path), oneFileSystem: oneFileSystem)
    }

    /// The names in it, or in a directory below it, without `.` and `..`.
    func names(in name: String? = nil) throws -> Set<String> {
        var names: Set<String> = []
        let stream = (name.map { path.appending($0) } ?? path).withCString { opendir($0) }
        precondition(stream != nil)
        defer { closedir(stream!) }
        while let entry = readdir(stream!) {
            let name = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
            names.insert(String(cString: name.assumingMemoryBound(to: CChar.self)))
        }
        return names.subtracting([".", ".."])
    }

    /// Removes all that an open directory holds, relative to it, so that no path is too long. Closes it.
    private static func empty(_ descriptor: Int32) {
        guard let stream = fdopendir(descriptor) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = (UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!)
                .assumingMemoryBound(to: CChar.self)
            if strcmp(name, ".") == 0 || strcmp(name, "..") == 0 { continue }
            if unlinkat(descriptor, name, 0) == 0 { continue }
            fchmodat(descriptor, name, 0o700, 0)
            let child = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if child >= 0 { empty(child) }
            unlinkat(descriptor, name, AT_REMOVEDIR)
        }
    }
}

func check(_ result: Int32, line: UInt = #line) {
    precondition(result >= 0, "system call at line \(line) failed with errno \(errno)")
}

/// Calls `body` with a record of these entries, as it would be read from a snapshot.
func withRecord<Result>(_ bytes: [UInt8], _ body: (DirectoryRecord?) throws -> Result) rethrows -> Result {
    try bytes.withUnsafeBytes { try body(DirectoryRecord($0)) }
}
