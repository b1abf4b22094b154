// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What the application keeps in the store beside its tasks: named values, what a live task has in its slots, and what
/// an ended one left for whoever runs it again.
extension MemoStore {
    /// A named value, or nil when there is none. O(log values).
    public func value(for name: String) -> [UInt8]? { shared.committed.withLock { $0.state.values[name] } }

    /// The named values whose names begin with `prefix`, in the order of the bytes of their names. O(log values) and
    /// what is found.
    public func values(withPrefix prefix: String) -> [(name: String, value: [UInt8])] {
        let values = shared.committed.withLock { $0.state.values }
        return values.values(withPrefix: prefix)
    }

    /// What a live task has in a slot, or nil when it has nothing there: see ``Transaction/keep(_:slot:_:)``. May block
    /// on the log file.
    ///
    /// - Throws: ``StoreError/Code/damaged`` or ``StoreError/Code/inputOutput``.
    public func kept(_ task: TaskID, slot: UInt8) throws(StoreError) -> [UInt8]? {
        func place() -> LogPlace? { shared.committed.withLock { $0.state.slots[task, slot] } }
        var known = place()
        while let found = known {
            do throws(StoreError) { return try shared.bodies.kept(by: task, slot, at: found) } catch {
                // As with payloads: it may have moved.
                guard let now = place(), now != found else { throw error }
                known = now
            }
        }
        return nil
    }

    /// The bytes of a live task's last advance: what is in its slot 0. May block on the log file.
    ///
    /// - Throws: ``StoreError/Code/rejected`` when the task is not live or has none.
    public func handover(of task: TaskID) throws(StoreError) -> [UInt8] {
        guard let value = try kept(task, slot: SlotTable.handover) else {
            throw StoreError(.rejected, "task \(task) has no hand-over")
        }
        return value
    }

    /// What an ended task left for whoever runs it again: see ``Transaction/end(_:attachment:encode:)``.
    ///
    /// - Parameters:
    ///   - parent: the task's parent; ``TaskID/none`` for a root task.
    ///   - sequence: the commit position of its outcome, when the caller knows it.
    /// - Returns: empty when it left nothing; nil when no such child has ended, or its tree was dropped.
    /// - Throws: as ``children(of:)`` and ``ChildCursor/next(into:)``.
    /// - Complexity: the row is looked for from the newest on: O(children that ended later), O(log blocks) with
    ///   `sequence`.
    public func attachment(
        of task: TaskID, under parent: TaskID, endedAt sequence: UInt64? = nil
    ) throws(StoreError) -> [UInt8]? {
        try children(of: parent).attachment(of: task, endedAt: sequence)
    }
}

extension ChildSnapshot {
    /// What one of the children left for whoever runs it again: see ``MemoStore/attachment(of:under:endedAt:)``.
    public func attachment(of task: TaskID, endedAt sequence: UInt64? = nil) throws(StoreError) -> [UInt8]? {
        var block = ChildBlock()
        var position = sequence
        if position == nil { position = try self.sequence(of: task, &block) }
        guard let position else { return nil }
        var cursor = self.block(holding: position).makeCursor(columns: .attachments)
        while try cursor.next(into: &block) {
            for index in 0..<block.count where block.id(at: index) == task && block.sequence(at: index) == position {
                return block.withAttachment(at: index) { $0.withUnsafeBytes { Array($0) } }
            }
        }
        return nil
    }

    private func sequence(of task: TaskID, _ block: inout ChildBlock) throws(StoreError) -> UInt64? {
        var cursor = (isReversed ? self : reversed()).makeCursor(columns: .facts)
        while try cursor.next(into: &block) {
            for index in 0..<block.count where block.id(at: index) == task { return block.sequence(at: index) }
        }
        return nil
    }
}
