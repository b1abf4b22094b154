// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Tasks of one run that wait for the same thing: what the dispatcher keeps of pending tasks (S14).
struct ReadyRun: Sendable, Equatable {
    var run: SpawnRun
    /// A bit for each task of the run that is meant.
    var bits: UInt64
    /// How often they were tried before.
    var attempts: UInt32 = 0
    /// The number of their group; 0 for none.
    var group: Int32 = 0
    /// How many bytes each of them is expected to read and write: ``IOEstimate/total``.
    var ioBytes: Float = 0
    /// How often the process died while they ran (T14).
    var crashes: UInt8 = 0
    /// Lower goes first.
    var priority: UInt8
    /// Whether their time to live counts from their first attempt.
    var isTimedByAttempt = false

    init(
        run: SpawnRun, bits: UInt64, attempts: UInt32 = 0, group: Int32 = 0, ioBytes: Float = 0, crashes: UInt8 = 0
    ) {
        self.run = run
        self.bits = bits
        self.attempts = attempts
        self.group = group
        self.ioBytes = ioBytes
        self.crashes = crashes
        priority = run.priority
    }

    var count: Int { bits.nonzeroBitCount }

    /// Takes out the first `limit` tasks.
    mutating func takeFirst(_ limit: Int) -> ReadyRun {
        var taken = self
        if limit < count {
            var rest = bits
            for _ in 0..<limit { rest &= rest - 1 }
            taken.bits = bits & ~rest
        }
        bits &= ~taken.bits
        return taken
    }

    /// Takes out the tasks of `mask`.
    mutating func take(_ mask: UInt64) -> ReadyRun {
        var taken = self
        taken.bits = bits & mask
        bits &= ~mask
        return taken
    }
}

/// The numbers of the set bits, lowest first.
struct BitIndexes: Sequence, IteratorProtocol {
    private var bits: UInt64

    init(_ bits: UInt64) { self.bits = bits }

    mutating func next() -> Int? {
        guard bits != 0 else { return nil }
        defer { bits &= bits - 1 }
        return bits.trailingZeroBitCount
    }
}
