// SPDX-License-Identifier: Apache-2.0

/// Runs the tasks of one type that have no `finalize`.
///
/// ```swift
/// struct DirectoryScanner: TaskHandler {
///     func execute(_ task: ScanDirectory, in context: TaskContext) async throws -> ScanDirectory.Memo {
///         let listing = try lister.list(task.path)
///         for directory in listing.directories { try context.spawnSibling(ScanDirectory(path: directory)) }
///         return listing.report  // commits together with the spawned siblings
///     }
/// }
/// ```
///
/// A handler is called again for the same task when the process died, or was stopped, before its outcome was
/// committed, and when a retry policy says so: effects outside the store must bear repetition.
public protocol TaskHandler: Sendable {
    associatedtype Work: DurableTask

    /// Does the work. What it returns and all it spawned commit as one transaction (T6); what it spawned before
    /// it throws is dropped.
    func execute(_ task: Work, in context: TaskContext) async throws -> Work.Memo
}
