// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore

/// What all services so far have been told, and what the store has shown since: kept outside of the store.
struct Ledger {
    /// A root task of which somebody was told.
    struct Root {
        /// Nil of one that was only seen, or waited for by a later process than the one that submitted it.
        var number: UInt64?
        var isWave: Bool?
        /// How it ended, as its caller was told.
        var told: Outcome?
        var isCancelRequested = false
        /// Somebody was about to drop it, so that it may be gone.
        var isDropping = false
        var isDropped = false
        /// Where the store showed its outcome.
        var sequence: UInt64?
        var shown: Outcome?
    }

    struct Outcome: Equatable {
        var kind: UInt8
        var value: UInt64
    }

    var roots: [UInt64: Root] = [:]
    /// Root tasks that are gone for good, and must not come back.
    var gone: Set<UInt64> = []
    /// No id that is given from now on may be one of these.
    var lastKnownID: UInt64 = 0
    /// The newest value that was stored beside the tasks.
    var stored: UInt64 = 0
    /// The newest position at which a root task ended that was shown, retention's doings included.
    var lastSequence: UInt64 = 0
    var figures = Figures()

    /// Takes in what a service said, and checks what can be checked without the store.
    mutating func add(_ acknowledgements: [Acknowledgement]) throws(Violation) {
        var newest = lastKnownID
        var given: Set<UInt64> = []
        for acknowledgement in acknowledgements {
            switch acknowledgement {
            case .opened: break
            case .submitted(let id, let number, let isWave):
                figures.submits += 1
                guard id > lastKnownID, given.insert(id).inserted else {
                    throw Violation("task \(id), number \(number), has an id that was given before")
                }
                newest = max(newest, id)
                roots[id, default: Root()].number = number
                roots[id]?.isWave = isWave
            case .ended(let id, let kind, let value):
                figures.outcomes += 1
                let outcome = Outcome(kind: kind, value: value)
                let root = roots[id, default: Root()]
                if let known = root.told ?? root.shown, known != outcome {
                    throw Violation("task \(id) ended as \(outcome) and before as \(known)")
                }
                newest = max(newest, id)
                roots[id, default: Root()].told = outcome
            case .cancelled(let id):
                figures.cancels += 1
                roots[id]?.isCancelRequested = true
            case .dropping(let id): roots[id]?.isDropping = true
            case .dropped(let id):
                figures.drops += 1
                roots[id]?.isDropped = true
            case .stored(let value):
                figures.stores += 1
                stored = max(stored, value)
            case .refused(let reason):
                // The store says no to nobody but a scheduler that is wrong about what it has.
                if reason.hasPrefix("rejected") { throw Violation("refused: \(reason)") }
                figures.refused[reason, default: 0] += 1
            case .failed(let reason): figures.failed[Self.summary(reason), default: 0] += 1
            }
        }
        lastKnownID = newest
    }

    /// An error without the names and places in it.
    private static func summary(_ reason: String) -> String {
        var text = reason.replacing(/\ \[[^\]]*\]/, with: "")
        text.replace(/\ \/[^ :]*/, with: "")
        text.replace(/\ at byte [0-9]+/, with: "")
        return text
    }
}

/// Something that must not be.
struct Violation: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
