// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The directory that a scan starts from, held open, so that all directories below are reached relative to it.
public final class ScanRoot: Sendable {
    public let path: PathBytes
    /// The file system of the root, for `--one-file-system`.
    let device: dev_t
    private let descriptor: Int32

    /// Opens the root to walk from, which needs no permission to list it: that it cannot be listed is for the scan to
    /// report, as with any other directory.
    ///
    /// - Parameter path: without links where it matters, as from ``resolve(_:)``; a link in the last place is refused.
    public init(_ path: PathBytes) throws(ListingError) {
        self.path = path
        let opened = path.withCString { Self.open(at: AT_FDCWD, $0, Self.toWalk) }
        if opened < 0 { throw ListingError(errno: -opened, at: path) }
        var status = stat()
        if fstat(opened, &status) != 0 {
            let code = errno
            close(opened)
            throw ListingError(errno: code, at: path)
        }
        device = status.st_dev
        descriptor = opened
    }

    deinit { close(descriptor) }

    /// The absolute path without links, dots and double slashes, so that a scan is the same scan from wherever it is
    /// started.
    public static func resolve(_ path: PathBytes) throws(ListingError) -> PathBytes {
        let resolved = path.withCString { realpath($0, nil) }
        guard let resolved else { throw ListingError(errno: errno, at: path) }
        defer { free(resolved) }
        return PathBytes([UInt8](UnsafeRawBufferPointer(start: resolved, count: strlen(resolved))))
    }

    /// Opens a directory below the root to list it. The caller closes the descriptor.
    ///
    /// The kernel takes paths of up to `PATH_MAX` bytes in one call, but trees may be deeper. A longer path is walked
    /// in pieces, each relative to the directory that the piece before it led to.
    ///
    /// - Note: No link is followed in the last place of a piece. A directory in the middle that is replaced by a link
    ///   while the scan runs is followed, as in any tool that hands whole paths to the kernel.
    func open(_ relative: PathBytes) throws(ListingError) -> Int32 {
        var base = descriptor
        defer { if base != descriptor { close(base) } }
        var rest = relative.bytes[...]
        while rest.count >= Int(PATH_MAX) {
            guard let cut = rest.prefix(Int(PATH_MAX)).lastIndex(of: PathBytes.slash) else {
                throw ListingError(.nameTooLong, at: relative)
            }
            let next = PathBytes.withCString(rest[..<cut]) { Self.open(at: base, $0, Self.toWalk) }
            if next < 0 { throw ListingError(errno: -next, at: relative) }
            if base != descriptor { close(base) }
            base = next
            rest = rest[(cut + 1)...]
        }
        let opened =
            rest.isEmpty
            ? Self.open(at: base, ".", Self.toList)
            : PathBytes.withCString(rest) { Self.open(at: base, $0, Self.toList) }
        if opened < 0 { throw ListingError(errno: -opened, at: relative) }
        return opened
    }

    /// A descriptor, or the negative error number.
    private static func open(at base: Int32, _ path: UnsafePointer<CChar>, _ flags: Int32) -> Int32 {
        while true {
            let opened = openat(base, path, flags)
            if opened >= 0 { return opened }
            if errno != EINTR { return -errno }
        }
    }

    private static let toList = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC

    #if os(Linux)
        /// `O_PATH`, which Glibc's module does not show: walking needs permission to search, not to list.
        private static let toWalk = 0x20_0000 | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    #else
        private static let toWalk = toList
    #endif
}
