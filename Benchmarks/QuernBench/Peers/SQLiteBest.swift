// SPDX-License-Identifier: Apache-2.0

extension SQLiteLayout {
    /// SQLite at its best for this work: the children of a parent lie side by side, in the order of their ends, because
    /// that is the key of their table, which has no row ids and no further index but a partial one of the failures.
    ///
    /// Pages of 16 KiB: more rows side by side for the scan, and fewer pages to write to the log for appends.
    static let best = SQLiteLayout(
        name: "sqlite-best", pageSize: 16384,
        schema: [
            """
            CREATE TABLE IF NOT EXISTS pending (
                id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, payload BLOB, submitted INTEGER NOT NULL)
            """,
            """
            CREATE TABLE IF NOT EXISTS ended (
                parent INTEGER NOT NULL, sequence INTEGER NOT NULL, failed INTEGER NOT NULL, value BLOB,
                id INTEGER NOT NULL, attempts INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,
                PRIMARY KEY (parent, sequence)) WITHOUT ROWID
            """,
            "CREATE INDEX IF NOT EXISTS ended_failed ON ended (parent, sequence) WHERE failed",
            // The largest sequence: to look for it would read the whole table at each opening.
            "CREATE TABLE IF NOT EXISTS last (row INTEGER PRIMARY KEY, sequence INTEGER NOT NULL)",
            "INSERT OR IGNORE INTO last VALUES (1, 0)",
        ],
        // A parent is a pending task like others.
        makeParent: "INSERT INTO pending (id, parent, payload, submitted) VALUES (?1, 0, NULL, 1700000000000)",
        insert: "INSERT INTO pending (id, parent, payload, submitted) VALUES (?1, ?2, ?3, ?4)",
        afterComplete: [
            "DELETE FROM pending WHERE id BETWEEN ?3 AND ?4", "UPDATE last SET sequence = sequence + ?2 WHERE row = 1",
        ],
        complete: ["INSERT INTO ended VALUES (?3, ?2, ?4, coalesce(?7, ?8), ?1, 1, ?5, ?6)"],
        scan: "SELECT failed, value FROM ended WHERE parent = ?1 ORDER BY sequence",
        // Without statistics the planner prefers the table's key, which reads all children.
        failures: "SELECT value FROM ended INDEXED BY ended_failed WHERE parent = ?1 AND failed ORDER BY sequence",
        middle: "SELECT failed, value FROM ended WHERE parent = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        everything: "SELECT failed, value, id FROM ended WHERE parent = ?1 ORDER BY sequence",
        // Row ids are the ids: the oldest come first. Parents are under none and do not run.
        poll: "SELECT id, payload FROM pending WHERE parent <> 0 ORDER BY id LIMIT ?1",
        counters: "SELECT (SELECT sequence FROM last), (SELECT max(id) FROM pending)")

    /// The same for memos of a few KiB, for which SQLite's documentation advises against a table without row ids: its
    /// pages hold at most a quarter of their size of a row, and put the rest on a page of its own. Here the row id is
    /// the sequence, and an index finds those of a parent. With pages of 64 KiB, which leave less of themselves empty.
    static let bestOfLargeMemos: SQLiteLayout = {
        var layout = best
        layout.pageSize = 65536
        layout.schema[1] = """
            CREATE TABLE IF NOT EXISTS ended (
                parent INTEGER NOT NULL, sequence INTEGER PRIMARY KEY, failed INTEGER NOT NULL,
                id INTEGER NOT NULL, attempts INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,
                value BLOB)
            """
        layout.schema.append("CREATE INDEX IF NOT EXISTS ended_parent ON ended (parent)")
        layout.complete = ["INSERT INTO ended VALUES (?3, ?2, ?4, ?1, 1, ?5, ?6, coalesce(?7, ?8))"]
        return layout
    }()
}
