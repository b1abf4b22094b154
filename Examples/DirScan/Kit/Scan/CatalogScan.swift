// SPDX-License-Identifier: Apache-2.0
public import Quern

/// One scan of a tree: the orchestrator of all its directories.
public struct CatalogScan: DurableTask, Equatable {
    public static let type: TaskType = "dirscan.catalog"

    /// Absolute, without links.
    public var root: PathBytes
    public var oneFileSystem: Bool

    public typealias Memo = CatalogTotals

    public init(root: PathBytes, oneFileSystem: Bool) {
        self.root = root
        self.oneFileSystem = oneFileSystem
    }
}

/// What a scan found: the memo of the whole.
public struct CatalogTotals: CodableMemo, Equatable {
    /// Directories that were listed, the root included.
    public var directories: UInt64 = 0
    /// Everything else in them, links included.
    public var files: UInt64 = 0
    public var bytes: UInt64 = 0
    public var discovered: UInt64 = 0
    public var skipped: UInt64 = 0
    public var deleted: UInt64 = 0
    /// Directories that were not listed.
    public var failed: UInt64 = 0
    /// Entries of directories so large that not all of them are remembered: they count as discovered in every scan.
    public var unremembered: UInt64 = 0
    public var failures: [Failure] = []
    public var finalizeNanoseconds: Int64 = 0

    /// One reason, how many directories failed for it, and some of them.
    public typealias Failure = FailureSummary.Class

    public init() {}
}
