// SPDX-License-Identifier: Apache-2.0

/// The attributes of runs that were spawned with some, while a task of the run is live. Nothing for the others.
struct RunAttributes: Sendable {
    private var runs = TaskMap<[UInt8]>()
    private var bytes = 0

    var isEmpty: Bool { runs.isEmpty }

    /// What they take in memory, in bytes. O(runs / 100).
    var footprint: Int { runs.footprint + bytes }

    /// By the first ids of the runs, in order.
    var all: some Sequence<(key: TaskID, value: [UInt8])> { runs }

    /// Empty when a run has none.
    subscript(firstID: TaskID) -> [UInt8] { runs[firstID] ?? [] }

    /// Keeps the attributes of a run, unless they are empty.
    mutating func insert(_ attributes: [UInt8], of firstID: TaskID) {
        guard !attributes.isEmpty else { return }
        runs[firstID] = attributes
        bytes += attributes.footprint
    }

    /// No task of the run is live any more.
    ///
    /// - Returns: whether it had any.
    mutating func remove(_ firstID: TaskID) -> Bool {
        guard !runs.isEmpty, let attributes = runs.removeValue(forKey: firstID) else { return false }
        bytes -= attributes.footprint
        return true
    }
}
