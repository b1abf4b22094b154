// SPDX-License-Identifier: Apache-2.0

/// What is not started under pressure (T16): steps, each of which holds back tasks by their priority, workers, or both.
///
/// ```swift
/// configuration.throttle = ThrottlePolicy([
///     .init(from: 0.5, priority: 192),                        // background work waits
///     .init(from: 0.8, downTo: 0.5, priority: 1, concurrency: 0.25),  // all but the best, on a quarter of the workers
/// ])
/// ```
///
/// What counts is the priority that the task has, however long it has waited: ``TaskScheduler/Configuration/aging``
/// does not lift it past a step, ``TaskScheduler/setPriority(_:of:)`` does. `finalize` is held back like `execute`.
/// What a worker has goes on. Tasks that are held back cost the others nothing, can be cancelled and expire; a parent
/// waits for children that are held back as it does for those that are not, without a worker.
public struct ThrottlePolicy: Sendable, Equatable {
    public struct Step: Sendable, Equatable {
        /// The step holds from this pressure on,
        public let pressure: Double
        /// until the pressure is no higher than this: lower, so that tasks do not start and stop by turns.
        public let release: Double
        /// Tasks of this priority and all larger numbers do not start; nil for none.
        public let priority: UInt8?
        /// Which part of the workers may be busy, from 0 to 1; at least one of them may.
        public let concurrency: Double

        /// - Parameters:
        ///   - release: 0.1 less than the pressure unless said otherwise; never more than it.
        ///   - concurrency: all workers unless said otherwise.
        public init(
            from pressure: Double, downTo release: Double? = nil, priority: UInt8? = nil, concurrency: Double = 1
        ) {
            self.pressure = Self.share(pressure, else: 1)
            self.release = min(self.pressure, Self.share(release ?? self.pressure - 0.1, else: 0))
            self.priority = priority
            self.concurrency = Self.share(concurrency, else: 1)
        }

        /// From 0 to 1.
        static func share(_ value: Double, else other: Double) -> Double {
            value.isNaN ? other : min(max(value, 0), 1)
        }
    }

    /// In any order. Of several that hold the strictest counts.
    public var steps: [Step]

    public init(_ steps: [Step]) { self.steps = steps }

    /// From 0.5 on tasks of priority 192 and worse wait; from 0.75 on all that are worse than the default of 128, and
    /// half of the workers; from 0.9 on those of the default priority as well. What is better always runs.
    public static let `default` = ThrottlePolicy([
        Step(from: 0.5, priority: 192), Step(from: 0.75, priority: 129, concurrency: 0.5),
        Step(from: 0.9, priority: 128, concurrency: 0.5),
    ])
}
