// SPDX-License-Identifier: Apache-2.0

/// Runs the tasks of one type that fan out to children and end by looking at what those left.
///
/// ```swift
/// struct CatalogScanner: OrchestratorHandler {
///     func execute(_ scan: CatalogScan, in context: TaskContext) async throws -> ScanStart {
///         try context.spawnChild(ScanDirectory(path: scan.root))
///         return ScanStart(at: context.now)
///     }
///     func finalize(_ scan: CatalogScan, handover: ScanStart, in context: FinalizeContext) async throws -> Totals {
///         var totals = Totals()
///         for try await report in context.childMemos(of: ScanDirectory.self) { totals.add(report) }
///         return totals
///     }
/// }
/// ```
public protocol OrchestratorHandler: Sendable {
    associatedtype Work: DurableTask
    /// What `execute` hands to `finalize`. Use ``NoHandover`` for nothing.
    associatedtype Handover: Codable & Sendable

    /// Starts the work and spawns children. What it returns is sealed together with the spawned children (T5).
    func execute(_ task: Work, in context: TaskContext) async throws -> Handover

    /// Ends the work, once `execute` has committed and every child has an outcome: also without children (T3).
    ///
    /// A retry, a stop or a crash in here repeats `finalize` alone; the children stay the same (T4).
    func finalize(
        _ task: Work, handover: Handover, in context: FinalizeContext
    ) async throws -> Work.Memo
}

/// The hand-over of an orchestrator whose `finalize` needs nothing from `execute`.
public struct NoHandover: Codable, Sendable, Equatable {
    public init() {}
}
