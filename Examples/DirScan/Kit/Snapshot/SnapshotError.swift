// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Why a snapshot could not be read or written.
public enum SnapshotError: Error, Equatable, Sendable {
    /// The file does not begin as a snapshot does.
    case notASnapshot(PathBytes)
    /// Written by a newer program.
    case unsupportedVersion(UInt32, PathBytes)
    /// What is in the file is not what was written.
    case damaged(SnapshotPart, PathBytes)
    /// A system call failed.
    case failed(call: String, errno: Int32, PathBytes)
    /// The record of a directory is longer than a snapshot can hold, 4 GiB.
    case recordTooLong(Int)
}

public enum SnapshotPart: String, Sendable {
    case length, header, index, record
}

extension SnapshotError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notASnapshot(let path): "not a snapshot: \(path); \(Self.wayOut)"
        case .unsupportedVersion(let version, let path):
            "snapshot of version \(version), which only a newer dirscan can read: \(path); \(Self.wayOut)"
        case .damaged(let part, let path): "damaged snapshot (\(part.rawValue)): \(path); \(Self.wayOut)"
        case .failed(let call, let code, let path): "cannot \(call) \(path): \(String(cString: strerror(code)))"
        case .recordTooLong(let length): "record of \(length) bytes is too long for a snapshot"
        }
    }

    /// Nothing is decided for the user: without the snapshot a whole tree would look new to whoever acts on the report.
    private static let wayOut =
        "put it back from a backup, or remove it and let its files count as discovered; then start again"
}
