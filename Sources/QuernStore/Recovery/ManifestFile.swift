// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The manifest as it is on disk. Checkpoints change it beside the writer thread, which changes it when it begins a log
/// segment: one at a time, and none undoes what another wrote.
final class ManifestFile: Sendable {
    private let files: StoreFiles
    private let state: Mutex<State>

    private struct State {
        var manifest: Manifest
        var isInDoubt = false
    }

    init(_ manifest: Manifest, in files: StoreFiles) {
        self.files = files
        state = Mutex(State(manifest: manifest))
    }

    var current: Manifest { state.withLock { $0.manifest } }

    /// Whether an update failed, so that the file may say either: what one of the two names must stay.
    var isInDoubt: Bool { state.withLock { $0.isInDoubt } }

    /// Replaces the file in one step, durably at return. After an error this goes on with the old one, and the next
    /// opening with whichever is there.
    func update(_ change: (inout Manifest) -> Void) throws(FileError) {
        try state.withLock { (state) throws(FileError) in
            var next = state.manifest
            change(&next)
            next.generation += 1
            next.epoch = files.epoch
            let frame = next.encodedFrame()
            state.isInDoubt = true
            try files.put(next.header) { (file) throws(FileError) in try file.write(frame, at: FileHeader.size) }
            state = State(manifest: next)
        }
    }
}
