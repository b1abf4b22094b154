// SPDX-License-Identifier: Apache-2.0

/// One thing measured several times, and what the machine could do at most, measured in the same run.
struct Figure {
    /// Which end of the scale is the good one.
    enum Direction {
        /// Times and sizes.
        case lessIsBetter
        /// Rates.
        case moreIsBetter
    }

    struct Limit {
        var name: String
        var value: Double
    }

    var name: String
    var unit: String
    var direction: Direction
    /// Never empty.
    var samples: [Double]
    var limit: Limit?

    init(
        _ name: String, _ unit: String, _ samples: [Double], _ direction: Direction = .lessIsBetter,
        limit: Limit? = nil
    ) {
        precondition(!samples.isEmpty, "a figure needs a measurement")
        self.name = name
        self.unit = unit
        self.direction = direction
        self.samples = samples
        self.limit = limit
    }

    var minimum: Double { samples.min() ?? 0 }
    var median: Double { samples.median }
    var maximum: Double { samples.max() ?? 0 }

    /// How many times worse than the limit the median is; nil without a limit.
    var distance: Double? {
        guard let limit, limit.value > 0, median > 0 else { return nil }
        return direction == .lessIsBetter ? median / limit.value : limit.value / median
    }
}

extension [Double] {
    /// The middle one of the sorted values, the lower of two.
    var median: Double { isEmpty ? 0 : sorted()[(count - 1) / 2] }
}

extension Duration {
    /// For quotients, where the last digits do not count.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
    var inNanoseconds: Double { inSeconds * 1e9 }
}
