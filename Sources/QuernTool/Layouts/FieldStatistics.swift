// SPDX-License-Identifier: Apache-2.0

/// Count, bounds and sum of one field over many memos. Sums of integers are exact, however many there are.
struct FieldStatistics: Sendable {
    private(set) var count: UInt64 = 0
    private var integers = Int128(0)
    private var smallest = Int128.max
    private var largest = Int128.min
    /// Of a float field: the sum, and what rounding has lost of it.
    private var sum = 0.0
    private var lost = 0.0
    private var low = Double.infinity
    private var high = -Double.infinity
    private var isFloat = false

    mutating func add(_ value: FieldValue) {
        count += 1
        switch value {
        case .unsigned(let value): add(Int128(value))
        case .signed(let value): add(Int128(value))
        case .float(let value):
            isFloat = true
            let next = sum + value
            lost += abs(sum) >= abs(value) ? (sum - next) + value : (value - next) + sum
            sum = next
            low = min(low, value)
            high = max(high, value)
        }
    }

    private mutating func add(_ value: Int128) {
        integers += value
        smallest = min(smallest, value)
        largest = max(largest, value)
    }

    var isEmpty: Bool { count == 0 }

    private var total: Double { sum.isFinite && lost.isFinite ? sum + lost : sum }

    var mean: Double { count == 0 ? 0 : (isFloat ? total : Double(integers)) / Double(count) }

    /// As people read them; empty without values.
    var texts: (sum: String, minimum: String, maximum: String, mean: String) {
        if isEmpty { return ("0", "", "", "") }
        return isFloat
            ? ("\(total)", "\(low)", "\(high)", "\(mean)")
            : (
                Numbers.grouped(integers), Numbers.grouped(smallest), Numbers.grouped(largest),
                Numbers.fixed(mean, digits: 3)
            )
    }

    /// Fields of an object: `count`, `sum`, and with values `min`, `max` and `mean`.
    func append(to json: inout JSONLine, sumOnly: Bool) {
        json.field("count", count)
        if isFloat {
            json.field("sum", total)
            if sumOnly { return }
            json.field("min", low)
            json.field("max", high)
        } else {
            json.field("sum", integers)
            if sumOnly || isEmpty { return }
            json.field("min", smallest)
            json.field("max", largest)
        }
        json.field("mean", mean)
    }
}
