// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernTesting
import SystemPackage

/// A thousand root tasks, each with a handle of its own, as taskmill measures itself: submitted one after the other, in
/// one batch, and submitted in a batch, dispatched eight at a time and awaited one by one. Synced.
enum SubmitWork: String, CaseIterable, Work {
    case single = "submit-1k"
    case batch = "submit-batch-1k"
    case whole = "submit-run-1k"

    private static let tasks = 1000
    private static let concurrency = 8

    var names: [String] { [rawValue] }

    func run(_ bench: Bench) async throws {
        guard bench.engines.contains(.quern) else { return }
        var table = SampleTable()
        for _ in 0..<bench.rounds {
            let duration = try await measure()
            table.add(rawValue, EngineName.quern.rawValue, .milliseconds, duration.inSeconds * 1000, synced: true)
        }
        try bench.results.add(table.sorted(names), title: "\(Self.tasks.text) root tasks, \(title), synced\n")
    }

    private var title: String {
        switch self {
        case .single: "submitted one after the other"
        case .batch: "submitted in one batch"
        case .whole: "submitted in one batch, run \(Self.concurrency) at a time, and each awaited"
        }
    }

    private func measure() async throws -> Duration {
        let directory = try TemporaryDirectory()
        var configuration = TaskScheduler.Configuration()
        configuration.concurrency = Self.concurrency
        let scheduler = try await TaskScheduler(
            storeAt: directory.path.appending("store"), configuration: configuration
        ) { $0.register(NoOperation()) }
        let works = (0..<Self.tasks).map { NoOperation.Work(number: UInt32($0)) }
        async let service: Void = scheduler.run()
        let duration = try await timedAsynchronously {
            switch self {
            case .single: for work in works { _ = try await scheduler.submit(work) }
            case .batch: _ = try await scheduler.submit(contentsOf: works)
            case .whole:
                for handle in try await scheduler.submit(contentsOf: works) { _ = try await handle.memo() }
            }
        }
        scheduler.triggerGracefulShutdown()
        try await service
        return duration
    }
}
