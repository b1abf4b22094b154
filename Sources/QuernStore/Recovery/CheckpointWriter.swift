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
        _ = try files.create(files.header(.checkpoint, number: number), content: encoder.output.bytes)
        let manifest = Manifest(
            generation: previous.generation + 1, identity: files.identity, epoch: files.epoch,
            checkpointNumber: number, checkpointChecksum: encoder.checksum, isClean: isClean)
        try files.replaceManifest(manifest)
        return manifest
    }
}

extension StoreFiles {
    fileprivate func replaceManifest(_ manifest: Manifest) throws(FileError) {
        let temporary = directory.appending(Self.manifestName + Self.temporarySuffix)
        do throws(FileError) { try fileSystem.remove(temporary) } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
        }
        let file = try fileSystem.open(temporary, .createNew)
        var writer = ByteWriter()
        writer.append(contentsOf: manifest.encoded())
        try file.write(writer, at: 0)
        try file.synchronize()
        try fileSystem.rename(temporary, to: directory.appending(Self.manifestName))
        try fileSystem.synchronizeDirectory(directory)
    }
}
