// SPDX-License-Identifier: Apache-2.0
import DirScanKit
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where the scans of one tree are kept: the task store, the snapshots, and which scan was not reported yet.
struct StorePlace: Sendable {
    private let directory: PathBytes

    var store: FilePath { FilePath(String(decoding: directory.appending("tasks").bytes, as: UTF8.self)) }
    var snapshots: PathBytes { directory.appending("snapshots") }
    var pending: PathBytes { directory.appending("pending-scan") }

    /// - Parameter path: what the caller chose; nil for a folder of this tree's own in the user's cache.
    init(_ path: String?, for root: PathBytes) throws {
        if let path {
            directory = PathBytes(path)
        } else {
            guard let cache = Self.cache else {
                throw UsageError(message: "neither XDG_CACHE_HOME nor HOME is set: say where with --store")
            }
            directory = PathBytes(cache + "/dirscan/" + root.stableName)
        }
        try Self.createDirectories(directory)
    }

    private static var cache: String? {
        if let cache = getenv("XDG_CACHE_HOME"), cache.pointee != 0 { return String(cString: cache) }
        if let home = getenv("HOME"), home.pointee != 0 { return String(cString: home) + "/.cache" }
        return nil
    }

    private static func createDirectories(_ path: PathBytes) throws {
        do { try PosixDirectory.create(path) } catch {
            throw UsageError(message: "cannot create \(path): \(error)")
        }
    }
}

private enum PosixDirectory {
    static func create(_ path: PathBytes) throws(Errno) {
        if make(path) { return }
        let code = errno
        if code == EEXIST { return }
        guard code == ENOENT, let parent = path.parent, !parent.isEmpty else { throw Errno(rawValue: code) }
        try create(parent)
        if !make(path), errno != EEXIST { throw Errno(rawValue: errno) }
    }

    private static func make(_ path: PathBytes) -> Bool {
        FilePath(String(decoding: path.bytes, as: UTF8.self)).withCString { mkdir($0, 0o700) } == 0
    }
}
