// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// An index segment's file with its mapping, shared by the writer and by all snapshots that read it.
///
/// The mapping only ever covers bytes that are known to be written (S12). The file of a sealed segment is opened when
/// it is first read, and closed once it is mapped: a segment costs neither time when a store is opened nor a
/// descriptor. Once mapped it stays readable, whatever becomes of its name.
final class IndexFile: Sendable {
    private enum Source: Sendable {
        /// The open segment's.
        case file(any StoreFile)
        /// A sealed one's, by its name.
        case name(StoreFiles)
    }

    private struct Mapped: Sendable {
        var mapping: FileMapping?
        var written = 0
        var isVerified = false
    }

    /// The body of a frame that several parents' blocks share, checked and decompressed.
    final class SharedFrame: Sendable {
        /// Writers gather 32 KiB; others would take too much memory.
        static let largest = 64 << 10

        let offset: UInt64
        let bytes: [UInt8]

        init(_ bytes: [UInt8], offset: UInt64) {
            self.bytes = bytes
            self.offset = offset
        }
    }

    let number: UInt32
    let path: FilePath
    private let source: Source
    private let mapped: Mutex<Mapped>
    /// The one that was read last: small parents that ended together lie together, and are read together.
    private let sharedFrame = Mutex<SharedFrame?>(nil)

    /// The file of the open segment.
    init(number: UInt32, file: any StoreFile) {
        self.number = number
        path = file.path
        source = .file(file)
        mapped = Mutex(Mapped())
    }

    /// The file of a sealed segment.
    init(number: UInt32, length: Int, in files: StoreFiles) {
        self.number = number
        path = files.path(.index, UInt64(number))
        source = .name(files)
        mapped = Mutex(Mapped(written: length))
    }

    /// Tells that this many bytes are written, so that one mapping serves a whole walk over a segment that grows.
    func note(written: Int) { mapped.withLock { $0.written = max($0.written, written) } }

    /// The shared frame at `offset`, if it is the one that was read last.
    func sharedFrame(at offset: UInt64) -> SharedFrame? {
        sharedFrame.withLock { $0?.offset == offset ? $0 : nil }
    }

    /// Keeps a shared frame for whoever reads the next parent.
    func keep(_ frame: SharedFrame) { sharedFrame.withLock { $0 = frame } }

    /// A mapping of at least the first `length` bytes, all of them written before. May block on the file.
    func mapping(length: Int) throws(StoreError) -> FileMapping {
        try update { (mapped) throws(StoreError) in try map(&mapped, length: length) }
    }

    /// A mapping that `verify` has passed, now or at an earlier call. May block on the file.
    func mapping(
        length: Int, verifiedBy verify: (FileMapping) throws(StoreError) -> Void
    ) throws(StoreError) -> FileMapping {
        try update { (mapped) throws(StoreError) in
            let mapping = try map(&mapped, length: length)
            if !mapped.isVerified { try verify(mapping) }
            mapped.isVerified = true
            return mapping
        }
    }

    private func update(
        _ body: (inout Mapped) throws(StoreError) -> FileMapping
    ) throws(StoreError) -> FileMapping {
        try mapped.withLock { mapped -> Result<FileMapping, StoreError> in
            do throws(StoreError) { return .success(try body(&mapped)) } catch { return .failure(error) }
        }.get()
    }

    private func map(_ mapped: inout Mapped, length: Int) throws(StoreError) -> FileMapping {
        if let mapping = mapped.mapping, mapping.length >= length { return mapping }
        let length = max(length, mapped.written)
        let fresh =
            switch source {
            case .file(let file): try Self.map(file, length: length)
            case .name(let files): try Self.open(number, length: length, in: files)
            }
        mapped.mapping = fresh
        return fresh
    }

    private static func map(_ file: any StoreFile, length: Int) throws(StoreError) -> FileMapping {
        try StoreError.wrapping("cannot map an index segment") { () throws(FileError) in try file.map(length: length) }
    }

    private static func open(_ number: UInt32, length: Int, in files: StoreFiles) throws(StoreError) -> FileMapping {
        let loader = StoreLoader(directory: files.directory, fileSystem: files.fileSystem, access: .readOnly)
        return try map(try loader.openIndexFile(number, length: length, of: files.identity), length: length)
    }
}
