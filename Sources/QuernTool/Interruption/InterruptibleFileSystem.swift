// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

/// The files of a command that makes something: once it is interrupted, each call that would go on with the work
/// fails with ``Errno/interrupted``. So whatever the command is at, it ends as after any error of the disk, and removes
/// what it made, for which looking into directories and removing go on.
struct InterruptibleFileSystem: FileSystem {
    private let files: any FileSystem
    private let isInterrupted: @Sendable () -> Bool

    init(
        _ files: any FileSystem = PosixFileSystem(),
        isInterrupted: @escaping @Sendable () -> Bool = { Interruption.isRequested }
    ) {
        self.files = files
        self.isInterrupted = isInterrupted
    }

    private func check(_ operation: String, _ path: FilePath) throws(FileError) {
        if isInterrupted() { throw FileError(operation: operation, path: path, errno: .interrupted) }
    }

    func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        try check("open", path)
        return InterruptibleFile(file: try files.open(path, mode), check: check)
    }

    func list(_ directory: FilePath) throws(FileError) -> [String] { try files.list(directory) }

    func createDirectory(_ path: FilePath) throws(FileError) {
        try check("mkdir", path)
        try files.createDirectory(path)
    }

    func rename(_ source: FilePath, to target: FilePath) throws(FileError) {
        try check("rename", source)
        try files.rename(source, to: target)
    }

    func remove(_ path: FilePath) throws(FileError) { try files.remove(path) }

    /// What is renamed already is finished in order.
    func synchronizeDirectory(_ path: FilePath) throws(FileError) { try files.synchronizeDirectory(path) }

    func lock(_ path: FilePath) throws(FileError) -> any FileLock {
        try check("lock", path)
        return try files.lock(path)
    }
}

private final class InterruptibleFile: StoreFile {
    private let file: any StoreFile
    private let check: @Sendable (_ operation: String, _ path: FilePath) throws(FileError) -> Void

    init(
        file: any StoreFile,
        check: @escaping @Sendable (_ operation: String, _ path: FilePath) throws(FileError) -> Void
    ) {
        self.file = file
        self.check = check
    }

    var path: FilePath { file.path }
    func size() throws(FileError) -> Int { try file.size() }
    func discard(_ range: Range<Int>) { file.discard(range) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try check("read", path)
        return try file.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try check("write", path)
        try file.write(bytes, at: offset)
    }

    func synchronize() throws(FileError) {
        try check("fdatasync", path)
        try file.synchronize()
    }

    func map(length: Int) throws(FileError) -> FileMapping { try file.map(length: length) }
}
