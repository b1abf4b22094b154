// SPDX-License-Identifier: Apache-2.0

/// When a checkpoint begins, as a plain state machine of the writer thread: one at a time, each some bytes of log after
/// the one before, and a last one that ends the store.
///
/// | state | log grew to the mark, or asked for | finished | close |
/// |---|---|---|---|
/// | idle | begin: running | - | finish: closed |
/// | running | due again | idle | closing |
/// | due again | - | begin: running | closing |
/// | closing | - | finish: closed | - |
struct CheckpointSchedule {
    enum State: Equatable {
        case idle
        case running
        case dueAgain
        /// One runs; the last one comes after it.
        case closing
        case closed
    }

    enum Event {
        /// Bytes of log since the store was opened.
        case logGrew(to: UInt64)
        /// What changed beside the log must count soon.
        case requested
        /// The checkpoint that began ended, well or not; how much it wrote, when it was written.
        case finished(bytes: UInt64?)
        case close
    }

    enum Action {
        case nothing
        /// Begin a checkpoint; its end is an event.
        case begin
        /// Nothing runs any more: write the last checkpoint and end.
        case finish
    }

    private(set) var state = State.idle
    var isClosing: Bool { state == .closing || state == .closed }
    /// Bytes of log at which the next checkpoint is due.
    private(set) var dueAt: UInt64
    private let interval: UInt64
    private var logBytes: UInt64 = 0
    /// A checkpoint waits for as much log as the last one wrote: so checkpoints never write more than the log does.
    private var lastBytes: UInt64 = 0

    /// - Parameter replayed: bytes of log that are behind the last checkpoint already.
    init(interval: UInt64, replayed: UInt64) {
        self.interval = interval
        dueAt = interval > replayed ? interval - replayed : 0
    }

    mutating func handle(_ event: Event) -> Action {
        switch (state, event) {
        case (.idle, .logGrew(let bytes)):
            logBytes = bytes
            return bytes >= dueAt ? begin() : .nothing
        case (.idle, .requested): return begin()
        case (.running, .requested), (.dueAgain, .requested): state = .dueAgain
        case (.running, .logGrew(let bytes)), (.dueAgain, .logGrew(let bytes)):
            logBytes = bytes
            if bytes >= dueAt { state = .dueAgain }
        case (.running, .finished(let bytes)):
            note(bytes)
            state = .idle
        case (.dueAgain, .finished(let bytes)):
            note(bytes)
            return begin()
        case (.running, .close), (.dueAgain, .close): state = .closing
        case (.idle, .close), (.closing, .finished):
            state = .closed
            return .finish
        case (.closing, _), (.closed, _): break
        case (.idle, .finished): preconditionFailure("a checkpoint ended that had not begun")
        }
        return .nothing
    }

    private mutating func note(_ bytes: UInt64?) {
        guard let bytes else { return }
        lastBytes = bytes
    }

    private mutating func begin() -> Action {
        dueAt = logBytes + max(interval, lastBytes)
        state = .running
        return .begin
    }
}
