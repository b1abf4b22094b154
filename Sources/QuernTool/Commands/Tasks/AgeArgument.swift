// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore

/// A span of time on the command line: 30s, 15m, 2h, 3d, 4w.
struct AgeArgument: ExpressibleByArgument, Equatable {
    private static let longest: Int64 = 36_600 * 86_400_000

    let milliseconds: Int64

    init?(argument: String) {
        let units: [Character: Int64] = ["s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000]
        guard let unit = argument.last.flatMap({ units[$0] }), let count = Int64(argument.dropLast()), count >= 0,
            count <= Self.longest / unit
        else { return nil }
        milliseconds = count * unit
    }

    var duration: Duration { .milliseconds(milliseconds) }

    func before(_ now: Timestamp) -> Timestamp { Timestamp(milliseconds: now.rawValue - milliseconds) }
}
