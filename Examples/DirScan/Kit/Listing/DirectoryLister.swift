// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Lists one directory a call, with `openat`, `readdir` and `fstatat` alone. Calls block: they belong on threads of
/// their own.
///
/// The type that `readdir` reports tells directories apart, so they cost no `fstatat`, except where the file system
/// reports no type and under `oneFileSystem`. Everything else is asked for its size, time and mode. Names are hashed
/// where the kernel put them; only those of sub-directories are kept. Memory is 16 bytes an entry, plus those names.
public struct DirectoryLister: Sendable {
    public let root: ScanRoot
    public let oneFileSystem: Bool

    public init(root: ScanRoot, oneFileSystem: Bool = false) {
        self.root = root
        self.oneFileSystem = oneFileSystem
    }

    /// Lists a directory, named relative to the root.
    ///
    /// What vanishes between its name and its `fstatat` was not there. Any other failed `fstatat` fails the listing:
    /// in a directory that may be read but not searched, that is all of them, and half a listing would make the
    /// other half look deleted.
    ///
    /// - Complexity: O(n log n) in the number of entries.
    func list(_ path: PathBytes) throws(ListingError) -> DirectoryListing {
        let descriptor = try root.open(path)
        guard let stream = fdopendir(descriptor) else {
            let code = errno
            close(descriptor)
            throw ListingError(errno: code, at: path)
        }
        defer { closedir(stream) }
        var listing = DirectoryListing()
        var status = stat()
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw ListingError(errno: errno, at: path) }
                break
            }
            let name = UnsafeRawPointer(entry) + Self.nameOffset
            let text = name.assumingMemoryBound(to: CChar.self)
            let bytes = UnsafeRawBufferPointer(start: name, count: strlen(text))
            if Self.isDot(bytes) { continue }

            let type = entry.pointee.d_type
            if type == Self.directoryType && !oneFileSystem {
                listing.subdirectories.append(bytes)
                continue
            }
            if fstatat(descriptor, text, &status, AT_SYMLINK_NOFOLLOW) != 0 {
                if errno == ENOENT { continue }
                throw ListingError(errno: errno, at: path)
            }
            if status.st_mode & S_IFMT != S_IFDIR {
                listing.entries.append(EntryRecord(name: bytes, status: status))
                listing.bytes &+= UInt64(clamping: status.st_size)
            } else if oneFileSystem && status.st_dev != root.device {
                listing.otherFileSystems.append(bytes)
            } else {
                listing.subdirectories.append(bytes)
            }
        }
        listing.entries.sort()
        return listing
    }

    private static let directoryType = UInt8(DT_DIR)

    /// Names follow the fixed part of the kernel's record, which is as long as its name needs: it must not be read as
    /// a whole `dirent`.
    private static let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name)!

    /// Whether a name is `.` or `..`.
    private static func isDot(_ name: UnsafeRawBufferPointer) -> Bool {
        guard name.count <= 2, name.first == UInt8(ascii: ".") else { return false }
        return name.count == 1 || name[1] == UInt8(ascii: ".")
    }
}
