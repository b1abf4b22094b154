// SPDX-License-Identifier: Apache-2.0
import QuernStore
public import SystemPackage

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A directory of the operating system that is removed, with all that is in it, when the last reference goes.
public final class TemporaryDirectory: Sendable {
    public let path: FilePath

    /// Creates a directory under `TMPDIR`, or under `/tmp`.
    public init() throws(FileError) {
        let base = getenv("TMPDIR").map { FilePath(platformString: $0) } ?? "/tmp"
        path = base.appending("quern-\(String(UInt64.random(in: .min ... .max), radix: 36))")
        try PosixFileSystem().createDirectory(path)
    }

    deinit { Self.removeAll(path) }

    private static func removeAll(_ path: FilePath) {
        // Links are removed, not followed: a link to a directory is not listed.
        guard (try? path.stat(followTargetSymlink: false).type) == .directory else {
            try? PosixFileSystem().remove(path)
            return
        }
        for name in (try? PosixFileSystem().list(path)) ?? [] { removeAll(path.appending(name)) }
        _ = path.withPlatformString { rmdir($0) }
    }
}
