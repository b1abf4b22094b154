// SPDX-License-Identifier: Apache-2.0

extension SQLiteLayout {
    /// As a task library lays it out: a table of tasks from which the scheduler takes the most urgent one, a history
    /// with one row a task that ended, and an index for each question that the library answers.
    ///
    /// A child that ends moves from one table to the other, and the library looks whether its parent has any left. It
    /// is asked in the cheapest way, for one row: with a count, as some do, the time would grow with the square.
    static let tasks = SQLiteLayout(
        name: "sqlite-tasks", pageSize: 4096,
        schema: [
            """
            CREATE TABLE IF NOT EXISTS tasks (
                id INTEGER PRIMARY KEY, parent_id INTEGER, task_type TEXT NOT NULL, task_key TEXT NOT NULL UNIQUE,
                priority INTEGER NOT NULL, status TEXT NOT NULL, payload BLOB, attempts INTEGER NOT NULL,
                error TEXT, created_at INTEGER NOT NULL, started_at INTEGER, run_after INTEGER)
            """,
            "CREATE INDEX IF NOT EXISTS tasks_ready ON tasks (status, priority, id) WHERE status = 'pending'",
            "CREATE INDEX IF NOT EXISTS tasks_parent ON tasks (parent_id) WHERE parent_id IS NOT NULL",
            """
            CREATE TABLE IF NOT EXISTS history (
                id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL, parent_id INTEGER, task_type TEXT NOT NULL,
                task_key TEXT NOT NULL, priority INTEGER NOT NULL, status TEXT NOT NULL, payload BLOB, memo BLOB,
                attempts INTEGER NOT NULL, error TEXT, created_at INTEGER NOT NULL, started_at INTEGER,
                completed_at INTEGER NOT NULL)
            """,
            "CREATE INDEX IF NOT EXISTS history_type ON history (task_type, completed_at)",
            "CREATE INDEX IF NOT EXISTS history_completed ON history (completed_at)",
            "CREATE INDEX IF NOT EXISTS history_status ON history (status, completed_at)",
            "CREATE INDEX IF NOT EXISTS history_parent ON history (parent_id) WHERE parent_id IS NOT NULL",
        ],
        makeParent: """
            INSERT INTO tasks (id, parent_id, task_type, task_key, priority, status, payload, attempts, created_at)
            VALUES (?1, NULL, 'root', 'root ' || ?1, 128, 'waiting', NULL, 0, 1700000000000)
            """,
        insert: """
            INSERT INTO tasks (id, parent_id, task_type, task_key, priority, status, payload, attempts, created_at)
            VALUES (?1, ?2, 'benchmark.child', ?2 || ' ' || CAST(?3 AS TEXT), 128, 'pending', ?3, 0, ?4)
            """,
        complete: [
            """
            INSERT INTO history (id, task_id, parent_id, task_type, task_key, priority, status, payload, memo, attempts,
                error, created_at, started_at, completed_at)
            SELECT ?2, id, parent_id, task_type, task_key, priority, iif(?4, 'failed', 'completed'), payload, ?7,
                attempts + 1, ?8, created_at, ?5, ?6 FROM tasks WHERE id = ?1
            """,
            "DELETE FROM tasks WHERE id = ?1",
            "SELECT EXISTS (SELECT 1 FROM tasks WHERE parent_id = ?3)",
        ],
        scan: "SELECT status = 'failed', memo FROM history WHERE parent_id = ?1 ORDER BY id",
        failures: "SELECT error FROM history WHERE parent_id = ?1 AND status = 'failed' ORDER BY id",
        middle: """
            SELECT status = 'failed', memo FROM history WHERE parent_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3
            """,
        everything: """
            SELECT status = 'failed', coalesce(memo, error), task_id FROM history WHERE parent_id = ?1 ORDER BY id
            """,
        poll: "SELECT id, payload FROM tasks WHERE status = 'pending' ORDER BY priority, id LIMIT ?1",
        counters: "SELECT (SELECT max(id) FROM history), (SELECT max(id) FROM tasks)")
}
