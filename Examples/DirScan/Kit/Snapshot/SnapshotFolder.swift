// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The snapshots of a store, one a scan, named after the scan's task id.
///
/// A scan is compared with the latest snapshot of an *earlier* scan. Its own gets its own name and replaces nothing: a
/// `finalize` that was killed after it had put its snapshot in place finds the previous one when it repeats, and comes
/// to the same sums. Older ones go when the next scan starts (``removeAll(before:)``).
struct SnapshotFolder: Sendable {
    let path: PathBytes

    init(_ path: PathBytes) { self.path = path }

    /// Creates the folder. It is no error when it is there already.
    func create() throws(SnapshotError) {
        if path.withCString({ mkdir($0, 0o700) }) != 0 && errno != EEXIST {
            throw .failed(call: "mkdir", errno: errno, path)
        }
    }

    func file(of scan: UInt64) -> PathBytes { path.appending("\(Self.prefix)\(scan)") }

    /// The latest scan before `scan` that left a snapshot. The same answer however often a scan is resumed.
    func latest(before scan: UInt64) throws(SnapshotError) -> UInt64? {
        try names().compactMap(Self.scan).filter { $0 < scan }.max()
    }

    /// Removes the snapshots of scans before `scan`, and what interrupted writers left of them.
    func removeAll(before scan: UInt64) throws(SnapshotError) {
        for name in try names() {
            let stem = name.prefix { $0 != UInt8(ascii: ".") }
            guard let owner = Self.scan(of: Array(stem)), owner < scan else { continue }
            if path.appending(name).withCString({ unlink($0) }) != 0 && errno != ENOENT {
                throw .failed(call: "unlink", errno: errno, path.appending(name))
            }
        }
    }

    private static let prefix = "snapshot-"

    private static func scan(of name: [UInt8]) -> UInt64? {
        let text = String(decoding: name, as: UTF8.self)
        return text.hasPrefix(prefix) ? UInt64(text.dropFirst(prefix.count)) : nil
    }

    private func names() throws(SnapshotError) -> [[UInt8]] {
        guard let stream = path.withCString({ opendir($0) }) else {
            throw .failed(call: "opendir", errno: errno, path)
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
            let length = strlen(name.assumingMemoryBound(to: CChar.self))
            names.append([UInt8](UnsafeRawBufferPointer(start: name, count: length)))
        }
        if errno != 0 { throw .failed(call: "readdir", errno: errno, path) }
        return names
    }
}
