// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// What went wrong, on which file, and why.
public struct StoreError: Error, Sendable, Equatable {
    /// The kind of an error. New kinds may come, so that a `switch` over them needs a default.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String
        init(_ description: String) { self.description = description }

        /// Another writer, in this process or another, holds the store.
        public static let locked = Code("locked")
        /// There is no store at the path, which may lead nowhere.
        public static let notFound = Code("not found")
        /// The path is not a directory, or a file in it is not what its name says or belongs to another store.
        public static let notAStore = Code("not a store")
        /// The store was written by a version that this one cannot read.
        public static let unsupportedVersion = Code("unsupported version")
        /// Bytes that must be right are wrong: nothing was changed; the offline tool can salvage the rest.
        public static let damaged = Code("damaged")
        /// The writer replaced files while they were read: nothing is wrong. Refresh the ``MemoReader``, or try again.
        public static let storeChanged = Code("store changed")
        /// A file call failed. Nothing was acknowledged that is not on disk.
        public static let inputOutput = Code("input/output")
        /// The lock file was removed or replaced while the store was open, so that another writer may have the store
        /// now: whether the commits that get this error count is unknown, and this writer takes no more.
        public static let lockLost = Code("lock lost")
        /// The system has no thread left for what was asked. Nothing is lost; try again later.
        public static let noThread = Code("no thread")
        /// The disk or a quota is full. Nothing is lost; writing goes on when there is space.
        public static let noSpace = Code("no space")
        /// A sync failed: whether this batch is on disk is unknown, and the store takes no more (S4).
        public static let indeterminate = Code("indeterminate")
        /// An earlier write failed for good, so that this one was not tried.
        public static let poisoned = Code("poisoned")
        /// The transaction breaks a rule: an unknown task or parent, a second outcome, an end before its children's.
        public static let rejected = Code("rejected")
        /// A live task has the key of a spawn that was not to share it: see ``StoreError/task``.
        public static let duplicateKey = Code("duplicate key")
        /// A value is larger than the format allows.
        public static let tooLarge = Code("too large")
        /// The store was closed.
        public static let closed = Code("closed")
    }

    /// What kind of error it is.
    public var code: Code
    /// What was tried and what was wrong, for people.
    public var message: String
    /// The file that it is about.
    public var file: FilePath?
    /// The place in ``file``, in bytes.
    public var offset: Int?
    /// The live task that has the key, of ``Code/duplicateKey``; nil when it is spawned in the same batch.
    public var task: TaskID?
    /// The call that failed, when one did.
    public var cause: FileError?

    /// An error of the store, or of what is built on it.
    package init(
        _ code: Code, _ message: String, file: FilePath? = nil, offset: Int? = nil, cause: FileError? = nil,
        task: TaskID? = nil
    ) {
        self.code = code
        self.message = message
        self.file = file
        self.offset = offset
        self.cause = cause
        self.task = task
    }
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        var text = "\(code): \(message)"
        if let file { text += " [\(file)" + (offset.map { " at byte \($0)" } ?? "") + "]" }
        if let cause { text += ": \(cause)" }
        return text
    }
}

extension StoreError {
    /// The error that a failed file call means.
    package init(_ message: String, _ cause: FileError) {
        if cause.isLockLost {
            self.init(.lockLost, "\(message): \(FileError.lockLost)", file: cause.path, cause: cause)
        } else {
            self.init(
                cause.isNoSpace ? .noSpace : .inputOutput, message, file: cause.path, offset: cause.offset, cause: cause
            )
        }
    }

    /// Why there is no store to open at a path: the same for who writes, reads or inspects.
    init(_ message: String, opening directory: FilePath, _ cause: FileError) {
        switch cause.errno {
        case .notDirectory: self.init(.notAStore, "the path is not a directory", file: directory, cause: cause)
        case .noSuchFileOrDirectory: self.init(.notFound, "there is no store", file: directory, cause: cause)
        default: self.init(message, cause)
        }
    }

    /// Whether nothing is lost, the store goes on, and the same may succeed later: a full disk, too few threads or
    /// descriptors, no address space to map a file into, a lock file that cannot be looked at.
    public var isTransient: Bool {
        code == .noSpace || code == .noThread
            || (code == .inputOutput && (cause?.isLockUnknown == true || cause?.isOutOfResources == true))
    }

    /// Runs a file operation and says of its error what it was for.
    static func wrapping<Result>(
        _ message: String, _ body: () throws(FileError) -> Result
    ) throws(StoreError) -> Result {
        do throws(FileError) { return try body() } catch { throw StoreError(message, error) }
    }
}
