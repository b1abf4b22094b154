// SPDX-License-Identifier: Apache-2.0

/// The kinds of calls that a file system takes, as fault plans and counters name them.
public enum FileCall: String, CaseIterable, Hashable, Sendable {
    case open, list, createDirectory, rename, remove, synchronizeDirectory, lock, checkLock
    case size, read, write, synchronize, map

    /// The name that a `FileError` gives to the call, the same as the operating system's file system uses.
    var operation: String {
        switch self {
        case .createDirectory: "mkdir"
        case .synchronizeDirectory: "fsync"
        case .size: "stat"
        case .synchronize: "fdatasync"
        case .map: "mmap"
        case .checkLock: "lock"
        case .open, .list, .rename, .remove, .lock, .read, .write: rawValue
        }
    }
}
