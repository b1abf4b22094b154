// SPDX-License-Identifier: Apache-2.0
public import Quern
import Synchronization

/// What the children of the running scan share: the open root and the snapshot that they compare with.
///
/// It is set before the scheduler runs, since it depends on which scan there is to run.
public final class ScanSession: Sendable {
    struct Environment: Sendable {
        var scan: TaskID
        var lister: DirectoryLister
        var folder: SnapshotFolder
        var previous: CatalogSnapshot?
        /// The scan's root as the snapshots name it: one of another root is not compared with.
        var scope: DirectoryKey
    }

    /// A directory of a scan that this process did not prepare for.
    struct NotPrepared: Error {}

    private struct Obstruction {
        var obstacle: SnapshotError?
        var action: (@Sendable () -> Void)?
    }

    private let environment = Mutex<Environment?>(nil)
    private let obstruction = Mutex(Obstruction())

    public init() {}

    /// Why the scan cannot go on for now: a snapshot cannot be read or written.
    ///
    /// No directory has failed then, and the scan has not either: it stays as it is for a process that finds things in
    /// better order.
    public var obstacle: SnapshotError? { obstruction.withLock { $0.obstacle } }

    /// Says how to stop the scheduler when there is an ``obstacle``.
    public func whenObstructed(_ action: @escaping @Sendable () -> Void) {
        let isObstructed = obstruction.withLock { obstruction in
            obstruction.action = action
            return obstruction.obstacle != nil
        }
        if isObstructed { action() }
    }

    /// Stops the scan, and waits until this task is cancelled for that, so that it stays pending.
    func stop(because obstacle: SnapshotError) async -> CancellationError {
        let action = obstruction.withLock { obstruction in
            obstruction.obstacle = obstruction.obstacle ?? obstacle
            return obstruction.action
        }
        action?()
        let (stream, continuation) = AsyncStream<Never>.makeStream()
        // The stream ends when the task is cancelled.
        for await _ in stream {}
        continuation.finish()
        return CancellationError()
    }

    /// Registers the handlers of a scan.
    public func register(in registry: inout Registry) {
        // Listing blocks, and a process that is out of descriptors may have some a moment later.
        registry.register(
            DirectoryScanner(session: self), retry: .exponential(from: .milliseconds(100), attempts: 5),
            runsOn: .threads)
        registry.register(CatalogScanner(session: self), onChildFailure: .tolerate)
    }

    /// Opens what the scan needs: its root, and the snapshot of the latest scan before it, the same however often the
    /// scan is resumed.
    ///
    /// - Parameter snapshots: the directory of the snapshots, created when missing.
    public func prepare(_ scan: CatalogScan, id: TaskID, snapshots: PathBytes) throws {
        let folder = SnapshotFolder(snapshots)
        try folder.create()
        let root = try ScanRoot(scan.root)
        let scope = DirectoryKey(scan.root)
        var previous: CatalogSnapshot?
        if let earlier = try folder.latest(before: id.rawValue) {
            let snapshot = try CatalogSnapshot(folder.file(of: earlier))
            if snapshot.header.scope == scope { previous = snapshot }
            try folder.removeAll(before: earlier)
        }
        let prepared = Environment(
            scan: id, lister: DirectoryLister(root: root, oneFileSystem: scan.oneFileSystem), folder: folder,
            previous: previous, scope: scope)
        environment.withLock { $0 = prepared }
    }

    func environment(of scan: TaskID) throws(NotPrepared) -> Environment {
        guard let found = environment.withLock({ $0 }), found.scan == scan else { throw NotPrepared() }
        return found
    }
}
