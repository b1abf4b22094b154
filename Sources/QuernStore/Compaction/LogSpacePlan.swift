// SPDX-License-Identifier: Apache-2.0

/// Which old log segments are not worth keeping for the little in them that live tasks still need.
///
/// A segment is freed when nothing in it is needed. A few long-lived tasks would keep each a whole segment: what little
/// they need is written once more, so that their segments go with the next checkpoint. What is younger than a few
/// segments is left alone, since most of it ends by itself.
enum LogSpacePlan {
    struct Segment: Sendable, Equatable {
        var number: UInt32
        /// Bytes of payloads and slots that live tasks still need.
        var liveBytes: Int
    }

    /// How many segments behind the current one are left alone.
    static let youngSegments: UInt32 = 3

    /// The segments to empty, the oldest first.
    ///
    /// - Parameters:
    ///   - segments: by number, only those in which something is needed.
    ///   - segmentBytes: what a segment holds when it is full. Of that a quarter may be moved: each byte of a log is
    ///     written a third more often at most.
    static func relocations(_ segments: [Segment], current: UInt32, segmentBytes: Int) -> [UInt32] {
        var chosen: [UInt32] = []
        var bytes = 0
        for segment in segments
        where segment.number < current - min(current, youngSegments) && segment.liveBytes <= segmentBytes / 4 {
            bytes += segment.liveBytes
            if !chosen.isEmpty, bytes > segmentBytes / 4 { break }
            chosen.append(segment.number)
        }
        return chosen
    }
}

/// What live tasks need of the log, by segment.
struct LogUse: Sendable {
    private(set) var segments: [UInt32: Int] = [:]

    /// O(live runs and parents).
    init(_ state: borrowing StoreState) {
        // Runs are in the order of their ids, so that neighbours mostly share a segment.
        var last: (segment: UInt32, bytes: Int) = (0, 0)
        for entry in state.live.runs where entry.live != 0 {
            if entry.run.segment != last.segment {
                flush(&last)
                last.segment = entry.run.segment
            }
            let live = entry.live.nonzeroBitCount
            last.bytes += Int(entry.run.payloadBytes) * live / Int(entry.run.count) + live
        }
        flush(&last)
        for run in state.stages.values.lazy.flatMap(\.runs) {
            segments[run.segment, default: 0] += Int(run.payloadBytes) + Int(run.count)
        }
        for (_, _, place) in state.slots.all { segments[place.segment, default: 0] += Int(place.bytes) + 1 }
    }

    private mutating func flush(_ last: inout (segment: UInt32, bytes: Int)) {
        if last.bytes > 0 { segments[last.segment, default: 0] += last.bytes }
        last.bytes = 0
    }

    func plan(current: UInt32, segmentBytes: Int) -> [UInt32] {
        LogSpacePlan.relocations(
            segments.sorted { $0.key < $1.key }.map { LogSpacePlan.Segment(number: $0.key, liveBytes: $0.value) },
            current: current, segmentBytes: segmentBytes)
    }
}

/// Reads what live tasks need of some log segments, as a transaction that writes it once more.
struct Relocation: Sendable {
    let runs: [LiveTasks.Run]
    let kept: [(slot: UInt8, task: TaskID, place: LogPlace)]

    init(of segments: [UInt32], in state: borrowing StoreState) {
        let chosen = Set(segments)
        runs = state.live.runs.filter { $0.live != 0 && chosen.contains($0.run.segment) }
        kept = state.slots.all.filter { chosen.contains($0.place.segment) }
    }

    func transaction(reading bodies: LogBodies) throws(StoreError) -> Transaction {
        var transaction = Transaction()
        for entry in runs {
            var lengths = [UInt32](repeating: 0, count: Int(entry.run.count))
            var payloads: [UInt8] = []
            try bodies.withPayloads(of: entry.run, indexes: entry.live) { index, payload in
                lengths[index] = UInt32(payload.byteCount)
                payload.withUnsafeBytes { payloads.append(contentsOf: $0) }
            }
            transaction.relocate(entry.run, lengths: lengths, payloads: payloads)
        }
        for (slot, task, place) in kept {
            let value = try bodies.kept(by: task, slot, at: place)
            transaction.relocateKept(by: task, slot: slot, from: place, value: value)
        }
        return transaction
    }
}
