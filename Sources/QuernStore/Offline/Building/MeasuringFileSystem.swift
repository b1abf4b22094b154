// SPDX-License-Identifier: Apache-2.0
import Synchronization
package import SystemPackage

/// A file system that forgets what is written to it but for the lengths: a store that is built in it tells how large
/// it would be. What was written is zeros when it is read.
package final class MeasuringFileSystem: FileSystem {
    private let sizes = Mutex<[FilePath: Int]>([:])

    package init() {}

    /// Bytes in all files.
    package var bytes: Int { sizes.withLock { $0.values.reduce(0, +) } }

    package func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        try sizes.withLock { (sizes) throws(FileError) in
            guard (sizes[path] == nil) == (mode == .createNew) else {
                throw FileError(
                    operation: "open", path: path, errno: mode == .createNew ? .fileExists : .noSuchFileOrDirectory)
            }
            if mode == .createNew { sizes[path] = 0 }
        }
        return File(path: path, in: self)
    }

    package func list(_ directory: FilePath) throws(FileError) -> [String] {
        sizes.withLock { sizes in sizes.keys.compactMap { $0.lastComponent?.string } }
    }

    package func createDirectory(_ path: FilePath) throws(FileError) {}

    package func rename(_ source: FilePath, to target: FilePath) throws(FileError) {
        sizes.withLock { $0[target] = $0.removeValue(forKey: source) }
    }

    package func remove(_ path: FilePath) throws(FileError) {
        guard sizes.withLock({ $0.removeValue(forKey: path) }) != nil else {
            throw FileError(operation: "remove", path: path, errno: .noSuchFileOrDirectory)
        }
    }

    package func synchronizeDirectory(_ path: FilePath) throws(FileError) {}

    /// There is nobody to exclude.
    package func lock(_ path: FilePath) throws(FileError) -> any FileLock { Lock() }

    private final class Lock: FileLock {
        func read() throws(FileError) -> String { "" }
        func write(_ holder: String) throws(FileError) {}
        func check() throws(FileError) {}
        func release() {}
    }

    private final class File: StoreFile {
        let path: FilePath
        private let files: MeasuringFileSystem

        init(path: FilePath, in files: MeasuringFileSystem) {
            self.path = path
            self.files = files
        }

        func size() throws(FileError) -> Int { files.sizes.withLock { $0[path] ?? 0 } }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
            let count = min(buffer.count, max(0, try size() - offset))
            buffer[..<count].initializeMemory(as: UInt8.self, repeating: 0)
            return count
        }

        func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
            files.sizes.withLock { $0[path] = max($0[path] ?? 0, offset + bytes.count) }
        }

        func synchronize() throws(FileError) {}

        func map(length: Int) throws(FileError) -> FileMapping {
            throw FileError(operation: "mmap", path: path, errno: .notSupported)
        }
    }
}
