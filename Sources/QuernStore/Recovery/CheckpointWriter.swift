// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Writes a checkpoint and the manifest that makes it count.
struct CheckpointWriter {
    let files: StoreFiles

    /// Returns the new manifest. After an error the old one still counts, and its checkpoint is still there.
    ///
    /// The log up to `position` must be durable, and so must the index.
    func write(
        state: borrowing StoreState, index: MemoIndex, position: LogPosition, after previous: Manifest, isClean: Bool
    ) throws(FileError) -> Manifest {
        let number = previous.checkpointNumber + 1
        var encoder = CheckpointEncoder(identity: files.identity, number: number)
        encoder.encode(state: state, index: index, position: position)
        try files.put(files.header(.checkpoint, number: number), content: encoder.output.bytes)
        let manifest = Manifest(
            generation: previous.generation + 1, identity: files.identity, epoch: files.epoch,
            checkpointNumber: number, checkpointChecksum: encoder.checksum, isClean: isClean)
        try files.put(manifest.header, content: manifest.encodedFrame())
        return manifest
    }
}
