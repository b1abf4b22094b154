// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// One checkpoint with all that it needs, from the copy of the state to the removal of what it made needless. It blocks,
/// and runs beside the writer thread, which goes on: it appends to no file that exists, and creates and removes none that
/// the writer would (S7).
struct CheckpointJob: Sendable {
    let files: StoreFiles
    let bodies: LogBodies
    let committed: Committed
    /// Up to where the log is in the state.
    let position: LogPosition
    /// The log's segment when it may not be on disk up to there. The writer syncs the same object.
    let unsyncedLog: (any StoreFile)?
    let previous: Manifest
    let isClean: Bool
    /// Log segments that are there.
    let segments: [UInt32]

    struct Outcome: Sendable {
        var manifest: Manifest
        var bytes: UInt64
        /// Log segments that are no longer there.
        var removed: Set<UInt32>
    }

    func run() -> Result<Outcome, StoreError> {
        do throws(FileError) {
            try unsyncedLog?.synchronize()
            try committed.index.synchronize()
            let (manifest, bytes) = try CheckpointWriter(files: files).write(
                state: committed.state, index: committed.index, position: position, after: previous, isClean: isClean)
            return .success(Outcome(manifest: manifest, bytes: bytes, removed: removeObsolete()))
        } catch { return .failure(StoreError("cannot write a checkpoint", error)) }
    }

    /// What cannot be removed now is removed later.
    ///
    /// What the writer's state came to need since is needed by this state too, or is in a segment from the position on.
    private func removeObsolete() -> Set<UInt32> {
        try? files.fileSystem.remove(files.path(.checkpoint, previous.checkpointNumber))
        let needed = committed.state.neededLogSegments()
        return Set(segments.filter { $0 < position.segment && !needed.contains($0) && remove(segment: $0) })
    }

    /// False when the file could not be removed.
    private func remove(segment number: UInt32) -> Bool {
        do throws(FileError) { try files.fileSystem.remove(files.path(.log, UInt64(number))) } catch {
            return error.errno == .noSuchFileOrDirectory
        }
        bodies.forget(segment: number)
        return true
    }
}

extension StoreState {
    /// The log segments with payloads and hand-overs of live and of staged tasks. O(live).
    func neededLogSegments() -> Set<UInt32> {
        var needed: Set<UInt32> = []
        for run in live.runs where run.live != 0 { needed.insert(run.run.segment) }
        for stage in stages.values {
            for run in stage.runs { needed.insert(run.segment) }
        }
        for parent in parents.values {
            if let handover = parent.handover { needed.insert(handover.segment) }
        }
        return needed
    }
}
