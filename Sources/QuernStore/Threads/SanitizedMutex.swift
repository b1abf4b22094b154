// SPDX-License-Identifier: Apache-2.0

#if QUERN_THREAD_SANITIZER
    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #else
        import Darwin
    #endif

    /// A lock that the thread sanitizer sees, in the place of Synchronization's in builds for it.
    ///
    /// On Linux that one waits in a part of the Swift 6.3 runtime that is not instrumented: whoever had to wait seems
    /// to have taken no lock, and everything that locks protect looks like a race. Each module that has locks names
    /// this one `Mutex` in such builds, see `make sanitize`.
    // Sendable: the value is touched under the lock alone.
    package struct SanitizedMutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
        private let lock: UnsafeMutablePointer<pthread_mutex_t>
        private let value: UnsafeMutablePointer<Value>

        package init(_ initial: consuming sending Value) {
            lock = .allocate(capacity: 1)
            lock.initialize(to: pthread_mutex_t())
            value = .allocate(capacity: 1)
            value.initialize(to: initial)
            precondition(pthread_mutex_init(lock, nil) == 0)
        }

        deinit {
            pthread_mutex_destroy(lock)
            lock.deallocate()
            value.deinitialize(count: 1)
            value.deallocate()
        }

        package borrowing func withLock<Result: ~Copyable, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            precondition(pthread_mutex_lock(lock) == 0)
            defer { pthread_mutex_unlock(lock) }
            return try body(&value.pointee)
        }
    }

    typealias Mutex<Value: ~Copyable> = SanitizedMutex<Value>
#endif
