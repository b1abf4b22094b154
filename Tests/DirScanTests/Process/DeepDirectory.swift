// SPDX-License-Identifier: Apache-2.0
@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A chain of directories with a file in each, made step by step, so that its path may be longer than the kernel takes.
final class DeepDirectory {
    /// Whether all of it could be made.
    private(set) var isComplete = true
    /// The innermost directory.
    private(set) var descriptor: Int32

    init(at path: PathBytes, name: [UInt8], depth: Int) {
        descriptor = path.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        for _ in 0..<depth { enter(name) }
    }

    deinit { close(descriptor) }

    /// Makes a directory with a file in the innermost one, and goes there.
    func enter(_ name: [UInt8]) {
        let next = PathBytes(name).withCString { name -> Int32 in
            if mkdirat(descriptor, name, 0o755) != 0 { return -1 }
            return openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        let file = openat(next, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        isComplete = isComplete && next >= 0 && file >= 0
        close(file)
        close(descriptor)
        descriptor = next
    }
}
