// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Threads of our own, for what blocks: it must not run on the cooperative pool.
package enum SystemThread {
    private final class Start: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a detached thread that runs `body` and ends.
    ///
    /// - Throws: ``StoreError/Code/noThread``; `body` is never called then.
    package static func start(_ body: @escaping @Sendable () -> Void) throws(StoreError) {
        let start = Unmanaged.passRetained(Start(body))
        #if canImport(Darwin)
            var thread: pthread_t?
            let result = pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                    return nil
                }, start.toOpaque())
        #else
            var thread = pthread_t()
            let result = pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue().body()
                    return nil
                }, start.toOpaque())
        #endif
        guard result == 0 else {
            start.release()
            throw StoreError(.noThread, "the system gives no thread (pthread_create: \(result))")
        }
        #if canImport(Darwin)
            if let thread { pthread_detach(thread) }
        #else
            pthread_detach(thread)
        #endif
    }
}
