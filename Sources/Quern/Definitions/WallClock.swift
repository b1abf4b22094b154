// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// Where the scheduler's time comes from (T17). Tests inject a clock that they move by hand.
public protocol WallClock: Sendable {
    /// The time now. Called once a task; should take some ten nanoseconds.
    var now: Timestamp { get }

    /// Returns when the clock shows `deadline` or later; it may return early when the clock was turned back, so that
    /// who sleeps looks at the time again.
    ///
    /// - Throws: `CancellationError` when the Swift task is cancelled.
    func sleep(until deadline: Timestamp) async throws
}

extension Timestamp {
    /// Whether a clock was set back to this that had shown another time. Calls that overtake each other are no step
    /// back: a rate would gain by it each time.
    func isSetBack(from other: Timestamp) -> Bool { rawValue < other.rawValue.subtractingSaturating(1000) }
}
