// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

extension StoreFile {
    func write(_ bytes: [UInt8], at offset: Int = 0) throws { try bytes.withUnsafeBytes { try write($0, at: offset) } }
    func write(_ text: String, at offset: Int = 0) throws { try write(Array(text.utf8), at: offset) }

    func text() throws -> String {
        var bytes = [UInt8](repeating: 0, count: try size())
        let count = try bytes.withUnsafeMutableBytes { try read(into: $0, at: 0) }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

extension SimulatedFileSystem {
    /// Creates a file whose content is durable, and whose name is when `named`.
    @discardableResult
    func makeFile(_ path: FilePath, _ text: String, named: Bool = true) throws -> any StoreFile {
        let file = try open(path, .createNew)
        try file.write(text)
        try file.synchronize()
        if named { try synchronizeDirectory(path.removingLastComponent()) }
        return file
    }

    func text(_ path: FilePath) -> String? { contents(path).map { String(decoding: $0, as: UTF8.self) } }
}

/// The error that a body throws, when it is one of a file.
func fileError(_ body: () throws -> Void) -> FileError? {
    do {
        try body()
        return nil
    } catch {
        return error as? FileError
    }
}
