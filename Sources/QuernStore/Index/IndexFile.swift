// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// An index segment's file with its mapping, shared by the writer and by all snapshots that read it.
/// The mapping only ever covers bytes that are known to be written (S12).
final class IndexFile: Sendable {
    let number: UInt32
    let file: any StoreFile
    private struct Mapped: Sendable {
        var mapping: FileMapping?
        var written = 0
    }

    private let mapping = Mutex(Mapped())

    init(number: UInt32, file: any StoreFile) {
        self.number = number
        self.file = file
    }

    /// Tells that this many bytes are written, so that one mapping serves a whole walk over a segment that grows.
    func note(written: Int) { mapping.withLock { $0.written = max($0.written, written) } }

    /// A mapping of at least the first `length` bytes, all of them written before.
    func mapped(length: Int) throws(StoreError) -> FileMapping {
        let result = mapping.withLock { mapped -> Result<FileMapping, FileError> in
            if let mapping = mapped.mapping, mapping.length >= length { return .success(mapping) }
            do throws(FileError) {
                let fresh = try file.map(length: max(length, mapped.written))
                mapped.mapping = fresh
                return .success(fresh)
            } catch { return .failure(error) }
        }
        switch result {
        case .success(let mapping): return mapping
        case .failure(let error): throw StoreError("cannot map an index segment", error)
        }
    }
}
