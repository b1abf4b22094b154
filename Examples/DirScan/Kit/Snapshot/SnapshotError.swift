// SPDX-License-Identifier: Apache-2.0

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
        case .notASnapshot(let path): "not a snapshot: \(path)"
        case .unsupportedVersion(let version, let path): "snapshot of unknown version \(version): \(path)"
        case .damaged(let part, let path): "damaged snapshot (\(part.rawValue)): \(path)"
        case .failed(let call, let code, let path): "\(call) failed with error \(code): \(path)"
        case .recordTooLong(let length): "record of \(length) bytes is too long for a snapshot"
        }
    }
}
