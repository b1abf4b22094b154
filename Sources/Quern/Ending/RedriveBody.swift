// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What a task that redrives an ended one does in the place of `execute` (T12a): it spawns the children that failed
/// once more, and takes the hand-over over. Both commit as one transaction, so that a crash repeats it without doubles.
///
/// Children that failed after their own `execute` redrive themselves in the same way; all others run from the start.
struct RedriveBody<Work: DurableTask>: ExecutionBody {
    static var advances: Bool { true }
    let ended: RedrivenTask

    func execute(_ work: Work, in context: TaskContext) async throws -> [UInt8] {
        // It reads the children with blocking calls.
        try await withTaskExecutorPreference(context.core.threads) { try Redrive(ended, context).run() }
    }

    func record(
        _ handover: [UInt8], of outcome: Transaction.Outcome, in transaction: inout Transaction
    ) throws {
        transaction.advance(outcome.task, to: TaskPhase.children, value: handover)
    }
}

private struct Redrive {
    private let ended: RedrivenTask
    private let context: TaskContext
    /// The last attributes that were taken over, and what became of them: children are often alike.
    private var known: (old: [UInt8], new: [UInt8]) = ([], [])

    init(_ ended: RedrivenTask, _ context: TaskContext) {
        self.ended = ended
        self.context = context
    }

    /// - Returns: the hand-over.
    consuming func run() throws -> [UInt8] {
        let remains = try context.core.store.remains(of: ended)
        guard let handover = remains.handover else {
            throw PermanentError(reason: "cannot be redriven", detail: "task \(ended.task) has no hand-over")
        }
        let children = try context.core.store.children(of: ended.task)
        let kinds = remains.rerunKinds
        var cursor = (remains.stoppedChildren ? children : children.failuresOnly).makeCursor(columns: .attachments)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            try Task.checkCancellation()
            for index in 0..<block.count where kinds.contains(block.kind(at: index)) {
                try spawn(index, of: block)
            }
        }
        return handover
    }

    private mutating func spawn(_ index: Int, of block: ChildBlock) throws {
        let id = block.id(at: index)
        let bytes = block.withAttachment(at: index) { $0.withUnsafeBytes { Array($0) } }
        guard let remains = TaskRemains(decoding: bytes) else {
            throw PermanentError(reason: "cannot be redriven", detail: "child \(id) left nothing to run it again with")
        }
        let attributes = try renew(remains, id, block.sequence(at: index))
        try context.buffer.spawn(context.ticket, in: context.core.store) { transaction in
            transaction.spawn(
                under: context.id, label: block.label(at: index), priority: remains.priority, attributes: attributes,
                at: context.startedAt
            ) { $0.append(contentsOf: remains.payload) }
        }
    }

    private mutating func renew(_ remains: TaskRemains, _ id: TaskID, _ sequence: UInt64) throws -> [UInt8] {
        let child = RedrivenTask(task: id, parent: ended.task, sequence: sequence)
        if let next = remains.next(after: child) {
            let kept = try context.core.store.completedChildren(keptOf: next)
            return try TaskRemains.renewed(remains.attributes, redriving: next, keeping: kept)
        }
        if known.old != remains.attributes {
            known = (remains.attributes, try TaskRemains.renewed(remains.attributes, redriving: nil))
        }
        return known.new
    }
}
