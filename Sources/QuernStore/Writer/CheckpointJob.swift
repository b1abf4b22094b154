// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// One checkpoint with all that it needs, from the copy of the state to the removal of what it made needless. It
/// blocks, and runs beside the writer thread, which goes on: it appends to no file that exists, and creates and removes
/// none that the writer would (S7).
struct CheckpointJob: Sendable {
    let files: StoreFiles
    let bodies: LogBodies
    let committed: Committed
    /// Up to where the log is in the state.
    let position: LogPosition
    /// The log's segment when it may not be on disk up to there. The writer syncs the same object.
    let unsyncedLog: (any StoreFile)?
    let manifest: ManifestFile
    let isClean: Bool
    /// Log segments that are there.
    let segments: [UInt32]
    /// Index segments that the index no longer names.
    let retired: [UInt32]
    /// Whether the reserve may not be on disk yet.
    let syncsReserve: Bool

    struct Outcome: Sendable {
        var bytes: UInt64
        /// Log segments that are no longer there.
        var removed: Set<UInt32>
        /// Retired index segments that are no longer there.
        var removedIndex: Set<UInt32>
    }

    func run() -> Result<Outcome, StoreError> {
        do throws(FileError) {
            try unsyncedLog?.synchronize()
            try committed.index.synchronize()
            if syncsReserve { files.synchronizeReserve() }
            let previous = manifest.current.checkpointNumber
            let writer = CheckpointWriter(files: files, manifest: manifest)
            let bytes = try writer.write(
                state: committed.state, index: committed.index, position: position, isClean: isClean)
            var outcome = Outcome(
                bytes: bytes, removed: removeObsolete(checkpoint: previous),
                removedIndex: Set(retired.filter { remove(.index, $0) }))
            outcome.bytes += writer.mirror(size: bytes)
            return .success(outcome)
        } catch { return .failure(StoreError("cannot write a checkpoint", error)) }
    }

    /// What cannot be removed now is removed later.
    ///
    /// What the writer's state came to need since is needed by this state too, or is in a segment from the position on.
    private func removeObsolete(checkpoint: UInt64) -> Set<UInt32> {
        for kind in [FileHeader.Kind.checkpoint, .mirror] { try? files.remove(files.path(kind, checkpoint)) }
        let needed = LogUse(committed.state).segments
        return Set(segments.filter { $0 < position.segment && needed[$0] == nil && remove(segment: $0) })
    }

    /// False when the file could not be removed.
    private func remove(_ kind: FileHeader.Kind, _ number: UInt32) -> Bool {
        (try? files.remove(files.path(kind, UInt64(number)))) != nil
    }

    private func remove(segment number: UInt32) -> Bool {
        guard remove(.log, number) else { return false }
        bodies.forget(segment: number)
        return true
    }
}
