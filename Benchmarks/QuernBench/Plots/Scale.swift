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

    /// - Parameter values: positive ones count.
    init(_ values: [Double], isLogarithmic: Bool? = nil) {
        let positive = values.filter { $0 > 0 }
        let (smallest, largest) = (positive.min() ?? 1, positive.max() ?? 1)
        self.isLogarithmic = isLogarithmic ?? (largest / smallest > 20)
        // Whole powers of ten, so that the length of a bar can be read.
        low = self.isLogarithmic ? floor(log10(smallest) - 0.01) : 0
        high = self.isLogarithmic ? max(ceil(log10(largest) - 0.01), low + 1) : largest
    }

    func place(_ value: Double) -> Double {
        guard value > 0 else { return 0 }
        return ((isLogarithmic ? log10(value) : value) - low) / (high - low)
    }

    /// Values at which lines help: powers of ten, or four equal parts.
    var marks: [Double] {
        isLogarithmic
            ? stride(from: low, through: high, by: 1).map { pow(10, $0) }
            : (0...4).map { high * Double($0) / 4 }
    }
}
