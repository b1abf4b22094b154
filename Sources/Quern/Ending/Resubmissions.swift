// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernStore
import Synchronization

/// Ended root tasks that are run again. Blocking; one at a time, so that each is run again but once.
struct Resubmissions {
    private static let batchBytes = 1 << 20

    private let core: SchedulerCore

    private init(_ core: SchedulerCore) { self.core = core }

    /// Runs `body` on a thread that may block, while nobody else runs anything again.
    static func run<Value: Sendable>(
        _ core: SchedulerCore, _ body: @escaping @Sendable (Resubmissions) throws -> Value
    ) async throws(SchedulerError) -> Value {
        let result = await Task.detached(executorPreference: core.threads) { () -> Result<Value, SchedulerError> in
            core.resubmissions.withLock { marks in
                let resubmissions = Resubmissions(core)
                do {
                    let value = try body(resubmissions)
                    // What was run again is so, whatever becomes of old marks.
                    if marks.isSearchDue(), let left = try? resubmissions.forgetMarks() { marks.searched(left: left) }
                    return .success(value)
                } catch { return .failure(SchedulerError(resubmitting: error)) }
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
        guard let row = try findRow(of: id) else {
            throw SchedulerError(.unknownTask, "there is no ended root task \(id)")
        }
        if isMarked(id) { throw refusal("task \(id) was run again before") }
        guard redrives || row.kind.isFailure, let remains = row.remains else {
            throw refusal("task \(id) ended as \(row.kind) and left nothing to run it again with")
        }
        let ended = RedrivenTask(task: id, parent: .none, sequence: row.sequence)
        let next = redrives ? remains.next(after: ended) : nil
        if redrives, next == nil { throw refusal("task \(id) did not get to its children: nothing of it can be kept") }
        let trees = try next.map(core.store.trees(of:)) ?? []
        core.store.pin(trees)
        do {
            if let next {
                // Behind drops that were under way: have they all stayed?
                try core.store.appendBlocking(Transaction())
                _ = try core.store.trees(of: next)
            }
            let kept = try next.map(core.store.completedChildren(keptOf:)) ?? 0
            var transaction = Transaction()
            try add(id, row.sequence, row.label, remains, redriving: next, keeping: kept, to: &transaction)
            guard case .inserted(let new) = try core.store.appendBlocking(transaction).disposition(of: 0) else {
                throw refusal("task \(id) has the key of another one")
            }
            if !trees.isEmpty {
                core.perform { $0.neededTrees[new] = trees.map(TreePin.root) }
                // It may have ended before anybody could be told so.
                if !core.store.isLive(new) {
                    core.store.unpin(core.perform { $0.releaseTrees([new]) })
                }
            }
            return new
        } catch {
            core.store.unpin(trees)
            throw error
        }
    }

    private struct Row {
        var kind: OutcomeKind
        var label: Label
        var sequence: UInt64
        var remains: TaskRemains?
    }

    private func findRow(of id: TaskID) throws(StoreError) -> Row? {
        var row: Row?
        try core.forEachEndedRoot { index, block in
            guard block.id(at: index) == id else { return true }
            let remains = block.withAttachment(at: index) { bytes in
                TaskRemains(decoding: bytes.withUnsafeBytes { Array($0) })
            }
            row = Row(
                kind: block.kind(at: index), label: block.label(at: index), sequence: block.sequence(at: index),
                remains: remains)
            return false
        }
        return row
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
                let bytes = block.withAttachment(at: index) { $0.withUnsafeBytes { Array($0) } }
                guard !isMarked(block.id(at: index)), let remains = TaskRemains(decoding: bytes),
                    isWanted(block.label(at: index), remains), try add(index, of: block, remains, to: &transaction)
                else { continue }
                count += 1
                guard transaction.estimatedBytes >= Self.batchBytes else { continue }
                try core.store.appendBlocking(transaction)
                transaction = Transaction()
            }
        }
        if !transaction.isEmpty { try core.store.appendBlocking(transaction) }
        // They are run again, whatever becomes of old marks.
        do { _ = try forgetMarks() } catch { core.logger.warning("marks of dropped tasks stay for now: \(error)") }
        return count
    }

    /// - Returns: false when the task is to be left alone.
    private func add(
        _ index: Int, of block: ChildBlock, _ remains: TaskRemains, to transaction: inout Transaction
    ) throws -> Bool {
        let (id, label, sequence) = (block.id(at: index), block.label(at: index), block.sequence(at: index))
        do {
            if remains.key == nil {
                try add(id, sequence, label, remains, redriving: nil, to: &transaction)
            } else {
                // A key that a live task has keeps its own task back, and no other.
                var single = Transaction()
                try add(id, sequence, label, remains, redriving: nil, to: &single)
                try core.store.appendBlocking(single)
            }
            return true
        } catch let error as StoreError where error.code == .duplicateKey {
            return false
        } catch is PermanentError {
            return false
        }
    }

    /// The new task and the mark of the old one commit together.
    private func add(
        _ id: TaskID, _ sequence: UInt64, _ label: Label, _ remains: TaskRemains, redriving ended: RedrivenTask?,
        keeping kept: UInt64 = 0, to transaction: inout Transaction
    ) throws {
        let attributes = try TaskRemains.renewed(remains.attributes, redriving: ended, keeping: kept)
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
    ///
    /// - Returns: how many are left.
    /// - Complexity: O(marks x log root tasks).
    private func forgetMarks() throws -> Int {
        var transaction = Transaction()
        let roots = try core.store.children(of: .none)
        let all = core.store.values(withPrefix: Self.markPrefix)
        var left = 0
        for (name, value) in all {
            guard let number = UInt64(name.dropFirst(Self.markPrefix.count)), value.count == 8 else { continue }
            let sequence = value.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
            if try roots.attachment(of: TaskID(number), endedAt: sequence) == nil {
                transaction.set(name, to: nil)
            } else {
                left += 1
            }
        }
        if !transaction.isEmpty { try core.store.appendBlocking(transaction) }
        return left
    }
}

/// When the marks of tasks that were run again are looked through for those that nobody needs: so seldom that it costs
/// each of them O(1).
struct ResubmissionMarks: Sendable {
    /// Calls until the next search.
    private var untilSearch = 64

    mutating func isSearchDue() -> Bool {
        untilSearch -= 1
        return untilSearch < 0
    }

    mutating func searched(left: Int) { untilSearch = max(64, left) }
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
