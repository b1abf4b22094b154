// SPDX-License-Identifier: Apache-2.0

extension SQLiteLayout {
    /// As somebody writes it who has measured: lean rows, one index, and a counter in the parent's row that changes
    /// once a transaction, in the place of a look for children that are left.
    static let batch = SQLiteLayout(
        name: "sqlite-batch", pageSize: 4096,
        schema: [
            """
            CREATE TABLE IF NOT EXISTS parents (
                id INTEGER PRIMARY KEY, live INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0)
            """,
            """
            CREATE TABLE IF NOT EXISTS pending (
                id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, priority INTEGER NOT NULL, payload BLOB,
                submitted INTEGER NOT NULL)
            """,
            """
            CREATE TABLE IF NOT EXISTS ended (
                sequence INTEGER PRIMARY KEY, parent INTEGER NOT NULL, id INTEGER NOT NULL, failed INTEGER NOT NULL,
                attempts INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, value BLOB)
            """,
            "CREATE INDEX IF NOT EXISTS ended_parent ON ended (parent)",
        ],
        makeParent: "INSERT INTO parents (id) VALUES (?1)",
        insert: "INSERT INTO pending (id, parent, priority, payload, submitted) VALUES (?1, ?2, 128, ?3, ?4)",
        afterInsert: "UPDATE parents SET live = live + ?2 WHERE id = ?1",
        afterComplete: [
            "DELETE FROM pending WHERE id BETWEEN ?3 AND ?4",
            "UPDATE parents SET live = live - ?2, ended = ended + ?2 WHERE id = ?1",
        ],
        complete: ["INSERT INTO ended VALUES (?2, ?3, ?1, ?4, 1, ?5, ?6, coalesce(?7, ?8))"],
        scan: "SELECT failed, value FROM ended WHERE parent = ?1 ORDER BY sequence",
        failures: "SELECT value FROM ended WHERE parent = ?1 AND failed ORDER BY sequence",
        middle: "SELECT failed, value FROM ended WHERE parent = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        everything: "SELECT failed, value, id FROM ended WHERE parent = ?1 ORDER BY sequence",
        poll: "SELECT id, payload FROM pending ORDER BY id LIMIT ?1",
        counters: """
            SELECT (SELECT max(sequence) FROM ended),
                max(coalesce((SELECT max(id) FROM pending), 0), coalesce((SELECT max(id) FROM parents), 0))
            """)
}
