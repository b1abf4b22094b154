// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// A file of a store as bytes: what the offline tools read, with `pread` and without believing anything in it.
package struct RawFile: Sendable {
    /// Its name in the store's directory.
    package let name: String
    /// By its name; nil where no file of a store is called so.
    package let kind: Kind?
    package let number: UInt64
    /// In bytes, when it was opened.
    package let size: Int
    /// What is wrong with the file header, or what it says.
    let header: Result<FileHeader, FileHeader.Failure>
    /// Why it cannot be opened: then it has no bytes here.
    let obstacle: FileError?
    private let file: any StoreFile

    /// What a file is for, by its name.
    package enum Kind: String, Sendable {
        case manifest, checkpoint, mirror, log, index
    }

    init(_ name: String, in directory: FilePath, _ fileSystem: any FileSystem) throws(FileError) {
        self.name = name
        let parsed = name == StoreFiles.manifestName ? (.manifest, 0) : StoreFiles.parse(name)
        kind = parsed.map { Kind($0.kind) }
        number = parsed?.number ?? 0
        obstacle = nil
        file = try fileSystem.open(directory.appending(name), .readOnly)
        size = try file.size()
        let head = try file.read(count: min(size, FileHeader.size), at: 0)
        header = head.withUnsafeBytes { bytes in
            do throws(FileHeader.Failure) { return .success(try FileHeader(bytes, for: .reading)) } catch {
                return .failure(error)
            }
        }
    }

    /// One that cannot be opened.
    init(unreadable name: String, _ error: FileError) {
        self.name = name
        let parsed = name == StoreFiles.manifestName ? (.manifest, 0) : StoreFiles.parse(name)
        kind = parsed.map { Kind($0.kind) }
        number = parsed?.number ?? 0
        obstacle = error
        file = UnreadableFile(error)
        size = 0
        header = .failure(.damaged("cannot be read: \(error.errno)"))
    }

    /// What it means that its header is not as it should be: `otherwise`, where there is more than the header to read.
    func consequence(_ otherwise: String) -> String { obstacle == nil ? otherwise : "nothing of it is read" }

    /// The bytes of a range; fewer where the file ends. The range must not be longer than what was checked to be sane.
    func read(_ range: Range<Int>) throws(FileError) -> [UInt8] {
        let range = range.clamped(to: 0..<max(size, range.lowerBound))
        return range.isEmpty ? [] : try file.read(count: range.count, at: range.lowerBound)
    }

    /// Fills the first `count` bytes of a buffer, which has so many. Returns how many there were: fewer where the file
    /// ends.
    func read(into buffer: inout [UInt8], count: Int, at offset: Int) throws(FileError) -> Int {
        let result = buffer.withUnsafeMutableBytes { bytes -> Result<Int, FileError> in
            do throws(FileError) {
                return .success(
                    try file.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]), at: offset))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Reads it from front to back and leaves it at that: what a read of it takes at least. Returns its bytes.
    package func readAll() throws(FileError) -> Int {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while true {
            let count = try read(into: &buffer, count: buffer.count, at: offset)
            if count == 0 { return offset }
            offset += count
        }
    }

    /// What its frames say is their file's number.
    func segment(_ header: FileHeader?) -> UInt32 {
        UInt32(truncatingIfNeeded: kind == .manifest ? header?.number ?? 0 : number)
    }
}

/// In the place of a file that cannot be opened.
private final class UnreadableFile: StoreFile {
    private let error: FileError

    init(_ error: FileError) { self.error = error }

    var path: FilePath { error.path }
    func size() throws(FileError) -> Int { throw error }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int { throw error }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) { throw error }
    func synchronize() throws(FileError) { throw error }
    func map(length: Int) throws(FileError) -> FileMapping { throw error }
}

extension RawFile.Kind {
    init(_ kind: FileHeader.Kind) {
        switch kind {
        case .manifest: self = .manifest
        case .checkpoint: self = .checkpoint
        case .mirror: self = .mirror
        case .log: self = .log
        case .index: self = .index
        }
    }

    var headerKind: FileHeader.Kind {
        switch self {
        case .manifest: .manifest
        case .checkpoint: .checkpoint
        case .mirror: .mirror
        case .log: .log
        case .index: .index
        }
    }
}
