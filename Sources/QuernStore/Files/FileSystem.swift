// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// The only door to the operating system (S16): the store makes every file call through it, so that tests can put
/// a simulated one in its place that loses unsynced writes, tears them, fills up and fails calls.
///
/// All calls block; none may run on the cooperative pool.
public protocol FileSystem: Sendable {
    /// Opens a file. Files are created with mode 0600, and links are not followed in the last component.
    func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile

    /// The names in a directory, without `.` and `..`, in no order.
    func list(_ directory: FilePath) throws(FileError) -> [String]

    /// Creates a directory with mode 0700, its missing parents too; durable at return. It is no error when it is there
    /// already.
    func createDirectory(_ path: FilePath) throws(FileError)

    /// Replaces `target` by `source` in one step. Durable after ``synchronizeDirectory(_:)``.
    func rename(_ source: FilePath, to target: FilePath) throws(FileError)

    /// Removes a file. What is mapped or open stays readable. Durable after ``synchronizeDirectory(_:)``.
    func remove(_ path: FilePath) throws(FileError)

    /// Makes the names in a directory durable.
    func synchronizeDirectory(_ path: FilePath) throws(FileError)

    /// Opens a directory whose names are to be made durable in a moment: what that takes of the system is taken now,
    /// while nothing is changed yet.
    func openDirectory(_ path: FilePath) throws(FileError) -> any DirectoryHandle

    /// Takes an exclusive lock on a file (created when missing), without waiting.
    ///
    /// - Throws: `FileError` with ``Errno/resourceTemporarilyUnavailable`` when another process or another lock
    ///   of this process holds it.
    func lock(_ path: FilePath) throws(FileError) -> any FileLock
}

extension FileSystem {
    /// For file systems of one's own, in which a directory need not be open to be made durable.
    public func openDirectory(_ path: FilePath) throws(FileError) -> any DirectoryHandle {
        UnopenedDirectory(fileSystem: self, path: path)
    }
}

/// An open directory.
public protocol DirectoryHandle: AnyObject, Sendable {
    /// Makes the names in it durable.
    func synchronize() throws(FileError)
}

private final class UnopenedDirectory: DirectoryHandle {
    private let fileSystem: any FileSystem
    private let path: FilePath

    init(fileSystem: any FileSystem, path: FilePath) {
        self.fileSystem = fileSystem
        self.path = path
    }

    func synchronize() throws(FileError) { try fileSystem.synchronizeDirectory(path) }
}

/// How a file is opened.
public enum FileOpenMode: Sendable {
    /// An existing file, to read.
    case readOnly
    /// An existing file, to read and write.
    case readWrite
    /// A new file, to read and write; an error when the name is taken.
    case createNew
}

/// A lock that holds until it is released or its last reference goes.
public protocol FileLock: AnyObject, Sendable {
    /// What the holder wrote into the file.
    func read() throws(FileError) -> String
    /// Replaces the content of the file, for the message that a second writer sees.
    func write(_ holder: String) throws(FileError)
    /// Checks that the lock excludes others still: that its name leads to the file that is locked.
    ///
    /// - Throws: `FileError` of the operation `lock` with ``Errno/staleNFSFileHandle`` when the file was removed or
    ///   replaced; another one when that cannot be told.
    func check() throws(FileError)
    /// Lets others take the lock. Releasing it twice is no error.
    func release()
}

/// An open file. Safe to use from several threads; writes at distinct places do not disturb each other.
public protocol StoreFile: AnyObject, Sendable {
    /// The name under which it was opened.
    var path: FilePath { get }

    /// The length in bytes.
    func size() throws(FileError) -> Int

    /// Reads up to `buffer.count` bytes at `offset`. Fewer only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int

    /// Writes all bytes at `offset`, or throws.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError)

    /// Gives back the space of bytes that nobody needs, as far as that is possible: they read as zeros then, or as
    /// before, and the length stays, so that mappings stay valid. Does nothing unless it is implemented.
    func discard(_ range: Range<Int>)

    /// Returns when what was written is on disk (fdatasync; F_FULLFSYNC on macOS).
    func synchronize() throws(FileError)

    /// Maps the first `length` bytes to read. `length` must not exceed the size of the file.
    func map(length: Int) throws(FileError) -> FileMapping
}

extension StoreFile {
    public func discard(_ range: Range<Int>) {}

    func write(_ writer: ByteWriter, at offset: Int) throws(FileError) { try write(writer.bytes, at: offset) }

    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        try bytes.withUnsafeBytesThrowing { (bytes) throws(FileError) in try write(bytes, at: offset) }
    }
}

/// A file call that failed: which, on what, and the system's reason.
public struct FileError: Error, Sendable, Equatable {
    /// The call: "open", "write", "fdatasync".
    public var operation: String
    /// The file or directory.
    public var path: FilePath
    /// The place in the file, in bytes, for calls that have one.
    public var offset: Int?
    /// The system's reason.
    public var errno: Errno

    /// An error of a call, for file systems of one's own.
    public init(operation: String, path: FilePath, offset: Int? = nil, errno: Errno) {
        self.operation = operation
        self.path = path
        self.offset = offset
        self.errno = errno
    }
}

extension FileError {
    /// Whether the call failed for want of space and can be made again once there is some. A sync cannot, whatever
    /// its reason: what it did not write may be lost, and the next one would not tell (S4).
    var isNoSpace: Bool {
        (errno == .noSpace || errno == .diskQuotaExceeded) && operation != "fdatasync" && operation != "fsync"
    }

    /// What ``FileLock/check()`` found.
    var isLockLost: Bool { operation == "lock" && errno == .staleNFSFileHandle }

    /// No descriptor was left for what was to be opened, or no memory for what was to be mapped: nothing has happened,
    /// and there may be some later. A sync is not among them, which comes behind a rename.
    var isOutOfResources: Bool {
        switch operation {
        case "open", "list": errno == .tooManyOpenFiles || errno == .tooManyOpenFilesInSystem
        case "mmap": errno == .noMemory
        default: false
        }
    }

    static let lockLost = "the lock file was removed or replaced, and another writer may have the store"

    /// A look at a lock that told nothing, or a lock that could not be taken: nothing was written behind it.
    var isLockUnknown: Bool { operation == "lock" && errno != .staleNFSFileHandle }

    /// What ``FileSystem/lock(_:)`` found.
    var isLockTaken: Bool { errno == .resourceTemporarilyUnavailable || errno == .wouldBlock }
}

extension FileError: CustomStringConvertible {
    public var description: String {
        let place = offset.map { " at byte \($0)" } ?? ""
        return "\(operation) \(path)\(place): \(errno)"
    }
}
