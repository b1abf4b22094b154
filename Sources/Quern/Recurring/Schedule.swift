// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// A recurring task, as the store keeps it: what is spawned and when, and which times it was spawned for.
struct Schedule: Sendable, Codable, Equatable {
    /// What stays the same from tick to tick.
    struct Definition: Sendable, Codable, Equatable {
        /// The label's name: the type with the version of its payload.
        var label: String
        var payload: [UInt8]
        var priority: UInt8
        /// As ``TaskAttributes`` encodes them.
        var attributes: [UInt8]
        var recurrence: Recurrence
        var missed: MissedTicks
        /// Whether a tick spawns although the task of an earlier one has not ended.
        var overlaps: Bool
        /// How often it spawns in all.
        var limit: UInt64?
    }

    var definition: Definition
    /// Intervals are counted from here, milliseconds.
    var start: Int64
    /// Up to here ticks are done with.
    var handledUpTo: Int64
    /// How often it has spawned.
    var spawned: UInt64 = 0

    init(_ definition: Definition, at now: Timestamp) {
        self.definition = definition
        start = now.rawValue
        handledUpTo = now.rawValue
    }

    var isExhausted: Bool { definition.limit.map { spawned >= $0 } ?? false }
}

extension Schedule {
    /// At most so many ticks come of one look, so that years of missed minutes do not become one transaction.
    static let ticksAtOnce = 256
    /// A tick that is found this late was missed: nobody ran who could have seen it in time.
    static let punctuality: Int64 = 60_000
    /// A clock that was turned back by less repeats no tick; by more, it was wrong before: as Debian's cron has it.
    static let smallestCorrection: Int64 = 3 * 3600 * 1000

    /// When it is to be looked at again; nil for never.
    func nextDue(_ source: TickSource, now: Timestamp) -> Timestamp? {
        if isExhausted { return nil }
        var corrected = self
        corrected.correct(now)
        return source.next(after: Timestamp(milliseconds: corrected.handledUpTo))
    }

    /// Goes on from now when the clock was far ahead.
    mutating func correct(_ now: Timestamp) {
        if handledUpTo.subtractingSaturating(now.rawValue) > Self.smallestCorrection { handledUpTo = now.rawValue }
    }

    /// The ticks that are to be spawned now, oldest first. All up to now, or to the last one returned, are done with
    /// afterwards.
    ///
    /// - Parameter isBusy: whether the task of an earlier tick has not ended.
    mutating func takeDue(_ source: TickSource, isBusy: Bool = false, now: Timestamp) -> [Timestamp] {
        guard !isExhausted else { return [] }
        correct(now)
        let from = Timestamp(milliseconds: handledUpTo)
        guard let first = source.next(after: from), first <= now else { return [] }
        var ticks: [Timestamp] = []
        if !definition.overlaps, isBusy {
            handledUpTo = now.rawValue
            return []
        }
        // Without overlapping there is no use in more than one.
        switch definition.overlaps || definition.missed == .skip ? definition.missed : .latest {
        case .all:
            var tick: Timestamp? = first
            while let due = tick, due <= now, ticks.count < Self.ticksAtOnce {
                ticks.append(due)
                tick = source.next(after: due)
            }
            handledUpTo = ticks[ticks.count - 1].rawValue
        case .latest:
            ticks = [source.last(after: from, upTo: now) ?? first]
            handledUpTo = now.rawValue
        case .skip:
            let earliest = Timestamp(milliseconds: now.rawValue.subtractingSaturating(Self.punctuality + 1))
            source.last(after: max(from, earliest), upTo: now).map { ticks = [$0] }
            handledUpTo = now.rawValue
        }
        if let limit = definition.limit { ticks = Array(ticks.prefix(Int(clamping: limit - spawned))) }
        spawned += UInt64(ticks.count)
        return ticks
    }
}
