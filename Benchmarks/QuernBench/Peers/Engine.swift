// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// One store under test. A whole batch goes in by one call and a whole scan is one call, so that the way through this
/// protocol costs nothing a child.
///
/// What every engine keeps: of a pending child its parent, its payload and when it was submitted; of an ended one its
/// id, whether it failed, when it started and ended, and its memo or error. Ended children are read back in the order
/// in which they ended. From bytes in memory to what is durable all is on the engine's clock: its own encoding too.
protocol Engine: AnyObject, Sendable {
    /// Tasks that will be parents.
    ///
    /// - Returns: the id of the first; the others follow it.
    func makeParents(_ count: Int) throws -> UInt64

    /// Spawns children in one transaction.
    ///
    /// - Returns: the id of the first; the others follow it.
    func insert(_ children: ChildSet, _ rows: Range<Int>, under parents: UInt64) throws -> UInt64

    /// Ends children in one transaction: each is pending no longer and has its outcome.
    ///
    /// - Parameter first: the id of row 0.
    func complete(_ children: ChildSet, _ rows: Range<Int>, first: UInt64, under parents: UInt64) throws

    /// Reads ended children of a parent.
    func scan(_ parent: UInt64, _ part: ScanPart) throws -> ScanTotal

    /// Reads everything of all ended children of a parent, to be compared.
    ///
    /// - Parameter first: the id from which ids count.
    func digest(_ parent: UInt64, first: UInt64, into digest: inout OrderDigest) throws

    /// Rewrites the files as small as the engine can.
    func compact() throws

    /// How many writes shared a sync, on average since the store was opened. Nil for an engine that does not say.
    var writesPerSync: Double? { get }

    /// Gives the store free, as in an orderly end of a process.
    func close() throws
}

extension Engine {
    var writesPerSync: Double? { nil }
}

/// Which of a parent's ended children are read.
enum ScanPart {
    case all
    case failures
    /// So many behind the first `skipped`, which are known by a position and not read. Of the first parent whose
    /// children ended.
    case middle(skipped: Int, limit: Int)
}

/// The engines, by the names that figures have.
enum EngineName: String, CaseIterable, Sendable {
    case quern
    case lmdb
    case rocksdb
    case leveldb
    case sqliteBest = "sqlite-best"
    case sqliteBatch = "sqlite-batch"
    case sqliteTasks = "sqlite-tasks"
    case grdb

    /// Those that keep what they are told; the others are schedulers alone.
    static let stores = allCases.filter { $0 != .grdb }

    /// Opens the store in a directory that exists, or creates it there.
    ///
    /// - Parameters:
    ///   - synced: whether a call that returned is on disk; else it survives the process alone.
    ///   - hasLargeMemos: whether memos take kilobytes.
    func open(_ directory: FilePath, synced: Bool, hasLargeMemos: Bool = false) throws -> any Engine {
        switch self {
        case .quern: try QuernEngine(directory, synced: synced)
        case .lmdb: try LMDBEngine(directory, synced: synced)
        case .rocksdb: try RocksDBEngine(directory, synced: synced)
        case .leveldb: try LevelDBEngine(directory, synced: synced)
        case .sqliteBest: try SQLiteEngine(directory, hasLargeMemos ? .bestOfLargeMemos : .best, synced: synced)
        case .sqliteBatch: try SQLiteEngine(directory, .batch, synced: synced)
        case .sqliteTasks: try SQLiteEngine(directory, .tasks, synced: synced)
        case .grdb: throw EngineFailure(rawValue, "open", "takes part in end-to-end alone")
        }
    }

    /// Whether ten million children take minutes.
    var isSlow: Bool { self == .sqliteBatch || self == .sqliteTasks || self == .grdb }
}

/// An engine said no, or found something else than was put in.
struct EngineFailure: Error, CustomStringConvertible {
    var engine: String
    var call: String
    var reason: String

    init(_ engine: String, _ call: String, _ reason: String) {
        self.engine = engine
        self.call = call
        self.reason = reason
    }

    var description: String { "\(engine): \(call): \(reason)" }
}

/// A handle of a C library that may be used from any thread.
///
/// The pointer itself is a number; that the library locks what is behind it is for whoever makes one to know, and said
/// there.
// Safe as far as the library's own promise goes, which each maker cites.
struct SharedHandle: @unchecked Sendable {
    let pointer: OpaquePointer
}
