// SPDX-License-Identifier: Apache-2.0
public import QuernStore
public import SystemPackage

/// A look at files, and damage to them, past the counted calls and the planned faults.
///
/// What these functions change is in memory and on the disk at once, as a bad disk or another program would leave it,
/// and the rest of the file is durable from then on too.
extension SimulatedFileSystem {
    /// All bytes of a file as a reader sees them, or nil when there is no file of that name.
    public func contents(_ path: FilePath) -> [UInt8]? {
        withState { state in
            guard let node = try? state.file(path) else { return nil }
            return state.content(node).live.array
        }
    }

    /// All bytes of a file that are on the disk, or nil when there is no file of that name.
    public func durableContents(_ path: FilePath) -> [UInt8]? {
        withState { state in
            guard let node = try? state.file(path) else { return nil }
            return state.content(node).durable.array
        }
    }

    /// Inverts one bit.
    ///
    /// - Precondition: the file has that byte, and `bit` is 0 to 7.
    public func flipBit(in path: FilePath, atByte offset: Int, bit: Int) throws(FileError) {
        precondition(0..<8 ~= bit, "a byte has no bit \(bit)")
        try corrupt(path) { bytes in
            precondition(0..<bytes.count ~= offset, "\(path) has no byte \(offset)")
            var byte: UInt8 = 0
            withUnsafeMutableBytes(of: &byte) { _ = bytes.read(into: $0, at: offset) }
            byte ^= 1 << UInt8(bit)
            withUnsafeBytes(of: byte) { bytes.write($0, at: offset) }
        }
    }

    /// Cuts a file off, or lengthens it with zeros.
    public func truncate(_ path: FilePath, to length: Int) throws(FileError) {
        try corrupt(path) { $0.resize(to: length) }
    }

    /// Puts bytes in the place of others, or behind the end.
    public func overwrite(_ path: FilePath, with content: [UInt8], at offset: Int = 0) throws(FileError) {
        try corrupt(path) { bytes in content.withUnsafeBytes { bytes.write($0, at: offset) } }
    }

    /// Puts a whole file in place, such as one of a store that was made elsewhere. Its directory is created when
    /// missing, and the content of a file of that name is replaced. All names become durable.
    public func place(_ content: [UInt8], at path: FilePath) throws(FileError) {
        do {
            try withState { (state) throws(Errno) in
                try state.createDirectory(path.lexicallyNormalized().removingLastComponent())
                let node =
                    try state.locate(path).node == nil ? try state.createFile(path) : try state.file(path)
                state.files[node]?.corrupt { $0 = SimulatedBytes(content) }
                state.names.synchronizeAll()
            }
        } catch {
            throw FileError(operation: "place", path: path, errno: error)
        }
    }

    /// Makes everything durable, names too: a state to start a test from.
    public func synchronizeAll() {
        withState { state in
            state.names.synchronizeAll()
            for node in state.files.keys { state.files[node]?.synchronize() }
        }
    }

    private func corrupt(_ path: FilePath, _ change: (inout SimulatedBytes) -> Void) throws(FileError) {
        do {
            try withState { (state) throws(Errno) in
                let node = try state.file(path)
                state.files[node]?.corrupt(change)
            }
        } catch {
            throw FileError(operation: "corrupt", path: path, errno: error)
        }
    }
}
