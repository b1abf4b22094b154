// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import Synchronization
import SystemPackage

/// The files of a store as a reader gets them on a file system that is mounted read-only: every call that could change
/// something fails. Something may happen before each of the others.
final class ReaderFiles: FileSystem {
    typealias Hook = @Sendable (FileCall, FilePath) -> Void

    private let base: any FileSystem
    private let hook: Mutex<Hook?>
    private let refused = Mutex<[FileCall]>([])

    init(_ base: any FileSystem, beforeEach hook: Hook? = nil) {
        self.base = base
        self.hook = Mutex(hook)
    }

    /// The calls that would have changed something.
    var refusedCalls: [FileCall] { refused.withLock { $0 } }

    /// Sets what happens before each call. A hook does not hear of calls that are made in another one.
    func beforeEach(_ hook: Hook?) { self.hook.withLock { $0 = hook } }

    fileprivate func admit(_ call: FileCall, _ path: FilePath) {
        let hook = hook.withLock { $0 }
        hook?(call, path)
    }

    fileprivate func refuse(_ call: FileCall, _ path: FilePath) -> FileError {
        refused.withLock { $0.append(call) }
        return FileError(operation: "\(call)", path: path, errno: .readOnlyFileSystem)
    }

    func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        guard mode == .readOnly else { throw refuse(.open, path) }
        admit(.open, path)
        return ReaderFile(try base.open(path, mode), of: self)
    }

    func list(_ directory: FilePath) throws(FileError) -> [String] {
        admit(.list, directory)
        return try base.list(directory)
    }

    func createDirectory(_ path: FilePath) throws(FileError) { throw refuse(.createDirectory, path) }
    func rename(_ source: FilePath, to target: FilePath) throws(FileError) { throw refuse(.rename, source) }
    func remove(_ path: FilePath) throws(FileError) { throw refuse(.remove, path) }
    func synchronizeDirectory(_ path: FilePath) throws(FileError) { throw refuse(.synchronizeDirectory, path) }
    func lock(_ path: FilePath) throws(FileError) -> any FileLock { throw refuse(.lock, path) }
}

private final class ReaderFile: StoreFile {
    private let base: any StoreFile
    private let files: ReaderFiles
    var path: FilePath { base.path }

    init(_ base: any StoreFile, of files: ReaderFiles) {
        self.base = base
        self.files = files
    }

    func size() throws(FileError) -> Int {
        files.admit(.size, path)
        return try base.size()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        files.admit(.read, path)
        return try base.read(into: buffer, at: offset)
    }

    func map(length: Int) throws(FileError) -> FileMapping {
        files.admit(.map, path)
        return try base.map(length: length)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) { throw files.refuse(.write, path) }
    func synchronize() throws(FileError) { throw files.refuse(.synchronize, path) }
}
