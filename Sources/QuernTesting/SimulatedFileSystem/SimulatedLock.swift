// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization
import SystemPackage

/// A lock on a file of a simulated file system.
final class SimulatedLock: FileLock {
    private let path: FilePath
    private let files: SimulatedFileSystem
    private let node: SimulatedNames.Node
    private let isHeld = Mutex(true)

    init(_ path: FilePath, on files: SimulatedFileSystem, _ node: SimulatedNames.Node) {
        self.path = path
        self.files = files
        self.node = node
    }

    deinit { release() }

    func read() throws(FileError) -> String {
        try requireHeld("read")
        return try files.perform(.read, path) { (state) throws(Errno) in
            String(decoding: state.content(node).live.array, as: UTF8.self)
        }
    }

    func write(_ holder: String) throws(FileError) {
        try requireHeld("write")
        let (_, reason) = try files.perform(.write, path, changing: true) { (state) throws(Errno) -> (Int, Errno?) in
            let bytes = Array(holder.utf8)
            let result = bytes.withUnsafeBytes { state.write($0, to: node, at: 0) }
            if result.1 == nil { state.files[node]?.resize(to: bytes.count) }
            return result
        }
        if let reason { throw FileError(operation: "write", path: path, errno: reason) }
    }

    /// Passes on a machine that has stopped: the call that comes next fails.
    func check() throws(FileError) {
        try requireHeld("lock")
        if files.isStopped { return }
        try files.perform(.checkLock, path) { (state) throws(Errno) in
            guard (try? state.locate(path))?.node == node else { throw .staleNFSFileHandle }
        }
    }

    /// Never fails, as it is also what the end of a process does.
    func release() {
        isHeld.withLock { isHeld in
            guard isHeld else { return }
            isHeld = false
            files.withState { state in
                state.locked.remove(node)
                state.release(node)
            }
        }
    }

    private func requireHeld(_ operation: String) throws(FileError) {
        if !isHeld.withLock({ $0 }) {
            throw FileError(operation: operation, path: path, errno: .badFileDescriptor)
        }
    }
}
