// SPDX-License-Identifier: Apache-2.0

/// The keys of a stage's tasks, by their positions in it. Which of them come more than once is found while they are
/// staged, so that a commit looks at those alone, and at those that somebody else has.
struct StagedKeys: Sendable {
    /// The keys of a run, one a task.
    struct Run: Sendable {
        /// That of its first task.
        var position: UInt64
        var policy: DuplicatePolicy
        var keys: [TaskKey]
    }

    /// In the order of the positions.
    private(set) var runs: [Run] = []
    /// The last position of each key.
    private(set) var index = KeyIndex()
    /// The others of keys that come more than once.
    private(set) var repeated: [UInt64] = []

    var isEmpty: Bool { runs.isEmpty }

    /// Adds the keys of a run that is behind those of all others.
    mutating func append(_ run: Run) {
        runs.append(run)
        for (offset, key) in run.keys.enumerated() {
            if let earlier = position(of: key) {
                index.remove(earlier, for: key)
                repeated.append(earlier)
            }
            index.insert(run.position + UInt64(offset), for: key)
        }
    }

    /// The keys of the run that begins at a position, if it has any. O(log runs).
    func run(at position: UInt64) -> Run? {
        guard let run = run(with: position), run.position == position else { return nil }
        return run
    }

    /// O(log runs).
    func key(at position: UInt64) -> TaskKey? {
        run(with: position).map { $0.keys[Int(position - $0.position)] }
    }

    /// The last task with a key.
    func position(of key: TaskKey) -> UInt64? { index.first(for: key) { self.key(at: $0) == key } }

    /// The keys that are in both.
    func forEachKey(sharedWith other: StagedKeys, _ body: (TaskKey) -> Void) {
        index.forEachMatch(in: other.index) { mine, others in
            if let key = key(at: mine), key == other.key(at: others) { body(key) }
        }
    }

    private func run(with position: UInt64) -> Run? {
        let next = runs.partition { $0.position > position }
        guard next > 0, position - runs[next - 1].position < UInt64(runs[next - 1].keys.count) else { return nil }
        return runs[next - 1]
    }
}
