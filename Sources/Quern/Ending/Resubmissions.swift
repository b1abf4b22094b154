// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization

/// Ended root tasks that are run again. Blocking; one at a time, so that each is run again but once.
struct Resubmissions: ~Copyable {
    private static let batchBytes = 1 << 20

    private let core: SchedulerCore

    private init(_ core: SchedulerCore) { self.core = core }

    /// Runs `body` on a thread that may block, while nobody else runs anything again.
    static func run<Value: Sendable>(
        _ core: SchedulerCore, _ body: @escaping @Sendable (borrowing Resubmissions) throws -> Value
    ) async throws(SchedulerError) -> Value {
        let result = await Task.detached(executorPreference: core.threads) { () -> Result<Value, SchedulerError> in
            core.resubmissions.withLock { _ in
                do { return .success(try body(Resubmissions(core))) } catch {
                    return .failure(SchedulerError(resubmitting: error))
                }
            }
        }.value
        return try result.get()
    }

    // MARK: - One task

    /// Runs an ended root task again: from the start, or only what failed below it.
    ///
    /// - Returns: the new task.
    func runAgain(_ id: TaskID, redrives: Bool) throws -> TaskID {
        if core.store.isLive(id) { throw refusal("task \(id) has not ended") }
        guard let (row, sequence) = try findRow(of: id) else {
            throw SchedulerError(.unknownTask, "there is no ended root task \(id)")
        }
        if isMarked(id) { throw refusal("task \(id) was run again before") }
        let ended = RedrivenTask(task: id, parent: .none, sequence: sequence)
        let bytes = try core.store.attachment(of: id, under: .none, endedAt: sequence) ?? []
        guard redrives || row.kind.isFailure, let remains = TaskRemains(decoding: bytes) else {
            throw refusal("task \(id) ended as \(row.kind) and left nothing to run it again with")
        }
        let next = redrives ? remains.next(after: ended) : nil
        if redrives, next == nil { throw refusal("task \(id) did not get to its children: nothing of it can be kept") }
        let trees = try next.map(core.trees(of:)) ?? []
        core.store.pin(trees)
        do {
            var transaction = Transaction()
            try add(id, sequence, row.label, remains, redriving: next, to: &transaction)
            guard case .inserted(let new) = try core.store.appendBlocking(transaction).disposition(of: 0) else {
                throw refusal("task \(id) has the key of another one")
            }
            if !trees.isEmpty {
                core.perform { $0.redrivenTrees[new] = trees }
                // It may have ended before anybody could be told so.
                if !core.store.isLive(new) {
                    core.store.unpin(core.perform { $0.redrivenTrees.removeValue(forKey: new) ?? [] })
                }
            }
            return new
        } catch {
            core.store.unpin(trees)
            throw error
        }
    }

    private func findRow(of id: TaskID) throws(StoreError) -> (row: EndedTask, sequence: UInt64)? {
        var cursor = try core.store.children(of: .none).reversed().makeCursor(columns: .all)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count where block.id(at: index) == id {
                return (EndedTask(at: index, in: block), block.sequence(at: index))
            }
        }
        return nil
    }

    // MARK: - Many

    /// Runs all failed root tasks again that `isWanted` says, from the start.
    ///
    /// - Returns: how many.
    func runAllAgain(_ isWanted: (Label, TaskRemains) -> Bool) throws -> Int {
        var cursor = try core.store.children(of: .none).failuresOnly.makeCursor(columns: .attachments)
        var block = ChildBlock()
        var transaction = Transaction()
        var count = 0
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let id = block.id(at: index)
                let bytes = block.withAttachment(at: index) { $0.withUnsafeBytes { Array($0) } }
                guard !isMarked(id), let remains = TaskRemains(decoding: bytes),
                    isWanted(block.label(at: index), remains)
                else { continue }
                // A task whose key a live one has is left alone, and no other with it.
                var single = Transaction()
                let isAlone = remains.key != nil
                let (label, sequence) = (block.label(at: index), block.sequence(at: index))
                if isAlone {
                    try add(id, sequence, label, remains, redriving: nil, to: &single)
                    do throws(StoreError) { try core.store.appendBlocking(single) } catch {
                        guard error.code == .duplicateKey else { throw error }
                        continue
                    }
                } else {
                    try add(id, sequence, label, remains, redriving: nil, to: &transaction)
                    if transaction.estimatedBytes >= Self.batchBytes {
                        try core.store.appendBlocking(transaction)
                        transaction = Transaction()
                    }
                }
                count += 1
            }
        }
        if !transaction.isEmpty { try core.store.appendBlocking(transaction) }
        try forgetMarks()
        return count
    }

    /// The new task and the mark of the old one commit together.
    private func add(
        _ id: TaskID, _ sequence: UInt64, _ label: Label, _ remains: TaskRemains, redriving ended: RedrivenTask?,
        to transaction: inout Transaction
    ) throws {
        let attributes = try TaskRemains.renewed(remains.attributes, redriving: ended)
        transaction.spawn(
            under: .none, label: label, priority: remains.priority, attributes: attributes, key: remains.key,
            onDuplicate: .reject, at: core.clock.now
        ) { $0.append(contentsOf: remains.payload) }
        var mark = ByteWriter()
        mark.append(littleEndian: sequence)
        transaction.set(Self.markName(id), to: mark.bytes)
    }

    private func refusal(_ message: String) -> SchedulerError { SchedulerError(.notResubmittable, message) }

    // MARK: - Marks

    /// Ended tasks that were run again are marked by named values.
    private static let markPrefix = "quern/resubmitted/"

    private static func markName(_ id: TaskID) -> String { "\(markPrefix)\(id.rawValue)" }

    static func isMarked(_ id: TaskID, in store: MemoStore) -> Bool { store.value(for: markName(id)) != nil }

    private func isMarked(_ id: TaskID) -> Bool { Self.isMarked(id, in: core.store) }

    /// Takes the marks of tasks away that were dropped since.
    private func forgetMarks() throws {
        var transaction = Transaction()
        let roots = try core.store.children(of: .none)
        for (name, value) in core.store.values(withPrefix: Self.markPrefix) {
            guard let number = UInt64(name.dropFirst(Self.markPrefix.count)), value.count == 8 else { continue }
            let sequence = value.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
            if try roots.attachment(of: TaskID(number), endedAt: sequence) == nil { transaction.set(name, to: nil) }
        }
        if !transaction.isEmpty { try core.store.appendBlocking(transaction) }
    }
}

extension SchedulerError {
    fileprivate init(resubmitting error: any Error) {
        switch error {
        case let error as SchedulerError: self = error
        case let error as StoreError:
            if error.code == .duplicateKey {
                self.init(.duplicateKey, "a live task has the task's key", cause: error)
            } else {
                self.init(error)
            }
        default: self.init(.notResubmittable, FailureInfo(describing: error).description)
        }
    }
}
