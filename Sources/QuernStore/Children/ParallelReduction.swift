// SPDX-License-Identifier: Apache-2.0

/// One parallel fold over a snapshot: threads take part after part until none is left or one failed.
final class ParallelReduction<Value: Sendable>: Sendable {
    private struct State: Sendable {
        var nextPart = 0
        var results: [Value?]
        var failure: (part: Int, error: any Error)?
        var isCancelled = false
        /// Threads at work other than the one that waits.
        var helpers = 0
        /// Who comes now comes too late.
        var isOver = false

        var isStopped: Bool { failure != nil || isCancelled }
    }

    /// More parts than threads, so that a thread that is held up does not hold up the others.
    private static var partsPerThread: Int { 4 }

    private let initial: Value
    private let columns: ChildColumns
    private let parts: [ChildSnapshot]
    private let threads: Int
    private let body: @Sendable (inout Value, borrowing ChildBlock) throws -> Void
    private let state: Monitor<State>

    init(
        _ snapshot: ChildSnapshot, initial: Value, columns: ChildColumns, threads: Int?,
        _ body: @escaping @Sendable (inout Value, borrowing ChildBlock) throws -> Void
    ) {
        precondition(threads ?? 1 > 0, "a reduction needs at least one thread")
        // Threads without a block would have nothing to do.
        let wanted = min(threads ?? SystemThread.processorCount, max(snapshot.extents.count, 1))
        self.initial = initial
        self.columns = columns
        self.body = body
        parts = snapshot.split(into: wanted == 1 ? 1 : wanted * Self.partsPerThread)
        self.threads = min(wanted, parts.count)
        state = Monitor(State(results: Array(repeating: nil, count: parts.count)))
    }

    /// Folds on this thread and on those that are free to help; returns when all have ended.
    ///
    /// It waits for nobody who has not begun: so it ends also when all threads are taken by others like it.
    func run() {
        for _ in 1..<max(threads, 1) {
            // Without a thread to be had there is a helper less.
            guard (try? ThreadPool.helpers.submit { self.help() }) != nil else { break }
        }
        work()
        state.withLock {
            $0.isOver = true
            return false
        }
        state.wait { state, _ in state.helpers == 0 ? () : nil }
    }

    private func help() {
        let isWelcome = state.update { state, _ in
            if !state.isOver { state.helpers += 1 }
            return !state.isOver
        }
        guard isWelcome else { return }
        work()
        state.withLock {
            $0.helpers -= 1
            return $0.helpers == 0
        }
    }

    /// Makes the threads stop before their next block.
    func cancel() {
        state.withLock {
            $0.isCancelled = true
            return false
        }
    }

    /// The result of all parts. Valid after ``run()``.
    func combined(_ combine: (inout Value, Value) throws -> Void) throws -> Value {
        let state = self.state.update { state, _ in state }
        if let failure = state.failure { throw failure.error }
        // A cancellation that came too late to leave anything out is none.
        let results = state.results.compactMap { $0 }
        guard results.count == parts.count else { throw CancellationError() }
        guard var total = results.first else { return initial }
        for result in results.dropFirst() { try combine(&total, result) }
        return total
    }

    private func work() {
        var block = ChildBlock()
        while let part = nextPart() {
            do {
                guard let result = try fold(parts[part], &block) else { return }
                state.withLock {
                    $0.results[part] = result
                    return false
                }
            } catch {
                state.withLock { state in
                    if state.failure.map({ part < $0.part }) ?? true { state.failure = (part, error) }
                    return false
                }
            }
        }
    }

    private func nextPart() -> Int? {
        state.update { state, _ in
            guard !state.isStopped, state.nextPart < parts.count else { return nil }
            defer { state.nextPart += 1 }
            return state.nextPart
        }
    }

    /// Nil when another part failed or the whole was cancelled meanwhile.
    private func fold(_ part: ChildSnapshot, _ block: inout ChildBlock) throws -> Value? {
        var result = initial
        var cursor = part.makeCursor(columns: columns)
        while try cursor.next(into: &block) {
            if state.update({ state, _ in state.isStopped }) { return nil }
            try body(&result, block)
        }
        return result
    }
}
