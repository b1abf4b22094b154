// SPDX-License-Identifier: Apache-2.0
public import Quern

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A small file that names the scan whose result was not yet printed.
///
/// The store knows which scans have not ended. This is for the moment between: a scan that ended just before the
/// process was killed is reported by the next run instead of being scanned again.
public struct PendingScan: Sendable {
    private let path: PathBytes

    public init(_ path: PathBytes) { self.path = path }

    /// The scan that was noted, if it was this one.
    public func id(of scan: CatalogScan) -> TaskID? {
        guard let file = path.withCString({ fopen($0, "re") }) else { return nil }
        defer { fclose(file) }
        let end = Self.note(of: scan)
        var text = [UInt8](repeating: 0, count: 32 + end.count)
        let count = fread(&text, 1, text.count, file)
        let digits = text[..<count].prefix { $0 != UInt8(ascii: "\n") }
        guard text[digits.endIndex..<count].elementsEqual(end) else { return nil }
        return UInt64(String(decoding: digits, as: UTF8.self)).map { TaskID($0) }
    }

    /// Replaces the file in one step.
    public func remember(_ id: TaskID, of scan: CatalogScan) throws(SnapshotError) {
        let temporary = PathBytes(path.bytes + Array(".new".utf8))
        let text = Array("\(id)".utf8) + Self.note(of: scan)
        guard let file = temporary.withCString({ fopen($0, "we") }) else {
            throw .failed(call: "open", errno: errno, temporary)
        }
        let written = fwrite(text, 1, text.count, file)
        guard fclose(file) == 0, written == text.count else { throw .failed(call: "write", errno: errno, temporary) }
        let renamed = temporary.withCString { from in path.withCString { rename(from, $0) } }
        guard renamed == 0 else { throw .failed(call: "rename", errno: errno, path) }
    }

    /// What stands behind the id: which scan it is of.
    private static func note(of scan: CatalogScan) -> [UInt8] {
        Array("\n\(scan.oneFileSystem ? "one file system" : "all")\n".utf8) + scan.root.bytes + [UInt8(ascii: "\n")]
    }

    public func forget() { _ = path.withCString { unlink($0) } }
}
