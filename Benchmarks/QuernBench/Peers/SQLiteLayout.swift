// SPDX-License-Identifier: Apache-2.0

/// Tables and the statements that go with them: what tells one way to use SQLite from another.
struct SQLiteLayout: Sendable {
    var name: String
    var pageSize: Int
    var schema: [String]
    /// A parent: ?1 id.
    var makeParent: String
    /// A pending child: ?1 id, ?2 parent, ?3 payload, ?4 when it was submitted.
    var insert: String
    /// Behind the children that one call spawned or ended under a parent: ?1 parent, ?2 how many, ?3 the first id, ?4
    /// the last.
    var afterInsert: String?
    var afterComplete: [String] = []
    /// What ends one child: ?1 id, ?2 sequence, ?3 parent, ?4 whether it failed, ?5 when it started, ?6 when it ended,
    /// ?7 the memo, nil for a failed one, ?8 the error, nil for a completed one.
    var complete: [String]
    /// ?1 parent: whether it failed, memo.
    var scan: String
    /// ?1 parent: error.
    var failures: String
    /// ?1 parent, ?2 position, ?3 limit: as ``scan``.
    var middle: String
    /// ?1 parent: whether it failed, memo or error, id.
    var everything: String
    /// What a scheduler takes next, ?1 of them: id, payload.
    var poll: String
    /// The largest sequence or null, then the largest id or null.
    var counters: String
}

extension SQLiteStatement {
    /// Runs what belongs behind a stretch of children.
    func run(parent: UInt64, ids: Range<UInt64>) throws {
        let parameters = parameters
        bind(1, Int64(parent))
        if parameters >= 2 { bind(2, Int64(ids.count)) }
        if parameters >= 3 {
            bind(3, Int64(ids.lowerBound))
            bind(4, Int64(ids.upperBound) - 1)
        }
        try run()
    }
}
