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

    public var id: TaskID? {
        guard let file = path.withCString({ fopen($0, "re") }) else { return nil }
        defer { fclose(file) }
        var digits = [UInt8](repeating: 0, count: 32)
        let count = fread(&digits, 1, digits.count, file)
        return UInt64(String(decoding: digits[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
            .map { TaskID($0) }
    }

    /// Replaces the file in one step.
    public func remember(_ id: TaskID) throws(SnapshotError) {
        let temporary = PathBytes(path.bytes + Array(".new".utf8))
        let text = Array("\(id)\n".utf8)
        guard let file = temporary.withCString({ fopen($0, "we") }) else {
            throw .failed(call: "fopen", errno: errno, temporary)
        }
        let written = fwrite(text, 1, text.count, file)
        guard fclose(file) == 0, written == text.count else { throw .failed(call: "write", errno: errno, temporary) }
        let renamed = temporary.withCString { from in path.withCString { rename(from, $0) } }
        guard renamed == 0 else { throw .failed(call: "rename", errno: errno, path) }
    }

    public func forget() { _ = path.withCString { unlink($0) } }
}
