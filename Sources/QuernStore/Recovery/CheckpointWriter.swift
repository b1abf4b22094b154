// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Writes a checkpoint and the manifest that makes it count.
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
}
