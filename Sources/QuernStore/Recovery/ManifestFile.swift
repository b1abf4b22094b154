// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The manifest as it is on disk. Checkpoints change it beside the writer thread, which changes it when it begins a log
/// segment: one at a time, and none undoes what another wrote.
final class ManifestFile: Sendable {
    private let files: StoreFiles
    private let manifest: Mutex<Manifest>

    init(_ manifest: Manifest, in files: StoreFiles) {
        self.files = files
        self.manifest = Mutex(manifest)
    }

    var current: Manifest { manifest.withLock { $0 } }

    /// Replaces the file in one step, durably at return. After an error the old one still counts.
    func update(_ change: (inout Manifest) -> Void) throws(FileError) {
        try manifest.withLock { (manifest) throws(FileError) in
            var next = manifest
            change(&next)
            next.generation += 1
            next.epoch = files.epoch
            let frame = next.encodedFrame()
            try files.put(next.header) { (file) throws(FileError) in try file.write(frame, at: FileHeader.size) }
            manifest = next
        }
    }
}
