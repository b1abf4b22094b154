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

    private struct Counts {
        var fired: [Phase: [FileCall: Int]] = [:]
        var stops: [Phase: Int] = [:]
        var flips: [Flip: Int] = [:]
    }

    private let counts = Mutex(Counts())

    func count(_ flip: Flip) { counts.withLock { $0.flips[flip, default: 0] += 1 } }

    /// Adds the calls that failed, and whether the machine stopped.
    func add(_ files: SimulatedFileSystem, since before: [FileCall: Int] = [:], in phase: Phase) {
        let (fired, hasStopped) = (files.faultsFiredByCall, files.isStopped)
        counts.withLock { counts in
            for (call, count) in fired {
                counts.fired[phase, default: [:]][call, default: 0] += count - before[call, default: 0]
            }
            if hasStopped { counts.stops[phase, default: 0] += 1 }
        }
    }

    /// A line a kind of call, a column a phase.
    var table: String {
        counts.withLock { counts in
            func row(_ name: String, _ cells: [String]) -> String {
                name.padded(to: 24) + cells.map { $0.padded(to: 12) }.joined()
            }
            var lines = [row("failed calls", Phase.allCases.map(\.rawValue))]
            for call in FileCall.allCases {
                lines.append(row(call.rawValue, Phase.allCases.map { "\(counts.fired[$0]?[call] ?? 0)" }))
            }
            lines.append(row("power losses at a call", Phase.allCases.map { "\(counts.stops[$0] ?? 0)" }))
            for flip in Flip.allCases { lines.append(row("bits flipped, \(flip)", ["\(counts.flips[flip] ?? 0)"])) }
            return lines.joined(separator: "\n")
        }
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
