// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A directory of its own below another one, for files that are to be measured and removed.
struct BenchDirectory {
    let path: FilePath

    init(in parent: FilePath) throws(FileError) {
        path = parent.appending("quern-bench-\(String(UInt64.random(in: .min ... .max), radix: 36))")
        try PosixFileSystem().createDirectory(path)
    }

    /// Removes it with all files in it and in the directories in it.
    func remove() {
        for name in (try? PosixFileSystem().list(path)) ?? [] {
            let inner = path.appending(name)
            if let names = try? PosixFileSystem().list(inner) {
                for name in names { try? PosixFileSystem().remove(inner.appending(name)) }
                _ = inner.withPlatformString { rmdir($0) }
            } else {
                try? PosixFileSystem().remove(inner)
            }
        }
        _ = path.withPlatformString { rmdir($0) }
    }
}
