// SPDX-License-Identifier: Apache-2.0

extension Transaction {
    /// ``estimatedBytes`` with the bytes of the notes: what it keeps in memory while it waits. O(notes).
    var heldBytes: Int {
        var bytes = estimatedBytes
        for note in notes {
            switch note {
            case .advance(_, _, let value), .keep(_, _, let value), .attempt(_, _, _, let value):
                bytes += value.count
            case .set(let name, let value): bytes += name.utf8.count + (value?.count ?? 0)
            case .define(let name): bytes += name.utf8.count
            case .inFlight(let tasks): bytes += tasks.count * 8
            case .relocateSpawn(_, let lengths, let payloads): bytes += payloads.count + lengths.count * 4
            case .relocateKept(_, _, _, let value): bytes += value.count
            case .cancel, .priority, .crash, .commitStage, .abortStage, .drop: break
            }
        }
        return bytes
    }
}
