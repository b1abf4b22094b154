// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// State behind a lock, with a condition to wait for: what `Mutex` lacks. For threads of our own only, since waiting
/// blocks.
package final class Monitor<State: Sendable>: @unchecked Sendable {
    // Unchecked: `state` is reached only while `mutex` is held, and both pointers are constant until deinit.
    private var state: State
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    package init(_ state: State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        #if !canImport(Darwin)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        #endif
        precondition(pthread_mutex_init(mutex, nil) == 0, "pthread_mutex_init")
        precondition(pthread_cond_init(condition, &attributes) == 0, "pthread_cond_init")
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Changes the state and wakes one waiter when `body` returns true.
    package func withLock(_ body: (inout State) -> Bool) {
        pthread_mutex_lock(mutex)
        let wakes = body(&state)
        pthread_mutex_unlock(mutex)
        if wakes { pthread_cond_signal(condition) }
    }

    /// Changes the state, and wakes one waiter when `body` asks for it.
    package func update<Value>(_ body: (inout State, _ wakes: inout Bool) -> Value) -> Value {
        var wakes = false
        pthread_mutex_lock(mutex)
        let value = body(&state, &wakes)
        pthread_mutex_unlock(mutex)
        if wakes { pthread_cond_signal(condition) }
        return value
    }

    /// Wakes all waiters after a change.
    package func withLockWakingAll(_ body: (inout State) -> Void) {
        pthread_mutex_lock(mutex)
        body(&state)
        pthread_mutex_unlock(mutex)
        pthread_cond_broadcast(condition)
    }

    /// Blocks until `body` gives a value. It is asked at first and after each wake-up, and once more when the time that
    /// it may set has come.
    package func wait<Value>(
        _ body: (inout State, _ deadline: inout MonotonicTime?) -> Value?
    ) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            var deadline: MonotonicTime?
            if let value = body(&state, &deadline) { return value }
            guard let deadline else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            #if canImport(Darwin)
                let now = MonotonicTime.now().nanoseconds
                let wait = deadline.nanoseconds > now ? deadline.nanoseconds - now : 0
                var time = timespec(tv_sec: Int(wait / 1_000_000_000), tv_nsec: Int(wait % 1_000_000_000))
                pthread_cond_timedwait_relative_np(condition, mutex, &time)
            #else
                var time = timespec(
                    tv_sec: Int(deadline.nanoseconds / 1_000_000_000),
                    tv_nsec: Int(deadline.nanoseconds % 1_000_000_000))
                pthread_cond_timedwait(condition, mutex, &time)
            #endif
        }
    }
}

/// A reading of the clock that never goes back.
package struct MonotonicTime: Comparable, Sendable {
    package var nanoseconds: UInt64

    package static func now() -> MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    package func advanced(by duration: Duration) -> MonotonicTime {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
        return MonotonicTime(nanoseconds: self.nanoseconds &+ nanoseconds)
    }

    package static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}
