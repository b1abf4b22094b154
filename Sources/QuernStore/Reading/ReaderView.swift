// SPDX-License-Identifier: Apache-2.0

/// A store as a reader knows it: the checkpoint of one manifest, and the log behind it up to a position. A value: what
/// is read makes the next one.
struct ReaderView: Sendable {
    private(set) var manifest: Manifest
    /// Up to where the log is in ``committed``.
    private(set) var position: LogPosition
    private(set) var committed: Committed
    /// What was wrong with the checkpoint, whose mirror was read.
    let checkpointDamage: StoreError?
    /// Its own, so that log segments that a later checkpoint made needless do not stay open.
    let bodies: LogBodies

    /// What the checkpoint of `manifest` says.
    init(_ manifest: Manifest, _ loader: StoreLoader) throws(StoreError) {
        let checkpoint = try loader.readCheckpoint(manifest)
        let files = StoreFiles(
            directory: loader.directory, fileSystem: loader.fileSystem, identity: manifest.identity,
            epoch: manifest.epoch, lock: nil)
        self.manifest = manifest
        position = checkpoint.position
        checkpointDamage = checkpoint.damage
        committed = Committed(
            state: checkpoint.state, index: try loader.openIndex(checkpoint, files: files))
        bodies = LogBodies(files: files, capacity: MemoStore.Configuration().payloadCacheBytes)
    }

    /// Whether a reader's answers are the same from both views, of which one is of a later moment. What is live and
    /// what has ended is the same when no id and no sequence was given out in between. O(1) in most cases; O(parents)
    /// where the log grew and gave out neither.
    func shows(sameAs other: ReaderView) -> Bool {
        // The chain of checksums is the same in a new segment, until a frame is added.
        if position.checksum == other.position.checksum { return true }
        let (new, old) = (committed.state, other.committed.state)
        return new.nextID == old.nextID && new.nextSequence == old.nextSequence && new.labels == old.labels
            && new.inFlight == old.inFlight && new.details.holds(sameAs: old.details) { $0 == $1 }
            && new.parents.holds(sameAs: old.parents) && new.slots.holds(sameAs: old.slots)
            && new.values.holds(sameAs: old.values)
    }

    /// Goes on to the last whole batch in the log, of which `manifest` says how far it goes at least: the view's, or a
    /// later one with the same checkpoint. After an error the view is of no use.
    mutating func follow(_ loader: StoreLoader, _ manifest: Manifest) throws(StoreError) {
        self.manifest = manifest
        var scratch = OutcomeBlockScratch()
        for tail in try loader.scanTail(try loader.logSegments(), from: position, manifest: manifest) {
            // Blocks stay open as long as they are not full: there is no index segment to write them to.
            try tail.replay(into: &committed.state, openLimit: .max) { state in
                for block in state.fullBlocks {
                    committed.tailBlocks[block.parent, default: []].append(
                        BlockExtent(encoding: block, scratch: &scratch))
                }
                state.fullBlocks.removeAll(keepingCapacity: true)
            }
            position = tail.scan.end
        }
    }
}
