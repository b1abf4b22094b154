// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernStore
import Synchronization

/// Calls a handler's cancel hook (T10).
struct CancelHook<Work: DurableTask>: Sendable {
    private let handler: any CancelHandling<Work>

    /// Nil when the handler does not want to know.
    init?(_ handler: some Sendable) {
        guard let handler = handler as? any CancelHandling<Work> else { return nil }
        self.handler = handler
    }

    /// Calls the hook for all tasks of the entry at the same time, and waits until all have returned or the time
    /// limit is over.
    ///
    /// - Throws: when the payloads cannot be read; no hook was called then.
    func run(
        _ entry: ReadyRun, version: UInt32, place: HandlerPlace, core: SchedulerCore
    ) async throws(StoreError) {
        let works = PayloadBatch<Work>(count: Int(entry.run.count))
        try works.read(entry, version: version, from: core.store)
        let executor: (any TaskExecutor)? = place == .threads ? core.threads : nil
        var hooks: [Task<Void, Never>] = []
        for index in BitIndexes(entry.bits) {
            let id = entry.run.id(at: index)
            let work: Work
            do { work = try works.work(at: index) } catch {
                core.logger.warning("no cancel hook for task \(id): \(error)")
                continue
            }
            hooks.append(
                Task.detached(executorPreference: executor) {
                    do { try await handler.cancelled(work, id: id) } catch {
                        core.logger.warning("the cancel hook of task \(id) (\(Work.type)) failed: \(error)")
                    }
                })
        }
        if await !Self.wait(for: hooks, limit: core.cancelHookLimit) {
            core.logger.warning("cancel hooks of \(Work.type) took longer than \(core.cancelHookLimit)")
        }
    }

    /// - Returns: false when the limit was over first; the hooks are then cancelled and waited for no longer.
    private static func wait(for hooks: [Task<Void, Never>], limit: Duration) async -> Bool {
        await withCheckedContinuation { continuation in
            let first = FirstAnswer(continuation)
            let timer = Task.detached {
                guard (try? await Task.sleep(for: limit)) != nil else { return }
                for hook in hooks { hook.cancel() }
                first.give(false)
            }
            Task.detached {
                for hook in hooks { await hook.value }
                timer.cancel()
                first.give(true)
            }
        }
    }
}

/// Resumes a continuation with the first of several answers.
final class FirstAnswer: Sendable {
    private let continuation: Mutex<CheckedContinuation<Bool, Never>?>

    init(_ continuation: CheckedContinuation<Bool, Never>) { self.continuation = Mutex(continuation) }

    func give(_ answer: Bool) {
        continuation.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }?.resume(returning: answer)
    }
}
