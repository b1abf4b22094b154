// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Dropping whole trees (T12): at once for whoever reads, reclaimed later by a compaction.
extension MemoStore {
    /// Drops an ended root task with all that is below it: snapshots that are taken later do not show them. What was
    /// taken before goes on to show everything.
    ///
    /// Dropping a tree a second time, before a compaction has reclaimed it, is no error and changes nothing.
    ///
    /// - Parameter sequence: the commit position of the root's outcome, when the caller knows it: the row is then found
    ///   without a walk, or not at all when that is not its position.
    /// - Throws: ``StoreError/Code/rejected`` when the task is live, or is no ended root task that the store still has;
    ///   ``StoreError/Code/damaged`` naming a file when the row cannot be found and may be where that file is damaged;
    ///   as ``append(_:durability:)``.
    /// - Complexity: O(1) in the size of the tree. The root's row is looked for from the newest on: O(root tasks that
    ///   ended later), O(log root tasks) with `sequence`.
    public func dropTree(
        _ root: TaskID, endedAt sequence: UInt64? = nil, durability: Durability? = nil
    ) async throws(StoreError) {
        try await ThreadPool.blocking.run { () throws(StoreError) in
            try self.dropTreeBlocking(root, endedAt: sequence, durability: durability)
        }
    }

    /// Drops a tree as ``dropTree(_:endedAt:durability:)`` does, on the caller's thread, which it blocks.
    ///
    /// - Throws: as the asynchronous form.
    public func dropTreeBlocking(
        _ root: TaskID, endedAt sequence: UInt64? = nil, durability: Durability? = nil
    ) throws(StoreError) {
        try retryingDrop(heedsPins: false) { (lookUp) throws(StoreError) in
            if shared.committed.withLock({ $0.state.dropped.contains(root) }) { return }
            guard !isLive(root) else { throw StoreError(.rejected, "root task \(root) is live") }
            guard let tree = try endedRoot(root, at: sequence) else {
                throw StoreError(.rejected, "task \(root) is no ended root task")
            }
            var transaction = Transaction()
            transaction.drop(tree, lookUp)
            try appendBlocking(transaction, durability: durability)
        }
    }

    /// Drops ended trees, the one that ended first at first, until the store keeps to `policy`. Root tasks in blocks
    /// that are damaged stay and count for no bound: see ``StoreSizes/damage``.
    ///
    /// - Returns: what was dropped by this call.
    /// - Throws: as ``append(_:durability:)``, and ``StoreError/Code/inputOutput``; what was dropped until then stays
    ///   dropped.
    /// - Complexity: O(ended root tasks) at most, a block at a time; and a pass over the index's directories for each
    ///   block of them in which something is dropped.
    public func applyRetention(
        _ policy: RetentionPolicy, now: Timestamp
    ) async throws(StoreError) -> RetentionReport {
        try await ThreadPool.blocking.run { () throws(StoreError) in try self.applyRetentionBlocking(policy, now: now) }
    }

    /// Applies retention as ``applyRetention(_:now:)`` does, on the caller's thread, which it blocks.
    ///
    /// - Throws: as the asynchronous form.
    public func applyRetentionBlocking(
        _ policy: RetentionPolicy, now: Timestamp
    ) throws(StoreError) -> RetentionReport {
        var report = RetentionReport()
        try retryingDrop(heedsPins: true) { (lookUp) throws(StoreError) in
            var walk = try RetentionWalk(policy, now: now, in: shared)
            while let found = try walk.next() {
                var transaction = Transaction()
                for tree in found.trees { transaction.drop(tree, lookUp) }
                try appendBlocking(transaction)
                report += found.report
            }
        }
        return report
    }

    /// Has retention leave the trees of these root tasks alone, until ``unpin(_:)`` or the store is closed. Who drops
    /// one by its id is not held back, nor is a drop that the writer has begun to write: what is appended after this
    /// returns is behind that, and so is what follows the batch that a ``CommitObserver`` is being told of.
    package func pin(_ roots: some Sequence<TaskID>) {
        let roots = Array(roots)
        shared.committed.withLock { committed in
            for root in roots { committed.state.pins.pin(root: root) }
        }
    }

    /// Takes one ``pin(_:)`` of each back.
    package func unpin(_ roots: some Sequence<TaskID>) { unpin(roots.map(TreePin.root)) }

    /// Has retention leave alone the trees that tasks are in, live or ended, as ``pin(_:)`` does.
    ///
    /// - Parameter tasks: each with its parent.
    /// - Returns: what takes it back, one for each.
    /// - Complexity: O(tasks x log live parents). Reads no file.
    package func pinTrees(of tasks: some Sequence<(task: TaskID, parent: TaskID)>) -> [TreePin] {
        let tasks = Array(tasks)
        return shared.committed.withLock { committed in
            tasks.map { committed.pinTree(of: $0.task, under: $0.parent) }
        }
    }

    /// Takes one ``pinTrees(of:)`` of each back.
    package func unpin(_ pins: some Sequence<TreePin>) {
        let pins = Array(pins)
        shared.committed.withLock { committed in
            for pin in pins { committed.state.pins.unpin(pin) }
        }
    }

    /// Runs `body`, and runs it again when a compaction forgot trees meanwhile, so that what it found may be gone, or
    /// somebody pinned some.
    private func retryingDrop(
        heedsPins: Bool, _ body: (DropLookUp) throws(StoreError) -> Void
    ) throws(StoreError) {
        func lookUp() -> DropLookUp { shared.committed.withLock { DropLookUp($0.state, heedsPins: heedsPins) } }
        while true {
            let before = lookUp()
            do throws(StoreError) { return try body(before) } catch {
                guard error.code == .rejected, lookUp() != before else { throw error }
            }
        }
    }

    /// The row of an ended root task, looked for from the newest on.
    private func endedRoot(_ root: TaskID, at sequence: UInt64?) throws(StoreError) -> DroppedTree? {
        let (roots, damage) = try shared.lookUpBesideDamage {
            $0.childPlaces(of: .none)
        } _: { (places, setAside) throws(StoreError) in
            try places.snapshot(shared.files.identity, beside: setAside)
        }
        let rows = sequence.map { roots.block(holding: $0) } ?? roots.reversed()
        var walk = RootWalk(rows, damage: damage, shared)
        var block = ChildBlock()
        while try walk.next(into: &block) {
            for index in 0..<block.count where block.id(at: index) == root {
                let tree = DroppedTree(root: root, sequence: block.sequence(at: index), kind: block.kind(at: index))
                if tree.sequence == sequence ?? tree.sequence { return tree }
            }
        }
        if let damage = walk.damage.first { throw damage }
        return nil
    }
}
