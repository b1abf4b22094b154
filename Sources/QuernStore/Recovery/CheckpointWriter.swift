// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Writes a checkpoint, once more as its mirror, and the manifest that makes it count.
///
/// What became of the log's old segments is in the checkpoint alone: so there are two of it, in files of their own.
struct CheckpointWriter {
    let files: StoreFiles
    let manifest: ManifestFile

    /// Returns how many bytes were written. After an error the one before still counts, and is still there.
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
        let mirrored = try mirror(number, length: Int(encoder.position))
        let checksum = encoder.checksum
        try manifest.update {
            $0.checkpointNumber = number
            $0.checkpointChecksum = checksum
            $0.isClean = isClean
            $0.newestLog = max($0.newestLog, position.segment)
        }
        return encoder.position + mirrored
    }

    /// Copies a checkpoint to its mirror. Where there is no space for that, there is none. Returns what was written.
    private func mirror(_ number: UInt64, length: Int) throws(FileError) -> UInt64 {
        do throws(FileError) {
            let source = try files.fileSystem.open(files.path(.checkpoint, number), .readOnly)
            try files.put(files.header(.mirror, number: number)) { (file) throws(FileError) in
                for start in stride(from: FileHeader.size, to: length, by: Self.pieceBytes) {
                    try file.write(try source.read(count: min(Self.pieceBytes, length - start), at: start), at: start)
                    try file.synchronize()
                }
            }
            return UInt64(length)
        } catch  where error.isNoSpace { return 0 }
    }

    /// Synced one by one, as those of the checkpoint are.
    private static let pieceBytes = 4 << 20
}
