// SPDX-License-Identifier: Apache-2.0
import Quern

/// Spawns the root directory; when every directory has its outcome, adds their memos up and writes the snapshot that
/// the next scan compares with.
struct CatalogScanner: OrchestratorHandler {
    let session: ScanSession

    func execute(_ scan: CatalogScan, in context: TaskContext) async throws -> NoHandover {
        try context.spawnChild(ScanDirectory(path: PathBytes([])))
        return NoHandover()
    }

    func finalize(
        _ scan: CatalogScan, handover: NoHandover, in context: FinalizeContext
    ) async throws -> CatalogTotals {
        do {
            return try await totals(of: scan, in: context)
        } catch let error as SnapshotError {
            throw await session.stop(because: error)
        }
    }

    private func totals(of scan: CatalogScan, in context: FinalizeContext) async throws -> CatalogTotals {
        let started = ContinuousClock.now
        let environment = try session.environment(of: context.id)
        let writer = try SnapshotWriter(
            at: environment.folder.file(of: context.id.rawValue), scan: context.id.rawValue, scope: environment.scope)
        var totals = CatalogTotals()
        try context.forEachMemo(of: ScanDirectory.self) { memo in
            guard case .listed(let directory) = memo else { return }
            totals.add(directory)
            try writer.add(directory)
        }
        if context.counts.completed < context.counts.total {
            try await add(failures: context, root: scan.root, to: writer)
        }
        let summary = try writer.finish(since: environment.previous)
        totals.deleted += summary.deletedEntries
        totals.failed = context.counts.total - context.counts.completed
        totals.failures = try await context.failureSummary(classes: 10, samplesPerClass: 3).classes
        totals.finalizeNanoseconds = Int64((ContinuousClock.now - started) / .nanoseconds(1))
        return totals
    }

    /// Directories that are there and were not listed keep what the previous snapshot knows of them.
    private func add(failures context: FinalizeContext, root: PathBytes, to writer: SnapshotWriter) async throws {
        if context.counts.completed + context.counts.failures < context.counts.total { writer.addUnknownFailure() }
        for try await child in context.failures() {
            guard let path = PathBytes(displayed: child.failure.detail)?.relative(to: root) else {
                // A failure that does not say where it was, such as a path too long to be kept whole.
                writer.addUnknownFailure()
                continue
            }
            try writer.addUnlisted(DirectoryKey(path), parent: DirectoryKey.parent(of: path))
        }
    }
}

extension CatalogTotals {
    fileprivate mutating func add(_ directory: DirectoryMemo) {
        directories += 1
        files += directory.files
        bytes &+= directory.bytes
        discovered += directory.changes.discovered
        skipped += directory.changes.skipped
        deleted += directory.changes.deleted
        unremembered += directory.changes.unremembered
    }
}

extension SnapshotWriter {
    fileprivate func add(_ directory: DirectoryMemo) throws(SnapshotError) {
        let result = directory.record.withUnsafeBytes { record in
            Result { () throws(SnapshotError) in try add(directory.key, parent: directory.parent, record: record) }
        }
        try result.get()
        for key in directory.leftOut { try addUnlisted(key, parent: directory.key) }
    }
}
