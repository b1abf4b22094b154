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

    var store: FilePath { FilePath(directory.appending("tasks")) }
    var snapshots: PathBytes { directory.appending("snapshots") }
    var pending: PathBytes { directory.appending("pending-scan") }

    /// - Parameter path: what the caller chose; nil for a folder of this tree's own in the user's cache.
    init(_ path: PathBytes?, for root: PathBytes) throws(CommandError) {
        if let path {
            guard !path.isEmpty else { throw CommandError(.usage, "--store takes a directory, and got nothing") }
            directory = path
        } else {
            guard let cache = Self.cache else {
                throw CommandError(.usage, "neither XDG_CACHE_HOME nor HOME is set: say where with --store")
            }
            directory = cache.appending("dirscan").appending(root.stableName)
        }
        try Self.createDirectories(directory)
    }

    private static var cache: PathBytes? {
        environment("XDG_CACHE_HOME") ?? environment("HOME")?.appending(".cache")
    }

    private static func environment(_ name: String) -> PathBytes? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return PathBytes([UInt8](UnsafeRawBufferPointer(start: value, count: strlen(value))))
    }

    private static func createDirectories(_ path: PathBytes) throws(CommandError) {
        do { try create(path) } catch { throw CommandError(.inputOutput, "cannot create \(path): \(error)") }
    }

    private static func create(_ path: PathBytes) throws(Errno) {
        switch make(path) {
        case 0: return
        case EEXIST:
            if isDirectory(path) { return }
            throw .notDirectory
        case ENOENT:
            guard let parent = path.parent, !parent.isEmpty else { throw .noSuchFileOrDirectory }
            try create(parent)
            let code = make(path)
            if code != 0, code != EEXIST { throw Errno(rawValue: code) }
        case let code: throw Errno(rawValue: code)
        }
    }

    /// - Returns: 0, or the error number.
    private static func make(_ path: PathBytes) -> Int32 {
        FilePath(path).withPlatformString { mkdir($0, 0o700) == 0 ? 0 : errno }
    }

    private static func isDirectory(_ path: PathBytes) -> Bool {
        var status = stat()
        return FilePath(path).withPlatformString { stat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}

extension FilePath {
    /// The same path, byte for byte.
    fileprivate init(_ path: PathBytes) {
        self.init(platformString: path.bytes.map { CChar(bitPattern: $0) } + [0])
    }
}
