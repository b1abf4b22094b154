// SPDX-License-Identifier: Apache-2.0
import Metrics
import QuernStore
import Synchronization

/// Counts what the tasks of each registered type do.
struct TypeObservers: Sendable {
    /// By the raw value of the label.
    private let observers: [TypeObserver?]

    init(_ types: TypeTable, name: String, _ factory: any MetricsFactory) {
        observers = types.runners.map { runner in runner.map { TypeObserver($0.type, queue: name, factory) } }
    }

    subscript(label: Label) -> TypeObserver? {
        let index = Int(label.rawValue)
        return index < observers.count ? observers[index] : nil
    }

    /// How much waits and runs, by the raw value of the label.
    func note(_ load: [Dispatcher.Load]) {
        for (observer, load) in zip(observers, load) { observer?.note(load) }
    }

    var all: some Sequence<TypeObserver> { observers.lazy.compactMap(\.self) }
}

/// The statistics and metrics of one type.
final class TypeObserver: Sendable {
    let type: TaskType
    private let recorder = Mutex(TypeRecorder())
    private let metrics: TypeMetrics

    init(_ type: TaskType, queue: String, _ factory: any MetricsFactory) {
        self.type = type
        metrics = TypeMetrics(type, queue: queue, factory)
    }

    /// A pull is over.
    func add(_ pull: PullSummary, at now: Timestamp) {
        recorder.withLock { $0.add(pull, at: now) }
        metrics.add(pull)
    }

    /// How many tasks wait for a worker, and how many a worker has.
    func note(_ load: Dispatcher.Load) { metrics.note(load) }

    func statistics(at now: Timestamp) -> TypeStatistics {
        recorder.withLock { $0.statistics(of: type, at: now) }
    }
}

extension TaskScheduler {
    /// What the tasks of one type have done since the scheduler was made; nil when it is not registered.
    ///
    /// - Complexity: O(buckets of two histograms), some ten microseconds.
    public func statistics(of type: TaskType) -> TypeStatistics? {
        core.types.label(named: type).flatMap { core.observers[$0]?.statistics(at: core.clock.now) }
    }

    /// That of all registered types.
    public func statisticsByType() -> [TypeStatistics] {
        core.observers.all.map { $0.statistics(at: core.clock.now) }
    }
}
