// SPDX-License-Identifier: Apache-2.0
import DirScanKit
import Logging
import Quern
import ServiceLifecycle
import UnixSignals

/// Goes on with the unfinished scan of a store, or starts one, and waits for its totals.
struct ScanRun: Sendable {
    var scan: CatalogScan
    var place: StorePlace
    var concurrency: Int
    var showsProgress: Bool

    struct Result: Sendable {
        var totals: CatalogTotals
        var resumed: Bool
        var pending: PendingScan
    }

    @concurrent
    func perform() async throws -> Result {
        let session = ScanSession()
        var configuration = TaskScheduler.Configuration()
        configuration.concurrency = concurrency
        configuration.logger.logLevel = .error
        let scheduler = try await TaskScheduler(storeAt: place.store, configuration: configuration) {
            session.register(in: &$0)
        }
        let pending = PendingScan(place.pending)
        let handle: TaskHandle<CatalogScan>
        let resumed: Bool
        do {
            (handle, resumed) = try await self.handle(of: scheduler, pending: pending)
            try session.prepare(scan, id: handle.id, snapshots: place.snapshots)
        } catch {
            try? await scheduler.close()
            throw error
        }
        let totals = try await run(scheduler, until: handle)
        return Result(totals: totals, resumed: resumed, pending: pending)
    }

    /// The scan to wait for: one that was not reported yet, or a new one.
    private func handle(
        of scheduler: TaskScheduler, pending: PendingScan
    ) async throws -> (TaskHandle<CatalogScan>, resumed: Bool) {
        if let unfinished = try scheduler.unfinished(CatalogScan.self).first {
            let begun = try await unfinished.task()
            guard begun == scan else {
                throw UsageError(
                    message: "this store holds an unfinished scan of \(begun.root)"
                        + (begun.oneFileSystem ? " with --one-file-system" : "") + "; finish that first")
            }
            try pending.remember(unfinished.id)
            return (unfinished, true)
        }
        if let ended = pending.id { return (scheduler.handle(for: ended, of: CatalogScan.self), true) }
        let submitted = try await scheduler.submit(scan)
        try pending.remember(submitted.id)
        return (submitted, false)
    }

    private func run(
        _ scheduler: TaskScheduler, until handle: TaskHandle<CatalogScan>
    ) async throws -> CatalogTotals {
        let services = ServiceGroup(
            configuration: .init(
                services: [.init(service: scheduler, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm], cancellationSignals: [.sigint],
                logger: .init(label: "dirscan") { _ in SwiftLogNoOpLogHandler() }))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            if showsProgress { group.addTask { await ProgressLine(scheduler: scheduler, scan: handle.id).run() } }
            let totals: CatalogTotals
            do { totals = try await handle.memo() } catch let error as SchedulerError where error.code == .stopped {
                // A signal stopped the service first. A failing store says why itself.
                while try await group.next() != nil {}
                throw CancellationError()
            }
            await services.triggerGracefulShutdown()
            try await group.next()
            group.cancelAll()
            return totals
        }
    }
}
