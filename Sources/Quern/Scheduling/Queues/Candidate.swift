// SPDX-License-Identifier: Apache-2.0

/// A flow in a heap.
struct Candidate: Comparable, Sendable {
    /// What flows are compared by; the smallest is next.
    struct Rank: Comparable, Sendable {
        var level: Int
        var share: Double
        var number: UInt64

        static func < (left: Rank, right: Rank) -> Bool {
            (left.level, left.share, left.number) < (right.level, right.share, right.number)
        }
    }

    var rank: Rank
    var flow: ReadyQueues.FlowID
    /// The entry is out of date when the flow has another.
    var generation: UInt64

    static func < (left: Candidate, right: Candidate) -> Bool { left.rank < right.rank }
    static func == (left: Candidate, right: Candidate) -> Bool { left.generation == right.generation }
}
