// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// The events that one reader has not read yet: the newest ones, up to a number, and a count of the others.
struct EventRing: Sendable {
    let capacity: Int
    private var events: Deque<TaskEvent> = []
    private var missed: UInt64 = 0

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// - Complexity: O(1); the oldest one goes when there are too many.
    mutating func append(_ event: TaskEvent) {
        if events.count == capacity {
            missed += 1 + events.removeFirst().missed
            // What was lost counts with the event that is now the oldest.
            if !events.isEmpty {
                events[0].missed += missed
                missed = 0
            }
        }
        var event = event
        event.missed = missed
        missed = 0
        events.append(event)
    }

    mutating func popFirst() -> TaskEvent? { events.popFirst() }
}
