// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization

/// What went wrong in the lives on disks that fail: how far the faults reached.
final class FaultTally: Sendable {
    enum Phase: String, CaseIterable { case opening, running, compacting, stopping }

    /// What became of a flipped bit.
    enum Flip: String, CaseIterable {
        /// Somebody was told.
        case told
        /// Nobody was, and all that is shown is right.
        case harmless
    }

    /// The calls that are made to fail.
    static let calls: [FileCall] = [
        .open, .list, .createDirectory, .rename, .remove, .synchronizeDirectory, .lock, .checkLock, .size, .read,
        .write,
        .write, .write, .synchronize, .synchronize, .map,
    ]

    /// Those that leave a store in doubt when they fail, whatever for, so that it takes no more.
    static let doubts: [FileCall] = [.synchronize, .synchronizeDirectory, .lock, .checkLock]

    private struct Counts {
        var fired: [Phase: [FileCall: Int]] = [:]
        var made: [Phase: [FileCall: Int]] = [:]
        var stops: [Phase: Int] = [:]
        var flips: [Flip: Int] = [:]
    }

    private let counts = Mutex(Counts())

    func count(_ flip: Flip) { counts.withLock { $0.flips[flip, default: 0] += 1 } }

    /// What a file system has counted at some moment.
    struct Reading {
        var fired: [FileCall: Int]
        var made: [FileCall: Int]
        var hasStopped: Bool
    }

    /// Adds the calls that were made and that failed since then, and whether the machine stopped.
    ///
    /// - Parameter couldFail: whether it was meant that any of them might; those of other times do not count as made.
    func add(_ files: SimulatedFileSystem, since before: Reading, in phase: Phase, couldFail: Bool) {
        let now = files.reading()
        counts.withLock { counts in
            for call in FileCall.allCases {
                let (fired, made) = (now.fired[call, default: 0], now.made[call, default: 0])
                counts.fired[phase, default: [:]][call, default: 0] += fired - before.fired[call, default: 0]
                if couldFail {
                    counts.made[phase, default: [:]][call, default: 0] += made - before.made[call, default: 0]
                }
            }
            if now.hasStopped, !before.hasStopped { counts.stops[phase, default: 0] += 1 }
        }
    }

    /// The kinds of calls that some phase made where they could fail, and of which none failed in it.
    var unreached: [String] {
        counts.withLock { counts in
            Phase.allCases.flatMap { phase in
                FileCall.allCases.filter { call in
                    counts.made[phase]?[call] ?? 0 > 0 && counts.fired[phase]?[call] ?? 0 == 0
                }
                .map { "\($0.rawValue) while \(phase.rawValue)" }
            }
        }
    }

    /// A line a kind of call, a column a phase; where none was made, nothing could fail.
    var table: String {
        counts.withLock { counts in
            func row(_ name: String, _ cells: [String]) -> String {
                name.padded(to: 24) + cells.map { $0.padded(to: 12) }.joined()
            }
            var lines = [row("failed calls", Phase.allCases.map(\.rawValue))]
            for call in FileCall.allCases {
                let cells = Phase.allCases.map { phase in
                    counts.made[phase]?[call] ?? 0 == 0 ? "-" : "\(counts.fired[phase]?[call] ?? 0)"
                }
                lines.append(row(call.rawValue, cells))
            }
            lines.append(row("power losses at a call", Phase.allCases.map { "\(counts.stops[$0] ?? 0)" }))
            for flip in Flip.allCases { lines.append(row("bits flipped, \(flip)", ["\(counts.flips[flip] ?? 0)"])) }
            return lines.joined(separator: "\n")
        }
    }
}

extension SimulatedFileSystem {
    func reading() -> FaultTally.Reading {
        let made = Dictionary(uniqueKeysWithValues: FileCall.allCases.map { ($0, calls(of: $0)) })
        return FaultTally.Reading(fired: faultsFiredByCall, made: made, hasStopped: isStopped)
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
