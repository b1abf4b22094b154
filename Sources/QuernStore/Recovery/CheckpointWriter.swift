// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Writes a checkpoint and the manifest that makes it count.
struct CheckpointWriter {
    let files: StoreFiles

    /// Returns the new manifest and the checkpoint's size. After an error the old one still counts, and its checkpoint
    /// is still there.
    ///
    /// The log up to `position` must be durable, and so must the index.
    func write(
        state: borrowing StoreState, index: MemoIndex, position: LogPosition, after previous: Manifest, isClean: Bool
    ) throws(FileError) -> (manifest: Manifest, bytes: UInt64) {
        let number = previous.checkpointNumber + 1
        var encoder = CheckpointEncoder(identity: files.identity, number: number)
        try files.put(files.header(.checkpoint, number: number)) { (file) throws(FileError) in
            try encoder.encode(state: state, index: index, position: position, to: file)
        }
        let manifest = Manifest(
            generation: previous.generation + 1, identity: files.identity, epoch: files.epoch,
            checkpointNumber: number, checkpointChecksum: encoder.checksum, isClean: isClean)
        try files.put(manifest.header) { (file) throws(FileError) in
            try file.write(manifest.encodedFrame(), at: FileHeader.size)
        }
        return (manifest, encoder.position)
    }
}
