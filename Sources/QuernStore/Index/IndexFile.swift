// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// An index segment's file with its mapping, shared by the writer and by all snapshots that read it.
/// The mapping only ever covers bytes that are known to be written (S12).
final class IndexFile: Sendable {
    let number: UInt32
    let file: any StoreFile
    private let mapping = Mutex<FileMapping?>(nil)

    init(number: UInt32, file: any StoreFile) {
        self.number = number
        self.file = file
    }

    /// A mapping of at least the first `length` bytes, all of them written before.
    func mapped(length: Int) throws(StoreError) -> FileMapping {
        let result = mapping.withLock { mapping -> Result<FileMapping, FileError> in
            if let mapping, mapping.length >= length { return .success(mapping) }
            do throws(FileError) {
                let fresh = try file.map(length: length)
                mapping = fresh
                return .success(fresh)
            } catch { return .failure(error) }
        }
        switch result {
        case .success(let mapping): return mapping
        case .failure(let error): throw StoreError("cannot map an index segment", error)
        }
    }
}

/// Where a block is: what a snapshot keeps of it.
struct BlockExtent: Sendable {
    var file: IndexFile
    var offset: Int
    var length: Int
}
