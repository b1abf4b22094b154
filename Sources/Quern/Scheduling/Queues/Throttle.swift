// SPDX-License-Identifier: Apache-2.0

/// Which tasks, and how many workers, the pressure holds back (T16).
///
/// Tasks between two priorities that steps begin at are held back together: they are of one class, and have a limiter
/// for it. So who is held back is parked like anybody else, and looked at once when the step ends.
///
/// A plain state machine: a pressure goes in, what holds comes out.
struct Throttle: Sendable {
    let steps: [ThrottlePolicy.Step]
    /// The priorities that steps begin at, growing. Class 0, below all of them, is never held back.
    let bounds: [UInt8]
    private var isHolding: [Bool]
    private(set) var pressure = 0.0
    /// The smallest number of a priority that is held back.
    private(set) var heldPriority: UInt8?
    /// Which part of the workers may be busy.
    private(set) var concurrency = 1.0

    init(_ policy: ThrottlePolicy = ThrottlePolicy([])) {
        steps = policy.steps
        bounds = Set(policy.steps.compactMap(\.priority)).sorted()
        isHolding = Array(repeating: false, count: steps.count)
    }

    /// The class of tasks of a priority.
    func level(of priority: UInt8) -> UInt16 {
        if bounds.isEmpty { return 0 }
        return UInt16(bounds.count { $0 <= priority })
    }

    /// Whether the tasks of a class are held back, counted from 1.
    func holds(_ level: UInt16) -> Bool {
        guard let heldPriority, level > 0 else { return false }
        return bounds[Int(level) - 1] >= heldPriority
    }

    /// The pressure is another.
    ///
    /// - Returns: whether something else is held back than before.
    mutating func note(_ pressure: Double) -> Bool {
        self.pressure = pressure
        let before = (heldPriority, concurrency)
        heldPriority = nil
        concurrency = 1
        for (index, step) in steps.enumerated() {
            if pressure >= step.pressure {
                isHolding[index] = true
            } else if pressure <= step.release {
                isHolding[index] = false
            }
            guard isHolding[index] else { continue }
            if let priority = step.priority { heldPriority = min(heldPriority ?? priority, priority) }
            concurrency = min(concurrency, step.concurrency)
        }
        return before != (heldPriority, concurrency)
    }

    /// How many of `workers` may be busy.
    func limit(_ workers: Int) -> Int {
        concurrency == 1 ? workers : max(1, Int(Double(workers) * concurrency))
    }
}
