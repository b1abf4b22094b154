// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// A fold over the memos of a parent's children that can be read at any time, while they end and afterwards.
///
/// ```swift
/// extension CatalogScanner {
///     static let totals = Aggregate(of: ScanDirectory.self, into: Totals()) { $0.add($1) }
/// }
///
/// let scheduler = try await TaskScheduler(storeAt: path) {
///     $0.register(ScanDirectoryHandler())
///     $0.register(CatalogScanner(), onChildFailure: .tolerate)
///     $0.maintain(CatalogScanner.totals, under: CatalogScan.self)  // in the background
/// }
/// let soFar = try await scheduler.value(of: CatalogScanner.totals, under: scan.id)
/// ```
///
/// A value has each child once that had completed when it was asked for, also after crashes: the result and how far it
/// reaches are saved as one. Nothing is done when a child ends; who reads folds what has ended since.
public struct Aggregate<Child: DurableTask, State: Codable & Sendable>: Sendable {
    /// Under which it is saved: no two aggregates under one parent may have the same.
    public let name: String
    /// The value without children.
    public let initial: State
    /// How many children are folded between two saves.
    public let interval: Int
    let update: @Sendable (inout State, Child.Memo) throws -> Void

    /// Says how memos are folded, in the order in which the children ended.
    ///
    /// - Parameters:
    ///   - interval: a save writes the whole value: choose a larger one for large values.
    ///   - name: that of the type by default. Two aggregates over one type need two names, and so does one whose
    ///     `update` was changed: what was saved under the old one counts no more then. A value that can no longer be
    ///     decoded is computed anew.
    ///   - update: adds a memo to the value. It runs on threads that may block.
    public init(
        of child: Child.Type = Child.self, into initial: State, every interval: Int = 100_000,
        named name: String? = nil,
        _ update: @escaping @Sendable (inout State, Child.Memo) throws -> Void
    ) {
        self.name = name ?? Child.type.name
        self.initial = initial
        self.interval = max(1, interval)
        self.update = update
    }
}

/// An aggregate that the scheduler keeps up to date, without its types.
struct MaintainedAggregate: Sendable {
    var name: String
    var interval: Int
    /// Folds what has ended, and saves it.
    var catchUp: @Sendable (_ parent: TaskID, SchedulerCore) async throws -> Void
}
