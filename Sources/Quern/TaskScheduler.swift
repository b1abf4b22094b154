// SPDX-License-Identifier: Apache-2.0
public import QuernStore
public import ServiceLifecycle
public import SystemPackage

/// Runs durable tasks from a store, as a service.
///
/// ```swift
/// let scheduler = try await TaskScheduler(storeAt: "/var/lib/scans.quern") {
///     $0.register(DirectoryScanner(), runsOn: .threads)
///     $0.register(CatalogScanner(), onChildFailure: .tolerate)
/// }
/// async let service: Void = scheduler.run()
/// let totals = try await scheduler.submit(CatalogScan(root: "/srv")).memo()
/// ```
///
/// Tasks that the store has from an earlier run go on when `run()` is called: those that ran are pending again, their
/// attempts not counted (T14); parents wait for the children that are left, or are finalized (T3, T4).
///
/// One scheduler has one store, and closes it when `run()` returns.
public final class TaskScheduler: Service {
    let core: SchedulerCore

    /// Opens or creates the store in a directory, and takes over the tasks that it has.
    ///
    /// - Parameter register: says which handler runs which tasks.
    /// - Throws: `SchedulerError` for a registration, or with the store's error as its cause; what `register` throws.
    /// - Complexity: opening takes time in proportion to the log's tail and the live tasks, not to history.
    public convenience init(
        storeAt directory: FilePath, configuration: Configuration = Configuration(),
        _ register: (inout Registry) throws -> Void
    ) async throws {
        let store: MemoStore
        do {
            store = try await MemoStore.open(
                at: directory, configuration: configuration.store, fileSystem: configuration.fileSystem)
        } catch { throw SchedulerError(error) }
        try await self.init(store: store, configuration: configuration, register)
    }

    /// Takes over an open store, to which nothing was appended since it was opened.
    ///
    /// - Parameter register: says which handler runs which tasks.
    /// - Throws: `SchedulerError` with `storeTaken` when another scheduler has the store; for a registration, or with
    ///   the store's error as its cause; what `register` throws. But for the first the store is then closed.
    public init(
        store: MemoStore, configuration: Configuration = Configuration(),
        _ register: (inout Registry) throws -> Void
    ) async throws {
        let taken = SchedulerError(.storeTaken, "another scheduler has the store")
        if store.isObserved { throw taken }
        do {
            var registry = Registry()
            try register(&registry)
            // Before the first commit, which may have retention begin: that of a type's name.
            let neededTrees = try await store.pinNeededTrees(configuration.logger)
            let types = try await registry.makeTable(in: store, configuration.options)
            core = SchedulerCore(store: store, types: types, configuration: configuration)
            guard store.setFirstObserver(core) else {
                store.unpin(neededTrees.values.flatMap { $0 })
                throw taken
            }
            core.perform { $0.neededTrees = neededTrees }
            try await core.recover()
        } catch {
            if error as? SchedulerError == taken { throw taken }
            try? await store.close()
            if let cause = error as? StoreError { throw SchedulerError(cause) }
            throw error
        }
    }
}
