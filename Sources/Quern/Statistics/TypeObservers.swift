// SPDX-License-Identifier: Apache-2.0
import Metrics
import QuernStore
import Synchronization

/// Counts what the tasks of each registered type do.
struct TypeObservers: Sendable {
    /// By the raw value of the label.
    private let observers: [TypeObserver?]

    init(_ types: TypeTable, name: String, _ factory: any MetricsFactory) {
        var known: [TaskType: TypeObserver] = [:]
        // The labels of a type's versions and former names have one observer.
        observers = types.runners.map { runner in
            guard let type = runner?.type else { return nil }
            let observer = known[type] ?? TypeObserver(type, queue: name, factory)
            known[type] = observer
            return observer
        }
        all = known.values.sorted { $0.type.name < $1.type.name }
    }

    subscript(label: Label) -> TypeObserver? {
        let index = Int(label.rawValue)
        return index < observers.count ? observers[index] : nil
    }

    /// How much waits and runs, by the raw value of the label.
    func note(_ load: [Dispatcher.Load]) {
        for observer in all {
            var sum = Dispatcher.Load()
            for (other, load) in zip(observers, load) where other === observer {
                sum.queued += load.queued
                sum.processing += load.processing
            }
            observer.note(sum)
        }
    }

    let all: [TypeObserver]
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
