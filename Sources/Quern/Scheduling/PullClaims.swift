// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Which tasks of a pull nobody has started yet: shared by the worker that runs the pull and by the dispatcher,
/// which takes tasks back when they are cancelled, when the pull is stuck, or when the scheduler stops.
///
/// Each bit is cleared once, by whoever owns the task from then on.
final class PullClaims: Sendable {
    private let unclaimed: Atomic<UInt64>
    private let interruption = Atomic<Bool>(false)
    private let lastClaimed = Atomic<Int>(-1)

    init(_ bits: UInt64) { unclaimed = Atomic(bits) }

    /// The tasks that are not started.
    var remaining: UInt64 { unclaimed.load(ordering: .relaxed) }

    /// Starts the first task that is left; nil when none is, or when the pull was interrupted.
    func claimNext() -> Int? {
        if isInterrupted { return nil }
        while true {
            let bits = unclaimed.load(ordering: .relaxed)
            guard bits != 0 else { return nil }
            let bit = bits & (0 &- bits)
            guard takeBack(bit) != 0 else { continue }
            lastClaimed.store(bit.trailingZeroBitCount, ordering: .relaxed)
            return bit.trailingZeroBitCount
        }
    }

    /// The task that was started last, as a bit; 0 when none was.
    var running: UInt64 {
        let index = lastClaimed.load(ordering: .relaxed)
        return index < 0 ? 0 : 1 << UInt64(index)
    }

    /// Takes those of `bits` that are not started.
    func takeBack(_ bits: UInt64) -> UInt64 {
        unclaimed.bitwiseAnd(~bits, ordering: .acquiringAndReleasing).oldValue & bits
    }

    /// Whether the worker should ask what became of its task, and start no other.
    var isInterrupted: Bool { interruption.load(ordering: .relaxed) }

    func interrupt() { interruption.store(true, ordering: .releasing) }
}
