// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// The files of the operating system.
///
/// ```swift
/// let files = PosixFileSystem()
/// let file = try files.open("/srv/store/segment.new", .createNew)
/// try file.write(bytes, at: 0)
/// try file.synchronize()                                    // the content is on disk
/// try files.rename("/srv/store/segment.new", to: "/srv/store/segment")
/// try files.synchronizeDirectory("/srv/store")              // and now its name too
/// ```
///
/// Files are created with mode 0600 and directories with 0700, less what the umask takes away. Every descriptor is
/// closed on exec. The value has no state: all copies are the same file system.
public struct PosixFileSystem: FileSystem {
    /// The file system of the process.
    public init() {}

    /// Opens a regular file.
    ///
    /// A directory, link, pipe or device under the name is an error, so that nothing planted in a store's directory can
    /// make the store hang or write elsewhere.
    ///
    /// The corresponding C function is `open`, with `O_NOFOLLOW` and `O_CLOEXEC`.
    public func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        try FileError.naming("open", path) {
            // Not blocking matters for a pipe only, whose open would otherwise wait for the other end.
            var options: FileDescriptor.OpenOptions = [.closeOnExec, .noFollow, .nonBlocking]
            if mode == .createNew { options.formUnion([.create, .exclusiveCreate]) }
            let descriptor = try FileDescriptor.open(
                path, mode == .readOnly ? .readOnly : .readWrite, options: options, permissions: .ownerReadWrite)
            let file = PosixFile(path: path, taking: descriptor)
            switch try descriptor.stat().type {
            case .regular: return file
            case .directory: throw Errno.isDirectory
            default: throw Errno.invalidArgument
            }
        }
    }

    /// The corresponding C function is `readdir`.
    public func list(_ directory: FilePath) throws(FileError) -> [String] {
        try FileError.naming("list", directory) {
            try SystemCalls.names(inDirectory: directoryDescriptor(directory))
        }
    }

    /// The corresponding C function is `mkdir`.
    public func createDirectory(_ path: FilePath) throws(FileError) {
        try FileError.naming("mkdir", path) { try makeDirectories(path) }
    }

    private func makeDirectories(_ path: FilePath) throws {
        do {
            try SystemCalls.makeDirectory(path)
            try synchronizeParent(of: path)
        } catch Errno.fileExists {
            guard try path.stat().type == .directory else { throw Errno.fileExists }
        } catch Errno.noSuchFileOrDirectory {
            let parent = path.removingLastComponent()
            guard !parent.isEmpty, parent != path else { throw Errno.noSuchFileOrDirectory }
            try makeDirectories(parent)
            do {
                try SystemCalls.makeDirectory(path)
            } catch Errno.fileExists {
                // Another process was faster.
                guard try path.stat().type == .directory else { throw Errno.fileExists }
            }
            try synchronizeParent(of: path)
        }
    }

    private func synchronizeParent(of path: FilePath) throws {
        let parent = path.removingLastComponent()
        try synchronizeDirectory(parent.isEmpty ? "." : parent)
    }

    /// The corresponding C function is `rename`. The error names the source.
    public func rename(_ source: FilePath, to target: FilePath) throws(FileError) {
        try FileError.naming("rename", source) { try SystemCalls.rename(source, to: target) }
    }

    /// The corresponding C function is `unlink`.
    public func remove(_ path: FilePath) throws(FileError) {
        try FileError.naming("remove", path) { try SystemCalls.unlink(path) }
    }

    /// The corresponding C function is `fsync`, on the directory.
    public func synchronizeDirectory(_ path: FilePath) throws(FileError) {
        try FileError.naming("fsync", path) {
            let descriptor = try directoryDescriptor(path)
            defer { try? descriptor.close() }
            try descriptor.synchronizeAll()
        }
    }

    /// The corresponding C function is `open`.
    public func openDirectory(_ path: FilePath) throws(FileError) -> any DirectoryHandle {
        try FileError.naming("open", path) { PosixDirectory(path: path, taking: try directoryDescriptor(path)) }
    }

    /// The corresponding C function is `flock`.
    public func lock(_ path: FilePath) throws(FileError) -> any FileLock {
        try FileError.naming("lock", path) { try PosixFileLock(path) }
    }

    private func directoryDescriptor(_ path: FilePath) throws -> FileDescriptor {
        try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
    }
}

extension FileError {
    /// Runs a call, and gives the `Errno` that it throws a name and a place.
    static func naming<Value>(
        _ operation: String, _ path: FilePath, at offset: Int? = nil, _ call: () throws -> Value
    ) throws(FileError) -> Value {
        do {
            return try call()
        } catch let error as FileError {
            // Of a call within the call, which knows its own name and place.
            throw error
        } catch {
            // The calls below throw nothing else but `Errno`.
            let reason = error as? Errno ?? .ioError
            throw FileError(operation: operation, path: path, offset: offset, errno: reason)
        }
    }
}
