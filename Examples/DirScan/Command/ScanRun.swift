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
        // Listing a directory takes no process down, and people kill scans as they like.
        configuration.crashLimit = nil
        configuration.logger.logLevel = .error
        let scheduler = try await TaskScheduler(storeAt: place.store, configuration: configuration) {
            session.register(in: &$0)
        }
        let pending = PendingScan(place.pending)
        let handle: TaskHandle<CatalogScan>
        let resumed: Bool
        do {
            if let totals = try await unreported(in: scheduler, pending: pending) {
                try await scheduler.close()
                return Result(totals: totals, resumed: true, pending: pending)
            }
            (handle, resumed) = try await self.handle(of: scheduler, pending: pending)
            try session.prepare(scan, id: handle.id, snapshots: place.snapshots)
        } catch {
            try? await scheduler.close()
            throw error
        }
        do {
            let totals = try await run(scheduler, session, until: handle)
            return Result(totals: totals, resumed: resumed, pending: pending)
        } catch let error as TaskFailedError {
            // There is nothing left to go on with.
            pending.forget()
            throw error
        }
    }

    /// The totals of a scan of this root that ended and was not reported.
    private func unreported(in scheduler: TaskScheduler, pending: PendingScan) async throws -> CatalogTotals? {
        guard let ended = pending.id(of: scan), try scheduler.unfinished(CatalogScan.self).isEmpty else { return nil }
        do {
            return try await scheduler.handle(for: ended, of: CatalogScan.self).memo()
        } catch is TaskFailedError {
            return nil
        } catch let error as SchedulerError where error.code == .unknownTask {
            // Somebody removed the store and left the note.
            return nil
        }
    }

    /// The scan to wait for: the one that has not ended, or a new one.
    private func handle(
        of scheduler: TaskScheduler, pending: PendingScan
    ) async throws -> (TaskHandle<CatalogScan>, resumed: Bool) {
        if let unfinished = try scheduler.unfinished(CatalogScan.self).first {
            let begun = try await unfinished.task()
            guard begun == scan else {
                throw CommandError(
                    .usage,
                    "this store holds an unfinished scan of \(begun.root)"
                        + (begun.oneFileSystem ? " with --one-file-system" : "")
                        + "; finish that first, or choose another --store")
            }
            try pending.remember(unfinished.id, of: scan)
            return (unfinished, true)
        }
        let submitted = try await scheduler.submit(scan)
        try pending.remember(submitted.id, of: scan)
        return (submitted, false)
    }

    private func run(
        _ scheduler: TaskScheduler, _ session: ScanSession, until handle: TaskHandle<CatalogScan>
    ) async throws -> CatalogTotals {
        guard showsProgress else { return try await serve(scheduler, session, until: handle) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await ProgressLine(scheduler: scheduler, scan: handle.id).run() }
            defer { group.cancelAll() }
            return try await serve(scheduler, session, until: handle)
        }
    }

    /// Runs the scheduler until the scan has ended, a signal comes, or the scan cannot go on.
    private func serve(
        _ scheduler: TaskScheduler, _ session: ScanSession, until handle: TaskHandle<CatalogScan>
    ) async throws -> CatalogTotals {
        let services = ServiceGroup(
            configuration: .init(
                services: [.init(service: scheduler, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm], cancellationSignals: [.sigint],
                logger: .init(label: "dirscan") { _ in SwiftLogNoOpLogHandler() }))
        let service = Task { try await services.run() }
        session.whenObstructed { service.cancel() }
        let ended: Swift.Result<CatalogTotals, any Error>
        do { ended = .success(try await handle.memo()) } catch { ended = .failure(error) }
        await services.triggerGracefulShutdown()
        let served = await service.result
        if let obstacle = session.obstacle { throw obstacle }
        // A store that failed says why itself.
        try served.get()
        if case .failure(let error as SchedulerError) = ended, error.code == .stopped { throw CancellationError() }
        return try ended.get()
    }
}
