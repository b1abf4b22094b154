// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Where values lie between 0 and 1: by their size, or by their logarithm when the smallest would not be seen.
struct Scale {
    var isLogarithmic: Bool
    private var low: Double
    private var high: Double

    /// Between the marks of a scale that is not logarithmic.
    private let step: Double

    /// - Parameters:
    ///   - values: positive ones count.
    ///   - isLogarithmic: nil to let the values say.
    init(_ values: [Double], isLogarithmic: Bool? = nil) {
        let positive = values.filter { $0 > 0 }
        let (smallest, largest) = (positive.min() ?? 1, positive.max() ?? 1)
        self.isLogarithmic = isLogarithmic ?? (largest / smallest > 20)
        // Four or five steps of a round number: 1, 2 or 5 and zeros behind it.
        let power = pow(10, floor(log10(largest / 4)))
        let round = [1.0, 2, 5, 10].last { $0 * power <= largest / 4 } ?? 1
        step = round * power
        // Whole powers of ten, so that the length of a bar can be read; a little room for the smallest bar to be seen.
        low = self.isLogarithmic ? floor(log10(smallest) - (isLogarithmic == nil ? 0.05 : -0.001)) : 0
        high = self.isLogarithmic ? max(ceil(log10(largest) - 0.001), low + 1) : largest
    }

    func place(_ value: Double) -> Double {
        guard value > 0 else { return 0 }
        return ((isLogarithmic ? log10(value) : value) - low) / (high - low)
    }

    /// Values at which lines help: powers of ten, or four equal parts.
    var marks: [Double] {
        isLogarithmic
            ? stride(from: low, through: high, by: 1).map { pow(10, $0) }
            : stride(from: 0, through: high, by: step).map { $0 }
    }
}
