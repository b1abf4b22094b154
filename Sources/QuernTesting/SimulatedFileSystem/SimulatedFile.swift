// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

/// An open file of a simulated file system. It stays with that one: after a crash it does not reach the new one.
final class SimulatedFile: StoreFile {
    let path: FilePath
    private let files: SimulatedFileSystem
    private let node: SimulatedNames.Node
    private let isWritable: Bool

    init(path: FilePath, on files: SimulatedFileSystem, _ node: SimulatedNames.Node, isWritable: Bool) {
        self.path = path
        self.files = files
        self.node = node
        self.isWritable = isWritable
    }

    deinit { files.withState { $0.release(node) } }

    func size() throws(FileError) -> Int {
        try files.perform(.size, path) { (state) throws(Errno) in state.content(node).live.count }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try files.perform(.read, path, at: offset) { (state) throws(Errno) in
            if buffer.isEmpty { return 0 }
            guard offset >= 0 else { throw .invalidArgument }
            return state.content(node).live.read(into: buffer, at: offset)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        let failing = { [node, isWritable] (state: inout SimulatedState, count: Int) in
            guard isWritable else { return }
            _ = state.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(count)), to: node, at: offset)
        }
        let (written, reason) = try files.perform(.write, path, at: offset, changing: true, failing: failing) {
            (state) throws(Errno) -> (Int, Errno?) in
            if bytes.isEmpty { return (0, nil) }
            guard offset >= 0 else { throw .invalidArgument }  // Said first, as Linux does.
            guard isWritable else { throw .badFileDescriptor }
            return state.write(bytes, to: node, at: offset)
        }
        if let reason {
            throw FileError(operation: "write", path: path, offset: offset + written, errno: reason)
        }
    }

    func synchronize() throws(FileError) {
        let failing = { [node] (state: inout SimulatedState, _: Int) -> Void in
            if state.monitor.plan.failedSynchronizeKeepsData {
                state.files[node]?.synchronize()
            } else {
                state.files[node]?.loseUnsynced()
            }
        }
        try files.perform(.synchronize, path, changing: true, failing: failing) { (state) throws(Errno) -> Void in
            state.files[node]?.synchronize()
        }
    }

    func map(length: Int) throws(FileError) -> FileMapping {
        try files.perform(.map, path) { (state) throws(Errno) in
            guard length >= 0, length <= state.content(node).live.count,
                let mapping = state.files[node]?.mapping(length: length)
            else { throw .invalidArgument }
            return mapping
        }
    }
}

extension SimulatedState {
    /// The content of an open file, which is there as long as it is open.
    func content(_ node: Node) -> SimulatedFileContent { files[node, default: SimulatedFileContent()] }
}
