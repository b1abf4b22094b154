// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization

/// Passes events on to those who listen. Nobody makes an event while nobody does.
final class EventHub: Sendable {
    private struct State {
        var readers: [UInt64: EventReader] = [:]
        var nextNumber: UInt64 = 0
        var isStopping = false
        var isFinished = false
    }

    /// The hub of the scheduler whose handler the Swift task runs in, also in those that the handler starts. Bound once
    /// in the life of a worker.
    @TaskLocal static var ofHandler: ObjectIdentifier?

    private let state = Mutex(State())
    private let readerCount = Atomic(0)

    /// Whether anybody listens: one load, so that it can be asked before every pull.
    var isObserved: Bool { readerCount.load(ordering: .relaxed) > 0 }

    /// A new reader, who hears of what happens from now on.
    func add(capacity: Int, types: Set<TaskType>?) -> EventReader {
        state.withLock { state in
            state.nextNumber += 1
            let number = state.nextNumber
            let reader = EventReader(capacity: capacity, types: types, hub: ObjectIdentifier(self)) { [weak self] in
                self?.remove(number)
            }
            if state.isStopping { reader.endInHandlers() }
            if state.isFinished {
                reader.finish()
            } else {
                state.readers[number] = reader
                readerCount.store(state.readers.count, ordering: .relaxed)
            }
            return reader
        }
    }

    private func remove(_ number: UInt64) {
        state.withLock { state in
            state.readers[number] = nil
            readerCount.store(state.readers.count, ordering: .relaxed)
        }
    }

    /// Tells all readers, in the order of the events.
    func publish(_ events: [TaskEvent]) {
        guard !events.isEmpty, isObserved else { return }
        for reader in state.withLock({ Array($0.readers.values) }) { reader.add(events) }
    }

    /// The scheduler stops: handlers hear of nothing more, since it waits for them.
    func endInHandlers() {
        let readers = state.withLock { state in
            state.isStopping = true
            return Array(state.readers.values)
        }
        for reader in readers { reader.endInHandlers() }
    }

    /// Nothing comes any more.
    func finish() {
        let readers = state.withLock { state in
            state.isFinished = true
            defer { state.readers = [:] }
            readerCount.store(0, ordering: .relaxed)
            return Array(state.readers.values)
        }
        for reader in readers { reader.finish() }
    }
}

/// Where one reader's events wait to be read.
final class EventReader: Sendable {
    private struct State {
        var ring: EventRing
        var waiting: CheckedContinuation<TaskEvent?, Never>?
        /// Whether a handler made the reader, or has asked for an event.
        var isReadInHandler = false
        var endsInHandlers = false
        var isFinished = false

        mutating func finishInHandler() {
            if isReadInHandler, endsInHandlers { isFinished = true }
        }

        /// Whom to give the next event, or the end, when somebody waits for it.
        mutating func takeAnswer() -> (CheckedContinuation<TaskEvent?, Never>, TaskEvent?)? {
            guard let waiting else { return nil }
            let event = ring.popFirst()
            guard event != nil || isFinished else { return nil }
            self.waiting = nil
            return (waiting, event)
        }
    }

    private let types: Set<TaskType>?
    private let state: Mutex<State>
    private let hub: ObjectIdentifier
    private let onCancel: @Sendable () -> Void

    init(capacity: Int, types: Set<TaskType>?, hub: ObjectIdentifier, onCancel: @escaping @Sendable () -> Void) {
        self.types = types
        self.hub = hub
        self.onCancel = onCancel
        state = Mutex(State(ring: EventRing(capacity: capacity), isReadInHandler: EventHub.ofHandler == hub))
    }

    func add(_ events: [TaskEvent]) {
        let answer = state.withLock { state -> (CheckedContinuation<TaskEvent?, Never>, TaskEvent?)? in
            if state.isFinished { return nil }
            for event in events where types?.contains(event.type) != false { state.ring.append(event) }
            return state.takeAnswer()
        }
        if let (waiting, event) = answer { waiting.resume(returning: event) }
    }

    func finish() {
        let answer = state.withLock { state in
            state.isFinished = true
            return state.takeAnswer()
        }
        if let (waiting, event) = answer { waiting.resume(returning: event) }
    }

    /// The scheduler stops: ends, as soon as a handler reads.
    func endInHandlers() {
        let answer = state.withLock { state in
            state.endsInHandlers = true
            state.finishInHandler()
            return state.takeAnswer()
        }
        if let (waiting, event) = answer { waiting.resume(returning: event) }
    }

    /// The next event; nil when none comes any more or the reader's Swift task is cancelled.
    func next() async -> TaskEvent? {
        let isInHandler = EventHub.ofHandler == hub
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> (CheckedContinuation<TaskEvent?, Never>, TaskEvent?)? in
                    // A second caller would wait for ever in the first one's place: it gets the end.
                    if state.waiting != nil { return (continuation, nil) }
                    if isInHandler {
                        state.isReadInHandler = true
                        state.finishInHandler()
                    }
                    state.waiting = continuation
                    return state.takeAnswer()
                }
                if let (waiting, event) = answer { waiting.resume(returning: event) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Stops listening.
    func cancel() {
        onCancel()
        finish()
    }
}
