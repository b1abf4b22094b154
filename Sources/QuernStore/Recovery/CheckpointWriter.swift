// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Writes a checkpoint, the manifest that makes it count, and its mirror.
///
/// What became of the log's old segments is in the checkpoint alone: so there are two of it, in files of their own.
struct CheckpointWriter {
    let files: StoreFiles
    let manifest: ManifestFile

    /// Returns the checkpoint's size. After an error the one before still counts, and is still there.
    ///
    /// The log up to `position` must be durable, and so must the index.
    func write(
        state: borrowing StoreState, index: MemoIndex, position: LogPosition, isClean: Bool
    ) throws(FileError) -> UInt64 {
        let number = manifest.current.checkpointNumber + 1
        var encoder = CheckpointEncoder(identity: files.identity, number: number)
        try files.put(files.header(.checkpoint, number: number)) { (file) throws(FileError) in
            try encoder.encode(state: state, index: index, position: position, to: file)
        }
        let checksum = encoder.checksum
        try manifest.update {
            $0.checkpointNumber = number
            $0.checkpointChecksum = checksum
            $0.isClean = isClean
            $0.newestLog = max($0.newestLog, position.segment)
        }
        return encoder.position
    }

    /// Copies the checkpoint that counts to its mirror, when that is possible: an error costs nothing but the mirror.
    /// To be called when what the checkpoint made needless is gone: it must take no space that something else needs.
    ///
    /// - Parameter size: the checkpoint's.
    /// - Returns: how many bytes were written.
    @discardableResult
    func mirror(size: UInt64) -> UInt64 {
        (try? Self.mirror(manifest.current.checkpointNumber, size: Int(size), in: files)) == true ? size : 0
    }

    /// Copies a checkpoint of a store that is being made.
    ///
    /// - Returns: whether there was space for it.
    @discardableResult
    static func mirror(_ number: UInt64, size: Int, in files: StoreFiles) throws(FileError) -> Bool {
        do throws(FileError) {
            let source = try files.fileSystem.open(files.path(.checkpoint, number), .readOnly)
            try files.put(files.header(.mirror, number: number)) { (file) throws(FileError) in
                for start in stride(from: FileHeader.size, to: size, by: pieceBytes) {
                    try file.write(try source.read(count: min(pieceBytes, size - start), at: start), at: start)
                    try file.synchronize()
                }
            }
            return true
        } catch  where error.isNoSpace { return false }
    }

    /// Synced one by one, as those of the checkpoint are.
    private static let pieceBytes = 4 << 20
}
