// SPDX-License-Identifier: Apache-2.0

/// The numbers that a store has given out, which only grow. Readers take any up to a limit; a writer begins only where
/// half of that is left, so that nothing it writes has a number that is refused afterwards.
struct GivenNumbers {
    let manifest: Manifest
    /// What the log headers say of openings, too.
    let epoch: UInt64
    /// With the log applied.
    let state: StoreState
    let newestLog: UInt32
    /// As the checkpoint says.
    let nextIndex: UInt32

    /// Why no writer can go on with the store; nil where one can.
    var exhaustion: String? {
        let numbers: KeyValuePairs = [
            "openings": max(epoch, manifest.epoch), "manifests": manifest.generation,
            "checkpoints": manifest.checkpointNumber, "tasks": state.nextID, "outcomes": state.nextSequence,
            "stages": state.lastStage,
        ]
        let segments: KeyValuePairs = ["log segments": newestLog, "index segments": nextIndex]
        let what =
            numbers.first { $0.value > Limits.writableNumber }?.key
            ?? segments.first { $0.value > Limits.writableSegments }?.key
        return what.map { "more \($0) than a writer can go on from" }
    }
}
