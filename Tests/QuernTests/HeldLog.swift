// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// Files in memory, whose logs can be held: who writes to one waits until it is released.
final class HeldLog: FileSystem {
    private struct State: Sendable {
        var isHeld = false
        var waiting = 0
    }

    private final class File: StoreFile {
        private let base: any StoreFile
        private let files: HeldLog
        init(_ base: any StoreFile, _ files: HeldLog) { (self.base, self.files) = (base, files) }

        var path: FilePath { base.path }
        func size() throws(FileError) -> Int { try base.size() }
        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
            try base.read(into: buffer, at: offset)
        }
        func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
            files.pass()
            try base.write(bytes, at: offset)
        }
        func synchronize() throws(FileError) { try base.synchronize() }
        func map(length: Int) throws(FileError) -> FileMapping { try base.map(length: length) }
    }

    let base = SimulatedFileSystem()
    private let state = Monitor(State())

    func hold() { state.withLockWakingAll { $0.isHeld = true } }
    func release() { state.withLockWakingAll { $0.isHeld = false } }
    var isWaiting: Bool { state.update { state, _ in state.waiting > 0 } }

    private func pass() {
        state.withLockWakingAll { $0.waiting += 1 }
        state.wait { state, _ in state.isHeld ? nil : () }
        state.withLockWakingAll { $0.waiting -= 1 }
    }

    func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        let file = try base.open(path, mode)
        return path.string.contains("/log-") ? File(file, self) : file
    }
    func list(_ directory: FilePath) throws(FileError) -> [String] { try base.list(directory) }
    func createDirectory(_ path: FilePath) throws(FileError) { try base.createDirectory(path) }
    func rename(_ source: FilePath, to target: FilePath) throws(FileError) { try base.rename(source, to: target) }
    func remove(_ path: FilePath) throws(FileError) { try base.remove(path) }
    func synchronizeDirectory(_ path: FilePath) throws(FileError) { try base.synchronizeDirectory(path) }
    func lock(_ path: FilePath) throws(FileError) -> any FileLock { try base.lock(path) }
}
