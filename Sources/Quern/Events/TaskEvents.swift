// SPDX-License-Identifier: Apache-2.0

/// The events of a scheduler, from when they were asked for to its end.
///
/// A reader that is slower than they come loses the oldest ones; the next event says how many
/// (``TaskEvent/missed``). Nobody waits for a reader.
///
/// There is one iterator; a second one shares its events. Listening ends when the sequence and its iterators are gone,
/// or the Swift task that waits for an event is cancelled.
///
/// For a handler of the scheduler, and for the Swift tasks that it starts, the sequence ends as soon as the scheduler
/// begins to stop, behind what has happened by then: the scheduler waits for its handlers, and one that reads to the
/// end would wait for the scheduler. So it is for everyone who reads a sequence that a handler made or has read from.
/// A handler that waits for someone else who reads, a detached task or a service, has to end that wait itself, as
/// with a cancel. All others hear of what happens until the scheduler has stopped, the ends of the last handlers too.
public struct TaskEvents: AsyncSequence, Sendable {
    public typealias Element = TaskEvent
    public typealias Failure = Never

    /// Ends the listening when nobody can read any more.
    fileprivate final class Subscription: Sendable {
        let reader: EventReader

        init(_ reader: EventReader) { self.reader = reader }
        deinit { reader.cancel() }
    }

    private let subscription: Subscription

    init(_ reader: EventReader) { subscription = Subscription(reader) }

    public struct AsyncIterator: AsyncIteratorProtocol {
        private let subscription: Subscription

        fileprivate init(_ subscription: Subscription) { self.subscription = subscription }

        /// The next event; nil when the scheduler has stopped, or stops and a handler asks, or the Swift task is
        /// cancelled.
        public mutating func next() async -> TaskEvent? { await subscription.reader.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription) }
}

extension TaskScheduler {
    /// What happens to tasks from now on, for dashboards and logs.
    ///
    /// ```swift
    /// for await event in scheduler.events(of: ["dirscan.directory"]) {
    ///     if case .ended(.failed) = event.kind { print("\(event.task) failed") }
    /// }
    /// ```
    ///
    /// Ends and retries are told once they are durable. Events are not: those of a process that died are lost, and
    /// whoever needs each child reads the children. In a handler they end when the scheduler begins to stop: see
    /// ``TaskEvents``.
    ///
    /// - Parameters:
    ///   - types: the types to hear of; nil for all.
    ///   - capacity: how many events wait for a slow reader before the oldest are lost.
    /// - Complexity: while anybody listens, each event costs some hundred nanoseconds a reader; nothing otherwise.
    public func events(of types: Set<TaskType>? = nil, capacity: Int = 4096) -> TaskEvents {
        TaskEvents(core.events.add(capacity: capacity, types: types))
    }
}
