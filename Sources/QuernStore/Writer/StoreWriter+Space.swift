// SPDX-License-Identifier: Apache-2.0

/// What the writer does when the disk is full: what frees space gets the reserve, and nothing else does (S4).
extension StoreWriter {
    /// Makes ready for a batch. Returns why it cannot be written.
    mutating func prepare(frees: Bool) -> StoreError? {
        if !frees, reserve.isSpent, !reserve.hold() {
            return StoreError(.noSpace, "the disk is full, and what is left of it is for dropping trees")
        }
        let blocked = flushIndex()
        return frees && blocked?.code == .noSpace ? nil : blocked
    }

    /// Runs `body`, and once more with the reserve's space when it found none.
    mutating func usingReserve(_ body: (inout StoreWriter) -> StoreError?) -> StoreError? {
        let failure = body(&self)
        guard failure?.code == .noSpace, reserve.release() else { return failure }
        return body(&self)
    }
}

extension Transaction {
    /// Whether it does nothing but drop trees, which makes room for others.
    var freesSpace: Bool {
        guard spawnGroups.isEmpty, outcomes.isEmpty, !notes.isEmpty else { return false }
        return notes.allSatisfy { note in
            if case .drop = note { true } else { false }
        }
    }
}
