// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// A handler that waits until its task has fewer children without an outcome.
struct RoomWaiter: Sendable {
    let task: TaskID
    let parent: TaskID
    /// So many children may be left.
    let limit: UInt64
    /// Whether it left the place of suspects, too.
    let isSuspect: Bool
    let continuation: CheckedContinuation<Void, Never>
}

extension CoreState {
    /// Takes out those that have waited long enough, or for nothing.
    mutating func takeRoomWaiters() -> [RoomWaiter] {
        let ready = roomWaiters.filter { isOver($0.value) }
        for (number, waiter) in ready {
            roomWaiters[number] = nil
            dispatcher.unpark(isSuspect: waiter.isSuspect)
        }
        return Array(ready.values)
    }

    private func isOver(_ waiter: RoomWaiter) -> Bool {
        guard phase == .running, let parent = dispatcher.early[waiter.task] else { return true }
        return parent.liveChildren <= waiter.limit || dispatcher.failing.contains(waiter.task)
            || dispatcher.isDoomed(waiter.task, parent: waiter.parent)
    }
}

extension SchedulerCore {
    /// Waits until no more than `limit` children of a running task are without an outcome; also until the scheduler
    /// stops, or the task is to be cancelled or to fail. Its worker takes no place meanwhile.
    func waitForRoom(under context: TaskContext, below limit: UInt64) async {
        let number = perform { state in
            state.lastRoomWaiter += 1
            return state.lastRoomWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isCancelled = perform { state in
                    // Under the lock: a cancellation before it is seen here, one after it finds the entry.
                    if Task.isCancelled { return true }
                    state.roomWaiters[number] = RoomWaiter(
                        task: context.id, parent: context.parent, limit: limit,
                        isSuspect: state.dispatcher.park(context.id), continuation: continuation)
                    return false
                }
                if isCancelled { continuation.resume() }
            }
        } onCancel: {
            let waiter = perform { state in
                let waiter = state.roomWaiters.removeValue(forKey: number)
                if let waiter { state.dispatcher.unpark(isSuspect: waiter.isSuspect) }
                return waiter
            }
            waiter?.continuation.resume()
        }
    }
}
