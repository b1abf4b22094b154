// SPDX-License-Identifier: Apache-2.0

/// What a power loss leaves of the unsynced changes: asked once for the names, then for each file.
protocol CrashChoice {
    /// Chooses the changes of names that are on the disk.
    mutating func draw(_ changes: [SimulatedNames.Change]) -> [Bool]

    /// Puts on `bytes`, which hold what was durable, some of the changes made since.
    mutating func draw(_ changes: [SimulatedFileContent.Change], onto bytes: inout SimulatedBytes)
}

/// Exactly the changes whose bits are set, the first asked for first.
struct CrashSubset: CrashChoice {
    var bits: UInt64

    private mutating func next() -> Bool {
        defer { bits = bits >> 1 | bits << 63 }
        return bits & 1 != 0
    }

    mutating func draw(_ changes: [SimulatedNames.Change]) -> [Bool] {
        var chosen: [Bool] = []
        for _ in changes { chosen.append(next()) }
        return SimulatedNames.completing(changes, chosen)
    }

    mutating func draw(_ changes: [SimulatedFileContent.Change], onto bytes: inout SimulatedBytes) {
        for change in changes where next() { change.apply(to: &bytes) }
    }
}
