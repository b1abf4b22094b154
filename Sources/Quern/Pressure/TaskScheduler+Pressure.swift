// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernStore

extension TaskScheduler {
    /// How loaded the sources said to be when they were asked last, and what is held back for it.
    ///
    /// - Complexity: O(sources).
    public var pressure: SchedulerPressure { core.pressure }

    /// Asks the sources of pressure at once instead of when the interval is over, and goes by what they say.
    @discardableResult
    public func readPressure() async -> SchedulerPressure {
        core.perform { $0.dispatcher.questionsUnderWay += 1 }
        await core.readPressure()
        return core.pressure
    }
}

/// How loaded what tasks need is, and what does not start for it.
public struct SchedulerPressure: Sendable, Equatable {
    /// The highest of the readings, from 0 to 1.
    public var value: Double
    /// What each source said.
    public var readings: [PressureReading]
    /// Tasks of this priority and all larger numbers do not start; nil when none are held back.
    public var heldPriority: UInt8?
    /// How many handlers may run at a time.
    public var concurrency: Int
}

/// What one source of pressure said.
public struct PressureReading: Sendable, Equatable {
    /// The source's name.
    public var source: String
    /// From 0 to 1; nil when it could not tell.
    public var value: Double?
}

extension CoreState {
    /// Whether the sources of pressure are to be asked now.
    mutating func takeReading() -> Bool {
        guard let nextReading, nextReading <= dispatcher.now else { return false }
        self.nextReading = nil
        dispatcher.questionsUnderWay += 1
        return true
    }
}

extension SchedulerCore {
    var pressure: SchedulerPressure { read { pressure($0.dispatcher) } }

    private func pressure(_ dispatcher: borrowing Dispatcher) -> SchedulerPressure {
        SchedulerPressure(
            value: dispatcher.throttle.pressure, readings: gauge.readings,
            heldPriority: dispatcher.throttle.heldPriority, concurrency: dispatcher.concurrency)
    }

    /// Asks the sources. The dispatcher must have been told that an answer is under way.
    func readPressure() async {
        await gauge.read(at: clock.now) { highest in
            let (pressure, isNews) = self.perform { state in
                state.dispatcher.questionsUnderWay -= 1
                if self.gauge.isUsed { state.nextReading = state.dispatcher.now.advanced(by: self.gauge.interval) }
                let isNews = highest.map { state.dispatcher.pressureChanged(to: $0) } ?? false
                return (self.pressure(state.dispatcher), isNews)
            }
            if isNews { self.logger.notice("\(pressure)") }
            return pressure
        }
    }
}

extension SchedulerPressure: CustomStringConvertible {
    public var description: String {
        let readings = readings.map { "\($0.source) \($0.value.map { "\(Int($0 * 100)) %" } ?? "unknown")" }
        let held = heldPriority.map { "tasks of priority \($0) and worse wait" } ?? "no task waits for it"
        return "pressure \(Int(value * 100)) % (\(readings.joined(separator: ", "))): \(held), "
            + "\(concurrency) run at a time"
    }
}
