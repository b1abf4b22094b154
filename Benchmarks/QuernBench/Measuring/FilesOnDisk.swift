// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the files of a directory take on disk, in bytes that are allocated: holes do not count, room ahead does.
func bytesOnDisk(_ directory: FilePath) throws -> Int {
    var total = 0
    for name in try PosixFileSystem().list(directory) {
        let path = directory.appending(name)
        var status = stat()
        guard lstat(path.string, &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR {
            total += try bytesOnDisk(path)
        } else {
            total += Int(status.st_blocks) * 512
        }
    }
    return total
}

/// Replaces a file that others may read.
func replaceFile(_ path: FilePath, with text: String) throws {
    let file = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite, .groupRead, .otherRead])
    try file.closeAfter { _ = try file.writeAll(text.utf8) }
}

/// Takes the files of a directory out of the page cache, as far as nobody maps them: what was written is synced first.
func dropFromPageCache(_ directory: FilePath) throws {
    for name in try PosixFileSystem().list(directory) {
        let path = directory.appending(name)
        if try path.stat(followTargetSymlink: false).type == .directory {
            try dropFromPageCache(path)
            continue
        }
        let file = try FileDescriptor.open(path, .readOnly)
        defer { try? file.close() }
        fsync(file.rawValue)
        #if !canImport(Darwin)
            posix_fadvise(file.rawValue, 0, 0, POSIX_FADV_DONTNEED)
        #endif
    }
}

func makeDirectory(_ path: FilePath) throws { try PosixFileSystem().createDirectory(path) }

/// Puts a file in the place of another, and removes the directory that it came from.
func replace(_ target: FilePath, with source: FilePath) throws {
    let files = PosixFileSystem()
    try files.rename(source, to: target)
    let directory = source.removingLastComponent()
    for name in try files.list(directory) { try files.remove(directory.appending(name)) }
    _ = directory.withPlatformString { rmdir($0) }
}
