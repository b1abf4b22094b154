// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Why a directory could not be listed, and which.
public struct ListingError: Error, Hashable, Sendable {
    public var reason: ListingFailure
    public var path: PathBytes

    public init(_ reason: ListingFailure, at path: PathBytes) {
        self.reason = reason
        self.path = path
    }

    init(errno code: Int32, at path: PathBytes) { self.init(ListingFailure(errno: code), at: path) }
}

extension ListingError: CustomStringConvertible {
    public var description: String { "\(reason.reason): \(path)" }
}

/// The ways in which listing a directory fails.
public enum ListingFailure: Hashable, Sendable {
    case permissionDenied
    /// Gone since its parent was listed.
    case notFound
    /// Something else, a file or a link, has taken its place since its parent was listed.
    case notADirectory
    case nameTooLong
    case tooManyOpenFiles
    case outOfMemory
    case inputOutput
    /// The server of a network file system no longer knows it.
    case stale
    case other(errno: Int32)

    init(errno code: Int32) {
        self =
            switch code {
            case EACCES, EPERM: .permissionDenied
            case ENOENT: .notFound
            case ENOTDIR, ELOOP: .notADirectory
            case ENAMETOOLONG: .nameTooLong
            case EMFILE, ENFILE: .tooManyOpenFiles
            case ENOMEM: .outOfMemory
            case EIO: .inputOutput
            case ESTALE: .stale
            default: .other(errno: code)
            }
    }

    /// Short and stable: summaries group failures by it, and scripts may look for it.
    public var reason: String {
        switch self {
        case .permissionDenied: "permission denied"
        case .notFound: "not found"
        case .notADirectory: "not a directory"
        case .nameTooLong: "name too long"
        case .tooManyOpenFiles: "too many open files"
        case .outOfMemory: "out of memory"
        case .inputOutput: "input/output error"
        case .stale: "stale file handle"
        case .other(let code): "error \(code)"
        }
    }

    /// Whether the same call may well succeed a moment later.
    public var isTransient: Bool {
        switch self {
        case .tooManyOpenFiles, .outOfMemory: true
        default: false
        }
    }

    /// Whether there is no such directory any more, so that what it held counts as deleted.
    ///
    /// Every other failure leaves open what is there, and the previous scan's record of it stays in force.
    public var meansGone: Bool { self == .notFound || self == .notADirectory }
}
