// SPDX-License-Identifier: Apache-2.0

/// What is to be done in the background, one thing at a time, and what is due next.
///
/// A plain value that the writer owns: it is told what happened and says what to begin.
struct Housekeeping: Sendable {
    enum Work: Sendable, Equatable {
        /// Write what live tasks need of old log segments once more.
        case relocate
        /// Drop what the retention policy no longer keeps.
        case retain
        /// Rewrite the index segments for which that is worthwhile.
        case compact
        /// Rewrite all of which that gains anything, because somebody waits for it.
        case compactEverything
    }

    private let retains: Bool
    private let compacts: Bool
    private var due: [Work] = []
    private var isBusy = false

    init(retains: Bool, compacts: Bool) {
        self.retains = retains
        self.compacts = compacts
    }

    /// A checkpoint was written.
    mutating func didCheckpoint() {
        add(.relocate)
        if retains { add(.retain) }
        if compacts { add(.compact) }
    }

    /// Trees were dropped.
    mutating func didDrop() { if compacts { add(.compact) } }

    /// Somebody asks for a compaction.
    mutating func request() { add(.compactEverything) }

    /// A compaction rewrote something: there may be more to do.
    mutating func didCompact() { if compacts { add(.compact) } }

    /// What to begin now, if anything.
    mutating func next() -> Work? {
        guard !isBusy, !due.isEmpty else { return nil }
        isBusy = true
        return due.removeFirst()
    }

    /// The work that was begun is done.
    mutating func didFinish() { isBusy = false }

    private mutating func add(_ work: Work) {
        if !due.contains(work) { due.append(work) }
    }
}
