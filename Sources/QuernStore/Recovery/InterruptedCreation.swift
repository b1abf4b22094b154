// SPDX-License-Identifier: Apache-2.0

/// What a new store leaves whose creation was cut short: at most the first log segment, empty, and the first
/// checkpoint. Nothing in it counts yet, and the next opening begins anew. Without a manifest anything more is a store
/// that lost it.
enum InterruptedCreation {
    /// - Parameter size: in bytes.
    static func leaves(_ kind: FileHeader.Kind, _ number: UInt64, size: Int) -> Bool {
        guard number == 1 else { return false }
        return switch kind {
        case .checkpoint: true
        case .log: size <= FileHeader.size
        // The second copy of a checkpoint that has something in it: a store that a tool made has one of that number.
        case .mirror, .manifest, .index: false
        }
    }
}
