// SPDX-License-Identifier: Apache-2.0
public import QuernStore
import Synchronization

/// Something that tells how loaded what tasks need is, so that less is started before it is overloaded (T16).
///
/// ```swift
/// configuration.pressureSources = [PressureStall(.io), ComputedPressure("uploads") { queue.filled }]
/// ```
///
/// The scheduler asks its sources at an interval (``TaskScheduler/Configuration/pressureInterval``) and goes by the
/// highest of them; what follows says the ``ThrottlePolicy``.
public protocol PressureSource: Sendable {
    /// What logs, metrics and ``TaskScheduler/pressure`` call it.
    var name: String { get }

    /// From 0, at ease, to 1, overloaded; nil when it cannot be told now, which counts as 0. What lies outside counts
    /// as the nearer end.
    ///
    /// Called on a thread of its own, one source after the other. It may read a small file, and must not wait for
    /// anything: until it returns nobody hears of the other sources, and `run()` starts no task before it has been
    /// called once.
    func pressure(at now: Timestamp) -> Double?
}

/// A source from a closure, such as one that looks at a queue of yours.
public struct ComputedPressure: PressureSource {
    public let name: String
    private let compute: @Sendable () -> Double?

    /// - Parameter compute: as ``PressureSource/pressure(at:)``.
    public init(_ name: String, _ compute: @escaping @Sendable () -> Double?) {
        self.name = name
        self.compute = compute
    }

    public func pressure(at now: Timestamp) -> Double? { compute() }
}

/// A source that is set by hand: by an operator, by a handler that was told to slow down, by a test.
public final class ManualPressure: PressureSource {
    public let name: String
    private let value: Mutex<Double?>

    public init(_ name: String = "manual", _ value: Double? = nil) {
        self.name = name
        self.value = Mutex(value)
    }

    /// Says what the pressure is from now on. The scheduler hears of it when it asks next;
    /// ``TaskScheduler/readPressure()`` has it ask at once.
    public func set(_ value: Double?) { self.value.withLock { $0 = value } }

    public func pressure(at now: Timestamp) -> Double? { value.withLock { $0 } }
}
